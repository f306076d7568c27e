"""A frozen network as one C99 file."""

from __future__ import annotations

import math
import re

from densa._core import Predictor
from densa.export_c.body import Body
from densa.export_c.code import C_TYPES
from densa.export_c.net import read_net
from densa.export_c.nodes import write_node

__all__ = ["c_source"]

# What a file may need in front of its functions, in this order, and the word that shows that it
# does.
_HELPERS = [
    (
        "MADD(",
        "/* Rounded once where the machine has an instruction for it. */\n"
        "#if defined(FP_FAST_FMAF) || defined(__FMA__) || defined(__ARM_FEATURE_FMA)\n"
        "#define MADD(a, b, c) fmaf((a), (b), (c))\n"
        "#else\n#define MADD(a, b, c) ((a) * (b) + (c))\n#endif\n",
    ),
    (
        "MADD64(",
        "#if defined(FP_FAST_FMA) || defined(__FMA__) || defined(__ARM_FEATURE_FMA)\n"
        "#define MADD64(a, b, c) fma((a), (b), (c))\n"
        "#else\n#define MADD64(a, b, c) ((a) * (b) + (c))\n#endif\n",
    ),
    (
        "GATED(",
        "/* A gate of 0 wins over z = -inf. */\n"
        "#define GATED(gate) ((z < -1e30f ? -0.0f : z) * (gate))\n",
    ),
    (
        "to_whole(",
        "/* Towards zero; 0 for what does not fit. */\n"
        "static int64_t to_whole(double z) {\n"
        "  return z < 0x1p63 && z >= -0x1p63 ? (int64_t)z : 0;\n}\n",
    ),
    (
        "to_whole_u64(",
        "static uint64_t to_whole_u64(double z) {\n"
        "  if (!(z < 0x1p64 && z >= -0x1p63)) return 0;\n"
        "  return z >= 0 ? (uint64_t)z : (uint64_t)(int64_t)z;\n}\n",
    ),
    (
        "widened(",
        "/* The number whose upper 16 bits these are. */\n"
        "static float widened(uint16_t bits) {\n"
        "  union {\n    uint32_t bits;\n    float number;\n  } u;\n"
        "  u.bits = (uint32_t)bits << 16;\n  return u.number;\n}\n",
    ),
    (
        " bfloat16(",
        "/* The nearest number of 8 bits of precision, ties to even. */\n"
        "static float bfloat16(float z) {\n"
        "  union {\n    float number;\n    uint32_t bits;\n  } u;\n"
        "  u.number = z;\n"
        "  if (z == z) u.bits += 0x7fff + (u.bits >> 16 & 1);\n"
        "  u.bits &= 0xffff0000;\n  return z == z ? u.number : z;\n}\n",
    ),
    (
        "times(",
        "/* Rounded by itself, however the file is compiled: never together with a sum. */\n"
        "static float times(float a, float b) {\n"
        "  volatile float y = a * b;\n  return y;\n}\n",
    ),
    (
        "to_bytes(",
        "/* u: n numbers of 0 to 255, less that for 0; what is returned is x / u: `scale`, or\n"
        " * for 0 what the numbers' own range needs. NaN where one of them is not finite. */\n"
        "static float byte(float z) { return z > 0.0f ? z < 255.0f ? z : 255.0f : 0.0f; }\n"
        "static float to_bytes(const float* x, int n, float scale, float zero, int16_t* u) {\n"
        "  float low = 0.0f, high = 0.0f, bad = 0.0f, inverse = 0.0f;\n"
        "  for (int k = 0; k < n; ++k) {\n"
        "    low = x[k] < low ? x[k] : low;\n"
        "    high = x[k] > high ? x[k] : high;\n"
        "    bad += x[k] - x[k];\n  }\n"
        "  const int own = scale == 0.0f;\n"
        "  if (own) scale = times(high, 1.0f / 255) - times(low, 1.0f / 255);\n"
        "  if (scale >= 1e-30f) inverse = 1.0f / scale;\n"
        "  else scale = 0.0f;\n"
        "  if (own) zero = byte(nearbyintf(-low * inverse));\n"
        "  for (int k = 0; k < n; ++k)\n"
        "    u[k] = (int16_t)(byte(nearbyintf(x[k] * inverse) + zero) - zero);\n"
        "  return scale + bad;\n}\n",
    ),
]


