"""Images brought to one size: `Resizing` and `CenterCrop`."""

from __future__ import annotations

from typing import Any

from densa._numbers import whole_number
from densa.layers._helpers import as_float, one_of
from densa.layers.layer import Layer
from densa.ops import image


class _OfOneSize(Layer):
    def __init__(self, height: int, width: int, data_format: str | None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.height, self.width = whole_number("height", height), whole_number("width", width)
        formats = ("channels_last", "channels_first")
        name = type(self).__name__
        self.data_format = one_of(data_format or formats[0], formats, "data_format", name)
        self.built = True

    def compute_output_shape(self, input_shape: Any) -> Any:
        shape = list(input_shape)
        first = -3 if self.data_format == "channels_last" else -2
        shape[first], shape[first + 1] = self.height, self.width
        return tuple(shape)

    def get_config(self) -> dict[str, Any]:
        kept = {"height": self.height, "width": self.width, "data_format": self.data_format}
        return {**super().get_config(), **kept}


class Resizing(_OfOneSize):
    """Images in another size, by `densa.ops.image.resize`; in a model, as a part of it.

    Args:
        height: rows to have.
        width: columns to have.
        interpolation: "bilinear", "nearest", "bicubic", "lanczos3" or "lanczos5".
        crop_to_aspect_ratio: cut away what is too wide or too high first.
        pad_to_aspect_ratio: put a border around first.
        fill_mode: of the border: "constant".
        fill_value: the border's value.
        antialias: whether to take in more pixels where an image gets smaller.
        data_format: "channels_last" (None) or "channels_first".

    Raises:
        ValueError: for sizes below 1, other names, or images of another rank.

    Example:
        >>> densa.layers.Resizing(4, 4)(np.ones((2, 8, 8, 1), "float32")).shape
        (2, 4, 4, 1)
    """

    def __init__(
        self,
        height: int,
        width: int,
        interpolation: str = "bilinear",
        crop_to_aspect_ratio: bool = False,
        pad_to_aspect_ratio: bool = False,
        fill_mode: str = "constant",
        fill_value: float = 0.0,
        antialias: bool = False,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(height, width, data_format, **kwargs)
        self._how = {
            "interpolation": interpolation,
            "crop_to_aspect_ratio": crop_to_aspect_ratio,
            "pad_to_aspect_ratio": pad_to_aspect_ratio,
            "fill_mode": fill_mode,
            "fill_value": fill_value,
            "antialias": antialias,
        }
        self._resized(image_of(2, self.data_format))  # which refuses what does not fit

    def _resized(self, x: Any) -> Any:
        size = (self.height, self.width)
        return image.resize(x, size, data_format=self.data_format, **self._how)

    def call(self, inputs: Any) -> Any:
        return self._resized(as_float(inputs, self.compute_dtype))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **self._how}


class CenterCrop(_OfOneSize):
    """The middle of images; one that is too small is resized, keeping its shape, and then cut.

    Args:
        height: rows to have.
        width: columns to have.
        data_format: "channels_last" (None) or "channels_first".

    Raises:
        ValueError: for sizes below 1, or images of another rank.

    Example:
        >>> densa.layers.CenterCrop(2, 2)(np.ones((1, 4, 6, 3), "float32")).shape
        (1, 2, 2, 3)
    """

    def __init__(
        self, height: int, width: int, data_format: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(height, width, data_format, **kwargs)

    def call(self, inputs: Any) -> Any:
        x = as_float(inputs, self.compute_dtype)
        first = len(x.shape) - (3 if self.data_format == "channels_last" else 2)
        rows, columns = x.shape[first : first + 2]
        if rows < self.height or columns < self.width:
            size = (self.height, self.width)
            return image.resize(x, size, crop_to_aspect_ratio=True, data_format=self.data_format)
        return image.crop_images(
            x,
            top_cropping=(rows - self.height) // 2,
            left_cropping=(columns - self.width) // 2,
            target_height=self.height,
            target_width=self.width,
            data_format=self.data_format,
        )


def image_of(size: int, data_format: str) -> Any:
    """Return a small image of zeros to try arguments on."""
    import numpy as np

    return np.zeros((size, size, 1) if data_format == "channels_last" else (1, size, size), "f4")
