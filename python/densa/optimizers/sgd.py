"""SGD."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from densa._numbers import check_share
from densa.variables import Variable

from .arguments import Check
from .optimizer import Optimizer


class SGD(Optimizer):
    """Gradient descent, with momentum if asked for.

    `m ← momentum·m - rate·g; w ← w + m`, with Nesterov's form `w ← w + momentum·m - rate·g`.

    Args:
        learning_rate: A number, a schedule, or a function without arguments.
        momentum: What is kept of the last move, 0 to 1.
        nesterov: Whether to look ahead by the momentum.
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
        TypeError: `momentum` is no number.
        ValueError: `momentum` is not in [0, 1].

    Example:

    >>> import densa
    >>> optimizer = densa.optimizers.SGD(learning_rate=0.1)
    >>> w = densa.Variable([1.0])
    >>> optimizer.apply([densa.ops.convert_to_tensor([1.0])], [w])
    >>> int(optimizer.iterations)
    1
    """

    kind: ClassVar[str | None] = "sgd"
    arguments: ClassVar[tuple[str, ...]] = ("momentum", "nesterov")
    checks: ClassVar[Mapping[str, Check]] = {"momentum": check_share}

    def __init__(
        self,
        learning_rate: Any = 0.01,
        momentum: float = 0.0,
        nesterov: bool = False,
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
        self.momentum = momentum
        self.nesterov = nesterov

    @property
    def slot_names(self) -> tuple[str, ...]:
        """Names of the variables kept per trained variable."""
        return ("momentum",) if self.momentum != 0 else ()

    def update_step(self, gradient: Any, variable: Variable, learning_rate: float) -> None:
        """Changes one variable and its slots."""
        move = gradient * learning_rate
        if self.momentum == 0:
            variable.assign(variable - move)
            return
        m = self.slot(variable, "momentum")
        m.assign(m * self.momentum - move)
        if self.nesterov:
            variable.assign(variable + (m * self.momentum - move))
        else:
            variable.assign(variable + m)
