"""`split_dataset`: arrays into two parts."""

from __future__ import annotations

from typing import Any

import numpy as np

from densa._names import hinted
from densa._philox import Philox
from densa.random import make_default_seed
from densa.utils import tree


@hinted
def split_dataset(
    dataset: Any,
    left_size: float | None = None,
    right_size: float | None = None,
    shuffle: bool = False,
    seed: int | None = None,
    preferred_backend: str | None = None,
) -> tuple[Any, Any]:
    """Split arrays of the same length into a left and a right part.

    Args:
        dataset: an array, or a list, tuple or dict of arrays with as many rows each.
        left_size: rows of the left part, or its share if below 1.
        right_size: the same for the right part; one of the two may be None.
        shuffle: whether rows are drawn in random order.
        seed: of that order.
        preferred_backend: accepted for Keras.

    Returns:
        Two structures like `dataset`, of arrays.

    Raises:
        ValueError: for sizes that do not fit, or arrays of different lengths.

    Example:
        >>> left, right = densa.utils.split_dataset(np.arange(10), left_size=0.8)
        >>> len(left), len(right)
        (8, 2)
    """
    if isinstance(dataset, list) and dataset and not hasattr(dataset[0], "shape"):
        dataset = np.asarray(dataset)
    arrays = [np.asarray(a) for a in tree.flatten(dataset)]
    counts = {len(a) for a in arrays}
    if len(counts) != 1:
        raise ValueError(f"The arrays have different numbers of rows: {sorted(counts)}.")
    (total,) = counts
    left = _rows(left_size, total, "left_size")
    right = _rows(right_size, total, "right_size")
    if left is None and right is None:
        raise ValueError("At least one of `left_size` or `right_size` must be specified.")
    left = total - int(right or 0) if left is None else left
    right = total - left if right is None else right
    if left < 0 or right < 0 or left + right > total or not left or not right:
        raise ValueError(
            f"The sizes {left_size} and {right_size} do not split {total} rows into two parts."
        )
    order = np.arange(total)
    if shuffle:
        bits = Philox(make_default_seed() if seed is None else seed).integers(total)
        order = np.argsort(bits, kind="stable")
    parts = (order[:left], order[left : left + right])
    first, second = (tree.pack_like(dataset, [a[p] for a in arrays]) for p in parts)
    return first, second


def _rows(size: float | None, total: int, name: str) -> int | None:
    if size is None:
        return None
    if isinstance(size, bool) or not isinstance(size, (int, float)) or not size >= 0:
        raise ValueError(f"`{name}` must be a number >= 0; got {size!r}.")
    if isinstance(size, float):
        if size > 1:
            raise ValueError(f"`{name}` as a share must lie between 0 and 1; got {size}.")
        return round(size * total)
    return size
