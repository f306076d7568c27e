"""Metrics made of true and false positives and negatives, counted at one or many thresholds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from densa import _core, ops
from densa._numbers import check_real_number, whole_number
from densa.losses.loss import as_floating, check_shapes, same_rank

from .metric import Metric
from .reduction import what_counts

COUNTS = ("true_positives", "false_positives", "true_negatives", "false_negatives")


def check_thresholds(given: Any, default: float = 0.5) -> list[float]:
    """Thresholds as a list of numbers from 0 to 1; ValueError or TypeError for anything else."""
    if given is None:
        return [default]
    values = list(given) if isinstance(given, list | tuple | np.ndarray) else [given]
    if not values:
        raise ValueError("thresholds: the list is empty; give at least one number from 0 to 1.")
    for value in values:
        check_real_number("thresholds", value, least=0)
        if value > 1:
            raise ValueError(f"thresholds must lie between 0 and 1; received {value!r}.")
    return [float(value) for value in values]


def labels_and_scores(
    metric: str, y_true: Any, y_pred: Any, sample_weight: Any, dtype: str
) -> tuple[Any, Any, Any]:
    """Labels as 0 and 1, scores, and weights that fit them; all of `dtype` and of one rank.

    A NaN among targets or scores makes its weight NaN, and with it every count: comparisons alone
    would take it for a small score. What the scores' mask hides weighs 0.
    """
    y_true, sample_weight = what_counts(y_true, y_pred, sample_weight, dtype)
    y_pred = as_floating(y_pred, dtype)
    y_true = as_floating(y_true, dtype)
    y_true, y_pred = same_rank(y_true, y_pred)
    check_shapes(metric, y_true, y_pred)
    unknown = ops.logical_or(ops.isnan(y_true), ops.isnan(y_pred))
    positive = ops.cast(ops.not_equal(y_true, 0.0), dtype)
    weight = ops.where(unknown, float("nan"), ops.ones_like(y_pred))
    if sample_weight is not None:
        sample_weight = as_floating(sample_weight, dtype)
        while len(sample_weight.shape) < len(y_pred.shape):
            sample_weight = ops.expand_dims(sample_weight, -1)
        check_shapes(f"{metric}, `sample_weight`", sample_weight, y_pred, stretched=True)
        weight = weight * sample_weight
    return positive, y_pred, weight


def count(
    positive: Any, y_pred: Any, weight: Any, thresholds: Sequence[float], by_label: bool = False
) -> dict[str, Any]:
    """Weighted numbers of right and wrong answers at each threshold.

    Args:
        positive: Labels 0 and 1, `(rows, …)`.
        y_pred: Scores, the same shape; those above a threshold are positive answers.
        weight: Weights, the same shape.
        thresholds: T numbers.
        by_label: Whether columns, the last axis, are counted apart.

    Returns:
        For each name of `COUNTS` a Tensor `(T,)`, `(T, columns)` with `by_label`.
    """
    dtype = str(y_pred.dtype)
    limits = np.array(thresholds, dtype)
    positives, negatives = weight * positive, weight * (1.0 - positive)
    if by_label:
        above = ops.cast(ops.expand_dims(y_pred, 1) > limits[:, None], dtype)
        right, wrong = (ops.sum(above * ops.expand_dims(t, 1), 0) for t in (positives, negatives))
        of_all = [ops.sum(t, axis=0) for t in (positives, negatives)]
    else:
        if len(y_pred.shape) == 2 and y_pred.shape[-1] == 1:
            # One product of matrices in place of four sums over (rows, T).
            above = ops.cast(y_pred > limits, dtype)
            both = ops.concatenate([positives, negatives], axis=-1)
            found = _core.apply("matmul", both, above, transpose_a=True)
            right, wrong = found[0], found[1]
        else:
            above = ops.cast(ops.expand_dims(y_pred, -1) > limits, dtype)
            axes = list(range(len(y_pred.shape)))
            right, wrong = (
                ops.sum(above * ops.expand_dims(t, -1), axis=axes) for t in (positives, negatives)
            )
        of_all = [ops.sum(t) for t in (positives, negatives)]
    return {
        "true_positives": right,
        "false_positives": wrong,
        "true_negatives": _rest(of_all[1], wrong),
        "false_negatives": _rest(of_all[0], right),
    }


def _rest(total: Any, part: Any) -> Any:
    # Both are sums of the same weights in another order: what is left may be a little below 0.
    left = total - part
    return ops.where(left < 0.0, 0.0, left)


class Counting(Metric):
    """Base of metrics that count at thresholds; `counts` names what a subclass needs."""

    counts: tuple[str, ...] = COUNTS

    def __init__(
        self, thresholds: list[float], class_id: int | None, name: str | None, dtype: Any
    ) -> None:
        super().__init__(name=name, dtype=dtype)
        self.thresholds = thresholds
        self.top_k: int | None = None
        self.class_id = None if class_id is None else whole_number("class_id", class_id, least=0)
        if thresholds:
            self._build((len(thresholds),))

    def _build(self, shape: tuple[int, ...]) -> None:
        for what in self.counts:
            setattr(self, what, self.add_variable(shape, "zeros", name=what))

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Adds a batch of labels 0 and 1 `(rows, …)` and scores of the same shape."""
        found = labels_and_scores(self.name, y_true, y_pred, sample_weight, self.dtype)
        positive, y_pred, weight = found
        if self.top_k is not None:
            y_pred = _without_all_but(y_pred, self.top_k)
        if self.class_id is not None:
            if not len(y_pred.shape) or self.class_id >= int(y_pred.shape[-1]):
                raise ValueError(
                    f"{self.name}: class_id={self.class_id} is out of range for an output of shape "
                    f"{tuple(y_pred.shape)}."
                )
            positive, y_pred, weight = (
                t[..., self.class_id] if t.shape[-1] != 1 else t[..., 0]
                for t in (positive, y_pred, weight)
            )
        self._add(positive, y_pred, weight)

    def _add(self, positive: Any, y_pred: Any, weight: Any) -> None:
        found = count(positive, y_pred, weight, self.thresholds)
        for what in self.counts:
            variable = getattr(self, what)
            variable.assign(variable + found[what])

    def _one_or_all(self, values: Any) -> Any:
        return values[0] if len(self.thresholds) == 1 else values


