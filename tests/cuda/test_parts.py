"""Data that does not fit on a GPU goes there part by part: the same numbers as if it fitted."""

import gc
import os

import numpy as np
import pytest

import densa
from densa import device as densa_device
from densa import layers

_default = densa.get_device()
try:
    densa.set_device("cuda")
except RuntimeError as why:
    pytest.skip(str(why), allow_module_level=True)
finally:
    densa.set_device(_default)

ROWS, BATCH = 150, 8


@pytest.fixture(autouse=True)
def gpu():
    before = densa.get_device()
    densa.set_device("cuda")
    yield
    densa.set_device(before)


def network():
    densa.utils.set_random_seed(7)
    model = densa.Sequential(
        [
            layers.Dense(9, activation="tanh"),
            layers.BatchNormalization(),
            layers.Dropout(0.2),
            layers.Dense(3),
        ]
    )
    loss = densa.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(densa.optimizers.Adam(0.01), loss, metrics=["accuracy"])
    return model


def data(rows=ROWS):
    rng = np.random.default_rng(2)
    return rng.normal(size=(rows, 6)).astype("float32"), rng.integers(0, 3, rows)


def parts_of(monkeypatch, rows):
    """Parts of so many rows: 6 float32 and a label of 8 bytes each; None: all at once."""
    if rows is None:
        monkeypatch.delenv("DENSA_GPU_RESIDENT_BYTES", raising=False)
    else:
        monkeypatch.setenv("DENSA_GPU_RESIDENT_BYTES", "0")
        monkeypatch.setenv("DENSA_GPU_PART_BYTES", str(rows * 32))


def everything(model, x, y, **options):
    history = model.fit(x, y, batch_size=BATCH, epochs=3, verbose=0, **options).history
    return (
        history,
        [v.numpy() for v in model.variables],
        model.predict(x, batch_size=BATCH, verbose=0),
        model.evaluate(x, y, batch_size=BATCH, verbose=0),
    )


def assert_same(got, want):
    assert got[0] == want[0]
    for a, b in zip(got[1], want[1], strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(got[2], want[2])
    assert got[3] == want[3]


# One batch, some, all but the last, more than there are; every number of parts, odd and even.
@pytest.mark.parametrize("rows", [1, BATCH, 3 * BATCH, 10 * BATCH, 18 * BATCH, 1000])
@pytest.mark.parametrize("shuffle", [False, True])
def test_the_same_bits_in_parts(monkeypatch, rows, shuffle):
    x, y = data()
    parts_of(monkeypatch, None)
    want = everything(network(), x, y, shuffle=shuffle)
    parts_of(monkeypatch, rows)
    assert_same(everything(network(), x, y, shuffle=shuffle), want)


def test_rows_that_are_not_packed(monkeypatch):
    x, y = data(2 * ROWS)
    parts_of(monkeypatch, None)
    want = everything(network(), np.ascontiguousarray(x[::2]), y[::2])
    parts_of(monkeypatch, 3 * BATCH)
    assert_same(everything(network(), x[::2], y[::2]), want)


def test_the_data_may_change_between_epochs(monkeypatch):
    """Nothing is read ahead of the epoch that it belongs to."""
    x, y = data()
    found = []
    for rows in (None, 2 * BATCH):
        parts_of(monkeypatch, rows)
        model, mine = network(), x.copy()
        for epoch in range(3):
            mine[:] = x * (epoch + 1)
            model.fit(mine, y, batch_size=BATCH, epochs=1, shuffle=False, verbose=0)
        found.append([v.numpy() for v in model.variables])
    for a, b in zip(*found, strict=True):
        np.testing.assert_array_equal(a, b)


def test_predictions_batch_by_batch(monkeypatch):
    """Results are there when a hook sees them, in the middle of a part, too."""
    x, _ = data()

    class Keep(densa.callbacks.Callback):
        def on_predict_batch_end(self, batch, logs=None):
            kept.append(np.array(logs["outputs"]))

    found = []
    for rows in (None, 3 * BATCH):
        parts_of(monkeypatch, rows)
        kept = []
        network().predict(x, batch_size=BATCH, verbose=0, callbacks=[Keep()])
        found.append(np.concatenate(kept))
    np.testing.assert_array_equal(found[0], found[1])


@pytest.mark.parametrize("row", [0, 70, ROWS - 1])
def test_the_first_row_that_is_not_finite(monkeypatch, row):
    x, y = data()
    x[row, 3] = np.inf
    parts_of(monkeypatch, 2 * BATCH)
    with pytest.warns(UserWarning, match=rf"\b{row}\b"):
        network().fit(x, y, batch_size=BATCH, epochs=1, verbose=0, shuffle=False)


def test_an_id_out_of_range_in_the_middle(monkeypatch):
    ids = np.random.default_rng(0).integers(0, 5, (ROWS, 1))
    ids[77] = 5
    y = np.zeros(ROWS, "int64")
    found = []
    for rows in (None, 3 * BATCH):
        parts_of(monkeypatch, rows)
        densa.utils.set_random_seed(3)
        model = densa.Sequential([layers.Embedding(5, 4), layers.Flatten(), layers.Dense(2)])
        model.compile("sgd", densa.losses.SparseCategoricalCrossentropy(from_logits=True))
        with pytest.raises(IndexError, match="id 5"):
            model.fit(ids, y, batch_size=BATCH, shuffle=False, verbose=0)
        assert int(model.optimizer.iterations) == 77 // BATCH
        found.append([v.numpy() for v in model.variables])
    for a, b in zip(*found, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.skipif(not os.environ.get("DENSA_CUDA_EMULATED"), reason="only the emulation counts")
def test_pinned_memory_is_taken_once_and_given_back(monkeypatch):
    def pinned():
        return densa_device._cuda().counts()["pinned_bytes"]

    x, y = data()
    parts_of(monkeypatch, 3 * BATCH)
    densa.ops.ones((2,)).numpy()  # what every device keeps
    float(densa.ops.convert_to_tensor(np.ones(3, "float32"))[0])
    gc.collect()  # plans of other tests
    before = pinned()
    model = network()
    model.fit(x, y, batch_size=BATCH, epochs=1, verbose=0)
    held = pinned()
    assert held - before >= 2 * 3 * BATCH * 32  # two parts
    model.fit(x, y, batch_size=BATCH, epochs=2, verbose=0)
    assert pinned() == held
    del model
    gc.collect()
    assert pinned() <= before + 4 * 65536  # landing places of downloads may have been added
