"""Picking elements of arrays by index and place: part of `densa.ops`."""

from __future__ import annotations

import builtins
import math
from typing import Any

import numpy as np

from densa.device import together
from densa.ops._public import (
    apply,
    known_shape,
    known_size,
    place,
    public,
    reshaped,
    scalar,
    tensor,
)


@public
def take(x: Any, indices: Any, axis: int | None = None) -> Any:
    """Pick elements along an axis; None picks from the flattened array.

    Args:
        x: an array.
        indices: integers of any shape; negative ones count from the end.
        axis: where they point.

    Returns:
        The elements, in x's shape with the shape of indices in place of `axis`.

    Raises:
        IndexError: for an index outside the axis.

    Example:
        >>> densa.ops.take([10.0, 20.0, 30.0], [2, 0]).numpy().tolist()
        [30.0, 10.0]
    """
    x, ids = together(x, indices)
    if axis is None:
        x, axis = reshaped(x, [-1]), 0
    where = place(axis, x.ndim, "take")
    shape = [*x.shape[:where], *ids.shape, *x.shape[where + 1 :]]
    if where == 0 and ids.ndim > 1 and None in ids.shape:
        return reshaped(_rows_of_table(x, ids), shape)
    out = apply("take", x, ids if ids.ndim == 1 else reshaped(ids, [-1]), axis=where)
    return out if ids.ndim == 1 else reshaped(out, shape)


@public
def take_along_axis(x: Any, indices: Any, axis: int | None = None) -> Any:
    """Pick one element per index, the other axes walking along with x.

    Args:
        x: an array.
        indices: integers, of x's rank. Along the other axes their sizes are x's, or one of the
            two is 1 and stretched.
        axis: where they point; None flattens both.

    Returns:
        The elements, in the shape of indices.

    Raises:
        IndexError: for an index outside the axis.
        ValueError: if the numbers of axes differ.

    Example:
        >>> densa.ops.take_along_axis([[1.0, 2.0], [3.0, 4.0]], [[1], [0]], axis=1).numpy().tolist()
        [[2.0], [3.0]]
    """
    x, ids = together(x, indices)
    ids = apply("cast", ids, dtype="int64", strict="take_along_axis: indices")
    if axis is None:
        return apply("take", reshaped(x, [-1]), reshaped(ids, [-1]), axis=0)
    where = place(axis, x.ndim, "take_along_axis")
    if ids.ndim != x.ndim:
        raise ValueError(
            f"take_along_axis: indices have {ids.ndim} axes but x has {x.ndim}; they must be equal "
            f"(indices {tuple(ids.shape)}, x {tuple(x.shape)})."
        )
    sizes = [b if a == 1 else a for a, b in zip(x.shape, ids.shape, strict=True)]
    x, ids = (_stretched(v, sizes, where) for v in (x, ids))
    return apply("take_along", x, ids, axis=where)


def _stretched(x: Any, sizes: list[Any], but: int) -> Any:
    """Return x in these sizes (None: the rows of a batch), with its own along one axis."""
    shape = [x.shape[i] if i == but else d for i, d in enumerate(sizes)]
    if list(x.shape) == shape:
        return x
    return apply("broadcast_to", x, shape=[-1 if d is None else d for d in shape])


def _rows_of_table(table: Any, ids: Any) -> Any:
    """Return rows of a table by ids that hold the rows of a batch, flat behind the ids' axes."""
    size = known_shape(table, "take")[0]
    ids = apply("where", apply("less", ids, 0), apply("add", ids, size), ids)
    return apply("embedding", reshaped(table, [size, math.prod(table.shape[1:])]), ids)


@public
def slice(inputs: Any, start_indices: Any, shape: Any) -> Any:
    """Cut out a block: where it starts and its shape (-1: up to the end).

    Args:
        inputs: an array.
        start_indices: where the block starts, per axis.
        shape: its size, per axis.

    Returns:
        The block.

    Example:
        >>> densa.ops.slice(np.ones((4, 5)), (1, 0), (2, -1)).shape
        (2, 5)
    """
    x = tensor(inputs)
    items = [(int(a), int(n)) for a, n in zip(start_indices, shape, strict=True)]
    ends = [(a or None, None if n == -1 else a + n) for a, n in items]
    return x[tuple(builtins.slice(a, b) for a, b in ends)]


@public
def diagonal(x: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    """Return a diagonal of a matrix, or of each one in a stack, as the last axis.

    Args:
        x: an array with two axes at least.
        offset: 0 is the main diagonal, 1 the one above it.
        axis1: axis of the rows.
        axis2: axis of the columns.

    Raises:
        ValueError: if x has less than two axes, or axis1 is axis2.

    Example:
        >>> densa.ops.diagonal([[1.0, 2.0], [3.0, 4.0]]).numpy().tolist()
        [1.0, 4.0]
    """
    x = tensor(x)
    if x.ndim < 2:
        raise ValueError(f"diagonal: a matrix is needed; got shape {tuple(x.shape)}.")
    first, second = place(axis1, x.ndim, "diagonal"), place(axis2, x.ndim, "diagonal")
    if first == second:
        raise ValueError(f"diagonal: axis1={axis1} and axis2={axis2} are the same axis.")
    others = [i for i in range(x.ndim) if i not in (first, second)]
    rows, cols = known_size(x, first, "diagonal"), known_size(x, second, "diagonal")
    flat = apply("transpose", x, perm=[*others, first, second])
    flat = reshaped(flat, [*(x.shape[i] for i in others), rows * cols])
    at, number = max(-offset, 0) * cols + max(offset, 0), min(rows + min(offset, 0), cols)
    number = max(min(number, cols - max(offset, 0)), 0)
    return apply("take", flat, at + np.arange(number) * (cols + 1), axis=len(others))


@public
def tril(x: Any, k: int = 0) -> Any:
    """Return the matrix with zeros above the k-th diagonal.

    Args:
        x: a matrix, or a stack of them.
        k: 0 is the main diagonal, 1 the one above it.

    Example:
        >>> densa.ops.tril([[1.0, 2.0], [3.0, 4.0]]).numpy().tolist()
        [[1.0, 0.0], [3.0, 4.0]]
    """
    rows, cols = _matrix(x, "tril")
    return _triangle(x, np.tri(rows, cols, k, dtype=bool))


@public
def triu(x: Any, k: int = 0) -> Any:
    """Return the matrix with zeros below the k-th diagonal.

    Args:
        x: a matrix, or a stack of them.
        k: 0 is the main diagonal, 1 the one above it.

    Example:
        >>> densa.ops.triu([[1.0, 2.0], [3.0, 4.0]]).numpy().tolist()
        [[1.0, 2.0], [0.0, 4.0]]
    """
    rows, cols = _matrix(x, "triu")
    return _triangle(x, ~np.tri(rows, cols, k - 1, dtype=bool))


def _matrix(x: Any, name: str) -> tuple[int, int]:
    """Return the sizes of the last two axes."""
    x = tensor(x)
    return known_size(x, x.ndim - 2, name), known_size(x, x.ndim - 1, name)


def _triangle(x: Any, keep: Any) -> Any:
    x = tensor(x)
    return apply("where", keep, x, scalar(0, x))
