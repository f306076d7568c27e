"""Learning rates that change with the step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from densa._names import suggesting
from densa.saving.registry import Family

from .cosine import CosineDecay, CosineDecayRestarts
from .decay import (
    ExponentialDecay,
    InverseTimeDecay,
    PiecewiseConstantDecay,
    PolynomialDecay,
    PowerDecay,
)
from .one_cycle import OneCycle
from .per_epoch import PerEpoch
from .schedule import LearningRateSchedule

_family = Family(
    "learning rate schedule",
    "densa.optimizers.schedules",
    {
        c.__name__: c
        for c in (
            CosineDecay,
            CosineDecayRestarts,
            ExponentialDecay,
            InverseTimeDecay,
            OneCycle,
            PerEpoch,
            PiecewiseConstantDecay,
            PolynomialDecay,
            PowerDecay,
        )
    },
)


def serialize(learning_rate_schedule: LearningRateSchedule) -> Any:
    """Configuration of a schedule, for `deserialize`.

    Args:
        learning_rate_schedule: A schedule.

    Returns:
        A dictionary that `deserialize` accepts.

    Example:

    >>> import densa
    >>> schedule = densa.optimizers.schedules.ExponentialDecay(0.1, 10, 0.5)
    >>> densa.optimizers.schedules.serialize(schedule)["class_name"]
    'ExponentialDecay'
    """
    return _family.serialize(learning_rate_schedule)


def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """The schedule of a configuration.

    Args:
        config: What `serialize` gave.
        custom_objects: Own classes by name.

    Returns:
        A schedule.

    Raises:
        ValueError: The class is not known; suggests the nearest one.

    Example:

    >>> import densa
    >>> schedule = densa.optimizers.schedules.ExponentialDecay(0.1, 10, 0.5)
    >>> config = densa.optimizers.schedules.serialize(schedule)
    >>> densa.optimizers.schedules.deserialize(config)(10)
    0.05
    """
    return _family.deserialize(config, custom_objects)


__all__ = [
    "LearningRateSchedule",
    "CosineDecay",
    "CosineDecayRestarts",
    "ExponentialDecay",
    "InverseTimeDecay",
    "OneCycle",
    "PerEpoch",
    "PiecewiseConstantDecay",
    "PolynomialDecay",
    "PowerDecay",
    "deserialize",
    "serialize",
]

if not TYPE_CHECKING:  # lest type checkers take every name for known
    __getattr__ = suggesting(__name__)
