"""`Tensor`, the functions that make one, and gradients of functions of them."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from densa import _core, _operators, device
from densa._core import Tensor, apply, enable_grad, no_grad
from densa._names import hinted

__all__ = [
    "Tensor",
    "asarray",
    "convert_to_tensor",
    "enable_grad",
    "from_dlpack",
    "no_grad",
    "value_and_grad",
]


# ---- making tensors ------------------------------------------------------------------------------


def asarray(x: Any, dtype: Any = None, *, copy: bool | None = None) -> Tensor:
    """Return x as a Tensor.

    Arrays keep their dtype and share their memory; Python floats and lists of them become floatx.
    An object with `__cuda_array_interface__` becomes a Tensor over its GPU's memory, read-only if
    it says so.

    Args:
        x: a Tensor, Variable, array, number or nested list.
        dtype: type name to convert to; None keeps x's.
        copy: True always copies; False raises where a copy is needed; None copies where needed.

    Returns:
        A Tensor.

    Raises:
        TypeError: for values that are no numbers.
        ValueError: if `copy=False` but a copy is needed.

    Example:
        >>> densa.asarray([1.0, 2.0]).dtype
        'float32'
    """
    out = _core.to_tensor(x, dtype)
    same = isinstance(x, Tensor) and out._id == x._id
    shared = (isinstance(x, np.ndarray) and np.shares_memory(out.numpy(), x)) or _same_gpu_memory(
        out, x
    )
    if copy is False and not same and not shared:
        raise ValueError("asarray: these values cannot be used without a copy; pass copy=None")
    if copy and not out.is_symbolic and (same or shared):
        copied: Tensor = out.copy()
        return copied
    return out


def _same_gpu_memory(out: Tensor, x: Any) -> bool:
    name = "__cuda_array_interface__"
    if isinstance(x, Tensor) or out.is_symbolic or not (hasattr(x, name) and hasattr(out, name)):
        return False
    return bool(getattr(out, name)["data"][0] == getattr(x, name)["data"][0])


def convert_to_tensor(x: Any, dtype: Any = None, sparse: bool | None = None) -> Tensor:
    """Return x as a Tensor, like `asarray`.

    Args:
        x: a Tensor, Variable, array, number or nested list.
        dtype: type name to convert to; None keeps x's.
        sparse: accepted for Keras; True raises.

    Returns:
        A Tensor.

    Raises:
        ValueError: if sparse is True.

    Example:
        >>> densa.ops.convert_to_tensor([[1, 2]]).shape
        (1, 2)
    """
    if sparse:
        raise ValueError("densa has no sparse tensors; pass sparse=None.")
    return _core.to_tensor(x, dtype)


def from_dlpack(x: Any) -> Tensor:
    """Return a Tensor over the memory of another library's array, on the CPU or on a GPU.

    Args:
        x: an object with `__dlpack__` and `__dlpack_device__`, of any dtype that Tensors have.

    Returns:
        A Tensor of x's shape and dtype that shares its memory; read-only where x says that it is
        (on the CPU a NumPy before 2.1 cannot tell, and takes other libraries' arrays to be so).

    Raises:
        RuntimeError: x lies on a GPU, and densa cannot use one here.
        TypeError: x has no `__dlpack__`, or densa has no tensors of its dtype.
        BufferError: x cannot be exported, or by a later version of DLPack only.

    Example:
        >>> a = np.zeros(3)
        >>> x = densa.from_dlpack(a)
        >>> a[1] = 5
        >>> x.tolist()
        [0.0, 5.0, 0.0]
    """
    if not hasattr(x, "__dlpack__") or not hasattr(x, "__dlpack_device__"):
        raise TypeError(f"from_dlpack: {type(x).__name__} has no __dlpack__")
    kind, number = x.__dlpack_device__()
    if kind != _operators.DLPACK_CUDA:
        if isinstance(x, Tensor):
            return _core.from_numpy(x.numpy())
        return _core.from_numpy(x if isinstance(x, np.ndarray) else np.from_dlpack(x))
    device.load_backend()
    stream = _core.device_stream(f"cuda:{number}")
    try:
        capsule = x.__dlpack__(stream=stream, max_version=(1, 0))
    except TypeError:  # older than version 1.0, which alone says what is read-only
        capsule = x.__dlpack__(stream=stream)
    return _core.from_dlpack(capsule)


# ---- gradients of functions ----------------------------------------------------------------------


@hinted
def value_and_grad(
    fn: Callable[..., Any], argnums: int | tuple[int, ...] = 0, *, has_aux: bool = False
) -> Callable[..., Any]:
    """Return a function that computes fn's value and its gradient.

    Args:
        fn: gives a Tensor of one element; with `has_aux`, a tuple of that and anything else.
        argnums: position, or positions, of the arguments to differentiate with respect to. They
            may be arrays, Tensors, Variables, numbers, or nested lists, tuples and dicts of them.
        has_aux: whether fn returns something beside its value.

    Returns:
        A function that returns `(value, gradient)`, the gradient being structured like the
        argument (a tuple of them for several positions).

    Raises:
        TypeError: if argnums holds what is no whole number.
        ValueError: if fn's value has more than one element, there is no argument at such a
            position, or while a model is recorded.

    Example:
        >>> value, grad = densa.value_and_grad(lambda x: (x * x).sum())(np.array([1.0, 2.0]))
        >>> grad.tolist()
        [2.0, 4.0]
    """
    positions = (argnums,) if isinstance(argnums, int) else tuple(argnums)
    if not all(isinstance(p, int) for p in positions):
        raise TypeError(
            "value_and_grad: `argnums` are positions of arguments, whole numbers; for gradients of "
            "Variables make them an argument of the function, or call `backward()` of its value."
        )

    @functools.wraps(fn)
    def run(*args: Any, **kwargs: Any) -> Any:
        if _core.recording():
            raise ValueError(
                "value_and_grad cannot run while a model is recorded; use compile(run_eagerly=True)"
            )
        wanted: list[Tensor] = []
        nested = False

        def fresh(x: Any) -> Tensor:
            nonlocal nested
            given = _core.to_tensor(x)
            if "float" not in given.dtype:
                raise TypeError(
                    f"value_and_grad: an argument has dtype {given.dtype}; gradients need floats"
                )
            if isinstance(x, Tensor) and given.requires_grad:
                nested = True  # an outer gradient will want to look through this one
                with enable_grad():
                    out: Tensor = apply("reshape", given, shape=list(given.shape))
            else:
                out = given.detach()
                out.requires_grad = True
            wanted.append(out)
            return out

        new = list(args)
        for position in positions:
            if not -len(args) <= position < len(args):
                raise ValueError(
                    f"value_and_grad: there is no argument at position {position} of `argnums`; "
                    f"the function was called with {len(args)} by position."
                )
            new[position] = _map(fresh, args[position])
        with enable_grad():
            result = fn(*new, **kwargs)
        value = result[0] if has_aux else result
        if isinstance(value, (int, float, np.generic, np.ndarray)):
            value = _core.to_tensor(value)  # it does not depend on the arguments
        if not isinstance(value, Tensor) or value.size != 1:
            raise ValueError(
                f"value_and_grad: the function must return a Tensor of one element, got "
                f"{value.shape if isinstance(value, Tensor) else type(value).__name__}"
            )
        found: list[Any] = [None] * len(wanted)
        if value.requires_grad:
            found = _core.gradients([value], wanted, create_graph=nested)
        grads = iter(
            _core.full(list(t.shape), 0.0, t.dtype).to(t.device) if g is None else g
            for t, g in zip(wanted, found, strict=True)
        )
        out = tuple(_map(lambda _: next(grads), args[p]) for p in positions)
        return (
            (value, *result[1:]) if has_aux else value,
            out[0] if isinstance(argnums, int) else out,
        )

    return run


def _map(f: Callable[[Any], Any], x: Any) -> Any:
    """Apply f to the leaves of nested lists, tuples and dicts; lists of numbers are one leaf."""
    if isinstance(x, dict):
        return {k: _map(f, v) for k, v in x.items()}
    if isinstance(x, (list, tuple)) and not all(isinstance(v, (int, float)) for v in x):
        items = [_map(f, v) for v in x]
        return type(x)(*items) if hasattr(x, "_fields") else type(x)(items)
    return f(x)
