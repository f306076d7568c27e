"""Steps of training for narrow networks, whose rows go through all of it in one launch."""

from __future__ import annotations

import numpy as np
import pytest

import densa
from densa import layers
from densa.tensor import apply

pytestmark = pytest.mark.usefixtures("gpu")


@pytest.fixture
def gpu():
    before, floatx = densa.get_device(), densa.config.floatx()
    try:
        densa.set_device("cuda")
    except RuntimeError as error:
        pytest.skip(f"no GPU: {error}")
    yield
    densa.set_device(before)
    densa.config.set_floatx(floatx)


def plan_of(model):
    (bound,) = model._runner("train")._plans.values()
    return bound.plan


def programs_of(model):
    """The names of the steps of each program of rows in a training plan."""
    lines = plan_of(model).program_text.splitlines()
    return [line.split('names="')[1].split('"')[0].split() for line in lines
            if " = row_program " in line]  # fmt: skip


def ops_of(model):
    lines = [line for line in plan_of(model).program_text.splitlines() if " = " in line]
    words = [line.split(" = ", 1)[1].split()[0] for line in lines]
    return [word for word in words if word not in ("input", "variable", "constant", "row_count")]


# ---- one step against gradients in float64 NumPy ------------------------------------------------

FORMULAS = {
    "tanh": (np.tanh, lambda z: 1 - np.tanh(z) ** 2),
    "relu": (lambda z: np.maximum(z, 0), lambda z: (z > 0) * 1.0),
    "silu": (
        lambda z: z / (1 + np.exp(-z)),
        lambda z: (1 + np.exp(-z) + z * np.exp(-z)) / (1 + np.exp(-z)) ** 2,
    ),
    "elu": (
        lambda z: np.where(z < 0, np.expm1(np.minimum(z, 0)), z),
        lambda z: np.where(z < 0, np.exp(np.minimum(z, 0)), 1),
    ),
}


def gradients(weights, x, y, activation, loss):
    f, slope = FORMULAS[activation]
    hs, zs = [x.astype("f8")], []
    depth = len(weights) // 2
    for i in range(depth):
        zs.append(hs[-1] @ weights[2 * i] + weights[2 * i + 1])
        hs.append(f(zs[-1]) if i + 1 < depth else zs[-1])
    if loss == "mse":
        value = ((hs[-1] - y) ** 2).mean()
        dz = 2 * (hs[-1] - y) / y.size
    else:
        p = np.exp(hs[-1] - hs[-1].max(1, keepdims=True))
        p /= p.sum(1, keepdims=True)
        value = -np.log(p[np.arange(len(y)), y]).mean()
        dz = p.copy()
        dz[np.arange(len(y)), y] -= 1
        dz /= len(y)
    out = [None] * len(weights)
    for i in reversed(range(depth)):
        out[2 * i], out[2 * i + 1] = hs[i].T @ dz, dz.sum(0)
        if i > 0:
            dz = (dz @ weights[2 * i].T) * slope(zs[i - 1])
    return value, out


def check_one_step(dtype, widths, rows, activation, loss):
    densa.config.set_floatx(dtype)
    rng = np.random.default_rng(rows + sum(widths))
    stack = [layers.Dense(width, activation=activation) for width in widths[1:-1]]
    model = densa.Sequential([densa.Input((widths[0],)), *stack, layers.Dense(widths[-1])])
    model.set_weights([w + 0.1 * rng.normal(size=w.shape) for w in model.get_weights()])
    before = [w.astype("f8") for w in model.get_weights()]
    labels = densa.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(densa.optimizers.SGD(1.0), "mse" if loss == "mse" else labels)
    x = rng.normal(size=(rows, widths[0])).astype(dtype)
    y = rng.normal(size=(rows, widths[-1])).astype(dtype)
    if loss != "mse":
        y = rng.integers(0, widths[-1], rows)
    got = model.train_on_batch(x, y)
    value, want = gradients(before, x, y, activation, loss)
    # A gradient is seen as the difference of weights of about 1, rounded to their precision.
    tolerance = 1e-5 if dtype == "float32" else 1e-12
    np.testing.assert_allclose(got, value, rtol=tolerance)
    for a, b, g in zip(before, model.get_weights(), want, strict=True):
        np.testing.assert_allclose(a - b, g, rtol=tolerance, atol=tolerance)
    return model


