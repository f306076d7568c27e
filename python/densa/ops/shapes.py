"""Reshaping, joining and cutting arrays: part of `densa.ops`."""

from __future__ import annotations

import builtins
import itertools
from typing import Any

import numpy as np

from densa import _core
from densa._operators import target_shape
from densa.device import together
from densa.ops._public import (
    apply,
    axes_of,
    filled_like,
    known_shape,
    known_size,
    place,
    public,
    reshaped,
    scalar,
    tensor,
)

# ---- reshaping -----------------------------------------------------------------------------------


@public
def copy(x: Any) -> Any:
    """Return a copy of x.

    Args:
        x: an array.

    Example:
        >>> densa.ops.copy([1.0, 2.0]).numpy().tolist()
        [1.0, 2.0]
    """
    x = tensor(x)
    return apply("add", x, scalar(0, x))


@public
def reshape(x: Any, newshape: Any) -> Any:
    """Return the same elements in another shape; one size may be -1, the first may be None (kept).

    Args:
        x: an array.
        newshape: a size or several; None is the rows of a batch.

    Raises:
        ValueError: if the numbers of elements differ.

    Example:
        >>> densa.ops.reshape(np.ones((2, 6)), (3, -1)).shape
        (3, 4)

    Raises:
        ValueError: if two sizes are -1, or the numbers of elements differ.
    """
    return reshaped(tensor(x), [newshape] if isinstance(newshape, int) else target_shape(newshape))


@public
def ravel(x: Any) -> Any:
    """Return all elements in one axis.

    Args:
        x: an array.

    Example:
        >>> densa.ops.ravel([[1.0, 2.0], [3.0, 4.0]]).numpy().tolist()
        [1.0, 2.0, 3.0, 4.0]
    """
    return reshaped(tensor(x), [-1])


@public
def transpose(x: Any, axes: Any = None) -> Any:
    """Permute the axes; reverse them if axes is None.

    Args:
        x: an array.
        axes: for each axis of the result, which one of x it is.

    Returns:
        x with its axes in that order.

    Example:
        >>> densa.ops.transpose(np.ones((2, 3, 4)), (0, 2, 1)).shape
        (2, 4, 3)
    """
    x = tensor(x)
    if x.ndim < 2:
        return x
    return apply("transpose", x, perm=axes_of(axes))


@public
def swapaxes(x: Any, axis1: int, axis2: int) -> Any:
    """Exchange two axes.

    Args:
        x: an array.
        axis1: one axis.
        axis2: the other one.

    Returns:
        x with the two axes exchanged.

    Example:
        >>> densa.ops.swapaxes(np.ones((2, 3, 4)), 0, 2).shape
        (4, 3, 2)
    """
    x = tensor(x)
    order = list(range(x.ndim))
    a, b = place(axis1, x.ndim, "swapaxes"), place(axis2, x.ndim, "swapaxes")
    order[a], order[b] = order[b], order[a]
    return apply("transpose", x, perm=order)


@public
def moveaxis(x: Any, source: Any, destination: Any) -> Any:
    """Move axes to new places; the others keep their order.

    Args:
        x: an array.
        source: an axis or several.
        destination: their places in the result.

    Returns:
        x with its axes in the new order.

    Raises:
        ValueError: if the numbers of axes and of places differ.

    Example:
        >>> densa.ops.moveaxis(np.ones((2, 3, 4)), 0, -1).shape
        (3, 4, 2)
    """
    x = tensor(x)
    sources = [place(a, x.ndim, "moveaxis") for a in axes_of(source)]
    targets = [place(a, x.ndim, "moveaxis") for a in axes_of(destination)]
    if len(sources) != len(targets):
        raise ValueError(f"moveaxis: {len(sources)} axes move to {len(targets)} places.")
    order = [a for a in range(x.ndim) if a not in sources]
    for target, origin in sorted(zip(targets, sources, strict=True)):
        order.insert(target, origin)
    return x if order == list(range(x.ndim)) else apply("transpose", x, perm=order)


