"""Casts to 16 bits that a user asks for stay in a frozen network."""

import numpy as np
import pytest

import densa
from densa import layers, ops
from exported import COMPILERS, Exported

RNG = np.random.default_rng(3)
X = RNG.normal(size=(40, 6)).astype("float32")
HALVES = ["float16", "bfloat16"]


def model_of(function, dtype=None):
    x = densa.Input((6,), dtype=dtype)
    return densa.Model(x, function(x))


class Rounds(layers.Layer):
    """A layer whose call rounds."""

    def __init__(self, half, **kwargs):
        super().__init__(**kwargs)
        self.half = half
        self.inner = layers.Dense(4)

    def call(self, x):
        return ops.cast(self.inner(ops.cast(x, self.half)), self.half)


ASKED = {
    "a cast": lambda half: lambda x: ops.cast(ops.cast(x, half), "float32") * 3,
    "an output": lambda half: lambda x: ops.cast(x, half),
    "astype": lambda half: lambda x: ops.cast(ops.sqrt(ops.abs(x)), half),
    "ops of 16 bits": lambda half: lambda x: ops.cast(x, half) * ops.cast(x + 1, half) + 0.1,
    "a dense behind it": lambda half: lambda x: layers.Dense(3)(ops.cast(x, half)),
    "between two": lambda half: (
        lambda x: layers.Dense(3)(ops.cast(layers.Dense(5, "relu")(x), half))
    ),
    "in call": lambda half: lambda x: Rounds(half)(x),
    "moved": lambda half: lambda x: ops.cast(ops.reshape(ops.cast(x, half), (-1, 2, 3)) * 3, half),
}


@pytest.mark.parametrize("half", HALVES)
@pytest.mark.parametrize("name", ASKED)
def test_casts_that_are_asked_for_stay(name, half):
    model = model_of(ASKED[name](half))
    predictor = model.freeze(calibration=X)
    told = predictor.certificate
    wanted = model.predict(X, verbose=0)
    np.testing.assert_array_equal(predictor(X), wanted.astype("float32"))
    assert told.same_bits == (wanted.dtype == "float32")
    assert not told.removed


@pytest.mark.cpu_only("a GPU's sums have another order, which a rounding shows")
@pytest.mark.parametrize("half", HALVES)
def test_nothing_is_folded_through_a_rounding(half):
    def function(x):
        h = ops.cast(layers.Dense(8)(x), half)
        return layers.Dense(3)(layers.BatchNormalization()(h))

    model = model_of(function)
    predictor = model.freeze(calibration=X)
    y, wanted = predictor(X), model.predict(X, verbose=0)
    np.testing.assert_allclose(y, wanted, rtol=1e-5, atol=1e-5)
    plain = model_of(lambda x: ops.cast(layers.Dense(8)(x), half))
    plain.set_weights(model.get_weights()[:2])
    assert not np.array_equal(plain.predict(X, verbose=0), np.asarray(plain.layers[1](X)))


@pytest.mark.parametrize("half", HALVES)
def test_roundings_of_a_policy_are_left_out(half):
    """A user's cast beside layers of mixed precision stays, theirs go."""

    def function(x):
        h = layers.Dense(4, dtype=f"mixed_{half}")(x)
        return layers.Dense(4)(h), ops.cast(x, half)

    model = model_of(function)
    told = model.freeze().certificate
    assert [line.split(" ", 1)[1] for line in told.removed] == [
        f"roundings to {half}: computed in more"
    ]
    predictor = model.freeze(calibration=X)
    _, rounded = model.predict(X, verbose=0)
    np.testing.assert_array_equal(predictor(X)[1], rounded.astype("float32"))
    exact = X.astype("float64") @ model.layers[1].kernel.numpy() + model.layers[1].bias.numpy()
    exact = exact @ model.layers[2].kernel.numpy() + model.layers[2].bias.numpy()
    np.testing.assert_allclose(predictor(X)[0], exact, rtol=1e-5, atol=1e-6)


@pytest.mark.cpu_only("files are the CPU's")
@pytest.mark.parametrize("half", HALVES)
def test_files_and_c_round_as_well(half, tmp_path):
    model = model_of(lambda x: ops.cast(x * 1e3, half))
    predictor = model.freeze()
    x = np.concatenate([X, X * 1e-9, X * 1e3, np.zeros_like(X[:1]), np.full_like(X[:1], np.inf)])
    predictor.save(tmp_path / "net.densa")
    again = densa.Predictor.load(tmp_path / "net.densa")
    wanted = predictor(x)
    np.testing.assert_array_equal(again(x), wanted)
    if COMPILERS:
        (y,) = Exported(predictor, tmp_path, COMPILERS[0]).run([x])
        np.testing.assert_array_equal(y, wanted)
