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
    whole = is_data(data) and not _holds_arrays(data) and not _holds_pairs(data)
    parts = [data] if whole else data
    empty = True
    for i, part in enumerate(itertools.islice(parts, steps)):
        what = f"Layer '{layer}': batch {i} of adapt()"
        if _holds_arrays(part) or _is_pair(part):
            part = part[0]
        if isinstance(part, dict) or _holds_arrays(part):
            raise TypeError(
                f"{what} has several inputs ({type(part).__name__}); a layer is adapted to one: "
                "pass that array of each batch."
            )
        try:
            batch = to_array(part, what)
        except ValueError as error:
            if "inhomogeneous" not in str(error):
                raise
            raise ValueError(
                f"{what}, of type {type(part).__name__}, is no array: its rows differ in shape. "
                "Pass arrays, or tuples (x, y), of which the x is taken."
            ) from None
        if batch.size:
            empty = False
            yield batch
    if empty:
        raise ValueError(
            f"Layer '{layer}': adapt() was given no data; pass at least one row. A generator that "
            "was used before is used up: make a new one."
        )


def _is_pair(part: Any) -> bool:
    """Whether it is x with what belongs to it: a tuple, but not of numbers alone."""
    return isinstance(part, tuple) and bool(part) and not isinstance(part[0], (int, float))


def _holds_pairs(data: Any) -> bool:
    return isinstance(data, (list, tuple)) and bool(data) and all(map(_is_pair, data))


def _holds_arrays(data: Any) -> bool:
    return (
        isinstance(data, (list, tuple))
        and bool(data)
        and all(hasattr(item, "__array__") and getattr(item, "ndim", 1) > 0 for item in data)
    )
