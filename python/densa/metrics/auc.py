"""`AUC`: the area under a curve over thresholds."""

from __future__ import annotations

from typing import Any

import numpy as np

from densa import ops
from densa._masks import carried
from densa._names import nearest
from densa._numbers import is_numeric, whole_number

from .confusion import Counting, check_thresholds, count, even_thresholds, labels_and_scores

_CURVES = ("ROC", "PR")
_METHODS = ("interpolation", "minoring", "majoring")


def _one_of(name: str, value: Any, known: tuple[str, ...]) -> str:
    for entry in known:
        if isinstance(value, str) and value.lower() == entry.lower():
            return entry
    raise ValueError(
        f"AUC: `{name}` must be one of {list(known)}; received {value!r}."
        f"{nearest(str(value), known)}"
    )


class AUC(Counting):
    """Area under the ROC curve (recall over false positive rate) or the precision-recall curve.

    The curve is known at the thresholds alone: the more of them, the nearer to the exact area.

    Args:
        num_thresholds: Number of thresholds, evenly from 0 to 1; at least 2.
        curve: `"ROC"` or `"PR"`.
        summation_method: What lies between two points: `"interpolation"` (a line; for `"PR"` the
            interpolation of true positives that Davis and Goadrich give), `"minoring"` (the lower
            of both) or `"majoring"` (the higher).
        name: Name in logs.
        dtype: Dtype of the sums.
        thresholds: The thresholds themselves, from 0 to 1; the two ends are added.
        multi_label: Whether columns are classes that have an area each; the result is their mean.
        num_labels: Number of these classes; by default that of the first output.
        label_weights: Weight of each class in the mean.
        from_logits: Whether outputs are logits: scores are their sigmoid.

    Raises:
        TypeError: A number is none.
        ValueError: An argument is out of range or not known.

    Example:

    >>> import densa
    >>> metric = densa.metrics.AUC(num_thresholds=3)
    >>> float(metric([0, 0, 1, 1], [0.0, 0.5, 0.3, 0.9]))
    0.75
    """

    _direction = "up"

    def __init__(
        self,
        num_thresholds: int = 200,
        curve: str = "ROC",
        summation_method: str = "interpolation",
        name: str | None = None,
        dtype: Any = None,
        thresholds: Any = None,
        multi_label: bool = False,
        num_labels: int | None = None,
        label_weights: Any = None,
        from_logits: bool = False,
    ) -> None:
        self.curve = _one_of("curve", curve, _CURVES)
        self.summation_method = _one_of("summation_method", summation_method, _METHODS)
        if thresholds is None:
            limits = even_thresholds(whole_number("num_thresholds", num_thresholds, least=2))
            self._inner = None
        else:
            self._inner = sorted(check_thresholds(thresholds))
            limits = [-1e-7, *self._inner, 1.0 + 1e-7]
        self.num_thresholds = len(limits)
        self.multi_label = bool(multi_label)
        self.num_labels = None if num_labels is None else whole_number("num_labels", num_labels)
        self.label_weights = None
        if label_weights is not None:
            if not is_numeric(label_weights):
                raise TypeError(
                    f"AUC: `label_weights` must be a list of numbers; received {label_weights!r}."
                )
            self.label_weights = [float(w) for w in np.asarray(label_weights).ravel()]
        if not self.multi_label and (num_labels is not None or label_weights is not None):
            raise ValueError("AUC: `num_labels` and `label_weights` need `multi_label=True`.")
        self.from_logits = bool(from_logits)
        # Sums by label are made when the number of labels is known.
        super().__init__([] if self.multi_label else limits, None, name, dtype)
        self.thresholds = limits
        if self.multi_label and self.num_labels is not None:
            self._build((self.num_thresholds, self.num_labels))

    def _build(self, shape: tuple[int, ...]) -> None:
        labels = shape[1] if len(shape) > 1 else None
        if self.label_weights is not None and len(self.label_weights) != labels:
            raise ValueError(
                f"AUC: there are {len(self.label_weights)} `label_weights` but {labels} labels."
            )
        super()._build(shape)

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Adds a batch of labels 0 and 1 `(rows, …)` and scores of the same shape."""
        if self.from_logits:
            y_pred = carried(y_pred, ops.sigmoid(y_pred))
        found = labels_and_scores(self.name, y_true, y_pred, sample_weight, self.dtype)
        if self.multi_label:
            shape = tuple(found[1].shape)
            labels = self.num_labels or (shape[-1] if len(shape) == 2 else None)
            if len(shape) != 2 or shape[-1] != labels:
                raise ValueError(
                    f"{self.name}: with multi_label=True outputs have the shape (rows, "
                    f"{labels or 'labels'}); received {shape}."
                )
            if not self._variables:
                self.num_labels = int(labels)
                self._build((self.num_thresholds, self.num_labels))
        self._add(*found)

    def _add(self, positive: Any, y_pred: Any, weight: Any) -> None:
        found = count(positive, y_pred, weight, self.thresholds, by_label=self.multi_label)
        for what in self.counts:
            variable = getattr(self, what)
            variable.assign(variable + found[what])

    def result(self) -> Any:
        """The area so far."""
        if not self._variables:
            return ops.convert_to_tensor(0.0)
        tp, fp, tn, fn = (getattr(self, what).value for what in self.counts)
        if self.curve == "PR" and self.summation_method == "interpolation":
            areas = _interpolated(tp, fp, fn)
        else:
            recall = ops.divide_no_nan(tp, tp + fn)
            if self.curve == "ROC":
                x, y = ops.divide_no_nan(fp, fp + tn), recall
            else:
                x, y = recall, ops.divide_no_nan(tp, tp + fp)
            left, right = y[:-1], y[1:]
            if self.summation_method == "interpolation":
                heights = (left + right) / 2.0
            elif self.summation_method == "minoring":
                heights = ops.minimum(left, right)
            else:
                heights = ops.maximum(left, right)
            areas = (x[:-1] - x[1:]) * heights
        if not self.multi_label:
            return ops.sum(areas)
        by_label = ops.sum(areas, axis=0)
        if self.label_weights is None:
            return ops.mean(by_label)
        weights = np.array(self.label_weights, str(by_label.dtype))
        return ops.divide_no_nan(ops.sum(by_label * weights), float(weights.sum()))

    def get_config(self) -> dict[str, Any]:
        """What `from_config` needs to build the same metric."""
        return {
            **super().get_config(),
            "num_thresholds": self.num_thresholds,
            "curve": self.curve,
            "summation_method": self.summation_method,
            "thresholds": self._inner,
            "multi_label": self.multi_label,
            "num_labels": self.num_labels,
            "label_weights": self.label_weights,
            "from_logits": self.from_logits,
        }


def _interpolated(tp: Any, fp: Any, fn: Any) -> Any:
    """Areas between thresholds under the precision-recall curve.

    Between two points true positives grow in proportion to positive answers p, so that precision
    is `(a + slope·p) / p` with `a = TP - slope·p`; its integral over recall has a logarithm.
    """
    p = tp + fp
    gained = tp[:-1] - tp[1:]
    slope = ops.divide_no_nan(gained, ops.maximum(p[:-1] - p[1:], 0.0))
    intercept = tp[1:] - slope * p[1:]
    both = ops.logical_and(p[:-1] > 0.0, p[1:] > 0.0)
    ratio = ops.where(both, ops.divide_no_nan(p[:-1], ops.maximum(p[1:], 0.0)), 1.0)
    area = slope * (gained + intercept * ops.log(ratio))
    return ops.divide_no_nan(area, ops.maximum(tp[1:] + fn[1:], 0.0))
