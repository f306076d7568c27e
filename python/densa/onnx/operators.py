"""ONNX operators as densa's layers and ops. A function here reads one node."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from densa import layers, ops
from densa._symbolic import KerasTensor, get_item
from densa.layers._shapes import merge_shape_product
from densa.onnx.elementwise import ELEMENTWISE
from densa.onnx.reader import GraphReader, OnnxNode, Refusal

# ---- products ------------------------------------------------------------------------------------


def _dense(r: GraphReader, node: OnnxNode, x: KerasTensor, w: Any, b: Any) -> Any:
    """A Dense layer with these weights; b may be None."""
    layer = r.layer(node, layers.Dense, w.shape[1], use_bias=b is not None, dtype=x.dtype)
    y = layer(x)
    layer.set_weights([w] if b is None else [w, b])
    return y


def _bias(value: Any, units: int) -> Any:
    """Return a constant that is added to rows of `units` numbers as a bias, None if it is none."""
    if not isinstance(value, np.ndarray) or value.dtype.kind != "f":
        return None
    if value.size not in (1, units) or value.ndim > 2 or value.shape[:-1] not in ((), (1,)):
        return None
    return np.broadcast_to(value.reshape(-1), (units,))


def _gemm(r: GraphReader, node: OnnxNode) -> Any:
    x, w, c = (r.input(node, i) for i in range(3))
    alpha, beta = node.get("alpha", 1.0), node.get("beta", 1.0)
    if isinstance(x, KerasTensor) and isinstance(w, np.ndarray) and not node.get("transA", 0):
        w = w.T if node.get("transB", 0) else w
        w = w if alpha == 1 else (w * np.asarray(alpha, w.dtype))
        b = None if c is None else _bias(c, w.shape[1])
        if b is not None and beta != 1:
            b = b * np.asarray(beta, b.dtype)
        y = _dense(r, node, x, w, b)
        if c is None or b is not None:
            return y
    else:
        x = r.call(ops.transpose, x) if node.get("transA", 0) else x
        w = r.call(ops.transpose, w) if node.get("transB", 0) else w
        y = r.call(ops.matmul, x, w)
        y = y if alpha == 1 else r.call(ops.multiply, y, float(alpha))
        if c is None:
            return y
    c = c if beta == 1 else r.call(ops.multiply, c, float(beta))
    return r.call(ops.add, y, c)


def _matmul(r: GraphReader, node: OnnxNode) -> Any:
    x, w = r.input(node, 0), r.input(node, 1)
    plain = isinstance(x, KerasTensor) and x.ndim > 1 and isinstance(w, np.ndarray)
    if not plain or w.ndim != 2 or w.dtype.kind != "f":
        return r.call(ops.matmul, x, w)
    after = r.sole_reader(node.outputs[0])
    if after is not None and after.op == "Add" and not after.domain:
        other = after.inputs[after.inputs[0] == node.outputs[0]]
        b = _bias(r.values.get(other), w.shape[1])
        if b is not None:
            y = _dense(r, after, x, w, b)
            r.done.add(id(after))
            r.values[after.outputs[0]] = y
            return y
    return _dense(r, node, x, w, None)


# ---- layers with weights -------------------------------------------------------------------------


def _batch_normalization(r: GraphReader, node: OnnxNode) -> Any:
    x = r.tensor(node)
    if node.get("training_mode", 0) or node.get("spatial", 1) == 0:
        raise Refusal("is not the normalisation of a prediction (training_mode=1 or spatial=0)")
    names = ("scale", "bias", "mean", "variance")
    weights = [r.array(node, i + 1, n) for i, n in enumerate(names)]
    layer = r.layer(
        node,
        layers.BatchNormalization,
        axis=-1 if x.ndim == 2 else 1,
        momentum=node.get("momentum", 0.9),
        epsilon=node.get("epsilon", 1e-5),
        dtype=x.dtype,
    )
    y = layer(x)
    layer.set_weights(weights)
    return y


def _layer_normalization(r: GraphReader, node: OnnxNode) -> Any:
    x = r.tensor(node)
    axes = list(range(node.get("axis", -1) % x.ndim, x.ndim))
    sizes: Any = [x.shape[a] for a in axes]
    names = ("scale", "bias")
    given = [r.array(node, i + 1, n) for i, n in enumerate(names)]
    layer = r.layer(
        node,
        layers.LayerNormalization,
        axis=axes if len(axes) > 1 else axes[0],
        epsilon=node.get("epsilon", 1e-5),
        center=given[1] is not None,
        dtype=x.dtype,
    )
    y = layer(x)
    layer.set_weights([np.broadcast_to(w, sizes) for w in given if w is not None])
    return y


def _gather(r: GraphReader, node: OnnxNode) -> Any:
    data, ids, axis = r.input(node, 0), r.input(node, 1), node.get("axis", 0)
    if isinstance(data, KerasTensor):
        ids = r.array(node, 1, "indices")
        if ids.ndim == 0:
            key = [slice(None)] * (axis % data.ndim)
            return r.call(get_item, data, (*key, int(ids)))
        if ids.ndim != 1:
            raise Refusal(f"picks by indices of shape {ids.shape}; densa takes one axis of them")
        return r.call(ops.take, data, ids, axis=axis)
    if data.ndim == 2 and axis == 0 and data.dtype.kind == "f":
        layer = r.layer(node, layers.Embedding, *data.shape, dtype=data.dtype.name)
        y = layer(ids)
        layer.set_weights([data])
        return y
    return r.call(ops.take, data, ids, axis=axis)


def _gather_elements(r: GraphReader, node: OnnxNode) -> Any:
    data, ids, axis = r.input(node, 0), r.input(node, 1), node.get("axis", 0)
    sizes = [list(x.shape) for x in (data, ids)]
    for shape in sizes:
        shape[axis] = 0
    if sizes[0] != sizes[1]:  # which would mean the first ones; densa stretches axes of size 1
        raise Refusal(f"picks by indices of shape {ids.shape} from {data.shape}")
    return r.call(ops.take_along_axis, data, ids, axis=axis)


def _scatter_nd(r: GraphReader, node: OnnxNode) -> Any:
    data, places, updates = (r.input(node, i) for i in range(3))
    how = node.get("reduction", "none")
    how = None if how == "none" else how
    return r.call(ops.scatter_update, data, places, updates, reduction=how)


def _prelu(r: GraphReader, node: OnnxNode) -> Any:
    x, slope = r.tensor(node), r.array(node, 1, "slope")
    full = (1,) * (x.ndim - slope.ndim) + slope.shape
    sizes = full[1:]
    if full[:1] != (1,) or any(n not in (1, m) for n, m in zip(sizes, x.shape[1:], strict=True)):
        raise Refusal(f"has slopes of shape {slope.shape} for an input of shape {x.shape}")
    shared = [a + 1 for a, n in enumerate(sizes) if n == 1 and x.shape[a + 1] != 1]
    layer = r.layer(node, layers.PReLU, shared_axes=shared or None, dtype=x.dtype)
    y = layer(x)
    layer.set_weights([slope.reshape(sizes)])
    return y


def _dropout(r: GraphReader, node: OnnxNode) -> Any:
    ratio = node.get("ratio")
    if ratio is None:
        given = r.array(node, 1, "ratio")
        ratio = 0.5 if given is None else float(given)
    x = r.tensor(node)
    return r.layer(node, layers.Dropout, float(ratio), dtype=x.dtype)(x)


# ---- shapes --------------------------------------------------------------------------------------


def _float_type(x: KerasTensor) -> str:
    return x.dtype if x.dtype.startswith("float") else "float32"


def _reshape(r: GraphReader, node: OnnxNode) -> Any:
    x, sizes = r.tensor(node), r.sizes(node, 1)
    if not node.get("allowzero", 0):
        for i, size in enumerate(sizes):
            if size == 0:
                known = x.shape[i]
                sizes[i] = -1 if known is None else known
    return r.reshape(x, sizes, r.name_of(node))


def _flatten(r: GraphReader, node: OnnxNode) -> Any:
    x, axis = r.tensor(node), node.get("axis", 1)
    axis = axis + x.ndim if axis < 0 else axis
    if axis == 1:
        return r.layer(node, layers.Flatten, dtype=_float_type(x))(x)
    if axis == 0:
        return r.call(ops.reshape, x, (1, -1))
    inside = merge_shape_product(x.shape[axis:])
    if inside is None:
        raise Refusal(f"flattens the shape {x.shape}, of which more than the rows is unknown")
    return r.call(ops.reshape, x, (-1, inside))


def _squeeze(r: GraphReader, node: OnnxNode) -> Any:
    x = r.tensor(node)
    axes = r.axes(node, 1, x.ndim)
    return r.call(ops.squeeze, x, axis=None if axes is None else tuple(axes))


def _unsqueeze(r: GraphReader, node: OnnxNode) -> Any:
    x = r.tensor(node)
    given = node.get("axes")
    given = r.array(node, 1, "axes") if given is None else given
    return r.call(ops.expand_dims, x, axis=tuple(int(a) for a in np.ravel(given)))


def _transpose(r: GraphReader, node: OnnxNode) -> Any:
    x = r.tensor(node)
    perm = node.get("perm") or list(range(x.ndim))[::-1]
    if x.ndim > 1 and perm[0] == 0:
        return r.layer(node, layers.Permute, tuple(perm[1:]), dtype=_float_type(x))(x)
    return r.call(ops.transpose, x, tuple(perm))


def _concat(r: GraphReader, node: OnnxNode) -> Any:
    parts = [r.input(node, i) for i in range(len(node.inputs))]
    if len(parts) == 1:
        return parts[0]
    axis = node.get("axis", 1)
    rank = next(p.ndim for p in parts if isinstance(p, KerasTensor))
    if all(isinstance(p, KerasTensor) for p in parts) and axis % rank:
        return r.layer(node, layers.Concatenate, axis, dtype=_float_type(parts[0]))(parts)
    return r.call(ops.concatenate, parts, axis=axis)


def _expand(r: GraphReader, node: OnnxNode) -> Any:
    x, sizes = r.tensor(node), r.sizes(node, 1)
    rank = max(x.ndim, len(sizes))
    old = (*[1] * (rank - x.ndim), *x.shape)
    new = (*[1] * (rank - len(sizes)), *(None if s == -1 else s for s in sizes))
    shape = [n if m == 1 else m for m, n in zip(old, new, strict=True)]
    return r.call(ops.broadcast_to, x, tuple(shape))


def _slice(r: GraphReader, node: OnnxNode) -> Any:
    x = r.tensor(node)
    if "starts" in node.attributes:
        starts, ends = node.get("starts"), node.get("ends")
        axes, steps = node.get("axes"), None
    else:
        starts, ends = r.array(node, 1, "starts"), r.sizes(node, 2)
        axes, steps = r.array(node, 3, "axes"), r.array(node, 4, "steps")
    axes = range(len(starts)) if axes is None else axes
    steps = [1] * len(starts) if steps is None else steps
    key = [slice(None)] * x.ndim
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        size = x.shape[int(axis)]
        if size is None and int(start) == 0 and int(step) == 1 and (end == -1 or end >= 2**31 - 1):
            if end == -1 and "starts" in node.attributes:
                raise Refusal("leaves out rows of the batch")
            continue
        if size is None:
            raise Refusal("cuts the rows of the batch")
        key[int(axis)] = _python_slice(int(start), int(end), int(step), size)
    return r.call(get_item, x, tuple(key))


def _python_slice(start: int, end: int, step: int, size: int) -> slice:
    """Return Python's slice for ONNX' numbers, which are cut to the axis first."""
    low, high = (0, size) if step > 0 else (-1, size - 1)
    begin = min(max(start + size if start < 0 else start, low), high)
    stop = min(max(end + size if end < 0 else end, low), high)
    return slice(begin, None if stop < 0 else stop, step)


def _pad(r: GraphReader, node: OnnxNode) -> Any:
    x, mode = r.tensor(node), node.get("mode", "constant")
    pads = node.get("pads")
    pads = r.array(node, 1, "pads") if pads is None else pads
    fill = node.get("value")
    fill = r.array(node, 2, "value") if fill is None else fill
    axes = r.axes(node, 3, x.ndim)
    axes = list(range(x.ndim)) if axes is None else axes
    if mode != "constant" or min(pads, default=0) < 0:
        raise Refusal(f"has mode {mode!r} and pads {list(pads)}; densa adds constants alone")
    width = [(0, 0)] * x.ndim
    for i, axis in enumerate(axes):
        width[axis] = (int(pads[i]), int(pads[i + len(axes)]))
    return r.call(ops.pad, x, width, constant_values=0.0 if fill is None else float(fill))


def _split(r: GraphReader, node: OnnxNode) -> Any:
    x, axis = r.tensor(node), node.get("axis", 0)
    size = x.shape[axis]
    given = node.get("split")
    given = r.array(node, 1, "split") if given is None else given
    if size is None:
        raise Refusal("splits the rows of the batch")
    if given is None:
        part = -(-size // len(node.outputs))
        given = [min(part, size - part * i) for i in range(len(node.outputs))]
    front = [slice(None)] * (axis % x.ndim)
    ends = np.cumsum(given).tolist()
    parts = [slice(end - int(n), end) for end, n in zip(ends, given, strict=True)]
    return [r.call(get_item, x, (*front, part)) for part in parts]


# ---- reductions ----------------------------------------------------------------------------------

_REDUCE: dict[str, Callable[..., Any]] = {
    "ReduceSum": ops.sum,
    "ReduceMean": ops.mean,
    "ReduceMax": ops.max,
    "ReduceMin": ops.min,
    "ReduceProd": ops.prod,
    "ReduceLogSumExp": ops.logsumexp,
}


def _reduce(r: GraphReader, node: OnnxNode) -> Any:
    x = r.tensor(node)
    axes = r.axes(node, 1, x.ndim)
    if not axes and node.get("noop_with_empty_axes", 0):
        return x
    keepdims = bool(node.get("keepdims", 1))
    axis = tuple(axes) if axes else None
    if node.op in _REDUCE:
        return r.call(_REDUCE[node.op], x, axis=axis, keepdims=keepdims)
    inner = ops.abs if node.op == "ReduceL1" else ops.square
    y = r.call(ops.sum, r.call(inner, x), axis=axis, keepdims=keepdims)
    return r.call(ops.sqrt, y) if node.op == "ReduceL2" else y


def _argument(r: GraphReader, node: OnnxNode) -> Any:
    if node.get("select_last_index", 0):
        raise Refusal("takes the last of equal numbers (select_last_index=1)")
    function = ops.argmax if node.op == "ArgMax" else ops.argmin
    keepdims = bool(node.get("keepdims", 1))
    y = r.call(function, r.tensor(node), axis=node.get("axis", 0), keepdims=keepdims)
    return r.call(ops.cast, y, "int64")


def _top_k(r: GraphReader, node: OnnxNode) -> Any:
    x, count = r.tensor(node), node.get("k")  # an attribute in files before opset 10
    given = r.array(node, 1, "k") if count is None else count
    k, axis = int(np.asarray(given).reshape(())), node.get("axis", -1) % x.ndim
    if x.shape[axis] is None:
        raise Refusal("sorts the rows of the batch")
    if k > x.shape[axis]:
        raise Refusal(f"takes {k} elements of an axis of {x.shape[axis]}")
    inner = axis != x.ndim - 1
    lines = r.call(ops.swapaxes, x, axis, -1) if inner else x
    if node.get("largest", 1):
        values, ids = r.call(ops.top_k, lines, k)
    else:
        ids = r.call(get_item, r.call(ops.argsort, lines), (..., slice(k)))
        values = r.call(ops.take_along_axis, lines, ids, axis=-1)
    found = [values, r.call(ops.cast, ids, "int64")]
    return [r.call(ops.swapaxes, y, axis, -1) for y in found] if inner else found


def _softmax(r: GraphReader, node: OnnxNode) -> Any:
    x = r.tensor(node)
    function = ops.softmax if node.op == "Softmax" else ops.log_softmax
    axis: Any = node.get("axis", -1 if r.opset >= 13 else 1)
    if r.opset < 13 and axis % x.ndim != x.ndim - 1:
        axis = tuple(range(axis % x.ndim, x.ndim))  # older files took all axes from there on
    return r.call(function, x, axis=axis)


def _identity(r: GraphReader, node: OnnxNode) -> Any:
    return r.tensor(node)


OPERATORS: dict[str, Callable[[GraphReader, OnnxNode], Any]] = {
    **ELEMENTWISE,
    **dict.fromkeys([*_REDUCE, "ReduceL1", "ReduceL2", "ReduceSumSquare"], _reduce),
    "ArgMax": _argument,
    "ArgMin": _argument,
    "BatchNormalization": _batch_normalization,
    "Concat": _concat,
    "Dropout": _dropout,
    "Expand": _expand,
    "Flatten": _flatten,
    "Gather": _gather,
    "GatherElements": _gather_elements,
    "ScatterND": _scatter_nd,
    "Gemm": _gemm,
    "Identity": _identity,
    "LayerNormalization": _layer_normalization,
    "LogSoftmax": _softmax,
    "MatMul": _matmul,
    "PRelu": _prelu,
    "Pad": _pad,
    "Reshape": _reshape,
    "Slice": _slice,
    "Softmax": _softmax,
    "Split": _split,
    "Squeeze": _squeeze,
    "TopK": _top_k,
    "Transpose": _transpose,
    "Unsqueeze": _unsqueeze,
}
