"""scikit-learn's MLPClassifier: `partial_fit` on slices, each a number of steps."""

from __future__ import annotations

import importlib
import warnings
from typing import Any

import numpy as np

from networks import NETWORKS
from peers import Job, Prepared, Unavailable

sklearn: Any = importlib.import_module("sklearn")
neural: Any = importlib.import_module("sklearn.neural_network")


def version() -> str:
    """scikit-learn's version."""
    return str(sklearn.__version__)


def prepare(job: Job) -> Prepared:
    """Builds a training job for the networks scikit-learn can express."""
    if job["kind"] != "train":
        raise Unavailable("no such job for this peer")
    net = NETWORKS[job["net"]]
    if net.activation not in ("relu", "tanh") or net.batch_norm or net.dropout:
        raise Unavailable("MLPClassifier has no batch norm, dropout or such activation")
    x, y = np.load(job["x"]), np.load(job["y"])
    model = neural.MLPClassifier(
        hidden_layer_sizes=net.sizes[1:-1],
        activation=net.activation,
        solver="sgd" if net.optimizer == "sgd" else "adam",
        learning_rate_init=net.learning_rate,
        momentum=0.9,
        nesterovs_momentum=False,
        alpha=0.0,
        batch_size=net.batch,
        shuffle=True,
        random_state=0,
    )
    classes = np.arange(net.sizes[-1])
    at = 0

    def run(units: int) -> None:
        nonlocal at
        while units > 0:
            steps = min(units, net.rows // net.batch)
            count = steps * net.batch
            if at + count > net.rows:
                at = 0
            part = x[at : at + count]
            if part.dtype == np.uint8:
                part = part.astype(np.float32) / np.float32(255)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                model.partial_fit(part, y[at : at + count], classes=classes)
            at += count
            units -= steps

    return Prepared(run, lambda: float(model.loss_), "by partial_fit")
