"""`Case`: what is known of a training, in the form that rules read."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from densa import losses
from densa.training.arrays import NonFinite
from densa.training.probe import STEEPEST, Series, curve_of

from .heads import output_layers

MANY_ROWS = 4  # dead: silent in all of the last looks, and at least as many


@dataclass
class LayerHealth:
    """The statistics of one layer, one number per look; empty where a layer has none of a kind.

    Attributes:
        name: The layer's name.
        curve: Its activation.
        gradient_norm: Euclidean norm of the gradients of its variables.
        weight_norm: Norm of its kernel.
        update_ratio: Norm of what the step changed in the kernel, over `weight_norm`.
        mean: Mean of its outputs.
        spread: Their standard deviation.
        silent: Share of units that gave 0 for the whole batch (ReLU).
        saturated: Share of units whose mean slope is under a tenth of the largest (sigmoid, tanh).
        nonfinite: Number of units or columns with a NaN or an infinity.
        dead: Share of units silent in all of the last looks.
    """

    name: str
    curve: str = ""
    gradient_norm: list[float] = field(default_factory=list)
    weight_norm: list[float] = field(default_factory=list)
    update_ratio: list[float] = field(default_factory=list)
    mean: list[float] = field(default_factory=list)
    spread: list[float] = field(default_factory=list)
    silent: list[float] = field(default_factory=list)
    saturated: list[float] = field(default_factory=list)
    nonfinite: list[int] = field(default_factory=list)
    dead: float = 0.0


@dataclass
class Clipping:
    """What the optimizer cuts off gradients.

    Attributes:
        name: The argument that asks for it: `clipnorm`, `global_clipnorm` or `clipvalue`.
        limit: Its value.
        shares: In each look, the share of the gradient's numbers that are cut (`clipvalue`), of
            the variables whose gradients are (`clipnorm`), or 1 where it is cut as a whole.
        norms: In each look the norm that is compared: the largest of a variable for `clipnorm`.
    """

    name: str
    limit: float
    shares: list[float]
    norms: list[float]


@dataclass
class Case:
    """What is known of a training.

    Attributes:
        model: The compiled model.
        loss: Training loss per epoch.
        val_loss: Validation loss per epoch; empty without validation.
        batch_size: Rows in a batch; 0 where it is not known.
        streamed: Whether the data comes in batches, so that `fit` takes no `batch_size`.
        samples: What a probe has seen.
        inputs: Some rows of each input.
        rows: All of them where they are arrays, else empty: what is large or small in sorted data.
        kinds: The inputs without rows, in the form that the model is given; None where it is not
            known.
        targets: Some rows of the targets, where there is one array of them.
        before: What an earlier training with a doctor has left: names of the frozen variables, and
            the last rate.
        heads: Names of the layers that a probe has seen to give the outputs.
        non_finite: What is not finite in the data, where its source says.
        trained: Whether the looks came after the training that the curves are of.
        lost: Names of variables that held NaN or infinity before the first look.
        fresh: Gives the loss of a copy that is not trained, for looks behind the training; NaN
            where there can be none.
    """

    model: Any
    loss: list[float] = field(default_factory=list)
    val_loss: list[float] = field(default_factory=list)
    batch_size: int = 0
    streamed: bool = False
    samples: Series = field(default_factory=Series)
    inputs: list[Any] = field(default_factory=list)
    rows: list[Any] = field(default_factory=list)
    kinds: Any = None
    targets: Any = None
    before: tuple[frozenset[str], float] | None = None
    heads: list[str] = field(default_factory=list)
    non_finite: NonFinite | None = None
    trained: bool = False
    lost: list[str] = field(default_factory=list)
    fresh: Callable[[], float] | None = None

    def __post_init__(self) -> None:
        samples = self.samples
        with np.errstate(all="ignore"):
            self.layers = _health(self.model, samples)
            gradients = samples.kinds.get("gradient", {})
            self.gradient_norms = np.sqrt(_total(samples, "gradient", gradients)[1]).tolist()
            self.clipping = _clipping(self.model, samples, self.gradient_norms)
        if self.non_finite is None:
            found = NonFinite.of("x", None, (self.inputs, self.targets, None))
            if found.inputs + found.targets:
                self.non_finite = found
        _, losses = samples.kinds.get("loss", {}).get("", (None, np.zeros((0, 1))))
        self.looks = [float(loss) for loss in losses[:, 0]]
        self.rates = samples.rate

    @property
    def health(self) -> dict[str, Any]:
        """The statistics as lists with one number per look."""
        return {
            "step": self.samples.step,
            "rate": self.rates,
            "loss": self.looks,
            "gradient_norm": self.gradient_norms,
            **({} if self.clipping is None else {"clipped": self.clipping.shares}),
            "layers": {
                layer.name: {k: v for k, v in vars(layer).items() if isinstance(v, list) and v}
                for layer in self.layers
            },
        }

    @functools.cached_property
    def chance(self) -> float:
        """The loss of the best constant prediction; that of the first look where the loss is none
        of those that are known here."""
        y = self.targets
        if y is not None and len(y):
            constant = best_constant_loss(self.loss_name, np.asarray(y, np.float64))
            if constant is not None:
                return constant
        first = [value for value in self.start if np.isfinite(value)]
        return first[0] if first else 1.0

    @property
    def loss_name(self) -> str:
        """The loss by the name of its function, such as `"mean_squared_error"`; `""` for several
        and for those without a name."""
        loss = self.model.loss
        if isinstance(loss, str):
            loss = losses.get(loss)
        return str(getattr(loss, "name", None) or getattr(loss, "__name__", ""))

    @property
    def start(self) -> list[float]:
        """The loss of the first batch and that of the first epoch, as far as they are known."""
        return [*([] if self.trained else self.looks[:1]), *self.loss[:1], *self.looks[:1]][:2]

    @functools.cached_property
    def began(self) -> float:
        """The loss before the first step: that of the first batch, or of a copy that is not
        trained; that of the first epoch where neither is known."""
        if self.trained and self.fresh is not None and math.isfinite(value := self.fresh()):
            return value
        return self.start[0]

    @property
    def outputs(self) -> set[str]:
        """Names of the layers that give the model's outputs."""
        return {layer.name for layer in output_layers(self.model, self.heads)}

    def hidden(self, kind: type) -> list[Any]:
        """The layers of a type, models inside included."""
        return [x for x in self.model._flatten_layers() if isinstance(x, kind)]


