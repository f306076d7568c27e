"""What elementwise ops compute, in C: as csrc/ops/elementwise has it, for every type of numbers."""

from __future__ import annotations

import re

from densa.export_c.code import C_TYPES


def _rounding(bits: int, low: int, largest: str) -> str:
    """z with so many bits of precision, in steps of no less than those below 2^low."""
    return f"""  int e;
  float y;
  if (z - z != 0.0f) return z;
  (void)frexpf(z, &e);
  e = e < {low + 1} ? {low - bits + 1} : e - {bits};
  y = ldexpf(nearbyintf(ldexpf(z, -e)), e);
  return fabsf(y) > {largest} ? copysignf(INFINITY, z) : y;"""


# Of float z, and the op's attribute a.
UNARY = {
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
    "selu": "z < 0.0f ? expm1f(z) * 1.75809934084737685994f : z * 1.05070098735548049342f",
    "gelu": "GATED(0.5f * erff(z * 0.70710678118654752440f) + 0.5f)",
    "gelu_tanh": "GATED(1.0f / (1.0f + expf(-z * (z * z * 0.07135481627260025f"
    " + 1.59576912160573071176f))))",
    "silu": "GATED(1.0f / (1.0f + expf(-z)))",
    "mish": "GATED(tanhf(z > 0.0f ? z + log1pf(expf(-z)) : log1pf(expf(z))))",
    "sigmoid": "1.0f / (1.0f + expf(-z))",
    "hard_sigmoid": "(z < -3.0f ? 0.0f : z > 3.0f ? 6.0f : z + 3.0f) * 0.16666666666666666667f",
    "hard_silu": "GATED((z < -3.0f ? 0.0f : z > 3.0f ? 6.0f : z + 3.0f) * 0.16666666666666666667f)",
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
    "round_float16": _rounding(11, -14, "65504.0f"),
    "round_bfloat16": _rounding(8, -126, "3.3895313892515355e38f"),
    "isnan": "z != z",
    "isinf": "z == z && z - z != 0.0f",
    "isfinite": "z - z == 0.0f",
    "logical_not": "z == 0.0f",
}
ATTRIBUTES = {"leaky_relu": ("negative_slope", 0.2), "elu": ("alpha", 1.0), "celu": ("alpha", 1.0)}
# Of float a and b.
BINARY = {
    "add": "a + b",
    "subtract": "a - b",
    "multiply": "a * b",
    "divide": "a / b",
    "power": "powf(a, b)",
    "maximum": "a > b || a != a ? a : b",
    "minimum": "a < b || a != a ? a : b",
    "sigmoid_cross_entropy": "(a < 0.0f ? 0.0f : a) - a * b + log1pf(expf(-fabsf(a)))",
    "equal": "a == b",
    "not_equal": "a != b",
    "less": "a < b",
    "less_equal": "a <= b",
    "greater": "a > b",
    "greater_equal": "a >= b",
    "logical_and": "a != 0 && b != 0",
    "logical_or": "a != 0 || b != 0",
    "logical_xor": "(a != 0) != (b != 0)",
    "arctan2": "atan2f(a, b)",
}
# Those whose results are bool.
QUESTIONS = {"isnan", "isinf", "isfinite", "logical_not"} | {
    name for name in BINARY if name.startswith(("equal", "not", "less", "greater", "logical"))
}
# Statements, where an expression does not do. The remainder has the sign of the divisor.
_STATEMENTS = {
    "mod": """  float r;
  if (b == 0.0f) return NAN;
  r = fmodf(a, b);
  if (r == 0.0f) return copysignf(0.0f, b);
  return (b < 0.0f) != (r < 0.0f) ? r + b : r;""",
    "floor_divide": """  float q, whole;
  if (b == 0.0f) return a / b;
  q = (a - f_mod(a, b)) / b;
  whole = floorf(q);
  return q - whole > 0.5f ? whole + 1.0f : whole;""",
}
# The same of whole numbers T, which wrap around as unsigned ones of 64 bits do.
_WHOLE = {
    **{name: text for name, text in BINARY.items() if name in QUESTIONS},
    **dict.fromkeys(("floor", "ceil", "round"), "z"),
    "square": "(T)((uint64_t)z * (uint64_t)z)",
    "logical_not": "z == 0",
    "isnan": "0 * z != 0",
    "isinf": "0 * z != 0",
    "isfinite": "0 * z == 0",
    "add": "(T)((uint64_t)a + (uint64_t)b)",
    "subtract": "(T)((uint64_t)a - (uint64_t)b)",
    "multiply": "(T)((uint64_t)a * (uint64_t)b)",
    "maximum": "a > b ? a : b",
    "minimum": "a < b ? a : b",
    "negative": "(T)(0 - (uint64_t)z)",
}
_POWER = """  uint64_t y = 1, factor = (uint64_t)a, e = (uint64_t)b;
  for (; e != 0; e >>= 1) {
    if (e & 1) y *= factor;
    factor *= factor;
  }
  return (T)y;"""
