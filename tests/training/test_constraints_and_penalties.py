"""Constraints behind native steps; penalties in the losses of fit and evaluate."""

from __future__ import annotations

import numpy as np
import pytest

import densa
from densa import constraints, layers, regularizers

RNG = np.random.default_rng(6)
X = RNG.standard_normal((48, 20)).astype("f4")
Y = RNG.standard_normal((48, 3)).astype("f4")


@pytest.fixture(params=[False, True], ids=["plan", "eager"])
def eager(request):
    return request.param


def norms(w, axis=0):
    return np.sqrt((w.astype("f8") ** 2).sum(axis=axis, keepdims=True))


# Each in float64, from the weights before to the weights behind.
REFERENCE = {
    "max": lambda w: w * np.clip(norms(w), 0, 0.7) / (norms(w) + 1e-7),
    "min_max": lambda w: (
        w * (0.6 * np.clip(norms(w), 0.5, 0.8) + 0.4 * norms(w)) / (norms(w) + 1e-7)
    ),
    "non_neg": lambda w: np.maximum(w, 0),
    "unit": lambda w: w / (norms(w) + 1e-7),
    "rows": lambda w: w / (norms(w, -1) + 1e-7),
    "own": lambda w: np.clip(w, -0.1, 0.1),
}


class Within(constraints.Constraint):
    def __call__(self, w):
        return densa.ops.clip(w, -0.1, 0.1)


MADE = {
    "max": lambda: constraints.MaxNorm(0.7),
    "min_max": lambda: constraints.MinMaxNorm(0.5, 0.8, rate=0.6),
    "non_neg": constraints.NonNeg,
    "unit": constraints.UnitNorm,
    "rows": lambda: constraints.UnitNorm(axis=1),
    "own": Within,
}


def model(kernel=None, bias=None, optimizer="sgd", eager=False, **arguments):
    densa.utils.set_random_seed(1)
    made = densa.Sequential(
        [
            densa.Input((20,)),
            layers.Dense(
                18,
                "tanh",
                kernel_constraint=kernel,
                bias_constraint=bias,
                bias_initializer="normal",
                **arguments,
            ),
            layers.Dense(3),
        ]
    )
    made.compile(optimizer, "mse", run_eagerly=eager)
    return made


@pytest.mark.parametrize("name", MADE)
def test_constraints_against_numpy(name, eager):
    bias = name not in ("rows",)
    made = model(MADE[name](), MADE[name]() if bias else None, densa.optimizers.SGD(0.5), eager)
    w = made.get_weights()
    for _ in range(3):
        made.fit(X, Y, batch_size=48, shuffle=False, verbose=0)
        h = np.tanh(X.astype("f8") @ w[0] + w[1])
        dy = 2 * (h @ w[2] + w[3] - Y) / Y.size
        dh = dy @ w[2].T * (1 - h**2)
        due = [w[0] - 0.5 * X.T @ dh, w[1] - 0.5 * dh.sum(axis=0)]
        due[0] = REFERENCE[name](due[0])
        if bias:
            due[1] = REFERENCE[name](due[1])
        w = made.get_weights()
        np.testing.assert_allclose(w[0], due[0], rtol=1e-4, atol=2e-6)
        np.testing.assert_allclose(w[1], due[1], rtol=1e-4, atol=2e-6)
    assert eager == ("off the fast path" in made.explain_plan())
    assert eager != ("constraints behind each step" in made.explain_plan())


@pytest.mark.parametrize("optimizer", ["adam", "schedule", "clipped", "scaled"])
def test_plan_and_eager_agree_over_many_steps(optimizer):
    def make():
        schedule = densa.optimizers.schedules.ExponentialDecay(0.1, 2, 0.5)
        return {
            "adam": lambda: densa.optimizers.Adam(0.01),
            "schedule": lambda: densa.optimizers.SGD(schedule, momentum=0.9),
            "clipped": lambda: densa.optimizers.AdamW(0.01, global_clipnorm=0.1),
            "scaled": lambda: densa.optimizers.SGD(0.1, loss_scale_factor=64.0),
        }[optimizer]()

    found = []
    for eagerly, at_once in ((False, 1), (False, 4), (True, 1)):
        made = model(constraints.MaxNorm(0.5), constraints.NonNeg(), make(), eagerly)
        made.compile(make(), "mse", run_eagerly=eagerly, steps_per_execution=at_once)
        history = made.fit(X, Y, batch_size=7, epochs=3, shuffle=False, verbose=0).history
        assert int(made.optimizer.iterations) == 21
        found.append((history["loss"], *made.get_weights()))
    for one, two, three in zip(*found, strict=True):
        np.testing.assert_array_equal(one, two)
        np.testing.assert_allclose(one, three, rtol=1e-4, atol=1e-5)


def test_dropout_draws_the_same_with_and_without_a_constraint():
    found = []
    for limit in (None, constraints.MaxNorm(1e6)):
        densa.utils.set_random_seed(3)
        made = densa.Sequential(
            [
                densa.Input((20,)),
                layers.Dropout(0.5, seed=1),
                layers.Dense(3, kernel_constraint=limit),
            ]
        )
        made.compile("sgd", "mse")
        made.fit(X, Y, batch_size=8, epochs=2, shuffle=False, verbose=0)
        made.compile("sgd", "mse")
        made.fit(X, Y, batch_size=8, epochs=1, shuffle=False, verbose=0)
        found.append(made.get_weights()[0])
    np.testing.assert_allclose(found[0], found[1], rtol=1e-5, atol=1e-6)


