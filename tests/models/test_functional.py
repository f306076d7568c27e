"""Functional models: skips, shared layers, several inputs and outputs, ops as nodes."""

from __future__ import annotations

import copy
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import densa

L = densa.layers
RNG = np.random.default_rng(3)
X = RNG.normal(size=(5, 4)).astype("float32")


@pytest.fixture(autouse=True)
def _fresh_names():
    densa.utils.clear_session()


def again(model):
    """The model through JSON, with the same weights."""
    made = densa.models.model_from_json(model.to_json())
    made.set_weights(model.get_weights())
    assert made.to_json() == model.to_json()
    return made


def value(model, x):
    return densa.utils.tree.map_structure(lambda t: t.numpy(), model(x))


def check(model, x, wanted=None):
    y = value(model, x)
    for other in (again(model), densa.models.clone_model(model)):
        other.set_weights(model.get_weights())
        np.testing.assert_equal(value(other, x), y)
        assert [w.path.split("/")[-1] for w in other.weights] == [
            w.path.split("/")[-1] for w in model.weights
        ]
    if wanted is not None:
        np.testing.assert_allclose(y, wanted, rtol=1e-5, atol=1e-6)
    return y


def test_skip_connection():
    x = densa.Input((4,))
    h = L.Dense(4, activation="tanh")(x)
    model = densa.Model(x, L.Dense(2)(L.Add()([x, h])))
    k1, b1, k2, b2 = model.get_weights()
    check(model, X, (X + np.tanh(X @ k1 + b1)) @ k2 + b2)
    assert model.name == "functional"
    assert (model.input_shape, model.output_shape) == ((None, 4), (None, 2))
    assert [layer.name for layer in model.layers] == ["input_layer", "dense", "add", "dense_1"]


def test_wide_and_deep():
    a, b = densa.Input((5,), name="wide"), densa.Input((6,), name="deep")
    h = L.Dense(30, activation="relu")(b)
    h = L.Dense(30, activation="relu")(h)
    joined = L.Concatenate()([a, h])
    main, side = L.Dense(1, name="main")(joined), L.Dense(1, name="side")(h)
    model = densa.Model(inputs=[a, b], outputs=[main, side])
    xa, xb = RNG.normal(size=(7, 5)), RNG.normal(size=(7, 6))
    y = check(model, [xa, xb])
    assert [v.shape for v in y] == [(7, 1), (7, 1)]
    assert model.input_names == ["wide", "deep"]
    assert model.output_names == ["main", "side"]
    assert model.output_shape == [(None, 1), (None, 1)]
    for inputs in ((xa, xb), {"wide": xa, "deep": xb}, {"deep": xb, "wide": xa}):
        np.testing.assert_equal(value(model, inputs), y)


def test_dicts_in_and_out():
    a, b = densa.Input((2,), name="a"), densa.Input((2,), name="b")
    model = densa.Model({"x": a, "y": b}, {"sum": a + b, "difference": a - b})
    xa, xb = X[:, :2], X[:, 2:]
    y = check(model, {"x": xa, "y": xb})
    np.testing.assert_allclose(y["sum"], xa + xb, rtol=1e-6)
    np.testing.assert_allclose(y["difference"], xa - xb, rtol=1e-6)
    with pytest.raises(ValueError, match="misses the input 'y'"):
        model({"x": xa})


def test_shared_layer():
    a, b = densa.Input((4,)), densa.Input((4,))
    dense = L.Dense(3, activation="tanh")
    model = densa.Model([a, b], L.Subtract()([dense(a), dense(b)]))
    assert len(model.weights) == 2
    k, c = model.get_weights()
    other = X[::-1].copy()
    check(model, [X, other], np.tanh(X @ k + c) - np.tanh(other @ k + c))


def test_layer_used_twice_in_a_row():
    x = densa.Input((4,))
    dense = L.Dense(4, activation="tanh")
    model = densa.Model(x, dense(dense(dense(x))))
    assert len(model.weights) == 2
    k, b = model.get_weights()
    y = X
    for _ in range(3):
        y = np.tanh(y @ k + b)
    check(model, X, y)


def test_ops_are_nodes():
    x = densa.Input((4,))
    y = (x + 1) * 2 - 0.5
    y = y[:, 1:3] / (1 + x[:, :2] ** 2)
    y = -y + densa.ops.relu(x[:, -2:]) + densa.activations.tanh(x[:, ::2])
    model = densa.Model(x, y)
    left = ((X + 1) * 2 - 0.5)[:, 1:3] / (1 + X[:, :2] ** 2)
    check(model, X, -left + np.maximum(X[:, -2:], 0) + np.tanh(X[:, ::2]))
    assert model.weights == []
    assert "get_item" in [op.name for op in model.operations]


