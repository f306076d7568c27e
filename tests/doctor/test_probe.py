"""What a look at a step gives, and that it changes nothing."""

from __future__ import annotations

import numpy as np
import pytest

import densa
from densa.callbacks import Callback, Doctor
from densa.training.probe import Found, Look, Probe


def data(rows=200, features=6, classes=3):
    rng = np.random.default_rng(3)
    x = rng.normal(size=(rows, features)).astype("float32")
    return x, (np.abs(x).sum(1) * 2).astype("int32") % classes


def network(optimizer="adam", **compile_arguments):
    densa.utils.set_random_seed(4)
    layers = densa.layers
    shared = layers.Dropout(0.2)  # draws twice in a step
    x = densa.Input((6,))
    h = layers.BatchNormalization()(layers.Dense(17, use_bias=False)(x))
    h = shared(layers.Activation("relu")(h))
    h = shared(layers.Dense(9, "tanh", kernel_regularizer="l2")(h))
    model = densa.Model(x, layers.Dense(3, "softmax")(layers.GaussianNoise(0.1)(h)))
    model.compile(
        optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"], **compile_arguments
    )
    return model


def everything(model):
    return [np.asarray(v) for v in (*model.variables, *model.optimizer.variables)]


def same(one, other):
    return all(a.tobytes() == b.tobytes() for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("eager", [False, True], ids=["plan", "eager"])
@pytest.mark.parametrize("interval", [1, 3, 50])
def test_weights_have_the_same_bits_with_a_doctor(interval, eager):
    x, y = data()
    ends = []
    for callbacks in ([], [Doctor(interval, verbose=0)]):
        model = network(run_eagerly=eager)
        history = model.fit(
            x, y, epochs=3, batch_size=16, verbose=0, callbacks=callbacks, validation_split=0.2
        )
        ends.append((everything(model), history.history))
    assert same(ends[0][0], ends[1][0])
    assert ends[0][1] == ends[1][1]


def test_the_same_bits_from_a_generator_a_schedule_and_batch_hooks():
    x, y = data()

    def batches():
        for i in range(10):
            yield x[i * 16 : i * 16 + 16], y[i * 16 : i * 16 + 16]

    class Hooks(Callback):
        def __init__(self):
            super().__init__()
            self.batches = []

        def on_train_batch_end(self, batch, logs=None):
            self.batches.append((batch, logs["loss"]))

    for arguments in ({"x": x, "y": y, "batch_size": 16}, None):
        ends = []
        for doctors in ([], [Doctor(4, verbose=0)]):
            rate = densa.optimizers.schedules.ExponentialDecay(0.01, 5, 0.5)
            model = network(densa.optimizers.SGD(rate, momentum=0.9), steps_per_execution=3)
            hooks = Hooks()
            model.fit(
                **(arguments or {"x": batches()}), epochs=1, verbose=0, callbacks=[hooks, *doctors]
            )
            ends.append((everything(model), hooks.batches))
        assert same(ends[0][0], ends[1][0])
        assert ends[0][1] == ends[1][1]


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


@pytest.mark.parametrize("eager", [False, True], ids=["plan", "eager"])
def test_statistics_against_numpy(eager):
    rng = np.random.default_rng(1)
    x = rng.normal(size=(24, 5)).astype("float32")
    y = rng.normal(size=(24, 2)).astype("float32")
    first = densa.layers.Dense(7, "relu", name="first")
    second = densa.layers.Dense(4, "sigmoid", name="second")
    model = densa.Sequential([densa.Input((5,)), first, second, densa.layers.Dense(2, name="last")])
    first.bias.assign(np.array([-99, -99, 0.1, 0, 0, 0, 0], "float32"))
    second.bias.assign(np.array([30, -30, 0, 0.2], "float32"))
    model.compile(densa.optimizers.SGD(0.05), "mse", run_eagerly=eager)
    w1, b1, w2, b2, w3, b3 = (np.asarray(v, np.float64) for v in model.trainable_variables)
    h1 = np.maximum(x @ w1 + b1, 0)
    h2 = sigmoid(h1 @ w2 + b2)
    out = h2 @ w3 + b3
    d3 = 2 * (out - y) / y.size
    d2 = d3 @ w3.T * h2 * (1 - h2)
    d1 = d2 @ w2.T * (h1 > 0)
    gradients = {
        "first": (x.T @ d1, d1.sum(0), w1),
        "second": (h1.T @ d2, d2.sum(0), w2),
        "last": (h2.T @ d3, d3.sum(0), w3),
    }
    doctor = Doctor(1, verbose=0)
    model.fit(x, y, batch_size=24, shuffle=False, verbose=0, callbacks=[doctor])
    health = doctor.health
    assert health["step"] == [0]
    np.testing.assert_allclose(health["loss"], [((out - y) ** 2).mean()], rtol=1e-5)
    whole = 0.0
    for name, (dw, db, w) in gradients.items():
        found = health["layers"][name]
        square = (dw**2).sum() + (db**2).sum()
        whole += square
        np.testing.assert_allclose(found["gradient_norm"], [np.sqrt(square)], rtol=1e-4)
        np.testing.assert_allclose(found["weight_norm"], [np.linalg.norm(w)], rtol=1e-5)
        ratio = 0.05 * np.linalg.norm(dw) / np.linalg.norm(w)
        np.testing.assert_allclose(found["update_ratio"], [ratio], rtol=1e-3, atol=1e-7)
    np.testing.assert_allclose(health["gradient_norm"], [np.sqrt(whole)], rtol=1e-4)
    for name, h in (("first", h1), ("second", h2)):
        np.testing.assert_allclose(health["layers"][name]["mean"], [h.mean()], rtol=1e-4)
        np.testing.assert_allclose(health["layers"][name]["spread"], [h.std()], rtol=1e-3)
    assert health["layers"]["first"]["silent"] == [(h1.max(0) == 0).mean()]
    flat = ((h2 * (1 - h2)).mean(0) < 0.025).mean()
    assert health["layers"]["second"]["saturated"] == [flat]
    assert flat == 0.5


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "float64"])
def test_other_types(policy):
    x, y = data()
    densa.config.set_dtype_policy(policy)
    try:
        ends = []
        for callbacks in ([], [Doctor(2, verbose=0)]):
            model = network()
            model.fit(x, y, epochs=2, verbose=0, callbacks=callbacks)
            ends.append(everything(model))
        assert same(*ends)
        assert np.isfinite(callbacks[0].health["gradient_norm"]).all()
    finally:
        densa.config.set_dtype_policy(None)


