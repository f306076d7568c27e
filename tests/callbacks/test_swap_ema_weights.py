"""SwapEMAWeights: evaluation sees the averages, training the weights."""

from __future__ import annotations

import numpy as np
import pytest

import densa

X = np.random.default_rng(3).normal(size=(32, 3)).astype("f4")
Y = X @ np.array([[1.0], [-2.0], [0.5]], "f4")


def net(**options):
    densa.utils.set_random_seed(0)
    model = densa.Sequential([densa.Input((3,)), densa.layers.Dense(1)])
    model.compile(densa.optimizers.SGD(0.05, **options), "mse")
    return model


class Note(densa.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.inside, self.outside, self.at_end = [], [], []

    def on_test_begin(self, logs=None):
        self.inside.append(self.model.get_weights())

    def on_epoch_begin(self, epoch, logs=None):
        self.outside.append(self.model.get_weights())

    def on_epoch_end(self, epoch, logs=None):
        self.at_end.append(self.model.get_weights())


def test_validation_has_the_averages_and_training_the_weights():
    plain, model = net(), net(use_ema=True, ema_momentum=0.9)
    note, alone = Note(), Note()
    plain.fit(X, Y, epochs=3, shuffle=False, callbacks=[alone], verbose=0)
    swap = densa.callbacks.SwapEMAWeights()
    history = model.fit(X, Y, epochs=3, shuffle=False, validation_data=(X, Y),
                        callbacks=[swap, note], verbose=0)  # fmt: skip
    for got, expected in zip(note.outside + note.at_end, alone.outside + alone.at_end, strict=True):
        np.testing.assert_array_equal(got[0], expected[0])
    average = alone.at_end[0][0]
    for i, weights in enumerate(alone.at_end):
        average = weights[0] if i == 0 else 0.9 * average + 0.1 * weights[0]
        np.testing.assert_allclose(note.inside[i][0], average, rtol=1e-6)
    loss = np.mean((X @ note.inside[2][0] + note.inside[2][1] - Y) ** 2)
    assert history.history["val_loss"][2] == pytest.approx(loss, rel=1e-5)
    np.testing.assert_array_equal(model.get_weights()[0], note.inside[2][0])


def test_averages_that_are_lent_obey_constraints():
    model, note = net(use_ema=True, ema_momentum=0.9), Note()
    model.layers[0].kernel.constraint = densa.constraints.UnitNorm()
    swap = densa.callbacks.SwapEMAWeights()
    model.fit(X, Y, 8, 3, 0, validation_data=(X, Y), callbacks=[swap, note])
    for kernel, _ in note.inside:
        np.testing.assert_allclose(np.linalg.norm(kernel), 1, rtol=1e-5)


def test_epochs_end_with_the_averages_for_callbacks_behind():
    model, note = net(use_ema=True, ema_momentum=0.9), Note()
    plain, alone = net(), Note()
    plain.fit(X, Y, epochs=2, shuffle=False, callbacks=[alone], verbose=0)
    swap = densa.callbacks.SwapEMAWeights(swap_on_epoch=True)
    model.fit(X, Y, epochs=2, shuffle=False, callbacks=[swap, note], verbose=0)
    for got, expected in zip(note.outside, alone.outside, strict=True):
        np.testing.assert_array_equal(got[0], expected[0])
    average = 0.9 * alone.at_end[0][0] + 0.1 * alone.at_end[1][0]
    np.testing.assert_allclose(note.at_end[1][0], average, rtol=1e-6)
    np.testing.assert_array_equal(model.get_weights()[0], note.at_end[1][0])


def test_evaluate_and_predict_give_the_weights_back():
    model = net(use_ema=True, ema_momentum=0.9)
    model.fit(X, Y, epochs=2, verbose=0)
    model.set_weights([w + 1 for w in model.get_weights()])
    before = model.get_weights()
    swap = densa.callbacks.SwapEMAWeights()
    model.evaluate(X, Y, callbacks=[swap], verbose=0)
    got = model.predict(X, callbacks=[swap], verbose=0)
    for kept, weights in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(kept, weights)
    average = [v.numpy() for _, v in model.optimizer.averages()]
    np.testing.assert_allclose(got, X @ average[0] + average[1], rtol=1e-5, atol=1e-6)


def test_an_optimizer_without_averages_is_an_error():
    with pytest.raises(ValueError, match="use_ema=True"):
        net().fit(X, Y, callbacks=[densa.callbacks.SwapEMAWeights()], verbose=0)
