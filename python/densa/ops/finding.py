"""Which elements there are, how many and where: part of `densa.ops`."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from densa import config
from densa.device import together
from densa.ops._host import values, wrapped
from densa.ops._public import apply, known_shape, known_size, place, public, scalar, tensor, whole
from densa.ops.binary import where
from densa.ops.sequences import argsort


@public
def nonzero(x: Any) -> tuple[Any, ...]:
    """Return where the elements lie that are not zero: one array of places per axis.

    How many there are depends on the values, so that no native step can hold it.

    Args:
        x: numbers or booleans.

    Example:
        >>> [i.numpy().tolist() for i in densa.ops.nonzero([[0, 5], [7, 0]])]
        [[0, 1], [1, 0]]
    """
    x = tensor(x)
    values("nonzero", x)
    found: tuple[Any, ...] = where(x if x.dtype == "bool" else apply("not_equal", x, 0))
    return tuple(apply("cast", i, dtype="int32") for i in found)


@public
def argpartition(x: Any, kth: int, axis: int | None = -1) -> Any:
    """Return indices that put the kth smallest element in its place, smaller ones before it.

    Args:
        x: numbers.
        kth: the place, from 0.
        axis: the axis to look along; None flattens x.

    Returns:
        int32 indices; all elements are in order, which is more than is asked for.

    Raises:
        ValueError: if there is no such place.

    Example:
        >>> densa.ops.argpartition([3.0, 1.0, 2.0], 0).numpy().tolist()
        [1, 2, 0]
    """
    x = tensor(x)
    size = x.shape[axis] if axis is not None else int(np.prod(x.shape))
    if size is not None and not -size <= kth < size:
        raise ValueError(f"argpartition: there is no place {kth} among {size} elements.")
    return argsort(x, axis=axis)


@public
def unique(
    x: Any,
    sorted: bool = True,
    return_index: bool = False,
    return_inverse: bool = False,
    return_counts: bool = False,
    axis: int | None = None,
    size: int | None = None,
    fill_value: Any = None,
) -> Any:
    """Return the different elements in rising order.

    How many there are depends on the values, so that no native step can hold it.

    Args:
        x: numbers.
        sorted: accepted for Keras; they always are.
        return_index: also return where each one comes first.
        return_inverse: also return which one each element of x is.
        return_counts: also return how often each one occurs.
        axis: compare slices along this axis; None compares elements.
        size: cut or fill up the result to so many.
        fill_value: what to fill up with; None is the smallest one.

    Returns:
        The elements; a tuple with what else was asked for, as int32.

    Example:
        >>> found, counts = densa.ops.unique([3, 1, 3], return_counts=True)
        >>> found.numpy().tolist(), counts.numpy().tolist()
        ([1, 3], [1, 2])
    """
    x = tensor(x)
    axis = None if axis is None else place(axis, x.ndim, "unique")
    (array,) = values("unique", x)
    kinds = (return_index, return_inverse, return_counts)
    found: Any = np.unique(array, *kinds, axis=axis)  # type: ignore[call-overload]
    parts = list(found) if any(kinds) else [found]
    if return_inverse:  # of one shape in all versions of NumPy
        at = 1 + return_index
        shape = array.shape if axis is None else (array.shape[axis],)
        parts[at] = parts[at].reshape(shape)
    if size is not None:
        along = 0 if axis is None else axis
        for i, part in enumerate(parts):
            if i == 1 + return_index and return_inverse:
                continue
            fill = (fill_value if i == 0 else 0) if i or fill_value is not None else None
            parts[i] = _sized(part, int(size), along if i == 0 else 0, fill)
    out = [wrapped(parts[0], x), *(wrapped(part.astype(np.int32), x) for part in parts[1:])]
    return tuple(out) if any(kinds) else out[0]


def _sized(array: Any, size: int, axis: int, fill: Any) -> Any:
    array = np.moveaxis(array, axis, 0)[:size]
    missing = size - len(array)
    if missing:
        filler = array[:1] if fill is None else np.full_like(array[:1], fill)
        array = np.concatenate([array, np.repeat(filler, missing, axis=0)])
    return np.moveaxis(array, 0, axis)


@public
def unravel_index(indices: Any, shape: Any) -> tuple[Any, ...]:
    """Return the place along each axis of an element that has a number in row-major order.

    Args:
        indices: whole numbers of any shape; negative ones count from the end.
        shape: the shape of the array that they point into.

    Returns:
        One array per axis, in the shape of indices.

    Raises:
        TypeError: if indices are no whole numbers.
        ValueError: if one of them lies outside of the array. In a recording, none is looked at: a
            number outside counts on, from the beginning.

    Example:
        >>> [i.numpy().tolist() for i in densa.ops.unravel_index([0, 5], (2, 3))]
        [[0, 1], [0, 2]]
    """
    ids = whole(indices, "unravel_index: indices")
    sizes = [int(d) for d in shape]
    count = math.prod(sizes)
    if not ids.is_symbolic:
        known = ids.numpy()
        outside = known[(known < -count) | (known >= count)]
        if outside.size:
            raise ValueError(
                f"unravel_index: an array of shape {tuple(sizes)} has {count} elements; received "
                f"the index {outside.flat[0]}."
            )
    out: list[Any] = []
    for size in reversed(sizes):
        out.append(apply("mod", ids, size))
        ids = apply("floor_divide", ids, size)
    return tuple(reversed(out))


@public
def histogram(x: Any, bins: int = 10, range: Any = None) -> tuple[Any, Any]:
    """Return how many elements lie in each of equally wide bins, and the bins' edges.

    Args:
        x: numbers of any shape.
        bins: how many bins.
        range: lowest and highest edge; None is those of x. Elements outside count nowhere.

    Returns:
        `(counts, edges)`: int32 of shape (bins,), and floats of shape (bins + 1,). The last bin
        holds its upper edge.

    Raises:
        ValueError: if bins is no whole number above 0, or range not two rising numbers.

    Example:
        >>> counts, edges = densa.ops.histogram([0.0, 1.0, 1.5, 4.0], bins=2)
        >>> counts.numpy().tolist(), edges.numpy().tolist()
        ([3, 1], [0.0, 2.0, 4.0])
    """
    if isinstance(bins, bool) or not isinstance(bins, (int, np.integer)) or bins < 1:
        raise ValueError(f"histogram: bins must be a whole number above 0; got {bins!r}.")
    if range is not None and (len(range) != 2 or not range[0] <= range[1]):
        raise ValueError(f"histogram: range must be two numbers (low, high); got {range!r}.")
    x = tensor(x)
    (array,) = values("histogram", x)
    counts, edges = np.histogram(array, bins=int(bins), range=range)
    kind = x.dtype if config.is_float(x.dtype) else config.floatx()
    return wrapped(counts.astype(np.int32), x), apply("cast", wrapped(edges, x), dtype=kind)


@public
def dtype(x: Any) -> str:
    """Return the name of the type of x's elements.

    Args:
        x: a Tensor, Variable, array, symbolic tensor, number or list.

    Example:
        >>> densa.ops.dtype([1.0, 2.0])
        'float32'
    """
    kind = getattr(x, "dtype", None)
    return str(config.dtype_name(kind)) if kind is not None else str(tensor(x).dtype)


@public
def get_item(x: Any, key: Any) -> Any:
    """Return `x[key]`.

    Args:
        x: an array.
        key: an index, a slice, `...`, None, or a tuple of them; whole numbers pick elements.

    Example:
        >>> densa.ops.get_item([1.0, 2.0, 3.0], np.s_[1:]).numpy().tolist()
        [2.0, 3.0]
    """
    return tensor(x)[tuple(key) if isinstance(key, list) else key]


# ---- groups and places ---------------------------------------------------------------------------


def _groups(name: str, ids: Any, count: int | None) -> tuple[Any, int]:
    ids = whole(ids, f"{name}: segment_ids")
    if count is None:
        (array,) = values(name, ids)
        count = int(array.max()) + 1 if array.size else 0  # an initial -1 is no unsigned number
    return ids, int(count)


def _segment(name: str, how: str, data: Any, ids: Any, count: int | None, none: Any) -> Any:
    x, ids = together(data, ids)
    ids, count = _groups(name, ids, count)
    if ids.ndim != 1 or x.ndim < 1:
        raise ValueError(
            f"{name}: expected rows and one id for each; got shapes {tuple(x.shape)} and "
            f"{tuple(ids.shape)}."
        )
    if count == 0:
        return x[:0]
    if x.shape[0] == 0:
        return apply("broadcast_to", scalar(none, x), shape=[count, *(int(d) for d in x.shape[1:])])
    hot = apply("one_hot", ids, classes=count, dtype="float32")
    there = apply("not_equal", hot, 0.0)
    rest = [1] * (x.ndim - 1)
    there = apply("reshape", there, shape=[-1, count, *rest])
    each = apply("reshape", x, shape=[-1, 1, *(int(d) for d in x.shape[1:])])
    return apply(how, apply("where", there, each, scalar(none, x)), axis=[0])


def _extreme(dtype: str, largest: bool) -> Any:
    if config.is_float(dtype):
        return float("inf") if largest else float("-inf")
    if dtype == "bool":
        return largest
    return int(np.iinfo(dtype).max if largest else np.iinfo(dtype).min)


@public
def segment_max(
    data: Any, segment_ids: Any, num_segments: int | None = None, sorted: bool = False
) -> Any:
    """Return the largest elements of the rows of each group.

    Args:
        data: numbers; the first axis holds rows.
        segment_ids: the group of each row, of shape (rows,); others than 0 … n-1 count nowhere.
        num_segments: how many groups n; None: the largest id and one.
        sorted: accepted for Keras; ids need no order.

    Returns:
        One row per group; -inf, or the least whole number, in a group without rows.

    Example:
        >>> densa.ops.segment_max([1.0, 2.0, 3.0], [0, 0, 1]).numpy().tolist()
        [2.0, 3.0]
    """
    low = _extreme(tensor(data).dtype, largest=False)
    return _segment("segment_max", "max", data, segment_ids, num_segments, low)


@public
def segment_min(
    data: Any, segment_ids: Any, num_segments: int | None = None, sorted: bool = False
) -> Any:
    """Return the smallest elements of the rows of each group.

    Args:
        data: numbers; the first axis holds rows.
        segment_ids: the group of each row, of shape (rows,); others than 0 … n-1 count nowhere.
        num_segments: how many groups n; None: the largest id and one.
        sorted: accepted for Keras; ids need no order.

    Returns:
        One row per group; inf, or the largest whole number, in a group without rows.

    Example:
        >>> densa.ops.segment_min([1.0, 2.0, 3.0], [0, 0, 1]).numpy().tolist()
        [1.0, 3.0]
    """
    high = _extreme(tensor(data).dtype, largest=True)
    return _segment("segment_min", "min", data, segment_ids, num_segments, high)


@public
def segment_prod(
    data: Any, segment_ids: Any, num_segments: int | None = None, sorted: bool = False
) -> Any:
    """Return the products of the rows of each group.

    Args:
        data: numbers; the first axis holds rows.
        segment_ids: the group of each row, of shape (rows,); others than 0 … n-1 count nowhere.
        num_segments: how many groups n; None: the largest id and one.
        sorted: accepted for Keras; ids need no order.

    Returns:
        One row per group; 1 in a group without rows.

    Example:
        >>> densa.ops.segment_prod([2.0, 3.0, 4.0], [0, 0, 1]).numpy().tolist()
        [6.0, 4.0]
    """
    return _segment("segment_prod", "prod", data, segment_ids, num_segments, 1)


def _linear(name: str, indices: Any, shape: list[int]) -> tuple[Any, list[int], int]:
    """Return the numbers of the places, the sizes behind them and how many places there are."""
    ids = whole(indices, f"{name}: indices")
    # The numbers go up to all places, which the type of the places along an axis may not hold.
    if ids.dtype != "int64":
        small = ids.dtype not in ("uint32", "uint64") and np.prod(shape) < 2**31
        ids = apply("cast", ids, dtype="int32" if small else "int64")
    depth = ids.shape[-1] if ids.ndim else 0
    if not 1 <= depth <= len(shape):
        raise ValueError(
            f"{name}: the last axis of indices must hold 1 to {len(shape)} numbers, one per axis "
            f"of shape {tuple(shape)}; got {tuple(ids.shape)}."
        )
    flat = apply("reshape", ids, shape=[-1, depth])
    number = everywhere = None
    for i in range(depth):
        at = flat[:, i]
        at = apply("where", apply("less", at, 0), at + shape[i], at)
        inside = apply("logical_and", apply("greater_equal", at, 0), apply("less", at, shape[i]))
        at = apply("where", inside, at, scalar(0, at))
        number = at if number is None else number * shape[i] + at
        everywhere = inside if everywhere is None else apply("logical_and", everywhere, inside)
    # At the end, as a number that is outside could wrap to one that is inside.
    number = apply("where", everywhere, number, scalar(-1, number))
    return number, shape[depth:], int(np.prod(shape[:depth]))


@public
def scatter(indices: Any, values: Any, shape: Any) -> Any:
    """Return zeros with values added at places; several at one place add up.

    Args:
        indices: places, whole numbers of shape (…, k): k numbers point along the first k axes.
            Places outside of the shape get nothing.
        values: what to add, of shape (…, *shape[k:]).
        shape: shape of the result.

    Raises:
        ValueError: for indices that do not fit the shape.

    Example:
        >>> densa.ops.scatter([[0], [2], [2]], [1.0, 2.0, 3.0], (4,)).numpy().tolist()
        [1.0, 0.0, 5.0, 0.0]
    """
    from densa.ops.arranging import segment_sum

    sizes = [int(d) for d in shape]
    indices, values = together(indices, values)
    number, rest, count = _linear("scatter", indices, sizes)
    rows = apply("reshape", values, shape=[-1, *rest])
    return apply("reshape", segment_sum(rows, number, count), shape=sizes)


@public
def scatter_update(inputs: Any, indices: Any, updates: Any, reduction: str | None = None) -> Any:
    """Return inputs with others at some places.

    Args:
        inputs: an array.
        indices: places, whole numbers of shape (…, k): k numbers point along the first k axes.
            Places outside of the array stay out.
        updates: what to put there, of shape (…, *inputs.shape[k:]).
        reduction: None: the last update of a place stands there; or "add", "mul", "max" or "min"
            to combine what was there with all updates of it.

    Raises:
        ValueError: for another reduction, or indices that do not fit.

    Example:
        >>> densa.ops.scatter_update([1.0, 2.0, 3.0], [[0], [2]], [9.0, 8.0]).numpy().tolist()
        [9.0, 2.0, 8.0]
    """
    from densa.ops.arranging import segment_sum
    from densa.ops.picking import take

    x, indices, updates = together(inputs, indices, updates)
    sizes = [int(d) for d in known_shape(x, "scatter_update")]
    number, rest, count = _linear("scatter_update", indices, sizes)
    rows = apply("cast", apply("reshape", updates, shape=[-1, *rest]), dtype=x.dtype)
    old = apply("reshape", x, shape=[count, *rest])
    if reduction == "add":
        new = old + segment_sum(rows, number, count)
    elif reduction == "mul":
        new = apply("multiply", old, segment_prod(rows, number, count))
    elif reduction == "max":
        new = apply("maximum", old, segment_max(rows, number, count))
    elif reduction == "min":
        new = apply("minimum", old, segment_min(rows, number, count))
    elif reduction is None:
        given = known_size(rows, 0, "scatter_update")
        if given == 0:
            return x
        order = np.arange(1, given + 1, dtype=np.int32)
        last = apply("maximum", segment_max(order, number, count), 0)
        last = apply("cast", last, dtype="int32")
        there = apply("reshape", apply("greater", last, 0), shape=[count, *([1] * len(rest))])
        new = apply("where", there, take(rows, apply("maximum", last - 1, 0), axis=0), old)
    else:
        raise ValueError(
            "scatter_update: reduction must be None, 'add', 'mul', 'max' or 'min'; got "
            f"{reduction!r}."
        )
    return apply("reshape", new, shape=sizes)
