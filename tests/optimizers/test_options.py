"""What surrounds a step: averages, accumulation, limits, multipliers, exact zeros, reports.

Each against float64 NumPy written apart, by `apply`, and in `fit` natively and op by op.
"""

from __future__ import annotations

import numpy as np
import pytest

import densa
from densa import layers, optimizers
from densa.optimizers import schedules

RATE = 0.05


def gradients(steps, seed=0):
    rng = np.random.default_rng(seed)
    return [(rng.standard_normal((3, 4)) * 2, rng.standard_normal(4)) for _ in range(steps)]


def by_apply(optimizer, given):
    rng = np.random.default_rng(9)
    start = [rng.standard_normal((3, 4)), rng.standard_normal(4)]
    variables = [
        densa.Variable(start[0], dtype="float64", name="first_kernel"),
        densa.Variable(start[1], dtype="float64", name="second_bias"),
    ]
    for pair in given:
        optimizer.apply([densa.ops.convert_to_tensor(g) for g in pair], variables)
    return [w.copy() for w in start], variables


def close(variables, expected, atol=1e-12):
    for variable, w in zip(variables, expected, strict=True):
        np.testing.assert_allclose(variable.numpy(), w, rtol=0, atol=atol)


def norm_of(pair):
    return np.sqrt(sum(np.sum(g**2) for g in pair))


def test_normalized_gradients_have_norm_one():
    given = gradients(4)
    w, variables = by_apply(optimizers.SGD(RATE, normalize_gradient=True), given)
    for pair in given:
        w = [a - RATE * g / norm_of(pair) for a, g in zip(w, pair, strict=True)]
    close(variables, w)


def test_normalize_above_makes_norm_one_rather_than_the_threshold():
    given = gradients(6)
    given = [
        tuple(g * s for g in pair) for pair, s in zip(given, (1, 0.1, 2, 0.2, 1, 3), strict=True)
    ]
    w, variables = by_apply(optimizers.SGD(RATE, normalize_above=5.0), given)
    norms = [norm_of(pair) for pair in given]
    assert 0 < sum(n > 5 for n in norms) < 6
    for pair, norm in zip(given, norms, strict=True):
        w = [a - RATE * g / (norm if norm > 5 else 1) for a, g in zip(w, pair, strict=True)]
    close(variables, w)


def test_a_gradient_of_zeros_stays_zero_when_normalized():
    given = [(np.zeros((3, 4)), np.zeros(4))]
    w, variables = by_apply(optimizers.SGD(RATE, normalize_gradient=True), given)
    close(variables, w, atol=0)


@pytest.mark.parametrize("name", ["SGD", "Adam"])
def test_multipliers_scale_the_rate_and_the_decay_of_what_they_match(name):
    given = gradients(5)
    options = {"weight_decay": 0.1, "clipnorm": 1.0}
    multipliers = {"second": 0.25, "s": 0.0, "kernel": 0.5}
    made = getattr(optimizers, name)
    _, variables = by_apply(made(RATE, learning_rate_multipliers=multipliers, **options), given)
    for i, factor in ((0, 0.0), (1, 0.25)):  # "first_kernel" has an s, "second_bias" comes first
        _, alone = by_apply(made(RATE * factor, **options), given)
        close(variables[i : i + 1], [alone[i].numpy()], atol=0)


def test_multipliers_leave_a_common_norm_common():
    given = gradients(3)
    optimizer = optimizers.SGD(RATE, global_clipnorm=2.0, learning_rate_multipliers={"bias": 0.5})
    w, variables = by_apply(optimizer, given)
    for pair in given:
        factor = 2.0 / max(norm_of(pair), 2.0)
        w = [a - RATE * m * g * factor for a, g, m in zip(w, pair, (1, 0.5), strict=True)]
    close(variables, w)
    assert optimizer.global_clipnorm == 2.0


