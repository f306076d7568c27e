"""The operators and methods of `Tensor`, and the protocols it speaks: NumPy, DLPack, pickle."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from densa import _core, _indexing
from densa._core import Tensor, apply
from densa.device import together

# The device type of a GPU in DLPack.
DLPACK_CUDA = 2
_DLPACK_CPU = (1, 0)


# ---- operators -----------------------------------------------------------------------------------


def _defers(other: Any) -> bool:
    """NumPy's convention: such a type has operators of its own."""
    return getattr(type(other), "__array_ufunc__", 0) is None


def _is_operand(other: Any) -> bool:
    return isinstance(other, (Tensor, _core.Variable, bool, int, float, list, tuple)) or hasattr(
        other, "__array__"
    )


def _bits(name: str, logical: str, bitwise: Any, *, reflected: bool) -> Callable[[Any, Any], Any]:
    """Logical on booleans; on integers NumPy's bit operation."""

    def method(self: Tensor, other: Any) -> Any:
        if type(other) is not Tensor and _defers(other):
            return NotImplemented
        if not _is_operand(other):
            return NotImplemented
        a, b = (other, self) if reflected else (self, other)
        if _core.result_type(a, b) == "bool":
            return apply(logical, a, b)
        return _wrap(bitwise(_plain(a), _plain(b)), _device_of(a, b))

    method.__name__ = name
    return method


_BITS = {
    "and": ("logical_and", np.bitwise_and),
    "or": ("logical_or", np.bitwise_or),
    "xor": ("logical_xor", np.bitwise_xor),
}


def _matmul_method(self: Tensor, other: Any) -> Any:
    return NotImplemented if _defers(other) or not _is_operand(other) else matmul(self, other)


def _rmatmul_method(self: Tensor, other: Any) -> Any:
    return NotImplemented if _defers(other) or not _is_operand(other) else matmul(other, self)


def _invert(self: Tensor) -> Any:
    return apply("logical_not", self) if self.dtype == "bool" else _wrap(~_plain(self), self.device)


def _plain(x: Any) -> Any:
    return x.numpy() if isinstance(x, (Tensor, _core.Variable)) else x


def _device_of(*operands: Any) -> str:
    """Where an op on them runs: on the GPU of any, else on the CPU."""
    known = (x.device for x in operands if isinstance(x, (Tensor, _core.Variable)))
    return next((str(device) for device in known if device != "cpu"), "cpu")


def _wrap(x: Any, device: str) -> Any:
    """Arrays of numbers become Tensors on a device; everything else stays what it is."""
    if isinstance(x, (np.ndarray, np.generic)) and x.dtype.kind in "biuf" and x.dtype.itemsize <= 8:
        return _core.from_numpy(np.asarray(x)).to(device)
    if isinstance(x, tuple) and type(x) is tuple:
        return tuple(_wrap(item, device) for item in x)
    if isinstance(x, list):
        return [_wrap(item, device) for item in x]
    return x


def matmul(a: Any, b: Any) -> Any:
    """Matrix product by NumPy's rules: a vector counts as a row on the left, a column on the right.

    Args:
        a: shape (..., m, k) or (k,).
        b: shape (..., k, n) or (k,).

    Returns:
        A Tensor of shape (..., m, n); axes made from vectors are dropped. Whole numbers stay such:
        the type of both together, int32 for two of int8.
    """
    a, b = together(a, b)
    if a.ndim == 0 or b.ndim == 0:
        raise ValueError(
            f"matmul needs at least one dimension on both sides; got shapes {a.shape} and {b.shape}"
        )
    row, column = a.ndim == 1, b.ndim == 1
    if row:
        a = apply("reshape", a, shape=(1, *a.shape))
    if column:
        b = apply("reshape", b, shape=(*b.shape, 1))
    dtype = str(_core.result_type(a, b))
    whole = not dtype.startswith(("float", "bfloat"))
    out = _matmul_of_integers(a, b, dtype) if whole else apply("matmul", a, b)
    if row or column:
        shape = list(out.shape)
        if column:
            del shape[-1]
        if row:
            del shape[-1 if column else -2]
        out = apply("reshape", out, shape=shape)
    return out


