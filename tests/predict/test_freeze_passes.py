"""What freezing does to a program: by its text, by its report, and by its numbers."""

from __future__ import annotations

import numpy as np
import pytest

import densa
from densa import layers
from densa._core import apply
from predict.freezing import (
    RELU,
    TANH,
    Chain,
    Dense,
    Norm,
    Unary,
    check,
    distance,
    freeze,
    kernels_of,
    norm_of,
    numbers,
    ops_of,
    record,
    run,
    variable,
    wide,
)

pytestmark = pytest.mark.cpu_only("freezing is a pass over programs")


@pytest.fixture
def rng():
    return np.random.default_rng(5)


def test_text(rng):
    chain = Chain(
        [Dense(rng, "a", 3, 4), norm_of(rng, "n", 4), Unary(RELU), Dense(rng, "b", 4, 2, False)]
    )
    frozen, report = check(chain, chain.numpy, numbers(rng, 5, 3))
    assert (
        str(frozen)
        == """\
%0 = input x0 : float32(rows, 3)
%1 = constant b/kernel : float32(4, 2)
%2 = constant a/kernel : float32(3, 4)
%3 = constant a/bias : float32(4,)
%7 = feed %0 {dtype="float32"} : float32(rows, 3)
%4 = dense %7, %2, %3 : float32(rows, 4)
%5 = relu %4 : float32(rows, 4)
%6 = dense %5, %1 : float32(rows, 2)
output y0 = %6
"""
    )
    assert report == {
        "folded": ["n/mean into a/kernel"],
        "merged": [],
        "removed": [],
        "kept": [],
    }


def test_norm_behind_an_activation_goes_into_the_next_dense(rng):
    a, n, b = Dense(rng, "a", 3, 4), norm_of(rng, "n", 4), Dense(rng, "b", 4, 2, bias=False)
    chain = Chain([a, Unary(TANH), n, b])
    _, report = check(
        chain, chain.numpy, numbers(rng, 5, 3), ops=["feed", "dense", "tanh", "dense"]
    )
    assert report["folded"] == ["n/mean into b/kernel"]


def test_several_readers_take_their_share(rng):
    a, n = Dense(rng, "a", 3, 4), norm_of(rng, "n", 4)
    heads = [Dense(rng, "b", 4, 2), Dense(rng, "c", 4, 5)]

    def both(x, call):
        h = call(n)(call(Unary(TANH))(call(a)(x)))
        return [call(head)(h) for head in heads]

    x = numbers(rng, 5, 3)
    _, report = check(
        lambda x: both(x, lambda f: f),
        lambda x: both(x, lambda f: f.numpy),
        x,
        ops=["feed", "dense", "tanh", "dense", "dense"],
    )
    assert report["folded"] == ["n/mean into b/kernel, c/kernel"]


def test_a_norm_that_others_read_stays_and_is_listed(rng):
    a, n, b = Dense(rng, "a", 3, 4), norm_of(rng, "n", 4), Dense(rng, "b", 4, 4)

    def residual(x, call):
        h = call(n)(call(Unary(TANH))(call(a)(x)))
        return h + call(b)(h)

    _, report = check(
        lambda x: residual(x, lambda f: f),
        lambda x: residual(x, lambda f: f.numpy),
        numbers(rng, 5, 3),
        ops=["feed", "dense", "tanh", "multiply", "add", "dense", "add"],
    )
    assert report["kept"] == ["n/mean: read by add; kept as a scale and a shift"]
    assert report["folded"] == []


def test_a_norm_as_output_stays(rng):
    a, n = Dense(rng, "a", 3, 4), norm_of(rng, "n", 4)
    chain = Chain([a, Unary(TANH), n])
    _, report = check(chain, chain.numpy, numbers(rng, 5, 3))
    assert report["kept"] == ["n/mean: an output; kept as a scale and a shift"]


def test_an_output_in_the_middle_stays_what_it_is(rng):
    a, n, b = Dense(rng, "a", 3, 4), norm_of(rng, "n", 4), Dense(rng, "b", 4, 2)

    def model(x, call):
        z = call(a)(x)
        h = call(n)(z)
        return [z, h, call(b)(h)]

    frozen, report = check(
        lambda x: model(x, lambda f: f),
        lambda x: model(x, lambda f: f.numpy),
        numbers(rng, 5, 3),
    )
    assert report["folded"] == []
    assert report["merged"] == []
    assert report["removed"] == []
    assert ops_of(frozen).count("dense") == 2


