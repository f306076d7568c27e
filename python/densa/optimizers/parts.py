"""What optimizers do to gradients before a step, and to weights behind it."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Any

from densa import ops
from densa.variables import Variable


def scalar(value: Any, name: str) -> Variable:
    """A number of the optimizer's own, which Python reads at every step: it lies on the CPU."""
    return Variable(value, dtype=str(value.dtype), trainable=False, name=name, device="cpu")


def without_none(grads: list[Any], variables: list[Variable]) -> list[tuple[Any, Variable]]:
    pairs = [(g, v) for g, v in zip(grads, variables, strict=True) if g is not None]
    if not pairs:
        raise ValueError("No gradients provided for any variable.")
    if len(pairs) < len(grads):
        missing = [v.path for g, v in zip(grads, variables, strict=True) if g is None]
        warnings.warn(
            f"Gradients do not exist for variables {missing} when minimizing the loss. If you use "
            "`model.compile()`, did you forget to provide a `loss`?",
            UserWarning,
            stacklevel=3,
        )
    return pairs


def clip(
    grads: list[Any], norm: float | None, global_norm: float | None, value: float | None
) -> list[Any]:
    """The gradients within the limit that is given: by norm, by common norm, or by value."""
    if norm:
        return [clip_by_norm(g, norm) for g in grads]
    if global_norm:
        return clip_by_global_norm(grads, global_norm)
    return [ops.clip(g, -value, value) for g in grads] if value else grads


def clip_by_norm(g: Any, limit: float) -> Any:
    """The gradient, scaled so that its Euclidean norm is at most `limit`."""
    norm = ops.sqrt(ops.sum(ops.square(g)))
    return g * (limit / ops.maximum(norm, limit))


def global_norm_of(grads: Sequence[Any]) -> Any:
    """The Euclidean norm of all gradients together, a scalar Tensor."""
    squares = [ops.sum(ops.square(g)) for g in grads]
    total = squares[0]
    for s in squares[1:]:
        total = total + s
    return ops.sqrt(total)


def clip_by_global_norm(grads: Sequence[Any], limit: float) -> list[Any]:
    """The gradients, scaled together so that their common Euclidean norm is at most `limit`."""
    scale = limit / ops.maximum(global_norm_of(grads), limit)
    return [g * scale for g in grads]


def normalize(grads: list[Any], above: float) -> list[Any]:
    """The gradients divided by their common norm where it is above a threshold; 0 stays 0."""
    # By the largest number first: squares of 1e20 and 1e-30 are no float32.
    largest = max((float(ops.max(ops.abs(g)).numpy()) for g in grads if g.size), default=0.0)
    if not 0 < largest < math.inf:
        return grads
    units = [g / largest for g in grads]
    norm = float(global_norm_of(units).numpy())
    return [u / norm for u in units] if norm * largest > above else grads


def shrink(variable: Variable, by: float) -> None:
    """Brings every weight `by` nearer to 0 and no further: the proximal step of the l1 norm."""
    variable.assign(variable - ops.clip(variable.value, -by, by))


def constrain(variable: Variable) -> None:
    """Puts a variable back to what its constraint allows, if it has one."""
    constraint = getattr(variable, "constraint", None)
    if constraint is not None:
        variable.assign(constraint(variable.value))


def put_average(variable: Variable, average: Variable) -> None:
    """Puts the average of a variable's values in its place: within its constraint, as a mean of
    unit vectors, say, is none."""
    variable.assign(average.value)
    constrain(variable)


class GradientReport:
    """The norms of gradients before they are limited, and how often they were."""

    def __init__(self) -> None:
        self.start()

    def start(self) -> None:
        """Forgets all steps."""
        self._total = 0.0
        self._steps = self._clipped = 0
        self.last: float | None = None

    def note(
        self,
        grads: Sequence[Any],
        clipnorm: float | None,
        clipvalue: float | None,
        common: float | None,
    ) -> None:
        """Looks at the gradients of one update, with the limits that it is to obey."""
        norms = [float(global_norm_of([g]).numpy()) for g in grads]
        self.last = math.hypot(*norms)
        self._total += self.last
        self._steps += 1
        if clipnorm:
            clipped = max(norms) > clipnorm
        elif clipvalue:
            clipped = any(float(ops.max(ops.abs(g)).numpy()) > clipvalue for g in grads if g.size)
        else:
            clipped = common is not None and self.last > common
        self._clipped += clipped

    def logs(self) -> dict[str, float]:
        """The mean norm and the share of clipped steps since `start`; empty before a step."""
        if self._steps == 0:
            return {}
        return {
            "gradient_norm": self._total / self._steps,
            "clipped_share": self._clipped / self._steps,
        }

    def get_state(self) -> list[float]:
        """What `set_state` needs to go on."""
        return [self._total, self._steps, self._clipped]

    def set_state(self, state: Sequence[float]) -> None:
        """Goes on from a state read earlier."""
        self._total, self._steps, self._clipped = float(state[0]), int(state[1]), int(state[2])
