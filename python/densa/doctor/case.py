"""`Case`: what is known of a training, in the form that rules read."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from densa.training.probe import STEEPEST, curve_of

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
class Case:
    """What is known of a training.

    Attributes:
        model: The compiled model.
        loss: Training loss per epoch.
        val_loss: Validation loss per epoch; empty without validation.
        batch_size: Rows in a batch; 0 where it is not known.
        samples: What a probe has seen.
        inputs: Some rows of each input.
        kinds: The inputs without rows, in the form that the model is given; None where it is not
            known.
        targets: Some rows of the targets, where there is one array of them.
        before: What an earlier training with a doctor has left: names of the frozen variables, and
            the last rate.
    """

    model: Any
    loss: list[float] = field(default_factory=list)
    val_loss: list[float] = field(default_factory=list)
    batch_size: int = 0
    samples: list[dict[str, Any]] = field(default_factory=list)
    inputs: list[Any] = field(default_factory=list)
    kinds: Any = None
    targets: Any = None
    before: tuple[frozenset[str], float] | None = None

    def __post_init__(self) -> None:
        with np.errstate(all="ignore"):
            self.layers = _health(self.model, self.samples)
            self.gradient_norms = [
                float(np.sqrt(sum(float(np.sum(g)) for g in sample.get("gradient", {}).values())))
                for sample in self.samples
            ]
        self.looks = [float(sample["loss"][""][0]) for sample in self.samples]
        self.rates = [float(sample["rate"]) for sample in self.samples]

    @property
    def health(self) -> dict[str, Any]:
        """The statistics as lists with one number per look."""
        return {
            "step": [int(sample["step"]) for sample in self.samples],
            "rate": self.rates,
            "loss": self.looks,
            "gradient_norm": self.gradient_norms,
            "layers": {
                layer.name: {k: v for k, v in vars(layer).items() if isinstance(v, list) and v}
                for layer in self.layers
            },
        }

    @property
    def chance(self) -> float:
        """The loss of the best constant prediction; that of the first look where the loss is not a
        cross-entropy or a mean squared error."""
        loss = str(getattr(self.model.loss, "name", self.model.loss) or "")
        y = self.targets
        if y is not None and len(y):
            y = np.asarray(y, np.float64)
            if "sparse_categorical" in loss:
                shares = np.unique(y, return_counts=True)[1] / y.size
                return float(-(shares * np.log(shares)).sum())
            if "crossentropy" in loss:
                means = np.clip(y.mean(0), 1e-7, 1 - 1e-7)
                if "binary" in loss:
                    return float(-(means * np.log(means) + (1 - means) * np.log1p(-means)).mean())
                return float(-(means * np.log(means)).sum())
            if loss in ("mse", "mean_squared_error"):
                return float(y.var(0).mean())
        first = [value for value in (*self.looks[:1], *self.loss[:1]) if np.isfinite(value)]
        return first[0] if first else 1.0

    @property
    def outputs(self) -> set[str]:
        """Names of the layers that give the model's outputs."""
        made = getattr(self.model, "outputs", None)
        if made:
            return {x._keras_history[0].name for x in made if x._keras_history}
        return {layer.name for layer in self.model.layers[-1:]}

    def hidden(self, kind: type) -> list[Any]:
        """The layers of a type, models inside included."""
        return [x for x in self.model._flatten_layers() if isinstance(x, kind)]


def _health(model: Any, samples: list[dict[str, Any]]) -> list[LayerHealth]:
    found = []
    for layer in model._flatten_layers(include_self=False):
        own = [] if layer._own_layers() else layer.variables
        health = LayerHealth(layer.name, curve_of(layer))
        silent = []
        for sample in samples:
            gradients = [sample["gradient"][v.path] for v in own if v.path in sample["gradient"]]
            kernels = [v.path for v in own if v.path in sample.get("weight", {})]
            bad = sum(int(np.sum(~np.isfinite(g))) for g in gradients)
            if gradients:
                total = sum(float(np.sum(g)) for g in gradients)
                health.gradient_norm.append(float(np.sqrt(total)))
            if kernels:
                weight = np.sqrt(sum(float(np.sum(sample["weight"][k])) for k in kernels))
                health.weight_norm.append(float(weight))
                if "moved" in sample:
                    moved = np.sqrt(sum(float(np.sum(sample["moved"][k])) for k in kernels))
                    health.update_ratio.append(float(moved / max(weight, 1e-12)))
            square = sample.get("square", {}).get(layer.name)
            if square is not None:
                total = sample[f"sum {health.curve}"][layer.name]
                rows = sample["count"][layer.name]
                bad += int(np.sum(~np.isfinite(square)))
                mean = float(total.mean() / rows)
                health.mean.append(mean)
                variance = max(float(square.mean() / rows) - mean**2, 0.0)
                health.spread.append(float(np.sqrt(variance)))
                if health.curve in ("relu", "relu6"):
                    silent.append(square == 0)
                    health.silent.append(float(silent[-1].mean()))
                steepest = STEEPEST.get(health.curve)
                if steepest is not None:
                    top = total if health.curve == "sigmoid" else rows
                    health.saturated.append(float(np.mean((top - square) / rows < 0.1 * steepest)))
            health.nonfinite.append(bad)
        if len(silent) >= MANY_ROWS:
            health.dead = float(np.logical_and.reduce(silent[-2 * MANY_ROWS :]).mean())
        if health.gradient_norm or health.mean:
            found.append(health)
    return found
