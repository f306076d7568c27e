"""Each op of the engine as ONNX operators. A function here writes one op and names its result."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from densa import config
from densa.onnx.unary import UNARY, unary
from densa.onnx.writer import GraphWriter, Operand


class Use(NamedTuple):
    """One use of an op, as the functions below see it."""

    op: str
    x: list[Operand]
    y: Operand  # its name is not known yet
    attributes: dict[str, Any]


# ---- two operands --------------------------------------------------------------------------------

_BINARY = {
    "add": "Add",
    "subtract": "Sub",
    "multiply": "Mul",
    "divide": "Div",
    "power": "Pow",
    "maximum": "Max",
    "minimum": "Min",
    "equal": "Equal",
    "less": "Less",
    "less_equal": "LessOrEqual",
    "greater": "Greater",
    "greater_equal": "GreaterOrEqual",
}
_LOGICAL = {"logical_and": "And", "logical_or": "Or", "logical_xor": "Xor"}


def _binary(g: GraphWriter, use: Use) -> str:
    a, b = use.x
    return g.emit(_BINARY[use.op], a.name, b.name)


def _logical(g: GraphWriter, use: Use) -> str:
    return g.emit(_LOGICAL[use.op], *(g.as_type(x, "bool") for x in use.x))


def _not_equal(g: GraphWriter, use: Use) -> str:
    return g.emit("Not", g.emit("Equal", use.x[0].name, use.x[1].name))


def _mod(g: GraphWriter, use: Use) -> str:
    """The remainder with the divisor's sign, as in Python."""
    a, b = use.x
    if not config.is_float(a.dtype):
        return g.emit("Mod", a.name, b.name)
    zero = g.number(0, a.dtype)
    r = g.emit("Mod", a.name, b.name, fmod=1)
    other_sign = g.emit("Less", g.emit("Mul", g.emit("Sign", r), g.emit("Sign", b.name)), zero)
    return g.emit("Where", other_sign, g.emit("Add", r, b.name), r)


def _floor_divide(g: GraphWriter, use: Use) -> str:
    a, b = use.x
    if config.is_float(a.dtype):
        return g.emit("Floor", g.emit("Div", a.name, b.name))
    return g.emit("Div", g.emit("Sub", a.name, g.emit("Mod", a.name, b.name)), b.name)


def _where(g: GraphWriter, use: Use) -> str:
    condition, a, b = use.x
    return g.emit("Where", condition.name, a.name, b.name)


def _cast(g: GraphWriter, use: Use) -> str:
    return g.cast(use.x[0].name, use.y.dtype)


def _stop_gradient(g: GraphWriter, use: Use) -> str:
    return g.emit("Identity", use.x[0].name)


# ---- reductions ----------------------------------------------------------------------------------

_REDUCE = {
    "sum": "ReduceSum",
    "mean": "ReduceMean",
    "max": "ReduceMax",
    "min": "ReduceMin",
    "prod": "ReduceProd",
    "logsumexp": "ReduceLogSumExp",
    "any": "ReduceMax",
    "all": "ReduceMin",
}


def _reduce(g: GraphWriter, use: Use) -> str:
    if use.op not in ("any", "all"):
        return _reduced(g, use, use.x[0].name, bool(use.attributes.get("keepdims", False)))
    whole = g.as_type(use.x[0], "int32")  # no runtime must reduce booleans
    y = _reduced(g, use, whole, bool(use.attributes.get("keepdims", False)))
    return g.cast(y, "bool")


def _reduced(g: GraphWriter, use: Use, x: str, keepdims: bool) -> str:
    axes = use.attributes.get("axis", [])
    axes = [axes] if isinstance(axes, int) else axes
    operands = [x, g.number(axes)] if axes else [x]
    op = _REDUCE.get(use.op, "ReduceMean")
    return g.emit(op, *operands, keepdims=int(keepdims))


def _var(g: GraphWriter, use: Use) -> str:
    mean = _reduced(g, use, use.x[0].name, True)
    centred = g.emit("Sub", use.x[0].name, mean)
    square = g.emit("Mul", centred, centred)
    return _reduced(g, use, square, bool(use.attributes.get("keepdims", False)))


