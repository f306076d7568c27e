"""Passes that only plans on a GPU take, by the text of their programs and by the numbers."""

from __future__ import annotations

import numpy as np
import pytest

import densa
from densa import layers
from densa.tensor import apply

pytestmark = pytest.mark.usefixtures("gpu")
rng = np.random.default_rng(3)


@pytest.fixture
def gpu():
    before = densa.get_device()
    try:
        densa.set_device("cuda")
    except RuntimeError as error:
        pytest.skip(f"no GPU: {error}")
    yield
    densa.set_device(before)


@pytest.fixture
def floatx(dtype):
    """The test's dtype as that of models, so that nothing is cast between."""
    before = densa.config.floatx()
    densa.config.set_floatx(dtype)
    yield
    densa.config.set_floatx(before)


def numbers(*shape, dtype="float32"):
    return rng.normal(size=shape).astype(dtype)


def plan_of(model, kind="predict"):
    (bound,) = model._runner(kind)._plans.values()
    return bound.plan


def ops_of(plan):
    """The names of a program's ops, in order."""
    lines = [line for line in plan.program_text.splitlines() if line.startswith("%")]
    words = [line.split(" = ", 1)[1].split()[0] for line in lines if " = " in line]
    return [word for word in words if word not in ("input", "variable", "constant")]


def mlp(widths, activation, *, norm=False, dtype="float32"):
    stack = [densa.Input((widths[0],), dtype=dtype)]
    for width in widths[1:-1]:
        stack.append(layers.Dense(width, dtype=dtype))
        if norm:
            stack.append(layers.BatchNormalization(dtype=dtype))
        stack.append(layers.Activation(activation, dtype=dtype))
    model = densa.Sequential([*stack, layers.Dense(widths[-1], dtype=dtype)])
    shaken = [np.abs(w + 0.2 * rng.normal(size=w.shape)) if "variance" in v.path else
              w + 0.2 * rng.normal(size=w.shape)
              for v, w in zip(model.variables, model.get_weights(), strict=True)]  # fmt: skip
    model.set_weights(shaken)
    return model


# Formulas in float64, written down once more.
FORMULAS = {
    "relu": lambda z: np.maximum(z, 0),
    "tanh": np.tanh,
    "silu": lambda z: z / (1 + np.exp(-z)),
    "softplus": lambda z: np.log1p(np.exp(z)),
    "leaky_relu": lambda z: np.where(z < 0, 0.2 * z, z),
}


def forward(model, x, activation):
    """The network in float64 NumPy."""
    y = x.astype("f8")
    for layer in model.layers:
        weights = [w.astype("f8") for w in layer.get_weights()]
        if isinstance(layer, layers.Dense):
            y = y @ weights[0] + weights[1]
        elif isinstance(layer, layers.BatchNormalization):
            gamma, beta, mean, variance = weights
            y = (y - mean) / np.sqrt(variance + layer.epsilon) * gamma + beta
        elif isinstance(layer, layers.Activation):
            y = FORMULAS[activation](y)
    return y


def test_an_activation_becomes_a_part_of_its_dense():
    model = mlp((784, 300, 100, 10), "relu")
    x = numbers(9, 784)
    y = model.predict(x, verbose=0)
    assert ops_of(plan_of(model)) == ["feed", "dense", "dense", "dense"]
    assert plan_of(model).program_text.count('activation="relu"') == 2
    np.testing.assert_allclose(y, forward(model, x, "relu"), rtol=1e-4, atol=1e-4)


def test_training_keeps_what_its_gradient_reads():
    """relu's slope comes from y, so z may go; silu's comes from z, which stays."""
    for activation, stays in (("relu", False), ("silu", True)):
        model = mlp((30, 20, 5), activation)
        model.compile("sgd", "mse")
        model.fit(numbers(8, 30), numbers(8, 5), batch_size=8, verbose=0)
        text = plan_of(model, "train").program_text
        assert (f'activation="{activation}"' in text) is not stays
        assert ("unary_pair" in text) is stays


def test_an_activation_that_is_read_twice_is_not_computed_twice():
    x = densa.Input((12,))
    z = layers.Dense(7)(x)
    model = densa.Model(x, layers.Concatenate()([z, layers.Activation("tanh")(z)]))
    rows = numbers(5, 12)
    y = model.predict(rows, verbose=0)
    assert ops_of(plan_of(model)) == ["feed", "dense", "tanh", "concatenate"]
    np.testing.assert_allclose(y[:, 7:], np.tanh(y[:, :7].astype("f8")), rtol=1e-6)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("norm", [False, True])
