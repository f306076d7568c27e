"""Wrapper: a layer around a layer."""

from __future__ import annotations

import numpy as np
import pytest

import densa


@densa.saving.register_keras_serializable(package="tests")
class Scaled(densa.layers.Wrapper):
    def __init__(self, layer, factor=2.0, **kwargs):
        super().__init__(layer, **kwargs)
        self.factor = factor

    def call(self, inputs):
        return self.layer(inputs) * self.factor

    def get_config(self):
        return {**super().get_config(), "factor": self.factor}


X = np.random.default_rng(0).normal(size=(16, 3)).astype("f4")


def test_it_trains_the_layer_inside_and_is_saved(tmp_path):
    model = densa.Sequential([densa.Input((3,)), Scaled(densa.layers.Dense(2), 0.5)])
    model.compile("sgd", "mse")
    assert [w.name for w in model.trainable_variables] == ["kernel", "bias"]
    before = model.get_weights()[0]
    model.fit(X, X[:, :2], verbose=0)
    kernel, bias = model.get_weights()
    assert (kernel != before).any()
    np.testing.assert_allclose(model.predict(X, verbose=0), 0.5 * (X @ kernel + bias), atol=1e-5)
    model.save(tmp_path / "m.densa")
    again = densa.models.load_model(tmp_path / "m.densa")
    np.testing.assert_array_equal(again.predict(X, verbose=0), model.predict(X, verbose=0))
    copy = densa.models.clone_model(model)
    assert isinstance(copy.layers[0].layer, densa.layers.Dense)
    assert copy.layers[0].layer is not model.layers[0].layer


def test_what_is_no_layer_is_an_error():
    with pytest.raises(TypeError, match=r"must be a densa\.layers\.Layer; received 'dense'"):
        Scaled("dense")


L = densa.layers


def spectral_step(w, u, iterations):
    """The kernel and the vector behind a call, by the formula."""
    for _ in range(iterations):
        v = u @ w.T
        v = v / np.linalg.norm(v)
        u = v @ w
        u = u / np.linalg.norm(u)
    return w / (v @ w @ u.T), u


@pytest.mark.parametrize("eager", [False, True])
def test_spectral_normalization_in_steps(eager):
    """Two steps of gradient descent on the normalised kernel, in float64 NumPy."""
    layer = L.SpectralNormalization(L.Dense(3), power_iterations=2)
    model = densa.Sequential([densa.Input((3,)), layer])
    model.compile(densa.optimizers.SGD(0.3), "mse", run_eagerly=eager)
    w, u, b = (a.astype("f8") for a in model.get_weights())
    x, y = X.astype("f8"), X.astype("f8")[:, ::-1]
    model.fit(X, X[:, ::-1].copy(), batch_size=8, epochs=1, shuffle=False, verbose=0)
    for rows in (slice(0, 8), slice(8, 16)):
        w, u = spectral_step(w, u, 2)
        dy = 2 * (x[rows] @ w + b - y[rows]) / 24
        w, b = w - 0.3 * x[rows].T @ dy, b - 0.3 * dy.sum(0)
    for got, expected in zip(model.get_weights(), (w, u, b), strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5)
    before = model.get_weights()
    np.testing.assert_allclose(model.predict(X, verbose=0), x @ w + b, rtol=1e-4, atol=1e-5)
    for got, expected in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(got, expected)


def test_spectral_normalization_of_other_kernels():
    layer = L.SpectralNormalization(L.Embedding(7, 3), 30)
    layer(np.arange(7), training=True)
    table = layer.layer.embeddings.numpy()
    assert np.linalg.norm(table, 2) == pytest.approx(1, rel=1e-3)
    layer = L.SpectralNormalization(L.EinsumDense("ab,bcd->acd", (2, 4)), 30)
    layer(X, training=True)
    assert np.linalg.norm(layer.kernel.numpy().reshape(-1, 4), 2) == pytest.approx(1, rel=1e-3)
    layer = L.SpectralNormalization(L.Dense(2, kernel_initializer="zeros"))
    assert (layer(X, training=True).numpy() == 0).all()
    assert np.isfinite(layer.vector_u.numpy()).all()


def test_time_distributed_calls_the_layer_for_each_step():
    x = np.random.default_rng(1).normal(size=(6, 4, 3)).astype("f4")
    layer = L.TimeDistributed(L.BatchNormalization(momentum=0.5))
    y = layer(x, training=True).numpy()
    mean, var = x.mean(0), x.var(0)
    np.testing.assert_allclose(y, (x - mean) / np.sqrt(var + 1e-3), rtol=1e-4, atol=1e-5)
    moving = np.zeros(3)
    for t in range(4):
        moving = 0.5 * moving + 0.5 * mean[t]
    np.testing.assert_allclose(layer.layer.moving_mean.numpy(), moving, rtol=1e-5, atol=1e-6)
    dropped = L.TimeDistributed(L.Dropout(0.5))(np.ones((8, 4, 3), "f4"), training=True).numpy()
    assert len({step.tobytes() for step in dropped.swapaxes(0, 1)}) == 4
    dense = L.TimeDistributed(L.Dense(2, lambda z: z - z[:, :1]))  # looks at its own step alone
    kernel = (dense(x), dense.layer.kernel.numpy())[1]
    z = x @ kernel
    np.testing.assert_allclose(dense(x).numpy(), z - z[:, :, :1], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "make",
    [
        lambda: L.TimeDistributed(L.Dense(2, "relu")),
        lambda: L.TimeDistributed(L.LayerNormalization()),
        lambda: L.SpectralNormalization(L.Dense(2, "relu"), 2),
    ],
)
def test_they_are_saved_and_frozen(make, tmp_path):
    x = np.random.default_rng(2).normal(size=(8, 4, 3)).astype("f4")
    model = densa.Sequential([densa.Input((4, 3)), make(), L.Flatten(), L.Dense(1)])
    model.compile("sgd", "mse")
    model.fit(x, x[:, 0, :1], verbose=0)
    model.save(tmp_path / "m.densa")
    again = densa.models.load_model(tmp_path / "m.densa")
    y = model.predict(x, verbose=0)
    np.testing.assert_array_equal(again.predict(x, verbose=0), y)
    np.testing.assert_allclose(np.asarray(model.freeze()(x)), y, rtol=1e-5, atol=1e-6)
    assert again.layers[0].get_config() == model.layers[0].get_config()
