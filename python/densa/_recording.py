"""A model's prediction as a Program of any number of rows, which is what freezing begins with."""

from __future__ import annotations

from typing import Any

from densa import _core, ops
from densa._scope import current_path, place_of_error
from densa._symbolic import KerasTensor, is_keras_tensor
from densa.utils import tree


def record(model: Any, inputs: Any) -> tuple[Any, list[str], Any, Any]:
    """The recorded prediction, the names of its outputs, and how inputs and outputs are nested."""
    structure = _inputs_of(model) if inputs is None else inputs
    leaves = tree.flatten(structure)
    for leaf in leaves:
        if not is_keras_tensor(leaf):
            raise TypeError(f"freeze: inputs must be densa.Input tensors; received {leaf!r}.")
        if None in leaf.shape[1:] or not leaf.shape:
            raise ValueError(
                f"freeze: input {leaf.name!r} has shape {leaf.shape}; all sizes but the first, the "
                "rows, must be known. Pass inputs=densa.Input(...) with these sizes."
            )
    fixed = {leaf.shape[0] for leaf in leaves} - {None}
    if len(fixed) > 1:
        raise ValueError(f"freeze: the inputs have batches of different sizes, {sorted(fixed)}.")
    if not model.built:
        with _core.no_grad():
            model(tree.map_structure(_example, structure), training=False)
    names = _names([leaf.name for leaf in leaves], "input")

    def recorded(rows: int | None) -> tuple[Any, list[str], Any]:
        program = _core.Program(current_path)
        with program, _core.no_grad():
            symbols = [
                _symbol(program, name, (rows, *leaf.shape[1:]), leaf.dtype)
                for name, leaf in zip(names, leaves, strict=True)
            ]
            outputs = model(tree.pack_like(structure, symbols), training=False)
            results = tree.flatten(outputs)
            given = list(getattr(model, "output_names", ())) if _has_graph(model) else []
            if len(given) != len(results):
                given = ["output"] * len(results)
            out_names = _names(given, "output")
            for name, value in zip(out_names, results, strict=True):
                if not isinstance(value, (_core.Tensor, _core.Variable)):
                    kind = type(value).__name__
                    raise ValueError(f"freeze: output {name!r} is {kind}, not a Tensor.")
                program.output(name, _core.to_tensor(value))
        return program, out_names, outputs

    program, out_names, outputs = _recorded_twice(recorded, fixed)
    return program, out_names, structure, outputs


# Two numbers of rows for models that ask for it: no layer has just as many units.
_SIZES = (1009, 1013)


def rows_freed(recorded: Any, sizes: tuple[int, int] = _SIZES) -> tuple[Any, ...]:
    """What is recorded for a number of rows, for any number; the second size shows what differs.

    Args:
        recorded: records for a number of rows; the Program comes first.
        sizes: the numbers of rows.

    Raises:
        ValueError: where a row of something is no row of the batch, or a number is made of theirs.
    """
    pair = []
    for rows in sizes:
        made = recorded(rows)
        made[0].free_rows(rows)
        pair.append(made)
    _check_same(pair[0][0], pair[1][0])
    first: tuple[Any, ...] = pair[0]
    return first


def _recorded_twice(recorded: Any, fixed: set[int]) -> tuple[Any, ...]:
    """A recording for any number of rows; a second one shows what is not always so.

    Args:
        recorded: records for a number of rows, None for any.
        fixed: the size of the batch, if the inputs have one.

    Raises:
        ValueError: if only a fixed number of rows can be recorded, or numbers are asked for; and
            what call raises, with the layer's path.
    """
    try:
        try:
            first, second = recorded(None), recorded(None)
        except (_core.NeedsRows, ValueError) as error:
            if not fixed and not isinstance(error, _core.NeedsRows):
                raise
        else:
            if not fixed or _has_shapes_of(first[0], recorded(max(fixed))[0], max(fixed)):
                _check_same(first[0], second[0])
                return tuple(first)
        return rows_freed(recorded, (max(fixed), max(fixed)) if fixed else _SIZES)
    except _core.SymbolicError as error:
        what = str(error).split(", which has none")[0]
        raise ValueError(
            f"freeze: {_layer(place_of_error(error))} computes in Python with what depends on the "
            f"inputs ({what}), which a frozen network cannot. Use densa.ops there, such as "
            "ops.where instead of `if`."
        ) from error
    except ValueError as error:
        if str(error).startswith("freeze: "):
            raise
        raise ValueError(
            f"freeze: {_layer(place_of_error(error))}: {error}. A frozen network takes any number "
            "of rows: leave the first axis as it is, and its size out of shapes (-1, or None in "
            "ops.broadcast_to)."
        ) from error


