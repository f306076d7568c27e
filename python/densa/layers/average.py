"""`Average`: mean of the inputs."""

from __future__ import annotations

from typing import Any

from densa import _core
from densa.layers.merge import Merge


class Average(Merge):
    """Return the mean of the inputs.

    Args:
        **kwargs: of `Layer`: name, dtype, trainable.

    Raises:
        ValueError: for shapes that do not broadcast.

    Example:
        >>> a, b = np.full((1, 2), 6.0, "float32"), np.full((1, 2), 2.0, "float32")
        >>> densa.layers.Average()([a, b]).numpy()
        array([[4., 4.]], dtype=float32)
    """

    _op = "add"

    def _finish(self, out: Any, count: int) -> Any:
        return _core.apply("multiply", out, 1.0 / count)


def average(inputs: Any, **kwargs: Any) -> Any:
    """Return `Average(**kwargs)(inputs)`.

    Args:
        inputs: a list of tensors, arrays or symbolic tensors.
        **kwargs: the layer's: name, dtype.

    Raises:
        ValueError: for shapes that do not broadcast.

    Example:
        >>> a, b = np.full((1, 2), 6.0, "float32"), np.full((1, 2), 2.0, "float32")
        >>> densa.layers.average([a, b]).numpy()
        array([[4., 4.]], dtype=float32)
    """
    return Average(**kwargs)(inputs)
