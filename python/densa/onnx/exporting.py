"""`export`: a model's prediction as an ONNX file."""

from __future__ import annotations

from typing import Any

import numpy as np

import densa
from densa import _core
from densa._names import hinted
from densa._numbers import path_of
from densa.onnx._library import IR_VERSION, OPSET, library, type_code
from densa.onnx.lowering import Use, lower
from densa.onnx.recording import Recording, record
from densa.onnx.writer import GraphWriter, Operand
from densa.saving.file_format import write_beside

# What one file of Protocol Buffers can hold.
_LARGEST = 2**31 - 1


@hinted
def export(model: Any, path: Any) -> None:
    """Write what a model predicts as an ONNX file, for any number of rows.

    Layers, functional graphs, subclassed models and functions of `densa.ops` are written as the ops
    that they are made of, without dropout and noise. Inputs and outputs have the names of
    `model.input_names` and `model.output_names`, and the first size is called "batch" where the
    model leaves it open. Where the model takes or gives bfloat16, which NumPy has not, the file has
    float32. The file is checked by the package onnx and written beside the target, then renamed.

    Args:
        model: a model that is built.
        path: the file; ".onnx" is the usual ending.

    Raises:
        ImportError: if the package onnx is not installed.
        TypeError: if it is no model.
        ValueError: if the model is not built, computes what ONNX cannot (the layer and the op are
            named), or is larger than 2 GiB.

    Example:
        >>> model = densa.Sequential([densa.Input((4,)), densa.layers.Dense(2, "relu")])
        >>> densa.onnx.export(model, "model.onnx")
    """
    name = path_of("onnx.export: `path`", path)
    data = model_proto(model).SerializeToString()
    write_beside(name, lambda file: file.write(data))


def model_proto(model: Any) -> Any:
    """Return the model as onnx.ModelProto, checked."""
    onnx = library()
    g = GraphWriter()
    recording = record(model)
    size = sum(
        v.source.numpy().nbytes for v in recording.values if isinstance(v.source, _core.Variable)
    )
    if size > _LARGEST:
        raise ValueError(
            f"The variables of model {model.name!r} take {size} bytes; an ONNX file holds at most "
            f"{_LARGEST}."
        )
    outputs = _write(g, recording)
    graph = onnx.helper.make_graph(
        g.nodes,
        model.name,
        [_info(x) for x in g.inputs],
        [_info(x) for x in outputs],
        initializer=g.constants,
    )
    proto = onnx.helper.make_model(
        graph,
        producer_name="densa",
        producer_version=densa.__version__,
        opset_imports=[onnx.helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
    )
    onnx.checker.check_model(proto, full_check=True)
    return proto


def _info(x: Operand) -> Any:
    shape = ["batch" if d is None else d for d in x.shape]
    return library().helper.make_tensor_value_info(x.name, type_code(x.dtype), shape)


def _write(g: GraphWriter, recording: Recording) -> list[Operand]:
    """Write everything that the recording holds; return the outputs."""
    values = recording.values
    known: dict[int, Operand] = {}
    used = {i for call in recording.calls for i in call.inputs} | {i for _, i in recording.outputs}
    for i, value in enumerate(values):
        if isinstance(value.source, str):
            given = Operand(g.unique(value.source), _handed(value.dtype), value.shape)
            g.inputs.append(given)
            known[i] = given._replace(name=g.as_type(given, value.dtype), dtype=value.dtype)
    results = [(g.unique(name), i) for name, i in recording.outputs]
    for i, value in enumerate(values):
        if value.source is not None and i not in known and i in used:
            known[i] = Operand(_constant(g, value.source, value), value.dtype, value.shape)
    for call in recording.calls:
        g.place = call.place
        y = Operand("", *values[call.outputs[0]][:2])
        use = Use(call.op, [known[i] for i in call.inputs], y, call.attributes)
        try:
            name = lower(g, use)
        except ValueError as error:
            raise ValueError(
                f"Layer {call.place!r} uses the op {call.op!r}, {error}; the model cannot be "
                "exported."
            ) from error
        known[call.outputs[0]] = y._replace(name=name)
    outputs = []
    for name, i in results:
        x = known[i]
        if x.dtype == _handed(x.dtype):
            known[i] = x = _finish(g, x, name)
        else:
            given = Operand(g.as_type(x, _handed(x.dtype)), _handed(x.dtype), x.shape)
            x = _finish(g, given, name)
        outputs.append(x)
    return outputs


def _handed(dtype: str) -> str:
    """Return the type that a graph takes and gives for one of densa's.

    NumPy has no bfloat16, so runtimes can neither be given nor return such arrays.
    """
    return "float32" if dtype == "bfloat16" else dtype


def _constant(g: GraphWriter, source: Any, value: Any) -> str:
    if isinstance(source, float):
        return g.number(np.full(value.shape, source), value.dtype)
    if isinstance(source, _core.Variable):
        return g.add_constant(source.numpy(), getattr(source, "path", source.name), value.dtype)
    return g.add_constant(source.numpy(), "constant", value.dtype)


def _finish(g: GraphWriter, x: Operand, name: str) -> Operand:
    """Give a result its name: the node that makes it takes the name over if nobody else has it."""
    for node in reversed(g.nodes):
        if node.output[0] == x.name and node.name == x.name:
            node.output[0] = name
            for reader in g.nodes:
                for i, read in enumerate(reader.input):
                    if read == x.name:
                        reader.input[i] = name
            return x._replace(name=name)
    g.nodes.append(
        library().helper.make_node("Identity", [x.name], [name], name=f"{name}/Identity")
    )
    return x._replace(name=name)
