"""Learning rates that change with the step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from densa.losses.lookup import deserialize_object, serialize_object

from .cosine import CosineDecay, CosineDecayRestarts
from .decay import ExponentialDecay, InverseTimeDecay, PiecewiseConstantDecay, PolynomialDecay
from .schedule import LearningRateSchedule

_NAMES: dict[str, Any] = {
    c.__name__: c
    for c in (
        CosineDecay,
        CosineDecayRestarts,
        ExponentialDecay,
        InverseTimeDecay,
        PiecewiseConstantDecay,
        PolynomialDecay,
    )
}


def serialize(learning_rate_schedule: LearningRateSchedule) -> Any:
    """Configuration of a schedule, for `deserialize`."""
    return serialize_object(learning_rate_schedule)


def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """The schedule of a configuration.

    Raises:
        ValueError: The class is not known; suggests the nearest one.
    """
    return deserialize_object(
        "learning rate schedule", config, _NAMES, "optimizers.schedules", custom_objects
    )


__all__ = [
    "LearningRateSchedule",
    "CosineDecay",
    "CosineDecayRestarts",
    "ExponentialDecay",
    "InverseTimeDecay",
    "PiecewiseConstantDecay",
    "PolynomialDecay",
    "deserialize",
    "serialize",
]
