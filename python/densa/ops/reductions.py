"""Reductions of `densa.ops`: over one axis, several or all; the order is fixed by the shape."""

from __future__ import annotations

from typing import Any

from densa import config
from densa.device import together
from densa.ops._public import apply, axes_of, floating, place, public, reshaped, scalar, tensor


def _reduce(name: str, x: Any, axis: Any, keepdims: bool, **attributes: Any) -> Any:
    if isinstance(axis, (tuple, list)) and not axis:  # no axis at all
        rank = tensor(x).ndim
        x = apply("reshape", tensor(x), shape=[*tensor(x).shape, 1])
        return apply(name, x, axis=[rank], keepdims=False, **attributes)
    return apply(name, x, axis=axes_of(axis), keepdims=bool(keepdims), **attributes)


# What sums and products of small integers are taken in: they would soon overflow in their own type.
_WIDER = {"int8": "int32", "int16": "int32", "uint8": "uint32", "uint16": "uint32"}


def _widened(x: Any) -> Any:
    x = tensor(x)
    wider = _WIDER.get(x.dtype)
    return x if wider is None else apply("cast", x, dtype=wider)


@public
def sum(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Return the sum over the axes.

    Args:
        x: numbers; booleans and small integers count as int32 or uint32.
        axis: an axis or a tuple of axes; None is all of them.
        keepdims: keep the axes with size one.

    Example:
        >>> densa.ops.sum([[1.0, 2.0], [3.0, 4.0]], axis=0).numpy()
        array([4., 6.], dtype=float32)
    """
    return _reduce("sum", _widened(x), axis, keepdims)


@public
def mean(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Return the mean over the axes; NaN for no elements.

    Args:
        x: numbers of any shape.
        axis: an axis or a tuple of axes; None is all of them.
        keepdims: keep the axes with size one.

    Example:
        >>> densa.ops.mean([[1.0, 2.0], [3.0, 5.0]], axis=0).numpy().tolist()
        [2.0, 3.5]
    """
    return _reduce("mean", x, axis, keepdims)


@public
def prod(x: Any, axis: Any = None, keepdims: bool = False, dtype: Any = None) -> Any:
    """Return the product over the axes.

    Args:
        x: numbers of any shape.
        axis: an axis or a tuple of axes; None is all of them.
        keepdims: keep the axes with size one.
        dtype: type to multiply in; None is x's, int32 or uint32 for small integers.

    Example:
        >>> densa.ops.prod([[1.0, 2.0], [3.0, 5.0]], axis=0).numpy().tolist()
        [3.0, 10.0]
    """
    if dtype is not None:
        x = apply("cast", tensor(x), dtype=config.dtype_name(dtype))
    else:
        x = _widened(x)
    return _reduce("prod", x, axis, keepdims)


@public
def max(x: Any, axis: Any = None, keepdims: bool = False, initial: Any = None) -> Any:
    """Return the largest element; NaN wins. Ties share the gradient.

    Args:
        x: numbers of any shape.
        axis: an axis or a tuple of axes; None is all of them.
        keepdims: keep the axes with size one.
        initial: a number that takes part; the result where there is no element.

    Raises:
        ValueError: if there is no element and no `initial`.

    Example:
        >>> densa.ops.max([[1.0, 2.0], [3.0, 5.0]], axis=0).numpy().tolist()
        [3.0, 5.0]
    """
    return _extreme("max", "maximum", x, axis, keepdims, initial)


@public
def min(x: Any, axis: Any = None, keepdims: bool = False, initial: Any = None) -> Any:
    """Return the smallest element; NaN wins. Ties share the gradient.

    Args:
        x: numbers of any shape.
        axis: an axis or a tuple of axes; None is all of them.
        keepdims: keep the axes with size one.
        initial: a number that takes part; the result where there is no element.

    Raises:
        ValueError: if there is no element and no `initial`.

    Example:
        >>> densa.ops.min([[1.0, 2.0], [3.0, 5.0]], axis=0).numpy().tolist()
        [1.0, 2.0]
    """
    return _extreme("min", "minimum", x, axis, keepdims, initial)


@public
def amax(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Return the largest element, like `max`.

    Args:
        x: numbers of any shape.
        axis: an axis or a tuple of axes; None is all of them.
        keepdims: keep the axes with size one.

    Example:
        >>> densa.ops.amax([[1.0, 2.0], [3.0, 5.0]], axis=0).numpy().tolist()
        [3.0, 5.0]
    """
    return _reduce("max", x, axis, keepdims)


@public
def amin(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Return the smallest element, like `min`.

    Args:
        x: numbers of any shape.
        axis: an axis or a tuple of axes; None is all of them.
        keepdims: keep the axes with size one.

    Example:
        >>> densa.ops.amin([[1.0, 2.0], [3.0, 5.0]], axis=0).numpy().tolist()
        [1.0, 2.0]
    """
    return _reduce("min", x, axis, keepdims)


def _extreme(name: str, pair: str, x: Any, axis: Any, keepdims: bool, initial: Any) -> Any:
    if initial is None:
        return _reduce(name, x, axis, keepdims)
    x = tensor(x)
    axes = {a % x.ndim for a in axes_of(axis)} if axis is not None else set(range(x.ndim))
    if 0 in [x.shape[a] for a in axes]:
        shape = [1 if a in axes else d for a, d in enumerate(x.shape)]
        full = apply("broadcast_to", scalar(initial, x), shape=shape)
        return _reduce(name, full, axis, keepdims)
    return apply(pair, _reduce(name, x, axis, keepdims), initial)


@public
def var(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Return the variance (divided by n): mean (x - mean x)².

    Args:
        x: numbers of any shape.
        axis: an axis or a tuple of axes; None is all of them.
        keepdims: keep the axes with size one.

    Example:
        >>> densa.ops.var([[1.0, 2.0], [3.0, 5.0]], axis=0).numpy().tolist()
        [1.0, 2.25]
    """
    return _reduce("var", x, axis, keepdims)


@public
def std(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Return the standard deviation, the root of `var`.

    Args:
        x: numbers of any shape.
        axis: an axis or a tuple of axes; None is all of them.
        keepdims: keep the axes with size one.

    Example:
        >>> densa.ops.std([[1.0, 2.0], [3.0, 5.0]], axis=0).numpy().tolist()
        [1.0, 1.5]
    """
    return apply("sqrt", _reduce("var", x, axis, keepdims))


@public
def logsumexp(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Return log Σ eˣ without overflow; -inf for no elements.

    Args:
        x: numbers of any shape.
        axis: an axis or a tuple of axes; None is all of them.
        keepdims: keep the axes with size one.

    Example:
        >>> densa.ops.logsumexp(np.array([0.0, 0.0, 0.0])).numpy().round(4).tolist()
        1.0986
    """
    return _reduce("logsumexp", x, axis, keepdims)


@public
def any(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Tell whether at least one element is true.

    Args:
        x: booleans; other numbers are true unless zero.
        axis: an axis or a tuple of axes; None is all of them.
        keepdims: keep the axes with size one.

    Example:
        >>> densa.ops.any([[True, False], [True, True]], axis=0).numpy().tolist()
        [True, True]
    """
    return _reduce("any", x, axis, keepdims)


@public
def all(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Tell whether every element is true.

    Args:
        x: booleans; other numbers are true unless zero.
        axis: an axis or a tuple of axes; None is all of them.
        keepdims: keep the axes with size one.

    Example:
        >>> densa.ops.all([[True, False], [True, True]], axis=0).numpy().tolist()
        [True, False]
    """
    return _reduce("all", x, axis, keepdims)


@public
def count_nonzero(x: Any, axis: Any = None) -> Any:
    """Return the number of elements that are not zero, as int32.

    Args:
        x: numbers of any shape.
        axis: an axis or a tuple of axes; None is all of them.

    Example:
        >>> densa.ops.count_nonzero([[1.0, 0.0], [3.0, 5.0]], axis=0).numpy().tolist()
        [2, 1]
    """
    hit = apply("cast", apply("not_equal", x, 0), dtype="int32")
    return _reduce("sum", hit, axis, False)


@public
def argmax(x: Any, axis: int | None = None, keepdims: bool = False) -> Any:
    """Return the index of the first largest element, as int32; None looks at all elements.

    Args:
        x: numbers of any shape.
        axis: an axis; None flattens first.
        keepdims: keep the axes with size one.

    Example:
        >>> densa.ops.argmax([[1.0, 2.0], [3.0, 5.0]], axis=1).numpy().tolist()
        [1, 1]
    """
    return _arg("argmax", x, axis, keepdims)


@public
def argmin(x: Any, axis: int | None = None, keepdims: bool = False) -> Any:
    """Return the index of the first smallest element, as int32; None looks at all elements.

    Args:
        x: numbers of any shape.
        axis: an axis; None flattens first.
        keepdims: keep the axes with size one.

    Example:
        >>> densa.ops.argmin([[1.0, 2.0], [3.0, 5.0]], axis=1).numpy().tolist()
        [0, 0]
    """
    return _arg("argmin", x, axis, keepdims)


def _arg(name: str, x: Any, axis: int | None, keepdims: bool) -> Any:
    if axis is None:
        out = apply(name, x, flat=True, keepdims=bool(keepdims))
    else:
        out = apply(name, x, axis=int(axis), keepdims=bool(keepdims))
    return apply("cast", out, dtype="int32")


@public
def average(x: Any, axis: Any = None, weights: Any = None) -> Any:
    """Return the mean over the axes, weighted: Σ w x / Σ w.

    Args:
        x: numbers of any shape.
        axis: an axis or a tuple of axes; None is all of them.
        weights: as many as x has elements, or one per element of `axis`; None weighs all alike.

    Raises:
        ValueError: if a vector of weights does not fit one axis.

    Example:
        >>> float(densa.ops.average([1.0, 3.0], weights=[3.0, 1.0]))
        1.5
    """
    if weights is None:
        return _reduce("mean", x, axis, False)
    x, weights = together(x, weights)
    x = floating(x)
    if weights.ndim == 1 and x.ndim > 1:
        if not isinstance(axis, int) or weights.shape[0] != x.shape[axis]:
            raise ValueError(
                f"average: weights of shape {weights.shape} need one axis of that size; "
                f"got x {x.shape} and axis {axis}."
            )
        shape = [1] * x.ndim
        shape[axis] = weights.shape[0]
        weights = apply("reshape", weights, shape=shape)
    weighted = apply("multiply", x, weights)
    total = _reduce("sum", apply("broadcast_to", weights, shape=list(x.shape)), axis, False)
    return apply("divide", _reduce("sum", weighted, axis, False), total)


@public
def norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    """Return the norms of vectors, over one axis, or of matrices, over two.

    Of a vector (Σ |x|^ord)^(1/ord), its largest element for inf, the smallest for -inf, how many
    are not zero for 0. Of a matrix √Σx² ("fro"), the sum of its singular values ("nuc"), the
    largest (2) or smallest (-2) of those, or the largest (1) or smallest (-1) sum of a column, or
    of a row (inf and -inf). Singular values are NumPy's, which no native step can hold.

    Args:
        x: numbers.
        ord: order; None is 2 of a vector and "fro" of a matrix, over all elements if axis is None.
        axis: an axis, or a pair of axes; None for an order is the only axis, or both of two.
        keepdims: keep the axes with size one.

    Raises:
        ValueError: if a vector's order meets two axes, or a matrix' order one or more than two.

    Example:
        >>> float(densa.ops.norm([3.0, 4.0]))
        5.0
    """
    x = floating(x)
    if ord is None:
        return apply("sqrt", _reduce("sum", apply("square", x), axis, keepdims))
    pair = tuple(range(x.ndim)) if axis is None else axis
    if not isinstance(pair, int) and len(pair) != 1:
        return _matrix_norm(x, ord, pair, keepdims)
    if ord == 2:
        return apply("sqrt", _reduce("sum", apply("square", x), axis, keepdims))
    if not isinstance(ord, (int, float)):
        raise ValueError(f"norm: order {ord!r} is for matrices; give two axes, got axis={axis!r}.")
    size = apply("abs", x)
    if ord == 1:
        return _reduce("sum", size, axis, keepdims)
    if ord == float("inf"):
        return _reduce("max", size, axis, keepdims)
    if ord == float("-inf"):
        return _reduce("min", size, axis, keepdims)
    if ord == 0:
        return _reduce(
            "sum", apply("cast", apply("not_equal", x, 0), dtype=x.dtype), axis, keepdims
        )
    total = _reduce("sum", apply("power", size, ord), axis, keepdims)
    return apply("power", total, 1.0 / ord)


def _matrix_norm(x: Any, ord: Any, pair: Any, keepdims: bool) -> Any:
    """Return the norms of the matrices over a pair of axes."""
    if len(pair) != 2 or ord not in ("fro", "nuc", 1, -1, 2, -2, float("inf"), float("-inf")):
        raise ValueError(
            f"norm: order {ord!r} is for vectors; matrices have 'fro', 'nuc', 1, -1, 2, -2, inf "
            f"and -inf. Give one axis or two, got {tuple(pair)}."
        )
    if ord == "fro":
        return apply("sqrt", _reduce("sum", apply("square", x), pair, keepdims))
    row, column = (place(int(a), x.ndim, "norm") for a in pair)
    if ord in ("nuc", 2, -2):
        from densa.ops.linalg import svd
        from densa.ops.shapes import moveaxis

        values = svd(moveaxis(x, (row, column), (-2, -1)), compute_uv=False)
        how = {"nuc": "sum", 2: "max", -2: "min"}[ord]
        found = apply(how, values, axis=[values.ndim - 1])
    else:
        summed = row if abs(ord) == 1 else column
        sums = _reduce("sum", apply("abs", x), summed, True)
        found = _reduce("max" if ord > 0 else "min", sums, (row, column), False)
    if not keepdims:
        return found
    return reshaped(found, [1 if i in (row, column) else d for i, d in enumerate(x.shape)])


@public
def moments(x: Any, axes: Any, keepdims: bool = False, synchronized: bool = False) -> Any:
    """Return mean and variance over the axes.

    Args:
        x: numbers.
        axes: an axis or a tuple of them.
        keepdims: keep the axes with size one.
        synchronized: accepted for Keras; there is one device.

    Example:
        >>> mean, variance = densa.ops.moments([[1.0, 2.0], [3.0, 6.0]], axes=0)
        >>> variance.numpy().tolist()
        [1.0, 4.0]
    """
    return _reduce("mean", x, axes, keepdims), _reduce("var", x, axes, keepdims)
