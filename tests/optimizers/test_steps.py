"""Optimizers against their formulas in plain float64 NumPy, 100 steps."""

from __future__ import annotations

import numpy as np
import pytest

import densa
from densa import optimizers

STEPS = 100
SHAPES = ((5, 3), (3,), (17, 20), ())


# Each reference is a generator function: state lives in a dict per variable.


def sgd(w, g, s, t, lr=0.01, momentum=0.0, nesterov=False):
    if momentum == 0:
        return w - lr * g
    s["m"] = momentum * s.get("m", 0) - lr * g
    return w + (momentum * s["m"] - lr * g if nesterov else s["m"])


def rmsprop(w, g, s, t, lr=0.001, rho=0.9, momentum=0.0, epsilon=1e-7, centered=False):
    s["v"] = rho * s.get("v", 0) + (1 - rho) * g * g
    denominator = s["v"]
    if centered:
        s["a"] = rho * s.get("a", 0) + (1 - rho) * g
        denominator = denominator - s["a"] ** 2
    move = lr * g / np.sqrt(denominator + epsilon)
    if momentum > 0:
        s["m"] = momentum * s.get("m", 0) + move
        move = s["m"]
    return w - move


def adagrad(w, g, s, t, lr=0.001, initial_accumulator_value=0.1, epsilon=1e-7):
    s["s"] = s.get("s", initial_accumulator_value) + g * g
    return w - lr * g / np.sqrt(s["s"] + epsilon)


def adadelta(w, g, s, t, lr=0.001, rho=0.95, epsilon=1e-7):
    s["g"] = rho * s.get("g", 0) + (1 - rho) * g * g
    move = -np.sqrt(s.get("d", 0) + epsilon) * g / np.sqrt(s["g"] + epsilon)
    s["d"] = rho * s.get("d", 0) + (1 - rho) * move * move
    return w + lr * move


def adam(w, g, s, t, lr=0.001, beta_1=0.9, beta_2=0.999, epsilon=1e-7, amsgrad=False):
    s["m"] = beta_1 * s.get("m", 0) + (1 - beta_1) * g
    s["v"] = beta_2 * s.get("v", 0) + (1 - beta_2) * g * g
    v = s["v"]
    if amsgrad:
        v = s["h"] = np.maximum(s.get("h", 0), v)
    alpha = lr * np.sqrt(1 - beta_2**t) / (1 - beta_1**t)
    return w - alpha * s["m"] / (np.sqrt(v) + epsilon)


def adamw(w, g, s, t, lr=0.001, weight_decay=0.004, **rest):
    return adam(w - lr * weight_decay * w, g, s, t, lr, **rest)


def adamax(w, g, s, t, lr=0.001, beta_1=0.9, beta_2=0.999, epsilon=1e-7):
    s["m"] = beta_1 * s.get("m", 0) + (1 - beta_1) * g
    s["u"] = np.maximum(beta_2 * s.get("u", 0), np.abs(g))
    return w - lr / (1 - beta_1**t) * s["m"] / (s["u"] + epsilon)


def nadam(w, g, s, t, lr=0.001, beta_1=0.9, beta_2=0.999, epsilon=1e-7):
    u = beta_1 * (1 - 0.5 * 0.96**t)
    u_next = beta_1 * (1 - 0.5 * 0.96 ** (t + 1))
    s["p"] = s.get("p", 1.0) * u
    s["m"] = beta_1 * s.get("m", 0) + (1 - beta_1) * g
    s["v"] = beta_2 * s.get("v", 0) + (1 - beta_2) * g * g
    m = u_next * s["m"] / (1 - s["p"] * u_next) + (1 - u) * g / (1 - s["p"])
    return w - lr * m / (np.sqrt(s["v"] / (1 - beta_2**t)) + epsilon)


