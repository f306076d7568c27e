"""Ops that move elements: against NumPy, with every dtype size, strides, gradients, errors."""

import itertools

import numpy as np
import pytest

from densa import _core
from ops.tools import gradients, run, second_gradients, slope, tensor

DTYPES = pytest.mark.parametrize("dtype", ["bool", "int16", "float32", "float64"])


def numbers(shape, dtype="float64", seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=shape) if dtype.startswith("float") else rng.integers(0, 100, shape)
    return np.asarray(x).astype(dtype)


def check_linear(op, arrays, **attrs):
    """The gradient of a linear op, and that the second one exists."""
    rng = np.random.default_rng(9)
    dy = rng.normal(size=run(op, *arrays, **attrs).shape)
    wanted = [i for i, a in enumerate(arrays) if a.dtype.kind == "f"]
    got = gradients(op, arrays, dy, wanted=wanted, **attrs)
    for i, g in zip(wanted, got, strict=True):
        expected = slope(lambda *xs: np.sum(dy * run(op, *xs, **attrs)), arrays, i)
        np.testing.assert_allclose(g, expected, rtol=1e-8, atol=1e-8)
    second = second_gradients(
        op, arrays, dy, [rng.normal(size=g.shape) for g in got], wanted, **attrs
    )
    for g in second:
        np.testing.assert_array_equal(g, 0)


@DTYPES
def test_reshape(dtype):
    x = numbers((4, 6), dtype)
    for shape in ((24,), (2, 12), (-1, 3), (2, -1, 2), (4, 6, 1), (1, 1, 24)):
        np.testing.assert_array_equal(run("reshape", x, shape=shape), x.reshape(shape))
        np.testing.assert_array_equal(run("reshape", x.T, shape=shape), x.T.reshape(shape))
    assert run("reshape", numbers((0, 3), dtype), shape=(3, 0)).shape == (3, 0)
    assert run("reshape", numbers((), dtype), shape=(1, 1)).shape == (1, 1)


@pytest.mark.cpu_only("shared memory")
def test_reshape_shares_memory():
    x = tensor(numbers((4, 6)))
    y = _core.apply("reshape", x, shape=[24])
    assert np.shares_memory(x.numpy(), y.numpy())


@DTYPES
def test_transpose(dtype):
    x = numbers((2, 3, 4, 5), dtype)
    np.testing.assert_array_equal(run("transpose", x), x.T)
    for perm in itertools.permutations(range(4)):
        np.testing.assert_array_equal(run("transpose", x, perm=perm), x.transpose(perm))
    view = x[::-1, :, ::2]
    np.testing.assert_array_equal(run("transpose", view), view.T)


@DTYPES
def test_broadcast_to(dtype):
    for shape, to in [((), (3,)), ((1, 4), (3, 4)), ((3, 1), (2, 3, 4)), ((4,), (0, 4))]:
        x = numbers(shape, dtype)
        np.testing.assert_array_equal(run("broadcast_to", x, shape=to), np.broadcast_to(x, to))


@DTYPES
def test_concatenate(dtype):
    for axis in (0, 1, 2, -1):
        parts = []
        for n in (2, 0, 1, 5):
            shape = [3, 4, 2]
            shape[axis] = n
            parts.append(numbers(shape, dtype, n))
        np.testing.assert_array_equal(
            run("concatenate", *parts, axis=axis), np.concatenate(parts, axis)
        )
    x = numbers((3, 8), dtype)
    np.testing.assert_array_equal(
        run("concatenate", x[:, ::2], x[::-1, 3:4], axis=1),
        np.concatenate([x[:, ::2], x[::-1, 3:4]], 1),
    )


CUTS = [np.s_[:], np.s_[2:5], np.s_[::2], np.s_[::-1], np.s_[6:1:-2], np.s_[3:3], np.s_[-3:],
        np.s_[::-3], np.s_[1:100:4]]  # fmt: skip


