"""Converting and making arrays: part of `densa.ops`."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from densa import _core, config
from densa._symbolic import KerasTensor
from densa.ops._public import (
    apply,
    constant,
    dtype_or_floatx,
    filled_like,
    known_shape,
    public,
    tensor,
)

# ---- converting ----------------------------------------------------------------------------------


def convert_to_tensor(x: Any, dtype: Any = None, sparse: bool | None = None) -> Any:
    """Return x as a Tensor; a symbolic tensor stays what it is, apart from its dtype.

    Args:
        x: a Tensor, Variable, array, number or nested list.
        dtype: type name to convert to; None keeps x's.
        sparse: accepted for Keras; True raises.
    """
    if sparse:
        raise ValueError("densa has no sparse tensors; pass sparse=None.")
    if isinstance(x, KerasTensor):
        return x if dtype is None or x.dtype == config.dtype_name(dtype) else cast(x, dtype)
    return _core.to_tensor(x, None if dtype is None else config.dtype_name(dtype))


def array(x: Any, dtype: Any = None) -> Any:
    """Return x as a Tensor, like `convert_to_tensor`."""
    return convert_to_tensor(x, dtype)


def convert_to_numpy(x: Any) -> Any:
    """Return x as a NumPy array."""
    return np.asarray(x.numpy() if isinstance(x, (_core.Tensor, _core.Variable)) else x)


def is_tensor(x: Any) -> bool:
    """Tell whether x is a Tensor."""
    return isinstance(x, _core.Tensor)


@public
def cast(x: Any, dtype: Any) -> Any:
    """Return x with another dtype; floats go to integers towards zero."""
    return apply("cast", tensor(x), dtype=config.dtype_name(dtype))


def shape(x: Any) -> tuple[int | None, ...]:
    """Return the shape as a tuple of ints.

    A symbolic tensor of the functional API has None for unknown sizes. While `fit` records a model
    the number of rows is not known; asking for it makes `fit` record once per batch size.
    """
    if isinstance(x, KerasTensor):
        return x.shape
    return known_shape(tensor(x), "shape")


def ndim(x: Any) -> int:
    """Return the number of axes."""
    return len(x.shape) if hasattr(x, "shape") else int(tensor(x).ndim)


def size(x: Any) -> int | None:
    """Return the number of elements; None if it is not known."""
    sizes = x.shape if hasattr(x, "shape") else tensor(x).shape
    return None if None in sizes else math.prod(sizes)


# ---- making --------------------------------------------------------------------------------------


def zeros(shape: Any, dtype: Any = None) -> Any:
    """Return zeros; dtype None is floatx."""
    return constant(np.zeros(shape, dtype_or_floatx(dtype)))


def ones(shape: Any, dtype: Any = None) -> Any:
    """Return ones; dtype None is floatx."""
    return constant(np.ones(shape, dtype_or_floatx(dtype)))


def empty(shape: Any, dtype: Any = None) -> Any:
    """Return an array whose values mean nothing; dtype None is floatx."""
    return zeros(shape, dtype)


def full(shape: Any, fill_value: Any, dtype: Any = None) -> Any:
    """Return an array filled with fill_value; dtype None is floatx."""
    value = convert_to_tensor(fill_value, dtype_or_floatx(dtype))
    return apply("broadcast_to", value, shape=[shape] if isinstance(shape, int) else list(shape))


@public
def zeros_like(x: Any, dtype: Any = None) -> Any:
    """Return zeros of x's shape and (unless given) dtype."""
    return filled_like(x, 0, dtype)


@public
def ones_like(x: Any, dtype: Any = None) -> Any:
    """Return ones of x's shape and (unless given) dtype."""
    return filled_like(x, 1, dtype)


@public
def full_like(x: Any, fill_value: Any, dtype: Any = None) -> Any:
    """Return fill_value in x's shape and (unless given) dtype."""
    return filled_like(x, fill_value, dtype)


def arange(start: Any, stop: Any = None, step: Any = 1, dtype: Any = None) -> Any:
    """Return start, start + step, … below stop; with one argument, 0 … start - 1."""
    if stop is None:
        start, stop = 0, start
    made = np.arange(start, stop, step)
    if dtype is None:
        whole = made.dtype.kind in "iu"
        dtype = "int32" if whole else config.floatx()
    return constant(made.astype(config.dtype_name(dtype)))


def linspace(start: Any, stop: Any, num: int = 50, endpoint: bool = True, dtype: Any = None) -> Any:
    """Return num evenly spaced numbers from start to stop."""
    return constant(np.linspace(start, stop, num, endpoint).astype(dtype_or_floatx(dtype)))


def eye(N: int, M: int | None = None, k: int = 0, dtype: Any = None) -> Any:
    """Return ones on the k-th diagonal of an (N, M) matrix."""
    return constant(np.eye(N, M, k, dtype_or_floatx(dtype)))


def identity(n: int, dtype: Any = None) -> Any:
    """Return the identity matrix."""
    return eye(n, dtype=dtype)
