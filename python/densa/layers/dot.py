"""`Dot`: dot products of the samples of two inputs."""

from __future__ import annotations

from typing import Any

import numpy as np

from densa import _core
from densa.layers._helpers import of_length_one
from densa.layers.merge import Merge


class Dot(Merge):
    """Sum of products along one axis of each input, sample by sample.

    Of inputs (n, …a…, k) and (n, k, …b…) it makes (n, …a…, …b…); of two of rank 2, (n, 1).

    Args:
        axes: the axis of both inputs, or one of each; not the batch.
        normalize: whether the vectors get length 1 first, which makes the result their cosine.

    Raises:
        TypeError: for axes that are no integers.
        ValueError: for an axis that an input does not have, or if the sizes differ.

    Example:
        >>> a, b = np.array([[1.0, 2.0]], "float32"), np.array([[3.0, 4.0]], "float32")
        >>> densa.layers.Dot(axes=1)([a, b]).numpy()
        array([[11.]], dtype=float32)
    """

    _exactly = 2

    def __init__(self, axes: Any, normalize: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        several = isinstance(axes, (list, tuple))
        given = list(axes) if several else [axes]
        if any(isinstance(a, bool) or not isinstance(a, (int, np.integer)) for a in given):
            raise TypeError(
                "Invalid type for argument `axes`: it should be an int or two of them. "
                f"Received: axes={axes!r}"
            )
        if several and len(given) != 2:
            raise ValueError(
                "Invalid format for argument `axes`: it should contain two elements. Received: "
                f"axes={axes!r}"
            )
        self.axes = [int(a) for a in given] if several else int(axes)
        self.normalize = bool(normalize)

    def _places(self, shapes: Any) -> list[int]:
        """Return the axis of each input, counted from 0."""
        given = self.axes if isinstance(self.axes, list) else [self.axes] * 2
        ranks = [len(s) for s in shapes]
        places = [a + rank if a < 0 else a for a, rank in zip(given, ranks, strict=True)]
        if any(not 1 <= a < rank for a, rank in zip(places, ranks, strict=True)):
            raise ValueError(
                f"Layer '{self.name}': axes={self.axes} do not fit samples of inputs of ranks "
                f"{ranks} (shapes {[tuple(s) for s in shapes]})."
            )
        sizes = [s[a] for s, a in zip(shapes, places, strict=True)]
        if sizes[0] != sizes[1] or None in sizes:
            raise ValueError(
                f"Layer '{self.name}': incompatible input shapes: size {sizes[0]} of axis "
                f"{places[0]} and size {sizes[1]} of axis {places[1]} must be known and equal. "
                f"Received: {[tuple(s) for s in shapes]}."
            )
        return places

    def call(self, inputs: Any) -> Any:
        self._check(inputs)
        a, b = inputs
        places = self._places([a.shape, b.shape])
        if self.normalize:
            a, b = of_length_one(a, places[:1]), of_length_one(b, places[1:])
        if len(a.shape) == len(b.shape) == 2:
            product = _core.apply("multiply", a, b)
            return _core.apply("sum", product, axis=[1], keepdims=True)
        rows = a.shape[0] if b.shape[0] == 1 else b.shape[0]
        left, right = _matrices(a, places[0]), _matrices(b, places[1])
        out = _core.apply("matmul", left, right, transpose_b=True)
        rest = [*_others(a, places[0]), *_others(b, places[1])]
        return _core.apply("reshape", out, shape=[-1 if rows is None else int(rows), *rest])

    def compute_output_shape(self, input_shape: Any) -> Any:
        self._check(input_shape)
        a, b = (tuple(s) for s in input_shape)
        i, j = self._places([a, b])
        rest = (*a[1:i], *a[i + 1 :], *b[1:j], *b[j + 1 :])
        batch = self._broadcast(a[:1], b[:1], input_shape)
        return (*batch, *rest) if rest else (*batch, 1)

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> None:
        return None

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "axes": self.axes, "normalize": self.normalize}


def _others(x: Any, axis: int) -> list[int]:
    return [int(d) for a, d in enumerate(x.shape) if a not in (0, axis)]


def _matrices(x: Any, axis: int) -> Any:
    """Return x as (rows, all other axes, axis)."""
    perm = [a for a in range(len(x.shape)) if a != axis] + [axis]
    if perm != sorted(perm):
        x = _core.apply("transpose", x, perm=perm)
    if len(x.shape) == 3:
        return x
    rows, others = x.shape[0], int(np.prod(x.shape[1:-1]))
    shape = [-1 if rows is None else int(rows), others, int(x.shape[-1])]
    return _core.apply("reshape", x, shape=shape)


def dot(inputs: Any, axes: Any = -1, **kwargs: Any) -> Any:
    """Return `Dot(axes, **kwargs)(inputs)`.

    Args:
        inputs: a list of two tensors, arrays or symbolic tensors.
        axes: the axis of both, or one of each.
        **kwargs: the layer's: normalize, name, dtype.

    Raises:
        ValueError: if axes or sizes do not fit.

    Example:
        >>> a, b = np.array([[1.0, 2.0]], "float32"), np.array([[3.0, 4.0]], "float32")
        >>> densa.layers.dot([a, b]).numpy()
        array([[11.]], dtype=float32)
    """
    return Dot(axes=axes, **kwargs)(inputs)
