"""Optimizers whose steps are made of ops, against their formulas in plain float64 NumPy."""

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


def rms(x):
    return np.sqrt(np.mean(x * x))


def adafactor(w, g, s, t, lr=0.001, power=-0.8, tiny=1e-30, least=1e-3, threshold=1.0):
    beta, square = 1 - t**power, g * g + tiny
    if w.ndim == 1:
        v = s["v"] = beta * s.get("v", 0) + (1 - beta) * square
    else:
        s["r"] = beta * s.get("r", 0) + (1 - beta) * square.mean(-1)
        s["c"] = beta * s.get("c", 0) + (1 - beta) * square.mean(-2)
        v = np.einsum("...i,...j->...ij", s["r"], s["c"]) / s["r"].mean(-1)[..., None, None]
    u = g / np.sqrt(v)
    u = u / max(1.0, rms(u) / threshold)
    return w - max(least, rms(w)) * min(lr, 1 / np.sqrt(t)) * u


def adam(w, g, s, t, lr, b1, b2, epsilon):
    s["m"] = b1 * s.get("m", 0) + (1 - b1) * g
    s["v"] = b2 * s.get("v", 0) + (1 - b2) * g * g
    rate = lr * np.sqrt(1 - b2**t) / (1 - b1**t)
    return w - rate * s["m"] / (np.sqrt(s["v"]) + epsilon)


def muon(w, g, s, t, lr=0.001, b1=0.9, b2=0.999, epsilon=1e-7, decay=0.004, adam_decay=0.004,
         momentum=0.95, steps=5, nesterov=True, rate=0.2, ratio=1.0,
         a=3.4445, b=-4.7750, c=2.0315):  # fmt: skip
    if w.ndim != 2:
        return adam(w * (1 - lr * adam_decay), g, s, t, lr * ratio, b1, b2, epsilon)
    m = s["m"] = momentum * s.get("m", 0) + g
    x = g + momentum * m if nesterov else m
    # An odd polynomial of a matrix is that of its singular values.
    u, sizes, v = np.linalg.svd(x / (np.linalg.norm(x) + 1e-7), full_matrices=False)
    for _ in range(steps):
        sizes = a * sizes + b * sizes**3 + c * sizes**5
    scale = 1.0 if rate is None else rate * np.sqrt(max(w.shape))
    return w * (1 - lr * decay) - lr * scale * (u * sizes) @ v


def schedule_free(w, g, s, t, lr=0.0025, b1=0.9, b2=0.999, epsilon=1e-8, warmup=0, decay=0.0):
    z = s.get("z", w)
    x = (w * (1 - lr * decay) - (1 - b1) * z) / b1
    s["v"] = b2 * s.get("v", 0) + (1 - b2) * g * g
    rate = lr * min(1.0, t / warmup) if warmup else lr
    z = s["z"] = z - rate * g / (np.sqrt(s["v"] / (1 - b2**t)) + epsilon)
    s["x"] = x = x + (z - x) / t
    return (1 - b1) * z + b1 * x


FTRL = {"power": "learning_rate_power", "start": "initial_accumulator_value", "beta": "beta",
        "l1": "l1_regularization_strength", "l2": "l2_regularization_strength",
        "shrink": "l2_shrinkage_regularization_strength", "lr": "learning_rate"}  # fmt: skip
LAMB = {"lr": "learning_rate", "b1": "beta_1", "b2": "beta_2", "epsilon": "epsilon"}
ADAFACTOR = {"lr": "learning_rate", "power": "beta_2_decay", "tiny": "epsilon_1",
             "least": "epsilon_2", "threshold": "clip_threshold"}  # fmt: skip
MUON = {"lr": "learning_rate", "b1": "adam_beta_1", "b2": "adam_beta_2", "epsilon": "epsilon",
        "decay": "weight_decay", "adam_decay": "adam_weight_decay", "momentum": "momentum",
        "steps": "ns_steps", "nesterov": "nesterov", "rate": "rms_rate", "ratio": "adam_lr_ratio",
        "a": "muon_a", "b": "muon_b", "c": "muon_c"}  # fmt: skip
FREE = {"lr": "learning_rate", "b1": "beta_1", "b2": "beta_2", "epsilon": "epsilon",
        "warmup": "warmup_steps", "decay": "weight_decay"}  # fmt: skip
