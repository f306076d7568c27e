"""AdamW."""

from __future__ import annotations

from typing import Any, ClassVar

from densa.variables import Variable

from .adam import Adam


class AdamW(Adam):
    """Adam with decoupled weight decay: `w ← w - rate·weight_decay·w` before each Adam step.

    Args:
        learning_rate: A number, a schedule, or a function without arguments.
        weight_decay: Part of each weight, times the rate, taken off before each update.
        beta_1: Decay of the gradient's mean.
        beta_2: Decay of the square's mean.
        epsilon: Against division by zero.
        amsgrad: Whether to divide by the largest mean of squares so far.
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
        ValueError: `weight_decay` is None, `beta_1` or `beta_2` is not in [0, 1), or `epsilon` is
            negative.

    Example:

    >>> import densa
    >>> optimizer = densa.optimizers.AdamW(weight_decay=0.01)
    >>> optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    """

    kind: ClassVar[str | None] = "adamw"

    def __init__(
        self,
        learning_rate: Any = 0.001,
        weight_decay: float | None = 0.004,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        amsgrad: bool = False,
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
        if weight_decay is None:
            raise ValueError("AdamW needs a `weight_decay`; for none, pass 0 or use Adam.")
        super().__init__(
            learning_rate=learning_rate,
            beta_1=beta_1,
            beta_2=beta_2,
            epsilon=epsilon,
            amsgrad=amsgrad,
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

    def update_step(self, gradient: Any, variable: Variable, learning_rate: float) -> None:
        """Changes one variable and its slots; the decay was taken off before."""
        super().update_step(gradient, variable, learning_rate)
