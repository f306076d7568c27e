"""`Layer`: variables, a computation on them, and the bookkeeping around both."""

from __future__ import annotations

import functools
import inspect
import sys
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from densa import _core, config, regularizers
from densa._masks import any_known, carried
from densa._names import Named, arguments_of, misspelt, nearest
from densa._numbers import array_of
from densa._raw_errors import RAW, explain
from densa._scope import (
    CallContext,
    auto_name,
    call_context,
    in_symbolic_scope,
    name_scope,
    set_call_context,
    symbolic_scope,
)
from densa._symbolic import (
    KerasTensor,
    Node,
    Operation,
    any_symbolic,
    infer_outputs,
    standardize_shape,
)
from densa.layers._helpers import without_what_is_off
from densa.layers._masking import Masks, is_mask_name
from densa.layers._shapes import as_shapes, tree_of_shapes
from densa.layers._tracking import PLAIN, Tracked, losses_pending, one_number
from densa.layers.input_spec import assert_input_compatibility
from densa.utils import tree
from densa.variables import Variable


class Layer(Masks, Tracked, Operation, Named):
    """A computation with variables of its own; the base of all layers and models.

    A subclass makes its variables in `build(input_shape)` with `add_weight` and computes in
    `call(inputs, training=None)`. Layers and variables kept in attributes, also in lists and
    dicts, belong to it.

    Args:
        activity_regularizer: penalty on the output, added to the loss.
        trainable: whether `fit` changes its variables.
        dtype: type of computation and variables; None means the package's policy.
        autocast: whether floating inputs are cast to that type.
        name: its name; made up if None.

    Raises:
        ValueError: for arguments that are not known.

    Example:
        >>> class Shift(densa.layers.Layer):
        ...     def build(self, input_shape):
        ...         self.b = self.add_weight(shape=(input_shape[-1],), initializer="ones")
        ...     def call(self, x):
        ...         return x + self.b
        >>> Shift()(np.zeros((1, 2), "float32")).numpy()
        array([[1., 1.]], dtype=float32)
    """

    _initialized = False
    _auto_config: dict[str, Any] | None = None
    # Shape-only layers pass any type through; others give their compute type.
    _keeps_dtype = False

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        self = super().__new__(cls, *args, **kwargs)
        self._auto_config = _auto_config(cls, args, kwargs)
        return self

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "build" in cls.__dict__:
            cls.build = _wrap_build(cls.__dict__["build"])  # type: ignore[method-assign]
        if "call" in cls.__dict__:
            cls._call_signature = inspect.signature(cls.__dict__["call"])

    _call_signature: inspect.Signature = inspect.Signature()

    def __init__(
        self,
        *,
        activity_regularizer: Any = None,
        trainable: bool = True,
        dtype: Any = None,
        autocast: bool = True,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        if "input_shape" in kwargs or "input_dim" in kwargs:
            _warn_of_shape(self)
        shape = kwargs.pop("input_shape", None)
        if "input_dim" in kwargs:
            shape = (kwargs.pop("input_dim"),)
        if "batch_input_shape" in kwargs:
            shape = tuple(kwargs.pop("batch_input_shape"))[1:]
        kwargs = without_what_is_off(kwargs)
        if kwargs:
            known = {*arguments_of(type(self)), "input_shape"}
            raise ValueError(
                f"Unrecognized keyword arguments passed to {type(self).__name__}: {kwargs}."
                f"{nearest(next(iter(kwargs)), known)}"
            )
        if name is not None and (not isinstance(name, str) or "/" in name):
            raise ValueError(
                f"Argument `name` must be a string and cannot contain character `/`. Received: "
                f"name={name!r} (of type {type(name).__name__})"
            )
        if not isinstance(trainable, (bool, np.bool_)):
            raise ValueError(f"Argument `trainable` must be True or False; got {trainable!r}.")
        self.name: str = name or auto_name(type(self).__name__)
        self._inbound_nodes: list[Node] = []
        self._variables: list[Variable] = []
        self._losses: list[Any] = []
        self._build_shapes: dict[str, Any] | None = None
        self._building = False
        self._input_shape_arg = None if shape is None else standardize_shape(shape)
        self.activity_regularizer = regularizers.get(activity_regularizer)
        self.input_spec: Any = None
        self.supports_masking = (
            self._passes_masks
            or self._makes_masks
            or getattr(type(self), "supports_masking", False)
        )
        self.autocast = autocast
        self._trainable = bool(trainable)
        self._dtype_policy = config.get_policy(dtype)
        self.built = False
        self._initialized = True

    # ---- what subclasses write -------------------------------------------------------------------

    def build(self, input_shape: Any) -> None:
        """Make the variables; called once, with the shape of the first input."""
        self._build_shapes = {"input_shape": input_shape}
        self.built = True

    def call(self, *args: Any, **kwargs: Any) -> Any:
        """Compute the output from Tensors."""
        raise NotImplementedError(
            f"Layer {type(self).__name__} does not have a `call()` method implemented."
        )

    def compute_output_shape(self, *args: Any, **kwargs: Any) -> Any:
        """Return the output's shape for a shape of the input."""
        shape = args[0] if args else next(iter(kwargs.values()))
        spec = tree_of_shapes(lambda s: KerasTensor(s, dtype=self.compute_dtype), shape)
        out = infer_outputs(self._trial_call, (spec,), {})
        return tree.map_structure(lambda t: t.shape, out)

    # ---- types -----------------------------------------------------------------------------------

    @property
    def dtype_policy(self) -> config.DTypePolicy:
        return self._dtype_policy

    @property
    def dtype(self) -> str:
        """Type of the layer's variables."""
        return self._dtype_policy.variable_dtype

    variable_dtype = dtype

    @property
    def compute_dtype(self) -> str:
        """Type that floating inputs are cast to."""
        return self._dtype_policy.compute_dtype

    @property
    def input_dtype(self) -> str:
        """Type that floating inputs are cast to, if `autocast`."""
        return self._dtype_policy.compute_dtype

    @property
    def _variables_as(self) -> str | None:
        """Type that `call` reads variables in, None for their own."""
        policy = self._dtype_policy
        compute = policy.compute_dtype
        return compute if self.autocast and compute != policy.variable_dtype else None

    # ---- the call --------------------------------------------------------------------------------

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        self._check_initialized()
        if any_symbolic(args) or (kwargs and any_symbolic(kwargs.values())):
            return self._symbolic_call(args, kwargs)
        return self._eager_call(*args, **kwargs)

    def _eager_call(self, *args: Any, **kwargs: Any) -> Any:
        args = tuple(self._convert(a, first=i == 0) for i, a in enumerate(args))
        if kwargs:
            kwargs = {k: self._convert(v) for k, v in kwargs.items()}
        context = call_context()
        entry = context is None
        if context is None:
            context = CallContext(self)
            set_call_context(context)
            if losses_pending[0] and not in_symbolic_scope():
                self._clear_losses()
        before = context.training
        try:
            kwargs = self._resolve_training(args, kwargs, context)
            if not self.built:
                assert_input_compatibility(self.input_spec, self._first(args, kwargs), self.name)
                self._build_from(args, kwargs)
            if self.input_spec is not None:
                assert_input_compatibility(self.input_spec, self._first(args, kwargs), self.name)
            masks = None
            if any_known() or "mask" in kwargs:
                bound = self._bind(args, kwargs)
                masks, kwargs = self._with_masks(bound, self._first(args, kwargs), kwargs)
            wanted = self._variables_as
            if wanted == context.variables_as:
                with self._scope():
                    outputs = self.call(*args, **kwargs)
            else:
                with self._scope(), context.reading_variables_as(wanted):
                    outputs = self.call(*args, **kwargs)
            if self.activity_regularizer is not None:
                for out in tree.flatten(outputs):
                    if isinstance(out, _core.Tensor):
                        # Per row, as in Keras: the penalty does not grow with the batch.
                        penalty = self.activity_regularizer(out)
                        one_number(penalty, f"the output of layer {self.name!r}")
                        self.add_loss(penalty / _rows(out) if out.shape else penalty)
            if masks is not None or self._makes_masks:
                self._hand_on_masks(self._first(args, kwargs), outputs, masks)
            return outputs
        except RAW as error:
            misspelt(self.call, kwargs, error)
            if type(self).__module__.startswith("densa.layers"):
                explain(self.call, args, kwargs, error, f"{type(self).__name__} {self.name!r}")
            raise
        finally:
            context.training = before
            if entry:
                set_call_context(None)

    def _trial_call(self, *args: Any, **kwargs: Any) -> Any:
        """The eager call as a function of its own context, to learn shapes."""
        outer = call_context()
        set_call_context(None)
        variables_as = _core.set_autocast(None)
        try:
            with symbolic_scope():
                return self._eager_call(*args, **kwargs)
        finally:
            set_call_context(outer)
            _core.set_autocast(variables_as)

    def _symbolic_call(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        parameters = self._call_signature.parameters
        if "training" in kwargs and "training" not in parameters and not _takes_any(parameters):
            kwargs = {k: v for k, v in kwargs.items() if k != "training"}
        assert_input_compatibility(self.input_spec, self._first(args, kwargs), self.name)
        if not self.built:
            self._build_from(args, kwargs)
            assert_input_compatibility(self.input_spec, self._first(args, kwargs), self.name)
        outputs = self.compute_output_spec(*args, **kwargs)
        Node(self, args, kwargs, outputs)
        self._hand_on_symbols(self._first(args, kwargs), outputs, kwargs.get("mask"))
        return outputs

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        """Return the output's symbolic tensors for symbolic inputs."""
        if type(self).compute_output_shape is Layer.compute_output_shape or len(args) != 1:
            return infer_outputs(self._trial_call, args, kwargs)
        shapes = tree.map_structure(lambda x: tuple(x.shape), args[0])
        dtype = self.compute_dtype
        if self._keeps_dtype:
            dtype = str(tree.flatten(args[0])[0].dtype)
        return tree_of_shapes(
            lambda s: KerasTensor(s, dtype=dtype), self.compute_output_shape(shapes)
        )

    def _first(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if args:
            return args[0]
        for value in kwargs.values():
            if any(hasattr(x, "shape") for x in tree.flatten(value)):
                return value
        raise ValueError(f"Layer '{self.name}' was called without an input.")

    def _convert(self, x: Any, first: bool = False) -> Any:
        kind = type(x)
        if kind is _core.Tensor:
            return x if x.dtype == self.input_dtype else self._autocast(x)
        if kind in PLAIN:
            return x
        if isinstance(x, Variable):
            return self._autocast(x.value)
        if kind in (list, tuple) and first and is_numbers(x):
            x = array_of(f"Layer '{self.name}' ({type(self).__name__})", x)
            if x.dtype.kind == "f":
                x = x.astype(config.numpy_float(self.input_dtype))
        if isinstance(x, (list, tuple, dict)):
            return tree.map_structure(self._convert, x)
        if hasattr(x, "__array__"):
            array = np.asarray(x)
            if array.dtype.kind not in "fiub":
                raise ValueError(
                    f"Layer '{self.name}' cannot take an array of type {array.dtype}; convert it "
                    f"to numbers first (shape {array.shape})."
                )
            if self.autocast and array.dtype.kind == "f":
                array = array.astype(config.numpy_float(self.input_dtype), copy=False)
            array = array.astype(array.dtype.newbyteorder("="), copy=False)
            made = self._placed(np.ascontiguousarray(array).reshape(array.shape))
            return self._autocast(made) if self.input_dtype == "bfloat16" else made
        return x

    def _placed(self, array: Any) -> Any:
        """Return an array as a Tensor beside the variables; without any, where new tensors go."""
        made = _core.from_numpy(array)
        if not _core.has_backend() or _core.recording():
            return made
        variable = self._some_variable()
        return made.to(_core.default_device() if variable is None else variable.device)

    def _autocast(self, x: Any) -> Any:
        if self.autocast:
            dtype = str(x.dtype)
            if dtype != self.input_dtype and config.is_float(dtype):
                return carried(x, _core.apply("cast", x, dtype=self.input_dtype))
        return x

    def _resolve_training(
        self, args: tuple[Any, ...], kwargs: dict[str, Any], context: CallContext
    ) -> dict[str, Any]:
        """Settle `training`: the argument, the caller's, then the default of `call`."""
        parameters = self._call_signature.parameters
        accepts = "training" in parameters
        training = kwargs.get("training")
        if accepts and training is None and len(args) > 1:
            position = list(parameters).index("training") - 1
            if position < len(args):
                context.training = args[position]
                return kwargs
        if training is None:
            training = context.training
        if training is None and accepts:
            default = parameters["training"].default
            training = None if default is inspect.Parameter.empty else default
        if training is not None:
            training = bool(training)
            context.training = training
        if accepts:
            return kwargs if training is None else {**kwargs, "training": training}
        if "training" in kwargs and not _takes_any(parameters):
            return {k: v for k, v in kwargs.items() if k != "training"}
        return kwargs

    # ---- building --------------------------------------------------------------------------------

    def _build_from(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        shapes = {
            k: tree.map_structure(lambda x: tuple(x.shape) if hasattr(x, "shape") else None, v)
            for k, v in self._bind(args, kwargs).items()
            if not is_mask_name(k) and any(hasattr(x, "shape") for x in tree.flatten(v))
        }
        names = [n for n in inspect.signature(self.build).parameters if n not in ("args", "kwargs")]
        if len(names) <= 1 or len(shapes) <= 1:
            self.build(next(iter(shapes.values()), None))
            return
        self.build(**{n: shapes.get(n.removesuffix("_shape")) for n in names})

    def _bind(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        names = list(self._call_signature.parameters)[1:]  # without self
        bound = {names[i] if i < len(names) else str(i): a for i, a in enumerate(args)}
        return {**bound, **kwargs}

    def get_build_config(self) -> dict[str, Any] | None:
        """Return the shapes that the layer was built with."""
        return dict(self._build_shapes) if self._build_shapes else None

    def build_from_config(self, config: dict[str, Any]) -> None:
        """Build with the shapes that `get_build_config` gave."""
        if not config or self.built:
            return
        shapes = {k: as_shapes(v) for k, v in config.items() if not k.startswith("_")}
        if list(shapes) == ["input_shape"]:
            self.build(shapes["input_shape"])
        elif shapes:
            self.build(**shapes)

    # ---- configuration ---------------------------------------------------------------------------

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make an equal layer, as plain data."""
        self._check_initialized()
        from densa.saving.serialization import serialize_keras_object

        out: dict[str, Any] = {
            "name": self.name,
            "trainable": self.trainable,
            "dtype": serialize_keras_object(self._dtype_policy),
        }
        if self.activity_regularizer is not None:
            out["activity_regularizer"] = regularizers.serialize(self.activity_regularizer)
        if type(self).get_config is not Layer.get_config and not getattr(
            type(self).get_config, "_uses_auto_config", False
        ):
            return out
        out.update(self._automatic_config())
        accepted = inspect.signature(type(self).__init__).parameters
        if not _takes_any(accepted):
            out = {k: v for k, v in out.items() if k in accepted}
        return out

    def _automatic_config(self) -> dict[str, Any]:
        """Return the arguments that `__init__` was called with, where they are plain data."""
        given: dict[str, Any] | None = self._auto_config
        if given is None:
            name = type(self).__name__
            raise NotImplementedError(
                f"Object {name} was created by passing non-serializable argument values in "
                f"`__init__()`, and therefore the object must override `get_config()` in order to "
                f"be serializable. Write in {name}: def get_config(self): return "
                "{**super().get_config(), 'argument': self.argument}"
            )
        return given

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """Make a layer from `get_config`'s answer."""
        return cls(**config)

    # ---- the graph -------------------------------------------------------------------------------

    @property
    def input(self) -> Any:
        """Symbolic input of the layer's first use in a graph."""
        node = self._only_node("input")
        return node.args[0] if node.args else node.inputs[0] if node.inputs else node.output_struct

    @property
    def output(self) -> Any:
        """Symbolic output of the layer's first use in a graph."""
        return self._only_node("output").output_struct

    def _only_node(self, what: str) -> Node:
        if not self._inbound_nodes:
            raise AttributeError(
                f"The layer {self.name} has never been called on a symbolic input and thus has no "
                f"defined {what}. Start the model with an Input, or use a functional model."
            )
        return self._inbound_nodes[0]

    # ---- the rest --------------------------------------------------------------------------------

    def _scope(self) -> Any:
        """Open the layer's name scope, unless its build() has opened it."""
        return name_scope(None if self._building else self.name)

    def _check_initialized(self) -> None:
        if not self._initialized:
            name = type(self).__name__
            raise RuntimeError(
                f"In layer {name}, you forgot to call `super().__init__()` in the `__init__()` "
                "method. Go add it!"
            )

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name}, built={self.built}>"

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_inbound_nodes": [], "_losses": []}

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        import copy

        new = object.__new__(type(self))
        memo[id(self)] = new
        for name, value in self.__getstate__().items():
            new.__dict__[name] = copy.deepcopy(value, memo)
        return new


# ---- helpers -------------------------------------------------------------------------------------


def _wrap_build(function: Callable[..., None]) -> Callable[..., None]:
    """Open the layer's name scope around `build` and note that it is built, however called."""

    @functools.wraps(function)
    def build(self: Layer, *args: Any, **kwargs: Any) -> None:
        self._check_initialized()
        if self._building:  # super().build()
            function(self, *args, **kwargs)
            return
        names = list(inspect.signature(function).parameters)[1:]
        self._building = True
        try:
            with name_scope(self.name):
                function(self, *args, **kwargs)
        finally:
            self._building = False
        self._build_shapes = {**dict(zip(names, args, strict=False)), **kwargs}
        self.built = True
        if not self._trainable:
            self.trainable = False

    return build


def _warn_of_shape(layer: Layer) -> None:
    """Warn of Keras 2's way to give a shape, where it is written; configurations may have it."""
    frame, level = sys._getframe(1), 2
    while frame.f_code.co_name == "__init__" and frame.f_locals.get("self") is layer:
        if frame.f_back is None:
            break
        frame, level = frame.f_back, level + 1
    if frame.f_code.co_name != "from_config":
        warnings.warn(
            "A layer's `input_shape` and `input_dim` are Keras 2's: put densa.Input(shape) before "
            f"the first layer, {type(layer).__name__}, of a Sequential model instead.",
            DeprecationWarning,
            stacklevel=level,
        )


def _auto_config(cls: type, args: Any, kwargs: dict[str, Any]) -> dict[str, Any] | None:
    """Return the arguments of `__init__` by name if all are plain data, else None."""
    names = list(inspect.signature(cls.__init__).parameters)[1:]  # type: ignore[misc]
    given = {**dict(zip(names, args, strict=False)), **kwargs}
    given.pop("dtype", None)  # get_config gives the policy
    plain = all(isinstance(x, PLAIN) for x in tree.flatten(list(given.values())))
    return given if plain else None


def _rows(x: Any) -> Any:
    """Return the number of rows, as a Tensor where a recorded program does not know it yet."""
    if x.shape[0] is None:
        return _core.apply("row_count", x, dtype=str(x.dtype))
    return max(int(x.shape[0]), 1)


def _takes_any(parameters: Any) -> bool:
    return any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values())


def is_numbers(x: Any) -> bool:
    """Tell whether nested lists hold numbers alone."""
    while isinstance(x, (list, tuple)):
        if not x:
            return False
        x = x[0]
    return isinstance(x, (int, float, np.number))