def lion(w, g, s, t, lr=0.001, beta_1=0.9, beta_2=0.99):
    m = s.get("m", 0)
    w = w - lr * np.sign(beta_1 * m + (1 - beta_1) * g)
    s["m"] = beta_2 * m + (1 - beta_2) * g
    return w


CASES = [
    ("SGD", sgd, {}),
    ("SGD", sgd, {"momentum": 0.9}),
    ("SGD", sgd, {"momentum": 0.9, "nesterov": True}),
    ("RMSprop", rmsprop, {}),
    ("RMSprop", rmsprop, {"momentum": 0.5}),
    ("RMSprop", rmsprop, {"centered": True}),
    ("RMSprop", rmsprop, {"centered": True, "momentum": 0.5, "rho": 0.8}),
    ("Adagrad", adagrad, {}),
    ("Adadelta", adadelta, {}),
    ("Adam", adam, {}),
    ("Adam", adam, {"beta_1": 0.8, "beta_2": 0.99, "epsilon": 1e-3}),
    ("Adam", adam, {"amsgrad": True}),
    ("AdamW", adamw, {}),
    ("Adamax", adamax, {}),
    ("Nadam", nadam, {}),
    ("Lion", lion, {}),
]


def start(rng):
    return [rng.standard_normal(shape) for shape in SHAPES]


def gradient(rng, w):
    # Depends on w, so that errors would grow; never near zero, where Lion's sign is undecided.
    g = 0.3 * w + rng.standard_normal(w.shape)
    return np.where(np.abs(g) < 0.05, 0.05, g)


def run(cls, reference, arguments, dtype, wrap=lambda g: g, **more):
    rng = np.random.default_rng(11)
    w = start(rng)
    optimizer = getattr(optimizers, cls)(learning_rate=0.01, **arguments, **more)
    variables = [
        densa.Variable(x.astype(dtype), dtype=dtype, name=f"w{i}") for i, x in enumerate(w)
    ]
    states = [{} for _ in w]
    for t in range(1, STEPS + 1):
        grads = [gradient(rng, x) for x in w]
        optimizer.apply([densa.ops.convert_to_tensor(g.astype(dtype)) for g in grads], variables)
        grads = wrap(grads)
        w = [
            reference(x, g, s, t, lr=0.01, **arguments)
            for x, g, s in zip(w, grads, states, strict=True)
        ]
    return optimizer, variables, w


def assert_near(variables, w, bound):
    for variable, x in zip(variables, w, strict=True):
        error = np.linalg.norm(variable.numpy().astype(np.float64) - x)
        assert error <= bound * np.linalg.norm(x), (variable.shape, error)


@pytest.mark.parametrize("fused", [True, False], ids=["fused", "composed"])
@pytest.mark.parametrize(
    ("cls", "reference", "arguments"), CASES, ids=lambda x: str(x) if not callable(x) else ""
)
def test_hundred_steps_match_the_formula(cls, reference, arguments, fused, monkeypatch):
    if not fused:
        monkeypatch.setattr(optimizers.Optimizer, "fused_kind", lambda self: None)
    elif not hasattr(densa._core, "optimizer_step"):
        pytest.skip("the core has no fused steps yet")
    optimizer, variables, w = run(cls, reference, arguments, "float64")
    assert_near(variables, w, 1e-11)
    assert int(optimizer.iterations) == STEPS
    if cls != "Lion":  # in float32 a sign may fall the other way
        _, variables, w = run(cls, reference, arguments, "float32")
        assert_near(variables, w, 1e-5)


