"""Symbolic tensors, the graph they leave behind, and ops that record themselves in it.

Calling a layer or an op on a `KerasTensor` computes nothing: it makes a `Node` that remembers the
operation, its arguments and the symbolic results. A functional model replays these nodes.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterable
from typing import Any, ClassVar, ParamSpec, TypeVar, cast

import numpy as np

import densa._operators  # noqa: F401 - gives Tensor its operators
from densa import _core, config
from densa._masks import set_mask
from densa._names import misspelt
from densa._raw_errors import RAW, explain
from densa._scope import auto_name, name_scope, symbolic_scope
from densa.utils import tree

Shape = tuple[int | None, ...]
P = ParamSpec("P")
R = TypeVar("R")

# Sizes that stand for an unknown dimension while shapes are learnt; highly divisible, so that
# reshapes work, and a dimension that differs between the two runs is unknown.
_TRIAL_SIZES = (12, 24)


def standardize_shape(shape: Any) -> Shape:
    """Return a shape as a tuple of ints and None; ValueError for anything else."""
    if isinstance(shape, (str, bytes)) or not np.iterable(shape):
        raise ValueError(f"A shape must be a tuple of integers or None; got {shape!r}.")
    out: list[int | None] = []
    for dim in shape:
        if dim is None:
            out.append(None)
            continue
        if isinstance(dim, bool) or not isinstance(dim, (int, np.integer)) or dim < 0:
            raise ValueError(
                f"A shape must hold integers >= 0 or None; got {dim!r} in {tuple(shape)!r}."
            )
        out.append(int(dim))
    return tuple(out)


class KerasTensor:
    """A symbolic tensor: shape, dtype and where it comes from, but no values.

    Args:
        shape: sizes; None where the size is not known.
        dtype: type name.
        name: name; made up if None.

    Example:
        >>> x = densa.Input((4,))
        >>> (x + 1).shape
        (None, 4)
    """

    # NumPy operators hand over to the reflected ones below.
    __array_ufunc__ = None

    def __init__(
        self,
        shape: Iterable[int | None],
        dtype: Any = "float32",
        sparse: bool = False,
        record_history: bool = True,
        name: str | None = None,
    ) -> None:
        if sparse:
            raise ValueError("densa has no sparse tensors; pass sparse=False.")
        self._shape = standardize_shape(shape)
        self._dtype = config.dtype_name(dtype)
        self.name = name or auto_name("keras_tensor")
        self.record_history = record_history
        self._keras_history: tuple[Operation, int, int] | None = None
        self._keras_mask: Any = None  # symbolic, as layers make it

    @property
    def shape(self) -> Shape:
        return self._shape

    @property
    def dtype(self) -> str:
        return self._dtype

    @property
    def ndim(self) -> int:
        return len(self._shape)

    def reshape(self, *newshape: Any) -> Any:
        """Record a reshape."""
        shape = newshape[0] if len(newshape) == 1 and tree.is_nested(newshape[0]) else newshape
        return _public_op("reshape")(self, tuple(shape))

    def squeeze(self, axis: Any = None) -> Any:
        """Record the removal of axes of size one."""
        return _public_op("squeeze")(self, axis=axis)

    def __array__(self, *args: Any, **kwargs: Any) -> Any:
        raise ValueError(
            f"The symbolic tensor {self.name!r} has no values, so NumPy cannot compute with it. "
            "Use functions of densa.ops or a layer, or pass data through a model."
        )

    def __len__(self) -> int:
        raise TypeError("A symbolic tensor has no length; use .shape.")

    def __iter__(self) -> Any:
        raise TypeError("A symbolic tensor cannot be iterated over; slice it instead.")

    def __bool__(self) -> bool:
        raise TypeError(
            "A symbolic tensor has no truth value. Use densa.ops.where instead of `if`, or write "
            "a subclassed Model."
        )

    def __float__(self) -> float:
        raise TypeError("A symbolic tensor has no value that could be a number.")

    __int__ = __index__ = __float__

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_keras_history": None, "_keras_mask": None}

    def __repr__(self) -> str:
        return f"<KerasTensor shape={self.shape}, dtype={self.dtype}, name={self.name}>"

    def __getitem__(self, key: Any) -> Any:
        return get_item(self, key)

    def __neg__(self) -> Any:
        return _public_op("negative")(self)

    def __pos__(self) -> Any:
        return self

    def __abs__(self) -> Any:
        return _public_op("abs")(self)

    def __invert__(self) -> Any:
        return _public_op("logical_not")(self)


def _add_operators(cls: type) -> None:
    names = {
        "add": "add",
        "sub": "subtract",
        "mul": "multiply",
        "truediv": "divide",
        "floordiv": "floor_divide",
        "mod": "mod",
        "pow": "power",
        "matmul": "matmul",
        "and": "logical_and",
        "or": "logical_or",
        "xor": "logical_xor",
    }

    def forward(name: str) -> Callable[[Any, Any], Any]:
        return lambda self, other: _public_op(name)(self, other)

    def backward(name: str) -> Callable[[Any, Any], Any]:
        return lambda self, other: _public_op(name)(other, self)

    for short, name in names.items():
        setattr(cls, f"__{short}__", forward(name))
        setattr(cls, f"__r{short}__", backward(name))
    for short, name in {
        "lt": "less",
        "le": "less_equal",
        "gt": "greater",
        "ge": "greater_equal",
    }.items():
        setattr(cls, f"__{short}__", forward(name))


_add_operators(KerasTensor)


def is_keras_tensor(x: Any) -> bool:
    """Tell whether x is a symbolic tensor.

    Args:
        x: anything.

    Example:
        >>> densa.utils.is_keras_tensor(densa.Input((2,)))
        True
    """
    return isinstance(x, KerasTensor)


def any_symbolic(args: Iterable[Any]) -> bool:
    """Tell whether a symbolic tensor hides in the arguments."""
    for item in args:
        kind = type(item)
        if kind is KerasTensor:
            return True
        if kind is dict:
            if any_symbolic(item.values()):
                return True
        elif kind is list or kind is tuple:
            if any_symbolic(item):
                return True
        elif isinstance(item, KerasTensor):
            return True
    return False


# ---- the graph -----------------------------------------------------------------------------------


class Node:
    """One use of an operation: its arguments and symbolic results."""

    def __init__(
        self,
        operation: Operation,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        outputs: Any,
    ) -> None:
        self.operation = operation
        # Copies of lists and dicts, which the caller may go on filling.
        self.args: tuple[Any, ...] = tree.map_structure(lambda x: x, tuple(args))
        self.kwargs: dict[str, Any] = {
            k: tree.map_structure(lambda x: x, v) for k, v in kwargs.items()
        }
        self.output_struct = outputs
        self.inputs: list[KerasTensor] = [
            x for x in tree.flatten((args, kwargs)) if isinstance(x, KerasTensor)
        ]
        self.outputs: list[Any] = tree.flatten(outputs)
        index = len(operation._inbound_nodes)
        for i, out in enumerate(self.outputs):
            if isinstance(out, KerasTensor):
                out._keras_history = (operation, index, i)
        operation._inbound_nodes.append(self)

    @property
    def is_input(self) -> bool:
        return not self.inputs

    @property
    def parent_nodes(self) -> list[Node]:
        out: list[Node] = []
        for x in self.inputs:
            history = x._keras_history
            if history is not None:
                node = history[0]._inbound_nodes[history[1]]
                if node not in out:
                    out.append(node)
        return out

    def fill(self, values: dict[int, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return the arguments with each symbolic tensor replaced by its value."""

        def one(x: Any) -> Any:
            return values[id(x)] if isinstance(x, KerasTensor) else x

        return (
            tuple(tree.map_structure(one, x) for x in self.args),
            {k: tree.map_structure(one, v) for k, v in self.kwargs.items()},
        )


