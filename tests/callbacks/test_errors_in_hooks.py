"""A callback that raises in the middle of an epoch leaves a model that can go on."""

from __future__ import annotations

import numpy as np
import pytest

import densa
from densa import layers

HOOKS = [
    "on_train_batch_begin",
    "on_train_batch_end",
    "on_epoch_begin",
    "on_epoch_end",
    "on_test_batch_end",
    "on_test_begin",
    "on_train_begin",
]


class Breaks(densa.callbacks.Callback):
    def __init__(self, hook, at):
        super().__init__()
        self.left = at
        setattr(self, hook, self.count)

    def count(self, *args, **kwargs):
        self.left -= 1
        if self.left == 0:
            raise RuntimeError("broken")


OPTIMIZERS = {
    "fused": lambda: densa.optimizers.Adam(0.01),
    "by gradients": lambda: densa.optimizers.Adam(0.01, use_ema=True),
}


@pytest.mark.parametrize("eager", [False, True], ids=["plan", "eager"])
@pytest.mark.parametrize("hook", HOOKS)
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_model_stays_usable(eager, hook, name):
    densa.utils.set_random_seed(0)
    model = densa.Sequential(
        [densa.Input((3,)), layers.Dense(6, "relu"), layers.Dropout(0.2), layers.Dense(1)]
    )
    model.compile(OPTIMIZERS[name](), "mse", metrics=["mae"], run_eagerly=eager)
    x = np.random.default_rng(0).standard_normal((40, 3)).astype("f4")
    y = x[:, :1]
    at = 1 if hook == "on_train_begin" else 2
    with pytest.raises(RuntimeError, match="broken"):
        model.fit(x, y, 8, 3, 0, validation_data=(x, y), callbacks=[Breaks(hook, at)])
    model.compile(OPTIMIZERS[name](), "mse", metrics=["mae"], run_eagerly=eager)
    history = model.fit(x, y, 8, 20, 0, validation_data=(x, y)).history
    assert len(history["val_loss"]) == 20
    assert history["val_loss"][-1] < history["val_loss"][0]
    assert model.predict(x, verbose=0).shape == (40, 1)
    assert np.isfinite(model.train_on_batch(x, y)).all()
