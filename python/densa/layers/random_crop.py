"""`RandomCrop`: cut a window out of images, at random while training."""

from __future__ import annotations

from typing import Any

import numpy as np

from densa import _core
from densa._numbers import whole_number
from densa.layers._images import ImageLayer


class RandomCrop(ImageLayer):
    """Cut a window of `height` × `width` out of each image: at a random place while training.

    Otherwise, and where images are smaller than the window, the largest window of its proportions
    in their middle is scaled to it. In Keras all images of a batch have one place; here each has
    its own.

    Args:
        height: height of the window.
        width: its width.
        seed: integer for the places; None takes one from the global generator.
        data_format: `"channels_last"` or `"channels_first"`.

    Raises:
        TypeError: for sizes that are no whole numbers.
        ValueError: for sizes below 1, or inputs that are no images.

    Example:
        >>> images = np.zeros((2, 8, 8, 1), "float32")
        >>> densa.layers.RandomCrop(6, 6, seed=1)(images).shape
        (2, 6, 6, 1)
    """

    def __init__(
        self,
        height: int,
        width: int,
        seed: int | None = None,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(seed, data_format, **kwargs)
        self.height = whole_number("height", height)
        self.width = whole_number("width", width)

    def _augment(self, x: Any) -> Any:
        height, width = self._sides(x.shape)
        if height < self.height or width < self.width:
            return self._as_in_inference(x)
        room = [(0.0, width - self.width + 1.0), (0.0, height - self.height + 1.0)]
        start = _core.apply("floor", self._uniform(x, room))
        # A product may be rounded up to the number that is left out.
        last = self._constant([width - self.width, height - self.height], x)
        start = _core.apply("minimum", start, last)
        rows = [[0, 0, 1, 0, 0, 0], [0, 0, 0, 0, 0, 1]]
        how = {"interpolation": "nearest", "height": self.height, "width": self.width}
        return self._moved(x, start, rows, [1, 0, 0, 0, 1, 0], **how)

    def _as_in_inference(self, x: Any) -> Any:
        height, width = self._sides(x.shape)
        # The largest window of the wanted proportions, as Keras rounds it.
        rows = max(min(height, int(width * self.height / self.width)), 1)
        columns = max(min(width, int(height * self.width / self.height)), 1)
        axis = 1 if self.data_format == "channels_last" else 2
        x = self._resampled(x, axis, (height - rows) // 2, rows, self.height)
        return self._resampled(x, axis + 1, (width - columns) // 2, columns, self.width)

    def _resampled(self, x: Any, axis: int, start: int, count: int, size: int) -> Any:
        """Return x with `count` places of an axis, from `start` on, scaled to `size`."""
        there = int(x.shape[axis])
        if count == size:
            if count == there:
                return x
            begin, end = [0] * 4, [2**63 - 1] * 4
            begin[axis], end[axis] = start, start + count
            return _core.apply("slice", x, begin=begin, end=end, step=[1] * 4)
        places = np.clip((np.arange(size) + 0.5) * count / size - 0.5, 0, count - 1) + start
        weights = np.maximum(0, 1 - np.abs(places - np.arange(there)[:, None]))
        perm = [a for a in range(4) if a != axis] + [axis]
        y = _core.apply("transpose", x, perm=perm)
        y = _core.apply("matmul", y, self._constant(weights, x))
        return _core.apply("transpose", y, perm=[perm.index(a) for a in range(4)])

    def compute_output_shape(self, input_shape: Any) -> Any:
        shape = super().compute_output_shape(input_shape)
        if isinstance(shape, dict):
            return shape
        first = len(shape) - (3 if self.data_format == "channels_last" else 2)
        return (*shape[:first], self.height, self.width, *shape[first + 2 :])

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "height": self.height, "width": self.width}
