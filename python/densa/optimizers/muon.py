"""Muon."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

import numpy as np

from densa import ops
from densa._numbers import check_decay, check_real_number, whole_number
from densa.variables import Variable

from .arguments import Check, check_from_zero, check_patterns
from .optimizer import Optimizer


def _from_zero_or_none(name: str, value: Any) -> None:
    if value is not None:
        check_from_zero(name, value)


def _check_steps(name: str, value: Any) -> None:
    whole_number(name, value, least=0)


class Muon(Optimizer):
    """Momentum whose step has all singular values near 1, for matrices; AdamW for all else.

    With `m ← momentum·m + g` and `d = g + momentum·m` (`nesterov`) or `d = m`:
    `w ← w - rate·rms_rate·√max(rows, columns)·O(d)`, where O is `ns_steps` of Newton and Schulz's
    iteration from `X = d / ‖d‖`: `A = X·Xᵀ`, `X ← a·X + (b·A + c·A²)·X`. Variables that are not of
    two axes, embeddings and what `exclude_layers` names take Adam's step with `adam_lr_ratio` of
    the rate; the network's last layer should be among them. Source: Jordan et al., 2024,
    https://kellerjordan.github.io/posts/muon; `rms_rate`: Liu et al., 2025,
    https://arxiv.org/abs/2502.16982.

    Args:
        learning_rate: A number, a schedule, or a function without arguments.
        adam_beta_1: Decay of the gradients' average of Adam's step.
        adam_beta_2: Decay of the average of their squares.
        adam_weight_decay: As `weight_decay`, for what takes Adam's step.
        epsilon: Against division by zero in Adam's step.
        weight_decay: Part of each weight, times the rate, taken off before each update; for what
            takes Muon's step.
        clipnorm: Largest norm of one variable's gradient.
        clipvalue: Largest absolute value of a gradient's element.
        global_clipnorm: Largest norm of all gradients together.
        use_ema: Whether to keep a moving average of the weights.
        ema_momentum: Its momentum.
        ema_overwrite_frequency: After how many steps the weights become their average.
        loss_scale_factor: Factor on the loss, taken off the gradients again.
        gradient_accumulation_steps: Number of steps whose gradients make one update.
        name: Name of the optimizer; made up if None.
        exclude_layers: Regular expressions, searched for in the variables' paths, of what takes
            Adam's step.
        exclude_embeddings: Whether variables with "embedding" in their path take Adam's step.
        muon_a: Factor a of the iteration.
        muon_b: Its factor b.
        muon_c: Its factor c.
        adam_lr_ratio: Factor of the rate of Adam's step.
        momentum: Decay of the momentum m.
        ns_steps: Number of iterations.
        nesterov: Whether the step looks one momentum ahead.
        rms_rate: Root of the mean square of a step, by its rate; None: steps are `rate·O(d)`.

    Raises:
        TypeError: One of its numbers is none, or `exclude_layers` no list.
        ValueError: A number is out of range, or an expression of `exclude_layers` is none.

    Example:

    >>> import densa
    >>> optimizer = densa.optimizers.Muon(0.1, weight_decay=None, rms_rate=None)
    >>> w = densa.Variable(np.zeros((2, 2), "float32"))
    >>> optimizer.apply([densa.ops.convert_to_tensor([[5.0, 0.0], [0.0, 5.0]])], [w])
    >>> w.numpy().round(2).tolist()
    [[-0.10999999940395355, 0.0], [0.0, -0.10999999940395355]]
    """

    arguments: ClassVar[tuple[str, ...]] = (
        "adam_beta_1",
        "adam_beta_2",
        "adam_weight_decay",
        "epsilon",
        "exclude_layers",
        "exclude_embeddings",
        "muon_a",
        "muon_b",
        "muon_c",
        "adam_lr_ratio",
        "momentum",
        "ns_steps",
        "nesterov",
        "rms_rate",
    )
    checks: ClassVar[Mapping[str, Check]] = {
        "adam_beta_1": check_decay,
        "adam_beta_2": check_decay,
        "adam_weight_decay": _from_zero_or_none,
        "epsilon": check_from_zero,
        **dict.fromkeys(("muon_a", "muon_b", "muon_c"), check_real_number),
        "adam_lr_ratio": check_from_zero,
        "momentum": check_decay,
        "ns_steps": _check_steps,
        "rms_rate": _from_zero_or_none,
    }

    def __init__(
        self,
        learning_rate: Any = 0.001,
        adam_beta_1: float = 0.9,
        adam_beta_2: float = 0.999,
        adam_weight_decay: float | None = 0.004,
        epsilon: float = 1e-7,
        weight_decay: float | None = 0.004,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        use_ema: bool = False,
        ema_momentum: float = 0.99,
        ema_overwrite_frequency: int | None = None,
        loss_scale_factor: float | None = None,
        gradient_accumulation_steps: int | None = None,
        name: str | None = None,
        exclude_layers: Iterable[str] | None = None,
        exclude_embeddings: bool = True,
        muon_a: float = 3.4445,
        muon_b: float = -4.7750,
        muon_c: float = 2.0315,
        adam_lr_ratio: float = 1,
        momentum: float = 0.95,
        ns_steps: int = 5,
        nesterov: bool = True,
        rms_rate: float | None = 0.2,
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
        self.adam_beta_1 = adam_beta_1
        self.adam_beta_2 = adam_beta_2
        self.adam_weight_decay = adam_weight_decay
        self.epsilon = epsilon
        self.exclude_layers = check_patterns("exclude_layers", exclude_layers)
        self.exclude_embeddings = bool(exclude_embeddings)
        self.muon_a = muon_a
        self.muon_b = muon_b
        self.muon_c = muon_c
        self.adam_lr_ratio = adam_lr_ratio
        self.momentum = momentum
        self.ns_steps = ns_steps
        self.nesterov = bool(nesterov)
        self.rms_rate = rms_rate

    @property
    def slot_names(self) -> tuple[str, ...]:
        """Names of the variables kept per trained variable."""
        return ("momentum", "velocity")

    def slot_value(self, variable: Variable, name: str) -> Any:
        """Zeros; the velocity, which only Adam's step needs, is a number for Muon's."""
        path = str(getattr(variable, "path", variable.name))
        adam = (
            len(variable.shape) != 2
            or (self.exclude_embeddings and "embedding" in path.lower())
            or any(re.search(pattern, path) for pattern in self.exclude_layers)
        )
        return 0.0 if adam or name == "momentum" else np.zeros(())

    def _takes_adam(self, variable: Variable) -> bool:
        # What was decided when the state was made: the state is that of one of the steps.
        return tuple(self.slot(variable, "velocity").shape) == tuple(variable.shape)

    def _decay_of(self, variable: Variable) -> float:
        adam = self._takes_adam(variable)
        decay = (self.adam_weight_decay if adam else self.weight_decay) or 0.0
        return decay if decay and self._use_weight_decay(variable) else 0.0

    def update_step(self, gradient: Any, variable: Variable, learning_rate: float) -> None:
        """Changes one variable and its slots."""
        m = self.slot(variable, "momentum")
        if self._takes_adam(variable):
            self._adam_step(gradient, variable, m, learning_rate * self.adam_lr_ratio)
            return
        m.assign(m * self.momentum + gradient)
        direction = gradient + m * self.momentum if self.nesterov else m.value
        if self.rms_rate is not None:
            learning_rate *= self.rms_rate * max(variable.shape) ** 0.5
        variable.assign(variable - self._orthogonal(direction) * learning_rate)

    def _adam_step(self, gradient: Any, variable: Variable, m: Variable, rate: float) -> None:
        v = self.slot(variable, "velocity")
        step, b1, b2 = int(self.iterations) + 1, self.adam_beta_1, self.adam_beta_2
        m.assign(m * b1 + gradient * (1.0 - b1))
        v.assign(v * b2 + ops.square(gradient) * (1.0 - b2))
        rate *= (1.0 - b2**step) ** 0.5 / (1.0 - b1**step)
        variable.assign(variable - m * rate / (ops.sqrt(v.value) + self.epsilon))

    def _orthogonal(self, x: Any) -> Any:
        upright = x.shape[0] > x.shape[1]  # the products are of the shorter side
        x = ops.transpose(x) if upright else x
        x = x / (ops.norm(x) + 1e-7)
        for _ in range(self.ns_steps):
            a = ops.matmul(x, ops.transpose(x))
            b = a * self.muon_b + ops.matmul(a, a) * self.muon_c
            x = x * self.muon_a + ops.matmul(b, x)
        return ops.transpose(x) if upright else x