def _matmul_of_integers(a: Any, b: Any, dtype: str) -> Any:
    """NumPy's; in a recorded step products of all pairs and their sums, so that it stays exact."""
    if a.shape[-1] != b.shape[-2]:
        raise ValueError(
            f"matmul: the last axis of a and the second to last of b must have one size; got "
            f"shapes {tuple(a.shape)} and {tuple(b.shape)}."
        )
    dtype = "int32" if dtype == "int8" else dtype
    if not _core.recording():
        product = np.matmul(_plain(a).astype(dtype), _plain(b).astype(dtype))
        return _wrap(product, _device_of(a, b))
    sums = "int32" if dtype == "bool" else dtype
    left = apply("reshape", apply("cast", a, dtype=sums), shape=_open([*a.shape, 1]))
    sizes = [*b.shape[:-2], 1, *b.shape[-2:]]
    right = apply("reshape", apply("cast", b, dtype=sums), shape=_open(sizes))
    product = apply("sum", apply("multiply", left, right), axis=[-2])
    return apply("cast", product, dtype=dtype)


def _open(sizes: Any) -> list[int]:
    return [-1 if d is None else int(d) for d in sizes]


# ---- methods -------------------------------------------------------------------------------------


def _axes(axis: Any) -> list[int]:
    if axis is None:
        return []
    return [int(a) for a in axis] if isinstance(axis, (tuple, list)) else [int(axis)]


def _reduction(op: str) -> Callable[..., Any]:
    def method(self: Tensor, axis: Any = None, keepdims: bool = False) -> Any:
        if isinstance(axis, (tuple, list)) and not axis:
            return self
        return apply(op, self, axis=_axes(axis), keepdims=bool(keepdims))

    method.__name__ = op
    method.__doc__ = f"Reduce with {op} over the axes (all if None)."
    return method


def _arg(op: str) -> Callable[..., Any]:
    def method(self: Tensor, axis: int | None = None, keepdims: bool = False) -> Any:
        if axis is None:
            return apply(op, self, flat=True, keepdims=bool(keepdims))
        return apply(op, self, axis=int(axis), keepdims=bool(keepdims))

    method.__name__ = op
    method.__doc__ = f"Index of the {'largest' if op == 'argmax' else 'smallest'} element."
    return method


def _std(self: Tensor, axis: Any = None, keepdims: bool = False) -> Any:
    """Standard deviation (biased) over the axes."""
    return apply("sqrt", apply("var", self, axis=_axes(axis), keepdims=bool(keepdims)))


def target_shape(sizes: Any) -> list[Any]:
    """Return a shape to reshape to as a list; ValueError if more than one size is to be found out.

    None stands for the rows of a batch, known or not, and may stand beside -1.
    """
    shape = list(sizes)
    if sum(d is not None and d == -1 for d in shape) > 1:
        raise ValueError(
            f"reshape: only one size may be -1, which is found out from the others; received "
            f"shape {tuple(shape)}. Give the other sizes as numbers; None in front keeps the rows "
            "of a batch."
        )
    return shape


def _reshape(self: Tensor, *shape: Any) -> Any:
    """The same elements in another shape; one size may be -1."""
    sizes = shape[0] if len(shape) == 1 and isinstance(shape[0], (tuple, list)) else shape
    return apply("reshape", self, shape=target_shape(sizes))


def _transpose(self: Tensor, *axes: Any) -> Any:
    """Permute the axes; reverse them without arguments."""
    if len(axes) == 1 and (axes[0] is None or isinstance(axes[0], (tuple, list))):
        axes = tuple(axes[0] or ())
    return apply("transpose", self, perm=[int(a) % max(self.ndim, 1) for a in axes])


def _swapaxes(self: Tensor, axis1: int, axis2: int) -> Any:
    """Exchange two axes."""
    order = list(range(self.ndim))
    order[axis1], order[axis2] = order[axis2], order[axis1]
    return apply("transpose", self, perm=order)


def _flatten(self: Tensor) -> Any:
    """All elements in one dimension."""
    return apply("reshape", self, shape=[-1])


def _squeeze(self: Tensor, axis: Any = None) -> Any:
    """Drop axes of size one: those given, or all."""
    if axis is None:
        dropped = {i for i, d in enumerate(self.shape) if d == 1}
    else:
        dropped = set()
        for a in _axes(axis):
            if not -self.ndim <= a < self.ndim:
                raise ValueError(f"squeeze: axis {a} is out of range for shape {self.shape}")
            if self.shape[a] != 1:
                raise ValueError(f"squeeze: axis {a} of shape {self.shape} has not size 1")
            dropped.add(a % self.ndim)
    return apply("reshape", self, shape=[d for i, d in enumerate(self.shape) if i not in dropped])


