"""`clone_model`: the same architecture with fresh weights."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext, suppress
from typing import Any

from densa._names import refuse_more
from densa._symbolic import KerasTensor, OpCall
from densa.layers.input_layer import Input, InputLayer
from densa.layers.layer import Layer
from densa.models.model import Model
from densa.models.sequential import Sequential
from densa.saving.serialization import copied_once, copying_with_sharing, made_again
from densa.utils import tree


def _clone_layer(layer: Any) -> Any:
    return copied_once(layer, lambda: made_again(layer))


def _built_like(model: Any, made: Any) -> Any:
    """Return the copy of a subclassed model, with weights where the model has them."""
    shapes = model.get_build_config()
    if shapes and not made.built:
        # A call that cannot be tried on shapes alone builds the copy at its first batch instead.
        with suppress(Exception):
            made.build_from_config(shapes)
    return made


def clone_model(
    model: Any,
    input_tensors: Any = None,
    clone_function: Callable[[Any], Any] | None = None,
    call_function: Callable[..., Any] | None = None,
    recursive: bool = False,
    **kwargs: Any,
) -> Any:
    """Return a model of the same architecture with fresh weights.

    A layer that several models inside share is shared in the copy too, unless clone_function makes
    the copies.

    Args:
        model: the model; a subclassed one is made again from its `get_config`, and built on the
            shapes that it was built on.
        input_tensors: symbolic tensors to use as inputs instead of new ones.
        clone_function: makes the copy of each layer; None means from its configuration.
        call_function: calls a copy: `call_function(layer, *args, **kwargs)`.
        recursive: whether clone_function also goes into models inside.

    Returns:
        The new model.

    Raises:
        ValueError: for something that is not a model.

    Example:
        >>> model = densa.Sequential([densa.Input((2,)), densa.layers.Dense(1)])
        >>> densa.models.clone_model(model).count_params()
        3
    """
    refuse_more(clone_model, kwargs)
    if not isinstance(model, Model):
        raise ValueError(f"Expected `model` argument to be a `Model` instance. Received: {model}")

    def clone(layer: Any) -> Any:
        if recursive and isinstance(layer, Model) and (layer._graph or layer.layers):
            return clone_model(layer, None, clone_function, call_function, recursive)
        if clone_function is None or isinstance(layer, InputLayer):
            return _clone_layer(layer)
        made = clone_function(layer)
        if not isinstance(made, Layer):
            raise ValueError(f"clone_function must return a layer; got {made!r}.")
        return made

    if model._graph is None and not isinstance(model, Sequential):
        if clone_function is not None or input_tensors is not None:
            raise ValueError(
                "Arguments clone_function and input_tensors are only supported for Sequential and "
                "functional models; a subclassed model is made again from its configuration."
            )
        return _built_like(model, _clone_layer(model))
    with nullcontext() if clone_function else copying_with_sharing(model):
        if isinstance(model, Sequential):
            return _clone_sequential(model, input_tensors, clone)
        return _clone_graph(model, input_tensors, clone, call_function)


def _clone_sequential(model: Sequential, input_tensors: Any, clone: Callable[[Any], Any]) -> Any:
    layers = [clone(layer) for layer in model.layers]
    start = model._stack[0] if model._stack else None
    flat = tree.flatten(input_tensors) if input_tensors is not None else []
    if flat:
        if len(flat) != 1 or not isinstance(flat[0], KerasTensor):
            raise ValueError(
                "Argument `input_tensors` must contain a single KerasTensor for a Sequential."
            )
        layers.insert(0, flat[0])
    elif isinstance(start, InputLayer):
        layers.insert(0, Input(batch_shape=start.batch_shape, dtype=start.dtype, name=start.name))
    made = model._like(layers)
    if not model.trainable:
        made.trainable = False
    return made


def _clone_graph(
    model: Any,
    input_tensors: Any,
    clone: Callable[[Any], Any],
    call_function: Callable[..., Any] | None,
) -> Any:
    graph = model._graph
    if input_tensors is None:
        new = [
            Input(batch_shape=x.shape, dtype=x.dtype, name=x._keras_history[0].name)
            for x in graph.inputs
        ]
    else:
        new = tree.flatten(input_tensors)
        if len(new) != len(graph.inputs) or not all(isinstance(x, KerasTensor) for x in new):
            raise ValueError(
                f"`input_tensors` must hold {len(graph.inputs)} KerasTensors; got {input_tensors}."
            )
    values: dict[int, Any] = {id(x): y for x, y in zip(graph.inputs, new, strict=True)}
    made: dict[int, Any] = {}
    for node in graph.nodes:
        if node.is_input:
            continue
        operation = node.operation
        if id(operation) not in made:
            made[id(operation)] = (
                OpCall(operation.function, operation.name)
                if isinstance(operation, OpCall)
                else clone(operation)
            )
        target = made[id(operation)]
        args, kwargs = node.fill(values)
        if call_function is not None and not isinstance(target, OpCall):
            out = call_function(target, *args, **kwargs)
        else:
            out = target(*args, **kwargs)
        for symbol, value in zip(node.outputs, tree.flatten(out), strict=True):
            values[id(symbol)] = value
    inputs = tree.pack_like(graph.inputs_struct, new)
    outputs = tree.map_structure(lambda k: values[id(k)], graph.outputs_struct)
    cls = type(model)
    from densa.models.model import _keeps_graph_constructor

    if not _keeps_graph_constructor(cls):
        cls = Model
    clone_of = cls(inputs, outputs, name=model.name)
    if not model.trainable:
        clone_of.trainable = False
    return clone_of
