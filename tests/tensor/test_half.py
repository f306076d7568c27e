"""float16 and bfloat16: storage of 16 bits, arithmetic in float32, results rounded."""

import copy
import pickle

import numpy as np
import pytest

import densa
from densa import _core, ops
from densa._core import apply, from_numpy

HALVES = ["float16", "bfloat16"]


def rounded(x, dtype):
    """x as the nearest number of the type, ties to even, in float64; NaN and infinities stay."""
    x = np.asarray(x, dtype=np.float64)
    bits, low, high = (11, -14, 65504.0) if dtype == "float16" else (8, -126, 2.0**128 - 2.0**120)
    _, exponent = np.frexp(np.where(np.isfinite(x), x, 1.0))
    step = np.exp2(np.maximum(exponent - 1, low) - (bits - 1.0))
    with np.errstate(invalid="ignore"):
        y = np.where(np.isfinite(x), np.round(x / step) * step, x)
    return np.where(np.abs(y) > high, np.copysign(np.inf, y), y)


def numbers(dtype, n=20_000):
    """Numbers of every size, near the limits of both types, halfway between neighbours, special."""
    rng = np.random.default_rng(5)
    x = rng.standard_normal(n) * np.exp2(rng.integers(-40, 40, n))
    special = [0.0, -0.0, 1e-8, 2.0**-24, 2.0**-25, 3 * 2.0**-26, 2.0**-14, 65504, 65519.9, 65520]
    halfway = 1 + np.arange(64) * 2.0**-12
    return np.concatenate([x, special, np.negative(special), halfway, [np.inf, -np.inf]]).astype(
        dtype
    )


