"""Trainings that are interrupted and go on, for the tests beside."""

from __future__ import annotations

import numpy as np
import pytest

import densa
from densa import callbacks, layers


class Stop(Exception):
    pass


class Breaker(callbacks.Callback):
    """Raises behind the batch that has a number, counted over all epochs."""

    def __init__(self, batch):
        super().__init__()
        self.batch = batch
        self.count = 0

    def on_train_batch_end(self, batch, logs=None):
        self.count += 1
        if self.count == self.batch:
            raise Stop


def data():
    rng = np.random.default_rng(3)
    x = rng.standard_normal((45, 4)).astype("f4")
    return x, (x[:, :1] > 0).astype("f4")


def new_model(eager, optimizer=None, **options):
    densa.utils.set_random_seed(7)
    model = densa.Sequential(
        [densa.Input((4,)), layers.Dense(8, "relu"), layers.Dropout(0.5), layers.Dense(1)]
    )
    metrics = ["mae", densa.metrics.RootMeanSquaredError()]
    made = densa.optimizers.SGD(0.05, momentum=0.9) if optimizer is None else optimizer()
    model.compile(made, "mse", metrics=metrics, run_eagerly=eager, **options)
    return model


def interrupted(tmp_path, make, feed, at, save_freq, epochs=3, extra=list):
    """The end of a training that breaks at some batches, and that of one left alone."""
    x, y = data()
    validation = {"validation_data": (x[:9], y[:9])}

    def fit(folder, stop):
        model = make()
        backup = callbacks.BackupAndRestore(folder, save_freq)
        given = [backup, *extra(), Breaker(stop)]
        model.fit(**feed(x, y), **validation, epochs=epochs, verbose=0, callbacks=given)
        return model

    whole = fit(tmp_path / "whole", 0)
    for stop in at:
        with pytest.raises(Stop):
            fit(tmp_path / "parts", stop)
        densa.random.uniform((3,))  # another process would have drawn other numbers, too
    return whole, fit(tmp_path / "parts", 0)


def same(a, b):
    for one, other in zip(a.get_weights(), b.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    for one, other in zip(a.optimizer.variables, b.optimizer.variables, strict=True):
        np.testing.assert_array_equal(one.numpy(), other.numpy())
    assert a.history.history == b.history.history
    assert a.history.epoch == b.history.epoch
