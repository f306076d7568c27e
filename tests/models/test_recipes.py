"""`mlp`: the tables' settings, their reasons, and that they train; initializers by activation."""

from __future__ import annotations

import numpy as np
import pytest

import densa
from densa import initializers, layers

RNG = np.random.default_rng(2)
X = RNG.standard_normal((120, 6)).astype("f4")
LABELS = (X[:, 0] > 0).astype(int) + (X[:, 1] > 0)


def kinds(model):
    return [type(layer).__name__ for layer in model.layers]


def names_of(model):
    """(initializer, activation) of each dense layer."""
    return [
        (type(layer.kernel_initializer).__name__, densa.activations.serialize(layer.activation))
        for layer in model.layers
        if isinstance(layer, layers.Dense)
    ]


def test_default_shallow_and_deep():
    shallow = densa.models.mlp(6, 2, (30, 20))
    assert kinds(shallow) == ["Dense"] * 3
    assert names_of(shallow) == [
        ("HeNormal", "relu"),
        ("HeNormal", "relu"),
        ("GlorotUniform", "linear"),
    ]
    assert isinstance(shallow.optimizer, densa.optimizers.AdamW)
    deep = densa.models.mlp(6, 2, [20] * 4)
    assert kinds(deep) == ["Dense", "BatchNormalization", "Activation"] * 4 + ["Dense"]
    assert not any(layer.use_bias for layer in deep.layers[:-1:3])
    assert {name for name, _ in names_of(deep)[:-1]} == {"HeNormal"}
    assert deep.layers[2].activation is densa.activations.get("swish")


def test_self_normalizing():
    model = densa.models.mlp(6, 1, [20] * 5, "self_normalizing", dropout=0.1)
    assert names_of(model)[:-1] == [("LecunNormal", "selu")] * 5
    assert kinds(model) == ["Dense"] * 2 + ["Dense", "AlphaDropout"] * 3 + ["Dense"]
    assert (model.optimizer.momentum, model.optimizer.nesterov) == (0.9, True)
    assert not any(layer.kernel_regularizer for layer in model.layers if hasattr(layer, "units"))
    # Deep as it is, values keep mean 0 and deviation 1.
    wide = densa.models.mlp(256, 1, [256] * 20, "self_normalizing")
    inner = densa.Model(wide.input, wide.layers[-2].output)
    h = inner.predict(RNG.standard_normal((400, 256)).astype("f4"), verbose=0)
    assert abs(h.mean()) < 0.1
    assert h.std() == pytest.approx(1, abs=0.15)


def test_exceptions():
    fast = densa.models.mlp(6, 1, [10] * 4, "low_latency")
    assert fast.layers[2].activation is densa.activations.relu
    assert "deployment" in fast.advice
    report = fast.freeze().certificate
    assert report is not None
    sparse = densa.models.mlp(6, 1, (10,), "sparse", l1=0.02)
    assert sparse.layers[0].kernel_regularizer.l1 == 0.02
    assert sparse.layers[-1].kernel_regularizer is None
    assert isinstance(sparse.optimizer, densa.optimizers.SGD)
    sure = densa.models.mlp(6, 3, [10] * 5, "uncertain", task="classification")
    assert kinds(sure).count("Dropout") == 3
    assert kinds(sure)[-2] == "Dropout"
    _, std = sure.predict(X, verbose=0, mc_samples=10)
    assert (std > 0).any()


@pytest.mark.parametrize(
    "recipe", ["default", "self_normalizing", "low_latency", "sparse", "uncertain"]
)
@pytest.mark.parametrize("depth", [1, 4])
def test_every_recipe_trains_natively_and_explains_itself(recipe, depth, tmp_path):
    densa.utils.set_random_seed(1)
    model = densa.models.mlp(6, 3, [24] * depth, recipe, task="classification", learning_rate=0.01)
    found = model.fit(
        X, LABELS, epochs=30, verbose=0, validation_split=0.2, callbacks=model.callbacks()
    ).history
    assert found["accuracy"][-1] > 0.6
    assert "off the fast path" not in model.explain_plan()
    lines = []
    model.explain(lines.append)
    assert len(lines) == 2 * len(model.advice)
    assert all(" because " in line for line in lines[1::2])
    decay = f"weight decay {model.optimizer.weight_decay:g}" if model.optimizer.weight_decay else ""
    told = model.advice["regularization"][0]
    assert decay in told
    assert bool(decay) == ("weight decay" in told)
    model.save(tmp_path / "m.densa")
    again = densa.models.load_model(tmp_path / "m.densa")
    assert again.advice == model.advice
    np.testing.assert_array_equal(again.predict(X, verbose=0), model.predict(X, verbose=0))
    copy = densa.models.clone_model(model)
    assert kinds(copy) == kinds(model)
    told, again = [], []
    model.explain(told.append)
    copy.explain(again.append)
    assert told == again != []
    assert copy.callbacks() != []


