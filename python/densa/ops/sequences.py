"""Running sums, differences, order and places along an axis: part of `densa.ops`."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from densa import _core, config
from densa.device import together
from densa.ops._public import (
    apply,
    axes_of,
    floating,
    known_size,
    place,
    public,
    reshaped,
    scalar,
    tensor,
)
from densa.ops.picking import take_along_axis
from densa.ops.shapes import moveaxis


def _at(x: Any, where: int, *between: int | None) -> Any:
    return x[(*(np.s_[:],) * where, np.s_[slice(*between)])]


def _flat(x: Any, axis: int | None, name: str) -> tuple[Any, int]:
    """Return x and an axis of it; None is the only axis of x made flat."""
    x = tensor(x)
    if axis is None:
        return reshaped(x, [-1]), 0
    return x, place(axis, x.ndim, name)


def _joined(x: Any, axes: Any, name: str) -> tuple[Any, list[int]]:
    """Return x with the given axes as one at its end, and its shape with these as ones."""
    ends = sorted(place(a, x.ndim, name) for a in axes)
    if not ends or len(set(ends)) != len(ends):
        raise ValueError(f"{name}: axes must be different ones; got axis={axes}.")
    kept = [i for i in range(x.ndim) if i not in ends]
    moved = apply("transpose", x, perm=kept + ends)
    ones = [1 if i in ends else n for i, n in enumerate(x.shape)]
    size = math.prod(known_size(x, i, name) for i in ends)
    return reshaped(moved, [*(x.shape[i] for i in kept), size]), ones


def _running(name: str, how: str, x: Any, axis: int | None, dtype: Any) -> Any:
    x, where = _flat(x, axis, name)
    if dtype is not None:
        x = apply("cast", x, dtype=config.dtype_name(dtype))
    elif x.dtype in ("bool", "int8", "int16"):
        x = apply("cast", x, dtype="int32")
    size, step = known_size(x, where, name), 1
    while step < size:  # each pass takes in twice as many elements: log2(size) of them
        kept, before = _at(x, where, step, None), _at(x, where, None, -step)
        first = _at(x, where, None, step)
        x = apply("concatenate", first, apply(how, kept, before), axis=where)
        step *= 2
    return x


@public
def cumsum(x: Any, axis: int | None = None, dtype: Any = None) -> Any:
    """Return the sum of the elements up to each one, itself among them.

    Args:
        x: numbers.
        axis: the axis to walk along; None flattens x.
        dtype: type to sum in; None is x's, int32 for booleans and small integers.

    Example:
        >>> densa.ops.cumsum([1.0, 2.0, 3.0]).numpy().tolist()
        [1.0, 3.0, 6.0]
    """
    return _running("cumsum", "add", x, axis, dtype)


@public
def cumprod(x: Any, axis: int | None = None, dtype: Any = None) -> Any:
    """Return the product of the elements up to each one, itself among them.

    Args:
        x: numbers.
        axis: the axis to walk along; None flattens x.
        dtype: type to multiply in; None is x's, int32 for booleans and small integers.

    Example:
        >>> densa.ops.cumprod([1.0, 2.0, 3.0]).numpy().tolist()
        [1.0, 2.0, 6.0]
    """
    return _running("cumprod", "multiply", x, axis, dtype)


@public
def diff(a: Any, n: int = 1, axis: int = -1) -> Any:
    """Return each element minus the one before it, n times over; of booleans, whether they differ.

    Args:
        a: numbers or booleans.
        n: how often, at least 0.
        axis: the axis to walk along; it gets shorter by n.

    Raises:
        ValueError: if n is negative.

    Example:
        >>> densa.ops.diff([1.0, 4.0, 9.0]).numpy().tolist()
        [3.0, 5.0]
    """
    if n < 0:
        raise ValueError(f"diff: n must be at least 0; got {n}.")
    a = tensor(a)
    where = place(axis, a.ndim, "diff")
    for _ in range(n):
        how = "logical_xor" if a.dtype == "bool" else "subtract"
        a = apply(how, _at(a, where, 1, None), _at(a, where, None, -1))
    return a


@public
def trapezoid(y: Any, x: Any = None, dx: float = 1.0, axis: int = -1) -> Any:
    """Return the area under points: Σ (yᵢ + yᵢ₊₁)/2 · (xᵢ₊₁ - xᵢ).

    Args:
        y: numbers.
        x: where they lie, of y's shape or along `axis` alone; None: dx apart.
        dx: from one point to the next.
        axis: the axis to walk along.

    Example:
        >>> float(densa.ops.trapezoid([1.0, 2.0, 3.0]))
        4.0
    """
    y = floating(y)
    where = place(axis, y.ndim, "trapezoid")
    middle = (_at(y, where, 1, None) + _at(y, where, None, -1)) * 0.5
    if x is None:
        return apply("sum", middle * dx, axis=[where])
    x = floating(x)
    if x.ndim == 1:
        x = reshaped(x, [-1 if i == where else 1 for i in range(y.ndim)])
    return apply("sum", middle * diff(x, axis=where), axis=[where])


# What sorts bools, small integers and 16-bit floats: a type that holds all their numbers.
_SORTED_AS = {
    **dict.fromkeys(("bool", "int8", "int16", "uint8", "uint16"), "int32"),
    **dict.fromkeys(("float16", "bfloat16"), "float32"),
    "uint32": "int64",
}

# A GPU compares each element with all of its line: longer lines are sorted on the CPU where the
# values are at hand.
_LONGEST_ON_GPU = 16384


def _order(x: Any, where: int, descending: bool = False) -> Any:
    """Return the int32 indices that sort x along an axis; NaN last, equal elements as they lie."""
    if x.dtype in _SORTED_AS:
        x = apply("cast", x, dtype=_SORTED_AS[x.dtype])
    if where != x.ndim - 1:
        return moveaxis(_order(moveaxis(x, where, -1), x.ndim - 1, descending), -1, where)
    far = x.device != "cpu" and not _core.recording() and x.shape[-1] > _LONGEST_ON_GPU
    ids = apply("argsort", x.to("cpu") if far else x, descending=descending)
    return ids.to(x.device) if far else ids


@public
def argsort(x: Any, axis: int | None = -1) -> Any:
    """Return the indices that put x into rising order; equal elements keep theirs.

    Args:
        x: numbers.
        axis: the axis to sort along; None flattens x.

    Example:
        >>> densa.ops.argsort([3.0, 1.0, 2.0]).numpy().tolist()
        [1, 2, 0]
    """
    x, where = _flat(x, axis, "argsort")
    return _order(x, where)


@public
def sort(x: Any, axis: int | None = -1) -> Any:
    """Return x in rising order along an axis; gradients go back to where the elements were.

    Args:
        x: numbers.
        axis: the axis to sort along; None flattens x.

    Example:
        >>> densa.ops.sort([3.0, 1.0, 2.0]).numpy().tolist()
        [1.0, 2.0, 3.0]
    """
    x, where = _flat(x, axis, "sort")
    return take_along_axis(x, _order(x, where), axis=where)


@public
def top_k(x: Any, k: int, sorted: bool = True) -> Any:
    """Return the k largest elements along the last axis, and where they lie.

    Args:
        x: numbers.
        k: how many.
        sorted: accepted for Keras; they always come largest first.

    Returns:
        `(values, indices)`, both with k elements along the last axis; NaN before numbers, as in
        NumPy's order backwards, and equal elements as they lie.

    Raises:
        ValueError: if there are no k elements.

    Example:
        >>> values, where = densa.ops.top_k([1.0, 3.0, 2.0], 2)
        >>> values.numpy().tolist(), where.numpy().tolist()
        ([3.0, 2.0], [1, 2])
    """
    x = tensor(x)
    if x.ndim < 1 or not 0 <= k <= known_size(x, x.ndim - 1, "top_k"):
        raise ValueError(
            f"top_k: x of shape {tuple(x.shape)} has no {k} elements in its last axis."
        )
    if config.is_float(x.dtype):
        # Rising order puts NaN last; backwards twice, equal elements stay as they lie.
        ids = (x.shape[-1] - 1) - _order(x[..., ::-1], x.ndim - 1)[..., ::-1][..., :k]
    else:
        ids = _order(x, x.ndim - 1, descending=True)[..., :k]
    return take_along_axis(x, ids, axis=-1), ids


@public
def quantile(
    x: Any, q: Any, axis: Any = None, method: str = "linear", keepdims: bool = False
) -> Any:
    """Return the values below which shares q of the elements lie.

    Args:
        x: numbers.
        q: a share in [0, 1], or several, which become the first axis.
        axis: the axis or axes to look along; None flattens x.
        method: between two elements: "linear", "lower", "higher", "midpoint" or "nearest".
        keepdims: keep the axes with size one.

    Returns:
        The values; NaN where there is NaN among the elements.

    Raises:
        ValueError: if a share is outside [0, 1], the method unknown, or there are no elements.

    Example:
        >>> float(densa.ops.quantile([1.0, 2.0, 3.0, 4.0], 0.5))
        2.5
    """
    shares = np.asarray(q, np.float64)
    if not np.all((shares >= 0) & (shares <= 1)):
        raise ValueError(f"quantile: q must lie between 0 and 1; got {q!r}.")
    if isinstance(axis, list | tuple):
        joined, kept = _joined(tensor(x), axis, "quantile")
        out = quantile(joined, q, axis=-1, method=method)
        return reshaped(out, [*shares.shape, *kept]) if keepdims else out
    rank = tensor(x).ndim
    x, where = _flat(x, axis, "quantile")
    if x.shape[where] == 0:
        raise ValueError(f"quantile: there are no elements along axis {axis} of shape {x.shape}.")
    ordered = sort(floating(x), axis=where)
    parts = [_quantile(ordered, where, float(share), method) for share in shares.ravel()]
    if config.is_float(x.dtype):
        # Not by the last one in order: ONNX leaves open where NaN is sorted to.
        holes = apply("cast", apply("isnan", x), dtype="int32")
        whole = apply("equal", apply("sum", holes, axis=[where]), 0)
        parts = [apply("where", whole, part, scalar(float("nan"), part)) for part in parts]
    if keepdims:
        shape = [1] * rank if axis is None else [*x.shape[:where], 1, *x.shape[where + 1 :]]
        parts = [reshaped(part, shape) for part in parts]
    if not shares.ndim:
        return parts[0]
    parts = [reshaped(part, [1, *part.shape]) for part in parts]
    return reshaped(apply("concatenate", *parts, axis=0), [*shares.shape, *parts[0].shape[1:]])


def _quantile(ordered: Any, where: int, share: float, method: str) -> Any:
    at = share * (known_size(ordered, where, "quantile") - 1)
    low, high = int(np.floor(at)), int(np.ceil(at))
    weights = {
        "linear": at - low,
        "lower": 0.0,
        "higher": 1.0,
        "midpoint": 0.5,
        "nearest": float(np.round(at) - low),
    }
    if method not in weights:
        raise ValueError(f"quantile: method must be one of {list(weights)}; got {method!r}.")
    a, b = (apply("sum", _at(ordered, where, i, i + 1), axis=[where]) for i in (low, high))
    weight = weights[method]
    return a if low == high or not weight else b if weight == 1.0 else a + (b - a) * weight


@public
def median(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Return the middle of the elements in order, or the mean of the two in the middle.

    Args:
        x: numbers.
        axis: the axis or axes to look along; None flattens x.
        keepdims: keep the axes with size one.

    Returns:
        The medians; NaN where there is NaN among the elements, or no element.

    Example:
        >>> float(densa.ops.median([3.0, 1.0, 2.0]))
        2.0
    """
    x = tensor(x)
    axes = [place(a, x.ndim, "median") for a in axes_of(axis)] or range(x.ndim)
    if 0 in [x.shape[i] for i in axes]:
        none = apply("sum", floating(x), axis=list(axes), keepdims=keepdims)
        return none + float("nan")
    return quantile(x, 0.5, axis=axis, keepdims=keepdims)


