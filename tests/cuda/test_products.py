"""Products of matrices on a GPU: every tile shape, layout and split against float64 and the CPU."""

import numpy as np
import pytest

import densa
from densa import _core, ops
from densa.tensor import apply

_default = densa.get_device()
try:
    densa.set_device("cuda")
except RuntimeError as why:
    pytest.skip(str(why), allow_module_level=True)
finally:
    densa.set_device(_default)

rng = np.random.default_rng(7)

# (m, k, n): tiles of each shape, whole and cut, in sums that stay whole and in some that are split.
SIZES = [
    (1, 1, 1),
    (1, 784, 300),  # flat tiles, split
    (16, 65, 64),
    (3, 31, 5),
    (17, 0, 33),  # nothing to add
    (0, 4, 5),
    (5, 4, 0),
    (64, 32, 16),  # narrow tiles
    (131, 300, 10),
    (32, 784, 300),  # small tiles, split
    (33, 33, 33),
    (65, 1000, 31),
    (100, 260, 700),  # medium tiles, split
    (784, 32, 300),
    (1300, 9, 1540),  # large tiles
]
# (a, b, attributes): the batch joins the rows, runs along both, is stretched on one side.
STACKS = [
    ((2, 3, 5, 40), (40, 20), {}),
    ((2, 3, 40, 5), (40, 20), {"transpose_a": True}),
    ((3, 5, 40), (3, 40, 20), {}),
    ((3, 5, 40), (3, 20, 40), {"transpose_b": True}),
    ((2, 1, 33, 17), (1, 3, 17, 33), {}),
    ((33, 17), (3, 2, 17, 33), {}),
    ((4, 1, 2), (4, 2, 1), {}),
    ((0, 3, 4), (4, 5), {}),
    ((66000, 1, 2), (66000, 2, 1), {}),  # more matrices than a grid is high
]


def numbers(shape, dtype):
    return rng.standard_normal(shape).astype(dtype)


def gpu(x):
    return densa.asarray(x).to("cuda")


def product(a, b, **attrs):
    return apply("matmul", gpu(a), gpu(b), **attrs).to("cpu").numpy()


def swapped(x):
    return np.ascontiguousarray(np.swapaxes(x, -1, -2))


def check(y, a, b):
    """Within the bound of a sum of products, one rounding for each of them, and tails far less."""
    exact = a.astype("f8") @ b.astype("f8")
    size = np.abs(a).astype("f8") @ np.abs(b).astype("f8")
    assert y.shape == exact.shape
    assert y.dtype == a.dtype
    k = a.shape[-1]
    np.testing.assert_array_less(
        np.abs(y - exact), (np.sqrt(k) + 4) * np.finfo(y.dtype).eps * size + 1e-300
    )


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_sizes_and_layouts(size, dtype):
    if dtype == "float64" and size[0] > 1000:
        pytest.skip("large tiles are for float32")
    m, k, n = size
    a, b = numbers((m, k), dtype), numbers((k, n), dtype)
    y = product(a, b)
    check(y, a, b)
    # The layout and the alignment of the operands never change the order of a sum.
    np.testing.assert_array_equal(product(swapped(a), b, transpose_a=True), y)
    np.testing.assert_array_equal(product(a, swapped(b), transpose_b=True), y)
    np.testing.assert_array_equal(
        product(swapped(a), swapped(b), transpose_a=True, transpose_b=True), y
    )


