"""Passes that only plans on a GPU take, by the text of their programs and by the numbers."""

from __future__ import annotations

import contextlib
import math

import numpy as np
import pytest

import densa
from densa import _core, layers
from densa.tensor import apply

pytestmark = pytest.mark.usefixtures("gpu")
rng = np.random.default_rng(3)


@pytest.fixture
def on_cpu(gpu):
    @contextlib.contextmanager
    def there():
        before = densa.get_device()
        densa.set_device("cpu")
        yield
        densa.set_device(before)

    return there


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


def copies_of(plan):
    """The variables whose new values are copied at the end of a step."""
    lines = [line.split() for line in str(plan).splitlines()]
    return [line[1] for line in lines if line[:1] == ["assign"] and line[2:] != ["in", "place"]]


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
        model = mlp((30, 300, 5), activation)  # too wide for a program of rows
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


def test_moving_averages_and_totals_are_one_op(on_cpu):
    def trained():
        densa.utils.set_random_seed(4)
        stack = []
        for width in (9, 33, 20):
            stack += [layers.Dense(width), layers.BatchNormalization(momentum=0.9)]
        model = densa.Sequential([densa.Input((6,)), *stack, layers.Dense(2)])
        model.compile("sgd", "mse", metrics=["mae"])
        data = np.random.default_rng(1)
        x, y = data.normal(size=(48, 6)).astype("f4"), data.normal(size=(48, 2)).astype("f4")
        history = model.fit(x, y, batch_size=16, epochs=3, shuffle=False, verbose=0).history
        return model, history

    model, history = trained()
    plan = plan_of(model, "train")
    assert ops_of(plan).count("arithmetic") == 1
    assert ops_of(plan)[-1] == "arithmetic"
    assert copies_of(plan) == []
    lines = plan.program_text.splitlines()
    assert not [line for line in lines if " = add " in line or " = multiply " in line
                if "float32(9,)" in line or "float32(33,)" in line]  # fmt: skip
    with on_cpu():
        other, expected = trained()
    # Sums of another order, through nine steps.
    for name in expected:
        np.testing.assert_allclose(history[name], expected[name], rtol=1e-5, err_msg=name)
    for variable, a, b in zip(
        model.variables, model.get_weights(), other.get_weights(), strict=True
    ):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6, err_msg=variable.path)


def test_assigned_variables_are_read_as_at_the_start_of_the_step():
    """Neither may be written before the other one's new value has read it."""

    class Pair(layers.Layer):
        def build(self, shape):
            self.a = self.add_weight(shape=(700,), initializer="ones", trainable=False)
            self.b = self.add_weight(shape=(700,), initializer="zeros", trainable=False)
            self.c = self.add_weight(shape=(700,), initializer="ones", trainable=False)

        def call(self, x):
            a, b = self.a + self.b * 0.5, self.b - self.a * 2.0
            c = (self.c + 1.0) * (self.c - 0.5)
            self.a.assign(a)
            self.b.assign(b)
            self.c.assign(c)
            return x

    pair = Pair()
    model = densa.Sequential([densa.Input((3,)), layers.Dense(2), pair])
    model.compile("sgd", "mse")
    a, b, c = np.ones(700, "f4"), np.zeros(700, "f4"), np.ones(700, "f4")
    half, two, one = np.float32(0.5), np.float32(2), np.float32(1)
    for _ in range(4):
        model.train_on_batch(numbers(4, 3), numbers(4, 2))
        a, b, c = a + b * half, b - a * two, (c + one) * (c - half)
        for got, want in ((pair.a, a), (pair.b, b), (pair.c, c)):
            np.testing.assert_array_equal(got.numpy(), want)
    assert copies_of(plan_of(model, "train")) == [v.name for v in (pair.a, pair.b)]


def test_a_variable_under_another_name_is_read_as_at_the_start():
    class Named(layers.Layer):
        def build(self, shape):
            self.a = self.add_weight(shape=(1, 700), initializer="ones", trainable=False)
            self.b = self.add_weight(shape=(700,), initializer="zeros", trainable=False)

        def call(self, x):
            a, b = self.a * 3.0, self.b + densa.ops.reshape(self.a, (700,))
            self.a.assign(a)
            self.b.assign(b)
            return x

    named = Named()
    model = densa.Sequential([densa.Input((3,)), layers.Dense(2), named])
    model.compile("sgd", "mse")
    for _ in range(3):
        model.train_on_batch(numbers(4, 3), numbers(4, 2))
    assert "arithmetic" in ops_of(plan_of(model, "train"))
    np.testing.assert_array_equal(named.a.numpy(), 27)
    np.testing.assert_array_equal(named.b.numpy(), 1 + 3 + 9)


def test_a_step_that_fails_writes_no_moving_average():
    model = densa.Sequential(
        [
            densa.Input((2,), dtype="int64"),
            layers.Embedding(5, 4),
            layers.Flatten(),
            layers.Dense(3),
            layers.BatchNormalization(),
        ]
    )
    model.compile("sgd", "mse")
    ids, y = rng.integers(0, 5, (16, 2)), numbers(16, 3)
    model.fit(ids, y, batch_size=16, verbose=0)
    assert "arithmetic" in ops_of(plan_of(model, "train"))
    assert len(copies_of(plan_of(model, "train"))) >= 2
    before = model.get_weights()
    ids[7, 1] = 9
    with pytest.raises(IndexError, match="id 9"):
        model.fit(ids, y, batch_size=16, verbose=0)
    for a, b in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(a, b)


