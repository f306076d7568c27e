"""The recorded step and the step run op by op agree, for every loss and metric."""

from __future__ import annotations

import numpy as np
import pytest

import densa
from densa import layers, losses, metrics


def both(build, compiled, *data, **arguments):
    """Weights and history of the same training, recorded and eager."""
    found = []
    for eager in (False, True):
        densa.utils.set_random_seed(1)
        model = build()
        model.compile(run_eagerly=eager, **compiled())
        history = model.fit(*data, epochs=2, batch_size=16, shuffle=False, verbose=0, **arguments)
        found.append((model.get_weights(), history.history))
    return found


def assert_alike(found):
    (plan, plan_logs), (eager, eager_logs) = found
    for a, b in zip(plan, eager, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)
    assert list(plan_logs) == list(eager_logs)
    for name, values in plan_logs.items():
        np.testing.assert_allclose(values, eager_logs[name], rtol=1e-4, atol=1e-6, err_msg=name)


@pytest.fixture
def rng():
    return np.random.default_rng(4)


@pytest.mark.parametrize(
    "sizes", [(1, 1), (1, 4), (4, 1), (4, 1, 5, 1), (3, 20, 1, 17, 2), (33, 16, 15)], ids=str
)
def test_narrow_and_odd_layers(sizes, rng):
    x = rng.standard_normal((40, sizes[0])).astype("f4")
    y = rng.standard_normal((40, sizes[-1])).astype("f4")

    def build():
        hidden = [layers.Dense(size, activation="tanh") for size in sizes[1:]]
        return densa.Sequential([densa.Input((sizes[0],)), *hidden])

    def compiled():
        return {"optimizer": densa.optimizers.SGD(0.1, momentum=0.5), "loss": "mse"}

    assert_alike(both(build, compiled, x, y))


CLASSIFICATION = {
    "sparse": ("softmax", "sparse_categorical_crossentropy", False),
    "sparse logits": (None, losses.SparseCategoricalCrossentropy(from_logits=True), False),
    "sparse ignoring": (
        None,
        losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=1),
        False,
    ),
    "onehot": ("softmax", "categorical_crossentropy", True),
    "onehot smoothed": (
        None,
        losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1),
        True,
    ),
    "binary": ("sigmoid", "binary_crossentropy", True),
    "binary logits": (None, losses.BinaryCrossentropy(from_logits=True), True),
    "weighted mean": (
        "softmax",
        losses.CategoricalCrossentropy(reduction="mean_with_sample_weight"),
        True,
    ),
    "sum": ("softmax", losses.CategoricalCrossentropy(reduction="sum"), True),
}


@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
@pytest.mark.parametrize("case", CLASSIFICATION)
def test_losses_of_classification(case, weighted, rng):
    activation, loss, onehot = CLASSIFICATION[case]
    x = rng.standard_normal((50, 5)).astype("f4")
    labels = rng.integers(0, 3, 50)
    y = np.eye(3, dtype="f4")[labels] if onehot else labels
    arguments = {"sample_weight": rng.random(50).astype("f4")} if weighted else {}
    top = metrics.TopKCategoricalAccuracy if onehot else metrics.SparseTopKCategoricalAccuracy

    def build():
        return densa.Sequential([densa.Input((5,)), layers.Dense(3, activation=activation)])

    def compiled():
        given = ["accuracy", top(2)]
        return {
            "optimizer": densa.optimizers.SGD(0.1),
            "loss": loss,
            "metrics": given,
            "weighted_metrics": [top(1, name="top")] if weighted else None,
        }

    assert_alike(both(build, compiled, x, y, **arguments))


@pytest.mark.parametrize(
    "loss",
    "mse mae mape msle huber log_cosh kl_divergence poisson hinge squared_hinge "
    "categorical_hinge cosine_similarity".split(),
)
def test_losses_of_regression(loss, rng):
    x = rng.standard_normal((50, 5)).astype("f4")
    y = (np.abs(rng.standard_normal((50, 3))) + 0.1).astype("f4")

    def build():
        return densa.Sequential([densa.Input((5,)), layers.Dense(3, activation="sigmoid")])

    def compiled():
        given = ["mae", metrics.RootMeanSquaredError(), metrics.CosineSimilarity()]
        return {"optimizer": densa.optimizers.SGD(0.01), "loss": loss, "metrics": given}

    assert_alike(both(build, compiled, x, y))


@pytest.mark.parametrize(
    "name", "SGD RMSprop Adagrad Adadelta Adam AdamW Adamax Nadam Lion".split()
)
@pytest.mark.parametrize(
    "clip", [{}, {"clipvalue": 0.01}, {"clipnorm": 0.05}, {"global_clipnorm": 0.05}], ids=str
)
def test_optimizers_and_clipping(name, clip, rng):
    x = rng.standard_normal((50, 5)).astype("f4")
    y = rng.standard_normal((50, 2)).astype("f4")

    def build():
        return densa.Sequential(
            [densa.Input((5,)), layers.Dense(7, activation="relu"), layers.Dense(2)]
        )

    def compiled():
        schedule = densa.optimizers.schedules.ExponentialDecay(0.01, 3, 0.9)
        optimizer = getattr(densa.optimizers, name)(schedule, weight_decay=0.01, **clip)
        optimizer.exclude_from_weight_decay(var_names=["bias"])
        return {"optimizer": optimizer, "loss": "mse"}

    found = both(build, compiled, x, y)
    if name == "Lion":  # a rounding may turn a sign; then the move is the other way
        for a, b in zip(found[0][0], found[1][0], strict=True):
            assert np.mean(np.abs(a - b) > 1e-5) < 0.1
        return
    assert_alike(found)
