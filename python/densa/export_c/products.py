"""Products, with weights of any format."""

from __future__ import annotations

from densa.export_c.body import Body, Node
from densa.export_c.code import C_TYPES, Nest, add, flat, literal, place, stretched, strides_of
from densa.export_c.formulas import in_type
from densa.export_c.net import LANES


def product(body: Body, node: Node) -> None:
    """dense and matmul."""
    if body.values[node["in"][1]].packing in ("", "rows"):
        _matmul(body, node)
    else:
        _kept(body, node)


def _kept(body: Body, node: Node) -> None:
    """Rows of x times a constant matrix: sums in the order of the library's kernels."""
    ins, out, attrs = node["in"], node["out"][0], node["attrs"]
    w = body.values[ins[1]]
    dtype, packing = w.dtype, w.packing
    rows, cols = w.shape
    x = body.array(ins[0])
    if packing in ("bfloat16", "int8"):
        x = _prepare(body, node, rows)
    kinds = {"bfloat16": "uint16", "int8": "int8"}
    numbers = body.numbers(ins[1])
    table = body.table(numbers if packing == "sparse" else numbers.T, kinds.get(packing, dtype))
    starts = index = ""
    if w.starts is not None and w.index is not None:
        starts = body.table(w.starts, "uint32")
        index = body.table(w.index, "uint16" if rows <= 1 << 16 else "uint32")
    bias = body.array(ins[2]) if len(ins) > 2 else ""
    scale = None if w.scale is None else body.table(w.scale, "float32")
    to = body.make(out)
    parts = body.values[out].size // cols if cols > 0 else 0
    c, code = C_TYPES[dtype], body.code
    result = body.activation(attrs, dtype)
    with code.loops(flat(parts, "p")) as row, code.scoped(flat(cols)) as column:
        p, i = row["x"], column["x"]
        at, number = place(p, rows, "k"), f"{table}[{place(i, rows, 'k')}]"
        b = f"{bias}[{i}]" if bias else literal(0, dtype)
        code.add("int32_t sum = 0;" if packing == "int8" else f"{c} sum = {b};")
        if packing == "sparse":
            blocks = f"{starts}[{i} / {LANES}]", f"{starts}[{i} / {LANES} + 1]"
            code.add(f"for (uint32_t k = {blocks[0]}; k < {blocks[1]}; ++k)")
            at, number = place(p, rows, f"{index}[k]"), f"{table}[k * {LANES} + {i} % {LANES}]"
        else:
            code.add(f"for (int k = 0; k < {rows}; ++k)")
        if packing == "int8":
            code.add(f"  sum += {x}[{at}] * {number};")
            z = f"times((float)sum, {scale}[{i}] * {x}s[{p}]) + {b}"
        else:
            number = f"widened({number})" if packing == "bfloat16" else number
            code.add(in_type(f"  sum = MADD({x}[{at}], {number}, sum);", dtype))
            z = "sum"
        code.add(f"{to}[{place(p, cols, i)}] = {result(z)};")


def _prepare(body: Body, node: Node, rows: int) -> str:
    """What a product with narrow weights multiplies: x rounded, or as whole numbers."""
    v = node["in"][0]
    packing = body.values[node["in"][1]].packing
    given = node.get("x", {"scale": 0.0, "zero": 0})
    key = (v, packing, given["scale"], given["zero"])
    if key in body.prepared:
        return body.prepared[key]
    x, size = body.array(v), body.values[v].size
    name = body.prepared[key] = f"u{len(body.prepared)}"
    body.local(name, size, "float32" if packing == "bfloat16" else "int16")
    if packing == "bfloat16":
        with body.code.loops(flat(size)) as at:
            body.code.add(f"{name}[{at['x']}] = bfloat16({x}[{at['x']}]);")
        return name
    parts = size // rows if rows > 0 else 0
    body.local(f"{name}s", parts, "float32")
    how = f"{literal(given['scale'])}, {literal(given['zero'])}"
    with body.code.loops(flat(parts, "p")) as at:
        p = at["x"]
        row = "" if p == "0" else f" + {p} * {rows}"
        body.code.add(f"{name}s[{p}] = to_bytes({x}{row}, {rows}, {how}, {name}{row});")
    return name


def _matmul(body: Body, node: Node) -> None:
    """Matrices of any batch, of which a row of x is one."""
    ins, out, attrs = node["in"], node["out"][0], node["attrs"]
    dtype, shape = body.dtype(out), body.whole(out)
    a, b = (list(body.whole(v)) for v in ins[:2])
    a_strides, b_strides = (stretched(s, [*shape[: len(shape) - len(s)], *s]) for s in (a, b))
    if attrs.get("transpose_a"):
        a_strides[-2:] = a_strides[-2:][::-1]
        a[-2:] = a[-2:][::-1]
    if attrs.get("transpose_b"):
        b_strides[-2:] = b_strides[-2:][::-1]
    n = a[-1]
    x, w = body.array(ins[0]), body.array(ins[1])
    bias = body.array(ins[2]) if len(ins) > 2 else ""
    to = body.make(out)
    nest = Nest(
        shape,
        "i",
        y=(strides_of(shape), 0),
        a=([*a_strides[:-1], 0], 0),
        b=([*b_strides[:-2], 0, b_strides[-1]], 0),
        bias=([0] * (len(shape) - 1) + [1], 0),
    )
    c, code = C_TYPES[dtype], body.code
    result = body.activation(attrs, dtype)
    with code.scoped(nest) as at:
        begin = f"{bias}[{at['bias']}]" if bias else literal(0, dtype)
        code.add(f"{c} sum = {begin};")
        code.add(f"for (int k = 0; k < {n}; ++k)")
        left = add(at["a"], a_strides[-1])
        right = add(at["b"], b_strides[-2])
        code.add(in_type(f"  sum = MADD({x}[{left}], {w}[{right}], sum);", dtype))
        code.add(f"{to}[{at['y']}] = {result('sum')};")
