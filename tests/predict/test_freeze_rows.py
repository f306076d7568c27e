"""Models of a fixed batch, and those that ask for its size, serve any number of rows."""

import numpy as np
import pytest

import densa
from densa import layers, ops

pytestmark = pytest.mark.cpu_only("what freezes is the same everywhere")

RNG = np.random.default_rng(0)
LINE = np.array([1, 2, 3, 4], "float32")


def fixed(function, rows=8, shape=(4,)):
    x = densa.Input(batch_shape=(rows, *shape))
    return densa.Model(x, function(x))


def check(model, shape=(4,), rows=8):
    predictor = model.freeze()
    assert predictor.inputs[0].shape == (None, *shape)
    x = RNG.normal(size=(rows, *shape)).astype("float32")
    wanted = np.asarray(model(x))
    np.testing.assert_allclose(predictor(x), wanted, rtol=1e-5, atol=1e-6)
    for n in (1, 3):
        np.testing.assert_allclose(predictor(x[:n]), wanted[:n], rtol=1e-5, atol=1e-6)
    more = predictor(np.concatenate([x, x]))
    np.testing.assert_allclose(more, np.concatenate([wanted, wanted]), rtol=1e-5, atol=1e-6)


FIXED = {
    "dense": lambda x: layers.Dense(3, "relu")(x),
    "reshape": lambda x: layers.Dense(3)(ops.reshape(x, (8, -1))),
    "reshape to more axes": lambda x: ops.reshape(x, (8, 2, 2)) * 2,
    "broadcast": lambda x: x + ops.broadcast_to(LINE, (8, 4)),
    "equal rows": lambda x: ops.concatenate([x, ops.ones((8, 2))], axis=1),
    "a slice of all rows": lambda x: x[0:8, 1:],
    "the batch's size": lambda x: x / x.shape[0],
    "several": lambda x: ops.reshape(layers.Dense(6)(ops.reshape(x, (8, 2, 2))), (8, 12)),
}


@pytest.mark.parametrize("name", FIXED)
def test_a_fixed_batch(name):
    check(fixed(FIXED[name]))


def test_a_batch_of_one():
    check(fixed(lambda x: layers.Dense(3)(ops.reshape(x, (1, -1))), 1, (2, 2)), (2, 2), 1)


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x + np.arange(8, dtype="float32")[:, None],
        lambda x: ops.reshape(x, (4, 8)),
        lambda x: ops.concatenate([x, RNG.normal(size=(8, 1)).astype("float32")], axis=1),
        lambda x: ops.reshape(ops.transpose(x), (8, 4)),
        lambda x: x - ops.mean(x, axis=0),
    ],
)
def test_a_fixed_batch_whose_rows_differ(function):
    with pytest.raises(ValueError, match=r"freeze: layer '.*' uses the op "):
        fixed(function).freeze()


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x + np.ones((3, 1), "float32"),
        lambda x: ops.concatenate([x, x], axis=0),
        lambda x: ops.broadcast_to(x, (5, 4)),
        lambda x: ops.squeeze(x),
        lambda x: ops.squeeze(x, axis=0),
    ],
)
def test_a_batch_of_one_that_becomes_something_else(function):
    """A row may be taken for an axis of size 1: what then has another shape is no row."""
    with pytest.raises(ValueError, match=r"freeze: layer '.*' uses the op .*ends before"):
        fixed(function, 1).freeze()


def test_shapes_that_do_not_fit_name_layer_and_way_out():
    class Stretches(densa.Model):
        def call(self, x):
            return ops.broadcast_to(x, (2, 8, 4))

    model = Stretches(name="net")
    with pytest.raises(ValueError, match=r"freeze: layer 'net': broadcast_to.*None in ops"):
        model.freeze(inputs=densa.Input((4,)))


