"""Losses of outputs that say how sure they are: quantiles, and mean with variance."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from densa import ops
from densa._names import hinted
from densa._numbers import check_real_number

from .loss import LossFunctionWrapper, as_floating, check_shapes
from .regression import pair, ranked


@hinted
def pinball(y_true: Any, y_pred: Any, quantile: Any = 0.5) -> Any:
    """Mean of `max(q·e, (q-1)·e)` over the last axis, with `e = y_true - y_pred`.

    The output that makes it small is the `q`-quantile of the targets; 0.5 is half the absolute
    error.

    Args:
        y_true: Targets, `(rows, …, d)`; `(rows, …, 1)` for several quantiles.
        y_pred: Outputs, `(rows, …, d)`; for several quantiles one after the other, `(rows, …, q)`.
        quantile: `q`, between 0 and 1, both left out; or a list of them.

    Returns:
        One value per sample, `(rows, …)`.

    Raises:
        ValueError: The shapes do not fit, or a quantile is out of range.

    Example:

    >>> import densa
    >>> y_pred = np.array([[0.0], [3.0]])
    >>> densa.losses.pinball([[1.0], [1.0]], y_pred, quantile=0.9).numpy().round(4).tolist()
    [0.9, 0.2]
    """
    quantile = check_quantile(quantile)
    q: Any = quantile
    if not isinstance(quantile, list):
        y_true, y_pred = pair("pinball", y_true, y_pred, stretched=True)
    else:
        y_true, y_pred = ranked(y_true, y_pred)
        check_shapes("pinball", y_true, y_pred, stretched=True)
        if y_pred.shape[-1] != len(quantile) or y_true.shape[-1] != 1:
            raise ValueError(
                f"pinball: {len(quantile)} quantiles need a target of shape (rows, 1) and an "
                f"output of shape (rows, {len(quantile)}); received {tuple(y_true.shape)} and "
                f"{tuple(y_pred.shape)}."
            )
        q = as_floating(np.array(quantile), str(y_pred.dtype))
    error = y_true - y_pred
    return ops.mean(ops.maximum(q * error, (q - 1.0) * error), axis=-1)


def check_quantile(quantile: Any) -> float | list[float]:
    """A quantile, or a list of them; ValueError where one does not lie between 0 and 1."""
    if isinstance(quantile, list | tuple | np.ndarray):
        if len(quantile) == 0:
            raise ValueError("quantile: the list is empty; give at least one.")
        return [_one_quantile(q) for q in quantile]
    return _one_quantile(quantile)


def _one_quantile(q: Any) -> float:
    check_real_number("quantile", q)
    if not 0 < q < 1:
        raise ValueError(f"quantile must lie between 0 and 1, both left out; received {q!r}.")
    return float(q)


@hinted
def gaussian_negative_log_likelihood(
    y_true: Any, y_pred: Any, full: bool = False, least_variance: float = 1e-6
) -> Any:
    """Mean of `½·(s + (y - m)² / e^s)` over the last axis: outputs are means and log-variances.

    Args:
        y_true: Targets `y`, `(rows, …, d)`.
        y_pred: Outputs, `(rows, …, 2d)`: first the `d` means `m`, then the `d` logarithms of the
            variances `s`.
        full: Whether to add the constant `½·log(2π)`, which no weight changes.
        least_variance: Variances below count as this one, so that an exact answer to a few samples
            cannot drive `e^s` to zero.

    Returns:
        One value per sample, `(rows, …)`.

    Raises:
        ValueError: The output does not have twice as many columns as the target.

    Example:

    >>> import densa
    >>> fn = densa.losses.gaussian_negative_log_likelihood
    >>> fn([[1.0]], np.array([[0.0, 0.0]])).numpy().tolist()
    [0.5]
    """
    y_pred = as_floating(y_pred)
    y_true = as_floating(y_true, str(y_pred.dtype))
    if len(y_true.shape) == len(y_pred.shape) - 1:
        y_true = ops.expand_dims(y_true, -1)
    target, output = tuple(y_true.shape), tuple(y_pred.shape)
    if len(target) != len(output) or output[-1] != 2 * target[-1]:
        raise ValueError(
            "gaussian_negative_log_likelihood: the output holds a mean and a log-variance for each "
            f"column of the target, so that it has twice as many; the target has shape {target}, "
            f"the output {output}."
        )
    d = target[-1]
    mean, log_variance = y_pred[..., :d], y_pred[..., d:]
    check_shapes("gaussian_negative_log_likelihood", y_true, mean)
    log_variance = ops.maximum(log_variance, math.log(least_variance))
    values = 0.5 * (log_variance + ops.square(y_true - mean) * ops.exp(-log_variance))
    if full:
        values = values + 0.5 * math.log(2.0 * math.pi)
    return ops.mean(values, axis=-1)


class Pinball(LossFunctionWrapper):
    """Loss of quantiles: `mean(max(q·e, (q-1)·e))` with `e = y_true - y_pred`.

    Args:
        quantile: `q`, between 0 and 1, both left out; or a list, for a model with one output
            column per quantile and targets `(rows, 1)`.
        reduction: See `MeanSquaredError`.
        name: Name in logs.
        dtype: Floating dtype to compute in.

    Raises:
        TypeError: A quantile is no number.
        ValueError: A quantile is out of range.

    Example:

    >>> import densa
    >>> round(float(densa.losses.Pinball(0.9)([[1.0]], [[0.0]])), 4)
    0.9
    """

    def __init__(
        self,
        quantile: Any = 0.5,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "pinball",
        dtype: Any = None,
    ) -> None:
        super().__init__(pinball, reduction, name, dtype, quantile=check_quantile(quantile))


class GaussianNegativeLogLikelihood(LossFunctionWrapper):
    """Loss of a model that predicts mean `m` and log-variance `s`: `½·mean(s + (y - m)² / e^s)`.

    Args:
        full: Whether to add the constant `½·log(2π)`.
        least_variance: Variances below count as this one; above 0.
        reduction: See `MeanSquaredError`.
        name: Name in logs.
        dtype: Floating dtype to compute in.

    Raises:
        TypeError: `least_variance` is no number.
        ValueError: `least_variance` is not above 0.

    Example:

    >>> import densa
    >>> float(densa.losses.GaussianNegativeLogLikelihood()([[1.0]], [[0.0, 0.0]]))
    0.5
    """

    def __init__(
        self,
        full: bool = False,
        least_variance: float = 1e-6,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "gaussian_negative_log_likelihood",
        dtype: Any = None,
    ) -> None:
        check_real_number("GaussianNegativeLogLikelihood: `least_variance`", least_variance)
        if not 0 < least_variance < math.inf:
            raise ValueError(
                "GaussianNegativeLogLikelihood: `least_variance` must be a finite number above 0; "
                f"received {least_variance!r}."
            )
        super().__init__(
            gaussian_negative_log_likelihood,
            reduction,
            name,
            dtype,
            full=bool(full),
            least_variance=least_variance,
        )
