"""Models read from ONNX files: against ONNX Runtime and references in NumPy."""

from __future__ import annotations

import contextlib
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import densa
from densa import ops
from densa.onnx.loading import model_from_proto
from interchange.errors import assert_as_good, row_errors
from interchange.networks import draw, exact, in_densa, roundings
from interchange.test_export import NO_COUNTERPART, model_of
from interchange.tools import as_list, exported, model_proto, onnx, run
from layers.test_layers_against_numpy import ACTIVATIONS
from layers.test_layers_against_numpy import CASES as LAYERS
from ops.test_public import MATRIX as OPS

L = densa.layers
RNG = np.random.default_rng(12)
helper = onnx.helper
F = onnx.TensorProto.FLOAT


@pytest.fixture
def load(tmp_path):
    """Loads a proto by way of a file."""

    def from_proto(proto):
        path = tmp_path / "loaded.onnx"
        path.write_bytes(proto.SerializeToString())
        return densa.onnx.load(path)

    return from_proto


def graph(nodes, inputs, outputs, constants=(), opset=23, **kwargs):
    """A model of nodes `(operator, inputs, outputs, attributes)`."""
    made = [helper.make_node(op, i.split(), o.split(), **a) for op, i, o, a in nodes]
    infos = [helper.make_tensor_value_info(n, t, s) for n, t, s in inputs]
    results = [helper.make_tensor_value_info(n, t, s) for n, t, s in outputs]
    values = [onnx.numpy_helper.from_array(np.asarray(v), n) for n, v in dict(constants).items()]
    made = helper.make_graph(made, "made", infos, results, initializer=values)
    imports = [helper.make_opsetid("", opset)]
    return helper.make_model(made, opset_imports=imports, ir_version=8, **kwargs)


def check(load, proto, *xs, rtol=1e-5, atol=2e-6):
    """The model gives what ONNX Runtime gives; returns it."""
    model = load(proto)
    values = as_list(model(list(xs) if len(xs) > 1 else xs[0]))
    for value, expected in zip(values, run(proto, *xs), strict=True):
        assert value.shape == expected.shape
        assert str(value.dtype) == expected.dtype.name
        np.testing.assert_allclose(value.numpy(), expected, rtol=rtol, atol=atol)
    return model


# ---- densa → onnx → densa ------------------------------------------------------------------------


@pytest.mark.parametrize("name", LAYERS)
def test_layers_come_back(load, name):
    make, x, reference = LAYERS[name]
    layer = make()
    xs = [a.astype("f4") for a in as_list(x)]
    model = model_of(lambda *a: layer(list(a) if isinstance(x, list) else a[0]), *xs)
    again = load(model_proto(model))
    y = again(xs if len(xs) > 1 else xs[0])
    expected = reference(layer, [a.astype("f8") for a in xs] if isinstance(x, list) else xs[0])
    np.testing.assert_allclose(y.numpy(), expected, rtol=2e-5, atol=2e-6)
    assert again.input_names == model.input_names
    assert again.output_names == model.output_names
    assert again.output_shape == model.output_shape


@pytest.mark.parametrize("name", [k for k in ACTIVATIONS if k not in NO_COUNTERPART])
def test_activations_come_back(load, name):
    x = np.linspace(-6, 6, 200).astype("f4").reshape(20, 10)
    y = load(model_proto(model_of(L.Activation(name), x)))(x)
    np.testing.assert_allclose(y.numpy(), ACTIVATIONS[name](x.astype("f8")), rtol=1e-5, atol=2e-6)


@pytest.mark.parametrize("case", OPS, ids=lambda case: case[0])
def test_ops_come_back(load, case):
    name, args, kwargs, expected = case
    if name in NO_COUNTERPART | {"zeros_like", "ones_like", "full_like", "empty_like", "fmod"}:
        pytest.skip("not exported, or a constant")
    model = model_of(lambda x: getattr(ops, name)(x, *args[1:], **kwargs), args[0], batch=3)
    y = load(model_proto(model))(args[0])
    np.testing.assert_allclose(y.numpy(), expected, rtol=1e-5, atol=2e-6)
    assert y.dtype == model.outputs[0].dtype


