"""How often the output is right."""

from __future__ import annotations

from typing import Any

from densa import _core, ops
from densa._names import hinted
from densa._numbers import whole_number
from densa.config import floatx
from densa.losses.crossentropy import as_labels
from densa.losses.loss import as_floating, check_shapes, same_rank

from .reduction import MeanMetricWrapper


@hinted
def accuracy(y_true: Any, y_pred: Any) -> Any:
    """1 where target equals output, else 0; averaged over the last axis.

    Args:
        y_true: Targets.
        y_pred: Outputs, the same shape.

    Returns:
        One value per element.

    Raises:
        ValueError: The shapes do not fit.

    Example:

    >>> import densa
    >>> densa.metrics.accuracy([1, 2, 3], [1, 0, 3]).numpy().tolist()
    [1.0, 0.0, 1.0]
    """
    y_pred = ops.convert_to_tensor(y_pred)
    y_true = ops.cast(ops.convert_to_tensor(y_true), str(y_pred.dtype))
    y_true, y_pred = same_rank(y_true, y_pred)
    check_shapes("accuracy", y_true, y_pred)
    return ops.cast(ops.equal(y_true, y_pred), floatx())


@hinted
def binary_accuracy(y_true: Any, y_pred: Any, threshold: float = 0.5) -> Any:
    """1 where target equals `output > threshold`, else 0.

    Args:
        y_true: Labels 0 and 1, `(rows, …, d)`.
        y_pred: Probabilities or logits, the same shape.
        threshold: Output above which it counts as 1; 0 for logits.

    Returns:
        One value per element.

    Raises:
        ValueError: The shapes do not fit.

    Example:

    >>> import densa
    >>> densa.metrics.binary_accuracy([[1.0, 0.0]], [[0.9, 0.8]]).numpy().tolist()
    [[1.0, 0.0]]
    """
    y_pred = as_floating(y_pred)
    y_true = as_floating(y_true, str(y_pred.dtype))
    y_true, y_pred = same_rank(y_true, y_pred)
    check_shapes("binary_accuracy", y_true, y_pred)
    above = ops.cast(y_pred > threshold, str(y_pred.dtype))
    return ops.cast(ops.equal(y_true, above), floatx())


@hinted
def categorical_accuracy(y_true: Any, y_pred: Any) -> Any:
    """1 where the largest target and the largest output have the same place, else 0.

    Args:
        y_true: One-hot targets, `(rows, …, classes)`.
        y_pred: Scores, the same shape.

    Returns:
        One value per sample, `(rows, …)`.

    Raises:
        ValueError: The shapes do not fit.

    Example:

    >>> import densa
    >>> y_pred = [[0.1, 0.9], [0.2, 0.8]]
    >>> densa.metrics.categorical_accuracy([[0, 1], [1, 0]], y_pred).numpy().tolist()
    [1.0, 0.0]
    """
    y_pred = as_floating(y_pred)
    y_true = as_floating(y_true, str(y_pred.dtype))
    check_shapes("categorical_accuracy", y_true, y_pred)
    right = _core.apply("accuracy_sparse", y_pred, ops.argmax(y_true, axis=-1))
    return as_floating(right, str(floatx()))


@hinted
def sparse_categorical_accuracy(y_true: Any, y_pred: Any) -> Any:
    """1 where the largest output stands at the label, else 0.

    Args:
        y_true: Integer labels, `(rows, …)` or `(rows, …, 1)`.
        y_pred: Scores, `(rows, …, classes)`.

    Returns:
        One value per sample, `(rows, …)`.

    Raises:
        ValueError: The labels do not fit the scores.

    Example:

    >>> import densa
    >>> densa.metrics.sparse_categorical_accuracy([1, 0], [[0.1, 0.9], [0.2, 0.8]]).numpy().tolist()
    [1.0, 0.0]
    """
    y_pred = as_floating(y_pred)
    right = _core.apply("accuracy_sparse", y_pred, as_labels(y_true, y_pred))
    return as_floating(right, str(floatx()))


@hinted
def sparse_top_k_categorical_accuracy(
    y_true: Any, y_pred: Any, k: int = 5, from_sorted_ids: bool = False
) -> Any:
    """1 where fewer than `k` classes score above the label's class, else 0.

    Args:
        y_true: Integer labels, `(rows, …)` or `(rows, …, 1)`.
        y_pred: Scores, `(rows, …, classes)`.
        k: How many outputs count.
        from_sorted_ids: Whether `y_pred` holds class numbers, the best first, rather than scores.

    Returns:
        One value per sample, `(rows, …)`.

    Raises:
        ValueError: The labels do not fit the scores.

    Example:

    >>> import densa
    >>> y_pred = [[0.1, 0.5, 0.4], [0.1, 0.5, 0.4]]
    >>> densa.metrics.sparse_top_k_categorical_accuracy([2, 0], y_pred, k=2).numpy().tolist()
    [1.0, 0.0]
    """
    y_pred = ops.convert_to_tensor(y_pred) if from_sorted_ids else as_floating(y_pred)
    labels = as_labels(y_true, y_pred)
    if from_sorted_ids:
        best = ops.cast(y_pred[..., : min(k, int(y_pred.shape[-1]))], str(labels.dtype))
        found = ops.any(ops.equal(best, ops.expand_dims(labels, -1)), axis=-1)
        return ops.cast(found, floatx())
    chosen = ops.one_hot(labels, y_pred.shape[-1], dtype="bool")
    own = ops.sum(ops.where(chosen, y_pred, 0.0), axis=-1, keepdims=True)
    above = ops.sum(ops.cast(y_pred > own, str(floatx())), axis=-1)
    return ops.cast(above < float(k), floatx())


