"""Every op that densa writes to ONNX is read again, with the same answers."""

from __future__ import annotations

import numpy as np
import pytest

import densa
from densa import ops
from densa._core import apply
from densa._symbolic import OpCall
from densa.onnx.loading import model_from_proto
from densa.onnx.lowering import _OPS
from densa.onnx.recording import record
from densa.onnx.unary import UNARY
from interchange.test_export import model_of
from interchange.tools import as_list, model_proto

L = densa.layers
RNG = np.random.default_rng(5)
X = RNG.normal(size=(5, 6)).astype("f4")
Y = RNG.normal(size=(5, 6)).astype("f4")
POSITIVE = (np.abs(X) + 0.1).astype("f4")
SIGNED = np.array([[7, -7, 7, -7, 0, 5.5], [-1, 2, -3, 4, 1e-3, 8]], "f4")
DIVISORS = np.array([[2, 2, -2, -2.5, 3, -1.25], [3, -3, 2, -2, 0.7, -3]], "f4")
WHOLE = SIGNED.round().astype("i4")
IDS = np.array([[1, 0, 3], [2, 2, 1]], "i4")
BOOLS = X > 0


def row_count(x):
    return apply("row_count", x, dtype="float32")


def unary(name):
    return lambda x: getattr(ops, name)(x)


def along(name):
    return lambda x: getattr(ops, name)(x, axis=1)


# For each op: a function that records it, and the arrays it takes.
CASES = {
    **{name: [(unary(name), X)] for name in (
        "abs", "ceil", "celu", "cos", "elu", "erf", "exp", "expm1", "floor", "hard_sigmoid",
        "hard_silu", "isfinite", "isinf", "isnan", "leaky_relu", "log_sigmoid", "logical_not",
        "mish", "negative", "relu", "relu6", "round", "selu", "sigmoid", "sign", "silu", "sin",
        "softplus", "softsign", "square", "tanh")},
    **{name: [(unary(name), POSITIVE)] for name in ("log", "log1p", "reciprocal", "rsqrt", "sqrt")},
    "gelu": [(lambda x: ops.gelu(x, approximate=False), X)],
    "gelu_tanh": [(lambda x: ops.gelu(x, approximate=True), X)],
    **{name: [(getattr(ops, name), X, Y)] for name in (
        "add", "subtract", "multiply", "divide", "maximum", "minimum", "equal", "not_equal", "less",
        "less_equal", "greater", "greater_equal")},
    **{name: [(getattr(ops, name), BOOLS, Y > 0)] for name in (
        "logical_and", "logical_or", "logical_xor")},
    "power": [(ops.power, POSITIVE, Y), (lambda x: x**3, X)],
    "mod": [(ops.mod, SIGNED, DIVISORS), (ops.mod, WHOLE, WHOLE + 11), (lambda x: x % 2.5, SIGNED),
            (lambda x: ops.mod(7.0, x), DIVISORS)],
    "floor_divide": [(ops.floor_divide, SIGNED, DIVISORS),
                     (ops.floor_divide, WHOLE, WHOLE + 11)],
    "where": [(lambda c, a, b: ops.where(c, a, b), BOOLS, X, Y)],
    "cast": [(lambda x: ops.cast(x, "int32"), X)],
    "stop_gradient": [(lambda x: ops.stop_gradient(x) * 2, X)],
    **{name: [(along(name), X)] for name in (
        "sum", "mean", "max", "min", "prod", "logsumexp", "var", "argmax", "argmin", "softmax",
        "log_softmax")},
    **{name: [(along(name), BOOLS)] for name in ("any", "all")},
    "matmul": [(lambda x: ops.matmul(ops.reshape(x, (-1, 2, 3)), ops.reshape(x, (-1, 3, 2))), X)],
    "dense": [(L.Dense(3, "relu"), X)],
    "batch_norm": [(L.BatchNormalization(), X)],
    "layer_normalization": [(L.LayerNormalization(), X)],
    "prelu": [(L.PReLU(), X)],
    "embedding": [(L.Embedding(5, 2), IDS)],
    "take": [(lambda x: ops.take(x, [2, 0], axis=1), X)],
    "take_along": [(lambda x, i: ops.take_along_axis(x, i, axis=1), X[:2], IDS)],
    "argsort": [(lambda x: ops.argsort(x, axis=1), X), (lambda x: ops.top_k(x, 3)[0], X),
                (lambda x: ops.sort(ops.reshape(x, (-1, 2, 3)), axis=1), X)],
    "one_hot": [(lambda x: ops.one_hot(x, 4), IDS)],
    "slice": [(lambda x: x[:, 1:5:2], X), (lambda x: x[:, ::-1], X)],
    "reshape": [(lambda x: ops.reshape(x, (-1, 2, 3)), X)],
    "transpose": [(lambda x: ops.transpose(ops.reshape(x, (-1, 2, 3)), (0, 2, 1)), X)],
    "broadcast_to": [(lambda x: ops.broadcast_to(x[:, None], (-1, 3, 6)), X)],
    "concatenate": [(lambda x: ops.concatenate([x, x * 2], axis=1), X)],
    "pad_slice": [(lambda x: ops.pad(x, ((0, 0), (1, 2))), X)],
}  # fmt: skip
# An ONNX file can compute with the number of rows; densa reads no such file.
NOT_READ = {"row_count": (lambda x: x / OpCall(row_count)(x), X)}


# Of a fixed number of rows only; `segment_sum` in test_export.py and test_load.py.
FIXED_BATCH = {"embedding_grad"}


def test_each_op_has_a_case():
    assert {*CASES, *NOT_READ, *FIXED_BATCH} == {*_OPS, *UNARY}


@pytest.mark.parametrize("name", CASES)
def test_what_is_written_is_read(name):
    for function, *xs in CASES[name]:
        model = model_of(function, *xs)
        assert name in {call.op for call in record(model).calls}
        again = model_from_proto(model_proto(model))
        given = xs if len(xs) > 1 else xs[0]
        for y, wanted in zip(as_list(again(given)), as_list(model(given)), strict=True):
            assert y.dtype == wanted.dtype
            np.testing.assert_allclose(y.numpy(), wanted.numpy(), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", NOT_READ)
def test_what_is_not_read_is_refused(name):
    function, *xs = NOT_READ[name]
    model = model_of(function, *xs)
    assert name in {call.op for call in record(model).calls}
    with pytest.raises(ValueError, match="computes with the number of rows"):
        model_from_proto(model_proto(model))
