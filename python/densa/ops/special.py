"""Special functions and windows: part of `densa.ops`."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from densa import config
from densa.device import beside, together
from densa.ops._host import on_host
from densa.ops._public import apply, floating, made, public, reshaped, scalar, tensor

# The polynomials in w = -log(1 - x²) of M. Giles, Approximating the erfinv function, 2010: near
# zero in w - 2.5, and further out in √w - 3.
_NEAR = (2.81022636e-08, 3.43273939e-07, -3.5233877e-06, -4.39150654e-06, 0.00021858087,
         -0.00125372503, -0.00417768164, 0.246640727, 1.50140941)  # fmt: skip
_FAR = (-0.000200214257, 0.000100950558, 0.00134934322, -0.00367342844, 0.00573950773,
        -0.0076224613, 0.00943887047, 1.00167406, 2.83297682)  # fmt: skip


def _polynomial(coefficients: tuple[float, ...], x: Any) -> Any:
    out = scalar(coefficients[0], x)
    for c in coefficients[1:]:
        out = out * x + c
    return out


@public
def erfinv(x: Any) -> Any:
    """Return the number whose error function is x; ±inf at ±1, NaN outside [-1, 1].

    Giles' polynomials (Approximating the erfinv function, 2010), and two steps of Newton's method
    in float64.

    Args:
        x: Tensor, array, number or list of any shape.

    Example:
        >>> densa.ops.erfinv([0.0, 1.0]).numpy().tolist()
        [0.0, inf]
    """
    x = floating(x)
    w = -(apply("log1p", -x) + apply("log1p", x))
    far = _polynomial(_FAR, apply("sqrt", apply("maximum", w, 5.0)) - 3.0)
    near = _polynomial(_NEAR, apply("minimum", w, 5.0) - 2.5)
    y = apply("where", apply("less", w, 5.0), near, far) * x
    if x.dtype == "float64":
        for _ in range(2):
            slope = apply("exp", -apply("square", y)) * (2.0 / math.sqrt(math.pi))
            y = y - (apply("erf", y) - x) / slope
    at_end = apply("equal", apply("abs", x), 1.0)
    return apply("where", at_end, apply("sign", x) * float("inf"), y)


@public
def i0(x: Any) -> Any:
    """Return the modified Bessel function of order 0: (1/π) ∫ exp(x cos θ) dθ from 0 to π.

    The mean over 512 angles, whose error shrinks faster than any power of their number.

    Args:
        x: Tensor, array, number or list of any shape.

    Example:
        >>> densa.ops.i0([0.0]).numpy().round(4).tolist()
        [1.0]
    """
    x = floating(x)
    # Each angle stands for those where the cosine has the same size: of 512, 129 are left.
    angles = np.arange(129) * (2 * math.pi / 512)
    weights = np.full(129, 4 / 512)
    weights[[0, -1]] /= 2
    cosines = beside(made(np.cos(angles), x.dtype), x)
    size = apply("abs", x)
    power = reshaped(size, [*x.shape, 1]) * cosines
    # cosh(p), for which exp(p) alone would be too large at half of its size.
    each = (apply("exp", power) + apply("exp", -power)) * 0.5
    return apply("sum", each * beside(made(weights, x.dtype), x), axis=[x.ndim])


@public
def ldexp(x1: Any, x2: Any) -> Any:
    """Return x1·2^x2.

    Args:
        x1: numbers.
        x2: whole numbers, of a shape that broadcasts with x1's.

    Raises:
        TypeError: if x2 is no whole number.

    Example:
        >>> densa.ops.ldexp([1.0, 3.0], [2, -1]).numpy().tolist()
        [4.0, 1.5]
    """
    x, power = together(x1, x2)
    if config.is_float(power.dtype):
        raise TypeError(f"ldexp: x2 must be whole numbers; got {power.dtype}.")
    x = floating(x)
    # In two halves: 2^x2 alone may be too large or too small where the product is not.
    half = apply("floor_divide", power, 2)
    for part in (half, apply("subtract", power, half)):
        x = x * apply("power", scalar(2.0, x), apply("cast", part, dtype=x.dtype))
    return x


@public
def signbit(x: Any) -> Any:
    """Tell of each element whether it is below zero, or -0.0.

    Args:
        x: Tensor, array, number or list of any shape.

    Example:
        >>> densa.ops.signbit([-1.0, -0.0, 0.0]).numpy().tolist()
        [True, True, False]
    """
    x = tensor(x)
    if not config.is_float(x.dtype):
        below = apply("less", apply("cast", x, dtype="int32") if x.dtype == "bool" else x, 0)
        return below
    zero = apply("equal", x, 0.0)
    return apply("less", apply("where", zero, apply("reciprocal", x), x), 0.0)


@public
def nextafter(x1: Any, x2: Any) -> Any:
    """Return the next floating number behind x1 in the direction of x2.

    Args:
        x1: numbers; no kernel steps so, NumPy does, without a gradient.
        x2: numbers, of a shape that broadcasts with x1's.

    Example:
        >>> float(densa.ops.nextafter(np.float32(1.0), np.float32(2.0))) - 1.0
        1.1920928955078125e-07
    """
    a, b = together(x1, x2)
    a, b = floating(a), floating(b)
    kind = "float64" if "float64" in (a.dtype, b.dtype) else "float32"
    return on_host("nextafter", np.nextafter, *(apply("cast", v, dtype=kind) for v in (a, b)))


# ---- windows: numbers that are known before anything runs ----------------------------------------


def _window(name: str, function: Callable[[int], Any], x: Any) -> Any:
    size = np.asarray(x if not hasattr(x, "numpy") else x.numpy())
    if size.ndim or size != int(size) or size < 0:
        raise ValueError(f"{name}: expected how many numbers the window has, 0 or more; got {x!r}.")
    return made(np.asarray(function(int(size))), config.floatx())


@public
def bartlett(x: Any) -> Any:
    """Return a triangular window of x numbers: 1 - |2n/(x-1) - 1|.

    Args:
        x: how many numbers.

    Raises:
        ValueError: for what is no whole number of at least 0.

    Example:
        >>> densa.ops.bartlett(5).numpy().tolist()
        [0.0, 0.5, 1.0, 0.5, 0.0]
    """
    return _window("bartlett", np.bartlett, x)


@public
def blackman(x: Any) -> Any:
    """Return a Blackman window of x numbers: 0.42 - 0.5 cos(2πn/(x-1)) + 0.08 cos(4πn/(x-1)).

    Args:
        x: how many numbers.

    Raises:
        ValueError: for what is no whole number of at least 0.

    Example:
        >>> densa.ops.blackman(5).numpy().round(2).tolist()[1:4]
        [0.3400000035762787, 1.0, 0.3400000035762787]
    """
    return _window("blackman", np.blackman, x)


@public
def hamming(x: Any) -> Any:
    """Return a Hamming window of x numbers: 0.54 - 0.46 cos(2πn/(x-1)).

    Args:
        x: how many numbers.

    Raises:
        ValueError: for what is no whole number of at least 0.

    Example:
        >>> densa.ops.hamming(3).numpy().round(2).tolist()
        [0.07999999821186066, 1.0, 0.07999999821186066]
    """
    return _window("hamming", np.hamming, x)


@public
def hanning(x: Any) -> Any:
    """Return a Hann window of x numbers: 0.5 - 0.5 cos(2πn/(x-1)).

    Args:
        x: how many numbers.

    Raises:
        ValueError: for what is no whole number of at least 0.

    Example:
        >>> densa.ops.hanning(3).numpy().tolist()
        [0.0, 1.0, 0.0]
    """
    return _window("hanning", np.hanning, x)


@public
def kaiser(x: Any, beta: Any) -> Any:
    """Return a Kaiser window of x numbers: I₀(β √(1 - (2n/(x-1) - 1)²)) / I₀(β).

    Args:
        x: how many numbers.
        beta: β, from 0 (all ones) upwards.

    Raises:
        ValueError: for what is no whole number of at least 0.

    Example:
        >>> densa.ops.kaiser(3, 0.0).numpy().tolist()
        [1.0, 1.0, 1.0]
    """
    return _window("kaiser", lambda size: np.kaiser(size, float(beta)), x)
