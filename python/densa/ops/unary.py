"""Elementwise functions of one operand: part of `densa.ops`."""

from __future__ import annotations

import math
from typing import Any

from densa import config
from densa.ops._public import apply, floating, public, tensor


@public
def abs(x: Any) -> Any:
    """Return |x|; the gradient at 0 is 0.

    Args:
        x: Tensor, array, number or list of any shape.

    Example:
        >>> densa.ops.abs([-1.0, 2.0]).numpy().tolist()
        [1.0, 2.0]
    """
    return apply("abs", x)


@public
def absolute(x: Any) -> Any:
    """Return |x|, like `abs`.

    Args:
        x: Tensor, array, number or list of any shape.

    Example:
        >>> densa.ops.absolute([-1.0, 2.0]).numpy().tolist()
        [1.0, 2.0]
    """
    return apply("abs", x)


@public
def negative(x: Any) -> Any:
    """Return -x.

    Args:
        x: Tensor, array, number or list of any shape.

    Example:
        >>> densa.ops.negative([-1.0, 2.0]).numpy().tolist()
        [1.0, -2.0]
    """
    return apply("negative", x)


@public
def sign(x: Any) -> Any:
    """Return -1, 0 or 1 by the sign of x.

    Args:
        x: Tensor, array, number or list of any shape.

    Example:
        >>> densa.ops.sign([-3.0, 0.0, 2.0]).numpy().tolist()
        [-1.0, 0.0, 1.0]
    """
    return apply("sign", x)


@public
def square(x: Any) -> Any:
    """Return x².

    Args:
        x: Tensor, array, number or list of any shape.

    Example:
        >>> densa.ops.square([-1.0, 3.0]).numpy().tolist()
        [1.0, 9.0]
    """
    return apply("square", x)


@public
def sqrt(x: Any) -> Any:
    """Return the square root; NaN below zero.

    Args:
        x: Tensor, array, number or list of any shape.

    Example:
        >>> densa.ops.sqrt([4.0, 9.0]).numpy().tolist()
        [2.0, 3.0]
    """
    return apply("sqrt", x)


@public
def rsqrt(x: Any) -> Any:
    """Return 1 / √x.

    Args:
        x: Tensor, array, number or list of any shape.

    Example:
        >>> densa.ops.rsqrt([4.0, 0.25]).numpy().tolist()
        [0.5, 2.0]
    """
    return apply("rsqrt", x)


@public
def reciprocal(x: Any) -> Any:
    """Return 1 / x.

    Args:
        x: Tensor, array, number or list of any shape.

    Example:
        >>> densa.ops.reciprocal([4.0, 0.5]).numpy().tolist()
        [0.25, 2.0]
    """
    return apply("reciprocal", x)


@public
def exp(x: Any) -> Any:
    """Return eˣ.

    Args:
        x: Tensor, array, number or list of any shape.

    Example:
        >>> densa.ops.exp(np.array([0.0, 1.0])).numpy().round(4).tolist()
        [1.0, 2.7183]
    """
    return apply("exp", x)


@public
def expm1(x: Any) -> Any:
    """Return eˣ - 1, exact near zero.

    Args:
        x: Tensor, array, number or list of any shape.

    Example:
        >>> densa.ops.expm1(np.array([0.0, 1.0])).numpy().round(4).tolist()
        [0.0, 1.7183]
    """
    return apply("expm1", x)


@public
def log(x: Any) -> Any:
    """Return the natural logarithm.

    Args:
        x: Tensor, array, number or list of any shape.

    Example:
        >>> densa.ops.log(np.array([1.0, 10.0])).numpy().round(4).tolist()
        [0.0, 2.3026]
    """
    return apply("log", x)


@public
def log1p(x: Any) -> Any:
    """Return log(1 + x), exact near zero.

    Args:
        x: Tensor, array, number or list of any shape.

    Example:
        >>> densa.ops.log1p(np.array([0.0, 1.0])).numpy().round(4).tolist()
        [0.0, 0.6931]
    """
    return apply("log1p", x)


