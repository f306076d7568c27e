"""What Keras users rely on without thinking of it: logs, names and numbers of the training loop."""

from __future__ import annotations

import numpy as np
import pytest

import densa
from densa import layers

RNG = np.random.default_rng(5)
X = RNG.standard_normal((10, 3)).astype("f4")
Y = (X @ np.array([[1.0], [2.0], [-1.0]])).astype("f4")


@pytest.fixture(params=[False, True], ids=["plan", "eager"])
def eager(request):
    return request.param


def linear(outputs=1):
    densa.utils.set_random_seed(3)
    return densa.Sequential([densa.Input((3,)), layers.Dense(outputs)])


def squares(model, x, y):
    w, b = (a.astype("f8") for a in model.get_weights())
    return float(((x @ w + b - y) ** 2).mean())


def test_single_batches_report_themselves_alone(eager):
    model = linear()
    model.compile(densa.optimizers.SGD(0.1), "mse", metrics=["mse"], run_eagerly=eager)
    for part in (slice(0, 4), slice(4, 10), slice(2, 5)):
        expected = squares(model, X[part], Y[part])
        assert model.train_on_batch(X[part], Y[part]) == pytest.approx([expected] * 2, rel=1e-5)
        expected = squares(model, X[part], Y[part])
        assert model.test_on_batch(X[part], Y[part]) == pytest.approx([expected] * 2, rel=1e-5)


def batches():
    return ((X[i : i + 2], Y[i : i + 2]) for i in range(0, 10, 2))


@pytest.mark.parametrize("stream", [False, True], ids=["arrays", "stream"])
def test_logs_that_a_callback_keeps_stay_those_of_their_batch(eager, stream):
    class Keeper(densa.callbacks.Callback):
        def __init__(self):
            super().__init__()
            self.kept, self.read, self.begun = [], [], []

        def on_train_batch_begin(self, batch, logs=None):
            self.begun.append(logs)

        def on_train_batch_end(self, batch, logs=None):
            self.kept.append(logs)

    class Reader(Keeper):
        def on_train_batch_end(self, batch, logs=None):
            self.read.append(float(logs["loss"]))

    found = []
    for callback in (Keeper(), Reader()):
        model = linear()
        model.compile(densa.optimizers.SGD(0.1), "mse", run_eagerly=eager)
        data = (batches(),) if stream else (X, Y, 2)
        model.fit(*data, shuffle=False, verbose=0, callbacks=[callback])
        found.append(callback.read or [logs["loss"] for logs in callback.kept])
        assert callback.begun == [{}] * 5
    assert len(set(found[0])) == 5
    assert found[0] == found[1]


def test_the_last_group_of_steps_is_told_of(eager):
    told = []
    hook = densa.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: told.append(batch))
    model = linear()
    model.compile("sgd", "mse", steps_per_execution=2, run_eagerly=eager)
    model.fit(batches(), verbose=0, callbacks=[hook])
    model.fit(X, Y, batch_size=2, verbose=0, callbacks=[hook])
    assert told == [1, 3, 4] * 2


def test_schedules_count_steps_whatever_is_run_at_once(eager):
    weights = []
    for at_once in (1, 3):
        for hooks in ([], [densa.callbacks.LambdaCallback(on_train_batch_end=lambda b, logs: 0)]):
            rate = densa.optimizers.schedules.ExponentialDecay(0.1, 1, 0.5)
            model = linear()
            model.compile(
                densa.optimizers.SGD(rate), "mse", steps_per_execution=at_once, run_eagerly=eager
            )
            model.fit(X, Y, batch_size=2, shuffle=False, verbose=0, callbacks=hooks)
            weights.append(model.get_weights()[0])
    for one in weights[1:]:
        np.testing.assert_array_equal(one, weights[0])


def test_history_is_in_the_order_of_names(eager):
    model = linear()
    model.compile("sgd", "mse", metrics=["mae"], weighted_metrics=["mse"], run_eagerly=eager)
    names = list(model.fit(X, Y, validation_split=0.5, verbose=0).history)
    assert names == ["loss", "mae", "mse", "val_loss", "val_mae", "val_mse"]
    model.compile("sgd", "mse", metrics=["mae"], weighted_metrics=["mae"], run_eagerly=eager)
    names = list(model.fit(X, Y, validation_split=0.5, verbose=0).history)
    assert names == ["loss", "mae", "val_loss", "val_mae", "val_weighted_mae", "weighted_mae"]


def test_models_without_weights(eager):
    a, b = densa.Input((3,)), densa.Input((3,))
    model = densa.Model([a, b], [layers.Add()([a, b]), layers.Rescaling(2.0)(a)])
    model.compile(loss=["mse", None], run_eagerly=eager)
    for rows in (1, 10):  # the second call finds the plan bound
        total, scaled = model.predict([X[:rows], 3 * X[:rows]], batch_size=4, verbose=0)
        np.testing.assert_array_equal(total, X[:rows] + 3 * X[:rows])
        np.testing.assert_array_equal(scaled, 2 * X[:rows])
    expected = float(((2 * X.astype("f8") - 1) ** 2).mean())
    found = model.evaluate([X, X], [np.ones_like(X)], verbose=0)
    assert found == pytest.approx(expected, rel=1e-5)


