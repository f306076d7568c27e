"""RMSprop."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from densa import ops
from densa._numbers import check_decay
from densa.variables import Variable

from .arguments import Check, check_from_zero
from .optimizer import Optimizer


class RMSprop(Optimizer):
    """Divides the gradient by a running root mean square of it.

    `v ← rho·v + (1-rho)·g²; w ← w - rate·g / √(v + epsilon)`.

    Args:
        learning_rate: A number, a schedule, or a function without arguments.
        rho: Decay of the running mean.
        momentum: What is kept of the last move.
        epsilon: Against division by zero.
        centered: Whether to divide by the variance rather than the second moment.
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
        TypeError: `rho`, `momentum` or `epsilon` is no number.
        ValueError: `rho` or `momentum` is not in [0, 1), or `epsilon` is negative.

    Example:

    >>> import densa
    >>> optimizer = densa.optimizers.RMSprop(learning_rate=0.1)
    >>> w = densa.Variable([1.0])
    >>> optimizer.apply([densa.ops.convert_to_tensor([1.0])], [w])
    >>> int(optimizer.iterations)
    1
    """

    kind: ClassVar[str | None] = "rmsprop"
    arguments: ClassVar[tuple[str, ...]] = ("rho", "momentum", "epsilon", "centered")
    checks: ClassVar[Mapping[str, Check]] = {
        "rho": check_decay,
        "momentum": check_decay,
        "epsilon": check_from_zero,
    }

    def __init__(
        self,
        learning_rate: Any = 0.001,
        rho: float = 0.9,
        momentum: float = 0.0,
        epsilon: float = 1e-7,
        centered: bool = False,
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
        self.rho = rho
        self.momentum = momentum
        self.epsilon = epsilon
        self.centered = centered

    @property
    def slot_names(self) -> tuple[str, ...]:
        """Names of the variables kept per trained variable."""
        names = ["velocity"]
        if self.momentum > 0:
            names.append("momentum")
        if self.centered:
            names.append("average_gradient")
        return tuple(names)

    def update_step(self, gradient: Any, variable: Variable, learning_rate: float) -> None:
        """Changes one variable and its slots."""
        v = self.slot(variable, "velocity")
        v.assign(v * self.rho + ops.square(gradient) * (1.0 - self.rho))
        denominator = v + self.epsilon
        if self.centered:
            average = self.slot(variable, "average_gradient")
            average.assign(average * self.rho + gradient * (1.0 - self.rho))
            denominator = v - ops.square(average) + self.epsilon
        move = gradient * learning_rate / ops.sqrt(denominator)
        if self.momentum > 0:
            m = self.slot(variable, "momentum")
            m.assign(m * self.momentum + move)
            move = m.value
        variable.assign(variable - move)
