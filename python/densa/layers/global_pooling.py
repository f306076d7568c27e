"""Means and maxima over the places of a sequence or an image."""

from __future__ import annotations

from typing import Any

from densa import _core
from densa.layers._helpers import as_float, data_format_of
from densa.layers.input_spec import InputSpec
from densa.layers.layer import Layer


class GlobalPooling(Layer):
    """The base of the four: reduces the axes between the batch and the features."""

    _rank = 3
    _how = "mean"

    def __init__(
        self, data_format: str | None = None, keepdims: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.data_format = data_format_of(type(self).__name__, data_format)
        self.keepdims = bool(keepdims)
        self.input_spec = InputSpec(ndim=self._rank)
        self.built = True

    @property
    def _axes(self) -> list[int]:
        first = 1 if self.data_format == "channels_last" else 2
        return list(range(first, first + self._rank - 2))

    def call(self, inputs: Any) -> Any:
        return _core.apply(self._how, inputs, axis=self._axes, keepdims=self.keepdims)

    def compute_output_shape(self, input_shape: Any) -> Any:
        axes = self._axes
        if self.keepdims:
            return tuple(1 if i in axes else d for i, d in enumerate(input_shape))
        return tuple(d for i, d in enumerate(input_shape) if i not in axes)

    def get_config(self) -> dict[str, Any]:
        kept = {"data_format": self.data_format, "keepdims": self.keepdims}
        return {**super().get_config(), **kept}


class GlobalAveragePooling1D(GlobalPooling):
    """The mean over the steps of a sequence; with a mask, over those that count.

    A row of which no step counts gives zeros; Keras divides 0 by 0 there, and one such row would
    turn all weights to NaN.

    Args:
        data_format: "channels_last", (batch, steps, features), or "channels_first".
        keepdims: keep the axis of the steps with size one.

    Example:
        >>> densa.layers.GlobalAveragePooling1D()(np.ones((2, 3, 4), "float32")).shape
        (2, 4)
    """

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        return None

    def __init__(
        self, data_format: str | None = None, keepdims: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(data_format, keepdims, **kwargs)
        self.supports_masking = True

    def call(self, inputs: Any, mask: Any = None) -> Any:
        """Return the means; steps where `mask` is False are left out."""
        if mask is None:
            return super().call(inputs)
        axis = self._axes[0]
        shape = [-1 if d is None else int(d) for d in mask.shape]
        shape.insert(2 if axis == 1 else 1, 1)
        counted = _core.apply("reshape", as_float(mask, str(inputs.dtype)), shape=shape)
        total = _core.apply("sum", _core.apply("multiply", inputs, counted), axis=[axis],
                            keepdims=self.keepdims)  # fmt: skip
        number = _core.apply("sum", counted, axis=[axis], keepdims=self.keepdims)
        return _core.apply("divide", total, _core.apply("maximum", number, 1))


class GlobalMaxPooling1D(GlobalPooling):
    """The largest value of each feature over the steps of a sequence.

    Args:
        data_format: "channels_last", (batch, steps, features), or "channels_first".
        keepdims: keep the axis of the steps with size one.

    Example:
        >>> densa.layers.GlobalMaxPooling1D()(np.ones((2, 3, 4), "float32")).shape
        (2, 4)
    """

    _how = "max"


class GlobalAveragePooling2D(GlobalPooling):
    """The mean of each channel over the places of an image.

    Args:
        data_format: "channels_last", (batch, height, width, channels), or "channels_first".
        keepdims: keep the axes of height and width with size one.

    Example:
        >>> densa.layers.GlobalAveragePooling2D()(np.ones((2, 5, 3, 4), "float32")).shape
        (2, 4)
    """

    _rank = 4


class GlobalMaxPooling2D(GlobalPooling):
    """The largest value of each channel over the places of an image.

    Args:
        data_format: "channels_last", (batch, height, width, channels), or "channels_first".
        keepdims: keep the axes of height and width with size one.

    Example:
        >>> densa.layers.GlobalMaxPooling2D()(np.ones((2, 5, 3, 4), "float32")).shape
        (2, 4)
    """

    _rank = 4
    _how = "max"
