"""Models and data that the tests of training share."""

from __future__ import annotations

import numpy as np

import densa
from densa import layers


def linear(inputs=3, outputs=1, seed=0, **arguments):
    densa.utils.set_random_seed(seed)
    return densa.Sequential([densa.Input((inputs,)), layers.Dense(outputs, **arguments)])


def regression(rows=40, inputs=3, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((rows, inputs)).astype("f4")
    return x, (x @ np.arange(1.0, inputs + 1)[:, None] + 0.5).astype("f4")


def classes(rows=60, seed=0):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, rows)
    centres = np.array([[2.0, 0, 0, 0], [0, 2.0, 0, 0], [0, 0, 2.0, 0]])
    return (centres[labels] + 0.3 * rng.standard_normal((rows, 4))).astype("f4"), labels


def two_outputs():
    densa.utils.set_random_seed(2)
    a, b = densa.Input((3,), name="a"), densa.Input((2,), name="b")
    joined = layers.Concatenate()([a, b])
    main = layers.Dense(1, name="main")(joined)
    side = layers.Dense(2, name="side")(joined)
    return densa.Model([a, b], [main, side])