@public
def log2(x: Any) -> Any:
    """Return the logarithm to base 2.

    Args:
        x: Tensor, array, number or list of any shape.

    Example:
        >>> densa.ops.log2(np.array([1.0, 8.0])).numpy().round(4).tolist()
        [0.0, 3.0]
    """
    return apply("divide", apply("log", x), math.log(2.0))


@public
def log10(x: Any) -> Any:
    """Return the logarithm to base 10.

    Args:
        x: Tensor, array, number or list of any shape.

    Example:
        >>> densa.ops.log10(np.array([1.0, 1000.0])).numpy().round(4).tolist()
        [0.0, 3.0]
    """
    return apply("divide", apply("log", x), math.log(10.0))


@public
def sin(x: Any) -> Any:
    """Return the sine.

    Args:
        x: Tensor, array, number or list of any shape.

    Example:
        >>> densa.ops.sin(np.array([0.0, 1.0])).numpy().round(4).tolist()
        [0.0, 0.8415]
    """
    return apply("sin", x)


@public
def cos(x: Any) -> Any:
    """Return the cosine.

    Args:
        x: Tensor, array, number or list of any shape.

    Example:
        >>> densa.ops.cos(np.array([0.0, 1.0])).numpy().round(4).tolist()
        [1.0, 0.5403]
    """
    return apply("cos", x)


@public
def tan(x: Any) -> Any:
    """Return the tangent.

    Args:
        x: Tensor, array, number or list of any shape.

    Example:
        >>> densa.ops.tan(np.array([0.0, 1.0])).numpy().round(4).tolist()
        [0.0, 1.5574]
    """
    return apply("divide", apply("sin", x), apply("cos", x))


@public
def sinh(x: Any) -> Any:
    """Return the hyperbolic sine, exact near zero.

    Args:
        x: Tensor, array, number or list of any shape.

    Example:
        >>> densa.ops.sinh(np.array([0.0, 1.0])).numpy().round(4).tolist()
        [0.0, 1.1752]
    """
    x = floating(x)
    below = apply("less", x, 0.0)
    e = apply("expm1", apply("where", below, -x, x))  # eˣ + 1 keeps no digits far below zero
    share = apply("minimum", e, 1e18)  # beyond it e / (e + 1) is 1, and infinity is no number
    half = 0.5 * (e + share / (share + 1.0))
    return apply("where", below, -half, half)


@public
def cosh(x: Any) -> Any:
    """Return the hyperbolic cosine.

    Args:
        x: Tensor, array, number or list of any shape.

    Example:
        >>> densa.ops.cosh(np.array([0.0, 1.0])).numpy().round(4).tolist()
        [1.0, 1.5431]
    """
    return 0.5 * (apply("exp", x) + apply("exp", apply("negative", floating(x))))


@public
def tanh(x: Any) -> Any:
    """Return the hyperbolic tangent.

    Args:
        x: Tensor, array, number or list of any shape.

    Example:
        >>> densa.ops.tanh(np.array([0.0, 1.0])).numpy().round(4).tolist()
        [0.0, 0.7616]
    """
    return apply("tanh", x)


@public
def erf(x: Any) -> Any:
    """Return the error function.

    Args:
        x: Tensor, array, number or list of any shape.

    Example:
        >>> densa.ops.erf(np.array([0.0, 1.0])).numpy().round(4).tolist()
        [0.0, 0.8427]
    """
    return apply("erf", x)


@public
def floor(x: Any) -> Any:
    """Return the largest whole number that is not above x.

    Args:
        x: Tensor, array, number or list of any shape.

    Example:
        >>> densa.ops.floor([-1.5, 1.5]).numpy().tolist()
        [-2.0, 1.0]
    """
    return apply("floor", floating(x))


