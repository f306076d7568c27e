"""Cross-entropies, from logits (fused with softmax or sigmoid) or from probabilities."""

from __future__ import annotations

import warnings
from typing import Any

from densa import _core, ops
from densa._names import hinted
from densa._numbers import check_share, whole_number
from densa.config import epsilon
from densa.ops._public import whole

from ._labels import check_host_labels
from .loss import as_floating, check_shapes
from .regression import pair


def logits_behind(y_pred: Any, op: str) -> Any:
    """What `op` made `y_pred` of, as the recorded Program or the tape knows; None where it did not.

    The loss of the logits is that of the probabilities, without its clipping; so is its gradient,
    which goes past `y_pred` to the logits.
    """
    return _core.before(y_pred, op)


def _check_smoothing(label_smoothing: float) -> float:
    check_share("label_smoothing", label_smoothing)
    return float(label_smoothing)


def to_last(x: Any, axis: int) -> Any:
    """`x` with this axis moved to the end."""
    axis = whole_number("axis", axis, least=-(2**31))
    rank = len(x.shape)
    axis = axis % rank if -rank <= axis < rank else axis
    if axis >= rank or axis < 0:
        raise ValueError(f"axis={axis} is out of range for an output of shape {tuple(x.shape)}.")
    return x if axis == rank - 1 else ops.moveaxis(x, axis, -1)


