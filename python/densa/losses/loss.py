"""What every loss shares: ranks made equal, sample weights, the reduction to one number."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from densa import _core, ops
from densa._masks import get_mask
from densa._names import Named, hinted, nearest
from densa._numbers import check_name
from densa._scope import to_snake_case
from densa.config import floatx

from .arguments import check_arguments

REDUCTIONS = (None, "none", "sum", "sum_over_batch_size", "mean", "mean_with_sample_weight")


def as_floating(x: Any, dtype: str | None = None) -> Any:
    """`x` as a Tensor of `dtype`; without one, float32 and float64 stay, others become floatx."""
    x = ops.convert_to_tensor(x)
    if dtype is None:
        return x if str(x.dtype) in ("float32", "float64") else ops.cast(x, floatx())
    return x if str(x.dtype) == dtype else ops.cast(x, dtype)


def same_rank(a: Any, b: Any, expand_rank_1: bool = True) -> tuple[Any, Any]:
    """Drops or adds a last axis of size 1 where the ranks of `a` and `b` differ by one."""
    rank_a, rank_b = len(a.shape), len(b.shape)
    if rank_a == rank_b:
        return a, b
    if rank_a == rank_b + 1 and a.shape[-1] == 1:
        if rank_b == 1 and expand_rank_1:
            return a, ops.expand_dims(b, -1)
        return ops.squeeze(a, -1), b
    if rank_b == rank_a + 1 and b.shape[-1] == 1:
        if rank_a == 1 and expand_rank_1:
            return ops.expand_dims(a, -1), b
        return a, ops.squeeze(b, -1)
    return a, b


def check_shapes(loss: str, y_true: Any, y_pred: Any, stretched: bool = False) -> None:
    """Refuses target and output that cannot belong together, before anything is computed.

    Args:
        loss: What is computed, for the message.
        y_true: Target.
        y_pred: Output.
        stretched: Whether axes of size 1 fit any size.

    Raises:
        ValueError: A known size of the target is not that of the output.
    """
    a, b = tuple(y_true.shape), tuple(y_pred.shape)
    wrong = len(a) != len(b) or any(
        m is not None and n is not None and m != n and not (stretched and 1 in (m, n))
        for m, n in zip(a, b, strict=True)
    )
    if wrong:
        hint = ""
        if b[-1:] == (1,) and len(a) == len(b):
            hint = f" Give the model {a[-1]} units at its end, one for each number of the target."
        elif loss == "categorical_crossentropy":
            hint = " For integer labels use the loss 'sparse_categorical_crossentropy'."
        elif a[-1:] == (1,) and len(a) == len(b):
            hint = f" Give the target {b[-1]} numbers a row, or the model one unit at its end."
        raise ValueError(
            f"{loss}: the target has shape {_text(a)} but the output has shape {_text(b)}; "
            f"they must be alike{' up to axes of size 1' if stretched else ''}.{hint}"
        )


def standardize_reduction(reduction: str | None) -> str | None:
    """Checks the name of a reduction."""
    if reduction not in REDUCTIONS:
        names = [r for r in REDUCTIONS if r]
        raise ValueError(
            f"Unknown reduction: {reduction!r}.{nearest(str(reduction), names)} "
            f"Expected None or one of {names}."
        )
    return reduction


def _check_mask(mask: Any, values: Any) -> None:
    wrong = len(mask) > len(values) or any(
        m is not None and n is not None and m != n for m, n in zip(mask, values, strict=False)
    )
    if wrong and len(values):
        raise ValueError(
            f"The output has a mask of shape {_text(mask)} but the loss gives values of shape "
            f"{_text(values)}; expected values for each place of the mask. Give the loss an output "
            "with an axis behind those of the mask, or take the mask off with a layer that does "
            "not hand it on, such as Reshape."
        )


def _check_weight(given: Any, weight: Any, values: Any) -> None:
    if len(values) == 0:  # a loss that reduces itself: the weights scale it, in the mean
        return
    wrong = len(weight) > len(values) or any(
        m is not None and n is not None and m != n and 1 not in (m, n)
        for m, n in zip(weight, values, strict=False)
    )
    if wrong:
        raise ValueError(
            f"`sample_weight` has shape {_text(given)} but the loss gives values of shape "
            f"{_text(values)}; expected one weight per row, {_text(values[:1])}, or one per value. "
            "For weights of classes use `class_weight`, for weights of outputs `loss_weights`."
        )


def _text(shape: Any) -> str:
    return str(shape).replace("None", "rows")


def weights_of_mask(mask: Any, sample_weight: Any, dtype: str, averaged: bool = False) -> Any:
    """A mask times the weights, as weights.

    Args:
        mask: True where a value counts, `(rows, …)`.
        sample_weight: Weights of the mask's first axes, or None.
        dtype: Floating dtype of the result.
        averaged: Whether the mean over all places is to be one over those that count: their
            weight is then `places / counted`.

    Returns:
        Weights of the mask's shape or finer; of nothing that counts all are 0.
    """
    weights = ops.cast(mask, dtype)
    if averaged:
        share = ops.mean(weights)
        weights = weights / ops.where(ops.equal(share, 0.0), 1.0, share)
    if sample_weight is None:
        return weights
    weights, sample_weight = same_rank(weights, as_floating(sample_weight, dtype))
    rank = max(len(weights.shape), len(sample_weight.shape))
    return _with_rank(weights, rank) * _with_rank(sample_weight, rank)


def without_hidden(y_true: Any, mask: Any) -> Any:
    """Targets with 0 wherever a mask hides them: padding may be -1, NaN or anything else.

    Args:
        y_true: Targets of the mask's shape or finer; others stay as they are.
        mask: True where a target counts, `(rows, …)`.
    """
    y_true = ops.convert_to_tensor(y_true)
    have, places = tuple(y_true.shape), tuple(mask.shape)
    fits = len(have) >= len(places) and all(
        m is None or n is None or m == n for m, n in zip(have, places, strict=False)
    )
    if not fits or str(y_true.dtype) == "bool":
        return y_true
    return _core.apply("where", _with_rank(mask, len(have)), y_true, 0)


def _with_rank(x: Any, rank: int) -> Any:
    while len(x.shape) < rank:
        x = ops.expand_dims(x, -1)
    return x


def reduce_weighted_values(
    values: Any,
    sample_weight: Any = None,
    reduction: str | None = "sum_over_batch_size",
    mask: Any = None,
) -> Any:
    """Weights the values of a loss and reduces them.

    Args:
        values: What the loss gives per sample, `(rows, …)`.
        sample_weight: One weight per row or per value; broadcast.
        reduction: `"sum_over_batch_size"` divides the weighted sum by the number of values,
            `"mean_with_sample_weight"` by the sum of the weights, one per value (a weight that
            several values share counts for each of them; Keras counts it once), `"sum"` by
            nothing, `"none"` or None leaves the weighted values alone.
        mask: True for values that count, `(rows, …)`: others weigh 0, and the mean is taken over
            those that count.

    Returns:
        A scalar, or the weighted values.

    Raises:
        ValueError: The weights or the mask do not fit the values.
    """
    if mask is not None:
        _check_mask(tuple(mask.shape), tuple(values.shape))
        averaged = reduction in ("sum_over_batch_size", "mean")
        sample_weight = weights_of_mask(mask, sample_weight, str(values.dtype), averaged)
    if sample_weight is not None:
        sample_weight = as_floating(sample_weight, str(values.dtype))
        given = tuple(sample_weight.shape)
        values, sample_weight = same_rank(values, sample_weight)
        _check_weight(given, tuple(sample_weight.shape), tuple(values.shape))
        sample_weight = _with_rank(sample_weight, len(values.shape))
        values = values * sample_weight
    if reduction in (None, "none") or len(values.shape) == 0:
        return values
    if reduction == "sum":
        return ops.sum(values)
    if reduction == "mean_with_sample_weight" and sample_weight is not None:
        # A weight that is broadcast over several values counts once per value.
        if tuple(sample_weight.shape) != tuple(values.shape):
            sample_weight = sample_weight * ops.ones_like(values)
        total = ops.sum(sample_weight)
        return ops.sum(values) / ops.where(ops.equal(total, 0.0), 1.0, total)
    return ops.mean(values)


class Loss(Named):
    """Base class of losses: write `call(y_true, y_pred)`, which gives one value per sample.

    Args:
        name: Name in logs; by default the class's name in snake_case.
        reduction: See `reduce_weighted_values`.
        dtype: Floating dtype to compute in; by default that of the output.

    Example:

    >>> import densa
    >>> class Quartic(densa.losses.Loss):
    ...     def call(self, y_true, y_pred):
    ...         return densa.ops.mean((y_true - y_pred) ** 4, axis=-1)
    >>> float(Quartic()([[0.0]], [[2.0]]))
    16.0
    """

    def __init__(
        self,
        name: str | None = None,
        reduction: str | None = "sum_over_batch_size",
        dtype: Any = None,
    ) -> None:
        check_name(type(self).__name__, name)
        self.name = name or to_snake_case(type(self).__name__)
        self.reduction = standardize_reduction(reduction)
        self._dtype = None if dtype is None else str(getattr(dtype, "name", dtype))

    @property
    def dtype(self) -> str:
        """The dtype asked for, or floatx."""
        return self._dtype or str(floatx())

    @hinted
    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """The reduced loss of `y_pred` against `y_true`; where y_pred is masked, nothing counts."""
        hidden = get_mask(y_pred)
        y_true = ops.convert_to_tensor(y_true)
        if hidden is not None:
            y_true = without_hidden(y_true, hidden)
        mask = self._mask(y_true, y_pred)
        y_pred = as_floating(y_pred, self._dtype)
        values = self.call(y_true, y_pred)
        return reduce_weighted_values(values, sample_weight, self.reduction, mask)

    def _mask(self, y_true: Any, y_pred: Any) -> Any:
        """True for the values that count; None: all of them."""
        return get_mask(y_pred)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """One value per sample."""
        raise NotImplementedError(f"{type(self).__name__} must define `call(y_true, y_pred)`.")

    def get_config(self) -> dict[str, Any]:
        """What `from_config` needs to build the same loss."""
        config: dict[str, Any] = {"name": self.name, "reduction": self.reduction}
        if self._dtype is not None:
            config["dtype"] = self._dtype
        return config

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Loss:
        """The loss of a configuration."""
        return cls(**config)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name} reduction={self.reduction}>"


class LossFunctionWrapper(Loss):
    """A function `fn(y_true, y_pred, **kwargs)` as a loss.

    Args:
        fn: Gives one value per sample.
        reduction: See `reduce_weighted_values`.
        name: By default the function's name.
        dtype: Floating dtype to compute in.
        **kwargs: Passed to `fn`.
    """

    def __init__(
        self,
        fn: Callable[..., Any],
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        dtype: Any = None,
        **kwargs: Any,
    ) -> None:
        check_arguments(type(self).__name__, fn, kwargs)
        super().__init__(name or getattr(fn, "__name__", None), reduction, dtype)
        self.fn = fn
        self._fn_kwargs = kwargs

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """`fn` of target and output, their ranks made equal."""
        y_true, y_pred = same_rank(y_true, y_pred)
        return self.fn(y_true, y_pred, **self._fn_kwargs)

    def get_config(self) -> dict[str, Any]:
        """What `from_config` needs; the function is stored by name."""
        from densa import saving

        config = super().get_config()
        if type(self) is LossFunctionWrapper:
            config["fn"] = saving.serialize_keras_object(self.fn)
        return {**config, **self._fn_kwargs}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Loss:
        """The loss of a configuration."""
        config = dict(config)
        if isinstance(config.get("fn"), str | dict):
            from . import deserialize

            config["fn"] = deserialize(config["fn"])
        return cls(**config)
