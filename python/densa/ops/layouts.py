"""Arrays cut, joined, turned and multiplied into patterns: part of `densa.ops`."""

from __future__ import annotations

import builtins
import re
from typing import Any

import numpy as np

from densa.device import together
from densa.ops._public import (
    apply,
    floating,
    known_shape,
    known_size,
    place,
    public,
    reshaped,
    tensor,
)
from densa.ops.arranging import diag
from densa.ops.picking import take
from densa.ops.shapes import concatenate, flip, moveaxis, split, swapaxes


@public
def hsplit(x: Any, indices_or_sections: Any) -> list[Any]:
    """Return the parts of x cut along its second axis, of a vector along its only one.

    Args:
        x: an array of at least one axis.
        indices_or_sections: how many equal parts, or where each part but the first begins.

    Raises:
        ValueError: if x has no axis, or does not fall into equal parts.

    Example:
        >>> [part.shape for part in densa.ops.hsplit(np.ones((2, 4)), 2)]
        [(2, 2), (2, 2)]
    """
    return _cut("hsplit", x, indices_or_sections, 1, 1)


@public
def vsplit(x: Any, indices_or_sections: Any) -> list[Any]:
    """Return the parts of x cut along its first axis.

    Args:
        x: an array of at least two axes.
        indices_or_sections: how many equal parts, or where each part but the first begins.

    Raises:
        ValueError: if x has fewer axes, or does not fall into equal parts.

    Example:
        >>> [part.shape for part in densa.ops.vsplit(np.ones((4, 2)), [1])]
        [(1, 2), (3, 2)]
    """
    return _cut("vsplit", x, indices_or_sections, 0, 2)


@public
def dsplit(x: Any, indices_or_sections: Any) -> list[Any]:
    """Return the parts of x cut along its third axis.

    Args:
        x: an array of at least three axes.
        indices_or_sections: how many equal parts, or where each part but the first begins.

    Raises:
        ValueError: if x has fewer axes, or does not fall into equal parts.

    Example:
        >>> [part.shape for part in densa.ops.dsplit(np.ones((1, 2, 4)), 2)]
        [(1, 2, 2), (1, 2, 2)]
    """
    return _cut("dsplit", x, indices_or_sections, 2, 3)


def _cut(name: str, x: Any, where: Any, axis: int, least: int) -> list[Any]:
    x = tensor(x)
    if x.ndim < least:
        raise ValueError(f"{name}: expected {least} axes or more; got shape {tuple(x.shape)}.")
    parts: list[Any] = split(x, where, axis=min(axis, x.ndim - 1))
    return parts


@public
def dstack(xs: Any) -> Any:
    """Return arrays joined along a third axis: vectors (n,) as (1, n, 1), matrices as (m, n, 1).

    Args:
        xs: arrays whose shapes agree but for the third axis.

    Example:
        >>> densa.ops.dstack([np.ones((2, 3)), np.zeros((2, 3))]).shape
        (2, 3, 2)
    """
    parts = []
    for x in together(*xs):
        shape = [1, *x.shape, 1] if x.ndim == 1 else [*([1] * (2 - x.ndim)), *x.shape, 1]
        parts.append(x if x.ndim > 2 else reshaped(x, shape))
    return concatenate(parts, axis=2)


@public
def diagflat(x: Any, k: int = 0) -> Any:
    """Return a matrix with the elements of x, flattened, on a diagonal.

    Args:
        x: numbers of any shape.
        k: the diagonal; above the main one if positive.

    Example:
        >>> densa.ops.diagflat([[1.0, 2.0]]).numpy().tolist()
        [[1.0, 0.0], [0.0, 2.0]]
    """
    return diag(reshaped(tensor(x), [-1]), k=k)