def test_heads():
    one = densa.models.mlp(6, 1, (8,), task="classification")
    assert one.loss == "binary_crossentropy"
    one.fit(X, LABELS > 0, verbose=0)
    image = densa.models.mlp((2, 3), 4, 8)
    assert image.predict(X.reshape(-1, 2, 3), verbose=0).shape == (120, 4)
    assert densa.models.mlp(6, 2, ()).count_params() == 14


@pytest.mark.parametrize(
    ("make", "error", "says"),
    [
        (lambda: densa.models.mlp(6, 1, recipe="selfnormalizing"), ValueError, "Did you mean"),
        (lambda: densa.models.mlp(6, 1, task="classify"), ValueError, "task must be one of"),
        (lambda: densa.models.mlp(6, 0), ValueError, "outputs must be at least 1"),
        (lambda: densa.models.mlp(6, 1, (8, 2.5)), TypeError, "hidden must be a whole number"),
        (lambda: densa.models.mlp(6, 1, dropout=1.0), ValueError, r"dropout must lie in \[0, 1\)"),
        (lambda: densa.models.mlp(6, 1, recipe="uncertain", dropout=0), ValueError, "lives by"),
        (lambda: densa.models.mlp(6, 1, l1=-1.0), ValueError, "l1 must be at least 0"),
    ],
)
def test_what_does_not_fit_is_refused(make, error, says):
    with pytest.raises(error, match=says):
        make()


@pytest.mark.parametrize(
    ("activation", "name"),
    [
        (None, "GlorotUniform"),
        ("tanh", "GlorotUniform"),
        ("sigmoid", "GlorotUniform"),
        ("softmax", "GlorotUniform"),
        ("relu", "HeNormal"),
        ("leaky_relu", "HeNormal"),
        (layers.LeakyReLU(), "HeNormal"),
        (layers.PReLU(), "HeNormal"),
        ("elu", "HeNormal"),
        ("gelu", "HeNormal"),
        ("swish", "HeNormal"),
        ("mish", "HeNormal"),
        (densa.activations.mish, "HeNormal"),
        (layers.Activation("gelu"), "HeNormal"),
        ("selu", "LecunNormal"),
    ],
)
def test_initializers_by_activation(activation, name):
    layer = layers.Dense(3, activation, kernel_initializer="auto")
    assert type(layer.kernel_initializer).__name__ == name
    again = layers.Dense.from_config(layer.get_config())
    assert type(again.kernel_initializer).__name__ == name
    assert type(initializers.for_activation(activation)).__name__ == name


def test_a_rate_of_zero_is_taken():
    model = densa.models.mlp(3, 1, learning_rate=0.0)
    assert float(model.optimizer.learning_rate) == 0


def test_what_the_doctor_makes_of_it_explains_itself():
    from densa.doctor.remedies import rebuilt, with_optimizer

    model = densa.models.mlp(3, 1, (4,))
    for made in (rebuilt(model), with_optimizer(weight_decay=0.1)(model)):
        assert made.advice == model.advice
        assert made.advice["activation"] is not model.advice["activation"]


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        (([], 1), ValueError, r"mlp: inputs must be .* the shape of a row; received \[\]"),
        ((0, 1), ValueError, "mlp: inputs must be at least 1; received 0"),
        (([4, 0], 1), ValueError, "mlp: inputs must be at least 1; received 0"),
        (([None], 1), TypeError, "mlp: inputs must be a whole number"),
        ((2, 0), ValueError, "mlp: outputs must be at least 1"),
        ((2, 1, None), TypeError, "mlp: hidden must be the units"),
        ((2, 1, "ab"), TypeError, "mlp: hidden must be the units"),
        ((2, 1, [2.5]), TypeError, "mlp: hidden must be a whole number"),
    ],
)
def test_sizes_that_are_none(arguments, error, words):
    with pytest.raises(error, match=words):
        densa.models.mlp(*arguments)
    assert densa.models.mlp(2, 1, np.int64(3)).count_params() == 13