def _argument(g: GraphWriter, use: Use) -> str:
    x, axis = use.x[0].name, int(use.attributes.get("axis", -1))
    keep = bool(use.attributes.get("keepdims", False))
    if use.attributes.get("flat", False):
        x, axis = g.emit("Reshape", x, g.number([-1])), 0
    y = g.emit("ArgMax" if use.op == "argmax" else "ArgMin", x, axis=axis, keepdims=0)
    return g.reshape(y, use.y.shape) if keep or use.attributes.get("flat", False) else y


def _argsort(g: GraphWriter, use: Use) -> str:
    """All of a line by TopK, which keeps equal elements as they lie; where NaN goes is open."""
    descending, n = int(use.attributes.get("descending", False)), use.x[0].shape[-1]
    ids = g.emit_second("TopK", use.x[0].name, g.number([n]), axis=-1, largest=descending)
    return g.cast(ids, use.y.dtype)


# ---- networks ------------------------------------------------------------------------------------


def _matmul(g: GraphWriter, use: Use) -> str:
    a, b = use.x
    flags = [bool(use.attributes.get(k, False)) for k in ("transpose_a", "transpose_b")]
    names = []
    for x, turned in zip((a, b), flags, strict=True):
        rank = len(x.shape)
        perm = [*range(rank - 2), rank - 1, rank - 2]
        names.append(g.emit("Transpose", x.name, perm=perm) if turned else x.name)
    return g.emit("MatMul", *names)


def _dense(g: GraphWriter, use: Use) -> str:
    x, w, *b = use.x
    if len(x.shape) == 2:
        z = g.emit("Gemm", *(o.name for o in use.x)) if b else g.emit("MatMul", x.name, w.name)
    else:
        z = g.emit("MatMul", x.name, w.name)
        z = g.emit("Add", z, b[0].name) if b else z
    activation = use.attributes.get("activation", "")
    return unary(g, activation, z, use.y.dtype, use.attributes) if activation else z


def _softmax(g: GraphWriter, use: Use) -> str:
    op = "Softmax" if use.op == "softmax" else "LogSoftmax"
    return g.emit(op, use.x[0].name, axis=int(use.attributes.get("axis", -1)))


def _batch_norm(g: GraphWriter, use: Use) -> str:
    if use.attributes.get("training", False):
        raise ValueError(
            "which normalises by the batch's own mean: it is called with training=True"
        )
    x, *statistics = use.x
    names = [s.name for s in statistics]
    epsilon = float(use.attributes.get("epsilon", 1e-3))
    axis, rank = use.attributes["axis"][0] % len(x.shape), len(x.shape)
    if rank > 1 and axis == 1:
        return g.emit("BatchNormalization", x.name, *names, epsilon=epsilon)
    # ONNX has it along axis 1 alone: move the axis to the end and make everything else rows.
    perm = [*(i for i in range(rank) if i != axis), axis]
    moved = x.name if axis == rank - 1 else g.emit("Transpose", x.name, perm=perm)
    y = g.emit("Reshape", moved, g.number([-1, statistics[0].shape[0]]))
    y = g.emit("BatchNormalization", y, *names, epsilon=epsilon)
    y = g.reshape(y, tuple(x.shape[i] for i in perm))
    back = [perm.index(i) for i in range(rank)]
    return y if axis == rank - 1 else g.emit("Transpose", y, perm=back)


def _layer_normalization(g: GraphWriter, use: Use) -> str:
    return g.emit("LayerNormalization", *(x.name for x in use.x), **use.attributes)


def _prelu(g: GraphWriter, use: Use) -> str:
    return g.emit("PRelu", use.x[0].name, use.x[1].name)


# ---- picking -------------------------------------------------------------------------------------


def _ids(g: GraphWriter, x: Operand) -> str:
    return x.name if x.dtype in ("int32", "int64") else g.cast(x.name, "int64")


def _embedding(g: GraphWriter, use: Use) -> str:
    return g.emit("Gather", use.x[0].name, _ids(g, use.x[1]), axis=0)


def _embedding_grad(g: GraphWriter, use: Use) -> str:
    ids, dy = use.x
    places = g.emit("Unsqueeze", _ids(g, ids), g.number([-1]))
    nothing = g.emit("Expand", g.number(0, use.y.dtype), g.sizes(use.y.shape))
    return g.emit("ScatterND", nothing, places, dy.name, reduction="add")


def _take(g: GraphWriter, use: Use) -> str:
    axis = int(use.attributes.get("axis", 0))
    return g.emit("Gather", use.x[0].name, _ids(g, use.x[1]), axis=axis)


