"""Losses of regression, distance and margin, as functions of target and output.

Every function takes `y_true` and `y_pred` of shape `(rows, …, d)` and gives one value per sample,
`(rows, …)`.
"""

from __future__ import annotations

import math
import warnings
from typing import Any

from densa import ops
from densa._names import hinted
from densa.config import epsilon

from .loss import as_floating, check_shapes, same_rank


def ranked(y_true: Any, y_pred: Any) -> tuple[Any, Any]:
    """Target and output as floating Tensors of one dtype, their ranks made equal where they can."""
    y_pred = as_floating(y_pred)
    return same_rank(as_floating(y_true, str(y_pred.dtype)), y_pred)


def pair(loss: str, y_true: Any, y_pred: Any, stretched: bool = False) -> tuple[Any, Any]:
    """The same, of one shape; where `stretched`, axes of size 1 fit any, as in Keras: a warning."""
    y_true, y_pred = ranked(y_true, y_pred)
    check_shapes(loss, y_true, y_pred, stretched)
    a, b = tuple(y_true.shape), tuple(y_pred.shape)
    if any(m is not None and n is not None and m != n for m, n in zip(a, b, strict=True)):
        warnings.warn(
            f"{loss}: the target has shape {a} but the output has shape {b}: axes of size 1 are "
            "stretched, so that each number of one is compared with several of the other. Give "
            "both the same shape, unless this is meant.",
            UserWarning,
            stacklevel=2,
        )
    return y_true, y_pred


@hinted
def mean_squared_error(y_true: Any, y_pred: Any) -> Any:
    """Mean of `(y_true - y_pred)²` over the last axis.

    Args:
        y_true: Targets, `(rows, …, d)`.
        y_pred: Outputs, the same shape.

    Returns:
        One value per sample, `(rows, …)`.

    Raises:
        ValueError: The shapes do not fit.

    Example:

    >>> import densa
    >>> densa.losses.mean_squared_error([[0.0, 1.0]], [[1.0, 1.0]]).numpy()
    array([0.5], dtype=float32)
    """
    y_true, y_pred = pair("mean_squared_error", y_true, y_pred, stretched=True)
    return ops.mean(ops.square(y_true - y_pred), axis=-1)


@hinted
def mean_absolute_error(y_true: Any, y_pred: Any) -> Any:
    """Mean of `|y_true - y_pred|` over the last axis; shapes as in `mean_squared_error`.

    Args:
        y_true: Targets, `(rows, …, d)`.
        y_pred: Outputs, the same shape.

    Returns:
        One value per sample, `(rows, …)`.

    Raises:
        ValueError: The shapes do not fit.

    Example:

    >>> import densa
    >>> y_pred = np.array([[0.5, 0.75]])
    >>> densa.losses.mean_absolute_error([[0.0, 1.0]], y_pred).numpy().round(4).tolist()
    [0.375]
    """
    y_true, y_pred = pair("mean_absolute_error", y_true, y_pred, stretched=True)
    return ops.mean(ops.abs(y_true - y_pred), axis=-1)


@hinted
def mean_absolute_percentage_error(y_true: Any, y_pred: Any) -> Any:
    """`100 · mean |y_true - y_pred| / max(|y_true|, epsilon)` over the last axis.

    Args:
        y_true: Targets, `(rows, …, d)`.
        y_pred: Outputs, the same shape.

    Returns:
        One value per sample, `(rows, …)`.

    Raises:
        ValueError: The shapes do not fit.

    Example:

    >>> import densa
    >>> y_pred = np.array([[1.5, 2.5]])
    >>> densa.losses.mean_absolute_percentage_error([[1.0, 2.0]], y_pred).numpy().round(4).tolist()
    [37.5]
    """
    y_true, y_pred = pair("mean_absolute_percentage_error", y_true, y_pred, stretched=True)
    ratio = ops.abs(y_true - y_pred) / ops.maximum(ops.abs(y_true), epsilon())
    return 100.0 * ops.mean(ratio, axis=-1)


