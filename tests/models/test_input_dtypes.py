"""Inputs have the type that `Input` says: in predict, in steps, in a call and when frozen."""

import numpy as np
import pytest

import densa
from densa import layers, ops

RNG = np.random.default_rng(3)

DATA = {
    "float64": RNG.normal(size=(5, 3)) * 1e3,
    "float32": (RNG.normal(size=(5, 3)) * 1e3).astype("float32"),
    "float16": (RNG.normal(size=(5, 3)) * 1e3).astype("float32"),
    "bfloat16": (RNG.normal(size=(5, 3)) * 1e3).astype("float32"),
    "int32": RNG.integers(-(2**31), 2**31, (5, 3), dtype="int32"),
    "int64": RNG.integers(-(2**52), 2**52, (5, 3), dtype="int64"),
    "bool": RNG.random((5, 3)) < 0.5,
}


def as_taken(x, dtype):
    """The numbers of x in an input of this type, in float64."""
    if dtype == "bfloat16":
        bits = x.view("uint32").astype("uint64")
        bits = (bits + 0x7FFF + (bits >> 16 & 1)) >> 16 << 16
        return bits.astype("uint32").view("float32").astype("float64")
    return x.astype(dtype).astype("float64")


@pytest.mark.parametrize("dtype", DATA)
def test_an_input_has_the_type_that_it_says(dtype):
    """A layer of float64 shows what came: predict, eager steps, a call and a frozen network."""
    given = densa.Input((3,), dtype=dtype)
    layer = layers.Dense(1, dtype="float64", kernel_initializer="ones", use_bias=False)
    model = densa.Model(given, layer(ops.cast(given, "float64")))
    x = DATA[dtype]
    wanted = as_taken(x, dtype).sum(1, keepdims=True)
    close = {"rtol": 1e-14, "atol": 1e-12}
    np.testing.assert_allclose(model.predict(x, verbose=0), wanted, **close)
    np.testing.assert_allclose(model.predict_on_batch(x), wanted, **close)
    np.testing.assert_allclose(np.asarray(model(x)), wanted, **close)
    batches = (x[i : i + 2] for i in range(0, 5, 2))
    np.testing.assert_allclose(model.predict(batches, verbose=0), wanted, **close)
    model.compile(loss="mse", run_eagerly=True)
    np.testing.assert_allclose(model.predict(x, verbose=0), wanted, **close)
    assert model.evaluate(x, wanted, verbose=0) < 1e-10 * np.square(wanted).mean() + 1e-12
    predictor = model.freeze("float64", calibration=x)
    np.testing.assert_allclose(predictor(x), wanted, **close)
    assert predictor.certificate.same_bits


def test_each_of_several_inputs_has_its_type():
    a, b = densa.Input((3,), dtype="float64", name="a"), densa.Input((3,), name="b")
    total = ops.sum(a, axis=1) + ops.sum(ops.cast(b, "float64"), axis=1)
    model = densa.Model({"a": a, "b": b}, total)
    x = {"a": DATA["float64"], "b": DATA["float64"]}
    wanted = x["a"].sum(1) + x["b"].astype("float32").astype("float64").sum(1)
    np.testing.assert_allclose(model.predict(x, verbose=0), wanted, rtol=1e-12)
    np.testing.assert_allclose(np.asarray(model(x)), wanted, rtol=1e-12)


def test_floats_for_an_input_of_whole_numbers_are_not_rounded_before():
    x = densa.Input((1,), dtype="int64")
    model = densa.Model(x, ops.cast(x, "float64"))
    data = np.array([[2.0**24 + 1], [2.0**52 + 1]])
    np.testing.assert_array_equal(model.predict(data, verbose=0), data)


def test_lists_of_numbers_have_the_inputs_type():
    x = densa.Input((2,), dtype="float64")
    model = densa.Model(x, x * 3)
    np.testing.assert_array_equal(np.asarray(model([[0.1, 0.2]])), np.array([[0.1, 0.2]]) * 3)