def test_more_arithmetic_than_one_launch_takes():
    densa.utils.set_random_seed(4)
    stack = []
    for _ in range(50):
        stack += [layers.Dense(3), layers.BatchNormalization(momentum=0.5)]
    model = densa.Sequential([densa.Input((3,)), *stack, layers.Dense(2)])
    model.compile(densa.optimizers.SGD(0.0), "mse")
    x = numbers(16, 3)
    model.fit(x, numbers(16, 2), batch_size=16, verbose=0)
    assert ops_of(plan_of(model, "train")).count("arithmetic") > 1
    # With a rate of zero the batch's statistics are those of the untouched weights.
    h = x.astype("f8")
    for dense, norm in zip(stack[::2], stack[1::2], strict=True):
        w, bias = (v.astype("f8") for v in dense.get_weights())
        h = h @ w + bias
        mean, variance = h.mean(0), h.var(0)
        np.testing.assert_allclose(norm.moving_mean.numpy(), mean / 2, rtol=1e-3, atol=1e-4)
        np.testing.assert_allclose(
            norm.moving_variance.numpy(), (1 + variance) / 2, rtol=1e-3, atol=1e-4
        )
        h = (h - mean) / np.sqrt(variance + norm.epsilon)


@pytest.mark.parametrize("rows", [1, 7, 32, 700])  # 700: the sum is cut into parts
@pytest.mark.parametrize("activation", ["relu", "tanh", "sigmoid", "elu", "leaky_relu", "gelu"])
def test_bias_gradients_come_with_their_pass(activation, rows):
    """One step of SGD against the gradients in float64: a rate of 1 shows them."""
    model = mlp((5, 257, 270, 3), activation)  # too wide for a program of rows
    model.compile(densa.optimizers.SGD(1.0), "mse")
    before = [w.astype("f8") for w in model.get_weights()]
    x, y = numbers(rows, 5), numbers(rows, 3)
    model.train_on_batch(x, y)
    names = ops_of(plan_of(model, "train"))
    assert names.count("slope_sum") == 2
    values = {
        "relu": (FORMULAS["relu"], lambda z: (z > 0) * 1.0),
        "tanh": (np.tanh, lambda z: 1 - np.tanh(z) ** 2),
        "sigmoid": (lambda z: 1 / (1 + np.exp(-z)), lambda z: np.exp(-z) / (1 + np.exp(-z)) ** 2),
        "elu": (
            lambda z: np.where(z < 0, np.expm1(z), z),
            lambda z: np.where(z < 0, np.exp(z), 1),
        ),
        "leaky_relu": (FORMULAS["leaky_relu"], lambda z: np.where(z < 0, 0.2, 1.0)),
        "gelu": (
            lambda z: z * phi(z),
            lambda z: phi(z) + z * np.exp(-z * z / 2) / np.sqrt(2 * np.pi),
        ),
    }
    f, slope = values[activation]
    hs, zs = [x.astype("f8")], []
    for i in range(3):
        zs.append(hs[-1] @ before[2 * i] + before[2 * i + 1])
        hs.append(f(zs[-1]) if i < 2 else zs[-1])
    dz = 2 * (hs[-1] - y) / y.size
    for i in (2, 1, 0):
        for at, want in ((2 * i, hs[i].T @ dz), (2 * i + 1, dz.sum(0))):
            got = before[at] - model.get_weights()[at]
            # Weights of size 1 hide what is smaller than 1e-7, sums the rounding of their parts.
            atol = 1e-6 * max(1, np.abs(want).max())
            np.testing.assert_allclose(got, want, rtol=1e-4, atol=atol, err_msg=f"{i} {at}")
        if i > 0:
            dz = dz @ before[2 * i].T * slope(zs[i - 1])


def test_a_bias_of_one_column_keeps_its_sum():
    model = mlp((5, 1, 3), "tanh")
    model.compile("sgd", "mse")
    model.fit(numbers(8, 5), numbers(8, 3), batch_size=8, verbose=0)
    assert "slope_sum" not in plan_of(model, "train").program_text


def phi(z):
    return 0.5 * (1 + np.vectorize(math.erf)(z / math.sqrt(2)))


def test_a_stretched_value_is_a_view_where_its_readers_take_strides():
    w = _core.Variable(numbers(1, 3).copy(), name="w")
    program = _core.Program()
    with program:
        x = program.input("x", (None, 3), "float32")
        wide = apply("broadcast_to", w, shape=[2, 3])
        twice = apply("broadcast_to", wide, shape=[4, 2, 3])
        program.output("multiplied", x * apply("broadcast_to", w, shape=[-1, 3]))
        # A reshape takes the memory as it lies, so what it reads is written out.
        flat = apply("reshape", twice, shape=[8, 3])
        program.output("product", apply("matmul", x, flat, transpose_b=True))
    plan = _core.Plan(program, 5, collect=["multiplied", "product"])
    labels = str(plan).splitlines()
    assert len([line for line in labels if line.startswith("  broadcast_to")]) == 1
    rows, got = numbers(5, 3), [np.empty((5, 3), "f4"), np.empty((5, 8), "f4")]
    plan.begin([rows], None, 0, 5, 5, got)
    assert plan.run() == 1
    np.testing.assert_array_equal(got[0], rows * w.numpy())
    want = rows.astype("f8") @ np.tile(w.numpy().astype("f8"), (8, 1)).T
    np.testing.assert_allclose(got[1], want, rtol=1e-5, atol=1e-6)
