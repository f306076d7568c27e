"""Plans against eager steps, thread counts against each other, passes by their text."""

from __future__ import annotations

import ctypes
import re

import numpy as np
import pytest

import densa
from densa import _core, layers, ops
from densa.training.native import NativeRunner

ROWS, FEATURES, CLASSES = 70, 19, 5


def data(dtype="float32", seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(ROWS, FEATURES)).astype(dtype), rng.integers(0, CLASSES, ROWS)


def dense_net(activation, widths=(33, 17), norm=False, dropout=0.0, dtype="float32"):
    stack = [densa.Input((FEATURES,), dtype=dtype)]
    for width in widths:
        if dropout:
            stack.append(layers.Dropout(dropout, seed=3))
        stack.append(layers.Dense(width, use_bias=not norm, dtype=dtype))
        if norm:
            stack.append(layers.BatchNormalization(dtype=dtype))
        stack.append(layers.Activation(activation, dtype=dtype))
    stack.append(layers.Dense(CLASSES, dtype=dtype))
    return densa.Sequential(stack)


def trained(
    make, optimizer, eager, dtype="float32", loss=None, epochs=3, batch_size=16, **compile_args
):
    densa.utils.set_random_seed(11)
    model = make()
    model.compile(
        optimizer(),
        loss or densa.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
        run_eagerly=eager,
        **compile_args,
    )
    x, y = data(dtype)
    history = model.fit(x, y, epochs=epochs, batch_size=batch_size, verbose=0, shuffle=True)
    if not eager:
        assert isinstance(model._runner("train"), NativeRunner)
        assert all(b is not None for b in model._runner("train")._plans.values())
    return model, history.history


def assert_close(a, b, rtol):
    for u, v in zip(a.get_weights(), b.get_weights(), strict=True):
        scale = max(np.linalg.norm(v), 1e-3)
        assert np.linalg.norm(u - v) <= rtol * scale


ACTIVATIONS = ["relu", "tanh", "gelu", "silu", "mish", "elu", "selu", "sigmoid", "softplus",
               "leaky_relu", "hard_sigmoid", "softsign"]  # fmt: skip


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_native_step_equals_eager_step(activation):
    # float64, so that only the order of sums differs: 1e-11 after 15 steps.
    with_native, log = trained(
        lambda: dense_net(activation, dtype="float64"),
        lambda: densa.optimizers.SGD(0.1, momentum=0.9), False, "float64",
    )  # fmt: skip
    eager, log_eager = trained(
        lambda: dense_net(activation, dtype="float64"),
        lambda: densa.optimizers.SGD(0.1, momentum=0.9), True, "float64",
    )  # fmt: skip
    assert_close(with_native, eager, 1e-11)
    np.testing.assert_allclose(log["loss"], log_eager["loss"], rtol=1e-5)
    np.testing.assert_allclose(log["accuracy"], log_eager["accuracy"], rtol=1e-6)


