"""The networks that the claims share, how they are trained, and what is measured of them."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import densa

from .data import Data, Problem

layers = densa.layers


def network(
    problem: Problem,
    activation: str,
    initializer: Any,
    hidden: Sequence[int],
    *,
    outputs: int | None = None,
    between: Callable[[], Any] | None = None,
    batch_norm: bool = False,
    **dense: Any,
) -> Any:
    """Dense layers for the problem; `between` makes what stands behind each hidden one."""
    stack: list[Any] = [densa.Input((problem.inputs,))]
    for units in hidden:
        stack.append(
            layers.Dense(units, kernel_initializer=initializer, use_bias=not batch_norm, **dense)
        )
        if batch_norm:
            # 0.99 would remember the beginning for longer than some of these trainings last.
            stack.append(layers.BatchNormalization(momentum=0.9))
        stack.append(layers.Activation(activation))
        if between is not None:
            stack.append(between())
    stack.append(layers.Dense(outputs or problem.classes or 1))
    return densa.Sequential(stack)


def compiled(model: Any, optimizer: Any, problem: Problem) -> Any:
    """With cross-entropy from logits and accuracy, or with the squared error."""
    if problem.classes:
        loss = densa.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(optimizer, loss, metrics=["accuracy"])
    else:
        model.compile(optimizer, "mse")
    return model


def fit(model: Any, data: Data, epochs: int, **arguments: Any) -> Any:
    """`fit` of batches of 32, without a word."""
    return model.fit(*data, batch_size=32, epochs=epochs, verbose=0, **arguments)


def loss(model: Any, data: Data) -> float:
    """The loss that it was compiled with, of one that has no regularizers."""
    found = model.evaluate(*data, verbose=0)
    return float(found[0] if isinstance(found, list | tuple) else found)


def accuracy(model: Any, data: Data) -> float:
    """Share of right answers in percent; a network that answers NaN has none."""
    z = logits(model, data[0])
    return 100 * float(np.mean((z.argmax(1) == data[1]) & np.isfinite(z).all(1)))


def logits(model: Any, x: Any) -> Any:
    """In float64."""
    return np.asarray(model.predict(x, batch_size=1000, verbose=0), np.float64)


def quality(model: Any, data: Data, problem: Problem) -> float:
    """Higher is better: the accuracy, or of a number how little of its variance is left."""
    if problem.classes:
        return accuracy(model, data)
    left = np.mean((logits(model, data[0])[:, 0] - data[1]) ** 2) / np.var(data[1])
    return 100 * (1 - float(left)) if np.isfinite(left) else 0.0


def at_best_rate(
    problem: Problem,
    rows: int | None,
    seed: int,
    rates: Sequence[float],
    train: Callable[[float, Data], Any],
) -> float:
    """Test quality of the model of that rate that does best on a fifth of the training rows.

    `train(rate, data)` makes, trains and returns a model; its random state is the same each time.
    """
    (x, y), test = problem.draw(rows, seed)
    held = len(x) // 5
    best = (-np.inf, 0.0)
    for rate in rates:
        densa.utils.set_random_seed(1000 + seed)
        model = train(rate, (x[held:], y[held:]))
        chosen = quality(model, (x[:held], y[:held]), problem)
        if chosen > best[0]:
            best = (chosen, quality(model, test, problem))
    return best[1]


def softmax(z: Any) -> Any:
    """Over the last axis."""
    e = np.exp(z - z.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def calibration_error(p: Any, y: Any, bins: int = 15) -> float:
    """Expected calibration error in percent."""
    sure, right = p.max(1), p.argmax(1) == y
    part = np.minimum((sure * bins).astype(int), bins - 1)
    gaps = [
        abs(right[part == b].mean() - sure[part == b].mean()) * (part == b).mean()
        for b in range(bins)
        if (part == b).any()
    ]
    return 100 * float(sum(gaps))


def seeded(function: Callable[[int], float]) -> Callable[[int], float]:
    """The variant with densa's random state set by its seed first."""

    @functools.wraps(function)
    def run(seed: int) -> float:
        densa.utils.set_random_seed(1000 + seed)
        return function(seed)

    return run
