"""What belongs to a layer: variables, layers inside, their freezing, their losses."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from densa import _core, config, constraints, initializers, regularizers
from densa._names import hinted
from densa._scope import in_symbolic_scope
from densa.random import SeedGenerator
from densa.utils import tree
from densa.variables import Variable

PLAIN = (int, float, str, bool, type(None))
# Set once any layer has added a loss: only then calls look for losses to forget.
losses_pending: list[bool] = [False]


def _name_by_keyword(function: Callable[..., Variable]) -> Callable[..., Variable]:
    """Refuse a name in the first place, where Keras 2 had it, with the way out."""

    @functools.wraps(function)
    def add_weight(self: Any, *args: Any, **kwargs: Any) -> Variable:
        if args and isinstance(args[0], str):
            raise ValueError(
                f"add_weight takes the shape first; received {args[0]!r}. Pass the name by "
                f"keyword: add_weight(shape=..., name={args[0]!r})."
            )
        return function(self, *args, **kwargs)

    return add_weight


class Tracked:
    """Finds what is kept in attributes, lists and dicts when it is asked for.

    Nothing is done when attributes are set, so that making and calling layers stays cheap.
    """

    # Attributes whose contents do not belong to the layer, whatever they hold.
    _untracked: frozenset[str] = frozenset(
        ("_inbound_nodes", "_variables", "_losses", "_auto_config", "input_spec", "_build_shapes")
    )
    name: str
    built: bool
    variable_dtype: Any
    _variables: list[Variable]
    _losses: list[Any]
    _trainable: bool

    def _check_initialized(self) -> None:
        raise NotImplementedError

    # ---- variables -------------------------------------------------------------------------------

    @_name_by_keyword
    @hinted
    def add_weight(
        self,
        shape: Any = None,
        initializer: Any = None,
        dtype: Any = None,
        trainable: bool = True,
        autocast: bool = True,
        regularizer: Any = None,
        constraint: Any = None,
        aggregation: str | None = None,
        overwrite_with_gradient: bool = False,
        name: str | None = None,
        *,
        rows: bool = False,
    ) -> Variable:
        """Make a variable that belongs to this layer.

        Args:
            shape: its shape; () if None.
            initializer: name, function or instance; None means glorot_uniform for floats and zeros
                for integers.
            dtype: None means the layer's variable type.
            trainable: whether `fit` may change it.
            autocast: whether a layer of mixed precision reads it in 16 bits.
            regularizer: penalty on it, added to the loss.
            constraint: what it is put back to after each update.
            aggregation: accepted for Keras.
            overwrite_with_gradient: accepted for Keras.
            name: its name; made up if None.
            rows: keep the rows of a table together in memory (embeddings).

        Returns:
            The variable.

        Example:
            >>> layer = densa.layers.Layer()
            >>> layer.add_weight(shape=(2, 3), name="kernel").shape
            (2, 3)
        """
        self._check_initialized()
        kind = config.dtype_name(dtype) if dtype is not None else self.variable_dtype
        if initializer is None:
            initializer = "glorot_uniform" if config.is_float(kind) else "zeros"
        variable = Variable(
            initializers.get(initializer),
            shape=() if shape is None else shape,
            dtype=kind,
            trainable=trainable,
            autocast=autocast,
            name=name,
            rows=rows,
        )
        variable.regularizer = regularizers.get(regularizer)
        variable.constraint = constraints.get(constraint)
        self._variables.append(variable)
        return variable

    def _contents(self) -> Iterator[Any]:
        """Yield the variables, layers and seed generators kept in attributes."""
        yield from self._variables
        untracked = self._untracked
        for name, value in self.__dict__.items():
            if type(value) not in PLAIN and name not in untracked:
                if isinstance(value, (Variable, Tracked, SeedGenerator)):
                    yield value
                elif isinstance(value, (list, tuple, dict)) and value:
                    yield from _inside(value)

    def _own_variables(self) -> list[Variable]:
        own = list(dict.fromkeys(v for v in self._contents() if isinstance(v, Variable)))
        return [v for v in own if v.can_train] + [v for v in own if not v.can_train]

    def _own_layers(self) -> list[Any]:
        return list(dict.fromkeys(v for v in self._contents() if isinstance(v, Tracked)))

    def _flatten_layers(self, include_self: bool = True, recursive: bool = True) -> list[Any]:
        """Return the layers inside, each once, parents first."""
        found: dict[Any, None] = {}

        def visit(layer: Any, depth: int) -> None:
            for inner in layer._own_layers():
                if inner not in found and inner is not self:
                    found[inner] = None
                    if recursive:
                        visit(inner, depth + 1)

        visit(self, 0)
        return ([self] if include_self else []) + list(found)

    def _some_variable(self) -> Variable | None:
        """Return a variable of the layer or of those inside, None where there is none."""
        for found in self._contents():
            if isinstance(found, Tracked):
                found = found._some_variable()
            if isinstance(found, Variable):
                return found
        return None

    @property
    def variables(self) -> list[Variable]:
        """All variables of the layer and of those inside, each once."""
        out: dict[Variable, None] = dict.fromkeys(self._own_variables())
        for layer in self._own_layers():
            out.update(dict.fromkeys(layer.variables))
        return list(out)

    @property
    def weights(self) -> list[Variable]:
        """The same as `variables`."""
        return self.variables

    @property
    def trainable_variables(self) -> list[Variable]:
        """Variables that `fit` changes."""
        return [v for v in self.variables if v.trainable] if self._trainable else []

    @property
    def non_trainable_variables(self) -> list[Variable]:
        """Variables that `fit` leaves to the layers."""
        return [v for v in self.variables if not (self._trainable and v.trainable)]

    trainable_weights = trainable_variables
    non_trainable_weights = non_trainable_variables

    @property
    def trainable(self) -> bool:
        """Whether `fit` changes the layer's variables; setting it reaches the layers inside."""
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        self._trainable = bool(value)
        for variable in self._own_variables():
            variable.trainable = self._trainable and variable.can_train
        for layer in self._own_layers():
            layer.trainable = self._trainable

    def count_params(self) -> int:
        """Return the number of weights; ValueError before the layer is built."""
        if not self.built:
            raise ValueError(
                f"You tried to call `count_params` on layer '{self.name}', but the layer isn't "
                f"built. You can build it manually via: `{self.name}.build(input_shape)`."
            )
        return sum(v.size for v in self.weights)

    def get_weights(self) -> list[Any]:
        """Return copies of all weights as NumPy arrays."""
        return [np.array(v.numpy()) for v in self.weights]

    def set_weights(self, weights: Any) -> None:
        """Replace all weights by arrays in the order of `get_weights`.

        Raises:
            ValueError: if number or shapes differ; nothing is changed then.
        """
        own = self.weights
        if not hasattr(weights, "__len__"):
            raise TypeError(
                f"set_weights: expected a list of arrays, as `get_weights` gives; received "
                f"{weights!r} of type {type(weights).__name__}."
            )
        if len(own) != len(weights):
            raise ValueError(
                f"You called `set_weights(weights)` on layer '{self.name}' with a weight list of "
                f"length {len(weights)}, but the layer was expecting {len(own)} weights."
                + ("" if self.built else " It is not built yet: call it or its build() first.")
            )
        arrays = [np.asarray(w) for w in weights]
        for variable, array in zip(own, arrays, strict=True):
            if tuple(variable.shape) != array.shape:
                raise ValueError(
                    f"Layer {self.name} weight shape {tuple(variable.shape)} is not compatible "
                    f"with provided weight shape {array.shape} (weight {variable.path!r})."
                )
        for variable, array in zip(own, arrays, strict=True):
            variable.assign(array)

    # ---- losses ----------------------------------------------------------------------------------

    def add_loss(self, loss: Any) -> None:
        """Add scalar losses to the total; called within `call`."""
        if in_symbolic_scope():
            return
        self._losses.extend(tree.flatten(loss))
        losses_pending[0] = True

    @property
    def losses(self) -> list[Any]:
        """Losses of the last call and penalties on weights, of this layer and those inside."""
        out: list[Any] = []
        recording = _core.recording()
        for layer in self._flatten_layers():
            # What a recording left has no value outside of it.
            out.extend(x for x in layer._losses if recording or not _is_recorded(x))
        for variable in self.trainable_variables:
            if variable.regularizer is not None:
                out.append(one_number(variable.regularizer(variable), repr(variable.path)))
        return out

    def _clear_losses(self) -> None:
        for layer in self._flatten_layers():
            layer._losses.clear()


def one_number(penalty: Any, owner: str) -> Any:
    """Return a regularizer's penalty; ValueError, naming its owner, if it is no single number."""
    shape = tuple(getattr(penalty, "shape", ()))
    if shape:
        raise ValueError(
            f"The regularizer of {owner} gave a penalty of shape {shape}; expected one number. Sum "
            "it up, with densa.ops.sum."
        )
    return penalty


def _is_recorded(x: Any) -> bool:
    return isinstance(x, _core.Tensor) and bool(x.is_symbolic)


def _inside(value: Any) -> Iterator[Any]:
    items = value.values() if isinstance(value, dict) else value
    for item in items:
        if isinstance(item, (Variable, Tracked, SeedGenerator)):
            yield item
        elif isinstance(item, (list, tuple, dict)):
            yield from _inside(item)
        elif type(item) in (int, float, str):
            return  # lists of numbers can be long
