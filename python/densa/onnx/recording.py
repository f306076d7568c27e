"""What a model computes, as a list of the engine's ops.

A model is exported from the ops that the engine records when it predicts, not layer by layer:
about 80 ops make up all layers, all functions of `densa.ops` and what users write with them, and
what is exported is what `predict` runs.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from densa import _core
from densa._recording import rows_freed
from densa._scope import current_path, inference_scope
from densa._symbolic import KerasTensor
from densa.layers._shapes import tree_of_shapes
from densa.models import Model, Sequential
from densa.models.graph import Graph
from densa.onnx.whole_layers import Call, Shape, Value, as_one
from densa.utils import tree


class Recording(NamedTuple):
    """A model's prediction: values, uses of ops in order, results as (name, id)."""

    values: list[Value]
    calls: list[Call]
    outputs: list[tuple[str, int]]


def record(model: Any) -> Recording:
    """Record what a model computes when it predicts any number of rows.

    Raises:
        TypeError: if it is no model.
        ValueError: if its inputs are not known, or what it computes needs numbers or sizes that are
            not known in advance, or changes variables.
    """
    if not isinstance(model, Model):
        kind = type(model).__name__
        raise TypeError(f"densa.onnx.export takes a densa.Model; received {kind}.")
    inputs, struct = _inputs(model)
    begins: list[tuple[int, Any]] = []  # where each layer of a functional model begins

    def recorded(rows: int | None) -> tuple[Any]:
        program = _core.Program(current_path)
        begins.clear()

        def begin(operation: Any) -> None:
            begins.append((len(program), operation))

        with program, _core.no_grad():
            symbols = [
                program.input(name, shape if rows is None else (rows, *shape[1:]), dtype)
                for name, shape, dtype in inputs
            ]
            graph = _plain_graph(model)
            if graph is not None:
                with inference_scope(model):
                    result = graph.run(symbols, training=False, begin=begin)
            else:
                result = model(tree.pack_like(struct, symbols), training=False)
            leaves = tree.flatten(result)
            for name, x in zip(_output_names(model, len(leaves)), leaves, strict=True):
                if not isinstance(x, (_core.Tensor, _core.Variable)):
                    raise ValueError(
                        f"Output {name!r} of the model is {type(x).__name__}, not a Tensor."
                    )
                program.output(name, _core.to_tensor(x))
        return (program,)

    try:
        try:
            (program,) = recorded(None)
        except _core.NeedsRows:
            program = _of_any_rows(recorded, model, inputs)
            begins.clear()
    except (_core.SymbolicError, _core.NeedsRows) as error:
        place = f"layer {begins[-1][1].name!r} of " if begins else ""
        raise ValueError(
            f"{place}model {model.name!r} cannot be exported, because it asks for numbers or sizes "
            f"while it computes: {error}"
        ) from error
    return _read(program, begins, model.name)


def _of_any_rows(recorded: Any, model: Any, inputs: list[tuple[str, Shape, str]]) -> Any:
    """The recording of a model that asks how many rows there are, by freezing's rule.

    Raises:
        ValueError: where a row of something is no row of the batch, or a number is made of theirs.
    """
    fixed = [shape[0] for _, shape, _ in inputs if shape[0] is not None]
    if fixed:
        raise ValueError(
            f"Model {model.name!r} has inputs of {fixed[0]} rows and others of any number, and "
            "asks how many there are. Give all of them a batch_shape, or none."
        )
    try:
        return rows_freed(recorded)[0]
    except ValueError as error:
        what = str(error).removeprefix("freeze: ").split(". A frozen network")[0]
        raise ValueError(
            f"Model {model.name!r} cannot be exported for any number of rows: {what}. Compute "
            "without the size of the batch (-1 in a reshape, zeros_like); or give Input a "
            "batch_shape, and the file is for batches of this size."
        ) from error


def _inputs(model: Any) -> tuple[list[tuple[str, Shape, str]], Any]:
    """Return name, shape and type of each input, and the structure they come in."""
    if model._graph is not None:
        struct = model._graph.inputs_struct
        found = [(x.name, x.shape, x.dtype) for x in model._graph.inputs]
    else:
        shapes = (model.get_build_config() or {}).get("input_shape")
        if shapes is None:
            raise ValueError(
                f"Model {model.name!r} is not built, so the shape of its input is not known. Call "
                "it on data, or build() it with a shape, before exporting it."
            )
        struct = tree_of_shapes(lambda s: KerasTensor(s, model.input_dtype), shapes)
        leaves = tree.flatten(struct)
        names = ["input"] if len(leaves) == 1 else [f"input_{i}" for i in range(len(leaves))]
        found = [(n, x.shape, x.dtype) for n, x in zip(names, leaves, strict=True)]
    for name, shape, _ in found:
        if None in shape[1:]:
            raise ValueError(
                f"Input {name!r} of model {model.name!r} has the shape {shape}: only the first "
                "size may be unknown. Give Input the other sizes."
            )
    return found, struct


def _plain_graph(model: Model) -> Graph | None:
    """Return the graph that the model's call replays, None if it does something else."""
    return model._graph if type(model).call in (Model.call, Sequential.call) else None


def _output_names(model: Any, count: int) -> list[str]:
    if model._graph is not None and len(model.output_names) == count:
        return list(model.output_names)
    return ["output"] if count == 1 else [f"output_{i}" for i in range(count)]


def _read(program: Any, begins: list[tuple[int, Any]], name: str) -> Recording:
    raw, nodes, outputs = program.contents()
    values = [Value(*v) for v in raw]
    if not begins:
        places = [place.removeprefix(f"{name}/") or name for place in program.places()]
        calls = [
            Call(op, x, y, given, place)
            for (op, x, y, given), place in zip(nodes, places, strict=True)
        ]
        return _needed(calls, values, outputs, name)
    ends = [at for at, _ in begins[1:]] + [len(nodes)]
    calls = []
    for (begin, layer), end in zip(begins, ends, strict=True):
        own = [Call(op, x, y, given, layer.name) for op, x, y, given in nodes[begin:end]]
        calls += as_one(layer, own, values)
    return _needed(calls, values, outputs, name)


def _needed(
    calls: list[Call], values: list[Value], outputs: list[tuple[str, int]], name: str
) -> Recording:
    """The recording without what no output needs."""
    needed = {i for _, i in outputs}
    kept = []
    for call in reversed(calls):
        if call.op == "assign":
            raise ValueError(
                f"Layer {call.place!r} of model {name!r} changes a variable when it predicts; an "
                "ONNX graph keeps no state."
            )
        if needed.intersection(call.outputs):
            needed.update(call.inputs)
            kept.append(call)
    return Recording(values, kept[::-1], outputs)
