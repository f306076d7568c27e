"""`Rescaling`: scale and shift."""

from __future__ import annotations

from typing import Any

import numpy as np

from densa import _core
from densa._numbers import is_numeric
from densa.device import beside
from densa.layers._helpers import as_float
from densa.layers.layer import Layer
from densa.saving.serialization import deserialize_keras_object, serialize_keras_object


class Rescaling(Layer):
    """y = x · scale + offset, as floats.

    Args:
        scale: number, or an array that broadcasts to the input.
        offset: number or array.

    Example:
        >>> densa.layers.Rescaling(1 / 255)(np.array([[0, 255]], "uint8")).numpy()
        array([[0., 1.]], dtype=float32)
    """

    _passes_masks = True

    def __init__(self, scale: Any, offset: Any = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        for argument, value in (("scale", scale), ("offset", offset)):
            if not is_numeric(value):
                raise TypeError(
                    f"Rescaling: `{argument}` must be a number or an array of numbers; received "
                    f"{value!r} of type {type(value).__name__}."
                )
            if not np.isfinite(np.asarray(value)).all():
                raise ValueError(f"Rescaling: `{argument}` must be finite; received {value!r}.")
        self.scale = scale
        self.offset = offset
        self.built = True

    def _operand(self, value: Any, x: Any) -> Any:
        if isinstance(value, (int, float)):
            return float(value)
        made = _core.to_tensor(np.asarray(value, dtype=self.variable_dtype), self.compute_dtype)
        return beside(made, x)

    def call(self, inputs: Any) -> Any:
        y = as_float(inputs, self.compute_dtype)
        y = _core.apply("multiply", y, self._operand(self.scale, y))
        if isinstance(self.offset, (int, float)) and self.offset == 0:
            return y
        return _core.apply("add", y, self._operand(self.offset, y))

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "scale": serialize_keras_object(self.scale),
            "offset": serialize_keras_object(self.offset),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        config = dict(config)
        for name in ("scale", "offset"):
            config[name] = deserialize_keras_object(config.get(name, 0.0))
        return cls(**config)
