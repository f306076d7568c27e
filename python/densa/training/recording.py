"""What a recording of a step is made for: arrays' kinds, and the symbols that stand for them."""

from __future__ import annotations

from typing import Any

import numpy as np

from densa import ops
from densa.utils import tree

from .arrays import DataTypes, row_contiguous
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


def has_fixed_batch(model: Any) -> bool:
    """Tell whether the model takes one number of rows alone."""
    graph = getattr(model, "_graph", None)
    return graph is not None and any(symbol.shape[0] is not None for symbol in graph.inputs)


def symbols(program: Any, parts: Batch, types: DataTypes, only_x: bool) -> Batch:
    """What stands for the arrays of a batch, floating numbers cast to what `types` says."""
    count = 0

    def one(array: Any, dtype: str | None) -> Any:
        nonlocal count
        if array is None:
            return None
        name = f"i{count}"
        count += 1
        native = array.dtype.newbyteorder("=")
        symbol = program.input(name, (None, *array.shape[1:]), str(native))
        return symbol if dtype is None or array.dtype.kind != "f" else ops.cast(symbol, dtype)

    made: list[Any] = []
    for index, part in enumerate(parts):
        if part is None:
            made.append(None)
            continue
        leaves = tree.flatten(part)
        wanted = types.of_inputs(part) if index == 0 else [types.dtype] * len(leaves)
        pairs = zip(leaves, wanted, strict=True)
        made.append(tree.pack_like(part, [one(*pair) for pair in pairs]))
    if only_x:
        made[1:] = [None, None]
    return made[0], made[1], made[2]
