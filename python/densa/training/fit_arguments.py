"""What the arguments of `fit` mean: which rows validate, and in which epochs."""

from __future__ import annotations

import math
from typing import Any

from densa.utils import tree
from densa.utils.batches import unpack_x_y_sample_weight

from .arrays import check_rows, is_data, to_arrays
from .feed import Feed


def split_off(
    x: Any, y: Any, sample_weight: Any, split: float, validation_data: Any, class_weight: Any
) -> tuple[Any, Any, Any, Any]:
    """`x`, `y` and weights without the rows at their end that validate, and `validation_data`.

    Raises:
        ValueError: The split is no part, leaves no rows on a side, or `x` is no arrays.
    """
    if not split or validation_data is not None:
        return x, y, sample_weight, validation_data
    if not 0 < split < 1:
        raise ValueError(f"`validation_split` must lie between 0 and 1; received {split!r}.")
    if not is_data(x):
        raise ValueError(
            "`validation_split` is only supported for arrays; where `x` yields batches, pass "
            "`validation_data`."
        )
    x, y = to_arrays(x, "x"), to_arrays(y, "y")
    sample_weight = to_arrays(sample_weight, "sample_weight")
    rows = check_rows(("x", x), ("y", y), ("sample_weight", sample_weight))
    at = math.floor(rows * (1.0 - split))
    if at == 0 or at == rows:
        raise ValueError(
            f"Training data contains {rows} samples, which is not sufficient to split it into a "
            f"validation and training set as specified by `validation_split={split}`."
        )

    def cut(data: Any, part: slice) -> Any:
        if data is None:
            return None
        return tree.map_structure(lambda a: None if a is None else a[part], data)

    head, tail = slice(0, at), slice(at, rows)
    held = (cut(x, tail), cut(y, tail), cut(sample_weight, tail))
    return cut(x, head), cut(y, head), cut(sample_weight, head), held


def validation_parts(data: Any) -> tuple[Any, Any, Any]:
    """Inputs, targets and weights of `validation_data`; batches as inputs alone."""
    if isinstance(data, tuple | list):
        return unpack_x_y_sample_weight(tuple(data))
    return data, None, None


def validation_epochs(freq: Any) -> Any:
    """Whether an epoch ends with a validation, as a function of its number from 0.

    Raises:
        ValueError: `validation_freq` is neither a number nor a list.
    """
    if isinstance(freq, int) and not isinstance(freq, bool) and freq >= 1:
        return lambda epoch: (epoch + 1) % freq == 0
    if isinstance(freq, list | tuple | set | range):
        return lambda epoch: (epoch + 1) in freq
    raise ValueError(
        "`validation_freq` must be an integer of at least 1 or a list of epochs; received "
        f"{freq!r}."
    )


def check_endless(feed: Feed, argument: str) -> None:
    """ValueError, which names the argument to pass, where nothing says when an epoch ends."""
    endless = getattr(feed.source, "dataset", None) is not None and feed.source.steps is None
    if endless and feed.steps_per_epoch is None:
        raise ValueError(f"The dataset does not say how many batches it has; pass `{argument}`.")
