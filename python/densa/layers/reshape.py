"""`Reshape`: other sizes for each sample."""

from __future__ import annotations

import math
from typing import Any

from densa._symbolic import Shape
from densa.layers._helpers import reshape_rows, sizes_from
from densa.layers._shapes import merge_shape_product
from densa.layers.layer import Layer


class Reshape(Layer):
    """Bring each sample to `target_shape`, in row-major order.

    Args:
        target_shape: sizes without the batch; one may be -1.

    Raises:
        ValueError: if the number of elements does not fit.

    Example:
        >>> densa.layers.Reshape((2, -1))(np.zeros((5, 6), "float32")).shape
        (5, 2, 3)
    """

    _keeps_dtype = True

    def __init__(self, target_shape: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.target_shape = sizes_from("Reshape: `target_shape`", target_shape)
        if self.target_shape.count(-1) > 1 or any(d < -1 for d in self.target_shape):
            raise ValueError(
                f"`target_shape` must hold sizes, of which one may be -1; got {self.target_shape}."
            )

    def _resolve(self, sample: Any) -> Shape:
        total = merge_shape_product(sample)
        known = math.prod(d for d in self.target_shape if d != -1)
        if total is None:
            return tuple(None if d == -1 else d for d in self.target_shape)
        fits = total == known
        if -1 in self.target_shape:
            fits = known > 0 and total % known == 0
        if not fits:
            raise ValueError(
                "The total size of the tensor must be unchanged. Received: input_shape="
                f"{tuple(sample)}, target_shape={self.target_shape} (layer '{self.name}')"
            )
        return tuple(total // known if d == -1 else d for d in self.target_shape)

    def build(self, input_shape: Any) -> None:
        self._resolve(input_shape[1:])

    def call(self, inputs: Any) -> Any:
        sizes = self._resolve(inputs.shape[1:])
        return reshape_rows(inputs, tuple(-1 if d is None else d for d in sizes))

    def compute_output_shape(self, input_shape: Any) -> Any:
        return (input_shape[0], *self._resolve(input_shape[1:]))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "target_shape": self.target_shape}
