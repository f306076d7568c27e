"""Steps whose gradients a plan computes and whose update the optimizer makes itself.

For what the fused step of a plan does not do: averages, accumulation, constraints, own formulas.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from densa.variables import Variable

from .interrupt import DeferInterrupt


class Gradients:
    """Where steps leave the gradients of variables.

    Args:
        variables: The trained variables.
    """

    def __init__(self, variables: Sequence[Any]) -> None:
        self.variables = list(variables)
        self.places = [
            Variable(
                np.zeros(tuple(v.shape), str(v.dtype)),
                dtype=str(v.dtype),
                trainable=False,
                name=f"{v.name}_gradient",
                rows=bool(getattr(v, "_rows", False)),
                device=v.device,
            )
            for v in self.variables
        ]

    def fits(self, variables: Sequence[Any]) -> bool:
        """Whether these are the same variables."""
        return len(variables) == len(self.variables) and all(
            one is other for one, other in zip(variables, self.variables, strict=True)
        )

    def spec(self) -> dict[str, Any]:
        """What a plan is told in place of an optimizer."""
        return {"variables": self.variables, "gradients": self.places}


class GradientSteps:
    """Runs the steps of one plan, with an update by the model's optimizer behind each.

    Args:
        model: The model.
        plan: A plan made with `gradients.spec()`.
        gradients: Where it leaves the gradients.
    """

    def __init__(self, model: Any, plan: Any, gradients: Gradients) -> None:
        self.model = model
        self.plan = plan
        self.gradients = gradients
        assigned = {id(variable) for variable in plan.assigned}
        self._flows = [id(place) in assigned for place in gradients.places]

    def run(self, steps: int, seconds: float) -> int:
        """At most `steps` steps, or for about `seconds` (0: no limit); how many there were."""
        model, plan = self.model, self.plan
        optimizer = model.optimizer
        end = time.monotonic() + seconds
        # Numbers random draws, steps that a loss scale leaves out among them.
        draw = model._steps_trained
        if draw is None:
            draw = int(optimizer._iterations)
        done = 0
        while done < steps and not plan.done:
            with DeferInterrupt():
                plan.run(1, 0.0, 0.0, None, draw + done)
                optimizer.apply(self.values(), self.gradients.variables)
            done += 1
            if seconds and time.monotonic() > end:
                break
        return done

    def values(self) -> list[Any]:
        """The gradients of the last step; None where none flows."""
        pairs = zip(self.gradients.places, self._flows, strict=True)
        return [place.value if flows else None for place, flows in pairs]