@public
def searchsorted(sorted_sequence: Any, values: Any, side: str = "left") -> Any:
    """Return the index in a rising sequence before which each value belongs.

    Args:
        sorted_sequence: numbers in rising order, of shape (n,).
        values: numbers of any shape.
        side: "left": before elements equal to the value; "right": behind them.

    Returns:
        int32 indices from 0 to n, in the shape of values.

    Raises:
        ValueError: if the sequence has not one axis, or side is another word.

    Example:
        >>> densa.ops.searchsorted([1.0, 2.0, 3.0], [0.5, 2.0, 9.0]).numpy().tolist()
        [0, 1, 3]
    """
    if side not in ("left", "right"):
        raise ValueError(f"searchsorted: side must be 'left' or 'right'; got {side!r}.")
    edges, x = together(sorted_sequence, values)
    if edges.ndim != 1:
        raise ValueError(
            f"searchsorted: the sequence must have one axis, not {tuple(edges.shape)}."
        )
    each = reshaped(x, [*x.shape, 1])
    below = apply("less" if side == "left" else "less_equal", edges, each)
    found = apply("sum", apply("cast", below, dtype="int32"), axis=[x.ndim])
    if not config.is_float(x.dtype):
        return found
    # NaN belongs behind all numbers, and before or behind other NaN.
    if side == "left":
        last = apply("sum", apply("cast", apply("equal", edges, edges), dtype="int32"))
    else:
        last = scalar(known_size(edges, 0, "searchsorted"), found)
    return apply("where", apply("isnan", x), last, found)


