"""What a batch is made of."""

from __future__ import annotations

from typing import Any


def unpack_x_y_sample_weight(data: Any) -> tuple[Any, Any, Any]:
    """`(x, y, sample_weight)` from what a batch may be: x, `(x,)`, `(x, y)` or all three.

    Raises:
        ValueError: A tuple of another length.

    Example:
        >>> densa.utils.unpack_x_y_sample_weight((1, 2))
        (1, 2, None)
    """
    if isinstance(data, list):
        data = tuple(data)
    if not isinstance(data, tuple):
        return data, None, None
    if 1 <= len(data) <= 3:
        x, y, sample_weight = (*data, None, None)[:3]
        return x, y, sample_weight
    raise ValueError(
        "A batch is expected to be `x`, `(x,)`, `(x, y)` or `(x, y, sample_weight)`; received a "
        f"tuple of {len(data)} items."
    )


def pack_x_y_sample_weight(x: Any, y: Any = None, sample_weight: Any = None) -> Any:
    """The inverse of `unpack_x_y_sample_weight`.

    Example:
        >>> densa.utils.pack_x_y_sample_weight(1, 2)
        (1, 2)
    """
    if y is None:
        return x if not isinstance(x, tuple | list) else (x,)
    return (x, y) if sample_weight is None else (x, y, sample_weight)
