"""Elementwise functions made of other ops: part of `densa.ops`."""

from __future__ import annotations

import math
from typing import Any

from densa.device import together
from densa.ops._public import apply, floating, public, scalar, tensor


@public
def arcsin(x: Any) -> Any:
    """Return the angle in [-π/2, π/2] whose sine is x; NaN outside [-1, 1].

    Args:
        x: Tensor, array, number or list of any shape.

    Example:
        >>> float(densa.ops.arcsin(0.5) * 6 / np.pi)
        1.0
    """
    x = floating(x)
    return apply("arctan2", x, apply("sqrt", (1.0 - x) * (1.0 + x)))


@public
def arccos(x: Any) -> Any:
    """Return the angle in [0, π] whose cosine is x; NaN outside [-1, 1].

    Args:
        x: Tensor, array, number or list of any shape.

    Example:
        >>> densa.ops.arccos([1.0, -1.0]).numpy().round(4).tolist()
        [0.0, 3.1415998935699463]
    """
    x = floating(x)
    return apply("arctan2", apply("sqrt", (1.0 - x) * (1.0 + x)), x)


@public
def arctan(x: Any) -> Any:
    """Return the angle in [-π/2, π/2] whose tangent is x.

    Args:
        x: Tensor, array, number or list of any shape.

    Example:
        >>> densa.ops.arctan([0.0, 1.0]).numpy().round(4).tolist()
        [0.0, 0.7853999733924866]
    """
    x = floating(x)
    return apply("arctan2", x, scalar(1.0, x))


@public
def arcsinh(x: Any) -> Any:
    """Return log(x + √(x² + 1)), exact near zero.

    Args:
        x: Tensor, array, number or list of any shape.

    Example:
        >>> densa.ops.arcsinh([0.0, 1.0]).numpy().round(4).tolist()
        [0.0, 0.8813999891281128]
    """
    x = floating(x)
    below = apply("less", x, 0.0)
    size = apply("where", below, -x, x)  # not abs, whose slope at zero is 0
    far = apply("greater", size, 1e8)  # log 2|x| to the last bit, where x² would overflow
    near = apply("where", far, 1.0, size)
    square = apply("square", near)
    grown = apply("log1p", near + square / (1.0 + apply("sqrt", 1.0 + square)))
    beyond = apply("log", apply("where", far, size, 1.0)) + math.log(2.0)
    grown = apply("where", far, beyond, grown)
    return apply("where", below, -grown, grown)


@public
def arccosh(x: Any) -> Any:
    """Return log(x + √(x² - 1)); NaN below 1.

    Args:
        x: Tensor, array, number or list of any shape.

    Example:
        >>> densa.ops.arccosh([1.0, 2.0]).numpy().round(4).tolist()
        [0.0, 1.3170000314712524]
    """
    above = floating(x) - 1.0
    return apply("log1p", above + apply("sqrt", above) * apply("sqrt", above + 2.0))


@public
def arctanh(x: Any) -> Any:
    """Return (log(1 + x) - log(1 - x)) / 2; NaN outside [-1, 1].

    Args:
        x: Tensor, array, number or list of any shape.

    Example:
        >>> densa.ops.arctanh([0.0, 0.5]).numpy().round(4).tolist()
        [0.0, 0.5493000149726868]
    """
    x = floating(x)
    return (apply("log1p", x) - apply("log1p", -x)) * 0.5


@public
def exp2(x: Any) -> Any:
    """Return 2ˣ.

    Args:
        x: Tensor, array, number or list of any shape.

    Example:
        >>> densa.ops.exp2([0.0, 3.0]).numpy().tolist()
        [1.0, 8.0]
    """
    x = floating(x)
    return apply("power", scalar(2.0, x), x)


@public
def cbrt(x: Any) -> Any:
    """Return the cube root, negative for negative x.

    Args:
        x: Tensor, array, number or list of any shape.

    Example:
        >>> densa.ops.cbrt([-8.0, 27.0]).numpy().round(4).tolist()
        [-2.0, 3.0]
    """
    x = floating(x)
    return apply("sign", x) * apply("power", apply("abs", x), 1.0 / 3.0)


@public
def deg2rad(x: Any) -> Any:
    """Return degrees as radians: x·π / 180.

    Args:
        x: Tensor, array, number or list of any shape.

    Example:
        >>> densa.ops.deg2rad([0.0, 180.0]).numpy().round(4).tolist()
        [0.0, 3.1415998935699463]
    """
    return floating(x) * (math.pi / 180.0)


