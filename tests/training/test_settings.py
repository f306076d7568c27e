"""Settings of layers and losses that are changed after a step was recorded."""

import numpy as np
import pytest

import densa
from densa import layers


def rows(count):
    rng = np.random.default_rng(7)
    return rng.standard_normal((count, 4)).astype("f4"), rng.integers(0, 3, count)


def various(eager):
    """Each layer with a setting that the step reads, and a regularizer with one."""
    densa.utils.set_random_seed(1)
    model = densa.Sequential(
        [
            densa.Input((4,)),
            layers.Dense(8, kernel_regularizer=densa.regularizers.L2(0.01)),
            layers.BatchNormalization(),
            layers.LeakyReLU(),
            layers.Dropout(0.25),
            layers.Dense(3, activation="tanh"),
        ]
    )
    loss = densa.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("sgd", loss, run_eagerly=eager)
    return model


SETTINGS = {
    "rate": lambda m: setattr(m.layers[3], "rate", 0.0),
    "momentum": lambda m: setattr(m.layers[1], "momentum", 0.5),
    "epsilon": lambda m: setattr(m.layers[1], "epsilon", 0.5),
    "slope": lambda m: setattr(m.layers[2], "negative_slope", 0.9),
    "activation": lambda m: setattr(m.layers[4], "activation", densa.activations.relu),
    "regularizer": lambda m: setattr(m.layers[0].kernel_regularizer, "l2", 0.5),
    "reduction": lambda m: setattr(m._compiled.loss.loss, "reduction", "sum"),
}


@pytest.mark.parametrize("change", SETTINGS.values(), ids=SETTINGS)
def test_settings_changed_between_calls_act_as_in_eager_steps(change):
    x, y = rows(64)
    found = []
    for eager in (False, True):
        model = various(eager)
        model.fit(x, y, batch_size=32, verbose=0, shuffle=False)
        model.predict(x, verbose=0), model.evaluate(x, y, verbose=0)
        change(model)
        logs = model.fit(x, y, batch_size=32, verbose=0, shuffle=False, epochs=2).history["loss"]
        found.append(
            [
                np.array(logs),
                model.evaluate(x, y, verbose=0),
                model.predict(x, verbose=0),
                model.train_on_batch(x, y),
                *model.get_weights(),
            ]
        )
    for a, b in zip(*found, strict=True):
        # float32, sums in another order, through a few steps
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def test_a_callback_can_change_a_rate_between_epochs():
    x, y = rows(64)
    found = []
    for eager in (False, True):
        model = various(eager)
        model.layers[3].rate = 0.5
        off = densa.callbacks.LambdaCallback(
            on_epoch_begin=lambda epoch, logs, m=model: setattr(
                m.layers[3], "rate", 0.5 - epoch / 2
            )
        )
        history = model.fit(x, y, epochs=2, verbose=0, shuffle=False, callbacks=[off])
        found.append(history.history["loss"])
    np.testing.assert_allclose(*found, rtol=1e-4)


class Counting(layers.Layer):
    """Keeps what its calls leave behind: no setting, although it is in attributes."""

    def __init__(self):
        super().__init__()
        self.calls, self.last = 0, None

    def call(self, x):
        self.calls += 1
        self.last = [x]
        self.note = {"shape": x.shape}
        return x * 2.0


def test_what_a_call_leaves_behind_makes_no_new_recording():
    layer = Counting()
    model = densa.Sequential([densa.Input((4,)), layer, layers.Dense(1)])
    model.compile("sgd", "mse")
    x, y = np.ones((8, 4), "f4"), np.ones((8, 1), "f4")
    model.fit(x, y, epochs=3, validation_data=(x, y), verbose=0)
    calls = layer.calls
    for _ in range(3):
        model.fit(x, y, epochs=2, validation_data=(x, y), verbose=0)
        model.train_on_batch(x, y)
    assert layer.calls == calls
