"""Whole numbers as vectors: what `CategoryEncoding` and `Discretization` share."""

from __future__ import annotations

from typing import Any

import numpy as np

from densa import _core
from densa.device import beside

MODES = ("one_hot", "multi_hot", "count")


def encode(ids: Any, mode: str, depth: int, dtype: str, weights: Any = None) -> Any:
    """Return vectors of `depth` numbers for ids, an integer Tensor.

    `one_hot` makes one for each id, without a last axis of one; the others make one for the ids
    along the last axis: which occur, or how often (the sum of their `weights`).
    """
    if not ids.shape:
        ids = _core.apply("reshape", ids, shape=[1])
    if mode == "one_hot" and len(ids.shape) > 1 and ids.shape[-1] == 1:
        ids = _core.apply("reshape", ids, shape=[_open(d) for d in ids.shape[:-1]])
    hot = _core.apply("one_hot", ids, classes=depth, dtype=dtype)
    if mode == "one_hot":
        return hot
    last = len(ids.shape) - 1
    if mode == "multi_hot" and ids.shape[-1] != 0:  # of no ids there is no largest; their sum is 0
        return _core.apply("max", hot, axis=[last])
    if weights is not None:
        column = _core.apply("reshape", weights, shape=[*(_open(d) for d in weights.shape), 1])
        hot = _core.apply("multiply", hot, column)
    return _core.apply("sum", hot, axis=[last])


def encoded_shape(shape: Any, mode: str, depth: int) -> tuple[int | None, ...]:
    """Return the shape that `encode` gives for ids of this shape."""
    if mode == "one_hot":
        return (*(shape[:-1] if len(shape) > 1 and shape[-1] == 1 else shape), depth)
    return (*shape[:-1], depth)


def checked(ids: Any, depth: int, layer: str) -> Any:
    """Return the ids; IndexError, naming the layer, where one lies outside of 0 … depth - 1.

    `one_hot` makes zeros of those; a table of the numbers themselves refuses them, on every path.
    """
    table = _core.to_tensor(np.arange(depth, dtype=np.int64)[:, None])
    what = f"class numbers of layer '{layer}' (num_tokens={depth})"
    found = _core.apply("embedding", beside(table, ids), ids, what=what)
    return _core.apply("reshape", found, shape=[_open(d) for d in ids.shape])


def _open(size: Any) -> int:
    return -1 if size is None else int(size)
