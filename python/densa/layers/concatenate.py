"""`Concatenate`: side by side."""

from __future__ import annotations

from typing import Any, cast

from densa import _core, ops
from densa._numbers import check_axis
from densa.layers.merge import Merge, check_masks, mask_of_rank


class Concatenate(Merge):
    """Put the inputs one after the other along an axis.

    Args:
        axis: the axis; not the batch.

    Raises:
        TypeError: if the axis is no int.
        ValueError: if sizes differ along another axis.

    Example:
        >>> a, b = np.zeros((1, 2), "float32"), np.ones((1, 1), "float32")
        >>> densa.layers.Concatenate()([a, b]).numpy()
        array([[0., 0., 1.]], dtype=float32)
    """

    _keeps_dtype = True

    def __init__(self, axis: int = -1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if isinstance(axis, (list, tuple)):
            raise TypeError(f"Concatenate: `axis` must be one int; received {axis!r}.")
        self.axis = cast(int, check_axis(axis, owner="Concatenate"))

    def call(self, inputs: Any) -> Any:
        self._check(inputs)
        axis = self.axis + len(inputs[0].shape) if self.axis < 0 else self.axis
        return inputs[0] if len(inputs) == 1 else _core.apply("concatenate", *inputs, axis=axis)

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        """Return the masks side by side; along the features, where any input counts."""
        if previous_mask is None:
            return None
        check_masks(previous_mask, inputs, self.name)
        rank = len(inputs[0].shape)
        axis = self.axis + rank if self.axis < 0 else self.axis
        if axis == rank - 1:
            return super().compute_mask(inputs, previous_mask)
        if all(mask is None for mask in previous_mask):
            return None
        masks = []
        for x, mask in zip(inputs, previous_mask, strict=True):
            kept = ops.ones_like(x[..., 0], dtype="bool")
            if mask is not None:
                kept = ops.logical_and(kept, mask_of_rank(mask, rank - 1))
            masks.append(kept)
        return ops.concatenate(masks, axis=axis)

    def compute_output_shape(self, input_shape: Any) -> Any:
        self._check(input_shape)
        rank = len(input_shape[0])
        axis = self.axis + rank if self.axis < 0 else self.axis
        fits = 0 <= axis < rank and all(len(s) == rank for s in input_shape)
        out = list(input_shape[0])
        for shape in input_shape[1:] if fits else ():
            for a, (m, n) in enumerate(zip(out, shape, strict=True)):
                if a == axis:
                    out[a] = None if m is None or n is None else m + n
                elif m is None or n is None:
                    out[a] = None if a == 0 else m or n
                elif m != n:
                    fits = False
        if not fits:
            raise ValueError(
                "A `Concatenate` layer requires inputs with matching shapes except for the "
                f"concatenation axis. Received: input_shape={[tuple(s) for s in input_shape]} "
                f"with axis={self.axis} (layer '{self.name}')"
            )
        return tuple(out)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "axis": self.axis}


def concatenate(inputs: Any, axis: int = -1, **kwargs: Any) -> Any:
    """Return `Concatenate(axis, **kwargs)(inputs)`.

    Args:
        inputs: a list of tensors, arrays or symbolic tensors.
        axis: the axis; not the batch.
        **kwargs: the layer's: name, dtype.

    Raises:
        ValueError: if sizes differ along another axis.

    Example:
        >>> a, b = np.zeros((1, 2), "float32"), np.ones((1, 1), "float32")
        >>> densa.layers.concatenate([a, b]).numpy()
        array([[0., 0., 1.]], dtype=float32)
    """
    return Concatenate(axis=axis, **kwargs)(inputs)
