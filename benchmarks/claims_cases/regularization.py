"""Dropout and its kin, l1, max-norm and augmentation: what keeps networks from overfitting."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import densa

from .base import (
    Claim,
    accuracy,
    calibration_error,
    compiled,
    fashion,
    fit,
    layers,
    logits,
    network,
    seeded,
    softmax,
    standardized,
)

_ROWS = 5000
_WIDE = (300, 300)


def _with_dropout(rate: float) -> Callable[[int], float]:
    @seeded
    def run(seed: int) -> float:
        train, test = fashion(_ROWS, seed, held=10_000)
        between = (lambda: layers.Dropout(rate)) if rate else None
        model = network("relu", "he_normal", _WIDE, between=between)
        fit(compiled(model, densa.optimizers.Adam(0.001)), train, 40)
        return accuracy(model, test)

    return run


def _epochs_to_fit(rate: float) -> Callable[[int], float]:
    """Epochs until the training rows are fitted, measured without dropout (A5-15)."""

    @seeded
    def run(seed: int) -> float:
        train, _ = fashion(2000, seed)
        between = (lambda: layers.Dropout(rate)) if rate else None
        model = network("relu", "he_normal", _WIDE, between=between)
        compiled(model, densa.optimizers.Adam(0.001))
        for epoch in range(1, 61):
            fit(model, train, 1)
            if accuracy(model, train) >= 90:
                return float(epoch)
        return 61.0

    return run


def _selu(drop: Callable[[], Any] | None) -> Callable[[int], float]:
    @seeded
    def run(seed: int) -> float:
        (x, y), (xt, yt) = fashion(_ROWS, seed, held=10_000)
        x, xt = standardized(x, xt)
        model = network("selu", "lecun_normal", [100] * 8, between=drop)
        fit(compiled(model, densa.optimizers.Adam(0.0005)), (x, y), 20)
        return accuracy(model, (xt, yt))

    return run


def _calibration(samples: int) -> Callable[[int], float]:
    """One network for all variants of a seed: only how it is asked differs."""

    @seeded
    def run(seed: int) -> float:
        train, (xt, yt) = fashion(_ROWS, seed, held=2000)
        model = network("relu", "he_normal", _WIDE, between=lambda: layers.Dropout(0.3))
        fit(compiled(model, densa.optimizers.Adam(0.001)), train, 40)
        if not samples:
            return calibration_error(softmax(logits(model, xt)), yt)
        p = sum(softmax(np.asarray(model(xt, training=True), np.float64)) for _ in range(samples))
        return calibration_error(p / samples, yt)

    return run


def _zeros(regularizer: Any) -> Callable[[int], float]:
    @seeded
    def run(seed: int) -> float:
        train, _ = fashion(10_000, seed)
        model = network("relu", "he_normal", (300, 100), kernel_regularizer=regularizer)
        fit(compiled(model, densa.optimizers.Adam(0.001)), train, 10)
        weights = np.concatenate(
            [np.ravel(layer.kernel) for layer in model.layers if hasattr(layer, "kernel")]
        )
        return 100 * float(np.mean(np.abs(weights) < 1e-3))

    return run


def _bounded(most: float | None) -> Callable[[int], float]:
    @seeded
    def run(seed: int) -> float:
        train, test = fashion(_ROWS, seed, held=10_000)
        constraint = None if most is None else densa.constraints.MaxNorm(most)
        model = network("relu", "he_normal", _WIDE, kernel_constraint=constraint)
        fit(compiled(model, densa.optimizers.SGD(0.05, momentum=0.9)), train, 30)
        return accuracy(model, test)

    return run


def _augmented(on: bool) -> Callable[[int], float]:
    @seeded
    def run(seed: int) -> float:
        (x, y), (xt, yt) = fashion(1000, seed, held=10_000)
        change = [layers.RandomTranslation(0.08, 0.08), layers.RandomFlip("horizontal")]
        model = densa.Sequential(
            [
                densa.Input((28, 28, 1)),
                *(change if on else ()),
                layers.Flatten(),
                layers.Dense(300, "relu", kernel_initializer="he_normal"),
                layers.Dense(100, "relu", kernel_initializer="he_normal"),
                layers.Dense(10),
            ]
        )
        images, others = (a.reshape(-1, 28, 28, 1) for a in (x, xt))
        fit(compiled(model, densa.optimizers.Adam(0.001)), (images, y), 60)
        return accuracy(model, (others, yt))

    return run


CLAIMS = (
    Claim(
        "dropout",
        "Dropout makes a network that overfits better",
        "Dropout between hidden layers raises the accuracy by one or two points.",
        "A9-01, A9-03",
        "test accuracy (5000 rows, 40 epochs), %",
        "higher",
        {f"rate {rate:g}": _with_dropout(rate) for rate in (0.0, 0.2, 0.5)},
        "rate 0.5",
        ("rate 0",),
    ),
    Claim(
        "dropout_speed",
        "Dropout slows training down",
        "A network with dropout needs more epochs (one text says so, another the opposite).",
        "A9-06",
        "epochs until 90 % of 2000 training rows are right",
        "lower",
        {f"rate {rate:g}": _epochs_to_fit(rate) for rate in (0.0, 0.2, 0.5)},
        "rate 0",
        ("rate 0.5",),
    ),
    Claim(
        "alpha_dropout",
        "SELU wants alpha dropout, not dropout",
        "In a self-normalizing network plain dropout breaks what alpha dropout keeps.",
        "A9-07, A2-12",
        "test accuracy (8 layers of SELU, rate 0.1), %",
        "higher",
        {
            "none": _selu(None),
            "dropout": _selu(lambda: layers.Dropout(0.1)),
            "alpha dropout": _selu(lambda: layers.AlphaDropout(0.1)),
        },
        "alpha dropout",
        ("dropout",),
    ),
    Claim(
        "mc_dropout",
        "Monte Carlo dropout knows better how sure it is",
        "The mean of many passes with dropout on is better calibrated than one without.",
        "A9-08",
        "expected calibration error, %",
        "lower",
        {
            "one pass": _calibration(0),
            "10 samples": _calibration(10),
            "50 samples": _calibration(50),
        },
        "50 samples",
        ("one pass",),
    ),
    Claim(
        "l1",
        "l1 makes weights zero, l2 does not",
        "l1 regularization drives most weights to zero; l2 only makes them small.",
        "A8-03",
        "weights under 0.001 in size, %",
        "higher",
        {
            "none": _zeros(None),
            "l2 0.0001": _zeros(densa.regularizers.L2(1e-4)),
            "l1 0.0001": _zeros(densa.regularizers.L1(1e-4)),
        },
        "l1 0.0001",
        ("none", "l2 0.0001"),
    ),
    Claim(
        "max_norm",
        "Max-norm helps against overfitting",
        "Keeping the norm of each unit's weights under a bound reduces overfitting.",
        "A8-08",
        "test accuracy (5000 rows, 30 epochs), %",
        "higher",
        {"none": _bounded(None), "max-norm 3": _bounded(3.0), "max-norm 1": _bounded(1.0)},
        "max-norm 1",
        ("none",),
    ),
    Claim(
        "augmentation",
        "Augmentation stands in for more rows",
        "Pictures that are shifted and mirrored at random make a network of few rows better.",
        "A13",
        "test accuracy (1000 rows, 60 epochs), %",
        "higher",
        {"none": _augmented(False), "shifts and flips": _augmented(True)},
        "shifts and flips",
        ("none",),
    ),
)