@pytest.mark.parametrize(
    "function",
    [
        lambda x: ops.broadcast_to(x[:, None], (8, 5, 4)),
        lambda x: x + np.arange(8, dtype="float32")[:, None],
        lambda x: ops.concatenate([x, np.ones((8, 2), "float32")], axis=1),
    ],
)
def test_predict_of_a_fixed_batch(function):
    """Steps that count on its size run op by op."""
    model = fixed(function)
    x = RNG.normal(size=(16, 4)).astype("float32")
    wanted = np.concatenate([np.asarray(model(x[:8])), np.asarray(model(x[8:]))])
    np.testing.assert_array_equal(model.predict(x, batch_size=8, verbose=0), wanted)


def test_batches_of_different_sizes():
    a, b = densa.Input(batch_shape=(8, 4)), densa.Input(batch_shape=(2, 4))
    model = densa.Model([a, b], [a * 2, b * 2])
    with pytest.raises(ValueError, match=r"different sizes, \[2, 8\]"):
        model.freeze()


def test_one_input_of_a_fixed_batch():
    a, b = densa.Input(batch_shape=(8, 4)), densa.Input((4,))
    predictor = densa.Model([a, b], [ops.reshape(a * 2, (8, 4)), b + 1]).freeze()
    x = RNG.normal(size=(5, 4)).astype("float32")
    for y, wanted in zip(predictor(x, x), (2 * x, x + 1), strict=True):
        np.testing.assert_allclose(y, wanted, rtol=1e-6)


class Asks(densa.Model):
    """Computes with the number of rows, as code for other libraries often does."""

    def __init__(self, function):
        super().__init__()
        self.dense = layers.Dense(6)
        self.function = function

    def call(self, x):
        return self.function(self, x)


ASKS = {
    "flatten": lambda m, x: m.dense(ops.reshape(x, (ops.shape(x)[0], -1))),
    "heads": lambda m, x: ops.reshape(m.dense(x[:, 0]), (len(x), 2, 3)),
    "a token": lambda m, x: ops.concatenate(
        [ops.broadcast_to(ops.reshape(m.dense.bias, (1, 1, 6)), (len(x), 1, 6)), m.dense(x)], axis=1
    ),
    "zeros": lambda m, x: ops.zeros((len(x), 6)) + m.dense(x[:, 0]),
    "steps": lambda m, x: steps(m, x),
}


def steps(model, x):
    """A recurrence whose state begins with zeros."""
    state = ops.zeros((ops.shape(x)[0], 6))
    for i in range(x.shape[1]):
        state = ops.tanh(model.dense(x[:, i]) + 0.5 * state)
    return state


@pytest.mark.parametrize("name", ASKS)
def test_models_that_ask_for_the_number_of_rows(name):
    model = Asks(ASKS[name])
    x = RNG.normal(size=(6, 3, 4)).astype("float32")
    if name != "flatten":
        model.dense.build((None, 4))
    wanted = np.asarray(model(x))
    predictor = model.freeze(inputs=densa.Input((3, 4)))
    np.testing.assert_allclose(predictor(x), wanted, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(predictor(x[:2]), wanted[:2], rtol=1e-5, atol=1e-6)


def test_an_onnx_file_of_a_fixed_batch(tmp_path):
    onnx = pytest.importorskip("onnx")
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    w = RNG.normal(size=(12, 5)).astype("float32")
    nodes = [
        helper.make_node("Reshape", ["x", "shape"], ["flat"]),
        helper.make_node("MatMul", ["flat", "w"], ["z"]),
        helper.make_node("Relu", ["z"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "fixed",
        [helper.make_tensor_value_info("x", kind, [8, 3, 4])],
        [helper.make_tensor_value_info("y", kind, [8, 5])],
        [
            onnx.numpy_helper.from_array(np.array([8, 12]), "shape"),
            onnx.numpy_helper.from_array(w, "w"),
        ],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(made, tmp_path / "fixed.onnx")
    predictor = densa.onnx.load(tmp_path / "fixed.onnx").freeze()
    x = RNG.normal(size=(3, 3, 4)).astype("float32")
    np.testing.assert_allclose(
        predictor(x), np.maximum(x.reshape(3, 12) @ w, 0), rtol=1e-5, atol=1e-6
    )
