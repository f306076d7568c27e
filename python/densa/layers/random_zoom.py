"""`RandomZoom`: scale images at random while training."""

from __future__ import annotations

from typing import Any

from densa.layers._images import SampledImageLayer, factor_range


class RandomZoom(SampledImageLayer):
    """While training, zoom each image around its middle: 1 + factor times as much is seen.

    It acts in `fit` and when it is called by itself; `predict`, `evaluate` and frozen networks pass
    images on.

    Args:
        height_factor: a pair (lower, upper) in (-1, 1]; one number f stands for (-f, f). Negative
            zooms in, positive out.
        width_factor: the same for the width; None takes the height's number, which keeps the shape.
        fill_mode: what lies beyond an edge; see `RandomTranslation`.
        interpolation: `"bilinear"` or `"nearest"`.
        seed: integer for the factors; None takes one from the global generator.
        fill_value: the number of `fill_mode="constant"`.
        data_format: `"channels_last"` or `"channels_first"`.

    Raises:
        ValueError: for factors, names or inputs that do not fit.

    Example:
        >>> images = np.zeros((2, 8, 8, 1), "float32")
        >>> densa.layers.RandomZoom(0.2, seed=1)(images).shape
        (2, 8, 8, 1)
    """

    def __init__(
        self,
        height_factor: Any,
        width_factor: Any = None,
        fill_mode: str = "reflect",
        interpolation: str = "bilinear",
        seed: int | None = None,
        fill_value: float = 0.0,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(fill_mode, interpolation, seed, fill_value, data_format, **kwargs)
        self.height_factor, self.width_factor = height_factor, width_factor
        self._factors = [
            factor_range(f, name, "RandomZoom", open_low=True)
            for f, name in ((height_factor, "height_factor"), (width_factor, "width_factor"))
            if f is not None or name == "height_factor"
        ]

    def _augment(self, x: Any) -> Any:
        height, width = self._sides(x.shape)
        right, down = (width - 1) / 2, (height - 1) / 2  # the middle
        rows = [[0, 0, 0, 0, 1, -down], [1, 0, -right, 0, 0, 0]]
        if len(self._factors) == 1:
            rows = [[1, 0, -right, 0, 1, -down]]
        scales = self._uniform(x, [(1 + low, 1 + high) for low, high in self._factors])
        return self._moved(x, scales, rows, [0, 0, right, 0, 0, down], **self._how)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "height_factor": self.height_factor,
            "width_factor": self.width_factor,
        }
