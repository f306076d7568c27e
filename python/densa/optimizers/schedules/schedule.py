"""The base class of learning rate schedules."""

from __future__ import annotations

import math
from typing import Any

from densa._names import Named
from densa._numbers import check_real_number


class LearningRateSchedule(Named):
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

    def momentum_at(self, step: int) -> float | None:
        """The momentum of a step for optimizers that have one; None: their own."""
        return None

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
    """Refuses numbers of steps that are not above zero, or not finite."""
    check_real_number(f"{schedule}: {name}", value)
    if not 0 < value < math.inf:
        raise ValueError(f"{schedule}: {name} must be above 0 and finite; received {value!r}.")


def check_rates(schedule: str, **rates: Any) -> None:
    """Refuses learning rates, and factors of them, that are no finite numbers of at least 0."""
    for name, value in rates.items():
        check_real_number(f"{schedule}: {name}", value, least=0)
        if value == math.inf:
            raise ValueError(f"{schedule}: {name} must be finite; received {value!r}.")


def step_of(schedule: Any, step: Any) -> float:
    """The step that a schedule is asked for; ValueError where it is negative or NaN."""
    found = float(step)
    if not found >= 0:
        raise ValueError(
            f"{type(schedule).__name__}: the step must be at least 0; received {step}."
        )
    return found
