"""One row per op: its reference in float64 NumPy or SciPy, its domain, how close it must be.

A result must lie within `ulp` units in the last place of the exact value (float32; `ulp64` for
float64), plus `slack` times eps times the size of the input: the bound for values that are a
difference near zero, with the reason beside it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy import special


@dataclass(frozen=True)
class OpSpec:
    name: str
    numpy: Callable[..., Any]
    attrs: dict[str, Any] = field(default_factory=dict)
    domain: tuple[float, float] = (-8.0, 8.0)
    kinks: tuple[float, ...] = ()
    ulp: float = 2.0
    ulp64: float = 4.0
    slack: float = 0.0
    gradient: bool = True
    specials: bool = True  # also at zeros, infinities, NaN and denormals

    @property
    def label(self) -> str:
        return "-".join([self.name, *(f"{k}={v}" for k, v in self.attrs.items())])


def sigmoid(z):
    return special.expit(z)


def gelu(z):
    with np.errstate(invalid="ignore"):
        return np.where(z == -np.inf, -0.0, z * special.ndtr(z))


def gelu_tanh(z):
    with np.errstate(invalid="ignore", over="ignore"):
        v = 2 * np.sqrt(2 / np.pi) * (z + 0.044715 * z**3)
        return np.where(z == -np.inf, -0.0, z * sigmoid(v))


def silu(z):
    with np.errstate(invalid="ignore"):
        return np.where(z == -np.inf, -0.0, z * sigmoid(z))


def mish(z):
    with np.errstate(invalid="ignore"):
        return np.where(z == -np.inf, -0.0, z * np.tanh(np.logaddexp(0, z)))


def hard_sigmoid(z):
    return np.clip(z + 3, 0, 6) / 6


def hard_silu(z):
    with np.errstate(invalid="ignore"):
        return np.where(z == -np.inf, -0.0, z * hard_sigmoid(z))


def softsign(z):
    with np.errstate(invalid="ignore"):
        return np.where(np.isinf(z), np.sign(z), z / (1 + np.abs(z)))


def relu(z):
    return np.where(z < 0, 0.0, z)


def exponential_unit(alpha=1.0, scale=1.0, stretch=1.0):
    def value(z):
        with np.errstate(over="ignore"):
            return scale * np.where(z < 0, alpha * np.expm1(np.minimum(z, 0) / stretch), z)

    return value


SCALE, ALPHA = 1.0507009873554805, 1.6732632423543772  # SELU, G15

UNARY = [
    OpSpec("negative", np.negative, ulp=0, ulp64=0),
    OpSpec("abs", np.abs, kinks=(0.0,), ulp=0, ulp64=0),
    OpSpec("square", np.square, ulp=0.5, ulp64=0),
    OpSpec("sqrt", np.sqrt, domain=(0.05, 8), ulp=0.5, ulp64=0),
    OpSpec("rsqrt", lambda z: 1 / np.sqrt(z), domain=(0.05, 8), ulp=1.5, ulp64=2),
    OpSpec("reciprocal", np.reciprocal, domain=(0.05, 8), ulp=0.5, ulp64=0),
    OpSpec("exp", np.exp),
    OpSpec("expm1", np.expm1),
    OpSpec("log", np.log, domain=(0.05, 8)),
    OpSpec("log1p", np.log1p, domain=(-0.9, 8)),
    OpSpec("sin", np.sin),
    OpSpec("cos", np.cos),
    OpSpec("erf", special.erf),
    OpSpec("sigmoid", sigmoid),
    OpSpec("tanh", np.tanh),
    OpSpec("softplus", lambda z: np.logaddexp(0, z), ulp=3),
    OpSpec("log_sigmoid", lambda z: -np.logaddexp(0, -z), ulp=3),
    OpSpec("softsign", softsign, ulp=1.5, ulp64=2),
    OpSpec("relu", relu, kinks=(0.0,), ulp=0, ulp64=0),
    OpSpec("relu6", lambda z: np.clip(z, 0, 6), kinks=(0.0, 6.0), ulp=0, ulp64=0),
    OpSpec(
        "leaky_relu",
        lambda z: np.where(z < 0, 0.2 * z, z),
        kinks=(0.0,),
        ulp=1.5,  # the product, and the slope itself rounded to float32
    ),
    OpSpec(
        "leaky_relu",
        lambda z: np.where(z < 0, 0.01 * z, z),
        {"negative_slope": 0.01},
        kinks=(0.0,),
        ulp=1.5,
    ),
    # expm1 (2 ulp), then one or two products with a rounded constant
    OpSpec("elu", exponential_unit(), kinks=(0.0,), ulp=3),
    OpSpec("elu", exponential_unit(0.3), {"alpha": 0.3}, kinks=(0.0,), ulp=4),
    OpSpec("celu", exponential_unit(), kinks=(0.0,), ulp=3),
    # the quotient z / alpha is rounded before expm1, which stretches its error by at most |z| e^z
    OpSpec("celu", exponential_unit(1.7, 1, 1.7), {"alpha": 1.7}, kinks=(0.0,), ulp=5, ulp64=6),
    OpSpec("selu", exponential_unit(ALPHA, SCALE), kinks=(0.0,), ulp=4),
    # z * gate: the gate within 2 ulp and three roundings; where the gate is a difference near zero
    # (below about -2) its absolute error counts, times |z|
    OpSpec("gelu", gelu, ulp=4, slack=1.0, ulp64=6),
    OpSpec("gelu_tanh", gelu_tanh, ulp=6, slack=1.0, ulp64=8),
    OpSpec("silu", silu, ulp=4, slack=0.1, ulp64=6),
    OpSpec("mish", mish, ulp=6, slack=0.1, ulp64=8),
    OpSpec("hard_sigmoid", hard_sigmoid, kinks=(-3.0, 3.0), ulp=1.5, slack=0.5),
    OpSpec("hard_silu", hard_silu, kinks=(-3.0, 3.0), ulp=2.5, slack=1.0),
    OpSpec("sign", np.sign, gradient=False, ulp=0, ulp64=0),
    OpSpec("floor", np.floor, gradient=False, ulp=0, ulp64=0),
    OpSpec("ceil", np.ceil, gradient=False, ulp=0, ulp64=0),
    OpSpec("round", np.round, gradient=False, ulp=0, ulp64=0),
]


def sigmoid_cross_entropy(x, t):
    with np.errstate(invalid="ignore"):
        return np.where(x < 0, 0.0, x) - x * t + np.log1p(np.exp(-np.abs(x)))


BINARY = [
    OpSpec("add", np.add, ulp=0.5, ulp64=0.5),
    OpSpec("subtract", np.subtract, ulp=0.5, ulp64=0.5),
    OpSpec("multiply", np.multiply, ulp=0.5, ulp64=0.5),
    OpSpec("divide", np.divide, domain=(0.2, 4), ulp=0.5, ulp64=0.5),
    OpSpec("maximum", np.maximum, ulp=0, ulp64=0),
    OpSpec("minimum", np.minimum, ulp=0, ulp64=0),
    OpSpec("power", np.power, domain=(0.2, 4)),
    # a sum of three terms: each rounding counts against the largest of them
    OpSpec("sigmoid_cross_entropy", sigmoid_cross_entropy, domain=(-4, 4), ulp=4, slack=4.0),
    OpSpec("arctan2", np.arctan2, domain=(0.2, 4)),
    OpSpec("floor_divide", np.floor_divide, domain=(0.2, 4), gradient=False, ulp=0, ulp64=0),
    OpSpec("mod", np.mod, domain=(0.2, 4), ulp=0.5, ulp64=0.5),
]

COMPARISONS = {
    "equal": np.equal,
    "not_equal": np.not_equal,
    "less": np.less,
    "less_equal": np.less_equal,
    "greater": np.greater,
    "greater_equal": np.greater_equal,
    "logical_and": np.logical_and,
    "logical_or": np.logical_or,
    "logical_xor": np.logical_xor,
}
TESTS = {
    "isnan": np.isnan,
    "isinf": np.isinf,
    "isfinite": np.isfinite,
    "logical_not": np.logical_not,
}


def logsumexp(x, axis=None, keepdims=False):
    x = np.asarray(x, dtype=np.float64)
    top = np.max(x, axis=axis, keepdims=True, initial=-1e4)
    total = np.sum(np.exp(x - top), axis=axis, keepdims=True)
    with np.errstate(divide="ignore"):
        out = np.log(total) + top
    return out if keepdims else np.squeeze(out, axis=axis)


# Sums of n terms: blocks of 64 and 16 lanes, so at most about 64 + log2(n) roundings of the sum of
# sizes; `ulp` counts in units of that sum of sizes, not of the result.
REDUCTIONS = [
    OpSpec("sum", np.sum, ulp=8, ulp64=8),
    OpSpec("mean", np.mean, ulp=8, ulp64=8),
    OpSpec("prod", np.prod, domain=(0.8, 1.2), ulp=200, ulp64=200),  # one rounding per factor
    OpSpec("max", np.max, ulp=0, ulp64=0),
    OpSpec("min", np.min, ulp=0, ulp64=0),
    OpSpec("var", np.var, ulp=16, ulp64=16),
    OpSpec("logsumexp", logsumexp, ulp=8, ulp64=8),
]
