"""Keras 3 on JAX: its own `fit`, for single steps and for the whole run."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np

from networks import NETWORKS
from peers import Job, Prepared, Unavailable, keras_style

keras: Any = importlib.import_module("keras")


def version() -> str:
    """Keras' and JAX's versions."""
    return f"{keras.__version__} on jax {importlib.import_module('jax').__version__}"


def prepare(job: Job) -> Prepared:
    """Builds a training job or a whole fit."""
    keras.utils.set_random_seed(0)
    if job["kind"] == "train":
        net = NETWORKS[job["net"]]
        x, y = np.load(job["x"]), np.load(job["y"])
        model = keras_style.build(keras, net)
        last = float("nan")

        def run(units: int) -> None:
            nonlocal last
            last = keras_style.fit_steps(model, x, y, net.batch, units)

        return Prepared(run, lambda: last, "by fit")
    if job["kind"] == "fit":
        return keras_style.prepare_fit(keras, Path(job["folder"]))
    raise Unavailable("no such job for this peer")
