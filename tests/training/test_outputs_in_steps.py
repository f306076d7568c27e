"""Losses and activations on outputs of shape (rows, steps, classes): native steps as eager ones."""

import numpy as np
import pytest

import densa
from densa import layers as L

RNG = np.random.default_rng(0)
X = RNG.random((8, 4, 2)).astype("f4")
LABELS = RNG.integers(0, 3, (8, 4))
ONE_HOT = np.eye(3, dtype="f4")[LABELS]


def steps(activation, units=3):
    return lambda: [L.TimeDistributed(L.Dense(units, activation=activation))]


def repeated():
    return [L.Flatten(), L.Dense(3, "sigmoid"), L.RepeatVector(4)]


def inside():
    return [L.Flatten(), L.Dense(6), L.Reshape((2, 3)), L.Activation("gelu"), L.Flatten(),
            L.Dense(1)]  # fmt: skip


@pytest.mark.parametrize(
    ("network", "y", "loss"),
    [
        (steps("softmax"), LABELS, "sparse_categorical_crossentropy"),
        (steps(None), LABELS, densa.losses.SparseCategoricalCrossentropy(from_logits=True)),
        (steps("softmax"), ONE_HOT, "categorical_crossentropy"),
        (steps(None), ONE_HOT, densa.losses.CategoricalCrossentropy(from_logits=True)),
        (steps("sigmoid"), ONE_HOT, "binary_crossentropy"),
        (steps("sigmoid", 1), ONE_HOT[..., :1], "binary_focal_crossentropy"),
        (repeated, ONE_HOT, "binary_crossentropy"),
        (inside, ONE_HOT[:, 0, :1], "mse"),
    ],
)
def test_native_and_eager_steps_agree(network, y, loss):
    found = []
    for eager in (False, True):
        densa.utils.set_random_seed(1)
        model = densa.Sequential([densa.Input((4, 2)), *network()])
        model.compile(densa.optimizers.SGD(0.5), loss, run_eagerly=eager)
        history = model.fit(X, y, epochs=3, shuffle=False, verbose=0).history
        found.append([*history["loss"], *(w.ravel() for w in model.get_weights())])
    for native, eager in zip(*found, strict=True):
        np.testing.assert_allclose(native, eager, rtol=1e-4, atol=1e-6)
