"""Losses: values and gradients against float64 NumPy, reductions, weights, errors."""

from __future__ import annotations

import numpy as np
import pytest

import densa
from densa import losses

EPSILON = 1e-7


def softmax(z):
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def clipped(p):
    return np.clip(p, EPSILON, 1 - EPSILON)


def unit(x):
    return x / np.sqrt((x * x).sum(axis=-1, keepdims=True))


def signs(y):
    return 2 * y - 1 if np.isin(y, (0, 1)).all() else y


def huber(y, p, delta=1.0):
    e = np.abs(p - y)
    return np.where(e <= delta, e * e / 2, delta * e - delta * delta / 2).mean(axis=-1)


def binary(y, p, smooth=0.0):
    y = y * (1 - smooth) + smooth / 2
    p = clipped(p)
    return -(y * np.log(p) + (1 - y) * np.log(1 - p)).mean(axis=-1)


def categorical(y, p, smooth=0.0):
    y = y * (1 - smooth) + smooth / y.shape[-1]
    return -(y * np.log(clipped(p / p.sum(axis=-1, keepdims=True)))).sum(axis=-1)


def sparse(y, p):
    q = clipped(p / p.sum(axis=-1, keepdims=True))
    return -np.log(np.take_along_axis(q, y[..., None], -1))[..., 0]


REGRESSION = {
    "mean_squared_error": lambda y, p: ((y - p) ** 2).mean(axis=-1),
    "mean_absolute_error": lambda y, p: np.abs(y - p).mean(axis=-1),
    "mean_absolute_percentage_error": lambda y, p: 100 * np.abs((y - p) / y).mean(axis=-1),
    "mean_squared_logarithmic_error": lambda y, p: (
        (np.log1p(np.maximum(y, EPSILON)) - np.log1p(np.maximum(p, EPSILON))) ** 2
    ).mean(axis=-1),
    "huber": huber,
    "log_cosh": lambda y, p: np.log(np.cosh(p - y)).mean(axis=-1),
    "cosine_similarity": lambda y, p: -(unit(y) * unit(p)).sum(axis=-1),
    "hinge": lambda y, p: np.maximum(1 - y * p, 0).mean(axis=-1),
    "squared_hinge": lambda y, p: (np.maximum(1 - y * p, 0) ** 2).mean(axis=-1),
    "categorical_hinge": lambda y, p: np.maximum(
        ((1 - y) * p).max(axis=-1) - (y * p).sum(axis=-1) + 1, 0
    ),
    "poisson": lambda y, p: (p - y * np.log(p + EPSILON)).mean(axis=-1),
    "kl_divergence": lambda y, p: (
        np.clip(y, EPSILON, 1) * np.log(np.clip(y, EPSILON, 1) / np.clip(p, EPSILON, 1))
    ).sum(axis=-1),
}
POSITIVE = ("poisson", "kl_divergence", "mean_squared_logarithmic_error")


def data(name, rng):
    y, p = rng.standard_normal((2, 6, 5))
    if name in POSITIVE:
        y, p = np.abs(y) + 0.1, np.abs(p) + 0.1
    if name == "kl_divergence":
        y, p = y / y.sum(axis=-1, keepdims=True), p / p.sum(axis=-1, keepdims=True)
    return y, p


def gradient(function, p, step=1e-6):
    out = np.zeros_like(p)
    for i in np.ndindex(p.shape):
        high, low = p.copy(), p.copy()
        high[i] += step
        low[i] -= step
        out[i] = (function(high).sum() - function(low).sum()) / (2 * step)
    return out


def value_and_gradient(function, y, p):
    tensor = densa.ops.convert_to_tensor(np.array(p))
    tensor.requires_grad = True
    values = function(densa.ops.convert_to_tensor(y), tensor)
    densa.ops.sum(values).backward()
    return values.numpy(), tensor.grad.numpy()