def _without_all_but(scores: Any, k: int) -> Any:
    # A class is among the k best where fewer than k score above it; equal ones count together.
    above = ops.expand_dims(scores, -2) > ops.expand_dims(scores, -1)
    rank = ops.sum(ops.cast(above, str(scores.dtype)), axis=-1)
    return ops.where(rank < float(k), scores, -1e10)


class _Counter(Counting):
    # One of the four numbers by itself.
    def __init__(self, thresholds: Any = None, name: str | None = None, dtype: Any = None) -> None:
        self._given = thresholds
        super().__init__(check_thresholds(thresholds), None, name, dtype)

    def result(self) -> Any:
        """The number so far; one per threshold where several were given."""
        return self._one_or_all(getattr(self, self.counts[0]).value)

    def get_config(self) -> dict[str, Any]:
        """What `from_config` needs to build the same metric."""
        return {**super().get_config(), "thresholds": _plain(self._given)}


def _plain(given: Any) -> Any:
    return [float(v) for v in given] if isinstance(given, list | tuple | np.ndarray) else given


class TruePositives(_Counter):
    """Number (or weight) of positive samples with a score above the threshold.

    Args:
        thresholds: A number from 0 to 1, or a list; 0.5 by default.
        name: Name in logs.
        dtype: Dtype of the sums.

    Example:

    >>> import densa
    >>> float(densa.metrics.TruePositives()([0, 1, 1, 1], [1.0, 0.0, 1.0, 1.0]))
    2.0
    """

    counts = ("true_positives",)
    _direction = "up"


class FalsePositives(_Counter):
    """Number (or weight) of negative samples with a score above the threshold.

    Args:
        thresholds: A number from 0 to 1, or a list; 0.5 by default.
        name: Name in logs.
        dtype: Dtype of the sums.

    Example:

    >>> import densa
    >>> float(densa.metrics.FalsePositives()([0, 1, 0, 0], [0.0, 0.0, 1.0, 1.0]))
    2.0
    """

    counts = ("false_positives",)
    _direction = "down"


class TrueNegatives(_Counter):
    """Number (or weight) of negative samples with a score of at most the threshold.

    Args:
        thresholds: A number from 0 to 1, or a list; 0.5 by default.
        name: Name in logs.
        dtype: Dtype of the sums.

    Example:

    >>> import densa
    >>> float(densa.metrics.TrueNegatives()([0, 1, 0, 0], [1.0, 1.0, 0.0, 0.0]))
    2.0
    """

    counts = ("true_negatives",)
    _direction = "up"


