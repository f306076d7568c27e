"""`diagnose` behind a training: what it has come to is no start of another one."""

from __future__ import annotations

import numpy as np
import pytest

import densa
from densa.callbacks import Doctor
from densa.doctor import Case, examine

pytestmark = pytest.mark.cpu_only("trainings of some epochs")
L = densa.layers
RNG = np.random.default_rng(0)
X = RNG.normal(size=(600, 8)).astype("float32")
Y = X[:, 0] * X[:, 1] + X[:, 2]


def model_of(loss="mse", optimizer=None):
    densa.utils.set_random_seed(0)
    model = densa.Sequential([densa.Input((8,)), L.Dense(32, "relu"), L.Dense(1)])
    model.compile(optimizer or densa.optimizers.Adam(0.003), loss)
    return model


def ids_of(findings):
    return [finding.id for finding in findings]


@pytest.mark.parametrize(("loss", "shift"), [("mse", 30), ("huber", 0), ("log_cosh", 0)])
def test_a_loss_that_has_come_down_did_not_diverge(loss, shift):
    model = model_of(loss)
    model.fit(X, Y + shift, epochs=12, verbose=0)
    assert "divergence" not in ids_of(model.diagnose(X, Y + shift))


def test_a_loss_that_went_up_did():
    model = model_of("mse", densa.optimizers.SGD(0.3))
    model.fit(X, 20 * Y, epochs=3, verbose=0)
    assert set(ids_of(model.diagnose(X, 20 * Y))) & {"divergence", "non_finite"}


@pytest.mark.parametrize("loss", ["mse", "mae"])
def test_a_loss_that_rose_in_the_first_epoch_and_crawls_back_is_found(loss):
    densa.utils.set_random_seed(0)
    layers = [L.Dense(64, "relu"), L.Dense(64, "relu"), L.Dense(1)]
    model = densa.Sequential([densa.Input((8,)), *layers])
    model.compile(densa.optimizers.Adam(3.0), loss)
    history = model.fit(X, Y, epochs=6, verbose=0).history["loss"]
    assert history[-1] < 0.5 * history[0]  # it falls, from far up
    before = densa.random.get_global_state(), model.get_weights()
    found = {finding.id: finding for finding in model.diagnose(X, Y)}
    assert densa.random.get_global_state() == before[0]
    for one, two in zip(before[1], model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)
    assert "divergence" in found
    assert "exploding_gradients" not in found
    made = found["divergence"].apply(model)
    assert made.fit(X, Y, epochs=6, verbose=0).history["loss"][-1] < 0.5 * history[-1]


def test_a_copy_that_cannot_be_made_is_done_without():
    class Net(densa.Model):
        def __init__(self, units):
            super().__init__()
            self.a, self.b = L.Dense(units, "relu"), L.Dense(1)

        def call(self, x):
            return self.b(self.a(x))

        def get_config(self):
            return {}

    model = Net(16)
    model.compile(densa.optimizers.SGD(1e-5), "mse")
    model.fit(X, Y + 30, epochs=4, verbose=0)
    assert "divergence" not in ids_of(model.diagnose(X, Y + 30))


@pytest.mark.parametrize("look", [lambda m: m.diagnose(X, Y), None])
def test_weights_that_are_lost_are_no_matter_of_the_initializer(look):
    model = model_of()
    weights = model.get_weights()
    weights[0][3, 2] = np.nan
    model.set_weights(weights)
    if look is None:
        doctor = Doctor(1, verbose=0)
        model.fit(X, Y, epochs=1, verbose=0, callbacks=[doctor])
        found = doctor.findings
    else:
        found = look(model)
    found = {finding.id: finding for finding in found}["non_finite"]
    assert found.evidence["weights"] == 1
    assert "re-make" in found.change
    made = found.apply(model)
    assert float(made.optimizer.learning_rate) == pytest.approx(3e-5)
    assert all(np.isfinite(w).all() for w in made.get_weights())


@pytest.mark.parametrize("look", [lambda m: m.diagnose(X, Y), None])
def test_a_bias_that_is_lost_is_seen_at_the_first_look(look):
    model = model_of()
    at = next(i for i, w in enumerate(model.get_weights()) if w.ndim == 1)
    weights = model.get_weights()
    weights[at][0] = np.inf
    model.set_weights(weights)
    if look is None:
        doctor = Doctor(1, verbose=0)
        model.fit(X, Y, epochs=1, verbose=0, callbacks=[doctor])
        found = doctor.findings
    else:
        found = look(model)
    found = {finding.id: finding for finding in found}["non_finite"]
    assert found.evidence["weights"] == 1
    assert found.layer == model.weights[at].path


def test_diagnose_raises_what_fit_raises():
    for call in ("fit", "diagnose"):
        with pytest.raises(ValueError, match="no target for the output"):
            getattr(model_of(), call)(X)


def test_only_the_validation_loss_is_no_number():
    held = X[:50].copy()
    held[7, 1] = np.nan
    doctor = Doctor(5, verbose=0)
    with pytest.warns(UserWarning, match="non-finite"):
        model_of().fit(
            X, Y, epochs=2, verbose=0, validation_data=(held, Y[:50]), callbacks=[doctor]
        )
    (found,) = [finding for finding in doctor.findings if finding.id == "non_finite"]
    assert "validation data" in found.change
    assert not found.can_apply
    assert ids_of(examine(Case(model_of(), [0.5], [0.5]))) == []
