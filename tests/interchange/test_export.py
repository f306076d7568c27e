"""Exported models: checked by onnx, run by ONNX Runtime, compared with references in NumPy."""

from __future__ import annotations

import sys

import numpy as np
import pytest

import densa
from densa import ops
from interchange.tools import as_list, exported, model_proto, onnx, run
from layers.test_layers_against_numpy import ACTIVATIONS
from layers.test_layers_against_numpy import CASES as LAYERS
from ops.test_public import MATRIX as OPS

L = densa.layers
RNG = np.random.default_rng(11)

# What ONNX has no operators for, or ONNX Runtime no kernel.
NO_COUNTERPART = {"arctan2", "categorical_crossentropy", "sparse_categorical_crossentropy",
                  "binary_crossentropy", "arcsin", "arccos", "arctan"}  # fmt: skip
# NumPy computes these from numbers; the refusal names them (tests/ops/test_linalg.py).
NO_COUNTERPART |= {"view", "nextafter", "lstsq", "pinv"}


def model_of(function, *xs, batch=None):
    """A functional model of inputs like the arrays, with `batch` rows."""
    inputs = [
        densa.Input(batch_shape=(batch, *x.shape[1:]), dtype=str(x.dtype), name=f"x{i}")
        for i, x in enumerate(xs)
    ]
    return densa.Model(inputs, function(*inputs))


