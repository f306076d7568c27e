"""The predictor that the examples serve: a saved model, called row by row.

It stands where a frozen network will stand (`model.freeze()`), with the same interface.
"""

from __future__ import annotations

import os
import threading
from typing import Any, NamedTuple

import numpy as np

import densa


class Spec(NamedTuple):
    """Name, shape and type of an input or output; None is the axis of rows."""

    name: str
    shape: tuple[int | None, ...]
    dtype: str


class ModelPredictor:
    """A model with one input and one output of float32. One call at a time runs it."""

    def __init__(self, model: Any) -> None:
        (x,), (y,) = model.inputs, model.outputs
        self.inputs = (Spec("x", tuple(x.shape), "float32"),)
        self.outputs = (Spec("y", tuple(y.shape), "float32"),)
        self._model = model
        self._lock = threading.Lock()

    def run(self, arrays: list[np.ndarray]) -> list[np.ndarray]:
        """The outputs of some rows."""
        (x,) = arrays
        if x.dtype != np.float32:
            raise TypeError(f"x has dtype {x.dtype}, not float32.")
        if x.shape[1:] != self.inputs[0].shape[1:]:
            raise ValueError(f"x has shape {x.shape}, not {self.inputs[0].shape}.")
        with self._lock:
            return [np.asarray(self._model.predict(x, verbose=0))]


def load() -> ModelPredictor:
    """The model that DENSA_MODEL names, by default the one that `densa train digits` saves."""
    return ModelPredictor(densa.saving.load_model(os.environ.get("DENSA_MODEL", "model.densa")))
