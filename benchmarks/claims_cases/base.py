"""A claim, its verdict, and the data and networks that the claims share."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

import densa

Data = tuple[Any, Any]
layers = densa.layers


@dataclass(frozen=True)
class Claim:
    """`winner` is said to be better than each of `over`, in `measure`, on any seed."""

    name: str
    title: str
    says: str  # one sentence, what the texts claim
    source: str  # ids of the handbook
    measure: str
    better: str  # "higher" or "lower"
    variants: Mapping[str, Callable[[int], float]]  # seed → measure
    winner: str
    over: tuple[str, ...]
    log: bool = False  # the axis of the picture


@dataclass(frozen=True)
class Comparison:
    """Mean and 95 % interval of the winner's advantage over another variant, seed by seed."""

    other: str
    mean: float
    half: float

    @property
    def verdict(self) -> str:
        if self.mean - self.half > 0:
            return "holds"
        return "does not hold" if self.mean + self.half < 0 else "undecided"


def interval(values: Sequence[float]) -> tuple[float, float]:
    """Mean and half of the 95 % interval by Student's t; of one value the half is infinite."""
    from scipy.stats import t

    a = np.asarray(values, np.float64)
    if a.size < 2:
        return float(a.mean()), math.inf
    half = t.ppf(0.975, a.size - 1) * a.std(ddof=1) / math.sqrt(a.size)
    return float(a.mean()), float(half)


def compare(claim: Claim, measured: Mapping[str, Sequence[float]]) -> list[Comparison]:
    """The winner against each of the others; on a logarithmic axis their logarithms."""
    sign = 1.0 if claim.better == "higher" else -1.0
    scale = np.log10 if claim.log else np.asarray
    best = scale(np.asarray(measured[claim.winner], np.float64))
    found = []
    for other in claim.over:
        rest = scale(np.asarray(measured[other], np.float64))
        found.append(Comparison(other, *interval(sign * (best - rest))))
    return found


# ---- data ----------------------------------------------------------------------------------------


@functools.cache
def _fashion() -> tuple[Data, Data]:
    (x, y), (xt, yt) = densa.datasets.fashion_mnist.load_data()
    return (_flat(x), y.astype("int32")), (_flat(xt), yt.astype("int32"))


def _flat(x: Any) -> Any:
    return (x.reshape(len(x), -1) / np.float32(255)).astype("float32")


def fashion(rows: int, seed: int, held: int = 5000) -> tuple[Data, Data]:
    """Rows of Fashion-MNIST: `rows` to train on, drawn by the seed, and `held` of the test set."""
    (x, y), (xt, yt) = _fashion()
    chosen = np.random.default_rng(seed).permutation(len(x))[:rows]
    return (x[chosen], y[chosen]), (xt[:held], yt[:held])


def standardized(train: Any, *others: Any) -> tuple[Any, ...]:
    """Every column to mean 0 and deviation 1, by the training rows."""
    mean, deviation = train.mean(0), train.std(0)
    scale = np.where(deviation > 1e-3, 1 / np.maximum(deviation, 1e-3), 0).astype("float32")
    return tuple((a - mean) * scale for a in (train, *others))


# ---- networks ------------------------------------------------------------------------------------


def network(
    activation: str,
    initializer: Any,
    hidden: Sequence[int],
    inputs: int = 784,
    outputs: int = 10,
    *,
    between: Callable[[], Any] | None = None,
    batch_norm: bool = False,
    **dense: Any,
) -> Any:
    """Dense layers; `between` makes what stands behind each hidden one."""
    stack: list[Any] = [densa.Input((inputs,))]
    for units in hidden:
        stack.append(
            layers.Dense(units, kernel_initializer=initializer, use_bias=not batch_norm, **dense)
        )
        if batch_norm:
            stack.append(layers.BatchNormalization())
        stack.append(layers.Activation(activation))
        if between is not None:
            stack.append(between())
    stack.append(layers.Dense(outputs))
    return densa.Sequential(stack)


def compiled(model: Any, optimizer: Any) -> Any:
    """With cross-entropy from logits, and accuracy."""
    model.compile(
        optimizer,
        densa.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    return model


def fit(model: Any, data: Data, epochs: int, **arguments: Any) -> Any:
    """`fit` of batches of 32, without a word."""
    return model.fit(*data, batch_size=32, epochs=epochs, verbose=0, **arguments)


def accuracy(model: Any, data: Data) -> float:
    """Share of right answers in percent."""
    return 100 * float(model.evaluate(*data, verbose=0)[1])


def logits(model: Any, x: Any) -> Any:
    """In float64."""
    return np.asarray(model.predict(x, batch_size=1000, verbose=0), np.float64)


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
