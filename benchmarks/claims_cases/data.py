"""The data sets: Fashion-MNIST, the digits, and tables that scikit-learn brings along."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

import densa

Data = tuple[Any, Any]


@dataclass(frozen=True)
class Problem:
    """Rows to learn from and rows to be judged by.

    A table has no test rows of its own: each seed splits off a third.
    """

    name: str
    inputs: int
    classes: int  # 0 where a number is predicted
    load: Callable[[], tuple[Data, Data | None]]
    overlap: float = 0.0  # see `Trial`

    def draw(self, rows: int | None, seed: int, standard: bool = False) -> tuple[Data, Data]:
        """`rows` to train on (None: all), drawn by the seed, and the test rows.

        Tables are standardized by the training rows; pictures lie in [0, 1] unless `standard`.
        """
        (x, y), test = self.load()
        order = np.random.default_rng(seed).permutation(len(x))
        if test is None:
            third = len(x) // 3
            test, order = (x[order[:third]], y[order[:third]]), order[third:]
        chosen = order[:rows]
        train = (x[chosen], y[chosen])
        if standard or self.overlap > 0:
            train, test = zip(standardized(train[0], test[0]), (train[1], test[1]), strict=True)
        if not self.classes:
            mean, deviation = train[1].mean(), train[1].std()
            train, test = (
                (a, ((b - mean) / deviation).astype("float32")) for a, b in (train, test)
            )
        return train, test


def standardized(train: Any, *others: Any) -> tuple[Any, ...]:
    """Every column to mean 0 and deviation 1, by the training rows; constant ones to 0."""
    mean, deviation = train.mean(0), train.std(0)
    scale = np.where(deviation > 1e-3, 1 / np.maximum(deviation, 1e-3), 0)
    return tuple(((a - mean) * scale).astype("float32") for a in (train, *others))


def _flat(x: Any, most: int) -> Any:
    return (x.reshape(len(x), -1) / np.float32(most)).astype("float32")


@functools.cache
def _fashion() -> tuple[Data, Data]:
    (x, y), (xt, yt) = densa.datasets.fashion_mnist.load_data()
    return (_flat(x, 255), y.astype("int32")), (_flat(xt, 255), yt.astype("int32"))


@functools.cache
def _digits() -> tuple[Data, Data]:
    (x, y), (xt, yt) = densa.datasets.digits.load_data()
    return (_flat(x, 16), y.astype("int32")), (_flat(xt, 16), yt.astype("int32"))


@functools.cache
def _table(name: str) -> tuple[Data, None]:
    import sklearn.datasets

    x, y = getattr(sklearn.datasets, f"load_{name}")(return_X_y=True)
    x = x / np.abs(x).max(0)  # `standardized` takes deviations under 0.001 for none
    return (x, y.astype("float32" if name == "diabetes" else "int32")), None


FASHION = Problem("Fashion-MNIST", 784, 10, _fashion)
DIGITS = Problem("digits", 64, 10, _digits)
CANCER = Problem("breast cancer", 30, 2, functools.partial(_table, "breast_cancer"), 0.5)
WINE = Problem("wine", 13, 3, functools.partial(_table, "wine"), 0.5)
DIABETES = Problem("diabetes", 10, 0, functools.partial(_table, "diabetes"), 0.5)
