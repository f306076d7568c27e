"""What every layer inherits: tracking, freezing, training, losses, names, errors."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

import densa

L = densa.layers


class Scale(L.Layer):
    def __init__(self, factor=2.0, **kwargs):
        super().__init__(**kwargs)
        self.factor = factor

    def build(self, input_shape):
        self.w = self.add_weight(shape=(input_shape[-1],), initializer="ones", name="w")
        self.count = self.add_weight(
            shape=(), initializer="zeros", name="count", trainable=False, dtype="int64"
        )

    def call(self, x):
        return x * self.w * self.factor


class Block(L.Layer):
    """Layers in attributes, lists and dicts."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.first = L.Dense(3)
        self.some = [L.Dense(3), L.Dense(3, use_bias=False)]
        self.named = {"last": L.Dense(2)}

    def call(self, x, training=None):
        x = self.first(x)
        for layer in self.some:
            x = layer(x)
        self.seen = training
        return self.named["last"](x)


X = np.ones((2, 4), "float32")


def test_build_is_lazy_and_once():
    layer = Scale(name="s")
    assert not layer.built
    with pytest.raises(ValueError, match="isn't built"):
        layer.count_params()
    np.testing.assert_array_equal(layer(X).numpy(), 2 * X)
    assert layer.built
    assert [v.path for v in layer.weights] == ["s/w", "s/count"]
    assert [v.name for v in layer.trainable_weights] == ["w"]
    assert [v.name for v in layer.non_trainable_weights] == ["count"]
    assert layer.count_params() == 5
    w = layer.w
    layer(X)
    assert layer.w is w


def test_layers_in_lists_and_dicts_belong_to_the_layer():
    block = Block(name="block")
    block(X)
    assert [v.path for v in block.weights] == [
        "block/dense/kernel",
        "block/dense/bias",
        "block/dense_1/kernel",
        "block/dense_1/bias",
        "block/dense_2/kernel",
        "block/dense_3/kernel",
        "block/dense_3/bias",
    ]
    block.some.append(L.Dense(3))
    block(X)
    assert len(block.weights) == 9
    block.first = None
    assert len(block.weights) == 7


@pytest.fixture(autouse=True)
def _fresh_names():
    densa.utils.clear_session()


def test_freezing_reaches_everything_and_comes_back():
    block = Block()
    block(X)
    assert len(block.trainable_variables) == 7
    block.trainable = False
    assert block.trainable_variables == []
    assert len(block.non_trainable_variables) == 7
    assert not any(v.trainable for v in block.weights)
    assert not block.first.trainable
    block.trainable = True
    assert len(block.trainable_variables) == 7
    block.first.trainable = False
    assert len(block.trainable_variables) == 5

    scale = Scale(trainable=False)
    scale(X)
    assert scale.trainable_variables == []
    scale.trainable = True
    assert [v.name for v in scale.trainable_variables] == ["w"]  # the counter stays as it was


def test_training_is_handed_down():
    class Outer(L.Layer):
        def __init__(self):
            super().__init__()
            self.block = Block()

        def call(self, x):
            return self.block(x)

    outer = Outer()
    outer(X)
    assert outer.block.seen is None
    outer(X, training=True)
    assert outer.block.seen is True
    outer(X, training=False)
    assert outer.block.seen is False
    outer(X)
    assert outer.block.seen is None

    class Default(L.Layer):
        def call(self, x, training=True):
            self.seen = training
            return x

    layer = Default()
    layer(X)
    assert layer.seen is True
    layer(X, training=False)
    assert layer.seen is False


def test_inputs_are_cast():
    class Types(L.Layer):
        def call(self, x, ids=None):
            self.seen = [x.dtype, None if ids is None else ids.dtype]
            return x

    layer = Types()
    layer(np.zeros((1, 2)), ids=np.zeros(2, "int64"))
    assert layer.seen == ["float32", "int64"]
    layer([[1.0, 2.0]])
    assert layer.seen == ["float32", None]
    layer = Types(dtype="float64")
    layer(X)
    assert layer.seen[0] == "float64"
    layer = Types(autocast=False)
    layer(np.zeros((1, 2)))
    assert layer.seen[0] == "float64"
    assert Types(dtype="float64").compute_dtype == "float64"


def test_any_array():
    layer = L.Dense(2)
    y = layer(X).numpy()
    read_only = X.copy()
    read_only.flags.writeable = False
    wide = np.zeros((2, 8), "float32")
    wide[:, ::2] = X
    for x in (
        read_only,
        wide[:, ::2],
        np.asfortranarray(X),
        X[::-1][::-1],
        X.astype(">f4"),
        X.astype("float16"),
        X.astype("float64"),
        X.astype("int64"),
        X.astype(">i4"),
        X.astype("uint8"),
        X.astype("bool"),
        X.tolist(),
        tuple(map(tuple, X.tolist())),
        densa.asarray(X),
        densa.Variable(X),
    ):
        np.testing.assert_array_equal(layer(x).numpy(), y)