def test_reshape_and_reduction_ops():
    x = densa.Input((2, 3))
    flat = densa.ops.reshape(x, (-1, 6))
    assert flat.shape == (None, 6)
    model = densa.Model(x, densa.ops.mean(flat, axis=-1, keepdims=True))
    data = RNG.normal(size=(4, 2, 3)).astype("float32")
    check(model, data, data.reshape(4, 6).mean(1, keepdims=True))


def test_operators_with_values_on_the_left():
    x = densa.Input((4,))
    model = densa.Model(x, np.ones(4, "float32") - x)
    np.testing.assert_allclose(model(X).numpy(), 1 - X, rtol=1e-6)
    model = densa.Model(x, 2 / (x * x + 1))
    check(model, X, 2 / (X * X + 1))


def test_models_as_layers():
    inner_x = densa.Input((4,))
    inner = densa.Model(inner_x, L.Dense(3, activation="relu")(inner_x), name="inner")
    stack = densa.Sequential([densa.Input((3,)), L.Dense(2)], name="stack")
    x = densa.Input((4,))
    model = densa.Model(x, stack(inner(x)))
    assert [v.path for v in model.weights] == [
        "dense/kernel",
        "dense/bias",
        "stack/dense_1/kernel",
        "stack/dense_1/bias",
    ]
    check(model, X)
    text = []
    model.summary(print_fn=text.append, expand_nested=True)
    assert "inner (Functional)" in text[0] or "inner (Model)" in text[0]
    assert "└ dense" in text[0]
    outer = densa.Sequential([densa.Input((4,)), model])
    outer.summary(print_fn=text.append, expand_nested=True)
    assert "│    └ inner" in text[1]
    assert "│       └ dense" in text[1]


def test_feature_extractor_and_input_inside_a_graph():
    x = densa.Input((4,))
    h = L.Dense(3, activation="relu", name="hidden")(x)
    model = densa.Model(x, L.Dense(2, name="head")(h))
    features = densa.Model(model.input, model.get_layer("hidden").output)
    k, b, k2, b2 = model.get_weights()
    np.testing.assert_allclose(features(X).numpy(), np.maximum(X @ k + b, 0), rtol=1e-5, atol=1e-6)
    head = densa.Model(h, model.output)
    data = RNG.normal(size=(2, 3)).astype("float32")
    check(head, data, data @ k2 + b2)
    assert head.weights[0] is model.weights[2]


def test_unused_outputs_and_inputs_that_are_outputs():
    x = densa.Input((4,))
    model = densa.Model(x, [x, L.Dense(1)(x)])
    y = check(model, X)
    np.testing.assert_array_equal(y[0], X)


def test_training_is_fixed_in_the_graph():
    x = densa.Input((4,))
    model = densa.Model(x, L.Dropout(0.5, seed=1)(x, training=True))
    y = value(model, X)
    assert np.any(y == 0)
    restored = again(model)
    assert np.any(value(restored, X) == 0)


class Seen(densa.Layer):
    """Passes its input on and remembers how it was called."""

    def call(self, x, training=None):
        self.training = training
        return x * 1


def chosen(model, seen, training):
    model(X, training=training)
    return seen.training


@pytest.mark.parametrize("fixed", [None, True, False])
@pytest.mark.parametrize("position", [False, True], ids=["keyword", "position"])
def test_the_models_training_comes_before_that_of_its_layers(fixed, position):
    x, seen = densa.Input((4,)), Seen()
    model = densa.Model(x, seen(x, fixed) if position else seen(x, training=fixed))
    assert chosen(model, seen, None) is fixed
    for training in (True, False):
        assert chosen(model, seen, training) is training
    twin = copy.deepcopy(model)
    for training in (True, False):
        assert chosen(twin, twin.layers[1], training) is training


@pytest.mark.parametrize("fixed", [None, True, False])
def test_a_model_within_a_model_is_trained_as_the_outer_one_says(fixed):
    x, seen = densa.Input((4,)), Seen()
    inner = densa.Model(x, seen(x))
    x = densa.Input((4,))
    model = densa.Model(x, inner(x, training=fixed))
    assert chosen(model, seen, None) is fixed
    for training in (True, False):
        assert chosen(model, seen, training) is training


@pytest.mark.parametrize("eagerly", [False, True])
def test_dropout_that_a_graph_has_on_is_off_in_predict_and_evaluate(eagerly):
    x = densa.Input((4,))
    model = densa.Model(x, L.Dropout(0.5, seed=1)(x, training=True))
    model.compile("sgd", "mse", run_eagerly=eagerly)
    np.testing.assert_array_equal(model.predict(X, verbose=0), X)
    assert model.evaluate(X, X, verbose=0) == 0.0
    assert np.any(value(model, X) == 0)


def test_inputs_are_fitted():
    x = densa.Input((1,))
    model = densa.Model(x, x * 2)
    assert model(np.ones(3)).shape == (3, 1)
    y = densa.Input((4,))
    model = densa.Model(y, y * 2)
    assert model(X[:, :, None]).shape == (5, 4)
    assert model(X.astype("float64")).dtype == "float32"
    ids = densa.Input((2,), dtype="int32")
    model = densa.Model(ids, L.Embedding(5, 3)(ids))
    assert model(np.array([[0, 4]])).shape == (1, 2, 3)


