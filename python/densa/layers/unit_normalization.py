"""`UnitNormalization`: give each sample the length one."""

from __future__ import annotations

from typing import Any

from densa._numbers import check_axis
from densa.layers._helpers import as_float, axes_of, of_length_one
from densa.layers.layer import Layer


class UnitNormalization(Layer):
    """y = x / ‖x‖, the Euclidean length over `axis`; a sample of zeros stays zeros.

    Args:
        axis: the axis (or axes) of a sample that become one of length 1.

    Raises:
        TypeError: for an axis that is no integer.
        ValueError: for an axis that samples do not have.

    Example:
        >>> densa.layers.UnitNormalization()(np.array([[3.0, 4.0]], "float32")).numpy()
        array([[0.6, 0.8]], dtype=float32)
    """

    _passes_masks = True

    def __init__(self, axis: Any = -1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.axis = check_axis(axis)
        self.built = True

    def call(self, inputs: Any) -> Any:
        x = as_float(inputs, self.variable_dtype)
        axes = axes_of(self.axis, len(x.shape), self.name, first=1)
        return as_float(of_length_one(x, axes), self.compute_dtype)

    def compute_output_shape(self, input_shape: Any) -> Any:
        axes_of(self.axis, len(input_shape), self.name, first=1)
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "axis": self.axis}
