"""Whole models and weights through files."""

from __future__ import annotations

import json
import os

import numpy as np
import pytest

import densa

L = densa.layers
X = np.random.default_rng(11).normal(size=(6, 4)).astype("float32")


@pytest.fixture(autouse=True)
def _fresh_names():
    densa.utils.clear_session()


@densa.saving.register_keras_serializable("tests")
def double(x):
    return x * 2.0


@densa.saving.register_keras_serializable("tests")
class Tower(densa.Model):
    def __init__(self, units=3, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.parts = [L.Dense(units, "relu"), L.BatchNormalization(), L.Dense(2)]

    def call(self, x, training=None):
        for part in self.parts:
            x = part(x)
        return x


@densa.saving.register_keras_serializable("tests")
class Shift(L.Layer):
    def __init__(self, by, **kwargs):
        super().__init__(**kwargs)
        self.by = by

    def build(self, input_shape):
        self.b = self.add_weight(shape=input_shape[1:], initializer="ones", name="b")

    def call(self, x):
        return x + self.b * self.by

    def get_config(self):
        return {**super().get_config(), "by": self.by}


def sequential():
    return densa.Sequential(
        [
            densa.Input((4,)),
            L.Dense(3, "relu", kernel_regularizer="l2", kernel_constraint="max_norm"),
            L.BatchNormalization(),
            L.Dropout(0.2),
            L.Dense(3, L.LeakyReLU(0.1)),
            Shift(2.0),
            L.Dense(2, "softmax", dtype="float64"),
        ]
    )


def graph():
    a, b = densa.Input((4,), name="a"), densa.Input((4,), name="b")
    dense = L.Dense(4, "tanh", name="shared")
    h = L.Add()([dense(a), dense(b)]) * 0.5 + a[:, :1]
    return densa.Model({"a": a, "b": b}, [L.Dense(2)(h), L.Lambda(double)(h)])


def tower():
    model = Tower(4)
    model(X)
    return model


def nested():
    x = densa.Input((4,))
    return densa.Model(x, L.Dense(1)(tower()(sequential_part()(x))))


def sequential_part():
    return densa.Sequential([densa.Input((4,)), L.Dense(4)], name="part")


def embedding():
    model = densa.Sequential([L.Embedding(9, 3), L.Flatten(), L.Dense(1)])
    model(np.array([[1, 2]]))
    return model


MAKERS = {
    "sequential": (sequential, X),
    "graph": (graph, {"a": X, "b": X[::-1].copy()}),
    "tower": (tower, X),
    "nested": (nested, X),
    "embedding": (embedding, np.array([[0, 8]])),
}


def values(model, x):
    return [t.numpy() for t in densa.utils.tree.flatten(model(x))]


def randomize(model):
    rng = np.random.default_rng(0)
    model.set_weights([rng.uniform(0.5, 1.5, w.shape).astype(w.dtype) for w in model.get_weights()])


@pytest.mark.parametrize("name", MAKERS)
def test_round_trip(name, tmp_path):
    make, x = MAKERS[name]
    model = make()
    randomize(model)
    path = tmp_path / "model.densa"
    model.save(path)
    again = densa.models.load_model(path)
    assert type(again) is type(model)
    assert again.name == model.name
    assert again.to_json() == model.to_json()
    if name in ("sequential", "graph", "embedding"):  # the others make their own layers' names
        assert [v.path for v in again.weights] == [v.path for v in model.weights]
    for a, b in zip(model.weights, again.weights, strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a.numpy(), b.numpy())
    for a, b in zip(values(model, x), values(again, x), strict=True):
        np.testing.assert_array_equal(a, b)
    assert os.listdir(tmp_path) == ["model.densa"]


@pytest.mark.parametrize("name", MAKERS)
def test_weights_round_trip(name, tmp_path):
    make, _ = MAKERS[name]
    model = make()
    randomize(model)
    path = str(tmp_path / "model.weights.densa")
    model.save_weights(path)
    other = make()  # other automatic names
    other.load_weights(path)
    for a, b in zip(model.weights, other.weights, strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())
    whole = tmp_path / "model.densa"
    model.save(whole)
    third = make()
    third.load_weights(whole)
    np.testing.assert_array_equal(third.weights[0].numpy(), model.weights[0].numpy())


def test_frozen_layers_stay_frozen(tmp_path):
    model = sequential()
    model.layers[0].trainable = False
    model.save(tmp_path / "m.densa")
    again = densa.models.load_model(tmp_path / "m.densa")
    assert [v.path for v in again.trainable_variables] == [
        v.path for v in model.trainable_variables
    ]
    assert len(again.trainable_variables) == len(model.trainable_variables) < len(model.weights) - 2


def test_unbuilt_model(tmp_path):
    model = densa.Sequential([L.Dense(3)])
    model.save(tmp_path / "m.densa")
    again = densa.models.load_model(tmp_path / "m.densa")
    assert not again.built
    assert again(X).shape == (6, 3)
    with pytest.raises(ValueError, match="not built"):
        model.save_weights(tmp_path / "m.weights.densa")


def test_dropout_goes_on_where_it_was(tmp_path):
    model = densa.Sequential([densa.Input((4,)), L.Dropout(0.5)])
    model(X, training=True)
    model.save(tmp_path / "m.densa")
    again = densa.models.load_model(tmp_path / "m.densa")
    np.testing.assert_array_equal(model(X, training=True).numpy(), again(X, training=True).numpy())


# ---- custom objects ------------------------------------------------------------------------------


class Plain(L.Layer):
    def call(self, x):
        return x * 3.0


def triple(x):
    return x * 3.0


def test_custom_objects(tmp_path):
    path = tmp_path / "m.densa"
    densa.Sequential([densa.Input((4,)), Plain(), L.Dense(2, activation=triple)]).save(path)
    with pytest.raises(ValueError, match=r"Could not locate class 'Plain'.*register"):
        densa.models.load_model(path)
    with pytest.raises(ValueError, match=r"Could not locate function 'triple'.*custom_objects"):
        densa.models.load_model(path, custom_objects={"Plain": Plain})
    names = {"Plain": Plain, "triple": triple}
    assert densa.models.load_model(path, custom_objects=names)(X).shape == (6, 2)
    with densa.saving.custom_object_scope(names):
        assert densa.models.load_model(path).layers[1].activation is triple


def test_lambda_needs_a_registered_function(tmp_path):
    for function in (lambda x: x, triple):
        model = densa.Sequential([densa.Input((4,)), L.Lambda(function)])
        with pytest.raises(ValueError, match="register_keras_serializable"):
            model.save(tmp_path / "m.densa")
    assert os.listdir(tmp_path) == []
    with densa.saving.custom_object_scope({"mine": triple}):
        model.save(tmp_path / "m.densa")
    with pytest.raises(ValueError, match="Could not locate function 'mine'"):
        densa.models.load_model(tmp_path / "m.densa")
    again = densa.models.load_model(tmp_path / "m.densa", custom_objects={"mine": triple})
    np.testing.assert_allclose(again(X).numpy(), 3 * X, rtol=1e-6)
    model = densa.Sequential([densa.Input((4,)), L.Dense(2, activation=lambda x: x)])
    with pytest.raises(ValueError, match="Cannot save a lambda"):
        model.save(tmp_path / "n.densa")


def test_registration():
    s = densa.saving
    assert s.get_registered_name(Shift) == "tests>Shift"
    assert s.get_registered_object("tests>Shift") is Shift
    assert s.get_registered_name(Plain) == "Plain"
    assert s.get_registered_object("Plain") is None
    with s.custom_object_scope({"Plain": Plain}):
        assert s.get_registered_object("Plain") is Plain
    with pytest.raises(ValueError, match="get_config"):
        s.register_keras_serializable()(dict)

    @s.register_keras_serializable("p", "other")
    def thing(x):
        return x

    assert s.get_registered_object("p>other") is thing
    assert densa.activations.get("p>other") is thing


def test_serialized_objects():
    s = densa.saving
    for obj in (
        [1, 2.5, "a", None, True],
        {"a": [1, {"b": 2}]},
        slice(1, None, 2),
        Ellipsis,
        float("inf"),
    ):
        text = json.dumps(s.serialize_keras_object(obj), allow_nan=False)
        assert s.deserialize_keras_object(json.loads(text)) == obj
    array = np.arange(6, dtype="int32").reshape(2, 3)
    again = s.deserialize_keras_object(s.serialize_keras_object(array))
    np.testing.assert_array_equal(again, array)
    assert again.dtype == "int32"
    data = s.serialize_keras_object(L.Dense(2, name="d"))
    assert data["module"] == "densa.layers"
    assert data["class_name"] == "Dense"
    assert data["registered_name"] is None
    assert data["config"]["kernel_initializer"] == {
        "module": "densa.initializers",
        "class_name": "GlorotUniform",
        "config": {"seed": None},
        "registered_name": None,
    }
    with pytest.raises(TypeError, match="get_config"):
        s.serialize_keras_object(object())


def test_configs_of_keras_are_understood():
    data = {
        "module": "keras.layers",
        "class_name": "Dense",
        "config": {
            "name": "dense",
            "trainable": True,
            "dtype": {
                "module": "keras",
                "class_name": "DTypePolicy",
                "config": {"name": "float32"},
                "registered_name": None,
            },
            "units": 4,
            "activation": "relu",
            "use_bias": True,
            "kernel_initializer": {
                "module": "keras.initializers",
                "class_name": "HeNormal",
                "config": {"seed": None},
                "registered_name": None,
            },
            "bias_initializer": {
                "module": "keras.initializers",
                "class_name": "Zeros",
                "config": {},
                "registered_name": None,
            },
            "kernel_regularizer": None,
            "bias_regularizer": None,
            "kernel_constraint": None,
            "bias_constraint": None,
        },
        "registered_name": None,
        "build_config": {"input_shape": [None, 3]},
    }
    layer = densa.saving.deserialize_keras_object(data)
    assert type(layer.kernel_initializer).__name__ == "HeNormal"
    assert layer.kernel.shape == (3, 4)


@pytest.mark.parametrize(
    "data",
    [
        {"module": "os", "class_name": "system", "config": {}, "registered_name": None},
        {"module": "builtins", "class_name": "function", "config": "eval"},
        {"module": "builtins", "class_name": "function", "config": "exec"},
        {"module": "densa.saving", "class_name": "load_model", "config": {}},
        {"module": "densa.layers", "class_name": "Nothing", "config": {}},
        {"module": "densa.utils.plot_model", "class_name": "subprocess", "config": {}},
        {"module": "subprocess", "class_name": "Popen", "config": {"args": "ls"}},
        {"module": "densa.layers", "class_name": "__import__", "config": {}},
    ],
)
def test_data_cannot_reach_code(data):
    with pytest.raises((ValueError, TypeError)):
        densa.saving.deserialize_keras_object(data)


# ---- what does not fit ---------------------------------------------------------------------------


def test_paths(tmp_path):
    model = sequential()
    for name in ("m", "m.keras", "m.h5"):
        with pytest.raises(ValueError, match=r"must end in `.densa`"):
            model.save(tmp_path / name)
    with pytest.raises(ValueError, match=r"must end in `.weights.densa`"):
        model.save_weights(tmp_path / "m.densa")
    with pytest.raises(ValueError, match="folder"):
        model.save(tmp_path / "none" / "m.densa")
    with pytest.raises(ValueError, match="File not found"):
        densa.models.load_model(tmp_path / "m.densa")
    model.save(tmp_path / "m.densa")
    with pytest.raises(FileExistsError):
        model.save(tmp_path / "m.densa", overwrite=False)
    model.save(tmp_path / "m.densa")


def test_weights_that_do_not_fit(tmp_path):
    path = tmp_path / "m.weights.densa"
    sequential_part().save_weights(path)
    other = densa.Sequential([densa.Input((4,)), L.Dense(5)])
    before = other.get_weights()
    with pytest.raises(ValueError, match="do not fit"):
        other.load_weights(path)
    with pytest.raises(ValueError, match="do not fit"):
        sequential().load_weights(path)
    np.testing.assert_array_equal(other.get_weights()[0], before[0])
    with pytest.raises(ValueError, match="not built"):
        densa.Sequential([L.Dense(4)]).load_weights(path)
    with pytest.warns(UserWarning, match="left as they were"):
        other.load_weights(path, skip_mismatch=True)
    named = densa.Sequential([densa.Input((4,)), L.Dense(5, name="dense")], name="part")
    with pytest.raises(ValueError, match=r"\(4, 4\) in the file and \(4, 5\)"):
        named.load_weights(path)


def test_kinds(tmp_path):
    model = sequential_part()
    path = tmp_path / "m.weights.densa"
    model.save_weights(path)
    with pytest.raises(ValueError, match=r"load it with model.load_weights"):
        densa.models.load_model(path)
    from densa.saving.file_format import write_file

    write_file(str(path), {}, {"kind": "predictor", "version": "1"})
    with pytest.raises(ValueError, match=r"load it with densa.Predictor"):
        model.load_weights(path)
    write_file(str(path), {}, {"kind": "weights", "version": "9"})
    with pytest.raises(ValueError, match="version '9'"):
        model.load_weights(path)


@densa.saving.register_keras_serializable("tests")
class Unnamed(L.Layer):
    """Makes its weights as Keras' guides do, without names, and a bare variable beside them."""

    def build(self, input_shape):
        self.w = self.add_weight(shape=(input_shape[-1], 2), initializer="random_normal")
        self.b = self.add_weight(shape=(2,), initializer="zeros")
        self.scale = densa.Variable(np.ones(2, "float32"))

    def call(self, x):
        return (x @ self.w + self.b) * self.scale


def test_unnamed_weights_come_back_in_one_process(tmp_path):
    model = densa.Sequential([densa.Input((4,)), Unnamed(), Unnamed()])
    model.compile("adam", "mse")
    model.fit(X, X[:, :2], epochs=2, verbose=0)
    expected = model.predict(X, verbose=0)
    path = tmp_path / "m.densa"
    model.save(path)
    loaded = densa.models.load_model(path)
    np.testing.assert_array_equal(loaded.predict(X, verbose=0), expected)
    again = densa.Sequential([densa.Input((4,)), Unnamed(), Unnamed()])
    again.load_weights(path)
    np.testing.assert_array_equal(again.predict(X, verbose=0), expected)
    for one, two in zip(loaded.optimizer.variables, model.optimizer.variables, strict=True):
        np.testing.assert_array_equal(one.numpy(), two.numpy())


def test_other_shapes_are_named_whatever_the_layers_are_called(tmp_path):
    path = tmp_path / "m.weights.densa"
    densa.Sequential([densa.Input((4,)), L.Dense(3)]).save_weights(path)
    other = densa.Sequential([densa.Input((4,)), L.Dense(5)])
    before = other.get_weights()
    with pytest.raises(ValueError, match=r"dense_1/kernel has shape \(4, 3\).*\(4, 5\)"):
        other.load_weights(path)
    for one, two in zip(before, other.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("eager", [False, True])
def test_steps_over_several_optimizers_are_kept(tmp_path, eager):
    def model_of_two():
        densa.utils.set_random_seed(8)
        model = densa.Sequential(
            [densa.Input((3,)), densa.layers.Dropout(0.5, seed=3), densa.layers.Dense(1)]
        )
        x = np.random.default_rng(0).standard_normal((24, 3)).astype("f4")
        for rate in (0.1, 0.05):
            model.compile(densa.optimizers.SGD(rate), "mse", run_eagerly=eager)
            model.fit(x, x[:, :1], 8, 2, 0, shuffle=False)
        return model, x

    model, x = model_of_two()
    model.save(tmp_path / "model.densa")
    model.fit(x, x[:, :1], 8, 2, 0, shuffle=False)
    again = densa.models.load_model(tmp_path / "model.densa")
    again.run_eagerly = eager
    assert again._steps_trained == 12
    again.fit(x, x[:, :1], 8, 2, 0, shuffle=False)
    for a, b in zip(model.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
