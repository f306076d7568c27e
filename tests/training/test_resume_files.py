"""Backups that are damaged or cannot be written, and steps of one's own with several optimizers."""

from __future__ import annotations

import os
import resource
from pathlib import Path

import numpy as np
import pytest

import densa
from densa import callbacks, layers
from training.resuming import Breaker, Stop, data, new_model, same


def arrays(x, y):
    return {"x": x, "y": y, "batch_size": 8}


@densa.saving.register_keras_serializable("tests")
class Pair(densa.Model):
    """Each half has an optimizer of its own."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.first, self.last = layers.Dense(4), layers.Dense(1)
        self.others = {"last": densa.optimizers.Adam(0.02)}

    def call(self, x):
        return self.last(self.first(x))

    def train_step(self, given):
        x, y = given
        loss = densa.ops.mean(densa.ops.square(self(x, training=True) - y))
        for variable in self.trainable_variables:
            variable.grad = None
        loss.backward()
        for half, optimizer in ((self.first, self.optimizer), (self.last, self.others["last"])):
            variables = half.trainable_variables
            optimizer.apply([variable.grad for variable in variables], variables)
        return {"loss": loss}


def pair():
    densa.utils.set_random_seed(7)
    model = Pair()
    model.compile(densa.optimizers.Adam(0.05), "mse")
    return model


@pytest.mark.parametrize("save_freq", ["epoch", 4])
def test_every_optimizer_of_a_step_of_its_own_goes_on(tmp_path, save_freq):
    x, y = data()

    def fit(folder, stop):
        model = pair()
        given = [callbacks.BackupAndRestore(folder, save_freq), Breaker(stop)]
        model.fit(x, y, 8, 4, 0, callbacks=given)
        return model

    whole = fit(tmp_path / "whole", 0)
    for stop in (8, 7):
        with pytest.raises(Stop):
            fit(tmp_path / "parts", stop)
    resumed = fit(tmp_path / "parts", 0)
    same(whole, resumed)
    for one, other in zip(
        whole.others["last"].variables, resumed.others["last"].variables, strict=True
    ):
        np.testing.assert_array_equal(one.numpy(), other.numpy())


def test_so_does_every_optimizer_in_a_model_s_file(tmp_path):
    x, y = data()
    whole, model = pair(), pair()
    whole.fit(x, y, 8, 4, 0, shuffle=False)
    model.fit(x, y, 8, 2, 0, shuffle=False)
    model.save(tmp_path / "m.densa")
    model = densa.models.load_model(tmp_path / "m.densa")
    model.fit(x, y, 8, 4, 0, shuffle=False, initial_epoch=2)
    for one, other in zip(whole.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def damage(path, how):
    content = Path(path).read_bytes()
    Path(path).write_bytes(content[: len(content) // 2] if how == "cut" else b"")


@pytest.mark.parametrize("how", ["cut", "empty"])
def test_the_backup_before_a_damaged_one_is_gone_on_from(tmp_path, how):
    x, y = data()
    backup = callbacks.BackupAndRestore(tmp_path / "backup", 2, double_checkpoint=True)

    def fit(stop):
        model = new_model(False)
        model.fit(x, y, 8, 3, 0, callbacks=[backup, Breaker(stop)])
        return model

    whole = fit(0)
    with pytest.raises(Stop):
        fit(9)
    damage(backup.path, how)
    with pytest.warns(UserWarning, match="the backup before the last one"):
        resumed = fit(0)
    same(whole, resumed)
    assert not (tmp_path / "backup").exists()
    single = callbacks.BackupAndRestore(tmp_path / "single", 2)
    with pytest.raises(Stop):
        new_model(False).fit(x, y, 8, 3, 0, callbacks=[single, Breaker(9)])
    damage(single.path, how)
    with pytest.raises(ValueError, match=r"not a whole .* Delete the file to begin anew"):
        new_model(False).fit(x, y, 8, 3, 0, callbacks=[single])


def test_what_a_killed_process_was_writing_goes_with_the_backup(tmp_path):
    x, y = data()
    folder = tmp_path / "backup"
    folder.mkdir()
    (folder / "training.densa.1234.0.tmp").write_bytes(b"half")
    new_model(False).fit(x, y, 8, 1, 0, callbacks=[callbacks.BackupAndRestore(folder)])
    assert not folder.exists()


def test_folders_that_are_none_are_refused_before_a_step(tmp_path):
    x, y = data()
    (tmp_path / "file").write_text("")
    model = new_model(False)
    before = model.get_weights()
    for folder in (tmp_path / "file", tmp_path / "file" / "backup"):
        with pytest.raises(ValueError, match=r"backup_dir=.* cannot be written to: .* no folder"):
            model.fit(x, y, 8, 1, 0, callbacks=[callbacks.BackupAndRestore(folder)])
    np.testing.assert_equal(model.get_weights(), before)


def test_a_full_disk_is_said_and_leaves_the_last_backup(tmp_path):
    x, y = data()
    backup = callbacks.BackupAndRestore(tmp_path / "backup", 2)

    def full(batch, logs):
        if batch == 3:
            resource.setrlimit(resource.RLIMIT_FSIZE, (2000, limits[1]))

    whole = new_model(False)
    whole.fit(x, y, 8, 2, 0)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    filling = callbacks.LambdaCallback(on_train_batch_end=full)
    try:
        with pytest.raises(OSError, match=r"Cannot write .*training.densa', which is as before"):
            new_model(False).fit(x, y, 8, 2, 0, callbacks=[backup, filling])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert os.listdir(tmp_path / "backup") == ["training.densa"]
    model = new_model(False)
    calm = callbacks.LambdaCallback()
    model.fit(x, y, 8, 2, 0, callbacks=[backup, calm])
    same(whole, model)


def test_members_of_a_bagging_have_backups_of_their_own(tmp_path):
    x, y = data()

    def bagged(folder, stop):
        densa.utils.set_random_seed(3)
        given = [callbacks.BackupAndRestore(folder, 2), Breaker(stop)]
        return densa.models.bagging(
            lambda: new_model(False), x, y, 3, seed=1, epochs=3, verbose=0, callbacks=given
        )

    whole = bagged(tmp_path / "whole", 0)
    with pytest.raises(Stop):
        bagged(tmp_path / "parts", 9)  # in the second member
    assert os.listdir(tmp_path / "parts") == ["member1"]
    resumed = bagged(tmp_path / "parts", 0)
    for one, other in zip(whole.get_weights(), resumed.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert not (tmp_path / "parts").exists()
