"""`Dropout`: zero a random share of the inputs while training."""

from __future__ import annotations

from typing import Any

import numpy as np

from densa import random
from densa._scope import in_monte_carlo_scope
from densa.layers._helpers import mask_shape
from densa.layers.layer import Layer


def check_rate(rate: Any, layer: str) -> float:
    """Return a dropout rate; ValueError outside of [0, 1)."""
    number = isinstance(rate, (int, float, np.number)) and not isinstance(rate, bool)
    if not number or not 0 <= rate < 1:
        one = number and rate == 1
        why = " Everything would be dropped, and what is left scaled by 1/0." if one else ""
        raise ValueError(
            f"Layer '{layer}': `rate` must be a number between 0 and 1, and below 1; received "
            f"{rate!r}.{why}"
        )
    return float(rate)


class Dropout(Layer):
    """While training, zero each input with probability `rate` and scale the others by 1/(1-rate).

    Args:
        rate: share to drop, from 0 to below 1.
        noise_shape: shape of the mask, 1 where an axis shares it; None means the input's.
        seed: integer for the mask; None takes one from the global generator.

    Raises:
        ValueError: for a rate outside of [0, 1).

    Example:
        >>> densa.layers.Dropout(0.5)(np.ones((1, 2), "float32")).numpy()
        array([[1., 1.]], dtype=float32)
    """

    _passes_masks = True

    def __init__(
        self, rate: float, noise_shape: Any = None, seed: int | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.rate = check_rate(rate, self.name)
        self.seed = seed
        self.noise_shape = mask_shape(type(self).__name__, noise_shape)
        if self.rate > 0:
            self.seed_generator = random.SeedGenerator(seed)
        self.built = True

    def call(self, inputs: Any, training: bool = False) -> Any:
        if not (training or in_monte_carlo_scope()) or self.rate == 0:
            return inputs
        return random.dropout(inputs, self.rate, self.noise_shape, self.seed_generator)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "rate": self.rate,
            "seed": self.seed,
            "noise_shape": self.noise_shape,
        }
