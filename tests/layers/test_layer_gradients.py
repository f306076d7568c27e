"""Gradients of every layer, by the tape, against central differences in float64."""

from __future__ import annotations

import numpy as np
import pytest

import densa
from densa import _core

L = densa.layers
SEED = 20261122


def data(*shape):
    x = np.random.default_rng(SEED).uniform(-2.0, 2.0, shape)
    return np.where(np.abs(x) < 0.05, 0.1, x)  # away from the kinks at zero


X = data(5, 6)
PAIR = [data(4, 3), data(4, 3)[::-1] + 0.3]
CASES = {
    **{
        f"Dense, {name}": (lambda name=name: L.Dense(4, name, bias_initializer="uniform"), X)
        for name in (
            "linear relu leaky_relu elu selu gelu silu mish sigmoid hard_sigmoid tanh softplus "
            "softsign exponential softmax log_softmax relu6 celu hard_silu log_sigmoid"
        ).split()
    },
    "Dense, rank 3": (lambda: L.Dense(4, "tanh"), data(2, 3, 6)),
    "Activation": (lambda: L.Activation("gelu"), X),
    "BatchNormalization": (lambda: L.BatchNormalization(gamma_initializer="uniform"), X),
    "BatchNormalization, axes": (lambda: L.BatchNormalization(axis=[1, 2]), data(4, 2, 3)),
    "BatchNormalization, axis 1": (lambda: L.BatchNormalization(axis=1), data(4, 2, 3)),
    "LayerNormalization": (lambda: L.LayerNormalization(gamma_initializer="uniform"), X),
    "LayerNormalization, axis 1": (
        lambda: L.LayerNormalization(1, beta_initializer="uniform"),
        data(4, 3, 5),
    ),
    "GroupNormalization": (
        lambda: L.GroupNormalization(2, 1, gamma_initializer="uniform"),
        data(3, 4, 5),
    ),
    "EinsumDense": (lambda: L.EinsumDense("abc,dcb->acd", (None, 4), "tanh", "d"), data(2, 3, 4)),
    "TimeDistributed": (
        lambda: L.TimeDistributed(L.LayerNormalization(dtype="float64")),
        data(2, 3, 4),
    ),
    "RMSNormalization": (lambda: L.RMSNormalization(epsilon=0.1), X),
    "RMSNormalization, axis 1": (lambda: L.RMSNormalization(1), data(4, 3, 5)),
    "UnitNormalization": (lambda: L.UnitNormalization(), X),
    "Normalization": (lambda: L.Normalization(mean=0.5, variance=4.0), X),
    "ReLU": (lambda: L.ReLU(1.5, 0.1, 0.3), X),
    "LeakyReLU": (lambda: L.LeakyReLU(), X),
    "PReLU": (lambda: L.PReLU("uniform"), X),
    "ELU": (lambda: L.ELU(0.7), X),
    "PReLU, shared": (lambda: L.PReLU("uniform", shared_axes=[1]), data(3, 4, 5)),
    "Swish": (lambda: L.Swish(0.6), X),
    "Swish, per unit": (lambda: L.Swish("uniform", per_unit=True), X),
    "Softmax": (lambda: L.Softmax(), X),
    "Softmax, axes": (lambda: L.Softmax((1, 2)), data(2, 3, 4)),
    "Reshape": (lambda: L.Reshape((3, 2)), X),
    "RepeatVector": (lambda: L.RepeatVector(3), X),
    "Permute": (lambda: L.Permute((2, 1)), data(2, 3, 4)),
    "Flatten": (lambda: L.Flatten(), data(2, 3, 4)),
    "Rescaling": (lambda: L.Rescaling(0.5, 1.0), X),
    "Lambda": (lambda: L.Lambda(lambda x: x[:, 1:4] * x[:, :3] + 1.0), X),
    "Add": (lambda: L.Add(), PAIR),
    "Add, broadcast": (lambda: L.Add(), [data(4, 3), data(4, 2, 3)]),
    "Subtract": (lambda: L.Subtract(), PAIR),
    "Multiply": (lambda: L.Multiply(), PAIR),
    "Average": (lambda: L.Average(), PAIR),
    "Maximum": (lambda: L.Maximum(), PAIR),
    "Minimum": (lambda: L.Minimum(), PAIR),
    "Concatenate": (lambda: L.Concatenate(), PAIR),
    "Dot": (lambda: L.Dot(1), PAIR),
    "Dot, normalized": (lambda: L.Dot(1, normalize=True), PAIR),
    "Dot, matrices": (lambda: L.Dot((1, 2)), [data(2, 3, 5), data(2, 4, 3)]),
}
STEP = 1e-5