@public
def expand_dims(x: Any, axis: Any) -> Any:
    """Insert axes of size one where they shall be in the result.

    Args:
        x: an array.
        axis: one place or several, counted in the result.

    Returns:
        x with more axes.

    Example:
        >>> densa.ops.expand_dims(np.ones((2, 3)), (0, -1)).shape
        (1, 2, 3, 1)
    """
    x = tensor(x)
    rank = x.ndim + len(axes_of(axis))
    places = {place(a, rank, "expand_dims") for a in axes_of(axis)}
    sizes = iter(x.shape)
    return reshaped(x, [1 if i in places else next(sizes) for i in range(rank)])


@public
def squeeze(x: Any, axis: Any = None) -> Any:
    """Drop axes of size one: the given ones, or all.

    Args:
        x: an array.
        axis: an axis or several; None is all of size one.

    Returns:
        x without these axes.

    Raises:
        ValueError: if a given axis has another size.

    Example:
        >>> densa.ops.squeeze(np.ones((1, 2, 1))).shape
        (2,)
    """
    x = tensor(x)
    if axis is None:
        dropped = {i for i, d in enumerate(x.shape) if d == 1}
    else:
        dropped = {place(a, x.ndim, "squeeze") for a in axes_of(axis)}
        for a in dropped:
            if x.shape[a] != 1:
                raise ValueError(f"squeeze: axis {a} of shape {tuple(x.shape)} has not size 1.")
    return reshaped(x, [d for i, d in enumerate(x.shape) if i not in dropped])


@public
def broadcast_to(x: Any, shape: Any) -> Any:
    """Stretch axes of size one (and add axes in front) to a shape.

    Args:
        x: an array.
        shape: the shape to have; None is the rows of a batch.

    Returns:
        x in that shape.

    Example:
        >>> densa.ops.broadcast_to([1.0, 2.0], (3, 2)).shape
        (3, 2)
    """
    x = tensor(x)
    own = [None] * (len(shape) - x.ndim) + list(x.shape)
    if not _core.recording():  # where an axis of size 1 may be stretched to rows
        shape = [a if d is None else d for d, a in zip(shape, own, strict=False)]
    return apply("broadcast_to", x, shape=[-1 if d is None else int(d) for d in shape])


@public
def flip(x: Any, axis: Any = None) -> Any:
    """Reverse the order of the elements along axes; all of them if None.

    Args:
        x: an array.
        axis: an axis or several; None is all of them.

    Returns:
        x in reverse order.

    Example:
        >>> densa.ops.flip([1.0, 2.0, 3.0]).numpy().tolist()
        [3.0, 2.0, 1.0]
    """
    x = tensor(x)
    axes = {place(a, x.ndim, "flip") for a in axes_of(axis)} or set(range(x.ndim))
    key = tuple(np.s_[::-1] if a in axes else np.s_[:] for a in range(x.ndim))
    return x[key] if key else x


# ---- joining and cutting -------------------------------------------------------------------------


@public
def concatenate(xs: Any, axis: int = 0) -> Any:
    """Join arrays along an axis.

    Args:
        xs: arrays whose shapes agree apart from `axis`.
        axis: the axis that grows.

    Returns:
        One array with all elements.

    Raises:
        ValueError: if there is no array, or shapes differ elsewhere.

    Example:
        >>> densa.ops.concatenate([np.ones((1, 2)), np.ones((3, 2))]).shape
        (4, 2)
    """
    xs = together(*xs)
    if not xs:
        raise ValueError("concatenate: at least one array is needed.")
    return apply("concatenate", *xs, axis=int(axis))


@public
def stack(x: Any, axis: int = 0) -> Any:
    """Join arrays of one shape along a new axis.

    Args:
        x: arrays of one shape.
        axis: the place of the new axis.

    Returns:
        One array with one axis more.

    Raises:
        ValueError: if there is no array, or shapes differ.

    Example:
        >>> densa.ops.stack([[1.0, 2.0], [3.0, 4.0]], axis=1).numpy().tolist()
        [[1.0, 3.0], [2.0, 4.0]]
    """
    xs = together(*x)
    if not xs:
        raise ValueError("stack: at least one array is needed.")
    where = place(axis, xs[0].ndim + 1, "stack")
    first = tuple(xs[0].shape)
    for item in xs:
        if tuple(item.shape) != first:
            raise ValueError(f"stack: shapes {first} and {tuple(item.shape)} must be equal.")
    grown = [*first[:where], 1, *first[where:]]
    return apply("concatenate", *(reshaped(item, grown) for item in xs), axis=where)


