"""Ops that move elements, on a GPU: the CPU's results, at sizes that reach every kernel."""

import numpy as np
import pytest

import densa
from densa import _core

if densa.get_device() == "cpu":
    pytest.skip("needs DENSA_TEST_DEVICE=cuda", allow_module_level=True)


def both(op, *arrays, **attrs):
    """The op's result on the GPU and on the CPU; they must be of one kind."""
    results = []
    for device in ("cuda", "cpu"):
        y = _core.apply(op, *(_core.from_numpy(x).to(device) for x in arrays), **attrs)
        assert y.device.startswith(device)
        results.append(y.to("cpu").numpy())
    return results


def check(op, *arrays, **attrs):
    on_gpu, on_cpu = both(op, *arrays, **attrs)
    np.testing.assert_array_equal(on_gpu, on_cpu, strict=True)


def count_up(shape, dtype="float32"):
    return np.arange(np.prod(shape)).astype(dtype).reshape(shape)


@pytest.mark.parametrize("dtype", ["uint8", "int16", "float32", "float64"])
@pytest.mark.parametrize("rows", [1, 15, 16, 31, 32, 33, 70])
@pytest.mark.parametrize("cols", [1, 16, 33, 100])
def test_matrices(rows, cols, dtype):
    check("transpose", count_up((rows, cols), dtype))


@pytest.mark.parametrize(
    ("shape", "perm"),
    [
        ((3, 20, 40), [0, 2, 1]),
        ((20, 3, 40), [2, 1, 0]),
        ((20, 3, 40), [2, 0, 1]),
        ((20, 3, 40), [1, 2, 0]),
        ((2, 17, 3, 35), [2, 3, 0, 1]),
        ((2, 17, 3, 35), [0, 3, 2, 1]),
        ((2, 17, 1, 4), [1, 0, 2, 3]),  # runs of four stay together
        ((2, 3, 2, 3, 2, 3, 2), [6, 4, 2, 0, 1, 3, 5]),
        ((0, 3), [1, 0]),
        ((), []),
    ],
)
def test_axes(shape, perm):
    check("transpose", count_up(shape), perm=perm)


def test_more_tiles_than_blocks():
    """A grid has no more than 16384 blocks; here are 16500 matrices."""
    check("transpose", count_up((16500, 16, 16), "uint8"), perm=[0, 2, 1])


@pytest.mark.parametrize("cols", [[1, 2], [4, 8], [3, 5, 0, 8], [16]])
@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize("dtype", ["uint8", "float32", "float64"])
def test_concatenate(cols, axis, dtype):
    shapes = [(4, n) if axis else (n, 4) for n in cols]
    check("concatenate", *(count_up(shape, dtype) for shape in shapes), axis=axis)


@pytest.mark.parametrize(
    "cut",
    [
        ([0, 0], [40, 8], [1, 1]),
        ([0, 4], [40, 8], [1, 1]),
        ([1, 3], [40, 7], [3, 1]),
        ([39, 7], [-1, -1], [-1, -2]),
        ([5, 2], [5, 8], [1, 1]),
    ],
)
@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_slice_and_its_gradient(cut, dtype):
    begin, end, step = cut
    x = count_up((40, 8), dtype)
    check("slice", x, begin=begin, end=end, step=step)
    dy = _core.apply("slice", x, begin=begin, end=end, step=step).to("cpu").numpy()
    check("pad_slice", dy, begin=begin, step=step, shape=[40, 8])


@pytest.mark.parametrize("shape", [(40, 8), (3, 40, 8), (2, 3, 40, 8)])
@pytest.mark.parametrize("given", [(1,), (8,), (40, 1), (1, 8), (40, 8)])
def test_broadcast(shape, given):
    check("broadcast_to", count_up(given), shape=list(shape))


ID_DTYPES = ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"]


@pytest.mark.parametrize("dtype", ID_DTYPES)
def test_ids_of_any_type(dtype):
    rng = np.random.default_rng(1)
    ids = rng.integers(0, 50, 300).astype(dtype)
    dy = rng.normal(size=(300, 40)).astype("float32")
    check("embedding", count_up((50, 5)), ids)
    check("embedding_grad", ids, dy, rows=50)
    check("take", count_up((4, 50, 3)), ids, axis=1)
    check("take_along", count_up((50, 3)), ids.reshape(100, 3), axis=0)
    check("one_hot", ids, classes=20)


