"""fit, evaluate and predict: numbers, data of every kind, weights, errors."""

from __future__ import annotations

import os
import signal
import threading

import numpy as np
import pytest

import densa
from densa import layers


@pytest.fixture(params=[False, True], ids=["plan", "eager"])
def eager(request):
    return request.param


def linear(inputs=3, outputs=1, seed=0, **arguments):
    densa.utils.set_random_seed(seed)
    return densa.Sequential([densa.Input((inputs,)), layers.Dense(outputs, **arguments)])


def regression(rows=40, inputs=3, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((rows, inputs)).astype("f4")
    return x, (x @ np.arange(1.0, inputs + 1)[:, None] + 0.5).astype("f4")


def classes(rows=60, seed=0):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, rows)
    centres = np.array([[2.0, 0, 0, 0], [0, 2.0, 0, 0], [0, 0, 2.0, 0]])
    return (centres[labels] + 0.3 * rng.standard_normal((rows, 4))).astype("f4"), labels


def numpy_sgd(w, b, x, y, rate, batch, epochs, weight=None):
    """Plain mini-batch descent on the mean squared error, in float64, rows in order."""
    w, b, x, y = (np.asarray(a, np.float64) for a in (w, b, x, y))
    history = []
    for _ in range(epochs):
        total = 0.0
        for i in range(0, len(x), batch):
            xb, yb = x[i : i + batch], y[i : i + batch]
            s = np.ones((len(xb), 1)) if weight is None else weight[i : i + batch, None]
            e = xb @ w + b - yb
            total += (s * e * e).sum()
            g = 2 * s * e / len(xb)
            w, b = w - rate * xb.T @ g, b - rate * g.sum(axis=0)
        history.append(total / len(x))
    return w, b, history


def test_fit_is_the_descent_of_the_formula(eager):
    x, y = regression(42)
    model = linear()
    model.compile(densa.optimizers.SGD(0.1), "mse", run_eagerly=eager)
    w, b = model.get_weights()
    history = model.fit(x, y, batch_size=8, epochs=3, shuffle=False, verbose=0)
    w, b, losses = numpy_sgd(w, b, x, y, 0.1, 8, 3)
    np.testing.assert_allclose(model.get_weights()[0], w, rtol=2e-5, atol=1e-6)
    np.testing.assert_allclose(model.get_weights()[1], b, rtol=2e-5, atol=1e-6)
    np.testing.assert_allclose(history.history["loss"], losses, rtol=1e-5)
    assert history.epoch == [0, 1, 2]
    assert int(model.optimizer.iterations) == 18


def test_sample_weight_and_class_weight(eager):
    x, y = regression(20)
    weight = np.random.default_rng(1).random(20)
    model = linear()
    model.compile(densa.optimizers.SGD(0.1), "mse", weighted_metrics=["mae"], run_eagerly=eager)
    w, b = model.get_weights()
    model.fit(x, y, sample_weight=weight, batch_size=20, epochs=2, shuffle=False, verbose=0)
    w, b, _ = numpy_sgd(w, b, x, y, 0.1, 20, 2, weight)
    np.testing.assert_allclose(model.get_weights()[0], w, rtol=2e-5, atol=1e-6)
    x, labels = classes(30)
    table = {0: 0.5, 2: 3.0}
    by_class, by_row = [], []
    for found, given in (
        (by_class, {"class_weight": table}),
        (by_row, {"sample_weight": np.array([table.get(int(c), 1.0) for c in labels])}),
    ):
        model = linear(4, 3, activation="softmax")
        model.compile("adam", "sparse_categorical_crossentropy", run_eagerly=eager)
        model.fit(x, labels, epochs=2, batch_size=8, shuffle=False, verbose=0, **given)
        found.extend(model.get_weights())
    for a, b in zip(by_class, by_row, strict=True):
        np.testing.assert_array_equal(a, b)
    with pytest.raises(ValueError, match=r"class_weight.*sample_weight"):
        model.fit(x, labels, class_weight=table, sample_weight=np.ones(30), verbose=0)


