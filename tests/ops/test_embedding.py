"""embedding and its scatter-add gradient."""

import numpy as np
import pytest

from densa import _core

IDS = {
    "scalar": np.int64(3),
    "vector": np.array([0, 6, 3, 3, 1]),
    "matrix": np.array([[1, 1], [2, 6], [0, 1]]),
    "cube": np.arange(12).reshape(2, 3, 2) % 7,
    "none": np.zeros((0,), np.int64),
}


def leaf(x):
    t = _core.from_numpy(np.array(x))
    t.requires_grad = True
    return t


@pytest.mark.parametrize("ids", IDS.values(), ids=IDS)
@pytest.mark.parametrize("width", [1, 5, 16, 33])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_lookup_and_gradient(ids, width, dtype):
    rng = np.random.default_rng(1)
    table = rng.normal(size=(7, width)).astype(dtype)
    t = leaf(table)
    y = _core.apply("embedding", t, np.asarray(ids))
    np.testing.assert_array_equal(y.numpy(), table[ids], strict=True)
    up = rng.normal(size=y.shape).astype(dtype)
    y.backward(_core.from_numpy(up))
    want = np.zeros_like(table)
    np.add.at(want, np.asarray(ids).reshape(-1), up.reshape(-1, width))
    np.testing.assert_array_equal(t.grad.numpy(), want, strict=True)


@pytest.mark.parametrize(
    "dtype", ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"]
)
def test_id_dtypes(dtype):
    table = np.arange(12.0).reshape(6, 2)
    ids = np.array([5, 0, 2], dtype)
    np.testing.assert_array_equal(_core.apply("embedding", table, ids).numpy(), table[ids])


def test_many_ids_add_in_order():
    """float32 sums depend on the order: it is that of the ids, however many threads there are."""
    rng = np.random.default_rng(5)
    ids = rng.integers(0, 3, 5000)
    dy = rng.normal(size=(5000, 40)).astype(np.float32)
    got = _core.apply("embedding_grad", ids, dy, rows=3).numpy()
    want = np.zeros((3, 40), np.float32)
    np.add.at(want, ids, dy)
    np.testing.assert_array_equal(got, want)


def test_gradient_of_the_gradient():
    ids = np.array([[0, 2], [2, 1]])
    dy = leaf(np.random.default_rng(2).normal(size=(2, 2, 3)))
    up = np.random.default_rng(3).normal(size=(4, 3))
    _core.apply("embedding_grad", ids, dy, rows=4).backward(_core.from_numpy(up))
    np.testing.assert_array_equal(dy.grad.numpy(), up[ids])


@pytest.mark.parametrize("bad", [7, -1, 2**62])
def test_id_out_of_range(bad):
    table = np.ones((7, 2), np.float32)
    with pytest.raises(IndexError, match=rf"id {bad} .*element 1.* 0 to 6"):
        _core.apply("embedding", table, np.array([0, bad]))
    with pytest.raises(IndexError, match=rf"id {bad}"):
        _core.apply("embedding_grad", np.array([bad]), np.ones((1, 2), np.float32), rows=7)


def test_unsigned_ids_do_not_wrap():
    table, ids = np.ones((7, 2), np.float32), np.array([2**64 - 1], np.uint64)
    for op in ("embedding", "take"):
        with pytest.raises(IndexError, match=str(2**64 - 1)):
            _core.apply(op, table, ids)


def test_errors():
    with pytest.raises(ValueError, match=r"\(rows, width\)"):
        _core.apply("embedding", np.ones(3), np.array([0]))
    with pytest.raises(TypeError, match="must be integers"):
        _core.apply("embedding_grad", np.array([0.0]), np.ones((1, 2)), rows=3)
    with pytest.raises(ValueError, match="need dy of shape"):
        _core.apply("embedding_grad", np.array([0, 1]), np.ones((3, 2)), rows=3)
