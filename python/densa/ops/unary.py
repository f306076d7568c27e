"""Elementwise functions of one operand: part of `densa.ops`."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from densa.ops._public import apply, floating, public, tensor


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
