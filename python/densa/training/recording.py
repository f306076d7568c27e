"""What a recording of a step is made for: arrays' kinds, and the symbols that stand for them."""

from __future__ import annotations

from typing import Any

import numpy as np

from densa import ops
from densa.utils import tree

from .arrays import row_contiguous
from .data import Batch


def signature(part: Any) -> Any:
    leaves = tuple(
        None if a is None else (str(a.dtype), tuple(a.shape[1:])) for a in tree.flatten(part)
    )
    return (_shape_of(part), leaves)


def _shape_of(part: Any) -> Any:
    if isinstance(part, dict):
        return tuple((k, _shape_of(v)) for k, v in part.items())
    if isinstance(part, list | tuple):
        return tuple(_shape_of(v) for v in part)
    return 0


def kinds(parts: Batch) -> Batch:
    """Arrays without rows, of the same kinds."""

    def empty(array: Any) -> Any:
        return None if array is None else np.empty((0, *array.shape[1:]), array.dtype)

    made = [None if part is None else tree.map_structure(empty, part) for part in parts]
    return made[0], made[1], made[2]


def rows_of(parts: Batch) -> list[Any]:
    """All arrays that are there, each with contiguous rows."""
    out = []
    for part in parts:
        for array in tree.flatten(part) if part is not None else ():
            if array is not None:
                out.append(row_contiguous(array))
    return out


def symbols(program: Any, parts: Batch, dtype: str, only_x: bool) -> Batch:
    count = 0

    def one(array: Any) -> Any:
        nonlocal count
        if array is None:
            return None
        name = f"i{count}"
        count += 1
        native = array.dtype.newbyteorder("=")
        symbol = program.input(name, (None, *array.shape[1:]), str(native))
        return ops.cast(symbol, dtype) if array.dtype.kind == "f" else symbol

    made = [
        None if part is None else tree.pack_like(part, [one(leaf) for leaf in tree.flatten(part)])
        for part in parts
    ]
    if only_x:
        made[1:] = [None, None]
    return made[0], made[1], made[2]
