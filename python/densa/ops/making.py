"""Converting and making arrays: part of `densa.ops`."""

from __future__ import annotations

import math
import operator
import sys
from typing import Any

import numpy as np

from densa import _core, config
from densa._names import hinted
from densa._numbers import array_of
from densa._scope import asked
from densa._symbolic import KerasTensor
from densa.ops._public import (
    apply,
    dtype_or_floatx,
    filled_like,
    known_shape,
    made,
    public,
    tensor,
)

# ---- converting ----------------------------------------------------------------------------------


def convert_to_tensor(
    x: Any, dtype: Any = None, sparse: bool | None = None, ragged: bool | None = None
) -> Any:
    """Return x as a Tensor; a symbolic tensor stays what it is, apart from its dtype.

    Args:
        x: a Tensor, Variable, array, number or nested list.
        dtype: type name to convert to; None keeps x's.
        sparse: accepted for Keras; True raises.
        ragged: accepted for Keras; True raises.

    Raises:
        ValueError: if sparse or ragged is True.

    Example:
        >>> densa.ops.convert_to_tensor([1.0, 2.0]).dtype
        'float32'
    """
    if sparse or ragged:
        raise ValueError("densa has no sparse or ragged tensors; pass sparse=None, ragged=None.")
    if isinstance(x, KerasTensor):
        return x if dtype is None or x.dtype == config.dtype_name(dtype) else cast(x, dtype)
    try:
        return _core.to_tensor(x, None if dtype is None else config.dtype_name(dtype))
    except ValueError:
        array_of("convert_to_tensor", x)
        raise


@hinted
def array(x: Any, dtype: Any = None) -> Any:
    """Return x as a Tensor, like `convert_to_tensor`.

    Args:
        x: a Tensor, Variable, array, number or nested list.
        dtype: type name to convert to; None keeps x's.

    Example:
        >>> densa.ops.array([[1.0, 2.0]]).shape
        (1, 2)
    """
    return convert_to_tensor(x, dtype)


@hinted
def convert_to_numpy(x: Any) -> Any:
    """Return x as a NumPy array.

    Args:
        x: a Tensor, Variable, array, number or nested list.

    Example:
        >>> densa.ops.convert_to_numpy(densa.ops.ones(2)).tolist()
        [1.0, 1.0]
    """
    return np.asarray(x.numpy() if isinstance(x, (_core.Tensor, _core.Variable)) else x)


def is_tensor(x: Any) -> bool:
    """Tell whether x is a Tensor.

    Args:
        x: anything.

    Example:
        >>> densa.ops.is_tensor(np.ones(2))
        False
    """
    return isinstance(x, _core.Tensor)


@public
def cast(x: Any, dtype: Any) -> Any:
    """Return x with another dtype; floats go to integers towards zero.

    Args:
        x: Tensor, array, number or list of any shape.
        dtype: type name.

    Example:
        >>> densa.ops.cast([1.7, -1.7], "int32").numpy().tolist()
        [1, -1]
    """
    name = config.dtype_name(dtype)
    return apply("cast", tensor(x), dtype=name, **asked(name))


@hinted
def shape(x: Any) -> tuple[int | None, ...]:
    """Return the shape as a tuple of ints.

    A symbolic tensor of the functional API has None for unknown sizes. While `fit` records a model
    the number of rows is not known; asking for it makes `fit` record once per batch size.

    Args:
        x: an array or a symbolic tensor.

    Example:
        >>> densa.ops.shape(np.ones((2, 3)))
        (2, 3)
    """
    if isinstance(x, KerasTensor):
        return x.shape
    return known_shape(tensor(x), "shape")


@hinted
def ndim(x: Any) -> int:
    """Return the number of axes.

    Args:
        x: an array or a symbolic tensor.

    Example:
        >>> densa.ops.ndim(np.ones((2, 3)))
        2
    """
    return len(x.shape) if hasattr(x, "shape") else int(tensor(x).ndim)


@hinted
def size(x: Any) -> int | None:
    """Return the number of elements; of a symbolic tensor of unknown size None.

    While `fit` records a model it is that of the batch, and `fit` records once per batch size; see
    `shape`.

    Args:
        x: an array or a symbolic tensor.

    Example:
        >>> densa.ops.size(np.ones((2, 3)))
        6
    """
    sizes = shape(x)
    return None if None in sizes else math.prod(n or 0 for n in sizes)


# ---- making --------------------------------------------------------------------------------------


@hinted
def zeros(shape: Any, dtype: Any = None) -> Any:
    """Return zeros; dtype None is floatx.

    Args:
        shape: a size or several.
        dtype: type name; None is floatx.

    Example:
        >>> densa.ops.zeros((2, 3)).shape
        (2, 3)
    """
    return _filled(shape, 0.0, dtype)


@hinted
def ones(shape: Any, dtype: Any = None) -> Any:
    """Return ones; dtype None is floatx.

    Args:
        shape: a size or several.
        dtype: type name; None is floatx.

    Example:
        >>> densa.ops.ones(3).numpy().tolist()
        [1.0, 1.0, 1.0]
    """
    return _filled(shape, 1.0, dtype)


