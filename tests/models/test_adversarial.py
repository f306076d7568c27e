"""Adversarial examples against NumPy, and training on them."""

from __future__ import annotations

import numpy as np
import pytest

import densa
from densa import layers, models

RNG = np.random.default_rng(12)
X = RNG.standard_normal((160, 8)).astype("f4")
Y = (X[:, :3].sum(axis=1, keepdims=True) > 0).astype("f4")


@pytest.fixture(params=[False, True], ids=["plan", "eager"])
def eager(request):
    return request.param


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


def test_fast_gradient_signs_against_numpy(eager):
    model = net(6, eager=eager)
    w, b, v, c = (a.astype("f8") for a in model.get_weights())
    h = np.tanh(X @ w + b)
    p = 1 / (1 + np.exp(-(h @ v + c)))
    slope = ((p - Y) @ v.T * (1 - h**2)) @ w.T
    assert np.abs(slope).min() > 1e-9
    before = model.get_weights()
    moved = models.adversarial_examples(model, X, Y, 0.25, batch_size=50)
    np.testing.assert_allclose(moved, X + 0.25 * np.sign(slope), rtol=1e-6)
    assert moved.dtype == X.dtype
    inside = models.adversarial_examples(model, X, Y, 0.25, bounds=(-1, 1))
    np.testing.assert_allclose(inside, np.clip(moved, -1, 1), rtol=1e-6)
    assert model.evaluate(moved, Y, verbose=0) > model.evaluate(X, Y, verbose=0)
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert all(variable.grad is None for variable in model.trainable_variables)


@pytest.mark.parametrize("units", [None, 8], ids=["none", "not built"])
def test_a_model_that_has_no_weights(units):
    model = densa.Sequential([layers.Dense(units) if units else layers.Activation("tanh")])
    model.compile("sgd", "mse")
    moved = models.adversarial_examples(model, X, np.zeros((160, 8)), 0.1)
    np.testing.assert_allclose(np.abs(moved - X), 0.1, rtol=1e-4)


def test_several_inputs_and_outputs():
    a, b = densa.Input((3,), name="a"), densa.Input((5,), name="b")
    joined = layers.Concatenate()([a, b])
    model = densa.Model([a, b], [layers.Dense(1)(joined), layers.Dense(1)(joined)])
    model.compile("sgd", ["mse", "mae"])
    x, y = [X[:, :3], X[:, 3:]], [Y, Y]
    logs = model.evaluate(x, y, verbose=0, return_dict=True)
    moved = models.adversarial_examples(model, x, y, 0.1)
    assert [m.shape for m in moved] == [(160, 3), (160, 5)]
    # means of the outputs' losses are as `evaluate` has left them
    kept = {k: float(v) for k, v in model.get_metrics_result().items()}
    assert kept == pytest.approx(logs, rel=1e-6)


@pytest.mark.cpu_only("its trainings take long in emulation")
def test_adversarial_training_makes_a_model_harder_to_harm():
    plain, hardened = net(16, seed=5), net(16, seed=5)
    plain.fit(X, Y, epochs=200, verbose=0)
    batches = models.AdversarialBatches(hardened, X, Y, 0.3, seed=1)
    hardened.fit(batches, epochs=200, verbose=0)
    losses = [
        m.evaluate(models.adversarial_examples(m, X, Y, 0.3), Y, verbose=0)
        for m in (plain, hardened)
    ]
    assert losses[1] < 0.95 * losses[0]


def test_batches_of_both():
    model = net(4)
    batches = models.AdversarialBatches(model, X, Y, 0.1, batch_size=64, shuffle=False)
    assert len(batches) == 3
    x, y = batches[2]
    assert x.shape == (64, 8)
    np.testing.assert_array_equal(x[:32], X[128:])
    np.testing.assert_allclose(np.abs(x[32:] - X[128:]), 0.1, rtol=1e-4)
    np.testing.assert_array_equal(y, np.concatenate([Y[128:]] * 2))
    shuffled = models.AdversarialBatches(model, X, Y, 0.1, batch_size=160, seed=2)
    first = shuffled[0][0][:160]
    shuffled.on_epoch_end()
    assert not np.array_equal(first, shuffled[0][0][:160])
    np.testing.assert_array_equal(np.sort(first, axis=0), np.sort(X, axis=0))


@pytest.mark.parametrize(
    ("make", "error", "says"),
    [
        (lambda m: models.adversarial_examples(m, X, Y, 0.0), ValueError, "epsilon must be above"),
        (
            lambda m: models.adversarial_examples(m, X, Y, "1"),
            TypeError,
            "epsilon must be a number",
        ),
        (lambda m: models.adversarial_examples(m, X, Y, np.inf), ValueError, "must be finite"),
        (lambda m: models.adversarial_examples(m, X, Y[:3], 0.1), ValueError, "160"),
        (
            lambda m: models.adversarial_examples(m, X, Y, 0.1, bounds=5),
            ValueError,
            r"\(least, largest\), such as \(0, 1\); received 5",
        ),
        (
            lambda m: models.AdversarialBatches(m, X, Y, 0.1, bounds=(0, "a")),
            TypeError,
            "the largest value must be a number",
        ),
        (
            lambda m: models.adversarial_examples(m, X, Y, 0.1, bounds=(1, 0)),
            ValueError,
            "bounds must be",
        ),
        (
            lambda m: models.adversarial_examples(m, X.astype(int), Y, 0.1),
            TypeError,
            "have no gradient",
        ),
        (
            lambda m: models.adversarial_examples(densa.models.clone_model(m), X, Y, 0.1),
            ValueError,
            "compile",
        ),
    ],
)
def test_what_does_not_fit_is_refused(make, error, says):
    with pytest.raises(error, match=says):
        make(net(4))
