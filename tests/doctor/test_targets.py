"""Outputs, losses and targets that do not go together, and what takes their place."""

from __future__ import annotations

import numpy as np
import pytest

import densa
from densa.callbacks import Doctor
from densa.doctor import RULES, Case, examine
from densa.doctor.case import best_constant_loss
from densa.doctor.finding import MEANINGS, table

L, losses = densa.layers, densa.losses
RNG = np.random.default_rng(4)
X = RNG.normal(size=(300, 5)).astype("float32")
LABEL = (X[:, 0] > 0).astype("int32") + (X[:, 1] > 0)
ONE_HOT = np.eye(3, dtype="float32")[LABEL]
SEVERAL = (X[:, :3] > 0).astype("float32")
YES = (X[:, :1] > 0).astype("float32")
NUMBER = X[:, :1] + X[:, 1:2] ** 2


def model_of(units, head, loss, optimizer="adam", **arguments):
    densa.utils.set_random_seed(3)
    layers = [L.Dense(16, "relu"), L.Dense(units, head, name="out")]
    model = densa.Sequential([densa.Input((5,)), *layers])
    model.compile(optimizer, loss, **arguments)
    return model


def found_in(model, y, name="head_and_loss", x=X):
    return next((f for f in model.diagnose(x, y) if f.id == name), None)


SPARSE, BINARY = losses.SparseCategoricalCrossentropy, losses.BinaryCrossentropy
WRONG = {
    "linear for classes": (3, None, "sparse_categorical_crossentropy", LABEL, "softmax"),
    "sigmoid for classes": (3, "sigmoid", "categorical_crossentropy", ONE_HOT, "softmax"),
    "softmax twice": (3, "softmax", SPARSE(from_logits=True), LABEL, "softmax"),
    "relu for logits": (3, "relu", SPARSE(from_logits=True), LABEL, "linear"),
    "classes as answers": (3, "softmax", "binary_crossentropy", ONE_HOT, "softmax"),
    "answers as classes": (3, "softmax", "binary_crossentropy", SEVERAL, "sigmoid"),
    "linear for one answer": (1, None, "binary_crossentropy", YES, "sigmoid"),
    "tanh for one answer": (1, "tanh", BINARY(), YES, "sigmoid"),
    "softmax of one unit": (1, "softmax", "binary_crossentropy", YES, "sigmoid"),
    "classes of one unit": (1, "sigmoid", "categorical_crossentropy", YES, "sigmoid"),
    "sigmoid twice": (1, "sigmoid", BINARY(from_logits=True), YES, "sigmoid"),
    "sigmoid for numbers": (1, "sigmoid", "mse", NUMBER, "linear"),
    "tanh for numbers": (1, "tanh", "mae", NUMBER, "linear"),
    "relu for numbers": (1, "relu", losses.Huber(), NUMBER - 1, "linear"),
}
RIGHT = {
    "classes": (3, "softmax", "sparse_categorical_crossentropy", LABEL),
    "logits": (3, None, SPARSE(from_logits=True), LABEL),
    "answers": (3, "sigmoid", "binary_crossentropy", SEVERAL),
    "exclusive answers": (3, "sigmoid", "binary_crossentropy", ONE_HOT),
    "one answer": (1, "sigmoid", "binary_crossentropy", YES),
    "shares": (1, "sigmoid", "mse", YES),
    "counts": (1, "relu", "mse", np.floor(3 * np.abs(NUMBER))),
    "numbers": (1, None, "mse", NUMBER),
    "own activation": (1, lambda z: 1 / (1 + densa.ops.exp(-z)), "binary_crossentropy", YES),
    "own loss": (1, "sigmoid", lambda y, z: densa.ops.mean((y - z) ** 2, axis=-1), NUMBER),
    "signs": (1, "tanh", "hinge", 2 * YES - 1),
}


@pytest.mark.filterwarnings("ignore:.*one class only:SyntaxWarning")
@pytest.mark.parametrize("name", WRONG)
def test_an_output_that_does_not_go_with_the_loss(name):
    units, head, loss, y, wanted = WRONG[name]
    model = model_of(units, head, loss, metrics=["accuracy"])
    found = found_in(model, y)
    assert found is not None
    assert found.layer == "out"
    made = found.apply(model)
    assert made.layers[-1].activation is densa.activations.get(wanted)
    assert found_in(made, y) is None
    history = made.fit(X, y, epochs=8, verbose=0).history["loss"]
    assert history[-1] < history[0]


@pytest.mark.parametrize("name", RIGHT)
def test_outputs_that_go_with_the_loss(name):
    units, head, loss, y = RIGHT[name]
    assert found_in(model_of(units, head, loss), y) is None


