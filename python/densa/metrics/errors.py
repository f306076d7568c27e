"""Errors and losses gathered as metrics."""

from __future__ import annotations

from typing import Any

from densa import ops
from densa.losses import crossentropy as ce
from densa.losses import regression as r
from densa.losses.loss import as_floating

from .reduction import Mean, MeanMetricWrapper, what_counts


class MeanSquaredError(MeanMetricWrapper):
    """Mean of `losses.mean_squared_error` over all samples; its formula stands there.

    Args:
        name: Name in logs.
        dtype: Dtype of the mean.

    Example:

    >>> import densa
    >>> round(float(densa.metrics.MeanSquaredError()([[0.0, 1.0]], [[0.5, 0.75]])), 4)
    0.1562
    """

    _direction = "down"

    def __init__(self, name: str | None = "mean_squared_error", dtype: Any = None) -> None:
        super().__init__(r.mean_squared_error, name, dtype)


class MeanAbsoluteError(MeanMetricWrapper):
    """Mean of `losses.mean_absolute_error` over all samples; its formula stands there.

    Args:
        name: Name in logs.
        dtype: Dtype of the mean.

    Example:

    >>> import densa
    >>> round(float(densa.metrics.MeanAbsoluteError()([[0.0, 1.0]], [[0.5, 0.75]])), 4)
    0.375
    """

    _direction = "down"

    def __init__(self, name: str | None = "mean_absolute_error", dtype: Any = None) -> None:
        super().__init__(r.mean_absolute_error, name, dtype)


class MeanAbsolutePercentageError(MeanMetricWrapper):
    """Mean of `losses.mean_absolute_percentage_error` over all samples; its formula stands there.

    Args:
        name: Name in logs.
        dtype: Dtype of the mean.

    Example:

    >>> import densa
    >>> round(float(densa.metrics.MeanAbsolutePercentageError()([[1.0, 2.0]], [[1.5, 2.5]])), 4)
    37.5
    """

    _direction = "down"

    def __init__(
        self, name: str | None = "mean_absolute_percentage_error", dtype: Any = None
    ) -> None:
        super().__init__(r.mean_absolute_percentage_error, name, dtype)


class MeanSquaredLogarithmicError(MeanMetricWrapper):
    """Mean of `losses.mean_squared_logarithmic_error` over all samples; its formula stands there.

    Args:
        name: Name in logs.
        dtype: Dtype of the mean.

    Example:

    >>> import densa
    >>> round(float(densa.metrics.MeanSquaredLogarithmicError()([[0.0, 1.0]], [[0.5, 0.75]])), 4)
    0.0911
    """

    _direction = "down"

    def __init__(
        self, name: str | None = "mean_squared_logarithmic_error", dtype: Any = None
    ) -> None:
        super().__init__(r.mean_squared_logarithmic_error, name, dtype)


class LogCoshError(MeanMetricWrapper):
    """Mean of `losses.log_cosh` over all samples; its formula stands there.

    Args:
        name: Name in logs.
        dtype: Dtype of the mean.

    Example:

    >>> import densa
    >>> round(float(densa.metrics.LogCoshError()([[0.0, 1.0]], [[0.5, 0.75]])), 4)
    0.0755
    """

    _direction = "down"

    def __init__(self, name: str | None = "logcosh", dtype: Any = None) -> None:
        super().__init__(r.log_cosh, name, dtype)


class KLDivergence(MeanMetricWrapper):
    """Mean of `losses.kl_divergence` over all samples; its formula stands there.

    Args:
        name: Name in logs.
        dtype: Dtype of the mean.

    Example:

    >>> import densa
    >>> round(float(densa.metrics.KLDivergence()([[0.0, 1.0]], [[0.5, 0.75]])), 4)
    0.2877
    """

    _direction = "down"

    def __init__(self, name: str | None = "kl_divergence", dtype: Any = None) -> None:
        super().__init__(r.kl_divergence, name, dtype)


