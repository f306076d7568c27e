"""`Multiply`: product of the inputs."""

from __future__ import annotations

from typing import Any

from densa import _core
from densa.layers.merge import Merge


class Multiply(Merge):
    """Return the product of the inputs.

    Args:
        **kwargs: of `Layer`: name, dtype, trainable.

    Raises:
        ValueError: for shapes that do not broadcast.

    Example:
        >>> a, b = np.full((1, 2), 6.0, "float32"), np.full((1, 2), 2.0, "float32")
        >>> densa.layers.Multiply()([a, b]).numpy()
        array([[12., 12.]], dtype=float32)
    """

    _op = "multiply"

    def _fold_masked(self, inputs: list[Any], kept: list[Any]) -> Any:
        # What is left out is no factor; the product of none is 0, as of padding.
        out, some = None, None
        for x, mask in zip(inputs, kept, strict=True):
            factor = x if mask is None else _core.apply("where", mask, x, 1)
            out = factor if out is None else _core.apply("multiply", out, factor)
            if mask is not None:
                some = mask if some is None else _core.apply("logical_or", some, mask)
        return out if any(mask is None for mask in kept) else _core.apply("where", some, out, 0)


def multiply(inputs: Any, **kwargs: Any) -> Any:
    """Return `Multiply(**kwargs)(inputs)`.

    Args:
        inputs: a list of tensors, arrays or symbolic tensors.
        **kwargs: the layer's: name, dtype.

    Raises:
        ValueError: for shapes that do not broadcast.

    Example:
        >>> a, b = np.full((1, 2), 6.0, "float32"), np.full((1, 2), 2.0, "float32")
        >>> densa.layers.multiply([a, b]).numpy()
        array([[12., 12.]], dtype=float32)
    """
    return Multiply(**kwargs)(inputs)
