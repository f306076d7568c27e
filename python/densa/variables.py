"""Variables: named values that training changes."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from densa import _core, config
from densa._scope import auto_name, current_path, in_symbolic_scope
from densa._symbolic import standardize_shape


def _reverse(name: str) -> Callable[[Any, Any], Any]:
    def method(self: Any, other: Any) -> Any:
        return getattr(self.value, name)(other)

    method.__name__ = name
    return method


class Variable(_core.Variable):
    """A named value that training changes.

    Args:
        initializer: an array, a Tensor, a number, or a function `(shape, dtype)` that gives one.
        shape: needed with a function; otherwise that of the value.
        dtype: type name; None means that of an array given, else floatx.
        trainable: whether `fit` changes it.
        autocast: whether layers of mixed precision read it in 16 bits.
        aggregation: accepted for Keras; without meaning on one device.
        name: its name; made up if None.
        rows: keep the rows of a table together in memory (embeddings).
        device: where it lies, `"cpu"` or `"cuda:N"`; None means where `set_device` says.

    Raises:
        ValueError: for a shape that does not fit the value, or a function without a shape.

    Example:
        >>> v = densa.Variable([1.0, 2.0], name="scale")
        >>> v.assign_add([1.0, 1.0]).numpy()
        array([2., 3.], dtype=float32)
    """

    __array_priority__ = 100

    if TYPE_CHECKING:  # set below, from one list
        __add__: Callable[[Any, Any], Any]
        __radd__: Callable[[Any, Any], Any]
        __sub__: Callable[[Any, Any], Any]
        __rsub__: Callable[[Any, Any], Any]
        __mul__: Callable[[Any, Any], Any]
        __rmul__: Callable[[Any, Any], Any]
        __truediv__: Callable[[Any, Any], Any]
        __rtruediv__: Callable[[Any, Any], Any]
        __floordiv__: Callable[[Any, Any], Any]
        __rfloordiv__: Callable[[Any, Any], Any]
        __mod__: Callable[[Any, Any], Any]
        __rmod__: Callable[[Any, Any], Any]
        __pow__: Callable[[Any, Any], Any]
        __rpow__: Callable[[Any, Any], Any]
        __matmul__: Callable[[Any, Any], Any]
        __rmatmul__: Callable[[Any, Any], Any]
        __lt__: Callable[[Any, Any], Any]
        __le__: Callable[[Any, Any], Any]
        __gt__: Callable[[Any, Any], Any]
        __ge__: Callable[[Any, Any], Any]

    def __init__(
        self,
        initializer: Any,
        shape: Any = None,
        dtype: Any = None,
        trainable: bool = True,
        autocast: bool = True,
        aggregation: str | None = None,
        synchronization: str | None = None,
        name: str | None = None,
        *,
        rows: bool = False,
        device: str | None = None,
    ) -> None:
        name = name or auto_name("variable")
        if not isinstance(name, str) or "/" in name:
            raise ValueError(f"A variable's name must be a string without '/'; got {name!r}.")
        if dtype is not None and config.dtype_name(dtype) in ("float16", "bfloat16"):
            raise TypeError(
                f"Variable {name!r}: variables are float32 or float64, not "
                f"{config.dtype_name(dtype)}; a policy of mixed precision computes in 16 bits and "
                "keeps them so."
            )
        array = _initial_array(initializer, shape, dtype, name)
        super().__init__(array, name=name, trainable=bool(trainable), rows=rows, device=device)
        path = current_path()
        self._path = f"{path}/{name}" if path else name
        self._rows = rows
        self._device = device  # as asked for: a copy on another machine follows it, or set_device
        self.can_train = bool(trainable)  # what unfreezing a layer goes back to
        self._initializer = initializer if callable(initializer) else None
        self.regularizer: Callable[[Any], Any] | None = None
        self.constraint: Callable[[Any], Any] | None = None
        self.autocast = autocast
        self.overwrite_with_gradient = False

    # What the core's class gives: shape, dtype, name, trainable, grad, version, assign, numpy.

    @property
    def path(self) -> str:
        """Name with the scopes it was made in: `sequential/dense/kernel`."""
        return self._path

    @property
    def value(self) -> Any:
        """The current contents as a Tensor."""
        return super().value()

    @property
    def initializer(self) -> Callable[..., Any] | None:
        """The function that gave the first value, None if it was an array."""
        return self._initializer

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        return int(np.prod(self.shape, dtype=np.int64))

    def assign(self, value: Any) -> Variable:  # type: ignore[override]
        """Replace the contents; while a model is being recorded this becomes an op.

        Raises:
            ValueError: if the shape differs.
        """
        if in_symbolic_scope():
            return self
        shape = getattr(value, "shape", None)
        if shape is None:
            value = np.asarray(value, dtype=self.dtype)
            shape = value.shape
        if tuple(shape) != tuple(self.shape):
            raise ValueError(
                f"The shape of the target variable and the shape of the target value in "
                f"variable.assign(value) must match. variable.shape={tuple(self.shape)}, "
                f"value.shape={tuple(shape)} (variable {self._path!r})."
            )
        if isinstance(value, _core.Variable):
            value = _core.Variable.value(value)
        if isinstance(value, np.ndarray):
            if value.dtype != self.dtype:
                value = value.astype(self.dtype)
        elif isinstance(value, _core.Tensor):
            if value.dtype != self.dtype:
                value = _core.apply("cast", value, dtype=self.dtype)
        else:
            value = np.asarray(value, dtype=self.dtype)
        super().assign(value)
        return self

    def assign_add(self, value: Any) -> Variable:
        """Add to the contents."""
        return self.assign(self.value + value)

    def assign_sub(self, value: Any) -> Variable:
        """Subtract from the contents."""
        return self.assign(self.value - value)

    def __repr__(self) -> str:
        return (
            f"<Variable path={self._path}, shape={tuple(self.shape)}, dtype={self.dtype}, "
            f"value={self.numpy()}>"
        )

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        array = self.numpy()
        return array if dtype is None else array.astype(dtype)

    def __float__(self) -> float:
        return float(self.numpy())

    def __int__(self) -> int:
        return int(self.numpy())

    def __bool__(self) -> bool:
        return bool(self.numpy())

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("A variable without dimensions has no length.")
        return int(self.shape[0])

    def __getitem__(self, key: Any) -> Any:
        return self.value[key]

    def __neg__(self) -> Any:
        return -self.value

    def __pos__(self) -> Any:
        return self.value

    def __abs__(self) -> Any:
        return abs(self.value)

    def __hash__(self) -> int:
        return id(self)

    # Numbers and arrays are compared by value, two variables as objects: `in` searches lists.
    def __eq__(self, other: object) -> Any:
        return self.value == other if _is_value(other) else self is other

    def __ne__(self, other: object) -> Any:
        return self.value != other if _is_value(other) else self is not other

    def __reduce__(self) -> Any:
        given = ("_initializer", "_path", "_rows", "_device")
        state = {k: v for k, v in self.__dict__.items() if k not in given}
        arguments = (
            self.numpy(),
            self.name,
            self.trainable,
            self._rows,
            self._path,
            self._device,
            self.autocast,
        )
        return _restore, arguments, state

    def __deepcopy__(self, memo: dict[int, Any]) -> Variable:
        import copy

        make, arguments, state = self.__reduce__()
        new: Variable = make(*arguments)
        memo[id(self)] = new
        new.__dict__.update(copy.deepcopy(state, memo))
        return new


for _name in (
    "__add__ __radd__ __sub__ __rsub__ __mul__ __rmul__ __truediv__ __rtruediv__ __floordiv__ "
    "__rfloordiv__ __mod__ __rmod__ __pow__ __rpow__ __matmul__ __rmatmul__ __lt__ __le__ __gt__ "
    "__ge__"
).split():
    setattr(Variable, _name, _reverse(_name))


def _is_value(x: Any) -> bool:
    return isinstance(x, (int, float, list, tuple, np.generic, np.ndarray, _core.Tensor))


def _restore(
    array: Any,
    name: str,
    trainable: bool,
    rows: bool,
    path: str,
    device: str | None = None,
    autocast: bool = True,
) -> Variable:
    new = Variable(
        array,
        dtype=str(array.dtype),
        trainable=trainable,
        autocast=autocast,
        name=name,
        rows=rows,
        device=device,
    )
    new._path = path
    return new


def _initial_array(initializer: Any, shape: Any, dtype: Any, name: str) -> Any:
    if isinstance(initializer, str):
        from densa import initializers

        initializer = initializers.get(initializer)
    if callable(initializer) and not isinstance(initializer, (_core.Tensor, _core.Variable)):
        if shape is None:
            raise ValueError(
                "When creating a Variable from an initializer, the `shape` argument should be "
                f"specified. Received: initializer={initializer} and shape=None (variable "
                f"{name!r})."
            )
        dims = standardize_shape(shape)
        if None in dims:
            raise ValueError(
                f"Shapes used to initialize variables must be fully-defined (no `None` "
                f"dimensions). Received: shape={dims} for variable path='{name}'"
            )
        kind = config.dtype_name(dtype)
        sample = getattr(initializer, "sample", None)
        needed = math.prod(cast(tuple[int, ...], dims)) * np.dtype(kind).itemsize
        try:
            if needed > sys.maxsize:
                raise MemoryError("more than any machine has")
            value = sample(dims, kind) if sample is not None else initializer(dims, dtype=kind)
        except MemoryError as error:
            raise MemoryError(
                f"Variable {name!r} of shape {dims} ({kind}) takes {needed} bytes and could not "
                f"be made: {error}. Use a smaller layer."
            ) from None
        array = np.asarray(value.numpy() if isinstance(value, _core.Tensor) else value)
        if array.shape != dims:
            raise ValueError(
                f"The initializer {initializer!r} gave shape {array.shape} for variable {name!r} "
                f"of shape {dims}."
            )
        return np.ascontiguousarray(array.astype(kind, copy=False)).reshape(dims)
    if isinstance(initializer, (_core.Tensor, _core.Variable)):
        initializer = initializer.numpy()
    given = getattr(initializer, "dtype", None)
    array = np.asarray(initializer)
    if dtype is None and given is None and array.dtype == np.float64:
        dtype = config.floatx()
    if dtype is not None:
        array = array.astype(config.dtype_name(dtype), copy=False)
    if shape is not None and standardize_shape(shape) != array.shape:
        raise ValueError(
            f"Variable {name!r}: the value has shape {array.shape}, but shape={tuple(shape)}."
        )
    return np.ascontiguousarray(array).reshape(array.shape)
