"""How much of the targets' variation outputs follow."""

from __future__ import annotations

import warnings
from typing import Any

from densa import ops
from densa._masks import get_mask
from densa._names import hinted, nearest
from densa._numbers import whole_number
from densa.losses.loss import as_floating, check_shapes, same_rank
from densa.losses.regression import pair
from densa.variables import Variable

from .metric import Metric
from .reduction import MeanMetricWrapper, what_counts

_AGGREGATIONS = (None, "uniform_average", "variance_weighted_average")


class R2Score(Metric):
    """Coefficient of determination `1 - Σ(y_true - y_pred)² / Σ(y_true - mean(y_true))²`.

    Args:
        class_aggregation: What is made of several columns: their mean `"uniform_average"`, their
            mean by variance `"variance_weighted_average"`, or None for all of them.
        num_regressors: Number of inputs `p`, for the score adjusted by inputs and rows `n`,
            `1 - (1 - R²)·(n - 1)/(n - p - 1)`; 0 for the plain one. Keras (3.15) takes rows times
            columns for `n`, which differs where there are several columns.
        name: Name in logs.
        dtype: Dtype of the sums.

    Raises:
        TypeError: `num_regressors` is no whole number.
        ValueError: An argument is out of range or not known.

    Example:

    >>> import densa
    >>> round(float(densa.metrics.R2Score()([[1.0], [4.0], [3.0]], [[2.0], [4.0], [4.0]])), 4)
    0.5714
    """

    _direction = "up"
    shift: Variable
    squared_sum: Variable
    sum: Variable
    total_mse: Variable
    count: Variable

    def __init__(
        self,
        class_aggregation: str | None = "uniform_average",
        num_regressors: int = 0,
        name: str | None = "r2_score",
        dtype: Any = None,
    ) -> None:
        if class_aggregation not in _AGGREGATIONS:
            known = [a for a in _AGGREGATIONS if a]
            raise ValueError(
                f"`class_aggregation` must be None or one of {known}; received "
                f"{class_aggregation!r}.{nearest(str(class_aggregation), known)}"
            )
        super().__init__(name=name, dtype=dtype)
        self.class_aggregation = class_aggregation
        self.num_regressors = whole_number("num_regressors", num_regressors, least=0)
        self.num_samples = self.add_variable((), "zeros", name="num_samples")
        self._columns: int | None = None

    def _build(self, columns: int) -> None:
        # Sums are of targets less `shift`, the first batch's mean: far from zero, the difference
        # of the plain sums would have lost all digits.
        for what in ("shift", "squared_sum", "sum", "total_mse", "count"):
            setattr(self, what, self.add_variable((columns,), "zeros", name=what))
        self._columns = columns

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Adds a batch of targets and outputs `(rows, columns)`, weights `(rows,)` or finer."""
        mask = get_mask(y_pred)
        y_true, sample_weight = what_counts(y_true, y_pred, sample_weight, self.dtype)
        y_pred = as_floating(y_pred, self.dtype)
        y_true = as_floating(y_true, self.dtype)
        if len(y_pred.shape) == 1:
            y_pred = ops.expand_dims(y_pred, -1)
        y_true, y_pred = same_rank(y_true, y_pred)
        check_shapes(self.name, y_true, y_pred)
        if len(y_pred.shape) != 2:
            raise ValueError(
                f"{self.name}: expected outputs of shape (rows, columns); received "
                f"{tuple(y_pred.shape)}."
            )
        weight = ops.ones_like(y_pred)
        if sample_weight is not None:
            sample_weight = as_floating(sample_weight, self.dtype)
            while len(sample_weight.shape) < 2:
                sample_weight = ops.expand_dims(sample_weight, -1)
            check_shapes(f"{self.name}, `sample_weight`", sample_weight, y_pred, stretched=True)
            weight = weight * sample_weight
        if self._columns is None:
            self._build(int(y_pred.shape[-1]))
        if self._columns != y_pred.shape[-1]:
            raise ValueError(
                f"{self.name}: the first output had {self._columns} columns, this one has "
                f"{y_pred.shape[-1]}."
            )
        first = ops.equal(self.num_samples.value, 0.0)
        shift = ops.where(first, ops.mean(y_true, axis=0), self.shift.value)
        away = y_true - shift
        self.shift.assign(shift)
        for variable, values in (
            (self.sum, away),
            (self.squared_sum, ops.square(away)),
            (self.total_mse, ops.square(y_true - y_pred)),
        ):
            variable.assign(variable + ops.sum(values * weight, axis=0))
        self.count.assign(self.count + ops.sum(weight, axis=0))
        rows = ops.sum(ops.ones_like(y_pred[:, 0]) if mask is None else ops.cast(mask, self.dtype))
        self.num_samples.assign(self.num_samples + rows)

    def result(self) -> Any:
        """The score so far: one number, or one per column."""
        if self._columns is None:
            return ops.convert_to_tensor(0.0)
        total = self.squared_sum.value - ops.divide_no_nan(
            ops.square(self.sum.value), self.count.value
        )
        scores = 1.0 - self.total_mse.value / total
        # Targets that are all alike have no variation to follow; as in Keras the score is 0.
        scores = ops.where(ops.isinf(scores), 0.0, scores)
        if self.class_aggregation == "uniform_average":
            scores = ops.mean(scores)
        elif self.class_aggregation == "variance_weighted_average":
            scores = ops.sum(scores * total) / ops.sum(total)
        return self._adjusted(scores) if self.num_regressors else scores

    def _adjusted(self, scores: Any) -> Any:
        rows, inputs = float(self.num_samples), self.num_regressors
        if inputs >= rows - 1:
            warnings.warn(
                f"{self.name}: {inputs} regressors need more than {inputs + 1} samples, there are "
                f"{rows:.0f}; the score is the plain one.",
                stacklevel=3,
            )
            return scores
        return 1.0 - (1.0 - scores) * (rows - 1.0) / (rows - inputs - 1.0)

    def get_config(self) -> dict[str, Any]:
        """What `from_config` needs to build the same metric."""
        return {
            **super().get_config(),
            "class_aggregation": self.class_aggregation,
            "num_regressors": self.num_regressors,
        }


def _centred(name: str, y_true: Any, y_pred: Any, axis: int) -> tuple[Any, Any, Any, Any]:
    y_true, y_pred = pair(name, y_true, y_pred)
    a, b = (ops.mean(t, axis=axis, keepdims=True) for t in (y_true, y_pred))
    return y_true - a, y_pred - b, a, b


@hinted
def pearson_correlation(y_true: Any, y_pred: Any, axis: int = -1) -> Any:
    """Correlation of target and output along `axis`: `cov(t, p) / (std(t) · std(p))`.

    Args:
        y_true: Targets, `(rows, …, d)`.
        y_pred: Outputs, the same shape.
        axis: Axis of the vectors; it needs at least 2 entries.

    Returns:
        One value per vector, from -1 to 1; 0 where one of both is constant.

    Raises:
        ValueError: The shapes do not fit.

    Example:

    >>> import densa
    >>> densa.metrics.pearson_correlation([[1.0, 2.0, 3.0]], [[2.0, 4.0, 6.0]]).numpy().round(4)
    array([1.], dtype=float32)
    """
    t, p, _, _ = _centred("pearson_correlation", y_true, y_pred, axis)
    both = ops.sum(ops.square(t), axis=axis) * ops.sum(ops.square(p), axis=axis)
    return ops.divide_no_nan(ops.sum(t * p, axis=axis), ops.sqrt(both))


@hinted
def concordance_correlation(y_true: Any, y_pred: Any, axis: int = -1) -> Any:
    """Agreement along `axis`: `2·cov(t, p) / (var(t) + var(p) + (mean(t) - mean(p))²)`.

    Args:
        y_true: Targets, `(rows, …, d)`.
        y_pred: Outputs, the same shape.
        axis: Axis of the vectors.

    Returns:
        One value per vector, from -1 to 1; 1 only where both are equal.

    Raises:
        ValueError: The shapes do not fit.

    Example:

    >>> import densa
    >>> densa.metrics.concordance_correlation([[1.0, 2.0]], [[1.0, 2.0]]).numpy().round(4)
    array([1.], dtype=float32)
    """
    t, p, a, b = _centred("concordance_correlation", y_true, y_pred, axis)
    variance = ops.mean(ops.square(t), axis=axis) + ops.mean(ops.square(p), axis=axis)
    distance = ops.squeeze(ops.square(a - b), axis)
    return ops.divide_no_nan(2.0 * ops.mean(t * p, axis=axis), variance + distance)


class PearsonCorrelation(MeanMetricWrapper):
    """Mean over samples of the correlation of target and output: see `pearson_correlation`.

    Args:
        name: Name in logs.
        dtype: Dtype of the mean.
        axis: Axis of the vectors; with the default, each row is one.

    Example:

    >>> import densa
    >>> round(float(densa.metrics.PearsonCorrelation()([[1.0, 2.0]], [[4.0, 2.0]])), 4)
    -1.0
    """

    _direction = "up"

    def __init__(
        self, name: str | None = "pearson_correlation", dtype: Any = None, axis: int = -1
    ) -> None:
        super().__init__(pearson_correlation, name, dtype, axis=axis)
        self.axis = axis


class ConcordanceCorrelation(MeanMetricWrapper):
    """Mean over samples of the agreement of target and output: see `concordance_correlation`.

    Args:
        name: Name in logs.
        dtype: Dtype of the mean.
        axis: Axis of the vectors; with the default, each row is one.

    Example:

    >>> import densa
    >>> round(float(densa.metrics.ConcordanceCorrelation()([[1.0, 2.0]], [[1.0, 2.0]])), 4)
    1.0
    """

    _direction = "up"

    def __init__(
        self, name: str | None = "concordance_correlation", dtype: Any = None, axis: int = -1
    ) -> None:
        super().__init__(concordance_correlation, name, dtype, axis=axis)
        self.axis = axis