class Operation:
    """Something that makes nodes: a layer, or one use of an op."""

    name: str
    _inbound_nodes: list[Node]

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError


class OpCall(Operation):
    """An op of `densa.ops` or `densa.activations` as a part of a functional graph."""

    def __init__(self, function: Callable[..., Any], name: str | None = None) -> None:
        self.function = function
        self.op_name: str = function.__name__
        self.name = name or auto_name(self.op_name)
        self._inbound_nodes = []

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if any_symbolic(args) or any_symbolic(kwargs.values()):
            outputs = infer_outputs(self.function, args, kwargs)
            Node(self, args, kwargs, outputs)
            return outputs
        if _core.recording():  # so that messages name it
            with name_scope(self.name):
                return self.function(*args, **kwargs)
        return self.function(*args, **kwargs)

    def get_config(self) -> dict[str, Any]:
        """Return the name of this use and of the function."""
        return {"name": self.name, "function": self.op_name}

    def __reduce__(self) -> Any:
        # By the function that carries the module's name, which pickle can find again.
        public = getattr(self.function, "_recording", self.function)
        known = _Ops.table.get((self.function.__module__, self.op_name)) is self.function
        which = (self.function.__module__, self.op_name) if known else public
        return _make_op_call, (which, self.name)

    def __repr__(self) -> str:
        return f"<Operation name={self.name}, function={self.op_name}>"


