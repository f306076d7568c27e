"""What every optimizer shares: rate, clipping, weight decay, averages, state, configuration."""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from densa import _core
from densa._numbers import check_real_number
from densa._scope import auto_name, name_scope
from densa.saving.registry import nearest
from densa.variables import Variable

from .parts import (
    BASE_ARGUMENTS,
    IGNORED,
    clip,
    number,
    scalar,
    without_none,
)
from .schedules import LearningRateSchedule
from .schedules import deserialize as deserialize_schedule
from .schedules import serialize as serialize_schedule


class Optimizer:
    """Changes variables against their gradients.

    A subclass gives `slot_names` and `update_step(gradient, variable, learning_rate)`, written
    with `densa.ops` and `slot(variable, name)`. The built-in ones also give `kind` and `hyper`,
    with which the core runs the same formula as one fused pass.

    Args:
        learning_rate: A number, a `LearningRateSchedule`, or a function without arguments.
        weight_decay: Part of each weight, times the rate, taken off before each update.
        clipnorm: Largest Euclidean norm of the gradient of one variable.
        clipvalue: Largest absolute value of one element of a gradient.
        global_clipnorm: Largest Euclidean norm of all gradients together.
        use_ema: Whether to keep an exponential moving average of the weights.
        ema_momentum: Its momentum.
        ema_overwrite_frequency: After how many steps the weights become their average;
            None: once, at the end of `fit`.
        loss_scale_factor: Factor on the loss, above 0, taken off the gradients again.
        gradient_accumulation_steps: Number of steps whose gradients make one update.
        name: Name of the optimizer; made up if None.

    Raises:
        ValueError: More than one way of clipping, or a number out of range.
        TypeError: `loss_scale_factor` is no number.

    Example:

    >>> import densa
    >>> class SignDescent(densa.optimizers.Optimizer):
    ...     def update_step(self, gradient, variable, learning_rate):
    ...         variable.assign(variable - learning_rate * densa.ops.sign(gradient))
    >>> w = densa.Variable([1.0, 2.0])
    >>> SignDescent(learning_rate=0.5).apply([densa.ops.convert_to_tensor([3.0, -3.0])], [w])
    >>> w.numpy()
    array([0.5, 2.5], dtype=float32)
    """

    kind: ClassVar[str | None] = None  # the core's name of the fused step

    def __init__(
        self,
        learning_rate: Any = 0.001,
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
        for key in list(kwargs):
            if key in IGNORED:
                kwargs.pop(key)
                if key == "decay":
                    warnings.warn(
                        "Argument `decay` is no longer supported and will be ignored. Use a "
                        "schedule such as `densa.optimizers.schedules.InverseTimeDecay`.",
                        UserWarning,
                        stacklevel=3,
                    )
        if kwargs:
            known = [*BASE_ARGUMENTS, *getattr(type(self), "arguments", ())]
            key = next(iter(kwargs))
            raise ValueError(
                f"{type(self).__name__}: argument not recognized: {key!r}.{nearest(key, known)}"
            )
        given = [c for c in (clipnorm, clipvalue, global_clipnorm) if c is not None]
        if len(given) > 1:
            raise ValueError(
                "Only one of `clipnorm`, `clipvalue` and `global_clipnorm` can be set. Received: "
                f"clipnorm={clipnorm}, clipvalue={clipvalue}, global_clipnorm={global_clipnorm}."
            )
        if given and not given[0] > 0:
            raise ValueError(f"A clipping threshold must be above 0; received {given[0]!r}.")
        if use_ema and not 0 <= ema_momentum <= 1:
            raise ValueError(
                f"`ema_momentum` must lie between 0 and 1; received ema_momentum={ema_momentum}."
            )
        if ema_overwrite_frequency is not None and (
            not isinstance(ema_overwrite_frequency, int) or ema_overwrite_frequency < 1
        ):
            raise ValueError(
                "`ema_overwrite_frequency` must be an integer of at least 1 or None; received "
                f"{ema_overwrite_frequency!r}."
            )
        if gradient_accumulation_steps is not None and gradient_accumulation_steps < 2:
            raise ValueError(
                "`gradient_accumulation_steps` must be at least 2 or None; received "
                f"{gradient_accumulation_steps!r}."
            )
        if loss_scale_factor is not None:
            check_real_number("`loss_scale_factor`", loss_scale_factor)
            if not 0 < loss_scale_factor < math.inf:
                raise ValueError(
                    "`loss_scale_factor` must be a finite number above 0 or None; received "
                    f"{loss_scale_factor!r}."
                )
        self.name = name or auto_name(type(self).__name__)
        self.weight_decay = weight_decay
        self.clipnorm = clipnorm
        self.clipvalue = clipvalue
        self.global_clipnorm = global_clipnorm
        self.use_ema = use_ema
        self.ema_momentum = ema_momentum
        self.ema_overwrite_frequency = ema_overwrite_frequency
        self.loss_scale_factor = loss_scale_factor
        self.gradient_accumulation_steps = gradient_accumulation_steps
        self.built = False
        self._trainable_variables: list[Variable] = []
        self._places: dict[int, int] | None = None
        self._slots: dict[str, list[Variable]] = {}
        self._averages: list[Variable] = []
        self._accumulated: list[Variable] = []
        self._own: list[Variable] = []
        self._decay_excluded: list[Variable] = []
        self._decay_excluded_names: list[str] = []
        with name_scope(self.name.replace("/", "_")):
            self._iterations = scalar(np.int64(0), "iteration")
            self._own.append(self._iterations)
            self._learning_rate: Any = None
            if callable(learning_rate) and not isinstance(learning_rate, Variable):
                self._learning_rate = learning_rate
            else:
                rate = number(learning_rate)
                if rate < 0:
                    raise ValueError(f"learning_rate must be at least 0; received {rate}.")
                self._learning_rate = scalar(np.float64(rate), "learning_rate")
                self._own.append(self._learning_rate)

    # ---- rate and step ---------------------------------------------------------------------------

    @property
    def iterations(self) -> Any:
        """The number of updates so far."""
        if self.gradient_accumulation_steps:
            return int(self._iterations) // self.gradient_accumulation_steps
        return self._iterations

    @iterations.setter
    def iterations(self, value: Any) -> None:
        self._iterations.assign(np.int64(int(value)))

    @property
    def learning_rate(self) -> Any:
        """The rate of the next update: a Variable, or a number where a schedule gives it."""
        if isinstance(self._learning_rate, Variable):
            return self._learning_rate
        return self.rate_at(int(self.iterations))

    @learning_rate.setter
    def learning_rate(self, value: Any) -> None:
        current = self._learning_rate
        if callable(value) and not isinstance(value, Variable):
            if isinstance(current, Variable):
                self._own = [v for v in self._own if v is not current]
            self._learning_rate = value
        elif isinstance(current, Variable):
            current.assign(np.float64(number(value)))
        else:
            raise TypeError(
                "This optimizer was created with a `LearningRateSchedule` or a function as its "
                "`learning_rate`, so its learning rate cannot be set to a number. Create it with "
                "a number to set the rate later."
            )

    def rate_at(self, iteration: int) -> float:
        """The learning rate of the update after `iteration` completed ones."""
        rate = self._learning_rate
        if isinstance(rate, LearningRateSchedule):
            return float(rate(iteration))
        return float(rate()) if not isinstance(rate, Variable) else float(rate.numpy())

    # ---- state -----------------------------------------------------------------------------------

    @property
    def slot_names(self) -> tuple[str, ...]:
        """Names of the variables kept per trained variable."""
        return ()

    def slot_start(self, name: str) -> float:
        """What a new slot is filled with."""
        return 0.0

    def slot(self, variable: Variable, name: str) -> Variable:
        """The state called `name` of a trained variable; ValueError if `slot_names` lacks it."""
        return self._slots_of(name)[self._place(variable)]

    def _slots_of(self, name: str) -> list[Variable]:
        found = self._slots.get(name)
        if found is None:
            if name not in self.slot_names:
                raise ValueError(
                    f"{type(self).__name__} keeps no state called {name!r}; its `slot_names` are "
                    f"{self.slot_names}."
                )
            # An argument set after building (momentum, amsgrad) can ask for more state.
            found = [self._like(v, name, self.slot_start(name)) for v in self._trainable_variables]
            self._slots[name] = found
        return found

    @property
    def variables(self) -> list[Variable]:
        """All state: iteration, learning rate, averages, accumulated gradients, slots."""
        out = [*self._own, *self._averages, *self._accumulated]
        names = self.slot_names
        for place in range(len(self._trainable_variables)):
            out.extend(self._slots_of(name)[place] for name in names)
        return out

    def build(self, variables: Iterable[Variable]) -> None:
        """Makes the state for `variables`; called by the first `apply`.

        Args:
            variables: The variables to train, in the order of the gradients.
        """
        if self.built:
            return
        variables = list(variables)
        slots: dict[str, list[Variable]] = {name: [] for name in self.slot_names}
        averages: list[Variable] = []
        accumulated: list[Variable] = []
        for variable in variables:
            for name, made in slots.items():
                made.append(self._like(variable, name, self.slot_start(name)))
            if self.use_ema:
                average = self._like(variable, "average", 0.0)
                average.assign(variable.value)
                averages.append(average)
            if self.gradient_accumulation_steps:
                accumulated.append(self._like(variable, "gradient_accumulator", 0.0))
        # Nothing is kept where the memory has not sufficed for all.
        self._slots, self._averages, self._accumulated = slots, averages, accumulated
        self._trainable_variables = variables
        self._places = None
        self.built = True

    def add_variable_from_reference(
        self, reference_variable: Variable, name: str | None = None, initializer: Any = "zeros"
    ) -> Variable:
        """Makes a state variable of the shape and dtype of another, for custom optimizers."""
        start = 0.0
        if initializer not in ("zeros", None):
            from densa import initializers

            shape, dtype = tuple(reference_variable.shape), str(reference_variable.dtype)
            array = np.asarray(initializers.get(initializer)(shape, dtype=dtype))
            made = self._like(reference_variable, name or "var", 0.0)
            made.assign(array)
        else:
            made = self._like(reference_variable, name or "var", start)
        self._own.append(made)
        return made

    def _get_variable_index(self, variable: Variable) -> int:
        return self._place(variable)

    def assign(self, variable: Variable, value: Any) -> None:
        """Replaces a variable's contents; the name that Keras' `update_step` uses."""
        variable.assign(value)

    def assign_add(self, variable: Variable, value: Any) -> None:
        """Adds to a variable."""
        variable.assign_add(value)

    def assign_sub(self, variable: Variable, value: Any) -> None:
        """Subtracts from a variable."""
        variable.assign_sub(value)

    def _like(self, variable: Variable, name: str, start: float) -> Variable:
        path = getattr(variable, "path", None) or variable.name
        rows = bool(getattr(variable, "_rows", False))
        with name_scope(self.name.replace("/", "_")):
            return Variable(
                np.full(tuple(variable.shape), start, str(variable.dtype)),
                dtype=str(variable.dtype),
                trainable=False,
                name=f"{str(path).replace('/', '_')}_{name}",
                rows=rows,
                device=variable.device,
            )

    def _place(self, variable: Variable) -> int:
        if self._places is None:
            self._places = {id(v): i for i, v in enumerate(self._trainable_variables)}
        place = self._places.get(id(variable))
        if place is None:
            raise ValueError(
                f"Unknown variable: {getattr(variable, 'path', variable)}. This optimizer was "
                "built for other variables. If the model has changed (a layer added, or frozen "
                "and unfrozen), compile it again with a new optimizer."
            )
        return place

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_places": None}

    def save_own_variables(self, store: Any) -> None:
        """Puts the state into `store` as arrays named `"0"`, `"1"`, …"""
        for i, variable in enumerate(self.variables):
            store[str(i)] = variable.numpy()

    def load_own_variables(self, store: Any) -> None:
        """Takes the state from arrays that `save_own_variables` wrote."""
        variables = self.variables
        if len(store) != len(variables):
            warnings.warn(
                f"Skipping the state of optimizer {self.name!r}: it has {len(variables)} "
                f"variables whereas the saved one has {len(store)}.",
                UserWarning,
                stacklevel=2,
            )
            return
        arrays = [np.asarray(store[str(i)]) for i in range(len(variables))]
        for variable, array in zip(variables, arrays, strict=True):
            if tuple(array.shape) != tuple(variable.shape):
                raise ValueError(
                    f"The saved state of optimizer {self.name!r} does not fit: {variable.path} has "
                    f"shape {tuple(variable.shape)}, the saved one {tuple(array.shape)}."
                )
        for variable, array in zip(variables, arrays, strict=True):
            variable.assign(array.astype(str(variable.dtype), copy=False))

    # ---- updates ---------------------------------------------------------------------------------

    def apply(self, grads: Sequence[Any], trainable_variables: Any = None) -> None:
        """Changes the variables by one update.

        Args:
            grads: One gradient per variable, of its shape; None where there is none.
            trainable_variables: The variables; by default those of `build`.

        Raises:
            ValueError: Numbers or shapes differ, a variable is unknown, or all gradients are None.
        """
        grads = list(grads)
        if not grads:
            return
        if trainable_variables is None:
            if not self.built:
                raise ValueError(
                    "When passing `grads` without `variables`, the optimizer must already be "
                    "built on a list of variables. Call `optimizer.build(trainable_variables)` "
                    "first."
                )
            variables = list(self._trainable_variables)
        else:
            variables = list(trainable_variables)
            self.build(variables)
        if len(grads) != len(variables):
            raise ValueError(
                f"There must be one gradient per variable; received {len(grads)} gradients for "
                f"{len(variables)} variables."
            )
        for variable in variables:
            self._place(variable)
        pairs = without_none(grads, variables)
        for gradient, variable in pairs:
            if tuple(gradient.shape) != tuple(variable.shape):
                raise ValueError(
                    f"The gradient of {variable.path} has shape {tuple(gradient.shape)}; expected "
                    f"{tuple(variable.shape)}."
                )
        grads = [g for g, _ in pairs]
        variables = [v for _, v in pairs]
        with _core.no_grad():
            self._apply(grads, variables)
            for variable in variables:
                constraint = getattr(variable, "constraint", None)
                if constraint is not None:
                    variable.assign(constraint(variable.value))
        self._iterations.assign(np.int64(int(self._iterations) + 1))

    def _apply(self, grads: list[Any], variables: list[Variable]) -> None:
        if self.loss_scale_factor:
            grads = [g * (1.0 / self.loss_scale_factor) for g in grads]
        every = self.gradient_accumulation_steps
        if every:
            kept = [self._accumulated[self._place(v)] for v in variables]
            grads = [g + k.value for g, k in zip(grads, kept, strict=True)]
            last = (int(self._iterations) + 1) % every == 0
            for k, g in zip(kept, grads, strict=True):
                k.assign(np.zeros(tuple(k.shape), str(k.dtype)) if last else g)
            if not last:
                return
            grads = [g * (1.0 / every) for g in grads]
        self._update(grads, variables, self.rate_at(int(self.iterations)))
        if self.use_ema:
            self._update_averages()

    def _update(self, grads: list[Any], variables: list[Variable], rate: float) -> None:
        fused = getattr(_core, "optimizer_step", None) if self.fused_kind() else None
        if fused is not None:
            fused(
                self.fused_kind(),
                self.hyper(),
                variables,
                grads,
                [[self.slot(v, name) for name in self.slot_names] for v in variables],
                [self._use_weight_decay(v) for v in variables],
                int(self.iterations),
                rate,
                self.clipnorm or 0.0,
                self.global_clipnorm or 0.0,
            )
            return
        grads = clip(grads, self.clipnorm, self.global_clipnorm, self.clipvalue)
        if self.weight_decay:
            for variable in variables:
                if self._use_weight_decay(variable):
                    variable.assign(variable - variable * (self.weight_decay * rate))
        for gradient, variable in zip(grads, variables, strict=True):
            self.update_step(gradient, variable, rate)

    def update_step(self, gradient: Any, variable: Variable, learning_rate: float) -> None:
        """Changes one variable and its slots; the formula of the optimizer."""
        raise NotImplementedError(f"{type(self).__name__} must define `update_step`.")

    def hyper(self) -> dict[str, Any]:
        """The numbers that the core's fused step needs, by Keras' argument names."""
        out = {name: getattr(self, name) for name in getattr(type(self), "arguments", ())}
        out["weight_decay"] = self.weight_decay or 0.0
        out["clipvalue"] = self.clipvalue
        return {k: v for k, v in out.items() if v is not None}

    def fused_kind(self) -> str | None:
        """The core's name of this formula; None where a subclass has written its own."""
        for cls in type(self).__mro__:
            if "update_step" in cls.__dict__ or "_update" in cls.__dict__:
                found = cls.__dict__.get("kind")
                return None if found is None else str(found)
        return None

    # ---- for a native loop -----------------------------------------------------------------------

    def fused_plan(self, variables: Iterable[Variable]) -> dict[str, Any] | None:
        """What a native loop needs to update `variables` itself; None where it cannot.

        Constraints are the loop's business: they come behind the update.

        Returns:
            `kind` and `hyper` of the fused step, `targets` as (variable, slots, whether weight
            decay applies), `clip_norm` and `global_clip_norm` with 0 for none,
            `loss_scale_factor` where there is one.
        """
        kind = self.fused_kind()
        variables = list(variables)
        special = self.use_ema or self.gradient_accumulation_steps
        if kind is None or special or self._overrides_apply():
            return None
        self.build(variables)
        return {
            "kind": kind,
            "hyper": self.hyper(),
            "targets": [
                (v, [self.slot(v, name) for name in self.slot_names], self._use_weight_decay(v))
                for v in variables
            ],
            "clip_norm": self.clipnorm or 0.0,
            "global_clip_norm": self.global_clipnorm or 0.0,
            "loss_scale_factor": self.loss_scale_factor,
        }

    def _overrides_apply(self) -> bool:
        names = ("apply", "_apply", "_update", "scale_loss")
        return any(getattr(type(self), n) is not getattr(Optimizer, n) for n in names)

    def rates(self, steps: int) -> Any:
        """The next updates' rate: the variable that holds it, a number, or one number each."""
        rate = self._learning_rate
        if isinstance(rate, Variable):
            return rate
        begin = int(self.iterations)
        if isinstance(rate, LearningRateSchedule):
            return [self.rate_at(begin + i) for i in range(steps)]
        return self.rate_at(begin)

    # ---- more of the interface -------------------------------------------------------------------

    def apply_gradients(self, grads_and_vars: Iterable[tuple[Any, Variable]]) -> Any:
        """`apply` for pairs of gradient and variable; returns the number of updates so far."""
        pairs = list(grads_and_vars)
        self.apply([g for g, _ in pairs], [v for _, v in pairs])
        return self._iterations

    def scale_loss(self, loss: Any) -> Any:
        """The loss times `loss_scale_factor`; the gradient of this is what `apply` wants."""
        return loss * self.loss_scale_factor if self.loss_scale_factor else loss

    # ---- weight decay ----------------------------------------------------------------------------

    def exclude_from_weight_decay(
        self,
        var_list: Iterable[Variable] | None = None,
        var_names: Iterable[str] | None = None,
    ) -> None:
        """Leaves variables out of weight decay.

        Args:
            var_list: Variables.
            var_names: Regular expressions, searched for in the variables' paths.

        Raises:
            ValueError: The optimizer is already built.
        """
        if self.built:
            raise ValueError(
                "`exclude_from_weight_decay()` can only be called before the optimizer is built."
            )
        self._decay_excluded = list(var_list or ())
        self._decay_excluded_names = list(var_names or ())

    def _use_weight_decay(self, variable: Variable) -> bool:
        if any(v is variable for v in self._decay_excluded):
            return False
        path = str(getattr(variable, "path", variable.name))
        return not any(re.search(name, path) for name in self._decay_excluded_names)

    # ---- averages --------------------------------------------------------------------------------

    def _update_averages(self) -> None:
        first = int(self._iterations) == 0
        m = 0.0 if first else self.ema_momentum
        for variable, average in zip(self._trainable_variables, self._averages, strict=True):
            average.assign(average * m + variable.value * (1.0 - m))
        every = self.ema_overwrite_frequency
        if every and (int(self._iterations) + 1) % every == 0:
            for variable, average in zip(self._trainable_variables, self._averages, strict=True):
                variable.assign(average.value)

    def finalize_variable_values(self, var_list: Iterable[Variable]) -> None:
        """Puts the moving averages in the variables' place; `fit` calls it at its end."""
        if not self.use_ema or not self.built:
            return
        wanted = {id(v) for v in var_list}
        for variable, average in zip(self._trainable_variables, self._averages, strict=True):
            if id(variable) in wanted:
                variable.assign(average.value)

    # ---- configuration ---------------------------------------------------------------------------

    def get_config(self) -> dict[str, Any]:
        """What `from_config` needs to build the same optimizer, its state aside."""
        rate = self._learning_rate
        if isinstance(rate, LearningRateSchedule):
            rate = serialize_schedule(rate)
        elif isinstance(rate, Variable):
            rate = float(rate.numpy())
        config = {
            "name": self.name,
            "learning_rate": rate,
            "weight_decay": self.weight_decay,
            "clipnorm": self.clipnorm,
            "global_clipnorm": self.global_clipnorm,
            "clipvalue": self.clipvalue,
            "use_ema": self.use_ema,
            "ema_momentum": self.ema_momentum,
            "ema_overwrite_frequency": self.ema_overwrite_frequency,
            "loss_scale_factor": self.loss_scale_factor,
            "gradient_accumulation_steps": self.gradient_accumulation_steps,
        }
        for name in getattr(type(self), "arguments", ()):
            config[name] = getattr(self, name)
        return config

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: Mapping[str, Any] | None = None
    ) -> Optimizer:
        """The optimizer of a configuration."""
        config = dict(config)
        if isinstance(config.get("learning_rate"), Mapping):
            config["learning_rate"] = deserialize_schedule(config["learning_rate"], custom_objects)
        return cls(**config)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name}>"
