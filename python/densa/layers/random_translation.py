"""`RandomTranslation`: shift images at random while training."""

from __future__ import annotations

from typing import Any

from densa.layers._images import SampledImageLayer, factor_range


class RandomTranslation(SampledImageLayer):
    """While training, shift each image down and to the right by random shares of its size.

    It acts in `fit` and when it is called by itself; `predict`, `evaluate` and frozen networks pass
    images on.

    Args:
        height_factor: shares of the height, a pair (lower, upper) in [-1, 1]; one number f stands
            for (-f, f). Negative shifts up.
        width_factor: shares of the width; negative shifts to the left.
        fill_mode: what lies beyond an edge: `"reflect"` mirrors (d c b a | a b c d | d c b a),
            `"wrap"` begins again, `"nearest"` repeats the edge, `"constant"` is `fill_value`.
        interpolation: `"bilinear"` or `"nearest"`.
        seed: integer for the shifts; None takes one from the global generator.
        fill_value: the number of `"constant"`.
        data_format: `"channels_last"` or `"channels_first"`.

    Raises:
        ValueError: for factors, names or inputs that do not fit.

    Example:
        >>> images = np.zeros((2, 8, 8, 1), "float32")
        >>> densa.layers.RandomTranslation(0.1, 0.1, seed=1)(images).shape
        (2, 8, 8, 1)
    """

    def __init__(
        self,
        height_factor: Any,
        width_factor: Any,
        fill_mode: str = "reflect",
        interpolation: str = "bilinear",
        seed: int | None = None,
        fill_value: float = 0.0,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(fill_mode, interpolation, seed, fill_value, data_format, **kwargs)
        self.height_factor, self.width_factor = height_factor, width_factor
        self._shares = [
            factor_range(width_factor, "width_factor", "RandomTranslation"),
            factor_range(height_factor, "height_factor", "RandomTranslation"),
        ]

    def _augment(self, x: Any) -> Any:
        height, width = self._sides(x.shape)
        rows = [[0, 0, -float(width), 0, 0, 0], [0, 0, 0, 0, 0, -float(height)]]
        shares = self._uniform(x, self._shares)
        return self._moved(x, shares, rows, [1, 0, 0, 0, 1, 0], **self._how)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "height_factor": self.height_factor,
            "width_factor": self.width_factor,
        }
