"""`load`: an ONNX file as a densa model."""

from __future__ import annotations

import os
from typing import Any, cast

from densa import config, layers
from densa._names import hinted
from densa._numbers import path_of
from densa._symbolic import KerasTensor, OpCall
from densa.models import Model
from densa.models.graph_builder import clean_name
from densa.onnx._library import library, type_name
from densa.onnx.operators import OPERATORS
from densa.onnx.reader import GraphReader, in_order

_OLDEST = 7  # before, operands were broadcast by other rules
_TYPES = ("float32", "float64", "bool", "int8", "int16", "int32", "int64", "uint8", "uint16",
          "uint32", "uint64")  # fmt: skip


@hinted
def load(path: Any) -> Model:
    """Read an ONNX file as a model that trains, saves and predicts like any other.

    Products with constants become Dense layers, lookups in constant tables Embedding, and
    normalisations, Dropout, Flatten, Reshape, Concat and the like the layers of that name; other
    operators become functions of `densa.ops` with the file's constants. Inputs keep their names,
    with "/" and ":" replaced, and an input whose first size is a name or missing takes any number
    of rows. Weights in files of external data are read from beside the file.

    Args:
        path: the file.

    Returns:
        A functional Model.

    Raises:
        ImportError: if the package onnx is not installed.
        FileNotFoundError: if there is no such file.
        ValueError: if the file is not a whole and valid ONNX graph, or holds what densa does not
            have; the message names the node.

    Example:
        >>> model = densa.Sequential([densa.Input((4,)), densa.layers.Dense(2, "relu")])
        >>> densa.onnx.export(model, "model.onnx")
        >>> densa.onnx.load("model.onnx").count_params()
        10
    """
    name = path_of("onnx.load: `path`", path)
    proto = _parse(name)
    try:
        return model_from_proto(proto)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error


def _parse(name: str) -> Any:
    onnx = library()
    if not os.path.exists(name):
        raise FileNotFoundError(f"There is no file {name!r}.")
    try:
        proto = onnx.load(name)
        if proto.functions:
            from onnx.inliner import inline_local_functions

            proto = inline_local_functions(proto)
        onnx.checker.check_model(proto)
    except Exception as error:  # the parser's own errors are of many kinds
        raise ValueError(f"{name} is not a valid ONNX file: {error}") from error
    return proto


def model_from_proto(proto: Any) -> Model:
    """Return the graph of a checked onnx.ModelProto as a model."""
    onnx = library()
    versions = {o.domain: o.version for o in proto.opset_import}
    opset = versions.get("", versions.get("ai.onnx", 0))
    if opset < _OLDEST:
        raise ValueError(f"the file is of opset {opset}; densa reads {_OLDEST} and later.")
    graph = proto.graph
    reader = GraphReader(graph, opset)
    for tensor in graph.initializer:
        try:
            reader.values[tensor.name] = onnx.numpy_helper.to_array(tensor)
        except Exception as error:  # of many kinds, for types and sizes that make no sense
            raise ValueError(f"the constant {tensor.name!r} is damaged: {error!r}.") from error
        if reader.values[tensor.name].dtype.name in ("float16", "bfloat16"):
            raise ValueError(
                f"the constant {tensor.name!r} is of 16 bits; convert the file to float32 first."
            )
    if graph.sparse_initializer:
        raise ValueError("the file has sparse constants, which densa does not read.")
    inputs = [_input(reader, x) for x in graph.input if x.name not in reader.values]
    in_order(reader, OPERATORS)
    outputs = [_output(reader, name) for name in reader.outputs]
    name = clean_name(str(graph.name) or "model")  # bytes where it is no text
    one = inputs[0] if len(inputs) == 1 else inputs
    return Model(one, outputs[0] if len(outputs) == 1 else outputs, name=name)


def _input(reader: GraphReader, info: Any) -> KerasTensor:
    kind = info.type.tensor_type
    dtype = type_name(kind.elem_type)
    if dtype not in _TYPES:
        raise ValueError(f"the input {info.name!r} is of type {dtype}; densa reads {_TYPES}.")
    shape = [d.dim_value if d.HasField("dim_value") else None for d in kind.shape.dim]
    if not shape:
        raise ValueError(f"the input {info.name!r} has no axes; the first must be the rows.")
    x: KerasTensor = layers.Input(
        batch_shape=tuple(shape), dtype=dtype, name=reader.unique(info.name)
    )
    reader.values[info.name] = x
    return x


def _output(reader: GraphReader, name: str) -> KerasTensor:
    """Return an output, from a layer of that name."""
    x = reader.values.get(name)
    if not isinstance(x, KerasTensor):
        raise ValueError(f"the output {name!r} does not depend on the inputs.")
    assert x._keras_history is not None
    operation = x._keras_history[0]
    if name not in reader.kept:
        return x
    wanted = reader.output_name(name)
    if isinstance(operation, OpCall) and id(operation) not in reader.named:
        reader.named.add(id(operation))
        operation.name = wanted
        return x
    same = layers.Identity(name=wanted, dtype=x.dtype if config.is_float(x.dtype) else None)
    return cast(KerasTensor, same(x))
