"""Elementwise functions of two operands, comparisons among them: part of `densa.ops`."""

from __future__ import annotations

from typing import Any

import numpy as np

from densa.device import beside, together
from densa.ops._public import apply, floating, public, tensor


@public
def add(x1: Any, x2: Any) -> Any:
    """Return x1 + x2, with broadcasting.

    Args:
        x1: numbers of any shape.
        x2: numbers; the shapes of both are broadcast.

    Example:
        >>> densa.ops.add([1.0, 2.0], 0.5).numpy()
        array([1.5, 2.5], dtype=float32)
    """
    return apply("add", x1, x2)


@public
def subtract(x1: Any, x2: Any) -> Any:
    """Return x1 - x2, with broadcasting.

    Args:
        x1: numbers of any shape.
        x2: numbers; the shapes of both are broadcast.

    Example:
        >>> densa.ops.subtract([1.0, 2.0], 0.5).numpy().tolist()
        [0.5, 1.5]
    """
    return apply("subtract", x1, x2)


@public
def multiply(x1: Any, x2: Any) -> Any:
    """Return x1 · x2 elementwise, with broadcasting.

    Args:
        x1: numbers of any shape.
        x2: numbers; the shapes of both are broadcast.

    Example:
        >>> densa.ops.multiply([1.0, 2.0], [3.0, 4.0]).numpy().tolist()
        [3.0, 8.0]
    """
    return apply("multiply", x1, x2)


@public
def divide(x1: Any, x2: Any) -> Any:
    """Return x1 / x2, with broadcasting; integers are divided as floats.

    Args:
        x1: numbers of any shape.
        x2: numbers; the shapes of both are broadcast.

    Example:
        >>> densa.ops.divide([1, 2], 4).numpy().tolist()
        [0.25, 0.5]
    """
    return apply("divide", x1, x2)


@public
def true_divide(x1: Any, x2: Any) -> Any:
    """Return x1 / x2, like `divide`.

    Args:
        x1: numbers of any shape.
        x2: numbers; the shapes of both are broadcast.

    Example:
        >>> densa.ops.true_divide([1, 2], 4).numpy().tolist()
        [0.25, 0.5]
    """
    return apply("divide", x1, x2)


@public
def divide_no_nan(x1: Any, x2: Any) -> Any:
    """Return x1 / x2, and 0 where x2 is 0.

    Args:
        x1: numbers of any shape.
        x2: numbers; the shapes of both are broadcast.

    Example:
        >>> densa.ops.divide_no_nan([1.0, 2.0], [0.0, 4.0]).numpy().tolist()
        [0.0, 0.5]
    """
    x2 = floating(together(x1, x2)[1])
    zero = apply("equal", x2, 0.0)
    return apply("where", zero, 0.0, apply("divide", x1, apply("where", zero, 1.0, x2)))


@public
def floor_divide(x1: Any, x2: Any) -> Any:
    """Return the whole quotient, rounded down.

    Args:
        x1: numbers of any shape.
        x2: numbers; the shapes of both are broadcast.

    Example:
        >>> densa.ops.floor_divide([7.0, -7.0], 2.0).numpy().tolist()
        [3.0, -4.0]
    """
    return apply("floor_divide", x1, x2)


@public
def mod(x1: Any, x2: Any) -> Any:
    """Return the remainder, with the sign of x2.

    Args:
        x1: numbers of any shape.
        x2: numbers; the shapes of both are broadcast.

    Example:
        >>> densa.ops.mod([7.0, -7.0], 4.0).numpy().tolist()
        [3.0, 1.0]
    """
    return apply("mod", x1, x2)


@public
def power(x1: Any, x2: Any) -> Any:
    """Return x1 to the power x2.

    Args:
        x1: numbers of any shape.
        x2: numbers; the shapes of both are broadcast.

    Example:
        >>> densa.ops.power([2.0, 3.0], 2.0).numpy().tolist()
        [4.0, 9.0]
    """
    return apply("power", x1, x2)


@public
def maximum(x1: Any, x2: Any) -> Any:
    """Return the larger one; NaN if either is NaN. Equal numbers share the gradient.

    Args:
        x1: numbers of any shape.
        x2: numbers; the shapes of both are broadcast.

    Example:
        >>> densa.ops.maximum([1.0, 5.0], 3.0).numpy().tolist()
        [3.0, 5.0]
    """
    return apply("maximum", x1, x2)


@public
def minimum(x1: Any, x2: Any) -> Any:
    """Return the smaller one; NaN if either is NaN. Equal numbers share the gradient.

    Args:
        x1: numbers of any shape.
        x2: numbers; the shapes of both are broadcast.

    Example:
        >>> densa.ops.minimum([1.0, 5.0], 3.0).numpy().tolist()
        [1.0, 3.0]
    """
    return apply("minimum", x1, x2)


@public
def arctan2(x1: Any, x2: Any) -> Any:
    """Return the angle of the point (x2, x1).

    Args:
        x1: numbers of any shape.
        x2: numbers; the shapes of both are broadcast.

    Example:
        >>> densa.ops.arctan2(np.array([1.0, 0.0]), np.array([0.0, 1.0])).numpy().round(4).tolist()
        [1.5708, 0.0]
    """
    return apply("arctan2", x1, x2)