def _take_along(g: GraphWriter, use: Use) -> str:
    axis = int(use.attributes.get("axis", 0))
    return g.emit("GatherElements", use.x[0].name, _ids(g, use.x[1]), axis=axis)


def _one_hot(g: GraphWriter, use: Use) -> str:
    """By comparison: ONNX' OneHot counts negative ids from the end."""
    ids = g.emit("Unsqueeze", _ids(g, use.x[0]), g.number([-1]))
    dtype = use.x[0].dtype if use.x[0].dtype in ("int32", "int64") else "int64"
    classes = g.number(range(int(use.attributes["classes"])), dtype)
    return g.cast(g.emit("Equal", ids, classes), use.y.dtype)


def _slice(g: GraphWriter, use: Use) -> str:
    begin, end = use.attributes["begin"], use.attributes["end"]
    step = use.attributes.get("step") or [1] * len(begin)
    # Going down, an end of -1 is before the first one; ONNX would count it from the end.
    first = -(2**63)
    end = [first if s < 0 and e < 0 else e for e, s in zip(end, step, strict=True)]
    axes = range(len(begin))
    return g.emit("Slice", use.x[0].name, *(g.number(v) for v in (begin, end, axes, step)))


# ---- shapes --------------------------------------------------------------------------------------


def _reshape(g: GraphWriter, use: Use) -> str:
    return g.reshape(use.x[0].name, use.y.shape)


def _transpose(g: GraphWriter, use: Use) -> str:
    perm = use.attributes.get("perm") or list(range(len(use.y.shape)))[::-1]
    return g.emit("Transpose", use.x[0].name, perm=[int(a) % len(perm) for a in perm])


def _broadcast_to(g: GraphWriter, use: Use) -> str:
    return g.emit("Expand", use.x[0].name, g.sizes(use.y.shape))


def _concatenate(g: GraphWriter, use: Use) -> str:
    return g.emit("Concat", *(x.name for x in use.x), axis=int(use.attributes.get("axis", -1)))


def _pad_slice(g: GraphWriter, use: Use) -> str:
    """x in an array of zeros: what `ops.pad` is made of."""
    (x,), shape = use.x, use.y.shape
    begin, step = use.attributes["begin"], use.attributes.get("step") or [1]
    if any(s != 1 for s in step):
        raise ValueError("which leaves gaps")
    inner, outer = x.shape, shape
    sizes = list(zip(begin, inner, outer, strict=True))
    if any((n is None) != (m is None) or (n is None and b) for b, n, m in sizes):
        raise ValueError("which adds rows to a batch")
    behind = [0 if n is None or m is None else m - n - b for b, n, m in sizes]
    return g.emit("Pad", x.name, g.number([*begin, *behind]))


def _row_count(g: GraphWriter, use: Use) -> str:
    return g.cast(g.emit("Squeeze", g.rows(), g.number([0])), use.y.dtype)


_OPS: dict[str, Callable[[GraphWriter, Use], str]] = {
    **dict.fromkeys(_BINARY, _binary),
    **dict.fromkeys(_LOGICAL, _logical),
    **dict.fromkeys(_REDUCE, _reduce),
    "not_equal": _not_equal,
    "mod": _mod,
    "floor_divide": _floor_divide,
    "where": _where,
    "cast": _cast,
    "stop_gradient": _stop_gradient,
    "var": _var,
    "argmax": _argument,
    "argmin": _argument,
    "argsort": _argsort,
    "matmul": _matmul,
    "dense": _dense,
    "softmax": _softmax,
    "log_softmax": _softmax,
    "batch_norm": _batch_norm,
    "layer_normalization": _layer_normalization,
    "prelu": _prelu,
    "embedding": _embedding,
    "embedding_grad": _embedding_grad,
    "take": _take,
    "take_along": _take_along,
    "one_hot": _one_hot,
    "slice": _slice,
    "reshape": _reshape,
    "transpose": _transpose,
    "broadcast_to": _broadcast_to,
    "concatenate": _concatenate,
    "pad_slice": _pad_slice,
    "row_count": _row_count,
}


def lower(g: GraphWriter, use: Use) -> str:
    """Write one use of an op; return the name of its result.

    Raises:
        ValueError: for an op that ONNX has no operators for, naming it.
    """
    if use.op in UNARY:
        return unary(g, use.op, use.x[0].name, use.x[0].dtype, use.attributes)
    if use.op not in _OPS:
        raise ValueError("which has no counterpart in ONNX")
    return _OPS[use.op](g, use)
