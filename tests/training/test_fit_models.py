"""Models that are more than one chain: several outputs, losses of layers, steps of their own."""

from __future__ import annotations

import numpy as np
import pytest

import densa
from densa import layers
from training.cases import regression, two_outputs


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


def test_an_own_step_that_leaves_the_loss_tracker_alone_is_logged_as_it_answers():
    class Custom(densa.Sequential):
        def train_step(self, data):
            super().train_step(data)
            self.reset_metrics()
            return {"loss": densa.ops.convert_to_tensor(2.5)}

    x, y = regression(32)
    model = Custom([layers.Dense(1)])
    model.compile("sgd", "mse")
    assert model.fit(x, y, epochs=2, verbose=0).history["loss"] == [2.5, 2.5]


@pytest.mark.parametrize("eager", [True, False])
def test_weights_scale_a_loss_that_reduces_itself(eager):
    x, y = regression(32)
    model = densa.Sequential([layers.Dense(1)])
    model.compile("sgd", lambda t, p: densa.ops.mean(densa.ops.square(t - p)), run_eagerly=eager)
    plain = model.evaluate(x, y, batch_size=32, verbose=0)
    weight = np.linspace(0, 3, 32)
    weighted = model.evaluate(x, y, batch_size=32, sample_weight=weight, verbose=0)
    np.testing.assert_allclose(weighted, plain * weight.mean(), rtol=1e-6)
    assert np.isfinite(model.fit(x, y, sample_weight=weight, verbose=0).history["loss"]).all()
