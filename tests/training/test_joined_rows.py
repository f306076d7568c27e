"""Steps on inputs of rank 3 and more: recorded, and as good as those of rank 2."""

from __future__ import annotations

import numpy as np
import pytest

import densa
from densa import layers, ops

T, C, ROWS = 5, 6, 37
RNG = np.random.default_rng(5)
X = RNG.standard_normal((ROWS, T, C)).astype("float32")
Y = RNG.standard_normal((ROWS, 2)).astype("float32")


class Mean(layers.Layer):
    """The mean over the elements of a set, of those that the mask keeps."""

    def call(self, x, mask=None):
        if mask is None:
            return ops.mean(x, axis=1)
        kept = ops.expand_dims(ops.cast(mask, x.dtype), -1)
        return ops.sum(x * kept, axis=1) / ops.sum(kept, axis=1)

    def compute_mask(self, inputs, mask=None):
        return None


class Attention(layers.Layer):
    def __init__(self):
        super().__init__()
        # A bias of the keys has no gradient but noise: softmax does not see it.
        self.maps = [layers.Dense(4, use_bias=False) for _ in range(3)]

    def call(self, x):
        q, k, v = (one(x) for one in self.maps)
        scores = ops.matmul(q, ops.transpose(k, (0, 2, 1))) / 2.0
        return ops.matmul(ops.softmax(scores), v)


class ByElement(layers.Layer):
    """A rank-2 layer on all elements of all rows, as one batch."""

    def __init__(self):
        super().__init__()
        self.inner = layers.Dense(4, activation="tanh")

    def call(self, x):
        each = self.inner(ops.reshape(x, (-1, x.shape[-1])))
        return ops.reshape(each, (-1, x.shape[1], 4))


class Tied(layers.Layer):
    """x·w·wᵀ."""

    def build(self, shape):
        self.w = self.add_weight(shape=(shape[-1], 3), initializer="glorot_uniform")

    def call(self, x):
        return ops.matmul(ops.matmul(x, self.w), ops.transpose(self.w))


def behind(*stack):
    return lambda: densa.Sequential(
        [densa.Input((T, C)), *[make() for make in stack], layers.Flatten(), layers.Dense(2)]
    )


def mixer():
    x = start = densa.Input((T, C))
    y = layers.Permute((2, 1))(layers.LayerNormalization()(x))
    y = layers.Dense(T)(layers.Dense(7, activation="gelu")(y))
    x = layers.Add()([x, layers.Permute((2, 1))(y)])
    y = layers.Dense(9, activation="gelu")(layers.LayerNormalization()(x))
    x = layers.Add()([x, layers.Dense(C)(layers.Dropout(0.2, seed=3)(y))])
    return densa.Model(start, layers.Dense(2)(layers.Flatten()(x)))


def wide(form, shape, axes):
    return lambda: layers.EinsumDense(form, shape, bias_axes=axes, activation="relu")


MODELS = {
    "dense": behind(lambda: layers.Dense(19, activation="relu")),
    "selu, dropout": behind(
        lambda: layers.Dense(8, activation="selu"),
        lambda: layers.Dropout(0.3, seed=1),
        lambda: layers.Dense(33),
    ),
    "one column": behind(lambda: layers.Dense(1, activation="tanh"), lambda: layers.Dense(3)),
    "batch norm": behind(
        lambda: layers.Dense(8, use_bias=False),
        layers.BatchNormalization,
        lambda: layers.Activation("silu"),
    ),
    "mixer": mixer,
    "time distributed": behind(lambda: layers.TimeDistributed(layers.Dense(4, "tanh"))),
    "set": behind(lambda: layers.Dense(8, activation="relu"), Mean),
    "masked set": behind(layers.Masking, lambda: layers.Dense(8, activation="relu"), Mean),
    "attention": behind(Attention),
    "by element": behind(ByElement),
    "tied": behind(Tied),
    "einsum": behind(wide("abc,cd->abd", (None, 7), "d")),
    "einsum, several axes": behind(
        wide("abc,cde->abde", (None, 2, 3), "de"), wide("abde,def->abf", (None, 4), "f")
    ),
    "einsum along the second axis": behind(wide("abc,bd->adc", (7, C), "d")),
    "rank 4": behind(
        lambda: layers.Reshape((T, 2, 3)),
        lambda: layers.Dense(4, activation="gelu"),
        lambda: layers.PReLU(shared_axes=[1, 2]),
    ),
}


