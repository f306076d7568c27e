"""What the doctor sees of inputs: whole numbers, ids, several inputs, NaN."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import densa
from densa.callbacks import Doctor

L = densa.layers
RNG = np.random.default_rng(4)
IMAGES = RNG.integers(0, 256, (64, 5, 5)).astype("uint8")
CLASSES = RNG.integers(0, 2, 64).astype("int32")
IDS = RNG.integers(0, 90, (64, 3)).astype("int32")
NUMBERS = RNG.normal(size=(64, 4)).astype("float32")


def compiled(model):
    model.compile("adam", "sparse_categorical_crossentropy")
    return model


def sequential(shape, *layers, dtype=None):
    return compiled(densa.Sequential([densa.Input(shape, dtype=dtype), *layers, last()]))


def last():
    return L.Dense(2, "softmax")


def ids_of(model, x, y=CLASSES):
    return [finding.id for finding in model.diagnose(x, y)]


@pytest.mark.parametrize("dtype", ["uint8", "int32", "int64", "float32"])
@pytest.mark.parametrize("declared", [None, "uint8"])
def test_images_of_whole_numbers_are_unscaled(dtype, declared):
    model = sequential((5, 5), L.Flatten(), L.Dense(8, "relu"), dtype=declared)
    images = IMAGES.astype(dtype)
    doctor = Doctor(1, verbose=0)
    model.fit(images, CLASSES, epochs=1, verbose=0, callbacks=[doctor])
    found = {finding.id: finding for finding in doctor.findings}["unscaled_inputs"]
    wanted = np.sqrt((IMAGES.astype("float64")[:512] ** 2).mean(0))
    assert found.evidence["largest feature"] == pytest.approx(wanted.max(), rel=1e-6)
    made = found.apply(model)
    scaled = np.asarray(made.layers[0](images), "float64")
    np.testing.assert_allclose(scaled.mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(scaled.std(0), 1, atol=1e-5)
    assert made.fit(images, CLASSES, epochs=1, verbose=0).epoch == [0]


def test_scaled_images_are_left_alone():
    assert "unscaled_inputs" not in ids_of(
        sequential((5, 5), L.Rescaling(1 / 255), L.Flatten()), IMAGES
    )
    x = densa.Input((5, 5))
    model = compiled(densa.Model(x, last()(L.Flatten()(x / 255.0))))
    assert "unscaled_inputs" not in ids_of(model, IMAGES)


@pytest.mark.parametrize(
    "make",
    [
        lambda: sequential((3,), L.Embedding(90, 4), L.Flatten(), dtype="int32"),
        lambda: sequential((3,), L.CategoryEncoding(90), dtype="int32"),
        lambda: sequential((3,), L.Discretization([10.0, 40.0], output_mode="multi_hot")),
    ],
)
def test_ids_are_no_sizes(make):
    assert "unscaled_inputs" not in ids_of(make(), IDS)


def test_ids_in_a_subclass_are_no_sizes():
    class Both(densa.Model):
        def __init__(self):
            super().__init__()
            self.head, self.table, self.flat = last(), L.Embedding(90, 4), L.Flatten()

        def call(self, ids):
            return self.head(self.flat(self.table(ids)))

    assert "unscaled_inputs" not in ids_of(compiled(Both()), IDS)


def two_inputs():
    a, b = densa.Input((3,), dtype="int32", name="z"), densa.Input((4,), name="a")
    h = L.Concatenate()([L.Flatten()(L.Embedding(90, 4)(a)), L.Dense(4, "relu")(b)])
    return compiled(densa.Model([a, b], last()(h)))


def test_each_input_is_judged_by_what_reads_it():
    model = two_inputs()
    assert "unscaled_inputs" not in ids_of(model, [IDS, NUMBERS])
    assert "unscaled_inputs" in ids_of(model, [IDS, 100 * NUMBERS])
    assert "unscaled_inputs" not in ids_of(model, {"z": IDS, "a": NUMBERS})
    assert "unscaled_inputs" in ids_of(model, {"z": IDS, "a": 100 * NUMBERS})


@pytest.mark.parametrize("what", [np.nan, np.inf])
@pytest.mark.parametrize("share", ["all", "a column", "a number"])
def test_rows_that_are_not_finite_are_left_out(what, share):
    model = sequential((4,), L.Dense(4, "relu"), L.Dense(4, "tanh"))
    x = 100 * NUMBERS
    where = {"all": ..., "a column": (slice(None), 1), "a number": (3, 2)}[share]
    x[where] = what
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", "x .*holds a non-finite number", UserWarning)
        found = {finding.id: finding for finding in model.diagnose(x, CLASSES, batch_size=64)}
    assert found["non_finite"].evidence["inputs"] == np.size(x[where])
    assert ("unscaled_inputs" in found) == (share != "all")
    if share != "all":
        scaled = np.asarray(found["unscaled_inputs"].apply(model).layers[0](100 * NUMBERS))
        kept = [0, 3] if share == "a number" else [0, 2, 3]
        np.testing.assert_allclose(scaled[:, kept].std(0), 1, atol=1e-4)
        assert np.isfinite(scaled).all()


@pytest.mark.parametrize("how", ["diagnose", "fit"])
def test_sorted_rows_are_all_looked_at(how):
    rng = np.random.default_rng(1)
    x = np.sort(rng.exponential(size=(3000, 4)) ** 4, axis=0).astype("float32")
    y = (x[:, 0] > 1).astype("int32")
    model = sequential((4,), L.Dense(4, "relu"))
    if how == "fit":
        doctor = Doctor(1, verbose=0)
        model.fit(x, y, epochs=1, verbose=0, shuffle=False, callbacks=[doctor])
        findings = doctor.findings
    else:
        findings = model.diagnose(x, y)
    (found,) = [finding for finding in findings if finding.id == "unscaled_inputs"]
    scaled = np.asarray(found.apply(model).layers[0](x), "float64")
    np.testing.assert_allclose(scaled.mean(0), 0, atol=1e-5)  # float32
    np.testing.assert_allclose(scaled.std(0), 1, rtol=1e-5)
