"""Ftrl: follow the regularized leader."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from densa import ops
from densa._numbers import check_real_number
from densa.variables import Variable

from .arguments import Check, check_from_zero
from .optimizer import Optimizer


def _check_power(name: str, value: Any) -> None:
    check_real_number(name, value)
    if not value <= 0:
        raise ValueError(f"{name} must be at most 0; received {value!r}.")


class Ftrl(Optimizer):
    """Follows the regularized leader: for shallow models with many sparse inputs.

    With `p = -learning_rate_power`, `G = g + 2·shrinkage·w` and `n' = n + g²`:
    `z ← z + G - (n'ᵖ - nᵖ)/rate · w; n ← n'`, and `w ← (clip(z, -l1, l1) - z) / q` with
    `q = nᵖ/rate + 2·l2 + beta/rate`. Weights whose `|z|` stays within `l1` are exactly 0.
    Source: McMahan et al., 2013, Ad click prediction.

    Args:
        learning_rate: A number, a schedule, or a function without arguments; not 0.
        learning_rate_power: Power of the sum of squares, at most 0; 0 keeps the rate fixed.
        initial_accumulator_value: What the sum of squares `n` starts from.
        l1_regularization_strength: `l1`, which makes weights zero.
        l2_regularization_strength: `l2`, which makes them small.
        l2_shrinkage_regularization_strength: The same as a part of the gradient.
        beta: `beta` of the source.
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
        TypeError: An argument is no number.
        ValueError: A strength is negative, or `learning_rate_power` above 0.

    Example:

    >>> import densa
    >>> optimizer = densa.optimizers.Ftrl(learning_rate=0.1, l1_regularization_strength=2.0)
    >>> w = densa.Variable([0.0])
    >>> optimizer.apply([densa.ops.convert_to_tensor([1.0])], [w])
    >>> w.numpy().tolist()
    [0.0]
    """

    arguments: ClassVar[tuple[str, ...]] = (
        "learning_rate_power",
        "initial_accumulator_value",
        "l1_regularization_strength",
        "l2_regularization_strength",
        "l2_shrinkage_regularization_strength",
        "beta",
    )
    checks: ClassVar[Mapping[str, Check]] = {
        "learning_rate_power": _check_power,
        **dict.fromkeys(arguments[1:], check_from_zero),
    }

    def __init__(
        self,
        learning_rate: Any = 0.001,
        learning_rate_power: float = -0.5,
        initial_accumulator_value: float = 0.1,
        l1_regularization_strength: float = 0.0,
        l2_regularization_strength: float = 0.0,
        l2_shrinkage_regularization_strength: float = 0.0,
        beta: float = 0.0,
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
        self.learning_rate_power = learning_rate_power
        self.initial_accumulator_value = initial_accumulator_value
        self.l1_regularization_strength = l1_regularization_strength
        self.l2_regularization_strength = l2_regularization_strength
        self.l2_shrinkage_regularization_strength = l2_shrinkage_regularization_strength
        self.beta = beta

    @property
    def slot_names(self) -> tuple[str, ...]:
        """Names of the variables kept per trained variable."""
        return ("accumulator", "linear")

    def slot_start(self, name: str) -> float:
        """The sum of squares starts from `initial_accumulator_value`, the other from 0."""
        return self.initial_accumulator_value if name == "accumulator" else 0.0

    def update_step(self, gradient: Any, variable: Variable, learning_rate: float) -> None:
        """Changes one variable and its slots."""
        n, z = self.slot(variable, "accumulator"), self.slot(variable, "linear")
        power, l1 = -self.learning_rate_power, self.l1_regularization_strength
        after = n + ops.square(gradient)
        grown = ops.power(after, power)
        sigma = (grown - ops.power(n.value, power)) * (1.0 / learning_rate)
        shrunk = gradient + variable * (2.0 * self.l2_shrinkage_regularization_strength)
        z.assign(z + shrunk - sigma * variable)
        n.assign(after)
        l2 = self.l2_regularization_strength + self.beta / (2.0 * learning_rate)
        bottom = grown * (1.0 / learning_rate) + 2.0 * l2
        variable.assign((ops.clip(z.value, -l1, l1) - z) / bottom)
