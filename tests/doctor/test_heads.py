"""Remedies leave the activations of a model's outputs alone: they belong to the task."""

from __future__ import annotations

import numpy as np
import pytest

import densa
from densa.callbacks import Doctor
from densa.doctor import Case, examine, heads, units
from densa.training.probe import Series

L = densa.layers
LOW = densa.initializers.Constant(-9.0)


def compiled(model, loss="mse"):
    model.compile("adam", loss)
    return model


def sequential():
    hidden = [L.Dense(8, "sigmoid", name=f"h{i}") for i in range(4)]
    return densa.Sequential([densa.Input((4,)), *hidden, L.Dense(1, "sigmoid", name="out")])


def functional():
    """Two outputs, one with an activation and a scaling behind its weights; a tower inside."""
    x = densa.Input((4,))
    tower = densa.Sequential(
        [densa.Input((4,)), L.Dense(8, "sigmoid", name="h0"), L.Dense(8, name="h1"), L.ReLU()],
        name="tower",
    )
    h = L.Dense(8, "sigmoid", name="h2")(tower(x))
    one = L.Activation("tanh", name="out")(L.Dense(2, name="linear")(h))
    one = 3.0 * L.Rescaling(2.0, name="scale")(one)
    return densa.Model(x, [one, L.Dense(1, "relu", name="rates")(h)])


def tower_last():
    top = densa.Sequential(
        [densa.Input((8,)), L.Dense(8, "sigmoid", name="h1"), L.Dense(1, "tanh", name="out")]
    )
    return densa.Sequential([densa.Input((4,)), L.Dense(8, "sigmoid", name="h0"), top])


MODELS = {
    sequential: {"out"},
    functional: {"out", "linear", "scale", "rates"},
    tower_last: {"out"},
    lambda: densa.Sequential([L.Dense(8, "relu"), L.Dense(1, name="a"), L.ReLU(name="b")]): {
        "a",
        "b",
    },
}


@pytest.mark.parametrize("make", MODELS)
def test_the_layers_that_give_outputs(make):
    assert {layer.name for layer in heads.output_layers(make())} == MODELS[make]


def activations(model):
    return {
        x.name: getattr(x, "activation", None)
        for x in model._flatten_layers()
        if not x._own_layers()
    }


def case_of(rule, model):
    """A case in which the rule has something to say of any model."""
    case = Case(model, loss=[1.0], samples=Series([0], [0.01]))
    for layer in case.layers:
        layer.dead = 1.0
    made = [units.LayerHealth(x.name, "relu") for x in model._flatten_layers()]
    for i, layer in enumerate(made):
        layer.dead = 1.0 if rule is units.dead_units else 0.0
        layer.gradient_norm = [1e-9 if i == 0 else 1.0]
        layer.weight_norm, layer.saturated, layer.spread = [1.0], [1.0], [10.0**i]
        layer.nonfinite = [int(rule is units.non_finite)]
    case.layers, case.gradient_norms = made, [1e3]
    return case


RULES = [
    units.vanishing_gradients,
    units.dead_units,
    units.non_finite,
    units.saturation,
    units.exploding_gradients,
]


@pytest.mark.parametrize("make", [sequential, functional, tower_last])
@pytest.mark.parametrize("rule", RULES)
def test_remedies_keep_the_activations_of_outputs(rule, make):
    model = compiled(make())
    made = rule(case_of(rule, model)).apply(model)
    old, new = activations(model), activations(made)
    outputs = {layer.name for layer in heads.output_layers(model)}
    assert {name: new[name] for name in outputs} == {name: old[name] for name in outputs}
    if rule is units.vanishing_gradients:
        assert new["h0"] is densa.activations.silu