@pytest.mark.parametrize("name", ["SGD", "RMSprop"])
def test_proximal_l1_makes_exact_zeros_of_kernels(name):
    made = getattr(optimizers, name)
    given = gradients(8, seed=4)
    schedule = schedules.ExponentialDecay(RATE, 1, 0.75)
    w, variables = by_apply(made(schedule, proximal_l1=4.0), given)
    values = [densa.Variable(a, dtype="float64") for a in w]
    plain = made(schedule)
    for step, pair in enumerate(given):
        plain.apply([densa.ops.convert_to_tensor(g) for g in pair], values)
        kernel, by = values[0].numpy(), RATE * 0.75**step * 4.0
        values[0].assign(np.sign(kernel) * np.maximum(np.abs(kernel) - by, 0))
    close(variables, [v.numpy() for v in values])
    assert 0 < np.count_nonzero(variables[0].numpy() == 0) < 12
    assert np.count_nonzero(variables[1].numpy()) == 4  # one axis: left alone


@pytest.mark.parametrize("every", [None, 3])
def test_averages_follow_keras(every):
    given = gradients(7)
    optimizer = optimizers.SGD(
        RATE,
        use_ema=True,
        ema_momentum=0.8,
        ema_overwrite_frequency=2,
        gradient_accumulation_steps=every,
    )
    w, variables = by_apply(optimizer, given)
    average, kept = [a.copy() for a in w], [np.zeros_like(a) for a in w]
    for raw, pair in enumerate(given):
        iterations = raw // (every or 1)
        kept = [k + g for k, g in zip(kept, pair, strict=True)]
        if (raw + 1) % (every or 1) == 0:
            w = [a - RATE * k / (every or 1) for a, k in zip(w, kept, strict=True)]
            kept = [np.zeros_like(k) for k in kept]
        m = 0.8 if iterations else 0.0
        average = [m * a + (1 - m) * b for a, b in zip(average, w, strict=True)]
        if (iterations + 1) % 2 == 0:
            w = [a.copy() for a in average]
    close(variables, w)
    optimizer.finalize_variable_values(variables)
    close(variables, average)


def test_report_has_the_norm_before_limits_and_the_share_that_was_limited():
    given = gradients(6)
    norms = np.array([norm_of(pair) for pair in given])
    limit = float(np.median(norms))
    optimizer = optimizers.SGD(RATE, global_clipnorm=limit, report_gradient_norm=True)
    by_apply(optimizer, given)
    logs = optimizer.report.logs()
    assert logs["gradient_norm"] == pytest.approx(norms.mean())
    assert logs["clipped_share"] == np.mean(norms > limit) == 0.5
    for option, clipped in (
        ({"clipnorm": 1e-3}, 1.0),
        ({"clipnorm": 1e3}, 0.0),
        ({"clipvalue": 1e-3}, 1.0),
        ({"normalize_gradient": True}, 1.0),
        ({}, 0.0),
    ):
        optimizer = optimizers.SGD(RATE, report_gradient_norm=True, **option)
        by_apply(optimizer, given)
        assert optimizer.report.logs()["clipped_share"] == clipped
        assert optimizer.report.last == pytest.approx(norms[-1])


def model_of(optimizer, eager, **compiled):
    densa.utils.set_random_seed(5)
    model = densa.Sequential(
        [
            densa.Input((5,)),
            layers.Dense(8, "tanh", name="hidden", kernel_constraint=compiled.pop("bound", None)),
            layers.Dropout(0.25),
            layers.Dense(1, name="head"),
        ]
    )
    model.compile(optimizer, "mse", run_eagerly=eager, **compiled)
    return model


OPTIONS = {
    "ema": {"use_ema": True, "ema_momentum": 0.9, "ema_overwrite_frequency": 4},
    "accumulation": {"gradient_accumulation_steps": 3},
    "normalized": {"normalize_gradient": True},
    "above": {"normalize_above": 0.5},
    "l1": {"proximal_l1": 0.5},
    "multipliers": {"learning_rate_multipliers": {"hidden": 0.1}},
    "report": {"report_gradient_norm": True, "global_clipnorm": 1.0},
}