def test_first_norm_and_rescaling_go_into_the_first_dense(rng):
    n, a = norm_of(rng, "n", 3), Dense(rng, "a", 3, 4)
    x = rng.integers(0, 256, (6, 3)).astype("uint8")

    def model(x):
        return a(n(layers.Rescaling(1 / 127.5, -1)(x)))

    _, report = check(
        model,
        lambda x: a.numpy(n.numpy(x * np.float64(1 / 127.5) - 1)),
        x,
        ops=["feed", "dense"],
    )
    assert len(report["folded"]) == 1
    assert report["folded"][0].endswith("n/mean into a/kernel")


def test_a_large_shift_stays_in_front(rng):
    """Years around 2000: x * w - 2000 * w would lose three digits."""
    n = Norm("n", np.ones(3), np.zeros(3), np.full(3, 2000.0), np.full(3, 25.0))
    a = Dense(rng, "a", 3, 4)
    chain = Chain([n, a])
    x = rng.integers(1990, 2011, (6, 3)).astype("float32")
    _, report = check(chain, chain.numpy, x, ops=["feed", "dense"])
    assert report["folded"] == ["n/mean into a/kernel (its shift stays)"]
    assert report["kept"] == [
        "n/mean: its shift is large, in a/kernel it would cost digits; kept as a shift"
    ]


def test_through_flatten_and_reshape(rng):
    n, a, b = norm_of(rng, "n", 3, axis=1), Dense(rng, "a", 12, 6), norm_of(rng, "m", 2, axis=1)
    c = Dense(rng, "c", 6, 2)

    def model(x):
        h = apply("reshape", n(x), shape=[-1, 12])
        z = apply("reshape", a(h), shape=[-1, 2, 3])
        return c(apply("tanh", apply("reshape", b(z), shape=[-1, 6])))

    def reference(x):
        h = n.numpy(x).reshape(-1, 12)
        return c.numpy(np.tanh(b.numpy(a.numpy(h).reshape(-1, 2, 3)).reshape(-1, 6)))

    x = numbers(rng, 5, 3, 4)
    frozen, report = check(model, reference, x)
    assert not set(ops_of(frozen)) & {"multiply", "add", "batch_norm"}
    assert report["folded"] == ["n/mean into a/kernel", "m/mean into a/kernel"]


def test_transposed_axes(rng):
    """A batch norm over two axes moves them last and back, as the layer does."""
    layer = layers.BatchNormalization(axis=[1, 3])
    layer.build((None, 2, 3, 4))
    rng = np.random.default_rng(1)
    for v in layer.weights:
        v.assign(rng.uniform(0.5, 2, v.shape).astype("float32"))
    a = Dense(rng, "a", 24, 5)

    def reference(x):
        gamma, beta, mean, variance = (wide(v)[:, None, :] for v in layer.weights)
        y = gamma * (x - mean) / np.sqrt(variance + layer.epsilon) + beta
        return a.numpy(y.reshape(-1, 24))

    frozen, report = check(
        lambda x: a(apply("reshape", layer(x, training=False), shape=[-1, 24])),
        reference,
        numbers(rng, 5, 2, 3, 4),
    )
    assert not set(ops_of(frozen)) & {"multiply", "add", "batch_norm"}
    assert len(report["folded"]) == 1


def test_an_axis_that_no_dense_takes(rng):
    """Rows of three steps: the kernel is the same for all, the norm is not."""
    a, n = Dense(rng, "a", 4, 5), norm_of(rng, "n", 3, axis=1)
    chain = Chain([a, n])
    frozen, report = check(chain, chain.numpy, numbers(rng, 5, 3, 4))
    assert report["kept"] == ["n/mean: an output; kept as a scale and a shift"]
    assert ops_of(frozen)[1] == "dense"
    chain = Chain([n, a])
    _, report = check(chain, chain.numpy, numbers(rng, 5, 3, 4))
    assert report["kept"] == [
        "n/mean: differs along other axes than the last; kept as a scale and a shift"
    ]


def test_dense_on_three_axes(rng):
    chain = Chain([Dense(rng, "a", 4, 5), norm_of(rng, "n", 5), Unary(RELU), Dense(rng, "b", 5, 2)])
    check(chain, chain.numpy, numbers(rng, 6, 3, 4), ops=["feed", "dense", "relu", "dense"])


