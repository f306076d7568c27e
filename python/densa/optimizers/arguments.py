"""The arguments that every optimizer takes, and their checks."""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from densa._names import nearest
from densa._numbers import check_real_number, check_share, finite_number, whole_number

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
    """A learning rate as a number; ValueError if it is none, negative or not finite."""
    try:
        if isinstance(value, str | bytes | bool):
            raise TypeError
        rate = float(value)
    except (TypeError, ValueError):
        raise ValueError(
            "learning_rate must be a number, a LearningRateSchedule or a function without "
            f"arguments; received {value!r}."
        ) from None
    if not math.isfinite(rate):
        raise ValueError(f"learning_rate must be a finite number; received {value!r}.")
    if rate < 0:
        raise ValueError(f"learning_rate must be at least 0; received {rate}.")
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


def check_limits(given: Mapping[str, Any]) -> None:
    """Refuses several ways of limiting gradients at once; `given` has them all by name."""
    known = {name: limit for name, limit in given.items() if name in LIMITS}
    found = [name for name, limit in known.items() if limit is not None and limit is not False]
    if len(found) > 1:
        shown = ", ".join(f"{name}={known.get(name)}" for name in dict.fromkeys((*CLIPS, *found)))
        raise ValueError(
            "Only one of `clipnorm`, `clipvalue` and `global_clipnorm` can be set, and none of "
            f"them with `normalize_gradient` or `normalize_above`. Received: {shown}."
        )


def check_above_zero(name: str, value: Any) -> None:
    """Refuses what is no number above 0."""
    check_real_number(name, value)
    if not value > 0:
        raise ValueError(f"{name} must be above 0; received {value!r}.")


def check_from_zero(name: str, value: Any) -> None:
    """Refuses what is no finite number of at least 0."""
    finite_number(name, value, least=0)


def _check_frequency(name: str, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(f"{name} must be an integer of at least 1 or None; received {value!r}.")


def _check_accumulation(name: str, value: Any) -> None:
    if whole_number(name, value, least=0) < 2:
        raise ValueError(f"{name} must be at least 2 or None; received {value!r}.")


def _check_scale(name: str, value: Any) -> None:
    check_real_number(name, value)
    if not 0 < value < math.inf:
        raise ValueError(f"{name} must be a finite number above 0 or None; received {value!r}.")


def _check_multipliers(name: str, value: Any) -> None:
    if not isinstance(value, Mapping):
        raise TypeError(
            f"{name} must map regular expressions, searched for in the variables' paths, to "
            f"factors; received {value!r}."
        )
    for pattern, factor in value.items():
        check_pattern(name, pattern)
        check_from_zero(f"{name}[{pattern!r}]", factor)


Check = Callable[[str, Any], None]

CLIPS = ("clipnorm", "clipvalue", "global_clipnorm")
LIMITS = (*CLIPS, "normalize_gradient", "normalize_above")
# What each number of every optimizer must be where it is not None.
CHECKS: Mapping[str, Check] = {
    "weight_decay": check_from_zero,
    "clipnorm": check_above_zero,
    "clipvalue": check_above_zero,
    "global_clipnorm": check_above_zero,
    "ema_momentum": check_share,
    "ema_overwrite_frequency": _check_frequency,
    "loss_scale_factor": _check_scale,
    "gradient_accumulation_steps": _check_accumulation,
    "normalize_above": check_above_zero,
    "proximal_l1": check_from_zero,
    "learning_rate_multipliers": _check_multipliers,
}


def check_argument(optimizer: Any, name: str, value: Any) -> None:
    """Refuses a value that the attribute `name` of an optimizer cannot have.

    Raises:
        TypeError: It is no number, or no mapping.
        ValueError: It is out of range, or a second limit of gradients.
    """
    label = f"{type(optimizer).__name__}: `{name}`"
    if name in CHECKS:
        if value is None:
            return
        CHECKS[name](label, value)
    elif (check := optimizer.checks.get(name)) is not None:
        check(label, value)
    if name in LIMITS:
        check_limits({**vars(optimizer), name: value})


def check_pattern(name: str, pattern: Any) -> None:
    """Refuses what is no regular expression."""
    try:
        re.compile(pattern)
    except (re.error, TypeError) as error:
        raise ValueError(f"{name}: {pattern!r} is no regular expression: {error}.") from None


def check_patterns(name: str, patterns: Any) -> list[str]:
    """The regular expressions that an argument gives; none for None."""
    if patterns is None:
        return []
    if isinstance(patterns, str) or not isinstance(patterns, Iterable):
        raise TypeError(
            f"`{name}` must be a list of regular expressions, searched for in the variables' "
            f"paths; received {patterns!r}."
        )
    found = list(patterns)
    for pattern in found:
        check_pattern(f"`{name}`", pattern)
    return found


# Names of variables that layers have.
USUAL = ("alpha", "beta", "bias", "embeddings", "gamma", "kernel")


def warn_of_idle(name: str, patterns: Iterable[str], paths: list[str]) -> None:
    """Warns of each regular expression that is found in none of the variables' paths."""
    for pattern in patterns:
        if not any(re.search(pattern, path) for path in paths):
            runs = pattern.count("/") + 1  # so many parts of a path are of its length
            split = [path.split("/") for path in paths]
            parts = ["/".join(p[i : i + runs]) for p in split for i in range(len(p))]
            shown = ", ".join(paths[:6]) + (", …" if len(paths) > 6 else "")
            warnings.warn(
                f"{name}: {pattern!r} is found in the path of none of the {len(paths)} variables "
                f"that are trained, so it does nothing.{nearest(pattern, parts)} Their paths: "
                f"{shown}.",
                UserWarning,
                stacklevel=2,
            )
