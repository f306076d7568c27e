"""A doctor of a training that was interrupted ends with what it would have found without."""

from __future__ import annotations

import numpy as np
import pytest

import densa
from densa import callbacks

L = densa.layers


class Stop(Exception):
    pass


class Breaker(callbacks.Callback):
    """Raises behind the batch that has a number, counted over all epochs; 0: never."""

    def __init__(self, batch):
        super().__init__()
        self.batch, self.count = batch, 0

    def on_train_batch_end(self, batch, logs=None):
        self.count += 1
        if self.count == self.batch:
            raise Stop


def fit(folder, stop, eager, save_freq, capsys, treated=None):
    densa.utils.set_random_seed(5)
    x = (100 * np.random.default_rng(5).normal(size=(40, 4))).astype("float32")
    model = densa.Sequential(
        [
            densa.Input((4,)),
            L.Dense(8, "relu", bias_initializer=densa.initializers.Constant(-1e5)),
            L.Dense(8, "tanh"),
            L.Dense(1),
        ]
    )
    model.compile("adam", "mse", run_eagerly=eager)
    if treated is not None:
        model.__dict__["_treated"] = (frozenset([model.variables[0].path]), 1e-3)
    doctor = callbacks.Doctor(2, verbose=2)
    given = [callbacks.BackupAndRestore(folder, save_freq), doctor, Breaker(stop)]
    capsys.readouterr()
    try:
        model.fit(
            x, x[:, :1], batch_size=8, epochs=4, validation_split=0.2, verbose=0, callbacks=given
        )
    finally:
        said = capsys.readouterr().out
    return model, doctor, said.split("\n")


def facts(model, doctor):
    layers = [doctor.health["layers"].get(x.name) for x in model.layers]
    rest = {k: v for k, v in doctor.health.items() if k != "layers"}
    return layers, rest, [(f.id, f.evidence) for f in doctor.findings]


@pytest.mark.parametrize("eager", [False, True])
@pytest.mark.parametrize(("save_freq", "stop"), [("epoch", 11), (1, 6), (3, 14)])
def test_looks_and_findings_go_on(tmp_path, eager, save_freq, stop, capsys):
    alone = fit(tmp_path / "alone", 0, eager, save_freq, capsys, treated=True)
    with pytest.raises(Stop):
        fit(tmp_path / "broken", stop, eager, save_freq, capsys, treated=True)
    again = fit(tmp_path / "broken", 0, eager, save_freq, capsys)
    assert facts(*again[:2]) == facts(*alone[:2])
    assert len(again[1].health["step"]) == 8
    assert {f.id for f in again[1].findings} >= {
        "unscaled_inputs",
        "dead_units",
        "rate_after_unfreezing",
    }
    told = [line for line in alone[2] if line.startswith("Epoch")]
    later = [line for line in again[2] if line.startswith("Epoch")]
    assert len(told) >= 2
    assert len(later) < len(told)  # what was said before the break is not said again


def test_the_state_of_another_model_is_an_error(tmp_path, capsys):
    x = np.ones((8, 4), "float32")
    states = []

    class Keeps(callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            states.append(doctor.get_state())

    doctor = callbacks.Doctor(1, verbose=0)
    for units in ([3], [3, 3]):
        model = densa.Sequential([densa.Input((4,)), *map(L.Dense, units)])
        model.compile("sgd", "mse")
        model.fit(x, x[:, :3], epochs=1, verbose=0, callbacks=[doctor, Keeps()])
    doctor.set_model(model)
    doctor.on_train_begin()
    with pytest.raises(ValueError, match="layers and variables"):
        doctor.set_state(states[0])
    doctor.set_state(states[1])
    assert doctor.get_state()["loss"] == states[1]["loss"]
