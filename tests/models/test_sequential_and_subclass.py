"""Sequential and subclassed models, copies, pickles, clones, summaries."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

import densa

L = densa.layers
X = np.random.default_rng(5).normal(size=(6, 4)).astype("float32")


@pytest.fixture(autouse=True)
def _fresh_names():
    densa.utils.clear_session()


# ---- Sequential ----------------------------------------------------------------------------------


def test_deferred_build():
    model = densa.Sequential([L.Dense(3, activation="relu"), L.Dense(2)])
    assert not model.built
    assert model.weights == []
    with pytest.raises(ValueError, match="isn't built"):
        model.count_params()
    with pytest.raises(AttributeError, match="no defined"):
        _ = model.outputs
    y = model(X)
    assert (y.shape, model.built) == ((6, 2), True)
    assert [v.path for v in model.weights] == [
        "sequential/dense/kernel",
        "sequential/dense/bias",
        "sequential/dense_1/kernel",
        "sequential/dense_1/bias",
    ]
    assert (model.input_shape, model.output_shape) == ((None, 4), (None, 2))
    k1, b1, k2, b2 = model.get_weights()
    np.testing.assert_allclose(
        y.numpy(), np.maximum(X @ k1 + b1, 0) @ k2 + b2, rtol=1e-5, atol=1e-6
    )


@pytest.mark.filterwarnings("ignore:A layer's `input_shape`:DeprecationWarning")
@pytest.mark.parametrize(
    "start",
    [
        lambda: [densa.Input((4,)), L.Dense(3)],
        lambda: [densa.Input(shape=(4,)), L.Dense(3)],
        lambda: [L.InputLayer(shape=(4,)), L.Dense(3)],
        lambda: [L.Dense(3, input_shape=(4,))],
        lambda: [L.Dense(3, input_shape=[4])],
        lambda: [L.Dense(3, input_dim=4)],
    ],
)
def test_immediate_build(start):
    model = densa.Sequential(start())
    assert model.built
    assert len(model.layers) == 1
    assert model.count_params() == 15


def test_keras_2s_input_shape_is_taken_with_a_note_where_it_is_written():
    class Own(L.Layer):
        def __init__(self, units, **kwargs):
            super().__init__(**kwargs)
            self.units = units

    for make in (lambda: L.Dense(3, input_dim=4), lambda: Own(3, input_shape=(4,))):
        with pytest.warns(DeprecationWarning, match=r"densa\.Input\(shape\)") as seen:
            layer = make()
        assert [w.filename for w in seen] == [__file__]
    assert "input_shape" in layer.get_config()
    Own.from_config(layer.get_config())  # says nothing: who loads cannot mend it


def test_add_and_pop():
    model = densa.Sequential(name="net")
    model.add(densa.Input((4,)))
    model.add(L.Dense(3))
    model.add(L.Dense(2))
    first = model.layers[0].kernel
    assert model.output_shape == (None, 2)
    gone = model.pop()
    assert gone.units == 2
    assert model.output_shape == (None, 3)
    model.add(L.Dense(5))
    assert model.output_shape == (None, 5)
    assert model.layers[0].kernel is first
    assert model(X).shape == (6, 5)
    with pytest.raises(ValueError, match="unique names"):
        model.add(L.Dense(2, name=model.layers[0].name))
    with pytest.raises(ValueError, match="Only instances"):
        model.add("dense")
    with pytest.raises(ValueError, match="already been configured"):
        model.add(densa.Input((3,)))
    with pytest.raises(TypeError, match="no layers"):
        densa.Sequential().pop()
    with pytest.raises(ValueError, match="no layers"):
        densa.Sequential()(X)


def test_explicit_build_and_wrong_shapes():
    model = densa.Sequential([L.Dense(3)])
    model.build((None, 4))
    assert model.count_params() == 15
    with pytest.raises(ValueError, match=r"expected shape=\(None, 4\), found shape=\(6, 3\)"):
        model(X[:, :3])
    with pytest.raises(ValueError, match="build"):
        densa.Sequential([L.Dense(3)]).build()


def test_reused_layers_are_shared():
    a = densa.Sequential([densa.Input((4,)), L.Dense(3), L.Dense(2)])
    b = densa.Sequential(a.layers[:-1])
    b.add(L.Dense(1, activation="sigmoid"))
    assert b(X).shape == (6, 1)
    assert b.weights[0] is a.weights[0]
    for layer in b.layers[:-1]:
        layer.trainable = False
    assert len(b.trainable_variables) == 2
    assert len(a.trainable_variables) == 2


def test_images_and_integers():
    model = densa.Sequential([L.Flatten(), L.Rescaling(1 / 255), L.Dense(2)])
    images = np.random.default_rng(0).integers(0, 256, (3, 5, 5)).astype("uint8")
    np.testing.assert_allclose(
        model(images).numpy(), model(images.astype("float32")).numpy(), rtol=1e-6
    )
    model = densa.Sequential([L.Embedding(50, 3), L.Flatten(), L.Dense(1)])
    assert model(np.array([[1, 49]])).shape == (1, 1)


def test_config():
    model = densa.Sequential(
        [densa.Input((4,)), L.Dense(3, "relu"), L.Dropout(0.5), L.Dense(2)], name="net"
    )
    config = model.get_config()
    assert config["name"] == "net"
    assert [d["class_name"] for d in config["layers"]] == [
        "InputLayer",
        "Dense",
        "Dropout",
        "Dense",
    ]
    again = densa.Sequential.from_config(config)
    again.set_weights(model.get_weights())
    np.testing.assert_array_equal(again(X).numpy(), model(X).numpy())
    assert [v.path for v in again.weights] == [v.path for v in model.weights]
    deferred = densa.Sequential([L.Dense(3)])
    assert not densa.Sequential.from_config(deferred.get_config()).built


def test_training_reaches_the_layers():
    model = densa.Sequential([densa.Input((4,)), L.Dropout(0.5, seed=1)])
    assert np.any(model(X, training=True).numpy() == 0)
    assert not np.any(model(X).numpy() == 0)


# ---- subclasses ----------------------------------------------------------------------------------


@densa.saving.register_keras_serializable("tests")
class Net(densa.Model):
    def __init__(self, units=3, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.hidden = [L.Dense(units, activation="relu"), L.Dense(units, activation="tanh")]
        self.drop = L.Dropout(0.5, seed=1)
        self.head = L.Dense(2)

    def call(self, x, training=None):
        for layer in self.hidden:
            x = layer(x)
        return self.head(self.drop(x, training=training))


def test_subclass():
    model = Net(3)
    assert not model.built
    assert model(X).shape == (6, 2)
    assert [v.path for v in model.weights][::2] == [
        "net/dense/kernel",
        "net/dense_1/kernel",
        "net/dense_2/kernel",
    ]
    assert [layer.name for layer in model.layers] == ["dense", "dense_1", "dropout", "dense_2"]
    assert model.count_params() == 15 + 12 + 8
    assert np.any(model(X, training=True).numpy() != model(X).numpy())
    config = model.get_config()
    assert config["units"] == 3
    assert Net.from_config(config).units == 3
    with pytest.raises(AttributeError, match="no defined"):
        _ = model.output_shape


def test_subclass_build():
    model = Net()
    model.build((None, 4))
    assert model.count_params() == 35
    assert model.weights[0].path == "net/dense/kernel"
    text = []
    model.summary(print_fn=text.append)
    assert "dropout (Dropout)" in text[0]
    assert "(None, 3)" in text[0]


def test_a_wide_terminal_breaks_no_names(monkeypatch):
    name = "a_layer_with_an_exceptionally_long_name_as_people_write_them"
    model = densa.Sequential([densa.Input((4,)), L.Dense(3, name=name)])
    for columns, whole in ((200, True), (80, False)):
        monkeypatch.setenv("COLUMNS", str(columns))
        text = []
        model.summary(print_fn=text.append)
        lines = text[0].splitlines()
        assert (f"│ {name} (Dense)" in text[0]) == whole
        assert len({len(line) for line in lines if line[0] in "┏┃┡│├└"}) == 1
        assert max(map(len, lines)) <= columns - 4
    model.summary(print_fn=text.append, line_length=100)
    assert name not in text[-1]


def test_subclass_with_two_inputs_and_outputs():
    class Two(densa.Model):
        def __init__(self):
            super().__init__()
            self.a, self.b = L.Dense(2), L.Dense(2)

        def call(self, inputs):
            x, y = inputs
            return self.a(x) + self.b(y), x

    model = Two()
    left, right = model([X, X[:, :1]])
    assert (left.shape, right.shape) == ((6, 2), (6, 4))
    assert model.a.kernel.shape == (4, 2)
    other = Two()
    other.build([(None, 4), (None, 1)])
    assert other.b.kernel.shape == (1, 2)


def test_subclass_in_a_graph():
    x = densa.Input((4,))
    model = densa.Model(x, L.Dense(1)(Net()(x)))
    assert model(X).shape == (6, 1)
    assert len(model.weights) == 8


def test_subclass_of_a_graph():
    class Named(densa.Model):
        pass

    x = densa.Input((4,))
    model = Named(x, L.Dense(2)(x), name="mine")
    assert (model.name, model(X).shape) == ("mine", (6, 2))
    assert isinstance(Named.from_config(model.get_config()), Named)

    class Own(densa.Model):
        def __init__(self, units=2):
            x = densa.Input((4,))
            super().__init__(inputs=x, outputs=L.Dense(units)(x))
            self.units = units

    model = Own(3)
    assert model(X).shape == (6, 3)
    assert Own.from_config(model.get_config())(X).shape == (6, 3)


def test_forgotten_call():
    class Empty(densa.Model):
        pass

    with pytest.raises(NotImplementedError, match="does not have a `call"):
        Empty()(X)


def two_inputs():
    a, b = densa.Input((4,)), densa.Input((4,))
    return densa.Model([a, b], L.Add()([a, b]))


@pytest.mark.parametrize(
    "make",
    [
        lambda: densa.Sequential([densa.Input((4,)), L.Dense(2)]),
        lambda: densa.Sequential([L.Dense(2)]),
        two_inputs,
        Net,
    ],
    ids=["sequential", "unbuilt", "functional", "subclass"],
)
@pytest.mark.parametrize(
    "value", ["a", None, 1.0, ["a"], object()], ids=["text", "none", "number", "list", "object"]
)
def test_inputs_that_are_no_tensors_are_refused(make, value):
    model = make()
    before = len(model.weights)
    said = f"Model '{model.name}' expects Tensors, NumPy arrays .*; received .* of type "
    kind = "str" if value == ["a"] else type(value).__name__
    with pytest.raises(TypeError, match=f"{said}{kind}"):
        model(value)
    assert len(model.weights) == before


def test_a_call_without_an_input_says_so():
    with pytest.raises(TypeError, match="called without an input"):
        sequential()()


# ---- copies --------------------------------------------------------------------------------------


def sequential():
    return densa.Sequential(
        [densa.Input((4,)), L.Dense(3, "relu"), L.BatchNormalization(), L.Dropout(0.2), L.Dense(2)]
    )


def graph():
    x = densa.Input((4,))
    dense = L.Dense(4, "tanh")
    return densa.Model(x, L.Dense(2)(dense(dense(x)) + x * 2.0))


def nested():
    x = densa.Input((4,))
    return densa.Model(x, [sequential()(x), graph()(x)])


def subclass():
    model = Net()
    model(X)
    return model


def unbuilt():
    return densa.Sequential([L.Dense(3), L.Dense(2)])


MAKERS = [sequential, graph, nested, subclass, unbuilt]
WAYS = {
    "deepcopy": copy.deepcopy,
    "pickle": lambda m: pickle.loads(pickle.dumps(m)),
    "clone": densa.models.clone_model,
}


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("way", WAYS)
def test_copies(make, way):
    model = make()
    other = WAYS[way](model)
    assert type(other) is type(model)
    assert other.name == model.name
    assert other.get_config() == model.get_config()
    if make is unbuilt:
        assert not other.built
        return
    if way == "clone":
        assert other.built
        other.set_weights(model.get_weights())
    flat = densa.utils.tree.flatten
    for a, b in zip(flat(model(X)), flat(other(X)), strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())
    assert not set(map(id, model.weights)) & set(map(id, other.weights))
    for v in other.weights:
        v.assign(v.numpy() * 0)
    assert any(np.any(v.numpy()) for v in model.weights)


def test_copies_of_deep_graphs():
    x = y = densa.Input((3,))
    for _ in range(600):
        y = y + 1
    model = densa.Model(x, y)
    for way in ("deepcopy", "pickle"):
        np.testing.assert_array_equal(WAYS[way](model)(np.zeros((1, 3))).numpy(), [[600.0] * 3])


def test_lambda_in_copies():
    model = densa.Sequential([densa.Input((4,)), L.Lambda(lambda x: x * 2.0)])
    np.testing.assert_allclose(copy.deepcopy(model)(X).numpy(), 2 * X, rtol=1e-6)
    np.testing.assert_allclose(densa.models.clone_model(model)(X).numpy(), 2 * X, rtol=1e-6)


def test_clone_arguments():
    model = sequential()

    def swap(layer):
        if isinstance(layer, L.Dense):
            return L.Dense.from_config({**layer.get_config(), "use_bias": False})
        return type(layer).from_config(layer.get_config())

    clone = densa.models.clone_model(model, clone_function=swap)
    assert len(clone.weights) == len(model.weights) - 2
    x = densa.Input((4,), name="new")
    assert densa.models.clone_model(graph(), input_tensors=x).input_names == ["new"]
    with pytest.raises(ValueError, match="Model` instance"):
        densa.models.clone_model(L.Dense(2))
    with pytest.raises(ValueError, match="only supported"):
        densa.models.clone_model(Net(), clone_function=swap)


# ---- summary -------------------------------------------------------------------------------------


def test_summary_of_an_unbuilt_model():
    text = []
    unbuilt().summary(print_fn=text.append)
    assert "0 (unbuilt)" in text[0]
    assert "?" in text[0]
    assert " Total params: 0 (0.00 B)" in text[0]


def test_summary_options():
    model = sequential()
    model.layers[0].trainable = False
    text = []
    model.summary(print_fn=text.append, show_trainable=True, line_length=100)
    assert "Trai" in text[0]
    assert " Trainable params: 14 (56.00 B)" in text[0]
    text = []
    model.summary(print_fn=text.append, layer_range=("dense", "batch_normalization"))
    assert "dropout" not in text[0]
    with pytest.raises(ValueError, match="No layer matches"):
        model.summary(print_fn=text.append, layer_range=("a", "b"))


# ---- utilities -----------------------------------------------------------------------------------


def test_utilities(tmp_path):
    u = densa.utils
    np.testing.assert_array_equal(u.to_categorical([1, 0], 3), [[0, 1, 0], [1, 0, 0]])
    assert u.to_categorical(np.array([[1], [2]])).shape == (2, 3)
    with pytest.raises(ValueError, match="between 0 and 1"):
        u.to_categorical([2], 2)
    np.testing.assert_allclose(u.normalize([[3, 4], [0, 0]]), [[0.6, 0.8], [0, 0]])
    (a, b), (c, d) = u.split_dataset((np.arange(10), np.arange(10) * 2), 0.7)
    assert (len(a), len(c)) == (7, 3)
    np.testing.assert_array_equal(b, a * 2)
    np.testing.assert_array_equal(d, c * 2)
    left, right = u.split_dataset(np.arange(10), 6, shuffle=True, seed=1)
    assert sorted([*left, *right]) == list(range(10))
    assert list(left) != list(range(6))
    with pytest.raises(ValueError, match="do not split"):
        u.split_dataset(np.arange(3), 5)
    for bad in (-1, 1.5, "1", True):
        with pytest.raises(ValueError, match="seed"):
            u.set_random_seed(bad)
    u.plot_model(graph(), tmp_path / "model.dot", show_shapes=True)
    assert "->" in (tmp_path / "model.dot").read_text()


def test_py_dataset():
    class Data(densa.utils.PyDataset):
        def __len__(self):
            return 3

        def __getitem__(self, index):
            return np.full(2, index)

    data = Data(workers=4)
    assert data.num_batches == 3
    assert [int(x[0]) for x in data] == [0, 1, 2]
    with pytest.raises(TypeError):
        len(densa.utils.PyDataset())


def test_public_names():
    for name in densa.__all__:
        assert getattr(densa, name) is not None
    with pytest.raises(AttributeError, match="Did you mean 'Sequential'"):
        _ = densa.Sequentail


def test_a_subclass_builds_what_it_needs_and_then_as_the_base_does():
    class Reconstructs(densa.Model):
        def __init__(self):
            super().__init__()
            self.hidden = densa.layers.Dense(3)

        def build(self, shape):
            self.back = densa.layers.Dense(shape[-1])
            super().build(shape)

        def call(self, x):
            return self.back(self.hidden(x))

    x = np.ones((2, 4), "float32")
    for model in (Reconstructs(), Reconstructs()):
        assert model(x).shape == (2, 4)
        assert model.count_params() == 5 * 3 + 4 * 4
    model = Reconstructs()
    model.build((None, 4))
    assert model.count_params() == 5 * 3 + 4 * 4


def test_a_stack_cannot_hold_itself():
    model = densa.Sequential([densa.Input((2,)), densa.layers.Dense(2)])
    outer = densa.Sequential([model])
    for inner in (model, outer):
        with pytest.raises(ValueError, match="cannot hold itself"):
            model.add(inner)
    assert model.predict(np.ones((1, 2)), verbose=0).shape == (1, 2)
