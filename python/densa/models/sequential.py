"""`Sequential`: one layer after the other."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from typing import Any

from densa._names import hinted
from densa._symbolic import KerasTensor, is_keras_tensor, standardize_shape
from densa.layers.embedding import Embedding
from densa.layers.input_layer import InputLayer
from densa.layers.layer import Layer
from densa.models.graph import Graph
from densa.models.inputs import check_tensors, with_masks
from densa.models.model import Model
from densa.utils import tree


class Sequential(Model):
    """One layer after the other.

    Without an `Input` at the front the layers are built when data first passes.

    Args:
        layers: the layers in order.
        trainable: whether `fit` changes their variables.
        name: its name; made up if None.

    Raises:
        ValueError: for something that is not a layer, or two layers of one name.

    Example:
        >>> model = densa.Sequential([densa.Input((784,)), densa.layers.Dense(10)])
        >>> model.count_params()
        7850
    """

    def __init__(self, layers: Any = None, trainable: bool = True, name: str | None = None) -> None:
        super().__init__(trainable=trainable, name=name)
        self._stack: list[Layer] = []
        if layers is not None:
            if isinstance(layers, Layer):
                layers = [layers]
            if not isinstance(layers, Iterable):
                raise TypeError(f"Sequential: `layers` must be a list; received {layers!r}.")
            for layer in layers:
                self._append(layer)
            self._rebuild()
        if not trainable:
            self.trainable = False

    def _like(self, layers: list[Any]) -> Sequential:
        """What `clone_model` makes of a copy's layers; a subclass can keep more than the name."""
        return Sequential(layers, name=self.name)

    # ---- the stack -------------------------------------------------------------------------------

    @hinted
    def add(self, layer: Any, rebuild: bool = True) -> None:
        """Put a layer at the end.

        Raises:
            ValueError: if it is not a layer, or its name is taken.

        Example:
            >>> model = densa.Sequential()
            >>> model.add(densa.layers.Dense(2))
            >>> len(model.layers)
            1
        """
        before = list(self._stack), self.built, self._graph, self._build_shapes
        try:
            self._append(layer)
            if rebuild:
                self._rebuild()
            else:
                self._forget()
        except BaseException:
            self._stack[:], self.built, self._graph, self._build_shapes = before
            raise

    @hinted
    def pop(self, rebuild: bool = True) -> Layer:
        """Take the last layer off and return it.

        Raises:
            TypeError: if there is none.
        """
        if not self.layers:
            raise TypeError("There are no layers in the model.")
        layer = self._stack.pop()
        if rebuild:
            self._rebuild()
        else:
            self._forget()
        return layer

    def _append(self, layer: Any) -> None:
        if is_keras_tensor(layer):
            history = layer._keras_history
            if history is not None and isinstance(history[0], InputLayer):
                layer = history[0]
        if not isinstance(layer, Layer):
            raise ValueError(
                "Only instances of `densa.Layer` can be added to a Sequential model. Received: "
                f"{layer} (of type {type(layer)})"
            )
        if any(part is self for part in layer._flatten_layers()):
            raise ValueError(f"Sequential model '{self.name}' cannot hold itself.")
        if any(layer.name == other.name for other in self._stack):
            raise ValueError(
                "All layers added to a Sequential model should have unique names. Name "
                f"'{layer.name}' is already the name of a layer in this model. Update the `name` "
                "argument to pass a unique name."
            )
        starts = bool(self._stack) and isinstance(self._stack[0], InputLayer)
        if isinstance(layer, InputLayer) and starts:
            raise ValueError(
                f"Sequential model '{self.name}' has already been configured to use input shape "
                f"{self._stack[0].output.shape}. You cannot add a different Input layer to it."
            )
        if not self._stack and not isinstance(layer, InputLayer):
            shape = layer._input_shape_arg
            graph = getattr(layer, "_graph", None)
            if shape is not None:
                self._stack.append(InputLayer(shape=shape))
            elif graph is not None and len(graph.inputs) == 1 and isinstance(layer, Model):
                x = graph.inputs[0]
                self._stack.append(InputLayer(batch_shape=x.shape, dtype=x.dtype))
        if isinstance(layer, InputLayer):
            self._stack.insert(0, layer)
        else:
            self._stack.append(layer)

    def _forget(self) -> None:
        self.built = False
        self._graph = None
        self._build_shapes = None

    def _rebuild(self) -> None:
        self._forget()
        if self._stack and isinstance(self._stack[0], InputLayer) and len(self._stack) > 1:
            self.build(self._stack[0].batch_shape)

    def build(self, input_shape: Any = None) -> None:
        """Build the layers for an input shape with the batch; makes the symbolic graph.

        Raises:
            ValueError: if a layer does not fit, naming it.
        """
        if not self._stack:
            raise ValueError(
                f"Sequential model {self.name} cannot be built because it has no layers. Call "
                "`model.add(layer)`."
            )
        if self._graph is not None:
            return
        if input_shape is None:
            raise ValueError(
                f"Sequential model {self.name}: build() needs the shape of the input with the "
                "batch, such as (None, 784)."
            )
        shape = standardize_shape(input_shape)
        if isinstance(self._stack[0], InputLayer):
            if self._stack[0].batch_shape != shape:
                raise ValueError(
                    f"Sequential model '{self.name}' has already been configured to use input "
                    f"shape {self._stack[0].batch_shape}. You cannot build it with input_shape "
                    f"{shape}"
                )
        else:
            self._stack.insert(0, InputLayer(batch_shape=shape, dtype=self.variable_dtype))
        inputs = x = self._stack[0].output
        for layer in self._stack[1:]:
            x = layer(x)
        self._graph = Graph(inputs, x)

    def _build_from(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        value = self._first(args, kwargs)
        if self._stack and hasattr(value, "shape"):
            shape = (None, *tuple(value.shape)[1:])
            if not isinstance(self._stack[0], InputLayer):
                # Indices stay integers; all else is cast to floats, as in Keras.
                dtype = str(value.dtype) if isinstance(self._stack[0], Embedding) else None
                dtype = dtype or self.variable_dtype
                self._stack.insert(0, InputLayer(batch_shape=shape, dtype=dtype))
            self.build(self._stack[0].output.shape)
            return
        if self._stack:
            check_tensors(self.name, tree.flatten(value))
        self.build(None)

    @property
    def input_dtype(self) -> str:
        """Type that floating inputs are cast to: the first layer does that itself."""
        return self.variable_dtype

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        if self._graph is not None:
            (x,) = self._standardize_inputs(inputs)
        else:
            x = inputs
        (x,) = with_masks([x], mask)
        for layer in self._stack:
            if not isinstance(layer, InputLayer):
                x = layer(x, training=training) if _takes_training(layer) else layer(x)
        return x

    def _own_layers(self) -> list[Layer]:
        return list(getattr(self, "_stack", ()))

    @property
    def layers(self) -> list[Layer]:
        """The layers in order, without the Input."""
        stack = self._stack
        return list(stack[1:] if stack and isinstance(stack[0], InputLayer) else stack)

    def compute_output_shape(self, input_shape: Any) -> Any:
        if self._graph is not None:
            return (input_shape[0], *self._graph.outputs[0].shape[1:])
        for layer in self.layers:
            input_shape = layer.compute_output_shape(input_shape)
        return input_shape

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        if self._graph is None:
            return Model.compute_output_spec(self, *args, **kwargs)
        (x,) = self._standardize_inputs(args[0])
        symbol = self._graph.outputs[0]
        first = x.shape[0] if symbol.shape[:1] == (None,) else symbol.shape[0]
        return KerasTensor((first, *symbol.shape[1:]), symbol.dtype)

    # ---- configuration ---------------------------------------------------------------------------

    def get_config(self) -> dict[str, Any]:
        from densa.models.graph import operation_config

        out: dict[str, Any] = {
            "name": self.name,
            "trainable": self.trainable,
            "dtype": Layer.get_config(self)["dtype"],
            "layers": [operation_config(layer) for layer in self._stack],
        }
        if self._graph is not None:
            out["build_input_shape"] = self._graph.inputs[0].shape
        return out

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Any:
        from densa.saving.object_registration import custom_object_scope
        from densa.saving.serialization import deserialize_keras_object

        if "layers" not in config:
            return super().from_config(config, custom_objects)
        with custom_object_scope(custom_objects or {}):
            layers = [deserialize_keras_object(data) for data in config["layers"]]
        if _takes_layers(cls):
            model = cls(layers, name=config.get("name"))
        else:
            model = cls()
            for layer in layers:
                model.add(layer)
        shape = config.get("build_input_shape")
        if model._graph is None and shape and layers:
            model.build(tuple(shape))
        if config.get("trainable") is False:
            model.trainable = False
        return model


def _takes_training(layer: Layer) -> bool:
    return "training" in layer._call_signature.parameters


def _takes_layers(cls: type) -> bool:
    names = list(inspect.signature(cls.__init__).parameters)  # type: ignore[misc]
    return "layers" in names and "name" in names
