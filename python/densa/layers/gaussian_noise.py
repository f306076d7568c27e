"""`GaussianNoise`: add random numbers while training."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from densa import _core, random
from densa.device import beside
from densa.layers.layer import Layer


def normal_like(inputs: Any, mean: float, stddev: float, generator: random.SeedGenerator) -> Any:
    """Return normal noise of the input's shape; also while a model is recorded."""
    noise = _core.apply(
        "random_normal",
        shape=[-1 if d is None else int(d) for d in inputs.shape],
        dtype=str(inputs.dtype),
        **generator.draw(),
    )
    return beside(noise, inputs) * stddev + mean


class GaussianNoise(Layer):
    """While training, add normal noise of mean 0.

    Args:
        stddev: its standard deviation.
        seed: integer for the noise; None takes one from the global generator.

    Raises:
        ValueError: for a negative deviation.

    Example:
        >>> densa.layers.GaussianNoise(0.1)(np.ones((1, 2), "float32")).numpy()
        array([[1., 1.]], dtype=float32)
    """

    _passes_masks = True

    def __init__(self, stddev: float, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not isinstance(stddev, (int, float, np.number)) or not 0 <= stddev < math.inf:
            raise ValueError(
                "Invalid value received for argument `stddev`. Expected a finite float value >= 0. "
                f"Received: stddev={stddev}"
            )
        self.stddev = float(stddev)
        self.seed = seed
        if self.stddev > 0:
            self.seed_generator = random.SeedGenerator(seed)
        self.built = True

    def call(self, inputs: Any, training: bool = False) -> Any:
        if not training or self.stddev == 0:
            return inputs
        return inputs + normal_like(inputs, 0.0, self.stddev, self.seed_generator)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "stddev": self.stddev, "seed": self.seed}
