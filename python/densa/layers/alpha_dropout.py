"""`AlphaDropout`: dropout that keeps mean and variance of self-normalizing networks."""

from __future__ import annotations

import math
from typing import Any

from densa import random
from densa._scope import in_monte_carlo_scope
from densa.layers._helpers import mask_shape
from densa.layers.dropout import check_rate
from densa.layers.layer import Layer

# Where SELU saturates: -scale · alpha.
_ALPHA_P = -1.0507009873554804934193349852946 * 1.6732632423543772848170429916717


class AlphaDropout(Layer):
    """While training, set a share of the inputs to SELU's negative limit.

    The result is then scaled and shifted so that mean 0 and variance 1 stay.

    Args:
        rate: share to drop, from 0 to below 1.
        noise_shape: shape of the mask; None means the input's.
        seed: integer for the mask.

    Raises:
        ValueError: for a rate outside of [0, 1).

    Example:
        >>> densa.layers.AlphaDropout(0.1)(np.ones((1, 2), "float32")).numpy()
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
        keep = 1.0 - self.rate
        scale = 1.0 / math.sqrt(keep * (1.0 + self.rate * _ALPHA_P**2))
        shift = -scale * _ALPHA_P * self.rate
        ones = inputs * 0.0 + 1.0
        mask = random.dropout(ones, self.rate, self.noise_shape, self.seed_generator) * keep
        mixed = inputs * mask + (1.0 - mask) * _ALPHA_P
        return mixed * scale + shift

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "rate": self.rate,
            "seed": self.seed,
            "noise_shape": self.noise_shape,
        }