@DTYPES
@pytest.mark.parametrize("cut", CUTS, ids=str)
def test_slice(dtype, cut):
    x = numbers((7, 9), dtype)
    for key in itertools.product([cut], CUTS):
        begin, end, step = zip(
            *(k.indices(n) for k, n in zip(key, x.shape, strict=True)), strict=True
        )
        np.testing.assert_array_equal(run("slice", x, begin=begin, end=end, step=step), x[key])
        np.testing.assert_array_equal(
            run("slice", x[::-1, ::-1], begin=begin, end=end, step=step), x[::-1, ::-1][key]
        )


@pytest.mark.parametrize("cut", CUTS, ids=str)
def test_slice_gradient(cut):
    x = numbers((5, 7))
    key = (np.s_[1::2], cut)
    begin, end, step = zip(*(k.indices(n) for k, n in zip(key, x.shape, strict=True)), strict=True)
    check_linear("slice", [x], begin=begin, end=end, step=step)
    dy = numbers(x[key].shape)
    (dx,) = gradients("slice", [x], dy, begin=begin, end=end, step=step)
    expected = np.zeros_like(x)
    expected[key] = dy
    np.testing.assert_array_equal(dx, expected)


def test_pad_slice():
    dy = numbers((2, 3))
    check_linear("pad_slice", [dy], begin=[1, 5], step=[2, -2], shape=[5, 7])
    expected = np.zeros((5, 7))
    expected[1:4:2, 5::-2] = dy
    np.testing.assert_array_equal(
        run("pad_slice", dy, begin=[1, 5], step=[2, -2], shape=[5, 7]), expected
    )


def test_gradients_of_moves():
    x = numbers((2, 3, 4))
    check_linear("reshape", [x], shape=[4, -1])
    check_linear("transpose", [x], perm=[2, 0, 1])
    check_linear("broadcast_to", [numbers((3, 1))], shape=[2, 3, 4])
    check_linear("sum_to", [x], shape=[3, 1])
    check_linear("concatenate", [numbers((2, 3)), numbers((2, 1)), numbers((2, 4))], axis=-1)


def test_stop_gradient():
    x = tensor(numbers(3), grad=True)
    y = _core.apply("multiply", _core.apply("stop_gradient", x), x)
    (dx,) = _core.gradients([y], [x], [tensor(np.ones(3))])
    np.testing.assert_array_equal(dx.numpy(), x.numpy())


def test_row_count():
    assert run("row_count", numbers((5, 2)), dtype="float32") == 5


# ---- picking -------------------------------------------------------------------------------------


@DTYPES
@pytest.mark.parametrize("ids", ["int8", "uint8", "int32", "int64"])
def test_take(dtype, ids):
    x = numbers((4, 5, 3), dtype)
    for axis in (0, 1, 2, -1):
        n = x.shape[axis]
        at = np.array([0, n - 1, 1, 0, 0], ids)
        np.testing.assert_array_equal(run("take", x, at, axis=axis), np.take(x, at, axis))
    assert run("take", x, np.zeros(0, ids), axis=1).shape == (4, 0, 3)
    if ids.startswith("int"):
        at = np.array([-1, -4], ids)
        np.testing.assert_array_equal(run("take", x, at, axis=0), np.take(x, at, 0))


def test_take_gradient():
    x, ids = numbers((4, 5, 2)), np.array([0, 3, 3, -1, 1, 3])
    for axis in (0, 1):
        check_linear("take", [x, ids], axis=axis)


@pytest.mark.parametrize("bad", [4, -5, 100])
def test_take_out_of_bounds(bad):
    with pytest.raises(IndexError, match="out of bounds"):
        run("take", numbers((4, 2)), np.array([0, bad]), axis=0)


@DTYPES
@pytest.mark.parametrize("ids", ["int8", "uint8", "int32", "int64", "uint64"])
def test_take_along(dtype, ids):
    x, rng = numbers((4, 5, 3), dtype), np.random.default_rng(0)
    for axis in (0, 1, 2, -1):
        n = x.shape[axis]
        for count in (0, 1, n, 7):
            shape = list(x.shape)
            shape[axis] = count
            at = rng.integers(-n if ids.startswith("int") else 0, n, shape).astype(ids)
            wanted = np.take_along_axis(x, at.astype("int64"), axis)
            np.testing.assert_array_equal(run("take_along", x, at, axis=axis), wanted)
    assert run("take_along", np.zeros((0, 3), dtype), np.zeros((0, 2), ids), axis=1).shape == (0, 2)


