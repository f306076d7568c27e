"""The learning rate of an optimizer, and the number of its updates."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from densa._scope import name_scope
from densa.variables import Variable

from .arguments import check_from_zero, number
from .parts import scalar
from .schedules import LearningRateSchedule


class OptimizerRate:
    """The rate, a number or what a schedule gives; `Optimizer` inherits it."""

    name: str
    gradient_accumulation_steps: int | None
    learning_rate_multipliers: dict[str, float]
    _own: list[Variable]  # its numbers: iteration, rate
    _iterations: Variable
    _learning_rate: Any
    _rate_factor: Variable | None

    @property
    def iterations(self) -> Any:
        """The number of updates so far."""
        if self.gradient_accumulation_steps:
            return int(self._iterations) // self.gradient_accumulation_steps
        return self._iterations

    @iterations.setter
    def iterations(self, value: Any) -> None:
        every = self.gradient_accumulation_steps or 1
        self._iterations.assign(np.int64(int(value) * every))

    @property
    def learning_rate(self) -> Any:
        """The rate of the next update: a Variable, or a number where a schedule gives it."""
        if isinstance(self._learning_rate, Variable):
            return self._learning_rate
        return self.rate_at(int(self.iterations))

    @learning_rate.setter
    def learning_rate(self, value: Any) -> None:
        current = self._learning_rate
        if callable(value) and not isinstance(value, Variable):
            self._own = [v for v in self._own if v is not current]
            self._follow(value)
        elif isinstance(current, Variable):
            current.assign(np.float64(number(value)))
        else:
            raise TypeError(
                "This optimizer was created with a `LearningRateSchedule` or a function as its "
                "`learning_rate`, so its learning rate cannot be set to a number. Create it with "
                "a number to set the rate later."
            )

    @property
    def lr(self) -> Any:
        """Keras 2's name of `learning_rate`; deprecated."""
        _warn_of_lr()
        return self.learning_rate

    @lr.setter
    def lr(self, value: Any) -> None:
        _warn_of_lr()
        self.learning_rate = value

    def rate_at(self, iteration: int) -> float:
        """The learning rate of the update after `iteration` completed ones."""
        rate = self._learning_rate
        if isinstance(rate, Variable):
            return float(rate.numpy())
        found = rate(iteration) if isinstance(rate, LearningRateSchedule) else rate()
        return float(found) * self.learning_rate_factor

    def usable_rate(self, iteration: int) -> float:
        """`rate_at` for an update that will be made; ValueError where that is no rate.

        Behind the last update a schedule may give what it likes: reading it is no error.
        """
        try:
            found = self.rate_at(iteration)
            return number(found)
        except (TypeError, ValueError) as error:
            rule = self._learning_rate
            kind = rule if hasattr(rule, "__name__") else type(rule)
            raise ValueError(
                f"{type(self).__name__}: {kind.__name__} gave no learning rate for update "
                f"{iteration} (counted from 0); expected a finite number of at least 0. {error}"
            ) from error

    def _follow(self, rule: Any) -> None:
        # A schedule or function, with a factor of its own, which is saved with the state.
        self._learning_rate = rule
        if self._rate_factor is None:
            with name_scope(self.name.replace("/", "_")):
                self._rate_factor = scalar(np.float64(1.0), "learning_rate_factor")
            self._own.append(self._rate_factor)

    def hold_rate(self, value: float) -> Callable[[], None]:
        """Puts a number in the place of the rate, a schedule's too; returns what undoes that."""
        before = self._learning_rate
        with name_scope(self.name.replace("/", "_")):
            self._learning_rate = scalar(np.float64(number(value)), "learning_rate")

        def put_back() -> None:
            self._learning_rate = before

        return put_back

    @property
    def follows_schedule(self) -> bool:
        """Whether a schedule or a function gives the rate, so that it cannot be set to a number."""
        return not isinstance(self._learning_rate, Variable)

    @property
    def learning_rate_factor(self) -> float:
        """What the rates of a schedule or function are multiplied with; 1 where there is none."""
        return 1.0 if self._rate_factor is None else float(self._rate_factor.numpy())

    @learning_rate_factor.setter
    def learning_rate_factor(self, value: float) -> None:
        if self._rate_factor is None:
            raise TypeError(
                "This optimizer's learning rate is a number: set `learning_rate` itself; a factor "
                "goes with a `LearningRateSchedule` or a function."
            )
        check_from_zero("learning_rate_factor", value)
        self._rate_factor.assign(np.float64(value))

    def learning_rate_multiplier(self, variable: Variable) -> float:
        """The factor of the learning rate for a variable: that of the first pattern that fits."""
        path = str(getattr(variable, "path", variable.name))
        for pattern, factor in self.learning_rate_multipliers.items():
            if re.search(pattern, path):
                return float(factor)
        return 1.0


def _warn_of_lr() -> None:
    warnings.warn(
        "optimizer.lr is Keras 2's name; use optimizer.learning_rate instead.",
        DeprecationWarning,
        stacklevel=3,
    )
