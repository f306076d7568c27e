"""The built-in losses as classes."""

from __future__ import annotations

from typing import Any

from densa import ops
from densa._numbers import check_real_number

from . import crossentropy as ce
from . import regression as r
from ._labels import check_host_labels
from .loss import LossFunctionWrapper


class _Plain(LossFunctionWrapper):
    # A loss whose function takes target and output alone.
    function: Any
    default_name: str

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        function = type(self).function
        super().__init__(function, reduction, name or type(self).default_name, dtype)


class MeanSquaredError(_Plain):
    """Mean of squared errors: `mean((y_true - y_pred)²)`.

    Args:
        reduction: `"sum_over_batch_size"`, `"sum"`, `"mean_with_sample_weight"` or `"none"`.
        name: Name in logs.
        dtype: Floating dtype to compute in; by default that of the output.

    Example:

    >>> import densa
    >>> float(densa.losses.MeanSquaredError()([[0.0, 1.0]], [[1.0, 1.0]]))
    0.5
    """

    function = staticmethod(r.mean_squared_error)
    default_name = "mean_squared_error"


class MeanAbsoluteError(_Plain):
    """Mean of absolute errors: `mean(|y_true - y_pred|)`.

    Args:
        reduction: `"sum_over_batch_size"`, `"sum"`, `"mean_with_sample_weight"` or `"none"`.
        name: Name in logs.
        dtype: Floating dtype to compute in; by default that of the output.

    Example:

    >>> import densa
    >>> round(float(densa.losses.MeanAbsoluteError()([[0.0, 1.0]], [[0.5, 0.75]])), 4)
    0.375
    """

    function = staticmethod(r.mean_absolute_error)
    default_name = "mean_absolute_error"


class MeanAbsolutePercentageError(_Plain):
    """Mean of relative errors: `100 · mean(|y_true - y_pred| / |y_true|)`.

    Args:
        reduction: `"sum_over_batch_size"`, `"sum"`, `"mean_with_sample_weight"` or `"none"`.
        name: Name in logs.
        dtype: Floating dtype to compute in; by default that of the output.

    Example:

    >>> import densa
    >>> round(float(densa.losses.MeanAbsolutePercentageError()([[1.0, 2.0]], [[1.5, 2.5]])), 4)
    37.5
    """

    function = staticmethod(r.mean_absolute_percentage_error)
    default_name = "mean_absolute_percentage_error"


class MeanSquaredLogarithmicError(_Plain):
    """Mean of squared errors of logarithms: `mean((log(1 + y_true) - log(1 + y_pred))²)`.

    Args:
        reduction: `"sum_over_batch_size"`, `"sum"`, `"mean_with_sample_weight"` or `"none"`.
        name: Name in logs.
        dtype: Floating dtype to compute in; by default that of the output.

    Example:

    >>> import densa
    >>> round(float(densa.losses.MeanSquaredLogarithmicError()([[0.0, 1.0]], [[0.5, 0.75]])), 4)
    0.0911
    """

    function = staticmethod(r.mean_squared_logarithmic_error)
    default_name = "mean_squared_logarithmic_error"


class LogCosh(_Plain):
    """Quadratic for small errors, linear for large ones: `mean(log(cosh(y_pred - y_true)))`.

    Args:
        reduction: `"sum_over_batch_size"`, `"sum"`, `"mean_with_sample_weight"` or `"none"`.
        name: Name in logs.
        dtype: Floating dtype to compute in; by default that of the output.

    Example:

    >>> import densa
    >>> round(float(densa.losses.LogCosh()([[0.0, 1.0]], [[0.5, 0.75]])), 4)
    0.0755
    """

    function = staticmethod(r.log_cosh)
    default_name = "log_cosh"


