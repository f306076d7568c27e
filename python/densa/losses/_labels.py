"""The range of integer labels."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from densa import _core
from densa._masks import get_mask
from densa._numbers import array_of
from densa._scope import in_symbolic_scope


def check_labels_of(
    what: str,
    labels: Any,
    classes: int | None,
    ignored: int | None,
    mask: Callable[[], Any] | None = None,
) -> None:
    """Checks the labels of one output.

    Args:
        what: What they are, for the message.
        labels: An array or a Tensor; anything else is not looked at.
        classes: Number of classes, None where it is not known.
        ignored: A label that may lie anywhere, or None.
        mask: Gives the output's mask, or None; asked where a label is wrong. Labels at places that
            do not count may lie anywhere.

    Raises:
        ValueError: A label is negative, too large or no whole number; says which one.
    """
    if classes is None or not isinstance(labels, np.ndarray | _core.Tensor):
        return
    labels = np.asarray(labels)
    if labels.dtype.kind not in "iuf" or labels.size == 0:
        return
    low, high = labels.min(), labels.max()  # NaN lies nowhere
    parts = labels.dtype.kind == "f" and bool((np.trunc(labels) != labels).any())
    if low >= 0 and high < classes and not parts:
        return
    bad = ~((labels >= 0) & (labels < classes))
    if parts:
        bad |= np.trunc(labels) != labels
    if ignored is not None:
        bad &= labels != ignored
    counted = mask() if mask is not None and bad.any() else None
    if counted is not None and np.size(counted) == labels.size:
        counted = np.asarray(counted).reshape(labels.shape)
        bad &= counted
        low, high = (f(labels[counted]) if counted.any() else 0 for f in (np.min, np.max))
    if not bad.any():
        return
    first = int(bad.argmax())
    row = first // max(math.prod(labels.shape[1:]), 1)
    raise ValueError(
        f"{what} must lie between 0 and {classes - 1} and be whole, because it has {classes} "
        f"classes; y goes from {low} to {high} (first in row {row}: {labels.reshape(-1)[first]}). "
        "Count classes from 0, or give the output more units; for targets that are no classes take "
        "another loss."
    )


def check_host_labels(y_true: Any, y_pred: Any, axis: int, ignored: int | None) -> None:
    """Checks labels that a loss is called with, where they lie in the CPU's memory.

    Raises:
        ValueError: As `check_labels_of`.
    """
    if not hasattr(y_pred, "shape"):
        y_pred = array_of("y_pred", y_pred)
    shape = tuple(y_pred.shape)
    if _core.recording() or in_symbolic_scope() or not -len(shape) <= axis < len(shape):
        return
    if isinstance(y_true, list | tuple):
        y_true = array_of("y_true", y_true)
    if not isinstance(y_true, _core.Tensor) or y_true.device == "cpu":
        check_labels_of(
            "Labels of this output", y_true, shape[axis], ignored, lambda: get_mask(y_pred)
        )
