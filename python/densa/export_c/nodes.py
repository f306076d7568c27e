"""Each node of a network as code."""

from __future__ import annotations

from collections.abc import Callable

from densa.export_c import axes, elementwise, moving, products
from densa.export_c.body import Body, Node

_WRITERS: dict[str, Callable[[Body, Node], None]] = {
    "cast": elementwise.cast,
    "where": elementwise.where,
    "broadcast_to": elementwise.broadcast_to,
    "dense": products.product,
    "matmul": products.product,
    "batch_norm": axes.batch_norm,
    **dict.fromkeys(("softmax", "log_softmax"), axes.softmax),
    **dict.fromkeys(axes.REDUCTIONS, axes.reduce),
    **dict.fromkeys(("argmax", "argmin"), axes.arg),
    "argsort": axes.argsort,
    **dict.fromkeys(("reshape", "stop_gradient"), moving.alias),
    "concatenate": moving.concatenate,
    "slice": moving.cut,
    "transpose": moving.transpose,
    "pad_slice": moving.padded,
    "take_along": moving.gather_along,
    **dict.fromkeys(("embedding", "take"), moving.gather),
    "one_hot": moving.one_hot,
}


def write_node(body: Body, node: Node) -> None:
    """Add what the node computes; ValueError for an op that is not known."""
    _WRITERS.get(node["op"], elementwise.formula)(body, node)
