"""The table that `model.summary()` prints."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable
from typing import Any

from densa._numbers import whole_number
from densa._symbolic import KerasTensor
from densa.utils import tree

_BYTES = {"float64": 8, "int64": 8, "uint64": 8, "float32": 4, "int32": 4, "uint32": 4}
_BYTES.update(
    {"float16": 2, "bfloat16": 2, "int16": 2, "uint16": 2, "int8": 1, "uint8": 1, "bool": 1}
)


def count_params(variables: Iterable[Any]) -> int:
    """Return the number of elements of all variables, each counted once."""
    return sum(math.prod(v.shape) for v in dict.fromkeys(variables))


def weight_memory_size(variables: Iterable[Any]) -> int:
    """Return the bytes that all variables take in a file."""
    return sum(math.prod(v.shape) * _BYTES.get(str(v.dtype), 4) for v in dict.fromkeys(variables))


def readable_memory_size(size: float) -> str:
    """Return a number of bytes with its unit: `1.23 KB`."""
    for unit in ("B", "KB", "MB", "GB", "TB"):
        if size < 1024 or unit == "TB":
            break
        size /= 1024
    return f"{size:.2f} {unit}"


def _shape_text(layer: Any) -> str:
    nodes = layer._inbound_nodes
    if nodes:
        shapes = [tuple(x.shape) for x in nodes[0].outputs if isinstance(x, KerasTensor)]
    else:
        shapes = list(layer_output_shapes(layer))
    if not shapes:
        return "?"
    texts = [str(s) for s in shapes]
    return texts[0] if len(texts) == 1 else ", ".join(texts)


def layer_output_shapes(layer: Any) -> list[Any]:
    """Return what is known of the output shapes of a layer that is not part of a graph."""
    shapes = getattr(layer, "_build_shapes", None)
    if not layer.built or not shapes:
        return []
    if type(layer).__module__.split(".")[0] != "densa":
        return []  # working it out would run the user's code
    try:
        out = layer.compute_output_shape(*shapes.values())
    except (NotImplementedError, TypeError, ValueError):
        return []
    if isinstance(out, tuple) and all(d is None or isinstance(d, int) for d in out):
        return [(None, *out[1:])]
    return []


def _connections(layer: Any, model: Any) -> str:
    graph = model._graph
    used = {id(n) for n in graph.nodes}
    parts = []
    for node in layer._inbound_nodes:
        if id(node) not in used:
            continue
        for x in node.inputs:
            operation, node_index, index = x._keras_history
            parts.append(f"{operation.name}[{node_index}][{index}]")
    return ", ".join(parts) if parts else "-"


class _Table:
    """Cells with wrapped text between box-drawing lines."""

    def __init__(self, widths: list[int], alignments: list[str]) -> None:
        self.widths = widths
        self.alignments = alignments
        self.lines: list[str] = []

    def rule(self, left: str, middle: str, right: str, line: str) -> None:
        self.lines.append(left + middle.join(line * (w + 2) for w in self.widths) + right)

    def row(self, cells: list[str], edge: str) -> None:
        wrapped = [_wrap(c, w) for c, w in zip(cells, self.widths, strict=True)]
        for i in range(max(len(w) for w in wrapped)):
            parts = []
            for text, width, side in zip(wrapped, self.widths, self.alignments, strict=True):
                piece = text[i] if i < len(text) else ""
                parts.append(piece.rjust(width) if side == "right" else piece.ljust(width))
            self.lines.append(f"{edge} " + f" {edge} ".join(parts) + f" {edge}")


def _wrap(text: str, width: int) -> list[str]:
    out: list[str] = []
    for word in re.findall(r"\s*\S+\s*", text) or [""]:
        if out and len(out[-1]) + len(word.rstrip()) <= width:
            out[-1] += word
        else:
            while len(word.rstrip()) > width:
                out.append(word[:width])
                word = word[width:]
            out.append(word)
    return [piece.rstrip() for piece in out]


def _rows(model: Any, with_links: bool, nested: bool, trainable: bool) -> list[list[str]]:
    rows: list[list[str]] = []

    def add(layer: Any, depth: int) -> None:
        prefix = "   " * depth + "└ " if depth else ""
        name = f"{prefix}{layer.name} ({type(layer).__name__})"
        params = f"{layer.count_params():,}" if layer.built else "0 (unbuilt)"
        cells = [name, _shape_text(layer), params]
        if with_links:
            cells.append("-" if depth else _connections(layer, model))
        if trainable:
            cells.append(
                "Y" if layer.trainable and layer.weights else "N" if layer.weights else "-"
            )
        rows.append(cells)
        if nested:
            for inner in getattr(layer, "layers", ()):
                add(inner, depth + 1)

    graph = model._graph
    shown = model.layers if graph is None else None
    if graph is not None and not with_links:
        from densa.models.sequential import Sequential

        shown = model.layers if isinstance(model, Sequential) else graph.operations
    for layer in graph.operations if shown is None else shown:
        if hasattr(layer, "count_params"):
            add(layer, 0)
        else:
            shapes = [str(tuple(x.shape)) for x in layer._inbound_nodes[0].outputs]
            kind = "".join(part.capitalize() for part in layer.op_name.split("_"))
            cells = [f"{layer.name} ({kind})", ", ".join(shapes), "0"]
            if with_links:
                cells.append(_connections(layer, model))
            if trainable:
                cells.append("-")
            rows.append(cells)
    return rows


def print_summary(
    model: Any,
    line_length: int | None = None,
    positions: list[float] | None = None,
    print_fn: Callable[[str], Any] | None = None,
    expand_nested: bool = False,
    show_trainable: bool = False,
    layer_range: Any = None,
) -> None:
    """Print the table of a model's layers and its parameter counts."""
    from densa.models.sequential import Sequential

    if line_length is not None:
        line_length = whole_number("summary: line_length", line_length)
    graph = model._graph
    with_links = graph is not None and not isinstance(model, Sequential) and not graph.is_chain
    header = ["Layer (type)", "Output Shape", "Param #"]
    alignments = ["left", "left", "right"]
    default = [0.45, 0.80, 1.0]
    if with_links:
        header, alignments = [*header, "Connected to"], [*alignments, "left"]
        default = [0.30, 0.56, 0.74, 1.0]
    if show_trainable:
        header, alignments = [*header, "Trai…"], [*alignments, "left"]
        default = [p * 0.9 for p in default] + [1.0]
    rows = _rows(model, with_links, expand_nested, show_trainable)
    if layer_range is not None:
        rows = _cut(rows, layer_range)
    shares = list(positions) if positions is not None else default
    if len(shares) != len(header):
        raise ValueError(
            f"`positions` must hold {len(header)} numbers for this table; got {len(shares)}."
        )
    if shares[-1] > 1:  # absolute columns
        line_length = int(shares[-1]) if line_length is None else line_length
        shares = [s / shares[-1] for s in shares]
    import shutil  # slow to load

    room = max(shutil.get_terminal_size((80, 24)).columns - 4, 60)
    length = line_length or min(108 if with_links else 88, room)
    ends = [int(length * s) for s in shares]
    # A column's share holds its text, a space on either side and one border.
    widths = [b - a - 3 for a, b in zip([0, *ends[:-1]], ends, strict=True)]
    widths[1] -= 1  # the border that closes the table
    widths = [max(w, 5) for w in widths]
    if line_length is None and positions is None:
        widths = _fitting(widths, [header, *rows], room)

    table = _Table(widths, alignments)
    table.rule("┏", "┳", "┓", "━")
    table.row(header, "┃")
    table.rule("┡", "╇", "┩", "━")
    for i, row in enumerate(rows):
        if i:
            table.rule("├", "┼", "┤", "─")
        table.row(row, "│")
    table.rule("└", "┴", "┘", "─")
    text = "\n".join([f'Model: "{model.name}"', *table.lines, *_totals(model)])
    (print_fn or print)(text)


