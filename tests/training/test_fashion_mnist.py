"""The main job on real data, where the data set is on the machine."""

from __future__ import annotations

import pytest

import densa
from densa import layers


@pytest.mark.cpu_only("three epochs take an emulated GPU half an hour")
def test_three_epochs_reach_what_keras_reaches(monkeypatch):
    from densa.datasets import fashion_mnist

    def refuse(*args, **kwargs):
        raise OSError("no downloads in tests")

    monkeypatch.setattr("urllib.request.urlopen", refuse)
    try:
        (x, y), (x_test, y_test) = fashion_mnist.load_data()
    except (OSError, ValueError) as error:
        pytest.skip(f"Fashion-MNIST is not on this machine: {error}")
    densa.utils.set_random_seed(42)
    model = densa.Sequential(
        [
            densa.Input((28, 28), dtype="uint8"),
            layers.Rescaling(1 / 255),
            layers.Flatten(),
            layers.Dense(300, activation="relu", kernel_initializer="he_normal"),
            layers.Dense(100, activation="relu", kernel_initializer="he_normal"),
            layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile(
        densa.optimizers.SGD(0.01, momentum=0.9),
        "sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    model.fit(x, y, batch_size=32, epochs=3, verbose=0)
    _, accuracy = model.evaluate(x_test, y_test, verbose=0)
    assert accuracy >= 0.86