def test_deep_graph():
    x = y = densa.Input((3,))
    for _ in range(1500):
        y = y + 1
    model = densa.Model(x, y)
    np.testing.assert_allclose(model(np.zeros((1, 3))).numpy(), np.full((1, 3), 1500.0))
    assert len(json.loads(model.to_json())["config"]["layers"]) == 1501


def test_errors():
    x, other = densa.Input((4,), name="x"), densa.Input((4,), name="other")
    y = L.Dense(2, name="same")(x)
    with pytest.raises(ValueError, match=r"depend on the input 'other'"):
        densa.Model(x, L.Add()([x, other]))
    with pytest.raises(ValueError, match="must be KerasTensors"):
        densa.Model(x, X)
    with pytest.raises(ValueError, match='name "same" is used 2 times'):
        densa.Model(x, L.Dense(2, name="same")(y))
    model = densa.Model(x, y)
    with pytest.raises(ValueError, match=r"expected shape=\(None, 4\), found shape=\(5, 3\)"):
        model(X[:, :3])
    with pytest.raises(ValueError, match="expects 1 input"):
        model([X, X])
    with pytest.raises(ValueError, match="No such layer: nothing"):
        model.get_layer("nothing")
    with pytest.raises(ValueError, match="index 7"):
        model.get_layer(index=7)


@given(st.data())
def test_random_graphs(draws):
    """Any graph of layers and ops survives JSON, copies and saving of its weights."""
    densa.utils.clear_session()
    inputs = [densa.Input((4,)) for _ in range(draws.draw(st.integers(1, 2)))]
    dense = L.Dense(4, "tanh")
    tensors = list(inputs)
    makers = {
        "dense": lambda a, b: L.Dense(4, "relu")(a),
        "shared": lambda a, b: dense(a),
        "add": lambda a, b: L.Add()([a, b]),
        "concatenate": lambda a, b: L.Concatenate()([a, b])[:, 2:6],
        "times": lambda a, b: a * b * 0.5,
        "minus": lambda a, b: 1.0 - a,
        "norm": lambda a, b: L.BatchNormalization()(a),
        "halves": lambda a, b: L.Concatenate()([a[:, :2], b[:, -2:]]),
    }
    for kind in draws.draw(st.lists(st.sampled_from(sorted(makers)), min_size=1, max_size=8)):
        a, b = (tensors[draws.draw(st.integers(0, len(tensors) - 1))] for _ in range(2))
        tensors.append(makers[kind](a, b))
    outputs = [tensors[-1], sum(inputs[1:], inputs[0])]
    model = densa.Model(inputs, outputs)
    data = [RNG.normal(size=(3, 4)) for _ in inputs]
    y = value(model, data)
    for other in (again(model), copy.deepcopy(model), densa.models.clone_model(model)):
        other.set_weights(model.get_weights())
        np.testing.assert_equal(value(other, data), y)


@pytest.mark.parametrize(
    "use",
    [
        lambda x: np.tanh(x),
        lambda x: np.asarray(x),
        lambda x: bool(x > 0),
        lambda x: float(x),
        lambda x: len(x),
        lambda x: list(x),
    ],
)
def test_symbols_have_no_values(use):
    with pytest.raises((TypeError, ValueError)):
        use(densa.Input((4,)))


def test_summary_of_a_layer_that_comes_twice():
    x = densa.Input((3,), name="x")
    again = L.Dense(3, name="again")
    text = []
    densa.Model(x, again(again(x))).summary(print_fn=text.append, line_length=100)
    assert "Connected to" in text[0]
    assert "x[0][0], again[0][0]" in text[0]


def test_summary_of_a_graph():
    x = densa.Input((4,), name="x")
    h = L.Dense(4, name="h")(x)
    model = densa.Model(x, L.Add(name="sum")([x, h]), name="net")
    text = []
    model.summary(print_fn=text.append, line_length=100)
    assert 'Model: "net"' in text[0]
    assert "Connected to" in text[0]
    assert "x[0][0]" in text[0]
    assert "h[0][0]" in text[0]
    assert " Total params: 20 (80.00 B)" in text[0]


def test_a_list_that_grows_behind_a_call():
    x = densa.Input((4,))
    seen = [x]
    for _ in range(3):
        h = L.Concatenate()(seen) if len(seen) > 1 else x
        seen.append(L.Dense(3, "relu")(h))
    model = densa.Model(x, seen[-1])
    assert [layer.kernel.shape for layer in model.layers if isinstance(layer, L.Dense)] == [
        (4, 3),
        (7, 3),
        (10, 3),
    ]
    seen.clear()
    assert model(np.ones((2, 4), "float32")).shape == (2, 3)
