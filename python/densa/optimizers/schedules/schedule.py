"""The base class of learning rate schedules."""

from __future__ import annotations

from typing import Any


class LearningRateSchedule:
    """A learning rate as a function of the step: write `__call__(step)`.

    The optimizer calls it with the number of updates done so far, from 0.

    Example:

    >>> import densa
    >>> class Halving(densa.optimizers.schedules.LearningRateSchedule):
    ...     def __call__(self, step):
    ...         return 0.1 * 0.5**step
    >>> Halving()(2)
    0.025
    """

    def __call__(self, step: Any) -> Any:
        """The learning rate of a step."""
        raise NotImplementedError(f"{type(self).__name__} must define `__call__(step)`.")

    def get_config(self) -> dict[str, Any]:
        """What `from_config` needs to build the same schedule."""
        raise NotImplementedError(
            f"{type(self).__name__} must define `get_config()` to be saved with its model."
        )

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> LearningRateSchedule:
        """The schedule of a configuration."""
        return cls(**config)


def check_positive(schedule: str, name: str, value: Any) -> None:
    """Refuses numbers of steps that are not above zero."""
    if not value > 0:
        raise ValueError(f"{schedule}: {name} must be above 0; received {value!r}.")
