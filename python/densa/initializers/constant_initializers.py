"""Initializers without chance."""

from __future__ import annotations

from typing import Any

import numpy as np

from densa._numbers import is_numeric
from densa.initializers.initializer import Initializer
from densa.saving.serialization import deserialize_keras_object, serialize_keras_object


class Constant(Initializer):
    """Fill with one number, or copy an array that broadcasts to the shape.

    Args:
        value: number or array.

    Raises:
        TypeError: if it is neither.

    Example:
        >>> densa.initializers.Constant(2.0)((2,)).numpy()
        array([2., 2.], dtype=float32)
    """

    def __init__(self, value: Any = 0.0) -> None:
        if not is_numeric(value):
            raise TypeError(
                "Constant: `value` must be a number or an array of numbers; received "
                f"{value!r} of type {type(value).__name__}."
            )
        self.value = value

    def array(self, shape: Any, dtype: str) -> Any:
        value = np.asarray(self.value, dtype=dtype)
        try:
            return np.array(np.broadcast_to(value, shape))
        except ValueError:
            raise ValueError(
                f"Constant: the value has shape {value.shape}, which does not fit {tuple(shape)}."
            ) from None

    def get_config(self) -> dict[str, Any]:
        return {"value": serialize_keras_object(self.value)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Constant:
        return cls(deserialize_keras_object(config["value"]))


class Zeros(Initializer):
    """Fill with zeros.

    Example:
        >>> densa.initializers.Zeros()((2,)).numpy()
        array([0., 0.], dtype=float32)
    """

    def array(self, shape: Any, dtype: str) -> Any:
        return np.zeros(shape, dtype=dtype)


class Ones(Initializer):
    """Fill with ones.

    Example:
        >>> densa.initializers.Ones()((2,)).numpy()
        array([1., 1.], dtype=float32)
    """

    def array(self, shape: Any, dtype: str) -> Any:
        return np.ones(shape, dtype=dtype)


class Identity(Initializer):
    """Fill a matrix with zeros and `gain` on the diagonal.

    Args:
        gain: the number on the diagonal.

    Raises:
        ValueError: for a shape that is not a matrix's.

    Example:
        >>> densa.initializers.Identity()((2, 2)).numpy()
        array([[1., 0.],
               [0., 1.]], dtype=float32)
    """

    def __init__(self, gain: float = 1.0) -> None:
        self.gain = gain

    def array(self, shape: Any, dtype: str) -> Any:
        if len(shape) != 2:
            raise ValueError(
                f"Identity matrix initializer can only be used for 2D matrices. Received: "
                f"shape={tuple(shape)} of rank {len(shape)}."
            )
        return (self.gain * np.eye(*shape)).astype(dtype)

    def get_config(self) -> dict[str, Any]:
        return {"gain": self.gain}