@pytest.mark.parametrize("name", REGRESSION)
def test_values_and_gradients(name):
    y, p = data(name, np.random.default_rng(7))
    reference = REGRESSION[name]
    values, slope = value_and_gradient(getattr(losses, name), y, p)
    np.testing.assert_allclose(values, reference(y, p), rtol=1e-11, atol=1e-13)
    np.testing.assert_allclose(slope, gradient(lambda q: reference(y, q), p), rtol=2e-6, atol=1e-7)
    # float32, as most models have it
    single = getattr(losses, name)(y.astype("f4"), p.astype("f4")).numpy()
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, reference(y, p), rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize("smooth", [0.0, 0.1])
def test_binary_crossentropy(smooth):
    rng = np.random.default_rng(1)
    z = rng.standard_normal((6, 4)) * 3
    y = rng.integers(0, 2, z.shape).astype(float)

    def from_logits(y, z):
        return losses.binary_crossentropy(y, z, from_logits=True, label_smoothing=smooth)

    def from_probabilities(y, p):
        return losses.binary_crossentropy(y, p, label_smoothing=smooth)

    values, slope = value_and_gradient(from_logits, y, z)
    np.testing.assert_allclose(values, binary(y, sigmoid(z), smooth), rtol=1e-10)
    expected = gradient(lambda q: binary(y, sigmoid(q), smooth), z)
    np.testing.assert_allclose(slope, expected, rtol=1e-5, atol=1e-8)
    p = sigmoid(z)
    values, slope = value_and_gradient(from_probabilities, y, p)
    np.testing.assert_allclose(values, binary(y, p, smooth), rtol=1e-12)
    expected = gradient(lambda q: binary(y, q, smooth), p)
    np.testing.assert_allclose(slope, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("smooth", [0.0, 0.1])
def test_categorical_crossentropy(smooth):
    rng = np.random.default_rng(2)
    z = rng.standard_normal((6, 4)) * 2
    y = np.eye(4)[rng.integers(0, 4, 6)]

    def from_logits(y, z):
        return losses.categorical_crossentropy(y, z, from_logits=True, label_smoothing=smooth)

    def from_probabilities(y, p):
        return losses.categorical_crossentropy(y, p, label_smoothing=smooth)

    values, slope = value_and_gradient(from_logits, y, z)
    np.testing.assert_allclose(values, categorical(y, softmax(z), smooth), rtol=1e-10)
    expected = gradient(lambda q: categorical(y, softmax(q), smooth), z)
    np.testing.assert_allclose(slope, expected, rtol=1e-5, atol=1e-8)
    p = softmax(z) * 0.7  # not summing to 1: scaled first
    values, slope = value_and_gradient(from_probabilities, y, p)
    np.testing.assert_allclose(values, categorical(y, p, smooth), rtol=1e-12)
    expected = gradient(lambda q: categorical(y, q, smooth), p)
    np.testing.assert_allclose(slope, expected, rtol=1e-4, atol=1e-6)


def test_sparse_categorical_crossentropy():
    rng = np.random.default_rng(3)
    z = rng.standard_normal((6, 4)) * 2
    y = rng.integers(0, 4, 6)

    def from_logits(y, z):
        return losses.sparse_categorical_crossentropy(y, z, from_logits=True)

    values, slope = value_and_gradient(from_logits, y, z)
    np.testing.assert_allclose(values, sparse(y, softmax(z)), rtol=1e-10)
    expected = gradient(lambda q: sparse(y, softmax(q)), z)
    np.testing.assert_allclose(slope, expected, rtol=1e-5, atol=1e-8)
    p = softmax(z)
    values, slope = value_and_gradient(losses.sparse_categorical_crossentropy, y, p)
    np.testing.assert_allclose(values, sparse(y, p), rtol=1e-12)
    expected = gradient(lambda q: sparse(y, q), p)
    np.testing.assert_allclose(slope, expected, rtol=1e-4, atol=1e-6)
    column = losses.sparse_categorical_crossentropy(y[:, None], p)
    np.testing.assert_array_equal(column.numpy(), values)
    as_floats = losses.sparse_categorical_crossentropy(y.astype("f8"), p)
    np.testing.assert_array_equal(as_floats.numpy(), values)


def test_logits_stay_finite_where_probabilities_would_not():
    z = np.array([[1000.0, -1000.0, 0.0]])
    loss = losses.SparseCategoricalCrossentropy(from_logits=True)
    assert float(loss([1], z)) == 2000.0
    assert float(losses.BinaryCrossentropy(from_logits=True)([[0.0]], [[1000.0]])) == 1000.0


def test_axis_of_the_classes():
    rng = np.random.default_rng(4)
    z = rng.standard_normal((3, 5, 2))
    y = np.moveaxis(np.eye(5)[rng.integers(0, 5, (3, 2))], -1, 1)
    found = losses.categorical_crossentropy(y, z, from_logits=True, axis=1).numpy()
    expected = categorical(np.moveaxis(y, 1, -1), softmax(np.moveaxis(z, 1, -1)))
    np.testing.assert_allclose(found, expected, rtol=1e-10)


def test_golden_distance():  # G26
    near = float(losses.BinaryCrossentropy()([[1.0]], [[0.94]]))
    far = float(losses.BinaryCrossentropy()([[1.0]], [[0.32]]))
    assert round(near, 4) == 0.0619
    assert round(far, 4) == 1.1394


def test_reductions_and_weights():
    rng = np.random.default_rng(5)
    y, p = rng.standard_normal((2, 4, 3))
    w = np.array([1.0, 0.0, 2.0, 0.5])
    per_row = ((y - p) ** 2).mean(axis=-1)
    for reduction, expected in (
        ("sum_over_batch_size", (per_row * w).sum() / 4),
        ("mean", (per_row * w).sum() / 4),
        ("sum", (per_row * w).sum()),
        ("mean_with_sample_weight", (per_row * w).sum() / w.sum()),
        ("none", per_row * w),
        (None, per_row * w),
    ):
        loss = losses.MeanSquaredError(reduction=reduction)
        np.testing.assert_allclose(loss(y, p, sample_weight=w).numpy(), expected, rtol=1e-12)
        column = loss(y, p, w[:, None]).numpy().reshape(np.shape(expected))
        np.testing.assert_allclose(column, expected, rtol=1e-12)
    assert float(losses.MeanSquaredError()(y, p)) == pytest.approx(per_row.mean())


def test_ranks_that_differ_by_a_last_axis_of_one():
    y, p = np.array([1.0, 2.0, 3.0]), np.array([[1.0], [2.0], [5.0]])
    assert float(losses.MeanSquaredError()(y, p)) == pytest.approx(4 / 3)
    assert float(losses.MeanSquaredError()(p, y)) == pytest.approx(4 / 3)


def test_ignored_class_counts_nowhere():
    z = np.array([[2.0, 1.0], [0.0, 3.0], [1.0, 1.0]])
    loss = losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=-1)
    found = float(loss(np.array([0, -1, 1]), z))
    assert found == pytest.approx(sparse(np.array([0, 1]), softmax(z[[0, 2]])).mean(), rel=1e-5)