def test_dtype_policy_default():
    densa.config.set_floatx("float64")
    try:
        assert L.Dense(2).dtype == "float64"
        assert L.Dense(2)(X).dtype == "float64"
    finally:
        densa.config.set_floatx("float32")


def test_losses():
    layer = L.Dense(
        2,
        kernel_initializer="ones",
        kernel_regularizer=densa.regularizers.l2(0.5),
        bias_regularizer="l1",
        activity_regularizer=densa.regularizers.l1(0.25),
    )
    layer(X)
    activity, kernel, bias = (float(x) for x in layer.losses)
    assert kernel == pytest.approx(0.5 * 8)
    assert bias == 0.0
    assert activity == pytest.approx(0.25 * 16 / len(X))  # per row
    layer(X)
    assert len(layer.losses) == 3  # those of the last call only
    layer.trainable = False
    assert len(layer.losses) == 1

    class Adds(L.Layer):
        def __init__(self):
            super().__init__()
            self.inner = L.ActivityRegularization(l2=1.0)

        def call(self, x):
            self.add_loss(x[0, 0] * 3.0)
            return self.inner(x)

    layer = Adds()
    layer(X)
    assert sorted(float(x) for x in layer.losses) == [3.0, 4.0]
    layer(X)
    assert len(layer.losses) == 2


