"""`Steps`: compile, metrics, and what one step does; the lower half of `Trainer`."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

from densa import ops
from densa._names import hinted
from densa.config import floatx
from densa.metrics import Mean, Metric
from densa.metrics.reduction import row_count
from densa.random import OrdersOfModel, SeedGenerator
from densa.utils import tree
from densa.utils.batches import unpack_x_y_sample_weight

from .compiled import Compiled, arguments_from_config
from .eager import EagerRunner, Runner
from .ended import Ended
from .trainable import Trainable
from .turns import Turns

if TYPE_CHECKING:
    from .going_on import GoingOn


class Steps:
    """What a model is compiled to and what its steps do; every method follows Keras 3."""

    # What settles the logs of the batch just done. Not the logs: a dictionary may hold layers.
    _pending_logs: Callable[[], None] | None = None
    _fitting = False
    # Training steps over the model's life where it has had several optimizers; they number random
    # draws. None: those that the optimizer has counted.
    _steps_trained: int | None = None

    def __init__(self) -> None:
        self._compiled: Compiled | None = None
        self._loss_tracker: Mean | None = None
        self._runners: dict[str, Any] = {}
        self._turns = Turns()
        self._monte_carlo: Any = None  # what predict(mc_samples=) has made of the model
        self.stop_training = False
        self.stop_evaluating = False
        self.stop_predicting = False
        self.history: Any = None
        self._orders: OrdersOfModel | None = None
        self._ended: Ended | None = None  # what the end of the last `fit` has replaced
        self._going_on: GoingOn | None = None  # with which callbacks the next `fit` goes on
        self._training: Any = None  # the `Fitting` that runs

    # ---- compile ---------------------------------------------------------------------------------

    @hinted
    def compile(
        self,
        optimizer: Any = "rmsprop",
        loss: Any = None,
        loss_weights: Any = None,
        metrics: Any = None,
        weighted_metrics: Any = None,
        run_eagerly: bool = False,
        steps_per_execution: int = 1,
        jit_compile: Any = "auto",
        auto_scale_loss: bool = True,
    ) -> None:
        """Settles how the model is trained and what is reported.

        Which variables are trained is settled, too: where `trainable` of a layer is set later,
        compile again for that to act. A model that is not built yet settles it when it is.

        Args:
            optimizer: Name, `Optimizer`, or configuration.
            loss: Name, function or `Loss`; with several outputs a list or dict of them.
            loss_weights: Factors of the outputs' losses: a list or dict.
            metrics: List of names, functions or `Metric`s; with several outputs a list of lists
                or a dict.
            weighted_metrics: The same; these are given `sample_weight` and `class_weight`.
            run_eagerly: Whether to run step methods op by op, which a debugger can follow.
            steps_per_execution: Batches between two calls of batch hooks.
            jit_compile: Accepted for Keras' sake; steps are recorded and run natively anyway.
            auto_scale_loss: Whether a model whose policy is `mixed_float16` has its optimizer put
                into a `LossScaleOptimizer`.

        Raises:
            ValueError: A name is not known, an argument not understood, or `fit` is running.

        Example:

        >>> import densa
        >>> model = densa.Sequential([densa.layers.Dense(1)])
        >>> model.compile(optimizer="sgd", loss="mse", metrics=["mae"])
        """
        if self._fitting:
            raise ValueError(
                "compile() was called while fit() runs, from a callback perhaps: the running "
                "training would not see it. Set what is to change (`optimizer.learning_rate`, "
                "attributes of layers), or set `stop_training = True`, compile, and fit again."
            )
        names = self._names("output_names")
        compiled = Compiled(
            optimizer,
            loss,
            loss_weights,
            metrics,
            weighted_metrics,
            run_eagerly,
            steps_per_execution,
            jit_compile,
            auto_scale_loss,
            names,
            getattr(getattr(self, "dtype_policy", None), "name", None) == "mixed_float16",
        )
        self._count_steps_of(self.optimizer, compiled.optimizer)
        if getattr(self, "built", False):
            compiled.trainable = Trainable(self)
        self._compiled = compiled
        self._loss_tracker = Mean(name="loss")
        self._runners = {}
        self._ended = None
        self.stop_training = False

    def _as_compiled(self) -> AbstractContextManager[None]:
        """Inside, `trainable` is what it was at `compile`, or when the model was built later."""
        compiled = self._require_compiled("training")
        if compiled.trainable is None:
            if not getattr(self, "built", False):
                return nullcontext()
            compiled.trainable = Trainable(self)
        return compiled.trainable.settled()

    def _order_generator(self) -> SeedGenerator | None:
        """What orders of rows are drawn from; None: the global generator."""
        return None if self._orders is None else self._orders.generator

    def _count_steps_of(self, before: Any, now: Any) -> None:
        if before is not None and before is not now and self._steps_trained is None:
            self._steps_trained = int(before.iterations)

    @property
    def compiled(self) -> bool:
        """Whether `compile` has been called."""
        return self.__dict__.get("_compiled") is not None

    @property
    def optimizer(self) -> Any:
        """The optimizer; None before `compile`."""
        compiled = self.__dict__.get("_compiled")
        return None if compiled is None else compiled.optimizer

    @optimizer.setter
    def optimizer(self, value: Any) -> None:
        from densa import optimizers

        compiled = self._require_compiled("setting `optimizer`")
        made = optimizers.get(value)
        self._count_steps_of(compiled.optimizer, made)
        compiled.optimizer = made
        self._runners = {}
        self._ended = None

    @property
    def loss(self) -> Any:
        """The loss as given to `compile`."""
        compiled = self.__dict__.get("_compiled")
        return None if compiled is None else compiled.given_loss

    @property
    def run_eagerly(self) -> bool:
        """Whether steps run op by op."""
        compiled = self.__dict__.get("_compiled")
        return False if compiled is None else bool(compiled.run_eagerly)

    @run_eagerly.setter
    def run_eagerly(self, value: bool) -> None:
        self._require_compiled("setting `run_eagerly`").run_eagerly = bool(value)
        self._runners = {}

    @property
    def jit_compile(self) -> Any:
        """As given to `compile`."""
        compiled = self.__dict__.get("_compiled")
        return "auto" if compiled is None else compiled.jit_compile

    @property
    def steps_per_execution(self) -> int:
        """Batches between two calls of batch hooks."""
        compiled = self.__dict__.get("_compiled")
        return 1 if compiled is None else int(compiled.steps_per_execution)

    def _require_compiled(self, what: str) -> Compiled:
        compiled = self.__dict__.get("_compiled")
        if compiled is None:
            raise ValueError(f"You must call `compile()` before {what}.")
        found: Compiled = compiled
        return found

    def get_compile_config(self) -> dict[str, Any] | None:
        """The arguments of `compile` as plain data; None before `compile`."""
        compiled = self.__dict__.get("_compiled")
        return None if compiled is None else compiled.get_config()

    def compile_from_config(self, config: dict[str, Any] | None) -> None:
        """`compile` with what `get_compile_config` gave, and builds the optimizer's state."""
        if not config:
            return
        self.compile(**arguments_from_config(config))
        if getattr(self, "built", False) and self.trainable_variables:
            self.optimizer.build(self.trainable_variables)

    def _names(self, what: str) -> list[str] | None:
        try:
            names = getattr(self, what, None)
        except (AttributeError, ValueError):
            return None
        return list(names) if names else None

    # ---- metrics ---------------------------------------------------------------------------------

    @property
    def metrics(self) -> list[Metric]:
        """Loss tracker, the outputs' losses, the metrics of `compile`, metrics of layers."""
        out: list[Metric] = []
        compiled = self.__dict__.get("_compiled")
        if compiled is not None:
            if self._loss_tracker is not None:
                out.append(self._loss_tracker)
            if compiled.loss is not None:
                out.extend(compiled.loss.metrics)
            if compiled.metrics is not None:
                out.append(compiled.metrics)
        seen = {id(m) for m in out}
        for layer in self._flatten_layers():  # type: ignore[attr-defined]
            for name, value in layer.__dict__.items():
                if name in ("_compiled", "_loss_tracker"):
                    continue
                if isinstance(value, dict):
                    value = list(value.values())
                for item in value if isinstance(value, list | tuple) else (value,):
                    if isinstance(item, Metric) and id(item) not in seen:
                        seen.add(id(item))
                        out.append(item)
        return out

    @property
    def metrics_names(self) -> list[str]:
        """Names of what `evaluate` returns, in order; complete after the first batch."""
        out: list[str] = []
        for metric in self.metrics:
            out.extend(getattr(metric, "names", None) or [metric.name])
        return [n for n in out if n != "compile_metrics"]

    def reset_metrics(self) -> None:
        """Sets all metrics back to the start."""
        self._settle_logs()
        for metric in self.metrics:
            metric.reset_state()

    def _settle_logs(self) -> None:
        # A batch hook's logs read the metrics when they are first looked at: now, before the
        # metrics change in the hook.
        pending, self._pending_logs = self._pending_logs, None
        if pending is not None:
            pending()

    def get_metrics_result(self) -> dict[str, Any]:
        """The metrics so far by name; the loss comes first."""
        out: dict[str, Any] = {}
        for metric in self.metrics:
            value = metric.result()
            if isinstance(value, dict):
                out.update(value)
            else:
                out[metric.name] = value
        return out

    # ---- steps -----------------------------------------------------------------------------------

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> Any:
        """The total loss: that of `compile` and what layers added; may be overridden.

        Args:
            x: Inputs.
            y: Targets.
            y_pred: Outputs.
            sample_weight: Weights, or None.
            training: Whether this is a training step.

        Returns:
            A scalar Tensor.

        Raises:
            ValueError: There is no loss at all.
        """
        compiled = self.__dict__.get("_compiled")
        total = None
        if compiled is not None and compiled.loss is not None:
            total = compiled.loss(y, y_pred, sample_weight)
        for extra in self.losses:  # type: ignore[attr-defined]
            value = ops.sum(ops.convert_to_tensor(extra))
            if total is not None and str(value.dtype) != str(total.dtype):
                value = ops.cast(value, str(total.dtype))
            total = value if total is None else total + value
        if total is None:
            if not training:
                return ops.convert_to_tensor(0.0, dtype=floatx())
            raise ValueError("No loss to compute. Provide a `loss` argument in `compile()`.")
        return total

    def compute_metrics(
        self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None
    ) -> dict[str, Any]:
        """Adds a batch to the metrics of `compile`; may be overridden.

        Args:
            x: Inputs.
            y: Targets.
            y_pred: Outputs.
            sample_weight: Weights, or None.

        Returns:
            The metrics so far by name.
        """
        self._update_metrics(y, y_pred, sample_weight)
        return self.get_metrics_result()

    def _update_metrics(self, y: Any, y_pred: Any, sample_weight: Any) -> None:
        compiled = self.__dict__.get("_compiled")
        if compiled is not None and compiled.metrics is not None:
            compiled.metrics.update_state(y, y_pred, sample_weight)

    def _forward(
        self, x: Any, y: Any, sample_weight: Any, training: bool
    ) -> tuple[Any, Any, dict[str, Any] | None]:
        """Output, loss and all updates of metrics; what a native step records.

        Returns:
            The loss, the output, and the result of an overridden `compute_metrics`.
        """
        y_pred = self(x, training=training)  # type: ignore[operator]
        loss = self.compute_loss(
            x=x, y=y, y_pred=y_pred, sample_weight=sample_weight, training=training
        )
        if self._loss_tracker is not None:
            first = next((leaf for leaf in tree.flatten(x) if leaf is not None), None)
            if first is not None:
                self._loss_tracker.add_total(loss, row_count(first, self._loss_tracker.dtype))
        results = None
        if type(self).compute_metrics is Steps.compute_metrics:
            self._update_metrics(y, y_pred, sample_weight)
        else:
            results = self.compute_metrics(x, y, y_pred, sample_weight)
        return loss, y_pred, results

    def train_step(self, data: Any) -> dict[str, Any]:
        """One step of training; may be overridden.

        Args:
            data: `x`, `(x, y)` or `(x, y, sample_weight)`.

        Returns:
            Logs by name.
        """
        x, y, sample_weight = unpack_x_y_sample_weight(data)
        loss, _, results = self._forward(x, y, sample_weight, training=True)
        variables = self.trainable_variables
        if variables:
            self._descend(loss, variables)
        else:
            warnings.warn("The model does not have any trainable weights.", stacklevel=2)
        return results if results is not None else self.get_metrics_result()

    def _descend(self, loss: Any, variables: list[Any]) -> None:
        optimizer = self.optimizer
        for variable in variables:
            variable.grad = None
        if not optimizer.built:
            optimizer.build(variables)
        optimizer.scale_loss(loss).backward()
        gradients = [variable.grad for variable in variables]
        for variable in variables:
            variable.grad = None
        optimizer.apply(gradients, variables)
        if self._steps_trained is not None:
            self._steps_trained += 1

    def test_step(self, data: Any) -> dict[str, Any]:
        """One step of evaluation; may be overridden. Arguments and result as `train_step`."""
        x, y, sample_weight = unpack_x_y_sample_weight(data)
        _, _, results = self._forward(x, y, sample_weight, training=False)
        return results if results is not None else self.get_metrics_result()

    def predict_step(self, data: Any) -> Any:
        """The outputs of one batch; may be overridden."""
        x, _, _ = unpack_x_y_sample_weight(data)
        return self(x, training=False)  # type: ignore[operator]

    # ---- runners ---------------------------------------------------------------------------------

    def _overrides_step(self, kind: str) -> bool:
        name = f"{kind}_step"
        if name in self.__dict__:
            return True
        return getattr(type(self), name) is not getattr(Steps, name)

    def _make_runner(self, kind: str) -> Runner:
        """The runner of `"train"`, `"test"` or `"predict"` steps; kept until `compile`."""
        if self.run_eagerly or self._overrides_step(kind):
            return EagerRunner(self, kind)
        from .native import make_runner

        made: Runner | None = make_runner(self, kind)
        return EagerRunner(self, kind) if made is None else made

    @hinted
    def explain_plan(self, kind: str = "train") -> str:
        """The stages, layouts and bytes of recorded steps, or why steps run op by op.

        Args:
            kind: `"train"`, `"test"` or `"predict"`.

        Returns:
            The text.
        """
        from .native import explain

        return explain(self._runner(kind))

    def _train_runner(self, x: Any, y: Any, batch_size: int = 32) -> Any:
        # Single native steps, for benchmarks and densa.profile.
        from .step_runner import StepRunner

        return StepRunner(self, x, y, batch_size)

    def _runner(self, kind: str) -> Runner:
        runner = self._runners.get(kind)
        if runner is None:
            runner = self._runners[kind] = self._make_runner(kind)
        found: Runner = runner
        return found

    # Given by Layer.
    trainable_variables: list[Any]
