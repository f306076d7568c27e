"""Reductions, softmax, losses and batch norm on a GPU against the CPU, at sizes that reach every
kernel: parts of a warp, a block per row, and sums in two stages."""

import numpy as np
import pytest

import densa
from densa import _core

_default = densa.get_device()
try:
    densa.set_device("cuda")
except RuntimeError as why:
    pytest.skip(str(why), allow_module_level=True)
finally:
    densa.set_device(_default)

RTOL = {"float32": 3e-6, "float64": 1e-13}


def on(device, op, arrays, attrs):
    out = _core.apply(op, *(_core.from_numpy(x).to(device) for x in arrays), **attrs)
    out = out if isinstance(out, tuple) else (out,)
    assert all(o.device.startswith(device) for o in out)
    return [o.to("cpu").numpy() for o in out]


def check(op, *arrays, scale=1.0, **attrs):
    """The results agree; `scale` is the size of the terms that are summed."""
    got, again = on("cuda", op, arrays, attrs), on("cuda", op, arrays, attrs)
    for y, same, exact in zip(got, again, on("cpu", op, arrays, attrs), strict=True):
        assert (y.dtype, y.shape) == (exact.dtype, exact.shape)
        np.testing.assert_array_equal(y, same)
        rtol = RTOL.get(str(y.dtype), 0)
        np.testing.assert_allclose(y, exact, rtol=rtol, atol=rtol * scale, err_msg=op)


def numbers(shape, dtype="float32", seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


REDUCED = [
    ((1000, 1), [0]), ((1, 1000), [1]), ((7, 513), [1]), ((3, 4096), [1]), ((2, 30_001), [1]),
    ((513, 7), [0]), ((4000, 33), [0]), ((3000, 64), [0]), ((3000, 65), [0]), ((5, 300), [0]),
    ((40, 50, 60), [1]), ((40, 50, 60), [0, 2]), ((4, 9000, 3), [1]), ((5, 3, 40, 50), [0, 2, 3]),
    ((300, 1, 100), []), ((2000, 31), [1]), ((0, 5), [1]), ((5, 0), [0]),
]  # fmt: skip


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("case", REDUCED, ids=str)
def test_reductions(case, dtype):
    shape, axis = case
    x = numbers(shape, dtype)
    for name in ("sum", "mean", "max", "min", "var", "logsumexp"):
        # The terms of a sum are about 1, and those of its mean as well.
        scale = np.sqrt(x.size) if name == "sum" else 1.0
        check(name, x, axis=axis, scale=scale)
    check("prod", np.exp(x / 100), axis=axis, scale=0 if x.size == 0 else 100)


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "uint16", "int32", "uint32", "int64"])
@pytest.mark.parametrize("case", REDUCED, ids=str)
def test_integers(case, dtype):
    shape, axis = case
    x = np.random.default_rng(1).integers(0, 100, shape).astype(dtype)
    for name in ("sum", "prod", "max", "min"):
        if 0 in shape and name in ("max", "min") and shape != (0, 5):
            continue
        check(name, x, axis=axis)


@pytest.mark.parametrize("case", REDUCED, ids=str)
def test_truth_and_places(case):
    shape, axis = case
    x = np.random.default_rng(2).random(shape)
    for name in ("any", "all"):
        check(name, x < 1e-3, axis=axis)
        check(name, x > 1e-3, axis=axis)
    for name in ("argmax", "argmin"):
        for dtype in ("float32", "int8", "bool"):
            for place in range(x.ndim):
                if shape[place] > 0:
                    check(name, (x * 50).astype(dtype), axis=place)
            if x.size > 0:
                check(name, (x * 50).astype(dtype), flat=True)


def test_the_first_nan_is_the_largest_and_the_smallest():
    for shape, axis in (((3, 40), 1), ((3, 5000), 1), ((5000, 3), 0)):
        x = numbers(shape)
        places = np.moveaxis(x, axis, -1)
        places[1, 7] = places[1, 33] = np.nan
        for name in ("argmax", "argmin", "max", "min"):
            check(name, x, axis=axis if name.startswith("arg") else [axis])


