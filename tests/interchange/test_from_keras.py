"""Models of Keras 3 as densa models: the same numbers, names and settings."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import densa
from interchange.errors import assert_as_good
from interchange.networks import ACTIVATIONS, draw, exact, functional, roundings

keras = pytest.importorskip("keras", reason="needs the extra keras", exc_type=ImportError)
K = keras.layers
pytestmark = pytest.mark.filterwarnings("ignore:__array__ impl:DeprecationWarning")  # Keras' own
RNG = np.random.default_rng(13)


def numbers(x):
    return np.asarray(keras.ops.convert_to_numpy(x))


def same(theirs, *xs, rtol=1e-5, atol=1e-6):
    """Both give the same; returns densa's model."""
    randomize(theirs)
    ours = densa.convert.from_keras(theirs)
    given = list(xs) if len(xs) > 1 else xs[0]
    a, b = ours(given), theirs(given)
    for y, expected in zip(as_list(a), as_list(b), strict=True):
        np.testing.assert_allclose(y.numpy(), numbers(expected), rtol=rtol, atol=atol)
    assert [x.name for x in ours.layers] == [x.name for x in theirs.layers]
    return ours


def as_list(x):
    if isinstance(x, dict):
        return [x[k] for k in sorted(x)]
    return list(x) if isinstance(x, (list, tuple)) else [x]


def randomize(model):
    model.set_weights([RNG.uniform(0.1, 1, w.shape).astype("f4") for w in model.get_weights()])


@settings(max_examples=30)  # a network takes 0.1 s
@given(seed=st.integers(0, 2**32 - 1))
def test_random_networks(seed):
    x, network = draw(seed)
    theirs = functional(keras, x.shape[1], network)
    ours = densa.convert.from_keras(theirs)
    assert_as_good(
        ours.predict(x, verbose=0), numbers(theirs(x)), exact(x, network), roundings(x, network)
    )


LAYERS = {
    "Dense": lambda: K.Dense(3, "gelu", kernel_regularizer="l2", kernel_constraint="max_norm"),
    "Dense, own activation": lambda: K.Dense(3, activation=K.LeakyReLU(0.1)),
    "BatchNormalization": lambda: K.BatchNormalization(momentum=0.7, epsilon=1e-2),
    "BatchNormalization, plain": lambda: K.BatchNormalization(center=False, scale=False),
    "LayerNormalization": lambda: K.LayerNormalization(epsilon=1e-5),
    "RMSNormalization": lambda: K.RMSNormalization(epsilon=1e-2),
    "UnitNormalization": lambda: K.UnitNormalization(),
    "Normalization": lambda: K.Normalization(mean=[1.0] * 6, variance=[4.0] * 6),
    "Normalization, inverted": lambda: K.Normalization(None, 1.0, 4.0, invert=True),
    "Dropout": lambda: K.Dropout(0.4, seed=3),
    "GaussianNoise": lambda: K.GaussianNoise(0.4),
    "GaussianDropout": lambda: K.GaussianDropout(0.4),
    "AlphaDropout": lambda: K.AlphaDropout(0.4),
    "ActivityRegularization": lambda: K.ActivityRegularization(0.1),
    "Flatten": lambda: K.Flatten(),
    "Reshape": lambda: K.Reshape((2, 3)),
    "Rescaling": lambda: K.Rescaling(0.1, 2.0),
    "PReLU": lambda: K.PReLU(),
    "ReLU": lambda: K.ReLU(2.0, 0.1, 0.5),
    "ELU": lambda: K.ELU(0.5),
    "LeakyReLU": lambda: K.LeakyReLU(0.4),
    "Softmax": lambda: K.Softmax(),
    "Identity": lambda: K.Identity(),
    **{f"Activation, {a}": lambda a=a: K.Activation(a) for a in ACTIVATIONS},
}


@pytest.mark.parametrize("name", LAYERS)
def test_layers_and_their_settings(name):
    theirs = keras.Sequential([keras.Input((6,)), LAYERS[name]()])
    ours = same(theirs, RNG.normal(size=(5, 6)).astype("f4"))
    config, expected = ours.layers[-1].get_config(), theirs.layers[-1].get_config()
    for key in ("units", "momentum", "epsilon", "rate", "seed", "negative_slope", "trainable"):
        assert config.get(key) == expected.get(key)


def test_what_layers_learned_from_data():
    """Keras' adapt() needs TensorFlow: here is what it leaves."""
    x = RNG.normal(3, 2, (30, 4)).astype("f4")
    norm, bins = K.Normalization(), K.Discretization(num_bins=4, output_mode="one_hot")
    theirs = keras.Sequential([keras.Input((4,)), norm, bins])
    norm.set_weights([x.mean(0), x.var(0), np.array(1)])
    norm.finalize_state()
    bins.bin_boundaries = [-0.5, 0.0, 0.75]
    ours = densa.convert.from_keras(theirs)
    np.testing.assert_array_equal(ours(x).numpy(), numbers(theirs(x)))
    assert ours.layers[-1].num_bins == 4