OPTIMIZERS = {
    "sgd": lambda: densa.optimizers.SGD(0.05),
    "nesterov": lambda: densa.optimizers.SGD(0.05, momentum=0.9, nesterov=True),
    "clipvalue": lambda: densa.optimizers.SGD(0.05, clipvalue=0.01),
    "clipnorm": lambda: densa.optimizers.SGD(0.05, momentum=0.9, clipnorm=0.1),
    "global_clipnorm": lambda: densa.optimizers.Adam(0.01, global_clipnorm=0.1),
    "rmsprop": lambda: densa.optimizers.RMSprop(0.01),
    "adagrad": lambda: densa.optimizers.Adagrad(0.05),
    "adam": lambda: densa.optimizers.Adam(0.01),
    "adamw": lambda: densa.optimizers.AdamW(0.01, weight_decay=0.1),
    "adamax": lambda: densa.optimizers.Adamax(0.01),
    "nadam": lambda: densa.optimizers.Nadam(0.01),
    "schedule": lambda: densa.optimizers.SGD(
        densa.optimizers.schedules.ExponentialDecay(0.1, 5, 0.5)
    ),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizers_native_equals_eager(name):
    make = lambda: dense_net("tanh", dtype="float64")  # noqa: E731
    native, _ = trained(make, OPTIMIZERS[name], False, "float64")
    eager, _ = trained(make, OPTIMIZERS[name], True, "float64")
    # Dividing by the root of a small second moment magnifies the other order of sums.
    assert_close(native, eager, 1e-10)
    assert int(native.optimizer.iterations) == int(eager.optimizer.iterations) == 15


def test_batch_norm_and_its_moving_statistics():
    make = lambda: dense_net("silu", norm=True, dtype="float64")  # noqa: E731
    native, _ = trained(make, OPTIMIZERS["adam"], False, "float64")
    eager, _ = trained(make, OPTIMIZERS["adam"], True, "float64")
    # As above, and batch norm divides by the spread of 6 rows in the last batch.
    assert_close(native, eager, 1e-9)
    x, y = data("float64")
    np.testing.assert_allclose(
        native.evaluate(x, y, verbose=0), eager.evaluate(x, y, verbose=0), rtol=1e-5
    )


def skip_net():
    a = densa.Input((FEATURES,))
    b = layers.Dense(33, activation="relu")(a)
    c = layers.Dense(33, activation="gelu")(b)
    d = layers.Add()([b, c])
    e = layers.Concatenate()([d, a])
    f = layers.Dense(20, activation="tanh")(e) * 0.5 + 1.0
    return densa.Model(a, layers.Dense(CLASSES, activation="softmax")(f))


def test_skips_merges_and_ops():
    loss = "sparse_categorical_crossentropy"
    native, log = trained(skip_net, OPTIMIZERS["sgd"], False, loss=loss)
    eager, log_eager = trained(skip_net, OPTIMIZERS["sgd"], True, loss=loss)
    assert_close(native, eager, 2e-5)
    np.testing.assert_allclose(log["loss"], log_eager["loss"], rtol=1e-4)


@pytest.mark.parametrize(
    "make",
    [
        lambda: dense_net("relu"),
        lambda: dense_net("gelu", widths=(64, 40, 48)),
        lambda: dense_net("silu", norm=True),
        lambda: dense_net("tanh", dropout=0.3),
        skip_net,
    ],
)
@pytest.mark.parametrize("optimizer", ["nesterov", "adam", "global_clipnorm"])
@pytest.mark.parametrize("batch_size", [16, 40])  # 40: panels are cut by rows as well
def test_one_and_two_threads_give_the_same_bits(make, optimizer, batch_size):
    found = []
    before = densa.get_num_threads()
    loss = "sparse_categorical_crossentropy" if make is skip_net else None
    try:
        for threads in (1, 2, 3):
            densa.set_num_threads(threads, exact=True)
            model, _ = trained(make, OPTIMIZERS[optimizer], False, loss=loss, batch_size=batch_size)
            found.append(model.get_weights())
    finally:
        densa.set_num_threads(before)
    for other in found[1:]:
        for a, b in zip(found[0], other, strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("make", [lambda: dense_net("gelu"), lambda: dense_net("silu", norm=True)])
def test_a_row_does_not_depend_on_the_others(make):
    model, _ = trained(make, OPTIMIZERS["sgd"], False)
    x, _ = data()
    whole = model.predict(x, batch_size=32, verbose=0)
    for i in (0, 1, 15, 16, 31, 32, 69):
        np.testing.assert_array_equal(whole[i : i + 1], model.predict(x[i : i + 1], verbose=0))
    np.testing.assert_array_equal(whole, model.predict(x, batch_size=7, verbose=0))


@pytest.mark.cpu_only("panels")
def test_padding_stays_zero():
    model, _ = trained(lambda: dense_net("sigmoid"), OPTIMIZERS["adam"], False)
    for variable in model.trainable_variables:
        size = variable._padded_size
        memory = np.ctypeslib.as_array((ctypes.c_float * size).from_address(variable._address))
        total = np.abs(memory.astype("f8")).sum()
        np.testing.assert_allclose(total, np.abs(variable.numpy().astype("f8")).sum(), rtol=1e-12)


def test_uint8_input_is_scaled_while_gathered():
    densa.utils.set_random_seed(1)
    model = densa.Sequential(
        [
            densa.Input((4, 4), dtype="uint8"),
            layers.Rescaling(1 / 255),
            layers.Flatten(),
            layers.Dense(3),
        ]
    )
    model.compile("sgd", "mse")
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (40, 4, 4)).astype("uint8")
    model.fit(x, rng.normal(size=(40, 3)).astype("f4"), verbose=0)
    text = next(iter(model._runner("train")._plans.values())).plan.program_text
    feeds = [line for line in text.splitlines() if "feed" in line and "scale=" in line]
    assert len(feeds) == 1
    assert "shape=[-1, 16]" in feeds[0]
    assert " cast " not in text


def test_predict_matches_numpy():
    model = dense_net("relu")
    x, _ = data()
    y = x.astype("f8")
    weights = model.get_weights()
    for w, b in zip(weights[::2], weights[1::2], strict=True):
        y = y @ w.astype("f8") + b
        if w.shape[1] != CLASSES:
            y = np.maximum(y, 0)
    np.testing.assert_allclose(model.predict(x, verbose=0), y, rtol=1e-4, atol=1e-5)


def test_program_text_and_gradient():
    w = _core.Variable(np.ones((3, 2), "f4"), name="w")
    program = _core.Program()
    with program:
        x = program.input("x", (None, 3), "float32")
        h = ops.relu(_core.apply("matmul", x, w))
        program.output("loss", ops.mean(ops.sum(h, axis=1)))
    assert "%2 = matmul %0, %1" in str(program)
    plan = _core.Plan(
        program, 4, optimizer={"kind": "sgd", "hyper": {}, "targets": [(w, [], True)]}
    )
    assert re.search("dense %|row_program", plan.program_text)  # the latter on a GPU
    assert "update w" in plan.program_text
    rows = np.array([[1, 2, 3], [4, 5, 6]], "f4")
    plan.begin([rows], None, 0, 2, 2)
    assert plan.run(rate=0.5) == 1
    np.testing.assert_allclose(w.numpy(), 1 - 0.5 * rows.mean(0)[:, None] * np.ones((3, 2)))


def test_recorded_values_cannot_be_read():
    class Peeks(layers.Layer):
        def call(self, x):
            return x if float(ops.sum(x)) > 0 else -x

    model = densa.Sequential([Peeks(), layers.Dense(1)])
    model.compile("sgd", "mse")
    with pytest.raises((TypeError, ValueError), match="run_eagerly"):
        model.fit(np.ones((4, 3), "f4"), np.ones((4, 1), "f4"), verbose=0)


def test_bad_arrays_are_refused_before_anything_runs():
    program = _core.Program()
    with program:
        x = program.input("x", (None, 3), "float32")
        program.output("y", x * 2.0)
    plan = _core.Plan(program, 8, collect=["y"])
    out = np.empty((4, 3), "f4")
    with pytest.raises(ValueError, match="float32"):
        plan.begin([np.ones((4, 3))], None, 0, 4, 4, [out])
    with pytest.raises(ValueError, match="axis 1"):
        plan.begin([np.ones((4, 2), "f4")], None, 0, 4, 4, [out])
    with pytest.raises(ValueError, match="holds 8"):
        plan.begin([np.ones((9, 3), "f4")], None, 0, 9, 9, [np.empty((9, 3), "f4")])
    with pytest.raises(ValueError, match="row 7"):
        plan.begin([np.ones((4, 3), "f4")], np.array([0, 7]), 0, 2, 2, [out])
    for bad in (np.empty((4, 3), "f2"), np.empty((3, 3), "f4"), np.empty((4, 2), "f4")):
        with pytest.raises(ValueError, match="output 'y' is float32"):
            plan.begin([np.ones((4, 3), "f4")], None, 0, 4, 4, [bad])


def test_non_finite_input_is_named():
    model = dense_net("relu")
    model.compile("sgd", "sparse_categorical_crossentropy")
    x, y = data()
    x[41, 3] = np.nan
    with pytest.warns(UserWarning, match="row 41"):
        model.fit(x, y, epochs=1, verbose=0)


@pytest.mark.cpu_only("threads")
def test_input_of_products_is_gathered_by_every_thread():
    before = densa.get_num_threads()
    try:
        densa.set_num_threads(2, exact=True)
        plain, _ = trained(lambda: dense_net("relu"), OPTIMIZERS["sgd"], False)
        assert "every thread\n    feed" in plain.explain_plan()
        # Dropout reads the input too: it is gathered once, by rows.
        dropped, _ = trained(lambda: dense_net("relu", dropout=0.2), OPTIMIZERS["sgd"], False)
        assert "every thread" not in dropped.explain_plan()
        densa.set_num_threads(8, exact=True)
        many, _ = trained(lambda: dense_net("relu"), OPTIMIZERS["sgd"], False)
        assert "every thread" not in many.explain_plan()
    finally:
        densa.set_num_threads(before)
    for a, b in zip(plain.get_weights(), many.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