def _expand_dims(self: Tensor, axis: Any) -> Any:
    """Insert axes of size one."""
    axes = _axes(axis)
    rank = self.ndim + len(axes)
    if any(not -rank <= a < rank for a in axes):
        raise ValueError(f"expand_dims: axis {axis} is out of range for a result of rank {rank}")
    places = {a % rank for a in axes}
    sizes = iter(self.shape)
    return apply("reshape", self, shape=[1 if i in places else next(sizes) for i in range(rank)])


def _astype(self: Tensor, dtype: Any, copy: bool = True) -> Any:
    """The values in another dtype."""
    return _core.to_tensor(self, dtype)


def _clip(self: Tensor, min: Any = None, max: Any = None) -> Any:
    """Limit the values to [min, max]."""
    out = self if min is None else apply("maximum", self, min)
    return out if max is None else apply("minimum", out, max)


def _copy(self: Tensor) -> Any:
    """The values in memory of their own, off the tape."""
    return _rebuild(self.numpy(), False, self.device, self.dtype)


def _dlpack(
    self: Tensor,
    *,
    stream: Any = None,
    max_version: tuple[int, int] | None = None,
    dl_device: tuple[int, int] | None = None,
    copy: bool | None = None,
) -> Any:
    """A DLPack capsule of the tensor; any `stream` may read it at once."""
    here = self.__dlpack_device__()
    there = here if dl_device is None else (int(dl_device[0]), int(dl_device[1]))
    if there not in (here, _DLPACK_CPU):
        raise BufferError(
            f"__dlpack__: a tensor on {self.device} is exported there or to the CPU, (1, 0); "
            f"got dl_device={there}"
        )
    versioned = max_version is not None and max_version[0] >= 1
    return _core.to_dlpack(self, versioned, there == _DLPACK_CPU, copy)


def _dlpack_device(self: Tensor) -> tuple[int, int]:
    return _DLPACK_CPU if self.device == "cpu" else (DLPACK_CUDA, int(self.device.split(":")[1]))


def _array(self: Tensor, dtype: Any = None, copy: bool | None = None) -> Any:
    out = self.numpy()
    if dtype is not None and np.dtype(dtype) != out.dtype:
        if copy is False:
            raise ValueError(f"a Tensor of {self.dtype} cannot become {dtype} without a copy")
        return out.astype(dtype)
    return out.copy() if copy else out


def _len(self: Tensor) -> int:
    if self.ndim == 0:
        raise TypeError("a Tensor without dimensions has no length")
    size = self.shape[0]
    if size is None:
        raise _core.NeedsRows(
            "len(): the number of rows is not known while a model is recorded; use "
            "ops.shape(x)[0], or compile(run_eagerly=True)"
        )
    return int(size)


def _iter(self: Tensor) -> Iterator[Any]:
    if self.ndim == 0:
        raise TypeError("a Tensor without dimensions cannot be iterated over")
    return (self[i] for i in range(len(self)))


def _bool(self: Tensor) -> bool:
    if self.size != 1 and not self.is_symbolic:
        raise ValueError(
            f"the truth value of a Tensor of shape {self.shape} is ambiguous; use any() or all()"
        )
    return bool(self.item())


def _index(self: Tensor) -> int:
    if self.ndim or not self.dtype.startswith(("int", "uint")):
        raise TypeError("only integer Tensors without dimensions can be an index")
    return int(self.item())


def _contains(self: Tensor, x: Any) -> bool:
    return bool((self == x).any())


def _format(self: Tensor, spec: str) -> str:
    return format(self.item(), spec) if self.ndim == 0 and not self.is_symbolic else repr(self)


def _repr(self: Tensor) -> str:
    if self.is_symbolic:
        shape = ", ".join("rows" if d is None else str(d) for d in self.shape)
        return f"<Tensor {self.dtype} ({shape}), recorded>"
    text = np.array2string(self.numpy(), separator=", ", prefix="Tensor(")
    grad = ", requires_grad=True" if self.requires_grad else ""
    return f"Tensor({text}, dtype={self.dtype}{grad})"


