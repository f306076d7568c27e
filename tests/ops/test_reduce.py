"""Reductions: every axis, stride, size and special value, gradients, order and accuracy."""

import numpy as np
import pytest

from ops import specs
from ops.tools import SIZES, gradients, run, second_gradients, slope, threads

REDUCTION = pytest.mark.parametrize("spec", specs.REDUCTIONS, ids=lambda s: s.label)
DTYPES = pytest.mark.parametrize("dtype", ["float32", "float64"])

CASES = [((7,), None), ((5, 9), 0), ((5, 9), 1), ((5, 9), (0, 1)), ((3, 4, 5), 1),
         ((3, 4, 5), (0, 2)), ((3, 4, 5), (0, 1)), ((2, 3, 2, 3), (1, 3)), ((2, 3, 2, 3), (0, 2)),
         ((4, 1, 6), 1), ((1, 1), None), ((), None), ((33, 70), 0), ((33, 70), 1)]  # fmt: skip


def points(spec, shape, seed=0, dtype="float64"):
    lo, hi = (-2.0, 2.0) if spec.domain[0] < 0 else spec.domain
    return np.random.default_rng(seed).uniform(lo, hi, shape).astype(dtype)


def axes(axis):
    return [] if axis is None else list(axis) if isinstance(axis, tuple) else [axis]


def check(spec, x, axis, keepdims=False):
    got = run(spec.name, x, axis=axes(axis), keepdims=keepdims)
    exact = spec.numpy(x.astype(np.float64), axis=axis, keepdims=keepdims)
    ulp = spec.ulp if x.dtype == np.float32 else spec.ulp64
    size = 1.0 if x.size == 0 else np.mean(np.abs(x.astype(np.float64)))
    if spec.name == "sum":
        size = np.sum(np.abs(x.astype(np.float64)), axis=axis, keepdims=keepdims)
    if spec.name == "logsumexp":
        size = 1 + np.abs(exact)
    if spec.name == "prod":
        size = np.abs(exact)
    assert got.shape == np.shape(exact)
    bound = (ulp + 2) * np.finfo(x.dtype).eps * (size + np.abs(exact))
    if spec.ulp == 0:
        np.testing.assert_array_equal(got, exact)
    else:
        assert np.all(np.abs(got - exact) <= bound), (spec.name, np.max(np.abs(got - exact)))


@REDUCTION
@DTYPES
@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.parametrize("keepdims", [False, True])
def test_value(spec, dtype, case, keepdims):
    shape, axis = case
    check(spec, points(spec, shape, 1, dtype), axis, keepdims)


@REDUCTION
@DTYPES
def test_sizes(spec, dtype):
    for n in SIZES:
        if n == 0 and spec.name not in ("sum", "prod"):
            continue
        with np.errstate(divide="ignore"):
            check(spec, points(spec, (n,), n, dtype), 0)
            check(spec, points(spec, (3, n), n, dtype), 1)
            check(spec, points(spec, (n, 21), n, dtype), 0)
    for n in (1023, 1024, 1025, 5000, 70_001):
        x = points(spec, (n,), n, dtype)
        check(spec, x if spec.name != "prod" else x[:300], 0)


@REDUCTION
def test_strides_do_not_change_bits(spec):
    x = points(spec, (12, 40), 3, "float32")
    for view in (x[::-1], x[:, ::2], x.T, x[3:9, 5:30:3], np.broadcast_to(x[:1], (5, 40))):
        for axis in (0, 1, None):
            np.testing.assert_array_equal(
                run(spec.name, view, axis=axes(axis)),
                run(spec.name, np.ascontiguousarray(view), axis=axes(axis)),
            )


@REDUCTION
@pytest.mark.parametrize("case", CASES, ids=str)
def test_gradient(spec, case):
    shape, axis = case
    x = points(spec, shape, 5)
    kept = np.shape(spec.numpy(x, axis=axis))
    dy = np.random.default_rng(6).normal(size=kept)
    if x.size > 200:
        x, dy = x[:4], dy if axis in (0, None) else dy[:4]
    (got,) = gradients(spec.name, [x], dy, axis=axes(axis))
    expected = slope(lambda z: np.sum(dy * spec.numpy(z, axis=axis)), [x], 0)
    np.testing.assert_allclose(got, expected, rtol=1e-6, atol=1e-7)


