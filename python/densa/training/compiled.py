"""What `compile` settles, and how it is written to and read from files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from densa import losses, metrics, optimizers
from densa._numbers import whole_number
from densa.saving.serialization import made_again

from .compile_loss import CompileLoss
from .compile_metrics import CompileMetrics


class Compiled:
    """The arguments of `compile` and what is made of them.

    Args:
        optimizer: See `Trainer.compile`.
        loss: See `Trainer.compile`.
        loss_weights: See `Trainer.compile`.
        metrics: See `Trainer.compile`.
        weighted_metrics: See `Trainer.compile`.
        run_eagerly: See `Trainer.compile`.
        steps_per_execution: See `Trainer.compile`.
        jit_compile: See `Trainer.compile`.
        auto_scale_loss: See `Trainer.compile`.
        output_names: The model's output names where it has them.
        float16: Whether its layers compute in float16.

    Raises:
        ValueError: One of them is not understood; nothing has been changed then.
    """

    def __init__(
        self,
        optimizer: Any,
        loss: Any,
        loss_weights: Any,
        metrics: Any,
        weighted_metrics: Any,
        run_eagerly: bool,
        steps_per_execution: int,
        jit_compile: Any,
        auto_scale_loss: bool,
        output_names: list[str] | None,
        float16: bool = False,
    ) -> None:
        whole_number("`steps_per_execution`", steps_per_execution)
        if jit_compile not in (True, False, None, "auto"):
            raise ValueError(
                f'`jit_compile` must be True, False or "auto"; received {jit_compile!r}.'
            )
        self.optimizer = optimizers.get(optimizer)
        if float16 and auto_scale_loss and not self.optimizer.loss_scale_factor:
            self.optimizer = _with_loss_scale(self.optimizer)
        self.given_loss = loss
        self.given_loss_weights = loss_weights
        self.given_metrics = metrics
        self.given_weighted_metrics = weighted_metrics
        self.run_eagerly = bool(run_eagerly)
        self.steps_per_execution = int(steps_per_execution)
        self.jit_compile = jit_compile
        self.auto_scale_loss = auto_scale_loss
        self.loss = None if loss is None else CompileLoss(loss, loss_weights, output_names)
        self.metrics = None
        if metrics is not None or weighted_metrics is not None:
            self.metrics = CompileMetrics(metrics, weighted_metrics, output_names, loss=self.loss)

    def get_config(self) -> dict[str, Any]:
        """The arguments of `compile` as plain data."""
        return {
            "optimizer": optimizers.serialize(self.optimizer),
            "loss": _plain(self.given_loss, losses.serialize),
            "loss_weights": self.given_loss_weights,
            "metrics": _plain(self.given_metrics, metrics.serialize),
            "weighted_metrics": _plain(self.given_weighted_metrics, metrics.serialize),
            "run_eagerly": self.run_eagerly,
            "steps_per_execution": self.steps_per_execution,
            "jit_compile": self.jit_compile,
        }

    def arguments(self) -> dict[str, Any]:
        """The arguments of `compile` for another model: losses as they are, optimizer and metrics,
        which hold state, made again."""
        return {
            "optimizer": made_again(self.optimizer),
            "loss": self.given_loss,
            "loss_weights": self.given_loss_weights,
            "metrics": _objects(self.given_metrics, _fresh),
            "weighted_metrics": _objects(self.given_weighted_metrics, _fresh),
            "run_eagerly": self.run_eagerly,
            "steps_per_execution": self.steps_per_execution,
            "jit_compile": self.jit_compile,
            "auto_scale_loss": self.auto_scale_loss,
        }


def _fresh(metric: Any) -> Any:
    return made_again(metric) if isinstance(metric, metrics.Metric) else metric


def _with_loss_scale(optimizer: optimizers.Optimizer) -> optimizers.Optimizer:
    if isinstance(optimizer, optimizers.LossScaleOptimizer):
        return optimizer
    return optimizers.LossScaleOptimizer(optimizer)


def arguments_from_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of `compile` from what `Compiled.get_config` wrote."""
    out = dict(config)
    if "optimizer" in out:
        out["optimizer"] = optimizers.get(out["optimizer"])
    if "loss" in out:
        out["loss"] = _objects(out["loss"], losses.get)
    for name in ("metrics", "weighted_metrics"):
        if name in out:
            out[name] = _objects(out[name], metrics.get)
    return out


def _plain(given: Any, serialize: Any) -> Any:
    if given is None or isinstance(given, str):
        return given
    if isinstance(given, Mapping):
        return (
            given if "class_name" in given else {k: _plain(v, serialize) for k, v in given.items()}
        )
    if isinstance(given, list | tuple):
        return [_plain(v, serialize) for v in given]
    return serialize(given)


def _objects(given: Any, get: Any) -> Any:
    # Names stay names: "accuracy" is settled by the shapes of target and output.
    if given is None or isinstance(given, str):
        return given
    if isinstance(given, Mapping):
        if "class_name" in given:
            return get(given)
        return {k: _objects(v, get) for k, v in given.items()}
    if isinstance(given, list | tuple):
        return [_objects(v, get) for v in given]
    return get(given)
