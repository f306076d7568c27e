"""Focal, generalized, quantile and likelihood losses against float64 NumPy, on every path."""

from __future__ import annotations

import math

import numpy as np
import pytest

import densa
from densa import layers, losses

RNG = np.random.default_rng(3)
EPSILON = 1e-7


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def softmax(z):
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def binary_focal(y, p, balance=False, alpha=0.25, gamma=2.0, smooth=0.0):
    y = y * (1 - smooth) + smooth / 2
    p = np.clip(p, EPSILON, 1 - EPSILON)
    q = y * p + (1 - y) * (1 - p)
    values = (1 - q) ** gamma * -(y * np.log(p) + (1 - y) * np.log(1 - p))
    return (values * (y * alpha + (1 - y) * (1 - alpha) if balance else 1)).mean(axis=-1)


def categorical_focal(y, p, alpha=0.25, gamma=2.0, smooth=0.0):
    y = y * (1 - smooth) + smooth / y.shape[-1]
    p = np.clip(p / p.sum(axis=-1, keepdims=True), EPSILON, 1 - EPSILON)
    return -(np.asarray(alpha) * (1 - p) ** gamma * y * np.log(p)).sum(axis=-1)


def slopes(function, p, step=1e-6):
    out = np.zeros_like(p)
    for i in np.ndindex(p.shape):
        high, low = p.copy(), p.copy()
        high[i] += step
        low[i] -= step
        out[i] = (function(high).sum() - function(low).sum()) / (2 * step)
    return out


def check(function, reference, y, p):
    tensor = densa.ops.convert_to_tensor(np.array(p))
    tensor.requires_grad = True
    values = function(densa.ops.convert_to_tensor(y), tensor)
    densa.ops.sum(values).backward()
    np.testing.assert_allclose(values.numpy(), reference(y, p), rtol=1e-10, atol=1e-12)
    due = slopes(lambda q: reference(y, q), p)
    np.testing.assert_allclose(tensor.grad.numpy(), due, rtol=2e-6, atol=1e-7)
    single = function(y, p.astype("f4")).numpy()
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, reference(y, p), rtol=1e-4, atol=2e-6)


@pytest.mark.parametrize("gamma", [0.0, 1.5, 2.0])
@pytest.mark.parametrize("smooth", [0.0, 0.1])
def test_binary_focal(gamma, smooth):
    y = RNG.integers(0, 2, (6, 3)).astype("f8")
    z = RNG.standard_normal((6, 3))
    for balance in (False, True):
        given = {
            "apply_class_balancing": balance,
            "alpha": 0.3,
            "gamma": gamma,
            "label_smoothing": smooth,
        }

        def reference(y, p, balance=balance):
            return binary_focal(y, p, balance, 0.3, gamma, smooth)

        fn = losses.binary_focal_crossentropy
        check(lambda a, b: fn(a, b, **given), reference, y, sigmoid(z))  # noqa: B023
        check(
            lambda a, b: fn(a, b, from_logits=True, **given),  # noqa: B023
            lambda y, z: reference(y, sigmoid(z)),
            y,
            z,
        )


@pytest.mark.parametrize("alpha", [0.25, [0.1, 0.2, 0.3, 0.4]])
def test_categorical_focal(alpha):
    y = np.eye(4)[RNG.integers(0, 4, 6)]
    z = RNG.standard_normal((6, 4))
    fn = losses.categorical_focal_crossentropy
    for gamma, smooth in ((2.0, 0.0), (0.5, 0.1)):
        given = {"alpha": alpha, "gamma": gamma, "label_smoothing": smooth}

        def reference(y, p, gamma=gamma, smooth=smooth):
            return categorical_focal(y, p, alpha, gamma, smooth)

        check(lambda a, b: fn(a, b, **given), reference, y, softmax(z) * 3)  # noqa: B023
        check(
            lambda a, b: fn(a, b, from_logits=True, **given),  # noqa: B023
            lambda y, z: reference(y, softmax(z)),
            y,
            z,
        )