@public
def unstack(x: Any, num: int | None = None, axis: int = 0) -> list[Any]:
    """Cut an array into its slices along an axis, without that axis.

    Args:
        x: an array.
        num: how many slices there are, if it shall be checked.
        axis: the axis that goes.

    Returns:
        A list of arrays with one axis less.

    Raises:
        ValueError: if `num` is not the size of the axis.

    Example:
        >>> a, b = densa.ops.unstack([[1.0, 2.0], [3.0, 4.0]], axis=1)
        >>> b.numpy().tolist()
        [2.0, 4.0]
    """
    x = tensor(x)
    where = place(axis, x.ndim, "unstack")
    count = known_size(x, where, "unstack")
    if num is not None and num != count:
        raise ValueError(f"unstack: num is {num} but axis {axis} has size {count}.")
    return [x[(*(np.s_[:],) * where, i)] for i in range(count)]


@public
def hstack(xs: Any) -> Any:
    """Join along the second axis (the first for vectors).

    Args:
        xs: arrays whose shapes agree elsewhere.

    Returns:
        One array with all elements.

    Example:
        >>> densa.ops.hstack([np.ones((2, 1)), np.ones((2, 3))]).shape
        (2, 4)
    """
    xs = together(*xs)
    xs = [reshaped(x, [1]) if x.ndim == 0 else x for x in xs]
    return apply("concatenate", *xs, axis=0 if xs[0].ndim == 1 else 1)


@public
def vstack(xs: Any) -> Any:
    """Join along the first axis; vectors become rows.

    Args:
        xs: arrays whose shapes agree elsewhere.

    Returns:
        One array with all elements.

    Example:
        >>> densa.ops.vstack([[1.0, 2.0], [3.0, 4.0]]).shape
        (2, 2)
    """
    xs = together(*xs)
    return apply("concatenate", *(reshaped(x, [1, -1]) if x.ndim < 2 else x for x in xs), axis=0)