@REDUCTION
@pytest.mark.parametrize("axis", [None, 0, 1])
def test_second_gradient(spec, axis):
    x, v = points(spec, (3, 4), 7), points(spec, (3, 4), 8)
    dy = np.random.default_rng(6).normal(size=np.shape(spec.numpy(x, axis=axis)))
    (got,) = second_gradients(spec.name, [x], dy, [v], axis=axes(axis))
    expected = slope(
        lambda z: np.sum(v * gradients(spec.name, [z], dy, axis=axes(axis))[0]), [x], 0
    )
    np.testing.assert_allclose(got, expected, rtol=1e-6, atol=1e-6)


@REDUCTION
def test_threads_do_not_change_bits(spec):
    for shape in ((3, 100_003), (100_003, 3), (300, 700), (5, 400, 120)):
        x = points(spec, shape, 9, "float32")
        for axis in ([], [0], [1], [len(shape) - 1]):
            with threads(1):
                one = run(spec.name, x, axis=axis)
            with threads(2):
                two = run(spec.name, x, axis=axis)
            np.testing.assert_array_equal(one, two)


def test_float32_sums_are_accurate():
    x = np.random.default_rng(0).random(1_000_000).astype("f4")
    exact = x.astype(np.float64).sum()
    assert abs(run("sum", x) - exact) <= 4e-7 * exact
    assert abs(run("sum", x.reshape(-1, 1), axis=[0])[0] - exact) <= 4e-7 * exact
    shifted = x + np.float32(1000)
    exact = shifted.astype(np.float64).var()
    assert abs(run("var", shifted) - exact) <= 1e-4 * exact


def test_nothing_to_reduce():
    x = np.ones((0, 3), "f4")
    np.testing.assert_array_equal(run("sum", x, axis=[0]), [0, 0, 0])
    np.testing.assert_array_equal(run("prod", x, axis=[0]), [1, 1, 1])
    np.testing.assert_array_equal(run("mean", x, axis=[0]), [np.nan] * 3)
    np.testing.assert_array_equal(run("var", x, axis=[0]), [np.nan] * 3)
    np.testing.assert_array_equal(run("logsumexp", x, axis=[0]), [-np.inf] * 3)
    for name in ("sum", "mean", "max", "min", "argmax"):
        assert run(name, x, axis=[1] if name != "argmax" else 1).shape == (0,)
    for name in ("max", "min"):
        with pytest.raises(ValueError, match="no element"):
            run(name, x, axis=[0])
        with pytest.raises(ValueError, match="no element"):
            run(name, x)
    with pytest.raises(ValueError, match="no element"):
        run("argmax", x, axis=0)


@DTYPES
def test_nan_and_infinity(dtype):
    inf = np.inf
    x = np.array([[1, np.nan, 3], [inf, 1, 2], [-inf, -inf, -inf], [inf, -inf, 0]], dtype)
    for name in ("max", "min", "sum", "mean"):
        with np.errstate(invalid="ignore"):
            expected = getattr(np, name)(x, axis=1)
        np.testing.assert_array_equal(run(name, x, axis=[1]), expected)
        np.testing.assert_array_equal(run(name, np.ascontiguousarray(x.T), axis=[0]), expected)
    np.testing.assert_array_equal(run("logsumexp", x, axis=[1]), [np.nan, inf, -inf, inf])
    big = np.array([1e4, 1e4], dtype)
    np.testing.assert_allclose(run("logsumexp", big), 1e4 + np.log(2), rtol=1e-6)


def test_logsumexp_of_nothing_possible_has_no_gradient():
    (dx,) = gradients("logsumexp", [np.full((2, 3), -np.inf)], np.ones(2), axis=[1])
    np.testing.assert_array_equal(dx, 0)


