"""Models written against Keras' API, shared by Keras itself and by densa."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from networks import Network
from peers import Prepared


def build(lib: Any, net: Network) -> Any:
    """The network as `lib.Sequential`, compiled; `lib` is keras or densa."""
    layers = lib.layers
    model = lib.Sequential()
    model.add(lib.Input((net.sizes[0],), dtype=net.input_dtype))
    if net.input_dtype == "uint8":
        model.add(layers.Rescaling(1 / 255))
    last = len(net.sizes) - 2
    for i, width in enumerate(net.sizes[1:]):
        if net.dropout:
            model.add(layers.Dropout(net.dropout))
        if i == last:
            model.add(layers.Dense(width))
        elif net.batch_norm:
            model.add(layers.Dense(width, kernel_initializer="he_normal"))
            model.add(layers.BatchNormalization())
            model.add(layers.Activation(net.activation))
        else:
            model.add(
                layers.Dense(width, activation=net.activation, kernel_initializer="he_normal")
            )
    optimizers = lib.optimizers
    rate = net.learning_rate
    optimizer = {
        "sgd": lambda: optimizers.SGD(rate, momentum=0.9),
        "adam": lambda: optimizers.Adam(rate),
        "adamw": lambda: optimizers.AdamW(rate),
    }[net.optimizer]()
    model.compile(
        optimizer=optimizer,
        loss=lib.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    return model


def set_kernels(model: Any, path: str) -> None:
    """Sets the kernels of all dense layers to the arrays of an .npz file, the biases to 0."""
    with np.load(path) as kernels:
        dense = [layer for layer in model.layers if type(layer).__name__ == "Dense"]
        for i, layer in enumerate(dense):
            kernel = kernels[f"kernel_{i}"]
            layer.set_weights([kernel, np.zeros(kernel.shape[1], kernel.dtype)])


def build_fit(lib: Any) -> Any:
    """Network A for the whole-fit benchmark: float images, softmax output, accuracy on."""
    layers = lib.layers
    model = lib.Sequential(
        [
            lib.Input((784,)),
            layers.Dense(300, activation="relu", kernel_initializer="he_normal"),
            layers.Dense(100, activation="relu", kernel_initializer="he_normal"),
            layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile(
        optimizer=lib.optimizers.SGD(0.01, momentum=0.9),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    return model


def fit_steps(model: Any, x: Any, y: Any, batch: int, steps: int) -> float:
    """Runs `steps` training steps by `fit` on slices of the data; returns the last loss."""
    most = len(x) // batch
    loss = float("nan")
    while steps > 0:
        part = min(steps, most)
        rows = part * batch
        history = model.fit(x[:rows], y[:rows], batch_size=batch, epochs=1, verbose=0)
        loss = float(history.history["loss"][-1])
        steps -= part
    return loss


def prepare_fit(lib: Any, folder: Path) -> Prepared:
    """`fit` with its progress bar and accuracy, an epoch per unit."""
    x, y = np.load(folder / "x_train.npy"), np.load(folder / "y_train.npy")
    x_test, y_test = np.load(folder / "x_test.npy"), np.load(folder / "y_test.npy")
    model = build_fit(lib)

    def run(units: int) -> None:
        model.fit(x, y, batch_size=32, epochs=units, verbose=1)

    return Prepared(run, lambda: float(model.evaluate(x_test, y_test, verbose=0)[1]))
