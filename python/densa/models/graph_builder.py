"""`GraphBuilder`: what readers of foreign models share: names, calls of ops, reshapes."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

from densa import config, layers, ops
from densa._symbolic import KerasTensor, OpCall
from densa.layers._shapes import merge_shape_product


class GraphBuilder:
    """Makes layers and ops of a functional model, each with a name of its own."""

    def __init__(self, taken: Iterable[str] = ()) -> None:
        self._names = set(taken)

    def unique(self, name: str) -> str:
        """Return a name for a layer like this one that no other has."""
        name = found = clean_name(name)
        count = 1
        while found in self._names:
            found = f"{name}_{count}"
            count += 1
        self._names.add(found)
        return found

    def call(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Put a function of densa.ops in the graph."""
        plain = getattr(function, "__wrapped__", function)
        return OpCall(plain, self.unique(plain.__name__))(*args, **kwargs)

    def reshape(self, x: KerasTensor, sizes: list[int], name: str) -> Any:
        """Reshape by a layer of this name if that leaves the rows alone, else by an op.

        Raises:
            ValueError: if more than one size is unknown.
        """
        rest = _sample(x.shape, sizes)
        if rest is not None:
            dtype = x.dtype if config.is_float(x.dtype) else None
            if len(rest) == 1:
                return layers.Flatten(name=name, dtype=dtype)(x)
            return layers.Reshape(rest, name=name, dtype=dtype)(x)
        if sizes.count(-1) > 1:
            raise ValueError(f"The shape {sizes} has more than one unknown size.")
        return self.call(ops.reshape, x, tuple(sizes))


def clean_name(name: str) -> str:
    """Return a name without what layers' names must not hold."""
    return name.replace("/", "_").replace(":", "_").replace(".", "_").strip("_") or "layer"


def _sample(shape: Any, sizes: list[int]) -> tuple[int, ...] | None:
    """Return a sample's new shape if a reshape to `sizes` (-1: unknown) leaves the rows alone."""
    inside, rest = merge_shape_product(shape[1:]), tuple(sizes[1:])
    if inside is None or not sizes or rest.count(-1) > 1:
        return None
    given = math.prod(s for s in rest if s != -1)
    if -1 not in rest:
        return rest if given == inside else None
    # The first size must be the rows, and the unknown one is what is left of a sample.
    if sizes[0] not in (-1, shape[0]) or given == 0 or inside % given:
        return None
    return tuple(inside // given if s == -1 else s for s in rest)
