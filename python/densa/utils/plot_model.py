"""`plot_model`: the graph of a model as a picture, drawn by Graphviz where it is installed."""

from __future__ import annotations

import os
from typing import Any


def model_to_dot(
    model: Any,
    show_shapes: bool = False,
    show_dtype: bool = False,
    show_layer_names: bool = True,
    rankdir: str = "TB",
    expand_nested: bool = False,
    dpi: int = 200,
    subgraph: bool = False,
    show_layer_activations: bool = False,
    show_trainable: bool = False,
    **kwargs: Any,
) -> str:
    """Return the graph of a model as text in Graphviz' DOT language.

    Args: as for `plot_model`.

    Raises:
        ValueError: if the model is not built.

    Example:
        >>> model = densa.Sequential([densa.Input((2,)), densa.layers.Dense(1)])
        >>> densa.utils.model_to_dot(model).startswith("digraph")
        True
    """
    if not model.built:
        raise ValueError(
            "This model has not yet been built. Build the model first by calling `build()` or by "
            "calling the model on a batch of data."
        )

    def label(operation: Any) -> str:
        lines = [getattr(operation, "op_name", type(operation).__name__)]
        if show_layer_names:
            lines.insert(0, operation.name)
        activation = getattr(operation, "activation", None)
        if show_layer_activations and activation is not None:
            lines.append(f"activation: {getattr(activation, '__name__', activation)}")
        if show_shapes and operation._inbound_nodes:
            node = operation._inbound_nodes[0]
            lines.append(f"output: {', '.join(str(x.shape) for x in node.outputs)}")
        if show_dtype and operation._inbound_nodes:
            lines.append(str(operation._inbound_nodes[0].outputs[0].dtype))
        if show_trainable and hasattr(operation, "trainable"):
            lines.append("trainable" if operation.trainable else "frozen")
        return "\\n".join(line.replace('"', "'") for line in lines)

    graph = model._graph
    operations = model.operations
    number = {id(op): i for i, op in enumerate(operations)}
    lines = ["digraph {", f"  rankdir={rankdir}; dpi={int(dpi)};", "  node [shape=box];"]
    lines += [f'  n{number[id(op)]} [label="{label(op)}"];' for op in operations]
    if graph is not None:
        for node in graph.nodes:
            for x in node.inputs:
                source = number.get(id(x._keras_history[0]))
                target = number.get(id(node.operation))
                if source is not None and target is not None:
                    lines.append(f"  n{source} -> n{target};")
    return "\n".join([*lines, "}"])


def plot_model(
    model: Any,
    to_file: Any = "model.png",
    show_shapes: bool = False,
    show_dtype: bool = False,
    show_layer_names: bool = False,
    rankdir: str = "TB",
    expand_nested: bool = False,
    dpi: int = 200,
    show_layer_activations: bool = False,
    show_trainable: bool = False,
    **kwargs: Any,
) -> None:
    """Draw the graph of a model into a file.

    Args:
        model: a built model.
        to_file: the file; `.dot` needs nothing, pictures need the program `dot` of Graphviz.
        show_shapes: write output shapes.
        show_dtype: write types.
        show_layer_names: write names beside classes.
        rankdir: `"TB"` from top to bottom, `"LR"` from left to right.
        expand_nested: accepted for Keras.
        dpi: resolution of a picture.
        show_layer_activations: write activations.
        show_trainable: write what is frozen.

    Raises:
        ImportError: if a picture is wanted and Graphviz is not installed.

    Example:
        >>> model = densa.Sequential([densa.Input((2,)), densa.layers.Dense(1)])
        >>> import tempfile, os
        >>> densa.utils.plot_model(model, os.path.join(tempfile.mkdtemp(), "model.dot"))
    """
    import shutil  # both slow to load
    import subprocess

    text = model_to_dot(
        model,
        show_shapes=show_shapes,
        show_dtype=show_dtype,
        show_layer_names=show_layer_names,
        rankdir=rankdir,
        dpi=dpi,
        show_layer_activations=show_layer_activations,
        show_trainable=show_trainable,
    )
    path = os.fspath(to_file)
    kind = os.path.splitext(path)[1].lstrip(".") or "png"
    if kind == "dot":
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return
    program = shutil.which("dot")
    if program is None:
        raise ImportError(
            "You must install Graphviz (https://graphviz.gitlab.io/download/) for `plot_model` to "
            "draw pictures; to_file='model.dot' writes the graph as text without it."
        )
    subprocess.run([program, f"-T{kind}", "-o", path], input=text.encode(), check=True)
