"""`RandomContrast`: change the contrast of images at random while training."""

from __future__ import annotations

from typing import Any

from densa import _core
from densa.layers._images import ImageLayer, clipped, factor_range, value_range_of


class RandomContrast(ImageLayer):
    """While training, (x - mean) · factor + mean for each image, clipped to the range of values.

    The mean is that of each channel of the image. It acts in `fit` and when it is called by itself;
    `predict`, `evaluate` and frozen networks pass images on.

    Args:
        factor: a pair (lower, upper) in [0, 1]: the factor is even in [1 - lower, 1 + upper]; one
            number stands for both.
        value_range: lowest and highest value of an image.
        seed: integer for the factors; None takes one from the global generator.

    Raises:
        ValueError: for factors, a range or inputs that do not fit.

    Example:
        >>> images = np.zeros((2, 8, 8, 1), "float32")
        >>> densa.layers.RandomContrast(0.2, value_range=(0, 1), seed=1)(images).shape
        (2, 8, 8, 1)
    """

    def __init__(
        self, factor: Any, value_range: Any = (0, 255), seed: int | None = None, **kwargs: Any
    ) -> None:
        super().__init__(seed, kwargs.pop("data_format", None), **kwargs)
        self.factor = factor
        self.value_range = value_range_of(value_range, "RandomContrast")
        given = factor if isinstance(factor, (tuple, list)) else (factor, factor)
        factor_range(given, "factor", "RandomContrast", low=0.0)
        self._factors = (1.0 - float(given[0]), 1.0 + float(given[1]))

    def _augment(self, x: Any) -> Any:
        rows = x.shape[0]
        factor = _core.apply(
            "reshape",
            self._uniform(x, [self._factors]),
            shape=[-1 if rows is None else int(rows), 1, 1, 1],
        )
        first = 1 if self.data_format == "channels_last" else 2
        mean = _core.apply("mean", x, axis=[first, first + 1], keepdims=True)
        spread = _core.apply("multiply", _core.apply("subtract", x, mean), factor)
        return clipped(_core.apply("add", spread, mean), self.value_range)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "factor": self.factor, "value_range": self.value_range}