@public
def rot90(array: Any, k: int = 1, axes: Any = (0, 1)) -> Any:
    """Return an array turned by k quarters, from the first of two axes towards the second.

    Args:
        array: an array of at least two axes.
        k: how many quarters; negative ones turn back.
        axes: the two axes of the plane.

    Raises:
        ValueError: unless there are two different axes.

    Example:
        >>> densa.ops.rot90([[1.0, 2.0], [3.0, 4.0]]).numpy().tolist()
        [[2.0, 4.0], [1.0, 3.0]]
    """
    x = tensor(array)
    if x.ndim < 2 or len(axes) != 2:
        raise ValueError(
            f"rot90: expected an array of two axes or more, and two axes; got shape "
            f"{tuple(x.shape)} and axes={axes!r}."
        )
    a, b = (place(int(axis), x.ndim, "rot90") for axis in axes)
    if a == b:
        raise ValueError(f"rot90: the axes must differ; got {axes!r}.")
    k = int(k) % 4
    if k == 0:
        return x
    if k == 2:
        return flip(x, axis=(a, b))
    return swapaxes(flip(x, axis=b), a, b) if k == 1 else flip(swapaxes(x, a, b), axis=b)


@public
def kron(x1: Any, x2: Any) -> Any:
    """Return the Kronecker product: x2 times each element of x1, laid out as x1 is.

    Args:
        x1: numbers of any shape.
        x2: numbers of any shape.

    Example:
        >>> densa.ops.kron([1.0, 10.0], [1.0, 2.0]).numpy().tolist()
        [1.0, 2.0, 10.0, 20.0]
    """
    a, b = together(x1, x2)
    rank = max(a.ndim, b.ndim)
    left = [1] * (rank - a.ndim) + list(a.shape)
    right = [1] * (rank - b.ndim) + list(b.shape)
    wide = reshaped(a, [n for d in left for n in (d, 1)])
    deep = reshaped(b, [n for d in right for n in (1, d)])
    rows = rank > 0 and None in (left[0], right[0]) and 1 in (left[0], right[0])
    if not rows:  # else the rows of a batch stay as they are
        known_shape(a, "kron"), known_shape(b, "kron")
    pairs = zip(left, right, strict=True)
    sizes = [None if rows and i == 0 else m * n for i, (m, n) in enumerate(pairs)]
    return reshaped(apply("multiply", wide, deep), sizes)


@public
def cross(
    x1: Any, x2: Any, axisa: int = -1, axisb: int = -1, axisc: int = -1, axis: int | None = None
) -> Any:
    """Return the cross products of vectors of 3 numbers; one of 2 numbers has 0 for its third.

    Args:
        x1: vectors along `axisa`.
        x2: vectors along `axisb`, of a shape that broadcasts with x1's.
        axisa: the axis of x1's vectors.
        axisb: the axis of x2's vectors.
        axisc: the axis that gets the products.
        axis: all three, if given.

    Returns:
        The products; of two pairs of 2 numbers the third number alone.

    Raises:
        ValueError: unless vectors have 2 or 3 numbers.

    Example:
        >>> densa.ops.cross([1.0, 0.0, 0.0], [0.0, 1.0, 0.0]).numpy().tolist()
        [0.0, 0.0, 1.0]
    """
    if axis is not None:
        axisa = axisb = axisc = axis
    a, b = together(x1, x2)
    a, b = moveaxis(a, axisa, -1), moveaxis(b, axisb, -1)
    for x in (a, b):
        if x.shape[-1] not in (2, 3):
            raise ValueError(f"cross: vectors need 2 or 3 numbers; got {x.shape[-1]}.")
    a0, a1, b0, b1 = a[..., 0], a[..., 1], b[..., 0], b[..., 1]
    third = a0 * b1 - a1 * b0
    if a.shape[-1] == b.shape[-1] == 2:
        return third
    a2 = a[..., 2] if a.shape[-1] == 3 else a0 * 0
    b2 = b[..., 2] if b.shape[-1] == 3 else b0 * 0
    found = [a1 * b2 - a2 * b1, a2 * b0 - a0 * b2, third]
    parts = [reshaped(x, [*x.shape, 1]) for x in found]
    return moveaxis(apply("concatenate", *parts, axis=parts[0].ndim - 1), -1, axisc)


