"""Which dtype an op computes in: Keras' rules, with weak Python numbers."""

import numpy as np
import pytest

from densa import _core
from densa._core import apply, from_numpy

_INTEGERS = ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"]
_ALL = ["bool", *_INTEGERS, "float32", "float64"]


def _tensor(dtype):
    return from_numpy(np.ones((2,), dtype=dtype))


@pytest.mark.parametrize("dtype", _ALL)
def test_same_dtype_stays(dtype):
    assert _core.result_type(_tensor(dtype), _tensor(dtype)) == dtype


@pytest.mark.parametrize("integer", ["bool", *_INTEGERS])
@pytest.mark.parametrize("floating", ["float32", "float64"])
def test_a_float_wins_over_integers(integer, floating):
    assert _core.result_type(_tensor(integer), _tensor(floating)) == floating
    assert _core.result_type(_tensor(floating), _tensor(integer)) == floating


@pytest.mark.parametrize("dtype", _ALL)
def test_bool_takes_the_other_dtype(dtype):
    assert _core.result_type(_tensor("bool"), _tensor(dtype)) == dtype


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ("int8", "int32", "int32"),
        ("int64", "int32", "int64"),
        ("uint8", "uint32", "uint32"),
        ("uint8", "int8", "int16"),
        ("uint8", "int16", "int16"),
        ("uint32", "int8", "int64"),
        ("uint32", "int64", "int64"),
        ("uint64", "int8", "float32"),
        ("float32", "float64", "float64"),
    ],
)
def test_pairs(a, b, expected):
    assert _core.result_type(_tensor(a), _tensor(b)) == expected
    assert _core.result_type(_tensor(b), _tensor(a)) == expected


@pytest.mark.parametrize(
    ("dtype", "number", "expected"),
    [
        ("float32", 2.5, "float32"),
        ("float64", 2.5, "float64"),
        ("float32", 3, "float32"),
        ("float32", True, "float32"),
        ("int64", 2.5, "float32"),
        ("int8", 3, "int8"),
        ("uint8", True, "uint8"),
        ("bool", 3, "int32"),
        ("bool", 0.5, "float32"),
        ("bool", True, "bool"),
        ("float32", np.float64(2.5), "float32"),  # it is a Python float too
    ],
)
def test_python_numbers_are_weak(dtype, number, expected):
    assert _core.result_type(_tensor(dtype), number) == expected


def test_numbers_alone():
    assert _core.result_type(1.0, 2) == "float32"
    assert _core.result_type(1, 2) == "int32"
    assert _core.result_type(True, False) == "bool"
    assert _core.result_type(2**40) == "int64"


def test_lists_of_python_floats_become_floatx():
    assert _core.to_tensor([1.0, 2.0]).dtype == "float32"
    assert _core.to_tensor(1.0).dtype == "float32"
    assert _core.to_tensor(np.array([1.0])).dtype == "float64"
    before = _core.floatx()
    try:
        _core.set_floatx("float64")
        assert _core.to_tensor([1.0]).dtype == "float64"
        assert _core.result_type(_tensor("int8"), 1.5) == "float64"
    finally:
        _core.set_floatx(before)
    with pytest.raises(ValueError, match="floatx must be"):
        _core.set_floatx("int32")


def test_ops_promote():
    x = from_numpy(np.array([1, 2], dtype=np.int64))
    y = from_numpy(np.array([0.5, 0.25], dtype=np.float32))
    assert (x + y).dtype == "float32"
    assert (x / 2).dtype == "float32"
    assert apply("exp", x).dtype == "float32"
    assert (x + 1).dtype == "int64"
    assert (from_numpy(np.array([True, False])) + y).tolist() == [1.5, 0.25]


def test_large_integers_stay_exact():
    x = from_numpy(np.array([2**62], dtype=np.int64))
    assert (x + (2**62 - 1)).item() == 2**63 - 1
    assert (x == 2**62).item() is True
    assert (x == 2**62 + 1).item() is False
