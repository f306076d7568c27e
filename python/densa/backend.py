"""Keras' `keras.backend`: questions about types, and names of Keras 2 that older code uses.

Keras 3 has other names for `get_value` and `set_value`; each says which.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from densa import _core
from densa._names import suggesting
from densa._scope import clear_session
from densa._symbolic import is_keras_tensor
from densa.config import dtype_name, epsilon, floatx, is_float, set_epsilon, set_floatx

__all__ = [
    "clear_session",
    "epsilon",
    "floatx",
    "get_value",
    "is_float_dtype",
    "is_int_dtype",
    "is_keras_tensor",
    "result_type",
    "set_epsilon",
    "set_floatx",
    "set_value",
    "standardize_dtype",
]


def standardize_dtype(dtype: Any) -> str:
    """Return a type's name.

    Args:
        dtype: a name, a NumPy dtype, a Python or NumPy type, or None for floatx.

    Raises:
        ValueError: for what is no type that densa has.

    Example:

    >>> import densa
    >>> densa.backend.standardize_dtype(np.int64)
    'int64'
    """
    name = str(dtype_name(dtype))
    try:
        _core.to_tensor(0, name)
    except (TypeError, ValueError):
        raise ValueError(f"There is no dtype {dtype!r} in densa.") from None
    return name


def is_float_dtype(dtype: Any) -> bool:
    """Tell whether a type is a floating one.

    Args:
        dtype: what `standardize_dtype` takes.

    Example:

    >>> import densa
    >>> densa.backend.is_float_dtype("bfloat16")
    True
    """
    return is_float(standardize_dtype(dtype))


def is_int_dtype(dtype: Any) -> bool:
    """Tell whether a type is one of whole numbers.

    Args:
        dtype: what `standardize_dtype` takes.

    Example:

    >>> import densa
    >>> densa.backend.is_int_dtype("uint8")
    True
    """
    return standardize_dtype(dtype).startswith(("int", "uint"))


def result_type(*dtypes: Any) -> str:
    """Return the type that values of these types are computed in together.

    Args:
        dtypes: what `standardize_dtype` takes, one at least.

    Example:

    >>> import densa
    >>> densa.backend.result_type("int32", "float32")
    'float32'
    """
    return _core.result_type(*(_core.to_tensor(0, standardize_dtype(d)) for d in dtypes))


def get_value(x: Any) -> Any:
    """Return the value of a variable or tensor as a NumPy array: `np.asarray(x)`.

    Example:

    >>> import densa, warnings
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore")
    ...     float(densa.backend.get_value(densa.Variable(2.0)))
    2.0
    """
    _deprecated("get_value(x)", "numpy.asarray(x)")
    return np.asarray(x)


def set_value(x: Any, value: Any) -> None:
    """Give a variable another value: `x.assign(value)`.

    Works with what `optimizer.learning_rate` answers, as callbacks written for Keras 2 do.

    Args:
        x: A `densa.Variable`.
        value: A number, array or tensor of its shape.

    Raises:
        TypeError: `x` is no variable.
        ValueError: Another shape.

    Example:

    >>> import densa, warnings
    >>> v = densa.Variable(2.0)
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore")
    ...     densa.backend.set_value(v, 3.0)
    >>> float(v)
    3.0
    """
    _deprecated("set_value(x, value)", "x.assign(value)")
    if not hasattr(x, "assign"):
        raise TypeError(
            f"set_value: expected a Variable, got {type(x).__name__}; assign to the attribute "
            "itself, such as optimizer.learning_rate = value"
        )
    x.assign(value)


def _deprecated(old: str, new: str) -> None:
    warnings.warn(
        f"backend.{old} is Keras 2's; use {new} instead.", DeprecationWarning, stacklevel=3
    )


if not TYPE_CHECKING:  # lest type checkers take every name for known
    __getattr__ = suggesting(__name__)