@public
def vander(x: Any, N: int | None = None, increasing: bool = False) -> Any:
    """Return a matrix whose rows hold the powers of the elements: x^(N-1), …, x, 1.

    Args:
        x: numbers of shape (n,).
        N: how many powers; None is n.
        increasing: whether 1 comes first.

    Raises:
        ValueError: if x has not one axis, or N is negative.

    Example:
        >>> densa.ops.vander([2.0, 3.0], 3).numpy().tolist()
        [[4.0, 2.0, 1.0], [9.0, 3.0, 1.0]]
    """
    x = tensor(x)
    if x.ndim != 1:
        raise ValueError(f"vander: expected one axis; got shape {tuple(x.shape)}.")
    count = known_size(x, 0, "vander") if N is None else int(N)
    if count < 0:
        raise ValueError(f"vander: N must not be negative; got {N}.")
    column = reshaped(x, [-1, 1])
    ones = apply("add", apply("multiply", column, 0), 1)
    columns = [ones]
    for _ in range(count - 1):
        columns.append(apply("multiply", columns[-1], column))
    if count == 0:
        return ones[:, :0]
    return apply("concatenate", *(columns if increasing else columns[::-1]), axis=1)


@public
def corrcoef(x: Any) -> Any:
    """Return the correlations between the rows: cov(i, j) / √(cov(i, i) cov(j, j)).

    Args:
        x: one variable per row, of shape (variables, observations); or one variable.

    Returns:
        Shape (variables, variables), within [-1, 1]; a number for one variable.

    Example:
        >>> densa.ops.corrcoef([[1.0, 2.0, 3.0], [3.0, 2.0, 1.0]]).numpy().round(4).tolist()
        [[1.0, -1.0], [-1.0, 1.0]]
    """
    x = floating(x)
    if x.ndim > 2:
        raise ValueError(f"corrcoef: expected at most two axes; got shape {tuple(x.shape)}.")
    rows = x if x.ndim == 2 else reshaped(x, [1, -1])
    away = rows - apply("mean", rows, axis=[1], keepdims=True)
    products = apply("matmul", away, apply("transpose", away, perm=[1, 0]))
    size = apply("sqrt", apply("sum", apply("square", away), axis=[1]))
    found = products / reshaped(size, [-1, 1]) / reshaped(size, [1, -1])
    found = apply("minimum", apply("maximum", found, -1.0), 1.0)
    return found if x.ndim == 2 else reshaped(found, [])