def _make_op_call(which: Any, name: str) -> OpCall:
    function = find_op(*which) if isinstance(which, tuple) else which
    return OpCall(getattr(function, "__wrapped__", function), name)


class _Ops:
    """Ops known by module and name: the only functions that a saved graph can call."""

    table: ClassVar[dict[tuple[str, str], Callable[..., Any]]] = {}


def op(function: Callable[P, R]) -> Callable[P, R]:
    """Make a function record itself in the graph when an argument is symbolic.

    Args:
        function: computes on Tensors. It must be a public function of its module, because saved
            models name it by module and name.

    Returns:
        The function itself for values; for symbolic tensors it gives symbolic results.

    Example:
        >>> @op
        ... def double(x):
        ...     return x + x
    """

    @functools.wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        if any_symbolic(args) or (kwargs and any_symbolic(kwargs.values())):
            return cast(R, OpCall(function)(*args, **kwargs))
        try:
            return function(*args, **kwargs)
        except RAW as error:
            misspelt(function, kwargs, error)
            explain(function, args, kwargs, error)
            raise

    function._recording = wrapper  # type: ignore[attr-defined]
    if function.__module__.split(".")[0] == "densa":
        _Ops.table[(function.__module__, function.__name__)] = function
    return wrapper


def find_op(module: str, name: str) -> Callable[..., Any]:
    """Return the op that a saved graph names; ValueError if there is none."""
    key = (module, name)
    if key not in _Ops.table and module in ("densa.ops", "densa.ops.image", "densa.activations"):
        __import__(module)
    found = _Ops.table.get(key)
    if found is None:
        from densa.saving.object_registration import get_registered_object

        custom = get_registered_object(name)
        found = getattr(custom, "__wrapped__", custom)
    if found is None:
        raise ValueError(
            f"The saved graph uses the op {module}.{name}, which this version of densa does not "
            "have."
        )
    return found


def _public_op(name: str) -> Callable[..., Any]:
    ops = sys.modules.get("densa.ops")
    if ops is None:
        import importlib

        ops = importlib.import_module("densa.ops")
    return cast(Callable[..., Any], getattr(ops, name))


@op
def get_item(x: Any, key: Any) -> Any:
    """Return `x[key]`; lists stand for tuples of indices, as they come back from files."""
    return x[tuple(key) if isinstance(key, list) else key]


# ---- shapes --------------------------------------------------------------------------------------


def trial_array(shape: Shape, dtype: str, size: int) -> Any:
    """Return a Tensor of a symbolic tensor's shape with `size` in place of None.

    Floats are one, so that divisions and logarithms are harmless, integers are zero, so that
    indices are in range.
    """
    dims = tuple(size if d is None else d for d in shape)
    fill = np.ones if config.is_float(dtype) else np.zeros
    return _core.to_tensor(fill(dims, dtype=config.numpy_float(dtype)), dtype)


def infer_outputs(
    function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    """Learn the symbolic results of a function by running it on small arrays.

    Unknown sizes are tried with two values; what differs between the results is unknown too.
    """
    leaves = [x for x in tree.flatten((args, kwargs)) if isinstance(x, KerasTensor)]
    unknown = any(None in x.shape for x in leaves)
    results = []
    for size in _TRIAL_SIZES if unknown else _TRIAL_SIZES[:1]:
        values: dict[int, Any] = {}

        def one(x: Any, size: int = size, values: dict[int, Any] = values) -> Any:
            if not isinstance(x, KerasTensor):
                return x
            if id(x) not in values:
                values[id(x)] = trial_array(x.shape, x.dtype, size)
                if x._keras_mask is not None:  # everything counts, and `call` is given a mask
                    kept = trial_array(x._keras_mask.shape, "bool", size)
                    set_mask(values[id(x)], _core.apply("logical_not", kept))
            return values[id(x)]

        with symbolic_scope(), _core.no_grad():
            results.append(
                function(
                    *(tree.map_structure(one, x) for x in args),
                    **{k: tree.map_structure(one, v) for k, v in kwargs.items()},
                )
            )
    first, last = tree.flatten(results[0]), tree.flatten(results[-1])
    return tree.pack_like(results[0], [_merge(a, b) for a, b in zip(first, last, strict=True)])


def _merge(a: Any, b: Any) -> Any:
    if isinstance(a, np.ndarray):
        a, b = _core.from_numpy(a), _core.from_numpy(b)
    if not isinstance(a, _core.Tensor):
        return a
    shape = tuple(m if m == n else None for m, n in zip(a.shape, b.shape, strict=True))
    return KerasTensor(shape, a.dtype)
