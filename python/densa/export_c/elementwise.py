"""Ops on one element after another."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from densa.export_c.body import Body, Node
from densa.export_c.code import C_TYPES, flat, literal


def formula(body: Body, node: Node) -> None:
    """Any op of formulas.py."""
    ins = node["in"]
    body.each(node["out"][0], ins, body.call(node["op"], body.dtype(ins[0]), node["attrs"]))


def where(body: Body, node: Node) -> None:
    body.each(node["out"][0], node["in"], lambda c, a, b: f"{c} ? {a} : {b}")


def broadcast_to(body: Body, node: Node) -> None:
    body.each(node["out"][0], node["in"], lambda x: x)


def cast(body: Body, node: Node) -> None:
    (x,), out = node["in"], node["out"][0]
    to = body.dtype(out)
    if body.dtype(x) == to:
        body.arrays[out] = body.array(x)
        return
    body.each(out, [x], _conversion(body, x, to))
    if node["attrs"].get("strict") and to != "bool" and not to.startswith("float"):
        _refuse_misfits(body, x, to)


def _conversion(body: Body, x: int, to: str) -> Callable[[str], str]:
    """One number of any type as any other, as csrc/ops/cast/convert.h says."""
    if to == "bool":
        return lambda number: f"{number} != 0"
    if body.floating(x) and not to.startswith("float"):
        helper = "to_whole_u64" if to == "uint64" else "to_whole"
        return lambda number: f"({C_TYPES[to]}){helper}({number})"
    return lambda number: f"({C_TYPES[to]}){number}"


def _refuse_misfits(body: Body, x: int, to: str) -> None:
    """Numbers that are not whole, or that a type does not hold, are an error."""
    if body.dtype(x) == "bool":
        return
    kind = np.iinfo(to)
    with body.code.loops(flat(body.values[x].size)) as at:
        z = f"{body.array(x)}[{at['x']}]"
        if body.floating(x):
            low, end = (literal(float(n), "float64") for n in (kind.min, int(kind.max) + 1))
            body.fail_if(f"!({z} >= {low} && {z} < {end} && trunc({z}) == {z})")
            return
        given = np.iinfo(body.dtype(x))
        if given.min < kind.min:
            body.fail_if(f"{z} < {literal(kind.min, to)}")
        if given.max > kind.max:
            body.fail_if(f"{z} > {literal(kind.max, to)}")
