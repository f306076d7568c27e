"""Callbacks: which hooks are called when, and what each callback decides."""

from __future__ import annotations

import copy
import json
import math

import numpy as np
import pytest

import densa
from densa.callbacks import (
    Callback,
    CallbackList,
    CSVLogger,
    EarlyStopping,
    History,
    LambdaCallback,
    LearningRateScheduler,
    ModelCheckpoint,
    ProgbarLogger,
    ReduceLROnPlateau,
    TerminateOnNaN,
)
from densa.callbacks.logs import LazyLogs


class FakeModel:
    """Enough of a model to drive callbacks without training."""

    def __init__(self, rate=1.0):
        self.optimizer = densa.optimizers.SGD(rate)
        self.stop_training = False
        self.metrics = [densa.metrics.CategoricalAccuracy(name="accuracy")]
        self.weights = 0
        self.saved = []

    def get_weights(self):
        return [self.weights]

    def set_weights(self, weights):
        (self.weights,) = weights

    def save(self, path, overwrite=True):
        self.saved.append(path)

    def save_weights(self, path, overwrite=True):
        self.saved.append(("weights", path))


def drive(callback, values, name="val_loss", model=None):
    """Epochs whose monitored value is given; returns the model and the number of epochs run."""
    model = model or FakeModel()
    callbacks = CallbackList([callback], add_history=True, model=model, epochs=len(values))
    callbacks.on_train_begin()
    for epoch, value in enumerate(values):
        callbacks.on_epoch_begin(epoch)
        model.weights = epoch
        logs = {name: value}
        callbacks.on_epoch_end(epoch, logs)
        if model.stop_training:
            break
    callbacks.on_train_end()
    return model, epoch + 1


def test_early_stopping_waits_and_restores():
    stop = EarlyStopping(patience=2, restore_best_weights=True)
    model, ran = drive(stop, [3.0, 2.0, 2.5, 2.1, 1.0])
    assert ran == 4
    assert stop.stopped_epoch == 3
    assert stop.best == 2.0
    assert model.weights == 1


def test_early_stopping_restores_after_a_full_run_too():
    model, ran = drive(EarlyStopping(patience=5, restore_best_weights=True), [3.0, 1.0, 2.0])
    assert (ran, model.weights) == (3, 1)


def test_early_stopping_min_delta_and_baseline():
    assert drive(EarlyStopping(patience=2, min_delta=0.5), [3.0, 2.8, 2.6, 0.0])[1] == 3
    assert drive(EarlyStopping(patience=2, baseline=1.0), [3.0, 2.0, 2.5, 0.1])[1] == 3
    assert drive(EarlyStopping(patience=1, start_from_epoch=2), [1.0, 2.0, 3.0, 4.0, 5.0])[1] == 4


def test_early_stopping_directions():
    rising = [0.1, 0.2, 0.3, 0.2, 0.1]
    assert drive(EarlyStopping("val_accuracy", patience=1), rising, "val_accuracy")[1] == 4
    assert drive(EarlyStopping("x", patience=1, mode="max"), rising, "x")[1] == 4
    assert drive(EarlyStopping("x", patience=1, mode="min"), rising, "x")[1] == 2
    with pytest.raises(ValueError, match="mode="):
        drive(EarlyStopping("something", patience=1), rising, "something")


def test_early_stopping_without_its_number_warns_once():
    with pytest.warns(UserWarning, match="val_loss.*not available") as seen:
        _, ran = drive(EarlyStopping(patience=0), [1.0, 2.0, 3.0], "loss")
    assert ran == 3
    assert len(seen) == 1


def test_nan_never_counts_as_better():
    stop = EarlyStopping(patience=2, restore_best_weights=True)
    model, ran = drive(stop, [1.0, math.nan, math.nan, 0.5])
    assert (ran, stop.best, model.weights) == (3, 1.0, 0)


def test_reduce_on_plateau():
    plateau = ReduceLROnPlateau(factor=0.5, patience=2, min_lr=0.3)
    model = FakeModel()
    rates = []
    values = [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]
    seen = LambdaCallback(
        on_epoch_end=lambda epoch, logs: rates.append(float(model.optimizer.learning_rate))
    )
    callbacks = CallbackList([plateau, seen], add_history=True, model=model)
    callbacks.on_train_begin()
    for epoch, value in enumerate(values):
        callbacks.on_epoch_end(epoch, {"val_loss": value})
    assert rates == [1.0, 1.0, 0.5, 0.5, 0.3, 0.3, 0.3]
    assert model.history.history["learning_rate"][:4] == [1.0, 1.0, 1.0, 0.5]
    with pytest.raises(ValueError, match="factor"):
        ReduceLROnPlateau(factor=1.0)


def test_reduce_on_plateau_cooldown():
    model = FakeModel()
    plateau = ReduceLROnPlateau(factor=0.5, patience=1, cooldown=2)
    drive(plateau, [1.0] * 5, model=model)
    assert float(model.optimizer.learning_rate) == 0.25