def test_generalized_cross_entropy():
    labels = RNG.integers(0, 4, 6)
    p = softmax(RNG.standard_normal((6, 4)))
    fn = losses.categorical_generalized_cross_entropy
    for q in (0.1, 0.5, 0.9):

        def reference(y, p, q=q):
            return (1 - p[np.arange(6), y] ** q) / q

        check(lambda a, b, q=q: fn(a, b, q), reference, labels, p)
    assert np.isfinite(fn(np.array([0, 1]), np.array([[0.0, 1.0]] * 2)).numpy()).all()
    with pytest.raises(ValueError, match="lie between 0 and 1.*first in row 2: 4"):
        fn(np.array([0, 1, 4]), np.array([[0.0, 1.0]] * 3))


def test_pinball():
    y, p = RNG.standard_normal((2, 6, 3))
    for q in (0.1, 0.5, 0.99):

        def reference(y, p, q=q):
            e = y - p
            return np.where(e >= 0, q * e, (q - 1) * e).mean(axis=-1)

        check(lambda a, b, q=q: losses.pinball(a, b, q), reference, y, p)
    several = np.array([0.1, 0.5, 0.9])

    def reference(y, p):
        e = y - p
        return np.where(e >= 0, several * e, (several - 1) * e).mean(axis=-1)

    check(lambda a, b: losses.pinball(a, b, list(several)), reference, y[:, :1], p)
    sk = pytest.importorskip("sklearn.metrics")
    due = sk.mean_pinball_loss(y, p, alpha=0.3)
    assert float(losses.Pinball(0.3, dtype="float64")(y, p)) == pytest.approx(due, rel=1e-12)


@pytest.mark.parametrize("full", [False, True])
def test_gaussian_likelihood(full):
    y = RNG.standard_normal((6, 2))
    out = RNG.standard_normal((6, 4))

    def reference(y, out):
        mean, variance = out[:, :2], np.exp(out[:, 2:])
        values = 0.5 * (np.log(variance) + (y - mean) ** 2 / variance)
        return (values + (0.5 * math.log(2 * math.pi) if full else 0)).mean(axis=-1)

    fn = losses.gaussian_negative_log_likelihood
    check(lambda a, b: fn(a, b, full), reference, y, out)
    # an impossible certainty is cut
    sure = np.array([[1.0, -500.0]], "f4")
    values = fn(np.array([[1.5]], "f4"), sure).numpy()
    np.testing.assert_allclose(values, 0.5 * (math.log(1e-6) + 0.25e6), rtol=1e-5)


def test_overlap():
    y = RNG.integers(0, 2, (6, 4)).astype("f8")
    p = sigmoid(RNG.standard_normal((6, 4)))
    for axis in (None, -1, (0, 1)):

        def dice(y, p, axis=axis):
            return 1 - 2 * (y * p).sum(axis) / (y.sum(axis) + p.sum(axis) + EPSILON)

        def tversky(y, p, axis=axis):
            tp, fp, fn = ((a * b).sum(axis) for a, b in ((y, p), (1 - y, p), (y, 1 - p)))
            return 1 - tp / (tp + 0.3 * fp + 0.7 * fn + EPSILON)

        check(lambda a, b, axis=axis: losses.dice(a, b, axis), dice, y, p)
        check(lambda a, b, axis=axis: losses.tversky(a, b, 0.3, 0.7, axis), tversky, y, p)


X = RNG.standard_normal((40, 3)).astype("f4")
NOISY = (X[:, :1] + np.abs(X[:, 1:2]) * RNG.standard_normal((40, 1))).astype("f4")
BINARY = (X[:, 0] > 0).astype("i4")


@pytest.mark.parametrize(
    ("loss", "outputs", "activation", "y"),
    [
        (losses.Pinball([0.1, 0.5, 0.9]), 3, None, NOISY),
        ("pinball", 1, None, NOISY),
        (losses.GaussianNegativeLogLikelihood(), 2, None, NOISY),
        ("gaussian_nll", 2, None, NOISY[:, 0]),
        ("binary_focal_crossentropy", 1, "sigmoid", BINARY),
        (losses.BinaryFocalCrossentropy(True, from_logits=True), 1, None, BINARY),
        (losses.CategoricalFocalCrossentropy([0.3, 0.7]), 2, "softmax", np.eye(2)[BINARY]),
        ("categorical_generalized_cross_entropy", 2, "softmax", BINARY),
        (losses.Dice(axis=-1), 2, "softmax", np.eye(2)[BINARY]),
        (losses.Tversky(0.3, 0.7, axis=-1), 2, "softmax", np.eye(2)[BINARY]),
    ],
)
def test_training(loss, outputs, activation, y):
    w = RNG.random(40)
    found = []
    for eager in (False, True):
        densa.utils.set_random_seed(2)
        model = densa.Sequential([densa.Input((3,)), layers.Dense(outputs, activation)])
        model.compile("adam", loss, run_eagerly=eager)
        history = model.fit(X, y, sample_weight=w, epochs=2, batch_size=16, verbose=0)
        assert eager == ("off the fast path" in model.explain_plan())
        # evaluate's loss is the weighted mean of the function's values
        fn = losses.get(loss)
        fn = fn.call if isinstance(fn, losses.Loss) else fn
        rows = np.asarray(fn(y, model.predict(X, verbose=0).astype("f8")))
        due = (rows * w).mean()
        assert model.evaluate(X, y, sample_weight=w, verbose=0) == pytest.approx(due, rel=1e-4)
        found.append(history.history["loss"])
    assert found[0] == pytest.approx(found[1], rel=1e-5)


