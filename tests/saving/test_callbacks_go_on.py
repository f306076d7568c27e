"""A training that goes on from a model's file with its callbacks ends as one left alone."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

import densa
from densa import callbacks as C
from densa import layers
from densa.saving.file_format import read_file, write_file

RUN = Path(__file__).with_name("going_on_run.py")
RNG = np.random.default_rng(2)
X = RNG.standard_normal((50, 4)).astype("f4")
Y = X[:, :1] * 2


def model_of(optimizer=None):
    densa.utils.set_random_seed(5)
    stack = [densa.Input((4,)), layers.Dense(8, "relu"), layers.BatchNormalization()]
    made = densa.Sequential([*stack, layers.Dropout(0.4), layers.Dense(1)])
    made.compile(optimizer or densa.optimizers.Adam(0.05), "mse", metrics=["mae"])
    return made


def same(a, b):
    for one, other in zip(a.get_weights(), b.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    for one, other in zip(a.optimizer.variables, b.optimizer.variables, strict=True):
        np.testing.assert_array_equal(one.numpy(), other.numpy())
    assert a.history.history == b.history.history
    assert a.history.epoch == b.history.epoch


class Own(C.Callback):
    """A user's callback: arguments that change, random numbers of its own and global ones."""

    def __init__(self, factor, names=("a",)):
        super().__init__()
        self.factor, self.names = factor, list(names)
        self.rng = np.random.default_rng(1)

    def on_train_begin(self, logs=None):
        self.model.optimizer.learning_rate = 0.05  # what goes on has another one

    def on_epoch_end(self, epoch, logs=None):
        self.factor *= 0.9
        self.names.append(str(epoch))
        draw = self.rng.random() + np.random.rand()  # noqa: NPY002
        rate = float(self.model.optimizer.learning_rate)
        self.model.optimizer.learning_rate = rate * self.factor * (0.5 + draw / 2)


def every(folder):
    return [
        C.EarlyStopping("loss", min_delta=2.0, patience=4, restore_best_weights=True),
        Own(0.9),
        C.ModelCheckpoint(folder / "{epoch}.densa"),
        C.ReduceLROnPlateau("val_loss", factor=0.5, patience=1, min_delta=0.2),
        C.CSVLogger(folder / "log.csv"),
        C.SWA(1),
        C.ModelCheckpoint(folder / "best{epoch}.densa", "loss", save_best_only=True),
    ]


@pytest.mark.parametrize("averages", [False, True])
def test_files_of_every_epoch_go_on_to_the_same_end(tmp_path, averages):
    def optimizer():
        return densa.optimizers.Adam(0.05, use_ema=averages, ema_momentum=0.8)

    given = {"validation_data": (X[:9], Y[:9]), "steps_per_epoch": 5, "epochs": 9}
    np.random.seed(3)  # noqa: NPY002
    whole = model_of(optimizer())
    whole.fit(X, Y, 5, verbose=0, callbacks=every(tmp_path), **given)
    text = (tmp_path / "log.csv").read_text()
    ended = len(whole.history.epoch)
    assert 4 <= ended < 9
    for epoch in range(1, ended):
        folder = tmp_path / f"from{epoch}"
        folder.mkdir()
        shutil.copy(tmp_path / "log.csv", folder)
        made = every(folder)
        model = densa.models.load_model(tmp_path / f"{epoch}.densa", callbacks=made)
        np.random.rand(5)  # noqa: NPY002
        model.fit(X, Y, 5, verbose=0, callbacks=made, initial_epoch=epoch, **given)
        same(whole, model)
        assert (folder / "log.csv").read_text() == text
        assert made[1].names == ["a", *map(str, range(ended))]
        due = {p.name for p in tmp_path.glob("*.densa")}
        found = {p.name for p in folder.glob("*.densa")}
        assert found <= due
        assert f"{ended}.densa" in found


def test_a_training_that_was_stopped_stays_so_and_says_so(tmp_path):
    made = every(tmp_path)
    whole = model_of()
    whole.fit(X, Y, 8, 9, 0, callbacks=made, validation_data=(X[:9], Y[:9]))
    ended = len(whole.history.epoch)
    made = every(tmp_path)
    model = densa.models.load_model(tmp_path / f"{ended}.densa", callbacks=made)
    with pytest.warns(UserWarning, match="nothing left to train"):
        model.fit(
            X, Y, 8, 9, 0, callbacks=made, validation_data=(X[:9], Y[:9]), initial_epoch=ended
        )
    same(whole, model)


