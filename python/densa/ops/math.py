"""Elementwise functions, comparisons and matrix products of `densa.ops`."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from densa import _core
from densa.ops._public import apply, constant, floating, public, tensor

# ---- one operand ---------------------------------------------------------------------------------


@public
def abs(x: Any) -> Any:
    """Return |x|; the gradient at 0 is 0."""
    return apply("abs", x)


@public
def absolute(x: Any) -> Any:
    """Return |x|, like `abs`."""
    return apply("abs", x)


@public
def negative(x: Any) -> Any:
    """Return -x."""
    return apply("negative", x)


@public
def sign(x: Any) -> Any:
    """Return -1, 0 or 1 by the sign of x."""
    return apply("sign", x)


@public
def square(x: Any) -> Any:
    """Return x²."""
    return apply("square", x)


@public
def sqrt(x: Any) -> Any:
    """Return the square root; NaN below zero."""
    return apply("sqrt", x)


@public
def rsqrt(x: Any) -> Any:
    """Return 1 / √x."""
    return apply("rsqrt", x)


@public
def reciprocal(x: Any) -> Any:
    """Return 1 / x."""
    return apply("reciprocal", x)


@public
def exp(x: Any) -> Any:
    """Return eˣ."""
    return apply("exp", x)


@public
def expm1(x: Any) -> Any:
    """Return eˣ - 1, exact near zero."""
    return apply("expm1", x)


@public
def log(x: Any) -> Any:
    """Return the natural logarithm."""
    return apply("log", x)


@public
def log1p(x: Any) -> Any:
    """Return log(1 + x), exact near zero."""
    return apply("log1p", x)


@public
def log2(x: Any) -> Any:
    """Return the logarithm to base 2."""
    return apply("divide", apply("log", x), math.log(2.0))


@public
def log10(x: Any) -> Any:
    """Return the logarithm to base 10."""
    return apply("divide", apply("log", x), math.log(10.0))


@public
def sin(x: Any) -> Any:
    """Return the sine."""
    return apply("sin", x)


@public
def cos(x: Any) -> Any:
    """Return the cosine."""
    return apply("cos", x)


@public
def tan(x: Any) -> Any:
    """Return the tangent."""
    return apply("divide", apply("sin", x), apply("cos", x))


@public
def sinh(x: Any) -> Any:
    """Return the hyperbolic sine, exact near zero."""
    e = apply("expm1", x)
    return 0.5 * (e + e / (e + 1.0))


@public
def cosh(x: Any) -> Any:
    """Return the hyperbolic cosine."""
    return 0.5 * (apply("exp", x) + apply("exp", apply("negative", floating(x))))


@public
def tanh(x: Any) -> Any:
    """Return the hyperbolic tangent."""
    return apply("tanh", x)


@public
def erf(x: Any) -> Any:
    """Return the error function."""
    return apply("erf", x)


@public
def floor(x: Any) -> Any:
    """Return the largest whole number that is not above x."""
    return apply("floor", x)


@public
def ceil(x: Any) -> Any:
    """Return the smallest whole number that is not below x."""
    return apply("ceil", x)


@public
def round(x: Any, decimals: int = 0) -> Any:
    """Return x rounded to `decimals` places, halves to even."""
    if decimals == 0:
        return apply("round", x)
    scale = 10.0**decimals
    return apply("divide", apply("round", apply("multiply", floating(x), scale)), scale)


@public
def isnan(x: Any) -> Any:
    """Tell where x is NaN."""
    return apply("isnan", x)


@public
def isinf(x: Any) -> Any:
    """Tell where x is infinite."""
    return apply("isinf", x)


@public
def isfinite(x: Any) -> Any:
    """Tell where x is neither infinite nor NaN."""
    return apply("isfinite", x)


@public
def logical_not(x: Any) -> Any:
    """Tell where x is false (zero)."""
    return apply("logical_not", x)


@public
def clip(x: Any, x_min: Any, x_max: Any) -> Any:
    """Return x held between x_min and x_max; None leaves a side open."""
    out = x
    if x_min is not None:
        out = apply("maximum", out, x_min)
    if x_max is not None:
        out = apply("minimum", out, x_max)
    return out


@public
def nan_to_num(
    x: Any, nan: float = 0.0, posinf: float | None = None, neginf: float | None = None
) -> Any:
    """Replace NaN and infinities; None stands for the largest finite number."""
    x = tensor(x)
    if not x.dtype.startswith("float"):
        return x
    info = np.finfo(x.dtype)
    high = float(info.max) if posinf is None else posinf
    low = float(info.min) if neginf is None else neginf
    inf = float("inf")
    out = apply("where", apply("isnan", x), nan, x)
    out = apply("where", apply("equal", x, inf), high, out)
    return apply("where", apply("equal", x, -inf), low, out)


@public
def stop_gradient(variable: Any) -> Any:
    """Return the values; no gradient flows back through them."""
    return apply("stop_gradient", variable)


# ---- two operands --------------------------------------------------------------------------------


@public
def add(x1: Any, x2: Any) -> Any:
    """Return x1 + x2, with broadcasting.

    Example:
        >>> densa.ops.add([1.0, 2.0], 0.5).numpy()
        array([1.5, 2.5], dtype=float32)
    """
    return apply("add", x1, x2)


@public
def subtract(x1: Any, x2: Any) -> Any:
    """Return x1 - x2, with broadcasting."""
    return apply("subtract", x1, x2)


@public
def multiply(x1: Any, x2: Any) -> Any:
    """Return x1 · x2 elementwise, with broadcasting."""
    return apply("multiply", x1, x2)


@public
def divide(x1: Any, x2: Any) -> Any:
    """Return x1 / x2, with broadcasting; integers are divided as floats."""
    return apply("divide", x1, x2)


@public
def true_divide(x1: Any, x2: Any) -> Any:
    """Return x1 / x2, like `divide`."""
    return apply("divide", x1, x2)


@public
def divide_no_nan(x1: Any, x2: Any) -> Any:
    """Return x1 / x2, and 0 where x2 is 0."""
    x2 = floating(x2)
    zero = apply("equal", x2, 0.0)
    return apply("where", zero, 0.0, apply("divide", x1, apply("where", zero, 1.0, x2)))


@public
def floor_divide(x1: Any, x2: Any) -> Any:
    """Return the whole quotient, rounded down."""
    return apply("floor_divide", x1, x2)


@public
def mod(x1: Any, x2: Any) -> Any:
    """Return the remainder, with the sign of x2."""
    return apply("mod", x1, x2)


@public
def power(x1: Any, x2: Any) -> Any:
    """Return x1 to the power x2."""
    return apply("power", x1, x2)


@public
def maximum(x1: Any, x2: Any) -> Any:
    """Return the larger one; NaN if either is NaN. Equal numbers share the gradient."""
    return apply("maximum", x1, x2)


@public
def minimum(x1: Any, x2: Any) -> Any:
    """Return the smaller one; NaN if either is NaN. Equal numbers share the gradient."""
    return apply("minimum", x1, x2)


@public
def arctan2(x1: Any, x2: Any) -> Any:
    """Return the angle of the point (x2, x1)."""
    return apply("arctan2", x1, x2)


@public
def logaddexp(x1: Any, x2: Any) -> Any:
    """Return log(eˣ¹ + eˣ²) without overflow."""
    high = apply("maximum", x1, x2)
    low = apply("minimum", x1, x2)
    gap = apply("where", apply("equal", low, high), 0.0, apply("subtract", low, high))
    return apply("add", floating(high), apply("log1p", apply("exp", gap)))


@public
def equal(x1: Any, x2: Any) -> Any:
    """Tell where x1 equals x2."""
    return apply("equal", x1, x2)


@public
def not_equal(x1: Any, x2: Any) -> Any:
    """Tell where x1 differs from x2."""
    return apply("not_equal", x1, x2)


@public
def less(x1: Any, x2: Any) -> Any:
    """Tell where x1 < x2."""
    return apply("less", x1, x2)


@public
def less_equal(x1: Any, x2: Any) -> Any:
    """Tell where x1 ≤ x2."""
    return apply("less_equal", x1, x2)


@public
def greater(x1: Any, x2: Any) -> Any:
    """Tell where x1 > x2."""
    return apply("greater", x1, x2)


@public
def greater_equal(x1: Any, x2: Any) -> Any:
    """Tell where x1 ≥ x2."""
    return apply("greater_equal", x1, x2)


@public
def isclose(
    x1: Any, x2: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False
) -> Any:
    """Tell where |x1 - x2| ≤ atol + rtol · |x2|."""
    x1, x2 = floating(x1), floating(x2)
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
    """Tell where both are true."""
    return apply("logical_and", x1, x2)


@public
def logical_or(x1: Any, x2: Any) -> Any:
    """Tell where at least one is true."""
    return apply("logical_or", x1, x2)


@public
def logical_xor(x1: Any, x2: Any) -> Any:
    """Tell where exactly one is true."""
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
        return tuple(constant(i) for i in np.nonzero(tensor(condition).numpy()))
    return apply("where", condition, x1, x2)


# ---- products ------------------------------------------------------------------------------------


@public
def matmul(x1: Any, x2: Any) -> Any:
    """Return the matrix product, by NumPy's rules for vectors and stacks of matrices.

    Args:
        x1: shape (..., m, k) or (k,).
        x2: shape (..., k, n) or (k,).

    Returns:
        Shape (..., m, n); the axis of a vector is dropped.
    """
    from densa.tensor import matmul as product

    return product(x1, x2)


@public
def dot(x1: Any, x2: Any) -> Any:
    """Return NumPy's dot product: over the last axis of x1 and the second to last of x2."""
    x1, x2 = tensor(x1), tensor(x2)
    if x1.ndim == 0 or x2.ndim == 0:
        return apply("multiply", x1, x2)
    if x2.ndim <= 2:
        return _product(x1, x2)
    return _tensordot(x1, x2, [x1.ndim - 1], [x2.ndim - 2])