def fitted(make, eagerly=False, threads=None, x=X, y=Y, loss="mse", **kwargs):
    before = densa.get_num_threads()
    densa.utils.set_random_seed(11)
    model = make()
    model.compile(optimizer=densa.optimizers.Adam(0.01), loss=loss, run_eagerly=eagerly, **kwargs)
    try:
        if threads is not None:
            densa.set_num_threads(threads, exact=True)
        history = model.fit(x, y, epochs=3, batch_size=16, verbose=0).history
    finally:
        densa.set_num_threads(before)
    assert eagerly == ("op by op" in model.explain_plan())
    return model, history


@pytest.mark.parametrize("name", MODELS)
def test_a_step_is_recorded_and_is_the_one_op_by_op(name):
    x = X.copy()
    x[:, 3:] *= RNG.integers(0, 2, (ROWS, T - 3, 1))  # what a mask leaves out
    native, history = fitted(MODELS[name], x=x)
    eager, other = fitted(MODELS[name], True, x=x)
    np.testing.assert_allclose(history["loss"], other["loss"], rtol=2e-5)
    for a, b in zip(native.get_weights(), eager.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=3e-5)
    np.testing.assert_allclose(native.predict(x, verbose=0), eager(x).numpy(), atol=1e-3)


@pytest.mark.parametrize("name", MODELS)
def test_threads_change_no_bit(name):
    weights = [fitted(MODELS[name], threads=n)[0].get_weights() for n in (1, 2, 3)]
    for other in weights[1:]:
        for a, b in zip(weights[0], other, strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.cpu_only("a GPU adds the rows up in other groups")
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize("units", [1, 15, 16, 17])
@pytest.mark.parametrize("activation", [None, "relu", "gelu"])
def test_rank_3_has_the_bits_of_rank_2(units, activation, optimizer):
    """One step of a Dense on (rows, t, c) is that on (rows·t, c)."""
    x, y = X[:32], RNG.standard_normal((32, T, units)).astype("float32")
    found = []
    for shape in ((T, C), (C,)):
        densa.utils.set_random_seed(2)
        model = densa.Sequential(
            [densa.Input(shape), layers.Dense(9, activation=activation), layers.Dense(units)]
        )
        model.compile(optimizer=optimizer, loss=densa.losses.MeanSquaredError(reduction="sum"))
        rows = 32 if len(shape) == 2 else 32 * T
        for _ in range(3):
            model.train_on_batch(x.reshape(rows, *shape), y.reshape(rows, *shape[:-1], units))
        assert "op by op" not in model.explain_plan()
        found.append(model.get_weights())
    for a, b in zip(*found, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("sparse", [False, True])
def test_classes_at_each_place(sparse):
    labels = RNG.integers(0, 4, (ROWS, T))
    y = labels if sparse else np.eye(4, dtype="float32")[labels]
    loss = "sparse_categorical_crossentropy" if sparse else "categorical_crossentropy"

    def make():
        return densa.Sequential(
            [densa.Input((T, C)), layers.Dense(8, "relu"), layers.Dense(4, activation="softmax")]
        )

    native, history = fitted(make, y=y, loss=loss, metrics=["accuracy"])
    _, other = fitted(make, True, y=y, loss=loss, metrics=["accuracy"])
    assert "softmax loss" in native.explain_plan()
    np.testing.assert_allclose(history["loss"], other["loss"], rtol=2e-5)
    np.testing.assert_allclose(history["accuracy"], other["accuracy"], rtol=1e-6)


def test_rows_that_do_not_divide_go_op_by_op_and_say_why():
    class Pairs(layers.Layer):
        def call(self, x):
            return ops.reshape(ops.reshape(x, (-1, 2 * T * C)), (-1, T * C))

    make = lambda: densa.Sequential([densa.Input((T, C)), Pairs(), layers.Dense(2)])  # noqa: E731
    model = make()
    model.compile(optimizer="sgd", loss="mse")
    model.fit(X[:32], Y[:32], epochs=1, batch_size=16, verbose=0)
    text = model.explain_plan()
    assert "op by op" in text
    assert "mixes the rows of the batch" in text


def test_outputs_of_more_rows_than_the_batch_still_run():
    class Joined(layers.Layer):
        def call(self, x):
            return ops.reshape(x, (-1, C))

    model = densa.Sequential([densa.Input((T, C)), Joined()])
    np.testing.assert_array_equal(model.predict(X, verbose=0), X.reshape(-1, C))


@pytest.mark.parametrize("name", ["dense", "mixer", "attention", "einsum, several axes"])
def test_what_is_trained_so_freezes(name):
    model, _ = fitted(MODELS[name])
    np.testing.assert_allclose(model.freeze()(X), model(X).numpy(), atol=1e-5)