def test_learning_rate_scheduler():
    model = FakeModel(0.8)
    drive(LearningRateScheduler(lambda epoch, rate: rate * 0.5), [1.0] * 3, model=model)
    assert float(model.optimizer.learning_rate) == 0.1
    assert model.history.history["learning_rate"] == [0.4, 0.2, 0.1]
    model = FakeModel(0.8)
    drive(LearningRateScheduler(lambda epoch: 1.0 / (epoch + 1)), [1.0] * 4, model=model)
    assert float(model.optimizer.learning_rate) == 0.25

    def broken(epoch, rate):
        raise TypeError("from inside")

    with pytest.raises(TypeError, match="from inside"):
        drive(LearningRateScheduler(broken), [1.0])
    with pytest.raises(ValueError, match="should be a float"):
        drive(LearningRateScheduler(lambda epoch: "fast"), [1.0])


@pytest.mark.parametrize(
    ("callback", "arguments"),
    [
        (EarlyStopping, ("patience", "start_from_epoch", "baseline", "min_delta")),
        (ReduceLROnPlateau, ("patience", "cooldown", "factor", "min_lr", "min_delta")),
    ],
)
def test_arguments_that_are_no_numbers_are_refused(callback, arguments):
    for argument in arguments:
        name = rf"{callback.__name__}: `{argument}`"
        for value in ("a", True, [3]):
            with pytest.raises(TypeError, match=f"{name} must be a number; received"):
                callback(**{argument: value})
        with pytest.raises(ValueError, match=f"{name} must be a number, not NaN"):
            callback(**{argument: math.nan})
    with pytest.raises(ValueError, match="`patience` must be at least 0; received -1"):
        callback(patience=-1)
    assert callback(patience=np.int64(3)).patience == 3
    assert callback(patience=math.inf).patience == math.inf  # never


def test_terminate_on_nan(capsys):
    model = FakeModel()
    callbacks = CallbackList([TerminateOnNaN()], model=model)
    callbacks.on_train_batch_end(0, {"loss": 1.0})
    assert not model.stop_training
    callbacks.on_train_batch_end(7, {"loss": math.nan})
    assert model.stop_training
    assert "Batch 7: Invalid loss" in capsys.readouterr().out
    with pytest.raises(RuntimeError, match="Batch 3: the loss is inf"):
        TerminateOnNaN(raise_error=True).on_batch_end(3, {"loss": math.inf})


def test_checkpoints(tmp_path):
    model = FakeModel()
    path = str(tmp_path / "new" / "at-{epoch:02d}-{val_loss:.1f}.densa")
    drive(ModelCheckpoint(path, save_best_only=True), [2.0, 3.0, 1.0], model=model)
    assert [p[-15:] for p in model.saved] == ["at-01-2.0.densa", "at-03-1.0.densa"]
    model = FakeModel()
    drive(ModelCheckpoint("w.weights.densa", save_weights_only=True), [2.0, 3.0], model=model)
    assert model.saved == [("weights", "w.weights.densa")] * 2
    model = FakeModel()
    drive(
        ModelCheckpoint("a.densa", save_best_only=True, initial_value_threshold=1.5),
        [2.0, 1.0],
        model=model,
    )
    assert model.saved == ["a.densa"]
    with pytest.raises(KeyError, match="val_nothing"):
        drive(ModelCheckpoint("{val_nothing}.densa"), [1.0])
    with pytest.raises(ValueError, match="save_freq"):
        ModelCheckpoint("a.densa", save_freq="batch")


def test_checkpoints_every_few_batches():
    model = FakeModel()
    callback = ModelCheckpoint("at-{batch}.densa", save_freq=3)
    callbacks = CallbackList([callback], model=model)
    assert callbacks.wants_every_batch("train")
    for epoch in range(2):
        callbacks.on_epoch_begin(epoch)
        for batch in range(4):
            callbacks.on_train_batch_end(batch, {})
    assert model.saved == ["at-3.densa", "at-2.densa"]


def test_csv_logger(tmp_path):
    path = tmp_path / "log.csv"
    drive(CSVLogger(path), [2.0, 1.0], "loss")
    assert path.read_text() == "epoch,loss\n0,2.0\n1,1.0\n"
    drive(CSVLogger(path, append=True), [0.5], "loss")
    assert path.read_text() == "epoch,loss\n0,2.0\n1,1.0\n0,0.5\n"
    drive(CSVLogger(path, separator=";"), [0.5], "loss")
    assert path.read_text() == "epoch;loss\n0;0.5\n"


