"""Ops that move numbers, and those that look them up."""

from __future__ import annotations

import math
from collections.abc import Sequence

from densa.export_c.body import Body, Node
from densa.export_c.code import Nest, flat, join, place, strides_of

Strides = tuple[Sequence[int], int]  # and the first element


def alias(body: Body, node: Node) -> None:
    """The same numbers under another shape."""
    body.arrays[node["out"][0]] = body.array(node["in"][0])


def _copy(body: Body, x: str, read: Strides, y: str, shape: Sequence[int], write: Strides) -> None:
    with body.code.loops(Nest(shape, "i", x=read, y=write)) as at:
        body.code.add(f"{y}[{at['y']}] = {x}[{at['x']}];")


def concatenate(body: Body, node: Node) -> None:
    ins, out = node["in"], node["out"][0]
    sources = [body.array(v) for v in ins]
    to, strides = body.make(out), strides_of(body.whole(out))
    axis, begin = node["attrs"].get("axis", -1) % len(strides), 0
    for v, source in zip(ins, sources, strict=True):
        shape = body.whole(v)
        _copy(body, source, (strides_of(shape), 0), to, shape, (strides, begin))
        begin += shape[axis] * strides[axis]


def transpose(body: Body, node: Node) -> None:
    (x,), out = node["in"], node["out"][0]
    given, shape = body.whole(x), body.whole(out)
    order = node["attrs"].get("perm") or list(range(len(given)))[::-1]
    strides = [strides_of(given)[k] for k in order]
    source, to = body.array(x), body.make(out)
    _copy(body, source, (strides, 0), to, shape, (strides_of(shape), 0))


def cut(body: Body, node: Node) -> None:
    """slice, of all axes but that of the rows."""
    (x,), out, attrs = node["in"], node["out"][0], node["attrs"]
    given, shape = body.whole(x), body.whole(out)
    strides, begin = strides_of(given), 0
    steps = attrs.get("step") or [1] * len(given)
    for k in range(1, len(given)):
        most = given[k] if steps[k] > 0 else given[k] - 1
        least = 0 if steps[k] > 0 else -1
        begin += min(max(attrs["begin"][k], least), most) * strides[k]
        strides[k] *= steps[k]
    source, to = body.array(x), body.make(out)
    _copy(body, source, (strides, begin), to, shape, (strides_of(shape), 0))


def gather(body: Body, node: Node) -> None:
    """Rows of a table, or parts of a value along an axis; negative ids of take count back."""
    (x, ids), out, take = node["in"], node["out"][0], node["op"] == "take"
    shape = body.whole(x)
    axis = node["attrs"].get("axis", 0) % len(shape) if take else 0
    n, count = shape[axis], math.prod(body.whole(ids))
    outer, inner = math.prod(shape[:axis]), math.prod(shape[axis + 1 :])
    source, table, code = body.array(ids), body.array(x), body.code
    to = body.make(out)
    nest = Nest(
        [outer, count], "p", x=([n * inner, 0], 0), k=([0, 1], 0), y=([count * inner, inner], 0)
    )
    with code.scoped(nest) as at:
        code.add(f"int64_t id = (int64_t){source}[{at['k']}];")
        if take and body.dtype(ids) != "uint64":
            code.add(f"if (id < 0) id += {n};")
        body.fail_if(f"id < 0 || id >= {n}")
        with code.loops(flat(inner)) as part:
            row = place("id", inner, part["x"])
            code.add(f"{to}[{join(at['y'], part['x'])}] = {table}[{join(at['x'], row)}];")


def gather_along(body: Body, node: Node) -> None:
    """take_along: an id for each number; negative ones count back."""
    (x, ids), out = node["in"], node["out"][0]
    shape, wanted = body.whole(x), body.whole(out)
    axis = node["attrs"].get("axis", 0) % len(shape)
    n, strides = shape[axis], strides_of(shape)
    inner = strides[axis]
    source, table, code = body.array(ids), body.array(x), body.code
    to = body.make(out)
    strides[axis] = 0
    with code.scoped(Nest(wanted, "i", x=(strides, 0), y=(strides_of(wanted), 0))) as at:
        code.add(f"int64_t id = (int64_t){source}[{at['y']}];")
        if body.dtype(ids) != "uint64":
            code.add(f"if (id < 0) id += {n};")
        body.fail_if(f"id < 0 || id >= {n}")
        code.add(f"{to}[{at['y']}] = {table}[{join(at['x'], place('id', inner, '0'))}];")


def padded(body: Body, node: Node) -> None:
    """pad_slice: zeros, and x where it goes, along all axes but that of the rows."""
    (x,), out, attrs = node["in"], node["out"][0], node["attrs"]
    shape, whole = body.whole(x), body.whole(out)
    steps = attrs.get("step") or [1] * len(shape)
    strides, begin = strides_of(whole), 0
    for k in range(1, len(shape)):
        begin += attrs["begin"][k] * strides[k]
        strides[k] *= steps[k]
    source, to = body.array(x), body.make(out)
    with body.code.loops(flat(body.values[out].size)) as at:
        body.code.add(f"{to}[{at['x']}] = 0;")
    _copy(body, source, (strides_of(shape), 0), to, shape, (strides, begin))


def one_hot(body: Body, node: Node) -> None:
    (ids,), out = node["in"], node["out"][0]
    source, to = body.array(ids), body.make(out)
    count, classes = body.values[ids].size, body.values[out].shape[-1]
    nest = Nest([count, classes], "i", y=([classes, 1], 0), x=([1, 0], 0), c=([0, 1], 0))
    with body.code.loops(nest) as at:
        body.code.add(f"{to}[{at['y']}] = (int64_t){source}[{at['x']}] == {at['c']};")