@public
def rad2deg(x: Any) -> Any:
    """Return radians as degrees: x·180 / π.

    Args:
        x: Tensor, array, number or list of any shape.

    Example:
        >>> densa.ops.rad2deg([0.0, np.pi]).numpy().round(4).tolist()
        [0.0, 180.0]
    """
    return floating(x) * (180.0 / math.pi)


@public
def erfc(x: Any) -> Any:
    """Return 1 - erf(x); far above zero, where erf is 1, nothing is left of it.

    Args:
        x: Tensor, array, number or list of any shape.

    Example:
        >>> densa.ops.erfc([0.0]).numpy().tolist()
        [1.0]
    """
    return 1.0 - apply("erf", floating(x))


@public
def fabs(x: Any) -> Any:
    """Return |x| as floating numbers.

    Args:
        x: Tensor, array, number or list of any shape.

    Example:
        >>> densa.ops.fabs([-1, 2]).numpy().tolist()
        [1.0, 2.0]
    """
    return apply("abs", floating(x))


@public
def trunc(x: Any) -> Any:
    """Return x without what stands behind its point: rounded towards zero.

    Args:
        x: Tensor, array, number or list of any shape.

    Example:
        >>> densa.ops.trunc([-1.7, 1.7]).numpy().tolist()
        [-1.0, 1.0]
    """
    x = floating(x)
    return apply("where", apply("less", x, 0.0), apply("ceil", x), apply("floor", x))


@public
def sinc(x: Any) -> Any:
    """Return sin(πx) / (πx), and 1 at zero.

    Args:
        x: Tensor, array, number or list of any shape.

    Example:
        >>> densa.ops.sinc([0.0, 0.5]).numpy().round(4).tolist()
        [1.0, 0.6366000175476074]
    """
    x = floating(x) * math.pi
    zero = apply("equal", x, 0.0)
    some = apply("where", zero, scalar(1.0, x), x)  # no division by zero in the gradient either
    return apply("where", zero, 1.0 - apply("square", x) / 6.0, apply("sin", some) / some)


@public
def isposinf(x: Any) -> Any:
    """Tell where x is infinity above zero.

    Args:
        x: Tensor, array, number or list of any shape.

    Example:
        >>> densa.ops.isposinf([1.0, np.inf, -np.inf]).numpy().tolist()
        [False, True, False]
    """
    return apply("equal", floating(x), float("inf"))


@public
def isneginf(x: Any) -> Any:
    """Tell where x is infinity below zero.

    Args:
        x: Tensor, array, number or list of any shape.

    Example:
        >>> densa.ops.isneginf([1.0, np.inf, -np.inf]).numpy().tolist()
        [False, False, True]
    """
    return apply("equal", floating(x), float("-inf"))


@public
def heaviside(x1: Any, x2: Any) -> Any:
    """Return 0 below zero, 1 above it, and x2 at zero.

    Args:
        x1: Tensor, array, number or list of any shape.
        x2: numbers whose shape broadcasts with it.

    Example:
        >>> densa.ops.heaviside([-1.0, 0.0, 2.0], 0.5).numpy().tolist()
        [0.0, 0.5, 1.0]
    """
    x1, x2 = map(floating, together(x1, x2))
    above = apply("cast", apply("greater", x1, 0.0), dtype=x1.dtype)
    nan = apply("not_equal", x1, x1)
    return apply("where", nan, x1, apply("where", apply("equal", x1, 0.0), x2, above))


@public
def hypot(x1: Any, x2: Any) -> Any:
    """Return √(x1² + x2²) without overflow.

    Args:
        x1: Tensor, array, number or list of any shape.
        x2: numbers whose shape broadcasts with it.

    Example:
        >>> densa.ops.hypot([3.0], [4.0]).numpy().tolist()
        [5.0]
    """
    a, b = (apply("abs", floating(x)) for x in together(x1, x2))
    large, small = apply("maximum", a, b), apply("minimum", a, b)
    whole = apply("logical_and", apply("greater", large, 0.0), apply("isfinite", large))
    ratio = small / apply("where", whole, large, scalar(1.0, large))
    root = large * apply("sqrt", 1.0 + apply("square", ratio))
    return apply("where", whole, root, large + small)


