"""Lamb."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from densa import ops
from densa._numbers import check_decay
from densa.variables import Variable

from .arguments import Check, check_from_zero
from .optimizer import Optimizer


class Lamb(Optimizer):
    """Adam whose step has, per variable, the length of the variable: for large batches.

    With Adam's `u = m̂ / (√v̂ + epsilon)`: `w ← w - rate·(‖w‖ / ‖u‖)·u`; the ratio is 1 where a
    norm is 0. Source: You et al., 2019, https://arxiv.org/abs/1904.00962.

    Args:
        learning_rate: A number, a schedule, or a function without arguments.
        beta_1: Decay of the gradients' average `m`.
        beta_2: Decay of the average `v` of their squares.
        epsilon: Against division by zero.
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
        TypeError: `beta_1`, `beta_2` or `epsilon` is no number.
        ValueError: A decay is not in [0, 1), or `epsilon` is negative.

    Example:

    >>> import densa
    >>> optimizer = densa.optimizers.Lamb(learning_rate=0.1)
    >>> w = densa.Variable([2.0])
    >>> optimizer.apply([densa.ops.convert_to_tensor([5.0])], [w])
    >>> w.numpy().round(4).tolist()
    [1.7999999523162842]
    """

    arguments: ClassVar[tuple[str, ...]] = ("beta_1", "beta_2", "epsilon")
    checks: ClassVar[Mapping[str, Check]] = {
        "beta_1": check_decay,
        "beta_2": check_decay,
        "epsilon": check_from_zero,
    }

    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
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
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon

    @property
    def slot_names(self) -> tuple[str, ...]:
        """Names of the variables kept per trained variable."""
        return ("momentum", "velocity")

    def update_step(self, gradient: Any, variable: Variable, learning_rate: float) -> None:
        """Changes one variable and its slots."""
        m, v = self.slot(variable, "momentum"), self.slot(variable, "velocity")
        step = int(self.iterations) + 1
        m.assign(m * self.beta_1 + gradient * (1.0 - self.beta_1))
        v.assign(v * self.beta_2 + ops.square(gradient) * (1.0 - self.beta_2))
        mean = m * (1.0 / (1.0 - self.beta_1**step))
        spread = ops.sqrt(v * (1.0 / (1.0 - self.beta_2**step))) + self.epsilon
        update = mean / spread
        size, length = ops.norm(variable.value), ops.norm(update)
        both = ops.logical_and(ops.greater(size, 0.0), ops.greater(length, 0.0))
        ratio = ops.where(both, size / ops.where(both, length, 1.0), 1.0)
        variable.assign(variable - update * ratio * learning_rate)
