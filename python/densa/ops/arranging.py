"""Sums over named axes, diagonals, blocks and grids: part of `densa.ops`."""

from __future__ import annotations

import itertools
import math
import string
from collections.abc import Sequence
from typing import Any

import numpy as np

from densa import config
from densa.device import together
from densa.ops._public import (
    apply,
    axes_of,
    dtype_or_floatx,
    floating,
    known_shape,
    known_size,
    made,
    place,
    public,
    reshaped,
    scalar,
    tensor,
    whole,
)
from densa.ops.making import full_like
from densa.ops.picking import diagonal
from densa.ops.shapes import broadcast_to, concatenate, flip, pad, split

# ---- einsum --------------------------------------------------------------------------------------


@public
def einsum(subscripts: str, *operands: Any) -> Any:
    """Return the sum of products that `subscripts` spells, by one matrix product per operand.

    `"ab,bc->ac"` is `Σ_b x[a, b]·y[b, c]`: a letter names an axis, the same one of the same size
    everywhere; those that do not stand behind `->` are summed over; `...` is all other axes.

    Args:
        subscripts: axes of each operand, `,` between them, and of the result; without `->` the
            result has the letters that occur once, by the alphabet.
        operands: numbers.

    Raises:
        ValueError: if letters and axes do not fit, or one operand has a letter twice.

    Example:
        >>> densa.ops.einsum("ij,j->i", [[1.0, 2.0], [3.0, 4.0]], [1.0, 10.0]).numpy().tolist()
        [21.0, 43.0]
    """
    tensors = list(together(*operands)) if len(operands) > 1 else [tensor(x) for x in operands]
    labels, result = _einsum_labels(subscripts, [x.ndim for x in tensors])
    sizes: dict[str, Any] = {}
    for x, letters in zip(tensors, labels, strict=True):
        for letter, size in zip(letters, x.shape, strict=True):
            if sizes.setdefault(letter, size) != size:
                raise ValueError(
                    f"einsum: axis {letter!r} of {subscripts!r} has size {sizes[letter]} in one "
                    f"operand and {size} in another; shapes {[tuple(t.shape) for t in tensors]}."
                )
    out, mine = tensors[0], labels[0]
    for i in range(1, len(tensors)):
        later = set(result).union(*labels[i + 1 :])
        out, mine = _einsum_pair(out, mine, tensors[i], labels[i], later, sizes)
    out, mine = _summed(out, mine, set(result))
    order = [mine.index(letter) for letter in result]
    return apply("transpose", out, perm=order) if len(order) > 1 else out


def _einsum_labels(subscripts: str, ranks: list[int]) -> tuple[list[str], str]:
    text = subscripts.replace(" ", "")
    left, arrow, right = text.partition("->")
    parts = left.split(",")
    if len(parts) != len(ranks):
        raise ValueError(f"einsum: {subscripts!r} is for {len(parts)} operands; got {len(ranks)}.")
    free = [c for c in reversed(string.ascii_letters) if c not in text]
    most = max((rank - len(p.replace("...", "")) for p, rank in zip(parts, ranks, strict=True)
                if "..." in p), default=0)  # fmt: skip
    dots = "".join(free[: max(most, 0)])
    out = []
    for part, rank in zip(parts, ranks, strict=True):
        number = rank - len(part.replace("...", ""))
        letters = part.replace("...", dots[len(dots) - number :] if number > 0 else "")
        if len(letters) != rank or (not letters.isalpha() and letters):
            raise ValueError(
                f"einsum: {part!r} of {subscripts!r} does not name the {rank} axes of its operand."
            )
        if len(set(letters)) != len(letters):
            raise ValueError(
                f"einsum: {part!r} of {subscripts!r} has a letter twice; take "
                "densa.ops.diagonal first."
            )
        out.append(letters)
    if not arrow:
        every = "".join(out)
        right = dots + "".join(sorted(c for c in set(every) - set(dots) if every.count(c) == 1))
    right = right.replace("...", dots)
    if len(set(right)) != len(right) or not set(right) <= set("".join(out)):
        raise ValueError(
            f"einsum: the result of {subscripts!r} must name axes of the operands, each once."
        )
    return out, right


