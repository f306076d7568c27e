"""`Subtract`: first input minus the second."""

from __future__ import annotations

from typing import Any

from densa.layers.merge import Merge


class Subtract(Merge):
    """Return the first input minus the second.

    Args:
        **kwargs: of `Layer`: name, dtype, trainable.

    Raises:
        ValueError: for shapes that do not broadcast.

    Example:
        >>> a, b = np.full((1, 2), 6.0, "float32"), np.full((1, 2), 2.0, "float32")
        >>> densa.layers.Subtract()([a, b]).numpy()
        array([[4., 4.]], dtype=float32)
    """

    _op = "subtract"
    _exactly = 2


def subtract(inputs: Any, **kwargs: Any) -> Any:
    """Return `Subtract(**kwargs)(inputs)`.

    Args:
        inputs: a list of two tensors.
        **kwargs: the layer's: name, dtype.

    Raises:
        ValueError: for shapes that do not broadcast.

    Example:
        >>> a, b = np.full((1, 2), 6.0, "float32"), np.full((1, 2), 2.0, "float32")
        >>> densa.layers.subtract([a, b]).numpy()
        array([[4., 4.]], dtype=float32)
    """
    return Subtract(**kwargs)(inputs)
