"""NumPy functions on Tensors: our op where there is one, else NumPy on the data.

NumPy's results stand outside the tape. Where that would lose a gradient, the call raises.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from densa import _core
from densa._core import Tensor, apply
from densa._operators import _axes, _device_of, _plain, _wrap, matmul
from densa.device import together

# ufunc name to op name, where they differ or not.
_UFUNCS = {
    name: name
    for name in (
        "add subtract multiply divide floor_divide maximum minimum power arctan2 equal not_equal "
        "less less_equal greater greater_equal logical_and logical_or logical_xor logical_not "
        "negative square sqrt reciprocal exp expm1 log log1p sin cos tanh sign floor ceil isnan "
        "isinf isfinite"
    ).split()
}
_UFUNCS |= {"absolute": "abs", "fabs": "abs", "rint": "round", "remainder": "mod"}
_FLOAT_ONLY = {"negative", "square", "abs", "reciprocal", "sign", "floor", "ceil", "round"}

# Their result does not depend on the values, or in steps only: nothing is lost without a tape.
_FLAT = {
    *(np.trunc, np.fix, np.round, np.around, np.heaviside),
    *(np.empty_like, np.zeros_like, np.ones_like, np.full_like),
}

_FUNCTIONS: dict[Any, Callable[..., Any]] = {}


def ufunc(function: Any, method: str, inputs: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Serve `Tensor.__array_ufunc__`."""
    if method == "__call__" and not kwargs:
        if function is np.matmul:
            return matmul(*inputs)
        op = _UFUNCS.get(function.__name__)
        if op is not None and not (op in _FLOAT_ONLY and _is_integer(inputs[0])):
            return apply(op, *inputs)
    out = kwargs.get("out", ())
    kwargs = {k: v for k, v in kwargs.items() if k != "out"}
    if out:
        kwargs["out"] = tuple(_plain(o) for o in out)
        _keep_gradient(function, method, inputs, out)
    result = getattr(function, method)(*(_plain(x) for x in inputs), **kwargs)
    written = [o for o in out if isinstance(o, Tensor)]
    for o in written:
        o._written()
    _keep_gradient(function, method, inputs, result)
    return out[0] if len(written) == 1 and len(out) == 1 else _wrap(result, _device_of(*inputs))


