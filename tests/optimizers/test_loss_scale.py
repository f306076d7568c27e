"""Scaled losses, by a constant and by LossScaleOptimizer, in native and in eager training."""

import copy

import numpy as np
import pytest

import densa
from densa import layers as L
from densa.optimizers import SGD, Adam, LossScaleOptimizer

RNG = np.random.default_rng(3)
X = RNG.standard_normal((64, 9)).astype("float32")
Y = RNG.standard_normal((64, 2)).astype("float32")


def trained(optimizer, eager, x=X, epochs=2):
    densa.utils.set_random_seed(4)
    model = densa.Sequential([L.Input((9,)), L.Dense(17, "relu"), L.Dense(2)])
    model.compile(optimizer, "mse", run_eagerly=eager)
    model.fit(x, Y, batch_size=16, epochs=epochs, shuffle=False, verbose=0)
    return model


@pytest.mark.parametrize("eager", [False, True])
@pytest.mark.parametrize(
    "make",
    [
        lambda: SGD(0.1, momentum=0.9),
        lambda: Adam(0.01),
        lambda: SGD(0.1, global_clipnorm=0.5),
        lambda: SGD(0.1, clipnorm=0.1),
        lambda: SGD(0.1, clipvalue=0.01),
        lambda: Adam(densa.optimizers.schedules.ExponentialDecay(0.01, 3, 0.5)),
    ],
)
def test_the_scale_leaves_no_trace(make, eager):
    # A power of two: nothing is rounded otherwise.
    plain = trained(make(), eager)
    scaled = trained(LossScaleOptimizer(make(), initial_scale=1024.0), eager)
    for a, b in zip(plain.get_weights(), scaled.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-7)
    assert int(scaled.optimizer.iterations) == 8


