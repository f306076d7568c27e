"""What Keras users rely on without thinking of it: logs, names and numbers of the training loop."""

from __future__ import annotations

import numpy as np
import pytest

import densa
from densa import layers

RNG = np.random.default_rng(5)
X = RNG.standard_normal((10, 3)).astype("f4")
Y = (X @ np.array([[1.0], [2.0], [-1.0]])).astype("f4")


@pytest.fixture(params=[False, True], ids=["plan", "eager"])
def eager(request):
    return request.param


def linear(outputs=1):
    densa.utils.set_random_seed(3)
    return densa.Sequential([densa.Input((3,)), layers.Dense(outputs)])


def squares(model, x, y):
    w, b = (a.astype("f8") for a in model.get_weights())
    return float(((x @ w + b - y) ** 2).mean())


def test_single_batches_report_themselves_alone(eager):
    model = linear()
    model.compile(densa.optimizers.SGD(0.1), "mse", metrics=["mse"], run_eagerly=eager)
    for part in (slice(0, 4), slice(4, 10), slice(2, 5)):
        expected = squares(model, X[part], Y[part])
        assert model.train_on_batch(X[part], Y[part]) == pytest.approx([expected] * 2, rel=1e-5)
        expected = squares(model, X[part], Y[part])
        assert model.test_on_batch(X[part], Y[part]) == pytest.approx([expected] * 2, rel=1e-5)


def test_models_without_weights(eager):
    a, b = densa.Input((3,)), densa.Input((3,))
    model = densa.Model([a, b], [layers.Add()([a, b]), layers.Rescaling(2.0)(a)])
    model.compile(loss=["mse", None], run_eagerly=eager)
    for rows in (1, 10):  # the second call finds the plan bound
        total, scaled = model.predict([X[:rows], 3 * X[:rows]], batch_size=4, verbose=0)
        np.testing.assert_array_equal(total, X[:rows] + 3 * X[:rows])
        np.testing.assert_array_equal(scaled, 2 * X[:rows])
    expected = float(((2 * X.astype("f8") - 1) ** 2).mean())
    found = model.evaluate([X, X], [np.ones_like(X)], verbose=0)
    assert found == pytest.approx(expected, rel=1e-5)