@pytest.mark.parametrize("activation", FORMULAS)
def test_a_narrow_network_is_one_op(activation, norm, dtype, floatx):
    model = mlp((17, 64, 33, 1, 6), activation, norm=norm, dtype=dtype)
    x = numbers(37, 17, dtype=dtype)
    y = model.predict(x, batch_size=37, verbose=0)
    assert ops_of(plan_of(model)) == ["feed", "network"]
    tolerance = 1e-4 if dtype == "float32" else 1e-12
    np.testing.assert_allclose(y, forward(model, x, activation), rtol=tolerance, atol=tolerance)
    # A row has the same bits in a batch of any size.
    np.testing.assert_array_equal(model.predict(x, batch_size=5, verbose=0), y)
    np.testing.assert_array_equal(model.predict(x[4:5], verbose=0), y[4:5])


@pytest.mark.parametrize("rows", [1, 4, 2047, 2049])  # 2048: larger tiles from there on
def test_a_network_has_the_bits_of_its_layers(rows):
    """Sums of fewer than 128 terms are not split by the product either."""
    model = mlp((5, 16, 127, 3), "tanh", norm=True)
    x = numbers(rows, 5)
    y = model.predict(x, batch_size=rows, verbose=0)
    assert ops_of(plan_of(model)) == ["feed", "network"]
    h = densa.asarray(x).to("cuda")
    for layer in model.layers:
        own = [densa.asarray(w).to("cuda") for w in layer.get_weights()]
        if isinstance(layer, layers.Dense):
            h = apply("dense", h, *own)
        elif isinstance(layer, layers.BatchNormalization):
            h = apply("batch_norm", h, *own, epsilon=layer.epsilon)
        elif isinstance(layer, layers.Activation):
            h = apply("tanh", h)
    np.testing.assert_array_equal(y, h.to("cpu").numpy())


def test_wide_layers_and_second_readers_cut_a_chain():
    x = densa.Input((8,))
    h = layers.Dense(10, activation="relu")(x)
    h = layers.Dense(12, activation="relu")(h)  # two layers, then read twice
    a = layers.Dense(9)(layers.Dense(4, activation="tanh")(h))
    b = layers.Dense(300)(h)
    b = layers.Dense(5)(layers.Dense(6)(b))  # from 300 columns on it is a dense of its own
    model = densa.Model(x, [a, b])
    rows = numbers(6, 8)
    got = model.predict(rows, verbose=0)
    assert ops_of(plan_of(model)).count("network") == 2
    assert ops_of(plan_of(model)).count("dense") == 3
    weights = [w.astype("f8") for w in model.get_weights()]
    by_shape = {w.shape: (w, b) for w, b in zip(weights[::2], weights[1::2], strict=True)}

    def dense(v, *shape):
        w, bias = by_shape[shape]
        return v @ w + bias

    want = np.maximum(dense(np.maximum(dense(rows, 8, 10), 0), 10, 12), 0)
    np.testing.assert_allclose(
        got[0], dense(np.tanh(dense(want, 12, 4)), 4, 9), rtol=1e-4, atol=1e-5
    )
    np.testing.assert_allclose(
        got[1], dense(dense(dense(want, 12, 300), 300, 6), 6, 5), rtol=1e-4, atol=1e-5
    )


def test_a_deep_network_is_several_ops():
    model = mlp((6, *[5] * 50, 2), "tanh")
    x = numbers(3, 6)
    y = model.predict(x, verbose=0)
    assert ops_of(plan_of(model)) == ["feed", "network", "network", "network"]
    np.testing.assert_allclose(y, forward(model, x, "tanh"), rtol=1e-4, atol=1e-5)


def test_not_a_number_stays_in_its_row():
    model = mlp((4, 8, 3), "relu")
    x = numbers(6, 4)
    x[2, 1] = np.nan
    with pytest.warns(UserWarning, match="row 2"):
        y = model.predict(x, verbose=0)
    assert np.isnan(y[2]).all()
    np.testing.assert_array_equal(np.delete(y, 2, axis=0), model.predict(np.delete(x, 2, 0),
                                                                         verbose=0))  # fmt: skip


def test_a_network_follows_its_weights():
    model = mlp((4, 8, 3), "relu")
    x = numbers(6, 4)
    for _ in range(4):
        model.set_weights([w + 0.1 for w in model.get_weights()])
        y = model.predict(x, verbose=0)
        np.testing.assert_allclose(y, forward(model, x, "relu"), rtol=1e-4, atol=1e-5)