class KLDivergence(_Plain):
    """Divergence of the output from the target: `Σ y_true · log(y_true / y_pred)`.

    Args:
        reduction: `"sum_over_batch_size"`, `"sum"`, `"mean_with_sample_weight"` or `"none"`.
        name: Name in logs.
        dtype: Floating dtype to compute in; by default that of the output.

    Example:

    >>> import densa
    >>> round(float(densa.losses.KLDivergence()([[0.0, 1.0]], [[0.5, 0.75]])), 4)
    0.2877
    """

    function = staticmethod(r.kl_divergence)
    default_name = "kl_divergence"


class Poisson(_Plain):
    """Loss of counts: `mean(y_pred - y_true · log(y_pred))`.

    Args:
        reduction: `"sum_over_batch_size"`, `"sum"`, `"mean_with_sample_weight"` or `"none"`.
        name: Name in logs.
        dtype: Floating dtype to compute in; by default that of the output.

    Example:

    >>> import densa
    >>> round(float(densa.losses.Poisson()([[0.0, 1.0]], [[0.5, 0.75]])), 4)
    0.7688
    """

    function = staticmethod(r.poisson)
    default_name = "poisson"


class Hinge(_Plain):
    """Loss of margins, for labels -1 and 1: `mean(max(0, 1 - y_true · y_pred))`.

    Args:
        reduction: `"sum_over_batch_size"`, `"sum"`, `"mean_with_sample_weight"` or `"none"`.
        name: Name in logs.
        dtype: Floating dtype to compute in; by default that of the output.

    Example:

    >>> import densa
    >>> round(float(densa.losses.Hinge()([[-1.0, 1.0]], [[0.5, 0.75]])), 4)
    0.875
    """

    function = staticmethod(r.hinge)
    default_name = "hinge"


class SquaredHinge(_Plain):
    """Squared loss of margins, for labels -1 and 1: `mean(max(0, 1 - y_true · y_pred)²)`.

    Args:
        reduction: `"sum_over_batch_size"`, `"sum"`, `"mean_with_sample_weight"` or `"none"`.
        name: Name in logs.
        dtype: Floating dtype to compute in; by default that of the output.

    Example:

    >>> import densa
    >>> round(float(densa.losses.SquaredHinge()([[-1.0, 1.0]], [[0.5, 0.75]])), 4)
    1.1562
    """

    function = staticmethod(r.squared_hinge)
    default_name = "squared_hinge"


class CategoricalHinge(_Plain):
    """Margin of classes: `max(0, 1 + max((1 - y_true) · y_pred) - Σ y_true · y_pred)`.

    Args:
        reduction: `"sum_over_batch_size"`, `"sum"`, `"mean_with_sample_weight"` or `"none"`.
        name: Name in logs.
        dtype: Floating dtype to compute in; by default that of the output.

    Example:

    >>> import densa
    >>> round(float(densa.losses.CategoricalHinge()([[0.0, 1.0]], [[0.5, 0.75]])), 4)
    0.75
    """

    function = staticmethod(r.categorical_hinge)
    default_name = "categorical_hinge"


class Huber(LossFunctionWrapper):
    """Quadratic for errors up to `delta`, linear beyond.

    Args:
        delta: Where the quadratic part ends, at least 0.
        reduction: See `MeanSquaredError`.
        name: Name in logs.
        dtype: Floating dtype to compute in.

    Raises:
        TypeError: `delta` is no number.
        ValueError: `delta` is negative or NaN.

    Example:

    >>> import densa
    >>> float(densa.losses.Huber()([[0.0]], [[3.0]]))
    2.5
    """

    def __init__(
        self,
        delta: float = 1.0,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "huber_loss",
        dtype: Any = None,
    ) -> None:
        check_real_number("Huber: `delta`", delta, least=0)
        super().__init__(r.huber, reduction, name, dtype, delta=delta)


class CosineSimilarity(LossFunctionWrapper):
    """Minus the cosine of the angle between target and output.

    Args:
        axis: Axis of the vectors.
        reduction: See `MeanSquaredError`.
        name: Name in logs.
        dtype: Floating dtype to compute in.

    Example:

    >>> import densa
    >>> round(float(densa.losses.CosineSimilarity()([[0.0, 1.0]], [[1.0, 1.0]])), 4)
    -0.7071
    """

    def __init__(
        self,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "cosine_similarity",
        dtype: Any = None,
    ) -> None:
        super().__init__(r.cosine_similarity, reduction, name, dtype, axis=axis)