@public
def digitize(x: Any, bins: Any) -> Any:
    """Return the number of the bin of each element: i where bins[i-1] ≤ x < bins[i].

    Args:
        x: numbers of any shape.
        bins: edges in rising order, of shape (n,).

    Returns:
        int32 numbers from 0 to n, in x's shape.

    Example:
        >>> densa.ops.digitize([0.0, 1.0, 5.0], [1.0, 3.0]).numpy().tolist()
        [0, 1, 2]
    """
    return searchsorted(bins, x, side="right")


def _known(x: Any, value: float) -> tuple[Any, Any]:
    """Return x with value in place of NaN, and where it was none."""
    x = floating(x)
    there = apply("equal", x, x)
    return apply("where", there, x, scalar(value, x)), there


def _or_nan(found: Any, there: Any, axis: Any, keepdims: bool) -> Any:
    """Return what was found, and NaN where none was there."""
    from densa.ops.reductions import any as some

    return apply("where", some(there, axis, keepdims), found, scalar(float("nan"), found))


@public
def nansum(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Return the sum of what is not NaN.

    Args:
        x: numbers of any shape.
        axis: an axis or a tuple of axes; None is all of them.
        keepdims: keep the axes with size one.

    Example:
        >>> float(densa.ops.nansum([1.0, np.nan, 2.0]))
        3.0
    """
    from densa.ops.reductions import sum as total

    return total(_known(x, 0.0)[0], axis=axis, keepdims=keepdims)


@public
def nanmean(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Return the mean of what is not NaN; NaN where nothing is left.

    Args:
        x: numbers of any shape.
        axis: an axis or a tuple of axes; None is all of them.
        keepdims: keep the axes with size one.

    Example:
        >>> float(densa.ops.nanmean([1.0, np.nan, 2.0]))
        1.5
    """
    from densa.ops.reductions import sum as total

    known, there = _known(x, 0.0)
    number = total(apply("cast", there, dtype=known.dtype), axis=axis, keepdims=keepdims)
    return total(known, axis=axis, keepdims=keepdims) / number


@public
def nanmax(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Return the largest element that is not NaN; NaN where nothing is left.

    Args:
        x: numbers of any shape.
        axis: an axis or a tuple of axes; None is all of them.
        keepdims: keep the axes with size one.

    Example:
        >>> float(densa.ops.nanmax([1.0, np.nan, 2.0]))
        2.0
    """
    from densa.ops.reductions import max as largest

    known, there = _known(x, float("-inf"))
    found = largest(known, axis=axis, keepdims=keepdims)
    return _or_nan(found, there, axis, keepdims)


@public
def nanmin(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Return the smallest element that is not NaN; NaN where nothing is left.

    Args:
        x: numbers of any shape.
        axis: an axis or a tuple of axes; None is all of them.
        keepdims: keep the axes with size one.

    Example:
        >>> float(densa.ops.nanmin([1.0, np.nan, 2.0]))
        1.0
    """
    from densa.ops.reductions import min as smallest

    known, there = _known(x, float("inf"))
    found = smallest(known, axis=axis, keepdims=keepdims)
    return _or_nan(found, there, axis, keepdims)
