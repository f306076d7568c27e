"""Rates that move: schedules in `fit`, their momentum, and what a plateau adds to them."""

from __future__ import annotations

import numpy as np
import pytest

import densa
from densa import callbacks, layers, optimizers
from densa.optimizers import schedules


def trained(optimizer, eager, extra=(), epochs=2):
    densa.utils.set_random_seed(3)
    model = densa.Sequential([densa.Input((3,)), layers.Dense(4, "tanh"), layers.Dense(1)])
    model.compile(optimizer, "mse", run_eagerly=eager)
    x = np.random.default_rng(0).standard_normal((40, 3)).astype("f4")
    history = model.fit(x, x[:, :1], 8, epochs, 0, callbacks=list(extra))
    return model, history


@pytest.mark.parametrize("eager", [False, True], ids=["plan", "eager"])
def test_one_cycle_moves_the_momentum_in_fit(eager):
    x = np.random.default_rng(0).standard_normal((40, 3)).astype("f4")
    cycle = schedules.OneCycle(0.1, 10)
    densa.utils.set_random_seed(3)
    model = densa.Sequential([densa.Input((3,)), layers.Dense(1)])
    w, b = (a.astype("f8") for a in model.get_weights())
    model.compile(optimizers.SGD(cycle, momentum=0.5), "mse", run_eagerly=eager)
    model.fit(x, x[:, :1] + 1, 8, 2, 0, shuffle=False)
    mw, mb = np.zeros_like(w), np.zeros_like(b)
    for step in range(10):
        part = x[step % 5 * 8 :][:8].astype("f8")
        error = part @ w + b - part[:, :1] - 1
        rate, momentum = cycle(step), cycle.momentum_at(step)
        mw = momentum * mw - rate * (part.T @ error * 2 / 8)
        mb = momentum * mb - rate * (error.mean(0) * 2)
        w, b = w + mw, b + mb
    np.testing.assert_allclose(model.get_weights()[0], w, rtol=0, atol=2e-6)
    np.testing.assert_allclose(model.get_weights()[1], b, rtol=0, atol=2e-6)
    assert model.optimizer.momentum == 0.5
    assert "run op by op" not in model.explain_plan() or eager


def test_momentum_of_a_cycle_takes_beta_1s_place_and_leaves_plain_sgd_alone():
    for made in (optimizers.Adam, optimizers.RMSprop, optimizers.SGD, optimizers.Nadam):
        optimizer = made(schedules.OneCycle(0.1, 10))
        w = densa.Variable(np.ones(2), dtype="float64")
        assert optimizer.can_fuse([w]) == (made is not optimizers.Adam)
    adam = optimizers.Adam(schedules.OneCycle(0.1, 10))
    adam.apply([densa.ops.convert_to_tensor(np.full(2, 3.0))], [w])
    np.testing.assert_allclose(adam.slot(w, "momentum").numpy(), 3.0 * 0.05, rtol=1e-12)
    assert adam.beta_1 == 0.9


@pytest.mark.parametrize("eager", [False, True], ids=["plan", "eager"])
def test_a_plateau_lowers_the_factor_of_a_schedule(eager):
    plateau = callbacks.ReduceLROnPlateau(
        monitor="loss", factor=0.5, patience=1, min_delta=1e9, min_lr=0.02
    )
    schedule = schedules.InverseTimeDecay(0.1, 5, 0.25)
    optimizer = optimizers.SGD(schedule)
    model, history = trained(optimizer, eager, [plateau], epochs=4)
    # The first epoch sets the best value; each later one lowers the rate at its end.
    expected = [0.1 / (1 + 0.25 * e) * f for e, f in ((1, 1), (2, 1), (3, 0.5), (4, 0.25))]
    assert history.history["learning_rate"][:3] == pytest.approx(expected[:3])
    # The third lowering would have gone below min_lr; the schedule itself goes on falling.
    assert optimizer.learning_rate_factor == pytest.approx(0.02 / (0.1 / 1.75))
    reference = trained(optimizers.SGD(schedule), eager, epochs=4)[0]
    assert any(
        (a != b).any() for a, b in zip(model.get_weights(), reference.get_weights(), strict=True)
    )


