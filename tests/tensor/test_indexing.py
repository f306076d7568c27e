"""x[key] against NumPy, forward and backward."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from densa._core import from_numpy

_KEYS = [
    0,
    -1,
    slice(None),
    slice(1, None),
    slice(None, None, 2),
    slice(None, None, -1),
    slice(5, 1, -2),
    slice(2, 2),
    Ellipsis,
    None,
    (0, 1),
    (0, 1, 2),
    (slice(None), 1),
    (Ellipsis, 0),
    (0, Ellipsis, None),
    (None, slice(1, 2), Ellipsis, slice(None, None, -1)),
    np.int64(1),
    [2, 0],
    np.array([[0, 1], [2, -1]]),
    (slice(None), [1, 0, 1]),
    (Ellipsis, np.array([3, 0])),
    ([0, 1], [1, 2]),
    (np.array([[0], [1]]), np.array([[1, 2]])),
    (slice(None), [0, 1], [3, 2]),
    ([0, 1], slice(None), [3, 2]),
    (0, [1, 2]),
    (None, [1, 2]),
    np.array([True, False, True]),
    (slice(None), np.array([True, False, True])),
    np.arange(60).reshape(3, 4, 5) % 3 == 0,
    np.array([], dtype=np.int64),
]


@pytest.mark.parametrize("key", _KEYS, ids=repr)
def test_values(key):
    a = np.arange(60.0).reshape(3, 4, 5)
    if (
        isinstance(key, tuple)
        and len(key) == 2
        and isinstance(key[1], np.ndarray)
        and key[1].dtype == np.bool_
    ):
        a = a[:, :3]
    got = from_numpy(a)[key]
    assert got.shape == a[key].shape
    np.testing.assert_array_equal(got.numpy(), a[key])


@pytest.mark.parametrize(
    "key",
    [0, slice(1, 3), slice(None, None, -2), (0, 1), (Ellipsis, 2), (None, 1), [2, 0, 2],
     (slice(None), [1, 1, 0]), ([0, 1, 0], [1, 2, 1]), ([0, 0], slice(None), [3, 3]), (0, [1, 2]),
     np.array([True, False, True]), np.arange(60).reshape(3, 4, 5) % 3 == 0,
     np.zeros((3, 4), dtype=bool)],
    ids=repr,
)  # fmt: skip
def test_gradient_is_one_where_it_was_read(key):
    a = np.arange(60.0).reshape(3, 4, 5)
    x = from_numpy(a)
    x.requires_grad = True
    x[key].sum().backward()
    expected = np.zeros_like(a)
    np.add.at(expected, key, 1.0)
    np.testing.assert_array_equal(x.grad.numpy(), expected)


@given(st.data())
def test_basic_keys(data):
    shape = data.draw(hnp.array_shapes(min_dims=1, max_dims=4, max_side=5))
    key = data.draw(hnp.basic_indices(shape, allow_newaxis=True))
    a = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    np.testing.assert_array_equal(from_numpy(a)[key].numpy(), a[key])


@pytest.mark.parametrize(
    ("key", "message"),
    [
        (3, "out of bounds"),
        (-4, "out of bounds"),
        ((0, 0, 0, 0), "too many indices"),
        ((Ellipsis, Ellipsis), "one ellipsis"),
        ([0, 3], "out of bounds"),
        (0.5, "indexed by"),
        ("a", "indexed by"),
    ],
)
def test_errors(key, message):
    with pytest.raises(IndexError, match=message):
        from_numpy(np.zeros((3, 4, 5)))[key]


def test_a_tensor_is_an_index():
    a = np.arange(12.0).reshape(3, 4)
    x = from_numpy(a)
    ids = from_numpy(np.array([2, 0]))
    np.testing.assert_array_equal(x[ids].numpy(), a[[2, 0]])
    np.testing.assert_array_equal(x[ids[0]].numpy(), a[2])
    np.testing.assert_array_equal(x[x > 5].numpy(), a[a > 5])
