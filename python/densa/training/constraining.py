"""Constraints in native training: a second plan, of a few microseconds, behind every step.

A constraint is ordinary code over a weight, as a layer is over its input, so that those of a user
are recorded like the built-in ones.
"""

from __future__ import annotations

from time import perf_counter
from typing import Any

from densa import _core


def constrained(variables: Any) -> list[Any]:
    """The variables that have a constraint."""
    return [v for v in variables if getattr(v, "constraint", None) is not None]


def settings(variables: Any) -> Any:
    """What a recorded constraint has settled, to compare: which ones, and their numbers."""
    return tuple((id(v), id(v.constraint), _numbers(v.constraint)) for v in constrained(variables))


def _numbers(constraint: Any) -> Any:
    return tuple((k, repr(v)) for k, v in getattr(constraint, "__dict__", {}).items())


class Constraining:
    """Puts variables back to what their constraints allow.

    Args:
        variables: Variables that have a constraint, all on one device.

    Raises:
        SymbolicError: A constraint reads the weight's numbers, so that it cannot be recorded.
        ValueError: A constraint does not fit its variable.
    """

    def __init__(self, variables: list[Any]) -> None:
        # Held, so that no other constraint gets the address of one of these.
        self.constraints = [v.constraint for v in variables]
        program = _core.Program()
        with program, _core.no_grad():
            for variable, constraint in zip(variables, self.constraints, strict=True):
                variable.assign(constraint(variable.value))
        self._plan = _core.Plan(program, 1, optimizer=None, collect=[])

    def apply(self) -> None:
        """Puts them back once."""
        self._plan.begin([], None, 0, 1, 1)
        self._plan.run(1, 0.0, 0.0)

    def run(self, model: Any, plan: Any, steps: int, seconds: float, rates: Any) -> int:
        """As `plan.run`, with the constraints behind each step.

        Args:
            model: The model that `plan` trains.
            plan: Its training steps.
            steps: How many to run at most.
            seconds: After how long to come back; 0: when they are done.
            rates: Learning rates as `Plan.run` takes them.

        Returns:
            How many steps have run.
        """
        end, done, draw = perf_counter() + seconds, 0, model._steps_trained
        while done < steps and not plan.done:
            done += int(plan.run(1, 0.0, rates, model.optimizer._iterations, draw))
            draw = None if draw is None else plan.draw
            self.apply()
            if seconds > 0 and perf_counter() > end:
                break
        return done

    def __str__(self) -> str:
        return f"constraints behind each step: {self._plan}"