@pytest.mark.parametrize(
    ("loss", "activation", "onehot"),
    [
        ("sparse_categorical_crossentropy", "softmax", False),
        (densa.losses.SparseCategoricalCrossentropy(from_logits=True), None, False),
        ("categorical_crossentropy", "softmax", True),
    ],
    ids=["sparse", "logits", "onehot"],
)
def test_classification_learns_and_reports_accuracy(eager, loss, activation, onehot):
    x, labels = classes(90)
    y = np.eye(3, dtype="f4")[labels] if onehot else labels
    model = linear(4, 3, activation=activation)
    model.compile(densa.optimizers.Adam(0.05), loss, metrics=["accuracy"], run_eagerly=eager)
    history = model.fit(x, y, epochs=15, validation_split=0.2, verbose=0)
    assert list(history.history) == ["accuracy", "loss", "val_accuracy", "val_loss"]
    assert history.history["val_accuracy"][-1] > 0.9
    value, accuracy = model.evaluate(x, y, verbose=0)
    found = (model.predict(x, verbose=0).argmax(axis=1) == labels).mean()
    assert accuracy == pytest.approx(found, abs=1e-6)
    assert model.evaluate(x, y, verbose=0, return_dict=True)["loss"] == pytest.approx(value)
    assert model.metrics_names == ["loss", "accuracy"]


def test_binary_accuracy_is_chosen_by_shape(eager):
    x, labels = classes(60)
    y = (labels == 0).astype("f4")
    model = linear(4, 1, activation="sigmoid")
    model.compile(
        densa.optimizers.Adam(0.1), "binary_crossentropy", metrics=["accuracy"], run_eagerly=eager
    )
    model.fit(x, y, epochs=20, verbose=0)
    assert model.evaluate(x, y, verbose=0)[1] > 0.9


def test_same_seed_same_bits(eager):
    x, labels = classes()
    found = []
    for _ in range(2):
        model = linear(4, 3, seed=5, activation="softmax")
        model.compile("adam", "sparse_categorical_crossentropy", run_eagerly=eager)
        model.fit(x, labels, epochs=3, batch_size=7, verbose=0)
        found.append(model.get_weights()[0])
    np.testing.assert_array_equal(found[0], found[1])


def test_golden_iterations():  # G25
    class Count(densa.callbacks.Callback):
        def on_train_begin(self, logs=None):
            self.batches = 0

        def on_train_batch_end(self, batch, logs=None):
            self.batches += 1

    for rows, batch in ((6400, 64), (10_000, 100)):
        count = Count()
        model = linear(1)
        model.compile("sgd", "mse")
        x = np.zeros((rows, 1), "f4")
        model.fit(x, x, batch_size=batch, callbacks=[count], verbose=0)
        assert count.batches == 100
        assert int(model.optimizer.iterations) == 100


def test_every_kind_of_array(eager):
    x, y = regression(30)
    expected = None

    class Frame:
        """As much of a DataFrame as densa looks at."""

        def __init__(self, array):
            self.array = array
            self.shape = array.shape

        def to_numpy(self):
            return self.array

        def __len__(self):
            return len(self.array)

    for form in (
        lambda a: a,
        lambda a: a.astype("f8"),
        lambda a: np.asfortranarray(a),
        lambda a: densa.ops.convert_to_tensor(a),
        Frame,
        lambda a: [a],
        lambda a: a.tolist(),
        lambda a: np.concatenate([a, a], axis=1)[:, : a.shape[1]],
    ):
        model = linear()
        model.compile(densa.optimizers.SGD(0.1), "mse", run_eagerly=eager)
        model.fit(form(x), form(y), epochs=2, batch_size=8, shuffle=False, verbose=0)
        if expected is None:
            expected = model.get_weights()[0]
        np.testing.assert_array_equal(model.get_weights()[0], expected)
        assert model.predict(form(x), verbose=0).shape == (30, 1)


def test_memmap_and_integer_pixels(tmp_path, eager):
    pixels = np.random.default_rng(0).integers(0, 256, (20, 4)).astype("u1")
    kept = np.memmap(tmp_path / "x.bin", "u1", "w+", shape=(20, 4))
    kept[:] = pixels
    found = []
    for x in (pixels, kept):
        densa.utils.set_random_seed(1)
        model = densa.Sequential([densa.Input((4,)), layers.Rescaling(1 / 255), layers.Dense(1)])
        model.compile("sgd", "mse", run_eagerly=eager)
        model.fit(x, np.ones(20), epochs=2, verbose=0)
        found.append(model.get_weights()[0])
    np.testing.assert_array_equal(found[0], found[1])