@pytest.mark.parametrize("eager", [False, True])
@pytest.mark.parametrize("clip", [{}, {"clipnorm": 0.5}, {"global_clipnorm": 0.5}])
def test_a_step_that_overflows_changes_nothing_but_the_scale(eager, clip):
    x = X.copy()
    x[16:32] = 3e38  # the second batch
    optimizer = LossScaleOptimizer(Adam(0.01, **clip), initial_scale=256.0)
    with_bad = trained(optimizer, eager, x, epochs=1)
    assert all(np.isfinite(w).all() for w in with_bad.get_weights())
    assert optimizer.dynamic_scale == 128.0
    assert int(optimizer._good_steps.numpy()) == 2  # batches 3 and 4
    slots = [v.numpy() for v in optimizer.inner_optimizer.variables[2:]]
    assert all(np.isfinite(v).all() for v in slots)

    skipped = trained(SGD(0.1), eager, X[16:17].repeat(64, axis=0), epochs=0).get_weights()
    only_bad = trained(LossScaleOptimizer(SGD(0.1)), eager, np.full_like(X, 3e38), epochs=1)
    for a, b in zip(skipped, only_bad.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert only_bad.optimizer.dynamic_scale == 2.0**15 / 2**4


@pytest.mark.parametrize("eager", [False, True])
def test_good_steps_in_a_row_double_the_scale(eager):
    optimizer = LossScaleOptimizer(SGD(0.01), initial_scale=8.0, dynamic_growth_steps=3)
    trained(optimizer, eager)  # 8 steps
    assert optimizer.dynamic_scale == 32.0
    assert int(optimizer._good_steps.numpy()) == 2


CLIPS = [{}, {"clipvalue": 0.01}, {"clipnorm": 0.1}, {"global_clipnorm": 0.5}]


@pytest.mark.parametrize("clip", CLIPS, ids=str)
@pytest.mark.parametrize("make", [SGD, Adam, densa.optimizers.Lion])
@pytest.mark.parametrize("factor", [0.25, 1024.0, 3.0])
def test_a_constant_factor_in_plans_and_op_by_op(factor, make, clip):
    native = trained(make(0.01, loss_scale_factor=factor, **clip), False)
    assert "op by op" not in native.explain_plan()
    if factor != 3.0:  # powers of two round nothing otherwise
        plain = trained(make(0.01, **clip), False)
        for a, b in zip(plain.get_weights(), native.get_weights(), strict=True):
            np.testing.assert_array_equal(a, b)
    if make is not densa.optimizers.Lion:  # whose steps are signs: roundings show
        eager = trained(make(0.01, loss_scale_factor=factor, **clip), True)
        for a, b in zip(eager.get_weights(), native.get_weights(), strict=True):
            np.testing.assert_allclose(b, a, rtol=2e-5, atol=2e-6)
        assert int(native.optimizer.iterations) == int(eager.optimizer.iterations) == 8


@pytest.mark.parametrize("clip", CLIPS[1:], ids=str)
def test_limits_hold_for_what_the_factor_was_taken_off(clip):
    """A loss in a straight line: the step is the limit, whatever the factor."""

    def step(factor):
        densa.utils.set_random_seed(4)
        model = densa.Sequential([L.Input((9,)), L.Dense(2, use_bias=False)])
        model.compile(SGD(1.0, loss_scale_factor=factor, **clip), lambda t, p: p * 1e3)
        before = model.get_weights()[0]
        model.train_on_batch(X[:16], Y[:16])
        return before - model.get_weights()[0]

    moved = step(100.0)
    np.testing.assert_allclose(moved, step(None), rtol=1e-5, atol=1e-6)
    if "clipvalue" in clip:
        np.testing.assert_allclose(np.abs(moved), 0.01, rtol=1e-3)
    else:
        np.testing.assert_allclose(np.linalg.norm(moved), *clip.values(), rtol=1e-5)


def test_a_constant_factor_that_changes_acts_from_the_next_fit_on():
    model = trained(SGD(0.1), False, epochs=1)
    model.optimizer.loss_scale_factor = 4.0
    model.fit(X, Y, batch_size=16, shuffle=False, verbose=0)
    plain = trained(SGD(0.1), False, epochs=2)
    for a, b in zip(plain.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert len(model._runner("train")._plans) == 2


def test_logs_are_those_of_the_loss_itself():
    def logs(factor):
        densa.utils.set_random_seed(4)
        model = densa.Sequential([L.Input((9,)), L.Dense(2)])
        model.compile(SGD(0.1, loss_scale_factor=factor), "mse", metrics=["mae"])
        return model.fit(X, Y, batch_size=16, shuffle=False, verbose=0).history

    assert logs(64.0) == logs(None)


def test_a_constant_factor_lets_small_gradients_survive_in_float16():
    def moved(factor):
        densa.config.set_dtype_policy("mixed_float16")
        try:
            densa.utils.set_random_seed(1)
            model = densa.Sequential([L.Input((9,)), L.Dense(2)])
            before = model.get_weights()
            optimizer = SGD(1e6, loss_scale_factor=factor)
            model.compile(optimizer, lambda t, p: p * 2e-9, auto_scale_loss=False)
            model.train_on_batch(X, Y)
            return np.abs(model.get_weights()[0] - before[0]).max()
        finally:
            densa.config.set_dtype_policy(None)

    assert moved(None) == 0
    assert moved(2.0**15) > 0


@pytest.mark.parametrize("factor", [0, 0.0, -2.0, float("nan"), float("inf")])
def test_constant_factors_out_of_range(factor):
    with pytest.raises(ValueError, match="`loss_scale_factor`"):
        SGD(0.1, loss_scale_factor=factor)


def test_a_constant_factor_that_is_no_number():
    with pytest.raises(TypeError, match="`loss_scale_factor` must be a number"):
        SGD(0.1, loss_scale_factor="large")


def test_the_scale_stays_finite():
    optimizer = LossScaleOptimizer(SGD(0.0), initial_scale=2.0**127, dynamic_growth_steps=1)
    w = densa.Variable([1.0])
    optimizer.apply([densa.asarray(np.zeros(1, "float32"))], [w])
    assert optimizer.dynamic_scale == 2.0**127


@pytest.mark.parametrize("auto", [True, False])
def test_compile_puts_it_around_the_optimizer_of_float16(auto):
    densa.config.set_dtype_policy("mixed_float16")
    try:
        model = densa.Sequential([L.Input((9,)), L.Dense(2, dtype="float32")])
        model.compile("adam", "mse", auto_scale_loss=auto)
        assert isinstance(model.optimizer, LossScaleOptimizer) is auto
        own = LossScaleOptimizer(SGD(0.1))
        model.compile(own, "mse")
        assert model.optimizer is own
    finally:
        densa.config.set_dtype_policy(None)
    model = densa.Sequential([L.Input((9,)), L.Dense(2)])
    model.compile("adam", "mse")
    assert isinstance(model.optimizer, Adam)


def test_small_gradients_survive_in_float16():
    # dz is about 2e-9, less than half of the smallest float16, 6e-8.
    def moved(auto):
        densa.config.set_dtype_policy("mixed_float16")
        try:
            densa.utils.set_random_seed(1)
            model = densa.Sequential([L.Input((9,)), L.Dense(2)])
            before = model.get_weights()
            model.compile(SGD(1e6), lambda t, p: p * 2e-9, auto_scale_loss=auto)
            model.train_on_batch(X, Y)
            return np.abs(model.get_weights()[0] - before[0]).max()
        finally:
            densa.config.set_dtype_policy(None)

    assert moved(False) == 0
    assert moved(True) > 0


def test_state_is_saved_and_copied(tmp_path):
    optimizer = LossScaleOptimizer(
        SGD(0.01, momentum=0.5), initial_scale=8.0, dynamic_growth_steps=3
    )
    model = trained(optimizer, False)
    model.save(tmp_path / "model.densa")
    back = densa.models.load_model(tmp_path / "model.densa").optimizer
    assert isinstance(back, LossScaleOptimizer)
    for one in (back, copy.deepcopy(optimizer)):
        assert one.dynamic_scale == 32.0
        assert one.dynamic_growth_steps == 3
        assert float(one.learning_rate) == pytest.approx(0.01)
        for a, b in zip(optimizer.variables, one.variables, strict=True):
            np.testing.assert_array_equal(a.numpy(), b.numpy())


def test_the_rate_is_the_inner_optimizers():
    inner = SGD(0.5)
    optimizer = LossScaleOptimizer(inner)
    optimizer.learning_rate = 0.25
    assert float(inner.learning_rate) == float(optimizer.learning_rate) == 0.25


def test_errors():
    with pytest.raises(ValueError, match="must be an Optimizer"):
        LossScaleOptimizer("sgd")
    with pytest.raises(ValueError, match="put around"):
        densa.optimizers.get("LossScaleOptimizer")
    with pytest.raises(ValueError, match="scales the loss itself"):
        LossScaleOptimizer(SGD(0.1, loss_scale_factor=2.0))
    with pytest.raises(ValueError, match="initial_scale"):
        LossScaleOptimizer(SGD(0.1), initial_scale=0)
    with pytest.raises(ValueError, match="dynamic_growth_steps"):
        LossScaleOptimizer(SGD(0.1), dynamic_growth_steps=0)
    with pytest.raises(ValueError, match="not recognized"):
        LossScaleOptimizer(SGD(0.1), scale=1)
    with pytest.raises(ValueError, match="build"):
        LossScaleOptimizer(SGD(0.1)).apply([densa.asarray(np.zeros(1))])
