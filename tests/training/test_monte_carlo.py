"""`predict(x, mc_samples=…)`: dropout on, all else as in inference."""

from __future__ import annotations

import copy

import numpy as np
import pytest

import densa
from densa import layers

RNG = np.random.default_rng(8)
X = RNG.standard_normal((6, 5)).astype("f4")


def chain(rate=0.4, seed=0):
    densa.utils.set_random_seed(seed)
    return densa.Sequential(
        [
            densa.Input((5,)),
            layers.Dense(16, "relu"),
            layers.BatchNormalization(),
            layers.Dropout(rate),
            layers.Dense(3, "softmax"),
        ]
    )


def exact(model, rate, draws=200_000):
    """Mean and deviation over masks, by brute force in NumPy."""
    w, b, gamma, beta, mean, variance, v, c = (a.astype("f8") for a in model.get_weights())
    h = np.maximum(X @ w + b, 0)
    h = gamma * (h - mean) / np.sqrt(variance + 1e-3) + beta
    rng = np.random.default_rng(1)
    out = []
    for row in h[:2]:
        keep = (rng.random((draws, 16)) >= rate) / (1 - rate)
        z = (row * keep) @ v + c
        e = np.exp(z - z.max(axis=1, keepdims=True))
        p = e / e.sum(axis=1, keepdims=True)
        out.append((p.mean(axis=0), p.std(axis=0)))
    return [np.stack(part) for part in zip(*out, strict=True)]


def test_mean_and_deviation():
    model = chain()
    model.compile("adam", "sparse_categorical_crossentropy")
    model.fit(X, [0, 1, 2, 0, 1, 2], epochs=5, verbose=0)
    samples = 20_000
    mean, std = model.predict(X, verbose=0, mc_samples=samples)
    due_mean, due_std = exact(model, 0.4)
    # Four standard errors of a mean of so many draws.
    np.testing.assert_allclose(mean[:2], due_mean, atol=4 * due_std.max() / np.sqrt(samples))
    np.testing.assert_allclose(std[:2], due_std, rtol=0.05)
    assert mean.shape == std.shape == (6, 3)
    assert mean.dtype == np.float32
    one, zero = model.predict(X, verbose=0, mc_samples=1)
    assert (zero == 0).all()
    assert not np.allclose(one, model.predict(X, verbose=0))


def test_the_samples_are_those_of_their_mean():
    """The sums over groups of samples are those over all: a fixed mask gives no deviation."""
    densa.utils.set_random_seed(3)
    model = densa.Sequential([densa.Input((5,)), layers.Dropout(0.5), layers.Dense(2)])
    for rows in (1, 6, 3000, 5000):  # many samples in a pass, and one
        x = np.ones((rows, 5), "f4")
        mean, std = model.predict(x, verbose=0, mc_samples=7)
        w, b = model.get_weights()
        assert mean.shape == (rows, 2)
        if rows >= 3000:
            due = np.sqrt((w.astype("f8") ** 2).sum(axis=0))  # each weight 0 or 2w
            np.testing.assert_allclose(mean.mean(axis=0), w.sum(axis=0) + b, atol=0.05)
            np.testing.assert_allclose((std**2).mean(axis=0) * 7 / 6, due**2, rtol=0.1)


def test_what_lies_before_is_computed_once():
    x = densa.Input((5,))
    h = layers.Dense(8, "tanh")(x)
    dropped = layers.Dropout(0.5)(h)
    out = layers.Dense(2)(layers.Concatenate()([dropped, h, x]))
    model = densa.Model(x, [out, layers.Dense(1, name="sure")(h)])
    before = len(model.layers[1]._inbound_nodes)
    (_, sure), (std, zero) = model.predict(X, verbose=0, mc_samples=50)
    before_part, behind = model._monte_carlo[1]
    ops = [n.operation.name for n in behind._nodes_of]
    assert [op.split("_")[0] for op in ops] == ["dropout", "concatenate", "dense"]
    assert (zero == 0).all()
    assert (std > 0).all()
    np.testing.assert_allclose(sure, model.predict(X, verbose=0)[1], rtol=1e-6)
    assert "dropout" not in before_part.explain_plan("predict")
    assert "dropout" in behind.explain_plan("predict")
    assert len(model.layers[1]._inbound_nodes) == before  # the model itself is as it was
    assert model.predict(X, verbose=0, mc_samples=50)[0][0].shape == (6, 2)