def test_batches_from_generators_iterables_and_datasets(eager):
    x, y = regression(32)

    def parts():
        for i in range(0, 32, 8):
            yield x[i : i + 8], y[i : i + 8]

    class Loader:
        def __iter__(self):
            return parts()

        def __len__(self):
            return 4

    class Numbered:
        num_batches = 4
        ended = 0

        def __getitem__(self, i):
            return x[8 * i : 8 * i + 8], y[8 * i : 8 * i + 8]

        def on_epoch_end(self):
            self.ended += 1

    def endless():
        while True:
            yield from parts()

    def fitted(data, **more):
        model = linear()
        model.compile(densa.optimizers.SGD(0.1), "mse", run_eagerly=eager)
        history = model.fit(data, epochs=2, verbose=0, shuffle=False, **more)
        return model, history

    model, _ = fitted(parts(), steps_per_epoch=2)
    expected = model.get_weights()[0]
    one = linear()
    one.compile(densa.optimizers.SGD(0.1), "mse", run_eagerly=eager)
    one.fit(x, y, batch_size=8, shuffle=False, verbose=0)
    np.testing.assert_array_equal(one.get_weights()[0], expected)
    two = linear()
    two.compile(densa.optimizers.SGD(0.1), "mse", run_eagerly=eager)
    whole = two.fit(x, y, batch_size=8, epochs=2, shuffle=False, verbose=0)
    numbered = Numbered()
    for data, more in (
        (Loader(), {}),
        (numbered, {}),
        (endless(), {"steps_per_epoch": 4}),
        (Loader(), {"steps_per_epoch": 4, "validation_data": Loader()}),
    ):
        model, history = fitted(data, **more)
        np.testing.assert_array_equal(model.get_weights()[0], two.get_weights()[0])
        assert history.history["loss"] == whole.history["loss"]
    assert numbered.ended == 2
    assert model.evaluate(Loader(), verbose=0) == pytest.approx(model.evaluate(x, y, verbose=0))
    np.testing.assert_array_equal(model.predict(Loader(), verbose=0), model.predict(x, verbose=0))


def test_a_generator_that_ends_too_early_warns_and_stops(eager):
    x, y = regression(16)
    model = linear()
    model.compile("sgd", "mse", run_eagerly=eager)
    with pytest.warns(UserWarning, match="ran out of data"):
        history = model.fit(iter([(x, y)] * 3), steps_per_epoch=2, epochs=5, verbose=0)
    assert history.epoch == [0, 1]


def test_steps_per_epoch_goes_on_where_the_last_epoch_ended(eager):
    x, y = regression(32)
    found = []
    for arguments in (
        {"epochs": 2},
        {"epochs": 8, "steps_per_epoch": 1},
        {"epochs": 4, "steps_per_epoch": 2},
    ):
        model = linear()
        model.compile(densa.optimizers.SGD(0.1), "mse", run_eagerly=eager)
        model.fit(x, y, batch_size=8, shuffle=False, verbose=0, **arguments)
        found.append(model.get_weights()[0])
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[0], found[2])


def test_validation_split_frequency_and_steps(eager):
    x, y = regression(40)
    model = linear()
    model.compile("sgd", "mse", metrics=["mae"], run_eagerly=eager)
    history = model.fit(x, y, epochs=4, validation_split=0.25, validation_freq=2, verbose=0)
    assert len(history.history["loss"]) == 4
    assert len(history.history["val_loss"]) == 2
    value = model.evaluate(x[30:], y[30:], verbose=0, return_dict=True)
    assert history.history["val_loss"][-1] == pytest.approx(value["loss"], rel=1e-6)
    assert history.history["val_mae"][-1] == pytest.approx(value["mae"], rel=1e-6)
    history = model.fit(x, y, epochs=3, validation_data=(x, y), validation_freq=[1, 3], verbose=0)
    assert len(history.history["val_loss"]) == 2
    part = model.evaluate(x, y, batch_size=4, steps=3, verbose=0)
    assert part == pytest.approx(model.evaluate(x[:12], y[:12], batch_size=4, verbose=0))


def test_initial_epoch_and_state_go_on(eager):
    x, y = regression(32)
    model = linear()
    model.compile(densa.optimizers.Adam(0.1), "mse", run_eagerly=eager)
    model.fit(x, y, epochs=4, shuffle=False, verbose=0)
    again = linear()
    again.compile(densa.optimizers.Adam(0.1), "mse", run_eagerly=eager)
    again.fit(x, y, epochs=2, shuffle=False, verbose=0)
    history = again.fit(x, y, epochs=4, initial_epoch=2, shuffle=False, verbose=0)
    assert history.epoch == [2, 3]
    np.testing.assert_array_equal(model.get_weights()[0], again.get_weights()[0])