def c_source(predictor: Predictor, name: str) -> str:
    """Return the text of a C99 file with the function `NAME_predict`.

    Args:
        predictor: the network.
        name: an identifier, in front of every name that the file shows to others.

    Returns:
        The text.

    Raises:
        ValueError: for a name that C does not take, and for an op that the export does not know.
    """
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name):
        raise ValueError(f"export_c: {name!r} is no name for C; pass name=.")
    net, upper = read_net(predictor), name.upper()
    given = [(spec["name"], spec["dtype"], tuple(spec["shape"][1:])) for spec in net.inputs]
    values = [net.values[spec["value"]] for spec in net.outputs]
    made = [(s["name"], v.dtype, v.shape) for s, v in zip(net.outputs, values, strict=True)]
    x, y = _numbered("x", len(given)), _numbered("y", len(made))
    body = Body(net, x)
    for node in net.nodes:
        write_node(body, node)
    for output, array in zip(net.outputs, y, strict=True):
        body.each(output["value"], [output["value"]], lambda number: number, array)
    arguments = [f"const {C_TYPES[dtype]}* {a}" for a, (_, dtype, _) in zip(x, given, strict=True)]
    arguments += [f"{C_TYPES[dtype]}* {a}" for a, (_, dtype, _) in zip(y, made, strict=True)]
    prototype = f"int {name}_predict({', '.join(arguments)})"
    macros, notes = [], []
    for kind, arrays, specs in (("INPUTS", x, given), ("OUTPUTS", y, made)):
        for macro, array, spec in zip(_numbered(kind, len(specs)), arrays, specs, strict=True):
            macros.append(f"#define {upper}_{macro} {math.prod(spec[2])}\n")
            notes.append(f" *   {array}: {upper}_{macro} numbers, {_described(*spec)}\n")
    null = " || ".join(f"{a} == NULL" for a in (*x, *y))
    text = "".join(body.functions.values()) + body.code.text()
    parts = [
        f"/* The network '{name}' as C99 that needs libm alone.\n *\n *   {prototype};\n *\n"
        f"{''.join(notes)} *\n"
        " * Nothing overlaps. Returns 0, or 1 for NULL"
        f"{', or 2 for a number that has no answer, such as an id out of range' * body.fails}.\n"
        f" * Any thread; about {body.stack} bytes of its stack. */\n"
        "#include <math.h>\n#include <stddef.h>\n#include <stdint.h>\n",
        "/* Products and sums are rounded one by one, but for MADD. */\n"
        "#if defined(__clang__)\n#pragma STDC FP_CONTRACT OFF\n#endif\n",
        "".join(macros),
        *(helper for word, helper in _HELPERS if word in text),
        *body.tables,
        "".join(body.functions.values()),
        f"{prototype};\n\n{prototype} {{\n  if ({null}) return 1;\n"
        f"{body.code.text()}  return 0;\n}}\n",
    ]
    return "\n".join(part for part in parts if part)


def _numbered(name: str, count: int) -> list[str]:
    return [name] if count == 1 else [f"{name}{k}" for k in range(count)]


def _described(name: str, dtype: str, shape: tuple[int, ...]) -> str:
    """For a comment: what an array of the function is."""
    plain = re.sub(r"[^A-Za-z0-9_ .:-]", "_", name)
    return f"'{plain}', {dtype} of shape ({', '.join(map(str, shape))}{',' * (len(shape) == 1)})"
