"""Which inputs reach weights as they are: no layer scales them, and they are no ids."""

from __future__ import annotations

from typing import Any

import numpy as np

from densa._symbolic import OpCall
from densa.models.inputs import symbols_of
from densa.training.data import ArraySource
from densa.utils import tree

from .case import Case

_SCALING = (
    "BatchNormalization",
    "GroupNormalization",
    "LayerNormalization",
    "Normalization",
    "RMSNormalization",
    "Rescaling",
    "UnitNormalization",
)
_ENCODING = ("CategoryEncoding", "Discretization", "Embedding")
MOST_TARGETS = 1 << 16
_UNKNOWN = ("Lambda",)  # may scale
_MOVING = ("cast", "concatenate", "expand_dims", "reshape", "squeeze", "stack", "transpose")


def all_rows(source: Any) -> list[Any]:
    """All rows of each input of a source, where it holds them as arrays."""
    found = tree.flatten(source.x) if isinstance(source, ArraySource) else []
    return [x for x in found if x is not None]


def many_targets(source: Any) -> Any:
    """Rows of the targets from all over a source that holds them as one array, else None: those of
    a single batch tell too little of rare classes, and of sorted rows nothing."""
    if not isinstance(source, ArraySource) or not isinstance(source.y, np.ndarray):
        return None
    return source.y[:: max(1, len(source.y) // MOST_TARGETS)]


def raw_inputs(case: Case) -> list[Any]:
    """The rows of those inputs that reach a layer's weights as they are."""
    model = case.model
    rows = case.rows if len(case.rows) == len(case.inputs) else case.inputs
    if getattr(model, "_graph", None) is not None:
        symbols = (
            model._graph.inputs if case.kinds is None else symbols_of(model._graph, case.kinds)
        )
        if symbols is not None and len(symbols) == len(rows):
            found = [_readers(model._graph, [symbol]) == {True} for symbol in symbols]
            return [x for x, raw in zip(rows, found, strict=True) if raw]
    layers = model._flatten_layers(include_self=False)
    if _first(layers) is not True:
        return []
    encodes = any(_is_one(x, _ENCODING) for x in layers)  # perhaps of the whole numbers
    return [x for x in rows if x.dtype.kind == "f" or not encodes]


def _readers(graph: Any, symbols: list[Any]) -> set[bool]:
    # What reads these: True for weights, False for what scales or encodes.
    reached = {id(symbol) for symbol in symbols}
    found = set()
    for node in graph.nodes:
        if node.is_input or not any(id(x) in reached for x in node.inputs):
            continue
        readers = _reader(node.operation)
        found |= readers
        if not readers:
            reached |= {id(x) for x in node.outputs}
    return found


def _reader(operation: Any) -> set[bool]:
    if isinstance(operation, OpCall):
        return set() if operation.op_name in _MOVING else {False}
    graph = getattr(operation, "_graph", None)
    if graph is not None:
        return _readers(graph, graph.inputs)
    first = _first(operation._flatten_layers())
    return set() if first is None else {first}


def _first(layers: list[Any]) -> bool | None:
    for layer in layers:
        if _is_one(layer, (*_SCALING, *_ENCODING, *_UNKNOWN)):
            return False
        if layer._own_variables():
            return True
    return None


def _is_one(layer: Any, names: tuple[str, ...]) -> bool:
    from densa import layers

    return isinstance(layer, tuple(getattr(layers, name) for name in names))