def _fitting(widths: list[int], rows: list[list[str]], room: int) -> list[int]:
    """Widths in which no text is broken, where the room is enough for that; else as given."""
    wanted = [max(map(len, column)) for column in zip(*rows, strict=True)]
    if all(w <= given for w, given in zip(wanted, widths, strict=True)):
        return widths
    return wanted if sum(wanted) + 3 * len(wanted) + 1 <= room else widths


def _totals(model: Any) -> list[str]:
    trainable = model.trainable_variables
    fixed = model.non_trainable_variables
    optimizer: list[Any] = []
    found = getattr(model, "optimizer", None)
    if found is not None and getattr(found, "built", False):
        optimizer = list(found.variables)

    def line(name: str, variables: list[Any], more: list[Any]) -> str:
        count = count_params(variables) + count_params(more)
        size = weight_memory_size(variables) + weight_memory_size(more)
        return f" {name}: {count:,} ({readable_memory_size(size)})"

    lines = [
        line("Total params", [*trainable, *fixed], optimizer),
        line("Trainable params", trainable, []),
        line("Non-trainable params", fixed, []),
    ]
    if optimizer:
        lines.append(line("Optimizer params", optimizer, []))
    return lines


def _cut(rows: list[list[str]], layer_range: Any) -> list[list[str]]:
    if not isinstance(layer_range, (list, tuple)) or len(layer_range) != 2:
        raise ValueError(
            "layer_range must be a list or tuple of length 2. Received: "
            f"layer_range={layer_range} of length "
            f"{len(layer_range) if hasattr(layer_range, '__len__') else '?'}"
        )
    names = [row[0].split(" (")[0].lstrip(" └") for row in rows]
    places = []
    for pattern in layer_range:
        hits = [i for i, n in enumerate(names) if n == pattern or re.match(pattern, n)]
        if not hits:
            raise ValueError(f"No layer matches {pattern!r}; the layers are {names}.")
        places.append(hits)
    first, last = min(places[0]), max(places[1])
    if first > last:
        first, last = min(places[1]), max(places[0])
    return rows[first : last + 1]


def flat_shapes(struct: Any) -> Any:
    """Return the shapes of a structure of symbolic tensors; one shape if it is one tensor."""
    if isinstance(struct, KerasTensor):
        return tuple(struct.shape)
    return [tuple(x.shape) for x in tree.flatten(struct)]