CASES = [
    (densa.optimizers.Ftrl, ftrl, FTRL, {}),
    (densa.optimizers.Ftrl, ftrl, FTRL, {"lr": 0.3, "l1": 0.5, "l2": 0.1, "beta": 0.2}),
    (densa.optimizers.Ftrl, ftrl, FTRL, {"lr": 0.1, "shrink": 0.1, "power": -0.7, "start": 0.5}),
    (densa.optimizers.Lamb, lamb, LAMB, {}),
    (densa.optimizers.Lamb, lamb, LAMB, {"lr": 0.1, "b1": 0.8, "b2": 0.9, "epsilon": 1e-3}),
    (densa.optimizers.Adafactor, adafactor, ADAFACTOR, {}),
    (densa.optimizers.Adafactor, adafactor, ADAFACTOR,
     {"lr": 0.5, "power": -0.5, "tiny": 1e-3, "least": 0.7, "threshold": 0.5}),
    (densa.optimizers.Muon, muon, MUON, {}),
    (densa.optimizers.Muon, muon, MUON,
     {"lr": 0.1, "b1": 0.8, "b2": 0.9, "epsilon": 1e-3, "decay": 0.1, "adam_decay": 0.2,
      "momentum": 0.8, "steps": 3, "nesterov": False, "rate": None, "ratio": 0.5, "a": 2.0,
      "b": -1.5, "c": 0.5}),
    (densa.optimizers.ScheduleFreeAdamW, schedule_free, FREE, {}),
    (densa.optimizers.ScheduleFreeAdamW, schedule_free, FREE,
     {"lr": 0.1, "b1": 0.7, "b2": 0.9, "epsilon": 1e-3, "warmup": 9, "decay": 0.1}),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "reference", "names", "given"), CASES)
def test_against_the_formula(kind, reference, names, given):
    rng = np.random.default_rng(0)
    shapes = [(5, 3), (3,), (1,), (2, 3, 4), (2, 4)]
    start = [rng.normal(size=s) for s in shapes]
    start[2][:] = 0  # a norm of zero
    optimizer = kind(**{names[k]: v for k, v in given.items()})
    optimizer = type(optimizer).from_config(optimizer.get_config())
    variables = [densa.Variable(w, dtype="float64") for w in start]
    states = [{} for _ in shapes]
    for t in range(1, 16):
        grads = [rng.normal(size=s) for s in shapes]
        optimizer.apply([densa.asarray(g) for g in grads], variables)
        start = [
            reference(w, g, s, t, **given) for w, g, s in zip(start, grads, states, strict=True)
        ]
        for v, w in zip(variables, start, strict=True):
            np.testing.assert_allclose(v.numpy(), w, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", ["ftrl", "lamb", "adafactor", "muon", "schedulefreeadamw"])
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


def test_muon_takes_adams_step_for_what_is_excluded():
    layers = densa.layers
    model = densa.Sequential(
        [densa.Input((3,), dtype="int32"), layers.Embedding(9, 4), layers.Flatten(),
         layers.Dense(5), layers.Dense(2, name="head")]
    )  # fmt: skip
    model.compile(densa.optimizers.Muon(exclude_layers=["/head/"]), "mse")
    model.fit(np.zeros((4, 3), "i4"), np.ones((4, 2), "f4"), verbose=0)
    state = model.optimizer
    sizes = [state.slot(v, "velocity").shape for v in model.trainable_variables]
    assert sizes == [(9, 4), (), (5,), (5, 2), (2,)]


def test_adafactor_keeps_two_vectors_for_a_matrix():
    optimizer = densa.optimizers.Adafactor()
    optimizer.build([densa.Variable(np.ones((7, 5), "f4")), densa.Variable(np.ones(3, "f4"))])
    sizes = [v.shape for v in optimizer.variables[2:]]
    assert sizes == [(7,), (5,), (), (), (), (3,)]


def test_schedule_free_averages():
    optimizer = densa.optimizers.ScheduleFreeAdamW(0.1)
    w, state = densa.Variable([3.0], dtype="float64"), {}
    reference = np.array([3.0])
    seen = []
    for t in range(1, 21):
        g = np.array([np.sin(t)])
        optimizer.apply([densa.asarray(g)], [w])
        reference = schedule_free(reference, g, state, t, lr=0.1)
        seen.append(state["z"])
    np.testing.assert_allclose(optimizer.averaged(w).numpy(), np.mean(seen, axis=0), rtol=1e-9)


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
        ("`exclude_layers`.*regular", lambda: densa.optimizers.Muon(exclude_layers=["("])),
    ],
)
def test_errors(match, make):
    with pytest.raises(ValueError, match=match):
        make()