class FalseNegatives(_Counter):
    """Number (or weight) of positive samples with a score of at most the threshold.

    Args:
        thresholds: A number from 0 to 1, or a list; 0.5 by default.
        name: Name in logs.
        dtype: Dtype of the sums.

    Example:

    >>> import densa
    >>> float(densa.metrics.FalseNegatives()([0, 1, 1, 1], [0.0, 1.0, 0.0, 0.0]))
    2.0
    """

    counts = ("false_negatives",)
    _direction = "down"


class _Share(Counting):
    # true positives / (true positives + the other number)
    _direction = "up"

    def __init__(
        self,
        thresholds: Any = None,
        top_k: int | None = None,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        self._given = thresholds
        # With top_k alone every score that is left counts as a positive answer.
        limits = [-1e9] if thresholds is None and top_k is not None else None
        super().__init__(limits or check_thresholds(thresholds), class_id, name, dtype)
        self.top_k = None if top_k is None else whole_number("top_k", top_k)

    def result(self) -> Any:
        """The share so far, 0 where nothing is counted; one per threshold if several."""
        right, wrong = (getattr(self, what).value for what in self.counts)
        return self._one_or_all(ops.divide_no_nan(right, right + wrong))

    def get_config(self) -> dict[str, Any]:
        """What `from_config` needs to build the same metric."""
        own = {"thresholds": _plain(self._given), "top_k": self.top_k, "class_id": self.class_id}
        return {**super().get_config(), **own}


class Precision(_Share):
    """Share of the positive answers that are right: `TP / (TP + FP)`.

    Args:
        thresholds: A number from 0 to 1 above which a score is a positive answer, or a list;
            0.5 by default.
        top_k: The `k` largest scores of a row alone can be positive answers.
        class_id: The one class to count, a column of target and output.
        name: Name in logs.
        dtype: Dtype of the sums.

    Raises:
        TypeError: A threshold is no number, or `top_k` or `class_id` no whole number.
        ValueError: One of them is out of range.

    Example:

    >>> import densa
    >>> precision = densa.metrics.Precision()
    >>> round(float(precision([0, 1, 1, 1], [1.0, 0.0, 1.0, 1.0])), 4)
    0.6667
    """

    counts = ("true_positives", "false_positives")


class Recall(_Share):
    """Share of the positive samples that are found: `TP / (TP + FN)`.

    Args:
        thresholds: A number from 0 to 1 above which a score is a positive answer, or a list;
            0.5 by default.
        top_k: The `k` largest scores of a row alone can be positive answers.
        class_id: The one class to count, a column of target and output.
        name: Name in logs.
        dtype: Dtype of the sums.

    Raises:
        TypeError: A threshold is no number, or `top_k` or `class_id` no whole number.
        ValueError: One of them is out of range.

    Example:

    >>> import densa
    >>> round(float(densa.metrics.Recall()([0, 1, 1, 1], [1.0, 0.0, 1.0, 1.0])), 4)
    0.6667
    """

    counts = ("true_positives", "false_negatives")


def even_thresholds(number: int) -> list[float]:
    """`number` thresholds evenly from just below 0 to just above 1, as Keras has them."""
    inner = [i / (number - 1) for i in range(1, number - 1)]
    return [-1e-7, *inner, 1.0 + 1e-7]


class _Best(Counting):
    # The best of one share over the thresholds at which another is at least `least`.
    _direction = "up"
    asked = ""  # the argument's name

    def __init__(
        self, least: float, num_thresholds: int, class_id: int | None, name: Any, dtype: Any
    ) -> None:
        check_real_number(self.asked, least, least=0)
        if least > 1:
            raise ValueError(f"{self.asked} must lie between 0 and 1; received {least!r}.")
        self.num_thresholds = whole_number("num_thresholds", num_thresholds)
        thresholds = [0.5] if num_thresholds == 1 else even_thresholds(self.num_thresholds)
        super().__init__(thresholds, class_id, name, dtype)
        setattr(self, self.asked, float(least))

    def shares(self) -> tuple[Any, Any]:
        """What is bounded and what is to be large, at each threshold."""
        raise NotImplementedError

    def result(self) -> Any:
        """The best so far; 0 where no threshold satisfies the bound."""
        bounded, wanted = self.shares()
        met = bounded >= getattr(self, self.asked)
        # The zero is NaN where a count is, which the comparison has hidden.
        return ops.max(ops.where(met, wanted, 0.0)) + 0.0 * ops.sum(bounded + wanted)

    def get_config(self) -> dict[str, Any]:
        """What `from_config` needs to build the same metric."""
        return {
            **super().get_config(),
            self.asked: getattr(self, self.asked),
            "num_thresholds": self.num_thresholds,
            "class_id": self.class_id,
        }

    def _share(self, right: str, wrong: str) -> Any:
        a, b = getattr(self, right).value, getattr(self, wrong).value
        return ops.divide_no_nan(a, a + b)


class SensitivityAtSpecificity(_Best):
    """Largest recall `TP / (TP + FN)` at a specificity `TN / (TN + FP)` of at least this.

    Args:
        specificity: The least specificity, from 0 to 1.
        num_thresholds: Number of thresholds tried, evenly from 0 to 1.
        class_id: The one class to count, a column of target and output.
        name: Name in logs.
        dtype: Dtype of the sums.

    Raises:
        TypeError: A number is none.
        ValueError: A number is out of range.

    Example:

    >>> import densa
    >>> metric = densa.metrics.SensitivityAtSpecificity(0.5)
    >>> float(metric([0, 0, 0, 1, 1], [0.0, 0.3, 0.8, 0.3, 0.8]))
    0.5
    """

    asked = "specificity"

    def __init__(
        self,
        specificity: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(specificity, num_thresholds, class_id, name, dtype)

    def shares(self) -> tuple[Any, Any]:
        """Specificity and sensitivity at each threshold."""
        return (
            self._share("true_negatives", "false_positives"),
            self._share("true_positives", "false_negatives"),
        )


class SpecificityAtSensitivity(_Best):
    """Largest specificity `TN / (TN + FP)` at a recall `TP / (TP + FN)` of at least this.

    Args:
        sensitivity: The least recall, from 0 to 1.
        num_thresholds: Number of thresholds tried, evenly from 0 to 1.
        class_id: The one class to count, a column of target and output.
        name: Name in logs.
        dtype: Dtype of the sums.

    Raises:
        TypeError: A number is none.
        ValueError: A number is out of range.

    Example:

    >>> import densa
    >>> metric = densa.metrics.SpecificityAtSensitivity(0.5)
    >>> round(float(metric([0, 0, 0, 1, 1], [0.0, 0.3, 0.8, 0.3, 0.8])), 4)
    0.6667
    """

    asked = "sensitivity"

    def __init__(
        self,
        sensitivity: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(sensitivity, num_thresholds, class_id, name, dtype)

    def shares(self) -> tuple[Any, Any]:
        """Sensitivity and specificity at each threshold."""
        return (
            self._share("true_positives", "false_negatives"),
            self._share("true_negatives", "false_positives"),
        )


class PrecisionAtRecall(_Best):
    """Largest precision `TP / (TP + FP)` at a recall `TP / (TP + FN)` of at least this.

    Args:
        recall: The least recall, from 0 to 1.
        num_thresholds: Number of thresholds tried, evenly from 0 to 1.
        class_id: The one class to count, a column of target and output.
        name: Name in logs.
        dtype: Dtype of the sums.

    Raises:
        TypeError: A number is none.
        ValueError: A number is out of range.

    Example:

    >>> import densa
    >>> metric = densa.metrics.PrecisionAtRecall(0.5)
    >>> float(metric([0, 0, 0, 1, 1], [0.0, 0.3, 0.8, 0.3, 0.8]))
    0.5
    """

    asked = "recall"

    def __init__(
        self,
        recall: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(recall, num_thresholds, class_id, name, dtype)

    def shares(self) -> tuple[Any, Any]:
        """Recall and precision at each threshold."""
        return (
            self._share("true_positives", "false_negatives"),
            self._share("true_positives", "false_positives"),
        )


class RecallAtPrecision(_Best):
    """Largest recall `TP / (TP + FN)` at a precision `TP / (TP + FP)` of at least this.

    Args:
        precision: The least precision, from 0 to 1.
        num_thresholds: Number of thresholds tried, evenly from 0 to 1.
        class_id: The one class to count, a column of target and output.
        name: Name in logs.
        dtype: Dtype of the sums.

    Raises:
        TypeError: A number is none.
        ValueError: A number is out of range.

    Example:

    >>> import densa
    >>> metric = densa.metrics.RecallAtPrecision(0.8)
    >>> float(metric([0, 0, 1, 1], [0.0, 0.5, 0.3, 0.9]))
    0.5
    """

    asked = "precision"

    def __init__(
        self,
        precision: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(precision, num_thresholds, class_id, name, dtype)

    def shares(self) -> tuple[Any, Any]:
        """Precision and recall at each threshold."""
        return (
            self._share("true_positives", "false_positives"),
            self._share("true_positives", "false_negatives"),
        )