@public
def outer(x1: Any, x2: Any) -> Any:
    """Return all products of an element of x1 with one of x2, both flattened."""
    a = apply("reshape", tensor(x1), shape=[-1, 1])
    return apply("multiply", a, apply("reshape", tensor(x2), shape=[1, -1]))


@public
def vdot(x1: Any, x2: Any) -> Any:
    """Return the sum of the products of all elements."""
    return _product(*(apply("reshape", tensor(x), shape=[-1]) for x in (x1, x2)))


@public
def tensordot(x1: Any, x2: Any, axes: Any = 2) -> Any:
    """Return the sum of products over the given axes: a number of axes, or a pair of lists."""
    x1, x2 = tensor(x1), tensor(x2)
    if isinstance(axes, int):
        return _tensordot(x1, x2, list(range(x1.ndim - axes, x1.ndim)), list(range(axes)))
    first, second = ([a] if isinstance(a, int) else list(a) for a in axes)
    return _tensordot(x1, x2, [a % x1.ndim for a in first], [a % x2.ndim for a in second])


def _product(x1: Any, x2: Any) -> Any:
    from densa.tensor import matmul as product

    return product(x1, x2)


def _tensordot(x1: Any, x2: Any, first: list[int], second: list[int]) -> Any:
    if len(first) != len(second):
        raise ValueError(f"tensordot: {len(first)} axes of x1 meet {len(second)} axes of x2.")
    left = [i for i in range(x1.ndim) if i not in first]
    right = [i for i in range(x2.ndim) if i not in second]
    inner = math.prod(x2.shape[i] for i in second)
    a, b = x1, x2
    if left + first:
        a = apply("transpose", x1, perm=left + first)
    if second + right:
        b = apply("transpose", x2, perm=second + right)
    a = apply("reshape", a, shape=[-1, inner])
    b = apply("reshape", b, shape=[inner, math.prod(x2.shape[i] for i in right)])
    shape = [x1.shape[i] for i in left] + [x2.shape[i] for i in right]
    return apply("reshape", _product(a, b), shape=[-1 if d is None else d for d in shape])


def is_tensor(x: Any) -> bool:
    """Tell whether x is a Tensor."""
    return isinstance(x, _core.Tensor)
