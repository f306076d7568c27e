"""Chapter 11 of the founding texts: the cells that raise, Keras 2's spellings, and numbers.

What the other cells do is in test_chapter.py. Comments are lines of the text and handbook ids.
"""

import math
import types

import numpy as np
import pytest

import densa

tf = types.SimpleNamespace(keras=densa)


def test_the_cell_of_line_97_is_no_python():
    with pytest.raises(SyntaxError):
        compile("Sequential([\n    [...]  # more layers\n    Dense(50),\n])", "cell", "exec")


def test_the_cell_of_line_321_names_the_optimizer_twice():
    model = tf.keras.Sequential([tf.keras.Input((2,)), tf.keras.layers.Dense(1)])
    with pytest.raises(TypeError, match="multiple values for argument 'optimizer'"):
        model.compile([...], optimizer=tf.keras.optimizers.SGD(clipvalue=1.0))


def test_experimental_optimizers():  # 606
    with pytest.warns(DeprecationWarning, match=r"use optimizers\.AdamW"):
        adamw = tf.keras.optimizers.experimental.AdamW(learning_rate=0.001, weight_decay=0.004)
    assert type(adamw) is tf.keras.optimizers.AdamW
    assert "AdamW" in dir(tf.keras.optimizers.experimental)
    with pytest.raises(AttributeError, match="no attribute 'Ftrl'"):
        tf.keras.optimizers.experimental.Ftrl  # noqa: B018


def fitted(optimizer, *callbacks, epochs=3, **arguments):
    model = tf.keras.Sequential([tf.keras.Input((2,)), tf.keras.layers.Dense(1)])
    model.compile("sgd" if optimizer is None else optimizer, "mse")
    x = np.ones((64, 2), "float32")
    return model.fit(x, x[:, :1], epochs=epochs, callbacks=[*callbacks], verbose=0, **arguments)


def test_power_scheduling():  # 655, 680; G11
    with pytest.warns(DeprecationWarning, match=r"PowerDecay\(0.01, 1 / decay\)"):
        optimizer = tf.keras.optimizers.SGD(learning_rate=0.01, decay=1e-4)
    rates = []
    for step in (0, 10_000, 20_000, 30_000):
        optimizer.iterations = step
        rates.append(float(optimizer.learning_rate))
    np.testing.assert_allclose(rates, [0.01, 0.005, 0.01 / 3, 0.0025], rtol=1e-6)


def test_exponential_scheduling():  # 688, 694, 703, 710, 713; G12
    def exponential_decay(lr0, s):
        def exponential_decay_fn(epoch):
            return lr0 * 0.1 ** (epoch / s)

        return exponential_decay_fn

    schedule = exponential_decay(lr0=0.01, s=20)
    assert schedule(20) == pytest.approx(0.001)
    assert schedule(40) == pytest.approx(0.0001)
    by_epoch = fitted(None, tf.keras.callbacks.LearningRateScheduler(schedule))
    with pytest.warns(DeprecationWarning, match="learning_rate"):
        rates = by_epoch.history["lr"]
    assert "lr" in by_epoch.history
    with pytest.warns(DeprecationWarning, match="learning_rate"):
        assert by_epoch.history.get("lr") == rates
    assert list(by_epoch.history) == ["loss", "learning_rate"]
    np.testing.assert_allclose(rates, [0.01 * 0.1 ** (e / 20) for e in range(3)], rtol=1e-6)

    step_down = tf.keras.callbacks.LearningRateScheduler(lambda epoch, lr: lr * 0.1 ** (1 / 20))
    by_rate = fitted(tf.keras.optimizers.SGD(learning_rate=0.01), step_down)
    np.testing.assert_allclose(
        by_rate.history["learning_rate"], [0.01 * 0.1 ** (e / 20) for e in (1, 2, 3)], rtol=1e-6
    )


def test_a_history_without_a_rate_has_no_lr():
    with pytest.raises(KeyError, match="lr"):
        fitted(None).history["lr"]
    assert "lr" not in fitted(None).history
    assert fitted(None).history.get("lr", 3) == 3


def test_piecewise_scheduling_goes_on_where_it_stopped():  # 727, 722
    def piecewise_constant(epoch):
        return 0.01 if epoch < 5 else 0.005 if epoch < 15 else 0.001

    scheduler = tf.keras.callbacks.LearningRateScheduler(piecewise_constant)
    history = fitted(None, scheduler, epochs=17, initial_epoch=3)
    np.testing.assert_allclose(
        history.history["learning_rate"], [0.01] * 2 + [0.005] * 10 + [0.001] * 2, rtol=1e-6
    )


def test_a_schedule_of_steps():  # 744; E12: it spans 25 epochs, not the 20 of the function
    n_steps = 25 * math.ceil(1000 / 32)
    rate = tf.keras.optimizers.schedules.ExponentialDecay(
        initial_learning_rate=0.01, decay_steps=n_steps, decay_rate=0.1
    )
    assert float(rate(n_steps)) == pytest.approx(0.001)
    assert float(rate(n_steps * 20 // 25)) == pytest.approx(0.00158, abs=5e-6)
    optimizer = tf.keras.optimizers.SGD(learning_rate=rate)
    fitted(optimizer)
    assert float(optimizer.learning_rate) == pytest.approx(0.01 * 0.1 ** (6 / n_steps))


def test_one_cycle_by_a_callback_of_ones_own():  # 755
    K = tf.keras.backend

    class OneCycle(tf.keras.callbacks.Callback):
        def __init__(self, peak, steps):
            super().__init__()
            self.peak, self.steps, self.step, self.seen = peak, steps, 0, []

        def on_batch_begin(self, batch, logs=None):
            half = self.steps / 2
            up = self.step / half if self.step <= half else 2 - self.step / half
            K.set_value(self.model.optimizer.learning_rate, self.peak * (0.1 + 0.9 * up))
            self.step += 1

        def on_batch_end(self, batch, logs=None):
            self.seen.append(float(self.model.optimizer.learning_rate))

    cycle = OneCycle(0.1, 8)
    with pytest.warns(DeprecationWarning, match="assign"):
        fitted(None, cycle, epochs=4)
    np.testing.assert_allclose(
        cycle.seen, [0.01, 0.0325, 0.055, 0.0775, 0.1, 0.0775, 0.055, 0.0325], rtol=1e-5
    )


def test_set_value_wants_a_variable():
    with (
        pytest.warns(DeprecationWarning, match="assign"),
        pytest.raises(TypeError, match="got float"),
    ):
        tf.keras.backend.set_value(0.1, 0.2)
    with pytest.warns(DeprecationWarning, match="asarray"):
        assert tf.keras.backend.get_value(tf.keras.Variable(2.0)) == 2


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_small_number_beside_a_large_one_is_lost(dtype):  # G28
    ops = tf.keras.ops
    large, small = (ops.convert_to_tensor(value, dtype) for value in (1e10, 1e-10))
    assert float(large + small) == 1e10