@settings(max_examples=30)  # a network takes 0.1 s
@given(seed=st.integers(0, 2**32 - 1))
def test_random_networks(seed):
    """ONNX Runtime is as good as densa, and densa as good as ONNX Runtime."""
    x, network = draw(seed)
    model = in_densa(x, network)
    expected, rounded = exact(x, network), roundings(x, network)
    ours, (theirs,) = model.predict(x, verbose=0), exported(model, x)
    assert_as_good(theirs, ours, expected, rounded)
    again = model_from_proto(model_proto(model))
    assert_as_good(again.predict(x, verbose=0), theirs, expected, rounded)


def network():
    left, ids = densa.Input((6,), name="left"), densa.Input((3,), dtype="int32", name="ids")
    h = L.Dense(8, "relu")(left)
    h = L.BatchNormalization(momentum=0.8)(h)
    h = L.LayerNormalization()(h)
    table = L.Flatten()(L.Embedding(5, 2)(ids))
    h = L.Dropout(0.25)(L.Concatenate()([h, table]))
    chance = L.Dense(2, "softmax", use_bias=False, name="chance")(h)
    model = densa.Model([left, ids], [chance, L.PReLU("uniform", name="slopes")(h)])
    for w in model.weights:
        w.assign(RNG.uniform(0.2, 1, w.shape).astype("f4"))
    return model


def test_weights_are_weights_of_layers(load):
    model = network()
    again = load(model_proto(model))
    kinds = [type(layer).__name__ for layer in again.layers]
    assert {"left", "ids", "chance", "slopes"} < {x.name for x in again.operations}
    assert {x.name for x in model.layers if "dense" in x.name} < {x.name for x in again.layers}
    for kind in ("Dense", "BatchNormalization", "Embedding", "Flatten", "Concatenate"):
        assert kinds.count(kind) == [type(layer).__name__ for layer in model.layers].count(kind)
    trained = {w.shape for w in again.trainable_variables}
    assert trained == {w.shape for w in model.trainable_variables}
    (norm,) = (x for x in again.layers if isinstance(x, L.BatchNormalization))
    assert norm.epsilon == pytest.approx(1e-3)


def test_what_is_loaded_trains_and_saves(load, tmp_path):
    x = RNG.normal(size=(64, 6)).astype("f4")
    ids = RNG.integers(0, 5, (64, 3)).astype("i4")
    again = load(model_proto(network()))
    target = {"chance": (x[:, 0] > 0).astype("i4")}
    again = densa.Model(again.inputs, {"chance": again.outputs[0]})
    again.compile(densa.optimizers.Adam(0.02), "sparse_categorical_crossentropy")
    before = again.evaluate([x, ids], target, verbose=0)
    again.fit([x, ids], target, epochs=30, batch_size=16, verbose=0)
    assert again.evaluate([x, ids], target, verbose=0) < 0.8 * before
    again.save(tmp_path / "again.densa")
    third = densa.models.load_model(tmp_path / "again.densa")
    a, b = again.predict([x, ids], verbose=0), third.predict([x, ids], verbose=0)
    np.testing.assert_array_equal(a["chance"], b["chance"])


def test_what_is_loaded_freezes(load):
    x, layers = draw(3)
    again = load(model_proto(in_densa(x, layers)))
    y = again.freeze()(x)
    np.testing.assert_allclose(y, again.predict(x, verbose=0), rtol=1e-5, atol=1e-6)


def test_loading_what_was_exported_changes_nothing(load):
    """From the first round on, the file's graph is the same."""
    once = load(model_proto(network()))
    proto = model_proto(once)
    twice = model_proto(load(proto))
    assert [n.op_type for n in proto.graph.node] == [n.op_type for n in twice.graph.node]


# ---- operators -----------------------------------------------------------------------------------

X = RNG.normal(size=(4, 3)).astype("f4")
W = RNG.normal(size=(3, 5)).astype("f4")
B = RNG.normal(size=5).astype("f4")
W3 = {"w": W}


