"""`plot_model`: the graph of a model as a picture, as SVG by densa itself."""

from __future__ import annotations

import os
from typing import Any

from densa._names import refuse_more
from densa._numbers import path_of
from densa.utils.graph_svg import Graph, graph_svg


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
        TypeError: if it is no model.
        ValueError: if the model is not built.

    Example:
        >>> model = densa.Sequential([densa.Input((2,)), densa.layers.Dense(1)])
        >>> densa.utils.model_to_dot(model).startswith("digraph")
        True
    """
    refuse_more(model_to_dot, kwargs)
    graph = _boxes(
        model,
        show_shapes,
        show_dtype,
        show_layer_names,
        expand_nested,
        show_layer_activations,
        show_trainable,
    )
    lines = [f"  rankdir={rankdir}; dpi={int(dpi)}; compound=true;", "  node [shape=box];"]
    lines += _dot_lines(graph, "n")
    return "\n".join(["digraph {", *lines, "}"])


def _dot_lines(graph: Graph, prefix: str) -> list[str]:
    lines = []
    for i, label in enumerate(graph.labels):
        text = "\\n".join(line.replace('"', "'") for line in label)
        if i in graph.inner:
            held = _dot_lines(graph.inner[i], f"{prefix}{i}_")
            lines += [f'  subgraph cluster_{prefix}{i} {{ label="{text}"; style=dashed;', *held]
            lines.append("  }")
        else:
            lines.append(f'  {prefix}{i} [label="{text}"];')
    for source, target in graph.edges:
        # Graphviz draws between boxes; an edge of a cluster is cut off at its border.
        ends = [f"ltail=cluster_{prefix}{source}"] if source in graph.inner else []
        ends += [f"lhead=cluster_{prefix}{target}"] if target in graph.inner else []
        a, b = _box_in(graph, source, prefix, -1), _box_in(graph, target, prefix, 0)
        lines.append(f"  {a} -> {b}{' [' + ', '.join(ends) + ']' if ends else ''};")
    return lines


def _box_in(graph: Graph, node: int, prefix: str, which: int) -> str:
    """The first (0) or last (-1) plain box in a node, the node itself where it holds none."""
    while node in graph.inner:
        graph, prefix = graph.inner[node], f"{prefix}{node}_"
        node = range(len(graph.labels))[which]
    return f"{prefix}{node}"


def _boxes(
    model: Any,
    show_shapes: bool,
    show_dtype: bool,
    show_layer_names: bool,
    expand_nested: bool,
    show_layer_activations: bool,
    show_trainable: bool,
) -> Graph:
    """The lines of each layer's box, from which box to which data go, and boxes in boxes."""
    if not hasattr(model, "operations"):
        raise TypeError(
            f"Expected a model to draw; received {model!r} of type {type(model).__name__}."
        )
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

    def graph_of(model: Any) -> Graph:
        operations = model.operations
        number = {id(operation): i for i, operation in enumerate(operations)}
        edges = [
            (number[id(x._keras_history[0])], number[id(node.operation)])
            for node in (model._graph.nodes if model._graph is not None else ())
            for x in node.inputs
            if id(x._keras_history[0]) in number and id(node.operation) in number
        ]
        inner = {
            i: graph_of(operation)
            for i, operation in enumerate(operations)
            if expand_nested and getattr(operation, "_graph", None) is not None
        }
        return Graph([label(operation) for operation in operations], edges, inner)

    return graph_of(model)


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
        expand_nested: draw the layers of models inside in boxes around them.
        dpi: resolution of a picture.
        show_layer_activations: write activations.
        show_trainable: write what is frozen.

    Raises:
        TypeError: if it is no model.
        ValueError: if the model is not built, or `rankdir` is another.
        ImportError: if a picture other than SVG is wanted and Graphviz is not installed.

    Example:
        >>> model = densa.Sequential([densa.Input((2,)), densa.layers.Dense(1)])
        >>> import tempfile, os
        >>> densa.utils.plot_model(model, os.path.join(tempfile.mkdtemp(), "model.svg"))
    """
    import shutil  # both slow to load
    import subprocess

    refuse_more(plot_model, kwargs)
    path = path_of("plot_model: `to_file`", to_file)
    kind = os.path.splitext(path)[1].lstrip(".").lower() or "png"
    if kind == "svg":
        labels, edges, inner = _boxes(
            model,
            show_shapes,
            show_dtype,
            show_layer_names,
            expand_nested,
            show_layer_activations,
            show_trainable,
        )
        _write(path, graph_svg(labels, edges, rankdir, inner))
        return
    text = model_to_dot(
        model,
        show_shapes=show_shapes,
        show_dtype=show_dtype,
        show_layer_names=show_layer_names,
        rankdir=rankdir,
        expand_nested=expand_nested,
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
