"""Cross-entropies that weigh easy samples, or wrong labels, less."""

from __future__ import annotations

from typing import Any

import numpy as np

from densa import _core, ops
from densa._names import hinted
from densa._numbers import check_real_number
from densa.config import epsilon

from ._labels import check_host_labels
from .crossentropy import _check_smoothing, as_labels, logits_behind, to_last
from .loss import LossFunctionWrapper, as_floating, check_shapes
from .regression import pair


@hinted
def binary_focal_crossentropy(
    y_true: Any,
    y_pred: Any,
    apply_class_balancing: bool = False,
    alpha: float = 0.25,
    gamma: float = 2.0,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Any:
    """Mean of `-(1 - q)^γ · log(q)` over `axis`, with `q = y·p + (1-y)·(1-p)`.

    Args:
        y_true: Targets between 0 and 1, `(rows, …, d)`.
        y_pred: Probabilities, clipped to [epsilon, 1 - epsilon], or logits; the same shape.
        apply_class_balancing: Whether values are times `α` for label 1 and `1 - α` for label 0.
        alpha: `α`.
        gamma: `γ`, at least 0; 0 gives the plain cross-entropy.
        from_logits: Whether `y_pred` holds logits: `p = sigmoid(y_pred)`.
        label_smoothing: `s` draws the targets towards a half: `y·(1-s) + s/2`.
        axis: Axis to average over.

    Returns:
        One value per sample, `(rows, …)`.

    Raises:
        ValueError: The shapes do not fit, or `label_smoothing` is out of range.

    Example:

    >>> import densa
    >>> p = [[0.9], [0.2]]
    >>> densa.losses.binary_focal_crossentropy([[1.0], [1.0]], p).numpy().round(4).tolist()
    [0.0010999999940395355, 1.0299999713897705]
    """
    label_smoothing = _check_smoothing(label_smoothing)
    y_true, y_pred = pair("binary_focal_crossentropy", y_true, y_pred)
    if label_smoothing:
        y_true = y_true * (1.0 - label_smoothing) + 0.5 * label_smoothing
    logits = y_pred if from_logits else logits_behind(y_pred, "sigmoid")
    if logits is not None:
        p = ops.sigmoid(logits)
        values = _core.apply("sigmoid_cross_entropy", logits, y_true)
    else:
        p = ops.clip(y_pred, epsilon(), 1.0 - epsilon())
        values = -(y_true * ops.log(p) + (1.0 - y_true) * ops.log(1.0 - p))
    missed = y_true * (1.0 - p) + (1.0 - y_true) * p
    values = _power(missed, gamma) * values
    if apply_class_balancing:
        values = values * (y_true * alpha + (1.0 - y_true) * (1.0 - alpha))
    return ops.mean(values, axis=axis)


@hinted
def categorical_focal_crossentropy(
    y_true: Any,
    y_pred: Any,
    alpha: Any = 0.25,
    gamma: float = 2.0,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Any:
    """`-Σ α · (1 - p)^γ · y · log(p)` over the classes.

    Args:
        y_true: One-hot targets or probabilities, `(rows, …, classes)`.
        y_pred: Probabilities (scaled to sum 1, then clipped by epsilon) or logits; the same shape.
        alpha: `α`: a number, or one per class.
        gamma: `γ`, at least 0.
        from_logits: Whether `y_pred` holds logits: `p = softmax(y_pred)`.
        label_smoothing: `s` mixes in the uniform distribution: `y·(1-s) + s/classes`.
        axis: Axis of the classes.

    Returns:
        One value per sample, `(rows, …)`.

    Raises:
        ValueError: The shapes do not fit, or `label_smoothing` is out of range.

    Example:

    >>> import densa
    >>> p = [[0.05, 0.95, 0.0], [0.1, 0.8, 0.1]]
    >>> y = [[0, 1, 0], [0, 0, 1]]
    >>> densa.losses.categorical_focal_crossentropy(y, p).numpy().round(4).tolist()
    [0.0, 0.46630001068115234]
    """
    label_smoothing = _check_smoothing(label_smoothing)
    y_pred = as_floating(y_pred)
    y_true = as_floating(y_true, str(y_pred.dtype))
    check_shapes("categorical_focal_crossentropy", y_true, y_pred)
    y_true, y_pred = to_last(y_true, axis), to_last(y_pred, axis)
    if label_smoothing:
        y_true = y_true * (1.0 - label_smoothing) + label_smoothing / y_pred.shape[-1]
    logits = y_pred if from_logits else logits_behind(y_pred, "softmax")
    if logits is not None:
        log_p = ops.log_softmax(logits, axis=-1)
        p = ops.exp(log_p)
    else:
        p = y_pred / ops.sum(y_pred, axis=-1, keepdims=True)
        p = ops.clip(p, epsilon(), 1.0 - epsilon())
        log_p = ops.log(p)
    factor = alpha if isinstance(alpha, int | float) else np.asarray(alpha, str(p.dtype))
    return -ops.sum(factor * _power(1.0 - p, gamma) * y_true * log_p, axis=-1)


@hinted
def categorical_generalized_cross_entropy(y_true: Any, y_pred: Any, q: float = 0.5) -> Any:
    """`(1 - p[label]^q) / q`: between the cross-entropy (q → 0) and the absolute error (q → 1).

    It bounds what a sample with a wrong label can do.

    Args:
        y_true: Integer labels, `(rows, …)` or `(rows, …, 1)`.
        y_pred: Probabilities, `(rows, …, classes)`; those below epsilon count as epsilon.
        q: Between 0 and 1, both left out.

    Returns:
        One value per sample, `(rows, …)`; NaN for a label outside the classes that lies on a GPU.

    Raises:
        ValueError: The labels do not fit the scores, one lies outside the classes, or `q` is out of
            range.

    Example:

    >>> import densa
    >>> p = [[0.25, 0.75], [0.25, 0.75]]
    >>> fn = densa.losses.categorical_generalized_cross_entropy
    >>> fn([0, 1], p).numpy().round(3).tolist()
    [1.0, 0.2680000066757202]
    """
    q = _check_q(q)
    check_host_labels(y_true, y_pred, -1, None)
    y_pred = as_floating(y_pred)
    labels = as_labels(y_true, y_pred)
    chosen = ops.one_hot(labels, y_pred.shape[-1], dtype=str(y_pred.dtype))
    p = ops.maximum(ops.sum(chosen * y_pred, axis=-1), epsilon())
    known = ops.logical_and(labels >= 0, labels < y_pred.shape[-1])
    return ops.where(known, (1.0 - ops.power(p, q)) / q, float("nan"))


def _check_q(q: float) -> float:
    check_real_number("q", q)
    if not 0 < q < 1:
        raise ValueError(f"q must lie between 0 and 1, both left out; received {q!r}.")
    return float(q)


def _power(x: Any, exponent: float) -> Any:
    # Squares have a slope at 0, as x^2 has and the general power has not in every exponent.
    return ops.square(x) if exponent == 2 else ops.power(x, exponent)


class BinaryFocalCrossentropy(LossFunctionWrapper):
    """`binary_focal_crossentropy` of a batch: labels 0 and 1, easy samples weigh less.

    Args:
        apply_class_balancing: As there, like the next five.
        alpha: `α`.
        gamma: `γ`.
        from_logits: Whether outputs are logits.
        label_smoothing: Between 0 and 1.
        axis: Axis to average over.
        reduction: See `MeanSquaredError`.
        name: Name in logs.
        dtype: Floating dtype to compute in.

    Raises:
        ValueError: A number is out of range.

    Example:

    >>> import densa
    >>> round(float(densa.losses.BinaryFocalCrossentropy(gamma=0)([[1.0]], [[0.94]])), 4)
    0.0619
    """

    def __init__(
        self,
        apply_class_balancing: bool = False,
        alpha: float = 0.25,
        gamma: float = 2.0,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "binary_focal_crossentropy",
        dtype: Any = None,
    ) -> None:
        super().__init__(
            binary_focal_crossentropy,
            reduction,
            name,
            dtype,
            apply_class_balancing=bool(apply_class_balancing),
            alpha=alpha,
            gamma=gamma,
            from_logits=bool(from_logits),
            label_smoothing=label_smoothing,
            axis=axis,
        )


class CategoricalFocalCrossentropy(LossFunctionWrapper):
    """`categorical_focal_crossentropy` of a batch: one-hot targets, easy samples weigh less.

    Args:
        alpha: As there, like the next four.
        gamma: `γ`.
        from_logits: Whether outputs are logits.
        label_smoothing: Between 0 and 1.
        axis: Axis of the classes.
        reduction: See `MeanSquaredError`.
        name: Name in logs.
        dtype: Floating dtype to compute in.

    Raises:
        ValueError: A number is out of range.

    Example:

    >>> import densa
    >>> loss = densa.losses.CategoricalFocalCrossentropy(alpha=1.0, gamma=0.0)
    >>> round(float(loss([[0, 1]], [[0.25, 0.75]])), 4)
    0.2877
    """

    def __init__(
        self,
        alpha: Any = 0.25,
        gamma: float = 2.0,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "categorical_focal_crossentropy",
        dtype: Any = None,
    ) -> None:
        super().__init__(
            categorical_focal_crossentropy,
            reduction,
            name,
            dtype,
            alpha=alpha,
            gamma=gamma,
            from_logits=bool(from_logits),
            label_smoothing=label_smoothing,
            axis=axis,
        )


class CategoricalGeneralizedCrossEntropy(LossFunctionWrapper):
    """`categorical_generalized_cross_entropy` of a batch: labels some of which may be wrong.

    Args:
        q: As there, between 0 and 1.
        reduction: See `MeanSquaredError`.
        name: Name in logs.
        dtype: Floating dtype to compute in.

    Raises:
        ValueError: `q` is out of range.

    Example:

    >>> import densa
    >>> float(densa.losses.CategoricalGeneralizedCrossEntropy()([0], [[0.25, 0.75]]))
    1.0
    """

    def __init__(
        self,
        q: float = 0.5,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "categorical_generalized_cross_entropy",
        dtype: Any = None,
    ) -> None:
        super().__init__(
            categorical_generalized_cross_entropy, reduction, name, dtype, q=_check_q(q)
        )
