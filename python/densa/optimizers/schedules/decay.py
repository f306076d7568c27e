"""Exponential, inverse-time, power, polynomial and piecewise constant decay."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

from densa._numbers import check_real_number

from .schedule import LearningRateSchedule, check_positive, check_rates, step_of


class ExponentialDecay(LearningRateSchedule):
    """`initial · decay_rate^(step / decay_steps)`.

    Args:
        initial_learning_rate: Rate of step 0.
        decay_steps: Steps in which the rate falls by the factor `decay_rate`.
        decay_rate: That factor.
        staircase: Whether the exponent is rounded down, so that the rate falls in jumps.
        name: Name of the schedule.

    Example:

    >>> import densa
    >>> schedule = densa.optimizers.schedules.ExponentialDecay(0.1, 10, 0.5)
    >>> schedule(20)
    0.025
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: int,
        decay_rate: float,
        staircase: bool = False,
        name: str = "ExponentialDecay",
    ) -> None:
        check_positive("ExponentialDecay", "decay_steps", decay_steps)
        check_rates(
            "ExponentialDecay", initial_learning_rate=initial_learning_rate, decay_rate=decay_rate
        )
        self.initial_learning_rate = initial_learning_rate
        self.decay_steps = decay_steps
        self.decay_rate = decay_rate
        self.staircase = staircase
        self.name = name

    def __call__(self, step: Any) -> float:
        """The learning rate of a step."""
        p = step_of(self, step) / self.decay_steps
        if self.staircase:
            p = math.floor(p)
        return float(self.initial_learning_rate * self.decay_rate**p)

    def get_config(self) -> dict[str, Any]:
        """What `from_config` needs."""
        return {
            "initial_learning_rate": self.initial_learning_rate,
            "decay_steps": self.decay_steps,
            "decay_rate": self.decay_rate,
            "staircase": self.staircase,
            "name": self.name,
        }


class InverseTimeDecay(LearningRateSchedule):
    """`initial / (1 + decay_rate · step / decay_steps)`.

    Args:
        initial_learning_rate: Rate of step 0.
        decay_steps: Steps that count as one unit of time.
        decay_rate: Decay per unit of time.
        staircase: Whether time is rounded down.
        name: Name of the schedule.

    Example:

    >>> import densa
    >>> densa.optimizers.schedules.InverseTimeDecay(0.1, 10, 1.0)(10)
    0.05
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: int,
        decay_rate: float,
        staircase: bool = False,
        name: str = "InverseTimeDecay",
    ) -> None:
        check_positive("InverseTimeDecay", "decay_steps", decay_steps)
        check_rates(
            "InverseTimeDecay", initial_learning_rate=initial_learning_rate, decay_rate=decay_rate
        )
        self.initial_learning_rate = initial_learning_rate
        self.decay_steps = decay_steps
        self.decay_rate = decay_rate
        self.staircase = staircase
        self.name = name

    def __call__(self, step: Any) -> float:
        """The learning rate of a step."""
        p = step_of(self, step) / self.decay_steps
        if self.staircase:
            p = math.floor(p)
        return float(self.initial_learning_rate / (1.0 + self.decay_rate * p))

    def get_config(self) -> dict[str, Any]:
        """What `from_config` needs."""
        return {
            "initial_learning_rate": self.initial_learning_rate,
            "decay_steps": self.decay_steps,
            "decay_rate": self.decay_rate,
            "staircase": self.staircase,
            "name": self.name,
        }


class PowerDecay(LearningRateSchedule):
    """`initial / (1 + step / decay_steps)^power`: a half after `decay_steps`, then a third.

    Args:
        initial_learning_rate: Rate of step 0.
        decay_steps: Steps until the base of the power is 2.
        power: The power.
        name: Name of the schedule.

    Raises:
        TypeError: A number is none.
        ValueError: `decay_steps` is not above 0, or a rate or the power is negative.

    Example:

    >>> import densa
    >>> schedule = densa.optimizers.schedules.PowerDecay(0.5, 10)
    >>> schedule(0), schedule(10), schedule(30)
    (0.5, 0.25, 0.125)
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: int,
        power: float = 1.0,
        name: str = "PowerDecay",
    ) -> None:
        check_positive("PowerDecay", "decay_steps", decay_steps)
        check_rates("PowerDecay", initial_learning_rate=initial_learning_rate, power=power)
        self.initial_learning_rate = initial_learning_rate
        self.decay_steps = decay_steps
        self.power = power
        self.name = name

    def __call__(self, step: Any) -> float:
        """The learning rate of a step."""
        p = step_of(self, step) / self.decay_steps
        return float(self.initial_learning_rate / (1.0 + p) ** self.power)

    def get_config(self) -> dict[str, Any]:
        """What `from_config` needs."""
        return {
            "initial_learning_rate": self.initial_learning_rate,
            "decay_steps": self.decay_steps,
            "power": self.power,
            "name": self.name,
        }


