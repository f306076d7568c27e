"""`Add`: sum of the inputs."""

from __future__ import annotations

from typing import Any

from densa.layers.merge import Merge


class Add(Merge):
    """Return the sum of the inputs.

    Args:
        **kwargs: of `Layer`: name, dtype, trainable.

    Raises:
        ValueError: for shapes that do not broadcast.

    Example:
        >>> a, b = np.full((1, 2), 6.0, "float32"), np.full((1, 2), 2.0, "float32")
        >>> densa.layers.Add()([a, b]).numpy()
        array([[8., 8.]], dtype=float32)
    """

    _op = "add"


def add(inputs: Any, **kwargs: Any) -> Any:
    """Return `Add(**kwargs)(inputs)`.

    Args:
        inputs: a list of tensors, arrays or symbolic tensors.
        **kwargs: the layer's: name, dtype.

    Raises:
        ValueError: for shapes that do not broadcast.

    Example:
        >>> a, b = np.full((1, 2), 6.0, "float32"), np.full((1, 2), 2.0, "float32")
        >>> densa.layers.add([a, b]).numpy()
        array([[8., 8.]], dtype=float32)
    """
    return Add(**kwargs)(inputs)
