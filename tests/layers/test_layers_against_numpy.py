"""Every layer against an independent float64 reference, its shapes and its configuration."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

import densa

L = densa.layers
SEED = 20261122


def erf(x):
    return np.vectorize(math.erf)(x)


def softmax(x, axis=-1):
    e = np.exp(x - x.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


ACTIVATIONS = {
    "linear": lambda z: z,
    "relu": lambda z: np.maximum(z, 0),
    "relu6": lambda z: np.clip(z, 0, 6),
    "leaky_relu": lambda z: np.where(z < 0, 0.2 * z, z),
    "elu": lambda z: np.where(z < 0, np.expm1(z), z),
    "celu": lambda z: np.where(z < 0, np.expm1(z), z),
    "selu": lambda z: 1.0507009873554805 * np.where(z < 0, 1.6732632423543772 * np.expm1(z), z),
    "gelu": lambda z: z * 0.5 * (1 + erf(z / math.sqrt(2))),
    "silu": lambda z: z * sigmoid(z),
    "swish": lambda z: z * sigmoid(z),
    "mish": lambda z: z * np.tanh(np.log1p(np.exp(z))),
    "sigmoid": sigmoid,
    "hard_sigmoid": lambda z: np.clip(z / 6 + 0.5, 0, 1),
    "hard_silu": lambda z: z * np.clip(z / 6 + 0.5, 0, 1),
    "tanh": np.tanh,
    "softplus": lambda z: np.log1p(np.exp(z)),
    "softsign": lambda z: z / (1 + np.abs(z)),
    "log_sigmoid": lambda z: -np.log1p(np.exp(-z)),
    "exponential": np.exp,
    "softmax": softmax,
    "log_softmax": lambda z: np.log(softmax(z)),
    "hard_tanh": lambda z: np.clip(z, -1, 1),
    "tanh_shrink": lambda z: z - np.tanh(z),
    "soft_shrink": lambda z: np.sign(z) * np.maximum(np.abs(z) - 0.5, 0),
    "hard_shrink": lambda z: np.where(np.abs(z) > 0.5, z, 0),
    "squareplus": lambda z: (z + np.sqrt(z * z + 4)) / 2,
}


def data(*shape, low=-3.0, high=3.0):
    return np.random.default_rng(SEED).uniform(low, high, shape)


def dense_reference(layer, x):
    kernel, bias = (w.numpy() for w in layer.weights)
    return np.tanh(x @ kernel + bias)


def norm_reference(layer, x):
    gamma, beta, mean, variance = (w.numpy() for w in layer.weights)
    return gamma * (x - mean) / np.sqrt(variance + 1e-3) + beta


def layer_norm_reference(layer, x, axis):
    gamma, beta = (w.numpy() for w in layer.weights)
    if axis == 1:
        gamma, beta = gamma[:, None], beta[:, None]
    y = (x - x.mean(axis, keepdims=True)) / np.sqrt(x.var(axis, keepdims=True) + layer.epsilon)
    return gamma * y + beta


def group_norm_reference(layer, x, axis, groups):
    moved = np.moveaxis(x, axis, 1)
    parts = moved.reshape(len(x), groups, -1)
    mean, var = parts.mean(2, keepdims=True), parts.var(2, keepdims=True)
    y = np.moveaxis(((parts - mean) / np.sqrt(var + 1e-2)).reshape(moved.shape), 1, -1)
    for weight, how in zip(layer.weights, (np.multiply, np.add), strict=False):
        y = how(y, weight.numpy())
    return np.moveaxis(y, -1, axis)


def einsum_reference(layer, x):
    kernel, *bias = (w.numpy() for w in layer.weights)
    y = np.einsum(layer.equation, x, kernel)
    return np.tanh(y + bias[0]) if bias else np.tanh(y)


def einsum_dense(*args, **kwargs):
    return L.EinsumDense(*args, activation="tanh", bias_initializer="uniform", **kwargs)


def rms_reference(layer, x, axis):
    scale = layer.scale.numpy()
    if axis == 1:
        scale = scale[:, None]
    return scale * x / np.sqrt((x * x).mean(axis, keepdims=True) + layer.epsilon)


def unit(x, axis=-1):
    return x / np.sqrt((x * x).sum(axis, keepdims=True))


def relu_reference(layer, x):
    below = 0.1 * (x - 0.5)
    return np.minimum(np.where(x >= 0.5, x, below), 2.0)


# name → layer, input (or inputs), reference
X = data(5, 6)
PAIR = [data(4, 3), data(4, 3) * 0.5 + 1]
CASES = {
    "Dense": (lambda: L.Dense(4, "tanh"), X, dense_reference),
    "Dense, rank 3": (lambda: L.Dense(4, "tanh"), data(2, 3, 6), dense_reference),
    "Dense, rank 4": (lambda: L.Dense(4, "tanh"), data(2, 3, 2, 6), dense_reference),
    "Dense, no bias": (
        lambda: L.Dense(3, use_bias=False),
        X,
        lambda layer, x: x @ layer.kernel.numpy(),
    ),
    "Dense, softmax": (
        lambda: L.Dense(3, "softmax"),
        X,
        lambda layer, x: softmax(x @ layer.kernel.numpy() + layer.bias.numpy()),
    ),
    "Activation": (lambda: L.Activation("silu"), X, lambda _, x: x * sigmoid(x)),
    "Flatten": (lambda: L.Flatten(), data(4, 2, 3), lambda _, x: x.reshape(4, 6)),
    "Flatten, rank 1": (lambda: L.Flatten(), data(4), lambda _, x: x.reshape(4, 1)),
    "Flatten, channels_first": (
        lambda: L.Flatten("channels_first"),
        data(4, 2, 3, 5),
        lambda _, x: x.transpose(0, 2, 3, 1).reshape(4, 30),
    ),
    "Reshape": (lambda: L.Reshape((3, 2)), X, lambda _, x: x.reshape(5, 3, 2)),
    "Reshape, -1": (lambda: L.Reshape((-1, 2)), X, lambda _, x: x.reshape(5, 3, 2)),
    "Permute": (lambda: L.Permute((2, 1)), data(2, 3, 4), lambda _, x: x.transpose(0, 2, 1)),
    "RepeatVector": (lambda: L.RepeatVector(3), X, lambda _, x: np.stack([x] * 3, axis=1)),
    "Identity": (lambda: L.Identity(), X, lambda _, x: x),
    "Dropout": (lambda: L.Dropout(0.5), X, lambda _, x: x),
    "AlphaDropout": (lambda: L.AlphaDropout(0.5), X, lambda _, x: x),
    "GaussianNoise": (lambda: L.GaussianNoise(0.5), X, lambda _, x: x),
    "GaussianDropout": (lambda: L.GaussianDropout(0.5), X, lambda _, x: x),
    "ActivityRegularization": (lambda: L.ActivityRegularization(0.1, 0.2), X, lambda _, x: x),
    "BatchNormalization": (lambda: L.BatchNormalization(), X, norm_reference),
    "LayerNormalization": (
        lambda: L.LayerNormalization(gamma_initializer="uniform", beta_initializer="uniform"),
        X,
        lambda layer, x: layer_norm_reference(layer, x, -1),
    ),
    "LayerNormalization, axis 1": (
        lambda: L.LayerNormalization(1, epsilon=1e-5, gamma_initializer="uniform"),
        data(4, 3, 5),
        lambda layer, x: layer_norm_reference(layer, x, 1),
    ),
    "LayerNormalization, axes": (
        lambda: L.LayerNormalization([1, 2], beta_initializer="uniform"),
        data(4, 3, 5),
        lambda layer, x: layer_norm_reference(layer, x, (1, 2)),
    ),
    "LayerNormalization, plain": (
        lambda: L.LayerNormalization(center=False, scale=False),
        X,
        lambda layer, x: (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-3),
    ),
    "GroupNormalization": (
        lambda: L.GroupNormalization(2, epsilon=1e-2, gamma_initializer="uniform"),
        X,
        lambda layer, x: group_norm_reference(layer, x, -1, 2),
    ),
    "GroupNormalization, axis 1": (
        lambda: L.GroupNormalization(3, 1, 1e-2, beta_initializer="uniform"),
        data(4, 6, 5, 2),
        lambda layer, x: group_norm_reference(layer, x, 1, 3),
    ),
    "GroupNormalization, each channel": (
        lambda: L.GroupNormalization(-1, -1, 1e-2, center=False, scale=False),
        data(4, 6, 3),
        lambda layer, x: group_norm_reference(layer, x, -1, 3),
    ),
    "EinsumDense": (lambda: einsum_dense("ab,bc->ac", 4, bias_axes="c"), X, einsum_reference),
    "EinsumDense, axes": (
        lambda: einsum_dense("abc,cde->abde", (None, 4, 2), bias_axes="e"),
        data(5, 3, 6),
        einsum_reference,
    ),
    "EinsumDense, turned": (
        lambda: einsum_dense("abc,dcb->ad", 4, bias_axes="d"),
        data(5, 3, 6),
        einsum_reference,
    ),
    "EinsumDense, dots before": (
        lambda: einsum_dense("...x,xy->...y", 4, bias_axes="y"),
        data(5, 2, 3, 6),
        einsum_reference,
    ),
    "EinsumDense, dots behind": (
        lambda: einsum_dense("ab...,bc->ac...", 4, bias_axes="c"),
        data(5, 3, 6),
        einsum_reference,
    ),
    "EinsumDense, no bias": (lambda: einsum_dense("ab,cb->ac", [4]), X, einsum_reference),
    "RMSNormalization": (
        lambda: L.RMSNormalization(),
        X,
        lambda layer, x: rms_reference(layer, x, -1),
    ),
    "RMSNormalization, axis 1": (
        lambda: L.RMSNormalization(1, epsilon=0.1),
        data(4, 3, 5),
        lambda layer, x: rms_reference(layer, x, 1),
    ),
    "RMSNormalization, axes": (
        lambda: L.RMSNormalization([1, 2]),
        data(4, 3, 5),
        lambda layer, x: rms_reference(layer, x, (1, 2)),
    ),
    "UnitNormalization": (lambda: L.UnitNormalization(), X, lambda _, x: unit(x)),
    "UnitNormalization, axes": (
        lambda: L.UnitNormalization((1, 2)),
        data(4, 3, 5),
        lambda _, x: unit(x, (1, 2)),
    ),
    "Normalization": (
        lambda: L.Normalization(mean=np.arange(6.0), variance=np.arange(1.0, 7.0)),
        X,
        lambda _, x: (x - np.arange(6.0)) / np.sqrt(np.arange(1.0, 7.0)),
    ),
    "Normalization, inverted": (
        lambda: L.Normalization(mean=2.0, variance=9.0, invert=True),
        X,
        lambda _, x: 3 * x + 2,
    ),
    "Normalization, axis 1": (
        lambda: L.Normalization(1, mean=[1.0, 2, 3], variance=[4.0, 0.25, 1]),
        data(4, 3, 5),
        lambda _, x: (x - np.array([1.0, 2, 3])[:, None]) / np.array([2.0, 0.5, 1])[:, None],
    ),
    "Normalization, no axis": (
        lambda: L.Normalization(None, mean=1.0, variance=0.0),
        np.full((2, 3), 1.0),
        lambda _, x: 0 * x,
    ),
    "RReLU": (lambda: L.RReLU(0.1, 0.3), X, lambda _, x: np.where(x < 0, 0.2 * x, x)),
    "CategoryEncoding": (
        lambda: L.CategoryEncoding(4),
        np.array([[0, 3, 3], [1, 1, 1]]),
        lambda _, x: np.array([[1.0, 0, 0, 1], [0, 1, 0, 0]]),
    ),
    "CategoryEncoding, one_hot": (
        lambda: L.CategoryEncoding(3, "one_hot"),
        np.array([[0, 2], [1, 1]]),
        lambda _, x: np.eye(3)[x.astype(int)],
    ),
    "CategoryEncoding, one_hot of one": (
        lambda: L.CategoryEncoding(3, "one_hot"),
        np.array([[2], [1], [0]]),
        lambda _, x: np.eye(3)[x[:, 0].astype(int)],
    ),
    "CategoryEncoding, count": (
        lambda: L.CategoryEncoding(4, "count"),
        np.array([[0, 3, 3], [1, 1, 1]]),
        lambda _, x: np.array([[1.0, 0, 0, 2], [0, 3, 0, 0]]),
    ),
    "CategoryEncoding, rank 3": (
        lambda: L.CategoryEncoding(3, "multi_hot"),
        np.array([[[0, 1], [2, 2]]]),
        lambda _, x: np.array([[[1.0, 1, 0], [0, 0, 1]]]),
    ),
    "Discretization, one_hot": (
        lambda: L.Discretization([-1.0, 0.5], output_mode="one_hot"),
        X,
        lambda _, x: np.eye(3)[np.digitize(x, [-1.0, 0.5])],
    ),
    "Discretization, count": (
        lambda: L.Discretization([-1.0, 0.5], output_mode="count"),
        X,
        lambda _, x: np.eye(3)[np.digitize(x, [-1.0, 0.5])].sum(1),
    ),
    "Dot": (lambda: L.Dot(1), PAIR, lambda _, x: (x[0] * x[1]).sum(1, keepdims=True)),
    "Dot, normalized": (
        lambda: L.Dot(-1, normalize=True),
        PAIR,
        lambda _, x: (unit(x[0]) * unit(x[1])).sum(1, keepdims=True),
    ),
    "Dot, matrices": (
        lambda: L.Dot((1, 2)),
        [data(2, 3, 5), data(2, 4, 3)],
        lambda _, x: np.einsum("nka,nbk->nab", *x),
    ),
    "Dot, matrix and vector": (
        lambda: L.Dot((2, 1)),
        [data(2, 3, 5), data(2, 5)],
        lambda _, x: np.einsum("nak,nk->na", *x),
    ),
    "Dot, rank 4": (
        lambda: L.Dot((2, 1), normalize=True),
        [data(2, 3, 5, 2), data(2, 5, 4)],
        lambda _, x: np.einsum("nakc,nkb->nacb", unit(x[0], 2), unit(x[1], 1)),
    ),
    "ReLU": (lambda: L.ReLU(), X, lambda _, x: np.maximum(x, 0)),
    "ReLU, all arguments": (lambda: L.ReLU(2.0, 0.1, 0.5), X, relu_reference),
    "ReLU, max_value": (lambda: L.ReLU(1.5), X, lambda _, x: np.clip(x, 0, 1.5)),
    "LeakyReLU": (lambda: L.LeakyReLU(), X, lambda _, x: np.where(x < 0, 0.3 * x, x)),
    "PReLU": (
        lambda: L.PReLU(densa.initializers.Constant(0.25)),
        X,
        lambda _, x: np.where(x < 0, 0.25 * x, x),
    ),
    "PReLU, shared": (
        lambda: L.PReLU("uniform", shared_axes=[1]),
        data(3, 4, 5),
        lambda layer, x: np.where(x < 0, layer.alpha.numpy() * x, x),
    ),
    "ELU": (lambda: L.ELU(0.7), X, lambda _, x: np.where(x < 0, 0.7 * np.expm1(x), x)),
    "Swish": (lambda: L.Swish(0.6), X, lambda _, x: x * sigmoid(0.6 * x)),
    "Swish, per unit": (
        lambda: L.Swish("uniform", per_unit=True),
        X,
        lambda layer, x: x * sigmoid(layer.beta.numpy() * x),
    ),
    "Softmax": (lambda: L.Softmax(), X, lambda _, x: softmax(x)),
    "Softmax, axis": (lambda: L.Softmax(1), data(2, 3, 4), lambda _, x: softmax(x, 1)),
    "Softmax, axes": (
        lambda: L.Softmax((1, 2)),
        data(2, 3, 4),
        lambda _, x: softmax(x.reshape(2, 12)).reshape(2, 3, 4),
    ),
    "Rescaling": (lambda: L.Rescaling(0.5, 1.0), X, lambda _, x: x * 0.5 + 1),
    "Rescaling, arrays": (
        lambda: L.Rescaling([1.0, 2, 3, 4, 5, 6], np.arange(6.0)),
        X,
        lambda _, x: x * np.arange(1.0, 7.0) + np.arange(6.0),
    ),
    "Lambda": (lambda: L.Lambda(scaled, arguments={"by": 3.0}), X, lambda _, x: 3 * x),
    "Add": (lambda: L.Add(), PAIR, lambda _, x: x[0] + x[1]),
    "Subtract": (lambda: L.Subtract(), PAIR, lambda _, x: x[0] - x[1]),
    "Multiply": (lambda: L.Multiply(), [*PAIR, PAIR[0]], lambda _, x: x[0] * x[1] * x[2]),
    "Average": (lambda: L.Average(), [*PAIR, PAIR[0]], lambda _, x: (x[0] + x[1] + x[2]) / 3),
    "Maximum": (lambda: L.Maximum(), PAIR, lambda _, x: np.maximum(*x)),
    "Minimum": (lambda: L.Minimum(), PAIR, lambda _, x: np.minimum(*x)),
    "Add, broadcast": (
        lambda: L.Add(),
        [data(4, 3), data(4, 5, 3), data(4, 1)],
        lambda _, x: x[0][:, None, :] + x[1] + x[2][:, None, :],
    ),
    "Concatenate": (lambda: L.Concatenate(), PAIR, lambda _, x: np.concatenate(x, -1)),
    "Concatenate, axis 1": (
        lambda: L.Concatenate(1),
        [data(4, 2, 3), data(4, 1, 3)],
        lambda _, x: np.concatenate(x, 1),
    ),
}


@densa.saving.register_keras_serializable("layer_tests")
def scaled(x, by):
    return x * by


def outputs_of(layer, x):
    return layer(x).numpy()


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_against_numpy(name, dtype):
    make, x, reference = CASES[name]
    layer = make()
    config = {**layer.get_config(), "dtype": dtype}
    layer = type(layer).from_config(config)
    y = outputs_of(layer, x)
    assert y.dtype == dtype
    wanted = reference(layer, x)
    assert y.shape == wanted.shape
    # Composites of a few operations: a handful of roundings of values up to about 30.
    tolerance = 1e-12 if dtype == "float64" else 3e-5
    np.testing.assert_allclose(y, wanted, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("name", CASES)
def test_symbolic_shape(name):
    make, x, _ = CASES[name]
    layer = make()
    y = outputs_of(layer, x)
    if isinstance(x, list):
        symbol = [densa.KerasTensor((None, *a.shape[1:])) for a in x]
        shape = layer.compute_output_shape([(None, *a.shape[1:]) for a in x])
    else:
        symbol = densa.KerasTensor((None, *x.shape[1:]))
        shape = layer.compute_output_shape((None, *x.shape[1:]))
    assert layer(symbol).shape == (None, *y.shape[1:])
    assert tuple(shape) == (None, *y.shape[1:])


@pytest.mark.parametrize("name", CASES)
def test_config_round_trip(name):
    make, x, _ = CASES[name]
    layer = make()
    layer(x)
    text = json.dumps(L.serialize(layer))
    again = L.deserialize(json.loads(text))
    assert type(again) is type(layer)
    assert again.name == layer.name
    assert json.dumps(L.serialize(again)) == text
    again.set_weights(layer.get_weights())
    np.testing.assert_array_equal(outputs_of(again, x), outputs_of(layer, x))


@pytest.mark.parametrize("name", CASES)
def test_one_row_and_no_rows(name):
    make, x, _ = CASES[name]
    layer = make()
    whole = outputs_of(layer, x)
    first = [a[:1] for a in x] if isinstance(x, list) else x[:1]
    np.testing.assert_array_equal(outputs_of(layer, first), whole[:1])
    none = [a[:0] for a in x] if isinstance(x, list) else x[:0]
    assert outputs_of(layer, none).shape == (0, *whole.shape[1:])


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activation(name):
    z = np.concatenate([data(40), [0.0, -0.0, 0.5, -0.5]])[None]
    function = densa.activations.get(name)
    np.testing.assert_allclose(
        np.asarray(function(z)), ACTIVATIONS[name](z), rtol=1e-12, atol=1e-13
    )
    x, layer = data(4, 5), L.Dense(3, name, dtype="float64")
    wanted = ACTIVATIONS[name](_sum(layer, x))
    np.testing.assert_allclose(layer(x).numpy(), wanted, rtol=1e-11, atol=1e-12)
    assert densa.activations.get(densa.activations.serialize(function)) is function
    assert layer.get_config()["activation"] == function.__name__


def _sum(layer, x):
    layer.build((None, x.shape[-1]))
    return x @ layer.kernel.numpy() + layer.bias.numpy()


def test_gelu_golden_numbers():  # G13, G14
    z = np.linspace(-3, 3, 600_001)
    y = densa.activations.gelu(z).numpy()
    assert y.min() == pytest.approx(-0.169971, abs=1e-6)
    assert z[y.argmin()] == pytest.approx(-0.751792, abs=1e-5)
    assert np.abs(z * sigmoid(1.702 * z) - y).max() == pytest.approx(0.0203, abs=1e-4)


def test_leaky_relu_as_layer_and_as_activation_agree():
    x = data(8, 6)
    alone = L.LeakyReLU(0.2)
    inside = L.Dense(4, activation=alone, dtype="float64")
    plain = L.Dense(4, dtype="float64")
    plain.build((None, 6))
    inside.build((None, 6))
    plain.set_weights(inside.get_weights())
    z = plain(x).numpy()
    np.testing.assert_allclose(inside(x).numpy(), np.where(z < 0, 0.2 * z, z), rtol=1e-6)


def test_embedding():
    layer = L.Embedding(7, 3)
    ids = np.array([[0, 6, 2], [1, 1, 5]])
    y = layer(ids).numpy()
    np.testing.assert_array_equal(y, layer.embeddings.numpy()[ids])
    np.testing.assert_array_equal(layer(ids.astype("float32")).numpy(), y)
    assert layer(densa.KerasTensor((None, 3), "int32")).shape == (None, 3, 3)
    again = L.Embedding.from_config(layer.get_config())
    assert again.get_config() == layer.get_config()
    table = data(7, 3).astype("float32")
    np.testing.assert_array_equal(L.Embedding(7, 3, weights=[table])(ids).numpy(), table[ids])


def test_layers_keep_integer_inputs_where_they_only_move_them():
    x = np.arange(12, dtype="int32").reshape(2, 3, 2)
    for layer in (L.Flatten(), L.Reshape((6,)), L.Permute((2, 1)), L.Identity()):
        assert layer(x).dtype == "int32"


def test_uint8_images():
    x = np.array([[0, 255, 51]], "uint8")
    np.testing.assert_allclose(L.Rescaling(1 / 255)(x).numpy(), [[0, 1, 0.2]], rtol=1e-6)
    assert L.Dense(2)(x).dtype == "float32"


def test_merge_functions():
    a, b = PAIR
    np.testing.assert_allclose(L.add([a, b]).numpy(), a + b, rtol=1e-6)
    np.testing.assert_allclose(L.subtract([a, b]).numpy(), a - b, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(L.multiply([a, b]).numpy(), a * b, rtol=1e-6)
    np.testing.assert_allclose(L.average([a, b]).numpy(), (a + b) / 2, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(L.maximum([a, b]).numpy(), np.maximum(a, b), rtol=1e-6)
    np.testing.assert_allclose(L.minimum([a, b]).numpy(), np.minimum(a, b), rtol=1e-6)
    assert L.concatenate([a, b], axis=1).shape == (4, 6)
    cosine = (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
    found = L.dot([a, b], axes=1, normalize=True).numpy()
    np.testing.assert_allclose(found, cosine[:, None], rtol=1e-5, atol=1e-6)