@pytest.mark.parametrize(
    "attributes",
    [{}, {"alpha": 0.5}, {"beta": 2.0}, {"transB": 1}, {"transB": 1, "alpha": 2.0, "beta": 0.5}],
    ids=str,
)
@pytest.mark.parametrize("bias", [B, B[None], B[:1], np.float32(2), None], ids=np.shape)
def test_gemm_is_a_dense_layer(load, attributes, bias):
    w = W.T.copy() if attributes.get("transB") else W
    constants = {"w": w} if bias is None else {"w": w, "c": bias}
    nodes = [("Gemm", "x w" if bias is None else "x w c", "y", attributes)]
    proto = graph(nodes, [("x", F, ["n", 3])], [("y", F, ["n", 5])], constants)
    model = check(load, proto, X)
    assert [type(x).__name__ for x in model.layers] == ["InputLayer", "Dense"]
    assert model.output_names == ["y"]


def test_gemm_without_constants(load):
    nodes = [("Gemm", "a b c", "y", {"transA": 1, "alpha": 0.5, "beta": 3.0})]
    sizes = [("a", F, [3, 4]), ("b", F, [3, 5]), ("c", F, [1, 5])]
    proto = graph(nodes, sizes, [("y", F, [4, 5])])
    check(load, proto, X.T.copy(), W, B[None])


@pytest.mark.parametrize("nodes", [
    [("MatMul", "x w", "z", {}), ("Add", "z b", "y", {})],
    [("MatMul", "x w", "z", {}), ("Add", "b z", "y", {})],
    [("Transpose", "v", "w1", {"perm": [1, 0]}), ("Identity", "b", "c", {}),
     ("MatMul", "x w1", "z", {}), ("Add", "z c", "y", {})],
    [("Constant", "", "two", {"value_float": 2.0}), ("Mul", "w two", "w2", {}),
     ("MatMul", "x w2", "z", {}), ("Add", "z b", "y", {})],
])  # fmt: skip
def test_product_and_sum_are_a_dense_layer(load, nodes):
    constants = {"w": W, "b": B, "v": W.T.copy()}
    model = check(load, graph(nodes, [("x", F, ["n", 3])], [("y", F, ["n", 5])], constants), X)
    assert [type(x).__name__ for x in model.layers] == ["InputLayer", "Dense"]


def test_a_product_that_others_read_keeps_its_value(load):
    nodes = [("MatMul", "x w", "z", {}), ("Add", "z b", "y", {}), ("Relu", "z", "r", {})]
    proto = graph(nodes, [("x", F, ["n", 3])], [("y", F, ["n", 5]), ("r", F, ["n", 5])],
                  {"w": W, "b": B})  # fmt: skip
    assert check(load, proto, X).output_names == ["y", "r"]


def one(op, attributes=None, constants=(), inputs="x", shape=("n", 3), out=None, opset=23, kind=F):
    out = out or shape
    names = " ".join([inputs, *dict(constants)])
    return graph([(op, names, "y", attributes or {})], [("x", F, list(shape))],
                 [("y", kind, list(out))], constants, opset)  # fmt: skip


