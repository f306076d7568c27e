"""`plot_model`: the graph of a model as a picture, as SVG by densa itself."""

from __future__ import annotations

import os
from typing import Any

from densa.utils.graph_svg import graph_svg


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
    labels, edges = _boxes(
        model, show_shapes, show_dtype, show_layer_names, show_layer_activations, show_trainable
    )
    lines = ["digraph {", f"  rankdir={rankdir}; dpi={int(dpi)};", "  node [shape=box];"]
    for i, label in enumerate(labels):
        text = "\\n".join(line.replace('"', "'") for line in label)
        lines.append(f'  n{i} [label="{text}"];')
    lines += [f"  n{source} -> n{target};" for source, target in edges]
    return "\n".join([*lines, "}"])


def _boxes(
    model: Any,
    show_shapes: bool,
    show_dtype: bool,
    show_layer_names: bool,
    show_layer_activations: bool,
    show_trainable: bool,
) -> tuple[list[list[str]], list[tuple[int, int]]]:
    """The lines of each layer's box, and from which box to which data go."""
    if not model.built:
        raise ValueError(
            "This model has not yet been built. Build the model first by calling `build()` or by "
            "calling the model on a batch of data."
        )

    def label(operation: Any) -> list[str]:
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
        return lines

    operations = model.operations
    number = {id(operation): i for i, operation in enumerate(operations)}
    edges = [
        (number[id(x._keras_history[0])], number[id(node.operation)])
        for node in (model._graph.nodes if model._graph is not None else ())
        for x in node.inputs
        if id(x._keras_history[0]) in number and id(node.operation) in number
    ]
    return [label(operation) for operation in operations], edges


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
        to_file: the file; `.svg` and `.dot` (text for Graphviz) need nothing, other pictures need
            the program `dot` of Graphviz.
        show_shapes: write output shapes.
        show_dtype: write types.
        show_layer_names: write names beside classes.
        rankdir: `"TB"` from top to bottom, `"LR"` from left to right.
        expand_nested: accepted for Keras.
        dpi: resolution of a picture.
        show_layer_activations: write activations.
        show_trainable: write what is frozen.

    Raises:
        ValueError: if the model is not built, or `rankdir` is another.
        ImportError: if a picture other than SVG is wanted and Graphviz is not installed.

    Example:
        >>> model = densa.Sequential([densa.Input((2,)), densa.layers.Dense(1)])
        >>> import tempfile, os
        >>> densa.utils.plot_model(model, os.path.join(tempfile.mkdtemp(), "model.svg"))
    """
    import shutil  # both slow to load
    import subprocess

    path = os.fspath(to_file)
    kind = os.path.splitext(path)[1].lstrip(".").lower() or "png"
    if kind == "svg":
        labels, edges = _boxes(
            model, show_shapes, show_dtype, show_layer_names, show_layer_activations, show_trainable
        )
        _write(path, graph_svg(labels, edges, rankdir))
        return
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
    if kind == "dot":
        _write(path, text)
        return
    program = shutil.which("dot")
    if program is None:
        raise ImportError(
            "You must install Graphviz (https://graphviz.gitlab.io/download/) for `plot_model` to "
            "draw this kind of picture; to_file='model.svg' draws one without it."
        )
    subprocess.run([program, f"-T{kind}", "-o", path], input=text.encode(), check=True)


def _write(path: str, text: str) -> None:
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
