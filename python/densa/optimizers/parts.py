"""Arguments, checks and clipping that optimizers share."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Any

from densa import ops
from densa.variables import Variable

# Keras still knows these arguments but does nothing with them.
IGNORED = ("decay", "jit_compile", "is_legacy_optimizer")
BASE_ARGUMENTS = (
    "learning_rate",
    "weight_decay",
    "clipnorm",
    "clipvalue",
    "global_clipnorm",
    "use_ema",
    "ema_momentum",
    "ema_overwrite_frequency",
    "loss_scale_factor",
    "gradient_accumulation_steps",
    "name",
)


def number(value: Any) -> float:
    """A learning rate as a number; ValueError if it is none or not finite."""
    try:
        rate = float(value)
    except (TypeError, ValueError):
        raise ValueError(
            "learning_rate must be a number, a LearningRateSchedule or a function without "
            f"arguments; received {value!r}."
        ) from None
    if not math.isfinite(rate):
        raise ValueError(f"learning_rate must be a finite number; received {value!r}.")
    return rate


def scalar(value: Any, name: str) -> Variable:
    """A number of the optimizer's own, which Python reads at every step: it lies on the CPU."""
    return Variable(value, dtype=str(value.dtype), trainable=False, name=name, device="cpu")


def without_none(grads: list[Any], variables: list[Variable]) -> list[tuple[Any, Variable]]:
    pairs = [(g, v) for g, v in zip(grads, variables, strict=True) if g is not None]
    if not pairs:
        raise ValueError("No gradients provided for any variable.")
    if len(pairs) < len(grads):
        missing = [v.path for g, v in zip(grads, variables, strict=True) if g is None]
        warnings.warn(
            f"Gradients do not exist for variables {missing} when minimizing the loss. If you use "
            "`model.compile()`, did you forget to provide a `loss`?",
            UserWarning,
            stacklevel=3,
        )
    return pairs


def clip(
    grads: list[Any], norm: float | None, global_norm: float | None, value: float | None
) -> list[Any]:
    """The gradients within the limit that is given: by norm, by common norm, or by value."""
    if norm:
        return [clip_by_norm(g, norm) for g in grads]
    if global_norm:
        return clip_by_global_norm(grads, global_norm)
    return [ops.clip(g, -value, value) for g in grads] if value else grads


def clip_by_norm(g: Any, limit: float) -> Any:
    """The gradient, scaled so that its Euclidean norm is at most `limit`."""
    norm = ops.sqrt(ops.sum(ops.square(g)))
    return g * (limit / ops.maximum(norm, limit))


def clip_by_global_norm(grads: Sequence[Any], limit: float) -> list[Any]:
    """The gradients, scaled together so that their common Euclidean norm is at most `limit`."""
    squares = [ops.sum(ops.square(g)) for g in grads]
    total = squares[0]
    for s in squares[1:]:
        total = total + s
    scale = limit / ops.maximum(ops.sqrt(total), limit)
    return [g * scale for g in grads]
