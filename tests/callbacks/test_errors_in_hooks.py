"""A callback that raises in the middle of an epoch leaves a model that can go on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import densa
from densa import layers

HOOKS = [
    "on_train_batch_begin",
    "on_train_batch_end",
    "on_epoch_begin",
    "on_epoch_end",
    "on_test_batch_end",
    "on_test_begin",
    "on_train_begin",
]


class Breaks(densa.callbacks.Callback):
    def __init__(self, hook, at):
        super().__init__()
        self.left = at
        setattr(self, hook, self.count)

    def count(self, *args, **kwargs):
        self.left -= 1
        if self.left == 0:
            raise RuntimeError("broken")


OPTIMIZERS = {
    "fused": lambda: densa.optimizers.Adam(0.01),
    "by gradients": lambda: densa.optimizers.Adam(0.01, use_ema=True),
}


@pytest.mark.parametrize("eager", [False, True], ids=["plan", "eager"])
@pytest.mark.parametrize("hook", HOOKS)
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_model_stays_usable(eager, hook, name):
    densa.utils.set_random_seed(0)
    model = densa.Sequential(
        [densa.Input((3,)), layers.Dense(6, "relu"), layers.Dropout(0.2), layers.Dense(1)]
    )
    model.compile(OPTIMIZERS[name](), "mse", metrics=["mae"], run_eagerly=eager)
    x = np.random.default_rng(0).standard_normal((40, 3)).astype("f4")
    y = x[:, :1]
    at = 1 if hook == "on_train_begin" else 2
    with pytest.raises(RuntimeError, match="broken"):
        model.fit(x, y, 8, 3, 0, validation_data=(x, y), callbacks=[Breaks(hook, at)])
    model.compile(OPTIMIZERS[name](), "mse", metrics=["mae"], run_eagerly=eager)
    history = model.fit(x, y, 8, 20, 0, validation_data=(x, y)).history
    assert len(history["val_loss"]) == 20
    assert history["val_loss"][-1] < history["val_loss"][0]
    assert model.predict(x, verbose=0).shape == (40, 1)
    assert np.isfinite(model.train_on_batch(x, y)).all()


@pytest.mark.parametrize("eager", [False, True], ids=["plan", "eager"])
@pytest.mark.parametrize("hook", ["on_train_batch_end", "on_epoch_end", "on_test_batch_end"])
def test_without_compiling_again(eager, hook, tmp_path):
    densa.utils.set_random_seed(0)
    model = densa.Sequential([densa.Input((3,)), layers.Dense(6, "relu"), layers.Dense(1)])
    model.compile(densa.optimizers.Adam(0.01), "mse", metrics=["mae"], run_eagerly=eager)
    x = np.random.default_rng(0).standard_normal((40, 3)).astype("f4")
    y = x[:, :1]
    with pytest.raises(RuntimeError, match="broken"):
        model.fit(x, y, 8, 3, 0, validation_data=(x, y), callbacks=[Breaks(hook, 2)])
    history = model.fit(x, y, 8, 20, 0, validation_data=(x, y)).history
    assert history["val_loss"][-1] < history["val_loss"][0]
    loss, mae = model.evaluate(x, y, verbose=0)
    expected = model.predict(x, verbose=0)
    np.testing.assert_allclose(mae, np.abs(expected - y).mean(), rtol=1e-5)  # sums of float32
    np.testing.assert_allclose(loss, ((expected - y) ** 2).mean(), rtol=1e-5)
    path = str(tmp_path / "model.densa")
    model.save(path)
    np.testing.assert_array_equal(densa.models.load_model(path).predict(x, verbose=0), expected)
    # Frozen steps may sum in another order.
    np.testing.assert_allclose(model.freeze()(x), expected, rtol=1e-5, atol=1e-6)


class Raises:
    """Raises one error, of a kind that densa tells of where it is about an argument."""

    def __init__(self, error):
        self.error = error

    def __call__(self, *args, **kwargs):
        raise self.error


def callback_of(error):
    callback = densa.callbacks.Callback()
    callback.on_train_batch_end = Raises(error)
    return {"callbacks": [callback]}


def loss_of(error):
    class Own(densa.losses.Loss):
        def call(self, y_true, y_pred):
            raise error

    return {"loss": Own()}


def metric_of(error):
    class Own(densa.metrics.Metric):
        def update_state(self, y_true, y_pred, sample_weight=None):
            raise error

        def result(self):
            return 0.0

    return {"metrics": [Own()]}


def layer_of(error):
    class Own(layers.Layer):
        def call(self, inputs):
            raise error

    return {"layer": Own()}


@pytest.mark.parametrize("eager", [False, True], ids=["plan", "eager"])
@pytest.mark.parametrize("kind", [ValueError, TypeError, AttributeError, IndexError, KeyError])
@pytest.mark.parametrize("place", [callback_of, loss_of, metric_of, layer_of])
def test_errors_of_ones_own_come_through(place, kind, eager):
    error = kind("only 0-dimensional arrays can be converted to Python scalars")
    given = place(error)
    x = np.ones((4, 3), "f4")
    model = densa.Sequential([given.get("layer", layers.Dense(1)), layers.Dense(1)])
    metrics = given.get("metrics")
    model.compile("sgd", given.get("loss", "mse"), metrics=metrics, run_eagerly=eager)
    with pytest.raises(kind) as caught:
        model.fit(x, x[:, :1], 2, 1, 0, callbacks=given.get("callbacks"))
    assert caught.value is error
    assert caught.value.__cause__ is None
    assert Path(caught.traceback[-1].path).name == Path(__file__).name


@pytest.mark.parametrize("kind", [ValueError, TypeError, IndexError])
def test_errors_of_functions_handed_over_come_through(kind):
    error = kind("object is not iterable")
    raises = Raises(error)
    x = np.ones((4, 3), "f4")
    for call in (
        lambda: densa.ops.map(raises, x),
        lambda: densa.ops.scan(raises, 0.0, x),
        lambda: densa.ops.cond(True, raises, raises),
        lambda: densa.ops.while_loop(raises, raises, x),
        lambda: densa.ops.fori_loop(0, 2, raises, x),
        lambda: densa.ops.vectorize(raises)(x),
        lambda: densa.layers.Lambda(raises)(x),
        lambda: densa.value_and_grad(raises)(x),
        lambda: densa.metrics.MeanMetricWrapper(raises)(x, x),
    ):
        with pytest.raises(kind) as caught:
            call()
        assert caught.value is error