def test_names_configuration_and_errors():
    assert losses.get("mse") is losses.mean_squared_error
    assert isinstance(losses.get("MeanSquaredError"), losses.MeanSquaredError)
    assert losses.get(None) is None
    assert losses.get(losses.huber) is losses.huber
    assert losses.serialize(losses.huber) == "huber"
    for loss in (
        losses.Huber(delta=2.0, reduction="sum"),
        losses.BinaryCrossentropy(from_logits=True, label_smoothing=0.1),
        losses.SparseCategoricalCrossentropy(ignore_class=3),
        losses.MeanSquaredError(name="error"),
    ):
        again = losses.deserialize(losses.serialize(loss))
        assert type(again) is type(loss)
        assert again.get_config() == loss.get_config()
    with pytest.raises(ValueError, match="Did you mean 'categorical_crossentropy'"):
        losses.get("categorical_crossentropi")
    with pytest.raises(ValueError, match="reduction"):
        losses.MeanSquaredError(reduction="summ")
    with pytest.raises(ValueError, match="label_smoothing"):
        losses.BinaryCrossentropy(label_smoothing=1.5)
    with pytest.raises(ValueError, match="sparse_categorical_crossentropy"):
        losses.categorical_crossentropy(np.array([0, 1]), np.ones((2, 3)) / 3)
    with pytest.raises(ValueError, match="one-hot"):
        losses.sparse_categorical_crossentropy(np.eye(3), np.ones((3, 3)) / 3)
    with pytest.raises(ValueError, match=r"\(4, 3\).*\(4, 2\)"):
        losses.mean_squared_error(np.ones((4, 3)), np.ones((4, 2)))


def test_custom_loss():
    class Quartic(losses.Loss):
        def call(self, y_true, y_pred):
            return densa.ops.mean((y_true - y_pred) ** 4, axis=-1)

    loss = Quartic()
    assert loss.name == "quartic"
    assert float(loss(np.zeros((2, 1)), np.full((2, 1), 2.0))) == 16.0


@pytest.mark.parametrize("label", [-1, 3, 2**40, 0.5])
def test_a_label_outside_the_classes_is_refused(label):
    scores = np.full((2, 3), 1 / 3)
    for from_logits in (False, True):
        for loss in (
            lambda y, p, z=from_logits: losses.sparse_categorical_crossentropy(y, p, z),
            losses.SparseCategoricalCrossentropy(from_logits),
            losses.SparseCategoricalCrossentropy(from_logits, ignore_class=7),
        ):
            for labels in ([1, label], np.array([1, label])):
                with pytest.raises(ValueError, match=r"lie between 0 and 2.*first in row 1: "):
                    loss(labels, scores)
    if label == int(label):
        ignoring = losses.SparseCategoricalCrossentropy(ignore_class=label, reduction="none")
        np.testing.assert_allclose(ignoring([1, label], scores).numpy(), [np.log(3), 0], rtol=1e-6)


