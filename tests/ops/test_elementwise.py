"""Unary and binary ops: every row of specs.py, forward, gradients, sizes, strides, threads."""

import numpy as np
import pytest

from densa import _core
from ops import specs
from ops.tools import (
    SIZES,
    SPECIAL,
    assert_close,
    gradients,
    run,
    second_gradients,
    slope,
    tensor,
    threads,
)

UNARY = pytest.mark.parametrize("spec", specs.UNARY, ids=lambda s: s.label)
BINARY = pytest.mark.parametrize("spec", specs.BINARY, ids=lambda s: s.label)
SMOOTH = pytest.mark.parametrize(
    "spec", [s for s in specs.UNARY if s.gradient], ids=lambda s: s.label
)
SMOOTH_PAIR = pytest.mark.parametrize(
    "spec", [s for s in specs.BINARY if s.gradient], ids=lambda s: s.label
)
DTYPES = pytest.mark.parametrize("dtype", ["float32", "float64"])


def points(spec, shape, seed=0, dtype="float64"):
    """Random numbers of the domain, away from kinks."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(*spec.domain, shape)
    for kink in spec.kinks:
        x = np.where(np.abs(x - kink) < 0.05, kink + 0.05 * np.where(x < kink, -1, 1), x)
    return x.astype(dtype)


def difference(function, x, step=1e-5):
    """The derivative of an elementwise function, to about step squared."""
    h = step * np.maximum(1.0, np.abs(x))
    return (function(x + h) - function(x - h)) / (2 * h)


@UNARY
@DTYPES
def test_value(spec, dtype):
    x = np.concatenate([points(spec, 4000, 1, dtype), np.asarray(spec.kinks, dtype)])
    ulp = spec.ulp if dtype == "float32" else spec.ulp64
    exact = spec.numpy(x.astype(np.float64))
    assert_close(run(spec.name, x, **spec.attrs), exact, ulp, spec.slack, x, spec.label)


@UNARY
def test_value_of_any_float(spec):
    """Random bit patterns: every exponent, both signs."""
    rng = np.random.default_rng(2)
    x = rng.integers(0, 2**32, 100_000, dtype=np.uint64).astype(np.uint32).view(np.float32)
    x = x[np.isfinite(x)]
    with np.errstate(all="ignore"):
        exact = spec.numpy(x.astype(np.float64))
        got = run(spec.name, x, **spec.attrs)
        rounded = exact.astype(np.float32)
    np.testing.assert_array_equal(np.isnan(got), np.isnan(rounded))
    known = ~np.isnan(rounded)
    assert_close(got[known], exact[known], spec.ulp, spec.slack, x[known], spec.label)


@UNARY
@DTYPES
def test_special_values(spec, dtype):
    with np.errstate(all="ignore"):
        x = SPECIAL.astype(dtype)
        exact = spec.numpy(x.astype(np.float64))
        got = run(spec.name, x, **spec.attrs)
        expected = np.asarray(exact).astype(dtype)
    np.testing.assert_array_equal(np.isnan(got), np.isnan(expected), err_msg=spec.label)
    np.testing.assert_array_equal(np.isinf(got), np.isinf(expected), err_msg=spec.label)
    fine = np.isfinite(expected) & (np.abs(x) < 1e30)
    assert_close(got[fine], exact[fine], max(4, spec.ulp), 1 + spec.slack, 0.0, spec.label)


@UNARY
@DTYPES
def test_sizes_and_strides(spec, dtype):
    """Every size, stride and offset gives the bits of the long contiguous array."""
    x = points(spec, 256, 2, dtype)
    whole = run(spec.name, x, **spec.attrs)
    for n in SIZES:
        for start in (0, 1, 3):
            np.testing.assert_array_equal(
                run(spec.name, x[start : start + n], **spec.attrs), whole[start : start + n]
            )
    for key in (np.s_[::2], np.s_[::-1], np.s_[200:3:-7], np.s_[5:5]):
        np.testing.assert_array_equal(run(spec.name, x[key], **spec.attrs), whole[key])
    grid, whole = x.reshape(8, 32), whole.reshape(8, 32)
    np.testing.assert_array_equal(run(spec.name, grid.T, **spec.attrs), whole.T)
    np.testing.assert_array_equal(run(spec.name, grid[:, 3:20:2], **spec.attrs), whole[:, 3:20:2])
    wide = np.broadcast_to(x[:1], (4, 9))
    np.testing.assert_array_equal(
        run(spec.name, wide, **spec.attrs), np.broadcast_to(whole[0, :1], (4, 9))
    )


@SMOOTH
def test_gradient(spec):
    x, dy = points(spec, 40, 3), points(spec, 40, 4)
    (got,) = gradients(spec.name, [x], dy, **spec.attrs)
    np.testing.assert_allclose(got, dy * difference(spec.numpy, x), rtol=2e-6, atol=2e-7)
    with np.errstate(all="ignore"):
        (single,) = gradients(spec.name, [x.astype("f4")], dy.astype("f4"), **spec.attrs)
    # Slopes are within a few roundings of their largest terms, which are of the size of 1 or dy.
    np.testing.assert_allclose(single, got, rtol=2e-5, atol=2e-6 * np.max(np.abs(dy)))


@SMOOTH
def test_second_gradient(spec):
    x, dy, v = points(spec, 24, 5), points(spec, 24, 6), points(spec, 24, 7)
    (got,) = second_gradients(spec.name, [x], dy, [v], **spec.attrs)
    expected = v * difference(lambda z: gradients(spec.name, [z], dy, **spec.attrs)[0], x)
    np.testing.assert_allclose(got, expected, rtol=2e-6, atol=2e-6)


@SMOOTH
@DTYPES
def test_value_far_away_has_a_finite_slope(spec, dtype):
    if spec.domain[0] > -1:
        pytest.skip("not defined everywhere")
    x = np.array([-1e30, -200.0, -90.0, 90.0, 200.0, 1e30], dtype)
    if spec.name in ("exp", "expm1", "square", "sin", "cos"):
        pytest.skip("grows or swings without end")
    (got,) = gradients(spec.name, [x], np.ones_like(x), **spec.attrs)
    assert np.isfinite(got).all()
    assert np.all(np.abs(got) <= 1.1)


@pytest.mark.parametrize(
    ("name", "at", "expected"),
    [("relu", 0.0, 0.0), ("abs", 0.0, 0.0), ("relu6", 0.0, 0.0), ("relu6", 6.0, 0.0),
     ("leaky_relu", 0.0, 0.2), ("elu", 0.0, 1.0), ("hard_silu", 3.0, 1.0),
     ("hard_silu", -3.0, 0.0), ("hard_sigmoid", 3.0, 0.0), ("hard_sigmoid", -3.0, 0.0)],
)  # fmt: skip
def test_slope_at_a_kink(name, at, expected):
    (got,) = gradients(name, [np.array([at])], np.ones(1))
    assert got[0] == expected


@UNARY
def test_threads_do_not_change_bits(spec):
    x = points(spec, 150_001, 8, "float32")
    with threads(1):
        one = run(spec.name, x, **spec.attrs)
    with threads(2):
        two = run(spec.name, x, **spec.attrs)
    np.testing.assert_array_equal(one, two)


def test_integers_keep_their_dtype():
    x = np.array([-3, 0, 5, 9], np.int32)
    for name, expected in {
        "negative": -x, "abs": np.abs(x), "square": x * x, "sign": np.sign(x), "floor": x,
        "relu": np.maximum(x, 0),
    }.items():  # fmt: skip
        got = run(name, x)
        assert got.dtype == x.dtype
        np.testing.assert_array_equal(got, expected)


def test_third_derivative_says_that_there_is_none():
    x = tensor(np.array([0.5]), grad=True)
    (first,) = _core.gradients([_core.apply("tanh", x)], [x], None, create_graph=True)
    (second,) = _core.gradients([first], [x], None, create_graph=True)
    with pytest.raises(ValueError, match="third derivative"):
        _core.gradients([second], [x], None)


# ---- two operands --------------------------------------------------------------------------------

SHAPES = [((5,), (5,)), ((3, 5), (5,)), ((3, 5), (3, 1)), ((3, 1), (1, 5)), ((4, 1, 3), (2, 1)),
          ((), (7,)), ((3, 17), ()), ((0, 3), (1, 3)), ((2, 3, 16), (16,))]  # fmt: skip


@BINARY
@DTYPES
@pytest.mark.parametrize("shapes", SHAPES, ids=str)
def test_pair_value(spec, dtype, shapes):
    a, b = points(spec, shapes[0], 1, dtype), points(spec, shapes[1], 2, dtype)
    ulp = spec.ulp if dtype == "float32" else spec.ulp64
    got = run(spec.name, a, b, **spec.attrs)
    if spec.ulp == 0:
        np.testing.assert_array_equal(got, spec.numpy(a, b))
        return
    exact = spec.numpy(a.astype(np.longdouble), b.astype(np.longdouble))
    assert_close(got, exact, ulp, spec.slack, np.abs(a) + np.abs(b) * 0 + 1, spec.label)


@SMOOTH_PAIR
@pytest.mark.parametrize("shapes", SHAPES, ids=str)
def test_pair_gradient(spec, shapes):
    a, b = points(spec, shapes[0], 3), points(spec, shapes[1], 4)
    dy = np.random.default_rng(5).normal(size=np.broadcast_shapes(*shapes))
    got = gradients(spec.name, [a, b], dy, **spec.attrs)
    for i in range(2):
        expected = slope(lambda x, y: np.sum(dy * spec.numpy(x, y)), [a, b], i)
        np.testing.assert_allclose(got[i], expected, rtol=2e-6, atol=2e-6)


@SMOOTH_PAIR
def test_pair_second_gradient(spec):
    a, b = points(spec, (2, 3), 3), points(spec, (3,), 4)
    rng = np.random.default_rng(5)
    dy, v = rng.normal(size=(2, 3)), [rng.normal(size=(2, 3)), rng.normal(size=3)]

    def along(x, y):
        first = gradients(spec.name, [x, y], dy, **spec.attrs)
        return sum(np.sum(d * g) for d, g in zip(v, first, strict=True))

    got = second_gradients(spec.name, [a, b], dy, v, **spec.attrs)
    for i in range(2):
        np.testing.assert_allclose(got[i], slope(along, [a, b], i), rtol=2e-6, atol=2e-6)


@BINARY
@DTYPES
def test_pair_strides(spec, dtype):
    a, b = points(spec, (40, 33), 1, dtype), points(spec, (40, 33), 2, dtype)
    whole = run(spec.name, a, b, **spec.attrs)
    for key in (np.s_[::-1, ::2], np.s_[3:4, 1:], np.s_[:, 32:0:-3], np.s_[:, 5:6]):
        np.testing.assert_array_equal(run(spec.name, a[key], b[key], **spec.attrs), whole[key])
    np.testing.assert_array_equal(run(spec.name, a.T, b.T, **spec.attrs), whole.T)


@pytest.mark.parametrize("name", ["maximum", "minimum"])
def test_ties_share_the_gradient(name):
    a, b = np.array([1.0, 2.0, 3.0]), np.array([1.0, 5.0, -1.0])
    da, db = gradients(name, [a, b], np.ones(3))
    first = {"maximum": [0.5, 0, 1], "minimum": [0.5, 1, 0]}[name]
    np.testing.assert_array_equal(da, first)
    np.testing.assert_array_equal(db, 1 - np.array(first))


@pytest.mark.parametrize("name", ["maximum", "minimum"])
def test_nan_wins(name):
    for n in (3, 40):
        a, b = np.ones(n, "f4"), np.zeros(n, "f4")
        a[0], b[-1] = np.nan, np.nan
        got = run(name, a, b)
        assert np.isnan(got[[0, -1]]).all()
        assert not np.isnan(got[1:-1]).any()


@pytest.mark.parametrize("name", ["mod", "arctan2"])
def test_gradient_in_every_quadrant(name):
    a, b = np.array([2.3, -2.3, 2.3, -2.3]), np.array([0.7, 0.7, -0.7, -0.7])
    da, db = gradients(name, [a, b], np.ones(4))
    if name == "mod":
        expected = np.ones(4), -np.floor(a / b)
    else:
        expected = b / (a * a + b * b), -a / (a * a + b * b)
    np.testing.assert_allclose(da, expected[0], rtol=1e-14)  # a few roundings of float64
    np.testing.assert_allclose(db, expected[1], rtol=1e-14)


def test_floor_divide_is_flat():
    """Steps have slope zero: what else depends on x gives the whole gradient."""
    x = tensor(np.array([0.7, 2.6]), grad=True)
    (x * 3.0 + x // 0.5).sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), [3.0, 3.0])


def test_power_at_zero():
    a, b = np.array([0.0, 0.0, -2.0]), np.array([0.0, 2.0, 2.0])
    da, db = gradients("power", [a, b], np.ones(3))
    np.testing.assert_array_equal(da, [0.0, 0.0, -4.0])
    assert np.isfinite(db).all()


@pytest.mark.parametrize("dtype", ["int8", "int32", "int64", "uint8"])
def test_pair_of_integers(dtype):
    a = np.array([-7, 7, 3, 100], "int64").astype(dtype)
    b = np.array([2, 3, 5, 7], dtype)
    for name, expected in {
        "add": a + b, "subtract": a - b, "multiply": a * b, "maximum": np.maximum(a, b),
        "minimum": np.minimum(a, b), "floor_divide": a // b, "mod": a % b,
    }.items():  # fmt: skip
        got = run(name, a, b)
        assert got.dtype == a.dtype, name
        np.testing.assert_array_equal(got, expected, err_msg=name)


@pytest.mark.parametrize("name", specs.COMPARISONS)
@pytest.mark.parametrize("dtype", ["bool", "int32", "uint8", "float32", "float64"])
def test_comparison(name, dtype):
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 3, (4, 9)).astype(dtype), rng.integers(0, 3, 9).astype(dtype)
    if name.startswith("logical"):
        a, b = a.astype(bool), b.astype(bool)
    got = run(name, a, b)
    assert got.dtype == bool
    np.testing.assert_array_equal(got, specs.COMPARISONS[name](a, b))
    np.testing.assert_array_equal(run(name, a[::-2], b), specs.COMPARISONS[name](a[::-2], b))


@pytest.mark.parametrize("name", specs.TESTS)
def test_tests(name):
    x = np.array([0.0, -1.0, np.nan, np.inf, -np.inf])
    x = x != 0 if name == "logical_not" else x
    np.testing.assert_array_equal(run(name, x), specs.TESTS[name](x))


@pytest.mark.parametrize("dtype", ["bool", "int64", "float32", "float64"])
def test_where(dtype):
    rng = np.random.default_rng(0)
    cond = rng.random((3, 1)) < 0.5
    a, b = rng.integers(0, 9, (3, 5)).astype(dtype), rng.integers(0, 9, 5).astype(dtype)
    np.testing.assert_array_equal(run("where", cond, a, b), np.where(cond, a, b))


def test_where_gradient():
    rng = np.random.default_rng(0)
    cond, a, b = rng.random((3, 4)) < 0.5, rng.normal(size=(3, 1)), rng.normal(size=4)
    dy = rng.normal(size=(3, 4))
    da, db = gradients("where", [cond, a, b], dy, wanted=[1, 2])
    np.testing.assert_allclose(da, np.where(cond, dy, 0).sum(1, keepdims=True), rtol=1e-12)
    np.testing.assert_allclose(db, np.where(cond, 0, dy).sum(0), rtol=1e-12)


NAMES = ["bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64",
         "float32", "float64"]  # fmt: skip


@pytest.mark.parametrize("to", NAMES)
@pytest.mark.parametrize("origin", NAMES)
def test_cast(origin, to):
    x = np.array([[0, 1, 2], [3, 100, 0]]).astype(origin)
    got = run("cast", x.T, dtype=to)
    assert got.dtype == to
    np.testing.assert_array_equal(got, x.T.astype(to))


def test_cast_of_what_does_not_fit():
    x = np.array([np.nan, np.inf, -np.inf, 1e30, -1.7, 2.9])
    np.testing.assert_array_equal(run("cast", x, dtype="int64"), [0, 0, 0, 0, -1, 2])


@pytest.mark.parametrize(
    ("origin", "to", "fine", "bad"),
    [
        ("float64", "int64", [-(2.0**63), 2.0**62, -0.0], [np.nan, np.inf, 2.0**63, -1e30, 1.5]),
        ("float32", "int32", [-(2.0**31), 2147483520.0], [2.0**31, 2.0**32 + 512, np.nan]),
        ("float64", "int32", [2147483647.0, -2147483648.0], [2147483648.0, -2147483649.0, -0.5]),
        ("float64", "uint8", [255.0, -0.0], [256.0, -1.0, 254.5]),
        ("uint64", "int64", [2**63 - 1], [2**63, 2**64 - 1]),
        ("int64", "uint32", [0, 2**32 - 1], [-1, 2**32 + 3]),
        ("int32", "bool", [0, 7], []),
    ],
)
def test_strict_cast_refuses_what_does_not_fit(origin, to, fine, bad):
    fine = np.array(fine, origin)
    np.testing.assert_array_equal(run("cast", fine, dtype=to, strict="Ids"), fine.astype(to))
    for value in bad:
        x = np.stack([np.resize(fine, 3), np.array([fine[0], fine[0], value], origin)])
        message = r"Ids must be whole numbers .* element 5 of \(2, 3\) is "
        with pytest.raises(ValueError, match=message):
            run("cast", x, dtype=to, strict="Ids")
        with pytest.raises(ValueError, match=r"element 5 of \(3, 2\)"):
            run("cast", np.asfortranarray(x.reshape(3, 2)), dtype=to, strict="Ids")


def test_cast_gradient_goes_between_floats_only():
    (dx,) = gradients("cast", [np.ones(3, "f4")], np.full(3, 0.25), dtype="float64")
    assert dx.dtype == np.float32
    np.testing.assert_array_equal(dx, 0.25)


@pytest.mark.parametrize(
    ("error", "match", "call"),
    [
        (ValueError, "do not broadcast", lambda: run("add", np.ones(3), np.ones(4))),
        (ValueError, "alpha must be finite", lambda: run("elu", np.ones(3), alpha=np.inf)),
        (ValueError, "unknown op", lambda: run("tanhh", np.ones(3))),
        (TypeError, "must be a float", lambda: run("elu", np.ones(3), alpha="x")),
        (ValueError, "not a unary op", lambda: run("unary_slope", np.ones(3), np.ones(3), fn="x")),
        (ValueError, "must be equal", lambda: run("unary_slope", np.ones(3), np.ones(4), fn="exp")),
        (TypeError, "dtype|type", lambda: run("cast", np.ones(3), dtype="complex64")),
    ],
)
def test_errors(error, match, call):
    with pytest.raises(error, match=match):
        call()