@pytest.mark.parametrize("rows", [1, 3, 4, 5, 64, 517])  # 517: blocks take several tiles
@pytest.mark.parametrize("loss", ["mse", "labels"])
@pytest.mark.parametrize("activation", FORMULAS)
def test_one_step_against_numpy(activation, loss, rows):
    model = check_one_step("float64", (17, 33, 64, 6), rows, activation, loss)
    assert ops_of(model) == ["feed", "feed", "row_program", "arithmetic"]
    check_one_step("float32", (17, 33, 64, 6), rows, activation, loss)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_large_tiles_against_numpy(dtype):
    """Many rows have tiles of 16 rows, or 8 in float64, with a short one at the end."""
    model = check_one_step(dtype, (3, 20, 5), 2051, "tanh", "mse")
    assert len(programs_of(model)) == 1


@pytest.mark.parametrize("width", [1, 31, 32, 33, 255, 256, 257])
def test_widths_against_numpy(width):
    model = check_one_step("float64", (5, width, 3), 7, "tanh", "mse")
    assert ("dense" in ops_of(model)) is (width > 256)
    assert programs_of(model)
    check_one_step("float32", (5, width, 3), 7, "tanh", "mse")


# ---- whole fits against the CPU -----------------------------------------------------------------

ACTIVATIONS = ["relu", "tanh", "gelu", "silu", "elu", "softplus", "sigmoid", "leaky_relu", "selu"]
LOSSES = ["mse", "mae", "huber", "labels", "one_hot", "probabilities", "binary"]


def random_model(seed, loss):
    rng = np.random.default_rng(seed)
    x = densa.Input((int(rng.integers(1, 20)),))
    h, name = x, ""
    for i in range(rng.integers(0, 5)):
        name = str(rng.choice(ACTIVATIONS))
        width = int(rng.choice([1, 2, 7, 16, 33, 64]))
        h = layers.Dense(width, activation=name, use_bias=bool(rng.random() < 0.8),
                         kernel_regularizer="l2" if rng.random() < 0.2 else None)(h)  # fmt: skip
        if rng.random() < 0.3:
            h = layers.Dropout(0.25, seed=i)(h)
        if rng.random() < 0.1:
            h = layers.BatchNormalization()(h)
    out = {"binary": "sigmoid", "probabilities": "softmax"}.get(loss)
    y = layers.Dense(1 if loss == "binary" else 4, activation=out)(h)
    return densa.Model(x, y)


