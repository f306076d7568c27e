"""ScheduleFreeAdamW."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from densa import ops
from densa._numbers import check_decay, check_real_number, whole_number
from densa.variables import Variable

from .arguments import Check, check_from_zero
from .optimizer import Optimizer


def _check_share(name: str, value: Any) -> None:
    check_real_number(name, value)
    if not 0 < value < 1:
        raise ValueError(f"{name} must lie between 0 and 1, both left out; received {value!r}.")


def _check_steps(name: str, value: Any) -> None:
    whole_number(name, value, least=0)


class ScheduleFreeAdamW(Optimizer):
    """AdamW that averages its weights instead of lowering its rate: no schedule, no last step.

    At step t, with `v ← beta_2·v + (1 - beta_2)·g²` and `v̂ = v / (1 - beta_2^t)`:
    `z ← z - rate·g / (√v̂ + epsilon)`, `x ← (1 - 1/t)·x + z/t`, `y = (1 - beta_1)·z + beta_1·x`.
    The weights of the model are y, where gradients are taken; the average x, which the paper
    evaluates, is what `averaged` gives, and is no state of its own: y and z tell it. Weights that
    are set after the first step do not set z; compile again with a new optimizer. Keras 3.15 finds
    x with the z that has moved already, by which beta_1 drops out: its y is the average of z, and
    its numbers differ from the second step on. Source: Defazio et al., 2024,
    https://arxiv.org/abs/2405.15682.

    Args:
        learning_rate: A number, a schedule, or a function without arguments.
        beta_1: Share of the average x in the weights y, between 0 and 1.
        beta_2: Decay of the average `v` of squared gradients.
        epsilon: Against division by zero.
        warmup_steps: Number of steps in which the rate rises from 0.
        weight_decay: Part of each weight y, times the rate (as it is without `warmup_steps`),
            taken off before each update.
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
        ValueError: A number is out of range.

    Example:

    >>> import densa
    >>> optimizer = densa.optimizers.ScheduleFreeAdamW(learning_rate=0.1)
    >>> w = densa.Variable([2.0])
    >>> optimizer.apply([densa.ops.convert_to_tensor([5.0])], [w])
    >>> w.numpy().round(4).tolist()
    [1.899999976158142]
    """

    arguments: ClassVar[tuple[str, ...]] = ("beta_1", "beta_2", "epsilon", "warmup_steps")
    checks: ClassVar[Mapping[str, Check]] = {
        "beta_1": _check_share,
        "beta_2": check_decay,
        "epsilon": check_from_zero,
        "warmup_steps": _check_steps,
    }

    def __init__(
        self,
        learning_rate: Any = 0.0025,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        warmup_steps: int = 0,
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
        self.warmup_steps = warmup_steps

    @property
    def slot_names(self) -> tuple[str, ...]:
        """Names of the variables kept per trained variable; Keras calls z `momentum`."""
        return ("momentum", "velocity")

    def slot_value(self, variable: Variable, name: str) -> Any:
        """z begins as the variable, v as zeros."""
        return variable.numpy() if name == "momentum" else 0.0

    def averaged(self, variable: Variable) -> Any:
        """The average `x = (y - (1 - beta_1)·z) / beta_1` of a trained variable.

        Args:
            variable: One of the variables that the optimizer was built for.

        Returns:
            A Tensor in the variable's shape.

        Raises:
            ValueError: The variable is unknown.

        Example:

        >>> import densa
        >>> optimizer = densa.optimizers.ScheduleFreeAdamW(learning_rate=0.1)
        >>> w = densa.Variable([2.0])
        >>> optimizer.build([w])
        >>> optimizer.averaged(w).numpy().round(4).tolist()
        [2.0]
        """
        z = self.slot(variable, "momentum")
        return (variable - z * (1.0 - self.beta_1)) * (1.0 / self.beta_1)

    def update_step(self, gradient: Any, variable: Variable, learning_rate: float) -> None:
        """Changes one variable and its slots."""
        z, v = self.slot(variable, "momentum"), self.slot(variable, "velocity")
        step = int(self.iterations) + 1
        if step < self.warmup_steps:
            learning_rate *= step / self.warmup_steps
        v.assign(v * self.beta_2 + ops.square(gradient) * (1.0 - self.beta_2))
        spread = ops.sqrt(v * (1.0 / (1.0 - self.beta_2**step))) + self.epsilon
        x = self.averaged(variable)
        z.assign(z - gradient * learning_rate / spread)
        x = x * (1.0 - 1.0 / step) + z * (1.0 / step)
        variable.assign(z * (1.0 - self.beta_1) + x * self.beta_1)

    def _momentum_name(self) -> str | None:
        return None  # another beta_1 would make y and z tell another average