def test_two_outputs_with_weights():
    a = densa.Input((3,))
    model = densa.Model(a, [layers.Dense(2, name="value")(a), layers.Dense(1, "sigmoid")(a)])
    model.compile("sgd", ["gaussian_nll", "binary_focal_crossentropy"], loss_weights=[0.5, 2.0])
    y = [NOISY, BINARY[:, None]]
    logs = model.evaluate(X, y, verbose=0, return_dict=True)
    focal = next(logs[name] for name in logs if name not in ("loss", "value_loss"))
    assert logs["loss"] == pytest.approx(0.5 * logs["value_loss"] + 2 * focal, rel=1e-5)
    weights = model.get_weights()
    model.fit(X, y, verbose=0)
    assert "off the fast path" not in model.explain_plan()
    assert not any((a == b).all() for a, b in zip(weights, model.get_weights(), strict=True))


def test_class_weights():
    model = densa.Sequential([densa.Input((3,)), layers.Dense(2, "softmax")])
    model.compile("sgd", "categorical_generalized_cross_entropy")
    rows = np.asarray(
        losses.categorical_generalized_cross_entropy(BINARY, model.predict(X, verbose=0))
    )
    found = model.train_on_batch(X, BINARY, class_weight={0: 1.0, 1: 3.0})
    assert found == pytest.approx((rows * np.where(BINARY, 3.0, 1.0)).mean(), rel=1e-5)


def test_configurations():
    for loss in (
        losses.Pinball([0.1, 0.9]),
        losses.Pinball(0.3, reduction="sum"),
        losses.GaussianNegativeLogLikelihood(True, 1e-3),
        losses.BinaryFocalCrossentropy(True, 0.3, 1.0, label_smoothing=0.1),
        losses.CategoricalFocalCrossentropy([0.3, 0.7]),
        losses.CategoricalGeneralizedCrossEntropy(0.7),
        losses.Dice(axis=-1),
        losses.Tversky(0.3, 0.7),
    ):
        again = losses.deserialize(losses.serialize(loss))
        assert type(again) is type(loss)
        assert again.get_config() == loss.get_config()


@pytest.mark.parametrize(
    ("make", "error", "says"),
    [
        (lambda: losses.Pinball(1.0), ValueError, "between 0 and 1"),
        (lambda: losses.Pinball([]), ValueError, "the list is empty"),
        (lambda: losses.Pinball("0.5"), TypeError, "quantile must be a number"),
        (lambda: losses.Pinball([0.1, 0.9])(NOISY, X), ValueError, "2 quantiles need"),
        (lambda: losses.GaussianNegativeLogLikelihood()(NOISY, X), ValueError, "twice as many"),
        (lambda: losses.GaussianNegativeLogLikelihood(least_variance=0), ValueError, "above 0"),
        (lambda: losses.BinaryFocalCrossentropy(gamma=-1), ValueError, "`gamma` must be at least"),
        (lambda: losses.CategoricalFocalCrossentropy(label_smoothing=2), ValueError, "smoothing"),
        (lambda: losses.CategoricalGeneralizedCrossEntropy(1.0), ValueError, "between 0 and 1"),
        (lambda: losses.get("pinbal"), ValueError, "Did you mean 'pinball'"),
    ],
)
def test_what_does_not_fit_is_refused(make, error, says):
    with pytest.raises(error, match=says):
        make()
