"""Initializers, activations, batch norm and clipping: what happens to signals and gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import densa

from .base import Claim, Trial
from .data import CANCER, DIGITS, FASHION, Data, Problem
from .nets import accuracy, compiled, fit, network, seeded

_NORMAL = "N(0, 1)"
_INITIALIZERS: dict[str, Any] = {
    _NORMAL: lambda: densa.initializers.RandomNormal(0.0, 1.0),
    "Glorot": lambda: "glorot_normal",
    "He": lambda: "he_normal",
    "LeCun": lambda: "lecun_normal",
}


def _hidden_answers(model: Any, x: Any) -> Any:
    """Of the last hidden layer."""
    hidden = densa.Model(model.inputs, model.layers[-2].output)
    return np.asarray(hidden.predict(x, verbose=0), np.float64)


def _saturation(problem: Problem, rows: int | None) -> Trial:
    def variant(initializer: str) -> Callable[[int], float]:
        @seeded
        def run(seed: int) -> float:
            (x, _), _ = problem.draw(rows, seed, standard=True)
            model = network(problem, "sigmoid", _INITIALIZERS[initializer](), [100] * 5)
            return 100 * float(np.mean(np.abs(_hidden_answers(model, x) - 0.5) > 0.49))

        return run

    return Trial(
        problem.name,
        "within 0.01 of 0 or 1; standardized inputs, fifth hidden layer, before training",
        "saturated units, %",
        "lower",
        {name: variant(name) for name in (_NORMAL, "He", "Glorot")},
    )


_DEEP = (
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


def _depth(problem: Problem, rows: int, epochs: int) -> Trial:
    def variant(activation: str, initializer: str) -> Callable[[int], float]:
        @seeded
        def run(seed: int) -> float:
            train, test = problem.draw(rows, seed, standard=True)
            model = network(problem, activation, _INITIALIZERS[initializer](), [50] * 20)
            compiled(model, densa.optimizers.SGD(0.01, momentum=0.9), problem)
            fit(model, train, epochs)
            return accuracy(model, test)

        return run

    return Trial(
        problem.name,
        f"{rows} rows, {epochs} epochs, a network that ends in NaN counts 0",
        "test accuracy, %",
        "higher",
        {f"{a}, {i}": variant(a, i) for a, i in _DEEP},
    )


class _Until(densa.callbacks.Callback):
    """Counts the steps until the accuracy on other rows is reached, which ends the training."""

    def __init__(self, data: Data, wanted: float, every: int, most: int) -> None:
        super().__init__()
        self.data, self.wanted, self.every, self.most = data, wanted, every, most
        self.steps, self.over = 0, False

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        if self.over:
            return
        self.steps += 1
        if self.steps % self.every == 0:
            reached = accuracy(self.model, self.data) >= self.wanted
            self.over = self.model.stop_training = reached or self.steps >= self.most


def _batch_norm(problem: Problem, wanted: float, every: int) -> Trial:
    most = 400 * every

    def variant(rate: float, batch_norm: bool) -> Callable[[int], float]:
        @seeded
        def run(seed: int) -> float:
            train, (xt, yt) = problem.draw(None, seed)
            model = network(problem, "relu", "he_normal", [100] * 8, batch_norm=batch_norm)
            compiled(model, densa.optimizers.SGD(rate), problem)
            until = _Until((xt[:2000], yt[:2000]), wanted, every, most)
            fit(model, train, most, callbacks=[until])
            return float(until.steps)

        return run

    return Trial(
        problem.name,
        f"8 hidden layers, averages with momentum 0.9, a look every {every} steps, at most {most}",
        f"steps until {wanted:g} % are right",
        "lower",
        {
            "without, rate 0.01": variant(0.01, False),
            "batch norm, rate 0.01": variant(0.01, True),
            "without, rate 0.1": variant(0.1, False),
            "batch norm, rate 0.1": variant(0.1, True),
        },
        log=True,
        overlap=problem.overlap,
    )


_NOISE = Problem("noise of N(0, 1)", 100, 10, lambda: ((np.zeros((0, 100)), np.zeros(0)), None))


def _selu(problem: Problem) -> Trial:
    def variant(activation: str, initializer: str) -> Callable[[int], float]:
        @seeded
        def run(seed: int) -> float:
            if problem is _NOISE:
                x = np.random.default_rng(seed).normal(size=(1000, 100)).astype("float32")
            else:
                (x, _), _ = problem.draw(1000, seed, standard=True)
            model = network(problem, activation, _INITIALIZERS[initializer](), [100] * 50)
            a = _hidden_answers(model, x)
            return max(abs(float(np.log10(a.std()))) + abs(float(a.mean())), 1e-3)

        return run

    return Trial(
        problem.name,
        "standardized inputs, 50 layers of 100 units, before training",
        "|log10 of deviation| + |mean|",
        "lower",
        {
            "selu, LeCun": variant("selu", "LeCun"),
            "selu, He": variant("selu", "He"),
            "relu, He": variant("relu", "He"),
            "elu, He": variant("elu", "He"),
            "tanh, Glorot": variant("tanh", "Glorot"),
        },
        log=True,
    )


def _clipping(problem: Problem, rows: int, epochs: int) -> Trial:
    def variant(**clip: float) -> Callable[[int], float]:
        @seeded
        def run(seed: int) -> float:
            train, _ = problem.draw(rows, seed, standard=True)
            grow = densa.initializers.VarianceScaling(4.0, "fan_in", "untruncated_normal")
            model = network(problem, "relu", grow, [50] * 20)
            fit(compiled(model, densa.optimizers.SGD(0.01, **clip), problem), train, epochs)
            return accuracy(model, train)

        return run

    return Trial(
        problem.name,
        f"20 layers, weights 1.4 times too large, {rows} rows, {epochs} epochs, a network that "
        "ends in NaN counts 0",
        "training accuracy, %",
        "higher",
        {
            "none": variant(),
            "clipvalue 1": variant(clipvalue=1.0),
            "clipnorm 1": variant(clipnorm=1.0),
            "global_clipnorm 1": variant(global_clipnorm=1.0),
        },
    )


CLAIMS = (
    Claim(
        "saturation",
        "Weights from N(0, 1) saturate sigmoids",
        "With weights from N(0, 1) sigmoid units saturate layer by layer; with Glorot's scale, or"
        " He's, they do not.",
        "A1-13, A1-06",
        (("Glorot", _NORMAL), ("He", _NORMAL)),
        (_saturation(FASHION, 1000), _saturation(DIGITS, 1000), _saturation(CANCER, None)),
    ),
    Claim(
        "depth",
        "Activation and initializer must fit each other in 20 layers",
        "A deep network trains with an activation that does not saturate and the initializer made"
        " for it (Table 11-1), and not with sigmoid or with weights from N(0, 1).",
        "A1-12, A2-19",
        (
            ("relu, He", f"relu, {_NORMAL}"),
            ("relu, He", "relu, Glorot"),
            ("relu, He", "sigmoid, Glorot"),
            ("tanh, Glorot", "sigmoid, Glorot"),
            ("selu, LeCun", "sigmoid, Glorot"),
            ("sigmoid, Glorot", f"sigmoid, {_NORMAL}"),
        ),
        (_depth(FASHION, 10_000, 5), _depth(DIGITS, 1437, 30)),
    ),
    Claim(
        "batch_norm",
        "Batch norm takes fewer steps",
        "With batch norm a network needs fewer steps to the same accuracy, and bears larger rates.",
        "A3-09, A3-10",
        (
            ("batch norm, rate 0.01", "without, rate 0.01"),
            ("batch norm, rate 0.1", "without, rate 0.1"),
        ),
        (_batch_norm(FASHION, 82, 50), _batch_norm(DIGITS, 88, 10), _batch_norm(CANCER, 95, 2)),
    ),
    Claim(
        "selu",
        "SELU keeps mean 0 and deviation 1",
        "Through many dense layers SELU with LeCun's initializer keeps mean 0 and deviation 1.",
        "A2-11, A2-12",
        (
            ("selu, LeCun", "selu, He"),
            ("selu, LeCun", "relu, He"),
            ("selu, LeCun", "elu, He"),
            ("selu, LeCun", "tanh, Glorot"),
        ),
        (_selu(_NOISE), _selu(FASHION), _selu(DIGITS)),
    ),
    Claim(
        "clipping",
        "Clipping saves a network whose gradients explode",
        "Where gradients explode, clipping them by value or by norm lets the network train.",
        "A4-01, A4-02, A5-02",
        (("clipvalue 1", "none"), ("clipnorm 1", "none"), ("global_clipnorm 1", "none")),
        (_clipping(FASHION, 5000, 10), _clipping(DIGITS, 1437, 30)),
    ),
)
