"""`RReLU`: a leaky ReLU whose slope is drawn anew while training."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from densa import _core, random
from densa.layers._helpers import as_float, uniform
from densa.layers.layer import Layer


class RReLU(Layer):
    """max(x, 0) + slope · min(x, 0), the slope even in [lower, upper) for each element.

    While training every element of every batch draws its own slope, which regularizes; otherwise
    all have the mean (lower + upper) / 2.

    Args:
        lower: smallest slope.
        upper: largest slope.
        seed: integer for the slopes; None takes one from the global generator.

    Raises:
        ValueError: unless 0 <= lower <= upper.

    Example:
        >>> densa.layers.RReLU(0.25, 0.75)(np.array([[-1.0, 2.0]], "float32")).numpy()
        array([[-0.5,  2. ]], dtype=float32)
    """

    _passes_masks = True

    def __init__(
        self, lower: float = 1 / 8, upper: float = 1 / 3, *, seed: int | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        for name, value in (("lower", lower), ("upper", upper)):
            number = isinstance(value, (int, float, np.number)) and not isinstance(value, bool)
            if not number or not math.isfinite(value) or value < 0:
                raise ValueError(f"RReLU: `{name}` must be a number >= 0; received {value!r}.")
        if lower > upper:
            raise ValueError(f"RReLU: lower={lower} must not exceed upper={upper}.")
        self.lower = float(lower)
        self.upper = float(upper)
        self.seed = seed
        self.seed_generator = random.SeedGenerator(seed)
        self.built = True

    def call(self, inputs: Any, training: bool = False) -> Any:
        x = as_float(inputs, self.compute_dtype)
        if not training:
            slope = (self.lower + self.upper) / 2
            return _core.apply("leaky_relu", x, negative_slope=slope)
        slopes = uniform(x.shape, self.lower, self.upper, self.seed_generator, x)
        below = _core.apply("multiply", slopes, _core.apply("minimum", x, 0.0))
        return _core.apply("add", _core.apply("relu", x), below)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "lower": self.lower,
            "upper": self.upper,
            "seed": self.seed,
        }