# Few ids and many, one chunk of 2048 and more, one block's columns (128) and more, one block's rows
# (8 or more) and more.
@pytest.mark.parametrize("count", [0, 1, 256, 257, 2048, 2049, 5000])
@pytest.mark.parametrize(("rows", "width"), [(1, 1), (3, 31), (9, 33), (20, 130), (70, 4)])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_sums_are_those_of_the_cpu(count, rows, width, dtype):
    rng = np.random.default_rng(count + rows)
    ids = rng.integers(0, rows, count)
    check("embedding_grad", ids, rng.normal(size=(count, width)).astype(dtype), rows=rows)


def test_rows_that_blocks_share():
    """20000 rows: 19 per block, which no number of warps divides."""
    rng = np.random.default_rng(4)
    ids = np.concatenate([[0, 18, 19, 19999, 19], rng.integers(0, 20000, 300)])
    check("embedding_grad", ids, rng.normal(size=(305, 2)).astype("float32"), rows=20000)


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("count", [3, 300])
@pytest.mark.parametrize("width", [2, 35])
def test_take_and_its_gradient(axis, count, width):
    rng = np.random.default_rng(2)
    shape = [5, 6, width]
    ids = rng.integers(-shape[axis], shape[axis], count)
    x = rng.normal(size=shape).astype("float32")
    check("take", x, ids, axis=axis)
    dy = np.take(x, ids, axis)
    check("take_grad", dy, ids, axis=axis, size=shape[axis])


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("count", [0, 1, 300])
@pytest.mark.parametrize("dtype", ["float32", "float64", "int8", "bool"])
def test_take_along_and_its_gradient(axis, count, dtype):
    rng = np.random.default_rng(3)
    shape = [5, 6, 7]
    x = rng.normal(size=shape).astype(dtype)
    shape[axis] = count
    ids = rng.integers(-x.shape[axis], x.shape[axis], shape)
    check("take_along", x, ids, axis=axis)
    if dtype.startswith("float"):
        dy = rng.normal(size=shape).astype(dtype)
        check("take_along_grad", dy, ids, axis=axis, size=x.shape[axis])


WRONG = {
    "embedding": lambda ids: ("embedding", (count_up((7, 3)), ids), {}),
    "no width": lambda ids: ("embedding", (np.zeros((7, 0), "float32"), ids), {}),
    "no rows": lambda ids: ("embedding", (np.zeros((0, 3), "float32"), ids), {}),
    "few sums": lambda ids: ("embedding_grad", (ids, count_up((*ids.shape, 3))), {"rows": 7}),
    "sums": lambda ids: ("embedding_grad", (ids, count_up((*ids.shape, 40))), {"rows": 7}),
    "take": lambda ids: ("take", (count_up((2, 7)), ids), {"axis": 1}),
    "take_grad": lambda ids: ("take_grad", (count_up((2, ids.size)), ids), {"axis": 1, "size": 7}),
    "along": lambda ids: ("take_along", (count_up((1, 7)), ids[None]), {"axis": 1}),
    "along, sums": lambda ids: (
        "take_along_grad",
        (count_up((ids.size,)), ids),
        {"axis": 0, "size": 7},
    ),
}


@pytest.mark.parametrize("ids", [[0, 7], [3, 2**63], [200, 1, 300]], ids=str)
@pytest.mark.parametrize("case", WRONG)
def test_the_first_wrong_id_is_named(case, ids):
    op, arrays, attrs = WRONG[case](np.array(ids, np.uint64))
    said = []
    for device in ("cpu", "cuda"):
        with pytest.raises(IndexError) as error:
            _core.apply(op, *(_core.from_numpy(x).to(device) for x in arrays), **attrs)
        said.append(str(error.value))
    assert said[0] == said[1]


@pytest.mark.parametrize("fill", ["constant", "nearest", "wrap", "reflect"])
@pytest.mark.parametrize("interpolation", ["bilinear", "nearest"])
@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_affine_transforms(fill, interpolation, first, dtype):
    rng = np.random.default_rng(2)
    x = rng.normal(size=(3, 2, 9, 7) if first else (3, 9, 7, 2)).astype(dtype)
    m = (rng.normal(0, 0.5, (3, 6)) + [1, 0, 2, 0, 1, -3]).astype(dtype)
    attrs = {"fill_mode": fill, "interpolation": interpolation, "channels_first": first}
    check("affine_transform", x, m, **attrs, fill_value=0.5)
    check("affine_transform", x, m, **attrs, height=4, width=20)
    check("affine_transform_grad", x, m, **attrs, height=4, width=20)
