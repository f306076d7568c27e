"""Shapes and structures of shapes."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np


def is_shape(x: Any) -> bool:
    """Tell whether x is one shape rather than a structure of shapes."""
    return isinstance(x, (list, tuple)) and all(
        d is None or isinstance(d, (int, np.integer)) for d in x
    )


def tree_of_shapes(fn: Callable[[Any], Any], shapes: Any) -> Any:
    """Return a structure of shapes with fn applied to each shape."""
    if is_shape(shapes):
        return fn(tuple(shapes))
    if isinstance(shapes, dict):
        return {k: tree_of_shapes(fn, v) for k, v in shapes.items()}
    return [tree_of_shapes(fn, s) for s in shapes]


def as_shapes(x: Any) -> Any:
    """Return a structure of shapes as tuples, as it was before it went through JSON."""
    return tree_of_shapes(tuple, x) if isinstance(x, (list, tuple, dict)) else x


def merge_shape_product(dims: Any) -> int | None:
    """Return the product of sizes, None if one is unknown."""
    return None if None in dims else math.prod(dims)
