"""A training that was interrupted and called again ends with the bits of one left alone."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import densa
from densa import callbacks, layers
from training.resuming import Breaker, Stop, data, interrupted, new_model, same

RUN = Path(__file__).with_name("resume_run.py")


def run(folder, kind, freq, step):
    result = folder / "result.json"
    arguments = [str(folder / "backup"), str(result), kind, str(freq), str(step)]
    code = subprocess.run([sys.executable, str(RUN), *arguments], timeout=300).returncode
    return code, json.loads(result.read_text()) if result.exists() else None


@pytest.fixture(scope="module")
def left_alone(tmp_path_factory):
    return {
        kind: run(tmp_path_factory.mktemp(kind), kind, "epoch", 0)[1] for kind in ("plan", "eager")
    }


@pytest.mark.cpu_only("it starts processes of its own")
@pytest.mark.parametrize("kind", ["plan", "eager"])
@pytest.mark.parametrize("freq", ["epoch", 1, 3])
def test_a_killed_process_goes_on_with_the_same_bits(tmp_path, left_alone, kind, freq):
    seed = random.SystemRandom().randrange(1000)
    print(f"seed {seed}")
    steps = random.Random(seed)
    for _ in range(2):
        code, found = run(tmp_path, kind, freq, steps.randint(9, 20))
        if code == 0:
            break
        assert (code, found) == (-signal.SIGKILL, None)
    if found is None:
        code, found = run(tmp_path, kind, freq, 0)
    assert code == 0
    assert found == left_alone[kind]
    assert not (tmp_path / "backup").exists()


class Batches(densa.utils.PyDataset):
    def __init__(self, x, y):
        super().__init__()
        self.x, self.y = x, y

    def __len__(self):
        return 6

    def __getitem__(self, i):
        return self.x[i * 8 : i * 8 + 8], self.y[i * 8 : i * 8 + 8]


class Again:
    """Batches that begin again with each epoch."""

    def __init__(self, x, y):
        self.x, self.y = x, y

    def __iter__(self):
        for i in range(5):
            yield self.x[i * 8 : i * 8 + 8], self.y[i * 8 : i * 8 + 8]


def endless(x, y):
    while True:
        for i in range(5):  # not the steps of an epoch
            yield x[i * 8 : i * 8 + 8], y[i * 8 : i * 8 + 8]


FEEDS = {
    "arrays": lambda x, y: {"x": x, "y": y, "batch_size": 8},
    "batch": lambda x, y: {"x": x, "y": y, "batch_size": 8, "shuffle": "batch"},
    "parts": lambda x, y: {"x": x, "y": y, "batch_size": 8, "steps_per_epoch": 3},
    "iterable": lambda x, y: {"x": Again(x, y)},
    "dataset": lambda x, y: {"x": Batches(x, y), "shuffle": True},
    "dataset in parts": lambda x, y: {"x": Batches(x, y), "shuffle": True, "steps_per_epoch": 3},
    "generator": lambda x, y: {"x": endless(x, y), "steps_per_epoch": 4},
}


@pytest.mark.parametrize("save_freq", ["epoch", 1, 3])
@pytest.mark.parametrize("name", FEEDS)
def test_every_kind_of_data_goes_on_where_it_was(tmp_path, eager, name, save_freq):
    whole, resumed = interrupted(
        tmp_path, lambda: new_model(eager), FEEDS[name], (2, 7, 11), save_freq, epochs=4
    )
    same(whole, resumed)


OPTIMIZERS = {
    "averages": lambda: densa.optimizers.Adam(0.01, use_ema=True, ema_overwrite_frequency=4),
    "accumulation": lambda: densa.optimizers.SGD(0.1, gradient_accumulation_steps=4),
    "report": lambda: densa.optimizers.SGD(0.1, report_gradient_norm=True, clipnorm=0.5),
    "cycle": lambda: densa.optimizers.SGD(
        densa.optimizers.schedules.OneCycle(0.1, 18), momentum=0.9
    ),
    "scale": lambda: densa.optimizers.LossScaleOptimizer(
        densa.optimizers.SGD(0.05), dynamic_growth_steps=3
    ),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_state_of_an_optimizer_goes_on(tmp_path, eager, name):
    make = OPTIMIZERS[name]
    whole, resumed = interrupted(
        tmp_path, lambda: new_model(eager, make), FEEDS["arrays"], (4, 9), 2
    )
    same(whole, resumed)


def test_groups_of_steps_and_models_built_by_their_first_batch(tmp_path, eager):
    def make():
        densa.utils.set_random_seed(7)
        model = densa.Sequential([layers.Dense(8, "relu"), layers.Dropout(0.5), layers.Dense(1)])
        model.compile("adam", "mse", metrics=["mae"], steps_per_execution=2, run_eagerly=eager)
        return model

    whole, resumed = interrupted(tmp_path, make, FEEDS["arrays"], (2, 4), 2)
    same(whole, resumed)


class Counter(callbacks.Callback):
    """Own state that decides about the training: no word about it in the class."""

    def __init__(self, every=5):
        super().__init__()
        self.every = every
        self.seen = 0
        self.kept = [np.zeros(2)]

    def on_train_batch_end(self, batch, logs=None):
        self.seen += 1
        self.kept = [self.kept[0] + logs["loss"]]
        if self.seen % self.every == 0:
            self.model.optimizer.learning_rate = float(self.model.optimizer.learning_rate) / 2
        if self.seen == 16:
            self.model.stop_training = True


def test_own_callbacks_and_those_at_the_epochs_beginning_go_on(tmp_path, eager):
    counters = []

    def extra():
        counters.append(Counter())
        halve = callbacks.LearningRateScheduler(lambda epoch, rate: rate * 0.75)
        return [halve, counters[-1], callbacks.CSVLogger(tmp_path / f"{len(counters)}.csv")]

    whole, resumed = interrupted(
        tmp_path, lambda: new_model(eager), FEEDS["arrays"], (8, 16), 1, epochs=4, extra=extra
    )
    same(whole, resumed)
    assert counters[0].seen == counters[-1].seen == 16
    np.testing.assert_array_equal(counters[0].kept, counters[-1].kept)
    assert whole.history.epoch == [0, 1, 2]


def test_a_log_of_epochs_has_each_once(tmp_path):
    x, y = data()
    for stop in (8, 14, 0):
        model = new_model(False)
        given = [
            callbacks.BackupAndRestore(tmp_path / "backup"),
            callbacks.CSVLogger(tmp_path / "log.csv"),
            Breaker(stop),
        ]
        try:
            model.fit(x, y, 8, 4, 0, callbacks=given)
        except Stop:
            assert stop
    lines = (tmp_path / "log.csv").read_text().splitlines()
    assert [line.split(",")[0] for line in lines] == ["epoch", "0", "1", "2", "3"]


def test_an_interrupt_keeps_the_backup_and_the_end_deletes_it(tmp_path):
    x, y = data()

    class Interrupt(callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 1:
                raise KeyboardInterrupt

    backup = callbacks.BackupAndRestore(tmp_path / "backup", double_checkpoint=True)
    with pytest.raises(KeyboardInterrupt):
        new_model(False).fit(x, y, 8, 3, 0, callbacks=[backup, Interrupt()])
    assert os.path.exists(backup.path)
    model = new_model(False)
    with pytest.raises(ValueError, match="Interrupt"):
        model.fit(x, y, 8, 3, 0, callbacks=[backup])
    os.unlink(backup.path)
    history = model.fit(x, y, 8, 3, 0, callbacks=[backup])
    assert history.epoch == [0, 1, 2]
    assert not os.path.exists(tmp_path / "backup")
    kept = callbacks.BackupAndRestore(tmp_path / "kept", delete_checkpoint=False)
    model.fit(x, y, 8, 1, 0, callbacks=[kept])
    assert os.path.exists(kept.path)


def test_backups_of_another_training_are_refused_and_change_nothing(tmp_path):
    x, y = data()
    backup = callbacks.BackupAndRestore(tmp_path / "backup", delete_checkpoint=False)
    new_model(False).fit(x, y, 8, 1, 0, callbacks=[backup])
    before = new_model(False)
    weights = before.get_weights()
    with pytest.raises(ValueError, match=r"rows, batch size, steps.*delete the file"):
        before.fit(x, y, 9, 2, 0, callbacks=[backup])
    other = densa.Sequential([densa.Input((4,)), layers.Dense(2), layers.Dense(1)])
    other.compile(densa.optimizers.SGD(0.05, momentum=0.9), "mse")
    with pytest.raises(ValueError, match="it has the weights"):
        other.fit(x, y, 8, 2, 0, callbacks=[backup])
    adam = new_model(False, densa.optimizers.Adam)
    with pytest.raises(ValueError, match="the optimizer's state"):
        adam.fit(x, y, 8, 2, 0, callbacks=[backup])
    content = bytearray(Path(backup.path).read_bytes())
    content[len(content) // 2] ^= 1
    Path(backup.path).write_bytes(content)
    with pytest.raises(ValueError, match="not a whole"):
        before.fit(x, y, 8, 2, 0, callbacks=[backup])
    for a, b in zip(weights, before.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("freq", ["batch", 0, 1.5])
def test_bad_frequencies_are_refused(tmp_path, freq):
    with pytest.raises((ValueError, TypeError), match="save_freq"):
        callbacks.BackupAndRestore(tmp_path, freq)


def test_state_that_no_file_can_hold_says_whose_it_is(tmp_path):
    class Odd(callbacks.Callback):
        def get_state(self):
            return {"thing": object()}

    x, y = data()
    given = [callbacks.BackupAndRestore(tmp_path / "backup"), Odd()]
    with pytest.raises(TypeError, match="thing cannot be kept in a file: object"):
        new_model(False).fit(x, y, 8, 1, 0, callbacks=given)