class BinaryCrossentropy(LossFunctionWrapper):
    """`-y·log(p) - (1-y)·log(1-p)` for labels 0 and 1.

    Args:
        from_logits: Whether outputs are logits rather than probabilities.
        label_smoothing: Draws the targets towards a half; between 0 and 1.
        axis: Axis to average over.
        reduction: See `MeanSquaredError`.
        name: Name in logs.
        dtype: Floating dtype to compute in.

    Raises:
        ValueError: `label_smoothing` is out of range.

    Example:

    >>> import densa
    >>> round(float(densa.losses.BinaryCrossentropy()([[1.0]], [[0.94]])), 4)
    0.0619
    """

    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "binary_crossentropy",
        dtype: Any = None,
    ) -> None:
        super().__init__(
            ce.binary_crossentropy,
            reduction,
            name,
            dtype,
            from_logits=bool(from_logits),
            label_smoothing=label_smoothing,
            axis=axis,
        )


class CategoricalCrossentropy(LossFunctionWrapper):
    """`-Σ y·log(p)` for one-hot targets.

    Args:
        from_logits: Whether outputs are logits rather than probabilities.
        label_smoothing: Mixes the uniform distribution into the targets; between 0 and 1.
        axis: Axis of the classes.
        reduction: See `MeanSquaredError`.
        name: Name in logs.
        dtype: Floating dtype to compute in.

    Raises:
        ValueError: `label_smoothing` is out of range.

    Example:

    >>> import densa
    >>> round(float(densa.losses.CategoricalCrossentropy()([[0, 1]], [[0.25, 0.75]])), 4)
    0.2877
    """

    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "categorical_crossentropy",
        dtype: Any = None,
    ) -> None:
        super().__init__(
            ce.categorical_crossentropy,
            reduction,
            name,
            dtype,
            from_logits=bool(from_logits),
            label_smoothing=label_smoothing,
            axis=axis,
        )


class SparseCategoricalCrossentropy(LossFunctionWrapper):
    """`-log(p[label])` for integer labels.

    Args:
        from_logits: Whether outputs are logits rather than probabilities.
        ignore_class: A label whose samples count neither in the sum nor in the mean.
        reduction: See `MeanSquaredError`.
        axis: Axis of the classes.
        name: Name in logs.
        dtype: Floating dtype to compute in.

    Example:

    >>> import densa
    >>> loss = densa.losses.SparseCategoricalCrossentropy(from_logits=True)
    >>> round(float(loss([0], [[0.0, 0.0]])), 4)
    0.6931
    """

    def __init__(
        self,
        from_logits: bool = False,
        ignore_class: int | None = None,
        reduction: str | None = "sum_over_batch_size",
        axis: int = -1,
        name: str | None = "sparse_categorical_crossentropy",
        dtype: Any = None,
    ) -> None:
        super().__init__(
            ce.sparse_categorical_crossentropy,
            reduction,
            name,
            dtype,
            from_logits=bool(from_logits),
            ignore_class=ignore_class,
            axis=axis,
        )
        self.ignore_class = ignore_class
        self.axis = axis

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """The reduced loss; ignored samples count neither in the sum nor in the mean."""
        check_host_labels(y_true, y_pred, self.axis, self.ignore_class)
        return super().__call__(y_true, y_pred, sample_weight)

    def _mask(self, y_true: Any, y_pred: Any) -> Any:
        mask = super()._mask(y_true, y_pred)
        if self.ignore_class is None:
            return mask
        labels = ce.as_labels(y_true, ce.to_last(ops.convert_to_tensor(y_pred), self.axis))
        counted = ops.not_equal(labels, self.ignore_class)
        return counted if mask is None else ops.logical_and(mask, counted)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """One value per sample."""
        return self.fn(y_true, y_pred, **self._fn_kwargs)
