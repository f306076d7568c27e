"""Fits the polynomials of csrc/simd/math_*.h and prints their coefficients.

Run with `python tools/fit_polynomials.py [name ...]`; needs mpmath (`pip install mpmath`).

Each fit is a weighted minimax fit by Remez' exchange: it makes the largest value of
|weight(x) (p(x) - f(x))| as small as it can be, where the weight turns an error of p into a
relative error of the function that p is a part of. Coefficients are then rounded to the target
type; since p is always a small correction of exact leading terms, that costs next to nothing. The
number printed beside each fit is the worst relative error that is left, before any rounding in
the evaluation.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from mpmath import mp, mpf

mp.dps = 50

Function = Callable[[mpf], mpf]


@dataclass(frozen=True)
class Fit:
    """A function on an interval, approximated by a polynomial of the given degree."""

    function: Function
    weight: Function
    low: float
    high: float
    degree: int
    dtype: type[np.floating]


def evaluate(coefficients: list[mpf], x: mpf) -> mpf:
    """Value of the polynomial whose coefficients come lowest power first."""
    total = mpf(0)
    for coefficient in reversed(coefficients):
        total = total * x + coefficient
    return total


def remez(fit: Fit, grid: list[mpf]) -> list[mpf]:
    """Coefficients of the best polynomial, lowest power first."""
    count = fit.degree + 1
    goal = [fit.function(x) for x in grid]
    weight = [fit.weight(x) for x in grid]
    # Chebyshev points as the first guess, as positions in the grid.
    last = len(grid) - 1
    points = [round(last * (1 - float(mp.cos(mp.pi * i / count))) / 2) for i in range(count + 1)]
    found: list[mpf] = []
    for _ in range(30):
        rows = [
            [grid[p] ** k for k in range(count)] + [(-1) ** i / weight[p]]
            for i, p in enumerate(points)
        ]
        answer = mp.lu_solve(mp.matrix(rows), mp.matrix([goal[p] for p in points]))
        found = [answer[k] for k in range(count)]
        error = [w * (evaluate(found, x) - g) for x, g, w in zip(grid, goal, weight, strict=True)]
        worst = max(abs(e) for e in error)
        # The new points: the extreme of every stretch of equal sign.
        extremes: list[int] = []
        for i, e in enumerate(error):
            if extremes and (e > 0) == (error[extremes[-1]] > 0):
                if abs(e) > abs(error[extremes[-1]]):
                    extremes[-1] = i
            else:
                extremes.append(i)
        while len(extremes) > count + 1:
            ends = (abs(error[extremes[0]]), abs(error[extremes[-1]]))
            extremes.pop(0 if ends[0] < ends[1] else -1)
        if len(extremes) < count + 1 or worst < abs(answer[count]) * mpf("1.001"):
            break
        points = extremes
    return found


def rounded_fit(fit: Fit) -> tuple[list[float], float]:
    """Coefficients in the target type, lowest power first, and the error that is left."""
    low, high = mpf(fit.low), mpf(fit.high)
    size = 100 * (fit.degree + 2)
    grid = [(low + high) / 2 - (high - low) / 2 * mp.cos(mp.pi * i / size) for i in range(size + 1)]
    grid = [x if abs(x) > mpf(10) ** -12 else mpf(10) ** -12 for x in grid]
    rounded = [mpf(float(fit.dtype(mp.nstr(c, 25)))) for c in remez(fit, grid)]
    error = max(abs(fit.weight(x) * (evaluate(rounded, x) - fit.function(x))) for x in grid)
    return [float(c) for c in rounded], float(error)


def log_erfc(x: mpf) -> mpf:
    """log(1 - erf(x)), which is nearly a parabola."""
    return mp.log(mp.erfc(x))


def atanh_rest(z: mpf) -> mpf:
    """(log((1 + s) / (1 - s)) - 2 s) / s at z = s^2."""
    s = mp.sqrt(z)
    return (mp.log((1 + s) / (1 - s)) - 2 * s) / s


HALF_LN2 = 0.34658
SQRT2 = 1.41422
ERF_SPLIT = 0.92

FITS = {
    # exp(r) = 1 + r + r^2 p(r) for |r| <= ln(2) / 2; the error is that of expm1(r).
    "exp32": Fit(
        lambda r: (mp.expm1(r) - r) / r**2,
        lambda r: r**2 / abs(mp.expm1(r)),
        -HALF_LN2, HALF_LN2, 5, np.float32,
    ),
    "exp64": Fit(
        lambda r: (mp.expm1(r) - r) / r**2,
        lambda r: r**2 / abs(mp.expm1(r)),
        -HALF_LN2, HALF_LN2, 10, np.float64,
    ),
    # log(1 + f) = f - f^2 / 2 + f^3 p(f) for 1 + f from sqrt(1/2) to sqrt(2).
    "log32": Fit(
        lambda f: (mp.log1p(f) - f + f**2 / 2) / f**3,
        lambda f: abs(f**3 / mp.log1p(f)),
        1 / SQRT2 - 1, SQRT2 - 1, 7, np.float32,
    ),
    # log(1 + f) = 2 s + s p(s^2) with s = f / (2 + f).
    "log64": Fit(
        lambda z: atanh_rest(z) / z,
        lambda z: z / 2,
        0, ((SQRT2 - 1) / (SQRT2 + 1)) ** 2, 6, np.float64,
    ),
    # erf(x) = x + x p(x^2) for |x| <= 0.92.
    "erf32": Fit(
        lambda z: mp.erf(mp.sqrt(z)) / mp.sqrt(z) - 1,
        lambda z: mp.sqrt(z) / mp.erf(mp.sqrt(z)),
        0, ERF_SPLIT**2, 5, np.float32,
    ),
    # erf(x) = 1 - exp(p(x)) for 0.92 <= x <= 3.95, behind which it is 1.
    "erfc32": Fit(
        log_erfc,
        lambda x: mp.erfc(x) / mp.erf(x),
        ERF_SPLIT - 0.001, 3.95, 7, np.float32,
    ),
    # sin(r) = r + r^3 p(r^2), cos(r) = 1 - r^2 / 2 + r^4 p(r^2) for |r| <= pi / 4.
    "sin64": Fit(
        lambda z: (mp.sin(mp.sqrt(z)) / mp.sqrt(z) - 1) / z,
        lambda z: z * mp.sqrt(z) / mp.sin(mp.sqrt(z)),
        0, 0.6170, 3, np.float64,
    ),
    "cos64": Fit(
        lambda z: (mp.cos(mp.sqrt(z)) - 1 + z / 2) / z**2,
        lambda z: z**2 / mp.cos(mp.sqrt(z)),
        0, 0.6170, 3, np.float64,
    ),
}  # fmt: skip


def main(names: list[str]) -> None:
    """Print the named fits, or all of them."""
    for name in names or FITS:
        coefficients, error = rounded_fit(FITS[name])
        digits = 9 if FITS[name].dtype is np.float32 else 17
        print(f"{name}: worst relative error {error:.2e}")
        print("  " + ", ".join(f"{c:.{digits}g}" for c in coefficients))


if __name__ == "__main__":
    main(sys.argv[1:])
