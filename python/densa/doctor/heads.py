"""Which layers give a model's outputs: their activations belong to the task, not to the network."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from densa._symbolic import OpCall


def output_layers(model: Any, seen: Collection[str] = ()) -> list[Any]:
    """The layers that give a model's outputs: from each output back to the first that has weights.

    An activation, a dropout or a scaling behind that one is among them.

    Args:
        model: The model.
        seen: Names of the layers that a probe has seen to give the outputs, for what has no graph:
            a subclass, or one inside of the model. Without them it is what is held last.
    """
    if getattr(model, "_graph", None) is not None:
        return list(dict.fromkeys(_of_graph(model._graph, seen)))
    found = []
    if _is_stack(model):
        for layer in reversed(model.layers):
            found += _of(layer, seen)
            if _weighs(layer):
                break
        return found
    inside = [x for x in model._flatten_layers(include_self=False) if not x._own_layers()]
    last = max((at for at, x in enumerate(inside) if _weighs(x)), default=0)
    return [x for x in inside if x.name in seen] or inside[last:]


def single_output(model: Any) -> bool:
    """Whether a model is a graph of layers with one output, which a layer gives as it is."""
    graph = getattr(model, "_graph", None)
    if graph is None or len(graph.outputs) != 1:
        return False
    symbol = graph.outputs[0]
    last = next(n for n in graph.nodes if any(x is symbol for x in n.outputs))
    inside = getattr(last.operation, "_graph", None)
    if inside is not None:
        return single_output(last.operation)
    return not last.is_input and not isinstance(last.operation, OpCall)


def _of_graph(graph: Any, seen: Collection[str]) -> list[Any]:
    found = []
    wanted = {id(x) for x in graph.outputs}
    for node in reversed(graph.nodes):
        if node.is_input or not any(id(x) in wanted for x in node.outputs):
            continue
        layer = node.operation
        if not isinstance(layer, OpCall):
            found += _of(layer, seen)
            if _weighs(layer):
                continue
        wanted |= {id(x) for x in node.inputs}
    return found


def _of(layer: Any, seen: Collection[str]) -> list[Any]:
    return output_layers(layer, seen) if layer._own_layers() else [layer]


def _is_stack(model: Any) -> bool:
    from densa import Sequential

    return isinstance(model, Sequential)


def _weighs(layer: Any) -> bool:
    # A layer that is not built yet has no variables, but says how its kernel begins.
    return any(
        hasattr(x, "kernel_initializer") or any(v.can_train for v in x._own_variables())
        for x in layer._flatten_layers()
    )