def test_concatenate(rng):
    a, b, n = Dense(rng, "a", 3, 4), Dense(rng, "b", 2, 5), norm_of(rng, "n", 9)
    c = Dense(rng, "c", 9, 3)

    def model(x, y):
        return apply("tanh", n(apply("concatenate", a(x), b(y), axis=-1)))

    def reference(x, y):
        return np.tanh(n.numpy(np.concatenate([a.numpy(x), b.numpy(y)], -1)))

    x, y = numbers(rng, 6, 3), numbers(rng, 6, 2)
    _, report = check(model, reference, x, y)
    assert report["folded"] == ["n/mean into a/kernel, b/kernel"]

    def mixed(x, y):  # one part alone is normalised
        m = apply("tanh", a(x))
        return c(apply("concatenate", y, n4(m), y[:, :1], axis=-1))

    n4, c = norm_of(rng, "m", 4), Dense(rng, "c", 7, 3)

    def mixed_reference(x, y):
        return c.numpy(np.concatenate([y, n4.numpy(np.tanh(a.numpy(x))), y[:, :1]], -1))

    _, report = check(mixed, mixed_reference, x, y)
    assert report["folded"] == ["m/mean into c/kernel"]


def test_shared_dense(rng):
    """One kernel at two places, with a norm behind one of them and behind both."""
    a, n = Dense(rng, "a", 3, 4), norm_of(rng, "n", 4)
    x, y = numbers(rng, 6, 3), numbers(rng, 6, 3)
    frozen, _ = check(
        lambda x, y: apply("tanh", n(a(x))) + apply("tanh", a(y)),
        lambda x, y: np.tanh(n.numpy(a.numpy(x))) + np.tanh(a.numpy(y)),
        x,
        y,
    )
    assert len(kernels_of(frozen)) == 2
    frozen, _ = check(
        lambda x, y: apply("tanh", n(a(x))) + apply("tanh", n(a(y))),
        lambda x, y: np.tanh(n.numpy(a.numpy(x))) + np.tanh(n.numpy(a.numpy(y))),
        x,
        y,
    )
    assert kernels_of(frozen) == ["a/kernel (3, 4)"]


def test_a_dense_that_two_read_keeps_its_columns(rng):
    a, n = Dense(rng, "a", 3, 4), norm_of(rng, "n", 4)
    _, report = check(
        lambda x: apply("tanh", n(a(x))) + apply("relu", a(x)),
        lambda x: np.tanh(n.numpy(a.numpy(x))) + np.maximum(a.numpy(x), 0),
        numbers(rng, 6, 3),
    )
    assert report["kept"] == ["n/mean: read by tanh; kept as a scale and a shift"]


def test_embedding(rng):
    table = variable("e/embeddings", rng.normal(size=(7, 4)))
    n, a = norm_of(rng, "n", 4), Dense(rng, "a", 4, 3)
    ids = rng.integers(0, 7, (6,)).astype("int32")
    frozen, report = check(
        lambda ids: a(n(apply("embedding", table, ids))),
        lambda ids: a.numpy(n.numpy(wide(table)[ids])),
        ids,
        ops=["feed", "embedding", "dense"],
    )
    assert report["folded"] == ["n/mean into a/kernel"]
    assert "constant e/embeddings" in str(frozen)


def test_tied_weights_are_constants(rng):
    a = Dense(rng, "a", 3, 4, bias=False)
    frozen, _ = check(
        lambda x: apply("matmul", apply("tanh", a(x)), a.w, transpose_b=True),
        lambda x: np.tanh(a.numpy(x)) @ wide(a.w).T,
        numbers(rng, 6, 3),
        ops=["feed", "dense", "tanh", "dense"],
    )
    assert kernels_of(frozen) == ["a/kernel (3, 4)", "a/kernel (4, 3)"]


def test_arithmetic_of_variables_is_done_once(rng):
    w, v = variable("w/kernel", rng.normal(size=(3, 4))), variable("v", rng.normal(size=(3, 1)))
    check(
        lambda x: apply("dense", x, apply("tanh", w) * v),
        lambda x: x @ (np.tanh(wide(w)) * wide(v)),
        numbers(rng, 6, 3),
        ops=["feed", "dense"],
    )


def test_assignments_disappear(rng):
    a, seen = Dense(rng, "a", 3, 4), variable("seen", 0.0)

    def model(x):
        seen.assign(apply("sum", x, axis=[0, 1]))
        return a(x)

    check(model, a.numpy, numbers(rng, 6, 3), ops=["feed", "dense"])