def test_dots_and_classes():
    a, b = keras.Input((3, 4)), keras.Input((4, 2))
    ids = keras.Input((3,), dtype="int32")
    outputs = [
        K.Dot((2, 1))([a, b]),
        K.Dot(-1, normalize=True)([K.Flatten()(a)] * 2),
        *(K.CategoryEncoding(5, output_mode=m)(ids) for m in ("one_hot", "multi_hot", "count")),
    ]
    arrays = RNG.normal(size=(5, 3, 4)), RNG.normal(size=(5, 4, 2)), RNG.integers(0, 5, (5, 3))
    same(
        keras.Model([a, b, ids], outputs),
        *(x.astype(t) for x, t in zip(arrays, "ffi", strict=True)),
    )


def test_functional_graph_with_shared_layers_ops_and_nested_models():
    a, ids = keras.Input((4,), name="a"), keras.Input((3,), dtype="int32", name="ids")
    inner = keras.Sequential([keras.Input((4,)), K.Dense(4, "tanh"), K.Dense(4)], name="inner")
    shared = K.Dense(4, name="shared")
    h = K.Multiply()([inner(a), shared(shared(a))])
    h = h * 2.0 + keras.ops.mean(h, axis=1, keepdims=True) - keras.ops.exp(-h)
    h = keras.ops.concatenate([h, h[:, 1:3]], axis=-1)
    table = K.Permute((2, 1))(K.Embedding(5, 2)(ids))
    out = K.Concatenate(name="out")([h, K.Flatten()(table)])
    side = K.Average()([a, K.Maximum()([a, K.Minimum()([a, K.Subtract()([a, h[:, :4]])])])])
    theirs = keras.Model([a, ids], {"out": out, "side": side})
    x, i = RNG.normal(size=(5, 4)).astype("f4"), RNG.integers(0, 5, (5, 3)).astype("i4")
    ours = same(theirs, x, i)
    assert ours.input_names == ["a", "ids"]
    assert ours.count_params() == theirs.count_params()


def test_what_is_converted_trains_and_saves(tmp_path):
    theirs = keras.Sequential([keras.Input((4,)), K.Dense(8, "relu"), K.Dense(1)])
    theirs.layers[0].trainable = False
    ours = densa.convert.from_keras(theirs)
    assert [layer.trainable for layer in ours.layers] == [False, True]
    x = RNG.normal(size=(64, 4)).astype("f4")
    ours.compile(densa.optimizers.Adam(0.01), "mse")
    first = ours.evaluate(x, x[:, :1], verbose=0)
    ours.fit(x, x[:, :1], epochs=40, verbose=0)
    assert ours.evaluate(x, x[:, :1], verbose=0) < 0.9 * first
    ours.save(tmp_path / "a.densa")
    assert densa.models.load_model(tmp_path / "a.densa").count_params() == ours.count_params()


def test_the_source_is_left_alone():
    theirs = keras.Sequential([keras.Input((4,)), K.Dense(2)])
    before = theirs.get_weights()
    ours = densa.convert.from_keras(theirs)
    ours.layers[-1].kernel.assign(np.zeros((4, 2), "f4"))
    for a, b in zip(before, theirs.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def sequential(*layers, shape=(6,)):
    return keras.Sequential([keras.Input(shape), *layers])


class Own(K.Layer):
    def call(self, x):
        return x


class OwnModel(keras.Model):
    def call(self, x):
        return x


@pytest.mark.parametrize(
    ("words", "make"),
    [
        ("'pick' of the Keras model.*Cropping1D", lambda: sequential(
            K.Cropping1D(1, name="pick"), shape=(6, 2))),
        ("'mine' of the Keras model.*Own", lambda: sequential(Own(name="mine"))),
        ("is a Lambda", lambda: sequential(K.Lambda(lambda x: x))),
        ("not built", lambda: keras.Sequential([K.Dense(2)])),
        ("OwnModel", OwnModel),
    ],
)  # fmt: skip
def test_refusals(words, make):
    with pytest.raises(ValueError, match=words):
        densa.convert.from_keras(make())


def test_masks_are_handed_on_as_before():
    x = keras.Input((4, 3))
    kept = K.Masking()(x)
    theirs = keras.Model(x, K.Add()([K.BatchNormalization()(kept), K.Dense(3)(kept)]))
    ours = densa.convert.from_keras(theirs)
    rng = np.random.default_rng(1)
    x, y = rng.random((2, 4, 3)).astype("f4"), rng.random((2, 4, 3)).astype("f4")
    x[0, 1:] = 0.0
    results = []
    for model in (theirs, ours):
        model.compile("sgd", "mse", metrics=["mae"])
        results.append(model.evaluate(x, y, verbose=0))
    np.testing.assert_allclose(*results, rtol=1e-5)
    # One that is an input of its own stays one.
    x, mask = keras.Input((4, 3)), keras.Input((4,), dtype="bool")
    own = keras.Model([x, mask], K.BatchNormalization()(x, mask=mask))
    assert len(densa.convert.from_keras(own).inputs) == 2


def test_refuses_what_is_no_keras_model():
    with pytest.raises(TypeError, match="received Sequential"):
        densa.convert.from_keras(densa.Sequential())


def test_an_op_that_densa_lacks_is_named():
    x = keras.Input((4,))
    with pytest.raises(ValueError, match="'extract_sequences'"):
        densa.convert.from_keras(keras.Model(x, keras.ops.extract_sequences(x, 2, 1)))


def test_without_the_library(monkeypatch):
    monkeypatch.setitem(sys.modules, "keras", None)
    with pytest.raises(ImportError, match=r"densa\[keras\]"):
        densa.convert.from_keras(None)
