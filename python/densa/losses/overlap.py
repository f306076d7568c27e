"""Losses of overlap, for labels most of which are 0."""

from __future__ import annotations

from typing import Any

from densa import ops
from densa._names import hinted
from densa._numbers import finite_number
from densa.config import epsilon

from .loss import LossFunctionWrapper
from .regression import pair


@hinted
def tversky(
    y_true: Any, y_pred: Any, alpha: float = 0.5, beta: float = 0.5, axis: Any = None
) -> Any:
    """`1 - TP / (TP + α·FP + β·FN)` with `TP = Σ y·p`, `FP = Σ (1-y)·p`, `FN = Σ y·(1-p)`.

    Alpha weights false positives and beta false negatives, as Keras' text says; Keras' own code
    (3.15) computes the opposite, so exchange the two where they come from there.

    Args:
        y_true: Labels 0 and 1, `(rows, …)`.
        y_pred: Probabilities, the same shape.
        alpha: `α`, weight of false positives.
        beta: `β`, weight of false negatives.
        axis: Axis or axes of the sums; None: all, which makes one number of the whole batch.

    Returns:
        The loss, without the axes that were summed.

    Raises:
        ValueError: The shapes do not fit.

    Example:

    >>> import densa
    >>> loss = densa.losses.tversky([[1.0, 0.0]], [[0.5, 0.5]])
    >>> round(float(loss), 4)
    0.5
    """
    y_true, y_pred = pair("tversky", y_true, y_pred)
    both = ops.sum(y_true * y_pred, axis=axis)
    too_much = ops.sum((1.0 - y_true) * y_pred, axis=axis)
    missed = ops.sum(y_true * (1.0 - y_pred), axis=axis)
    return 1.0 - both / (both + alpha * too_much + beta * missed + epsilon())


@hinted
def dice(y_true: Any, y_pred: Any, axis: Any = None) -> Any:
    """`1 - 2·Σ y·p / (Σ y + Σ p)`.

    Args:
        y_true: Labels 0 and 1, `(rows, …)`.
        y_pred: Probabilities, the same shape.
        axis: Axis or axes of the sums; None: all, which makes one number of the whole batch.

    Returns:
        The loss, without the axes that were summed.

    Raises:
        ValueError: The shapes do not fit.

    Example:

    >>> import densa
    >>> round(float(densa.losses.dice([[1.0, 0.0]], [[0.5, 0.5]])), 4)
    0.5
    """
    y_true, y_pred = pair("dice", y_true, y_pred)
    both = 2.0 * ops.sum(y_true * y_pred, axis=axis)
    return 1.0 - both / (ops.sum(y_true, axis=axis) + ops.sum(y_pred, axis=axis) + epsilon())


class Tversky(LossFunctionWrapper):
    """`1 - TP / (TP + α·FP + β·FN)` of labels 0 and 1 and probabilities.

    Alpha weights false positives and beta false negatives, as Keras' text says; Keras' own code
    (3.15) computes the opposite, so exchange the two where they come from there.

    Args:
        alpha: `α`, weight of false positives.
        beta: `β`, weight of false negatives.
        reduction: See `MeanSquaredError`.
        name: Name in logs.
        axis: Axis or axes of the sums; None: all.
        dtype: Floating dtype to compute in.

    Raises:
        TypeError: A weight is no number.
        ValueError: A weight is negative or NaN.

    Example:

    >>> import densa
    >>> round(float(densa.losses.Tversky()([[1.0, 0.0]], [[0.5, 0.5]])), 4)
    0.5
    """

    def __init__(
        self,
        alpha: float = 0.5,
        beta: float = 0.5,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "tversky",
        axis: Any = None,
        dtype: Any = None,
    ) -> None:
        finite_number("Tversky: `alpha`", alpha, least=0)
        finite_number("Tversky: `beta`", beta, least=0)
        super().__init__(tversky, reduction, name, dtype, alpha=alpha, beta=beta, axis=axis)


class Dice(LossFunctionWrapper):
    """`1 - 2·Σ y·p / (Σ y + Σ p)` of labels 0 and 1 and probabilities.

    Args:
        reduction: See `MeanSquaredError`.
        name: Name in logs.
        axis: Axis or axes of the sums; None: all.
        dtype: Floating dtype to compute in.

    Example:

    >>> import densa
    >>> round(float(densa.losses.Dice()([[1.0, 0.0]], [[0.5, 0.5]])), 4)
    0.5
    """

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "dice",
        axis: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(dice, reduction, name, dtype, axis=axis)
