"""A directed graph without cycles as an SVG picture: boxes in layers, arrows between them."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import NamedTuple

_LINE, _LETTER = 15.0, 7.6  # pixels: height of a line of text, mean width of a letter
_PAD, _GAP, _BETWEEN = 8.0, 24.0, 34.0  # inside a box, beside boxes, between layers
_SWEEPS = 8  # passes that order the boxes of each layer


class Graph(NamedTuple):
    """Node i has the lines `labels[i]`, an edge goes from source to target, and what stands in a
    node of its own is drawn in its box."""

    labels: Sequence[Sequence[str]]
    edges: Iterable[tuple[int, int]]
    inner: Mapping[int, Graph] = {}


def graph_svg(
    labels: Sequence[Sequence[str]],
    edges: Iterable[tuple[int, int]],
    rankdir: str = "TB",
    inner: Mapping[int, Graph] | None = None,
) -> str:
    """The picture of a graph.

    A node lies one layer behind the last of its sources (longest path). An edge over several
    layers bends around their boxes through places of its own. The order within a layer follows the
    mean place of the neighbours (Sugiyama, Tagawa and Toda, 1981). A node that holds a graph is a
    box around the picture of that.

    Args:
        labels: Lines of text of each box.
        edges: Pairs of numbers of nodes; no cycles.
        rankdir: `"TB"` layers from top to bottom, `"LR"` from left to right.
        inner: Graphs that stand in nodes, by the nodes' numbers.

    Returns:
        An SVG document as text.

    Raises:
        ValueError: Another `rankdir`, or a cycle.
    """
    if rankdir not in ("TB", "LR"):
        raise ValueError(f'rankdir must be "TB" or "LR", got {rankdir!r}')
    layout = _lay(Graph(labels, edges, inner or {}), rankdir == "LR")
    width, height = (size + 2 * _GAP for size in layout.size)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="{-_GAP:.0f} {-_GAP:.0f} {width:.0f} {height:.0f}">',
        '<defs><marker id="arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" '
        'markerHeight="7" orient="auto"><path d="M0,0L8,4L0,8z" fill="#555"/></marker></defs>',
        '<rect x="-1000" y="-1000" width="100000" height="100000" fill="white"/>',
        *_draw(layout, 0.0, 0.0),
        "</svg>",
        "",
    ]
    return "\n".join(parts)


@dataclass
class _Layout:
    """Where everything of a graph stands, from (0, 0) to `size`."""

    across: bool  # from left to right: layers lie along x
    labels: Sequence[Sequence[str]]
    widths: list[float]
    heights: list[float]
    level: list[int]
    routes: list[list[int]]
    thick: list[float]  # of each layer, along
    # Centres (side, along): x and y from top to bottom, y and x from left to right.
    side: dict[int, float]
    along: dict[int, float]
    size: tuple[float, float]
    inner: dict[int, _Layout] = field(default_factory=dict)


def _lay(graph: Graph, across: bool) -> _Layout:
    labels, edges = graph.labels, list(dict.fromkeys(graph.edges))
    inner = {n: _lay(held, across) for n, held in graph.inner.items()}
    level = _levels(len(labels), edges)
    routes = _routes(len(labels), edges, level)
    layers = _order(level, routes)
    widths = [
        max((len(line) for line in lines), default=0) * _LETTER + 2 * _PAD for lines in labels
    ]
    heights = [max(1, len(lines)) * _LINE + 2 * _PAD for lines in labels]
    for n, held in inner.items():
        widths[n] = max(widths[n], held.size[0] + 2 * _PAD)
        heights[n] += held.size[1] + _PAD
    along_size = widths if across else heights
    side_size = heights if across else widths
    thick = [max(along_size[n] for n in layer if n < len(labels)) for layer in layers]
    side, along = _places(layers, side_size, thick)
    depth = sum(thick) + _BETWEEN * max(0, len(thick) - 1)
    breadth = max((side[n] + size / 2 for n, size in _sized(layers, side_size)), default=0.0)
    size = (depth, breadth) if across else (breadth, depth)
    return _Layout(across, labels, widths, heights, level, routes, thick, side, along, size, inner)


def _draw(layout: _Layout, left: float, top: float) -> list[str]:
    """Arrows and boxes with the layout's corner at a place."""
    side, along = layout.side, layout.along
    along_size = layout.widths if layout.across else layout.heights

    def at(place: tuple[float, float]) -> str:
        x, y = (place[1], place[0]) if layout.across else place
        return f"{left + x:.1f},{top + y:.1f}"

    parts = []
    for route in layout.routes:
        start, end = route[0], route[-1]
        path = f"M{at((side[start], along[start] + along_size[start] / 2))}"
        # Straight beside the boxes of a layer, bent between layers.
        for before, n in itertools.pairwise(route):
            here = (side[before], along[before] + layout.thick[layout.level[before]] / 2)
            there = (side[n], along[n] - layout.thick[layout.level[n]] / 2)
            middle = (here[1] + there[1]) / 2
            path += f"L{at(here)}C{at((here[0], middle))} {at((there[0], middle))} {at(there)}"
        if along_size[end] < layout.thick[layout.level[end]]:  # else an arrow of length 0 behind it
            path += f"L{at((side[end], along[end] - along_size[end] / 2))}"
        parts.append(
            f'<path d="{path}" fill="none" stroke="#555" stroke-width="1.2" '
            'marker-end="url(#arrow)"/>'
        )
    for n, lines in enumerate(layout.labels):
        x, y = (along[n], side[n]) if layout.across else (side[n], along[n])
        width, height = layout.widths[n], layout.heights[n]
        x, y = left + x, top + y
        held = layout.inner.get(n)
        look = (
            'fill="#eef3fa" stroke="#2a6fbb"'
            if held is None
            else 'fill="#fafafa" stroke="#888" stroke-dasharray="5 3"'
        )
        parts.append(
            f'<rect x="{x - width / 2:.1f}" y="{y - height / 2:.1f}" width="{width:.1f}" '
            f'height="{height:.1f}" rx="4" {look}/>'
        )
        for i, line in enumerate(lines):
            base = y - height / 2 + _PAD + _LINE * (i + 0.75)
            weight = ' font-weight="bold"' if i == 0 else ""
            parts.append(
                f'<text x="{x:.1f}" y="{base:.1f}" text-anchor="middle" font-size="12" '
                f'font-family="sans-serif"{weight}>{escape(line)}</text>'
            )
        if held is not None:
            parts += _draw(held, x - held.size[0] / 2, y + height / 2 - _PAD - held.size[1])
    return parts


