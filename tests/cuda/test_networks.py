"""Whole networks on a GPU and on the CPU: the same numbers, files and bits from run to run."""

from __future__ import annotations

import numpy as np
import pytest

import densa
from densa import layers

pytestmark = pytest.mark.usefixtures("gpu")

ACTIVATIONS = ["relu", "tanh", "gelu", "silu", "elu", "softplus", "sigmoid", "mish"]
OPTIMIZERS = [
    lambda: densa.optimizers.SGD(0.05, momentum=0.9, nesterov=True),
    lambda: densa.optimizers.Adam(0.01, global_clipnorm=1.0),
    lambda: densa.optimizers.RMSprop(0.005),
    lambda: densa.optimizers.AdamW(densa.optimizers.schedules.CosineDecay(0.01, 20)),
]


def network(seed, dtype):
    """A random graph of dense layers with all that lies between, for 7 inputs and 3 classes."""
    rng = np.random.default_rng(seed)
    x = densa.Input((7,), dtype=dtype)
    values = [x]
    for _ in range(rng.integers(2, 5)):
        h = values[rng.integers(len(values))]
        if rng.random() < 0.4:
            h = layers.Dropout(0.3, dtype=dtype, seed=int(rng.integers(100)))(h)
        width, name = int(rng.integers(1, 40)), str(rng.choice(ACTIVATIONS))
        if rng.random() < 0.5:
            h = layers.Dense(width, dtype=dtype)(h)
            h = layers.BatchNormalization(dtype=dtype)(h)
            h = layers.Activation(name, dtype=dtype)(h)
        else:
            h = layers.Dense(width, activation=name, dtype=dtype, kernel_regularizer="l2")(h)
        if rng.random() < 0.3:
            other = values[rng.integers(len(values))]
            h = layers.Concatenate(dtype=dtype)([h, other])
        values.append(h)
    y = layers.Dense(3, activation="softmax", dtype=dtype)(values[-1])
    return densa.Model(x, y)


def trained(device, seed, dtype="float64", start=None):
    densa.set_device(device)
    densa.utils.set_random_seed(seed)
    model = network(seed, dtype)
    if start is not None:
        model.set_weights(start)
    model.compile(OPTIMIZERS[seed % 4](), "sparse_categorical_crossentropy", metrics=["accuracy"])
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(53, 7)).astype(dtype), rng.integers(0, 3, 53)
    before = model.get_weights()
    history = model.fit(x, y, batch_size=16, epochs=3, validation_split=0.2, verbose=0).history
    return model, x, history, before


@pytest.mark.parametrize("seed", range(12))
def test_a_random_network_trains_alike(seed):
    model, x, history, before = trained("cuda", seed)
    assert {v.device for v in model.variables} == {"cuda:0"}
    other, _, expected, _ = trained("cpu", seed, start=before)
    for name, values in expected.items():
        np.testing.assert_allclose(history[name], values, rtol=1e-9, err_msg=name)
    # Sums of another order, through 12 steps of an optimizer that divides by small roots.
    for got, want in zip(model.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(
        model.predict(x, verbose=0), other.predict(x, verbose=0), rtol=1e-6, atol=1e-9
    )


@pytest.mark.parametrize("seed", range(4))
def test_training_gives_the_same_bits_in_every_run(seed):
    first = trained("cuda", seed, "float32")[0].get_weights()
    second = trained("cuda", seed, "float32")[0].get_weights()
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("home", ["cpu", "cuda"])
def test_files_go_from_one_device_to_the_other_and_train_on(home, tmp_path):
    away = "cuda" if home == "cpu" else "cpu"
    model, x, _, _ = trained(home, 5)
    model.save(tmp_path / "model.densa")
    densa.set_device(away)
    loaded = densa.models.load_model(tmp_path / "model.densa")
    assert {str(v.device).split(":")[0] for v in loaded.variables} == {away}
    for a, b in zip(loaded.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_allclose(
        loaded.predict(x, verbose=0), model.predict(x, verbose=0), rtol=1e-10, atol=1e-12
    )
    y = np.random.default_rng(5).integers(0, 3, len(x))
    there = loaded.fit(x, y, batch_size=16, epochs=2, shuffle=False, verbose=0).history["loss"]
    densa.set_device(home)
    here = model.fit(x, y, batch_size=16, epochs=2, shuffle=False, verbose=0).history["loss"]
    np.testing.assert_allclose(there, here, rtol=1e-8)


def test_a_last_batch_whose_products_are_cut_into_parts():
    """A full batch has enough results for whole sums and needs no memory for parts of them."""
    model = densa.Sequential([densa.Input((256,)), layers.Dense(128)])
    x = np.random.default_rng(0).normal(size=(1024 + 32, 256)).astype("f4")
    w, b = (variable.numpy() for variable in model.variables)
    for _ in range(2):
        y = model.predict(x, batch_size=1024, verbose=0)
        np.testing.assert_allclose(y, x @ w + b, rtol=0, atol=1e-4)