def test_another_constraint_acts_from_the_next_fit_on():
    made = model(constraints.MaxNorm(0.7), optimizer=densa.optimizers.SGD(0.5))
    made.fit(X, Y, verbose=0)
    kernel = made.layers[0].kernel
    kernel.constraint.max_value = 0.3
    made.fit(X, Y, verbose=0)
    assert norms(kernel.numpy()).max() < 0.3001
    kernel.constraint = constraints.UnitNorm()
    made.fit(X, Y, verbose=0)
    np.testing.assert_allclose(norms(kernel.numpy()), 1.0, rtol=1e-5)
    kernel.constraint = None
    made.fit(X, Y, verbose=0)
    assert np.abs(norms(kernel.numpy()) - 1).max() > 1e-3


def test_a_constraint_that_reads_numbers_runs_op_by_op():
    class Sorted(constraints.Constraint):
        def __call__(self, w):
            return densa.ops.convert_to_tensor(np.sort(w.numpy(), axis=0))

    made = model(Sorted())
    made.fit(X, Y, verbose=0)
    assert (np.diff(made.get_weights()[0], axis=0) >= 0).all()
    assert "op by op" in made.explain_plan()


def test_mixed_precision(eager):
    made = model(constraints.MaxNorm(0.5), eager=eager, dtype="mixed_bfloat16")
    made.fit(X, Y, verbose=0)
    assert norms(made.get_weights()[0]).max() < 0.5001


def penalty(kind, w):
    w = w.astype("f8")
    if kind == "orthogonal":
        unit = w / norms(w, axis=1)
        off = np.abs(unit @ unit.T)[~np.eye(len(w), dtype=bool)]
        return 0.03 * off.mean()
    l1, l2 = {"l1": (0.02, 0), "l2": (0, 0.05), "both": (0.02, 0.05)}[kind]
    return l1 * np.abs(w).sum() + l2 * (w * w).sum()


PENALTIES = {
    "l1": lambda: regularizers.L1(0.02),
    "l2": lambda: regularizers.L2(0.05),
    "both": lambda: regularizers.L1L2(0.02, 0.05),
    "orthogonal": lambda: regularizers.OrthogonalRegularizer(0.03),
}


@pytest.mark.parametrize(
    ("where", "kind"),
    [
        *((w, k) for w in ("kernel", "bias", "activity") for k in ("l1", "l2", "both")),
        ("kernel", "orthogonal"),
    ],
)
def test_penalties_in_the_losses_of_fit_and_evaluate(kind, where, eager):
    made = model(eager=eager, **{f"{where}_regularizer": PENALTIES[kind]()})
    w = made.get_weights()
    h = np.tanh(X.astype("f8") @ w[0] + w[1])
    mse = ((h @ w[2] + w[3] - Y) ** 2).mean()
    rows = 1 if where != "activity" else len(X)
    extra = penalty(kind, {"kernel": w[0], "bias": w[1], "activity": h}[where]) / rows
    assert made.evaluate(X, Y, batch_size=48, verbose=0) == pytest.approx(mse + extra, rel=1e-5)
    history = made.fit(X, Y, batch_size=48, verbose=0).history
    assert history["loss"] == pytest.approx([mse + extra], rel=1e-5)
    assert eager == ("off the fast path" in made.explain_plan())


def test_penalties_reach_the_gradient(eager):
    for kind, slope in (
        ("l1", lambda w: 0.02 * np.sign(w)),
        ("l2", lambda w: 0.1 * w),
        ("both", lambda w: 0.02 * np.sign(w) + 0.1 * w),
    ):
        made = densa.Sequential(
            [densa.Input((20,)), layers.Dense(3, kernel_regularizer=PENALTIES[kind]())]
        )
        made.compile(densa.optimizers.SGD(0.5), "mse", run_eagerly=eager)
        w, b = (v.astype("f8") for v in made.get_weights())
        made.fit(X, Y, batch_size=48, verbose=0)
        dw = X.T @ (2 * (X @ w + b - Y) / Y.size) + slope(w)
        np.testing.assert_allclose(made.get_weights()[0], w - 0.5 * dw, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("make", "error", "says"),
    [
        (lambda: constraints.MaxNorm(-1.0), ValueError, "`max_value` must be at least 0"),
        (lambda: constraints.MaxNorm("2"), TypeError, "`max_value` must be a number"),
        (lambda: constraints.MinMaxNorm(2.0, 1.0), ValueError, "`max_value` must be at least 2"),
        (lambda: constraints.MinMaxNorm(rate=1.5), ValueError, "`rate` must lie between 0 and 1"),
        (lambda: constraints.get("maxnorm"), ValueError, "Did you mean 'max_norm'"),
    ],
)
def test_numbers_out_of_range_are_refused(make, error, says):
    with pytest.raises(error, match=says):
        make()


def test_an_axis_that_a_weight_has_not_is_told_of_before_a_step():
    made = model(constraints.UnitNorm(axis=2))
    before = made.get_weights()
    with pytest.raises(ValueError, match="axis=2 is out of range for a weight with 2 axes"):
        made.fit(X, Y, verbose=0)
    for a, b in zip(before, made.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