def test_two_fits_with_a_file_between_them_are_one(tmp_path):
    def made():
        return [
            C.EarlyStopping("loss", patience=3, restore_best_weights=True, min_delta=0.5),
            C.SWA(1),
            Own(0.9),
        ]

    np.random.seed(3)  # noqa: NPY002
    whole = model_of(densa.optimizers.Adam(0.05, use_ema=True))
    whole.fit(X, Y, 8, 4, 0, callbacks=made())
    np.random.seed(3)  # noqa: NPY002
    model, first = model_of(densa.optimizers.Adam(0.05, use_ema=True)), made()
    model.fit(X, Y, 8, 2, 0, callbacks=first)
    shown = model.get_weights()
    model.save(tmp_path / "m.densa", callbacks=first)
    then = made()
    model = densa.models.load_model(tmp_path / "m.densa", callbacks=then)
    np.testing.assert_equal(model.get_weights(), shown)
    model.fit(X, Y, 8, 4, 0, callbacks=then, initial_epoch=2)
    same(whole, model)


def test_without_the_word_callbacks_begin_anew(tmp_path):
    stop = C.EarlyStopping("loss", patience=2)
    keep = C.ModelCheckpoint(tmp_path / "m.densa")
    model_of().fit(X, Y, 8, 2, 0, callbacks=[stop, keep])
    model = densa.models.load_model(tmp_path / "m.densa")
    history = model.fit(X, Y, 8, 3, 0, initial_epoch=2, callbacks=[stop, keep])
    assert history.epoch == [2]
    assert stop.best == history.history["loss"][0]


def test_other_callbacks_settings_epochs_and_data_are_refused(tmp_path):
    def made(patience=2, where="m"):
        keep = C.ModelCheckpoint(tmp_path / f"{where}.densa", verbose=0)
        return [C.EarlyStopping("loss", patience=patience), keep, Own(0.5)]

    path = tmp_path / "m.densa"
    model_of().fit(X, Y, 8, 2, 0, callbacks=made())

    def load(callbacks, **more):
        return densa.models.load_model(path, callbacks=callbacks, **more)

    with pytest.raises(ValueError, match=r"'EarlyStopping', 'ModelCheckpoint', 'Own'.*received"):
        load(made()[::-1])
    with pytest.raises(ValueError, match="EarlyStopping was made with patience=2; received one"):
        load(made(3))
    with pytest.raises(ValueError, match=r"Own was made with factor=0.5; .* factor=0.25"):
        load([*made()[:2], Own(0.25)])
    with pytest.raises(ValueError, match="compile=False"):
        load(made(), compile=False)
    with pytest.raises(ValueError, match="callbacks must hold instances"):
        load([object()])
    given = made(where="other")  # a path is no setting
    model = load(given)
    given[0].patience = 5  # set behind that
    weights = model.get_weights()
    with pytest.raises(ValueError, match="Pass the same objects to fit"):
        model.fit(X, Y, 8, 4, 0, initial_epoch=2, callbacks=made())
    with pytest.raises(ValueError, match="pass initial_epoch=2 to fit"):
        model.fit(X, Y, 8, 4, 0, callbacks=given)
    with pytest.raises(ValueError, match=r"rows, batch size, steps.*\[50, 8, 7\].*\[50, 9, 6\]"):
        model.fit(X, Y, 9, 4, 0, initial_epoch=2, callbacks=given)
    with pytest.raises(ValueError, match="validates"):
        model.fit(X, Y, 8, 4, 0, initial_epoch=2, callbacks=given, validation_data=(X, Y))
    np.testing.assert_equal(model.get_weights(), weights)
    assert model.fit(X, Y, 8, 4, 0, initial_epoch=2, callbacks=given).epoch == [0, 1, 2, 3]
    assert model.fit(X, Y, 8, 1, 0, callbacks=given).epoch == [0]  # once