class PolynomialDecay(LearningRateSchedule):
    """`(initial - end) · (1 - step / decay_steps)^power + end`, then `end`.

    Args:
        initial_learning_rate: Rate of step 0.
        decay_steps: Steps until the end is reached.
        end_learning_rate: Rate at the end.
        power: 1 falls linearly, 0.5 by a square root.
        cycle: Whether to start again, over the next multiple of `decay_steps`.
        name: Name of the schedule.

    Example:

    >>> import densa
    >>> densa.optimizers.schedules.PolynomialDecay(0.5, 10, end_learning_rate=0.25)(5)
    0.375
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: int,
        end_learning_rate: float = 0.0001,
        power: float = 1.0,
        cycle: bool = False,
        name: str = "PolynomialDecay",
    ) -> None:
        check_positive("PolynomialDecay", "decay_steps", decay_steps)
        check_positive("PolynomialDecay", "power", power)
        check_rates(
            "PolynomialDecay",
            initial_learning_rate=initial_learning_rate,
            end_learning_rate=end_learning_rate,
        )
        self.initial_learning_rate = initial_learning_rate
        self.decay_steps = decay_steps
        self.end_learning_rate = end_learning_rate
        self.power = power
        self.cycle = cycle
        self.name = name

    def __call__(self, step: Any) -> float:
        """The learning rate of a step."""
        step = step_of(self, step)
        span = float(self.decay_steps)
        if self.cycle:
            span *= max(1.0, math.ceil(step / span))
        else:
            step = min(step, span)
        fall = (1.0 - step / span) ** self.power
        start, end = self.initial_learning_rate, self.end_learning_rate
        return float((start - end) * fall + end)

    def get_config(self) -> dict[str, Any]:
        """What `from_config` needs."""
        return {
            "initial_learning_rate": self.initial_learning_rate,
            "decay_steps": self.decay_steps,
            "end_learning_rate": self.end_learning_rate,
            "power": self.power,
            "cycle": self.cycle,
            "name": self.name,
        }


class PiecewiseConstantDecay(LearningRateSchedule):
    """`values[i]` up to and with step `boundaries[i]`, the last value afterwards.

    Args:
        boundaries: Steps, rising.
        values: Rates, one more than boundaries.
        name: Name of the schedule.

    Raises:
        TypeError: A boundary or a value is no number.
        ValueError: The numbers of boundaries and values do not fit, or one of them is negative.

    Example:

    >>> import densa
    >>> schedule = densa.optimizers.schedules.PiecewiseConstantDecay([5, 15], [0.01, 0.005, 0.001])
    >>> [schedule(step) for step in (0, 5, 6, 15, 16)]
    [0.01, 0.01, 0.005, 0.005, 0.001]
    """

    def __init__(
        self,
        boundaries: Sequence[float],
        values: Sequence[float],
        name: str = "PiecewiseConstant",
    ) -> None:
        for what, given in (("boundaries", boundaries), ("values", values)):
            if isinstance(given, str) or not hasattr(given, "__len__"):
                raise TypeError(
                    f"PiecewiseConstantDecay: {what} must be a list of numbers; received {given!r}."
                )
        if len(boundaries) != len(values) - 1:
            raise ValueError(
                "PiecewiseConstantDecay: values must hold one item more than boundaries; received "
                f"{len(values)} values and {len(boundaries)} boundaries."
            )
        if any(b <= a for a, b in itertools.pairwise(boundaries)):
            raise ValueError(
                f"PiecewiseConstantDecay: boundaries must rise; received {list(boundaries)}."
            )
        for boundary in boundaries:
            check_real_number("PiecewiseConstantDecay: a boundary", boundary, least=0)
        for value in values:
            check_rates("PiecewiseConstantDecay", value=value)
        self.boundaries = list(boundaries)
        self.values = list(values)
        self.name = name

    def __call__(self, step: Any) -> float:
        """The learning rate of a step."""
        step = step_of(self, step)
        for boundary, value in zip(self.boundaries, self.values, strict=False):
            if step <= boundary:
                return float(value)
        return float(self.values[-1])

    def get_config(self) -> dict[str, Any]:
        """What `from_config` needs."""
        return {"boundaries": self.boundaries, "values": self.values, "name": self.name}