@public
def correlate(x1: Any, x2: Any, mode: str = "valid") -> Any:
    """Return the sums Σₙ x1ₙ₊ₖ·x2ₙ of two vectors, shifted against each other by k.

    Args:
        x1: numbers of shape (n,).
        x2: numbers of shape (m,).
        mode: "valid": shifts where the shorter lies within the longer; "same": as many as the
            longer has numbers; "full": all n + m - 1.

    Raises:
        ValueError: for other shapes, a vector without numbers, or another mode.

    Example:
        >>> densa.ops.correlate([1.0, 2.0, 3.0], [0.0, 1.0, 0.5], mode="same").numpy().tolist()
        [2.0, 3.5, 3.0]
    """
    a, v = together(x1, x2)
    if mode not in ("valid", "same", "full"):
        raise ValueError(f"correlate: mode must be 'valid', 'same' or 'full'; got {mode!r}.")
    if a.ndim != 1 or v.ndim != 1 or 0 in (a.shape[0], v.shape[0]):
        raise ValueError(
            "correlate: expected two vectors with a number or more; got shapes "
            f"{tuple(a.shape)} and {tuple(v.shape)}."
        )
    n, m = (known_size(x, 0, "correlate") for x in (a, v))
    if n < m:
        return flip(correlate(v, a, mode))
    skip = {"full": 0, "same": m - 1 - m // 2, "valid": m - 1}[mode]
    count = {"full": n + m - 1, "same": n, "valid": n - m + 1}[mode]
    wide = apply("pad_slice", a, begin=[m - 1], step=[1], shape=[n + 2 * (m - 1)])
    places = skip + np.arange(count)[:, None] + np.arange(m)
    return apply("sum", apply("multiply", take(wide, places), v), axis=[1])


@public
def cdist(x: Any, y: Any) -> Any:
    """Return the Euclidean distances between the vectors of x and those of y.

    Args:
        x: shape (…, p, features).
        y: shape (…, r, features).

    Returns:
        Shape (…, p, r). The slope of a distance of 0 is taken as 0.

    Raises:
        ValueError: if they have fewer than two axes, or vectors of different sizes.

    Example:
        >>> densa.ops.cdist([[0.0, 0.0]], [[3.0, 4.0], [0.0, 1.0]]).numpy().tolist()
        [[5.0, 1.0]]
    """
    x, y = together(x, y)
    x, y = floating(x), floating(y)
    if x.ndim < 2 or y.ndim < 2 or x.shape[-1] != y.shape[-1]:
        raise ValueError(
            "cdist: expected vectors of one size along the last axes of two arrays; got shapes "
            f"{tuple(x.shape)} and {tuple(y.shape)}."
        )
    from densa.ops.shapes import expand_dims

    away = apply("subtract", expand_dims(x, -2), expand_dims(y, -3))
    square = apply("sum", apply("square", away), axis=[away.ndim - 1])
    none = apply("equal", square, 0.0)
    size = apply("sqrt", apply("where", none, square + 1.0, square))
    return apply("where", none, square, size)


@public
def rearrange(tensor: Any, pattern: str, **axes_lengths: int) -> Any:
    """Return an array with its axes moved, joined and cut by a pattern: "b (h w) -> b w h".

    Args:
        tensor: an array.
        pattern: names of the axes before and behind "->"; names in parentheses are one axis, of
            which the last runs fastest. Both sides have the same names; `1` is an axis of size 1.
        **axes_lengths: sizes of axes that parentheses on the left leave open.

    Raises:
        ValueError: for a pattern that cannot be read, or does not fit the shape.

    Example:
        >>> densa.ops.rearrange(np.ones((2, 6, 3)), "b (h w) c -> b (w c) h", h=2).shape
        (2, 9, 2)
    """
    x = together(tensor)[0]

    def wrong(why: str) -> ValueError:
        return ValueError(f"rearrange: {why}; the pattern is {pattern!r}, x {tuple(x.shape)}.")

    sides = pattern.split("->")
    if len(sides) != 2:
        raise wrong("expected one '->'")
    left, right = (_groups(side) for side in sides)
    if left is None or right is None:
        raise wrong("expected names, 1 and parentheses")
    if len(left) != x.ndim:
        raise wrong(f"there are {len(left)} axes on the left")
    sizes: dict[str, Any] = {}
    for group, size in zip(left, x.shape, strict=True):
        open_ones = [name for name in group if name not in axes_lengths]
        given = int(np.prod([axes_lengths[n] for n in group if n in axes_lengths]))
        if len(open_ones) > 1 or (not group and size != 1):
            raise wrong(f"the sizes of {open_ones or 'an axis of size 1'} cannot be told")
        if size is not None and (size % given if open_ones else size != given and group):
            raise wrong(f"an axis of {size} is not made of {group}")
        for name in group:
            if name in sizes:
                raise wrong(f"{name!r} occurs twice")
            known = axes_lengths.get(name)
            sizes[name] = known if known is not None else None if size is None else size // given
    names = [n for group in left for n in group]
    wanted = [n for group in right for n in group]
    if sorted(names) != sorted(wanted):
        raise wrong(f"the names {names} and {wanted} differ")
    x = reshaped(x, [sizes[n] for n in names])
    x = apply("transpose", x, perm=[names.index(n) for n in wanted]) if names else x
    rows = [n for n in names if sizes[n] is None]
    shape = [None if set(rows) & {*g} else int(np.prod([sizes[n] for n in g])) for g in right]
    return reshaped(x, shape)


def _groups(side: str) -> builtins.list[builtins.list[str]] | None:
    """Return the names of each axis; an axis of size 1 has none. None: it cannot be read."""
    parts = re.findall(r"\([^()]*\)|[A-Za-z_]\w*|\S", side)
    out = []
    for part in parts:
        names = part.strip("()").split() if part[0] == "(" else [part]
        names = [n for n in names if n != "1"]
        if any(not n.isidentifier() for n in names):
            return None
        out.append(names)
    return out
