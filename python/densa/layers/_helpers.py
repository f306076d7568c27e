"""Small things that several layers share."""

from __future__ import annotations

from typing import Any

from densa import _core


def as_float(x: Any, dtype: str) -> Any:
    """Return x in the given floating type."""
    return x if str(x.dtype) == dtype else _core.apply("cast", x, dtype=dtype)


def reshape_rows(x: Any, rest: tuple[int, ...]) -> Any:
    """Return x with the same number of rows and `rest` as the other sizes."""
    rows = x.shape[0]
    return _core.apply("reshape", x, shape=[-1 if rows is None else int(rows), *rest])


def last_size(input_shape: Any, name: str) -> int:
    """Return the size of the last axis; ValueError if it is unknown."""
    size = input_shape[-1] if input_shape else None
    if size is None:
        raise ValueError(
            f"The last dimension of the inputs to layer '{name}' must be known. Received: "
            f"input_shape={input_shape}."
        )
    return int(size)
