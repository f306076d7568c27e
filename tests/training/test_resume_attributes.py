"""What callbacks and steps change on layers, losses and optimizers goes on with a backup, too."""

from __future__ import annotations

import numpy as np
import pytest

import densa
from densa import callbacks, layers
from training.resuming import Breaker, Stop, data, interrupted, new_model, same


def arrays(x, y):
    return {"x": x, "y": y, "batch_size": 8}


def stream(x, y):
    class Batches:
        def __iter__(self):
            return ((x[i : i + 8], y[i : i + 8]) for i in range(0, 40, 8))

    return {"x": Batches()}


class Once(callbacks.Callback):
    """Changes what `change` changes, once: behind the fifth batch, or at the end of epoch 1."""

    def __init__(self, change, batch=None):
        super().__init__()
        self.change = change
        self.batch = batch
        self.count = 0

    def on_train_batch_end(self, batch, logs=None):
        self.count += 1
        if self.count == self.batch:
            self.change(self.model)

    def on_epoch_end(self, epoch, logs=None):
        if epoch == 0 and self.batch is None:
            self.change(self.model)


def rate(model):
    model.layers[1].rate = 0.2


def momentum(model):
    model.optimizer.momentum = 0.3
    model.optimizer.clipnorm = 0.5


def loss(model):
    model.loss.delta = 0.25


def penalty(model):
    model.layers[0].kernel_regularizer.l2 = 0.5


def own_layer(model):
    model.layers[2].scale, model.layers[2].kept = 0.5, [np.full(1, 0.5, "f4"), {"a": 1.5}]


CHANGES = {f.__name__: f for f in (rate, momentum, loss, penalty, own_layer)}


class Power(densa.losses.Loss):
    def __init__(self, delta):
        super().__init__()
        self.delta = delta

    def call(self, y_true, y_pred):
        return densa.ops.square(y_true - y_pred) * self.delta


class Scale(layers.Layer):
    def __init__(self, scale=1.0):
        super().__init__()
        self.scale = scale
        self.kept = [np.ones(1, "f4"), {"a": 1.0}]

    def call(self, x):
        return x * self.scale * self.kept[0] * self.kept[1]["a"]


def changing_model(eager):
    def make():
        densa.utils.set_random_seed(7)
        first = layers.Dense(8, "relu", kernel_regularizer=densa.regularizers.L2(0.01))
        model = densa.Sequential(
            [densa.Input((4,)), first, layers.Dropout(0.5), Scale(), layers.Dense(1)]
        )
        model.compile(
            densa.optimizers.SGD(0.05, momentum=0.9),
            Power(1.0),
            run_eagerly=eager,
        )
        return model

    return make


CASES = [(name, *case) for name in CHANGES for case in ((None, "epoch", arrays), (5, 2, arrays))]


@pytest.mark.parametrize(
    ("name", "batch", "save_freq", "feed"),
    [*CASES, ("rate", 5, 2, stream), ("momentum", 5, "epoch", stream)],
)
def test_what_is_changed_once_stays_so(tmp_path, eager, name, batch, save_freq, feed):
    def extra():
        return [Once(CHANGES[name], batch)]

    whole, resumed = interrupted(
        tmp_path, changing_model(eager), feed, (7, 7), save_freq, epochs=4, extra=extra
    )
    same(whole, resumed)
    for one, other in zip(whole.layers, resumed.layers, strict=True):
        for attribute in ("rate", "scale", "kept"):
            assert getattr(one, attribute, None) == getattr(other, attribute, None)
    assert whole.optimizer.momentum == resumed.optimizer.momentum
    assert whole.optimizer.clipnorm == resumed.optimizer.clipnorm
    assert whole.loss.delta == resumed.loss.delta


def test_trainable_and_what_a_step_of_its_own_keeps_go_on(tmp_path):
    class Noisy(densa.Model):
        def __init__(self):
            super().__init__()
            self.first, self.dense = layers.Dense(3), layers.Dense(1)
            self.rng = np.random.default_rng(3)
            self.mean, self._steps = 0.0, 0

        def call(self, x):
            return self.dense(self.first(x))

        def train_step(self, given):
            x, y = given
            self._steps += 1
            logs = super().train_step((x + self.rng.normal(0, 0.1 + self.mean, x.shape), y))
            self.mean = 0.9 * self.mean + 0.1 * float(logs["loss"]) / self._steps
            return logs

    def make():
        densa.utils.set_random_seed(7)
        model = Noisy()
        model.build((None, 4))
        model.compile("sgd", "mse")
        return model

    def freeze(model):
        model.first.trainable = False

    with pytest.warns(UserWarning, match="has changed since compile"):
        whole, resumed = interrupted(
            tmp_path, make, arrays, (7, 7), 2, epochs=4, extra=lambda: [Once(freeze, 5)]
        )
    same(whole, resumed)
    assert (whole.mean, whole._steps) == (resumed.mean, resumed._steps)
    assert not resumed.first.trainable
    assert resumed.trainable_variables == resumed.dense.weights


def test_what_becomes_another_object_is_named_once(tmp_path):
    def change(model):
        model.layers[0].activation = densa.activations.tanh
        model.optimizer.learning_rate = densa.optimizers.schedules.ExponentialDecay(0.1, 9, 0.5)

    x, y = data()
    given = [callbacks.BackupAndRestore(tmp_path / "backup", 1), Once(change, 3)]
    with pytest.warns(UserWarning, match="has become another object") as said:
        new_model(False).fit(x, y, 8, 2, 0, callbacks=given)
    (text,) = [str(one.message) for one in said]
    assert "Dense.activation, SGD._learning_rate" in text
    assert "on_train_begin" in text


def test_backups_of_before_go_on(tmp_path):
    from densa.saving.file_format import read_file, strict_json, to_json, write_file

    x, y = data()
    backup = callbacks.BackupAndRestore(tmp_path / "backup", 2)

    def fit(stop):
        model = new_model(False)
        model.fit(x, y, 8, 3, 0, callbacks=[backup, Breaker(stop)])
        return model

    whole = fit(0)
    with pytest.raises(Stop):
        fit(9)
    tensors, metadata = read_file(backup.path)
    state = strict_json(metadata.pop("state"), "state")
    del metadata["crc32"], state["attributes"], state["seen"]
    write_file(backup.path, tensors, {**metadata, "state": to_json(state)})
    same(whole, fit(0))
