"""`CalibrationError`: whether 80 % sure means right in 80 of 100 cases."""

from __future__ import annotations

from typing import Any

import numpy as np

from densa import _core, ops
from densa._numbers import whole_number
from densa.losses.crossentropy import as_labels
from densa.losses.loss import as_floating, check_shapes

from .metric import Metric
from .reduction import what_counts


class CalibrationError(Metric):
    """Expected calibration error: `Σ_b n_b/n · |right_b - confidence_b|`.

    Samples go into bins `b` of equal width by their confidence; `right_b` is the share of right
    answers among the `n_b` samples of a bin, `confidence_b` their mean confidence. With several
    classes that is the largest probability, and the answer its class; with one output column it is
    the probability of label 1, compared with how often 1 is the label.

    Args:
        num_bins: Number of bins between 0 and 1; a bin has its upper end.
        from_logits: Whether outputs are logits rather than probabilities.
        name: Name in logs.
        dtype: Dtype of the sums.

    Raises:
        TypeError: `num_bins` is no whole number.
        ValueError: `num_bins` is below 1.

    Example:

    >>> import densa
    >>> metric = densa.metrics.CalibrationError(num_bins=10)
    >>> round(float(metric([0, 0, 0, 1], [[0.75, 0.25]] * 4)), 4)
    0.0
    >>> metric.reset_state()
    >>> round(float(metric([0, 1, 1, 1], [[0.75, 0.25]] * 4)), 4)
    0.5
    """

    _direction = "down"

    def __init__(
        self,
        num_bins: int = 15,
        from_logits: bool = False,
        name: str | None = "calibration_error",
        dtype: Any = None,
    ) -> None:
        super().__init__(name=name, dtype=dtype)
        self.num_bins = whole_number("num_bins", num_bins)
        self.from_logits = bool(from_logits)
        self.weight = self.add_variable((self.num_bins,), "zeros", name="weight")
        self.confidence = self.add_variable((self.num_bins,), "zeros", name="confidence")
        self.right = self.add_variable((self.num_bins,), "zeros", name="right")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Adds a batch: outputs `(rows, classes)`, labels `(rows,)`, `(rows, 1)` or one-hot."""
        y_true, sample_weight = what_counts(y_true, y_pred, sample_weight, self.dtype)
        y_pred = as_floating(y_pred, self.dtype)
        if len(y_pred.shape) == 1:
            y_pred = ops.expand_dims(y_pred, -1)
        if len(y_pred.shape) != 2:
            raise ValueError(
                f"{self.name}: expected outputs of shape (rows, classes); received "
                f"{tuple(y_pred.shape)}."
            )
        if y_pred.shape[-1] == 1:
            confidence = ops.sigmoid(y_pred) if self.from_logits else y_pred
            right = as_floating(y_true, self.dtype)
            if len(right.shape) == 1:
                right = ops.expand_dims(right, -1)
            check_shapes(self.name, right, y_pred)
        else:
            scores = ops.softmax(y_pred, axis=-1) if self.from_logits else y_pred
            confidence = ops.max(scores, axis=-1, keepdims=True)
            y_true = ops.convert_to_tensor(y_true)
            if len(y_true.shape) == 2 and y_true.shape[-1] == y_pred.shape[-1]:
                y_true = ops.argmax(y_true, axis=-1)
            labels = as_labels(y_true, scores)
            right = as_floating(_core.apply("accuracy_sparse", scores, labels), self.dtype)
            right = ops.expand_dims(right, -1)
        low, high = self._edges()
        inside = ops.cast(ops.logical_and(confidence > low, confidence <= high), self.dtype)
        # A NaN lies in no bin, and must not vanish for that.
        unknown = ops.logical_or(ops.isnan(confidence), ops.isnan(right))
        inside = ops.where(unknown, float("nan"), inside)
        if sample_weight is not None:
            sample_weight = as_floating(sample_weight, self.dtype)
            if len(sample_weight.shape) == 1:
                sample_weight = ops.expand_dims(sample_weight, -1)
            check_shapes(f"{self.name}, `sample_weight`", sample_weight, confidence, stretched=True)
            inside = inside * sample_weight
        for variable, values in (
            (self.weight, inside),
            (self.confidence, inside * confidence),
            (self.right, inside * right),
        ):
            variable.assign(variable + ops.sum(values, axis=0))

    def _edges(self) -> tuple[Any, Any]:
        # Rounding may put a probability a little outside of 0 and 1.
        edges = np.linspace(0.0, 1.0, self.num_bins + 1)
        edges[0], edges[-1] = -np.inf, np.inf
        return edges[:-1].astype(self.dtype), edges[1:].astype(self.dtype)

    def result(self) -> Any:
        """The error so far, between 0 and 1."""
        gap = ops.abs(self.right.value - self.confidence.value)
        return ops.divide_no_nan(ops.sum(gap), ops.sum(self.weight.value))

    def get_config(self) -> dict[str, Any]:
        """What `from_config` needs to build the same metric."""
        own = {"num_bins": self.num_bins, "from_logits": self.from_logits}
        return {**super().get_config(), **own}
