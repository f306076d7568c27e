"""The range of integer labels."""

from __future__ import annotations

from typing import Any

import numpy as np

from densa import _core


def check_labels_of(name: str, labels: Any, classes: int | None, ignored: int | None) -> None:
    """Checks the labels of one output.

    Args:
        name: The output's name.
        labels: An array or a Tensor; anything else is not looked at.
        classes: Number of classes, None where it is not known.
        ignored: A label that may lie anywhere, or None.

    Raises:
        ValueError: A label is negative, too large or no number; says which one.
    """
    if classes is None or not isinstance(labels, np.ndarray | _core.Tensor):
        return
    labels = np.asarray(labels)
    if labels.dtype.kind not in "iuf" or labels.size == 0:
        return
    # Labels given as floats are cut to whole numbers; NaN lies nowhere.
    low, high = labels.min(), labels.max()
    if low > -1 and high < classes:
        return
    bad = ~((labels > -1) & (labels < classes))
    if ignored is not None:
        bad &= labels != ignored
    if not bad.any():
        return
    first = int(bad.argmax())
    row = first // max(labels[:1].size, 1)
    raise ValueError(
        f"The labels of the output {name!r} must lie between 0 and {classes - 1}, because it has "
        f"{classes} classes; y goes from {low} to {high} (first in row {row}: "
        f"{labels.reshape(-1)[first]}). Count classes from 0, or give the output more units."
    )