@pytest.mark.parametrize("name", OPTIONS)
def test_fit_natively_equals_fit_op_by_op(name):
    rng = np.random.default_rng(1)
    x = rng.standard_normal((50, 5)).astype("f4")
    y = (x[:, :1] - x[:, 1:2]).astype("f4")
    models, histories = [], []
    for eager in (False, True):
        model = model_of(optimizers.Adam(0.01, weight_decay=0.01, **OPTIONS[name]), eager)
        histories.append(model.fit(x, y, 8, 3, 0).history)
        models.append(model)
    text = models[0].explain_plan()
    assert "the plan gives gradients" in text
    assert "run op by op" not in text
    for a, b in zip(models[0].get_weights(), models[1].get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=2e-5)
    for key, values in histories[1].items():
        np.testing.assert_allclose(histories[0][key], values, rtol=1e-4)
    if name == "report":
        assert set(histories[0]) == {"loss", "gradient_norm", "clipped_share"}


def test_constraints_and_own_formulas_train_natively():
    class Descent(optimizers.Optimizer):
        def update_step(self, gradient, variable, learning_rate):
            variable.assign(variable - learning_rate * gradient)

    x = np.random.default_rng(1).standard_normal((50, 5)).astype("f4")
    weights = []
    for eager in (False, True):
        model = model_of(Descent(0.1), eager, bound=densa.constraints.MaxNorm(0.5))
        model.fit(x, x[:, :1] * 4, 8, 2, 0)
        norms = np.linalg.norm(model.get_weights()[0], axis=0)
        assert norms.max() <= 0.5 + 1e-5
        assert norms.max() > 0.49
        weights.append(model.get_weights())
    for a, b in zip(*weights, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-5)


def test_gradients_by_the_plan_give_the_bits_of_the_fused_step():
    x = np.random.default_rng(1).standard_normal((50, 5)).astype("f4")
    weights = []
    for option in ({}, {"report_gradient_norm": True}):
        model = model_of(optimizers.Adam(0.01, **option), False)
        model.fit(x, x[:, :1], 8, 3, 0)
        weights.append(model.get_weights())
    for a, b in zip(*weights, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("eager", [False, True], ids=["plan", "eager"])
def test_reports_reach_batch_hooks_and_start_anew_with_each_epoch(eager):
    seen = []
    hook = densa.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: seen.append((batch, logs["gradient_norm"]))
    )
    x = np.random.default_rng(1).standard_normal((24, 5)).astype("f4")
    model = model_of(optimizers.SGD(0.0, report_gradient_norm=True), eager)
    history = model.fit(x, x[:, :1], 8, 2, 0, shuffle=False, callbacks=[hook])
    assert [batch for batch, _ in seen] == [0, 1, 2] * 2
    assert history.history["gradient_norm"] == [seen[2][1], seen[5][1]]
    assert "gradient_norm" not in model.evaluate(x, x[:, :1], verbose=0, return_dict=True)
    assert np.ndim(model.train_on_batch(x, x[:, :1])) == 0


@pytest.mark.parametrize("eager", [False, True], ids=["plan", "eager"])
def test_options_work_in_float16_with_a_loss_scale(eager):
    with (
        densa.config.dtype_policy_scope("mixed_float16")
        if hasattr(densa.config, "dtype_policy_scope")
        else policy("mixed_float16")
    ):
        model = model_of(optimizers.SGD(0.05, use_ema=True, proximal_l1=0.01), eager)
    x = np.random.default_rng(1).standard_normal((64, 5)).astype("f4")
    losses = model.fit(x, x[:, :1], 8, 8, 0).history["loss"]
    assert losses[-1] < 0.6 * losses[0]
    assert int(model.optimizer.iterations) == 64


class policy:
    def __init__(self, name):
        self.name = name

    def __enter__(self):
        densa.config.set_dtype_policy(self.name)

    def __exit__(self, *args):
        densa.config.set_dtype_policy(None)