def best_constant_loss(loss: str, y: Any) -> float | None:
    """The loss of the best constant prediction of targets; None where the loss is another.

    Args:
        loss: Name of the loss.
        y: Targets `(rows, ...)`, float64; class ids for a sparse loss.
    """
    if loss == "sparse_categorical_crossentropy":
        shares = np.unique(y, return_counts=True)[1] / y.size
        return float(-(shares * np.log(shares)).sum())
    if loss in ("binary_crossentropy", "categorical_crossentropy"):
        means = np.clip(y.mean(0), 1e-7, 1 - 1e-7)
        if loss == "binary_crossentropy":
            return float(-(means * np.log(means) + (1 - means) * np.log1p(-means)).mean())
        return float(-(means * np.log(means)).sum())
    if loss == "mean_squared_error":
        return float(y.var(0).mean())
    if loss == "mean_absolute_error":
        return float(np.abs(y - np.median(y, axis=0)).mean())
    return None


def _total(samples: Series, kind: str, names: Iterable[str]) -> tuple[Any, Any]:
    # The sums of a kind over some names: which looks have any, and the sum of each look.
    known = np.zeros(len(samples.step), bool)
    total = np.zeros(len(samples.step))
    for name in names:
        part = samples.kinds.get(kind, {}).get(name)
        if part is not None:
            at, numbers = part
            known[at] = True
            total[at] += numbers.sum(axis=1)
    return known, total


def _clipping(model: Any, samples: Series, norms: list[float]) -> Clipping | None:
    optimizer = getattr(model.optimizer, "inner_optimizer", model.optimizer)
    gradients = samples.kinds.get("gradient", {})
    for name in ("clipnorm", "global_clipnorm", "clipvalue"):
        limit = getattr(optimizer, name, None)
        if limit is None or not samples.step:
            continue
        whole = np.array(norms)
        if name == "global_clipnorm":
            return Clipping(name, float(limit), (whole > limit).astype(float).tolist(), norms)
        if name == "clipvalue":
            count = sum(math.prod(v.shape) for v in model.trainable_variables)
            cut = _total(samples, "cut", samples.kinds.get("cut", {}))[1]
            return Clipping(name, float(limit), (cut / max(count, 1)).tolist(), norms)
        each = np.zeros((len(samples.step), len(gradients)))
        for i, (at, numbers) in enumerate(gradients.values()):
            each[at, i] = np.sqrt(numbers.sum(axis=1))
        return Clipping(
            name,
            float(limit),
            (each > limit).mean(axis=1).tolist(),
            each.max(axis=1, initial=0.0).tolist(),
        )
    return None


def _health(model: Any, samples: Series) -> list[LayerHealth]:
    found = []
    gradients = samples.kinds.get("gradient", {})
    for layer in model._flatten_layers(include_self=False):
        own = [] if layer._own_layers() else [v.path for v in layer.variables]
        health = LayerHealth(layer.name, curve_of(layer))
        bad = np.zeros(len(samples.step), int)
        known, total = _total(samples, "gradient", own)
        health.gradient_norm = np.sqrt(total[known]).tolist()
        for at, numbers in (gradients[path] for path in own if path in gradients):
            bad[at] += (~np.isfinite(numbers)).sum(axis=1)
        known, total = _total(samples, "weight", own)
        norm = np.sqrt(total)
        health.weight_norm = norm[known].tolist()
        moved, total = _total(samples, "moved", own)
        ratio = np.sqrt(total) / np.maximum(norm, 1e-12)
        health.update_ratio = ratio[known & moved].tolist()
        if layer.name in samples.kinds.get("square", {}):
            at, square = samples.kinds["square"][layer.name]
            _outputs(health, samples, at, square)
            bad[at] += (~np.isfinite(square)).sum(axis=1)
        health.nonfinite = bad.tolist()
        if health.gradient_norm or health.mean:
            found.append(health)
    return found


def _outputs(health: LayerHealth, samples: Series, at: Any, square: Any) -> None:
    # What follows from sums of a layer's outputs and of their squares.
    total = samples.kinds[f"sum {health.curve}"][health.name][1]
    rows = samples.count[health.name][at]
    mean = total.mean(axis=1) / rows
    variance = np.maximum(square.mean(axis=1) / rows - mean**2, 0)
    health.mean, health.spread = mean.tolist(), np.sqrt(variance).tolist()
    if health.curve in ("relu", "relu6"):
        silent = square == 0
        health.silent = silent.mean(axis=1).tolist()
        if len(silent) >= MANY_ROWS:
            health.dead = float(silent[-2 * MANY_ROWS :].all(axis=0).mean())
    steepest = STEEPEST.get(health.curve)
    if steepest is not None:
        top = total if health.curve == "sigmoid" else rows[:, None]
        slope = (top - square) / rows[:, None]
        health.saturated = (slope < 0.1 * steepest).mean(axis=1).tolist()