def test_weights_as_arrays():
    layer = L.Dense(3)
    layer(X)
    weights = layer.get_weights()
    assert [w.shape for w in weights] == [(4, 3), (3,)]
    layer.set_weights([w + 1 for w in weights])
    np.testing.assert_array_equal(layer.bias.numpy(), np.ones(3))
    with pytest.raises(ValueError, match="length 1, but the layer was expecting 2"):
        layer.set_weights(weights[:1])
    before = layer.get_weights()
    with pytest.raises(ValueError, match=r"weight shape \(3,\) is not compatible.*\(4,\)"):
        layer.set_weights([weights[0], np.zeros(4)])
    for a, b in zip(before, layer.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_names():
    assert L.BatchNormalization().name == "batch_normalization"
    assert L.BatchNormalization().name == "batch_normalization_1"
    assert L.ReLU().name == "re_lu"
    assert L.LeakyReLU().name == "leaky_re_lu"
    assert L.PReLU().name == "p_re_lu"
    assert L.ELU().name == "elu"
    assert Scale(name="mine").name == "mine"


def test_automatic_config():
    layer = Scale(3.0, name="s")
    assert layer.get_config()["factor"] == 3.0
    again = Scale.from_config(layer.get_config())
    assert (again.factor, again.name) == (3.0, "s")

    class Bad(L.Layer):
        def __init__(self, function):
            super().__init__()
            self.function = function

    with pytest.raises(NotImplementedError, match="must override `get_config"):
        Bad(np.tanh).get_config()


def test_the_first_parameter_may_have_another_name_than_self():
    class Terse(L.Layer):
        def __init__(s, units):
            super().__init__()
            s.units = units

        def build(s, a_shape, b_shape):
            s.shapes = (a_shape, b_shape)

        def call(s, a, b):
            return a + b

    layer = Terse(3)
    layer(X, X[:, :1])
    assert layer.shapes == ((2, 4), (2, 1))
    assert layer.get_build_config() == {"a_shape": (2, 4), "b_shape": (2, 1)}
    assert Terse.from_config(layer.get_config()).units == 3


def test_forgotten_super():
    class Bad(L.Layer):
        def __init__(self):
            self.units = 2

    with pytest.raises(RuntimeError, match="forgot to call `super"):
        Bad()(X)
    with pytest.raises(NotImplementedError, match="does not have a `call"):
        L.Layer()(X)


def test_several_inputs_and_build_shapes():
    class Two(L.Layer):
        def build(self, a_shape, b_shape):
            self.shapes = (a_shape, b_shape)

        def call(self, a, b):
            return a + b

    layer = Two()
    layer(X, X[:, :1])
    assert layer.shapes == ((2, 4), (2, 1))

    class Dict(L.Layer):
        def build(self, input_shape):
            self.shapes = input_shape

        def call(self, inputs):
            return inputs["a"] + inputs["b"]

    layer = Dict()
    np.testing.assert_array_equal(layer({"a": X, "b": X}).numpy(), 2 * X)
    assert layer.shapes == {"a": (2, 4), "b": (2, 4)}


@pytest.mark.parametrize("way", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_copies_are_independent(way):
    layer = L.Dense(3, "relu", kernel_regularizer="l2", name="d")
    y = layer(X).numpy()
    again = way(layer)
    np.testing.assert_array_equal(again(X).numpy(), y)
    assert [v.path for v in again.weights] == [v.path for v in layer.weights]
    assert again.kernel.regularizer.l2 == layer.kernel.regularizer.l2
    again.kernel.assign(np.zeros((4, 3)))
    np.testing.assert_array_equal(layer(X).numpy(), y)


def test_constraints():
    w = np.array([[3.0, -0.3], [4.0, 0.4]])
    c = densa.constraints
    np.testing.assert_allclose(c.MaxNorm(1.0)(w).numpy(), [[0.6, -0.3], [0.8, 0.4]], rtol=1e-6)
    np.testing.assert_allclose(c.UnitNorm()(w).numpy(), [[0.6, -0.6], [0.8, 0.8]], rtol=1e-6)
    np.testing.assert_allclose(c.NonNeg()(w).numpy(), [[3.0, 0.0], [4.0, 0.4]])
    np.testing.assert_allclose(
        c.MinMaxNorm(1.0, 2.0)(w).numpy(), [[1.2, -0.6], [1.6, 0.8]], rtol=1e-6
    )
    np.testing.assert_allclose(
        c.MinMaxNorm(1.0, 2.0, rate=0.5)(w).numpy(), [[2.1, -0.45], [2.8, 0.6]], rtol=1e-6
    )
    for name in ("max_norm", "min_max_norm", "non_neg", "unit_norm", "MaxNorm"):
        constraint = c.get(name)
        assert c.deserialize(c.serialize(constraint)).get_config() == constraint.get_config()
    assert c.get("max_norm").max_value == 2
    assert L.Dense(2, kernel_constraint=c.max_norm(1.0)).kernel_constraint.max_value == 1.0


def test_regularizers():
    w = np.array([[1.0, -2.0], [0.5, 0.0]])
    r = densa.regularizers
    assert float(r.l1(0.1)(w)) == pytest.approx(0.35)
    assert float(r.l2(0.1)(w)) == pytest.approx(0.525)
    assert float(r.l1_l2(0.1, 0.1)(w)) == pytest.approx(0.875)
    assert float(r.L1L2(0.1)(w)) == pytest.approx(0.35)
    cosine = 0.5 / (np.sqrt(5) * 0.5)
    assert float(r.OrthogonalRegularizer(0.1)(w)) == pytest.approx(0.1 * cosine)
    for name in ("l1", "l2", "l1_l2", "orthogonal_regularizer"):
        regularizer = r.get(name)
        assert r.deserialize(r.serialize(regularizer)).get_config() == regularizer.get_config()
    # As Keras documents it; L1L2() itself penalises nothing, so that L1L2(l2=0.1) is l2 alone.
    both = {"l1": 0.01, "l2": 0.01}
    for named in ("l1_l2", "L1L2", "l1l2", r.L1L2):
        assert L.Dense(2, kernel_regularizer=named).kernel_regularizer.get_config() == both
    assert r.L1L2().get_config() == {"l1": 0.0, "l2": 0.0}
    assert r.get({"class_name": "L1L2", "config": {"l2": 0.5}}).get_config() == {"l1": 0, "l2": 0.5}
    with pytest.raises(ValueError, match="non-negative"):
        r.L2(-1.0)
    with pytest.raises(ValueError, match="non-negative"):
        r.L1(float("nan"))


def test_a_weights_name_is_given_by_keyword():
    with pytest.raises(ValueError, match=r"received 'kernel'.*name='kernel'"):
        L.Layer().add_weight("kernel", shape=(2,))
    assert L.Layer().add_weight((2,), "ones", name="kernel").shape == (2,)


def test_variables_are_compared_with_numbers_by_value_and_found_in_lists():
    a, b = densa.Variable([1.0, 2.0]), densa.Variable([1.0, 2.0])
    np.testing.assert_array_equal(a == 2.0, [False, True])
    np.testing.assert_array_equal(a != np.array([1.0, 3.0]), [False, True])
    np.testing.assert_array_equal(a == 2.0, [False, True])
    assert bool(densa.Variable(0) == 0)
    assert [b, a].index(a) == 1
    assert a not in [b, None, "a"]
    assert len({a, b}) == 2


def test_variable():
    v = densa.Variable([1.0, 2.0], name="v")
    assert (v.shape, v.dtype, v.path, v.ndim, v.size) == ((2,), "float32", "v", 1, 2)
    np.testing.assert_array_equal((v + 1).numpy(), [2, 3])
    np.testing.assert_array_equal((1 - v).numpy(), [0, -1])
    np.testing.assert_array_equal((v * v / 2).numpy(), [0.5, 2])
    np.testing.assert_array_equal((-v).numpy(), [-1, -2])
    v.assign_add([1, 1])
    v.assign_sub(np.array([0.5, 0.5]))
    np.testing.assert_array_equal(v.numpy(), [1.5, 2.5])
    assert not v.numpy().flags.writeable
    with pytest.raises(ValueError, match=r"must match.*\(2,\).*\(3,\)"):
        v.assign([1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match="`shape` argument"):
        densa.Variable("zeros")
    assert densa.Variable(densa.initializers.Ones(), shape=(2, 3)).shape == (2, 3)
    assert densa.Variable(np.zeros(3)).dtype == "float64"
    assert densa.Variable(np.zeros(3), dtype="float32").dtype == "float32"
    assert densa.Variable(3, dtype="int64").numpy() == 3