I64 = np.int64
CASES = {
    "Clip": one("Clip", constants={"low": np.float32(-0.5), "high": np.float32(0.5)}),
    "Clip, relu6": one("Clip", constants={"low": np.float32(0), "high": np.float32(6)}),
    "Clip, old": one("Clip", {"min": -0.5, "max": 0.7}, opset=9),
    "HardSigmoid": one("HardSigmoid"),
    "HardSigmoid, 1/6": one("HardSigmoid", {"alpha": 1 / 6, "beta": 0.5}),
    "LeakyRelu": one("LeakyRelu"),
    "Selu": one("Selu"),
    "Selu, own": one("Selu", {"alpha": 1.0, "gamma": 2.0}),
    "Celu": one("Celu", {"alpha": 0.5}),
    "ThresholdedRelu": one("ThresholdedRelu", {"alpha": 0.3}),
    "Gelu": one("Gelu"),
    "Gelu, tanh": one("Gelu", {"approximate": "tanh"}),
    "Softmax, 0": one("Softmax", {"axis": 1}, opset=11),
    "Softmax, flat": one("Softmax", {"axis": 1}, shape=("n", 2, 3), opset=11),
    "LogSoftmax": one("LogSoftmax"),
    "Mod": one("Pow", constants={"e": np.float32(2)}),
    "Pow": one("Pow", constants={"e": np.array([1, 2, 3], "i4")}),
    "Max": one("Max", constants={"a": np.float32(0.1), "b": np.zeros(3, "f4")}),
    "Mean": one("Mean", constants={"a": np.float32(0.1), "b": np.zeros(3, "f4")}),
    "Sum": one("Sum", constants={"a": np.ones(3, "f4")}),
    "ReduceMean": one("ReduceMean", {"axes": [1]}, out=("n", 1), opset=13),
    "ReduceMean, input": one("ReduceMean", {"keepdims": 0}, {"a": I64([1])}, out=("n",), opset=18),
    "ReduceL2": one("ReduceL2", constants={"a": I64([-1])}, out=("n", 1)),
    "ReduceL1": one("ReduceL1", constants={"a": I64([-1])}, out=("n", 1)),
    "ReduceSum, all": one("ReduceSum", {"keepdims": 0}, out=()),
    "ArgMax": one("ArgMax", {"axis": 1}, out=("n", 1), kind=onnx.TensorProto.INT64),
    "Cast": one("Cast", {"to": onnx.TensorProto.INT32}, kind=onnx.TensorProto.INT32),
    "Flatten": one("Flatten", shape=("n", 2, 3), out=("n", 6)),
    "Flatten, 2": one("Flatten", {"axis": 2}, shape=("n", 2, 3), out=("m", 3)),
    "Flatten, 0": one("Flatten", {"axis": 0}, shape=(2, 3), out=(1, 6)),
    "Reshape, 0 -1": one("Reshape", {}, {"s": I64([0, -1])}, shape=("n", 2, 3), out=("n", 6)),
    "Reshape, -1 3": one("Reshape", {}, {"s": I64([-1, 3])}, shape=("n", 2, 3), out=("m", 3)),
    "Reshape, fixed": one("Reshape", {}, {"s": I64([4, -1])}, shape=(4, 2, 3), out=(4, 6)),
    "Reshape, rows": one("Reshape", {}, {"s": I64([2, 6])}, shape=(4, 3), out=(2, 6)),
    "Reshape, 2 -1": one("Reshape", {}, {"s": I64([2, -1])}, shape=(4, 3), out=(2, 6)),
    "Squeeze": one("Squeeze", {"axes": [1]}, shape=("n", 1, 3), out=("n", 3), opset=11),
    "Squeeze, input": one("Squeeze", {}, {"a": I64([1])}, shape=("n", 1, 3), out=("n", 3)),
    "Unsqueeze": one("Unsqueeze", {}, {"a": I64([1, -1])}, out=("n", 1, 3, 1)),
    "Transpose": one("Transpose", {"perm": [0, 2, 1]}, shape=("n", 2, 3), out=("n", 3, 2)),
    "Slice": one("Slice", {}, {"s": I64([1]), "e": I64([2**62]), "a": I64([1])}, out=("n", 2)),
    "Slice, back": one("Slice", {}, {"s": I64([-1]), "e": I64([-(2**62)]), "a": I64([1]),
                                     "t": I64([-1])}, out=("n", 3)),
    "Slice, negative": one("Slice", {}, {"s": I64([-2]), "e": I64([-1]), "a": I64([1])},
                           out=("n", 1)),
    "Slice, old": one("Slice", {"axes": [1], "starts": [0], "ends": [-1]}, out=("n", 2), opset=9),
    "Gather, one": one("Gather", {"axis": 1}, {"i": I64(2)}, out=("n",)),
    "Gather, several": one("Gather", {"axis": 1}, {"i": I64([2, 0])}, out=("n", 2)),
    "Expand": one("Expand", {}, {"s": I64([1, 2, 1])}, shape=(2, 1, 3), out=(2, 2, 3)),
    "Dropout": one("Dropout", {}, {"r": np.float32(0.3)}),
    "Dropout, old": one("Dropout", {"ratio": 0.3}, opset=10),
    "PRelu": one("PRelu", {}, {"s": np.array([0.1, 0.2, 0.3], "f4")}),
    "PRelu, one": one("PRelu", {}, {"s": np.array([0.1], "f4")}, shape=("n", 2, 3)),
    "LayerNormalization": one("LayerNormalization", {"epsilon": 1e-4},
                              {"s": W[:, 0].copy(), "b": W[:, 1].copy()}),
    "LayerNormalization, two axes": one("LayerNormalization", {"axis": 1},
                                        {"s": RNG.normal(size=(2, 3)).astype("f4")},
                                        shape=("n", 2, 3)),
    "BatchNormalization": one("BatchNormalization", {"epsilon": 1e-4},
                              {k: np.abs(W[:, i]) for i, k in enumerate("abcd")}),
    "BatchNormalization, rank 3": one("BatchNormalization", {},
                                      {k: np.abs(W[:2, i]) for i, k in enumerate("abcd")},
                                      shape=("n", 2, 3)),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_operators(load, name):
    proto = CASES[name]
    dims = [d.dim_value or 4 for d in proto.graph.input[0].type.tensor_type.shape.dim]
    x = RNG.normal(size=dims).astype("f4")
    if name == "Slice, back":
        x = x + 0
    check(load, proto, x * 2 if name == "Cast" else x)


def test_integer_division_goes_towards_zero(load):
    i = onnx.TensorProto.INT32
    proto = graph([("Div", "a b", "y", {})], [("a", i, ["n"]), ("b", i, ["n"])], [("y", i, ["n"])])
    check(load, proto, np.array([7, -7, 7, -7], "i4"), np.array([2, 2, -2, -2], "i4"))


def test_split(load):
    nodes = [("Split", "x s", "a b", {"axis": 1}), ("Mul", "a b", "y", {})]
    proto = graph(nodes, [("x", F, ["n", 6])], [("y", F, ["n", 3])], {"s": np.int64([3, 3])})
    check(load, proto, RNG.normal(size=(4, 6)).astype("f4"))


@pytest.mark.parametrize("rows", [1, 4])
def test_shapes_computed_from_the_batch(load, rows):
    """What exporters write for x.view(x.shape[0], -1) and for x.view(-1, 2, 3)."""
    nodes = [
        ("Shape", "x", "s", {}),
        ("Gather", "s zero", "n", {"axis": 0}),
        ("Unsqueeze", "n zero1", "n1", {}),
        ("Concat", "n1 minus", "to", {"axis": 0}),
        ("Reshape", "x to", "flat", {}),
        ("Shape", "flat", "s2", {"start": 0, "end": 1}),
        ("Concat", "s2 twothree", "to2", {"axis": 0}),
        ("Reshape", "flat to2", "y", {}),
        ("Mul", "n1 two", "doubled", {}),
        ("Concat", "doubled three", "to3", {"axis": 0}),
        ("Reshape", "x to3", "rows", {}),
    ]
    constants = {"zero": np.int64(0), "zero1": np.int64([0]), "minus": np.int64([-1]),
                 "twothree": np.int64([2, 3]), "two": np.int64([2]),
                 "three": np.int64([3])}  # fmt: skip
    proto = graph(nodes, [("x", F, ["n", 3, 2])], [("y", F, ["n", 2, 3]), ("rows", F, ["m", 3])],
                  constants)  # fmt: skip
    check(load, proto, RNG.normal(size=(rows, 3, 2)).astype("f4"))


def test_initializers_as_inputs_and_unused_ones(load):
    inputs = [("x", F, ["n", 3]), ("w", F, [3, 5])]
    proto = graph([("MatMul", "x w", "y", {})], inputs, [("y", F, ["n", 5])], {"w": W, "u": B})
    model = load(proto)
    assert model.input_names == ["x"]
    np.testing.assert_allclose(model(X).numpy(), X @ W, rtol=1e-5)


def test_external_data(tmp_path):
    proto = graph(
        [("MatMul", "x w", "y", {})], [("x", F, ["n", 3])], [("y", F, ["n", 5])], {"w": W}
    )
    onnx.save(proto, tmp_path / "a.onnx", save_as_external_data=True, location="a.bin",
              size_threshold=0)  # fmt: skip
    np.testing.assert_allclose(densa.onnx.load(tmp_path / "a.onnx")(X).numpy(), X @ W, rtol=1e-5)
    (tmp_path / "a.bin").unlink()
    with pytest.raises(ValueError, match=r"a\.onnx is not a valid"):
        densa.onnx.load(tmp_path / "a.onnx")


def test_functions_of_the_file(load):
    body = [helper.make_node("Mul", ["a", "a"], ["b"])]
    function = helper.make_function("own", "Twice", ["a"], ["b"], body,
                                    [helper.make_opsetid("", 23)])  # fmt: skip
    node = helper.make_node("Twice", ["x"], ["y"], domain="own")
    info = [helper.make_tensor_value_info(n, F, ["n", 3]) for n in "xy"]
    made = helper.make_graph([node], "g", info[:1], info[1:])
    imports = [helper.make_opsetid("", 23), helper.make_opsetid("own", 1)]
    proto = helper.make_model(made, functions=[function], opset_imports=imports, ir_version=10)
    np.testing.assert_allclose(load(proto)(X).numpy(), X * X, rtol=1e-6)


def test_names_with_slashes_and_outputs_that_are_inputs(load):
    nodes = [("Relu", "/in:0", "/h/out", {}), ("Identity", "/h/out", "twin", {})]
    infos = [("/h/out", F, ["n", 3]), ("twin", F, ["n", 3]), ("/in:0", F, ["n", 3])]
    model = load(graph(nodes, [("/in:0", F, ["n", 3])], infos))
    assert model.input_names == ["in_0"]
    assert model.output_names[:2] == ["h_out", "twin"]
    relu, twin, same = model(X)
    np.testing.assert_array_equal(relu.numpy(), np.maximum(X, 0))
    np.testing.assert_array_equal(twin.numpy(), relu.numpy())
    np.testing.assert_array_equal(same.numpy(), X)


def test_float64(load):
    d = onnx.TensorProto.DOUBLE
    w, b = W.astype("f8"), B.astype("f8")
    nodes = [("Gemm", "x w b", "z", {}), ("Tanh", "z", "y", {})]
    model = load(graph(nodes, [("x", d, ["n", 3])], [("y", d, ["n", 5])], {"w": w, "b": b}))
    x = densa.asarray(X.astype("f8"))
    assert row_errors(model(x).numpy(), np.tanh(X.astype("f8") @ w + b)).max() < 1e-6
    assert model.dtype == "float32" or model.layers[1].kernel.dtype == "float64"


# ---- refusals ------------------------------------------------------------------------------------

NO_SHAPE = graph([("Relu", "x", "y", {})], [("x", F, None)], [("y", F, None)])
HALF = graph([("Relu", "x", "y", {})], [("x", onnx.TensorProto.FLOAT16, ["n", 3])],
             [("y", onnx.TensorProto.FLOAT16, ["n", 3])])  # fmt: skip
TEXT = graph([("Identity", "x", "y", {})], [("x", onnx.TensorProto.STRING, ["n"])],
             [("y", onnx.TensorProto.STRING, ["n"])])  # fmt: skip
ROWS_AS_NUMBER = graph(
    [("Shape", "x", "s", {}), ("Cast", "s", "f", {"to": F}), ("Div", "x f", "y", {})],
    [("x", F, ["n", 1])], [("y", F, ["n", 2])])  # fmt: skip
SUM_OF_ROWS = graph(
    [("Shape", "x", "s", {}), ("Add", "s one", "t", {}), ("Reshape", "x t", "y", {})],
    [("x", F, ["n", 1])], [("y", F, ["n", 1])], {"one": np.int64([1, 0])})  # fmt: skip
STATIC = graph([("Relu", "c", "y", {})], [("x", F, ["n", 3])], [("y", F, [4, 3])], {"c": X})


@pytest.mark.parametrize(
    ("words", "proto"),
    [
        (r"node 0 \(TopK, giving.*takes 4 elements of an axis of 3",
         graph([("TopK", "x k", "y i", {})], [("x", F, ["n", 3])],
               [("y", F, ["n", 4])], {"k": np.int64([4])})),
        (r"node 0 \(TopK, giving.*sorts the rows",
         graph([("TopK", "x k", "y i", {"axis": 0})], [("x", F, ["n", 3])],
               [("y", F, [2, 3])], {"k": np.int64([2])})),
        ("LRN, giving y.*no counterpart", one("LRN", {"size": 1}, shape=("n", 3, 2, 2))),
        ("'shape' of 'type' is required", NO_SHAPE),
        ("'x' is of type float16", HALF),
        ("no numbers of ONNX' type STRING", TEXT),
        ("Cast, giving f.*computes with the number of rows", ROWS_AS_NUMBER),
        ("Add, giving t.*computes with the number of rows", SUM_OF_ROWS),
        ("output 'y' does not depend", STATIC),
        ("opset 6", one("Relu", opset=6)),
        ("draws random numbers", graph(
            [("RandomNormal", "", "r", {"shape": [4, 3]}), ("Add", "x r", "y", {})],
            [("x", F, [4, 3])], [("y", F, [4, 3])])),
        ("does not compute its output 'm'", graph(
            [("Dropout", "x", "y m", {})], [("x", F, ["n", 3])],
            [("y", F, ["n", 3]), ("m", onnx.TensorProto.BOOL, ["n", 3])])),
        ("scale .input 1. must be a constant", graph(
            [("BatchNormalization", "x s b m v", "y", {})],
            [("x", F, ["n", 3]), ("s", F, [3])], [("y", F, ["n", 3])],
            {k: np.ones(3, "f4") for k in "bmv"})),
    ],
)  # fmt: skip
def test_refusals(load, words, proto):
    with pytest.raises(ValueError, match=words) as caught:
        load(proto)
    assert "loaded.onnx" in str(caught.value)


def test_bad_files(tmp_path):
    path = tmp_path / "a.onnx"
    with pytest.raises(FileNotFoundError, match=r"a\.onnx"):
        densa.onnx.load(path)
    whole = CASES["Gelu"].SerializeToString()
    for data in (b"", b"no protobuf at all", whole[: len(whole) // 2]):
        path.write_bytes(data)
        with pytest.raises(ValueError, match=r"a\.onnx"):
            densa.onnx.load(path)


WHOLE = model_proto(network()).SerializeToString()


@given(data=st.data())
def test_damaged_files_are_refused_or_read(tmp_path_factory, data):
    """Whatever the bytes are, the answer is a model or a ValueError."""
    damaged = bytearray(WHOLE)
    places = st.tuples(st.integers(0, len(WHOLE) - 1), st.integers(0, 255))
    for place, byte in data.draw(st.lists(places, min_size=1, max_size=3)):
        damaged[place] = byte
    path = tmp_path_factory.getbasetemp() / "damaged.onnx"
    path.write_bytes(bytes(damaged))
    with contextlib.suppress(ValueError):
        assert isinstance(densa.onnx.load(path), densa.Model)


def test_a_wrong_weight_is_named_with_its_node(load):
    proto = graph(
        [("MatMul", "x w", "y", {})], [("x", F, ["n", 4])], [("y", F, ["n", 5])], {"w": W}
    )
    with pytest.raises(ValueError, match="node 0 .MatMul"):
        load(proto)


def test_without_the_library(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ImportError, match=r"densa\[onnx\]"):
        densa.onnx.load(tmp_path / "a.onnx")