def test_the_history_of_a_file_holds_its_epoch(tmp_path):
    class Own(Callback):
        def on_epoch_end(self, epoch, logs=None):
            logs["own"] = 10.0 + epoch
            self.model.history.history.setdefault("beside", []).append(epoch)
            if epoch == 2:
                raise RuntimeError("stop")

    model = densa.Sequential([densa.Input((1,)), densa.layers.Dense(1)])
    model.compile("sgd", "mse")
    x = np.ones((4, 1), "f4")
    save = ModelCheckpoint(str(tmp_path / "{epoch}.densa"))
    with pytest.raises(RuntimeError, match="stop"):
        model.fit(x, x, epochs=3, callbacks=[Own(), save], verbose=0)
    # The epoch that an error ended is not kept.
    history = model.history
    assert history.epoch == [0, 1]
    assert len(history.history["loss"]) == 2
    assert history.history["own"] == [10.0, 11.0]
    assert history.history["beside"] == [0, 1, 2]
    for epoch in (1, 2):
        found = densa.models.load_model(tmp_path / f"{epoch}.densa").history
        assert found.epoch == history.epoch[:epoch]
        for name, column in found.history.items():
            assert column == history.history[name][:epoch]
        assert found.history.keys() == history.history.keys()


def test_history():
    history = History()
    drive(history, [2.0, 1.0], "loss")
    assert history.history == {"loss": [2.0, 1.0]}
    assert history.epoch == [0, 1]


def test_lambda_callback_refuses_unknown_hooks():
    with pytest.raises(TypeError, match="on_epoch_over"):
        LambdaCallback(on_epoch_over=print)


def test_list_knows_who_wants_every_batch():
    class Silent(Callback):
        def on_epoch_end(self, epoch, logs=None):
            pass

    class Old(Callback):
        def on_batch_end(self, batch, logs=None):
            seen.append(batch)

    seen: list[int] = []
    quiet = CallbackList([Silent(), EarlyStopping(), ModelCheckpoint("x.densa"), ProgbarLogger()])
    assert not any(quiet.wants_every_batch(kind) for kind in ("train", "test", "predict"))
    loud = CallbackList([Old()])
    assert loud.wants_every_batch("train")
    assert not loud.wants_every_batch("test")
    loud.on_train_batch_end(3)
    assert seen == [3]
    by_lambda = CallbackList(
        [LambdaCallback(on_train_batch_end=lambda batch, logs: seen.append(9))]
    )
    assert by_lambda.wants_every_batch("train")
    by_lambda.on_train_batch_end(0)
    assert seen == [3, 9]
    assert TerminateOnNaN().model is None
    for bad in ([3], "history"):
        with pytest.raises(ValueError, match="Callback"):
            CallbackList(bad)


@pytest.mark.parametrize(
    ("path", "weights", "ending"),
    [("m.keras", False, "`.densa`"), ("m", False, "`.densa`"), ("m.densa", True, ".weights.densa")],
)
def test_checkpoints_say_at_once_that_a_path_cannot_be_written(path, weights, ending):
    with pytest.raises(ValueError, match=f"must end in .*{ending}"):
        ModelCheckpoint(path, save_weights_only=weights)


def test_lazy_logs_are_made_at_the_first_reading():
    made = []

    def make():
        made.append(1)
        return {"loss": 1.5, "accuracy": 0.5}

    logs = LazyLogs(make)
    assert made == []
    assert logs["loss"] == 1.5
    assert logs.get("accuracy") == 0.5
    assert "nothing" not in logs
    assert len(made) == 1
    for read in (dict, list, len, lambda x: {**x}, lambda x: x.items(), str, bool):
        assert read(LazyLogs(make))
    for read in (json.dumps, copy.copy, lambda x: x | {}, lambda x: {} | x):
        assert read(LazyLogs(make)) == read({"loss": 1.5, "accuracy": 0.5})
    assert LazyLogs(make).pop("loss") == LazyLogs(make).setdefault("loss", 0.0) == 1.5
    assert dict(LazyLogs(make)) == {"loss": 1.5, "accuracy": 0.5}
    with pytest.raises(KeyError):
        LazyLogs(make)["nothing"]
    logs = LazyLogs(make)
    logs["loss"] = 9.0
    assert dict(logs) == {"loss": 9.0, "accuracy": 0.5}


def test_order_of_hooks_in_fit_evaluate_and_predict():
    calls: list[str] = []

    class Recorder(Callback):
        pass

    for name in [n for n in vars(Callback) if n.startswith("on_") and "_batch_" not in n[:9]]:

        def hook(self, first=None, logs=None, name=name):
            calls.append(name[3:])

        setattr(Recorder, name, hook)
    model = densa.Sequential([densa.Input((2,)), densa.layers.Dense(1)])
    model.compile("sgd", "mse")
    x, y = np.zeros((4, 2), "f4"), np.zeros((4, 1), "f4")
    model.fit(x, y, batch_size=2, validation_data=(x, y), callbacks=[Recorder()], verbose=0)
    test = ["test_begin", *["test_batch_begin", "test_batch_end"] * 2, "test_end"]
    assert calls == [
        "train_begin",
        "epoch_begin",
        *["train_batch_begin", "train_batch_end"] * 2,
        *test,
        "epoch_end",
        "train_end",
    ]
    calls.clear()
    model.evaluate(x, y, batch_size=2, callbacks=[Recorder()], verbose=0)
    assert calls == test
    calls.clear()
    model.predict(x, batch_size=4, callbacks=[Recorder()], verbose=0)
    assert calls == ["predict_begin", "predict_batch_begin", "predict_batch_end", "predict_end"]
