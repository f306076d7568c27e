"""`Identity`: pass on."""

from __future__ import annotations

from typing import Any

from densa._symbolic import KerasTensor
from densa.layers.layer import Layer
from densa.utils import tree


class Identity(Layer):
    """Return the input unchanged.

    Example:
        >>> densa.layers.Identity()(np.ones((1, 2), "float32")).shape
        (1, 2)
    """

    _passes_masks = True

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.built = True

    def call(self, inputs: Any) -> Any:
        return inputs

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        return tree.map_structure(lambda x: KerasTensor(x.shape, x.dtype), args[0])
