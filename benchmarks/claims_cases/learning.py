"""Optimizers, schedules, early stopping and transfer: how fast and how far networks learn."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import densa

from .base import Claim, Trial
from .data import CANCER, DIABETES, DIGITS, FASHION, WINE, Data, Problem
from .nets import accuracy, at_best_rate, compiled, fit, layers, loss, network, seeded

_HIDDEN = (300, 100)
_RATES = (0.0003, 0.001, 0.003, 0.01, 0.03, 0.1)
_o = densa.optimizers
_OPTIMIZERS: dict[str, Callable[[float], Any]] = {
    "SGD": _o.SGD,
    "momentum": lambda rate: _o.SGD(rate, momentum=0.9),
    "Nesterov": lambda rate: _o.SGD(rate, momentum=0.9, nesterov=True),
    "AdaGrad": _o.Adagrad,
    "RMSProp": _o.RMSprop,
    "Adam": _o.Adam,
    "AdaMax": _o.Adamax,
    "Nadam": _o.Nadam,
    "AdamW": _o.AdamW,
}


def _budget(problem: Problem, rows: int | None, epochs: int, names: Sequence[str]) -> Trial:
    """The same six rates for every optimizer, the best of them chosen as one would."""

    def variant(name: str) -> Callable[[int], float]:
        def train(rate: float, data: Data) -> Any:
            model = network(problem, "relu", "he_normal", _HIDDEN)
            fit(compiled(model, _OPTIMIZERS[name](rate), problem), data, epochs)
            return model

        return lambda seed: at_best_rate(problem, rows, seed, _RATES, train)

    return Trial(
        problem.name,
        f"{f'{rows} rows, ' if rows else ''}{epochs} epochs, the best of six rates by rows held"
        " back",
        "test accuracy, %",
        "higher",
        {name: variant(name) for name in names},
        overlap=problem.overlap,
    )


_PEAKS = (0.01, 0.03, 0.1)
_FACTORS: dict[str, Callable[[float], float]] = {  # of the part of the training that is over
    "constant": lambda part: 1.0,
    "power": lambda part: 1 / (1 + 4 * part),
    "exponential": lambda part: 0.1 ** (2 * part),
    "piecewise": lambda part: 1.0 if part < 0.5 else 0.1,
}


def _schedules(problem: Problem, rows: int, epochs: int) -> Trial:
    def callbacks(name: str, peak: float) -> list[Any]:
        if name in _FACTORS:
            return [
                densa.callbacks.LearningRateScheduler(
                    lambda epoch: peak * _FACTORS[name](epoch / epochs)
                )
            ]
        if name == "performance":
            return [
                densa.callbacks.ReduceLROnPlateau(
                    monitor="loss", factor=0.5, patience=1, min_delta=0.01
                )
            ]
        return []

    def variant(name: str) -> Callable[[int], float]:
        def train(peak: float, data: Data) -> Any:
            rate: Any = peak
            if name == "1cycle":
                steps = epochs * -(-len(data[0]) // 32)
                rate = _o.schedules.OneCycle(peak, steps)
            model = network(problem, "relu", "he_normal", _HIDDEN)
            compiled(model, _o.SGD(rate, momentum=0.9), problem)
            fit(model, data, epochs, callbacks=callbacks(name, peak))
            return model

        return lambda seed: at_best_rate(problem, rows, seed, _PEAKS, train)

    return Trial(
        problem.name,
        f"{rows} rows, {epochs} epochs, momentum 0.9, the best of three peak rates by rows held"
        " back",
        "test accuracy, %",
        "higher",
        {name: variant(name) for name in (*_FACTORS, "performance", "1cycle")},
    )


def _early_stopping(problem: Problem, rows: int | None, epochs: int) -> Trial:
    """Rows for stopping are taken from the training rows, as they would be."""

    def variant(early: bool) -> Callable[[int], float]:
        @seeded
        def run(seed: int) -> float:
            (x, y), test = problem.draw(rows, seed)
            model = network(problem, "relu", "he_normal", _HIDDEN)
            compiled(model, _o.Adam(0.001), problem)
            if early:
                held = len(x) // 5
                stop = densa.callbacks.EarlyStopping(patience=5, restore_best_weights=True)
                fit(
                    model,
                    (x[held:], y[held:]),
                    epochs,
                    validation_data=(x[:held], y[:held]),
                    callbacks=[stop],
                )
            else:
                fit(model, (x, y), epochs)
            return loss(model, test)

        return run

    return Trial(
        problem.name,
        f"{f'{rows} rows, ' if rows else ''}at most {epochs} epochs",
        "test loss",
        "lower",
        {"all epochs": variant(False), "early stopping": variant(True)},
        overlap=problem.overlap,
    )


def _of_classes(data: Data, classes: Sequence[int]) -> Data:
    x, y = data
    kept = np.isin(y, classes)
    return x[kept], np.searchsorted(classes, y[kept]).astype("int32")


def _transfer(
    problem: Problem, name: str, rows: int, few: int, epochs: int, pair: tuple[int, int] | None
) -> Trial:
    """Two classes from a few rows by layers that know the other eight."""

    def variant(how: str) -> Callable[[int], float]:
        @seeded
        def run(seed: int) -> float:
            drawn, test = problem.draw(rows, seed)
            two = sorted(pair or np.random.default_rng(seed).permutation(10)[:2].tolist())
            x, y = _of_classes(drawn, two)
            train, test = (x[:few], y[:few]), _of_classes(test, two)
            hidden = (100, 100)
            if how == "from scratch":
                model = network(problem, "relu", "he_normal", hidden, outputs=2)
                fit(compiled(model, _o.SGD(0.01, momentum=0.9), problem), train, 20)
                return accuracy(model, test)
            first = network(problem, "relu", "he_normal", hidden, outputs=8)
            compiled(first, _o.SGD(0.01, momentum=0.9), problem)
            fit(first, _of_classes(drawn, [c for c in range(10) if c not in two]), epochs)
            model = densa.Sequential(
                [densa.Input((problem.inputs,)), *first.layers[:-1], layers.Dense(2)]
            )
            for layer in model.layers[:-1]:
                layer.trainable = False
            fit(compiled(model, _o.SGD(0.01, momentum=0.9), problem), train, 4)
            if how == "frozen, then trained":
                for layer in model.layers[:-1]:
                    layer.trainable = True
                compiled(model, _o.SGD(0.001, momentum=0.9), problem)
            fit(model, train, 16)
            return accuracy(model, test)

        return run

    return Trial(
        name,
        f"{few} rows, 20 epochs; the layers from {epochs} epochs with the other eight classes",
        "test accuracy, %",
        "higher",
        {how: variant(how) for how in ("from scratch", "layers frozen", "frozen, then trained")},
    )


_ADAPTIVE = ("RMSProp", "Adam", "AdaMax", "Nadam", "AdamW")

CLAIMS = (
    Claim(
        "optimizers",
        "Momentum and adaptive optimizers are faster than plain SGD",
        "On the same small budget momentum and Nesterov get further than plain SGD, and adaptive"
        " methods further still (Table 11-2, speed).",
        "A6-15",
        (("momentum", "SGD"), ("Nesterov", "SGD"), ("Adam", "SGD"), ("Adam", "Nesterov")),
        (
            _budget(FASHION, 10_000, 3, tuple(_OPTIMIZERS)),
            _budget(DIGITS, 1437, 5, tuple(_OPTIMIZERS)),
            _budget(WINE, None, 10, tuple(_OPTIMIZERS)),
        ),
    ),
    Claim(
        "optimizers_quality",
        "AdaGrad stops too early",
        "Given time, plain SGD, Nesterov and Adam end better than AdaGrad (Table 11-2, quality),"
        " and Nesterov better than Adam.",
        "A6-07, A6-13, A6-15",
        (
            ("SGD", "AdaGrad"),
            ("Nesterov", "AdaGrad"),
            ("Adam", "AdaGrad"),
            ("Nesterov", "Adam"),
        ),
        (
            _budget(FASHION, 10_000, 20, ("SGD", "Nesterov", "AdaGrad", "Adam")),
            _budget(DIGITS, 1437, 60, ("SGD", "Nesterov", "AdaGrad", "Adam")),
        ),
    ),
    Claim(
        "schedules",
        "1cycle is better than a constant rate and than exponential decay",
        "Schedules beat a constant rate, and 1cycle beats exponential and performance scheduling.",
        "A7-12, A7-21",
        (
            ("exponential", "constant"),
            ("1cycle", "constant"),
            ("1cycle", "exponential"),
            ("1cycle", "performance"),
        ),
        (_schedules(FASHION, 20_000, 10), _schedules(DIGITS, 1437, 30)),
    ),
    Claim(
        "early_stopping",
        "Early stopping keeps a network from overfitting",
        "Stopping where other rows' loss is smallest gives a better network than training on, even"
        " though it holds a fifth of the rows back.",
        "A8-10",
        (("early stopping", "all epochs"),),
        (
            _early_stopping(FASHION, 2000, 60),
            _early_stopping(DIGITS, 500, 100),
            _early_stopping(CANCER, None, 100),
            _early_stopping(DIABETES, None, 100),
        ),
    ),
    Claim(
        "transfer",
        "Reused layers help a small data set",
        "Layers of a network that knows other classes help with two new ones from few rows; the"
        " text's own example is sandals and shirts, of which it says that it was picked, and that"
        " small dense networks transfer poorly.",
        "A10-07, A10-10",
        (("frozen, then trained", "from scratch"), ("layers frozen", "from scratch")),
        (
            _transfer(FASHION, "Fashion-MNIST, sandals and shirts", 40_000, 200, 5, (5, 6)),
            _transfer(FASHION, "Fashion-MNIST, two classes drawn", 40_000, 200, 5, None),
            _transfer(DIGITS, "digits, two drawn", 1437, 40, 40, None),
        ),
    ),
)
