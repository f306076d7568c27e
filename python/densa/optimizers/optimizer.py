"""What every optimizer shares: rate, clipping, weight decay, averages, state, configuration."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from densa import _core
from densa._names import Named, hinted
from densa._numbers import check_name
from densa._scope import auto_name, name_scope
from densa.variables import Variable

from .arguments import (
    OWN_ARGUMENTS,
    USUAL,
    Check,
    check_argument,
    check_limits,
    check_patterns,
    number,
    take_decay,
    take_own,
    warn_of_idle,
)
from .parts import (
    GradientReport,
    clip,
    clip_by_global_norm,
    constrain,
    normalize,
    put_average,
    scalar,
    shrink,
    without_none,
)
from .rate import OptimizerRate
from .schedules import LearningRateSchedule
from .schedules import deserialize as deserialize_schedule
from .schedules import serialize as serialize_schedule
from .state import OptimizerState


class Optimizer(OptimizerState, OptimizerRate, Named):
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
        use_ema: Whether to keep an exponential moving average of the weights. A batch norm's
            statistics are not averaged with them: `densa.utils.recalibrate_batch_norm` sets those
            that the averages give. Averages are of weights that obey their constraints, and obey
            them where they take the weights' place; Keras 3 averages before it constrains.
        ema_momentum: Its momentum.
        ema_overwrite_frequency: After how many steps the weights become their average;
            None: once, at the end of `fit`.
        loss_scale_factor: Factor on the loss, above 0, taken off the gradients again.
        gradient_accumulation_steps: Number of steps whose gradients make one update.
        name: Name of the optimizer; made up if None.
        normalize_gradient: densa's own, as all below: whether all gradients are divided by their
            common Euclidean norm, `g / ‖g‖`, so that only the direction counts.
        normalize_above: Divides the gradients by their common norm where that is above this
            threshold. The norm is 1 then, not the threshold: with one above 1 a gradient that is
            just too long becomes much shorter. `global_clipnorm` shortens it to the threshold.
        proximal_l1: Factor of the l1 norm of all variables with two axes and more, obeyed behind
            each update by `w ← sign(w)·max(|w| - rate·factor, 0)`, which makes exact zeros.
        learning_rate_multipliers: `{pattern: factor}`: the first regular expression that is found
            in a variable's path gives the factor of its learning rate, and so of its weight decay.
        report_gradient_norm: Whether the logs of `fit` have `gradient_norm`, the mean Euclidean
            norm of all gradients before they are limited, and `clipped_share`, the share of
            updates whose gradients were.
        weight_decay_excluded: Regular expressions, searched for in the variables' paths, of what
            weight decay leaves out: what `exclude_from_weight_decay` sets, saved with a model.

    Raises:
        ValueError: More than one way of limiting gradients, or a number out of range.
        TypeError: A number is none.

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
    checks: ClassVar[Mapping[str, Check]] = {}  # what its own numbers must be, also when assigned

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
        learning_rate = take_decay(learning_rate, kwargs)
        own = take_own(type(self), kwargs)
        check_limits(
            {
                "clipnorm": clipnorm,
                "clipvalue": clipvalue,
                "global_clipnorm": global_clipnorm,
                **own,
            }
        )
        excluded = check_patterns("weight_decay_excluded", own["weight_decay_excluded"])
        check_name(type(self).__name__, name)
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
        self.normalize_gradient = bool(own["normalize_gradient"])
        self.normalize_above: float | None = own["normalize_above"]
        self.proximal_l1: float | None = own["proximal_l1"]
        self.learning_rate_multipliers = own["learning_rate_multipliers"] or {}
        self.report_gradient_norm = bool(own["report_gradient_norm"])
        self.report = GradientReport()
        # For callbacks: whether the gradients of the last step are kept beside their variables.
        self.keep_gradients = False
        self.last_gradients: list[tuple[Variable, Any]] = []
        self.built = False
        self._trainable_variables: list[Variable] = []
        self._places: dict[int, int] | None = None
        self._slots: dict[str, list[Variable]] = {}
        self._averages: list[Variable] = []
        self._accumulated: list[Variable] = []
        self._own: list[Variable] = []
        self._decay_excluded: list[Variable] = []
        self._decay_excluded_names: list[str] = excluded
        with name_scope(self.name.replace("/", "_")):
            self._iterations = scalar(np.int64(0), "iteration")
            self._own.append(self._iterations)
            self._learning_rate: Any = None
            self._rate_factor: Variable | None = None
            if callable(learning_rate) and not isinstance(learning_rate, Variable):
                self._follow(learning_rate)
            else:
                self._learning_rate = scalar(np.float64(number(learning_rate)), "learning_rate")
                self._own.append(self._learning_rate)

    def __setattr__(self, name: str, value: Any) -> None:
        check_argument(self, name, value)
        object.__setattr__(self, name, value)

    # ---- updates ---------------------------------------------------------------------------------

    @hinted
    def apply(self, grads: Sequence[Any], trainable_variables: Any = None) -> None:
        """Changes the variables by one update.

        Args:
            grads: One gradient per variable, of its shape; None where there is none.
            trainable_variables: The variables; by default those of `build`.

        Raises:
            ValueError: Numbers or shapes differ, a variable is unknown, or all gradients are None.
        """
        grads = [_core.to_tensor(g) if isinstance(g, np.ndarray) else g for g in grads]
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
                constrain(variable)
            if self.use_ema:
                self._update_averages()
        self._iterations.assign(np.int64(int(self._iterations) + 1))

    def _apply(self, grads: list[Any], variables: list[Variable]) -> None:
        if self.loss_scale_factor:
            grads = [g * (1.0 / self.loss_scale_factor) for g in grads]
        if self.keep_gradients:
            self.last_gradients = list(zip(variables, grads, strict=True))
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
        self._limited_update(grads, variables, self.usable_rate(int(self.iterations)))

    def _limited_update(self, grads: list[Any], variables: list[Variable], rate: float) -> None:
        above = 0.0 if self.normalize_gradient else self.normalize_above
        if self.report_gradient_norm:
            common = self.global_clipnorm if above is None else above
            self.report.note(grads, self.clipnorm, self.clipvalue, common)
        if above is not None:
            grads = normalize(grads, above)
        with self._momentum_of_schedule():
            if self.learning_rate_multipliers:
                self._update_by_rates(grads, variables, rate)
            else:
                self._update(grads, variables, rate)
        if self.proximal_l1:
            for variable in variables:
                if len(variable.shape) >= 2:
                    by = self.proximal_l1 * rate * self.learning_rate_multiplier(variable)
                    shrink(variable, by)

    def _update_by_rates(self, grads: list[Any], variables: list[Variable], rate: float) -> None:
        limit = self.global_clipnorm
        if limit:
            grads = clip_by_global_norm(grads, limit)
        groups: dict[float, tuple[list[Any], list[Variable]]] = {}
        for gradient, variable in zip(grads, variables, strict=True):
            of_rate = groups.setdefault(self.learning_rate_multiplier(variable), ([], []))
            of_rate[0].append(gradient)
            of_rate[1].append(variable)
        self.global_clipnorm = None  # obeyed already, over all groups
        try:
            for factor, (some_grads, some_variables) in groups.items():
                self._update(some_grads, some_variables, rate * factor)
        finally:
            self.global_clipnorm = limit

    def _momentum_name(self) -> str | None:
        # The number that a schedule of momentum takes the place of.
        if type(self).kind == "nadam":  # it multiplies its momenta over all steps
            return None
        for name in ("momentum", "beta_1"):
            if name in getattr(type(self), "arguments", ()) and getattr(self, name):
                return name
        return None

    def _has_momentum_schedule(self) -> bool:
        rate = self._learning_rate
        return (
            isinstance(rate, LearningRateSchedule)
            and rate.momentum_at(int(self.iterations)) is not None
            and self._momentum_name() is not None
        )

    @contextlib.contextmanager
    def _momentum_of_schedule(self) -> Iterator[None]:
        name = self._momentum_name() if self._has_momentum_schedule() else None
        if name is None:
            yield
            return
        own = getattr(self, name)
        setattr(self, name, self._learning_rate.momentum_at(int(self.iterations)))
        try:
            yield
        finally:
            setattr(self, name, own)

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
        for variable in variables:
            if decay := self._decay_of(variable):
                variable.assign(variable - variable * (decay * rate))
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
        variables = list(variables)
        if not self.can_fuse(variables):
            return None
        self.build(variables)
        return {
            "kind": self.fused_kind(),
            "hyper": self.hyper(),
            "targets": [
                (v, [self.slot(v, name) for name in self.slot_names], self._use_weight_decay(v))
                for v in variables
            ],
            "clip_norm": self.clipnorm or 0.0,
            "global_clip_norm": self.global_clipnorm or 0.0,
            "loss_scale_factor": self.loss_scale_factor,
        }

    def can_fuse(self, variables: Iterable[Variable]) -> bool:
        """Whether a plan's own step updates `variables` as `apply` would."""
        return (
            self.fused_kind() is not None
            and not self._overrides_apply()
            and not (
                self.use_ema
                or self.gradient_accumulation_steps
                or self.normalize_gradient
                or self.normalize_above is not None
                or self.proximal_l1
                or self.learning_rate_multipliers
                or self.report_gradient_norm
                or self.keep_gradients
                or self._has_momentum_schedule()
            )
        )

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
            return [self.usable_rate(begin + i) for i in range(steps)]
        return self.usable_rate(begin)

    # ---- more of the interface -------------------------------------------------------------------

    @hinted
    def apply_gradients(self, grads_and_vars: Iterable[tuple[Any, Variable]]) -> Any:
        """`apply` for pairs of gradient and variable; returns the number of updates so far."""
        pairs = list(grads_and_vars)
        self.apply([g for g, _ in pairs], [v for _, v in pairs])
        return self._iterations

    def stateless_apply(
        self, optimizer_variables: Any, grads: Any, trainable_variables: Any
    ) -> tuple[list[Any], list[Any]]:
        """What an update makes of given values; the optimizer's and the weights' own ones stay.

        Args:
            optimizer_variables: A value for each of `variables`; `build` comes before.
            grads: A gradient for each trainable weight that it was built for.
            trainable_variables: A value for each of those.

        Returns:
            The new values of the weights, and of the optimizer's variables.

        Raises:
            ValueError: It is not built, or numbers of values differ.
        """
        own, weights = list(self.variables), list(self._trainable_variables)
        values, state = list(trainable_variables), list(optimizer_variables)
        if not self.built:
            raise ValueError("stateless_apply: call build(trainable_variables) first.")
        if (len(state), len(values)) != (len(own), len(weights)):
            raise ValueError(
                f"stateless_apply: expected {len(own)} values of the optimizer and {len(weights)} "
                f"of weights; received {len(state)} and {len(values)}."
            )
        kept = [variable.numpy() for variable in [*own, *weights]]
        try:
            for variable, value in zip([*own, *weights], [*state, *values], strict=True):
                variable.assign(value)
            self.apply(list(grads), weights)
            found = [_core.to_tensor(v.numpy()) for v in [*weights, *own]]
        finally:
            for variable, value in zip([*own, *weights], kept, strict=True):
                variable.assign(value)
        return found[: len(weights)], found[len(weights) :]

    def scale_loss(self, loss: Any) -> Any:
        """The loss times `loss_scale_factor`; the gradient of this is what `apply` wants."""
        return loss * self.loss_scale_factor if self.loss_scale_factor else loss

    # ---- weight decay ----------------------------------------------------------------------------

    @hinted
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

    @property
    def weight_decay_excluded(self) -> list[str] | None:
        """The regular expressions of what weight decay leaves out; None: nothing."""
        paths = (str(getattr(v, "path", v.name)) for v in self._decay_excluded)
        found = [*self._decay_excluded_names, *(f"^{re.escape(path)}$" for path in paths)]
        return found or None

    def _decay_of(self, variable: Variable) -> float:
        """The part of a variable that each update takes off, times the rate; 0 for none."""
        decay = self.weight_decay or 0.0
        return decay if decay and self._use_weight_decay(variable) else 0.0

    def _use_weight_decay(self, variable: Variable) -> bool:
        if any(v is variable for v in self._decay_excluded):
            return False
        path = str(getattr(variable, "path", variable.name))
        return not any(re.search(name, path) for name in self._decay_excluded_names)

    def _check_patterns(self, variables: list[Variable]) -> None:
        paths = [str(getattr(v, "path", v.name)) for v in variables]
        warn_of_idle("learning_rate_multipliers", self.learning_rate_multipliers, paths)
        # Lists of the names that go without decay are used for models that have not all of them.
        rare = [p for p in self._decay_excluded_names if not any(map(re.compile(p).search, USUAL))]
        warn_of_idle("weight_decay_excluded", rare, paths)

    # ---- averages --------------------------------------------------------------------------------

    def _update_averages(self) -> None:
        # As in Keras: with accumulation every step counts here, and the first update is the first
        # whose average is more than the weights.
        done = int(self.iterations)
        m = 0.0 if done == 0 else self.ema_momentum
        for variable, average in zip(self._trainable_variables, self._averages, strict=True):
            average.assign(average * m + variable.value * (1.0 - m))
        every = self.ema_overwrite_frequency
        if every and (done + 1) % every == 0:
            for variable, average in zip(self._trainable_variables, self._averages, strict=True):
                put_average(variable, average)

    def finalize_variable_values(self, var_list: Iterable[Variable]) -> None:
        """Puts the moving averages in the variables' place; `fit` calls it at its end."""
        if not self.use_ema or not self.built:
            return
        wanted = {id(v) for v in var_list}
        for variable, average in zip(self._trainable_variables, self._averages, strict=True):
            if id(variable) in wanted:
                put_average(variable, average)

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
        for name, default in OWN_ARGUMENTS.items():
            if (value := getattr(self, name)) not in (default, {}):
                config[name] = value
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