@public
def logaddexp(x1: Any, x2: Any) -> Any:
    """Return log(eˣ¹ + eˣ²) without overflow.

    Args:
        x1: numbers of any shape.
        x2: numbers; the shapes of both are broadcast.

    Example:
        >>> densa.ops.logaddexp(np.array([0.0, 1000.0]), 0.0).numpy().round(4).tolist()
        [0.6931, 1000.0]
    """
    high = floating(apply("maximum", x1, x2))
    low = floating(apply("minimum", x1, x2))
    gap = apply("where", apply("equal", low, high), 0.0, apply("subtract", low, high))
    return apply("add", high, apply("log1p", apply("exp", gap)))


@public
def equal(x1: Any, x2: Any) -> Any:
    """Tell where x1 equals x2.

    Args:
        x1: numbers of any shape.
        x2: numbers; the shapes of both are broadcast.

    Example:
        >>> densa.ops.equal([1, 2, 3], 2).numpy().tolist()
        [False, True, False]
    """
    return apply("equal", x1, x2)


@public
def not_equal(x1: Any, x2: Any) -> Any:
    """Tell where x1 differs from x2.

    Args:
        x1: numbers of any shape.
        x2: numbers; the shapes of both are broadcast.

    Example:
        >>> densa.ops.not_equal([1, 2, 3], 2).numpy().tolist()
        [True, False, True]
    """
    return apply("not_equal", x1, x2)


@public
def less(x1: Any, x2: Any) -> Any:
    """Tell where x1 < x2.

    Args:
        x1: numbers of any shape.
        x2: numbers; the shapes of both are broadcast.

    Example:
        >>> densa.ops.less([1, 2, 3], 2).numpy().tolist()
        [True, False, False]
    """
    return apply("less", x1, x2)


@public
def less_equal(x1: Any, x2: Any) -> Any:
    """Tell where x1 ≤ x2.

    Args:
        x1: numbers of any shape.
        x2: numbers; the shapes of both are broadcast.

    Example:
        >>> densa.ops.less_equal([1, 2, 3], 2).numpy().tolist()
        [True, True, False]
    """
    return apply("less_equal", x1, x2)


@public
def greater(x1: Any, x2: Any) -> Any:
    """Tell where x1 > x2.

    Args:
        x1: numbers of any shape.
        x2: numbers; the shapes of both are broadcast.

    Example:
        >>> densa.ops.greater([1, 2, 3], 2).numpy().tolist()
        [False, False, True]
    """
    return apply("greater", x1, x2)


@public
def greater_equal(x1: Any, x2: Any) -> Any:
    """Tell where x1 ≥ x2.

    Args:
        x1: numbers of any shape.
        x2: numbers; the shapes of both are broadcast.

    Example:
        >>> densa.ops.greater_equal([1, 2, 3], 2).numpy().tolist()
        [False, True, True]
    """
    return apply("greater_equal", x1, x2)


@public
def isclose(
    x1: Any, x2: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False
) -> Any:
    """Tell where |x1 - x2| ≤ atol + rtol · |x2|.

    Args:
        x1: numbers of any shape.
        x2: numbers; the shapes of both are broadcast.
        rtol: tolerance relative to x2.
        atol: absolute tolerance.
        equal_nan: whether NaN is close to NaN.

    Example:
        >>> densa.ops.isclose([1.0, 1.1], 1.0).numpy().tolist()
        [True, False]
    """
    x1, x2 = map(floating, together(x1, x2))
    bound = apply("add", apply("multiply", apply("abs", x2), rtol), atol)
    near = apply("less_equal", apply("abs", apply("subtract", x1, x2)), bound)
    near = apply("logical_and", near, apply("isfinite", x2))
    near = apply("logical_or", near, apply("equal", x1, x2))
    if equal_nan:
        near = apply(
            "logical_or", near, apply("logical_and", apply("isnan", x1), apply("isnan", x2))
        )
    return near


@public
def logical_and(x1: Any, x2: Any) -> Any:
    """Tell where both are true.

    Args:
        x1: booleans; other numbers are true unless zero.
        x2: the same; the shapes of both are broadcast.

    Example:
        >>> densa.ops.logical_and([True, True, False], [True, False, False]).numpy().tolist()
        [True, False, False]
    """
    return apply("logical_and", x1, x2)


@public
def logical_or(x1: Any, x2: Any) -> Any:
    """Tell where at least one is true.

    Args:
        x1: booleans; other numbers are true unless zero.
        x2: the same; the shapes of both are broadcast.

    Example:
        >>> densa.ops.logical_or([True, True, False], [True, False, False]).numpy().tolist()
        [True, True, False]
    """
    return apply("logical_or", x1, x2)


@public
def logical_xor(x1: Any, x2: Any) -> Any:
    """Tell where exactly one is true.

    Args:
        x1: booleans; other numbers are true unless zero.
        x2: the same; the shapes of both are broadcast.

    Example:
        >>> densa.ops.logical_xor([True, True, False], [True, False, False]).numpy().tolist()
        [False, True, False]
    """
    return apply("logical_xor", x1, x2)


@public
def where(condition: Any, x1: Any = None, x2: Any = None) -> Any:
    """Return x1 where the condition holds, else x2.

    Args:
        condition: booleans; broadcast with x1 and x2.
        x1: values where it holds. Without x1 and x2: the indices of the true elements.
        x2: values where it does not.

    Example:
        >>> densa.ops.where([True, False], 1.0, 2.0).numpy()
        array([1., 2.], dtype=float32)
    """
    if (x1 is None) != (x2 is None):
        raise ValueError("where: give both x1 and x2, or neither of them.")
    if x1 is None:
        condition = tensor(condition)
        found = np.nonzero(condition.numpy())
        return tuple(beside(tensor(i), condition) for i in found)
    return apply("where", condition, x1, x2)
