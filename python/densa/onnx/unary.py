"""densa's elementwise functions of one number as ONNX operators."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from densa.onnx.writer import GraphWriter

# Those that ONNX has under another name, or with constants of its own.
_SAME: dict[str, tuple[str, dict[str, Any]]] = {
    "negative": ("Neg", {}),
    "abs": ("Abs", {}),
    "sqrt": ("Sqrt", {}),
    "reciprocal": ("Reciprocal", {}),
    "exp": ("Exp", {}),
    "log": ("Log", {}),
    "sin": ("Sin", {}),
    "cos": ("Cos", {}),
    "erf": ("Erf", {}),
    "sign": ("Sign", {}),
    "floor": ("Floor", {}),
    "ceil": ("Ceil", {}),
    "round": ("Round", {}),
    "isnan": ("IsNaN", {}),
    "isinf": ("IsInf", {}),
    "relu": ("Relu", {}),
    "selu": ("Selu", {"alpha": 1.6732632423543772, "gamma": 1.0507009873554805}),
    "gelu": ("Gelu", {"approximate": "none"}),
    "gelu_tanh": ("Gelu", {"approximate": "tanh"}),
    "mish": ("Mish", {}),
    "sigmoid": ("Sigmoid", {}),
    "hard_sigmoid": ("HardSigmoid", {"alpha": 1 / 6, "beta": 0.5}),
    "hard_silu": ("HardSwish", {}),
    "tanh": ("Tanh", {}),
    "softplus": ("Softplus", {}),
    "softsign": ("Softsign", {}),
}
# Those with a parameter: densa's name of it, its default, and ONNX' name.
_WITH: dict[str, tuple[str, str, float, str]] = {
    "leaky_relu": ("LeakyRelu", "negative_slope", 0.2, "alpha"),
    "elu": ("Elu", "alpha", 1.0, "alpha"),
    "celu": ("Celu", "alpha", 1.0, "alpha"),
}


def _square(g: GraphWriter, x: str, dtype: str) -> str:
    return g.emit("Mul", x, x)


def _rsqrt(g: GraphWriter, x: str, dtype: str) -> str:
    return g.emit("Reciprocal", g.emit("Sqrt", x))


def _expm1(g: GraphWriter, x: str, dtype: str) -> str:
    """2 t / (1 - t) with t = tanh(x / 2) near zero, where eˣ - 1 would lose its digits."""
    one, two = g.number(1, dtype), g.number(2, dtype)
    t = g.emit("Tanh", g.emit("Div", x, two))
    near = g.emit("Div", g.emit("Mul", two, t), g.emit("Sub", one, t))
    far = g.emit("Sub", g.emit("Exp", x), one)
    return g.emit("Where", g.emit("Less", g.emit("Abs", x), one), near, far)


def _log1p(g: GraphWriter, x: str, dtype: str) -> str:
    """x log(u) / (u - 1) with u = 1 + x as it is rounded; x itself where u is 1."""
    one = g.number(1, dtype)
    u = g.emit("Add", one, x)
    log = g.emit("Log", u)
    near = g.emit("Div", g.emit("Mul", log, x), g.emit("Sub", u, one))
    near = g.emit("Where", g.emit("Equal", u, one), x, near)
    return g.emit("Where", g.emit("Less", g.emit("Abs", x), one), near, log)


def _silu(g: GraphWriter, x: str, dtype: str) -> str:
    return g.emit("Mul", x, g.emit("Sigmoid", x))


def _log_sigmoid(g: GraphWriter, x: str, dtype: str) -> str:
    return g.emit("Neg", g.emit("Softplus", g.emit("Neg", x)))


def _relu6(g: GraphWriter, x: str, dtype: str) -> str:
    return g.emit("Clip", x, g.number(0, dtype), g.number(6, dtype))


def _isfinite(g: GraphWriter, x: str, dtype: str) -> str:
    return g.emit("Not", g.emit("Or", g.emit("IsNaN", x), g.emit("IsInf", x)))


def _logical_not(g: GraphWriter, x: str, dtype: str) -> str:
    return g.emit("Not", x if dtype == "bool" else g.cast(x, "bool"))


_COMPOSED: dict[str, Callable[[GraphWriter, str, str], str]] = {
    "square": _square,
    "rsqrt": _rsqrt,
    "expm1": _expm1,
    "log1p": _log1p,
    "silu": _silu,
    "log_sigmoid": _log_sigmoid,
    "relu6": _relu6,
    "isfinite": _isfinite,
    "logical_not": _logical_not,
}

UNARY = frozenset({*_SAME, *_WITH, *_COMPOSED})


def unary(g: GraphWriter, name: str, x: str, dtype: str, attributes: dict[str, Any]) -> str:
    """Write the function that densa calls `name` of x; return the name of the result."""
    if name in _SAME:
        op, fixed = _SAME[name]
        return g.emit(op, x, **fixed)
    if name in _WITH:
        op, ours, missing, theirs = _WITH[name]
        return g.emit(op, x, **{theirs: float(attributes.get(ours, missing))})
    return _COMPOSED[name](g, x, dtype)