def _summed(x: Any, letters: str, kept: set[str]) -> tuple[Any, str]:
    gone = [i for i, letter in enumerate(letters) if letter not in kept]
    if gone:
        x = apply("sum", x, axis=gone)
    return x, "".join(letter for letter in letters if letter in kept)


def _einsum_pair(
    x: Any, a: str, y: Any, b: str, later: set[str], sizes: dict[str, Any]
) -> tuple[Any, str]:
    x, a = _summed(x, a, later | set(b))
    y, b = _summed(y, b, later | set(a))
    both = [c for c in a if c in b]
    batch, inner = [c for c in both if c in later], [c for c in both if c not in later]
    rows, columns = [c for c in a if c not in both], [c for c in b if c not in both]

    def size(letters: list[str]) -> Any:
        of = [sizes[c] for c in letters]
        return None if None in of else math.prod(of)

    def laid(z: Any, letters: str, *groups: list[str]) -> Any:
        order = [letters.index(c) for group in groups for c in group]
        z = apply("transpose", z, perm=order) if len(order) > 1 else z
        return reshaped(z, [size(group) for group in groups])

    # What need not be one axis stays apart: the rows of a batch among it.
    stack = [[c] for c in batch]
    front = [rows] if batch else [[c] for c in rows]
    from densa._operators import matmul

    product = matmul(laid(x, a, *stack, *front, inner), laid(y, b, *stack, inner, columns))
    order = [*batch, *rows, *columns]
    return reshaped(product, [sizes[c] for c in order]), "".join(order)


@public
def inner(x1: Any, x2: Any) -> Any:
    """Return the sum of products over the last axes of both.

    Args:
        x1: numbers.
        x2: numbers whose last axis has the same size.

    Example:
        >>> float(densa.ops.inner([1.0, 2.0], [3.0, 4.0]))
        11.0
    """
    x1, x2 = together(x1, x2)
    if not x1.ndim or not x2.ndim:
        return apply("multiply", x1, x2)
    letters = iter(string.ascii_letters)
    a = "".join(itertools.islice(letters, x1.ndim))
    b = "".join(itertools.islice(letters, x2.ndim - 1)) + a[-1]
    return einsum(f"{a},{b}->{a[:-1]}{b[:-1]}", x1, x2)


# ---- diagonals -----------------------------------------------------------------------------------