@pytest.mark.parametrize("fused", [True, False], ids=["fused", "composed"])
def test_clipping_matches_the_formula(fused, monkeypatch):
    if not fused:
        monkeypatch.setattr(optimizers.Optimizer, "fused_kind", lambda self: None)

    def by_value(grads):
        return [np.clip(g, -0.4, 0.4) for g in grads]

    def by_norm(grads):
        return [g * min(1, 0.7 / np.sqrt((g * g).sum())) for g in grads]

    def by_global_norm(grads):
        norm = np.sqrt(sum((g * g).sum() for g in grads))
        return [g * min(1, 0.7 / norm) for g in grads]

    for name, limit, wrap in (
        ("clipvalue", 0.4, by_value),
        ("clipnorm", 0.7, by_norm),
        ("global_clipnorm", 0.7, by_global_norm),
    ):
        _, variables, w = run("Adam", adam, {}, "float64", wrap, **{name: limit})
        assert_near(variables, w, 1e-11)


def moved(optimizer, g, dtype="float64"):
    w = densa.Variable(np.zeros(len(g), dtype), dtype=dtype)
    optimizer.apply([densa.ops.convert_to_tensor(np.asarray(g, dtype))], [w])
    return -w.numpy()


def test_golden_clipping():  # G08, G09
    g = [0.9, 100.0]
    np.testing.assert_allclose(moved(optimizers.SGD(1.0, clipvalue=1.0), g), [0.9, 1.0], rtol=1e-15)
    by_norm = moved(optimizers.SGD(1.0, clipnorm=1.0), g)
    np.testing.assert_allclose(by_norm, [0.00899964, 0.9999595], rtol=5e-7)
    by_norm = moved(optimizers.SGD(1.0, clipnorm=1.0), g, "float32")
    np.testing.assert_allclose(by_norm, [0.00899964, 0.9999595], rtol=5e-6)


def test_golden_terminal_velocity():  # G10
    optimizer = optimizers.SGD(learning_rate=1.0, momentum=0.9)
    w = densa.Variable(np.zeros(1), dtype="float64")
    g = densa.ops.convert_to_tensor(np.ones(1))
    for _ in range(200):
        before = w.numpy()
        optimizer.apply([g], [w])
    assert abs(float((before - w.numpy())[0]) - 9.99999999) < 1e-8


def test_weight_decay_and_its_exclusions():
    for cls, kwargs in (("SGD", {}), ("Adam", {}), ("AdamW", {})):
        optimizer = getattr(optimizers, cls)(learning_rate=0.5, weight_decay=0.1, **kwargs)
        kernel = densa.Variable(np.full((2, 2), 2.0), dtype="float64", name="kernel")
        bias = densa.Variable(np.full(2, 2.0), dtype="float64", name="bias")
        scale = densa.Variable(np.full(2, 2.0), dtype="float64", name="scale")
        optimizer.exclude_from_weight_decay(var_list=[scale], var_names=["bias"])
        zeros = [densa.ops.convert_to_tensor(np.zeros(v.shape)) for v in (kernel, bias, scale)]
        optimizer.apply(zeros, [kernel, bias, scale])
        np.testing.assert_allclose(kernel.numpy(), np.full((2, 2), 1.9), rtol=1e-14)
        np.testing.assert_array_equal(bias.numpy(), [2.0, 2.0])
        np.testing.assert_array_equal(scale.numpy(), [2.0, 2.0])
        with pytest.raises(ValueError, match="before the optimizer is built"):
            optimizer.exclude_from_weight_decay(var_names=["kernel"])


def test_adamw_without_decay_is_adam():
    rng = np.random.default_rng(3)
    g = [rng.standard_normal(7) for _ in range(5)]
    found = []
    for optimizer in (optimizers.AdamW(weight_decay=0.0), optimizers.Adam()):
        w = densa.Variable(np.ones(7), dtype="float64")
        for x in g:
            optimizer.apply([densa.ops.convert_to_tensor(x)], [w])
        found.append(w.numpy())
    np.testing.assert_array_equal(found[0], found[1])