def two_outputs():
    densa.utils.set_random_seed(2)
    a, b = densa.Input((3,), name="a"), densa.Input((2,), name="b")
    joined = layers.Concatenate()([a, b])
    main = layers.Dense(1, name="main")(joined)
    side = layers.Dense(2, name="side")(joined)
    return densa.Model([a, b], [main, side])


def test_several_inputs_and_outputs(eager):
    rng = np.random.default_rng(3)
    a, b = rng.standard_normal((20, 3)).astype("f4"), rng.standard_normal((20, 2)).astype("f4")
    main, side = (
        rng.standard_normal((20, 1)).astype("f4"),
        rng.standard_normal((20, 2)).astype("f4"),
    )
    found = []
    for x, y, loss, weights, metrics in (
        ([a, b], [main, side], ["mse", "mae"], [1.0, 0.5], [["mae"], ["mse"]]),
        (
            {"a": a, "b": b},
            {"main": main, "side": side},
            {"main": "mse", "side": "mae"},
            {"main": 1.0, "side": 0.5},
            {"main": ["mae"], "side": ["mse"]},
        ),
    ):
        model = two_outputs()
        model.compile(
            densa.optimizers.SGD(0.1),
            loss,
            loss_weights=weights,
            metrics=metrics,
            run_eagerly=eager,
        )
        history = model.fit(x, y, epochs=2, batch_size=8, shuffle=False, verbose=0)
        assert sorted(history.history) == [
            "loss",
            "main_loss",
            "main_mae",
            "side_loss",
            "side_mse",
        ]
        found.append(model.get_weights())
        values = model.evaluate(x, y, verbose=0, return_dict=True)
        p, q = model.predict(x, verbose=0)
        mse, mae = ((p - main) ** 2).mean(), np.abs(q - side).mean()
        assert values["main_loss"] == pytest.approx(mse, rel=1e-5)
        assert values["side_loss"] == pytest.approx(mae, rel=1e-5)
        assert values["loss"] == pytest.approx(mse + 0.5 * mae, rel=1e-5)
    for one, two in zip(*found, strict=True):
        np.testing.assert_array_equal(one, two)


def test_losses_of_layers_count(eager):
    x, y = regression(16)
    densa.utils.set_random_seed(0)
    model = densa.Sequential(
        [
            densa.Input((3,)),
            layers.Dense(1, kernel_regularizer=densa.regularizers.L2(0.1), use_bias=False),
        ]
    )
    model.compile(densa.optimizers.SGD(0.1), "mse", run_eagerly=eager)
    w = model.get_weights()[0].astype("f8")
    error = x @ w - y
    expected = (error**2).mean() + 0.1 * (w**2).sum()
    assert model.evaluate(x, y, verbose=0) == pytest.approx(expected, rel=1e-5)
    model.train_on_batch(x, y)
    slope = 2 * x.T.astype("f8") @ error / 16 + 0.2 * w
    np.testing.assert_allclose(model.get_weights()[0], w - 0.1 * slope, rtol=1e-4, atol=1e-6)


def test_add_loss_in_call(eager):
    class Penal(densa.Model):
        def __init__(self):
            super().__init__()
            self.dense = layers.Dense(1)

        def call(self, x):
            y = self.dense(x)
            self.add_loss(densa.ops.mean(densa.ops.square(y)))
            return y

    x, y = regression(16)
    model = Penal()
    model.compile(densa.optimizers.SGD(0.1), "mse", run_eagerly=eager)
    model.fit(x, y, epochs=1, verbose=0)
    p = model.predict(x, verbose=0).astype("f8")
    expected = ((p - y) ** 2).mean() + (p**2).mean()
    assert model.evaluate(x, y, verbose=0) == pytest.approx(expected, rel=1e-5)
    alone = Penal()
    alone.compile(densa.optimizers.SGD(0.1), run_eagerly=eager)
    history = alone.fit(x, epochs=3, verbose=0)
    assert history.history["loss"][-1] < history.history["loss"][0]


