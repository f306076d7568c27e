"""ONNX' elementwise operators as functions of `densa.ops`."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from densa import ops
from densa._symbolic import KerasTensor
from densa.onnx._library import type_name
from densa.onnx.reader import GraphReader, OnnxNode, Refusal

# Operators of any number of operands that densa has as functions of as many.
_PLAIN: dict[str, Callable[..., Any]] = {
    "Abs": ops.abs,
    "Add": ops.add,
    "And": ops.logical_and,
    "Ceil": ops.ceil,
    "Cos": ops.cos,
    "Cosh": ops.cosh,
    "Equal": ops.equal,
    "Erf": ops.erf,
    "Exp": ops.exp,
    "Floor": ops.floor,
    "Greater": ops.greater,
    "GreaterOrEqual": ops.greater_equal,
    "HardSwish": ops.hard_silu,
    "IsNaN": ops.isnan,
    "Less": ops.less,
    "LessOrEqual": ops.less_equal,
    "Log": ops.log,
    "Mish": ops.mish,
    "Mul": ops.multiply,
    "Neg": ops.negative,
    "Not": ops.logical_not,
    "Or": ops.logical_or,
    "Reciprocal": ops.reciprocal,
    "Relu": ops.relu,
    "Round": ops.round,
    "Sigmoid": ops.sigmoid,
    "Sign": ops.sign,
    "Sin": ops.sin,
    "Sinh": ops.sinh,
    "Softplus": ops.softplus,
    "Softsign": ops.softsign,
    "Sqrt": ops.sqrt,
    "Sub": ops.subtract,
    "Tan": ops.tan,
    "Tanh": ops.tanh,
    "Where": ops.where,
    "Xor": ops.logical_xor,
}
# Operators of one or more operands, folded from the left.
_MANY: dict[str, Callable[..., Any]] = {
    "Max": ops.maximum,
    "Min": ops.minimum,
    "Sum": ops.add,
    "Mean": ops.add,
}
# Functions with one parameter: the function, ONNX' attribute and its default.
_WITH: dict[str, tuple[Callable[..., Any], str, float]] = {
    "Celu": (ops.celu, "alpha", 1.0),
    "Elu": (ops.elu, "alpha", 1.0),
    "LeakyRelu": (ops.leaky_relu, "alpha", 0.01),
}
_SELU = (1.6732632423543772, 1.0507009873554805)


def _operands(r: GraphReader, node: OnnxNode) -> list[Any]:
    return [r.operand(r.input(node, i)) for i in range(len(node.inputs))]


def _plain(r: GraphReader, node: OnnxNode) -> Any:
    return r.call(_PLAIN[node.op], *_operands(r, node))


def _many(r: GraphReader, node: OnnxNode) -> Any:
    operands = _operands(r, node)
    y = functools.reduce(functools.partial(r.call, _MANY[node.op]), operands)
    return r.call(ops.divide, y, float(len(operands))) if node.op == "Mean" else y


def _with(r: GraphReader, node: OnnxNode) -> Any:
    function, name, missing = _WITH[node.op]
    return r.call(function, r.tensor(node), float(node.get(name, missing)))


def _divide(r: GraphReader, node: OnnxNode) -> Any:
    a, b = _operands(r, node)
    kinds = [str(x.dtype) for x in (a, b) if hasattr(x, "dtype")]
    if not any(k.startswith(("int", "uint")) for k in kinds):
        return r.call(ops.divide, a, b)
    # Towards zero.
    size = r.call(ops.floor_divide, r.call(ops.abs, a), r.call(ops.abs, b))
    sign = r.call(ops.multiply, r.call(ops.sign, a), r.call(ops.sign, b))
    return r.call(ops.multiply, size, sign)


def _mod(r: GraphReader, node: OnnxNode) -> Any:
    a, b = _operands(r, node)
    if not node.get("fmod", 0):
        return r.call(ops.mod, a, b)
    # The dividend's sign; of numbers that are not negative the remainder is exact.
    a_size, b_size = (
        r.call(ops.abs, x) if isinstance(x, KerasTensor) else np.abs(x) for x in (a, b)
    )
    sign = r.call(ops.sign, a) if isinstance(a, KerasTensor) else np.sign(a)
    return r.call(ops.multiply, sign, r.call(ops.mod, a_size, b_size))


def _power(r: GraphReader, node: OnnxNode) -> Any:
    a, b = _operands(r, node)
    if isinstance(b, np.ndarray) and b.ndim == 0:
        b = float(b)
    if isinstance(b, float) and b == 2:
        return r.call(ops.square, a)
    if isinstance(b, float) and b == 0.5:
        return r.call(ops.sqrt, a)
    if str(getattr(a, "dtype", "")).startswith("float") and isinstance(b, np.ndarray):
        b = b.astype(a.dtype)
    return r.call(ops.power, a, b)


def _clip(r: GraphReader, node: OnnxNode) -> Any:
    x = r.tensor(node)
    low, high = node.get("min"), node.get("max")
    low = r.array(node, 1, "min") if low is None else low
    high = r.array(node, 2, "max") if high is None else high
    limits = [None if v is None else np.asarray(v).item() for v in (low, high)]
    if limits == [0, 6]:
        return r.call(ops.relu6, x)
    if limits == [0, None]:
        return r.call(ops.relu, x)
    return r.call(ops.clip, x, *limits)


def _gelu(r: GraphReader, node: OnnxNode) -> Any:
    return r.call(ops.gelu, r.tensor(node), node.get("approximate", "none") == "tanh")


def _selu(r: GraphReader, node: OnnxNode) -> Any:
    given = node.get("alpha", _SELU[0]), node.get("gamma", _SELU[1])
    if np.allclose(given, _SELU, rtol=1e-6):
        return r.call(ops.selu, r.tensor(node))
    y = r.call(ops.elu, r.tensor(node), float(given[0]))
    return r.call(ops.multiply, y, float(given[1]))


def _hard_sigmoid(r: GraphReader, node: OnnxNode) -> Any:
    x, alpha, beta = r.tensor(node), node.get("alpha", 0.2), node.get("beta", 0.5)
    if np.float32(alpha) == np.float32(1 / 6) and beta == 0.5:
        return r.call(ops.hard_sigmoid, x)
    y = r.call(ops.add, r.call(ops.multiply, x, float(alpha)), float(beta))
    return r.call(ops.clip, y, 0.0, 1.0)


def _swish(r: GraphReader, node: OnnxNode) -> Any:
    x, alpha = r.tensor(node), float(node.get("alpha", 1.0))
    if alpha == 1:
        return r.call(ops.silu, x)
    gate = r.call(ops.sigmoid, r.call(ops.multiply, x, alpha))
    return r.call(ops.multiply, x, gate)


def _thresholded_relu(r: GraphReader, node: OnnxNode) -> Any:
    return r.call(ops.threshold, r.tensor(node), float(node.get("alpha", 1.0)), 0.0)


def _is_inf(r: GraphReader, node: OnnxNode) -> Any:
    if not (node.get("detect_negative", 1) and node.get("detect_positive", 1)):
        raise Refusal("looks for one of the infinities alone")
    return r.call(ops.isinf, r.tensor(node))


def _cast(r: GraphReader, node: OnnxNode) -> Any:
    x, dtype = r.tensor(node), type_name(node.get("to"))
    return x if x.dtype == dtype else r.call(ops.cast, x, dtype)


ELEMENTWISE: dict[str, Callable[[GraphReader, OnnxNode], Any]] = {
    **dict.fromkeys(_PLAIN, _plain),
    **dict.fromkeys(_MANY, _many),
    **dict.fromkeys(_WITH, _with),
    "Cast": _cast,
    "Clip": _clip,
    "Div": _divide,
    "Gelu": _gelu,
    "HardSigmoid": _hard_sigmoid,
    "IsInf": _is_inf,
    "Mod": _mod,
    "Pow": _power,
    "Selu": _selu,
    "Swish": _swish,
    "ThresholdedRelu": _thresholded_relu,
}