@public
def trace(x: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    """Return the sum of a diagonal.

    Args:
        x: numbers with two axes at least.
        offset: 0 is the main diagonal, 1 the one above it.
        axis1: axis of the rows.
        axis2: axis of the columns.

    Example:
        >>> float(densa.ops.trace([[1.0, 2.0], [3.0, 4.0]]))
        5.0
    """
    from densa.ops.reductions import sum as total

    return total(diagonal(x, offset, axis1, axis2), axis=-1)


@public
def diag(x: Any, k: int = 0) -> Any:
    """Return the matrix with x on its k-th diagonal, or the k-th diagonal of a matrix.

    Args:
        x: a vector or a matrix.
        k: 0 is the main diagonal, 1 the one above it.

    Raises:
        ValueError: if x is neither.

    Example:
        >>> densa.ops.diag([1.0, 2.0]).numpy().tolist()
        [[1.0, 0.0], [0.0, 2.0]]
    """
    x = tensor(x)
    if x.ndim == 2:
        return diagonal(x, k)
    if x.ndim != 1:
        raise ValueError(f"diag: x must be a vector or a matrix; got shape {tuple(x.shape)}.")
    n = known_size(x, 0, "diag")
    square = apply("where", np.eye(n, dtype=bool), reshaped(x, [n, 1]), scalar(0, x))
    return pad(square, ((max(-k, 0), max(k, 0)), (max(k, 0), max(-k, 0))))


@public
def tri(N: int, M: int | None = None, k: int = 0, dtype: Any = None) -> Any:
    """Return ones on and below the k-th diagonal of an (N, M) matrix, zeros above.

    Args:
        N: rows.
        M: columns; None: as many.
        k: 0 is the main diagonal, 1 the one above it.
        dtype: type name; None is floatx.

    Example:
        >>> densa.ops.tri(2).numpy().tolist()
        [[1.0, 0.0], [1.0, 1.0]]
    """
    return made(np.tri(N, M, k), dtype_or_floatx(dtype))


# ---- blocks --------------------------------------------------------------------------------------


@public
def slice_update(inputs: Any, start_indices: Any, updates: Any) -> Any:
    """Return inputs with a block of it replaced.

    Args:
        inputs: an array.
        start_indices: where the block starts, per axis.
        updates: the block.

    Raises:
        ValueError: if the block does not lie inside.

    Example:
        >>> densa.ops.slice_update([1.0, 2.0, 3.0], [1], [9.0]).numpy().tolist()
        [1.0, 9.0, 3.0]
    """
    x, block = together(inputs, updates)
    starts = [int(i) for i in start_indices]
    sizes, own = known_shape(x, "slice_update"), known_shape(block, "slice_update")
    if (
        len(starts) != x.ndim
        or len(own) != x.ndim
        or any(a < 0 or a + n > d for a, n, d in zip(starts, own, sizes, strict=True))
    ):
        raise ValueError(
            f"slice_update: a block of shape {own} from {starts} does not lie in an array of shape "
            f"{sizes}."
        )
    border = [(a, d - a - n) for a, n, d in zip(starts, own, sizes, strict=True)]
    inside = np.zeros(sizes, bool)
    inside[tuple(slice(a, a + n) for a, n in zip(starts, own, strict=True))] = True
    block = apply("cast", block, dtype=x.dtype)
    return apply("where", inside, pad(block, border), x)


@public
def append(x1: Any, x2: Any, axis: int | None = None) -> Any:
    """Return x1 with x2 behind it.

    Args:
        x1: an array.
        x2: an array of the same shape up to `axis`.
        axis: where they are joined; None flattens both.

    Example:
        >>> densa.ops.append([1.0], [2.0, 3.0]).numpy().tolist()
        [1.0, 2.0, 3.0]
    """
    if axis is None:
        x1, x2 = (reshaped(x, [-1]) for x in together(x1, x2))
        axis = 0
    return concatenate([x1, x2], axis=axis)


@public
def array_split(x: Any, indices_or_sections: Any, axis: int = 0) -> list[Any]:
    """Cut an array along an axis into so many parts; the first ones may be larger by one.

    Args:
        x: an array.
        indices_or_sections: a number of parts, or the indices where a part begins.
        axis: the axis to cut.

    Returns:
        A list of arrays.

    Raises:
        ValueError: for less than one part.

    Example:
        >>> [part.shape[0] for part in densa.ops.array_split(np.arange(5.0), 2)]
        [3, 2]
    """
    x = tensor(x)
    if not isinstance(indices_or_sections, (int, np.integer)):
        return list(split(x, indices_or_sections, axis=axis))
    parts = int(indices_or_sections)
    if parts < 1:
        raise ValueError(f"array_split: there must be one part at least; got {parts}.")
    total = known_size(x, place(axis, x.ndim, "array_split"), "array_split")
    cuts = np.cumsum([total // parts + (i < total % parts) for i in range(parts)])[:-1]
    return list(split(x, cuts.tolist(), axis=axis))


@public
def fliplr(x: Any) -> Any:
    """Return x with its second axis reversed.

    Args:
        x: an array with two axes at least.

    Example:
        >>> densa.ops.fliplr([[1.0, 2.0]]).numpy().tolist()
        [[2.0, 1.0]]
    """
    return flip(x, axis=1)


@public
def flipud(x: Any) -> Any:
    """Return x with its first axis reversed.

    Args:
        x: an array with an axis at least.

    Example:
        >>> densa.ops.flipud([1.0, 2.0]).numpy().tolist()
        [2.0, 1.0]
    """
    return flip(x, axis=0)


# ---- grids and numbers ---------------------------------------------------------------------------


@public
def meshgrid(*x: Any, indexing: str = "xy") -> list[Any]:
    """Return the coordinates of a grid: one array per axis, all of the grid's shape.

    Args:
        x: one vector per axis.
        indexing: "ij": axes in the order of the vectors; "xy": the first two change places.

    Raises:
        ValueError: if indexing is another word.

    Example:
        >>> densa.ops.meshgrid([1.0, 2.0], [3.0])[0].numpy().tolist()
        [[1.0, 2.0]]
    """
    if indexing not in ("xy", "ij"):
        raise ValueError(f"meshgrid: indexing must be 'xy' or 'ij'; got {indexing!r}.")
    vectors = [reshaped(tensor(v), [-1]) for v in x]
    order = list(range(len(vectors)))
    if indexing == "xy" and len(order) > 1:
        order[:2] = [1, 0]
    shape = [known_size(vectors[i], 0, "meshgrid") for i in order]
    out = []
    for i, vector in enumerate(vectors):
        own = [-1 if axis == i else 1 for axis in order]
        out.append(broadcast_to(reshaped(vector, own), shape))
    return out


@public
def logspace(
    start: Any,
    stop: Any,
    num: int = 50,
    endpoint: bool = True,
    base: float = 10,
    dtype: Any = None,
    axis: int = 0,
) -> Any:
    """Return base to the power of num evenly spaced numbers.

    Args:
        start: the first power.
        stop: the last one.
        num: how many.
        endpoint: whether stop is one of them.
        base: what is raised.
        dtype: type name; None is floatx.
        axis: where the numbers go, if start and stop are arrays.

    Example:
        >>> densa.ops.logspace(0.0, 2.0, 3).numpy().tolist()
        [1.0, 10.0, 100.0]
    """
    return made(np.logspace(start, stop, num, endpoint, base, axis=axis), dtype_or_floatx(dtype))


@public
def geomspace(
    start: Any, stop: Any, num: int = 50, endpoint: bool = True, dtype: Any = None, axis: int = 0
) -> Any:
    """Return num numbers from start to stop, each the one before it times one factor.

    Args:
        start: the first number, not zero.
        stop: the last one, of the same sign.
        num: how many.
        endpoint: whether stop is one of them.
        dtype: type name; None is floatx.
        axis: where the numbers go, if start and stop are arrays.

    Example:
        >>> densa.ops.geomspace(1.0, 100.0, 3).numpy().tolist()
        [1.0, 10.0, 100.0]
    """
    return made(np.geomspace(start, stop, num, endpoint, axis=axis), dtype_or_floatx(dtype))


@public
def empty_like(x: Any, dtype: Any = None) -> Any:
    """Return zeros in x's shape; what an empty array holds is nobody's business.

    Args:
        x: an array.
        dtype: type name; None is x's.

    Example:
        >>> densa.ops.empty_like([1.0, 2.0]).shape
        (2,)
    """
    return full_like(x, 0, dtype=dtype)


# ---- groups --------------------------------------------------------------------------------------


@public
def segment_sum(
    data: Any, segment_ids: Any, num_segments: int | None = None, sorted: bool = False
) -> Any:
    """Return the sum of the rows of each group.

    Args:
        data: numbers; the first axis holds rows.
        segment_ids: the group of each row, of shape (rows,); others than 0 … n-1 count nowhere.
        num_segments: how many groups n; None: the largest id and one.
        sorted: accepted for Keras; ids need no order.

    Returns:
        One row per group.

    Example:
        >>> densa.ops.segment_sum([1.0, 2.0, 3.0], [0, 0, 1]).numpy().tolist()
        [3.0, 3.0]
    """
    x, ids = together(data, segment_ids)
    ids = whole(ids, "segment_sum: segment_ids")
    if num_segments is None:
        found = np.asarray(ids.numpy())
        num_segments = int(found.max()) + 1 if found.size else 0  # an initial -1 is not unsigned
    # Whole numbers are summed in float64, which holds them up to 2**53.
    rows = x if config.is_float(x.dtype) else apply("cast", x, dtype="float64")
    n = int(num_segments)
    counts = apply("logical_and", apply("greater_equal", ids, 0), apply("less", ids, n))
    ids = apply("where", counts, ids, scalar(n, ids))  # all others into one group more
    flat = reshaped(rows, [x.shape[0], math.prod(x.shape[1:])])
    out = apply("embedding_grad", apply("cast", ids, dtype="int64"), flat, rows=n + 1)
    out = reshaped(out[:n], [n, *x.shape[1:]])
    return out if config.is_float(x.dtype) else apply("cast", out, dtype=x.dtype)


@public
def bincount(x: Any, weights: Any = None, minlength: int = 0, sparse: bool = False) -> Any:
    """Count how often 0, 1, 2, … occur along the last axis.

    Args:
        x: integers from 0, of shape (n,) or (rows, n).
        weights: what each counts for, of x's shape; None is 1.
        minlength: the least size of the result.
        sparse: accepted for Keras; True raises.

    Returns:
        int32 counts, or sums of the weights; the last axis has the size of the largest number and
        one, or `minlength`.

    Raises:
        ValueError: for negative numbers, or if sparse is True.

    Example:
        >>> densa.ops.bincount([0, 2, 2]).numpy().tolist()
        [1, 0, 2]
    """
    if sparse:
        raise ValueError("densa has no sparse tensors; pass sparse=False.")
    ids = whole(x, "bincount: x")
    values = np.asarray(ids.numpy())
    if values.size and values.min() < 0:
        raise ValueError(f"bincount: numbers must be at least 0; got {values.min()}.")
    size = max(int(minlength), int(values.max()) + 1 if values.size else 0)
    if weights is None:
        hot = apply("one_hot", ids, classes=size, dtype="int32")
    else:
        ids, weights = together(ids, weights)
        hot = apply("one_hot", ids, classes=size, dtype="bool")
        counted = reshaped(floating(weights), [*ids.shape, 1])
        hot = apply("where", hot, counted, scalar(0, counted))
    return apply("sum", hot, axis=[ids.ndim - 1])


# ---- normalizing ---------------------------------------------------------------------------------


def _shaped(x: Any, vector: Any, axes: Sequence[int]) -> Any:
    return reshaped(vector, [x.shape[i] if i in axes else 1 for i in range(x.ndim)])


@public
def rms_normalization(
    x: Any, scale: Any = None, axis: Any = -1, epsilon: float | None = None
) -> Any:
    """Return x / √(mean(x²) + epsilon), times scale.

    Args:
        x: numbers.
        scale: one per element along the axes; None is 1.
        axis: the axes of the mean.
        epsilon: against division by zero; None is the one of the configuration.

    Example:
        >>> densa.ops.rms_normalization([[3.0, 4.0]]).numpy().round(4).tolist()
        [[0.8485000133514404, 1.1313999891281128]]
    """
    x = floating(x)
    axes = [place(a, x.ndim, "rms_normalization") for a in axes_of(axis)]
    epsilon = config.epsilon() if epsilon is None else float(epsilon)
    mean = apply("mean", apply("square", x), axis=axes, keepdims=True)
    out = x * apply("rsqrt", mean + epsilon)
    return out if scale is None else out * _shaped(x, tensor(scale), axes)


@public
def layer_normalization(
    x: Any,
    gamma: Any = None,
    beta: Any = None,
    axis: Any = -1,
    epsilon: float | None = None,
    **kwargs: Any,
) -> Any:
    """Return (x - mean) / √(variance + epsilon), times gamma, plus beta.

    Args:
        x: numbers.
        gamma: one per element along the axes; None is 1.
        beta: one per element along the axes; None is 0.
        axis: the axes of mean and variance.
        epsilon: against division by zero; None is the one of the configuration.
        kwargs: `rms_scaling`, as in Keras: True divides by √(variance + epsilon) alone.

    Example:
        >>> densa.ops.layer_normalization([[1.0, 3.0]]).numpy().round(4).tolist()
        [[-1.0, 1.0]]
    """
    scaling = kwargs.pop("rms_scaling", False)
    if kwargs:
        raise ValueError(f"layer_normalization: unknown arguments {sorted(kwargs)}.")
    x = floating(x)
    axes = [place(a, x.ndim, "layer_normalization") for a in axes_of(axis)]
    epsilon = config.epsilon() if epsilon is None else float(epsilon)
    middle = x - apply("mean", x, axis=axes, keepdims=True)
    variance = apply("mean", apply("square", middle), axis=axes, keepdims=True)
    out = (x if scaling else middle) * apply("rsqrt", variance + epsilon)
    out = out if gamma is None else out * _shaped(x, tensor(gamma), axes)
    return out if beta is None or scaling else out + _shaped(x, tensor(beta), axes)
