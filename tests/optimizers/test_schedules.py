"""Schedules of the texts, and what schedules refuse."""

from __future__ import annotations

import numpy as np
import pytest

from densa import optimizers
from densa.optimizers import schedules


def test_power_decay_halves_after_its_steps_and_is_a_third_after_as_many_again():
    power = schedules.PowerDecay(0.6, 20)
    assert [power(t) for t in (0, 20, 40, 60)] == pytest.approx([0.6, 0.3, 0.2, 0.15], rel=1e-15)
    t = np.arange(50)
    steep = schedules.PowerDecay(0.1, 7, 2.5)
    np.testing.assert_allclose([steep(int(s)) for s in t], 0.1 / (1 + t / 7) ** 2.5, rtol=1e-14)


def test_one_cycle_rises_and_falls_in_lines():
    cycle = schedules.OneCycle(0.4, 200)
    at = [0, 45, 90, 135, 180, 190, 200, 500]
    rates = [0.04, 0.22, 0.4, 0.22, 0.04, (0.04 + 4e-5) / 2, 4e-5, 4e-5]
    momenta = [0.95, 0.9, 0.85, 0.9, 0.95, 0.95, 0.95, 0.95]
    np.testing.assert_allclose([cycle(s) for s in at], rates, rtol=1e-12)
    np.testing.assert_allclose([cycle.momentum_at(s) for s in at], momenta, rtol=1e-12)


def test_one_cycle_in_cosine_form_has_the_same_turning_points():
    line = schedules.OneCycle(0.4, 200)
    cosine = schedules.OneCycle(0.4, 200, shape="cosine")
    for step in (0, 90, 180, 200):
        assert cosine(step) == pytest.approx(line(step), rel=1e-12)
        assert cosine.momentum_at(step) == pytest.approx(line.momentum_at(step), rel=1e-12)
    part = 0.5 * (1 - np.cos(np.pi * 30 / 90))
    assert cosine(30) == pytest.approx(0.04 + 0.36 * part, rel=1e-12)
    assert schedules.OneCycle(0.4, 100, final_part=0.0)(100) == pytest.approx(4e-5)


def test_a_schedule_per_epoch_holds_for_the_epoch():
    inner = schedules.PiecewiseConstantDecay([1], [0.5, 0.125])
    epochs = schedules.PerEpoch(inner, 3)
    assert [epochs(s) for s in range(8)] == [0.5] * 6 + [0.125] * 2
    cycle = schedules.PerEpoch(schedules.OneCycle(0.4, 10), 5)
    assert cycle.momentum_at(4) == 0.95


MADE = [
    schedules.PowerDecay(0.1, 10, 0.5),
    schedules.OneCycle(0.1, 30, shape="cosine", max_momentum=None),
    schedules.OneCycle(0.1, 30, initial_learning_rate=0.02, final_learning_rate=0.0),
    schedules.PerEpoch(schedules.CosineDecay(0.1, 5), 4),
]


@pytest.mark.parametrize("schedule", MADE, ids=lambda s: type(s).__name__)
def test_configurations_make_the_same_schedule(schedule):
    again = schedules.deserialize(schedules.serialize(schedule))
    assert [again(s) for s in range(40)] == [schedule(s) for s in range(40)]
    assert again.momentum_at(3) == schedule.momentum_at(3)
    optimizer = optimizers.get(optimizers.serialize(optimizers.SGD(schedule)))
    assert optimizer.rate_at(11) == schedule(11)


STEPS = {
    "ExponentialDecay": lambda n: schedules.ExponentialDecay(0.1, n, 0.5),
    "InverseTimeDecay": lambda n: schedules.InverseTimeDecay(0.1, n, 0.5),
    "PolynomialDecay": lambda n: schedules.PolynomialDecay(0.1, n),
    "PowerDecay": lambda n: schedules.PowerDecay(0.1, n),
    "CosineDecay": lambda n: schedules.CosineDecay(0.1, n),
    "CosineDecayRestarts": lambda n: schedules.CosineDecayRestarts(0.1, n),
    "OneCycle": lambda n: schedules.OneCycle(0.1, n),
    "PerEpoch": lambda n: schedules.PerEpoch(schedules.PowerDecay(0.1, 3), n),
}


@pytest.mark.parametrize("name", STEPS)
def test_steps_must_be_numbers_above_zero(name):
    for bad in (0, -3, float("nan")):
        with pytest.raises((ValueError, TypeError), match=f"{name}.*received"):
            STEPS[name](bad)
    for bad in ("10", None, True):
        with pytest.raises(TypeError, match=f"{name}.*received"):
            STEPS[name](bad)
    with pytest.raises(ValueError, match="step must be at least 0; received -1"):
        STEPS[name](10)(-1)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: schedules.ExponentialDecay(-0.1, 1, 0.5), "initial_learning_rate"),
        (lambda: schedules.PowerDecay(0.1, 1, -1), "power"),
        (lambda: schedules.PolynomialDecay(0.1, 1, -0.1), "end_learning_rate"),
        (lambda: schedules.CosineDecay(0.1, 1, warmup_steps=-1), "warmup_steps"),
        (lambda: schedules.CosineDecay(0.1, 1, warmup_target=-1.0), "warmup_target"),
        (lambda: schedules.PiecewiseConstantDecay([-1], [0.1, 0.2]), "boundary"),
        (lambda: schedules.PiecewiseConstantDecay([1], [0.1, -0.2]), "value"),
        (lambda: schedules.OneCycle(0.1, 10, initial_learning_rate=0.2), "rates must be"),
        (lambda: schedules.OneCycle(0.1, 10, final_part=1.0), "final_part"),
        (lambda: schedules.OneCycle(0.1, 10, shape="square"), "shape"),
        (lambda: schedules.OneCycle(0.1, 10, max_momentum=0.8), "momenta"),
    ],
)
def test_numbers_out_of_range_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
