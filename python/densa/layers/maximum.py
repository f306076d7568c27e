"""`Maximum`: largest of the inputs, element by element."""

from __future__ import annotations

from typing import Any

from densa.layers.merge import Extreme


class Maximum(Extreme):
    """Return the largest of the inputs, element by element.

    Args:
        **kwargs: of `Layer`: name, dtype, trainable.

    Raises:
        ValueError: for shapes that do not broadcast.

    Example:
        >>> a, b = np.full((1, 2), 6.0, "float32"), np.full((1, 2), 2.0, "float32")
        >>> densa.layers.Maximum()([a, b]).numpy()
        array([[6., 6.]], dtype=float32)
    """

    _op = "maximum"


def maximum(inputs: Any, **kwargs: Any) -> Any:
    """Return `Maximum(**kwargs)(inputs)`.

    Args:
        inputs: a list of tensors, arrays or symbolic tensors.
        **kwargs: the layer's: name, dtype.

    Raises:
        ValueError: for shapes that do not broadcast.

    Example:
        >>> a, b = np.full((1, 2), 6.0, "float32"), np.full((1, 2), 2.0, "float32")
        >>> densa.layers.maximum([a, b]).numpy()
        array([[6., 6.]], dtype=float32)
    """
    return Maximum(**kwargs)(inputs)