@pytest.mark.parametrize("weight", [(4, 2), (4, 3), (3,), (4, 1, 3)], ids=str)
def test_weights_that_fit_no_value_are_refused(weight):
    x, y = np.ones((4, 5), "f4"), np.ones((4, 3), "f4")
    message = r"`sample_weight` has shape .* values of shape \(.*one weight per row.*class_weight"
    with pytest.raises(ValueError, match=message):
        losses.MeanSquaredError()(y, y, np.ones(weight))
    if weight[0] != 4:
        return
    for eager in (False, True):
        model = densa.Sequential([densa.Input((5,)), densa.layers.Dense(3)])
        model.compile("sgd", "mse", run_eagerly=eager)
        before = model.get_weights()[0]
        with pytest.raises(ValueError, match=message):
            model.fit(x, y, sample_weight=np.ones(weight), verbose=0)
        np.testing.assert_array_equal(model.get_weights()[0], before)
        model.fit(x, y, sample_weight=np.ones((4, 1)), verbose=0)


@pytest.mark.parametrize(
    ("delta", "error", "message"),
    [
        (-1.0, ValueError, "Huber: `delta` must be at least 0; received -1.0"),
        (float("nan"), ValueError, "Huber: `delta` must be a number, not NaN"),
        ("1", TypeError, "Huber: `delta` must be a number; received '1'"),
    ],
)
def test_huber_refuses_a_delta_out_of_range(delta, error, message):
    with pytest.raises(error, match=message):
        losses.Huber(delta=delta)


STRICT = (
    "binary_crossentropy binary_focal_crossentropy categorical_crossentropy kl_divergence hinge "
    "squared_hinge categorical_hinge categorical_focal_crossentropy dice tversky cosine_similarity"
).split()
STRETCHED = (
    "mean_squared_error mean_absolute_error mean_absolute_percentage_error log_cosh huber poisson "
    "mean_squared_logarithmic_error pinball"
).split()


def test_one_number_against_many():
    """Where it cannot be meant it is refused; else it is stretched as in Keras, and said so."""
    rng = np.random.default_rng(3)
    one, many = rng.random((4, 1)) + 0.5, rng.random((4, 3)) + 0.5
    for name in STRICT:
        fn = getattr(losses, name)
        with pytest.raises(ValueError, match=rf"{name}: .*\(4, 1\).*\(4, 3\); they must be alike"):
            fn(one, many)
        with pytest.raises(ValueError, match=r"\(4, 3\).*\(4, 1\).* Give the model 3 units"):
            fn(many, one)
    with pytest.raises(ValueError, match="Give the target 3 numbers a row"):
        losses.binary_crossentropy(one, many)
    for name in STRETCHED:
        fn = getattr(losses, name)
        for y, p in ((one, many), (many, one)):
            with pytest.warns(UserWarning, match=rf"{name}: .* axes of size 1 are stretched"):
                found = fn(y, p).numpy()
            np.testing.assert_allclose(found, fn(*np.broadcast_arrays(y, p)).numpy(), rtol=1e-6)
    for metric in ("binary_accuracy", "categorical_accuracy", "accuracy"):
        with pytest.raises(ValueError, match="must be alike"):
            getattr(densa.metrics, metric)(one, many)
    for metric in (densa.metrics.AUC(), densa.metrics.Precision(), densa.metrics.R2Score()):
        with pytest.raises(ValueError, match="must be alike"):
            metric.update_state(one, many)
    # What was meant is as before: a last axis of 1 less, several quantiles, weights by row.
    np.testing.assert_allclose(losses.mean_squared_error(many[:, 0], many[:, :1]), np.zeros(4))
    losses.Pinball([0.1, 0.5, 0.9])(one, many)
    densa.metrics.AUC().update_state(many > 1, many, one)


def test_an_ignored_class_has_no_part_in_the_mean():
    rng = np.random.default_rng(3)
    scores = rng.standard_normal((5, 4, 3))
    labels = rng.integers(0, 3, (5, 4))
    z = scores - np.log(np.exp(scores).sum(-1, keepdims=True))
    values = -np.take_along_axis(z, labels[..., None], -1)[..., 0]
    kept, w = labels != 1, rng.random(5)
    loss = losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=1)
    assert float(loss(labels, scores)) == pytest.approx(values[kept].mean(), rel=1e-6)
    expected = (values * w[:, None])[kept].sum() / kept.sum()
    assert float(loss(labels, scores, w)) == pytest.approx(expected, rel=1e-6)
    assert float(loss(np.ones((5, 4), int), scores)) == 0.0