@public
def split(x: Any, indices_or_sections: Any, axis: int = 0) -> list[Any]:
    """Cut an array along an axis: into so many equal parts, or at the given indices.

    Args:
        x: an array.
        indices_or_sections: a number of equal parts, or the indices where a part begins.
        axis: the axis to cut.

    Returns:
        A list of arrays.

    Raises:
        ValueError: if there are no such equal parts.

    Example:
        >>> densa.ops.split(np.arange(6.0), [2])[1].numpy().tolist()
        [2.0, 3.0, 4.0, 5.0]
    """
    x = tensor(x)
    where = place(axis, x.ndim, "split")
    total = known_size(x, where, "split")
    if isinstance(indices_or_sections, (int, np.integer)):
        parts = int(indices_or_sections)
        if parts < 1 or total % parts:
            raise ValueError(f"split: an axis of size {total} has no {parts} equal parts.")
        cuts = [total // parts * i for i in range(parts + 1)]
    else:
        cuts = [0, *(int(i) for i in indices_or_sections), total]
    front = (np.s_[:],) * where
    return [x[(*front, builtins.slice(a, b))] for a, b in itertools.pairwise(cuts)]


def _padded_by_itself(x: Any, widths: list[list[int]], mode: str, constant: Any) -> Any:
    if constant is not None:
        raise ValueError(f"pad: constant_values are for mode 'constant'; the mode is {mode!r}.")
    for axis, width in enumerate(widths):
        if any(width):
            size = known_size(x, axis, "pad")
            if size == 0:
                raise ValueError(f"pad: axis {axis} of {tuple(x.shape)} has nothing to repeat.")
            places = np.pad(np.arange(size), width, mode=mode)  # type: ignore[call-overload]
            x = apply("take", x, _core.to_tensor(places), axis=axis)
    return x


@public
def pad(x: Any, pad_width: Any, mode: str = "constant", constant_values: Any = None) -> Any:
    """Put a border around an array: of a constant, or of what lies within.

    Args:
        x: an array.
        pad_width: one (before, after) pair per axis, one pair, or one number for all.
        mode: "constant"; or by what lies within: "edge" repeats the last element, "reflect"
            mirrors at it, "symmetric" mirrors with it, "wrap" begins at the other end.
        constant_values: the value of the border; None is 0.

    Returns:
        x with the border.

    Raises:
        ValueError: if a width is negative, the mode another one, or there is nothing to repeat.

    Example:
        >>> densa.ops.pad([1.0, 2.0], (1, 2)).numpy().tolist()
        [0.0, 1.0, 2.0, 0.0, 0.0]
    """
    modes = ("constant", "edge", "reflect", "symmetric", "wrap")
    if mode not in modes:
        raise ValueError(f"pad: mode must be one of {modes}; got {mode!r}.")
    x = tensor(x)
    widths = np.broadcast_to(np.asarray(pad_width, dtype=np.int64), (x.ndim, 2)).tolist()
    if any(side < 0 for pair in widths for side in pair):
        raise ValueError(f"pad: widths must not be negative; got {pad_width!r}.")
    if mode != "constant":
        return _padded_by_itself(x, widths, mode, constant_values)
    sizes = []
    for d, (a, b) in zip(x.shape, widths, strict=True):
        if d is None and a + b > 0:
            known_shape(x, "pad")
        sizes.append(-1 if d is None else d + a + b)
    place_of = {"begin": [a for a, _ in widths], "step": [1] * x.ndim, "shape": sizes}
    out = apply("pad_slice", x, **place_of)
    if constant_values in (None, 0):
        return out
    inside = apply("pad_slice", filled_like(x, True, "bool"), **place_of)
    return apply("where", inside, out, scalar(constant_values, x))


@public
def tile(x: Any, repeats: Any) -> Any:
    """Repeat the whole array along each axis.

    Args:
        x: an array.
        repeats: times per axis; too few are for the last axes.

    Returns:
        The repeated array.

    Raises:
        ValueError: if a number of times is negative.

    Example:
        >>> densa.ops.tile([1.0, 2.0], 2).numpy().tolist()
        [1.0, 2.0, 1.0, 2.0]
    """
    x = tensor(x)
    times = [repeats] if isinstance(repeats, int) else list(repeats)
    times = [1] * (x.ndim - len(times)) + times
    x = reshaped(x, [1] * (len(times) - x.ndim) + list(x.shape))
    for axis, n in enumerate(times):
        if n < 0:
            raise ValueError(f"tile: repeats must not be negative; got {repeats!r}.")
        if n == 0:
            x = x[(*(np.s_[:],) * axis, np.s_[:0])]
        elif n > 1:
            x = apply("concatenate", *[x] * n, axis=axis)
    return x


@public
def repeat(x: Any, repeats: Any, axis: int | None = None) -> Any:
    """Repeat each element along an axis; None flattens first.

    Args:
        x: an array.
        repeats: times, for all elements or for each one of the axis.
        axis: an axis, or None.

    Returns:
        The repeated elements.

    Example:
        >>> densa.ops.repeat([1.0, 2.0], 2).numpy().tolist()
        [1.0, 1.0, 2.0, 2.0]
    """
    x = tensor(x)
    if axis is None:
        x, axis = reshaped(x, [-1]), 0
    where = place(axis, x.ndim, "repeat")
    ids = np.repeat(np.arange(known_size(x, where, "repeat")), repeats)
    return apply("take", x, ids, axis=where)


@public
def roll(x: Any, shift: Any, axis: Any = None) -> Any:
    """Move elements along axes; those that leave at the end come back in front.

    Args:
        x: an array.
        shift: by how many places, one number or one per axis; negative ones go to the front.
        axis: an axis or several; None flattens first and restores the shape.

    Returns:
        x in the new order.

    Raises:
        ValueError: if there are not as many shifts as axes.

    Example:
        >>> densa.ops.roll([1.0, 2.0, 3.0], 1).numpy().tolist()
        [3.0, 1.0, 2.0]
    """
    x = tensor(x)
    if axis is None:
        return reshaped(roll(reshaped(x, [-1]), shift, 0), x.shape)
    if isinstance(axis, list | tuple) or isinstance(shift, list | tuple):
        axes, shifts = np.atleast_1d(axis), np.atleast_1d(shift)
        if 1 != len(shifts) != len(axes) != 1:
            raise ValueError(f"roll: {shift=} and {axis=} must be alike in number.")
        for one, by in np.broadcast(axes, shifts):
            x = roll(x, int(by), int(one))
        return x
    where = place(axis, x.ndim, "roll")
    n = known_size(x, where, "roll")
    return apply("take", x, (np.arange(n) - shift) % max(n, 1), axis=where)
