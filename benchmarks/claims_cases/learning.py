"""Optimizers, schedules, early stopping and transfer: how fast and how far networks learn."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import densa

from .base import Claim, accuracy, compiled, fashion, fit, layers, logits, network, seeded, softmax

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


def _budget(name: str) -> Callable[[int], float]:
    """The best of six rates by other rows, as everyone tunes; the same for every optimizer."""

    def run(seed: int) -> float:
        train, (xt, yt) = fashion(10_000, seed, held=10_000)
        best = (-1.0, 0.0)
        for rate in _RATES:
            densa.utils.set_random_seed(1000 + seed)
            model = compiled(network("relu", "he_normal", _HIDDEN), _OPTIMIZERS[name](rate))
            fit(model, train, 3)
            chosen = accuracy(model, (xt[:5000], yt[:5000]))
            best = max(best, (chosen, accuracy(model, (xt[5000:], yt[5000:]))))
        return best[1]

    return run


_EPOCHS = 20
_PEAK = 0.1


def _one_cycle(epoch: int) -> float:
    half = 0.45 * _EPOCHS
    if epoch < half:
        return _PEAK * (0.1 + 0.9 * epoch / half)
    if epoch < 2 * half:
        return _PEAK * (1 - 0.9 * (epoch - half) / half)
    return _PEAK / 1000


_SCHEDULES: dict[str, Callable[[int], float]] = {
    "constant": lambda epoch: _PEAK / 2,
    "power": lambda epoch: _PEAK / (1 + epoch / 5),
    "exponential": lambda epoch: _PEAK * 0.1 ** (epoch / 10),
    "piecewise": lambda epoch: _PEAK if epoch < 10 else _PEAK / 10,
    "1cycle": _one_cycle,
}


def _scheduled(name: str) -> Callable[[int], float]:
    @seeded
    def run(seed: int) -> float:
        train, test = fashion(20_000, seed, held=10_000)
        model = compiled(network("relu", "he_normal", _HIDDEN), _o.SGD(_PEAK, momentum=0.9))
        if name == "performance":
            callback: Any = densa.callbacks.ReduceLROnPlateau(
                monitor="loss", factor=0.5, patience=1, min_delta=0.01
            )
        else:
            callback = densa.callbacks.LearningRateScheduler(_SCHEDULES[name])
        fit(model, train, _EPOCHS, callbacks=[callback])
        return accuracy(model, test)

    return run


def _stopped(early: bool) -> Callable[[int], float]:
    """Rows for stopping are taken from the training rows, as they would be."""

    @seeded
    def run(seed: int) -> float:
        (x, y), test = fashion(2000, seed, held=10_000)
        model = compiled(network("relu", "he_normal", _HIDDEN), _o.Adam(0.001))
        if early:
            stop = densa.callbacks.EarlyStopping(patience=5, restore_best_weights=True)
            fit(
                model,
                (x[:1600], y[:1600]),
                60,
                validation_data=(x[1600:], y[1600:]),
                callbacks=[stop],
            )
        else:
            fit(model, (x, y), 60)
        p = softmax(logits(model, test[0]))
        return float(-np.log(np.maximum(p[np.arange(len(p)), test[1]], 1e-12)).mean())

    return run


_SANDAL, _SHIRT = 5, 6


def _of_classes(data: Any, classes: Any) -> Any:
    x, y = data
    kept = np.isin(y, classes)
    return x[kept], np.searchsorted(classes, y[kept]).astype("int32")


def _transferred(how: str) -> Callable[[int], float]:
    """The text's task: sandals against shirts from 200 rows; A knows the other eight classes."""

    @seeded
    def run(seed: int) -> float:
        rows, test = fashion(40_000, seed, held=10_000)
        b_train = tuple(a[:200] for a in _of_classes(rows, [_SANDAL, _SHIRT]))
        b_test = _of_classes(test, [_SANDAL, _SHIRT])
        others = [c for c in range(10) if c not in (_SANDAL, _SHIRT)]
        hidden = (100, 100)
        if how == "scratch":
            model = network("relu", "he_normal", hidden, outputs=2)
            compiled(model, _o.SGD(0.01, momentum=0.9))
            fit(model, b_train, 20)
            return accuracy(model, b_test)
        first = compiled(
            network("relu", "he_normal", hidden, outputs=8), _o.SGD(0.01, momentum=0.9)
        )
        fit(first, _of_classes(rows, others), 5)
        model = densa.Sequential([densa.Input((784,)), *first.layers[:-1], layers.Dense(2)])
        for layer in model.layers[:-1]:
            layer.trainable = False
        compiled(model, _o.SGD(0.01, momentum=0.9))
        fit(model, b_train, 4)
        if how == "transfer":
            for layer in model.layers[:-1]:
                layer.trainable = True
            compiled(model, _o.SGD(0.001, momentum=0.9))
        fit(model, b_train, 16)
        return accuracy(model, b_test)

    return run


CLAIMS = (
    Claim(
        "optimizers",
        "Nesterov and Adam get further than SGD and AdaGrad on the same budget",
        "On the same budget momentum, Nesterov and the adaptive methods get further than plain SGD,"
        " and AdaGrad stops too early (Table 11-2).",
        "A6-15, A6-07",
        "test accuracy after 3 epochs, the best of six rates, %",
        "higher",
        {name: _budget(name) for name in _OPTIMIZERS},
        "Nesterov",
        ("SGD", "AdaGrad"),
    ),
    Claim(
        "schedules",
        "1cycle is better than a constant rate and than exponential decay",
        "Schedules beat a constant rate, and 1cycle beats exponential and performance scheduling.",
        "A7-12, A7-21",
        f"test accuracy after {_EPOCHS} epochs, %",
        "higher",
        {name: _scheduled(name) for name in (*_SCHEDULES, "performance")},
        "1cycle",
        ("constant", "exponential", "performance"),
    ),
    Claim(
        "early_stopping",
        "Early stopping keeps a network from overfitting",
        "Stopping where other rows' loss is smallest gives a better network than training on, even"
        " though it holds a fifth of the rows back.",
        "A8-10",
        "test loss (2000 rows, at most 60 epochs)",
        "lower",
        {"60 epochs": _stopped(False), "early stopping": _stopped(True)},
        "early stopping",
        ("60 epochs",),
    ),
    Claim(
        "transfer",
        "Reused layers help a small data set",
        "Sandals against shirts from 200 rows: layers of a network that knows the other classes"
        " help; the text admits that it chose the example, and that dense layers transfer poorly.",
        "A10-07, A10-10",
        "test accuracy, %",
        "higher",
        {
            "from scratch": _transferred("scratch"),
            "layers frozen": _transferred("frozen"),
            "frozen, then trained": _transferred("transfer"),
        },
        "frozen, then trained",
        ("from scratch",),
    ),
)