@public
def fmax(x1: Any, x2: Any) -> Any:
    """Return the larger one; of a number and NaN, the number.

    Args:
        x1: Tensor, array, number or list of any shape.
        x2: numbers whose shape broadcasts with it.

    Example:
        >>> densa.ops.fmax([1.0, np.nan], [3.0, 2.0]).numpy().tolist()
        [3.0, 2.0]
    """
    return _without_nan("maximum", x1, x2)


@public
def fmin(x1: Any, x2: Any) -> Any:
    """Return the smaller one; of a number and NaN, the number.

    Args:
        x1: Tensor, array, number or list of any shape.
        x2: numbers whose shape broadcasts with it.

    Example:
        >>> densa.ops.fmin([1.0, np.nan], [3.0, 2.0]).numpy().tolist()
        [1.0, 2.0]
    """
    return _without_nan("minimum", x1, x2)


def _without_nan(name: str, x1: Any, x2: Any) -> Any:
    x1, x2 = together(x1, x2)
    both = apply(name, x1, x2)
    kept = apply("where", apply("not_equal", x2, x2), x1, both)
    return apply("where", apply("not_equal", x1, x1), x2, kept)


@public
def fmod(x1: Any, x2: Any) -> Any:
    """Return what division leaves over, with the sign of x1.

    Args:
        x1: Tensor, array, number or list of any shape.
        x2: numbers whose shape broadcasts with it.

    Example:
        >>> densa.ops.fmod([-5.0, 5.0], 3.0).numpy().tolist()
        [-2.0, 2.0]
    """
    x1, x2 = together(x1, x2)
    left = apply("mod", apply("abs", x1), apply("abs", x2))
    return apply("where", apply("less", x1, 0), apply("negative", left), left)


@public
def logaddexp2(x1: Any, x2: Any) -> Any:
    """Return log₂(2^x1 + 2^x2) without overflow.

    Args:
        x1: Tensor, array, number or list of any shape.
        x2: numbers whose shape broadcasts with it.

    Example:
        >>> densa.ops.logaddexp2([3.0], [3.0]).numpy().tolist()
        [4.0]
    """
    x1, x2 = map(floating, together(x1, x2))
    large = apply("maximum", x1, x2)
    apart = apply("where", apply("equal", x1, x2), scalar(0.0, large), apply("abs", x1 - x2))
    return large + apply("log1p", exp2(-apart)) * (1.0 / math.log(2.0))


@public
def allclose(
    x1: Any, x2: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False
) -> Any:
    """Tell whether |x1 - x2| ≤ atol + rtol·|x2| everywhere.

    Args:
        x1: Tensor, array, number or list of any shape.
        x2: numbers whose shape broadcasts with it.
        rtol: share of |x2|.
        atol: least distance.
        equal_nan: whether two NaN are equal.

    Returns:
        One boolean.

    Example:
        >>> bool(densa.ops.allclose([1.0], [1.0 + 1e-7]))
        True
    """
    x1, x2 = map(floating, together(x1, x2))
    near = apply("less_equal", apply("abs", x1 - x2), atol + rtol * apply("abs", x2))
    near = apply("logical_and", near, apply("isfinite", x2))  # infinity is near to itself alone
    near = apply("logical_or", near, apply("equal", x1, x2))
    if equal_nan:
        nan = apply("logical_and", apply("not_equal", x1, x1), apply("not_equal", x2, x2))
        near = apply("logical_or", near, nan)
    return apply("all", near)


@public
def select(condlist: Any, choicelist: Any, default: Any = 0) -> Any:
    """Return per element the choice of the first condition that holds.

    Args:
        condlist: a list of booleans.
        choicelist: as many arrays, whose shapes broadcast.
        default: what stands where none holds.

    Raises:
        ValueError: if the lists are empty or differ in length.

    Example:
        >>> x = np.array([1.0, 2.0, 3.0])
        >>> densa.ops.select([x < 2, x < 3], [x, 10 * x], 0.0).numpy().tolist()
        [1.0, 20.0, 0.0]
    """
    if len(condlist) != len(choicelist) or not len(condlist):
        raise ValueError(
            "select: there must be one choice per condition, and one at least; got "
            f"{len(condlist)} conditions and {len(choicelist)} choices."
        )
    out = default
    for condition, choice in zip(reversed(condlist), reversed(choicelist), strict=True):
        out = apply("where", apply("cast", tensor(condition), dtype="bool"), choice, out)
    return out
