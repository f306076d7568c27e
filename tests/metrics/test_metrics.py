"""Metrics against float64 NumPy, over several batches, with and without weights."""

from __future__ import annotations

import numpy as np
import pytest

import densa
from densa import metrics


def gather(metric, y, p, w=None, batch=4):
    for i in range(0, len(p), batch):
        part = slice(i, i + batch)
        metric.update_state(y[part], p[part], sample_weight=None if w is None else w[part])
    return float(metric.result())


def top_k(labels, scores, k):
    order = np.argsort(-scores, axis=-1)[:, :k]
    return (order == labels[:, None]).any(axis=1)


@pytest.fixture
def rng():
    return np.random.default_rng(9)


def test_classification(rng):
    scores = rng.standard_normal((10, 7))
    labels = rng.integers(0, 7, 10)
    onehot = np.eye(7)[labels]
    w = rng.random(10)
    right = scores.argmax(axis=1) == labels
    for metric, y, hits in (
        (metrics.SparseCategoricalAccuracy(), labels, right),
        (metrics.SparseCategoricalAccuracy(), labels[:, None], right),
        (metrics.SparseCategoricalAccuracy(), labels.astype("f4"), right),
        (metrics.CategoricalAccuracy(), onehot, right),
        (metrics.TopKCategoricalAccuracy(k=3), onehot, top_k(labels, scores, 3)),
        (metrics.SparseTopKCategoricalAccuracy(k=3), labels, top_k(labels, scores, 3)),
    ):
        assert gather(metric, y, scores) == pytest.approx(hits.mean(), rel=1e-6)
        metric.reset_state()
        assert gather(metric, y, scores, w) == pytest.approx((hits * w).sum() / w.sum(), rel=1e-6)


def test_binary_accuracy(rng):
    p = rng.random((10, 1))
    y = rng.integers(0, 2, 10)
    hits = (p[:, 0] > 0.3) == y
    metric = metrics.BinaryAccuracy(threshold=0.3)
    assert gather(metric, y, p) == pytest.approx(hits.mean(), rel=1e-6)
    logits = np.log(p / (1 - p))
    hits = (logits[:, 0] > 0) == y
    metric = metrics.BinaryAccuracy(threshold=0.0)
    assert gather(metric, y, logits) == pytest.approx(hits.mean(), rel=1e-6)
    p, y = rng.random((10, 3)), rng.integers(0, 2, (10, 3))
    assert gather(metrics.BinaryAccuracy(), y, p) == pytest.approx(((p > 0.5) == y).mean())
    assert gather(metrics.Accuracy(), y, 1 - y) == 0.0


def test_errors_of_regression(rng):
    y, p = rng.standard_normal((2, 10, 3))
    w = rng.random(10)
    for metric, rows in (
        (metrics.MeanSquaredError(), ((y - p) ** 2).mean(axis=1)),
        (metrics.MeanAbsoluteError(), np.abs(y - p).mean(axis=1)),
        (metrics.MeanAbsolutePercentageError(), 100 * np.abs((y - p) / y).mean(axis=1)),
        (metrics.LogCoshError(), np.log(np.cosh(y - p)).mean(axis=1)),
    ):
        assert gather(metric, y, p) == pytest.approx(rows.mean(), rel=1e-5)
        metric.reset_state()
        assert gather(metric, y, p, w) == pytest.approx((rows * w).sum() / w.sum(), rel=1e-5)
    root = np.sqrt(((y - p) ** 2).mean())
    assert gather(metrics.RootMeanSquaredError(), y, p) == pytest.approx(root, rel=1e-6)
    cosine = (y * p).sum(1) / np.sqrt((y * y).sum(1) * (p * p).sum(1))
    assert gather(metrics.CosineSimilarity(), y, p) == pytest.approx(cosine.mean(), rel=1e-5)


def test_crossentropies(rng):
    z = rng.standard_normal((10, 4))
    p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    labels = rng.integers(0, 4, 10)
    expected = -np.log(p[np.arange(10), labels]).mean()
    onehot = np.eye(4)[labels]
    for metric, y, x in (
        (metrics.SparseCategoricalCrossentropy(), labels, p),
        (metrics.SparseCategoricalCrossentropy(from_logits=True), labels, z),
        (metrics.CategoricalCrossentropy(), onehot, p),
        (metrics.CategoricalCrossentropy(from_logits=True), onehot, z),
    ):
        assert gather(metric, y, x) == pytest.approx(expected, rel=1e-5)
    q = rng.random((10, 1))
    y = rng.integers(0, 2, (10, 1))
    expected = -(y * np.log(q) + (1 - y) * np.log(1 - q)).mean()
    assert gather(metrics.BinaryCrossentropy(), y, q) == pytest.approx(expected, rel=1e-5)


def test_mean_and_sum():
    mean = metrics.Mean()
    assert float(mean.result()) == 0.0
    mean.update_state([1.0, 3.0, 5.0, 7.0])
    mean.update_state(9.0)
    assert float(mean.result()) == 5.0
    mean.reset_state()
    mean.update_state([1.0, 3.0, 5.0, 7.0], sample_weight=[1, 1, 0, 0])
    assert float(mean.result()) == 2.0
    mean.reset_state()
    mean.update_state(np.arange(6.0).reshape(2, 3))
    assert float(mean.result()) == 2.5
    assert float(mean.count.numpy()) == 2.0
    total = metrics.Sum()
    total.update_state([1.0, 2.0], sample_weight=[2.0, 1.0])
    assert float(total(10.0)) == 14.0


def test_custom_metric_and_configuration():
    class Largest(metrics.Metric):
        def __init__(self, name="largest", **kwargs):
            super().__init__(name=name, **kwargs)
            self.best = self.add_variable((), "zeros", name="best")

        def update_state(self, y_true, y_pred, sample_weight=None):
            self.best.assign(densa.ops.maximum(self.best, densa.ops.max(y_pred)))

        def result(self):
            return self.best

    metric = Largest()
    metric.update_state(None, densa.ops.convert_to_tensor(np.array([1.0, 3.0], "f4")))
    assert float(metric.result()) == 3.0
    assert len(metric.variables) == 1
    for built in (
        metrics.BinaryAccuracy(threshold=0.3),
        metrics.TopKCategoricalAccuracy(k=2, name="top"),
        metrics.SparseCategoricalCrossentropy(from_logits=True),
    ):
        again = metrics.deserialize(metrics.serialize(built))
        assert type(again) is type(built)
        assert again.get_config() == built.get_config()
    assert isinstance(metrics.get("rmse"), metrics.RootMeanSquaredError)
    assert metrics.get("BinaryAccuracy").name == "binary_accuracy"
    for name, kind in (
        ("mean_squared_error", metrics.MeanSquaredError),
        ("kl_divergence", metrics.KLDivergence),
        ("top_k_categorical_accuracy", metrics.TopKCategoricalAccuracy),
        ("accuracy", metrics.Accuracy),
    ):
        assert type(metrics.get(name)) is kind
        assert metrics.get(name).name == name
        assert metrics.get(getattr(metrics, name)) is getattr(metrics, name)
    with pytest.raises(ValueError, match="Did you mean 'accuracy'"):
        metrics.get("acuracy")
