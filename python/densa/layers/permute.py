"""`Permute`: the axes of each sample in another order."""

from __future__ import annotations

from typing import Any

from densa import _core
from densa.layers._helpers import sizes_from
from densa.layers.input_spec import InputSpec
from densa.layers.layer import Layer


class Permute(Layer):
    """Reorder the axes of each sample.

    Args:
        dims: the old numbers of the new axes, counted from 1; the batch stays first.

    Raises:
        ValueError: if dims is not a permutation of 1…n.

    Example:
        >>> densa.layers.Permute((2, 1))(np.zeros((5, 3, 4), "float32")).shape
        (5, 4, 3)
    """

    _keeps_dtype = True

    def __init__(self, dims: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.dims = sizes_from("Permute: `dims`", dims)
        if sorted(self.dims) != list(range(1, len(self.dims) + 1)):
            raise ValueError(
                "Invalid permutation argument `dims` for Permute Layer. The set of indices in "
                f"`dims` must be consecutive and start from 1. Received dims={self.dims}"
            )
        self.input_spec = InputSpec(ndim=len(self.dims) + 1)
        self.built = True

    def call(self, inputs: Any) -> Any:
        return _core.apply("transpose", inputs, perm=[0, *self.dims])

    def compute_output_shape(self, input_shape: Any) -> Any:
        return (input_shape[0], *(input_shape[d] for d in self.dims))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "dims": self.dims}
