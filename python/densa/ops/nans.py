"""Functions that leave NaN out, percentiles and ranges: part of `densa.ops`."""

from __future__ import annotations

from typing import Any

import numpy as np

from densa import config
from densa.ops._public import apply, floating, known_size, place, public, reshaped, scalar, tensor
from densa.ops.picking import take_along_axis
from densa.ops.reductions import argmax, argmin
from densa.ops.reductions import max as largest
from densa.ops.reductions import min as smallest
from densa.ops.reductions import prod as product
from densa.ops.reductions import sum as total
from densa.ops.sequences import cumprod, cumsum, nanmean, quantile, sort


def _known(x: Any, value: float) -> tuple[Any, Any]:
    """Return x with value in place of NaN, and where it was none."""
    x = floating(x)
    there = apply("equal", x, x)
    return apply("where", there, x, scalar(value, x)), there


def _line(x: Any, axis: Any, keepdims: bool, name: str) -> tuple[Any, int, list[int] | None]:
    """Return x with the axes to look along as one, which one, and the shape that keeps them."""
    x = tensor(x)
    if axis is None:
        axes = list(range(x.ndim))
    else:
        axes = [
            place(a, x.ndim, name) for a in (axis if isinstance(axis, tuple | list) else [axis])
        ]
    shape = [1 if i in axes else d for i, d in enumerate(x.shape)]
    if len(axes) == 1:
        return x, axes[0], shape if keepdims else None
    rest = [i for i in range(x.ndim) if i not in axes]
    moved = apply("transpose", x, perm=[*rest, *axes])
    flat = reshaped(moved, [*(x.shape[i] for i in rest), -1])
    return flat, len(rest), shape if keepdims else None


@public
def percentile(
    x: Any, q: Any, axis: Any = None, method: str = "linear", keepdims: bool = False
) -> Any:
    """Return the values below which q per cent of the elements lie: `quantile(x, q / 100)`.

    Args:
        x: numbers.
        q: a number in [0, 100], or several, which become the first axis.
        axis: an axis or a tuple of axes; None is all of them.
        method: between two elements: "linear", "lower", "higher", "midpoint" or "nearest".
        keepdims: keep the axes with size one.

    Returns:
        The values; NaN where there is NaN among the elements.

    Raises:
        ValueError: if q is outside [0, 100], the method unknown, or there are no elements.

    Example:
        >>> float(densa.ops.percentile([1.0, 2.0, 3.0, 4.0], 50))
        2.5
    """
    line, where, shape = _line(x, axis, keepdims, "percentile")
    share = _shares("percentile", q, 100.0)
    found = quantile(line, share, axis=where, method=method)
    return found if shape is None else reshaped(found, [*share.shape, *shape])


def _shares(name: str, q: Any, whole: float) -> Any:
    share = np.asarray(q, np.float64) / whole
    if not np.all((share >= 0) & (share <= 1)):
        raise ValueError(f"{name}: q must lie between 0 and {whole:g}; got {q!r}.")
    return share


