"""`RandomRotation`: turn images at random while training."""

from __future__ import annotations

import math
from typing import Any

from densa import _core
from densa.layers._images import SampledImageLayer, factor_range


class RandomRotation(SampledImageLayer):
    """While training, turn each image around its middle by a random angle, factor · 2π.

    It acts in `fit` and when it is called by itself; `predict`, `evaluate` and frozen networks pass
    images on.

    Args:
        factor: shares of a full turn, a pair (lower, upper) in [-1, 1]; one number f stands for
            (-f, f). Positive turns counter-clockwise.
        fill_mode: what lies beyond an edge; see `RandomTranslation`.
        interpolation: `"bilinear"` or `"nearest"`.
        seed: integer for the angles; None takes one from the global generator.
        fill_value: the number of `fill_mode="constant"`.
        data_format: `"channels_last"` or `"channels_first"`.

    Raises:
        ValueError: for factors, names or inputs that do not fit.

    Example:
        >>> images = np.zeros((2, 8, 8, 1), "float32")
        >>> densa.layers.RandomRotation(0.05, seed=1)(images).shape
        (2, 8, 8, 1)
    """

    def __init__(
        self,
        factor: Any,
        fill_mode: str = "reflect",
        interpolation: str = "bilinear",
        seed: int | None = None,
        fill_value: float = 0.0,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(fill_mode, interpolation, seed, fill_value, data_format, **kwargs)
        self.factor = factor
        self._turns = factor_range(factor, "factor", "RandomRotation")

    def _augment(self, x: Any) -> Any:
        height, width = self._sides(x.shape)
        right, down = (width - 1) / 2, (height - 1) / 2  # the middle
        angle = self._uniform(x, [[2 * math.pi * turn for turn in self._turns]])
        both = [_core.apply("cos", angle), _core.apply("sin", angle)]
        features = _core.apply("concatenate", *both, axis=1)
        rows = [[1, 0, -right, 0, 1, -down], [0, -1, down, 1, 0, -right]]
        return self._moved(x, features, rows, [0, 0, right, 0, 0, down], **self._how)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "factor": self.factor}
