"""Passes that only plans on a GPU take, by the text of their programs and by the numbers."""

from __future__ import annotations

import numpy as np
import pytest

import densa
from densa import layers

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