def test_whole_sums_have_the_bits_of_the_cpu():
    a, b = numbers((150, 63), "float32"), numbers((63, 70), "float32")
    if dict(_core.config())["cpu_level"] == "v2":
        pytest.skip("no fused multiply-add")
    np.testing.assert_array_equal(product(a, b), apply("matmul", a, b).numpy())


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("stack", STACKS, ids=str)
def test_stacks(stack, dtype):
    a, b, attrs = stack
    if dtype == "float64" and a[0] > 1000:
        pytest.skip("as in float32")
    a, b = numbers(a, dtype), numbers(b, dtype)
    y = product(a, b, **attrs)
    check(
        y,
        np.swapaxes(a, -1, -2) if "transpose_a" in attrs else a,
        np.swapaxes(b, -1, -2) if "transpose_b" in attrs else b,
    )


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("k", [127, 128, 300, 784])
def test_few_rows_have_the_same_bits_however_many(k, dtype):
    a, b = numbers((4, k), dtype), numbers((k, 37), dtype)
    want = product(a, b)
    check(want, a, b)
    for rows in (1, 2, 3):
        np.testing.assert_array_equal(product(a[:rows], b), want[:rows])
        np.testing.assert_array_equal(product(a[4 - rows :], b), want[4 - rows :])


def test_strided_operands():
    a, b = numbers((6, 50, 40), "float32"), numbers((40, 70), "float32")
    want = product(a, b)
    try:
        views = [
            (gpu(a.transpose(2, 0, 1).copy()).transpose(1, 2, 0), gpu(b)),
            (gpu(a), gpu(b.T.copy()).T),
            (gpu(a.transpose(1, 0, 2).copy()).transpose(1, 0, 2), gpu(b)),
            (gpu(np.repeat(a, 2, axis=2))[:, :, ::2], gpu(np.repeat(b, 3, axis=0))[::3]),
        ]
    except RuntimeError as why:
        pytest.skip(str(why))
    for x, w in views:
        np.testing.assert_array_equal(ops.matmul(x, w).to("cpu").numpy(), want)


@pytest.mark.parametrize("rows", [1, 33, 200])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    "attrs",
    [
        {},
        {"activation": "relu"},
        {"activation": "gelu"},
        {"activation": "leaky_relu", "negative_slope": 0.3},
        {"activation": "elu"},
    ],
    ids=str,
)
def test_dense(rows, dtype, attrs):
    x, w, b = numbers((rows, 300), dtype), numbers((300, 45), dtype), numbers(45, dtype)
    for operands in ((x, w), (x, w, b)):
        y = apply("dense", *map(gpu, operands), **attrs).to("cpu").numpy()
        want = apply("dense", *map(densa.asarray, operands), **attrs).numpy()
        tolerance = 3e-5 if dtype == "float32" else 1e-13
        np.testing.assert_allclose(y, want, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("shape", [(5,), (2, 3, 5), (0, 5), (2, 0, 5)], ids=str)
def test_dense_of_any_rank(shape):
    x, w, b = numbers(shape, "float32"), numbers((5, 7), "float32"), numbers(7, "float32")
    y = apply("dense", gpu(x), gpu(w), gpu(b), activation="tanh").to("cpu").numpy()
    np.testing.assert_allclose(y, np.tanh(x @ w + b), rtol=1e-5, atol=1e-6)


def test_every_activation_has_its_formula():
    """The number that a formula has in kernels is that of its name."""
    x, w, b = (np.abs(numbers(s, "float32")) for s in ((20, 3), (3, 18), (18,)))
    for name in _core.op_names():
        try:
            want = apply("dense", x, w, b, activation=name).numpy()
        except ValueError:
            continue  # not elementwise
        y = apply("dense", gpu(x), gpu(w), gpu(b), activation=name).to("cpu").numpy()
        np.testing.assert_allclose(y, want, rtol=1e-6, atol=1e-7, err_msg=name)


def test_not_a_number_stays_in_its_row_and_column():
    a, b = numbers((40, 70), "float32"), numbers((70, 40), "float32")
    a[3, 5] = np.nan
    b[7, 9] = np.inf
    y = product(a, b)
    assert np.isnan(y[3]).all()
    assert np.isinf(y[4, 9])
    rest = np.delete(np.delete(y, 3, axis=0), 9, axis=1)
    assert np.isfinite(rest).all()