class Poisson(MeanMetricWrapper):
    """Mean of `losses.poisson` over all samples; its formula stands there.

    Args:
        name: Name in logs.
        dtype: Dtype of the mean.

    Example:

    >>> import densa
    >>> round(float(densa.metrics.Poisson()([[0.0, 1.0]], [[0.5, 0.75]])), 4)
    0.7688
    """

    _direction = "down"

    def __init__(self, name: str | None = "poisson", dtype: Any = None) -> None:
        super().__init__(r.poisson, name, dtype)


class Hinge(MeanMetricWrapper):
    """Mean of `losses.hinge` over all samples; its formula stands there.

    Args:
        name: Name in logs.
        dtype: Dtype of the mean.

    Example:

    >>> import densa
    >>> round(float(densa.metrics.Hinge()([[-1.0, 1.0]], [[0.5, 0.75]])), 4)
    0.875
    """

    _direction = "down"

    def __init__(self, name: str | None = "hinge", dtype: Any = None) -> None:
        super().__init__(r.hinge, name, dtype)


class SquaredHinge(MeanMetricWrapper):
    """Mean of `losses.squared_hinge` over all samples; its formula stands there.

    Args:
        name: Name in logs.
        dtype: Dtype of the mean.

    Example:

    >>> import densa
    >>> round(float(densa.metrics.SquaredHinge()([[-1.0, 1.0]], [[0.5, 0.75]])), 4)
    1.1562
    """

    _direction = "down"

    def __init__(self, name: str | None = "squared_hinge", dtype: Any = None) -> None:
        super().__init__(r.squared_hinge, name, dtype)


class CategoricalHinge(MeanMetricWrapper):
    """Mean of `losses.categorical_hinge` over all samples; its formula stands there.

    Args:
        name: Name in logs.
        dtype: Dtype of the mean.

    Example:

    >>> import densa
    >>> round(float(densa.metrics.CategoricalHinge()([[0.0, 1.0]], [[0.5, 0.75]])), 4)
    0.75
    """

    _direction = "down"

    def __init__(self, name: str | None = "categorical_hinge", dtype: Any = None) -> None:
        super().__init__(r.categorical_hinge, name, dtype)


class RootMeanSquaredError(Mean):
    """Square root of the mean of `losses.mean_squared_error` over all samples.

    Args:
        name: Name in logs.
        dtype: Dtype of the mean.

    Example:

    >>> import densa
    >>> float(densa.metrics.RootMeanSquaredError()([[0.0, 0.0]], [[2.0, 2.0]]))
    2.0
    """

    _direction = "down"

    def __init__(self, name: str | None = "root_mean_squared_error", dtype: Any = None) -> None:
        super().__init__(name, dtype)

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:  # type: ignore[override]
        """Adds a batch of targets and outputs."""
        y_true, sample_weight = what_counts(y_true, y_pred, sample_weight, self.dtype)
        y_true, y_pred = r.pair("root_mean_squared_error", y_true, y_pred, stretched=True)
        super().update_state(ops.square(y_pred - y_true), sample_weight)

    def result(self) -> Any:
        """The root of the mean so far."""
        return ops.sqrt(super().result())


def _cosine(y_true: Any, y_pred: Any, axis: int = -1) -> Any:
    return -r.cosine_similarity(y_true, y_pred, axis)


class CosineSimilarity(MeanMetricWrapper):
    """Mean cosine of the angle between target and output: 1 alike, -1 opposite.

    Args:
        name: Name in logs.
        dtype: Dtype of the mean.
        axis: Axis of the vectors.

    Example:

    >>> import densa
    >>> round(float(densa.metrics.CosineSimilarity()([[0.0, 1.0]], [[1.0, 1.0]])), 4)
    0.7071
    """

    _direction = "up"

    def __init__(
        self, name: str | None = "cosine_similarity", dtype: Any = None, axis: int = -1
    ) -> None:
        super().__init__(_cosine, name, dtype, axis=axis)


