"""F scores: precision and recall in one number."""

from __future__ import annotations

from types import NoneType
from typing import Any

from densa import ops
from densa._names import nearest
from densa._numbers import check_real_number, finite_number

from .confusion import labels_and_scores
from .metric import Metric

_AVERAGES = (None, "micro", "macro", "weighted")


class FBetaScore(Metric):
    """`(1 + β²) · precision · recall / (β² · precision + recall)` for each class.

    Args:
        average: None gives one score per class; `"macro"` their mean, `"weighted"` their mean by
            the number of samples of each class, `"micro"` the score of all classes' counts
            together.
        beta: `β`, above 0: how many times as much recall counts as precision.
        threshold: Score above which a class is the answer, from 0 to 1; None: the class with the
            largest score of the row.
        name: Name in logs.
        dtype: Dtype of the sums.

    Raises:
        TypeError: `beta` or `threshold` is no number.
        ValueError: An argument is out of range or not known.

    Example:

    >>> import densa
    >>> metric = densa.metrics.FBetaScore(beta=2.0, threshold=0.5)
    >>> y_true = [[1, 1, 1], [1, 0, 0], [1, 1, 0]]
    >>> y_pred = [[0.2, 0.6, 0.7], [0.2, 0.6, 0.6], [0.6, 0.8, 0.0]]
    >>> metric(y_true, y_pred).numpy().round(4).tolist()
    [0.3846000134944916, 0.9090999960899353, 0.833299994468689]
    """

    _direction = "up"

    def __init__(
        self,
        average: str | None = None,
        beta: float = 1.0,
        threshold: float | None = None,
        name: str | None = "fbeta_score",
        dtype: Any = None,
    ) -> None:
        if not isinstance(average, (str, NoneType)) or average not in _AVERAGES:
            known = [a for a in _AVERAGES if a]
            raise ValueError(
                f"`average` must be None or one of {known}; received {average!r}."
                f"{nearest(str(average), known)}"
            )
        finite_number("beta", beta)
        if not beta > 0:
            raise ValueError(f"beta must be above 0; received {beta!r}.")
        if threshold is not None:
            check_real_number("threshold", threshold, least=0)
            if threshold > 1:
                raise ValueError(f"threshold must lie between 0 and 1; received {threshold!r}.")
        super().__init__(name=name, dtype=dtype)
        self.average = average
        self.beta = float(beta)
        self.threshold = None if threshold is None else float(threshold)

    def _build(self, columns: int) -> None:
        for what in ("true_positives", "false_positives", "false_negatives", "support"):
            setattr(self, what, self.add_variable((columns,), "zeros", name=what))

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Adds a batch of labels 0 and 1 `(rows, classes)`, scores alike, weights `(rows,)`."""
        shape = tuple(getattr(y_pred, "shape", None) or ops.convert_to_tensor(y_pred).shape)
        if len(shape) != 2:
            raise ValueError(
                f"{self.name}: expected outputs of shape (rows, classes); received {shape}."
            )
        found = labels_and_scores(self.name, y_true, y_pred, sample_weight, self.dtype)
        positive, y_pred, weight = found
        if not self._variables:
            self._build(int(y_pred.shape[-1]))
        if self._variables[0].shape[0] != y_pred.shape[-1]:
            raise ValueError(
                f"{self.name}: the first output had {self._variables[0].shape[0]} classes, this "
                f"one has {y_pred.shape[-1]}."
            )
        if self.threshold is None:
            best = ops.equal(y_pred, ops.max(y_pred, axis=-1, keepdims=True))
            # As in Keras: a row of zeros has no answer.
            answer = ops.logical_and(best, ops.abs(y_pred) > 1e-9)
        else:
            answer = y_pred > self.threshold
        answer = ops.cast(answer, self.dtype)
        for what, values in (
            ("true_positives", answer * positive),
            ("false_positives", answer * (1.0 - positive)),
            ("false_negatives", (1.0 - answer) * positive),
            ("support", positive),
        ):
            variable = getattr(self, what)
            variable.assign(variable + ops.sum(values * weight, axis=0))

    def result(self) -> Any:
        """The score so far: one number, or one per class."""
        if not self._variables:
            return ops.convert_to_tensor(0.0)
        tp, fp, fn, support = (variable.value for variable in self._variables)
        if self.average == "micro":
            tp, fp, fn = ops.sum(tp), ops.sum(fp), ops.sum(fn)
        square = self.beta * self.beta
        right = (1.0 + square) * tp
        scores = ops.divide_no_nan(right, right + square * fn + fp)
        if self.average == "weighted":
            return ops.divide_no_nan(ops.sum(scores * support), ops.sum(support))
        return ops.mean(scores) if self.average == "macro" else scores

    def get_config(self) -> dict[str, Any]:
        """What `from_config` needs to build the same metric."""
        own = {"average": self.average, "beta": self.beta, "threshold": self.threshold}
        return {**super().get_config(), **own}


class F1Score(FBetaScore):
    """`2 · precision · recall / (precision + recall)` for each class.

    Args:
        average: None gives one score per class; `"macro"`, `"weighted"` or `"micro"` one number:
            see `FBetaScore`.
        threshold: Score above which a class is the answer; None: the largest score of the row.
        name: Name in logs.
        dtype: Dtype of the sums.

    Raises:
        TypeError: `threshold` is no number.
        ValueError: An argument is out of range or not known.

    Example:

    >>> import densa
    >>> metric = densa.metrics.F1Score(average="macro")
    >>> float(metric([[1, 0], [0, 1]], [[0.9, 0.1], [0.2, 0.8]]))
    1.0
    """

    def __init__(
        self,
        average: str | None = None,
        threshold: float | None = None,
        name: str | None = "f1_score",
        dtype: Any = None,
    ) -> None:
        super().__init__(average, 1.0, threshold, name, dtype)

    def get_config(self) -> dict[str, Any]:
        """What `from_config` needs to build the same metric."""
        config = super().get_config()
        del config["beta"]
        return config