@hinted
def mean_squared_logarithmic_error(y_true: Any, y_pred: Any) -> Any:
    """Mean of `(log(1 + y_true) - log(1 + y_pred))²`; values below epsilon count as epsilon.

    Args:
        y_true: Targets, `(rows, …, d)`.
        y_pred: Outputs, the same shape.

    Returns:
        One value per sample, `(rows, …)`.

    Raises:
        ValueError: The shapes do not fit.

    Example:

    >>> import densa
    >>> y_pred = np.array([[0.5, 0.75]])
    >>> densa.losses.mean_squared_logarithmic_error([[0.0, 1.0]], y_pred).numpy().round(4).tolist()
    [0.0911]
    """
    y_true, y_pred = pair("mean_squared_logarithmic_error", y_true, y_pred, stretched=True)
    a = ops.log(ops.maximum(y_true, epsilon()) + 1.0)
    b = ops.log(ops.maximum(y_pred, epsilon()) + 1.0)
    return ops.mean(ops.square(b - a), axis=-1)


@hinted
def huber(y_true: Any, y_pred: Any, delta: float = 1.0) -> Any:
    """Quadratic near zero, linear beyond: mean of `e²/2` if `|e| ≤ δ`, else `δ|e| - δ²/2`.

    Args:
        y_true: Targets, `(rows, …, d)`.
        y_pred: Outputs, the same shape.
        delta: Where the quadratic part ends.

    Returns:
        One value per sample, `(rows, …)`.

    Raises:
        ValueError: The shapes do not fit.

    Example:

    >>> import densa
    >>> densa.losses.huber([[0.0, 1.0]], np.array([[0.5, 4.0]])).numpy().round(4).tolist()
    [1.3125]
    """
    y_true, y_pred = pair("huber", y_true, y_pred, stretched=True)
    size = ops.abs(y_pred - y_true)
    values = ops.where(size <= delta, 0.5 * ops.square(size), delta * size - 0.5 * delta * delta)
    return ops.mean(values, axis=-1)


@hinted
def log_cosh(y_true: Any, y_pred: Any) -> Any:
    """Mean of `log(cosh(y_pred - y_true))` over the last axis, without overflow.

    Args:
        y_true: Targets, `(rows, …, d)`.
        y_pred: Outputs, the same shape.

    Returns:
        One value per sample, `(rows, …)`.

    Raises:
        ValueError: The shapes do not fit.

    Example:

    >>> import densa
    >>> densa.losses.log_cosh([[0.0, 1.0]], np.array([[0.5, 0.75]])).numpy().round(4).tolist()
    [0.0755]
    """
    y_true, y_pred = pair("log_cosh", y_true, y_pred, stretched=True)
    size = ops.abs(y_pred - y_true)
    return ops.mean(size + ops.softplus(-2.0 * size) - math.log(2.0), axis=-1)


@hinted
def kl_divergence(y_true: Any, y_pred: Any) -> Any:
    """`Σ y_true · log(y_true / y_pred)` over the last axis, both clipped to [epsilon, 1].

    Args:
        y_true: Targets, `(rows, …, d)`.
        y_pred: Outputs, the same shape.

    Returns:
        One value per sample, `(rows, …)`.

    Raises:
        ValueError: The shapes do not fit.

    Example:

    >>> import densa
    >>> densa.losses.kl_divergence([[0.0, 1.0]], np.array([[0.5, 0.75]])).numpy().round(4).tolist()
    [0.2877]
    """
    y_true, y_pred = pair("kl_divergence", y_true, y_pred)
    y_true = ops.clip(y_true, epsilon(), 1.0)
    y_pred = ops.clip(y_pred, epsilon(), 1.0)
    return ops.sum(y_true * ops.log(y_true / y_pred), axis=-1)


@hinted
def poisson(y_true: Any, y_pred: Any) -> Any:
    """Mean of `y_pred - y_true · log(y_pred + epsilon)` over the last axis.

    Args:
        y_true: Targets, `(rows, …, d)`.
        y_pred: Outputs, the same shape.

    Returns:
        One value per sample, `(rows, …)`.

    Raises:
        ValueError: The shapes do not fit.

    Example:

    >>> import densa
    >>> densa.losses.poisson([[0.0, 1.0]], np.array([[0.5, 0.75]])).numpy().round(4).tolist()
    [0.7688]
    """
    y_true, y_pred = pair("poisson", y_true, y_pred, stretched=True)
    return ops.mean(y_pred - y_true * ops.log(y_pred + epsilon()), axis=-1)


