"""What the modules of `densa.ops` share."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from densa import _core, config
from densa._symbolic import op
from densa.device import beside

P = ParamSpec("P")
R = TypeVar("R")

apply: Callable[..., Any] = _core.apply


def public(function: Callable[P, R]) -> Callable[P, R]:
    """Make a function a recording op under the name that users and saved graphs know it by."""
    function.__module__ = "densa.ops"
    return op(function)


def tensor(x: Any, dtype: Any = None) -> Any:
    """Return x as a Tensor of the core."""
    return x if dtype is None and isinstance(x, _core.Tensor) else _core.to_tensor(x, dtype)


def floating(x: Any) -> Any:
    """Return x as a floating Tensor; integers become floatx."""
    x = tensor(x)
    return x if config.is_float(x.dtype) else apply("cast", x, dtype=config.floatx())


def whole(x: Any, what: str) -> Any:
    """Return x as integers; ValueError naming `what` for a float that is no whole number."""
    x = tensor(x)
    if x.dtype.startswith(("int", "uint")):
        return x
    return apply("cast", x, dtype="int64", strict=what)


def dtype_or_floatx(dtype: Any) -> str:
    """Return a dtype's name; None is floatx."""
    return config.floatx() if dtype is None else str(config.dtype_name(dtype))


def axes_of(axis: Any) -> list[int]:
    """Return axis as the core's list, where an empty list means all axes."""
    if axis is None:
        return []
    if isinstance(axis, (tuple, list)):
        return [operator.index(a) for a in axis]
    return [operator.index(axis)]


def place(axis: int, rank: int, name: str) -> int:
    """Return an axis counted from the front; TypeError for none, ValueError if out of range."""
    try:
        found = operator.index(axis)
    except TypeError:
        raise TypeError(f"{name}: axis must be a whole number; received {axis!r}.") from None
    if not -rank <= found < rank:
        raise ValueError(f"{name}: axis {axis} is out of range for an array of rank {rank}.")
    return found % rank


def known_shape(x: Any, name: str) -> tuple[int, ...]:
    """Return x's shape; NeedsRows while the number of rows is not known."""
    shape = tuple(x.shape)
    if None in shape:
        raise _core.NeedsRows(f"{name}: needs to know how many rows the batch has; it is {shape}.")
    return shape


def known_size(x: Any, axis: int, name: str) -> int:
    """Return x's size along an axis; NeedsRows if it is an unknown number of rows."""
    size = x.shape[axis]
    return int(known_shape(x, name)[axis] if size is None else size)


def reshaped(x: Any, shape: Any) -> Any:
    """Reshape; None in the shape is the rows of a batch."""
    return apply("reshape", x, shape=[-1 if d is None else int(d) for d in shape])


def made(array: Any, dtype: str) -> Any:
    """Return a NumPy array as a new Tensor of a dtype, where `set_device` says."""
    if dtype != "bfloat16":  # which NumPy has not
        array = array.astype(dtype, copy=False)
    return _core.to_tensor(array, dtype)


def scalar(value: Any, like: Any) -> Any:
    """Return a number as a Tensor without axes, of the dtype of `like` and where that lies."""
    one = tensor(value, like.dtype)
    return one if isinstance(value, (_core.Tensor, _core.Variable)) else beside(one, like)


def filled_like(x: Any, value: Any, dtype: Any) -> Any:
    """Return value in x's shape and (unless given) dtype, where x lies."""
    x = tensor(x)
    one = tensor(value, x.dtype if dtype is None else config.dtype_name(dtype))
    if not isinstance(value, (_core.Tensor, _core.Variable)):
        one = beside(one, x)
    return apply("broadcast_to", one, shape=[-1 if d is None else d for d in x.shape])