class BinaryCrossentropy(MeanMetricWrapper):
    """Mean of `losses.binary_crossentropy` over all samples; its formula stands there.

    Args:
        name: Name in logs.
        dtype: Dtype of the mean.
        from_logits: Whether outputs are logits.
        label_smoothing: As in `losses.binary_crossentropy`.

    Example:

    >>> import densa
    >>> round(float(densa.metrics.BinaryCrossentropy()([[0.0, 1.0]], [[0.5, 0.75]])), 4)
    0.4904
    """

    _direction = "down"

    def __init__(
        self,
        name: str | None = "binary_crossentropy",
        dtype: Any = None,
        from_logits: bool = False,
        label_smoothing: float = 0,
    ) -> None:
        super().__init__(
            ce.binary_crossentropy,
            name,
            dtype,
            from_logits=from_logits,
            label_smoothing=label_smoothing,
        )


class CategoricalCrossentropy(MeanMetricWrapper):
    """Mean of `losses.categorical_crossentropy` over all samples; its formula stands there.

    Args:
        name: Name in logs.
        dtype: Dtype of the mean.
        from_logits: Whether outputs are logits.
        label_smoothing: As in `losses.categorical_crossentropy`.
        axis: Axis of the classes.

    Example:

    >>> import densa
    >>> round(float(densa.metrics.CategoricalCrossentropy()([[0, 1]], [[0.25, 0.75]])), 4)
    0.2877
    """

    _direction = "down"

    def __init__(
        self,
        name: str | None = "categorical_crossentropy",
        dtype: Any = None,
        from_logits: bool = False,
        label_smoothing: float = 0,
        axis: int = -1,
    ) -> None:
        super().__init__(
            ce.categorical_crossentropy,
            name,
            dtype,
            from_logits=from_logits,
            label_smoothing=label_smoothing,
            axis=axis,
        )


class SparseCategoricalCrossentropy(MeanMetricWrapper):
    """Mean of `losses.sparse_categorical_crossentropy` over all samples; its formula stands there.

    Args:
        name: Name in logs.
        dtype: Dtype of the mean.
        from_logits: Whether outputs are logits.
        ignore_class: A label whose samples do not count, neither in the sum nor in the number that
            it is divided by: as in the loss of this name. Keras' metric divides by all samples.
        axis: Axis of the classes.

    Example:

    >>> import densa
    >>> round(float(densa.metrics.SparseCategoricalCrossentropy()([1], [[0.25, 0.75]])), 4)
    0.2877
    """

    _direction = "down"

    def __init__(
        self,
        name: str | None = "sparse_categorical_crossentropy",
        dtype: Any = None,
        from_logits: bool = False,
        ignore_class: int | None = None,
        axis: int = -1,
    ) -> None:
        super().__init__(
            ce.sparse_categorical_crossentropy,
            name,
            dtype,
            from_logits=from_logits,
            ignore_class=ignore_class,
            axis=axis,
        )

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:  # type: ignore[override]
        """Adds a batch of labels `(rows, …)` and scores `(rows, …, classes)`."""
        ignored = self._fn_kwargs["ignore_class"]
        if ignored is not None:
            labels = ops.convert_to_tensor(y_true)
            if len(labels.shape) == len(y_pred.shape):
                labels = ops.squeeze(labels, -1)
            counted = ops.cast(ops.not_equal(labels, ignored), self.dtype)
            if sample_weight is not None:
                sample_weight = as_floating(sample_weight, self.dtype)
                while len(sample_weight.shape) > len(counted.shape):
                    sample_weight = ops.squeeze(sample_weight, -1)
                while len(sample_weight.shape) < len(counted.shape):
                    sample_weight = ops.expand_dims(sample_weight, -1)
                counted = counted * sample_weight
            sample_weight = counted
        super().update_state(y_true, y_pred, sample_weight)