def test_inputs_of_other_types(rng):
    a, b = Dense(rng, "a", 3, 4), Dense(rng, "b", 3, 4)
    x, y = rng.normal(size=(5, 3)), rng.integers(-9, 9, (5, 3)).astype("int64")
    frozen, _ = check(
        lambda x, y: a(apply("cast", x, dtype="float32")) * b(apply("cast", y, dtype="float32")),
        lambda x, y: a.numpy(x) * b.numpy(y),
        x,
        y,
        ops=["feed", "dense", "feed", "dense", "multiply"],
    )
    assert "input x0 : float64(rows, 3)" in str(frozen)
    assert "input x1 : int64(rows, 3)" in str(frozen)


def test_a_scale_that_cannot_fold_stays_in_the_feed(rng):
    a = Dense(rng, "a", 3, 3)
    x = rng.integers(0, 256, (6, 3)).astype("uint8")

    def model(x):
        h = layers.Rescaling(0.5, -1.0)(x)
        return h + a(h)

    frozen, report = check(
        model, lambda x: (x * 0.5 - 1) + a.numpy(x * 0.5 - 1), x, ops=["feed", "dense", "add"]
    )
    assert "offset=-1" in str(frozen)
    assert "scale=0.5" in str(frozen)
    assert report["kept"] == ["multiply 0.5, add -1: read by add; kept as a scale and a shift"]


def test_what_is_left_of_a_norm_is_said(rng):
    """One multiplication and one addition, unless the shift is so large that it must come first."""
    n = norm_of(rng, "n", 4)
    _, report = check(n, n.numpy, numbers(rng, 5, 4), ops=["feed", "multiply", "add"])
    assert report["kept"] == ["n/mean: an output; kept as a scale and a shift"]
    n = Norm("n", np.full(4, 1.5), np.ones(4), np.full(4, 2000.0), np.full(4, 25.0))
    x = rng.integers(1990, 2011, (6, 4)).astype("float32")
    _, report = check(n, n.numpy, x, ops=["feed", "multiply", "add"])  # the feed adds first
    assert report["kept"] == ["n/mean: an output; kept as a shift, a scale and a shift"]


def test_an_input_as_output_and_one_that_nobody_reads(rng):
    a = Dense(rng, "a", 3, 4)
    x, y = numbers(rng, 5, 3), numbers(rng, 5, 2)
    frozen, _ = check(lambda x, y: [x, a(x)], lambda x, y: [x, a.numpy(x)], x, y)
    assert "input x1" in str(frozen)
    assert ops_of(frozen) == ["feed", "dense"]


def test_a_norm_of_numbers_that_are_not_finite_is_left_alone(rng):
    a, n = Dense(rng, "a", 3, 4), Norm("n", np.ones(4), np.zeros(4), np.zeros(4), [1, 1, np.nan, 1])
    frozen, report = freeze(record(Chain([a, n]), ((3,), "float32")))
    assert ops_of(frozen) == ["feed", "dense", "batch_norm"]
    assert len(report["kept"]) == 1
    assert report["kept"][0].startswith("n/mean: ")
    y = run(frozen, numbers(rng, 5, 3))
    assert np.isnan(y[:, 2]).all()
    assert np.isfinite(y[:, [0, 1, 3]]).all()


@pytest.mark.parametrize("units", [1, 15, 16, 17])
@pytest.mark.parametrize("size", [1, 16, 33])
def test_sizes(rng, size, units):
    chain = Chain(
        [
            norm_of(rng, "first", size),
            Dense(rng, "a", size, units),
            norm_of(rng, "n", units),
            Unary(RELU),
            norm_of(rng, "m", units),
            Dense(rng, "b", units, 5),
        ]
    )
    check(chain, chain.numpy, numbers(rng, 3, size))


def test_arithmetic_that_cannot_fold_stays_as_it_was(rng):
    """PReLU: relu(x) - alpha relu(-x)."""
    layer = layers.PReLU()
    layer.build((None, 4))
    layer.alpha.assign(rng.normal(size=4).astype("float32"))
    a, alpha = Dense(rng, "a", 3, 4), wide(layer.alpha)

    def reference(x):
        z = a.numpy(x)
        return np.where(z > 0, z, alpha * z)

    program = record(lambda x: layer(a(x)), ((3,), "float32"))
    frozen, _ = check(lambda x: layer(a(x)), reference, numbers(rng, 5, 3))
    assert sorted(ops_of(frozen)) == sorted(["feed", *ops_of(program)])


