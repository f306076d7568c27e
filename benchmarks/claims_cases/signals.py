"""Initializers, activations, batch norm and clipping: what happens to signals and gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import densa

from .base import Claim, accuracy, compiled, fashion, fit, network, seeded, standardized

_NORMAL = "N(0, 1)"
_INITIALIZERS: dict[str, Any] = {
    _NORMAL: lambda: densa.initializers.RandomNormal(0.0, 1.0),
    "Glorot": lambda: "glorot_normal",
    "He": lambda: "he_normal",
    "LeCun": lambda: "lecun_normal",
}


def _hidden_answers(model: Any, x: Any) -> Any:
    """Of the last hidden layer."""
    return np.asarray(densa.Model(model.inputs, model.layers[-2].output).predict(x, verbose=0))


def _saturated(initializer: str) -> Callable[[int], float]:
    @seeded
    def run(seed: int) -> float:
        (x, _), _ = fashion(1000, seed)
        (x,) = standardized(x)
        s = _hidden_answers(network("sigmoid", _INITIALIZERS[initializer](), [100] * 5), x)
        return 100 * float(np.mean(np.abs(s - 0.5) > 0.49))

    return run


def _deep(activation: str, initializer: str) -> Callable[[int], float]:
    @seeded
    def run(seed: int) -> float:
        (x, y), (xt, yt) = fashion(10_000, seed)
        x, xt = standardized(x, xt)
        model = network(activation, _INITIALIZERS[initializer](), [50] * 20)
        compiled(model, densa.optimizers.SGD(0.01, momentum=0.9))
        fit(model, (x, y), 5)
        return accuracy(model, (xt, yt))

    return run


class _Until(densa.callbacks.Callback):
    """Stops when the accuracy on other rows is reached, and counts the steps."""

    def __init__(self, data: Any, wanted: float, every: int) -> None:
        super().__init__()
        self.data, self.wanted, self.every, self.steps, self.reached = data, wanted, every, 0, False

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.steps += self.every
        if accuracy(self.model, self.data) >= self.wanted:
            self.reached = True
            self.model.stop_training = True


def _steps(batch_norm: bool) -> Callable[[int], float]:
    @seeded
    def run(seed: int) -> float:
        part = 50  # batches between two looks
        (x, y), (xt, yt) = fashion(55_000, seed, held=2000)
        model = network("relu", "he_normal", [100] * 8, batch_norm=batch_norm)
        compiled(model, densa.optimizers.SGD(0.01))
        until = _Until((xt, yt), 82.0, part)
        fit(model, (x, y), 400, steps_per_epoch=part, callbacks=[until])
        return float(until.steps)

    return run


def _spread(activation: str, initializer: str) -> Callable[[int], float]:
    @seeded
    def run(seed: int) -> float:
        x = np.random.default_rng(seed).normal(size=(1000, 100)).astype("float32")
        model = network(activation, _INITIALIZERS[initializer](), [100] * 50, inputs=100)
        a = _hidden_answers(model, x).astype(np.float64)
        return max(abs(float(np.log10(a.std()))), 1e-3) + abs(float(a.mean()))

    return run


def _explodes(**clip: float) -> Callable[[int], float]:
    @seeded
    def run(seed: int) -> float:
        (x, y), _ = fashion(5000, seed)
        (x,) = standardized(x)
        grow = densa.initializers.VarianceScaling(4.0, "fan_in", "untruncated_normal")
        model = network("relu", grow, [50] * 20)
        compiled(model, densa.optimizers.SGD(0.01, **clip))
        loss = fit(model, (x, y), 10).history["loss"][-1]
        return min(float(loss), 1e6) if np.isfinite(loss) else 1e6

    return run


CLAIMS = (
    Claim(
        "saturation",
        "Weights from N(0, 1) saturate sigmoids",
        "With weights from N(0, 1) sigmoid units saturate; with Glorot's scale they do not.",
        "A1-13, A1-06",
        "saturated units of the fifth hidden layer before training, %",
        "lower",
        {name: _saturated(name) for name in (_NORMAL, "He", "Glorot")},
        "Glorot",
        (_NORMAL,),
    ),
    Claim(
        "depth",
        "Activation and initializer must fit each other in 20 layers",
        "A deep network trains with an activation that does not saturate and the initializer made"
        " for it (Table 11-1), and not with sigmoid or with weights from N(0, 1).",
        "A1-12, A2-19",
        "test accuracy after 5 epochs, %",
        "higher",
        {
            f"{activation}, {initializer}": _deep(activation, initializer)
            for activation, initializer in (
                ("sigmoid", _NORMAL),
                ("sigmoid", "Glorot"),
                ("tanh", "Glorot"),
                ("relu", _NORMAL),
                ("relu", "Glorot"),
                ("relu", "He"),
                ("elu", "He"),
                ("gelu", "He"),
                ("silu", "He"),
                ("selu", "LeCun"),
            )
        },
        "relu, He",
        ("sigmoid, Glorot", f"relu, {_NORMAL}", "relu, Glorot"),
    ),
    Claim(
        "batch_norm",
        "Batch norm takes fewer steps",
        "With batch norm a network needs fewer steps to the same accuracy.",
        "A3-10",
        "steps until 82 % of test rows are right (8 hidden layers, at most 20000)",
        "lower",
        {"without": _steps(False), "batch norm": _steps(True)},
        "batch norm",
        ("without",),
        log=True,
    ),
    Claim(
        "selu",
        "SELU keeps mean 0 and deviation 1",
        "Through many dense layers SELU with LeCun's initializer keeps mean 0 and deviation 1.",
        "A2-11, A2-12",
        "|log10 of the deviation| + |mean| behind 50 layers",
        "lower",
        {
            "selu, LeCun": _spread("selu", "LeCun"),
            "selu, He": _spread("selu", "He"),
            "relu, He": _spread("relu", "He"),
            "elu, He": _spread("elu", "He"),
            "tanh, Glorot": _spread("tanh", "Glorot"),
        },
        "selu, LeCun",
        ("selu, He", "relu, He", "elu, He", "tanh, Glorot"),
        log=True,
    ),
    Claim(
        "clipping",
        "Clipping saves a network whose gradients explode",
        "Where gradients explode, clipping them by value or by norm lets the network train.",
        "A4-01, A4-02, A5-02",
        "training loss after 10 epochs (20 layers, weights 1.4 times too large, NaN as 1e6)",
        "lower",
        {
            "none": _explodes(),
            "clipvalue 1": _explodes(clipvalue=1.0),
            "clipnorm 1": _explodes(clipnorm=1.0),
            "global_clipnorm 1": _explodes(global_clipnorm=1.0),
        },
        "clipnorm 1",
        ("none",),
        log=True,
    ),
)
