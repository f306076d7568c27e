"""Layers that ONNX has one operator for: what they recorded becomes one call.

The ops would do as well, but a reader finds the layer again, with weights that train.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from densa.layers import LayerNormalization, PReLU

Shape = tuple[int | None, ...]


class Value(NamedTuple):
    """A number of the recording: its type, and where it comes from.

    `source` is an input's name, a Variable, a constant (Tensor or float), or None for some op's
    result.
    """

    dtype: str
    shape: Shape
    source: Any


class Call(NamedTuple):
    """One use of an op: ids of values, attributes, and the layer that it belongs to."""

    op: str
    inputs: list[int]
    outputs: list[int]
    attributes: dict[str, Any]
    place: str


def as_one(layer: Any, calls: list[Call], values: list[Value]) -> list[Call]:
    """Return the calls of one layer, as one where ONNX has it."""
    ids = {id(v.source): i for i, v in enumerate(values) if v.source is not None}

    def one(op: str, *weights: Any, **attributes: Any) -> list[Call]:
        given = [ids[id(w)] for w in weights if w is not None]
        x = calls[0].inputs[0]
        return [Call(op, [x, *given], calls[-1].outputs, attributes, calls[0].place)]

    ops = [call.op for call in calls]
    if type(layer) is PReLU and ops == ["minimum", "multiply", "relu", "add"]:
        return one("prelu", layer.alpha)
    plain = ops[:1] == ["mean"] and not {"cast", "reshape"}.intersection(ops)
    if type(layer) is LayerNormalization and plain and layer.gamma is not None:
        axis = min(calls[0].attributes["axis"])
        weights = (layer.gamma, layer.beta)
        return one("layer_normalization", *weights, axis=axis, epsilon=layer.epsilon)
    return calls
