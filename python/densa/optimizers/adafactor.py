"""Adafactor."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from densa import ops
from densa._numbers import check_real_number
from densa.variables import Variable

from .arguments import Check, check_above_zero, check_from_zero
from .optimizer import Optimizer


def _check_power(name: str, value: Any) -> None:
    check_real_number(name, value)
    if value > 0:
        raise ValueError(f"{name} must be at most 0; received {value!r}.")


def _rms(x: Any) -> Any:
    return ops.sqrt(ops.mean(ops.square(x)))


class Adafactor(Optimizer):
    """Adam without momentum and, for matrices, with two vectors in the place of its state.

    At step t, with `β = 1 - t^beta_2_decay` and `s = g² + epsilon_1`, a matrix keeps the averages
    of the means of s over its columns and over its rows, `r ← β·r + (1 - β)·mean(s, -1)` and
    `c ← β·c + (1 - β)·mean(s, -2)`, and `v = r·c / mean(r)`; a vector keeps `v ← β·v + (1 - β)·s`.
    With `u = g / √v` and `ρ = min(rate, 1/√t)`:
    `w ← w - max(epsilon_2, rms(w))·ρ·u / max(1, rms(u) / clip_threshold)`.
    Of more than two axes the last two are taken for the matrix's. Source: Shazeer and Stern, 2018,
    https://arxiv.org/abs/1804.04235.

    Args:
        learning_rate: A number, a schedule, or a function without arguments.
        beta_2_decay: Power of the step, at most 0, that gives the decay of the averages.
        epsilon_1: Added to the squared gradients.
        epsilon_2: Smallest size of a variable that its step is in proportion to.
        clip_threshold: Largest root of the mean square of u.
        relative_step: Accepted for Keras, where it changes nothing either: ρ is the smaller of
            the rate and `1/√t` in any case.
        weight_decay: Part of each weight, times the rate, taken off before each update.
        clipnorm: Largest norm of one variable's gradient.
        clipvalue: Largest absolute value of a gradient's element.
        global_clipnorm: Largest norm of all gradients together.
        use_ema: Whether to keep a moving average of the weights.
        ema_momentum: Its momentum.
        ema_overwrite_frequency: After how many steps the weights become their average.
        loss_scale_factor: Factor on the loss, taken off the gradients again.
        gradient_accumulation_steps: Number of steps whose gradients make one update.
        name: Name of the optimizer; made up if None.

    Raises:
        TypeError: One of its numbers is none.
        ValueError: `beta_2_decay` is above 0, an epsilon negative, or `clip_threshold` not above 0.

    Example:

    >>> import densa
    >>> optimizer = densa.optimizers.Adafactor(learning_rate=0.1)
    >>> w = densa.Variable([2.0])
    >>> optimizer.apply([densa.ops.convert_to_tensor([5.0])], [w])
    >>> w.numpy().round(4).tolist()
    [1.7999999523162842]
    """

    arguments: ClassVar[tuple[str, ...]] = (
        "beta_2_decay",
        "epsilon_1",
        "epsilon_2",
        "clip_threshold",
        "relative_step",
    )
    checks: ClassVar[Mapping[str, Check]] = {
        "beta_2_decay": _check_power,
        "epsilon_1": check_from_zero,
        "epsilon_2": check_from_zero,
        "clip_threshold": check_above_zero,
    }

    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta_2_decay: float = -0.8,
        epsilon_1: float = 1e-30,
        epsilon_2: float = 1e-3,
        clip_threshold: float = 1.0,
        relative_step: bool = True,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        use_ema: bool = False,
        ema_momentum: float = 0.99,
        ema_overwrite_frequency: int | None = None,
        loss_scale_factor: float | None = None,
        gradient_accumulation_steps: int | None = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            learning_rate=learning_rate,
            weight_decay=weight_decay,
            clipnorm=clipnorm,
            clipvalue=clipvalue,
            global_clipnorm=global_clipnorm,
            use_ema=use_ema,
            ema_momentum=ema_momentum,
            ema_overwrite_frequency=ema_overwrite_frequency,
            loss_scale_factor=loss_scale_factor,
            gradient_accumulation_steps=gradient_accumulation_steps,
            name=name,
            **kwargs,
        )
        self.beta_2_decay = beta_2_decay
        self.epsilon_1 = epsilon_1
        self.epsilon_2 = epsilon_2
        self.clip_threshold = clip_threshold
        self.relative_step = bool(relative_step)

    @property
    def slot_names(self) -> tuple[str, ...]:
        """Names of the variables kept per trained variable."""
        return ("row", "column", "velocity")

    def slot_value(self, variable: Variable, name: str) -> Any:
        """Zeros: two vectors for a matrix, else one array; a number where none is needed."""
        shape, matrix = tuple(variable.shape), len(variable.shape) >= 2
        shapes = {
            "row": shape[:-1] if matrix else (),
            "column": (*shape[:-2], shape[-1]) if matrix else (),
            "velocity": () if matrix else shape,
        }
        return np.zeros(shapes[name])

    def update_step(self, gradient: Any, variable: Variable, learning_rate: float) -> None:
        """Changes one variable and its slots."""
        step = int(self.iterations) + 1
        old = 1.0 - step**self.beta_2_decay
        square = ops.square(gradient) + self.epsilon_1

        def follow(name: str, new: Any) -> Any:
            slot = self.slot(variable, name)
            slot.assign(slot * old + new * (1.0 - old))
            return slot.value

        if len(variable.shape) >= 2:
            r = follow("row", ops.mean(square, axis=-1))
            c = follow("column", ops.mean(square, axis=-2))
            r = r / ops.mean(r, axis=-1, keepdims=True)
            v = ops.expand_dims(r, -1) * ops.expand_dims(c, -2)
        else:
            v = follow("velocity", square)
        u = gradient / ops.sqrt(v)
        u = u / ops.maximum(_rms(u) * (1.0 / self.clip_threshold), 1.0)
        rate = min(learning_rate, step**-0.5)
        variable.assign(variable - u * (ops.maximum(_rms(variable), self.epsilon_2) * rate))