def _levels(count: int, edges: list[tuple[int, int]]) -> list[int]:
    """The longest path from a source to each node."""
    after: dict[int, list[int]] = defaultdict(list)
    waiting = [0] * count
    for source, target in edges:
        after[source].append(target)
        waiting[target] += 1
    level = [0] * count
    ready = [n for n in range(count) if waiting[n] == 0]
    for n in ready:  # grows while it is walked
        for target in after[n]:
            level[target] = max(level[target], level[n] + 1)
            waiting[target] -= 1
            if waiting[target] == 0:
                ready.append(target)
    if len(ready) < count:
        raise ValueError("the graph has a cycle")
    return level


def _routes(count: int, edges: list[tuple[int, int]], level: list[int]) -> list[list[int]]:
    """Each edge as the places that it passes; those between its ends are appended to `level`."""
    routes = []
    for source, target in edges:
        route = [source]
        for between in range(level[source] + 1, level[target]):
            route.append(len(level))
            level.append(between)
        routes.append([*route, target])
    return routes


def _order(level: list[int], routes: list[list[int]]) -> list[list[int]]:
    """The places of each layer, ordered by the mean place of their neighbours."""
    layers: list[list[int]] = [[] for _ in range(max(level, default=-1) + 1)]
    for n, of in enumerate(level):
        layers[of].append(n)
    before: dict[int, list[int]] = defaultdict(list)
    behind: dict[int, list[int]] = defaultdict(list)
    for route in routes:
        for a, b in itertools.pairwise(route):
            before[b].append(a)
            behind[a].append(b)
    place = {n: i for layer in layers for i, n in enumerate(layer)}
    for sweep in range(_SWEEPS):
        down = sweep % 2 == 0
        near = before if down else behind
        for layer in layers if down else reversed(layers):
            means = {
                n: sum(place[m] for m in near[n]) / len(near[n]) if near[n] else place[n]
                for n in layer
            }
            layer.sort(key=lambda n, means=means: means[n])  # type: ignore[misc]
            place.update({n: i for i, n in enumerate(layer)})
    return layers


def _sized(layers: list[list[int]], sizes: list[float]) -> list[tuple[int, float]]:
    """Every place with its size across; those of edges that pass are narrow."""
    return [(n, sizes[n] if n < len(sizes) else 4.0) for layer in layers for n in layer]


def _places(
    layers: list[list[int]], side_size: list[float], thick: list[float]
) -> tuple[dict[int, float], dict[int, float]]:
    """Centres across and along the layers."""
    size = dict(_sized(layers, side_size))
    lengths = [sum(size[n] for n in layer) + _GAP * (len(layer) - 1) for layer in layers]
    widest = max(lengths, default=0.0)
    side: dict[int, float] = {}
    along: dict[int, float] = {}
    depth = 0.0
    for layer, length, height in zip(layers, lengths, thick, strict=True):
        left = (widest - length) / 2
        for n in layer:
            side[n] = left + size[n] / 2
            along[n] = depth + height / 2
            left += size[n] + _GAP
        depth += height + _BETWEEN
    return side, along
