"""Ops made of others where their formulas could lose digits or overflow, against NumPy."""

import numpy as np
import pytest

import densa
from densa import ops

FAR = [-np.inf, -3e38, -1e9, -1e8, -88.0, -30.0, -20.0, -10.0, -1.0, -1e-4, 0.0, 1e-4, 0.5, 10.0,
       20.0, 88.0, 9.9e7, 1.1e8, 3e38, np.inf, np.nan]  # fmt: skip


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ["sinh", "arcsinh"])
def test_values_far_from_zero(name, dtype):
    x = np.array(FAR, dtype)
    with np.errstate(over="ignore"):
        expected = getattr(np, name)(x.astype("f8")).astype(dtype)
    # expm1, log1p and three roundings around them
    rtol = 4 * np.finfo(dtype).eps
    np.testing.assert_allclose(getattr(ops, name)(x).numpy(), expected, rtol=rtol)


@pytest.mark.parametrize(("name", "slope"), [("sinh", np.cosh), ("arcsinh", None)])
def test_slopes_far_from_zero(name, slope):
    x = np.array([-3e12, -1e8, -20.0, -1e-3, 2.0, 30.0, 4e8])
    x = x[np.abs(x) < 100] if name == "sinh" else x
    v = densa.Variable(x, dtype="float64")
    ops.sum(getattr(ops, name)(v)).backward()
    expected = slope(x) if slope else 1 / np.hypot(1, x)
    np.testing.assert_allclose(v.grad.numpy(), expected, rtol=1e-9)


def test_logaddexp_of_whole_numbers():
    small, large = np.array([100, 7], "u1"), np.array([200, 7], "u1")
    expected = np.logaddexp(small.astype("f8"), large.astype("f8"))
    np.testing.assert_allclose(ops.logaddexp(small, large).numpy(), expected, rtol=1e-6)
    np.testing.assert_allclose(float(ops.logaddexp(True, False)), np.logaddexp(1, 0), rtol=1e-6)


def test_nan_is_what_is_left_of_nan():
    x = np.array([[np.nan, np.nan], [np.nan, -np.inf], [2.0, 1.0]], "f4")
    np.testing.assert_array_equal(ops.nanmax(x, axis=1).numpy(), [np.nan, -np.inf, 2.0])
    np.testing.assert_array_equal(ops.nanmin(x, axis=1).numpy(), [np.nan, -np.inf, 1.0])
    assert np.isnan(float(ops.nanmax(x[:1])))


def test_small_integers_on_a_diagonal_are_summed_in_32_bits():
    x = np.full((3, 3), 100, "i1")
    total = ops.trace(x)
    assert (int(total), str(total.dtype)) == (300, "int32")


def test_softmax_activations_over_several_axes():
    x = np.random.default_rng(3).normal(size=(2, 3, 4))
    shares = np.exp(x) / np.exp(x).sum((1, 2), keepdims=True)
    for axis in ((1, 2), [2, 1]):
        np.testing.assert_allclose(densa.activations.softmax(x, axis).numpy(), shares, rtol=1e-12)
        logs = densa.activations.log_softmax(x, axis).numpy()
        np.testing.assert_allclose(logs, np.log(shares), rtol=1e-12)
    whole = densa.activations.softmax(x, axis=None).numpy()
    np.testing.assert_allclose(whole, np.exp(x) / np.exp(x).sum(), rtol=1e-12)
    assert densa.activations.softmax(densa.Input((3, 4)), axis=(1, 2)).shape == (None, 3, 4)


def test_what_does_not_fit():
    x = np.zeros((2, 0, 3), "f4")
    for call, words in [
        (lambda: ops.pad(x, 1, "reflect"), "nothing to repeat"),
        (lambda: ops.pad(x, 1, "reflect", 3.0), "constant_values"),
        (lambda: ops.pad(x, 1, "mirror"), "'symmetric'"),
        (lambda: ops.roll(x, (1, 2, 3), (0, 1)), "alike in number"),
        (lambda: ops.median(x, axis=(0, 0)), "different"),
        (lambda: ops.quantile(x, 0.5, axis=(0, 3)), "out of range"),
    ]:
        with pytest.raises(ValueError, match=words):
            call()