@pytest.mark.parametrize("half", HALVES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("by", ["cast", "round"])
def test_numbers_round_to_the_nearest(half, dtype, by):
    x = numbers(dtype)
    t = from_numpy(x)
    got = t.astype(half).astype(dtype) if by == "cast" else apply(f"round_{half}", t)
    want = rounded(x, half)
    np.testing.assert_array_equal(got.numpy(), want)
    np.testing.assert_array_equal(np.signbit(got.numpy()), np.signbit(want))


@pytest.mark.parametrize("half", HALVES)
def test_nan_stays_nan(half):
    x = np.array([np.nan, -np.nan, 1.0], dtype="float32")
    x.view(np.uint32)[0] |= 1  # only low bits tell it from infinity
    x.view(np.uint32)[1] = 0x7F800001
    for y in (from_numpy(x).astype(half).astype("float32"), apply(f"round_{half}", x)):
        assert np.isnan(y.numpy()).tolist() == [True, True, False]


def test_every_float16_goes_to_float32_and_back():
    x = np.arange(65536, dtype=np.uint16).view(np.float16)
    wide = from_numpy(x).astype("float32")
    np.testing.assert_array_equal(wide.numpy(), x.astype(np.float32))
    same = ~np.isnan(x)
    back = wide.astype("float16").numpy()
    np.testing.assert_array_equal(back.view(np.uint16)[same], x.view(np.uint16)[same])


def test_every_bfloat16_goes_to_float32_and_back():
    bits = np.arange(65536, dtype=np.uint32) << 16
    x = bits.view(np.float32)
    back = from_numpy(x).astype("bfloat16").astype("float32").numpy()
    same = ~np.isnan(x)
    np.testing.assert_array_equal(back.view(np.uint32)[same], bits[same])


@pytest.mark.parametrize("half", HALVES)
def test_integers_and_bool(half):
    x = from_numpy(np.array([0.0, -1.5, 300.0, np.nan], dtype="float32")).astype(half)
    assert x.astype("int32").numpy().tolist() == [0, -1, 300, 0]
    assert x.astype("bool").numpy().tolist() == [False, True, True, True]
    assert from_numpy(np.array([3, -7])).astype(half).astype("float32").tolist() == [3.0, -7.0]


@pytest.mark.parametrize(
    ("a", "b", "want"),
    [
        ("float16", "float16", "float16"),
        ("float16", "bfloat16", "float32"),
        ("bfloat16", "float32", "float32"),
        ("float64", "bfloat16", "float64"),
        ("float16", "int64", "float16"),
        ("bool", "bfloat16", "bfloat16"),
    ],
)
def test_promotion(a, b, want):
    x, y = (from_numpy(np.ones(2, "float32")).astype(d) for d in (a, b))
    assert _core.result_type(x, y) == _core.result_type(y, x) == want
    assert (x + y).dtype == (want if want != "bool" else "bool")


@pytest.mark.parametrize("half", HALVES)
def test_python_numbers_take_the_type(half):
    x = from_numpy(np.ones(2, "float32")).astype(half)
    assert (x * 2.5).dtype == half
    assert ((x + 1) / 3).dtype == half


@pytest.mark.parametrize("half", HALVES)
@pytest.mark.parametrize("name", ["tanh", "exp", "sum", "mean", "softmax", "relu"])
def test_ops_run_in_float32_and_round(half, name):
    x = from_numpy(np.linspace(-2, 2, 33, dtype="float32")).astype(half)
    y = apply(name, x)
    assert y.dtype == half
    want = apply(name, x.astype("float32")).astype(half)
    np.testing.assert_array_equal(y.numpy(), want.numpy())


@pytest.mark.parametrize("half", HALVES)
def test_shapes_and_comparisons(half):
    x = from_numpy(np.arange(6, dtype="float32").reshape(2, 3)).astype(half)
    assert x.reshape(3, 2).dtype == half
    assert x.T[1:].numpy().tolist() == [[1.0, 4.0], [2.0, 5.0]]
    assert (x > 2.0).numpy().sum() == 3
    assert ops.concatenate([x, x]).dtype == half
    assert int(x.argmax()) == 5


@pytest.mark.parametrize("half", HALVES)
@pytest.mark.parametrize("transposed", [False, True])
def test_products_of_rounded_numbers_are_summed_in_float32(half, transposed):
    rng = np.random.default_rng(1)
    a, b = (rng.standard_normal(s).astype("float32") for s in ((5, 300), (300, 7)))
    x, w = from_numpy(a).astype(half), from_numpy(b).astype(half)
    if transposed:
        w = from_numpy(np.ascontiguousarray(b.T)).astype(half).T
    exact = rounded(a, half) @ rounded(b, half)
    y = ops.matmul(x, w)
    assert y.dtype == half
    unit = 2.0 ** (-11 if half == "float16" else -8)
    # One rounding to 16 bits, and 300 additions in float32 of terms of up to 10.
    np.testing.assert_allclose(y.astype("float64").numpy(), exact, rtol=unit, atol=300 * 2.0**-20)


@pytest.mark.parametrize("half", HALVES)
def test_gradients_come_through_the_type(half):
    rng = np.random.default_rng(2)
    x = from_numpy(rng.standard_normal((4, 6)).astype("float32"))
    w = densa.Variable(rng.standard_normal((6, 3)).astype("float32"))
    y = apply("dense", x.astype(half), _core.apply("cast", w, dtype=half))
    dy = from_numpy(rng.standard_normal((4, 3)).astype("float32")).astype(half)
    y.backward(dy)
    want = rounded(x.numpy(), half).T @ rounded(dy.numpy(), half)
    assert w.grad.dtype == "float32"
    np.testing.assert_array_equal(w.grad.numpy(), rounded(w.grad.numpy(), half))
    unit = 2.0 ** (-11 if half == "float16" else -8)
    np.testing.assert_allclose(w.grad.numpy(), want, rtol=unit, atol=1e-5)


def test_numpy_sees_float16_as_it_is_and_bfloat16_as_float32():
    x = from_numpy(np.array([1.0, 2.5], dtype="float32"))
    assert np.asarray(x.astype("float16")).dtype == np.float16
    array = np.asarray(x.astype("bfloat16"))
    assert array.dtype == np.float32
    assert array.tolist() == [1.0, 2.5]
    assert not array.flags.writeable
    with pytest.raises(BufferError, match="bfloat16"):
        memoryview(x.astype("bfloat16"))
    with pytest.raises(ValueError, match="bfloat16"):
        x.astype("bfloat16")[0] = 1.0


@pytest.mark.parametrize("half", HALVES)
def test_copies_keep_the_type(half):
    x = from_numpy(np.array([1.0, 2.5], dtype="float32")).astype(half)
    for y in (x.copy(), copy.deepcopy(x), pickle.loads(pickle.dumps(x))):
        assert y.dtype == half
        assert y.tolist() == [1.0, 2.5]
    assert x.nbytes == 4


@pytest.mark.parametrize("half", HALVES)
def test_variables_are_wider(half):
    with pytest.raises(TypeError, match="mixed precision"):
        densa.Variable(np.ones(2), dtype=half)
    with pytest.raises(ValueError, match="floatx"):
        densa.config.set_floatx(half)


@pytest.mark.parametrize("half", HALVES)
@pytest.mark.parametrize("n", [0, 1, 7, 1000])
def test_random_numbers_are_those_of_float32_rounded(half, n):
    attrs = {"shape": [n, 3], "seed": 3, "stream": 2, "step": 9}
    for op in ("random_normal", "random_uniform"):
        got = apply(op, dtype=half, **attrs)
        assert got.dtype == half
        wide = apply(op, dtype="float32", **attrs)
        np.testing.assert_array_equal(got.astype("float32").numpy(), rounded(wide.numpy(), half))


@pytest.mark.parametrize("half", HALVES)
def test_ops_that_are_asked_for_a_type_make_it(half):
    hot = apply("one_hot", from_numpy(np.array([2, 0, 5])), classes=3, dtype=half)
    assert hot.dtype == half
    assert hot.astype("float32").numpy().tolist() == [[0, 0, 1], [1, 0, 0], [0, 0, 0]]
    rows = from_numpy(np.ones((259, 2), "float32"))
    for x in (rows, rows.astype(half)):
        count = apply("row_count", x, dtype=half)
        assert (count.dtype, float(count)) == (half, float(rounded(259, half)))
        count = apply("row_count", x, dtype="float32")  # what is asked for, not what x is
        assert (count.dtype, float(count)) == ("float32", 259)


@pytest.mark.parametrize("dtype", HALVES)
def test_making_ops_take_16_bits(dtype):
    made = {
        "zeros": (ops.zeros((3,), dtype), [0, 0, 0]),
        "ones": (ops.ones(2, dtype), [1, 1]),
        "empty": (ops.empty((2,), dtype), [0, 0]),
        "full": (ops.full((2,), 1.5, dtype), [1.5, 1.5]),
        "arange": (ops.arange(0, 2, 0.5, dtype=dtype), [0, 0.5, 1, 1.5]),
        "linspace": (ops.linspace(0, 1, 3, dtype=dtype), [0, 0.5, 1]),
        "eye": (ops.eye(2, 3, 1, dtype), [[0, 1, 0], [0, 0, 1]]),
        "identity": (ops.identity(2, dtype), [[1, 0], [0, 1]]),
        "zeros_like": (ops.zeros_like([1.0, 2.0], dtype), [0, 0]),
        "full_like": (ops.full_like([1.0, 2.0], 3, dtype), [3, 3]),
        "one_hot": (ops.one_hot([1, 0], 2, dtype=dtype), [[0, 1], [1, 0]]),
        "one_hot axis": (ops.one_hot([1, 0, 0], 2, 0, dtype), [[0, 1, 1], [1, 0, 0]]),
        "multi_hot": (ops.multi_hot([[0, 2]], 3, dtype=dtype), [[1, 0, 1]]),
        "initializer": (densa.initializers.Ones()((2,), dtype), [1, 1]),
    }
    for name, (tensor, want) in made.items():
        assert (tensor.dtype, tensor.itemsize) == (dtype, 2), name
        np.testing.assert_array_equal(tensor.numpy().astype("float64"), want, err_msg=name)
    assert ops.zeros((), dtype).shape == ()
    # Rounded once: 1 + 2^-8 lies midway between two bfloat16s, and the number is above it.
    above = 1 + 2.0**-8 + 2.0**-40
    assert ops.linspace(above, above, 1, dtype="bfloat16").item() == 1 + 2.0**-7


@pytest.mark.parametrize("dtype", HALVES)
def test_sparse_crossentropy_of_16_bits(dtype):
    p = densa.asarray([[0.25, 0.75], [0.5, 0.5]], dtype)
    loss = ops.sparse_categorical_crossentropy([1, 0], p)
    np.testing.assert_allclose(loss.numpy(), -np.log([0.75, 0.5]), rtol=1e-2)


def test_making_refuses_what_is_no_dtype_or_shape():
    with pytest.raises(TypeError, match="float15"):
        ops.zeros(2, "float15")
    with pytest.raises(ValueError, match="negative size"):
        ops.ones((2, -1))
