"""Rates, state, configuration and errors of optimizers."""

from __future__ import annotations

from inspect import signature

import numpy as np
import pytest

import densa
from densa import optimizers
from densa.optimizers import schedules

ALL = [
    *("SGD", "RMSprop", "Adagrad", "Adadelta", "Adam", "AdamW", "Adamax", "Nadam", "Lion"),
    *("Ftrl", "Lamb", "Adafactor", "Muon", "ScheduleFreeAdamW"),
]


def tensor(*values):
    return densa.ops.convert_to_tensor(np.asarray(values, np.float64))


@pytest.mark.parametrize("rate", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", ALL)
def test_rates_that_are_not_finite_are_refused(name, rate):
    make = getattr(optimizers, name)
    with pytest.raises(ValueError, match="learning_rate must be a finite number; received"):
        make(learning_rate=rate)
    optimizer = make(learning_rate=0.5)
    with pytest.raises(ValueError, match="learning_rate must be a finite number; received"):
        optimizer.learning_rate = rate
    assert float(optimizer.learning_rate) == 0.5


def test_rate_can_be_read_and_set():
    optimizer = optimizers.Adam(learning_rate=0.001)
    assert float(optimizer.learning_rate) == 0.001
    optimizer.learning_rate = 0.25
    assert float(optimizer.learning_rate) == 0.25
    w = densa.Variable(np.zeros(1), dtype="float64")
    sgd = optimizers.SGD(1.0)
    sgd.learning_rate = 0.5
    sgd.apply([tensor(1.0)], [w])
    assert w.numpy() == [-0.5]


def test_schedule_gives_the_rate_of_each_step():
    schedule = schedules.ExponentialDecay(1.0, 1, 0.5)
    optimizer = optimizers.SGD(schedule)
    w = densa.Variable(np.zeros(1), dtype="float64")
    moves = []
    for _ in range(4):
        before = float(w.numpy()[0])
        assert float(optimizer.learning_rate) == 0.5 ** int(optimizer.iterations)
        optimizer.apply([tensor(1.0)], [w])
        moves.append(before - float(w.numpy()[0]))
    assert moves == [1.0, 0.5, 0.25, 0.125]
    with pytest.raises(TypeError, match="LearningRateSchedule"):
        optimizer.learning_rate = 0.1


def test_a_function_gives_the_rate():
    optimizer = optimizers.SGD(lambda: 0.25)
    w = densa.Variable(np.zeros(1), dtype="float64")
    optimizer.apply([tensor(1.0)], [w])
    assert w.numpy() == [-0.25]


@pytest.mark.parametrize("name", ALL)
def test_names_and_configuration(name):
    optimizer = optimizers.get(name.lower())
    assert type(optimizer).__name__ == name
    config = optimizer.get_config()
    again = type(optimizer).from_config(config)
    assert again.get_config() == config
    data = optimizers.serialize(optimizer)
    assert optimizers.deserialize(data).get_config() == config
    assert getattr(optimizers, name)(name="mine").name == "mine"


def test_schedule_survives_configuration():
    optimizer = optimizers.Adam(schedules.CosineDecay(0.1, 100, warmup_target=0.2, warmup_steps=10))
    again = optimizers.deserialize(optimizers.serialize(optimizer))
    for step in (0, 5, 10, 60, 500):
        assert again.rate_at(step) == optimizer.rate_at(step)


@pytest.mark.parametrize("name", ALL)
def test_state_continues_bit_for_bit(name):
    rng = np.random.default_rng(1)
    grads = rng.standard_normal((6, 2, 3))
    first = getattr(optimizers, name)(0.1)
    w = densa.Variable(np.ones((2, 3)), dtype="float64")
    for g in grads[:3]:
        first.apply([densa.ops.convert_to_tensor(g)], [w])
    store: dict[str, np.ndarray] = {}
    first.save_own_variables(store)
    kept = w.numpy()
    for g in grads[3:]:
        first.apply([densa.ops.convert_to_tensor(g)], [w])
    second = getattr(optimizers, name)(0.1)
    v = densa.Variable(kept, dtype="float64")
    second.build([v])
    second.load_own_variables(store)
    for g in grads[3:]:
        second.apply([densa.ops.convert_to_tensor(g)], [v])
    np.testing.assert_array_equal(v.numpy(), w.numpy())


def test_slots_have_keras_names_and_their_variables_shape():
    w = densa.Variable(np.ones((2, 3), np.float32), name="kernel")
    optimizer = optimizers.Adam()
    optimizer.build([w])
    names = [v.name for v in optimizer.variables]
    assert names == ["iteration", "learning_rate", "kernel_momentum", "kernel_velocity"]
    assert all(tuple(v.shape) == (2, 3) for v in optimizer.variables[2:])
    assert not any(v.trainable for v in optimizer.variables)


def test_load_of_another_state_warns_and_changes_nothing():
    w = densa.Variable(np.ones(2))
    optimizer = optimizers.Adam()
    optimizer.build([w])
    with pytest.warns(UserWarning, match="Skipping the state"):
        optimizer.load_own_variables({"0": np.int64(3)})
    assert int(optimizer.iterations) == 0


def test_custom_optimizer_and_custom_subclass():
    class Halving(optimizers.Optimizer):
        def update_step(self, gradient, variable, learning_rate):
            variable.assign(variable * 0.5)

    w = densa.Variable(np.ones(2), dtype="float64")
    Halving().apply([tensor(1.0, 1.0)], [w])
    np.testing.assert_array_equal(w.numpy(), [0.5, 0.5])

    class Backwards(optimizers.SGD):
        def update_step(self, gradient, variable, learning_rate):
            super().update_step(-gradient, variable, learning_rate)

    assert Backwards().fused_kind() is None
    assert optimizers.SGD().fused_kind() == "sgd"
    assert optimizers.AdamW().fused_kind() == "adamw"
    Backwards(1.0).apply([tensor(1.0, 1.0)], [w])
    np.testing.assert_array_equal(w.numpy(), [1.5, 1.5])


def test_custom_optimizer_in_keras_words():
    class Heavy(optimizers.Optimizer):
        def build(self, variables):
            if self.built:
                return
            super().build(variables)
            self.kept = [
                self.add_variable_from_reference(v, name="kept") for v in self._trainable_variables
            ]

        def update_step(self, gradient, variable, learning_rate):
            learning_rate = densa.ops.cast(learning_rate, variable.dtype)
            kept = self.kept[self._get_variable_index(variable)]
            self.assign(kept, kept * 0.5 + gradient)
            self.assign_sub(variable, learning_rate * kept)
            self.assign_add(variable, densa.ops.zeros_like(gradient))

    v, w = (densa.Variable(np.zeros(2), dtype="float64") for _ in range(2))
    optimizer = Heavy(learning_rate=0.25)
    for _ in range(2):
        optimizer.apply_gradients([(tensor(1.0, 1.0), v), (tensor(2.0, 4.0), w)])
    np.testing.assert_array_equal(v.numpy(), [-0.625, -0.625])
    np.testing.assert_array_equal(w.numpy(), [-1.25, -2.5])
    assert len(optimizer.variables) == 4


def test_deepcopy_keeps_the_state_apart():
    import copy

    w = densa.Variable(np.zeros(2), dtype="float64")
    optimizer = optimizers.SGD(1.0, momentum=0.5)
    optimizer.apply([tensor(1.0, 1.0)], [w])
    twin, v = copy.deepcopy((optimizer, w))
    twin.apply([tensor(1.0, 1.0)], [v])
    np.testing.assert_array_equal(w.numpy(), [-1.0, -1.0])
    np.testing.assert_array_equal(v.numpy(), [-2.5, -2.5])
    assert int(optimizer.iterations) == 1


@pytest.mark.parametrize(
    ("name", "argument"),
    [(name, beta) for name in ("Adam", "AdamW", "Adamax", "Nadam") for beta in ("beta_1", "beta_2")]
    + [("RMSprop", "rho"), ("RMSprop", "momentum"), ("Adadelta", "rho"), ("Lion", "beta_2")],
)
def test_decays_out_of_range_are_refused_at_once(name, argument):
    make = getattr(optimizers, name)
    for value in (-0.1, 1.0, 2.0):
        with pytest.raises(ValueError, match=f"`{argument}` must be at least 0 and less than 1"):
            make(**{argument: value})
    with pytest.raises(ValueError, match=f"{name}: `{argument}` must be a number, not NaN"):
        make(**{argument: float("nan")})
    with pytest.raises(TypeError, match=f"{name}: `{argument}` must be a number; received '0.9'"):
        make(**{argument: "0.9"})
    assert getattr(make(**{argument: 0}), argument) == 0


@pytest.mark.parametrize(
    "name", ["Adadelta", "Adagrad", "Adam", "AdamW", "Adamax", "Nadam", "RMSprop"]
)
def test_a_negative_epsilon_is_refused_at_once(name):
    with pytest.raises(ValueError, match=f"{name}: `epsilon` must be at least 0; received -1"):
        getattr(optimizers, name)(epsilon=-1)


@pytest.mark.parametrize(
    ("name", "argument", "value"),
    [
        ("SGD", "momentum", "0.9"),
        ("Lion", "beta_1", None),
        ("Adagrad", "initial_accumulator_value", "0"),
    ],
)
def test_what_is_no_number_is_refused_at_once(name, argument, value):
    with pytest.raises(
        TypeError, match=f"{name}: `{argument}` must be a number; received {value!r}"
    ):
        getattr(optimizers, name)(**{argument: value})
    with pytest.raises(ValueError, match=f"`{argument}` must"):
        getattr(optimizers, name)(**{argument: -1.0})


OUT_OF_RANGE = [
    ("SGD", "weight_decay", -0.1),
    ("SGD", "weight_decay", float("inf")),
    ("Adam", "weight_decay", "0.1"),
    ("SGD", "momentum", 2.0),
    ("SGD", "clipnorm", 0.0),
    ("SGD", "clipvalue", "1"),
    ("SGD", "global_clipnorm", float("nan")),
    ("Adam", "ema_momentum", 1.5),
    ("Adam", "ema_overwrite_frequency", 0),
    ("Adam", "gradient_accumulation_steps", 1),
    ("Adam", "loss_scale_factor", 0),
    ("Adam", "normalize_above", -1.0),
    ("Adam", "proximal_l1", -1.0),
    ("Adam", "learning_rate_multipliers", {"kernel": -1.0}),
    ("Adam", "learning_rate", -1.0),
    ("AdamW", "beta_1", 1.0),
    ("Lion", "beta_1", 0.0),
    ("RMSprop", "rho", 10**400),
    ("Adagrad", "initial_accumulator_value", -1),
    ("Ftrl", "learning_rate_power", 0.5),
    ("Ftrl", "l1_regularization_strength", -1.0),
    ("Lamb", "beta_1", 1.0),
    ("Lamb", "epsilon", float("inf")),
    ("Adafactor", "beta_2_decay", 0.1),
    ("Adafactor", "clip_threshold", 0.0),
    ("Muon", "ns_steps", 1.5),
    ("Muon", "momentum", 1.0),
    ("ScheduleFreeAdamW", "beta_1", 0.0),
    ("ScheduleFreeAdamW", "warmup_steps", -1),
]


@pytest.mark.parametrize(("name", "argument", "value"), OUT_OF_RANGE)
def test_numbers_are_checked_when_given_and_when_assigned(name, argument, value):
    make = getattr(optimizers, name)
    with pytest.raises((TypeError, ValueError), match=argument):
        make(**{argument: value})
    optimizer = make()
    before = getattr(optimizer, argument)
    with pytest.raises((TypeError, ValueError), match=argument):
        setattr(optimizer, argument, value)
    assert getattr(optimizer, argument) is before


NUMBERS = [
    (name, argument)
    for name in optimizers.__all__
    if isinstance(found := getattr(optimizers, name), type)
    and issubclass(found, optimizers.Optimizer)
    and found.__init__ is not optimizers.Optimizer.__init__
    for argument in getattr(found, "arguments", ())
    if isinstance(signature(found).parameters[argument].default, float)
]


@pytest.mark.parametrize(("name", "argument"), NUMBERS)
def test_every_number_of_every_optimizer_is_checked(name, argument):
    optimizer = getattr(optimizers, name)()
    for value in ("0.5", float("nan")):
        with pytest.raises((TypeError, ValueError), match=argument):
            setattr(optimizer, argument, value)


def test_a_second_limit_of_gradients_is_refused_when_assigned():
    optimizer = optimizers.SGD(clipnorm=1.0)
    optimizer.clipnorm = 2.0
    with pytest.raises(ValueError, match="Only one of"):
        optimizer.clipvalue = 1.0
    optimizer.clipnorm = None
    optimizer.clipvalue = 1.0
    optimizer.note = "attributes of your own stay free"
    assert optimizer.get_config()["clipvalue"] == 1.0


@pytest.mark.parametrize("scaled", [False, True])
def test_lr_is_the_old_name_of_learning_rate(scaled):
    inner = optimizers.SGD(0.1, momentum=0.5)
    optimizer = optimizers.LossScaleOptimizer(inner) if scaled else inner
    with pytest.warns(DeprecationWarning, match="use optimizer.learning_rate"):
        optimizer.lr = 0.25
    assert float(optimizer.learning_rate) == 0.25
    with pytest.warns(DeprecationWarning, match="use optimizer.learning_rate"):
        assert float(optimizer.lr) == 0.25
    optimizer.momentum = 0.9  # of the optimizer inside, where there is one
    assert inner.momentum == 0.9
    with pytest.raises(ValueError, match="momentum"):
        optimizer.momentum = 9


def test_errors():
    with pytest.raises(ValueError, match="Did you mean 'adam'"):
        optimizers.get("adan")
    with pytest.raises(ValueError, match="Only one of"):
        optimizers.SGD(clipnorm=1.0, clipvalue=1.0)
    with pytest.raises(ValueError, match="'clip_norm'.*Did you mean 'clipnorm'"):
        optimizers.SGD(clip_norm=1.0)
    with pytest.raises(ValueError, match="decay must be at least 0; received -0.1"):
        optimizers.SGD(decay=-0.1)
    with pytest.raises(ValueError, match="a schedule says itself how it changes"):
        optimizers.SGD(optimizers.schedules.CosineDecay(0.1, 10), decay=0.1)
    with pytest.raises(ValueError, match="momentum"):
        optimizers.SGD(momentum=2.0)
    with pytest.raises(ValueError, match="at least 0; received -0.1"):
        optimizers.SGD(-0.1)
    with pytest.raises(ValueError, match="weight_decay"):
        optimizers.AdamW(weight_decay=None)
    optimizer = optimizers.SGD()
    w = densa.Variable(np.ones(2), name="w")
    with pytest.raises(ValueError, match="No gradients provided"):
        optimizer.apply([None], [w])
    with pytest.raises(ValueError, match="one gradient per variable"):
        optimizer.apply([tensor(1.0, 1.0), tensor(1.0)], [w])
    with pytest.raises(ValueError, match=r"w has shape \(3,\); expected \(2,\)"):
        optimizer.apply([tensor(1.0, 2.0, 3.0)], [w])
    with pytest.raises(ValueError, match="Unknown variable"):
        optimizer.apply([tensor(1.0)], [densa.Variable(np.ones(1))])
    v = densa.Variable(np.ones(2), name="v")
    pair = optimizers.SGD()
    with pytest.warns(UserWarning, match="Gradients do not exist for variables"):
        pair.apply([tensor(1.0, 1.0), None], [v, w])
    np.testing.assert_array_equal(w.numpy(), [1.0, 1.0])


def test_schedules():
    assert schedules.ExponentialDecay(0.1, 10, 0.5, staircase=True)(19) == 0.05
    assert schedules.InverseTimeDecay(0.1, 1, 0.5)(2) == 0.05
    assert schedules.InverseTimeDecay(0.01, 1, 1e-4)(10000) == pytest.approx(0.005)
    linear = schedules.PolynomialDecay(0.1, 10, 0.02)
    assert linear(5) == pytest.approx(0.06)
    assert linear(50) == pytest.approx(0.02)
    assert schedules.PolynomialDecay(0.1, 10, 0.02, cycle=True)(15) == pytest.approx(0.04)
    warm = schedules.CosineDecay(0.0, 10, alpha=0.1, warmup_target=1.0, warmup_steps=4)
    assert [warm(s) for s in (0, 2, 4)] == [0.0, 0.5, 1.0]
    assert warm(9) == pytest.approx(0.55)
    assert warm(100) == pytest.approx(0.1)
    restarts = schedules.CosineDecayRestarts(1.0, 10, t_mul=2.0, m_mul=0.5)
    assert restarts(0) == 1.0
    assert restarts(5) == pytest.approx(0.5)
    assert restarts(10) == pytest.approx(0.5)
    assert restarts(20) == pytest.approx(0.25)
    assert restarts(30) == pytest.approx(0.25)
    piecewise = schedules.PiecewiseConstantDecay([5, 15], [0.01, 0.005, 0.001])
    assert [piecewise(s) for s in (0, 5, 6, 15, 16)] == [0.01, 0.01, 0.005, 0.005, 0.001]
    with pytest.raises(ValueError, match="one item more"):
        schedules.PiecewiseConstantDecay([5], [1.0])
    with pytest.raises(ValueError, match="decay_steps"):
        schedules.ExponentialDecay(0.1, 0, 0.5)
    for schedule in (linear, warm, restarts, piecewise):
        again = schedules.deserialize(schedules.serialize(schedule))
        assert [again(s) for s in range(40)] == [schedule(s) for s in range(40)]


def test_momentum_set_after_building_starts_from_zero():
    w = densa.Variable(np.zeros(1), dtype="float64")
    optimizer = optimizers.SGD(0.5)
    optimizer.apply([tensor(1.0)], [w])
    assert len(optimizer.variables) == 2
    optimizer.momentum = 0.9
    moves, before = [], w.numpy()
    for _ in range(3):
        optimizer.apply([tensor(1.0)], [w])
        moves.append(float((before - w.numpy())[0]))
        before = w.numpy()
    np.testing.assert_allclose(moves, [0.5, 0.95, 1.355], rtol=1e-12)
    assert [v.name for v in optimizer.variables[2:]] == [f"{w.name}_momentum"]
    with pytest.raises(ValueError, match=r"SGD keeps no state called 'velocity'.*'momentum'"):
        optimizer.slot(w, "velocity")


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("SGD", {"momentum": 0.9}),
        ("SGD", {"momentum": 0.9, "nesterov": True}),
        ("RMSprop", {"momentum": 0.5}),
        ("RMSprop", {"centered": True}),
        ("Adam", {"amsgrad": True}),
    ],
)
def test_arguments_that_need_more_state_can_be_set_after_a_fit(name, change):
    rng = np.random.default_rng(5)
    x, y = rng.standard_normal((24, 3)).astype("f4"), rng.standard_normal((24, 1)).astype("f4")
    found = []
    for eager in (False, True):
        densa.utils.set_random_seed(2)
        model = densa.Sequential([densa.Input((3,)), densa.layers.Dense(1)])
        model.compile(getattr(optimizers, name)(0.01), "mse", run_eagerly=eager)
        model.fit(x, y, batch_size=8, verbose=0, shuffle=False)
        for key, value in change.items():
            setattr(model.optimizer, key, value)
        model.fit(x, y, batch_size=8, epochs=2, verbose=0, shuffle=False)
        found.append(np.concatenate([w.ravel() for w in model.get_weights()]))
    np.testing.assert_allclose(*found, rtol=1e-5)  # float32, sums in another order