def run(layer, arrays, single, factors):
    """Loss and the leaves it came from."""
    leaves = []
    for array in arrays:
        leaf = _core.from_numpy(array.copy())
        leaf.requires_grad = True
        leaves.append(leaf)
    for v in layer.weights:
        v.grad = None
    y = layer(leaves[0] if single else leaves, training=True)
    if factors is None:
        return y.shape
    return (y * factors).sum(), leaves


@pytest.mark.parametrize("name", CASES)
def test_gradients(name):
    make, x = CASES[name]
    layer = make()
    config = {**layer.get_config(), "dtype": "float64"} if name != "Lambda" else None
    layer = (
        L.Lambda(layer.function, dtype="float64")
        if config is None
        else type(layer).from_config(config)
    )
    single = not isinstance(x, list)
    arrays = [x] if single else [np.ascontiguousarray(a) for a in x]
    shape = run(layer, arrays, single, None)
    factors = np.random.default_rng(1).normal(size=shape)
    loss, leaves = run(layer, arrays, single, factors)
    loss.backward()
    found = [leaf.grad.numpy() for leaf in leaves]
    weights = layer.trainable_variables
    found_weights = [np.array(v.grad.numpy()) for v in weights]

    def value(change, which, weight=False):
        if weight:
            before = weights[which].numpy()
            weights[which].assign(before + change)
        moved = [a + change if i == which and not weight else a for i, a in enumerate(arrays)]
        out = float(run(layer, moved, single, factors)[0])
        if weight:
            weights[which].assign(before)
        return out

    rng = np.random.default_rng(2)
    for weight, gradients in ((False, found), (True, found_weights)):
        for which, gradient in enumerate(gradients):
            for _ in range(3):
                direction = rng.normal(size=gradient.shape)
                up = value(STEP * direction, which, weight)
                down = value(-STEP * direction, which, weight)
                # Central differences: error of STEP² times the third derivative, plus rounding.
                wanted = (up - down) / (2 * STEP)
                assert np.sum(gradient * direction) == pytest.approx(wanted, rel=2e-6, abs=2e-7)


def test_gradient_of_embedding():
    layer = L.Embedding(5, 3, dtype="float64")
    ids = np.array([[0, 2, 2], [4, 2, 0]])
    factors = data(2, 3, 3)
    (layer(ids) * factors).sum().backward()
    wanted = np.zeros((5, 3))
    np.add.at(wanted, ids, factors)
    np.testing.assert_allclose(layer.embeddings.grad.numpy(), wanted, rtol=1e-12)


def test_gradient_of_dropout_is_its_mask():
    layer = L.Dropout(0.5, seed=1)
    x = _core.from_numpy(np.ones((4, 5), "float32"))
    x.requires_grad = True
    y = layer(x, training=True)
    y.sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), y.numpy())


def test_gradient_of_regularizers():
    for regularizer, slope in (
        (densa.regularizers.L1(0.1), lambda w: 0.1 * np.sign(w)),
        (densa.regularizers.L2(0.1), lambda w: 0.2 * w),
        (densa.regularizers.L1L2(0.1, 0.2), lambda w: 0.1 * np.sign(w) + 0.4 * w),
    ):
        w = densa.Variable(data(3, 4))
        regularizer(w).backward()
        np.testing.assert_allclose(w.grad.numpy(), slope(w.numpy()), rtol=1e-12)


def test_gradient_of_unit_normalization_at_zero_is_finite():
    for layer in (L.UnitNormalization(), L.Dot(1, normalize=True)):
        x = _core.from_numpy(np.zeros((1, 3), "float32"))
        x.requires_grad = True
        layer(x if layer.name.startswith("unit") else [x, x]).sum().backward()
        assert np.isfinite(x.grad.numpy()).all()


def test_gradient_of_rrelu_is_its_slopes():
    layer = L.RReLU(seed=1)
    x = _core.from_numpy(-np.ones((4, 5), "float32"))
    x.requires_grad = True
    y = layer(x, training=True)
    y.sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), -y.numpy())
