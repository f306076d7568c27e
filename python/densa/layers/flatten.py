"""`Flatten`: each sample as one row."""

from __future__ import annotations

from typing import Any

from densa import _core
from densa.layers._helpers import data_format_of, reshape_rows
from densa.layers._shapes import merge_shape_product
from densa.layers.input_spec import InputSpec
from densa.layers.layer import Layer


class Flatten(Layer):
    """Bring (batch, a, b, …) to (batch, a·b·…); (batch,) becomes (batch, 1).

    Args:
        data_format: `"channels_last"`, or `"channels_first"` to move axis 1 to the end first.

    Example:
        >>> densa.layers.Flatten()(np.zeros((2, 3, 4), "float32")).shape
        (2, 12)
    """

    _keeps_dtype = True

    def __init__(self, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.data_format = data_format_of(type(self).__name__, data_format)
        self.input_spec = InputSpec(min_ndim=1)
        self.built = True

    def call(self, inputs: Any) -> Any:
        rank = len(inputs.shape)
        if rank == 2:
            return inputs
        if self.data_format == "channels_first" and rank > 2:
            inputs = _core.apply("transpose", inputs, perm=[0, *range(2, rank), 1])
        size = merge_shape_product(inputs.shape[1:])
        return reshape_rows(inputs, (-1 if size is None else size,))

    def compute_output_shape(self, input_shape: Any) -> Any:
        return (input_shape[0], merge_shape_product(input_shape[1:]))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "data_format": self.data_format}
