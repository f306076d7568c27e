"""fit, evaluate and predict: their numbers, on the native path and eagerly."""

from __future__ import annotations

import numpy as np
import pytest

import densa
from training.cases import classes, linear, regression


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