@pytest.mark.parametrize(
    "layer", [layers.Dropout, layers.AlphaDropout, layers.GaussianDropout], ids=lambda c: c.__name__
)
def test_every_dropout(layer):
    model = densa.Sequential([densa.Input((5,)), layer(0.3), layers.Dense(2)])
    _, std = model.predict(X, verbose=0, mc_samples=20)
    assert (std > 0).all()
    assert (model.predict(X, verbose=0) == model.predict(X, verbose=0)).all()


def test_batch_norm_and_noise_stay_as_in_inference():
    densa.utils.set_random_seed(0)
    model = densa.Sequential(
        [
            densa.Input((5,)),
            layers.Dropout(1e-9),
            layers.BatchNormalization(),
            layers.GaussianNoise(5.0),
            layers.Dense(2),
        ]
    )
    before = model.get_weights()
    mean, std = model.predict(X, verbose=0, mc_samples=10)
    np.testing.assert_allclose(mean, model.predict(X, verbose=0), rtol=1e-5, atol=1e-6)
    assert std.max() < 1e-6
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_models_with_a_call_of_their_own():
    class Own(densa.Model):
        def __init__(self):
            super().__init__()
            self.drop = layers.Dropout(0.5)
            self.dense = layers.Dense(2)

        def call(self, inputs):
            return {"y": self.dense(self.drop(inputs["a"])), "z": inputs["b"]}

    model = Own()
    x = {"a": X, "b": X[:, :1]}
    mean, std = model.predict(x, verbose=0, mc_samples=30)
    assert list(mean) == ["y", "z"]
    assert (std["y"] > 0).all()
    assert (std["z"] == 0).all()
    np.testing.assert_array_equal(mean["z"], X[:, :1])
    with pytest.raises(ValueError, match="needs arrays"):
        model.predict((b for b in [(x,)]), verbose=0, mc_samples=3)


def test_nested_and_unbuilt_models():
    inner = chain()
    outer = densa.Sequential([inner, layers.Dense(2)])
    assert outer.predict(X, verbose=0, mc_samples=5)[1].max() > 0
    unbuilt = densa.Sequential([layers.Dropout(0.5), layers.Dense(2)])
    assert unbuilt.predict(X, verbose=0, mc_samples=5)[1].max() > 0


def test_same_seed_same_samples_and_new_ones_each_time():
    found = [chain(seed=4).predict(X, verbose=0, mc_samples=9) for _ in range(2)]
    np.testing.assert_array_equal(found[0], found[1])
    model = chain(seed=4)
    a, b = (model.predict(X, verbose=0, mc_samples=9)[0] for _ in range(2))
    np.testing.assert_array_equal(a, found[0][0])
    assert not np.array_equal(a, b)


def test_changes_of_the_model_are_seen():
    model = chain()
    first = model.predict(X, verbose=0, mc_samples=5)[1].mean()
    model.layers[2].rate = 1e-6
    assert model.predict(X, verbose=0, mc_samples=5)[1].mean() < first / 10
    model.add(layers.Dense(1))
    assert model.predict(X, verbose=0, mc_samples=5)[0].shape == (6, 1)
    copied = copy.deepcopy(model)
    np.testing.assert_allclose(copied.predict(X, verbose=0), model.predict(X, verbose=0))
    assert copied.predict(X, verbose=0, mc_samples=2)[0].shape == (6, 1)


def test_streams_and_types():
    model = chain()
    mean, _ = model.predict(((X[i : i + 2],) for i in (0, 2, 4)), verbose=0, mc_samples=4)
    assert mean.shape == (6, 3)
    mixed = densa.Sequential(
        [
            densa.Input((5,)),
            layers.Dense(8, "relu", dtype="mixed_bfloat16"),
            layers.Dropout(0.3, dtype="mixed_bfloat16"),
            layers.Dense(2, dtype="mixed_bfloat16"),
        ]
    )
    mean, std = mixed.predict(X, verbose=0, mc_samples=40)
    assert np.isfinite(mean).all()
    assert (std > 0).all()


@pytest.mark.parametrize(
    ("samples", "error", "says"),
    [
        (0, ValueError, "mc_samples must be at least 1"),
        (2.5, TypeError, "mc_samples must be a whole number"),
    ],
)
def test_numbers_of_samples(samples, error, says):
    with pytest.raises(error, match=says):
        chain().predict(X, mc_samples=samples)


def test_without_dropout_there_is_nothing_to_draw():
    for model in (
        densa.Sequential([densa.Input((5,)), layers.Dense(2)]),
        densa.Sequential([densa.Input((5,)), layers.Dropout(0.0), layers.Dense(2)]),
    ):
        with pytest.raises(ValueError, match="no dropout layer with a rate above 0"):
            model.predict(X, mc_samples=3)
