"""What acts on a running fit: callbacks, Ctrl-C, progress."""

from __future__ import annotations

import os
import signal
import threading

import numpy as np
import pytest

import densa
from training.cases import linear, regression


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