def test_custom_steps_are_used():
    class Custom(densa.Model):
        def __init__(self):
            super().__init__()
            self.dense = layers.Dense(1)
            self.tracker = densa.metrics.Mean(name="my_loss")

        def call(self, x):
            return self.dense(x)

        def train_step(self, data):
            x, y = data
            loss = densa.ops.mean(densa.ops.square(self(x, training=True) - y))
            loss.backward()
            variables = self.trainable_variables
            self.optimizer.apply([v.grad for v in variables], variables)
            for v in variables:
                v.grad = None
            self.tracker.update_state(loss)
            return {"my_loss": self.tracker.result()}

        @property
        def metrics(self):
            return [self.tracker]

        def predict_step(self, data):
            return super().predict_step(data) * 2.0

    x, y = regression(32)
    model = Custom()
    model.compile(optimizer=densa.optimizers.SGD(0.05))
    history = model.fit(x, y, epochs=5, verbose=0)
    assert list(history.history) == ["my_loss"]
    assert history.history["my_loss"][-1] < history.history["my_loss"][0]
    np.testing.assert_allclose(model.predict(x, verbose=0), 2 * model(x).numpy(), rtol=1e-6)


def test_single_batches(eager):
    x, y = regression(16)
    one, two = linear(), linear()
    for model in (one, two):
        model.compile(densa.optimizers.SGD(0.1), "mse", metrics=["mae"], run_eagerly=eager)
    history = one.fit(x, y, batch_size=16, shuffle=False, verbose=0)
    loss, mae = two.train_on_batch(x, y)
    assert loss == pytest.approx(history.history["loss"][0])
    assert mae == pytest.approx(history.history["mae"][0])
    np.testing.assert_array_equal(one.get_weights()[0], two.get_weights()[0])
    two.reset_metrics()
    assert two.test_on_batch(x, y) == pytest.approx(one.evaluate(x, y, verbose=0))
    np.testing.assert_array_equal(two.predict_on_batch(x), one.predict(x, verbose=0))
    assert set(two.test_on_batch(x, y, return_dict=True)) == {"loss", "mae"}


def test_predict_does_not_depend_on_the_batch(eager):
    x, _ = classes(50)
    model = linear(4, 3, activation="softmax")
    model.compile(run_eagerly=eager)
    whole = model.predict(x, verbose=0)
    for size in (1, 7, 64):
        np.testing.assert_array_equal(model.predict(x, batch_size=size, verbose=0), whole)
    assert not model.predict(x[:1], verbose=0).shape[0] - 1