def function(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Serve `Tensor.__array_function__`."""
    ours = _FUNCTIONS.get(func)
    if ours is not None:
        result = ours(*args, **kwargs)
        if result is not NotImplemented:
            return result
    result = func(*(_deep(a) for a in args), **{k: _deep(v) for k, v in kwargs.items()})
    _keep_gradient(func, "__call__", (args, kwargs), result)
    return _wrap(result, _device_of(*_leaves((args, kwargs))))


def _keep_gradient(func: Any, method: str, inputs: Any, result: Any) -> None:
    """Raise TypeError if floating numbers made of `inputs` were to lose their gradient."""
    if func in _FLAT or not _core.is_grad_enabled():
        return
    if any(map(_floating, _leaves(result))) and any(map(_wants_grad, _leaves(inputs))):
        name = func.__name__ if method == "__call__" else f"{func.__name__}.{method}"
        raise TypeError(
            f"numpy.{name} has no gradient, but a Tensor given to it requires one, which would be "
            "lost. Use functions of densa.ops instead; or, if no gradient is wanted, pass "
            "x.detach() or compute under densa.no_grad()."
        )


def _leaves(x: Any) -> Iterator[Any]:
    if isinstance(x, dict):
        x = list(x.values())
    if isinstance(x, (list, tuple)):
        for item in x:
            yield from _leaves(item)
    else:
        yield x


def _floating(x: Any) -> bool:
    return getattr(x, "dtype", None) in ("float16", "bfloat16", "float32", "float64", "longdouble")


def _wants_grad(x: Any) -> bool:
    if isinstance(x, _core.Variable):
        return bool(x.trainable)
    return isinstance(x, Tensor) and x.requires_grad


def _is_integer(x: Any) -> bool:
    return not isinstance(x, float) and "float" not in str(getattr(x, "dtype", "int"))


def _deep(x: Any) -> Any:
    if isinstance(x, (list, tuple)) and type(x) in (list, tuple):
        return type(x)(_deep(v) for v in x)
    return _plain(x)


def _implements(*functions: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    def note(ours: Callable[..., Any]) -> Callable[..., Any]:
        for f in functions:
            _FUNCTIONS[f] = ours
        return ours

    return note


def _reduction(op: str) -> Callable[..., Any]:
    def ours(a: Any, axis: Any = None, *, keepdims: Any = False, **rest: Any) -> Any:
        if rest or not isinstance(a, Tensor):
            return NotImplemented
        return apply(op, a, axis=_axes(axis), keepdims=bool(keepdims))

    return ours


for _op, _numpy_names in {
    "sum": "sum",
    "mean": "mean",
    "max": "max amax",
    "min": "min amin",
    "prod": "prod",
    "var": "var",
    "any": "any",
    "all": "all",
}.items():
    _implements(*(getattr(np, name) for name in _numpy_names.split()))(_reduction(_op))


@_implements(np.std)
def _std(a: Any, axis: Any = None, *, keepdims: Any = False, **rest: Any) -> Any:
    return NotImplemented if rest else a.std(axis=axis, keepdims=keepdims)


@_implements(np.argmax)
def _argmax(a: Any, axis: Any = None, **rest: Any) -> Any:
    return NotImplemented if set(rest) - {"keepdims"} else a.argmax(axis, **rest)


@_implements(np.argmin)
def _argmin(a: Any, axis: Any = None, **rest: Any) -> Any:
    return NotImplemented if set(rest) - {"keepdims"} else a.argmin(axis, **rest)


@_implements(np.reshape)
def _reshape(a: Any, /, shape: Any = None, *, newshape: Any = None, order: str = "C") -> Any:
    return NotImplemented if order != "C" else a.reshape(newshape if shape is None else shape)


@_implements(np.ravel)
def _ravel(a: Any, order: str = "C") -> Any:
    return NotImplemented if order != "C" else a.flatten()


@_implements(np.transpose)
def _transpose(a: Any, axes: Any = None) -> Any:
    return a.transpose(axes)


@_implements(np.swapaxes)
def _swapaxes(a: Any, axis1: int, axis2: int) -> Any:
    return a.swapaxes(axis1, axis2)


@_implements(np.squeeze)
def _squeeze(a: Any, axis: Any = None) -> Any:
    return a.squeeze(axis)


@_implements(np.expand_dims)
def _expand_dims(a: Any, axis: Any) -> Any:
    return a.expand_dims(axis)


@_implements(np.broadcast_to)
def _broadcast_to(array: Any, shape: Any, subok: bool = False) -> Any:
    return apply("broadcast_to", array, shape=[shape] if isinstance(shape, int) else list(shape))


@_implements(np.concatenate)
def _concatenate(arrays: Any, /, axis: Any = 0, **rest: Any) -> Any:
    if rest:
        return NotImplemented
    parts = together(*arrays)
    if axis is None:
        parts, axis = [p.flatten() for p in parts], 0
    return apply("concatenate", *parts, axis=axis)


@_implements(np.stack)
def _stack(arrays: Any, axis: int = 0, **rest: Any) -> Any:
    if rest:
        return NotImplemented
    return apply("concatenate", *(a.expand_dims(axis) for a in together(*arrays)), axis=axis)


@_implements(np.where)
def _where(condition: Any, *pair: Any) -> Any:
    return NotImplemented if len(pair) != 2 else apply("where", condition, *pair)


@_implements(np.clip)
def _clip(a: Any, a_min: Any = None, a_max: Any = None, **rest: Any) -> Any:
    low, high = rest.pop("min", a_min), rest.pop("max", a_max)
    return NotImplemented if rest else _core.to_tensor(a).clip(low, high)


@_implements(np.dot)
def _dot(a: Any, b: Any, out: Any = None) -> Any:
    a, b = together(a, b)
    if out is not None or (a.ndim > 2 and b.ndim > 1) or b.ndim > 2:
        return NotImplemented
    return a * b if a.ndim == 0 or b.ndim == 0 else matmul(a, b)


@_implements(np.shape)
def _shape(a: Any) -> Any:
    return a.shape


@_implements(np.ndim)
def _ndim(a: Any) -> Any:
    return a.ndim


@_implements(np.zeros_like)
def _zeros_like(a: Any, dtype: Any = None, **rest: Any) -> Any:
    return _full_like(a, 0.0, dtype, **rest)


@_implements(np.ones_like)
def _ones_like(a: Any, dtype: Any = None, **rest: Any) -> Any:
    return _full_like(a, 1.0, dtype, **rest)


@_implements(np.full_like)
def _full_like(a: Any, fill_value: Any, dtype: Any = None, **rest: Any) -> Any:
    if rest or a.is_symbolic:
        return NotImplemented
    made = _core.full(list(a.shape), float(fill_value), a.dtype if dtype is None else dtype)
    return made if made.is_symbolic else made.to(a.device)
