"""`GaussianDropout`: multiply by random numbers around one while training."""

from __future__ import annotations

import math
from typing import Any

from densa import random
from densa._scope import in_monte_carlo_scope
from densa.layers.dropout import check_rate
from densa.layers.gaussian_noise import normal_like
from densa.layers.layer import Layer


class GaussianDropout(Layer):
    """While training, multiply by normal noise of mean 1 and deviation sqrt(rate / (1 - rate)).

    Args:
        rate: from 0 to below 1, as for Dropout.
        seed: integer for the noise; None takes one from the global generator.

    Raises:
        ValueError: for a rate outside of [0, 1).

    Example:
        >>> densa.layers.GaussianDropout(0.1)(np.ones((1, 2), "float32")).numpy()
        array([[1., 1.]], dtype=float32)
    """

    _passes_masks = True

    def __init__(self, rate: float, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.rate = check_rate(rate, self.name)
        self.seed = seed
        if self.rate > 0:
            self.seed_generator = random.SeedGenerator(seed)
        self.built = True

    def call(self, inputs: Any, training: bool = False) -> Any:
        if not (training or in_monte_carlo_scope()) or self.rate == 0:
            return inputs
        stddev = math.sqrt(self.rate / (1.0 - self.rate))
        return inputs * normal_like(inputs, 1.0, stddev, self.seed_generator)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "rate": self.rate, "seed": self.seed}
