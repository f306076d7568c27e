"""Cosine decay, with a warm-up or with restarts."""

from __future__ import annotations

import math
from typing import Any

from densa._numbers import finite_number

from .schedule import LearningRateSchedule, check_positive, check_rates, step_of


class CosineDecay(LearningRateSchedule):
    """Half a cosine from the initial rate to `alpha` times it, after an optional linear warm-up.

    `rate · ((1 - alpha) · (1 + cos(π · step / decay_steps)) / 2 + alpha)`, then constant.

    Args:
        initial_learning_rate: Rate of step 0.
        decay_steps: Steps of the decay, after the warm-up.
        alpha: Last rate as a part of the first.
        name: Name of the schedule.
        warmup_target: Rate at the end of the warm-up; None leaves the warm-up out.
        warmup_steps: Steps of the warm-up.

    Example:

    >>> import densa
    >>> schedule = densa.optimizers.schedules.CosineDecay(0.1, 100)
    >>> round(schedule(50), 6)
    0.05
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: int,
        alpha: float = 0.0,
        name: str = "CosineDecay",
        warmup_target: float | None = None,
        warmup_steps: int = 0,
    ) -> None:
        check_positive("CosineDecay", "decay_steps", decay_steps)
        check_rates("CosineDecay", initial_learning_rate=initial_learning_rate, alpha=alpha)
        finite_number("CosineDecay: warmup_steps", warmup_steps, least=0)
        if warmup_target is not None:
            check_rates("CosineDecay", warmup_target=warmup_target)
        self.initial_learning_rate = initial_learning_rate
        self.decay_steps = decay_steps
        self.alpha = alpha
        self.name = name
        self.warmup_steps = warmup_steps
        self.warmup_target = warmup_target

    def __call__(self, step: Any) -> float:
        """The learning rate of a step."""
        step = step_of(self, step)
        top = self.initial_learning_rate
        if self.warmup_target is not None:
            if step < self.warmup_steps:
                rise = (self.warmup_target - top) * (step / self.warmup_steps)
                return float(top + rise)
            step -= self.warmup_steps
            top = self.warmup_target
        part = min(step, self.decay_steps) / self.decay_steps
        cosine = 0.5 * (1.0 + math.cos(math.pi * part))
        return float(top * ((1.0 - self.alpha) * cosine + self.alpha))

    def get_config(self) -> dict[str, Any]:
        """What `from_config` needs."""
        return {
            "initial_learning_rate": self.initial_learning_rate,
            "decay_steps": self.decay_steps,
            "alpha": self.alpha,
            "name": self.name,
            "warmup_target": self.warmup_target,
            "warmup_steps": self.warmup_steps,
        }


class CosineDecayRestarts(LearningRateSchedule):
    """Cosine decay that starts again, each time over more steps and from a lower rate.

    Args:
        initial_learning_rate: Rate of step 0.
        first_decay_steps: Steps of the first decay.
        t_mul: Factor from one decay's length to the next.
        m_mul: Factor from one decay's first rate to the next.
        alpha: Last rate of the first decay as a part of its first.
        name: Name of the schedule.

    Example:

    >>> import densa
    >>> schedule = densa.optimizers.schedules.CosineDecayRestarts(0.5, 10)
    >>> [round(schedule(step), 4) for step in (0, 5, 9, 10)]
    [0.5, 0.25, 0.0122, 0.5]
    """

    def __init__(
        self,
        initial_learning_rate: float,
        first_decay_steps: int,
        t_mul: float = 2.0,
        m_mul: float = 1.0,
        alpha: float = 0.0,
        name: str = "SGDRDecay",
    ) -> None:
        check_positive("CosineDecayRestarts", "first_decay_steps", first_decay_steps)
        check_rates(
            "CosineDecayRestarts",
            initial_learning_rate=initial_learning_rate,
            m_mul=m_mul,
            alpha=alpha,
        )
        finite_number("CosineDecayRestarts: t_mul", t_mul, least=1)
        self.initial_learning_rate = initial_learning_rate
        self.first_decay_steps = first_decay_steps
        self._t_mul = t_mul
        self._m_mul = m_mul
        self.alpha = alpha
        self.name = name

    def __call__(self, step: Any) -> float:
        """The learning rate of a step."""
        done = step_of(self, step) / self.first_decay_steps
        if self._t_mul == 1.0:
            restarts = math.floor(done)
            part = done - restarts
        else:
            restarts = math.floor(math.log(1.0 - done * (1.0 - self._t_mul), self._t_mul))
            before = (1.0 - self._t_mul**restarts) / (1.0 - self._t_mul)
            part = (done - before) / self._t_mul**restarts
        top = self._m_mul**restarts
        cosine = 0.5 * top * (1.0 + math.cos(math.pi * part))
        return float(self.initial_learning_rate * ((1.0 - self.alpha) * cosine + self.alpha))

    def get_config(self) -> dict[str, Any]:
        """What `from_config` needs."""
        return {
            "initial_learning_rate": self.initial_learning_rate,
            "first_decay_steps": self.first_decay_steps,
            "t_mul": self._t_mul,
            "m_mul": self._m_mul,
            "alpha": self.alpha,
            "name": self.name,
        }
