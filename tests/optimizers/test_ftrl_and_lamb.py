"""Ftrl and Lamb against their formulas in plain float64 NumPy."""

from __future__ import annotations

import numpy as np
import pytest

import densa


def ftrl(w, g, s, t, lr=0.001, power=-0.5, start=0.1, l1=0.0, l2=0.0, shrink=0.0, beta=0.0):
    n = s.get("n", np.full_like(w, start))
    after = n + g * g
    sigma = (after**-power - n**-power) / lr
    z = s["z"] = s.get("z", 0) + g + 2 * shrink * w - sigma * w
    s["n"] = after
    bottom = (beta + after**-power) / lr + 2 * l2
    return np.where(np.abs(z) <= l1, 0.0, -(z - np.sign(z) * l1) / bottom)


def lamb(w, g, s, t, lr=0.001, b1=0.9, b2=0.999, epsilon=1e-7):
    s["m"] = b1 * s.get("m", 0) + (1 - b1) * g
    s["v"] = b2 * s.get("v", 0) + (1 - b2) * g * g
    u = s["m"] / (1 - b1**t) / (np.sqrt(s["v"] / (1 - b2**t)) + epsilon)
    size, length = np.sqrt(np.sum(w * w)), np.sqrt(np.sum(u * u))
    return w - lr * (size / length if size > 0 and length > 0 else 1.0) * u


FTRL = {"power": "learning_rate_power", "start": "initial_accumulator_value", "beta": "beta",
        "l1": "l1_regularization_strength", "l2": "l2_regularization_strength",
        "shrink": "l2_shrinkage_regularization_strength", "lr": "learning_rate"}  # fmt: skip
LAMB = {"lr": "learning_rate", "b1": "beta_1", "b2": "beta_2", "epsilon": "epsilon"}
CASES = [
    (densa.optimizers.Ftrl, ftrl, FTRL, {}),
    (densa.optimizers.Ftrl, ftrl, FTRL, {"lr": 0.3, "l1": 0.5, "l2": 0.1, "beta": 0.2}),
    (densa.optimizers.Ftrl, ftrl, FTRL, {"lr": 0.1, "shrink": 0.1, "power": -0.7, "start": 0.5}),
    (densa.optimizers.Lamb, lamb, LAMB, {}),
    (densa.optimizers.Lamb, lamb, LAMB, {"lr": 0.1, "b1": 0.8, "b2": 0.9, "epsilon": 1e-3}),
]


@pytest.mark.parametrize(("kind", "reference", "names", "given"), CASES)
def test_against_the_formula(kind, reference, names, given):
    rng = np.random.default_rng(0)
    shapes = [(5, 3), (3,), (1,)]
    start = [rng.normal(size=s) for s in shapes]
    start[2][:] = 0  # a norm of zero
    optimizer = kind(**{names[k]: v for k, v in given.items()})
    optimizer = type(optimizer).from_config(optimizer.get_config())
    variables = [densa.Variable(w, dtype="float64") for w in start]
    states = [{} for _ in shapes]
    for t in range(1, 31):
        grads = [rng.normal(size=s) for s in shapes]
        optimizer.apply([densa.asarray(g) for g in grads], variables)
        start = [
            reference(w, g, s, t, **given) for w, g, s in zip(start, grads, states, strict=True)
        ]
        for v, w in zip(variables, start, strict=True):
            np.testing.assert_allclose(v.numpy(), w, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", ["ftrl", "lamb"])
def test_in_fit_and_out_of_a_file(name, tmp_path):
    x = np.random.default_rng(1).normal(size=(64, 4)).astype("f4")
    y = x @ np.array([[1.0], [0.0], [-1.0], [0.5]], "f4")
    models = []
    for eager in (False, True):
        densa.utils.set_random_seed(2)
        model = densa.Sequential([densa.Input((4,)), densa.layers.Dense(1)])
        optimizer = densa.optimizers.get(name)
        optimizer.learning_rate = 0.1
        model.compile(optimizer, "mse", run_eagerly=eager)
        history = model.fit(x, y, epochs=5, verbose=0).history["loss"]
        assert history[-1] < history[0] * 0.8
        models.append(model)
    np.testing.assert_allclose(*(m.get_weights()[0] for m in models), rtol=1e-5, atol=1e-6)
    models[0].save(tmp_path / "m.densa")
    again = densa.models.load_model(tmp_path / "m.densa")
    for model in (models[0], again):
        model.fit(x, y, epochs=1, shuffle=False, verbose=0)
    np.testing.assert_array_equal(again.get_weights()[0], models[0].get_weights()[0])


def test_l1_makes_exact_zeros():
    x = np.random.default_rng(1).normal(size=(64, 4)).astype("f4")
    model = densa.Sequential([densa.Input((4,)), densa.layers.Dense(1)])
    model.compile(densa.optimizers.Ftrl(0.5, l1_regularization_strength=5.0), "mse")
    model.fit(x, x[:, :1], epochs=50, batch_size=64, verbose=0)
    weights = model.get_weights()[0].ravel()
    assert weights[0] > 0.5
    assert (weights[1:] == 0).all()


@pytest.mark.parametrize(
    ("match", "make"),
    [
        ("at most 0", lambda: densa.optimizers.Ftrl(learning_rate_power=0.5)),
        (
            "l1_regularization_strength",
            lambda: densa.optimizers.Ftrl(l1_regularization_strength=-1),
        ),
        ("beta_1", lambda: densa.optimizers.Lamb(beta_1=1.0)),
        ("epsilon", lambda: densa.optimizers.Lamb(epsilon=-1.0)),
    ],
)
def test_errors(match, make):
    with pytest.raises(ValueError, match=match):
        make()
