"""A training in a process of its own, which kills itself at a step: `test_resume.py` runs it.

Arguments: folder of the backup, file for the result, "plan" or "eager", batches between backups or
"epoch", the step behind which it is killed (0: never).
"""

from __future__ import annotations

import json
import os
import signal
import sys

import numpy as np

import densa
from densa import callbacks, layers


class Killer(callbacks.Callback):
    def __init__(self, step):
        super().__init__()
        self.step = step
        self.here = 0  # batches of this process
        self.all = 0  # batches of all processes: restored

    def on_train_batch_end(self, batch, logs=None):
        self.here += 1
        self.all += 1
        if self.here == self.step:
            os.kill(os.getpid(), signal.SIGKILL)

    def get_state(self):
        return {"all": self.all}


class Calmer(callbacks.Callback):
    """Changes a layer and the optimizer once, in the middle of an epoch."""

    def on_train_batch_end(self, batch, logs=None):
        if self.model.layers[2].rate == 0.3 and int(self.model.optimizer.iterations) == 17:
            self.model.layers[2].rate = 0.1
            self.model.optimizer.beta_1 = 0.8


def train(folder, kind, save_freq, step):
    densa.utils.set_random_seed(11)
    rng = np.random.default_rng(0)
    x = rng.standard_normal((70, 6)).astype("f4")
    y = (x[:, :1] * 2 - x[:, 1:2] + 0.3 * rng.standard_normal((70, 1))).astype("f4")
    model = densa.Sequential(
        [
            densa.Input((6,)),
            layers.Dense(16, "tanh"),
            layers.BatchNormalization(),
            layers.Dropout(0.3),
            layers.Dense(1),
        ]
    )
    rate = densa.optimizers.schedules.InverseTimeDecay(0.02, 10, 0.5)
    model.compile(
        densa.optimizers.Adam(rate, clipnorm=1.0),
        "mse",
        metrics=["mae"],
        run_eagerly=kind == "eager",
    )
    killer = Killer(step)
    history = model.fit(
        x,
        y,
        8,
        7,
        0,
        validation_split=0.2,
        callbacks=[
            callbacks.BackupAndRestore(folder, save_freq),
            callbacks.EarlyStopping("val_loss", patience=3, restore_best_weights=True),
            callbacks.ReduceLROnPlateau("loss", factor=0.5, patience=1, min_delta=0.05),
            Calmer(),
            killer,
        ],
    )
    return model, history, killer


def main():
    folder, result, kind, freq, step = sys.argv[1:]
    model, history, killer = train(folder, kind, freq if freq == "epoch" else int(freq), int(step))
    arrays = [w.tobytes().hex() for w in model.get_weights()]
    arrays += [v.numpy().tobytes().hex() for v in model.optimizer.variables]
    with open(result, "w") as file:
        json.dump([arrays, history.history, history.epoch, killer.all], file)


if __name__ == "__main__":
    main()