WIDTHS = [1, 2, 10, 31, 32, 33, 100, 1024, 1025, 5000]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("width", WIDTHS)
def test_softmax(width, dtype):
    for shape, axis in (((37, width), 1), ((3, width, 5), 1), ((2, width, 40), 1)):
        x = numbers(shape, dtype) * 4
        check("softmax", x, axis=axis)
        check("log_softmax", x, axis=axis, scale=20)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("classes", WIDTHS)
def test_losses(classes, dtype):
    z, dy = numbers((37, classes), dtype) * 4, numbers((37,), dtype, 1)
    t = np.random.default_rng(2).random((37, classes)).astype(dtype)
    t /= t.sum(1, keepdims=True)
    for smoothing in (0.0, 0.1):
        attrs = {"label_smoothing": smoothing}
        check("softmax_cross_entropy", z, t, scale=10, **attrs)
        check("softmax_cross_entropy_grad", z, t, dy, **attrs)
    # Some labels name no class: NaN in loss and gradient on both devices.
    labels = np.random.default_rng(3).integers(-1, classes + 1, 37)
    for kind in ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"):
        y = (labels if classes < 100 else labels % 100).astype(kind)
        check("sparse_softmax_cross_entropy", z, y, scale=10)
        check("sparse_softmax_cross_entropy_grad", z, y, dy)
        check("accuracy_sparse", z, y)


def test_losses_read_any_strides():
    z, dy = numbers((10, 24)).T, np.broadcast_to(np.float32(0.5), (24,))
    labels = np.arange(48)[::2] % 10
    check("sparse_softmax_cross_entropy_grad", z, labels, dy)
    check("softmax_cross_entropy_grad", z, np.abs(numbers((24, 20), seed=1))[:, ::2], dy)
    check("sparse_softmax_cross_entropy", numbers((4, 6, 10)), np.ones((6, 4), "i4").T, scale=10)
    check("softmax_cross_entropy", numbers((0, 10)), numbers((0, 10)))
    z = numbers((24, 10))
    z[3, 4] = np.nan
    check("accuracy_sparse", z, z.argmax(1))


NORMS = [
    ((1, 5), [-1]), ((64, 100), [-1]), ((1000, 7), [-1]), ((1024, 9), [-1]), ((1025, 9), [-1]),
    ((9000, 40), [-1]), ((300, 1), [-1]), ((6, 10, 12, 33), [-1]), ((6, 33, 10, 12), [1]),
    ((6, 5, 7, 4), [1, 3]), ((20, 1, 30), [1]), ((5, 0), [-1]),
]  # fmt: skip


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("case", NORMS, ids=str)
def test_batch_norm(case, dtype):
    shape, axis = case
    channels = int(np.prod([shape[a] for a in axis]))
    x, dy = numbers(shape, dtype) + 3, numbers(shape, dtype, 1)
    gamma, beta, mean = (numbers((channels,), dtype, seed) for seed in (2, 3, 4))
    variance = np.abs(numbers((channels,), dtype, 5)) + 0.5
    check("batch_norm", x, gamma, beta, mean, variance, axis=axis, scale=10)
    if x.size == x.shape[0] == 1 or x.shape[0] == 1:
        return  # a variance of rounding errors
    check("batch_norm", x, gamma, beta, mean, variance, axis=axis, training=True, scale=10)
    rows = x.size / max(channels, 1)
    for m, v in ((mean, variance), (mean + 3, variance)):
        check("batch_norm_grad", x, gamma, m, v, dy, axis=axis, scale=30 * np.sqrt(rows))


def test_orders_depend_on_shapes_alone():
    """A matrix and its copy inside another allocation give the same bits."""
    x = numbers((3000, 65))
    wide = np.concatenate([x, x], 1)[:, :65]
    for name in ("sum", "var", "logsumexp"):
        for axis in ([0], [1], []):
            one = on("cuda", name, [x], {"axis": axis})[0]
            np.testing.assert_array_equal(one, on("cuda", name, [wide], {"axis": axis})[0])
