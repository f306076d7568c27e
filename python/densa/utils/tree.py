"""Nested lists, tuples and dicts as trees: flatten, map, pack."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any


def is_nested(x: Any) -> bool:
    """Tell whether x is a list, tuple or dict."""
    return isinstance(x, (list, tuple, dict))


def _rebuild(like: Any, items: list[Any]) -> Any:
    if isinstance(like, tuple):
        return type(like)(*items) if hasattr(like, "_fields") else tuple(items)
    return items


def flatten(tree: Any) -> list[Any]:
    """Return the leaves in order; the items of a dict go by sorted key."""
    out: list[Any] = []
    _flatten_into(tree, out)
    return out


def _flatten_into(tree: Any, out: list[Any]) -> None:
    if isinstance(tree, (list, tuple)):
        for item in tree:
            _flatten_into(item, out)
    elif isinstance(tree, dict):
        for key in _keys(tree):
            _flatten_into(tree[key], out)
    else:
        out.append(tree)


def map_structure(fn: Callable[[Any], Any], tree: Any) -> Any:
    """Return the same structure with fn applied to each leaf."""
    if isinstance(tree, (list, tuple)):
        return _rebuild(tree, [map_structure(fn, item) for item in tree])
    if isinstance(tree, dict):
        return {key: map_structure(fn, value) for key, value in tree.items()}
    return fn(tree)


def pack_like(tree: Any, leaves: Iterable[Any]) -> Any:
    """Return the structure of `tree` filled with `leaves`, in the order of `flatten`."""
    return _pack(tree, iter(leaves))


def _pack(tree: Any, leaves: Iterator[Any]) -> Any:
    if isinstance(tree, (list, tuple)):
        return _rebuild(tree, [_pack(item, leaves) for item in tree])
    if isinstance(tree, dict):
        filled = {key: _pack(tree[key], leaves) for key in _keys(tree)}
        return {key: filled[key] for key in tree}
    return next(leaves)


def _keys(tree: dict[Any, Any]) -> list[Any]:
    try:
        return sorted(tree)
    except TypeError:  # keys of several types
        return list(tree)
