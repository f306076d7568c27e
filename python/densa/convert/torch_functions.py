"""Functions of torch and torch.nn.functional and methods of tensors, by name, as densa's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from densa import layers, ops
from densa._symbolic import KerasTensor, get_item
from densa.convert.tracing import ROWS, Refusal, Rows, Traced


def _plain(function: Callable[..., Any]) -> Callable[..., Any]:
    """Take the arguments as they are, and no others."""

    def call(t: Traced, *args: Any, inplace: bool = False) -> Any:
        if any(isinstance(a, Rows) for a in args):
            raise Refusal("computes with the number of rows")
        if not any(isinstance(a, KerasTensor) for a in args):
            raise Refusal("is applied to constants alone")
        return t.call(function, *args)

    return call


def _scaled(function: Callable[..., Any]) -> Callable[..., Any]:
    """torch.add and torch.sub, with their factor."""

    def call(t: Traced, x: Any, other: Any, *, alpha: Any = 1) -> Any:
        other = other if alpha == 1 else t.call(ops.multiply, other, alpha)
        return _plain(function)(t, x, other)

    return call


def _elu(t: Traced, x: Any, alpha: float = 1.0, inplace: bool = False) -> Any:
    return t.call(ops.elu, x, float(alpha))


def _celu(t: Traced, x: Any, alpha: float = 1.0, inplace: bool = False) -> Any:
    return t.call(ops.celu, x, float(alpha))


def _leaky_relu(t: Traced, x: Any, negative_slope: float = 0.01, inplace: bool = False) -> Any:
    return t.call(ops.leaky_relu, x, float(negative_slope))


def _gelu(t: Traced, x: Any, approximate: str = "none") -> Any:
    return t.call(ops.gelu, x, approximate == "tanh")


def _glu(t: Traced, x: Any, dim: int = -1) -> Any:
    return t.call(ops.glu, x, dim)


def _softplus(t: Traced, x: Any, beta: float = 1, threshold: float = 20) -> Any:
    if beta == 1:
        return t.call(ops.softplus, x)
    return t.call(ops.divide, t.call(ops.softplus, t.call(ops.multiply, x, beta)), beta)


def _threshold(t: Traced, x: Any, threshold: float, value: float, inplace: bool = False) -> Any:
    return t.call(ops.threshold, x, float(threshold), float(value))


def _softshrink(t: Traced, x: Any, lambd: float = 0.5) -> Any:
    return t.call(ops.soft_shrink, x, float(lambd))


def _hardshrink(t: Traced, x: Any, lambd: float = 0.5) -> Any:
    return t.call(ops.hard_shrink, x, float(lambd))


def _clamp(t: Traced, x: Any, min: Any = None, max: Any = None, inplace: bool = False) -> Any:
    return t.call(ops.clip, x, min, max)


def _hardtanh(t: Traced, x: Any, min_val: Any = -1.0, max_val: Any = 1.0, inplace: Any = 0) -> Any:
    return t.call(ops.clip, x, float(min_val), float(max_val))


def _softmax(function: Callable[..., Any]) -> Callable[..., Any]:
    def call(t: Traced, x: Any, dim: Any = None, dtype: Any = None, **_: Any) -> Any:
        if dim is None or dtype is not None:
            raise Refusal("needs a dim, and no dtype")
        return t.call(function, x, dim)

    return call


def _rrelu(
    t: Traced,
    x: Any,
    lower: float = 1 / 8,
    upper: float = 1 / 3,
    training: Any = None,
    inplace: bool = False,
) -> Any:
    return layers.RReLU(float(lower), float(upper), name=t.unique("rrelu"), dtype=t.dtype)(x)


def _dropout(t: Traced, x: Any, p: float = 0.5, training: Any = None, inplace: bool = False) -> Any:
    return layers.Dropout(float(p), name=t.unique("dropout"), dtype=t.dtype)(x)


def _reduce(function: Callable[..., Any]) -> Callable[..., Any]:
    def call(t: Traced, x: Any, dim: Any = None, keepdim: bool = False) -> Any:
        axis = tuple(dim) if isinstance(dim, (list, tuple)) else dim
        return t.call(function, x, axis=axis, keepdims=keepdim)

    return call


def _numbers(x: Any) -> list[Any]:
    """Return sizes or axes that are given as several arguments or as one tuple."""
    return list(x[0]) if len(x) == 1 and isinstance(x[0], (list, tuple)) else list(x)


# ---- shapes --------------------------------------------------------------------------------------


def _size(t: Traced, x: Any, dim: Any = None) -> Any:
    shape = tuple(ROWS if n is None else n for n in x.shape)
    return shape if dim is None else shape[dim]


def _getattr(t: Traced, x: Any, name: str) -> Any:
    if name == "shape":
        return _size(t, x)
    if name == "ndim":
        return x.ndim
    if name == "T" and x.ndim == 2:
        return t.call(ops.transpose, x)
    raise Refusal(f"asks for {name!r}, which has no counterpart in densa")


def _reshape(t: Traced, x: Any, *shape: Any) -> Any:
    sizes = [-1 if s is None or isinstance(s, Rows) else int(s) for s in _numbers(shape)]
    return t.reshape(x, sizes, t.unique("reshape"))


def _flatten(t: Traced, x: Any, start_dim: int = 0, end_dim: int = -1) -> Any:
    start, end = start_dim % x.ndim, end_dim % x.ndim
    shape = x.shape[start : end + 1]
    size = -1
    if None not in shape:
        size = 1
        for n in shape:
            size *= n
    return _reshape(t, x, (*x.shape[:start], size, *x.shape[end + 1 :]))


def _squeeze(t: Traced, x: Any, dim: Any = None) -> Any:
    axis = dim if dim is None or isinstance(dim, (list, tuple)) else (dim,)
    if axis is not None:
        axis = tuple(a for a in axis if x.shape[a] == 1)  # torch leaves other axes alone
    return t.call(ops.squeeze, x, axis=axis)


def _permute(t: Traced, x: Any, *dims: Any) -> Any:
    return t.call(ops.transpose, x, tuple(_numbers(dims)))


def _transpose(t: Traced, x: Any, dim0: int, dim1: int) -> Any:
    return t.call(ops.swapaxes, x, dim0, dim1)


def _turned(t: Traced, x: Any) -> Any:
    if x.ndim != 2:
        raise Refusal(f"is taken of a tensor of rank {x.ndim}")
    return t.call(ops.transpose, x)


def _unsqueeze(t: Traced, x: Any, dim: int) -> Any:
    return t.call(ops.expand_dims, x, axis=dim)


def _cat(t: Traced, tensors: Any, dim: int = 0) -> Any:
    parts = list(tensors)
    if dim % parts[0].ndim == 0:
        return t.call(ops.concatenate, parts, axis=0)
    return layers.Concatenate(dim, name=t.unique("cat"), dtype=t.dtype)(parts)


def _stack(t: Traced, tensors: Any, dim: int = 0) -> Any:
    return t.call(ops.stack, list(tensors), axis=dim)


def _pieces(t: Traced, x: Any, sizes: list[int], dim: int) -> list[Any]:
    front = [slice(None)] * (dim % x.ndim)
    out, at = [], 0
    for size in sizes:
        out.append(t.call(get_item, x, (*front, slice(at, at + size))))
        at += size
    return out


def _known(x: Any, dim: int) -> int:
    if x.shape[dim] is None:
        raise Refusal("cuts the rows of the batch")
    return int(x.shape[dim])


def _split(t: Traced, x: Any, size: Any, dim: int = 0) -> Any:
    whole = _known(x, dim)
    if not isinstance(size, (list, tuple)):
        size = [min(size, whole - at) for at in range(0, whole, size)]
    return _pieces(t, x, list(size), dim)


def _chunk(t: Traced, x: Any, chunks: int, dim: int = 0) -> Any:
    return _split(t, x, -(-_known(x, dim) // chunks), dim)


def _get(t: Traced, x: Any, key: Any) -> Any:
    if not isinstance(x, KerasTensor):
        return x[key]
    return t.call(get_item, x, key)


def _same(t: Traced, x: Any, *args: Any, **kwargs: Any) -> Any:
    return x


def _float(t: Traced, x: Any) -> Any:
    return x if x.dtype == "float32" else t.call(ops.cast, x, "float32")


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "abs": _plain(ops.abs),
    "add": _scaled(ops.add),
    "cat": _cat,
    "celu": _celu,
    "chunk": _chunk,
    "clamp": _clamp,
    "clip": _clamp,
    "clone": _same,
    "concat": _cat,
    "concatenate": _cat,
    "contiguous": _same,
    "cos": _plain(ops.cos),
    "div": _plain(ops.divide),
    "divide": _plain(ops.divide),
    "dropout": _dropout,
    "elu": _elu,
    "erf": _plain(ops.erf),
    "exp": _plain(ops.exp),
    "expm1": _plain(ops.expm1),
    "flatten": _flatten,
    "float": _float,
    "gelu": _gelu,
    "getattr": _getattr,
    "getitem": _get,
    "glu": _glu,
    "hardshrink": _hardshrink,
    "hardsigmoid": _plain(ops.hard_sigmoid),
    "hardswish": _plain(ops.hard_silu),
    "hardtanh": _hardtanh,
    "leaky_relu": _leaky_relu,
    "log": _plain(ops.log),
    "log1p": _plain(ops.log1p),
    "log_softmax": _softmax(ops.log_softmax),
    "logsigmoid": _plain(ops.log_sigmoid),
    "matmul": _plain(ops.matmul),
    "maximum": _plain(ops.maximum),
    "mean": _reduce(ops.mean),
    "minimum": _plain(ops.minimum),
    "mish": _plain(ops.mish),
    "mm": _plain(ops.matmul),
    "mul": _plain(ops.multiply),
    "multiply": _plain(ops.multiply),
    "neg": _plain(ops.negative),
    "permute": _permute,
    "pow": _plain(ops.power),
    "reciprocal": _plain(ops.reciprocal),
    "relu": _plain(ops.relu),
    "relu6": _plain(ops.relu6),
    "reshape": _reshape,
    "rrelu": _rrelu,
    "rsqrt": _plain(ops.rsqrt),
    "selu": _plain(ops.selu),
    "sigmoid": _plain(ops.sigmoid),
    "silu": _plain(ops.silu),
    "sin": _plain(ops.sin),
    "size": _size,
    "softmax": _softmax(ops.softmax),
    "softplus": _softplus,
    "softshrink": _softshrink,
    "softsign": _plain(ops.softsign),
    "split": _split,
    "sqrt": _plain(ops.sqrt),
    "square": _plain(ops.square),
    "squeeze": _squeeze,
    "stack": _stack,
    "sub": _scaled(ops.subtract),
    "subtract": _scaled(ops.subtract),
    "sum": _reduce(ops.sum),
    "t": _turned,
    "tanh": _plain(ops.tanh),
    "tanhshrink": _plain(ops.tanh_shrink),
    "threshold": _threshold,
    "transpose": _transpose,
    "truediv": _plain(ops.divide),
    "unsqueeze": _unsqueeze,
    "view": _reshape,
}