@hinted
def binary_crossentropy(
    y_true: Any,
    y_pred: Any,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Any:
    """Mean of `-y·log(p) - (1-y)·log(1-p)` over `axis`.

    Args:
        y_true: Targets between 0 and 1, `(rows, …, d)`.
        y_pred: Probabilities, clipped to [epsilon, 1 - epsilon], or logits; the same shape.
        from_logits: Whether `y_pred` holds logits: `p = sigmoid(y_pred)`, computed without loss.
        label_smoothing: `s` draws the targets towards a half: `y·(1-s) + s/2`.
        axis: Axis to average over.

    Returns:
        One value per sample, `(rows, …)`.

    Raises:
        ValueError: The shapes do not fit, or `label_smoothing` is out of range.

    Example:

    >>> import densa
    >>> densa.losses.binary_crossentropy([[1.0], [1.0]], [[0.94], [0.32]]).numpy().round(4)
    array([0.0619, 1.1394], dtype=float32)
    """
    label_smoothing = _check_smoothing(label_smoothing)
    y_true, y_pred = pair("binary_crossentropy", y_true, y_pred)
    if label_smoothing:
        y_true = y_true * (1.0 - label_smoothing) + 0.5 * label_smoothing
    logits = y_pred if from_logits else logits_behind(y_pred, "sigmoid")
    if logits is not None:
        return ops.mean(_core.apply("sigmoid_cross_entropy", logits, y_true), axis=axis)
    p = ops.clip(y_pred, epsilon(), 1.0 - epsilon())
    return ops.mean(-(y_true * ops.log(p) + (1.0 - y_true) * ops.log(1.0 - p)), axis=axis)


def _log_probabilities(y_pred: Any) -> Any:
    y_pred = y_pred / ops.sum(y_pred, axis=-1, keepdims=True)
    return ops.log(ops.clip(y_pred, epsilon(), 1.0 - epsilon()))


@hinted
def categorical_crossentropy(
    y_true: Any,
    y_pred: Any,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Any:
    """`-Σ y·log(p)` over the classes.

    Args:
        y_true: One-hot targets or probabilities, `(rows, …, classes)`.
        y_pred: Probabilities (scaled to sum 1, then clipped by epsilon) or logits; the same shape.
        from_logits: Whether `y_pred` holds logits: `p = softmax(y_pred)`, computed without loss.
        label_smoothing: `s` mixes in the uniform distribution: `y·(1-s) + s/classes`.
        axis: Axis of the classes.

    Returns:
        One value per sample, `(rows, …)`.

    Raises:
        ValueError: The shapes do not fit, or `label_smoothing` is out of range.

    Example:

    >>> import densa
    >>> p = np.array([[0.05, 0.95, 0.0], [0.1, 0.8, 0.1]])
    >>> densa.losses.categorical_crossentropy([[0, 1, 0], [0, 0, 1]], p).numpy().round(4).tolist()
    [0.0513, 2.3026]
    """
    label_smoothing = _check_smoothing(label_smoothing)
    y_pred = as_floating(y_pred)
    y_true = as_floating(y_true, str(y_pred.dtype))
    check_shapes("categorical_crossentropy", y_true, y_pred)
    if y_pred.shape[-1] == 1:
        warnings.warn(
            "categorical_crossentropy: the output has one class only "
            f"(shape {tuple(y_pred.shape)}). Did you mean 'binary_crossentropy'?",
            SyntaxWarning,
            stacklevel=2,
        )
    y_true, y_pred = to_last(y_true, axis), to_last(y_pred, axis)
    logits = y_pred if from_logits else logits_behind(y_pred, "softmax")
    if logits is not None:
        return _core.apply("softmax_cross_entropy", logits, y_true, label_smoothing=label_smoothing)
    if label_smoothing:
        y_true = y_true * (1.0 - label_smoothing) + label_smoothing / y_pred.shape[-1]
    return -ops.sum(y_true * _log_probabilities(y_pred), axis=-1)


def as_labels(y_true: Any, y_pred: Any) -> Any:
    """Integer labels without a last axis of size 1, fit for scores `(…, classes)`.

    Raises:
        ValueError: The labels' shape does not belong to the scores, or one is no whole number.
    """
    y_true = ops.convert_to_tensor(y_true)
    if len(y_true.shape) == len(y_pred.shape) and y_true.shape[-1] == 1:
        y_true = ops.squeeze(y_true, -1)
    labels, scores = tuple(y_true.shape), tuple(y_pred.shape)
    wrong = len(scores) < 1 or len(labels) != len(scores) - 1
    if wrong or any(
        m is not None and n is not None and m != n for m, n in zip(labels, scores, strict=False)
    ):
        hint = ""
        if labels == scores:
            hint = " For one-hot targets use 'categorical_crossentropy'."
        raise ValueError(
            f"Integer labels of shape {labels} do not fit scores of shape {scores}; "
            f"expected labels of shape {scores[:-1]}.{hint}"
        )
    return whole(y_true, "Labels")


@hinted
def sparse_categorical_crossentropy(
    y_true: Any,
    y_pred: Any,
    from_logits: bool = False,
    ignore_class: int | None = None,
    axis: int = -1,
) -> Any:
    """`-log(p[label])`.

    Args:
        y_true: Integer labels, `(rows, …)` or `(rows, …, 1)`.
        y_pred: Probabilities (scaled to sum 1, then clipped by epsilon) or logits,
            `(rows, …, classes)`.
        from_logits: Whether `y_pred` holds logits: `p = softmax(y_pred)`, computed without loss.
        ignore_class: A label whose samples get the value 0.
        axis: Axis of the classes.

    Returns:
        One value per sample, `(rows, …)`; NaN for a label outside the classes that lies on a GPU.

    Raises:
        ValueError: The labels do not fit the scores, or one lies outside the classes.

    Example:

    >>> import densa
    >>> p = [[0.05, 0.95, 0.0], [0.1, 0.8, 0.1]]
    >>> densa.losses.sparse_categorical_crossentropy([1, 2], p).numpy().round(4)
    array([0.0513, 2.3026], dtype=float32)
    """
    check_host_labels(y_true, y_pred, axis, ignore_class)
    y_pred = to_last(as_floating(y_pred), axis)
    labels = as_labels(y_true, y_pred)
    counted = None
    if ignore_class is not None:
        counted = ops.not_equal(labels, ignore_class)
        labels = ops.where(counted, labels, 0)
    logits = y_pred if from_logits else logits_behind(y_pred, "softmax")
    if logits is not None:
        values = _core.apply("sparse_softmax_cross_entropy", logits, labels)
    else:
        chosen = ops.one_hot(labels, y_pred.shape[-1], dtype=str(y_pred.dtype))
        values = -ops.sum(chosen * _log_probabilities(y_pred), axis=-1)
        # As from logits: a class that does not exist has no probability, not even a loss of 0.
        known = ops.logical_and(labels >= 0, labels < y_pred.shape[-1])
        values = ops.where(known, values, float("nan"))
    if counted is not None:
        values = ops.where(counted, values, 0.0)
    return values
