"""`RandomBrightness`: make images lighter or darker at random while training."""

from __future__ import annotations

from typing import Any

from densa import _core
from densa.layers._images import ImageLayer, clipped, factor_range, value_range_of


class RandomBrightness(ImageLayer):
    """While training, add to each image factor · (highest - lowest value), and clip to the range.

    It acts in `fit` and when it is called by itself; `predict`, `evaluate` and frozen networks pass
    images on.

    Args:
        factor: a pair (lower, upper) in [-1, 1]; one number f stands for (-f, f).
        value_range: lowest and highest value of an image.
        seed: integer for the factors; None takes one from the global generator.

    Raises:
        ValueError: for factors, a range or inputs that do not fit.

    Example:
        >>> images = np.zeros((2, 8, 8, 1), "float32")
        >>> densa.layers.RandomBrightness(0.2, value_range=(0, 1), seed=1)(images).shape
        (2, 8, 8, 1)
    """

    def __init__(
        self, factor: Any, value_range: Any = (0, 255), seed: int | None = None, **kwargs: Any
    ) -> None:
        super().__init__(seed, kwargs.pop("data_format", None), **kwargs)
        self.factor = factor
        self.value_range = value_range_of(value_range, "RandomBrightness")
        self._factors = factor_range(factor, "factor", "RandomBrightness")

    def _augment(self, x: Any) -> Any:
        low, high = self.value_range
        change = self._uniform(x, [[f * (high - low) for f in self._factors]])
        rows = x.shape[0]
        change = _core.apply("reshape", change, shape=[-1 if rows is None else int(rows), 1, 1, 1])
        return clipped(_core.apply("add", x, change), self.value_range)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "factor": self.factor, "value_range": self.value_range}
