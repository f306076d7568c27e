"""`Model`: layers from input to output, with training and saving."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from densa import _core
from densa._names import hinted, nearest
from densa._numbers import whole_number
from densa._scope import auto_name, call_context
from densa._symbolic import KerasTensor, infer_outputs
from densa.layers._shapes import tree_of_shapes
from densa.layers.layer import Layer, is_numbers
from densa.models.graph import Graph, graph_from_config
from densa.models.inputs import (
    arguments_of_graph,
    check_tensors,
    hand_on_symbols,
    in_dtype_of,
    in_order,
    plain_shapes,
    same_shape,
    symbols_of,
    with_masks,
)
from densa.models.summary import flat_shapes, print_summary
from densa.training import Trainer
from densa.utils import tree


class Model(Trainer, Layer):
    """Layers from input to output, with training and saving.

    Either `Model(inputs, outputs)`, the graph between symbolic tensors, or a subclass with `call`.

    Args:
        inputs: a symbolic tensor, or a list or dict of them.
        outputs: the same.
        name: its name; made up if None.
        trainable: whether `fit` changes its variables.

    Raises:
        ValueError: if outputs do not depend on the inputs alone, or names are used twice.

    Example:
        >>> x = densa.Input((4,))
        >>> h = densa.layers.Dense(8, activation="relu")(x)
        >>> model = densa.Model(x, densa.layers.Dense(2)(h))
        >>> model.count_params()
        58
    """

    _graph: Graph | None = None
    _untracked = Layer._untracked | {"_graph", "_untracked"}

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        return super().__new__(cls, *args, **kwargs)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        graph_arguments = arguments_of_graph(args, kwargs)
        before = set(self.__dict__)
        Trainer.__init__(self)
        # What training keeps here (optimizer, metrics, plans) is not part of the network.
        self._untracked = self._untracked | (set(self.__dict__) - before)
        if graph_arguments is None:
            if args:
                raise ValueError(
                    f"Positional arguments passed to {type(self).__name__} must be symbolic "
                    f"inputs and outputs; got {args!r}."
                )
            Layer.__init__(self, **kwargs)
            return
        inputs, outputs, rest = graph_arguments
        if rest.get("name") is None:
            plain = type(self) is Model
            rest["name"] = auto_name("functional" if plain else type(self).__name__)
        trainable = rest.pop("trainable", None)
        Layer.__init__(self, **rest)
        self._graph = Graph(inputs, outputs)
        self.built = True
        if trainable is not None and not trainable:
            self.trainable = False

    # ---- the graph -------------------------------------------------------------------------------

    def call(self, *args: Any, **kwargs: Any) -> Any:
        """Compute the outputs; subclasses write this."""
        if self._graph is None:
            raise NotImplementedError(
                f"Model {type(self).__name__} does not have a `call()` method implemented."
            )
        context = call_context()
        training = kwargs.get("training") if context is None else context.training
        inputs = self._standardize_inputs(args[0] if args else kwargs["inputs"])
        inputs = with_masks(inputs, kwargs.get("mask"))
        return self._graph.run(inputs, training)

    # The layers inside take masks and hand them on.
    _masks_by_hand = True

    def _hand_on_masks(self, inputs: Any, outputs: Any, masks: Any) -> None:
        if self._makes_masks:
            super()._hand_on_masks(inputs, outputs, masks)

    def _hand_on_symbols(self, inputs: Any, outputs: Any, given: Any) -> None:
        if self._makes_masks:
            super()._hand_on_symbols(inputs, outputs, given)
        else:
            hand_on_symbols(self, inputs, outputs, given)

    @property
    def input_dtype(self) -> str:
        """Type that floating inputs are cast to: a graph's own layers do that where they begin."""
        return super().input_dtype if self._graph is None else self.variable_dtype

    def _own_layers(self) -> list[Layer]:
        found = super()._own_layers()
        if self._graph is None:
            return found
        return list(dict.fromkeys([*self._graph.layers, *found]))

    def _first(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        return super()._first(args, {k: v for k, v in kwargs.items() if k != "training"})

    def _eager_call(self, *args: Any, **kwargs: Any) -> Any:
        if self._graph is not None:
            if not args and "inputs" not in kwargs:
                raise TypeError(f"Model '{self.name}' was called without an input: model(x).")
            value = args[0] if args else kwargs.pop("inputs")
            args = (self._to_dtypes(value), *args[1:])
        return super()._eager_call(*args, **kwargs)

    def _to_dtypes(self, inputs: Any) -> Any:
        """Cast each input to the type of its symbolic tensor, as Keras does."""
        assert self._graph is not None
        if isinstance(inputs, (list, tuple)) and is_numbers(inputs):
            inputs = np.asarray(inputs)
        if isinstance(inputs, (list, tuple)) and len(self._graph.inputs) == 1 and len(inputs) != 1:
            return inputs
        symbols = symbols_of(self._graph, inputs)
        if symbols is None:
            return inputs

        pairs = zip(tree.flatten(inputs), symbols, strict=True)
        return tree.pack_like(inputs, [in_dtype_of(s, x, self._placed) for x, s in pairs])

    def _autocast(self, x: Any) -> Any:
        # A graph's inputs have the types of their symbolic tensors by now.
        return x if self._graph is not None else super()._autocast(x)

    def _input_dtypes(self, inputs: Any) -> list[str] | None:
        """Return the type that each leaf of the inputs is cast to, None where that is not known."""
        symbols = None if self._graph is None else symbols_of(self._graph, inputs)
        return None if symbols is None else [symbol.dtype for symbol in symbols]

    def _standardize_inputs(self, inputs: Any) -> list[Any]:
        assert self._graph is not None
        return in_order(self._graph, inputs, self.name)

    @property
    def layers(self) -> list[Layer]:
        """The layers directly inside."""
        return self._flatten_layers(include_self=False, recursive=False)

    @property
    def operations(self) -> list[Any]:
        """The layers and ops of the graph."""
        return list(self.layers if self._graph is None else self._graph.operations)

    @hinted
    def freeze(
        self,
        dtype: str = "float32",
        *,
        calibration: Any = None,
        fold: bool = True,
        merge: bool = True,
        prune: bool = True,
        formats: Mapping[str, str] | None = None,
        budget: float | None = None,
        inputs: Any = None,
        device: str = "cpu",
    ) -> Any:
        """Return a `densa.Predictor` of the present weights, to embed in a service.

        It predicts each row by itself, any number of them, also where the model has a fixed batch
        or reshapes by the number of rows. Dropout and noise are left out; what is folded, merged,
        removed and kept, and how large the error is, stands in the predictor's `certificate`,
        beside that of `predict`. On its rows the error of a row, over the row's norm and against
        float64, is at most twice that of the network unfolded in the predictor's type, plus 1e-6:
        foldings that would make it larger are left out. (Outputs of a single number that are
        smaller than half of the others count as large as those.) The roundings to 16 bits of a
        mixed policy are left out, too; casts to 16 bits that are asked for stay.

        With "bfloat16" or "int8" each dense layer is tried with weights of that format. It keeps
        them where that is measured faster than float32 on this machine, for 1 and 32 rows, and the
        outputs change by no more than the budget; a layer whose int8 weights change them by more
        has bfloat16 ones, under the same conditions. int8 rounds what a layer multiplies, too: each
        row by its own range or, given `calibration`, all rows by the range seen there, which is
        faster; numbers outside of it are limited to it.

        Where pruning has left many blocks of 16 weights that are all zero (the 16 outputs of a
        panel for one input), the layer is also tried with the other blocks alone, "sparse", in
        float32, and the fastest format is kept. For finite inputs answers are those of "float32",
        but for the sign of zeros; an input that is NaN or infinite does not reach the outputs
        whose blocks for it are left out.

        Args:
            dtype: type that it computes in, "float32" or "float64"; or float32 with weights in
                "bfloat16" or "int8" where they pay.
            calibration: rows, one or more, structured like the model's input, on which the
                certificate is made and changes are measured; None makes some up, which says little
                of real ones. Whole numbers are made up for inputs that layers take as ids.
            fold: whether batch norms, normalization and rescaling become part of the layers before
                or behind them.
            merge: whether dense layers without an activation between become one where that is less
                work.
            prune: whether units that are constant, such as dead relus, are removed.
            formats: format of a layer by its name, "float32", "bfloat16", "int8" or "sparse", kept
                without being measured. Those of another predictor, `predictor.formats`, bring its
                ranges of int8 along, for where `calibration` gives none.
            budget: the largest change of an output by formats, as a part of its norm; None means
                1 % for bfloat16 and 4 % for int8. Layers in `formats` do not give way.
            inputs: `densa.Input` tensors, structured like the model's input; needed where the
                model does not know its inputs, as a subclass with `call`.
            device: "cpu"; or "cuda" or "cuda:N" for a `densa.GpuPredictor`, wherever the model
                lies. It computes in float32 or float64, and has no formats and no file.

        Returns:
            A Predictor, or a GpuPredictor. With `fold`, `merge` and `prune` off, or nothing to do
            for them, a Predictor of the type of a model without a mixed policy has the bits of
            `predict` on the same CPU; `certificate.same_bits` says whether it has.

        Raises:
            ValueError: for a model that does not know its inputs, or whose prediction mixes the
                rows of a batch, draws random numbers, assigns to variables or is not the same each
                time, naming the layer, what it does and a way out; for `calibration` that does not
                fit the inputs or has no rows, or where none is given and the rows that were made up
                do not fit; for what a GPU has not.
            TypeError: for `formats` that are no mapping, and `calibration` that is no numbers.
            RuntimeError: where no GPU can be used; the message says why.

        Example:
            >>> model = densa.Sequential([densa.Input((4,)), densa.layers.Dense(2)])
            >>> predictor = model.freeze()
            >>> predictor(np.ones((3, 4), "float32")).shape
            (3, 2)
            >>> predictor.certificate.same_bits
            True
        """
        from densa.predictor import freeze

        return freeze(
            self,
            dtype,
            calibration=calibration,
            fold=fold,
            merge=merge,
            prune=prune,
            formats=formats,
            budget=budget,
            inputs=inputs,
            device=device,
        )

    @property
    def inputs(self) -> list[KerasTensor]:
        """The symbolic inputs in order."""
        return list(self._defined_graph("inputs").inputs)

    @property
    def outputs(self) -> list[KerasTensor]:
        """The symbolic outputs in order."""
        return list(self._defined_graph("outputs").outputs)

    @property
    def input(self) -> Any:
        """The symbolic inputs in the structure they were given in."""
        return self._defined_graph("input").inputs_struct

    @property
    def output(self) -> Any:
        """The symbolic outputs in the structure they were given in."""
        return self._defined_graph("output").outputs_struct

    @property
    def input_shape(self) -> Any:
        """Shape of the input; a list if there are several."""
        return flat_shapes(self.input)

    @property
    def output_shape(self) -> Any:
        """Shape of the output; a list if there are several."""
        return flat_shapes(self.output)

    @property
    def input_names(self) -> list[str]:
        """Names of the inputs in order."""
        return [x.name for x in self.inputs]

    @property
    def output_names(self) -> list[str]:
        """Names of the layers that give the outputs, made unique."""
        out: list[str] = []
        for x in self.outputs:
            assert x._keras_history is not None
            base = name = x._keras_history[0].name
            count = 1
            while name in out:
                name = f"{base}_{count}"
                count += 1
            out.append(name)
        return out

    def _defined_graph(self, what: str) -> Graph:
        if self._graph is None:
            raise AttributeError(
                f"The model {self.name} has no defined {what}: it is not a graph of symbolic "
                "tensors. Build a Sequential first, or use Model(inputs, outputs)."
            )
        return self._graph

    def compute_output_shape(self, *args: Any, **kwargs: Any) -> Any:
        return Layer.compute_output_shape(self, *args, **kwargs)

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        if self._graph is not None and args:
            symbols = self._standardize_inputs(args[0])
            if all(same_shape(x, s) for x, s in zip(symbols, self._graph.inputs, strict=True)):
                return tree.map_structure(
                    lambda k: KerasTensor(k.shape, k.dtype), self._graph.outputs_struct
                )
        return infer_outputs(self._trial_call, args, kwargs)

    # ---- building --------------------------------------------------------------------------------

    def build(self, input_shape: Any = None) -> None:
        """Make the variables of a subclassed model by trying its `call` on this shape.

        Args:
            input_shape: shape with the batch, or a list or dict of shapes.

        Example:
            >>> class Small(densa.Model):
            ...     def __init__(self):
            ...         super().__init__()
            ...         self.dense = densa.layers.Dense(2)
            ...     def call(self, x):
            ...         return self.dense(x)
            >>> model = Small()
            >>> model.build((None, 3))
            >>> model.count_params()
            8
        """
        if self._graph is not None:
            self.built = True
            return
        if input_shape is None:
            raise ValueError(
                f"Model '{self.name}': build() needs the shape of the input with the batch, such "
                "as (None, 784)."
            )
        spec = tree_of_shapes(lambda s: KerasTensor(s, dtype=self.compute_dtype), input_shape)
        built = self.built
        self.built = True  # or the trial would build, which a subclass's own build is doing
        try:
            infer_outputs(self._trial_call, (spec,), {})
        except BaseException:
            self.built = built
            raise
        self._build_shapes = {"input_shape": plain_shapes(input_shape)}

    def _build_from(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if type(self).build is not Model.build:
            super()._build_from(args, kwargs)
            return
        # The layers inside build themselves when `call` reaches them.
        value = self._first(args, kwargs)
        check_tensors(self.name, tree.flatten(value))
        self._build_shapes = {
            "input_shape": tree.map_structure(lambda x: (None, *tuple(x.shape)[1:]), value)
        }
        self.built = True

    @hinted
    def get_layer(self, name: str | None = None, index: int | None = None) -> Layer:
        """Return a layer by its name or its place in `layers`.

        Raises:
            ValueError: if there is none, or both or neither is given.

        Example:
            >>> model = densa.Sequential([densa.layers.Dense(2, name="out")])
            >>> model.get_layer("out").units
            2
        """
        if (name is None) == (index is None):
            raise ValueError("Provide either a layer name or a layer index, not both and not none.")
        layers = self.layers
        if index is not None:
            index = whole_number("get_layer: index", index, least=-len(layers) - 1)
            if not -len(layers) <= index < len(layers):
                raise ValueError(
                    f"Was asked to retrieve layer at index {index} but model only has "
                    f"{len(layers)} layers."
                )
            return layers[index]
        named = {layer.name: layer for layer in reversed(layers)}
        if name in named:
            return named[name]
        hint = nearest(str(name), named)
        raise ValueError(f"No such layer: {name}.{hint} Existing layers are: {list(named)[::-1]}.")

    @hinted
    def summary(
        self,
        line_length: int | None = None,
        positions: Any = None,
        print_fn: Callable[[str], Any] | None = None,
        expand_nested: bool = False,
        show_trainable: bool = False,
        layer_range: Any = None,
    ) -> None:
        """Print the layers with output shapes and parameter counts.

        Args:
            line_length: width in characters.
            positions: right ends of the columns, as shares of the width.
            print_fn: gets the text instead of `print`.
            expand_nested: show the layers of models inside.
            show_trainable: add a column.
            layer_range: names of the first and last layer to show.
        """
        print_summary(
            self, line_length, positions, print_fn, expand_nested, show_trainable, layer_range
        )

    # ---- configuration and saving ----------------------------------------------------------------

    @property
    def _serialized_class_name(self) -> str:
        return (
            "Functional" if type(self) is Model and self._graph is not None else type(self).__name__
        )

    def get_config(self) -> dict[str, Any]:
        base = Layer.get_config(self)
        if self._graph is None or not _keeps_graph_constructor(type(self)):
            return base
        own = {"name": self.name, "trainable": self.trainable}
        return {**own, **self._graph.get_config()}

    get_config._uses_auto_config = True  # type: ignore[attr-defined]

    def _automatic_config(self) -> dict[str, Any]:
        if self._graph is not None and _keeps_graph_constructor(type(self)):
            return {}
        return super()._automatic_config()

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Any:
        """Make a model from `get_config`'s answer.

        Args:
            config: plain data.
            custom_objects: name to class or function, for what is not registered.

        Returns:
            The model, with fresh weights.
        """
        from densa.saving.object_registration import custom_object_scope

        with custom_object_scope(custom_objects or {}):
            if {"layers", "input_layers", "output_layers"} <= set(config):
                inputs, outputs = graph_from_config(config)
                arguments = {"name": config.get("name"), "trainable": config.get("trainable")}
                if _keeps_graph_constructor(cls):
                    return cls(inputs, outputs, **arguments)
            try:
                return cls(**config)
            except TypeError as error:
                raise TypeError(
                    f"Unable to revive model from config. When overriding the `get_config()` "
                    f"method, make sure that the returned config contains all items used as "
                    f"arguments in the constructor to {cls}. config={config}\nError: {error}"
                ) from error

    def to_json(self, **kwargs: Any) -> str:
        """Return the configuration as JSON; `densa.models.model_from_json` reads it.

        Example:
            >>> text = densa.Sequential([densa.Input((2,)), densa.layers.Dense(1)]).to_json()
            >>> densa.models.model_from_json(text).count_params()
            3
        """
        import json

        from densa.saving.serialization import serialize_with_sharing

        return json.dumps(serialize_with_sharing(self), **kwargs)

    def save(self, filepath: Any, overwrite: bool = True, **kwargs: Any) -> None:
        """Save configuration, weights, optimizer state and random state in one file.

        The loaded model goes on as this one would, with callbacks that go on, too, if it is given
        them: see `densa.saving.save_model`.

        Args:
            filepath: a path ending in `.densa`.
            overwrite: False asks before replacing a file.
            callbacks: callbacks whose state is kept; None: those of a running `fit`.

        Raises:
            ValueError: for another ending, or a model that data cannot describe.
        """
        from densa.saving.saving_api import save_model

        save_model(self, filepath, overwrite=overwrite, **kwargs)

    @hinted
    def save_weights(self, filepath: Any, overwrite: bool = True) -> None:
        """Save the weights alone.

        Args:
            filepath: a path ending in `.weights.densa`.
            overwrite: False asks before replacing a file.
        """
        from densa.saving.saving_api import save_weights

        save_weights(self, filepath, overwrite=overwrite)

    def export(self, filepath: Any, format: str = "onnx", verbose: Any = None, **how: Any) -> None:
        """Write what the model predicts as an ONNX file: `densa.onnx.export`.

        Args:
            filepath: the file.
            format: "onnx"; Keras' other formats are those of its backends.
            verbose: accepted for Keras, as `input_signature` of None is.

        Raises:
            ValueError: for another format; and what `densa.onnx.export` raises.
        """
        if format != "onnx" or any(value is not None for value in how.values()):
            raise ValueError(f"export: the format must be 'onnx'; got {format!r} and {how}.")
        from densa.onnx import export

        export(self, filepath)

    def load_weights(self, filepath: Any, skip_mismatch: bool = False, **kwargs: Any) -> None:
        """Load weights saved by `save_weights` or `save`.

        Args:
            filepath: the file.
            skip_mismatch: leave weights alone whose name or shape does not fit, with a warning.

        Raises:
            ValueError: if the file is not whole, or does not fit the model; nothing changes then.
        """
        from densa.saving.saving_api import load_weights

        load_weights(self, filepath, skip_mismatch=skip_mismatch, **kwargs)

    def __getstate__(self) -> dict[str, Any]:
        # Runners hold plans of the engine; they are made again when they are needed. A copy made
        # in a callback is not being trained.
        state = {k: v for k, v in Layer.__getstate__(self).items() if not _is_native(v)}
        idle = {"_fitting": False, "_pending_logs": None, "_monte_carlo": None}
        idle |= {"_training": None, "_going_on": None}
        return {**state, **idle, "_runners": {}, "history": None}


# ---- helpers -------------------------------------------------------------------------------------


def _keeps_graph_constructor(cls: type) -> bool:
    """Tell whether a class is made with (inputs, outputs) as Model is."""
    init = cls.__init__  # type: ignore[misc]
    if init is Model.__init__:
        return True
    names = list(inspect.signature(init).parameters)[1:]
    return names[:2] == ["inputs", "outputs"] or names == ["args", "kwargs"]


def _is_native(value: Any) -> bool:
    """Tell whether a value belongs to the engine alone, such as a plan, and is made again."""
    native = type(value).__module__.startswith("densa._core")
    return native and not isinstance(value, (_core.Tensor, _core.Variable))
