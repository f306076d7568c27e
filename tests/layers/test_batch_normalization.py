"""Batch normalization: batch statistics, moving averages, freezing, axes."""

from __future__ import annotations

import numpy as np
import pytest

import densa

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
