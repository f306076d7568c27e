"""softmax and log_softmax against SciPy, along every axis."""

import numpy as np
import pytest
from scipy import special

from densa import _core

REFERENCE = {"softmax": special.softmax, "log_softmax": special.log_softmax}
CASES = [
    ((1,), 0),
    ((10,), -1),
    ((4, 1), -1),
    ((3, 10), -1),
    ((3, 10), 0),
    ((2, 17), 1),
    ((5, 300), -1),
    ((2, 3, 70), 1),
    ((2, 3, 4), 0),
    ((2, 3, 4), -2),
    ((7, 2, 65), 0),
]


def leaf(x):
    t = _core.from_numpy(np.array(x))
    t.requires_grad = True
    return t


def slope(f, x, h=1e-6):
    """Central differences of a scalar function."""
    g = np.zeros_like(x)
    for i in np.ndindex(x.shape):
        d = np.zeros_like(x)
        d[i] = h
        g[i] = (f(x + d) - f(x - d)) / (2 * h)
    return g


@pytest.mark.parametrize("op", REFERENCE)
@pytest.mark.parametrize(("shape", "axis"), CASES)
@pytest.mark.parametrize(("dtype", "rtol"), [("float32", 2e-6), ("float64", 1e-14)])
def test_values(op, shape, axis, dtype, rtol):
    x = (np.random.default_rng(2).normal(size=shape) * 4).astype(dtype)
    y = _core.apply(op, x, axis=axis)
    want = REFERENCE[op](x.astype(np.float64), axis=axis)
    np.testing.assert_allclose(y.numpy(), want, rtol=rtol, atol=rtol * (op == "log_softmax"))
    assert y.dtype == dtype
    assert y.shape == shape


@pytest.mark.parametrize("op", REFERENCE)
def test_extremes(op):
    x = np.array([[1e4, 1e4, -1e4], [-1e30, 0, 1], [-np.inf, 0, 0], [np.nan, 0, 1]])
    y = _core.apply(op, x).numpy()
    with np.errstate(divide="ignore"):
        np.testing.assert_allclose(y[:3], REFERENCE[op](x[:3], axis=-1), rtol=1e-14)
    assert np.isnan(y[3]).all()


@pytest.mark.parametrize("op", REFERENCE)
@pytest.mark.parametrize(("shape", "axis"), [((6,), 0), ((3, 5), -1), ((3, 5), 0), ((2, 3, 4), 1)])
def test_gradients(op, shape, axis):
    rng = np.random.default_rng(4)
    x, w, v = (rng.normal(size=shape) for _ in range(3))

    def first(z):
        t = leaf(z)
        y = _core.apply(op, t, axis=axis)
        return _core.gradients([_core.apply("sum", _core.apply("multiply", y, w))], [t])[0].numpy()

    want = slope(lambda z: float((REFERENCE[op](z, axis=axis) * w).sum()), x)
    np.testing.assert_allclose(first(x), want, rtol=1e-6, atol=1e-8)

    t = leaf(x)
    y = _core.apply("sum", _core.apply("multiply", _core.apply(op, t, axis=axis), w))
    (g,) = _core.gradients([y], [t], create_graph=True)
    (second,) = _core.gradients([_core.apply("sum", _core.apply("multiply", g, v))], [t])
    want = slope(lambda z: float((first(z) * v).sum()), x)
    np.testing.assert_allclose(second.numpy(), want, rtol=1e-6, atol=1e-8)


def test_strided_input():
    x = np.random.default_rng(1).normal(size=(5, 4))
    turned = _core.apply("transpose", _core.from_numpy(x))
    got = _core.apply("softmax", turned).numpy()
    np.testing.assert_allclose(got, special.softmax(x.T, axis=-1), rtol=1e-14)


@pytest.mark.parametrize("op", REFERENCE)
def test_empty(op):
    assert _core.apply(op, np.ones((0, 3))).shape == (0, 3)


@pytest.mark.parametrize("op", REFERENCE)
def test_errors(op):
    with pytest.raises(ValueError, match="axis 2"):
        _core.apply(op, np.ones((2, 3)), axis=2)
    with pytest.raises(ValueError, match="axis"):
        _core.apply(op, np.float64(1))
