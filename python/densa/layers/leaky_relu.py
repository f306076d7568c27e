"""`LeakyReLU` as a layer."""

from __future__ import annotations

import warnings
from typing import Any

from densa import activations
from densa._numbers import finite_number
from densa.layers.layer import Layer


class LeakyReLU(Layer):
    """x, times `negative_slope` where it is negative.

    Args:
        negative_slope: slope below zero.

    Raises:
        TypeError: if it is no number.
        ValueError: if it is None, negative or not finite.

    Example:
        >>> densa.layers.LeakyReLU(0.5)(np.array([[-1.0, 2.0]], "float32")).numpy()
        array([[-0.5,  2. ]], dtype=float32)
    """

    _passes_masks = True

    def __init__(self, negative_slope: float = 0.3, **kwargs: Any) -> None:
        if "alpha" in kwargs:
            negative_slope = kwargs.pop("alpha")
            warnings.warn(
                "Argument `alpha` is deprecated. Use `negative_slope` instead.", stacklevel=2
            )
        super().__init__(**kwargs)
        if negative_slope is None:
            raise ValueError("LeakyReLU: `negative_slope` must be a number; received None.")
        self.negative_slope = finite_number("LeakyReLU: `negative_slope`", negative_slope, least=0)
        self.built = True

    def call(self, inputs: Any) -> Any:
        return activations.leaky_relu(inputs, negative_slope=self.negative_slope)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "negative_slope": self.negative_slope}