@hinted
def top_k_categorical_accuracy(y_true: Any, y_pred: Any, k: int = 5) -> Any:
    """1 where the largest target is among the `k` largest outputs, else 0.

    Args:
        y_true: One-hot targets, `(rows, …, classes)`.
        y_pred: Scores, the same shape.
        k: How many outputs count.

    Returns:
        One value per sample, `(rows, …)`.

    Raises:
        ValueError: The shapes do not fit.

    Example:

    >>> import densa
    >>> y_pred = [[0.1, 0.5, 0.4], [0.1, 0.5, 0.4]]
    >>> y_true = [[0, 0, 1], [1, 0, 0]]
    >>> densa.metrics.top_k_categorical_accuracy(y_true, y_pred, k=2).numpy().tolist()
    [1.0, 0.0]
    """
    y_true = ops.convert_to_tensor(y_true)
    return sparse_top_k_categorical_accuracy(ops.argmax(y_true, axis=-1), y_pred, k)


class Accuracy(MeanMetricWrapper):
    """How often target equals output.

    Args:
        name: Name in logs.
        dtype: Dtype of the mean.

    Example:

    >>> import densa
    >>> float(densa.metrics.Accuracy()([[1], [2], [3], [4]], [[0], [2], [3], [4]]))
    0.75
    """

    _direction = "up"

    def __init__(self, name: str | None = "accuracy", dtype: Any = None) -> None:
        super().__init__(accuracy, name, dtype)


class BinaryAccuracy(MeanMetricWrapper):
    """How often `output > threshold` equals the label.

    Args:
        name: Name in logs.
        dtype: Dtype of the mean.
        threshold: Output above which it counts as 1; 0 for logits.

    Example:

    >>> import densa
    >>> float(densa.metrics.BinaryAccuracy()([[1.0], [0.0]], [[0.9], [0.8]]))
    0.5
    """

    _direction = "up"

    def __init__(
        self, name: str | None = "binary_accuracy", dtype: Any = None, threshold: float = 0.5
    ) -> None:
        super().__init__(binary_accuracy, name, dtype, threshold=threshold)
        self.threshold = threshold


class CategoricalAccuracy(MeanMetricWrapper):
    """How often the largest output stands where the one-hot target is 1.

    Args:
        name: Name in logs.
        dtype: Dtype of the mean.

    Example:

    >>> import densa
    >>> float(densa.metrics.CategoricalAccuracy()([[0, 1], [1, 0]], [[0.1, 0.9], [0.2, 0.8]]))
    0.5
    """

    _direction = "up"

    def __init__(self, name: str | None = "categorical_accuracy", dtype: Any = None) -> None:
        super().__init__(categorical_accuracy, name, dtype)


class SparseCategoricalAccuracy(MeanMetricWrapper):
    """How often the largest output stands at the integer label.

    Args:
        name: Name in logs.
        dtype: Dtype of the mean.

    Example:

    >>> import densa
    >>> float(densa.metrics.SparseCategoricalAccuracy()([2, 1], [[0.1, 0.6, 0.3], [0.1, 0.9, 0]]))
    0.5
    """

    _direction = "up"

    def __init__(self, name: str | None = "sparse_categorical_accuracy", dtype: Any = None) -> None:
        super().__init__(sparse_categorical_accuracy, name, dtype)


class TopKCategoricalAccuracy(MeanMetricWrapper):
    """How often the class of a one-hot target is among the `k` largest outputs.

    Args:
        k: How many outputs count.
        name: Name in logs.
        dtype: Dtype of the mean.

    Example:

    >>> import densa
    >>> scores = [[0.1, 0.5, 0.4], [0.1, 0.5, 0.4]]
    >>> float(densa.metrics.TopKCategoricalAccuracy(k=2)([[0, 0, 1], [1, 0, 0]], scores))
    0.5
    """

    _direction = "up"

    def __init__(
        self, k: int = 5, name: str | None = "top_k_categorical_accuracy", dtype: Any = None
    ) -> None:
        self.k = whole_number("k", k)
        super().__init__(top_k_categorical_accuracy, name, dtype, k=self.k)


class SparseTopKCategoricalAccuracy(MeanMetricWrapper):
    """How often the integer label is among the `k` largest outputs.

    Args:
        k: How many outputs count.
        name: Name in logs.
        dtype: Dtype of the mean.
        from_sorted_ids: Whether outputs are class numbers, the best first, rather than scores.

    Example:

    >>> import densa
    >>> scores = [[0.1, 0.5, 0.4], [0.1, 0.5, 0.4]]
    >>> float(densa.metrics.SparseTopKCategoricalAccuracy(k=2)([2, 0], scores))
    0.5
    """

    _direction = "up"

    def __init__(
        self,
        k: int = 5,
        name: str | None = "sparse_top_k_categorical_accuracy",
        dtype: Any = None,
        from_sorted_ids: bool = False,
    ) -> None:
        self.k = whole_number("k", k)
        self.from_sorted_ids = bool(from_sorted_ids)
        super().__init__(
            sparse_top_k_categorical_accuracy,
            name,
            dtype,
            k=self.k,
            from_sorted_ids=self.from_sorted_ids,
        )
