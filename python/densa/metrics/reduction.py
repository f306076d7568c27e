"""Sums and means, and functions gathered by a mean."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from densa import _core, ops
from densa._masks import get_mask
from densa.losses.arguments import check_arguments
from densa.losses.loss import as_floating, same_rank, weights_of_mask, without_hidden

from .metric import Metric


def samplewise(
    values: Any, sample_weight: Any, dtype: str, reduce: Callable[..., Any]
) -> tuple[Any, Any]:
    """Reduces values to one per row and weights them.

    Args:
        values: `(rows, …)`, or a scalar.
        sample_weight: None, or weights that fit the first axes of `values`.
        dtype: Dtype of both results.
        reduce: `ops.mean` or `ops.sum`, over the axes that the weights do not have.

    Returns:
        The weighted values `(rows,)` and the weights `(rows,)`, None without weights.
    """
    mask = get_mask(values)
    if mask is not None:
        sample_weight = weights_of_mask(mask, sample_weight, dtype)
    values = as_floating(values, dtype)
    if sample_weight is not None:
        sample_weight = as_floating(sample_weight, dtype)
        values, sample_weight = same_rank(values, sample_weight, expand_rank_1=False)
        rank = len(sample_weight.shape)
        extra = list(range(rank, len(values.shape)))
        if extra:
            values = reduce(values, axis=extra)
        if tuple(sample_weight.shape) != tuple(values.shape):
            sample_weight = sample_weight * ops.ones_like(values)
        values = values * sample_weight
        rank = len(sample_weight.shape)
        if rank > 1:
            sample_weight = reduce(sample_weight, axis=list(range(1, rank)))
    rank = len(values.shape)
    if rank > 1:
        values = reduce(values, axis=list(range(1, rank)))
    return values, sample_weight


def what_counts(y_true: Any, y_pred: Any, sample_weight: Any, dtype: str) -> tuple[Any, Any]:
    """Leaves out what the mask of an output hides.

    Args:
        y_true: Targets.
        y_pred: Outputs, with a mask or without.
        sample_weight: None, or weights that fit the first axes of the mask.
        dtype: Dtype of the weights.

    Returns:
        The targets, 0 where they are hidden, and the weights, 0 there; both as they were where
        there is no mask.
    """
    mask = get_mask(y_pred)
    if mask is None:
        return y_true, sample_weight
    return without_hidden(y_true, mask), weights_of_mask(mask, sample_weight, dtype)


def row_count(x: Any, dtype: str) -> Any:
    """The number of rows of `x`; a Tensor where a recorded program does not know it yet."""
    if x.shape[0] is None:
        return _core.apply("row_count", x, dtype=dtype)
    return float(x.shape[0])


class Sum(Metric):
    """The weighted sum of values.

    Args:
        name: Name in logs.
        dtype: Dtype of the sum.

    Example:

    >>> import densa
    >>> float(densa.metrics.Sum()([1.0, 3.0, 5.0]))
    9.0
    """

    def __init__(self, name: str | None = "sum", dtype: Any = None) -> None:
        super().__init__(dtype=dtype, name=name)
        self.total = self.add_variable((), "zeros", name="total")

    def update_state(self, values: Any, sample_weight: Any = None) -> None:
        """Adds values, each times its weight."""
        values, _ = samplewise(values, sample_weight, self.dtype, ops.sum)
        self.total.assign(self.total + ops.sum(values))

    def result(self) -> Any:
        """The sum so far."""
        return self.total.value


class Mean(Metric):
    """The weighted mean of values: `Σ w·v / Σ w`; 0 before the first value.

    Args:
        name: Name in logs.
        dtype: Dtype of sum and weight.

    Example:

    >>> import densa
    >>> m = densa.metrics.Mean()
    >>> m.update_state([1.0, 3.0, 5.0, 7.0], sample_weight=[1, 1, 0, 0])
    >>> float(m.result())
    2.0
    """

    def __init__(self, name: str | None = "mean", dtype: Any = None) -> None:
        super().__init__(dtype=dtype, name=name)
        self.total = self.add_variable((), "zeros", name="total")
        self.count = self.add_variable((), "zeros", name="count")

    def update_state(self, values: Any, sample_weight: Any = None) -> None:
        """Adds values `(rows, …)` with weights `(rows,)` or finer."""
        values, sample_weight = samplewise(values, sample_weight, self.dtype, ops.mean)
        self.total.assign(self.total + ops.sum(values))
        if sample_weight is not None:
            count = ops.sum(sample_weight)
        else:
            count = row_count(values, self.dtype) if len(values.shape) else 1.0
        self.count.assign(self.count + count)

    def add_total(self, value: Any, count: Any) -> None:
        """Adds a mean that was taken over `count` rows."""
        self.total.assign(self.total + as_floating(value, self.dtype) * count)
        self.count.assign(self.count + count)

    def result(self) -> Any:
        """The mean so far."""
        empty = ops.equal(self.count, 0.0)
        return ops.where(empty, 0.0, self.total / ops.where(empty, 1.0, self.count))


class MeanMetricWrapper(Mean):
    """The mean of a function `fn(y_true, y_pred, **kwargs)` over samples.

    Args:
        fn: Gives one value per sample.
        name: By default the function's name.
        dtype: Dtype of the mean.
        **kwargs: Passed to `fn`.

    Example:

    >>> import densa
    >>> metric = densa.metrics.MeanMetricWrapper(lambda y, p: densa.ops.abs(y - p))
    >>> float(metric(np.array([1.0, 2.0]), np.array([1.5, 2.0])))
    0.25
    """

    def __init__(
        self, fn: Callable[..., Any], name: str | None = None, dtype: Any = None, **kwargs: Any
    ) -> None:
        check_arguments(type(self).__name__, fn, kwargs)
        super().__init__(name=name or getattr(fn, "__name__", None), dtype=dtype)
        self._fn = fn
        self._fn_kwargs = kwargs

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:  # type: ignore[override]
        """Adds a batch of targets and outputs; where y_pred is masked, nothing counts."""
        y_true, sample_weight = what_counts(y_true, y_pred, sample_weight, self.dtype)
        if str(getattr(y_pred, "dtype", "")) in ("float16", "bfloat16"):
            y_pred = ops.cast(y_pred, self.dtype)
        super().update_state(self._fn(y_true, y_pred, **self._fn_kwargs), sample_weight)

    def get_config(self) -> dict[str, Any]:
        """What `from_config` needs; the function is stored by name."""
        config = {**super().get_config(), **self._fn_kwargs}
        if type(self) is MeanMetricWrapper:
            from densa import saving

            config["fn"] = saving.serialize_keras_object(self._fn)
        return config

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Metric:
        """The metric of a configuration."""
        config = dict(config)
        if isinstance(config.get("fn"), str | dict):
            from . import deserialize

            config["fn"] = deserialize(config["fn"])
        return cls(**config)
