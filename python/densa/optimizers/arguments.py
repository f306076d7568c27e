"""The arguments that every optimizer takes, and their checks."""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Iterable, Mapping
from typing import Any

from densa._numbers import check_real_number, whole_number
from densa.saving.registry import nearest

from .schedules.decay import PowerDecay
from .schedules.schedule import check_rates

# Keras still knows these arguments but does nothing with them.
IGNORED = ("jit_compile", "is_legacy_optimizer")
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
# densa's own, with what they are where nobody gives them.
OWN_ARGUMENTS: Mapping[str, Any] = {
    "normalize_gradient": False,
    "normalize_above": None,
    "proximal_l1": None,
    "learning_rate_multipliers": None,
    "report_gradient_norm": False,
    "weight_decay_excluded": None,
}


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


def take_decay(learning_rate: Any, kwargs: dict[str, Any]) -> Any:
    """The rate, or with Keras 2's `decay` the schedule that it means: rate / (1 + decay * step)."""
    decay = kwargs.pop("decay", None)
    if decay is None:
        return learning_rate
    check_rates("optimizer", decay=decay)
    if not isinstance(learning_rate, int | float):
        raise ValueError(
            "decay is for a learning_rate that is a number; a schedule says itself how it changes. "
            f"Received learning_rate={learning_rate!r}, decay={decay!r}."
        )
    warnings.warn(
        "Argument `decay` is Keras 2's; use learning_rate="
        f"schedules.PowerDecay({learning_rate!r}, 1 / decay) instead.",
        DeprecationWarning,
        stacklevel=4,
    )
    return PowerDecay(learning_rate, 1 / decay) if decay else learning_rate


def take_own(optimizer: type, kwargs: dict[str, Any]) -> dict[str, Any]:
    """densa's own arguments out of the rest; refuses what is unknown."""
    for key in list(kwargs):
        if key in IGNORED:
            kwargs.pop(key)
    own = {name: kwargs.pop(name, default) for name, default in OWN_ARGUMENTS.items()}
    if kwargs:
        known = [*BASE_ARGUMENTS, *OWN_ARGUMENTS, *getattr(optimizer, "arguments", ())]
        key = next(iter(kwargs))
        raise ValueError(
            f"{optimizer.__name__}: argument not recognized: {key!r}.{nearest(key, known)}"
        )
    return own


def check_limits(
    clipnorm: Any,
    clipvalue: Any,
    global_clipnorm: Any,
    normalize_gradient: Any,
    normalize_above: Any,
) -> None:
    """Refuses several ways of limiting gradients at once, and limits that are not above 0."""
    clips = {"clipnorm": clipnorm, "clipvalue": clipvalue, "global_clipnorm": global_clipnorm}
    own = {"normalize_gradient": normalize_gradient or None, "normalize_above": normalize_above}
    given = {name: limit for name, limit in {**clips, **own}.items() if limit is not None}
    if len(given) > 1:
        shown = ", ".join(f"{name}={limit}" for name, limit in {**clips, **given}.items())
        raise ValueError(
            "Only one of `clipnorm`, `clipvalue` and `global_clipnorm` can be set, and none of "
            f"them with `normalize_gradient` or `normalize_above`. Received: {shown}."
        )
    for name, limit in given.items():
        if name != "normalize_gradient" and not limit > 0:
            raise ValueError(
                f"A clipping threshold must be above 0; received {limit!r} for `{name}`."
            )


def check_averages(use_ema: bool, ema_momentum: Any, ema_overwrite_frequency: Any) -> None:
    """Refuses what a moving average of the weights cannot be made with."""
    if use_ema and not 0 <= ema_momentum <= 1:
        raise ValueError(
            f"`ema_momentum` must lie between 0 and 1; received ema_momentum={ema_momentum}."
        )
    if ema_overwrite_frequency is not None and (
        isinstance(ema_overwrite_frequency, bool)
        or not isinstance(ema_overwrite_frequency, int)
        or ema_overwrite_frequency < 1
    ):
        raise ValueError(
            "`ema_overwrite_frequency` must be an integer of at least 1 or None; received "
            f"{ema_overwrite_frequency!r}."
        )


def check_accumulation(steps: Any) -> None:
    """Refuses a number of accumulated steps that is none, or below 2."""
    if steps is None:
        return
    whole_number("`gradient_accumulation_steps`", steps, least=0)
    if steps < 2:
        raise ValueError(
            f"`gradient_accumulation_steps` must be at least 2 or None; received {steps!r}."
        )


def check_scale(loss_scale_factor: Any, weight_decay: Any = None) -> None:
    """Refuses a factor of the loss that is not above 0, a decay that is negative, and infinity."""
    if weight_decay is not None:
        check_real_number("`weight_decay`", weight_decay, least=0)
        if weight_decay == math.inf:
            raise ValueError("`weight_decay` must be a finite number or None; received inf.")
    if loss_scale_factor is None:
        return
    check_real_number("`loss_scale_factor`", loss_scale_factor)
    if not 0 < loss_scale_factor < math.inf:
        raise ValueError(
            "`loss_scale_factor` must be a finite number above 0 or None; received "
            f"{loss_scale_factor!r}."
        )


def check_proximal(proximal_l1: Any) -> None:
    """Refuses a factor of the l1 norm that is below 0 or not finite."""
    if proximal_l1 is None:
        return
    check_real_number("`proximal_l1`", proximal_l1, least=0)
    if proximal_l1 == math.inf:
        raise ValueError("`proximal_l1` must be finite; received inf.")


def check_pattern(name: str, pattern: Any) -> None:
    """Refuses what is no regular expression."""
    try:
        re.compile(pattern)
    except (re.error, TypeError) as error:
        raise ValueError(f"{name}: {pattern!r} is no regular expression: {error}.") from None


def check_excluded(patterns: Any) -> list[str]:
    """The regular expressions of what weight decay leaves out."""
    if patterns is None:
        return []
    if isinstance(patterns, str) or not isinstance(patterns, Iterable):
        raise TypeError(
            "`weight_decay_excluded` must be a list of regular expressions, searched for in the "
            f"variables' paths; received {patterns!r}."
        )
    found = list(patterns)
    for pattern in found:
        check_pattern("`weight_decay_excluded`", pattern)
    return found


def check_multipliers(multipliers: Any) -> dict[str, float]:
    """The factors of learning rates by pattern; refuses what is no mapping of numbers."""
    if multipliers is None:
        return {}
    if not isinstance(multipliers, Mapping):
        raise TypeError(
            "`learning_rate_multipliers` must map regular expressions, searched for in the "
            f"variables' paths, to factors; received {multipliers!r}."
        )
    for pattern, factor in multipliers.items():
        check_pattern("`learning_rate_multipliers`", pattern)
        check_real_number(f"`learning_rate_multipliers`[{pattern!r}]", factor, least=0)
        if factor == math.inf:
            raise ValueError(f"`learning_rate_multipliers`[{pattern!r}] must be finite.")
    return dict(multipliers)