def test_steps_per_execution_groups_batch_hooks(eager):
    ends = []

    class Seen(densa.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            ends.append((batch, logs["loss"] > 0))

    x, y = regression(36)
    model = linear()
    model.compile("sgd", "mse", steps_per_execution=4, run_eagerly=eager)
    model.fit(x, y, batch_size=4, callbacks=[Seen()], verbose=0)
    assert ends == [(3, True), (7, True), (8, True)]


def test_stop_training_from_a_batch_hook(eager):
    class Stop(densa.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if batch == 2:
                self.model.stop_training = True

    x, y = regression(40)
    model = linear()
    model.compile("sgd", "mse", run_eagerly=eager)
    history = model.fit(x, y, batch_size=4, epochs=3, callbacks=[Stop()], verbose=0)
    assert history.epoch == [0]
    assert int(model.optimizer.iterations) == 3


def test_rate_changes_of_callbacks_take_effect(eager):
    x, y = regression(16)
    model = linear()
    model.compile(densa.optimizers.SGD(0.1), "mse", run_eagerly=eager)
    frozen = densa.callbacks.LearningRateScheduler(lambda epoch: 0.0)
    before = model.get_weights()[0]
    history = model.fit(x, y, epochs=2, callbacks=[frozen], verbose=0)
    np.testing.assert_array_equal(model.get_weights()[0], before)
    assert history.history["learning_rate"] == [0.0, 0.0]


def test_interrupt_between_steps_leaves_a_usable_model(eager):
    class Interrupt(densa.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 2:
                os.kill(os.getpid(), signal.SIGINT)

    x, y = regression(64)
    model = linear()
    model.compile("adam", "mse", run_eagerly=eager)
    with pytest.raises(KeyboardInterrupt):
        model.fit(x, y, epochs=50, batch_size=4, callbacks=[Interrupt()], verbose=0)
    assert model.history.epoch == [0, 1]
    assert np.isfinite(model.predict(x, verbose=0)).all()
    model.fit(x, y, epochs=1, verbose=0)


def test_interrupt_from_outside_stops_soon(eager):
    x, y = regression(64)
    model = linear()
    model.compile("adam", "mse", run_eagerly=eager)
    model.fit(x, y, epochs=1, verbose=0)
    timer = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        model.fit(x, y, epochs=10**9, batch_size=4, verbose=0)
    timer.join()
    assert np.isfinite(model.predict(x, verbose=0)).all()


def test_non_finite_input_is_warned_of_once(eager):
    x, y = regression(20)
    x[13, 1] = np.nan
    model = linear()
    model.compile("sgd", "mse", run_eagerly=eager)
    with pytest.warns(UserWarning, match="non-finite.*row 13") as seen:
        model.fit(x, y, epochs=3, batch_size=4, verbose=0)
    assert len([w for w in seen if "non-finite" in str(w.message)]) == 1


def test_wrong_data_names_the_input():
    x, y = regression(20)
    model = linear()
    with pytest.raises(ValueError, match=r"compile\(\)"):
        model.fit(x, y)
    model.compile("sgd", "mse")
    before = model.get_weights()[0]
    name = model.inputs[0].name
    with pytest.raises(ValueError, match=rf"{name}.*\(None, 3\).*\(20, 2\)"):
        model.fit(x[:, :2], y, verbose=0)
    with pytest.raises(ValueError, match=r"'x' sizes: 20\n'y' sizes: 19"):
        model.fit(x, y[:19], verbose=0)
    with pytest.raises(ValueError, match="numbers"):
        model.fit(np.array([["a"]] * 20), y, verbose=0)
    with pytest.raises(ValueError, match="no rows"):
        model.fit(x[:0], y[:0], verbose=0)
    with pytest.raises(ValueError, match="batch_size"):
        model.fit(x, y, batch_size=0, verbose=0)
    with pytest.raises(ValueError, match="validation_split"):
        model.fit(x, y, validation_split=1.5, verbose=0)
    with pytest.raises(ValueError, match="verbose"):
        model.fit(x, y, verbose=7)
    with pytest.raises(ValueError, match="`y` must not be given"):
        model.fit(iter([(x, y)]), y, verbose=0)
    with pytest.raises(ValueError, match="no data"):
        model.fit("data.csv", y, verbose=0)
    np.testing.assert_array_equal(model.get_weights()[0], before)
    pair = two_outputs()
    pair.compile("sgd", ["mse", "mse"])
    with pytest.raises(ValueError, match=r"2 input\(s\) \['a', 'b'\]"):
        pair.fit(x, y, verbose=0)
    with pytest.raises(ValueError, match="'b'"):
        pair.fit({"a": x}, [y, y], verbose=0)
    pair.compile("sgd", {"mein": "mse"})
    with pytest.raises(ValueError, match="main"):
        pair.fit([x, x[:, :2]], [y, y], verbose=0)


def test_labels_out_of_range_are_refused():
    x, labels = classes(20)
    model = linear(4, 3, activation="softmax")
    model.compile("sgd", "sparse_categorical_crossentropy")
    labels[4] = 3
    with pytest.raises(ValueError, match=r"between 0 and 2.*row 4"):
        model.fit(x, labels, verbose=0)


def test_compile_errors_and_configuration():
    model = linear()
    with pytest.raises(ValueError, match="Did you mean 'adam'"):
        model.compile("adaam", "mse")
    with pytest.raises(ValueError, match="mean_squared_error"):
        model.compile("adam", "mean_square_error")
    with pytest.raises(ValueError, match="accuracy"):
        model.compile("adam", "mse", metrics=["acuracy"])
    with pytest.raises(ValueError, match="list, tuple, or dict"):
        model.compile("adam", "mse", metrics="accuracy")
    with pytest.raises(ValueError, match="steps_per_execution"):
        model.compile("adam", "mse", steps_per_execution=0)
    assert not model.compiled
    model.compile(
        densa.optimizers.Adam(0.01, clipnorm=1.0),
        densa.losses.Huber(2.0),
        metrics=["mae", densa.metrics.RootMeanSquaredError()],
        steps_per_execution=3,
    )
    config = model.get_compile_config()
    again = linear()
    again.compile_from_config(config)
    assert again.get_compile_config() == config
    assert again.optimizer.clipnorm == 1.0
    assert len(again.optimizer.variables) == 2 + 2 * 2


def test_progress_is_shown(capsys, eager):
    x, y = regression(20)
    model = linear()
    model.compile("sgd", "mse", metrics=["mae"], run_eagerly=eager)
    model.fit(x, y, epochs=2, validation_data=(x, y), verbose=2)
    out = capsys.readouterr().out
    assert "Epoch 1/2" in out
    assert out.count("val_loss") == 2
    model.evaluate(x, y, verbose=1)
    assert "mae" in capsys.readouterr().out
    model.fit(x, y, verbose=0)
    assert capsys.readouterr().out == ""
