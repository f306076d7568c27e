"""A training that goes on from the file of `ModelCheckpoint`: `test_callbacks_go_on.py` runs it.

Arguments: a folder, and the batch behind which the process kills itself (0: never).
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
        self._here, self._step = 0, step

    def on_train_batch_end(self, batch, logs=None):
        self._here += 1
        if self._here == self._step:
            os.kill(os.getpid(), signal.SIGKILL)

    def get_state(self):
        return {}


def main():
    folder, step = sys.argv[1], int(sys.argv[2])
    rng = np.random.default_rng(0)
    x = rng.standard_normal((45, 4)).astype("f4")
    file = os.path.join(folder, "last.densa")
    given = [
        callbacks.ModelCheckpoint(file),
        callbacks.EarlyStopping("loss", patience=3, min_delta=0.1, restore_best_weights=True),
        callbacks.ReduceLROnPlateau("loss", factor=0.5, patience=1, min_delta=0.1),
        Killer(step),
    ]
    del given[-1]._made_with  # another step is no other callback
    begin = 0
    if os.path.exists(file):
        model = densa.models.load_model(file, callbacks=given)
        begin = len(model.history.epoch)
    else:
        densa.utils.set_random_seed(4)
        model = densa.Sequential(
            [densa.Input((4,)), layers.Dense(8, "relu"), layers.Dropout(0.3), layers.Dense(1)]
        )
        model.compile(densa.optimizers.Adam(0.05, use_ema=True), "mse")
    history = model.fit(x, x[:, :1], 8, 9, 0, callbacks=given, initial_epoch=begin)
    arrays = [w.tobytes().hex() for w in model.get_weights()]
    with open(os.path.join(folder, "end.json"), "w") as out:
        json.dump([arrays, history.history, history.epoch], out)


if __name__ == "__main__":
    main()