def test_several_inputs_of_a_model(rng):
    x, y = densa.Input((4,)), densa.Input((3, 2))
    h = layers.Dense(5, activation="relu")(layers.BatchNormalization()(x))
    g = layers.Flatten()(layers.BatchNormalization()(y))
    z = layers.Concatenate()([h, g])
    z = layers.Dense(6)(layers.BatchNormalization()(z))
    z = layers.Activation("silu")(layers.BatchNormalization()(z))
    model = densa.Model([x, y], [layers.Dense(2)(z), layers.Dense(1, activation="sigmoid")(z)])
    for v in model.weights:
        v.assign(rng.uniform(0.5, 1.5, v.shape).astype("float32"))
    program = model_program(model, ((4,), "float32"), ((3, 2), "float32"))
    frozen, report = freeze(program)
    assert not report["kept"]
    assert ops_of(frozen).count("dense") == 4
    assert not set(ops_of(frozen)) & {"batch_norm", "multiply", "add"}
    arrays = numbers(rng, 6, 4), numbers(rng, 6, 3, 2)
    for got, wanted in zip(
        run(frozen, *arrays), model.predict(list(arrays), verbose=0), strict=True
    ):
        assert distance(got, wanted) < 3e-6


# ---- models ---------------------------------------------------------------------------------


def model_program(model, *inputs):
    return record(lambda *x: model(x[0] if len(x) == 1 else list(x), training=False), *inputs)


def test_a_model_with_dropout_and_noise(rng):
    model = densa.Sequential(
        [
            densa.Input((8,)),
            layers.GaussianNoise(0.3),
            layers.BatchNormalization(),
            layers.Dense(16, use_bias=False),
            layers.BatchNormalization(),
            layers.Activation("gelu"),
            layers.Dropout(0.5),
            layers.Dense(3, activation="softmax"),
        ]
    )
    for v in model.weights:
        v.assign(rng.uniform(0.5, 1.5, v.shape).astype("float32"))
    program = model_program(model, ((8,), "float32"))
    frozen, report = freeze(program)
    assert ops_of(frozen) == ["feed", "dense", "gelu", "dense", "softmax"]
    assert len(report["folded"]) == 2
    assert not report["kept"]
    x = numbers(rng, 6, 8)
    np.testing.assert_allclose(run(frozen, x), model.predict(x, verbose=0), atol=1e-6)


def test_mixed_precision_computes_in_float32(rng):
    model = densa.Sequential(
        [
            densa.Input((8,)),
            layers.Dense(16, activation="relu", dtype="mixed_bfloat16"),
            layers.Dense(3, dtype="mixed_bfloat16"),
        ]
    )
    frozen, report = freeze(model_program(model, ((8,), "float32")))
    assert ops_of(frozen) == ["feed", "dense", "relu", "dense"]
    assert "precision" not in str(frozen)
    assert len(report["removed"]) == 1
    assert report["removed"][0].endswith(" roundings to bfloat16: computed in more")
    x = numbers(rng, 6, 8)
    w, b, v, c = (wide(one) for one in model.weights)
    reference = np.maximum(x.astype("float64") @ w + b, 0) @ v + c
    assert distance(run(frozen, x), reference) < 1e-6


def test_variables_may_change_afterwards(rng):
    a = Dense(rng, "a", 3, 4)
    x = numbers(rng, 5, 3)
    frozen, _ = freeze(record(a, ((3,), "float32")))
    before = run(frozen, x)
    a.w.assign(np.zeros((3, 4), "float32"))
    np.testing.assert_array_equal(run(frozen, x), before)


def test_freezing_leaves_the_program_as_it_was(rng):
    chain = Chain([norm_of(rng, "n", 3), Dense(rng, "a", 3, 4)])
    program = record(chain, ((3,), "float32"))
    text = str(program)
    once, _ = freeze(program)
    twice, _ = freeze(program)
    assert str(program) == text
    assert str(once) == str(twice)


def test_errors(rng):
    program = record(Dense(rng, "a", 3, 4), ((3,), "float32"))
    with pytest.raises(ValueError, match="float32 or float64, got bfloat16"):
        freeze(program, "bfloat16")
