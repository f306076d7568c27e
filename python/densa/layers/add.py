"""`Add`: sum of the inputs."""

from __future__ import annotations

from typing import Any

from densa.layers.merge import Merge


class Add(Merge):
    """Return the sum of the inputs.

    Raises:
        ValueError: for shapes that do not broadcast.

    Example:
        >>> a, b = np.full((1, 2), 6.0, "float32"), np.full((1, 2), 2.0, "float32")
        >>> densa.layers.Add()([a, b]).numpy()
        array([[8., 8.]], dtype=float32)
    """

    _op = "add"


def add(inputs: Any, **kwargs: Any) -> Any:
    """Return `Add(**kwargs)(inputs)`."""
    return Add(**kwargs)(inputs)
