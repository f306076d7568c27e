"""fit takes arrays of every kind, files, generators and datasets."""

from __future__ import annotations

import numpy as np
import pytest

import densa
from densa import layers
from training.cases import linear, regression


def test_every_kind_of_array(eager):
    x, y = regression(30)
    expected = None

    class Frame:
        """As much of a DataFrame as densa looks at."""

        def __init__(self, array):
            self.array = array
            self.shape = array.shape

        def to_numpy(self):
            return self.array

        def __len__(self):
            return len(self.array)

    for form in (
        lambda a: a,
        lambda a: a.astype("f8"),
        lambda a: np.asfortranarray(a),
        lambda a: densa.ops.convert_to_tensor(a),
        Frame,
        lambda a: [a],
        lambda a: a.tolist(),
        lambda a: np.concatenate([a, a], axis=1)[:, : a.shape[1]],
    ):
        model = linear()
        model.compile(densa.optimizers.SGD(0.1), "mse", run_eagerly=eager)
        model.fit(form(x), form(y), epochs=2, batch_size=8, shuffle=False, verbose=0)
        if expected is None:
            expected = model.get_weights()[0]
        np.testing.assert_array_equal(model.get_weights()[0], expected)
        assert model.predict(form(x), verbose=0).shape == (30, 1)


def test_memmap_and_integer_pixels(tmp_path, eager):
    pixels = np.random.default_rng(0).integers(0, 256, (20, 4)).astype("u1")
    kept = np.memmap(tmp_path / "x.bin", "u1", "w+", shape=(20, 4))
    kept[:] = pixels
    found = []
    for x in (pixels, kept):
        densa.utils.set_random_seed(1)
        model = densa.Sequential([densa.Input((4,)), layers.Rescaling(1 / 255), layers.Dense(1)])
        model.compile("sgd", "mse", run_eagerly=eager)
        model.fit(x, np.ones(20), epochs=2, verbose=0)
        found.append(model.get_weights()[0])
    np.testing.assert_array_equal(found[0], found[1])


def test_batches_from_generators_iterables_and_datasets(eager):
    x, y = regression(32)

    def parts():
        for i in range(0, 32, 8):
            yield x[i : i + 8], y[i : i + 8]

    class Loader:
        def __iter__(self):
            return parts()

        def __len__(self):
            return 4

    class Numbered:
        num_batches = 4
        ended = 0

        def __getitem__(self, i):
            return x[8 * i : 8 * i + 8], y[8 * i : 8 * i + 8]

        def on_epoch_end(self):
            self.ended += 1

    def endless():
        while True:
            yield from parts()

    def fitted(data, **more):
        model = linear()
        model.compile(densa.optimizers.SGD(0.1), "mse", run_eagerly=eager)
        history = model.fit(data, epochs=2, verbose=0, shuffle=False, **more)
        return model, history

    model, _ = fitted(parts(), steps_per_epoch=2)
    expected = model.get_weights()[0]
    one = linear()
    one.compile(densa.optimizers.SGD(0.1), "mse", run_eagerly=eager)
    one.fit(x, y, batch_size=8, shuffle=False, verbose=0)
    np.testing.assert_array_equal(one.get_weights()[0], expected)
    two = linear()
    two.compile(densa.optimizers.SGD(0.1), "mse", run_eagerly=eager)
    whole = two.fit(x, y, batch_size=8, epochs=2, shuffle=False, verbose=0)
    numbered = Numbered()
    for data, more in (
        (Loader(), {}),
        (numbered, {}),
        (endless(), {"steps_per_epoch": 4}),
        (Loader(), {"steps_per_epoch": 4, "validation_data": Loader()}),
    ):
        model, history = fitted(data, **more)
        np.testing.assert_array_equal(model.get_weights()[0], two.get_weights()[0])
        assert history.history["loss"] == whole.history["loss"]
    assert numbered.ended == 2
    assert model.evaluate(Loader(), verbose=0) == pytest.approx(model.evaluate(x, y, verbose=0))
    np.testing.assert_array_equal(model.predict(Loader(), verbose=0), model.predict(x, verbose=0))


def test_a_generator_that_ends_too_early_warns_and_stops(eager):
    x, y = regression(16)
    model = linear()
    model.compile("sgd", "mse", run_eagerly=eager)
    with pytest.warns(UserWarning, match="ran out of data"):
        history = model.fit(iter([(x, y)] * 3), steps_per_epoch=2, epochs=5, verbose=0)
    assert history.epoch == [0, 1]


def test_non_finite_input_is_warned_of_once(eager):
    x, y = regression(20)
    x[13, 1] = np.nan
    model = linear()
    model.compile("sgd", "mse", run_eagerly=eager)
    with pytest.warns(UserWarning, match="non-finite.*row 13") as seen:
        model.fit(x, y, epochs=3, batch_size=4, verbose=0)
    assert len([w for w in seen if "non-finite" in str(w.message)]) == 1


@pytest.fixture(params=["at once", "in parts"])
def brought(request, monkeypatch):
    """How data comes to a GPU; on the CPU both are one."""
    if request.param == "in parts":
        monkeypatch.setenv("DENSA_GPU_RESIDENT_BYTES", "0")
        monkeypatch.setenv("DENSA_GPU_PART_BYTES", "400")
    return request.param


@pytest.mark.usefixtures("brought")
@pytest.mark.parametrize("batch_size", [3, 64])
def test_the_smallest_non_finite_row_is_named(eager, batch_size):
    """In any order, on every path, on every device; of several arrays, the one with that row."""
    x, y = regression(150)
    x[[149, 71, 96, 140], 1] = np.nan
    y[[60, 90, 110]] = np.inf
    model = linear()
    model.compile("sgd", "mse", run_eagerly=eager)
    for _ in range(3):
        with pytest.warns(UserWarning, match="^y holds a non-finite number in row 60"):
            model.fit(x, y, batch_size=batch_size, shuffle=True, verbose=0)


@pytest.mark.usefixtures("brought")
@pytest.mark.filterwarnings("ignore:overflow encountered in cast:RuntimeWarning")
def test_a_number_too_large_for_float32_is_non_finite(eager):
    x, y = regression(20)
    x = x.astype("float64")
    x[[17, 5], 0] = 1e300
    model = linear()
    model.compile("sgd", "mse", run_eagerly=eager)
    with pytest.warns(UserWarning, match="^x .*holds a non-finite number in row 5"):
        model.fit(x, y, batch_size=4, verbose=0)