def test_options_survive_configuration_and_files(tmp_path):
    options = {k: v for o in OPTIONS.values() for k, v in o.items()}
    options.pop("normalize_above")
    options.pop("global_clipnorm")
    model = model_of(optimizers.Adam(0.01, **options), False)
    x = np.random.default_rng(1).standard_normal((48, 5)).astype("f4")
    model.fit(x, x[:, :1], 8, 1, 0)
    model.save(tmp_path / "model.densa")
    again = densa.models.load_model(tmp_path / "model.densa")
    for key, value in options.items():
        assert getattr(again.optimizer, key) == value
    for a, b in zip(again.optimizer.variables, model.optimizer.variables, strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())
    assert "proximal_l1" not in optimizers.SGD().get_config()


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"normalize_above": 0.0}, ValueError, "above 0"),
        ({"normalize_above": 1.0, "clipnorm": 1.0}, ValueError, "Only one of"),
        ({"normalize_gradient": True, "clipvalue": 1.0}, ValueError, "Only one of"),
        ({"proximal_l1": -1.0}, ValueError, "proximal_l1"),
        ({"proximal_l1": "1"}, TypeError, "proximal_l1"),
        ({"learning_rate_multipliers": 0.5}, TypeError, "must map"),
        ({"learning_rate_multipliers": {"(": 0.5}}, ValueError, "no regular expression"),
        ({"learning_rate_multipliers": {"a": -0.5}}, ValueError, r"\['a'\]"),
        ({"gradient_accumulation_steps": 1}, ValueError, "at least 2"),
        ({"gradient_accumulation_steps": 2.5}, TypeError, "gradient_accumulation_steps"),
        ({"ema_overwrite_frequency": True}, ValueError, "ema_overwrite_frequency"),
        ({"weight_decay_excluded": "bias"}, TypeError, "list of regular"),
        ({"weight_decay_excluded": ["("]}, ValueError, "no regular expression"),
        ({"proximal_l2": 1.0}, ValueError, "proximal_l1"),
    ],
)
def test_bad_options_are_refused(arguments, error, message):
    with pytest.raises(error, match=message):
        optimizers.SGD(0.1, **arguments)


@pytest.mark.parametrize("eager", [False, True], ids=["plan", "eager"])
def test_what_weight_decay_leaves_out_is_saved(tmp_path, eager):
    model = model_of(optimizers.SGD(0.5, weight_decay=0.1), eager)
    head = model.layers[-1]
    model.optimizer.exclude_from_weight_decay(var_list=[head.kernel], var_names=["bias"])
    x = np.zeros((8, 5), "f4")
    model.save(tmp_path / "model.densa")
    again = densa.models.load_model(tmp_path / "model.densa")
    again.run_eagerly = eager
    for made in (model, again):
        before = made.get_weights()
        made.fit(x, np.zeros((8, 1), "f4"), 8, 1, 0)
        after = made.get_weights()
        np.testing.assert_allclose(after[0], before[0] * 0.95, rtol=1e-6)
        np.testing.assert_array_equal(after[2], before[2])
    made = optimizers.get(optimizers.serialize(optimizers.SGD(weight_decay_excluded=["a$"])))
    assert made.weight_decay_excluded == ["a$"]


def test_iterations_can_be_set_while_gradients_are_accumulated():
    optimizer = optimizers.SGD(0.1, gradient_accumulation_steps=3)
    optimizer.iterations = 4
    assert int(optimizer.iterations) == 4


@pytest.mark.parametrize("option", [{"normalize_gradient": True}, {"normalize_above": 1e-40}])
@pytest.mark.parametrize("size", [1e30, 1.0, 1e-30])
def test_normalized_gradients_of_any_size(option, size):
    """Their squares are beyond float32 at both ends."""
    v = densa.Variable(np.zeros(2, "float32"))
    optimizer = densa.optimizers.SGD(1.0, **option)
    optimizer.apply([densa.asarray(np.array([3 * size, 4 * size], "float32"))], [v])
    np.testing.assert_allclose(np.asarray(v), [-0.6, -0.8], rtol=1e-6)
