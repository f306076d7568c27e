"""Batch normalization: batch statistics, moving averages, freezing, axes."""

from __future__ import annotations

import numpy as np
import pytest

import densa

L = densa.layers
X = np.random.default_rng(7).normal(2.0, 3.0, (64, 5))


def test_training_uses_the_batch_and_moves_the_averages():
    layer = densa.layers.BatchNormalization(dtype="float64")
    y = layer(X, training=True).numpy()
    mean, variance = X.mean(0), X.var(0)
    np.testing.assert_allclose(y, (X - mean) / np.sqrt(variance + 1e-3), rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(layer.moving_mean.numpy(), 0.01 * mean, rtol=1e-12)
    np.testing.assert_allclose(layer.moving_variance.numpy(), 0.99 + 0.01 * variance, rtol=1e-12)
    layer(X, training=True)
    np.testing.assert_allclose(layer.moving_mean.numpy(), (0.99 * 0.01 + 0.01) * mean, rtol=1e-12)


def test_inference_uses_the_averages_and_moves_nothing():
    layer = densa.layers.BatchNormalization(momentum=0.0, dtype="float64")
    layer(X, training=True)
    before = layer.get_weights()
    y = layer(X[:3]).numpy()
    wanted = (X[:3] - X.mean(0)) / np.sqrt(X.var(0) + 1e-3)
    np.testing.assert_allclose(y, wanted, rtol=1e-10)
    for a, b in zip(before, layer.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_frozen_layers_use_the_averages_while_training():
    layer = densa.layers.BatchNormalization(dtype="float64")
    layer.trainable = False
    y = layer(X, training=True).numpy()
    np.testing.assert_allclose(y, X / np.sqrt(1 + 1e-3), rtol=1e-12)
    np.testing.assert_array_equal(layer.moving_mean.numpy(), np.zeros(5))


def test_names_and_flags():
    layer = densa.layers.BatchNormalization(name="bn")
    layer.build((None, 5))
    assert [(v.path, v.trainable) for v in layer.variables] == [
        ("bn/gamma", True),
        ("bn/beta", True),
        ("bn/moving_mean", False),
        ("bn/moving_variance", False),
    ]


@pytest.mark.parametrize("center", [True, False])
@pytest.mark.parametrize("scale", [True, False])
def test_without_gamma_or_beta(center, scale):
    layer = densa.layers.BatchNormalization(
        center=center, scale=scale, beta_initializer="ones", dtype="float64"
    )
    y = layer(X, training=True).numpy()
    wanted = (X - X.mean(0)) / np.sqrt(X.var(0) + 1e-3) + (1.0 if center else 0.0)
    np.testing.assert_allclose(y, wanted, rtol=1e-10, atol=1e-12)
    assert len(layer.weights) == 2 + center + scale


@pytest.mark.parametrize(
    ("axis", "kept", "count"),
    [(-1, (2,), 28), (1, (1,), 28), ([1, 2], (1, 2), 784), ([2, 1], (1, 2), 784)],
)
def test_axes(axis, kept, count):
    x = np.random.default_rng(8).normal(1.0, 2.0, (16, 28, 28))
    layer = densa.layers.BatchNormalization(axis=axis, dtype="float64", momentum=0.0)
    y = layer(x, training=True).numpy()
    others = tuple(a for a in range(3) if a not in kept)
    mean, variance = x.mean(others, keepdims=True), x.var(others, keepdims=True)
    np.testing.assert_allclose(y, (x - mean) / np.sqrt(variance + 1e-3), rtol=1e-9, atol=1e-11)
    assert layer.moving_mean.size == count
    np.testing.assert_allclose(layer.moving_mean.numpy().ravel(), mean.ravel(), rtol=1e-10)
    np.testing.assert_allclose(
        layer(x).numpy(), (x - mean) / np.sqrt(variance + 1e-3), rtol=1e-9, atol=1e-11
    )


def test_axis_one_in_the_middle():
    x = np.random.default_rng(9).normal(size=(8, 3, 4, 5))
    layer = densa.layers.BatchNormalization(axis=[1, 3], dtype="float64")
    y = layer(x, training=True).numpy()
    mean, variance = x.mean((0, 2), keepdims=True), x.var((0, 2), keepdims=True)
    np.testing.assert_allclose(y, (x - mean) / np.sqrt(variance + 1e-3), rtol=1e-9, atol=1e-11)
    assert layer.gamma.shape == (3, 5)


def test_learning_shapes_moves_nothing():
    layer = densa.layers.BatchNormalization()
    layer(densa.KerasTensor((None, 5)), training=True)
    np.testing.assert_array_equal(layer.moving_mean.numpy(), np.zeros(5))

    class Around(densa.layers.Layer):
        def __init__(self):
            super().__init__()
            self.inner = densa.layers.BatchNormalization()

        def call(self, x):
            return self.inner(x, training=True)

    around = Around()
    around(densa.KerasTensor((None, 5)))
    np.testing.assert_array_equal(around.inner.moving_variance.numpy(), np.ones(5))


@pytest.mark.parametrize("eager", [False, True])
@pytest.mark.parametrize("axis", [-1, [1, 2]])
def test_a_last_batch_of_one_row(axis, eager):
    """Its variance is zero, its outputs are beta, and the averages move on."""
    x = np.random.default_rng(3).normal(1, 2, (5, 2, 3)).astype("float32")
    layer = L.BatchNormalization(axis=axis, momentum=0.5)
    model = densa.Sequential([densa.Input((2, 3)), layer])
    model.compile(densa.optimizers.SGD(0.0), "mse", run_eagerly=eager)
    model.fit(x, np.zeros_like(x), batch_size=4, shuffle=False, verbose=0)
    others = (0, 1) if axis == -1 else (0,)
    first, last = x[:4].astype("float64"), x[4:].astype("float64")
    wanted = 0.25 * first.mean(others) + 0.5 * last.mean(others)
    np.testing.assert_allclose(layer.moving_mean.numpy(), wanted, rtol=1e-5, atol=1e-6)
    wanted = 0.25 + 0.25 * first.var(others) + 0.5 * last.var(others)
    np.testing.assert_allclose(layer.moving_variance.numpy(), wanted, rtol=1e-5)
    if axis != -1:
        np.testing.assert_array_equal(layer(x[:1], training=True).numpy(), 0 * x[:1])


# ---- exact statistics ----------------------------------------------------------------------------


class Halves:
    def __iter__(self):
        return iter([(X[:50], np.zeros((50, 3))), (X[50:], np.zeros((14, 3)))])


def two_norms(dtype=None):
    inputs = densa.Input((5,))
    y = L.BatchNormalization(name="first", dtype=dtype)(L.Dense(4)(inputs))
    y = L.Dropout(0.5)(L.Dense(3, "relu")(y))
    return densa.Model(inputs, L.BatchNormalization(name="second", dtype=dtype)(y))


def reference(model, x):
    first = model.get_layer("first")
    one, two = (layer for layer in model.layers if isinstance(layer, L.Dense))
    z = x @ one.kernel.numpy().astype("float64") + one.bias.numpy()
    y = first.gamma.numpy() * (z - z.mean(0)) / np.sqrt(z.var(0) + first.epsilon)
    y = np.maximum((y + first.beta.numpy()) @ two.kernel.numpy() + two.bias.numpy(), 0)
    return (z.mean(0), z.var(0)), (y.mean(0), y.var(0))


@pytest.mark.parametrize("batch_size", [None, 7, 64])
@pytest.mark.parametrize("kind", ["arrays", "batches"])
def test_recalibrate(kind, batch_size):
    model = two_norms()
    model.compile("adam", "mse")
    model.fit(X, np.zeros((64, 3)), verbose=0, epochs=2)
    weights = [v.numpy() for v in model.trainable_variables]
    data = X if kind == "arrays" else Halves()
    densa.utils.recalibrate_batch_norm(model, data, batch_size=batch_size)
    names = ("first", "second")
    for name, (mean, variance) in zip(names, reference(model, X), strict=True):
        layer = model.get_layer(name)
        np.testing.assert_allclose(layer.moving_mean.numpy(), mean, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(layer.moving_variance.numpy(), variance, rtol=1e-5)
    for before, v in zip(weights, model.trainable_variables, strict=True):
        np.testing.assert_array_equal(before, v.numpy())
    # With those, inference on all rows is what training would do with them in one batch.
    model.layers[-2].rate = 0.0
    np.testing.assert_allclose(
        model.predict(X, verbose=0), model(X, training=True).numpy(), rtol=1e-4, atol=1e-5
    )
    model.fit(X, np.zeros((64, 3)), verbose=0)


def test_recalibrate_leaves_frozen_layers_and_shared_ones_see_all_that_comes():
    shared = L.BatchNormalization()
    a, b = densa.Input((5,)), densa.Input((5,))
    frozen = L.BatchNormalization()
    model = densa.Model([a, b], L.Add()([shared(a), frozen(shared(b))]))
    frozen.trainable = False
    other = X * 2 + 1
    densa.utils.recalibrate_batch_norm(model, [X, other], batch_size=10)
    both = np.concatenate([X, other])
    np.testing.assert_allclose(shared.moving_mean.numpy(), both.mean(0), rtol=1e-5)
    np.testing.assert_allclose(shared.moving_variance.numpy(), both.var(0), rtol=1e-5)
    np.testing.assert_array_equal(frozen.moving_mean.numpy(), np.zeros(5))


def test_recalibrate_restores_after_an_error():
    model = two_norms()
    densa.utils.recalibrate_batch_norm(model, X)
    before = model.get_weights()
    bad = X.copy()
    bad[3, 2] = np.nan
    with (
        pytest.warns(UserWarning, match="non-finite"),
        pytest.raises(ValueError, match="reaches layer 'first'"),
    ):
        densa.utils.recalibrate_batch_norm(model, bad)
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert "call" not in vars(model.get_layer("first"))


def test_recalibrate_says_what_is_wrong():
    recalibrate = densa.utils.recalibrate_batch_norm
    with pytest.raises(ValueError, match="several batch norms"):
        recalibrate(two_norms(), (part for part in [X]))
    with pytest.raises(ValueError, match="no trainable BatchNormalization"):
        recalibrate(densa.Sequential([densa.Input((5,)), L.Dense(2)]), X)
    with pytest.raises(ValueError, match="is not built"):
        recalibrate(densa.Sequential([L.BatchNormalization()]), X)
    with pytest.raises(ValueError, match="no rows"):
        recalibrate(two_norms(), X[:0])
    with pytest.raises(TypeError, match="steps"):
        recalibrate(two_norms(), X, steps="all")
    with pytest.raises(ValueError, match="shape"):
        recalibrate(two_norms(), X[:, :3])
