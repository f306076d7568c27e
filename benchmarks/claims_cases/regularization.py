"""Dropout and its kin, l1, max-norm and augmentation: what keeps networks from overfitting."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import densa

from .base import Claim, Trial
from .data import CANCER, DIABETES, DIGITS, FASHION, Data, Problem
from .nets import (
    accuracy,
    at_best_rate,
    calibration_error,
    compiled,
    fit,
    layers,
    logits,
    network,
    seeded,
    softmax,
)

_WIDE = (300, 300)
_DROPOUTS = (0.0, 0.2, 0.5)


def _rows(rows: int | None, epochs: int) -> str:
    return f"{f'{rows} rows, ' if rows else ''}{epochs} epochs"


def _dropped_out(problem: Problem, rate: float) -> Any:
    between = (lambda: layers.Dropout(rate)) if rate else None
    model = network(problem, "relu", "he_normal", _WIDE, between=between)
    return compiled(model, densa.optimizers.Adam(0.001), problem)


def _dropout(problem: Problem, rows: int | None, epochs: int) -> Trial:
    def variant(rate: float) -> Callable[[int], float]:
        @seeded
        def run(seed: int) -> float:
            train, test = problem.draw(rows, seed)
            model = _dropped_out(problem, rate)
            fit(model, train, epochs)
            return accuracy(model, test)

        return run

    return Trial(
        problem.name,
        _rows(rows, epochs),
        "test accuracy, %",
        "higher",
        {f"rate {rate:g}": variant(rate) for rate in _DROPOUTS},
        overlap=problem.overlap,
    )


def _dropout_speed(problem: Problem, rows: int, wanted: float) -> Trial:
    """Measured without dropout (A5-15)."""
    most = 60

    def variant(rate: float) -> Callable[[int], float]:
        @seeded
        def run(seed: int) -> float:
            train, _ = problem.draw(rows, seed)
            model = _dropped_out(problem, rate)
            for epoch in range(1, most + 1):
                fit(model, train, 1)
                if accuracy(model, train) >= wanted:
                    return float(epoch)
            return float(most + 1)

        return run

    return Trial(
        problem.name,
        f"of {rows} training rows, without dropout; at most {most} epochs",
        f"epochs until {wanted:g} % are right",
        "lower",
        {f"rate {rate:g}": variant(rate) for rate in _DROPOUTS},
    )


def _alpha_dropout(problem: Problem, rows: int, epochs: int) -> Trial:
    def variant(drop: Callable[[], Any] | None) -> Callable[[int], float]:
        @seeded
        def run(seed: int) -> float:
            train, test = problem.draw(rows, seed, standard=True)
            model = network(problem, "selu", "lecun_normal", [100] * 8, between=drop)
            fit(compiled(model, densa.optimizers.Adam(0.0005), problem), train, epochs)
            return accuracy(model, test)

        return run

    return Trial(
        problem.name,
        f"8 layers of SELU, rate 0.1, {_rows(rows, epochs)}",
        "test accuracy, %",
        "higher",
        {
            "none": variant(None),
            "dropout": variant(lambda: layers.Dropout(0.1)),
            "alpha dropout": variant(lambda: layers.AlphaDropout(0.1)),
        },
    )


def _mc_dropout(problem: Problem, rows: int, epochs: int) -> Trial:
    """The same network for all variants of a seed: only how it is asked differs."""

    def variant(samples: int) -> Callable[[int], float]:
        @seeded
        def run(seed: int) -> float:
            train, (xt, yt) = problem.draw(rows, seed)
            model = _dropped_out(problem, 0.3)
            fit(model, train, epochs)
            if not samples:
                return calibration_error(softmax(logits(model, xt)), yt)
            p = 0.0
            for _ in range(samples):
                p = p + softmax(np.asarray(model(xt, training=True), np.float64))
            return calibration_error(p / samples, yt)

        return run

    return Trial(
        problem.name,
        f"dropout 0.3, {_rows(rows, epochs)}",
        "expected calibration error, %",
        "lower",
        {"one pass": variant(0), "10 samples": variant(10), "100 samples": variant(100)},
    )


def _sparse(problem: Problem, rows: int | None, epochs: int) -> Trial:
    def variant(regularizer: Any) -> Callable[[int], float]:
        @seeded
        def run(seed: int) -> float:
            train, _ = problem.draw(rows, seed)
            model = network(
                problem, "relu", "he_normal", (300, 100), kernel_regularizer=regularizer
            )
            fit(compiled(model, densa.optimizers.Adam(0.001), problem), train, epochs)
            weights = np.concatenate(
                [np.ravel(layer.kernel) for layer in model.layers if hasattr(layer, "kernel")]
            )
            return 100 * float(np.mean(np.abs(weights) < 1e-3))

        return run

    return Trial(
        problem.name,
        _rows(rows, epochs),
        "weights below 0.001, %",
        "higher",
        {
            "none": variant(None),
            "l2 0.0001": variant(densa.regularizers.L2(1e-4)),
            "l1 0.0001": variant(densa.regularizers.L1(1e-4)),
        },
        overlap=problem.overlap,
    )


def _max_norm(problem: Problem, rows: int | None, epochs: int) -> Trial:
    def variant(most: float | None) -> Callable[[int], float]:
        def train(rate: float, data: Data) -> Any:
            constraint = None if most is None else densa.constraints.MaxNorm(most)
            model = network(problem, "relu", "he_normal", _WIDE, kernel_constraint=constraint)
            fit(compiled(model, densa.optimizers.SGD(rate, momentum=0.9), problem), data, epochs)
            return model

        return lambda seed: at_best_rate(problem, rows, seed, (0.003, 0.01, 0.03), train)

    return Trial(
        problem.name,
        f"{_rows(rows, epochs)}, the best of three rates by rows held back",
        "test accuracy, %" if problem.classes else "variance explained, %",
        "higher",
        {"none": variant(None), "max-norm 3": variant(3.0), "max-norm 1": variant(1.0)},
        overlap=problem.overlap,
    )


def _augmentation(
    problem: Problem, rows: int, epochs: int, change: Callable[[], list[Any]], what: str
) -> Trial:
    side = round(problem.inputs**0.5)

    def variant(on: bool) -> Callable[[int], float]:
        @seeded
        def run(seed: int) -> float:
            (x, y), (xt, yt) = problem.draw(rows, seed)
            model = densa.Sequential(
                [
                    densa.Input((side, side, 1)),
                    *(change() if on else ()),
                    layers.Flatten(),
                    layers.Dense(300, "relu", kernel_initializer="he_normal"),
                    layers.Dense(100, "relu", kernel_initializer="he_normal"),
                    layers.Dense(10),
                ]
            )
            images, others = (a.reshape(-1, side, side, 1) for a in (x, xt))
            fit(compiled(model, densa.optimizers.Adam(0.001), problem), (images, y), epochs)
            return accuracy(model, (others, yt))

        return run

    return Trial(
        problem.name,
        f"{what}, {_rows(rows, epochs)}",
        "test accuracy, %",
        "higher",
        {"none": variant(False), "augmented": variant(True)},
    )


CLAIMS = (
    Claim(
        "dropout",
        "Dropout makes a network that overfits better",
        "Dropout between hidden layers raises the accuracy.",
        "A9-01, A9-03",
        (("rate 0.2", "rate 0"), ("rate 0.5", "rate 0")),
        (_dropout(FASHION, 5000, 40), _dropout(DIGITS, 500, 100), _dropout(CANCER, None, 100)),
    ),
    Claim(
        "dropout_speed",
        "Dropout slows training down",
        "A network with dropout needs more epochs (one text says so, another the opposite).",
        "A9-06",
        (("rate 0", "rate 0.2"), ("rate 0", "rate 0.5")),
        (_dropout_speed(FASHION, 2000, 90), _dropout_speed(DIGITS, 1437, 99)),
    ),
    Claim(
        "alpha_dropout",
        "SELU wants alpha dropout, not dropout",
        "In a self-normalizing network plain dropout breaks what alpha dropout keeps.",
        "A9-07, A2-12",
        (("alpha dropout", "dropout"),),
        (_alpha_dropout(FASHION, 5000, 20), _alpha_dropout(DIGITS, 1437, 60)),
    ),
    Claim(
        "mc_dropout",
        "Monte Carlo dropout knows better how sure it is",
        "The mean of many passes with dropout on is better calibrated than one without.",
        "A9-08",
        (("10 samples", "one pass"), ("100 samples", "one pass")),
        (_mc_dropout(FASHION, 5000, 40), _mc_dropout(DIGITS, 500, 100)),
    ),
    Claim(
        "l1",
        "l1 makes weights zero, l2 does not",
        "l1 regularization drives most weights to zero; l2 only makes them small.",
        "A8-03",
        (("l1 0.0001", "none"), ("l1 0.0001", "l2 0.0001")),
        (_sparse(FASHION, 10_000, 10), _sparse(DIGITS, 1437, 60), _sparse(CANCER, None, 100)),
    ),
    Claim(
        "max_norm",
        "Max-norm helps against overfitting",
        "Keeping the norm of each unit's weights under a bound reduces overfitting.",
        "A8-08",
        (("max-norm 3", "none"), ("max-norm 1", "none")),
        (
            _max_norm(FASHION, 5000, 30),
            _max_norm(DIGITS, 500, 100),
            _max_norm(DIABETES, None, 100),
        ),
    ),
    Claim(
        "augmentation",
        "Augmentation stands in for more rows",
        "Pictures that are changed at random, so that their class stays, make a network of few rows"
        " better.",
        "A13-08",
        (("augmented", "none"),),
        (
            _augmentation(
                FASHION,
                1000,
                60,
                lambda: [layers.RandomTranslation(0.08, 0.08), layers.RandomFlip("horizontal")],
                "shifts and flips",
            ),
            _augmentation(
                DIGITS,
                500,
                100,
                lambda: [layers.RandomTranslation(0.1, 0.1)],
                "shifts of up to a pixel",
            ),
        ),
    ),
)
