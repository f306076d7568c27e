"""Dynamic loss scaling around another optimizer, for layers that compute in float16."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from densa import _core
from densa._numbers import whole_number
from densa._scope import auto_name, name_scope
from densa.variables import Variable

from .optimizer import Optimizer


class LossScaleOptimizer(Optimizer):
    r"""Multiplies the loss by a scale, so that small gradients do not vanish in float16.

    $$ g = \nabla (s L) / s $$

    A step whose gradients are not all finite changes no weight and halves the scale s;
    `dynamic_growth_steps` good steps in a row double it. `compile` puts it around the optimizer of
    a model whose policy is `mixed_float16`. In native training a step that is left out counts in
    `iterations`; in Keras it does not.

    Args:
        inner_optimizer: The `Optimizer` that makes the steps.
        initial_scale: The first scale, above 0.
        dynamic_growth_steps: Number of good steps in a row after which the scale is doubled.
        name: Name of the optimizer; made up if None.

    Raises:
        ValueError: `inner_optimizer` is no optimizer, or scales losses itself, or a number is out
            of range.
        TypeError: `dynamic_growth_steps` is no whole number.

    Example:

    >>> import densa
    >>> optimizer = densa.optimizers.LossScaleOptimizer(densa.optimizers.SGD(0.5))
    >>> float(optimizer.scale_loss(2.0))
    65536.0
    """

    def __init__(
        self,
        inner_optimizer: Any,
        initial_scale: float = 2.0**15,
        dynamic_growth_steps: int = 2000,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        if kwargs:
            raise ValueError(
                f"LossScaleOptimizer: argument not recognized: {next(iter(kwargs))!r}."
            )
        if not isinstance(inner_optimizer, Optimizer):
            raise ValueError(
                f"`inner_optimizer` must be an Optimizer; received {inner_optimizer!r}."
            )
        if isinstance(inner_optimizer, LossScaleOptimizer) or inner_optimizer.loss_scale_factor:
            raise ValueError(
                f"LossScaleOptimizer: {inner_optimizer!r} scales the loss itself; pass it to "
                "`compile` as it is, with `auto_scale_loss=False`."
            )
        if not (float(initial_scale) > 0 and np.isfinite(np.float32(initial_scale))):
            raise ValueError(f"`initial_scale` must be above 0; received {initial_scale!r}.")
        self.name = name or auto_name(type(self).__name__)
        self.inner_optimizer = inner_optimizer
        self.initial_scale = float(initial_scale)
        self.dynamic_growth_steps = whole_number("dynamic_growth_steps", dynamic_growth_steps)
        self._scale: Variable | None = None
        self._good_steps: Variable | None = None

    # All that is not here is the inner optimizer's: its rate, its clipping, its state.
    def __getattr__(self, name: str) -> Any:
        if name == "inner_optimizer" or name.startswith("__"):
            raise AttributeError(name)
        return getattr(self.inner_optimizer, name)

    def __setattr__(self, name: str, value: Any) -> None:
        inner = self.__dict__.get("inner_optimizer")
        own = name in self.__dict__ or hasattr(type(self), name)
        if inner is not None and not own and name in vars(inner):
            setattr(inner, name, value)
        else:
            object.__setattr__(self, name, value)

    @property
    def built(self) -> bool:  # type: ignore[override]
        """Whether the state has been made."""
        return self.inner_optimizer.built

    @property
    def learning_rate(self) -> Any:
        """The inner optimizer's rate."""
        return self.inner_optimizer.learning_rate

    @learning_rate.setter
    def learning_rate(self, value: Any) -> None:
        self.inner_optimizer.learning_rate = value

    @property
    def iterations(self) -> Any:
        """The number of the inner optimizer's updates so far."""
        return self.inner_optimizer.iterations

    @iterations.setter
    def iterations(self, value: Any) -> None:
        self.inner_optimizer.iterations = value

    @property
    def dynamic_scale(self) -> float:
        """What the loss is multiplied with."""
        return self.initial_scale if self._scale is None else float(self._scale.numpy())

    @property
    def slot_names(self) -> tuple[str, ...]:
        """Names of the inner optimizer's state per variable."""
        return self.inner_optimizer.slot_names

    @property
    def variables(self) -> list[Variable]:
        """The scale, the number of good steps, and the inner optimizer's state."""
        own = [v for v in (self._good_steps, self._scale) if v is not None]
        return [*own, *self.inner_optimizer.variables]

    def build(self, variables: Iterable[Variable]) -> None:
        """Makes the state for `variables`."""
        variables = list(variables)
        self.inner_optimizer.build(variables)
        if self._scale is None:
            device = variables[0].device if variables else None
            with name_scope(self.name.replace("/", "_")):
                self._good_steps = Variable(
                    np.int32(0), dtype="int32", trainable=False, name="step_counter", device=device
                )
                self._scale = Variable(
                    np.float32(self.initial_scale),
                    dtype="float32",
                    trainable=False,
                    name="dynamic_scale",
                    device=device,
                )

    def scale_loss(self, loss: Any) -> Any:
        """The loss times the scale; the gradient of this is what `apply` wants."""
        return loss * (self.initial_scale if self._scale is None else self._scale)

    def apply(self, grads: Sequence[Any], trainable_variables: Any = None) -> None:
        """Changes the variables by one update, unless a gradient is not finite."""
        grads = list(grads)
        if trainable_variables is not None:
            trainable_variables = list(trainable_variables)
            self.build(trainable_variables)
        if self._scale is None or self._good_steps is None:
            raise ValueError(
                "LossScaleOptimizer.apply: build(trainable_variables) first, or pass the variables."
            )
        scale, good = self.dynamic_scale, int(self._good_steps.numpy())
        with _core.no_grad():
            finite = all(
                g is None or bool(_core.apply("all", _core.apply("isfinite", g))) for g in grads
            )
            if finite:
                whole = [None if g is None else g * (1.0 / scale) for g in grads]
                self.inner_optimizer.apply(whole, trainable_variables)
        scale, good = _core.after_loss_scale_step(scale, good, finite, self.dynamic_growth_steps)
        self._scale.assign(np.float32(scale))
        self._good_steps.assign(np.int32(good))

    def exclude_from_weight_decay(
        self,
        var_list: Iterable[Variable] | None = None,
        var_names: Iterable[str] | None = None,
    ) -> None:
        """Leaves variables out of the inner optimizer's weight decay."""
        self.inner_optimizer.exclude_from_weight_decay(var_list, var_names)

    def fused_kind(self) -> str | None:
        """The inner optimizer's fused step."""
        return self.inner_optimizer.fused_kind()

    def hyper(self) -> dict[str, Any]:
        """The inner optimizer's numbers."""
        return self.inner_optimizer.hyper()

    def can_fuse(self, variables: Iterable[Variable]) -> bool:
        """Whether a plan's own step does what the inner optimizer does."""
        return self.inner_optimizer.can_fuse(variables)

    def fused_plan(self, variables: Iterable[Variable]) -> dict[str, Any] | None:
        """What a native loop needs to update `variables` itself; None where it cannot."""
        variables = list(variables)
        spec = self.inner_optimizer.fused_plan(variables)
        if spec is not None:
            self.build(variables)
            spec["loss_scale"] = (self._scale, self._good_steps, self.dynamic_growth_steps)
        return spec

    def get_config(self) -> dict[str, Any]:
        """What `from_config` needs to build the same optimizer, its state aside."""
        from . import serialize

        return {
            "name": self.name,
            "inner_optimizer": serialize(self.inner_optimizer),
            "initial_scale": self.initial_scale,
            "dynamic_growth_steps": self.dynamic_growth_steps,
        }

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: Mapping[str, Any] | None = None
    ) -> Optimizer:
        """The optimizer of a configuration."""
        from . import deserialize

        config = dict(config)
        if not isinstance(config.get("inner_optimizer"), Optimizer):
            config["inner_optimizer"] = deserialize(config["inner_optimizer"], custom_objects)
        return cls(**config)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_places"}
