"""Adam."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar

from densa import ops
from densa._numbers import check_decay
from densa.variables import Variable

from .arguments import Check, check_from_zero
from .optimizer import Optimizer


class Adam(Optimizer):
    """Running means of the gradient and of its square, corrected for their start.

    `m ← β₁m + (1-β₁)g; v ← β₂v + (1-β₂)g²; w ← w - rate·√(1-β₂ᵗ)/(1-β₁ᵗ)·m / (√v + epsilon)`.

    Args:
        learning_rate: A number, a schedule, or a function without arguments.
        beta_1: Decay of the gradient's mean.
        beta_2: Decay of the square's mean.
        epsilon: Against division by zero.
        amsgrad: Whether to divide by the largest mean of squares so far.
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
        ValueError: `beta_1` or `beta_2` is not in [0, 1), or `epsilon` is negative.

    Example:

    >>> import densa
    >>> optimizer = densa.optimizers.Adam(learning_rate=0.1)
    >>> w = densa.Variable([1.0])
    >>> optimizer.apply([densa.ops.convert_to_tensor([1.0])], [w])
    >>> int(optimizer.iterations)
    1
    """

    kind: ClassVar[str | None] = "adam"
    arguments: ClassVar[tuple[str, ...]] = ("beta_1", "beta_2", "epsilon", "amsgrad")
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
        amsgrad: bool = False,
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
        self.amsgrad = amsgrad

    @property
    def slot_names(self) -> tuple[str, ...]:
        """Names of the variables kept per trained variable."""
        names = ("momentum", "velocity")
        return (*names, "velocity_hat") if self.amsgrad else names

    def update_step(self, gradient: Any, variable: Variable, learning_rate: float) -> None:
        """Changes one variable and its slots."""
        t = int(self.iterations) + 1
        alpha = learning_rate * math.sqrt(1.0 - self.beta_2**t) / (1.0 - self.beta_1**t)
        m = self.slot(variable, "momentum")
        v = self.slot(variable, "velocity")
        m.assign(m + (gradient - m) * (1.0 - self.beta_1))
        v.assign(v + (ops.square(gradient) - v) * (1.0 - self.beta_2))
        if self.amsgrad:
            largest = self.slot(variable, "velocity_hat")
            largest.assign(ops.maximum(largest, v))
            v = largest
        variable.assign(variable - m * alpha / (ops.sqrt(v) + self.epsilon))