def test_what_no_file_can_hold_is_said_when_it_is_needed(tmp_path):
    class Odd(C.Callback):
        def get_state(self):
            return {"thing": object()}

    class Locked(C.Callback):
        def __init__(self):
            super().__init__()
            self.lock = threading.Lock()

    keep = C.ModelCheckpoint(tmp_path / "{epoch}.densa")
    model = model_of()
    model.fit(X, Y, 8, 1, 0, callbacks=[Odd(), keep])
    assert densa.models.load_model(tmp_path / "1.densa").fit(X, Y, 8, 1, 0).epoch == [0]
    with pytest.raises(ValueError, match=r"no state of the callback Odd.*thing cannot be kept"):
        densa.models.load_model(tmp_path / "1.densa", callbacks=[Odd(), keep])
    with pytest.raises(TypeError, match="thing cannot be kept"):
        model.save(tmp_path / "m.densa", callbacks=[Odd()])
    assert not (tmp_path / "m.densa").exists()
    model.fit(X, Y, 8, 2, 0, callbacks=[Locked(), keep])
    with pytest.warns(UserWarning, match=r"load_model cannot keep Locked\.lock"):
        densa.models.load_model(tmp_path / "2.densa", callbacks=[Locked(), keep])
    with pytest.warns(UserWarning, match=r"save_model cannot keep Locked\.lock"):
        model.save(tmp_path / "m.densa", callbacks=[Locked()])
    with pytest.raises(ValueError, match="compile and fit the model first"):
        densa.Sequential([layers.Dense(1)]).save(tmp_path / "m.densa", callbacks=[])
    model.save(tmp_path / "m.densa")
    with pytest.raises(ValueError, match="holds no states of callbacks"):
        densa.models.load_model(tmp_path / "m.densa", callbacks=[])


def test_files_share_what_they_hold_twice_and_damage_is_found(tmp_path):
    path = tmp_path / "m.densa"
    densa.utils.set_random_seed(1)
    model = densa.Sequential([densa.Input((4,)), layers.Dense(5000), layers.Dense(1)])
    model.compile(densa.optimizers.SGD(1e-6), "mse")
    stop = C.EarlyStopping("loss", restore_best_weights=True)
    model.fit(X, Y, 8, 1, 0, callbacks=[stop, C.ModelCheckpoint(path)])
    assert os.path.getsize(path) < 30_001 * 4 + 20_000
    loaded = densa.models.load_model(path, callbacks=[stop, C.ModelCheckpoint(path)])
    loaded.load_weights(path)
    tensors, metadata = read_file(path)
    del metadata["crc32"]
    state = json.loads(metadata["state"])
    training = state["training"]
    for damage in ({}, [], {**training, "callbacks": [1]}, {**training, "callbacks": [{}, {}]}):
        text = json.dumps({**state, "training": damage})
        write_file(path, tensors, {**metadata, "state": text})
        with pytest.raises(ValueError, match=r"m\.densa"):
            densa.models.load_model(path, callbacks=[stop, C.ModelCheckpoint(path)])


def test_a_backup_comes_before_a_file(tmp_path):
    path = tmp_path / "1.densa"

    def given(stop):
        def end(batch, logs):
            if int(model.optimizer.iterations) == stop:
                raise RuntimeError

        breaker = C.LambdaCallback(on_train_batch_end=end)
        keep = C.ModelCheckpoint(tmp_path / "{epoch}.densa")
        return [C.BackupAndRestore(tmp_path / "b", 2), C.CSVLogger(tmp_path / "l"), breaker, keep]

    model = whole = model_of()
    whole.fit(X, Y, 8, 4, 0, callbacks=given(0))
    text = (tmp_path / "l").read_text()
    for stop in (17, 0):
        made = given(stop)
        model = densa.models.load_model(path, callbacks=made)
        if stop:
            with pytest.raises(RuntimeError):
                model.fit(X, Y, 8, 4, 0, callbacks=made, initial_epoch=1)
        else:
            model.fit(X, Y, 8, 4, 0, callbacks=made, initial_epoch=1)
    same(whole, model)
    assert (tmp_path / "l").read_text() == text


@pytest.mark.cpu_only("it starts processes of its own")
def test_a_killed_process_goes_on_from_its_last_file(tmp_path):
    def run(name, steps):
        (tmp_path / name).mkdir(exist_ok=True)
        arguments = [sys.executable, str(RUN), str(tmp_path / name), str(steps)]
        return subprocess.run(arguments, timeout=300).returncode

    assert run("alone", 0) == 0
    assert run("killed", 17) == -signal.SIGKILL
    assert run("killed", 11) == -signal.SIGKILL
    assert run("killed", 0) == 0
    alone, killed = (tmp_path / n / "end.json" for n in ("alone", "killed"))
    assert json.loads(alone.read_text()) == json.loads(killed.read_text())