@public
def ptp(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Return the largest element minus the smallest.

    Args:
        x: numbers of any shape.
        axis: an axis or a tuple of axes; None is all of them.
        keepdims: keep the axes with size one.

    Example:
        >>> float(densa.ops.ptp([1.0, 5.0, 2.0]))
        4.0
    """
    high = largest(x, axis=axis, keepdims=keepdims)
    return apply("subtract", high, smallest(x, axis=axis, keepdims=keepdims))


@public
def nanprod(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Return the product of what is not NaN; 1 where nothing is left.

    Args:
        x: numbers of any shape.
        axis: an axis or a tuple of axes; None is all of them.
        keepdims: keep the axes with size one.

    Example:
        >>> float(densa.ops.nanprod([2.0, np.nan, 3.0]))
        6.0
    """
    return product(_known(x, 1.0)[0], axis=axis, keepdims=keepdims)


@public
def nanvar(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Return the mean square distance from the mean of what is not NaN; NaN of nothing.

    Args:
        x: numbers of any shape.
        axis: an axis or a tuple of axes; None is all of them.
        keepdims: keep the axes with size one.

    Example:
        >>> float(densa.ops.nanvar([1.0, np.nan, 3.0]))
        1.0
    """
    known, there = _known(x, 0.0)
    away = apply("where", there, known - nanmean(x, axis=axis, keepdims=True), scalar(0.0, known))
    number = total(apply("cast", there, dtype=known.dtype), axis=axis, keepdims=keepdims)
    return total(apply("square", away), axis=axis, keepdims=keepdims) / number


@public
def nanstd(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Return the root of the mean square distance from the mean of what is not NaN.

    Args:
        x: numbers of any shape.
        axis: an axis or a tuple of axes; None is all of them.
        keepdims: keep the axes with size one.

    Example:
        >>> float(densa.ops.nanstd([1.0, np.nan, 3.0]))
        1.0
    """
    return apply("sqrt", nanvar(x, axis=axis, keepdims=keepdims))


@public
def nancumsum(x: Any, axis: int | None = None, dtype: Any = None) -> Any:
    """Return the sum of the elements up to each one, NaN counted as 0.

    Args:
        x: numbers.
        axis: the axis to walk along; None flattens x.
        dtype: type to sum in; None is x's.

    Example:
        >>> densa.ops.nancumsum([1.0, np.nan, 3.0]).numpy().tolist()
        [1.0, 1.0, 4.0]
    """
    return cumsum(_filled(x, 0.0), axis=axis, dtype=dtype)


@public
def nancumprod(x: Any, axis: int | None = None, dtype: Any = None) -> Any:
    """Return the product of the elements up to each one, NaN counted as 1.

    Args:
        x: numbers.
        axis: the axis to walk along; None flattens x.
        dtype: type to multiply in; None is x's.

    Example:
        >>> densa.ops.nancumprod([2.0, np.nan, 3.0]).numpy().tolist()
        [2.0, 2.0, 6.0]
    """
    return cumprod(_filled(x, 1.0), axis=axis, dtype=dtype)


def _filled(x: Any, value: float) -> Any:
    x = tensor(x)
    return _known(x, value)[0] if config.is_float(x.dtype) else x


def _nanarg(x: Any, find: Any, worst: float, axis: int | None, keepdims: bool) -> Any:
    known, there = _known(x, worst)
    found = find(known, axis=axis, keepdims=keepdims)
    axes = [] if axis is None else [axis]
    some = apply("any", there, axis=axes, keepdims=keepdims)
    return apply("where", some, found, scalar(-1, found))


@public
def nanargmax(x: Any, axis: int | None = None, keepdims: bool = False) -> Any:
    """Return where the largest element lies that is not NaN; -1 where nothing is left.

    Args:
        x: numbers of any shape.
        axis: the axis to look along; None flattens x.
        keepdims: keep the axis with size one.

    Example:
        >>> int(densa.ops.nanargmax([1.0, np.nan, 3.0]))
        2
    """
    return _nanarg(x, argmax, float("-inf"), axis, keepdims)


@public
def nanargmin(x: Any, axis: int | None = None, keepdims: bool = False) -> Any:
    """Return where the smallest element lies that is not NaN; -1 where nothing is left.

    Args:
        x: numbers of any shape.
        axis: the axis to look along; None flattens x.
        keepdims: keep the axis with size one.

    Example:
        >>> int(densa.ops.nanargmin([np.nan, 1.0, 3.0]))
        1
    """
    return _nanarg(x, argmin, float("inf"), axis, keepdims)


@public
def nanquantile(
    x: Any, q: Any, axis: Any = None, method: str = "linear", keepdims: bool = False
) -> Any:
    """Return the values below which shares q of the elements lie that are not NaN.

    Args:
        x: numbers.
        q: a share in [0, 1], or several, which become the first axis.
        axis: an axis or a tuple of axes; None is all of them.
        method: between two elements: "linear", "lower", "higher", "midpoint" or "nearest".
        keepdims: keep the axes with size one.

    Returns:
        The values; NaN where nothing is left.

    Raises:
        ValueError: if a share is outside [0, 1], the method unknown, or there are no elements.

    Example:
        >>> float(densa.ops.nanquantile([1.0, np.nan, 3.0], 0.5))
        2.0
    """
    return _nanquantile("nanquantile", x, _shares("nanquantile", q, 1.0), axis, method, keepdims)


@public
def nanpercentile(
    x: Any, q: Any, axis: Any = None, method: str = "linear", keepdims: bool = False
) -> Any:
    """Return the values below which q per cent of the elements lie that are not NaN.

    Args:
        x: numbers.
        q: a number in [0, 100], or several, which become the first axis.
        axis: an axis or a tuple of axes; None is all of them.
        method: between two elements: "linear", "lower", "higher", "midpoint" or "nearest".
        keepdims: keep the axes with size one.

    Returns:
        The values; NaN where nothing is left.

    Raises:
        ValueError: if q is outside [0, 100], the method unknown, or there are no elements.

    Example:
        >>> float(densa.ops.nanpercentile([1.0, np.nan, 3.0], 50))
        2.0
    """
    shares = _shares("nanpercentile", q, 100.0)
    return _nanquantile("nanpercentile", x, shares, axis, method, keepdims)


@public
def nanmedian(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Return the middle of the elements that are not NaN, or the mean of the two in the middle.

    Args:
        x: numbers.
        axis: an axis or a tuple of axes; None is all of them.
        keepdims: keep the axes with size one.

    Returns:
        The medians; NaN where nothing is left.

    Example:
        >>> float(densa.ops.nanmedian([3.0, np.nan, 1.0]))
        2.0
    """
    return _nanquantile("nanmedian", x, np.asarray(0.5), axis, "linear", keepdims)


_METHODS = ("linear", "lower", "higher", "midpoint", "nearest")


def _nanquantile(name: str, x: Any, shares: Any, axis: Any, method: str, keepdims: bool) -> Any:
    if method not in _METHODS:
        raise ValueError(f"{name}: method must be one of {list(_METHODS)}; got {method!r}.")
    line, where, shape = _line(floating(x), axis, keepdims, name)
    if known_size(line, where, name) == 0:
        raise ValueError(f"{name}: there are no elements along axis {axis} of shape {x.shape}.")
    there = apply("cast", apply("equal", line, line), dtype=line.dtype)
    number = apply("sum", there, axis=[where], keepdims=True)
    ordered = sort(_known(line, float("inf"))[0], axis=where)  # what is left comes first
    parts = [_at_share(ordered, where, number, float(s), method) for s in shares.ravel()]
    kept = shape or [d for i, d in enumerate(line.shape) if i != where]
    if not shares.ndim:  # which leaves the rows of a batch in front
        return reshaped(parts[0], kept)
    parts = [reshaped(part, [1, *kept]) for part in parts]
    return reshaped(apply("concatenate", *parts, axis=0), [*shares.shape, *kept])


def _at_share(ordered: Any, where: int, number: Any, share: float, method: str) -> Any:
    # float32 has not the digits: 25 · 0.6 is 15, and not the least bit more.
    at = apply("maximum", (apply("cast", number, dtype="float64") - 1.0) * share, 0.0)
    low = apply("floor", at)
    if method == "lower":
        at = low
    elif method == "higher":
        at = apply("ceil", at)
    elif method == "nearest":
        at = apply("round", at)
    elif method == "midpoint":
        at = (low + apply("ceil", at)) * 0.5
    low, high = apply("floor", at), apply("ceil", at)
    a, b = (
        take_along_axis(ordered, apply("cast", i, dtype="int32"), axis=where) for i in (low, high)
    )
    # Not a + (b - a) * 0, which is NaN between infinities.
    part = apply("cast", at - low, dtype=ordered.dtype)
    found = apply("where", apply("equal", low, high), a, a + (b - a) * part)
    return apply("where", apply("greater", number, 0.0), found, scalar(float("nan"), found))
