"""Means of models, and bagging, against NumPy."""

from __future__ import annotations

import numpy as np
import pytest

import densa
from densa import layers, models

RNG = np.random.default_rng(12)
X = RNG.standard_normal((160, 8)).astype("f4")
Y = (X[:, :3].sum(axis=1, keepdims=True) > 0).astype("f4")


def net(*hidden, seed=0, activation="tanh", eager=False, optimizer="adam"):
    densa.utils.set_random_seed(seed)
    made = densa.Sequential(
        [
            densa.Input((8,)),
            *(layers.Dense(n, activation) for n in hidden),
            layers.Dense(1, "sigmoid"),
        ]
    )
    made.compile(optimizer, "binary_crossentropy", run_eagerly=eager)
    return made


def test_average_of_models(tmp_path):
    a, b = densa.Input((3,), name="a"), densa.Input((5,), name="b")

    def make(name):
        joined = layers.Concatenate()([a, b])
        heads = {"one": layers.Dense(1)(joined), "two": layers.Dense(2, "softmax")(joined)}
        return densa.Model({"a": a, "b": b}, heads, name=name)

    members = [make(f"m{i}") for i in range(3)]
    mean = models.average_models(members, name="committee")
    x = {"a": X[:, :3], "b": X[:, 3:]}
    found = mean.predict(x, verbose=0)
    for name in ("one", "two"):
        due = np.mean([m.predict(x, verbose=0)[name].astype("f8") for m in members], axis=0)
        np.testing.assert_allclose(found[name], due, rtol=1e-5, atol=1e-6)
    mean.save(tmp_path / "mean.densa")
    again = densa.models.load_model(tmp_path / "mean.densa").predict(x, verbose=0)
    np.testing.assert_array_equal(again["two"], found["two"])


def test_average_of_models_freezes():
    members = [net(6, seed=s) for s in (1, 2)]
    mean = models.average_models(members)
    due = np.mean([m.predict(X, verbose=0).astype("f8") for m in members], axis=0)
    np.testing.assert_allclose(mean.freeze()(X), due, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(mean.predict(X, verbose=0), due, rtol=1e-5, atol=1e-6)


def test_models_that_cannot_be_averaged():
    one = net(6)
    with pytest.raises(ValueError, match="at least two"):
        models.average_models([one])
    with pytest.raises(ValueError, match="2 models are called"):
        models.average_models([one, one])
    other = densa.Sequential([densa.Input((7,)), layers.Dense(1)])
    with pytest.raises(ValueError, match="has the input_shape"):
        models.average_models([one, other])
    with pytest.raises(ValueError, match="does not know its inputs"):
        models.average_models([one, densa.Sequential([layers.Dense(1)])])
    with pytest.raises(TypeError, match="expects models; received str"):
        models.average_models([one, "two"])
    for given in (one, 3, None):
        with pytest.raises(TypeError, match="expects a list of models"):
            models.average_models(given)
    with pytest.raises(ValueError, match="at least two models; received 0"):
        models.average_models([])
    x = densa.Input((8,))
    y = layers.Dense(1)(x)
    for outputs in ([y], {"z": y}, y):
        with pytest.raises(ValueError, match=r"outputs of model .* are \{'y': an array\}, those"):
            models.average_models([densa.Model(x, {"y": y}), densa.Model(x, outputs)])
    with pytest.raises(ValueError, match=r"inputs of model .* are an array, those .*\[an array\]"):
        models.average_models([one, densa.Model([x], y)])
    ids = densa.Input((8,), dtype="int32")
    table = densa.Model(ids, layers.Dense(1)(layers.Flatten()(layers.Embedding(4, 2)(ids))))
    with pytest.raises(ValueError, match=r"takes inputs of the types \['float32'\].*\['int32'\]"):
        models.average_models([one, table])


ONE = net()


@pytest.mark.parametrize(
    ("make", "options", "error", "words"),
    [
        (lambda: None, {}, TypeError, "must return a model; it gave NoneType"),
        (net(), {}, TypeError, "make is a function .*; received Sequential"),
        (lambda: densa.Sequential([densa.Input((8,)), layers.Dense(1)]), {}, ValueError,
         "is not compiled"),
        (lambda: ONE, {"epochs": 1}, ValueError, "a second time"),
        (net, {"seed": "a"}, TypeError, "seed must be a whole number"),
        (net, {"seed": -1}, ValueError, "seed must be at least 0"),
    ],
)  # fmt: skip
def test_what_cannot_be_bagged(make, options, error, words):
    with pytest.raises(error, match=words):
        models.bagging(make, X[:8], Y[:8], 2, verbose=0, **options)


def test_bagging():
    seen = []

    class Spy(densa.Sequential):
        def fit(self, x, y, **kwargs):
            seen.append((np.array(x), np.array(y), kwargs["sample_weight"]))
            return super().fit(x, y, **kwargs)

    def make():
        made = Spy([densa.Input((8,)), layers.Dense(1)], name="member")
        made.compile("sgd", "mse")
        return made

    w = np.arange(160.0)
    mean = models.bagging(make, X, Y, 4, seed=3, sample_weight=w, epochs=2, verbose=0)
    assert len(seen) == 4
    for x, y, weights in seen:
        rows = weights.astype(int)
        np.testing.assert_array_equal(x, X[rows])
        np.testing.assert_array_equal(y, Y[rows])
        # A bootstrap sample leaves out about 1/e of the rows.
        assert 0.5 < len(set(rows.tolist())) / 160 < 0.75
    members = [layer for layer in mean.layers if isinstance(layer, Spy)]
    due = np.mean([m.predict(X, verbose=0).astype("f8") for m in members], axis=0)
    np.testing.assert_allclose(mean.predict(X, verbose=0), due, rtol=1e-5, atol=1e-6)
    first = [s[2] for s in seen]
    seen.clear()
    models.bagging(make, X, Y, 4, seed=3, sample_weight=w, verbose=0)
    for a, b in zip(first, seen, strict=True):
        np.testing.assert_array_equal(a, b[2])
    with pytest.raises(ValueError, match="members must be at least 2"):
        models.bagging(make, X, Y, 1)
