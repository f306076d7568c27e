"""Ops along axes: normalization, softmax, reductions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from densa.export_c.body import Body, Node
from densa.export_c.code import C_TYPES, Nest, add, join, literal, strides_of
from densa.export_c.formulas import in_type

REDUCTIONS = ("sum", "mean", "max", "min", "prod", "var", "logsumexp", "any", "all")


def _axes(body: Body, v: int, axis: Any) -> list[int]:
    """Axes of the shape with rows; all, where none is named."""
    rank = len(body.whole(v))
    axes = axis if isinstance(axis, list) else [axis]
    return sorted(a % rank for a in axes) or list(range(rank))


def _along(body: Body, v: int, axes: list[int]) -> tuple[Nest, Nest, Callable[[str], str]]:
    """Loops over the other axes of a value, over these, and where its elements are in both."""
    shape = body.whole(v)
    strides = strides_of(shape)
    kept = [k for k in range(len(shape)) if k not in axes]
    sizes, steps = [shape[k] for k in kept], [strides[k] for k in kept]
    outer = Nest(sizes, "i", y=(strides_of(sizes), 0), x=(steps, 0))
    inner = Nest([shape[k] for k in axes], "r", x=([strides[k] for k in axes], 0))
    return outer, inner, lambda at: join(at, inner.at["x"])


def batch_norm(body: Body, node: Node) -> None:
    """With known averages, over any axes of channels."""
    (x, gamma, beta, mean, variance), out = node["in"], node["out"][0]
    dtype, shape = body.dtype(out), body.whole(out)
    axes = _axes(body, x, node["attrs"].get("axis", [-1]))
    epsilon = np.dtype(dtype).type(node["attrs"].get("epsilon", 1e-3))
    scale = body.numbers(gamma) / np.sqrt(body.numbers(variance) + epsilon)
    strides = [0] * len(shape)
    for axis, stride in zip(axes, strides_of([shape[a] for a in axes]), strict=True):
        strides[axis] = stride
    source, s, m, b = body.array(x), body.table(scale, dtype), body.array(mean), body.array(beta)
    to = body.make(out)
    with body.code.loops(Nest(shape, "i", x=(strides_of(shape), 0), c=(strides, 0))) as at:
        i, c = at["x"], at["c"]
        z = f"MADD({source}[{i}] - {m}[{c}], {s}[{c}], {b}[{c}])"
        body.code.add(in_type(f"{to}[{i}] = {z};", dtype))


def softmax(body: Body, node: Node) -> None:
    """softmax and log_softmax."""
    (x,), out, log = node["in"], node["out"][0], node["op"] == "log_softmax"
    dtype, source, code = body.dtype(out), body.array(x), body.code
    outer, inner, place = _along(body, x, _axes(body, x, node["attrs"].get("axis", -1)))
    to = body.make(out)
    with code.scoped(outer) as at:
        i = place(at["x"])
        z, y = f"{source}[{i}]", f"{to}[{i}]"
        passes = [
            f"most = {z} > most ? {z} : most;",
            f"sum += {'' if log else f'{y} = '}expf({z} - most);",
            f"{y} = {z} - most - logf(sum);" if log else f"{y} /= sum;",
        ]
        code.add(in_type("float most = -INFINITY, sum = 0.0f;", dtype))
        for line in passes:
            with code.loops(inner):
                code.add(in_type(line, dtype))


def reduce(body: Body, node: Node) -> None:
    """One number from all along the axes, added one after the other."""
    op, (x,), out = node["op"], node["in"], node["out"][0]
    source, dtype, code = body.array(x), body.dtype(out), body.code
    axes = _axes(body, x, node["attrs"].get("axis", []))
    count = literal(int(np.prod([body.whole(x)[k] for k in axes], dtype=np.int64)), dtype)
    outer, inner, place = _along(body, x, axes)
    to = body.make(out)
    passes, result = _floats(op, dtype) if dtype.startswith("float") else _whole(op, dtype)
    if inner.empty:
        passes, result = [], _OF_NOTHING[op]
    with code.scoped(outer) as at:
        element = f"{source}[{place(at['x'])}]"
        for begin, step in passes:
            code.add(begin.format(n=count))
            with code.loops(inner):
                code.add(step.format(x=element))
        code.add(f"{to}[{at['y']}] = {result.format(n=count)};")


# What a reduction does: passes over x, each with what comes before it, and the result of n numbers.
_Reduction = tuple[list[tuple[str, str]], str]


_OF_NOTHING = {"sum": "0", "prod": "1", "mean": "NAN", "var": "NAN", "logsumexp": "-INFINITY"}
_OF_NOTHING |= {"any": "0", "all": "1"}


def _floats(op: str, dtype: str) -> _Reduction:
    c = C_TYPES[dtype]
    larger = "y = {x} > y || {x} != {x} ? {x} : y;"  # NaN wins
    of: dict[str, _Reduction] = {
        "sum": ([(f"{c} y = 0;", "y += {x};")], "y"),
        "prod": ([(f"{c} y = 1;", "y *= {x};")], "y"),
        "max": ([(f"{c} y = -INFINITY;", larger)], "y"),
        "min": ([(f"{c} y = INFINITY;", larger.replace(">", "<"))], "y"),
        "mean": ([(f"{c} y = 0;", "y += {x};")], "y / {n}"),
        "var": (
            [
                (f"{c} sum = 0, y = 0;", "sum += {x};"),
                (f"const {c} mean = sum / {{n}};", "y += ({x} - mean) * ({x} - mean);"),
            ],
            "y / {n}",
        ),
        # Without a finite maximum all is left to exp and log.
        "logsumexp": (
            [
                (f"{c} most = -INFINITY, y = 0;", larger.replace("y", "most")),
                ("if (most - most != 0) most = 0;", in_type("y += expf({x} - most);", dtype)),
            ],
            f"({c})(log(y) + most)",
        ),
    }
    return of[op]


def _whole(op: str, dtype: str) -> _Reduction:
    c = C_TYPES[dtype]
    if op in ("any", "all"):
        sign = "&&" if op == "all" else "||"
        return [(f"{c} y = {int(op == 'all')};", f"y = y {sign} {{x}};")], "y"
    if op in ("sum", "prod"):  # which wrap around
        begin, sign = ("0", "+") if op == "sum" else ("1", "*")
        return [(f"uint64_t y = {begin};", f"y {sign}= (uint64_t){{x}};")], f"({c})y"
    low, high = (0, 1) if dtype == "bool" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
    begin, sign = (literal(low, dtype), ">") if op == "max" else (literal(high, dtype), "<")
    return [(f"{c} y = {begin};", f"y = {{x}} {sign} y ? {{x}} : y;")], "y"


def arg(body: Body, node: Node) -> None:
    """The place of the first largest number, or smallest; of the first NaN if there is one."""
    (x,), out, code = node["in"], node["out"][0], body.code
    source = body.array(x)
    (axis,) = _axes(body, x, node["attrs"].get("axis", -1))
    outer, _, _ = _along(body, x, [axis])
    step, count = strides_of(body.whole(x))[axis], body.whole(x)[axis]
    to = body.make(out)
    sign = ">" if node["op"] == "argmax" else "<"
    with code.scoped(outer) as at:
        code.add("int best = 0;")
        with code.block(f"for (int k = 1; k < {count}; ++k)"):
            z, top = (f"{source}[{add(at['x'], step, name)}]" for name in ("k", "best"))
            nan = f" || ({z} != {z} && {top} == {top})" if body.floating(x) else ""
            code.add(f"if ({z} {sign} {top}{nan}) best = k;")
        code.add(f"{to}[{at['y']}] = best;")


def argsort(body: Body, node: Node) -> None:
    """Each element's place is the number of those that come before it; NaN comes last."""
    (x,), out, code = node["in"], node["out"][0], body.code
    sign = ">" if node["attrs"].get("descending", False) else "<"
    shape, source = body.whole(x), body.array(x)
    outer, _, _ = _along(body, x, [len(shape) - 1])
    to = body.make(out)
    with code.scoped(outer) as at, code.block(f"for (int k = 0; k < {shape[-1]}; ++k)"):
        code.add("int rank = 0;")
        a, b = (f"{source}[{add(at['x'], 1, name)}]" for name in ("j", "k"))
        before = f"{a} {sign} {b} || ({a} == {b} && j < k)"
        if body.floating(x):
            before = f"{b} != {b} ? {a} == {a} || j < k : {before}"
        with code.block(f"for (int j = 0; j < {shape[-1]}; ++j)"):
            code.add(f"if ({before}) ++rank;")
        code.add(f"{to}[{add(at['x'], 1, 'rank')}] = k;")