def test_accumulated_gradients_equal_their_mean():
    rng = np.random.default_rng(5)
    g = rng.standard_normal((6, 4))
    one = densa.Variable(np.zeros(4), dtype="float64")
    many = densa.Variable(np.zeros(4), dtype="float64")
    plain = optimizers.Adam(0.1)
    every = optimizers.Adam(0.1, gradient_accumulation_steps=3)
    for i in range(0, 6, 3):
        plain.apply([densa.ops.convert_to_tensor(g[i : i + 3].mean(axis=0))], [one])
        for j in range(i, i + 3):
            every.apply([densa.ops.convert_to_tensor(g[j])], [many])
    np.testing.assert_allclose(many.numpy(), one.numpy(), rtol=1e-13)
    assert int(every.iterations) == 2


def test_moving_average_of_weights():
    optimizer = optimizers.SGD(1.0, use_ema=True, ema_momentum=0.5)
    w = densa.Variable(np.zeros(1), dtype="float64")
    average, value = None, 0.0
    for _ in range(4):
        optimizer.apply([densa.ops.convert_to_tensor(-np.ones(1))], [w])
        value += 1
        average = value if average is None else 0.5 * average + 0.5 * value
    assert float(w.numpy()[0]) == 4.0
    optimizer.finalize_variable_values([w])
    assert float(w.numpy()[0]) == average


def test_ema_overwrites_every_so_often():
    optimizer = optimizers.SGD(1.0, use_ema=True, ema_momentum=0.5, ema_overwrite_frequency=2)
    w = densa.Variable(np.zeros(1), dtype="float64")
    for _ in range(2):
        optimizer.apply([densa.ops.convert_to_tensor(-np.ones(1))], [w])
    assert float(w.numpy()[0]) == 1.5


@pytest.mark.parametrize("every", [None, 2])
def test_averages_obey_constraints(every):
    options = {"use_ema": True, "ema_momentum": 0.5, "ema_overwrite_frequency": every}
    optimizer = optimizers.SGD(1.0, **options)
    one = densa.Variable(np.full(2, 1.0), dtype="float64")
    one.constraint = densa.constraints.NonNeg()
    unit = densa.Variable(np.eye(2), dtype="float64")
    unit.constraint = densa.constraints.UnitNorm()
    value, average = np.full(2, 1.0), None
    turn = np.array([[0.9, 0.0], [-0.7, 0.0]])
    for step in range(4):
        gradient = np.array([2.0, -0.5]) if step % 2 == 0 else np.array([-1.0, 0.25])
        given = [densa.ops.convert_to_tensor(g) for g in (gradient, turn)]
        optimizer.apply(given, [one, unit])
        value = np.maximum(value - gradient, 0)
        average = value if average is None else 0.5 * average + 0.5 * value
        if every and (step + 1) % every == 0:
            value = average
        np.testing.assert_allclose(one.numpy(), value, rtol=1e-12)
        np.testing.assert_allclose(np.linalg.norm(unit.numpy(), axis=0), 1, rtol=1e-6)
    optimizer.finalize_variable_values([one, unit])
    np.testing.assert_allclose(one.numpy(), average, rtol=1e-12)
    np.testing.assert_allclose(np.linalg.norm(unit.numpy(), axis=0), 1, rtol=1e-6)


def test_constraints_are_applied_after_the_update():
    w = densa.Variable(np.ones(3), dtype="float64")
    w.constraint = densa.constraints.NonNeg()
    optimizers.SGD(1.0).apply([densa.ops.convert_to_tensor(np.array([2.0, 0.5, 3.0]))], [w])
    np.testing.assert_array_equal(w.numpy(), [0.0, 0.5, 0.0])


def test_loss_scale_is_taken_off_again():
    optimizer = optimizers.SGD(1.0, loss_scale_factor=8.0)
    w = densa.Variable(np.zeros(1), dtype="float64")
    assert float(optimizer.scale_loss(densa.ops.convert_to_tensor(2.0))) == 16.0
    optimizer.apply([densa.ops.convert_to_tensor(np.array([8.0]))], [w])
    assert float(w.numpy()[0]) == -1.0
