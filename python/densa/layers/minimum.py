"""`Minimum`: smallest of the inputs, element by element."""

from __future__ import annotations

from typing import Any

from densa.layers.merge import Extreme


class Minimum(Extreme):
    """Return the smallest of the inputs, element by element.

    Args:
        **kwargs: of `Layer`: name, dtype, trainable.

    Raises:
        ValueError: for shapes that do not broadcast.

    Example:
        >>> a, b = np.full((1, 2), 6.0, "float32"), np.full((1, 2), 2.0, "float32")
        >>> densa.layers.Minimum()([a, b]).numpy()
        array([[2., 2.]], dtype=float32)
    """

    _op = "minimum"


def minimum(inputs: Any, **kwargs: Any) -> Any:
    """Return `Minimum(**kwargs)(inputs)`.

    Args:
        inputs: a list of tensors, arrays or symbolic tensors.
        **kwargs: the layer's: name, dtype.

    Raises:
        ValueError: for shapes that do not broadcast.

    Example:
        >>> a, b = np.full((1, 2), 6.0, "float32"), np.full((1, 2), 2.0, "float32")
        >>> densa.layers.minimum([a, b]).numpy()
        array([[2., 2.]], dtype=float32)
    """
    return Minimum(**kwargs)(inputs)