def test_what_an_output_begins_with_is_kept():
    prior = densa.initializers.Constant(-2.0)
    model = compiled(
        densa.Sequential(
            [
                densa.Input((4,)),
                L.Dense(8, "relu", bias_initializer=LOW),
                L.Dense(1, "sigmoid", kernel_initializer="zeros", bias_initializer=prior),
            ]
        )
    )
    for rule in (units.saturation, units.exploding_gradients, units.dead_units):
        case = case_of(rule, model)
        case.layers[-1].dead = 0.0
        made = rule(case).apply(model)
        np.testing.assert_array_equal(made.layers[-1].kernel, 0)
        np.testing.assert_array_equal(made.layers[-1].bias, -2)
        np.testing.assert_array_equal(made.layers[0].bias, 0)


def test_relu_layers_of_their_own_are_exchanged():
    dense = L.Dense(8, bias_initializer=LOW)
    model = compiled(densa.Sequential([densa.Input((4,)), dense, L.ReLU(name="r"), L.Dense(1)]))
    made = next(f for f in examined(model) if f.id == "dead_units").apply(model)
    assert made.layers[1].activation is densa.activations.leaky_relu
    assert made.layers[1].name == "r"
    np.testing.assert_array_equal(made.layers[0].bias, 0)


def examined(model, loss="mse"):
    x = np.random.default_rng(0).normal(size=(64, 4)).astype("float32")
    doctor = Doctor(1, verbose=0)
    compiled(model, loss).fit(x, np.abs(x[:, :1]), epochs=4, verbose=0, callbacks=[doctor])
    return doctor.findings


def test_a_dead_output_keeps_its_activation():
    model = densa.Sequential(
        [densa.Input((4,)), L.Dense(8, "tanh"), L.Dense(1, "relu", bias_initializer=LOW)]
    )
    found = next(f for f in examined(model) if f.id == "dead_units")
    assert "output" in found.change
    made = found.apply(model)
    assert made.layers[-1].activation is densa.activations.relu
    np.testing.assert_array_equal(made.layers[-1].bias, 0)
    assert float(made.optimizer.learning_rate) == pytest.approx(1e-4)


class Odd(densa.Model):
    """Its layers are held in another order than they are called in."""

    def __init__(self, activation="sigmoid"):
        super().__init__()
        self.head = L.Dense(1, activation, name="head")
        wide = densa.initializers.RandomNormal(stddev=30.0)
        self.hidden = L.Dense(8, "tanh", kernel_initializer=wide, name="hidden")

    def call(self, x):
        return self.head(self.hidden(x))


@pytest.mark.parametrize("activation", ["sigmoid", None])
def test_the_outputs_of_a_subclass_are_seen_while_it_runs(activation):
    model = Odd(activation)
    found = {f.id: f for f in examined(model)}
    assert found["saturation"].layer == "hidden"
    with pytest.raises(ValueError, match="by hand"):
        found["saturation"].apply(model)


def test_hidden_layers_inside_a_subclass_are_changed_by_hand():
    inside = Odd()
    model = densa.Sequential([densa.Input((4,)), L.Dense(8, "tanh"), inside, L.Dense(1)])
    rule = units.vanishing_gradients
    with pytest.raises(ValueError, match=r"not inside a subclass.*by hand"):
        rule(case_of(rule, compiled(model))).apply(model)


def test_several_outputs_of_one_unit_are_no_bottleneck():
    x = densa.Input((4,))
    h = L.Dense(8, "relu")(x)
    model = compiled(densa.Model(x, [L.Dense(1)(h), L.Dense(1)(h)]))
    assert examine(Case(model, loss=[1.0] * 9)) == []


@pytest.mark.parametrize("scale", [6.0, 30.0])
def test_an_explosion_is_found_though_the_output_is_flat(scale):
    densa.utils.set_random_seed(1)
    wide = densa.initializers.VarianceScaling(scale, "fan_in")
    hidden = [L.Dense(16, "relu", kernel_initializer=wide) for _ in range(7)]
    model = densa.Sequential([densa.Input((4,)), *hidden, L.Dense(1, "sigmoid")])
    model.compile("adam", "binary_crossentropy")
    x = np.random.default_rng(0).normal(size=(64, 4)).astype("float32")
    y = (x[:, :1] > 0).astype("float32")
    found = [f.id for f in model.diagnose(x, y)]
    assert "exploding_gradients" in found
