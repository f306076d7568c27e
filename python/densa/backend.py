"""Names of Keras 2's `keras.backend` that older code about dense networks uses.

Keras 3 has other names for them, which new code should use; each function says which.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from densa.config import epsilon, floatx, set_epsilon, set_floatx

__all__ = ["epsilon", "floatx", "get_value", "set_epsilon", "set_floatx", "set_value"]


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