def unit_length(x: Any, axis: int = -1) -> Any:
    """`x` divided by its Euclidean length along `axis`; zeros stay zeros."""
    squares = ops.sum(ops.square(x), axis=axis, keepdims=True)
    return x / ops.sqrt(ops.maximum(squares, 1e-12))


@hinted
def cosine_similarity(y_true: Any, y_pred: Any, axis: int = -1) -> Any:
    """Minus the cosine of the angle between target and output: -1 alike, 1 opposite.

    Args:
        y_true: Targets, `(rows, …, d)`.
        y_pred: Outputs, the same shape.
        axis: Axis of the vectors.

    Returns:
        One value per vector.

    Raises:
        ValueError: The shapes do not fit.

    Example:

    >>> import densa
    >>> y_pred = np.array([[1.0, 1.0]])
    >>> densa.losses.cosine_similarity([[0.0, 1.0]], y_pred).numpy().round(4).tolist()
    [-0.7071]
    """
    y_true, y_pred = pair("cosine_similarity", y_true, y_pred)
    return -ops.sum(unit_length(y_true, axis) * unit_length(y_pred, axis), axis=axis)


def _signs(y_true: Any) -> Any:
    # Labels 0 and 1 become -1 and 1; anything else is left alone.
    binary = ops.all(ops.logical_or(ops.equal(y_true, 0.0), ops.equal(y_true, 1.0)))
    return ops.where(binary, 2.0 * y_true - 1.0, y_true)


@hinted
def hinge(y_true: Any, y_pred: Any) -> Any:
    """Mean of `max(0, 1 - y_true · y_pred)`; labels are -1 and 1, or 0 and 1.

    Args:
        y_true: Targets, `(rows, …, d)`.
        y_pred: Outputs, the same shape.

    Returns:
        One value per sample, `(rows, …)`.

    Raises:
        ValueError: The shapes do not fit.

    Example:

    >>> import densa
    >>> densa.losses.hinge([[-1.0, 1.0]], np.array([[0.5, 0.75]])).numpy().round(4).tolist()
    [0.875]
    """
    y_true, y_pred = pair("hinge", y_true, y_pred)
    return ops.mean(ops.maximum(1.0 - _signs(y_true) * y_pred, 0.0), axis=-1)


@hinted
def squared_hinge(y_true: Any, y_pred: Any) -> Any:
    """Mean of `max(0, 1 - y_true · y_pred)²`; labels are -1 and 1, or 0 and 1.

    Args:
        y_true: Targets, `(rows, …, d)`.
        y_pred: Outputs, the same shape.

    Returns:
        One value per sample, `(rows, …)`.

    Raises:
        ValueError: The shapes do not fit.

    Example:

    >>> import densa
    >>> densa.losses.squared_hinge([[-1.0, 1.0]], np.array([[0.5, 0.75]])).numpy().round(4).tolist()
    [1.1562]
    """
    y_true, y_pred = pair("squared_hinge", y_true, y_pred)
    return ops.mean(ops.square(ops.maximum(1.0 - _signs(y_true) * y_pred, 0.0)), axis=-1)


@hinted
def categorical_hinge(y_true: Any, y_pred: Any) -> Any:
    """`max(0, 1 + max((1 - y_true) · y_pred) - Σ y_true · y_pred)` over the last axis.

    Args:
        y_true: Targets, `(rows, …, d)`.
        y_pred: Outputs, the same shape.

    Returns:
        One value per sample, `(rows, …)`.

    Raises:
        ValueError: The shapes do not fit.

    Example:

    >>> import densa
    >>> y_pred = np.array([[0.5, 0.75]])
    >>> densa.losses.categorical_hinge([[0.0, 1.0]], y_pred).numpy().round(4).tolist()
    [0.75]
    """
    y_true, y_pred = pair("categorical_hinge", y_true, y_pred)
    right = ops.sum(y_true * y_pred, axis=-1)
    wrong = ops.max((1.0 - y_true) * y_pred, axis=-1)
    return ops.maximum(wrong - right + 1.0, 0.0)