def _setitem(self: Tensor, key: Any, value: Any) -> None:
    if self.is_symbolic:
        raise _core.SymbolicError("a recorded Tensor cannot be written to; use ops.where")
    if self.requires_grad:
        raise ValueError(
            "a Tensor that requires a gradient cannot be written to; use ops.where, or detach()"
        )
    if self.dtype == "bfloat16":
        raise ValueError("a Tensor of bfloat16 cannot be written to; use ops.where, or float32")
    keys = tuple(_plain(k) for k in key) if isinstance(key, tuple) else _plain(key)
    if self.device == "cpu":
        self.numpy()[keys] = _plain(value)
        self._written()
    else:
        array = self.numpy().copy()
        array[keys] = _plain(value)
        self._overwrite(_core.from_numpy(array))


def _rebuild(
    array: Any, requires_grad: bool, device: str | None = None, dtype: str | None = None
) -> Tensor:
    # A pickle may come from a machine with a GPU to one without. NumPy has no bfloat16.
    out: Tensor = _core.from_numpy(array, copy=True)
    if dtype is not None and dtype != out.dtype:
        out = apply("cast", out, dtype=dtype)
    out = out.to(device or _core.default_device())
    out.requires_grad = requires_grad
    return out


def _reduce(self: Tensor) -> Any:
    return _rebuild, (np.array(self.numpy()), self.requires_grad, None, self.dtype)


def _deepcopy(self: Tensor, memo: dict[int, Any]) -> Tensor:
    return _rebuild(self.numpy(), self.requires_grad, self.device, self.dtype)


def _array_ufunc(self: Tensor, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
    from densa import _numpy

    return _numpy.ufunc(ufunc, method, inputs, kwargs)


def _array_function(self: Tensor, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
    from densa import _numpy

    return _numpy.function(func, args, kwargs)


# Methods of NumPy's arrays that are NumPy's functions on a Tensor, with their rules for gradients.
_BY_NUMPY = (
    *("argsort", "cumprod", "cumsum", "diagonal", "nonzero"),
    *("repeat", "round", "searchsorted", "take", "trace"),
)


def _by_numpy(name: str) -> Callable[..., Any]:
    function = getattr(np, name)

    def method(self: Tensor, *args: Any, **kwargs: Any) -> Any:
        return function(self, *args, **kwargs)

    method.__name__ = name
    method.__doc__ = "As the method of this name of NumPy's arrays."
    return method


def _attach() -> None:
    for short, (logical, bitwise) in _BITS.items():
        for mark, reflected in (("", False), ("r", True)):
            name = f"__{mark}{short}__"
            setattr(Tensor, name, _bits(name, logical, bitwise, reflected=reflected))
    for op in ("sum", "mean", "max", "min", "prod", "var", "any", "all"):
        setattr(Tensor, op, _reduction(op))
    for op in ("argmax", "argmin"):
        setattr(Tensor, op, _arg(op))
    for name in _BY_NUMPY:
        setattr(Tensor, name, _by_numpy(name))
    methods: dict[str, Any] = {
        "__matmul__": _matmul_method,
        "__rmatmul__": _rmatmul_method,
        "__divmod__": lambda self, other: (self // other, self % other),
        "__round__": lambda self, digits=None: _wrap(
            np.round(self.numpy(), digits or 0), self.device
        ),
        "__invert__": _invert,
        "__getitem__": _indexing.get,
        "__setitem__": _setitem,
        "__len__": _len,
        "__iter__": _iter,
        "__bool__": _bool,
        "__float__": lambda self: float(self.item()),
        "__int__": lambda self: int(self.item()),
        "__index__": _index,
        "__contains__": _contains,
        "__format__": _format,
        "__repr__": _repr,
        "__array__": _array,
        "__array_ufunc__": _array_ufunc,
        "__array_function__": _array_function,
        "__array_priority__": 200,
        "__dlpack__": _dlpack,
        "__dlpack_device__": _dlpack_device,
        "__cuda_array_interface__": property(_core.cuda_array_interface),
        "__reduce__": _reduce,
        "__copy__": _copy,
        "__deepcopy__": _deepcopy,
        "reshape": _reshape,
        "transpose": _transpose,
        "swapaxes": _swapaxes,
        "flatten": _flatten,
        "ravel": _flatten,
        "squeeze": _squeeze,
        "expand_dims": _expand_dims,
        "astype": _astype,
        "clip": _clip,
        "copy": _copy,
        "std": _std,
        "dot": lambda self, other: matmul(self, other) if self.ndim else self * other,
        "tolist": lambda self: self.numpy().tolist(),
        "T": property(lambda self: apply("transpose", self)),
        "mT": property(lambda self: _swapaxes(self, -2, -1)),
    }
    for name, value in methods.items():
        setattr(Tensor, name, value)


_attach()
