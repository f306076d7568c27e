"""PerEpoch."""

from __future__ import annotations

from typing import Any

from densa._numbers import whole_number

from .schedule import LearningRateSchedule, step_of


class PerEpoch(LearningRateSchedule):
    """Another schedule that counts epochs rather than steps.

    `schedule(floor(step / steps_per_epoch))`.

    Args:
        schedule: A `LearningRateSchedule` of the epoch, from 0.
        steps_per_epoch: Updates in an epoch, at least 1.
        name: Name of the schedule.

    Raises:
        TypeError: `schedule` is no schedule, or `steps_per_epoch` no whole number.
        ValueError: `steps_per_epoch` is below 1.

    Example:

    >>> import densa
    >>> schedules = densa.optimizers.schedules
    >>> halving = schedules.PerEpoch(schedules.ExponentialDecay(0.5, 1, 0.5), steps_per_epoch=10)
    >>> [halving(step) for step in (0, 9, 10, 25)]
    [0.5, 0.5, 0.25, 0.125]
    """

    def __init__(
        self, schedule: LearningRateSchedule, steps_per_epoch: int, name: str = "PerEpoch"
    ) -> None:
        if not isinstance(schedule, LearningRateSchedule):
            raise TypeError(
                f"PerEpoch: schedule must be a LearningRateSchedule; received {schedule!r}."
            )
        self.schedule = schedule
        self.steps_per_epoch = whole_number("PerEpoch: steps_per_epoch", steps_per_epoch)
        self.name = name

    def __call__(self, step: Any) -> Any:
        """The learning rate of a step."""
        return self.schedule(self._epoch(step))

    def momentum_at(self, step: int) -> float | None:
        """The momentum of a step, where the schedule has one."""
        return self.schedule.momentum_at(self._epoch(step))

    def _epoch(self, step: Any) -> int:
        return int(step_of(self, step) // self.steps_per_epoch)

    def get_config(self) -> dict[str, Any]:
        """What `from_config` needs."""
        from . import serialize

        return {
            "schedule": serialize(self.schedule),
            "steps_per_epoch": self.steps_per_epoch,
            "name": self.name,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> PerEpoch:
        """The schedule of a configuration."""
        from . import deserialize

        config = dict(config)
        if not isinstance(config["schedule"], LearningRateSchedule):
            config["schedule"] = deserialize(config["schedule"])
        return cls(**config)
