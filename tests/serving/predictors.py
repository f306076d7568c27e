"""A network to serve in tests, and predictors that do as a test needs."""

from __future__ import annotations

import threading
import time
from typing import NamedTuple

import numpy as np

import densa


class Spec(NamedTuple):
    """A TensorSpec."""

    name: str
    shape: tuple[int | None, ...]
    dtype: str


def network(seed=3):
    """64-128-128-10, the small net that the ecosystem's servers were measured with."""
    densa.utils.set_random_seed(seed)
    layers = densa.layers
    return densa.Sequential(
        [
            densa.Input((64,), name="x"),
            layers.Dense(128, "relu"),
            layers.Dense(128, "relu"),
            layers.Dense(10, "softmax", name="y"),
        ]
    )


class Sums:
    """Two inputs, two outputs of other types: `total` = Σ a + n per row, `any` = whether a > 0."""

    inputs = (Spec("a", (None, 3), "float32"), Spec("n", (None, 1), "int64"))
    outputs = (Spec("total", (None, 1), "float64"), Spec("any", (None, 3), "bool"))

    def run(self, arrays):
        a, n = arrays
        return [a.sum(1, keepdims=True, dtype=np.float64) + n, a > 0]


class Echo:
    """Gives back what it gets, in any type; remembers what was asked in which thread."""

    def __init__(self, dtype="float32", shape=(None, 2), seconds=0.0):
        self.inputs = (Spec("x", shape, dtype),)
        self.outputs = (Spec("y", shape, dtype),)
        self.seconds = seconds
        self.calls = []

    def run(self, arrays):
        self.calls.append((arrays[0].shape, threading.current_thread()))
        time.sleep(self.seconds)
        if (arrays[0] == -7).any():
            raise ValueError("-7 is not a value this predictor takes")
        return [arrays[0]]


class Gated(Echo):
    """Runs until its gate is opened."""

    def __init__(self):
        super().__init__()
        self.started = threading.Event()
        self.gate = threading.Event()

    def run(self, arrays):
        self.started.set()
        assert self.gate.wait(60)
        return super().run(arrays)
