"""A frozen float32 network as one C99 file."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import numpy as np

from densa import _core
from densa._core import Predictor

__all__ = ["c_source"]

Array = np.ndarray[Any, Any]


def c_source(predictor: Predictor, name: str) -> str:
    """Return the text of a C99 file with the function `NAME_predict`.

    Args:
        predictor: a network with one float32 input and one float32 output.
        name: an identifier, in front of every name of the file.

    Returns:
        The text.

    Raises:
        ValueError: for a network, an op or a name that the export does not know.
    """
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name):
        raise ValueError(f"export_c: {name!r} is no name for C; pass name=.")
    return _Export(predictor, name).text()


# ---- formulas ------------------------------------------------------------------------------------

# What ops/elementwise/formula.h computes, of z and the op's attribute a.
_UNARY = {
    "negative": "-z",
    "abs": "fabsf(z)",
    "square": "z * z",
    "sqrt": "sqrtf(z)",
    "rsqrt": "1.0f / sqrtf(z)",
    "reciprocal": "1.0f / z",
    "exp": "expf(z)",
    "expm1": "expm1f(z)",
    "log": "logf(z)",
    "log1p": "log1pf(z)",
    "sin": "sinf(z)",
    "cos": "cosf(z)",
    "erf": "erff(z)",
    "relu": "z < 0.0f ? 0.0f : z",
    "relu6": "z < 0.0f ? 0.0f : z > 6.0f ? 6.0f : z",
    "selu": "z < 0.0f ? expm1f(z) * 1.75809934f : z * 1.05070099f",
    "gelu": "GATED(0.5f * erff(z * 0.707106781f) + 0.5f)",
    "gelu_tanh": "GATED(1.0f / (1.0f + expf(-z * (z * z * 0.0713548163f + 1.59576912f))))",
    "silu": "GATED(1.0f / (1.0f + expf(-z)))",
    "mish": "GATED(tanhf(z > 0.0f ? z + log1pf(expf(-z)) : log1pf(expf(z))))",
    "sigmoid": "1.0f / (1.0f + expf(-z))",
    "hard_sigmoid": "(z < -3.0f ? 0.0f : z > 3.0f ? 6.0f : z + 3.0f) * 0.166666667f",
    "hard_silu": "GATED((z < -3.0f ? 0.0f : z > 3.0f ? 6.0f : z + 3.0f) * 0.166666667f)",
    "tanh": "tanhf(z)",
    "softplus": "z > 0.0f ? z + log1pf(expf(-z)) : log1pf(expf(z))",
    "softsign": "fabsf(z) > 1e30f ? copysignf(1.0f, z) : z / (1.0f + fabsf(z))",
    "log_sigmoid": "z < 0.0f ? z - log1pf(expf(z)) : -log1pf(expf(-z))",
    "leaky_relu": "z < 0.0f ? z * a : z",
    "elu": "z < 0.0f ? expm1f(z) * a : z",
    "celu": "z < 0.0f ? expm1f(z / a) * a : z",
    "sign": "z > 0.0f ? 1.0f : z < 0.0f ? -1.0f : z",
    "floor": "floorf(z)",
    "ceil": "ceilf(z)",
    "round": "nearbyintf(z)",
}
_ATTRIBUTES = {"leaky_relu": ("negative_slope", 0.2), "elu": ("alpha", 1.0), "celu": ("alpha", 1.0)}
_BINARY = {
    "add": "{a} + {b}",
    "subtract": "{a} - {b}",
    "multiply": "{a} * {b}",
    "divide": "{a} / {b}",
    "power": "powf({a}, {b})",
    "maximum": "{a} > {b} || {a} != {a} ? {a} : {b}",
    "minimum": "{a} < {b} || {a} != {a} ? {a} : {b}",
}


def _literal(number: float) -> str:
    """The float32 number in hexadecimal, exactly."""
    if np.isnan(number):
        return "NAN"
    if np.isinf(number):
        return "INFINITY" if number > 0 else "-INFINITY"
    mantissa, exponent = float(np.float32(number)).hex().split("p")
    whole, fraction = mantissa.split(".")
    fraction = fraction.rstrip("0")
    return f"{whole}{'.' if fraction else ''}{fraction}p{exponent}f"


# ---- the network ---------------------------------------------------------------------------------


def _count(shape: list[Any]) -> int:
    """Numbers of a row."""
    return int(np.prod(shape[1:], dtype=np.int64))


def _read(predictor: Predictor) -> tuple[dict[str, Any], dict[int, Array]]:
    """The network as its file describes it, and its float32 constants by value."""
    header, arena = _core.predictor_file(predictor, {})
    net = json.loads(json.loads(header[8:])["__metadata__"]["net"])
    constants, at = {}, 0
    for v, value in enumerate(net["values"]):
        if value["kind"] != "constant":
            continue
        if value["dtype"] != "float32":
            raise ValueError(f"export_c: a constant is {value['dtype']}; only float32 is known.")
        shape = tuple(value["shape"])
        if value["packing"] == "panels":
            rows, cols = shape
            panels = -(-cols // 16)
            count = panels * rows * 16
            flat = arena[at : at + 4 * count].view("<f4").reshape(panels, rows, 16)
            constants[v] = flat.transpose(1, 0, 2).reshape(rows, panels * 16)[:, :cols]
        elif value["packing"] == "rows":
            count = int(np.prod(shape, dtype=np.int64))
            constants[v] = arena[at : at + 4 * count].view("<f4").reshape(shape)
            count = -(-count // 16) * 16
        else:
            raise ValueError(f"export_c: constants packed as {value['packing']} are not known.")
        at += -(-4 * count // 64) * 64
    return net, constants


# ---- the file ------------------------------------------------------------------------------------


class _Export:
    """Every value of a row is an array of C: x, or a local one that its node fills."""

    def __init__(self, predictor: Predictor, name: str) -> None:
        self.name = name
        self.net, self.constants = _read(predictor)
        self.values: list[dict[str, Any]] = self.net["values"]
        self.arrays: dict[int, str] = {}
        self.tables: list[str] = []  # constants
        self.functions: dict[str, str] = {}
        self.body: list[str] = []
        self.floats = 0  # of all local arrays

    def text(self) -> str:
        inputs, outputs = self.net["inputs"], self.net["outputs"]
        if len(inputs) != 1 or len(outputs) != 1:
            raise ValueError(
                "export_c: one input and one output are expected; the network has "
                f"{len(inputs)} and {len(outputs)}."
            )
        if inputs[0]["dtype"] != "float32":
            raise ValueError(f"export_c: the input must be float32 but is {inputs[0]['dtype']}.")
        for v, value in enumerate(self.values):
            if value["kind"] == "input" or value["kind"] == "feed":
                self.check_float(v, "the input")
                self.arrays[v] = "x"
                if value.get("scale", 1) != 1 or value.get("offset", 0) != 0:
                    scale, offset = _literal(value["scale"]), _literal(value["offset"])
                    self.fill(v, f"MADD(x[i], {scale}, {offset})")
        for node in self.net["nodes"]:
            self.node(node)
        result = outputs[0]["value"]
        self.check_float(result, "the output")
        self.body.append(self.loop(self.size(result), f"y[i] = {self.arrays[result]}[i];"))
        return self.layout(_count(inputs[0]["shape"]), self.size(result))

    def layout(self, inputs: int, outputs: int) -> str:
        name, upper = self.name, self.name.upper()
        functions = "".join(self.functions.values())
        parts = [
            f"/* The network '{name}' as C99 that needs math.h alone.\n *\n"
            f" *   int {name}_predict(const float* x, float* y);\n *\n"
            f" * From {upper}_INPUTS floats at x to {upper}_OUTPUTS floats at y, which do not\n"
            f" * overlap. Returns 0, or 1 for NULL. Any thread; about {4 * self.floats} bytes of\n"
            " * its stack. */\n"
            "#include <math.h>\n#include <stddef.h>\n",
            f"#define {upper}_INPUTS {inputs}\n#define {upper}_OUTPUTS {outputs}\n",
            "/* Rounded once where the machine has an instruction for it. */\n"
            "#if defined(FP_FAST_FMAF) || defined(__FMA__) || defined(__ARM_FEATURE_FMA)\n"
            "#define MADD(a, b, c) fmaf((a), (b), (c))\n"
            "#else\n#define MADD(a, b, c) ((a) * (b) + (c))\n#endif\n",
        ]
        if "GATED" in functions:  # a gate of 0 wins over z = -inf
            parts.append("#define GATED(gate) ((z < -1e30f ? -0.0f : z) * (gate))\n")
        parts += [*self.tables, functions] if functions else self.tables
        prototype = f"int {name}_predict(const float* x, float* y)"
        body = "".join(self.body)
        parts.append(
            f"{prototype};\n\n{prototype} {{\n  if (x == NULL || y == NULL) return 1;\n"
            f"{body}  return 0;\n}}\n"
        )
        return "\n".join(parts)

    # ---- values ----------------------------------------------------------------------------------

    def size(self, v: int) -> int:
        return _count(self.values[v]["shape"])

    def check_float(self, v: int, what: str) -> None:
        dtype = self.values[v]["dtype"]
        if dtype != "float32":
            raise ValueError(f"export_c: {what} is {dtype}; only float32 is known.")

    def loop(self, n: int, body: str) -> str:
        return f"  for (int i = 0; i < {n}; ++i) {body}\n" if n > 0 else ""

    def local(self, v: int) -> str:
        """A new array for a value."""
        self.arrays[v] = f"v{v}"
        self.floats += self.size(v)
        self.body.append(f"  float v{v}[{max(self.size(v), 1)}];\n")
        return f"v{v}"

    def fill(self, v: int, expression: str) -> None:
        name = self.local(v)
        self.body.append(self.loop(self.size(v), f"{name}[i] = {expression};"))

    def table(self, array: Array) -> str:
        """The name of a constant array with these numbers."""
        name = f"c{len(self.tables)}"
        numbers = [_literal(number) for number in array.ravel()] or ["0.0f"]
        lines = [", ".join(numbers[i : i + 6]) for i in range(0, len(numbers), 6)]
        joined = ",\n  ".join(lines)
        self.tables.append(f"static const float {name}[{len(numbers)}] = {{\n  {joined}}};\n")
        return name

    def function(self, op: str, attrs: dict[str, Any]) -> Callable[[str], str]:
        """A call of an elementwise formula."""
        if op not in _UNARY:
            raise ValueError(f"export_c: the op '{op}' is not known.")
        more, given = "", ""
        if op in _ATTRIBUTES:
            attribute, missing = _ATTRIBUTES[op]
            more, given = ", float a", f", {_literal(attrs.get(attribute, missing))}"
        text = f"static float f_{op}(float z{more}) {{ return {_UNARY[op]}; }}\n"
        self.functions[op] = text
        return lambda z: f"f_{op}({z}{given})"

    # ---- nodes -----------------------------------------------------------------------------------

    def node(self, node: dict[str, Any]) -> None:
        op, ins, out, attrs = node["op"], node["in"], node["out"][0], node["attrs"]
        for v in node["in"] + node["out"]:
            self.check_float(v, f"a number of '{op}'")
        constant = [v in self.constants for v in ins]
        if op in ("reshape", "stop_gradient", "cast") and not constant[0]:
            self.arrays[out] = self.arrays[ins[0]]
        elif op in ("dense", "matmul") and self.is_product(node):
            self.product(ins, out, attrs)
        elif op in _UNARY and not constant[0]:
            self.fill(out, self.function(op, attrs)(f"{self.arrays[ins[0]]}[i]"))
        elif op in _BINARY:
            a, b = (self.operand(v, out, op) for v in ins)
            self.fill(out, _BINARY[op].format(a=a, b=b))
        elif op == "batch_norm" and not constant[0] and self.last_axis(out, attrs):
            self.batch_norm(ins, out, attrs)
        elif op in ("softmax", "log_softmax") and not constant[0] and self.last_axis(out, attrs):
            self.softmax(op, ins[0], out)
        elif op == "concatenate" and not any(constant) and self.last_axis(out, attrs):
            self.concatenate(ins, out)
        else:
            shapes = ", ".join(str(self.values[v]["shape"]) for v in ins)
            raise ValueError(f"export_c: the op '{op}' of {shapes} is not known.")

    def is_product(self, node: dict[str, Any]) -> bool:
        x, w = node["in"][:2]
        turned = node["attrs"].get("transpose_a") or node["attrs"].get("transpose_b")
        known = x not in self.constants and all(v in self.constants for v in node["in"][1:])
        return known and len(self.values[w]["shape"]) == 2 and not turned

    def last_axis(self, v: int, attrs: dict[str, Any]) -> bool:
        rank, axis = len(self.values[v]["shape"]), attrs.get("axis", -1)
        axes = axis if isinstance(axis, list) else [axis]
        return rank == 2 and len(axes) == 1 and axes[0] in (-1, 1)

    def operand(self, v: int, out: int, op: str) -> str:
        """Element i of an operand that is stretched to the result."""
        shape, wanted = self.values[v]["shape"], self.values[out]["shape"]
        if v in self.constants:
            array = self.constants[v]
            if array.size == 1:
                return _literal(array.ravel()[0])
            return self.table(np.broadcast_to(array, (1, *wanted[1:]))) + "[i]"
        if self.size(v) == 1:
            return f"{self.arrays[v]}[0]"
        if shape != wanted:
            raise ValueError(f"export_c: the op '{op}' of {shape} for {wanted} is not known.")
        return f"{self.arrays[v]}[i]"

    def product(self, ins: list[int], out: int, attrs: dict[str, Any]) -> None:
        w = self.constants[ins[1]]
        name, table = self.local(out), self.table(w.T)
        bias = self.table(self.constants[ins[2]]) + "[i]" if len(ins) > 2 else "0.0f"
        result = "sum"
        if attrs.get("activation"):
            result = self.function(attrs["activation"], attrs)("sum")
        rows, cols = w.shape
        for part in range(self.size(out) // max(cols, 1)):  # one unless x has more axes
            x, y = f"{self.arrays[ins[0]]}[{part * rows} + k]", f"{name}[{part * cols} + i]"
            self.body.append(
                f"  for (int i = 0; i < {cols}; ++i) {{\n    float sum = {bias};\n"
                f"    for (int k = 0; k < {rows}; ++k)\n"
                f"      sum = MADD({x}, {table}[i * {rows} + k], sum);\n"
                f"    {y} = {result};\n  }}\n"
            )

    def batch_norm(self, ins: list[int], out: int, attrs: dict[str, Any]) -> None:
        if any(v not in self.constants for v in ins[1:]):
            raise ValueError("export_c: the op 'batch_norm' without fixed numbers is not known.")
        gamma, beta, mean, variance = (self.constants[v].ravel() for v in ins[1:5])
        scale = gamma / np.sqrt(variance + np.float32(attrs.get("epsilon", 1e-3)))
        m, s, b = self.table(mean), self.table(scale), self.table(beta)
        self.fill(out, f"MADD({self.arrays[ins[0]]}[i] - {m}[i], {s}[i], {b}[i])")

    def softmax(self, op: str, x: int, out: int) -> None:
        name, z, n = self.local(out), self.arrays[x], self.size(out)
        most, sum_ = f"most{out}", f"sum{out}"
        self.body.append(f"  float {most} = -INFINITY, {sum_} = 0.0f;\n")
        self.body.append(self.loop(n, f"{most} = {z}[i] > {most} ? {z}[i] : {most};"))
        self.body.append(self.loop(n, f"{sum_} += {name}[i] = expf({z}[i] - {most});"))
        if op == "softmax":
            self.body.append(self.loop(n, f"{name}[i] /= {sum_};"))
        else:
            self.body.append(self.loop(n, f"{name}[i] = {z}[i] - {most} - logf({sum_});"))

    def concatenate(self, ins: list[int], out: int) -> None:
        name, at = self.local(out), 0
        for v in ins:
            self.body.append(self.loop(self.size(v), f"{name}[{at} + i] = {self.arrays[v]}[i];"))
            at += self.size(v)
