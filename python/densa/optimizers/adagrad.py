"""Adagrad."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from densa import ops
from densa.variables import Variable

from .arguments import Check, check_from_zero
from .optimizer import Optimizer


class Adagrad(Optimizer):
    """Divides the gradient by the root of the sum of its squares so far.

    `s ← s + g²; w ← w - rate·g / √(s + epsilon)`.

    Args:
        learning_rate: A number, a schedule, or a function without arguments.
        initial_accumulator_value: What the sum of squares starts from.
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
        TypeError: `initial_accumulator_value` or `epsilon` is no number.
        ValueError: One of them is negative.

    Example:

    >>> import densa
    >>> optimizer = densa.optimizers.Adagrad(learning_rate=0.1)
    >>> w = densa.Variable([1.0])
    >>> optimizer.apply([densa.ops.convert_to_tensor([1.0])], [w])
    >>> int(optimizer.iterations)
    1
    """

    kind: ClassVar[str | None] = "adagrad"
    arguments: ClassVar[tuple[str, ...]] = ("initial_accumulator_value", "epsilon")
    checks: ClassVar[Mapping[str, Check]] = {
        "initial_accumulator_value": check_from_zero,
        "epsilon": check_from_zero,
    }

    def __init__(
        self,
        learning_rate: Any = 0.001,
        initial_accumulator_value: float = 0.1,
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
        self.initial_accumulator_value = initial_accumulator_value
        self.epsilon = epsilon

    @property
    def slot_names(self) -> tuple[str, ...]:
        """Names of the variables kept per trained variable."""
        return ("accumulator",)

    def slot_start(self, name: str) -> float:
        """The sum of squares starts from `initial_accumulator_value`."""
        return self.initial_accumulator_value

    def update_step(self, gradient: Any, variable: Variable, learning_rate: float) -> None:
        """Changes one variable and its slots."""
        s = self.slot(variable, "accumulator")
        s.assign(s + ops.square(gradient))
        move = gradient * learning_rate / ops.sqrt(s + self.epsilon)
        variable.assign(variable - move)