def test_take_along_gradient():
    x, rng = numbers((4, 5, 2)), np.random.default_rng(0)
    for axis, shape in ((0, (6, 5, 2)), (1, (4, 3, 2)), (2, (4, 5, 4))):
        check_linear("take_along", [x, rng.integers(-2, 2, shape)], axis=axis)


@pytest.mark.parametrize("bad", [4, -5, 100])
def test_take_along_out_of_bounds(bad):
    with pytest.raises(IndexError, match=f"take_along: index {bad} is out of bounds for an axis"):
        run("take_along", numbers((4, 2)), np.array([[0, bad]]), axis=0)


@DTYPES
def test_embedding(dtype):
    table = numbers((6, 3), dtype)
    for shape in ((), (4,), (2, 3), (0,)):
        ids = np.asarray(np.random.default_rng(0).integers(0, 6, shape))
        np.testing.assert_array_equal(run("embedding", table, ids), table[ids])
    with pytest.raises(IndexError, match="out of range"):
        run("embedding", table, np.array([6]))


def test_embedding_gradient():
    check_linear("embedding", [numbers((5, 3)), np.array([[0, 4, 4], [4, 2, 0]])])


@DTYPES
def test_one_hot(dtype):
    ids = np.array([[0, 2], [5, -1]])
    got = run("one_hot", ids, classes=4, dtype=dtype)
    expected = ids[..., None] == np.arange(4)
    np.testing.assert_array_equal(got, expected.astype(dtype))
    assert got.dtype == dtype


@pytest.mark.parametrize(
    ("error", "match", "call"),
    [
        (
            ValueError,
            "numbers of elements differ",
            lambda: run("reshape", np.ones(6), shape=[4, 2]),
        ),
        (
            ValueError,
            "numbers of elements differ",
            lambda: run("reshape", np.ones(6), shape=[4, -1]),
        ),
        (
            ValueError,
            "only one size may be -1",
            lambda: run("reshape", np.ones(6), shape=[2, -1, -1]),
        ),
        (ValueError, "sizes are >= 0", lambda: run("reshape", np.ones(6), shape=[-2, 3])),
        (ValueError, "given twice", lambda: run("transpose", np.ones((2, 3)), perm=[0, 0])),
        (ValueError, "axes are given", lambda: run("transpose", np.ones((2, 3)), perm=[0])),
        (ValueError, "stretch", lambda: run("broadcast_to", np.ones(3), shape=[2])),
        (
            ValueError,
            "outside axis",
            lambda: run("concatenate", np.ones((2, 3)), np.ones((3, 3)), axis=1),
        ),
        (ValueError, "step 0", lambda: run("slice", np.ones(3), begin=[0], end=[3], step=[0])),
        (
            ValueError,
            "one number for each",
            lambda: run("slice", np.ones(3), begin=[], end=[], step=[]),
        ),
        (
            ValueError,
            "does not fit",
            lambda: run("pad_slice", np.ones(3), begin=[2], step=[1], shape=[4]),
        ),
        (ValueError, "one axis", lambda: run("take", np.ones(3), np.zeros((1, 1), int), axis=0)),
        (
            ValueError,
            "but for axis 0",
            lambda: run("take_along", np.ones(3), np.zeros((1, 1), int)),
        ),
        (
            ValueError,
            "but for axis 1",
            lambda: run("take_along", np.ones((2, 3)), np.zeros((3, 4), int), axis=1),
        ),
        (TypeError, "must be integers", lambda: run("one_hot", np.ones(3), classes=2)),
        (ValueError, "classes", lambda: run("one_hot", np.zeros(3, int), classes=-2)),
    ],
)
def test_errors(error, match, call):
    with pytest.raises(error, match=match):
        call()
