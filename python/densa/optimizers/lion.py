"""Lion."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from densa import ops
from densa._numbers import check_decay, check_share
from densa.variables import Variable

from .arguments import Check
from .optimizer import Optimizer


def _check_beta(name: str, value: Any) -> None:
    check_share(name, value)
    if value == 0:
        raise ValueError(f"{name} must be above 0; received {value!r}.")


class Lion(Optimizer):
    """Moves by the sign of a mix of gradient and momentum.

    `w ← w - rate·sign(β₁m + (1-β₁)g); m ← β₂m + (1-β₂)g`.

    Args:
        learning_rate: A number, a schedule, or a function without arguments.
        beta_1: Share of the momentum in the move.
        beta_2: Decay of the momentum.
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
        TypeError: `beta_1` or `beta_2` is no number.
        ValueError: `beta_1` is not in (0, 1], or `beta_2` not in [0, 1).

    Example:

    >>> import densa
    >>> optimizer = densa.optimizers.Lion(learning_rate=0.1)
    >>> w = densa.Variable([1.0])
    >>> optimizer.apply([densa.ops.convert_to_tensor([1.0])], [w])
    >>> int(optimizer.iterations)
    1
    """

    kind: ClassVar[str | None] = "lion"
    arguments: ClassVar[tuple[str, ...]] = ("beta_1", "beta_2")
    checks: ClassVar[Mapping[str, Check]] = {"beta_1": _check_beta, "beta_2": check_decay}

    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.99,
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

    @property
    def slot_names(self) -> tuple[str, ...]:
        """Names of the variables kept per trained variable."""
        return ("momentum",)

    def update_step(self, gradient: Any, variable: Variable, learning_rate: float) -> None:
        """Changes one variable and its slots."""
        m = self.slot(variable, "momentum")
        mix = m * self.beta_1 + gradient * (1.0 - self.beta_1)
        variable.assign(variable - ops.sign(mix) * learning_rate)
        m.assign(m * self.beta_2 + gradient * (1.0 - self.beta_2))
