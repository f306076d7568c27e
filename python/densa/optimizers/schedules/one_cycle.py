"""OneCycle."""

from __future__ import annotations

import math
from typing import Any

from densa._numbers import check_real_number, whole_number

from .schedule import LearningRateSchedule, check_positive, check_rates, step_of


class OneCycle(LearningRateSchedule):
    """One rise and one fall of the rate, then a last fall by orders of magnitude.

    From `initial` up to `max` and down to `initial` in two halves of equal length, then down to
    `final` over the last part of the steps, and `final` afterwards. The momentum of an optimizer
    that has one (`momentum` above 0, or `beta_1`) goes the other way: from `max_momentum` down to
    `min_momentum` and back.

    Args:
        max_learning_rate: The highest rate, which `densa.callbacks.LRFinder` suggests.
        total_steps: Updates of the whole training.
        initial_learning_rate: Rate of step 0; by default a tenth of the highest.
        final_learning_rate: Rate at the end; by default a thousandth of the initial one.
        final_part: Part of the steps that the last fall takes, from 0 on, below 1.
        shape: `"linear"`, or `"cosine"`: each phase is half a cosine.
        max_momentum: Momentum at the lowest rates; None leaves the momentum alone.
        min_momentum: Momentum at the highest rate.
        name: Name of the schedule.

    Raises:
        TypeError: A number is none.
        ValueError: A number is out of range, rates or momenta do not rise, or `shape` is unknown.

    Example:

    >>> import densa
    >>> cycle = densa.optimizers.schedules.OneCycle(0.5, 100)
    >>> [round(cycle(step), 5) for step in (0, 45, 90, 100)]
    [0.05, 0.5, 0.05, 5e-05]
    >>> [round(cycle.momentum_at(step), 2) for step in (0, 45, 90, 100)]
    [0.95, 0.85, 0.95, 0.95]
    """

    def __init__(
        self,
        max_learning_rate: float,
        total_steps: int,
        *,
        initial_learning_rate: float | None = None,
        final_learning_rate: float | None = None,
        final_part: float = 0.1,
        shape: str = "linear",
        max_momentum: float | None = 0.95,
        min_momentum: float = 0.85,
        name: str = "OneCycle",
    ) -> None:
        check_positive("OneCycle", "max_learning_rate", max_learning_rate)
        whole_number("OneCycle: total_steps", total_steps)
        if initial_learning_rate is not None:
            check_rates("OneCycle", initial_learning_rate=initial_learning_rate)
        if initial_learning_rate is None:
            initial_learning_rate = max_learning_rate / 10
        if final_learning_rate is None:
            final_learning_rate = initial_learning_rate / 1000
        check_rates(
            "OneCycle",
            initial_learning_rate=initial_learning_rate,
            final_learning_rate=final_learning_rate,
        )
        if not final_learning_rate <= initial_learning_rate <= max_learning_rate:
            raise ValueError(
                "OneCycle: the rates must be final_learning_rate <= initial_learning_rate <= "
                f"max_learning_rate; received {final_learning_rate}, {initial_learning_rate}, "
                f"{max_learning_rate}."
            )
        check_real_number("OneCycle: final_part", final_part, least=0)
        if final_part >= 1:
            raise ValueError(f"OneCycle: final_part must be below 1; received {final_part!r}.")
        if shape not in ("linear", "cosine"):
            raise ValueError(f'OneCycle: shape must be "linear" or "cosine"; received {shape!r}.')
        if max_momentum is not None:
            check_real_number("OneCycle: max_momentum", max_momentum)
            check_real_number("OneCycle: min_momentum", min_momentum)
            if not 0 < min_momentum <= max_momentum < 1:
                raise ValueError(
                    "OneCycle: the momenta must be 0 < min_momentum <= max_momentum < 1; received "
                    f"{min_momentum!r} and {max_momentum!r}."
                )
        self.max_learning_rate = max_learning_rate
        self.total_steps = total_steps
        self.initial_learning_rate = initial_learning_rate
        self.final_learning_rate = final_learning_rate
        self.final_part = final_part
        self.shape = shape
        self.max_momentum = max_momentum
        self.min_momentum = min_momentum
        self.name = name

    def __call__(self, step: Any) -> float:
        """The learning rate of a step."""
        rise, fall = self._places(step)
        if rise < 1:
            return self._between(self.initial_learning_rate, self.max_learning_rate, rise)
        if fall < 1:
            return self._between(self.max_learning_rate, self.initial_learning_rate, fall)
        last = self.total_steps * self.final_part
        part = 1.0 if last == 0 else (float(step) - (self.total_steps - last)) / last
        return self._between(self.initial_learning_rate, self.final_learning_rate, min(part, 1.0))

    def momentum_at(self, step: int) -> float | None:
        """The momentum of a step; None where it is to be left alone."""
        if self.max_momentum is None:
            return None
        rise, fall = self._places(step)
        if rise < 1:
            return self._between(self.max_momentum, self.min_momentum, rise)
        return self._between(self.min_momentum, self.max_momentum, min(fall, 1.0))

    def _places(self, step: Any) -> tuple[float, float]:
        # How far the rise and the fall are; 1 and more: over.
        half = self.total_steps * (1.0 - self.final_part) / 2
        place = step_of(self, step) / half
        return place, place - 1.0

    def _between(self, start: float, end: float, part: float) -> float:
        if self.shape == "cosine":
            part = 0.5 * (1.0 - math.cos(math.pi * part))
        return float(start + (end - start) * part)

    def get_config(self) -> dict[str, Any]:
        """What `from_config` needs."""
        return {
            "max_learning_rate": self.max_learning_rate,
            "total_steps": self.total_steps,
            "initial_learning_rate": self.initial_learning_rate,
            "final_learning_rate": self.final_learning_rate,
            "final_part": self.final_part,
            "shape": self.shape,
            "max_momentum": self.max_momentum,
            "min_momentum": self.min_momentum,
            "name": self.name,
        }
