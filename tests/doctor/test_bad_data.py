"""A NaN or an infinity in the data is found in whatever row it lies, and blames nothing else."""

from __future__ import annotations

import numpy as np
import pytest

import densa
from densa.callbacks import Doctor

L = densa.layers
ROWS = 1500  # more than a doctor keeps
pytestmark = pytest.mark.filterwarnings("ignore:.*non-finite:UserWarning")


def model_of(**arguments):
    model = densa.Sequential([densa.Input((4,)), L.Dense(4, "relu"), L.Dense(1)])
    model.compile("sgd", "mse", **arguments)
    return model


def data(what, value, row):
    x = np.random.default_rng(0).normal(size=(ROWS, 4)).astype("float32")
    arrays = {"x": x, "y": x[:, :1].copy(), "sample_weight": np.ones(ROWS, "float32")}
    arrays[what][row:] = value
    return arrays


def found_by(doctor):
    return {finding.id: finding for finding in doctor.findings}


@pytest.mark.parametrize("eager", [False, True], ids=["plan", "eager"])
@pytest.mark.parametrize(
    ("what", "kind"), [("x", "inputs"), ("y", "targets"), ("sample_weight", "sample weights")]
)
def test_arrays_are_looked_at_whole(what, kind, eager):
    arrays = data(what, np.inf, 1498)
    doctor = Doctor(50, verbose=0)
    model_of(run_eagerly=eager).fit(
        **arrays, batch_size=750, verbose=0, shuffle=False, callbacks=[doctor]
    )
    found = found_by(doctor)
    assert set(found) == {"non_finite"}
    evidence = found["non_finite"].evidence
    assert evidence["row"] == 1498
    assert evidence[kind] == 2 * (4 if what == "x" else 1)
    assert f"row 1498 of {what}" in found["non_finite"].change
    assert not found["non_finite"].can_apply


def test_diagnose_looks_at_arrays_whole():
    arrays = data("y", np.nan, 1200)
    (found,) = [f for f in model_of().diagnose(arrays["x"], arrays["y"]) if f.id == "non_finite"]
    assert (found.evidence["row"], found.evidence["targets"]) == (1200, 300)
    assert model_of().diagnose(arrays["x"], arrays["x"][:, :1]) == []


def test_a_dataset_says_where_it_was_met():
    arrays = data("x", np.nan, 1499)

    def batches():
        for i in range(0, ROWS, 750):
            yield arrays["x"][i : i + 750], arrays["y"][i : i + 750]

    doctor = Doctor(50, verbose=0)
    model_of().fit(batches(), verbose=0, callbacks=[doctor])
    assert set(found_by(doctor)) == {"non_finite"}
    assert found_by(doctor)["non_finite"].evidence["row"] == 1499


def test_a_healthy_fit_looks_through_nothing(monkeypatch):
    from densa.training.data import ArraySource

    def fail(self):
        raise AssertionError("the data was looked through")

    monkeypatch.setattr(ArraySource, "non_finite", fail)
    x = data("x", 0.0, ROWS)["x"]
    model_of().fit(x, x[:, :1], batch_size=750, verbose=0, callbacks=[Doctor(1, verbose=0)])


@pytest.mark.parametrize("diagnoses", [True, False])
def test_tiny_batches_of_a_dataset_are_the_dataset_s(diagnoses):
    x = data("x", 0.0, ROWS)["x"][:30]
    model = densa.Sequential([densa.Input((4,)), L.BatchNormalization(), L.Dense(1)])
    model.compile("sgd", "mse")

    def batches():
        for i in range(0, 6, 3):
            yield x[i : i + 3], x[i : i + 3, :1]

    doctor = Doctor(1, verbose=0)
    if diagnoses:
        doctor.findings = model.diagnose(batches())
    else:
        model.fit(batches(), verbose=0, callbacks=[doctor])
    found = found_by(doctor)["batch_norm_of_tiny_batches"]
    assert found.evidence["rows"] == 3
    assert found.fit == {}
    assert "32 rows" in found.change
    with pytest.raises(ValueError, match="by hand|cannot be applied"):
        found.apply(model)
