"""`Softmax` as a layer."""

from __future__ import annotations

from typing import Any

from densa import _core, activations, config
from densa._numbers import check_axis
from densa.layers._helpers import axes_of
from densa.layers.layer import Layer


class Softmax(Layer):
    """exp(x) divided by its sum along `axis`.

    Args:
        axis: the axis, or several.

    Raises:
        TypeError: if the axis is none.
        ValueError: if the input has no such axis, already when a model is built.

    Example:
        >>> densa.layers.Softmax()(np.zeros((1, 4), "float32")).numpy()
        array([[0.25, 0.25, 0.25, 0.25]], dtype=float32)
    """

    _passes_masks = True
    _masks_by_hand = True  # a mask handed on is one of places, not of classes

    def __init__(self, axis: Any = -1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.axis = check_axis(axis, owner="Softmax")
        self.built = True

    def call(self, inputs: Any, mask: Any = None) -> Any:
        """Return the shares; where `mask` is False they are 0."""
        if mask is not None:
            keep = mask if str(mask.dtype) == "bool" else _core.apply("cast", mask, dtype="bool")
            low, _ = config.float_limits(str(inputs.dtype))
            inputs = _core.apply("where", keep, inputs, low)
        if isinstance(self.axis, int):
            return activations.softmax(inputs, axis=self.axis)
        if len(self.axis) == 1:
            return activations.softmax(inputs, axis=self.axis[0])
        total = _core.apply("logsumexp", inputs, axis=self.axis, keepdims=True)
        return _core.apply("exp", _core.apply("subtract", inputs, total))

    def compute_output_shape(self, input_shape: Any) -> Any:
        axes_of(self.axis, len(input_shape), self.name)
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "axis": self.axis}
