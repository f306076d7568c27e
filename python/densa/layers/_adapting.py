"""Data that a layer is adapted to: arrays, or anything that yields batches."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from typing import Any

from densa._numbers import whole_number


def batches_of(data: Any, steps: int | None, layer: str) -> Iterator[Any]:
    """Yield arrays of numbers, each with at least one element.

    Args:
        data: an array, a Tensor, a table, nested lists of numbers, or an iterable of batches: of a
            tuple (x, y) the x is taken.
        steps: how many batches to look at; None is all.
        layer: its name, for errors.

    Raises:
        TypeError: for what is neither.
        ValueError: for data without a number, or values that are no numbers.
    """
    from densa.training.arrays import is_array, is_data, to_array

    if steps is not None:
        steps = whole_number("steps", steps)
    parts: Iterable[Any]
    if isinstance(data, (str, bytes, dict)) or not (is_array(data) or isinstance(data, Iterable)):
        raise TypeError(
            f"Layer '{layer}': adapt() takes an array or an iterable of batches; received "
            f"{type(data).__name__}."
        )
    parts = [data] if is_data(data) and not _holds_arrays(data) else data
    empty = True
    for i, part in enumerate(itertools.islice(parts, steps)):
        if isinstance(part, (tuple, list)) and _holds_arrays(part):
            part = part[0]
        batch = to_array(part, f"adapt: batch {i}")
        if batch.size:
            empty = False
            yield batch
    if empty:
        raise ValueError(
            f"Layer '{layer}': adapt() was given no data; pass at least one row. A generator that "
            "was used before is used up: make a new one."
        )


def _holds_arrays(data: Any) -> bool:
    return (
        isinstance(data, (list, tuple))
        and bool(data)
        and all(hasattr(item, "__array__") and getattr(item, "ndim", 1) > 0 for item in data)
    )