def fitted(device, seed, loss, start=None, dtype="float64"):
    densa.set_device(device)
    densa.config.set_floatx(dtype)
    densa.utils.set_random_seed(seed)
    model = random_model(seed, loss)
    if start is not None:
        model.set_weights(start)
    before = model.get_weights()
    rng = np.random.default_rng(seed)
    rows, batch = int(rng.integers(1, 60)), int(rng.integers(1, 40))
    x = rng.normal(size=(rows, model.input_shape[1])).astype(dtype)
    y = rng.normal(size=(rows, 4)).astype(dtype)
    metrics = ["mae"]
    if loss in ("labels", "probabilities"):
        y, metrics = rng.integers(0, 4, rows).astype(rng.choice(["i8", "i4", "u1"])), ["accuracy"]
    elif loss == "one_hot":
        y, metrics = np.eye(4, dtype=dtype)[rng.integers(0, 4, rows)], ["accuracy"]
    elif loss == "binary":
        y, metrics = rng.integers(0, 2, (rows, 1)).astype(dtype), ["accuracy"]
    rule = {
        "labels": densa.losses.SparseCategoricalCrossentropy(from_logits=True),
        "one_hot": densa.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1),
        "probabilities": "sparse_categorical_crossentropy",
        "binary": "binary_crossentropy",
    }.get(loss, loss)
    model.compile(densa.optimizers.SGD(0.05, momentum=0.9), rule, metrics=metrics)
    weights = rng.random(rows).astype(dtype) if seed % 3 == 0 else None
    history = model.fit(x, y, batch_size=batch, epochs=4, sample_weight=weights, verbose=0).history
    return model, history, before


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("loss", LOSSES)
def test_a_random_network_trains_as_on_the_cpu(loss, seed):
    model, history, before = fitted("cuda", seed, loss)
    assert programs_of(model)
    other, expected, _ = fitted("cpu", seed, loss, before)
    for name, values in expected.items():
        np.testing.assert_allclose(history[name], values, rtol=1e-9, atol=1e-12, err_msg=name)
    for got, want in zip(model.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("loss", LOSSES)
def test_the_same_bits_in_every_run_and_close_to_the_cpu_in_float32(loss, seed):
    model, history, before = fitted("cuda", seed, loss, dtype="float32")
    again, same, _ = fitted("cuda", seed, loss, before, dtype="float32")
    assert history == same
    other, expected, _ = fitted("cpu", seed, loss, before, dtype="float32")
    for got, twin, want in zip(
        model.get_weights(), again.get_weights(), other.get_weights(), strict=True
    ):
        np.testing.assert_array_equal(got, twin)
        # Some tens of steps with momentum, each rounded otherwise.
        np.testing.assert_allclose(got, want, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(history["loss"], expected["loss"], rtol=1e-4)


# ---- what a program may and may not take --------------------------------------------------------


def both(make, compile_args, x, y, **fit):
    """The same fit on the GPU and on the CPU, in float64; returns the GPU's model."""
    densa.config.set_floatx("float64")
    fitted, start = [], None
    for device in ("cuda", "cpu"):
        densa.set_device(device)
        densa.utils.set_random_seed(7)
        model = make()
        if start is not None:
            model.set_weights(start)
        start = model.get_weights()
        model.compile(densa.optimizers.SGD(0.1, momentum=0.5), **compile_args)
        fitted.append((model, model.fit(x, y, verbose=0, **fit).history))
    (model, history), (other, expected) = fitted
    for name, values in expected.items():
        np.testing.assert_allclose(history[name], values, rtol=1e-9, atol=1e-12, err_msg=name)
    for got, want in zip(model.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-9, atol=1e-11)
    densa.set_device("cuda")
    return model


def test_two_outputs_and_a_layer_that_is_used_twice():
    def make():
        x = densa.Input((9,))
        shared = layers.Dense(9, activation="tanh", activity_regularizer="l2")
        h = shared(shared(x))
        a = layers.Dense(4, name="a")(h)
        b = layers.Dense(3, activation="softmax", name="b")(layers.Concatenate()([h, x]))
        return densa.Model(x, [a, b])

    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(21, 9)), (rng.normal(size=(21, 4)), rng.integers(0, 3, 21))
    compile_args = {
        "loss": ["mse", "sparse_categorical_crossentropy"],
        "loss_weights": [1.0, 0.5],
        "metrics": [["mae"], ["accuracy"]],
    }
    model = both(make, compile_args, x, y, batch_size=8, epochs=3)
    assert programs_of(model)


def test_a_gradient_for_what_lies_before():
    """The first layer's input has a gradient, too: it goes on to a table of vectors."""

    def make():
        ids = densa.Input((2,), dtype="int64")
        h = layers.Flatten()(layers.Embedding(11, 5)(ids))
        h = layers.Dense(8, activation="gelu")(h)
        return densa.Model(ids, layers.Dense(1)(h))

    rng = np.random.default_rng(0)
    model = both(make, {"loss": "mse"}, rng.integers(0, 11, (19, 2)), rng.normal(size=(19, 1)),
                 batch_size=8, epochs=3)  # fmt: skip
    (names,) = programs_of(model)
    assert names.count("backward") == 2
    assert "embedding_grad" in " ".join(ops_of(model))


def test_a_deep_network_does_not_fit_in_one_program():
    def make():
        hidden = [layers.Dense(8, activation="tanh") for _ in range(40)]
        return densa.Sequential([densa.Input((6,)), *hidden, layers.Dense(2)])

    rng = np.random.default_rng(0)
    model = both(make, {"loss": "mse"}, rng.normal(size=(9, 6)), rng.normal(size=(9, 2)),
                 batch_size=4, epochs=2)  # fmt: skip
    assert len(programs_of(model)) >= 1
    assert len(ops_of(model)) < 6 * 41


def test_products_that_cost_more_than_launches_stay_apart():
    def make():
        hidden = [layers.Dense(256, activation="relu") for _ in range(3)]
        return densa.Sequential([densa.Input((20,)), *hidden, layers.Dense(3)])

    rng = np.random.default_rng(0)
    model = both(make, {"loss": "mse"}, rng.normal(size=(256, 20)), rng.normal(size=(256, 3)),
                 batch_size=256, epochs=1)  # fmt: skip
    assert {"dense", "matmul", "row_program"} <= set(ops_of(model))


def test_batch_norm_ends_a_program():
    def make():
        stack = []
        for _ in range(2):
            stack += [layers.Dense(12), layers.BatchNormalization(), layers.Activation("elu")]
        return densa.Sequential([densa.Input((6,)), *stack, layers.Dropout(0.2, seed=1),
                                 layers.Dense(4)])  # fmt: skip

    rng = np.random.default_rng(0)
    losses = densa.losses.SparseCategoricalCrossentropy(from_logits=True)
    model = both(make, {"loss": losses}, rng.normal(size=(33, 6)), rng.integers(0, 4, 33),
                 batch_size=16, epochs=3)  # fmt: skip
    assert ops_of(model).count("batch_norm") == 2
    assert any("loss" in names for names in programs_of(model))


def test_a_label_out_of_range_and_a_row_that_is_not_a_number():
    def make():
        return densa.Sequential(
            [densa.Input((3,)), layers.Dense(5, activation="tanh"), layers.Dense(4)]
        )

    def cross_entropy(labels, z):  # a loss of the package refuses such a label
        return apply("sparse_softmax_cross_entropy", z, labels)

    rng = np.random.default_rng(0)
    x, labels = rng.normal(size=(6, 3)), rng.integers(0, 4, 6)
    labels[2] = 9
    model = both(make, {"loss": cross_entropy}, x, labels, batch_size=6)
    assert "loss" in programs_of(model)[0]
    assert np.isnan(model.get_weights()[0]).all()
    x[4, 1] = np.nan
    with pytest.warns(UserWarning, match="row 4"):
        model = both(make, {"loss": "mse"}, x, rng.normal(size=(6, 4)), batch_size=6, shuffle=False)
    assert np.isnan(model.get_weights()[0]).all()


def test_numbers_of_16_bits_are_a_part_of_a_program():
    densa.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = densa.Sequential(
            [
                densa.Input((6,)),
                layers.Dense(7, activation="tanh"),
                layers.Dense(2, dtype="float32"),
            ]
        )
        model.compile("sgd", "mse")
        rng = np.random.default_rng(0)
        x, y = rng.normal(size=(8, 6)).astype("f4"), rng.normal(size=(8, 2)).astype("f4")
        model.fit(x, y, verbose=0)
        assert ops_of(model) == ["round_all", "feed", "feed", "row_program", "arithmetic"]
        (names,) = programs_of(model)
        assert names.count("dense") == 2
    finally:
        densa.config.set_dtype_policy(None)


@pytest.mark.parametrize("loss", ["mse", "labels"])
def test_evaluation_is_a_program_behind_the_network(loss):
    rng = np.random.default_rng(0)
    model = densa.Sequential(
        [densa.Input((6,)), layers.Dense(7, activation="tanh"), layers.Dense(5)]
    )
    rule = densa.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(
        "sgd", "mse" if loss == "mse" else rule, metrics=["mae"] if loss == "mse" else ["accuracy"]
    )
    x = rng.normal(size=(11, 6)).astype("f4")
    y = rng.normal(size=(11, 5)).astype("f4") if loss == "mse" else rng.integers(0, 5, 11)
    got = model.evaluate(x, y, batch_size=4, verbose=0, return_dict=True)
    z = model.predict(x, verbose=0).astype("f8")
    if loss == "mse":
        want = {"loss": ((z - y) ** 2).mean(), "mae": np.abs(z - y).mean()}
    else:
        p = np.exp(z) / np.exp(z).sum(1, keepdims=True)
        want = {"loss": -np.log(p[np.arange(11), y]).mean(), "accuracy": (z.argmax(1) == y).mean()}
    (bound,) = model._runner("test")._plans.values()
    assert "row_program" in bound.plan.program_text
    for name, value in want.items():
        np.testing.assert_allclose(got[name], value, rtol=1e-5, err_msg=name)