def test_a_functional_model_with_two_inputs_and_outputs():
    x, y = data()
    ends = []
    for callbacks in ([], [Doctor(2, verbose=0)]):
        densa.utils.set_random_seed(1)
        a, b = densa.Input((6,), name="a"), densa.Input((6,), name="b")
        h = densa.layers.Concatenate()([densa.layers.Dense(5, "relu")(a), b])
        model = densa.Model(
            {"a": a, "b": b},
            [densa.layers.Dense(3, name="one")(h), densa.layers.Dense(1, name="two")(h)],
        )
        model.compile("adam", ["sparse_categorical_crossentropy", "mse"])
        model.fit({"a": x, "b": x}, [y, x[:, :1]], epochs=2, verbose=0, callbacks=callbacks)
        ends.append(everything(model))
    assert same(*ends)
    assert set(callbacks[0].health["layers"]) >= {"one", "two"}


def test_what_cannot_be_recorded_trains_without_statistics(capsys):
    class Odd(densa.Model):
        def __init__(self):
            super().__init__()
            self.dense = densa.layers.Dense(1)

        def call(self, x, training=None):
            return self.dense(x) * float(np.asarray(x).mean())

    x, _ = data()
    model = Odd()
    model.compile("sgd", "mse", run_eagerly=True)
    doctor = Doctor(1)
    model.fit(x, x[:, :1], epochs=1, verbose=0, callbacks=[doctor])
    assert doctor.health["step"] == []
    assert "no statistics of the steps" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "what"), [({"interval": 0}, "interval"), ({"verbose": 7}, "verbose")]
)
def test_bad_arguments(arguments, what):
    with pytest.raises(ValueError, match=what):
        Doctor(**arguments)


def test_looks_of_several_recordings_keep_their_order():
    wide = [("gradient", "a", 2), ("square", "b", 1)]
    narrow = [("gradient", "a", 2)]
    looks = [
        Look(step, 0.1, {"b": 4} if len(layout) == 2 else {}, Found(np.array(numbers), layout))
        for step, layout, numbers in (
            (0, wide, [1.0, 2.0, 3.0]),
            (5, narrow, [4.0, 5.0]),
            (10, list(wide), [6.0, 7.0, 8.0]),
        )
    ]
    probe = Probe(5)
    probe._looks = looks
    series = probe.series
    assert (series.step, series.rate) == ([0, 5, 10], [0.1] * 3)
    at, numbers = series.kinds["gradient"]["a"]
    np.testing.assert_array_equal(at, [0, 1, 2])
    np.testing.assert_array_equal(numbers, [[1, 2], [4, 5], [6, 7]])
    at, numbers = series.kinds["square"]["b"]
    np.testing.assert_array_equal(at, [0, 2])
    np.testing.assert_array_equal(numbers, [[3], [8]])
    np.testing.assert_array_equal(series.count["b"], [4, 0, 4])