def two_heads(names):
    a = densa.Input((3,))
    heads = [layers.Dense(1, name=name)(a) for name in ("left", "right")]
    if names:
        return densa.Model(a, heads)
    inner = densa.Model(a, heads)

    class Unnamed(densa.Model):
        def __init__(self):
            super().__init__()
            self.inner = inner

        def call(self, x):
            return self.inner(x)

    return Unnamed()


@pytest.mark.parametrize(
    ("names", "loss", "expected"),
    [
        (
            True,
            ["mse", "mae"],
            ["left_loss", "left_mae", "left_weighted_mae", "loss", "right_loss", "right_mse"],
        ),
        (False, ["mse", "mae"], ["loss", "mae", "mae_loss", "mse", "mse_loss", "weighted_mae"]),
        (False, ["mse", "mse"], ["loss", "mae", "mse", "mse_loss", "mse_loss_1", "weighted_mae"]),
    ],
)
def test_names_of_losses_and_metrics_of_several_outputs(names, loss, expected, eager):
    model = two_heads(names)
    model.compile(
        "sgd",
        loss,
        metrics=[["mae"], ["mse"]],
        weighted_metrics=[["mae"], []],
        run_eagerly=eager,
    )
    assert list(model.fit(X, [Y, Y], verbose=0).history) == expected


def test_a_step_may_return_the_results_of_all_metrics():
    class Custom(densa.Model):
        def __init__(self):
            super().__init__()
            self.dense = layers.Dense(1, kernel_initializer="ones")

        def call(self, x):
            return self.dense(x)

        def test_step(self, data):
            x, y = data
            y_pred = self(x, training=False)
            loss = self.compute_loss(y=y, y_pred=y_pred, training=False)
            for metric in self.metrics:
                if metric.name == "loss":
                    metric.update_state(loss)
                else:
                    metric.update_state(y, y_pred)
            return {metric.name: metric.result() for metric in self.metrics}

    model = Custom()
    model.compile("sgd", "mse", metrics=["mae"], weighted_metrics=["mse"])
    error = X.astype("f8").sum(axis=1, keepdims=True) - Y
    expected = {"loss": (error**2).mean(), "mae": np.abs(error).mean(), "mse": (error**2).mean()}
    found = model.evaluate(X, Y, batch_size=10, verbose=0, return_dict=True)
    assert found == pytest.approx(expected, rel=1e-5)
    names = [f"val_{name}" for name in expected]
    history = model.fit(X, Y, verbose=0, validation_data=(X, Y)).history
    assert [name for name in history if name.startswith("val_")] == names


@pytest.mark.parametrize("kind", ["arrays", "loader", "dataset"])
def test_validation_of_a_few_steps_takes_the_same_rows_every_time(eager, kind):
    class Batches(densa.utils.PyDataset):
        def __len__(self):
            return 5

        def __getitem__(self, i):
            return X[2 * i : 2 * i + 2], Y[2 * i : 2 * i + 2]

    class Loader:
        def __iter__(self):
            return batches()

    data = {"arrays": (X, Y), "loader": Loader(), "dataset": Batches()}[kind]
    model = linear()
    model.compile(densa.optimizers.SGD(0.0), "mse", run_eagerly=eager)
    options = {"validation_data": data, "validation_batch_size": 2, "validation_steps": 2}
    history = model.fit(X, Y, epochs=3, verbose=0, **options).history
    assert history["val_loss"] == pytest.approx([squares(model, X[:4], Y[:4])] * 3, rel=1e-5)


def test_a_loss_per_row_is_an_error_that_says_so(eager):
    model = linear()
    loss = densa.losses.MeanSquaredError(reduction=None)
    model.compile("sgd", loss, run_eagerly=eager)
    before = model.get_weights()[0]
    with pytest.raises(ValueError, match=r"'mean_squared_error'.*needs one number.*reduction"):
        model.fit(X, Y, verbose=0)
    np.testing.assert_array_equal(model.get_weights()[0], before)


def test_outputs_within_outputs_are_refused_by_losses(eager):
    a = densa.Input((3,))
    heads = [layers.Dense(1)(a) for _ in range(3)]
    model = densa.Model(a, {"x": heads[:2], "y": heads[2]})
    model.compile("sgd", {"x": ["mse", "mse"], "y": "mse"}, run_eagerly=eager)
    with pytest.raises(ValueError, match="structure within a structure"):
        model.fit(X, {"x": [Y, Y], "y": Y}, verbose=0)
    assert model.predict(X, verbose=0)["x"][1].shape == (10, 1)
