"""`Multiply`: product of the inputs."""

from __future__ import annotations

from typing import Any

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
