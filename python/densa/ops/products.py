"""Products of vectors, matrices and stacks of them: part of `densa.ops`."""

from __future__ import annotations

import math
from typing import Any

from densa.device import together
from densa.ops._public import apply, known_shape, public, reshaped


@public
def matmul(x1: Any, x2: Any) -> Any:
    """Return the matrix product, by NumPy's rules for vectors and stacks of matrices.

    Args:
        x1: shape (..., m, k) or (k,).
        x2: shape (..., k, n) or (k,).

    Returns:
        Shape (..., m, n); the axis of a vector is dropped. Of whole numbers, whole numbers: int32
        for two of int8.

    Example:
        >>> densa.ops.matmul([[1.0, 2.0]], [[3.0], [4.0]]).numpy().tolist()
        [[11.0]]
    """
    from densa._operators import matmul as product

    return product(x1, x2)


@public
def dot(x1: Any, x2: Any) -> Any:
    """Return NumPy's dot product: over the last axis of x1 and the second to last of x2.

    Args:
        x1: a vector, a matrix or more.
        x2: a vector, a matrix or more.

    Example:
        >>> float(densa.ops.dot([1.0, 2.0], [3.0, 4.0]))
        11.0
    """
    x1, x2 = together(x1, x2)
    if x1.ndim == 0 or x2.ndim == 0:
        return apply("multiply", x1, x2)
    if x2.ndim <= 2:
        return _product(x1, x2)
    return _tensordot(x1, x2, [x1.ndim - 1], [x2.ndim - 2])


@public
def outer(x1: Any, x2: Any) -> Any:
    """Return all products of an element of x1 with one of x2, both flattened.

    Args:
        x1: Tensor, array, number or list of any shape.
        x2: Tensor, array, number or list of any shape.

    Example:
        >>> densa.ops.outer([1.0, 2.0], [3.0, 4.0]).numpy().tolist()
        [[3.0, 4.0], [6.0, 8.0]]
    """
    a, b = together(x1, x2)
    a, b = apply("reshape", a, shape=[-1, 1]), apply("reshape", b, shape=[1, -1])
    return apply("multiply", a, b)


@public
def vdot(x1: Any, x2: Any) -> Any:
    """Return the sum of the products of all elements.

    Args:
        x1: Tensor, array, number or list of any shape.
        x2: as many elements as x1 has.

    Example:
        >>> float(densa.ops.vdot([[1.0, 2.0]], [[3.0], [4.0]]))
        11.0
    """
    return _product(*(apply("reshape", x, shape=[-1]) for x in together(x1, x2)))


@public
def tensordot(x1: Any, x2: Any, axes: Any = 2) -> Any:
    """Return the sum of products over the given axes: a number of axes, or a pair of lists.

    Args:
        x1: an array.
        x2: an array.
        axes: n: the last n of x1 with the first n of x2; or the axes of x1 and those of x2.

    Raises:
        ValueError: if the two lists of axes differ in length.

    Example:
        >>> densa.ops.tensordot(np.ones((2, 3, 4)), np.ones((4, 5)), 1).shape
        (2, 3, 5)
    """
    x1, x2 = together(x1, x2)
    if isinstance(axes, int):
        return _tensordot(x1, x2, list(range(x1.ndim - axes, x1.ndim)), list(range(axes)))
    first, second = ([a] if isinstance(a, int) else list(a) for a in axes)
    return _tensordot(x1, x2, [a % x1.ndim for a in first], [a % x2.ndim for a in second])


def _product(x1: Any, x2: Any) -> Any:
    from densa._operators import matmul as product

    return product(x1, x2)


def _tensordot(x1: Any, x2: Any, first: list[int], second: list[int]) -> Any:
    if len(first) != len(second):
        raise ValueError(f"tensordot: {len(first)} axes of x1 meet {len(second)} axes of x2.")
    left = [i for i in range(x1.ndim) if i not in first]
    right = [i for i in range(x2.ndim) if i not in second]
    sizes = known_shape(x2, "tensordot")
    inner, outer = math.prod(sizes[i] for i in second), math.prod(sizes[i] for i in right)
    a, b = x1, x2
    if left + first:
        a = apply("transpose", x1, perm=left + first)
    if second + right:
        b = apply("transpose", x2, perm=second + right)
    kept = [x1.shape[i] for i in left]  # a product takes any axes before the last
    product = _product(reshaped(a, [*kept, inner]), reshaped(b, [inner, outer]))
    return reshaped(product, [*kept, *(sizes[i] for i in right)])