def _has_shapes_of(program: Any, fixed: Any, rows: int) -> bool:
    """Tell whether outputs of any rows have the shapes of those of a fixed batch.

    An axis of one row may be taken for another: what squeezes all axes of size 1 drops that one.
    """

    def shapes(of: Any) -> list[Any]:
        values, _, outputs = of.contents()
        found = [values[i][1] for _, i in outputs]
        return [tuple(rows if size is None else size for size in shape) for shape in found]

    return shapes(program) == shapes(fixed)


def _layer(place: str) -> str:
    return f"layer {place!r}" if place else "the model"


def _check_same(program: Any, other: Any) -> None:
    """Raise ValueError where two recordings differ, naming the layer."""
    (values, nodes, _), (others, other_nodes, _) = program.contents(), other.contents()
    places = program.places()
    same = str(program) == str(other)
    reader = 0
    for i, (node, again) in enumerate(zip(nodes, other_nodes, strict=False)):
        constants = [(values[v][2], others[w][2]) for v, w in zip(node[1], again[1], strict=False)]
        if node != again or not all(_same_constant(a, b) for a, b in constants):
            same, reader = False, i
            break
    if not same:
        where = _layer(places[reader]) if reader < len(places) else "the model"
        raise ValueError(
            f"freeze: {where} does not compute the same each time it is called, or for each number "
            "of rows: with random numbers of NumPy, a counter, the time, or a number made from the "
            "size of the batch. A frozen network does. Make such numbers inputs, or draw and count "
            "where call's argument `training` is true only."
        )


def _same_constant(a: Any, b: Any) -> bool:
    if isinstance(a, float) and isinstance(b, float):
        return a == b or (a != a and b != b)
    if not isinstance(a, _core.Tensor) or not isinstance(b, _core.Tensor):
        return True  # inputs and variables, which the text names
    x, y = a.numpy(), b.numpy()
    if x.ctypes.data == y.ctypes.data and x.shape == y.shape:
        return True
    return x.dtype == y.dtype and x.shape == y.shape and x.tobytes() == y.tobytes()


def _has_graph(model: Any) -> bool:
    return getattr(model, "_graph", None) is not None


def _inputs_of(model: Any) -> Any:
    try:
        return model._graph.inputs_struct if _has_graph(model) else model.inputs[0]
    except (AttributeError, IndexError, ValueError):
        if not model.layers:
            raise ValueError(
                f"freeze: model '{model.name}' has no layers, so there is nothing to compute. Add "
                "one first; densa.layers.Identity() gives what it gets."
            ) from None
        raise ValueError(
            f"freeze: model '{model.name}' does not know its inputs. Pass them: "
            "freeze(inputs=densa.Input((features,)))."
        ) from None


def _symbol(program: Any, name: str, shape: tuple[int | None, ...], dtype: str) -> Any:
    """An input; one of 16 bits takes float32 numbers and rounds them, as `predict` does."""
    if dtype in ("float16", "bfloat16"):
        return ops.cast(program.input(name, shape, "float32"), dtype)
    return program.input(name, shape, dtype)


def _example(leaf: KerasTensor) -> Any:
    return ops.zeros((1, *leaf.shape[1:]), leaf.dtype)


def _names(names: list[str], kind: str) -> list[str]:
    """The names, made different from each other."""
    out: list[str] = []
    for name in names:
        name, number = name or kind, 1
        unique = name
        while unique in out:
            unique, number = f"{name}_{number}", number + 1
        out.append(unique)
    return out