def _filled(shape: Any, number: float, dtype: Any) -> Any:
    """Return an array full of a number; MemoryError for more bytes than there are addresses."""
    name = dtype_or_floatx(dtype)
    if getattr(shape, "ndim", 0) == 1:
        shape = shape.tolist()
    given = shape if isinstance(shape, (tuple, list)) else (shape,)
    if any(d is None for d in given):
        raise TypeError(
            f"An array cannot have a size of None; got shape {tuple(given)}. Where it is x.shape "
            "of a model that is being recorded, take ops.shape(x), or zeros_like and its like."
        )
    sizes = [operator.index(d) for d in given]
    if any(d < 0 for d in sizes):
        raise ValueError(f"An array cannot have a negative size; got shape {tuple(sizes)}.")
    needed = math.prod(sizes) * int(_core.full([], 0.0, name).itemsize)
    if needed > sys.maxsize:
        raise MemoryError(f"An array of shape {tuple(sizes)} ({name}) takes {needed} bytes.")
    if _core.recording():  # a Tensor with values also there
        return made(np.full(sizes, number, config.numpy_float(name)), name)
    return _core.full(sizes, number, name)


def empty(shape: Any, dtype: Any = None) -> Any:
    """Return an array whose values mean nothing; dtype None is floatx.

    Args:
        shape: a size or several.
        dtype: type name; None is floatx.

    Example:
        >>> densa.ops.empty((2, 3)).shape
        (2, 3)
    """
    return zeros(shape, dtype)


@hinted
def full(shape: Any, fill_value: Any, dtype: Any = None) -> Any:
    """Return an array filled with fill_value; dtype None is floatx.

    Args:
        shape: a size or several.
        fill_value: a number, or an array that is broadcast.
        dtype: type name; None is floatx.

    Example:
        >>> densa.ops.full(3, 7.0).numpy().tolist()
        [7.0, 7.0, 7.0]
    """
    value = convert_to_tensor(fill_value, dtype_or_floatx(dtype))
    return apply("broadcast_to", value, shape=[shape] if isinstance(shape, int) else list(shape))


@public
def zeros_like(x: Any, dtype: Any = None) -> Any:
    """Return zeros of x's shape and (unless given) dtype.

    Args:
        x: an array.
        dtype: type name; None is x's.

    Example:
        >>> densa.ops.zeros_like([1.0, 2.0]).numpy().tolist()
        [0.0, 0.0]
    """
    return filled_like(x, 0, dtype)


@public
def ones_like(x: Any, dtype: Any = None) -> Any:
    """Return ones of x's shape and (unless given) dtype.

    Args:
        x: an array.
        dtype: type name; None is x's.

    Example:
        >>> densa.ops.ones_like([1.0, 2.0]).numpy().tolist()
        [1.0, 1.0]
    """
    return filled_like(x, 1, dtype)


@public
def full_like(x: Any, fill_value: Any, dtype: Any = None) -> Any:
    """Return fill_value in x's shape and (unless given) dtype.

    Args:
        x: an array.
        fill_value: a number, or an array that is broadcast.
        dtype: type name; None is x's.

    Example:
        >>> densa.ops.full_like([1.0, 2.0], 7).numpy().tolist()
        [7.0, 7.0]
    """
    return filled_like(x, fill_value, dtype)


@hinted
def arange(start: Any, stop: Any = None, step: Any = None, dtype: Any = None) -> Any:
    """Return start, start + step, … below stop; with one argument, 0 … start - 1.

    Args:
        start: the first number, or the end if it is alone.
        stop: the end, which is left out.
        step: from one number to the next; None is 1.
        dtype: type name; None is int32 for whole numbers, else floatx.

    Raises:
        TypeError: if the end is None.

    Example:
        >>> densa.ops.arange(1, 7, 2).numpy().tolist()
        [1, 3, 5]
    """
    if start is None:
        raise TypeError(
            "arange: the end is None. Where it was x.shape[0] of a model that is being recorded, "
            "take ops.shape(x)[0]."
        )
    if stop is None:
        start, stop = 0, start
    numbers = np.arange(start, stop, 1 if step is None else step)
    if dtype is None:
        whole = numbers.dtype.kind in "iu"
        dtype = "int32" if whole else config.floatx()
    return made(numbers, config.dtype_name(dtype))


@hinted
def linspace(
    start: Any,
    stop: Any,
    num: int = 50,
    endpoint: bool = True,
    retstep: bool = False,
    dtype: Any = None,
    axis: int = 0,
) -> Any:
    """Return num evenly spaced numbers from start to stop.

    Args:
        start: the first number.
        stop: the last one.
        num: how many.
        endpoint: whether stop is one of them.
        retstep: whether `(numbers, step)` is returned.
        dtype: type name; None is floatx.
        axis: where the numbers go, if start and stop are arrays.

    Example:
        >>> densa.ops.linspace(0.0, 1.0, 5).numpy().tolist()
        [0.0, 0.25, 0.5, 0.75, 1.0]
    """
    numbers, step = np.linspace(start, stop, num, endpoint, retstep=True, axis=axis)
    out = made(numbers, dtype_or_floatx(dtype))
    return (out, made(np.asarray(step), dtype_or_floatx(dtype))) if retstep else out


@hinted
def eye(N: int, M: int | None = None, k: int = 0, dtype: Any = None) -> Any:
    """Return ones on the k-th diagonal of an (N, M) matrix.

    Args:
        N: rows.
        M: columns; None: as many.
        k: 0 is the main diagonal, 1 the one above it.
        dtype: type name; None is floatx.

    Example:
        >>> densa.ops.eye(2, 3, k=1).numpy().tolist()
        [[0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
    """
    name = dtype_or_floatx(dtype)
    return made(np.eye(N, M, k, config.numpy_float(name)), name)


@hinted
def identity(n: int, dtype: Any = None) -> Any:
    """Return the identity matrix.

    Args:
        n: rows and columns.
        dtype: type name; None is floatx.

    Example:
        >>> densa.ops.identity(2).numpy().tolist()
        [[1.0, 0.0], [0.0, 1.0]]
    """
    return eye(n, dtype=dtype)