_SIGNED = {
    **_WHOLE,
    "abs": "z < 0 ? (T)(0 - (uint64_t)z) : z",
    "relu": "z < 0 ? 0 : z",
    "relu6": "z < 0 ? 0 : z > 6 ? 6 : z",
    "sign": "z < 0 ? -1 : z > 0",
    "power": _POWER.replace("  for", "  if (b < 0) return a == 1;\n  for"),
    # The smallest number divided by -1 would trap.
    "mod": """  T r;
  if (b == 0 || b == -1) return 0;
  r = (T)(a % b);
  return r != 0 && (r < 0) != (b < 0) ? (T)(r + b) : r;""",
    "floor_divide": """  if (b == 0) return 0;
  if (b == -1) return (T)(0 - (uint64_t)a);
  return a % b != 0 && (a < 0) != (b < 0) ? (T)(a / b - 1) : (T)(a / b);""",
}
_UNSIGNED = {
    **_WHOLE,
    **dict.fromkeys(("abs", "relu"), "z"),
    "relu6": "z > 6 ? 6 : z",
    "sign": "z != 0",
    "power": _POWER,
    "mod": "b == 0 ? 0 : (T)(a % b)",
    "floor_divide": "b == 0 ? 0 : (T)(a / b)",
}
_BOOL = {
    **{name: text for name, text in _WHOLE.items() if name in QUESTIONS},
    **dict.fromkeys(("add", "maximum"), "a || b"),
    **dict.fromkeys(("multiply", "minimum", "floor_divide"), "a && b"),
    "mod": "a && !a && b",
}

_FLOAT_FUNCTION = re.compile(
    r"\b(fabs|sqrt|expm1|exp|log1p|log|sin|cos|erf|tanh|copysign|floor|ceil|nearbyint|pow|fmod"
    r"|atan2|trunc|frexp|ldexp)f\b"
)
_FLOAT_NUMBER = re.compile(r"(?<=[0-9.])f\b")


def in_type(text: str, dtype: str) -> str:
    """C that is written for float, for float or double."""
    if dtype == "float32":
        return text
    text = _FLOAT_NUMBER.sub("", _FLOAT_FUNCTION.sub(r"\1", text)).replace("float ", "double ")
    return text.replace("MADD(", "MADD64(").replace("f_mod(", "f_mod_float64(")


def function(op: str, dtype: str) -> tuple[str, str, str] | None:
    """An elementwise op on numbers of a type as a static function of C.

    Returns:
        The function's name, its text, and the op whose function it calls or ""; None for an op
        that there is not.
    """
    text = _text(op, dtype)
    if text is None:
        return None
    c, made = C_TYPES[dtype], C_TYPES["bool" if op in QUESTIONS else dtype]
    text = re.sub(r"\bT\b", c, text)
    name = f"f_{op}" if dtype == "float32" else f"f_{op}_{dtype}"
    arguments = f"{c} z" if op in UNARY else f"{c} a, {c} b"
    if op in ATTRIBUTES:
        arguments += f", {c} a"
    body = f"\n{text}\n" if "return" in text else f" return {text}; "
    return name, f"static {made} {name}({arguments}) {{{body}}}\n", "mod" * ("f_mod" in text)


def _text(op: str, dtype: str) -> str | None:
    if dtype == "bool":
        return _BOOL.get(op)
    if not dtype.startswith("float"):
        return (_UNSIGNED if dtype.startswith("u") else _SIGNED).get(op)
    text = UNARY.get(op, BINARY.get(op, _STATEMENTS.get(op)))
    return None if text is None else in_type(text, dtype)