def test_the_factor_and_the_position_of_a_schedule_are_saved(tmp_path):
    optimizer = optimizers.SGD(schedules.PowerDecay(0.1, 3))
    model, _ = trained(optimizer, False)
    optimizer.learning_rate_factor = 0.25
    model.save(tmp_path / "model.densa")
    again = densa.models.load_model(tmp_path / "model.densa").optimizer
    assert int(again.iterations) == 10
    assert float(again.learning_rate) == float(optimizer.learning_rate)
    assert float(again.learning_rate) == pytest.approx(0.25 * 0.1 / (1 + 10 / 3))


def test_a_number_has_no_factor():
    optimizer = optimizers.SGD(0.5)
    assert optimizer.learning_rate_factor == 1.0
    with pytest.raises(TypeError, match="set `learning_rate` itself"):
        optimizer.learning_rate_factor = 0.5
    scaled = optimizers.LossScaleOptimizer(optimizers.SGD(schedules.PowerDecay(0.1, 3)))
    scaled.learning_rate_factor = 0.5
    assert scaled.inner_optimizer.learning_rate_factor == 0.5
    assert float(scaled.learning_rate) == 0.05


def test_a_schedule_of_epochs_in_a_callback():
    given = callbacks.LearningRateScheduler(schedules.PowerDecay(0.1, 2))
    _, history = trained(optimizers.SGD(0.1), False, [given], epochs=3)
    assert history.history["learning_rate"] == pytest.approx([0.1, 0.1 / 1.5, 0.05])


@pytest.mark.parametrize("eager", [False, True], ids=["plan", "eager"])
@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -0.1, None])
def test_a_schedule_that_gives_no_rate_is_named_before_the_step(bad, eager):
    class Odd(schedules.LearningRateSchedule):
        def __call__(self, step):
            return 0.1 if step < 2 else bad

    densa.utils.set_random_seed(3)
    model = densa.Sequential([densa.Input((3,)), layers.Dense(1)])
    model.compile(optimizers.SGD(Odd()), "mse", run_eagerly=eager)
    x = np.ones((32, 3), "f4")
    with pytest.raises(ValueError, match=f"SGD: Odd gave no .*update 2 .*{bad}"):
        model.fit(x, x[:, :1], 8, verbose=0)
    assert all(np.isfinite(w).all() for w in model.get_weights())
    model.compile(optimizers.SGD(lambda: bad), "mse")
    with pytest.raises(ValueError, match="<lambda> gave no"):
        model.fit(x, x[:, :1], 8, verbose=0)


def test_patterns_of_no_variable_are_told():
    model = densa.Sequential([densa.Input((3,)), layers.Dense(1, name="head")])
    for argument, hint in (
        ({"learning_rate_multipliers": {"haed/kernel": 0.1, "head": 1.0}}, "head/kernel"),
        ({"weight_decay_excluded": ["heda", "gamma", "head/bias"]}, "head"),
    ):
        optimizer = optimizers.AdamW(**argument)
        name = next(iter(argument))
        with pytest.warns(UserWarning, match=f"{name}: .*Did you mean '.*{hint}'") as seen:
            optimizer.build(model.trainable_variables)
        assert len(seen) == 1  # nothing of `gamma`, which other models have


@pytest.mark.parametrize("eager", [False, True], ids=["plan", "eager"])
def test_what_a_schedule_gives_behind_the_last_update_is_no_error(eager):
    class Falling(schedules.LearningRateSchedule):
        def __call__(self, step):
            return 0.1 - 0.01 * step if step < 6 else -1.0

    seen = []
    log = callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: seen.append(float(model.optimizer.learning_rate)),
        on_train_batch_end=lambda batch, logs: None,
    )
    model = densa.Sequential([densa.Input((3,)), layers.Dense(1)])
    x = np.ones((24, 3), "f4")
    for each, group in (([log], 1), ([log], 2), ([], 1)):
        model.compile(
            optimizers.SGD(Falling()), "mse", run_eagerly=eager, steps_per_execution=group
        )
        model.fit(x, x[:, :1], 8, 2, 0, callbacks=each)
    assert seen == pytest.approx([0.07, -1.0] * 2)