def test_the_activation_may_be_a_layer_of_its_own():
    for last in (L.Activation("softmax"), L.Softmax()):
        model = densa.Sequential([densa.Input((5,)), L.Dense(1), last])
        model.compile("adam", "binary_crossentropy")
        made = found_in(model, YES).apply(model)
        assert made.layers[-1].activation is densa.activations.sigmoid
    scaled = densa.Sequential([densa.Input((5,)), L.Dense(1, "tanh"), L.Rescaling(10.0)])
    scaled.compile("adam", "mse")
    assert found_in(scaled, 5 * NUMBER) is None  # what comes behind may change everything


def test_outputs_of_a_graph_that_an_op_gives_are_not_judged():
    x = densa.Input((5,))
    model = densa.Model(x, 3.0 * L.Dense(1, "sigmoid")(x))
    model.compile("adam", "mse")
    assert found_in(model, 2 + YES / 2) is None
    inner = densa.Sequential([densa.Input((5,)), L.Dense(1, "sigmoid")])
    model = densa.Model(x, inner(x))
    model.compile("adam", "mse")
    assert found_in(model, 2 + YES / 2) is not None


def test_labels_that_begin_at_one_are_an_error_that_says_so():
    for call in ("fit", "diagnose"):
        with pytest.raises(ValueError, match="3"):
            getattr(model_of(3, "softmax", "sparse_categorical_crossentropy"), call)(X, LABEL + 1)


@pytest.mark.parametrize("optimizer", [densa.optimizers.Adam(0.01), "sgd"])
@pytest.mark.parametrize("loss", ["mse", "mae"])
@pytest.mark.parametrize(("scale", "offset"), [(3e3, 5e4), (2e-4, 0.0)])
def test_targets_far_from_size_one(optimizer, loss, scale, offset):
    y = scale * NUMBER + offset
    model = model_of(1, None, loss, optimizer)
    found = found_in(model, y, "unscaled_targets")
    assert found.evidence["mean"] == pytest.approx(y.mean(dtype="f8"), rel=1e-4)
    made = found.apply(model)
    assert found_in(made, y, "unscaled_targets") is None
    made.fit(X, y, epochs=40, verbose=0)
    error = np.abs(made.predict(X, verbose=0) - y).mean()
    assert error < 0.75 * np.abs(y - np.median(y)).mean()


def test_skewed_targets_are_told_of():
    long_tail = np.exp(2 * NUMBER) * 100
    assert "log(y)" in found_in(model_of(1, None, "mse"), long_tail, "unscaled_targets").change
    even = found_in(model_of(1, None, "mse"), 1000 + 100 * NUMBER, "unscaled_targets")
    assert "log(y)" not in even.change


def test_targets_of_size_one_and_large_ones_that_are_learnt_are_left_alone():
    assert found_in(model_of(1, None, "mse"), NUMBER, "unscaled_targets") is None
    case = Case(model_of(1, None, "mse"), loss=[9e5, 0.01], targets=1000 * NUMBER)
    assert "unscaled_targets" not in [f.id for f in examine(case)]


def test_a_model_whose_outputs_are_named_is_changed_by_hand():
    model = model_of(1, None, "mse", metrics={"out": "mae"})
    found = found_in(model, 1e4 * NUMBER, "unscaled_targets")
    with pytest.raises(ValueError, match="names of outputs.*Rescaling"):
        found.apply(model)


@pytest.mark.parametrize(
    ("loss", "y"),
    [
        ("mean_squared_error", NUMBER),
        ("mean_absolute_error", NUMBER),
        ("binary_crossentropy", YES),
        ("categorical_crossentropy", ONE_HOT),
    ],
)
def test_the_loss_of_the_best_constant(loss, y):
    y = y[:40].astype("f8")
    best = best_constant_loss(loss, y)
    function = losses.get(loss)

    def of(constant):
        return float(np.mean(function(y, np.tile(constant, (len(y), 1))).numpy()))

    grid = np.linspace(y.min(), y.max(), 801)[:, None]
    tried = grid if y.shape[1] == 1 else RNG.dirichlet(1 + 9 * y.mean(0), 4000)
    least = min(of(c) for c in tried)
    assert best <= least + 1e-5
    assert best == pytest.approx(least, rel=2e-3, abs=1e-4)


def test_chance_is_that_of_all_rows_where_they_are_sorted():
    order = np.argsort(LABEL)
    doctor = Doctor(1, verbose=0)
    model = model_of(3, "softmax", "sparse_categorical_crossentropy")
    model.fit(X[order], LABEL[order], epochs=6, shuffle=False, verbose=0, callbacks=[doctor])
    assert "divergence" not in [f.id for f in doctor.findings]
    assert "divergence" not in [f.id for f in model.diagnose(X[order], LABEL[order])]


def test_every_rule_says_what_is_wrong():
    assert set(MEANINGS) == {rule.__name__ for rule in RULES}
    model = model_of(1, None, "mse")
    found = found_in(model, 1e4 * NUMBER, "unscaled_targets")
    text = table([found])
    assert MEANINGS["unscaled_targets"] in text
    assert found.change in text
    assert "finding.apply(model)" in text