@pytest.mark.parametrize("name", LAYERS)
def test_layers(name):
    make, x, reference = LAYERS[name]
    layer = make()
    xs = [a.astype("f4") for a in as_list(x)]
    model = model_of(lambda *a: layer(list(a) if isinstance(x, list) else a[0]), *xs)
    (y,) = exported(model, *xs)
    expected = reference(layer, [a.astype("f8") for a in xs] if isinstance(x, list) else xs[0])
    np.testing.assert_allclose(y, expected, rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize(
    "layer",
    [
        L.RandomBrightness(0.5),
        L.RandomContrast(0.5),
        L.RandomCrop(3, 4),
        L.RandomFlip(),
        L.RandomRotation(0.5),
        L.RandomTranslation(0.5, 0.5),
        L.RandomZoom(0.5),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_images_are_not_augmented(layer):
    x = RNG.normal(size=(3, 6, 8, 2)).astype("f4")
    model = densa.Sequential([densa.Input((6, 8, 2)), layer, L.Flatten()])
    (y,) = exported(model, x)
    np.testing.assert_allclose(y, model.predict(x, verbose=0), rtol=1e-6, atol=1e-6)
    if not isinstance(layer, L.RandomCrop):
        np.testing.assert_array_equal(y, x.reshape(3, -1))


@pytest.mark.parametrize("name", [k for k in ACTIVATIONS if k not in NO_COUNTERPART])
def test_activations(name):
    x = np.linspace(-6, 6, 200).astype("f4").reshape(20, 10)
    (y,) = exported(model_of(L.Activation(name), x), x)
    expected = ACTIVATIONS[name](x.astype("f8"))
    np.testing.assert_allclose(y, expected, rtol=1e-5, atol=2e-6)


@pytest.mark.parametrize("case", OPS, ids=lambda case: case[0])
def test_ops(case):
    name, args, kwargs, expected = case
    if name in NO_COUNTERPART:
        pytest.skip("without counterpart: see test_refusals")
    model = model_of(lambda x: getattr(ops, name)(x, *args[1:], **kwargs), args[0], batch=3)
    (y,) = exported(model, args[0])
    np.testing.assert_allclose(y, expected, rtol=1e-5, atol=2e-6)
    assert (y.dtype == bool) == (model.outputs[0].dtype == "bool")


# ---- whole models --------------------------------------------------------------------------------


def test_several_inputs_and_outputs_and_names():
    a = densa.Input((3,), name="left")
    b = densa.Input((3,), name="right")
    ids = densa.Input((2,), dtype="int32", name="ids")
    shared = L.Dense(4, activation="gelu", name="shared")
    table = L.Flatten()(L.Embedding(7, 2)(ids))
    joined = L.Concatenate()([shared(a), shared(b), table])
    first = L.Dense(1, activation="sigmoid", name="chance")(joined)
    second = L.Add(name="total")([shared(a) * 2.0, shared(b)])
    model = densa.Model([a, b, ids], [first, second, second])
    x = RNG.normal(size=(2, 5, 3)).astype("f4")
    i = RNG.integers(0, 7, (5, 2)).astype("i4")
    proto = model_proto(model)
    assert [v.name for v in proto.graph.input] == ["left", "right", "ids"]
    assert [v.name for v in proto.graph.output] == ["chance", "total", "total_1"]
    for y, expected in zip(run(proto, *x, i), model.predict([*x, i], verbose=0), strict=True):
        np.testing.assert_allclose(y, expected, rtol=2e-6, atol=1e-6)
    weights = [c.name for c in proto.graph.initializer if "kernel" in c.name]
    assert len(weights) == 2  # a shared layer's kernel is written once


@pytest.mark.parametrize("rows", [0, 1, 2, 33])
def test_any_number_of_rows(rows):
    x = densa.Input((4,))
    centred = x - ops.mean(x, axis=1, keepdims=True)
    grown = L.Reshape((2, 3))(L.Dense(6)(centred))
    spread = ops.broadcast_to(ops.zeros((3,)), (2, 3)) + grown
    total = ops.sum(spread * ops.ones_like(spread), axis=2)
    model = densa.Model(x, L.Activation("softmax")(total))
    data = RNG.normal(size=(rows, 4)).astype("f4")
    proto = model_proto(model)
    assert proto.graph.input[0].type.tensor_type.shape.dim[0].dim_param == "batch"
    (y,) = run(proto, data)
    assert y.shape == (rows, 2)
    np.testing.assert_allclose(y, model(data).numpy(), rtol=1e-5, atol=1e-6)


def test_a_fixed_batch_stays_fixed():
    x = densa.Input(batch_shape=(3, 2))
    proto = model_proto(densa.Model(x, L.Dense(2)(x)))
    assert proto.graph.input[0].type.tensor_type.shape.dim[0].dim_value == 3


def test_mean_over_the_batch_counts_its_rows():
    x = densa.Input((4,))
    model = densa.Model(x, x - ops.mean(x, axis=0, keepdims=True))
    for rows in (1, 5):
        data = RNG.normal(size=(rows, 4)).astype("f4")
        (y,) = exported(model, data)
        np.testing.assert_allclose(y, data - data.mean(0), rtol=1e-5, atol=1e-6)


class Flattens(densa.Model):
    """Asks how many rows there are."""

    def __init__(self):
        super().__init__(name="flattens")
        self.dense = L.Dense(3)

    def call(self, x):
        return self.dense(ops.reshape(x, (ops.shape(x)[0], -1))) + ops.ones((len(x), 1))


def test_models_that_ask_for_the_number_of_rows():
    """Freezing's rule says which values have the rows of the batch."""
    model = Flattens()
    x = RNG.normal(size=(4, 2, 3)).astype("f4")
    model(x)
    proto = model_proto(model)
    for rows in (1, 4):
        (y,) = run(proto, x[:rows])
        np.testing.assert_allclose(y, np.asarray(model(x[:rows])), rtol=1e-5, atol=1e-6)


class Counted(L.Layer):
    def call(self, x):
        return x / float(len(x))


class Halves(L.Layer):
    def call(self, x):
        return x[: len(x) // 2]


@pytest.mark.parametrize("layer", [Counted, Halves])
def test_numbers_made_of_the_number_of_rows_are_refused(layer):
    x = densa.Input((4,))
    model = densa.Model(x, layer(name="odd")(x), name="net")
    with pytest.raises(ValueError, match=r"'net' cannot .* any number of rows: layer 'odd'.*-1"):
        model_proto(model)


def test_nested_subclassed_and_custom():
    class Scale(L.Layer):
        def build(self, input_shape):
            self.by = self.add_weight(shape=(input_shape[-1],), initializer="ones", name="by")

        def call(self, x):
            return ops.tanh(x * self.by) @ np.eye(3, dtype="f4")[::-1].copy()

    class Own(densa.Model):
        def __init__(self):
            super().__init__()
            self.inner = densa.Sequential([densa.Input((3,)), Scale(), L.Dropout(0.9)])
            self.last = L.Dense(2)

        def call(self, x, training=None):
            return {"twice": self.last(self.inner(x, training=training)) * 2, "one": x[:, :1]}

    model = Own()
    x = RNG.normal(size=(4, 3)).astype("f4")
    expected = model(x)
    one, twice = exported(model, x)
    np.testing.assert_allclose(one, expected["one"].numpy())
    np.testing.assert_allclose(twice, expected["twice"].numpy(), rtol=1e-6, atol=1e-6)


def test_batch_normalization_on_other_axes():
    for axis, shape in [
        (1, (4, 3)),
        (1, (4, 3, 5)),
        (-1, (4, 3, 5)),
        (2, (4, 3, 5, 2)),
        ([1, 3], (4, 3, 5, 2)),
    ]:
        x = RNG.normal(size=shape).astype("f4")
        layer = L.BatchNormalization(axis=axis)
        model = model_of(layer, x)
        for w in layer.weights:
            w.assign(RNG.uniform(0.5, 2, w.shape).astype("f4"))
        (y,) = exported(model, x)
        gamma, beta, mean, variance = (w.numpy().astype("f8") for w in layer.weights)
        wanted = [axis % len(shape)] if isinstance(axis, int) else axis
        full = [n if i in wanted else 1 for i, n in enumerate(shape)]
        gamma, beta, mean, variance = (v.reshape(full) for v in (gamma, beta, mean, variance))
        expected = (x - mean) / np.sqrt(variance + 1e-3) * gamma + beta
        np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-6)


def test_float64():
    x = densa.Input((4,), dtype="float64")
    h = L.Dense(5, "tanh", dtype="float64")(x)
    model = densa.Model(x, L.Dense(2, "softmax", dtype="float64")(h))
    data = RNG.normal(size=(6, 4))
    (y,) = exported(model, data)
    assert y.dtype == np.float64
    w, b, v, c = (weight.numpy() for weight in model.weights)
    z = np.tanh(data @ w + b) @ v + c
    np.testing.assert_allclose(y, np.exp(z) / np.exp(z).sum(1, keepdims=True), rtol=1e-12)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision(policy):
    x = densa.Input((4,))
    h = L.LayerNormalization(dtype=policy)(L.Dense(8, "relu", dtype=policy)(x))
    h = L.BatchNormalization(dtype=policy)(h)
    model = densa.Model(x, L.Dense(3, "softmax", dtype="float32")(h))
    data = RNG.normal(size=(6, 4)).astype("f4")
    (y,) = exported(model, data)
    assert y.dtype == np.float32
    # Sums in another order are rounded to other numbers of 16 bits.
    np.testing.assert_allclose(y, model(data).numpy(), atol=2e-3 if "b" not in policy else 2e-2)


def test_bfloat16_is_handed_out_as_float32():
    # NumPy has no bfloat16, so runtimes cannot return it.
    x = densa.Input((4,))
    h = L.Dense(8, "relu", dtype="mixed_bfloat16")(x)
    model = densa.Model(x, [L.Dense(3, dtype="mixed_bfloat16")(h), h])
    data = RNG.normal(size=(6, 4)).astype("f4")
    for y, wanted in zip(exported(model, data), model(data), strict=True):
        assert y.dtype == np.float32
        assert wanted.dtype == "bfloat16"
        # Sums in another order are rounded to other numbers of 16 bits, and to no more bits.
        np.testing.assert_allclose(y, wanted.numpy(), atol=2e-2)
        assert not (y.view("u4") & 0xFFFF).any()


def test_integers():
    a = densa.Input((3,), dtype="int32", name="a")
    b = densa.Input((3,), dtype="int32", name="b")
    results = [a // b, a % b, a + b * 2, a > b, ops.one_hot(a, 4), ops.logical_not(a)]
    model = densa.Model([a, b], results)
    x = np.array([[-7, 7, 3], [0, -1, -8]], "i4")
    y = np.array([[2, -2, 5], [3, 4, -3]], "i4")
    got = exported(model, x, y)
    one_hot = (x[..., None] == np.arange(4)).astype("f4")
    for value, expected in zip(
        got, [x // y, x % y, x + y * 2, x > y, one_hot, x == 0], strict=True
    ):
        np.testing.assert_array_equal(value, expected)


def test_remainders_have_the_divisors_sign():
    x, y = densa.Input((4,)), densa.Input((4,))
    model = densa.Model([x, y], [x % y, x // y])
    a, b = np.array([[7, -7, 7, -7]], "f4"), np.array([[2, 2, -2, -2.5]], "f4")
    remainder, quotient = exported(model, a, b)
    np.testing.assert_allclose(remainder, np.mod(a, b))
    np.testing.assert_allclose(quotient, np.floor_divide(a, b))


def test_an_output_that_others_read():
    x = densa.Input((4,))
    h = L.Dense(3, name="h")(x)
    model = densa.Model(x, [h, ops.exp(h), h * h])
    data = RNG.normal(size=(2, 4)).astype("f4")
    first, second, third = exported(model, data)
    np.testing.assert_allclose(second, np.exp(first), rtol=1e-5)
    np.testing.assert_allclose(third, first * first, rtol=1e-5)


def test_special_numbers():
    x = densa.Input((4,))
    names = ["relu", "softplus", "log_sigmoid", "sigmoid", "tanh", "isfinite", "isnan", "log1p"]
    model = densa.Model(x, [getattr(ops, n)(x) for n in names])
    data = np.array([[np.nan, np.inf, 100, 1e-30], [0, 1e-7, 200, 3e38]], "f4")
    for y, expected in zip(exported(model, data), model(data), strict=True):
        np.testing.assert_allclose(y, expected.numpy(), rtol=2e-6)
    small = np.array([[1e-6, -1e-6, 1e-4, -0.3]], "f4")
    model = densa.Model(x, [ops.expm1(x), ops.log1p(x)])
    low, high = exported(model, small)
    np.testing.assert_allclose(low, np.expm1(small.astype("f8")), rtol=1e-6)
    np.testing.assert_allclose(high, np.log1p(small.astype("f8")), rtol=1e-6)


def test_outputs_that_are_inputs_or_constants():
    x = densa.Input((2,), name="x")

    class Fixed(L.Layer):
        def call(self, x):
            return ops.convert_to_tensor(np.arange(3, dtype="f4"))

    model = densa.Model(x, [x, Fixed(name="fixed")(x)])
    data = np.ones((2, 2), "f4")
    same, fixed = exported(model, data)
    np.testing.assert_array_equal(same, data)
    np.testing.assert_array_equal(fixed, [0, 1, 2])


# ---- the file ------------------------------------------------------------------------------------


def small():
    return densa.Sequential([densa.Input((4,)), L.Dense(2, name="out")])


def test_the_file(tmp_path):
    model, path = small(), tmp_path / "a.onnx"
    path.write_bytes(b"old")
    densa.onnx.export(model, path)
    assert [p.name for p in tmp_path.iterdir()] == ["a.onnx"]
    proto = onnx.load(path)
    assert (proto.producer_name, proto.producer_version) == ("densa", densa.__version__)
    x = RNG.normal(size=(3, 4)).astype("f4")
    np.testing.assert_allclose(run(str(path), x)[0], model(x).numpy(), rtol=1e-6, atol=1e-6)
    with pytest.raises(ValueError, match="does not exist"):
        densa.onnx.export(model, tmp_path / "no" / "a.onnx")


def test_a_failed_export_leaves_the_old_file(tmp_path):
    path = tmp_path / "a.onnx"
    path.write_bytes(b"old")
    x = densa.Input((2,))
    with pytest.raises(ValueError, match="arctan2"):
        densa.onnx.export(densa.Model(x, ops.arctan2(x, x)), path)
    assert path.read_bytes() == b"old"
    assert len(list(tmp_path.iterdir())) == 1


def test_the_same_bytes_each_time():
    model = small()
    assert model_proto(model).SerializeToString() == model_proto(model).SerializeToString()


# ---- refusals ------------------------------------------------------------------------------------


def graph(function, shape=(2,), **kwargs):
    x = densa.Input(shape, **kwargs)
    return densa.Model(x, function(x))


class Asks(L.Layer):
    def call(self, x):
        return x * float(ops.max(x))


class Trains(L.Layer):
    """Calls a layer as in training, whatever it is asked for itself."""

    def __init__(self, layer, **kwargs):
        super().__init__(**kwargs)
        self.layer = layer

    def call(self, x):
        return self.layer(x, training=True)


class Counts(L.Layer):
    def build(self, input_shape):
        self.calls = self.add_weight(shape=(), initializer="zeros", trainable=False)

    def call(self, x):
        self.calls.assign(self.calls + 1.0)
        return x


@pytest.mark.parametrize(
    ("words", "make"),
    [
        ("'arctan2.*'arctan2'", lambda: graph(lambda x: ops.arctan2(x, x))),
        ("'dice'.*'dropout'", lambda: graph(Trains(L.Dropout(0.5), name="dice"))),
        ("'norm'.*changes a variable", lambda: graph(Trains(L.BatchNormalization(), name="norm"))),
        ("'asks'.*asks for numbers", lambda: graph(Asks(name="asks"))),
        ("'counts'.*changes a variable", lambda: graph(Counts(name="counts"))),
        ("not built", lambda: densa.Sequential([L.Dense(2)])),
        ("'text'.*only the first size", lambda: graph(L.Identity(), (None, 2), name="text")),
    ],
)  # fmt: skip
def test_refusals(words, make):
    with pytest.raises(ValueError, match=words):
        model_proto(make())


def test_refuses_what_is_no_model():
    with pytest.raises(TypeError, match="takes a densa.Model; received Dense"):
        model_proto(L.Dense(2))


def test_without_the_library(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ImportError, match=r"densa\[onnx\]"):
        densa.onnx.export(small(), tmp_path / "a.onnx")
    assert not list(tmp_path.iterdir())
