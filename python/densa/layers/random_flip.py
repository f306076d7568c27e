"""`RandomFlip`: mirror images at random while training."""

from __future__ import annotations

from typing import Any

from densa import _core
from densa.layers._helpers import as_float, one_of
from densa.layers._images import ImageLayer

_MODES = ("horizontal", "vertical", "horizontal_and_vertical")


class RandomFlip(ImageLayer):
    """While training, mirror each image with probability 1/2: left-right, upside down, or each.

    It acts in `fit` and when it is called by itself; `predict`, `evaluate` and frozen networks pass
    images on.

    Args:
        mode: `"horizontal"`, `"vertical"`, or `"horizontal_and_vertical"`, where both are decided
            for themselves.
        seed: integer for the choices; None takes one from the global generator.
        data_format: `"channels_last"` or `"channels_first"`.

    Raises:
        ValueError: for another mode or format, or inputs that are no images.

    Example:
        >>> images = np.zeros((2, 8, 8, 1), "float32")
        >>> densa.layers.RandomFlip("horizontal", seed=1)(images).shape
        (2, 8, 8, 1)
    """

    def __init__(
        self,
        mode: str = "horizontal_and_vertical",
        seed: int | None = None,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(seed, data_format, **kwargs)
        self.mode = one_of(mode, _MODES, "mode", "RandomFlip")

    def _augment(self, x: Any) -> Any:
        height, width = self._sides(x.shape)
        rows = {
            "horizontal": [-2.0, 0, width - 1, 0, 0, 0],
            "vertical": [0.0, 0, 0, 0, -2, height - 1],
        }
        wanted = [row for name, row in rows.items() if name in self.mode]
        flips = self._uniform(x, [(0.0, 1.0)] * len(wanted))
        flips = as_float(_core.apply("less", flips, 0.5), str(x.dtype))
        return self._moved(x, flips, wanted, [1, 0, 0, 0, 1, 0], interpolation="nearest")

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "mode": self.mode}
