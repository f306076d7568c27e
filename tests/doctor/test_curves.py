"""Rules over curves that are given: no training."""

from __future__ import annotations

import numpy as np
import pytest

import densa
from densa.doctor import Case, examine

Y = np.random.default_rng(0).normal(size=(200, 1))
AT = np.arange(30)


def found(loss, val_loss=()):
    model = densa.Sequential([densa.Input((4,)), densa.layers.Dense(1)])
    model.compile(densa.optimizers.SGD(0.001), "mse")
    case = Case(model, loss=list(loss), val_loss=list(val_loss), targets=Y)
    return {finding.id: finding for finding in examine(case)}


@pytest.mark.parametrize(
    ("val_loss", "overfits"),
    [
        (0.6 + np.exp(-AT) - 1e-5 * AT, True),  # flat, though its lowest is the last one
        (0.3 + np.exp(-AT / 15), False),  # falls still
        (0.06 + np.exp(-AT), False),  # flat beside the training loss
    ],
)
def test_a_validation_loss_that_stays_far_above_is_overfitting(val_loss, overfits):
    curves = found(0.05 + np.exp(-AT / 2), val_loss)
    assert ("overfitting" in curves) == overfits
    if overfits:
        assert curves["overfitting"].evidence["epoch"] < 10


def test_a_plateau_far_above_chance_asks_for_scaled_targets():
    finding = found(250_000 - 10.0 * AT)["plateau"]
    assert "standardize the targets" in finding.change
    assert finding.evidence["chance"] == pytest.approx(Y.var())
    made = densa.Sequential([densa.Input((4,)), densa.layers.Dense(1)])
    made.compile("sgd", "mse")
    assert float(finding.apply(made).optimizer.learning_rate) == pytest.approx(0.01)


def test_a_loss_that_blew_up_and_stays_there_is_told_no_higher_rate():
    curves = found([1.0, 50.0, *np.full(28, 100.0)])
    assert "divergence" in curves
    assert "standardize" not in curves["plateau"].change


def test_a_plateau_at_chance_is_told_that_nothing_was_learned():
    finding = found(np.full(30, Y.var()))["plateau"]
    assert "Nothing has been learned" in finding.change
    assert not finding.can_apply
    assert "ReduceLROnPlateau" in found(np.full(30, 0.5 * Y.var()))["plateau"].change


@pytest.mark.parametrize(("last", "diverged"), [(1.2, True), (0.5, False)])
def test_a_loss_that_blew_up_and_came_back_to_chance_has_learned_nothing(last, diverged):
    model = densa.Sequential([densa.Input((4,)), densa.layers.Dense(1)])
    model.compile(densa.optimizers.SGD(0.5), "mse")
    loss = [900.0, 30.0, 5.0, *np.full(9, last)]
    case = Case(model, loss=loss, targets=Y, trained=True, fresh=lambda: 2.0)
    assert ("divergence" in [f.id for f in examine(case)]) == diverged
    case = Case(model, loss=loss, targets=Y, trained=True, fresh=lambda: 800.0)
    assert "divergence" not in [f.id for f in examine(case)]  # it began there