@public
def ceil(x: Any) -> Any:
    """Return the smallest whole number that is not below x.

    Args:
        x: Tensor, array, number or list of any shape.

    Example:
        >>> densa.ops.ceil([-1.5, 1.5]).numpy().tolist()
        [-1.0, 2.0]
    """
    return apply("ceil", floating(x))


@public
def round(x: Any, decimals: int = 0) -> Any:
    """Return x rounded to `decimals` places, halves to even.

    Args:
        x: Tensor, array, number or list of any shape.
        decimals: places after the point; negative ones round to tens and more.

    Example:
        >>> densa.ops.round(np.array([0.125, 2.5]), 2).numpy().tolist()
        [0.12, 2.5]
    """
    if decimals == 0:
        return apply("round", x)
    scale = 10.0**decimals
    return apply("divide", apply("round", apply("multiply", floating(x), scale)), scale)


@public
def isnan(x: Any) -> Any:
    """Tell where x is NaN.

    Args:
        x: Tensor, array, number or list of any shape.

    Example:
        >>> densa.ops.isnan([1.0, np.nan]).numpy().tolist()
        [False, True]
    """
    return apply("isnan", x)


@public
def isinf(x: Any) -> Any:
    """Tell where x is infinite.

    Args:
        x: Tensor, array, number or list of any shape.

    Example:
        >>> densa.ops.isinf([1.0, -np.inf]).numpy().tolist()
        [False, True]
    """
    return apply("isinf", x)


@public
def isfinite(x: Any) -> Any:
    """Tell where x is neither infinite nor NaN.

    Args:
        x: Tensor, array, number or list of any shape.

    Example:
        >>> densa.ops.isfinite([1.0, np.nan, np.inf]).numpy().tolist()
        [True, False, False]
    """
    return apply("isfinite", x)


@public
def logical_not(x: Any) -> Any:
    """Tell where x is false (zero).

    Args:
        x: Tensor, array, number or list of any shape.

    Example:
        >>> densa.ops.logical_not([True, False]).numpy().tolist()
        [False, True]
    """
    return apply("logical_not", x)


@public
def clip(x: Any, x_min: Any, x_max: Any) -> Any:
    """Return x held between x_min and x_max; None leaves a side open.

    Args:
        x: Tensor, array, number or list of any shape.
        x_min: lower limit, or None.
        x_max: upper limit, or None.

    Example:
        >>> densa.ops.clip([-2.0, 0.5, 2.0], -1.0, 1.0).numpy().tolist()
        [-1.0, 0.5, 1.0]
    """
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
    """Replace NaN and infinities; None stands for the largest finite number.

    Args:
        x: Tensor, array, number or list of any shape.
        nan: what stands for NaN.
        posinf: what stands for infinity.
        neginf: what stands for minus infinity.

    Returns:
        x with finite numbers only; integers as they are.

    Example:
        >>> densa.ops.nan_to_num([1.0, np.nan, np.inf], posinf=9.0).numpy().tolist()
        [1.0, 0.0, 9.0]
    """
    x = tensor(x)
    if not config.is_float(x.dtype):
        return x
    lowest, largest = config.float_limits(x.dtype)
    high = largest if posinf is None else posinf
    low = lowest if neginf is None else neginf
    inf = float("inf")
    out = apply("where", apply("isnan", x), nan, x)
    out = apply("where", apply("equal", x, inf), high, out)
    return apply("where", apply("equal", x, -inf), low, out)


@public
def stop_gradient(variable: Any) -> Any:
    """Return the values; no gradient flows back through them.

    Args:
        variable: Tensor, array, number or list of any shape.

    Example:
        >>> x = densa.Variable([2.0])
        >>> (x * densa.ops.stop_gradient(x)).backward()
        >>> x.grad.numpy()
        array([2.], dtype=float32)
    """
    return apply("stop_gradient", variable)