@pytest.mark.parametrize("name", ["max", "min"])
def test_ties_share_the_gradient(name):
    x = np.array([[2.0, 2.0, 2.0, 2.0], [1.0, 5.0, 5.0, 1.0]])
    (dx,) = gradients(name, [x], np.ones(2), axis=[1])
    hit = x == getattr(x, name)(1, keepdims=True)
    np.testing.assert_allclose(dx, hit / hit.sum(1, keepdims=True))


def test_product_with_zeros():
    x = np.array([[2.0, 0.0, 3.0], [0.0, 0.0, 3.0], [1.0, 2.0, 3.0]])
    (dx,) = gradients("prod", [x], np.ones(3), axis=[1])
    np.testing.assert_array_equal(dx, [[0, 6, 0], [0, 0, 0], [6, 3, 2]])


@pytest.mark.parametrize("dtype", ["int8", "int32", "int64", "uint8"])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_integers(dtype, case):
    shape, axis = case
    x = np.random.default_rng(0).integers(0, 5, shape).astype(dtype)
    for name in ("sum", "prod", "max", "min"):
        expected = getattr(np, name)(
            x, axis=axis, **({"dtype": dtype} if name in ("sum", "prod") else {})
        )
        got = run(name, x, axis=axes(axis))
        assert got.dtype == dtype
        np.testing.assert_array_equal(got, expected, err_msg=name)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_any_and_all(case):
    shape, axis = case
    rng = np.random.default_rng(0)
    for share in (0.1, 0.9):
        x = np.asarray(rng.random(shape) < share)
        np.testing.assert_array_equal(run("any", x, axis=axes(axis)), x.any(axis))
        np.testing.assert_array_equal(run("all", x, axis=axes(axis)), x.all(axis))


@pytest.mark.parametrize("name", ["argmax", "argmin"])
@pytest.mark.parametrize("dtype", ["int32", "uint8", "float32", "float64"])
def test_arg(name, dtype):
    x = np.random.default_rng(0).integers(0, 6, (4, 5, 6)).astype(dtype)
    for axis in (0, 1, 2, -1):
        np.testing.assert_array_equal(run(name, x, axis=axis), getattr(np, name)(x, axis))
    assert run(name, x, flat=True) == getattr(np, name)(x)
    assert run(name, x, axis=1, keepdims=True).shape == (4, 1, 6)
    if dtype.startswith("float"):
        x[1, 2, 3] = np.nan
        np.testing.assert_array_equal(run(name, x, axis=1), getattr(np, name)(x, 1))


@pytest.mark.parametrize(
    "case",
    [
        ((3, 4), (4,)),
        ((3, 4), (1, 4)),
        ((2, 3, 4), (3, 1)),
        ((2, 3, 4), ()),
        ((3,), (3,)),
        ((2, 3, 4), (2, 1, 4)),
    ],
    ids=str,
)
def test_sum_to(case):
    shape, small = case
    x = np.random.default_rng(0).normal(size=shape)
    grown = np.zeros(small) + np.zeros(shape)
    assert grown.shape == shape
    lead = tuple(range(len(shape) - len(small)))
    ones = tuple(i + len(lead) for i, d in enumerate(small) if d == 1)
    expected = x.sum(lead + ones).reshape(small)
    np.testing.assert_allclose(run("sum_to", x, shape=list(small)), expected, rtol=1e-12)


@pytest.mark.parametrize(
    ("error", "match", "call"),
    [
        (ValueError, "axis", lambda: run("sum", np.ones((2, 3)), axis=[2])),
        (ValueError, "given twice", lambda: run("sum", np.ones((2, 3)), axis=[0, -2])),
        (ValueError, "is not what broadcasting", lambda: run("sum_to", np.ones(3), shape=[2])),
        (ValueError, "axis", lambda: run("argmax", np.ones((2, 3)), axis=5)),
    ],
)
def test_errors(error, match, call):
    with pytest.raises(error, match=match):
        call()
