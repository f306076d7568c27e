"""What a mask hides counts nowhere: labels there may be anything, and no metric sees them."""

import warnings

import numpy as np
import pytest

import densa
from densa import layers, metrics

RNG = np.random.default_rng(8)
LENGTHS = np.array([4, 1, 3, 0, 2, 4, 2])
KEPT = np.arange(4) < LENGTHS[:, None]
X = np.where(KEPT[..., None], RNG.standard_normal((7, 4, 3)), 0.0).astype("f4")
LABELS = RNG.integers(0, 5, (7, 4))
BINARY = RNG.integers(0, 2, (7, 4, 1)).astype("f4")


@pytest.fixture(params=[False, True], ids=["plan", "eager"])
def eagerly(request):
    return request.param


def classifier(eagerly):
    densa.utils.set_random_seed(4)
    model = densa.Sequential([densa.Input((4, 3)), layers.Masking(), layers.Dense(5, "softmax")])
    names = [
        "accuracy",
        "sparse_categorical_crossentropy",
        metrics.SparseTopKCategoricalAccuracy(2),
    ]
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=names, run_eagerly=eagerly)
    return model


@pytest.mark.parametrize("padding", [-1, 99, np.nan], ids=str)
@pytest.mark.parametrize("streamed", [False, True], ids=["arrays", "stream"])
def test_labels_of_padding_may_be_anything(padding, streamed, eagerly):
    found = []
    for filling in (0, padding):
        model = classifier(eagerly)
        y = np.where(KEPT, LABELS, filling)
        data = {"x": X, "y": y, "batch_size": 3, "shuffle": False}
        if streamed:
            data = {"x": iter([(X[:3], y[:3]), (X[3:], y[3:])]), "steps_per_epoch": 2}
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "y.* holds a non-finite number")
            history = model.fit(**data, verbose=0).history
            scores = [model.evaluate(X, y, verbose=0), model.train_on_batch(X, y)]
        found.append([*(v[0] for v in history.values()), *np.ravel(scores), *model.get_weights()])
    for a, b in zip(*found, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("bad", [-1, 5, 1.5])
def test_labels_that_count_must_be_classes(bad, eagerly):
    model = classifier(eagerly)
    y = np.where(KEPT, LABELS, -1).astype("f8")
    y[2, 1] = bad
    before = model.get_weights()
    for call in (
        lambda: model.fit(X, y, verbose=0),
        lambda: model.evaluate(X, y, verbose=0),
        lambda: model.train_on_batch(X, y),
        lambda: model.fit(iter([(X, y)]), steps_per_epoch=1, verbose=0),
    ):
        with pytest.raises(ValueError, match=rf"between 0 and 4.*first in row 2: {float(bad)}"):
            call()
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_masks_that_no_plan_can_be_asked_for():
    """What cannot be recorded runs op by op; so does the look for its masks."""

    class Odd(densa.Model):
        def __init__(self, reads):
            super().__init__()
            self.inner = layers.Dense(5, "softmax")
            self.reads = reads

        def call(self, x):
            h = self.inner(layers.Masking()(x))
            return h if self.reads(x) else layers.Activation("relu")(h)

    for reads, eagerly in (
        (lambda x: float(densa.ops.sum(x)) > -1e9, True),
        (lambda x: len(densa.ops.cumsum(x, axis=0).shape) == 3, False),  # asks for the rows
    ):
        model = Odd(reads)
        model.compile("sgd", "sparse_categorical_crossentropy", run_eagerly=eagerly)
        y = np.where(KEPT, LABELS, -1)
        model.fit(X, y, verbose=0)
        assert np.isfinite(model.evaluate(X, y, verbose=0))
        with pytest.raises(ValueError, match="first in row 0: 7"):
            model.fit(X, np.where(KEPT, 7, 0), verbose=0)


def test_several_outputs_are_looked_at_by_their_own_masks(eagerly):
    inputs = densa.Input((4, 3))
    masked = layers.Dense(5, "softmax", name="masked")(layers.Masking()(inputs))
    whole = layers.Dense(5, "softmax", name="whole")(inputs)
    model = densa.Model(inputs, [whole, masked])
    model.compile("sgd", ["sparse_categorical_crossentropy"] * 2, run_eagerly=eagerly)
    padded = np.where(KEPT, LABELS, -1)
    model.fit(X, [LABELS, padded], verbose=0)
    with pytest.raises(ValueError, match="output 'whole'.*first in row 1: -1"):
        model.fit(X, [padded, LABELS], verbose=0)


SCORES = {
    "accuracy": lambda: metrics.BinaryAccuracy(),
    "precision": lambda: metrics.Precision(),
    "recall": lambda: metrics.Recall(),
    "true positives": lambda: metrics.TruePositives(),
    "false positives": lambda: metrics.FalsePositives(),
    "true negatives": lambda: metrics.TrueNegatives(),
    "false negatives": lambda: metrics.FalseNegatives(),
    "auc": lambda: metrics.AUC(),
    "auc of logits": lambda: metrics.AUC(from_logits=True, curve="PR"),
    "sensitivity": lambda: metrics.SensitivityAtSpecificity(0.5),
    "iou": lambda: metrics.BinaryIoU([0, 1], 0.5),
    "rmse": lambda: metrics.RootMeanSquaredError(),
    "mse": lambda: metrics.MeanSquaredError(),
    "crossentropy": lambda: metrics.BinaryCrossentropy(),
    "cosine": lambda: metrics.CosineSimilarity(),
}


@pytest.mark.parametrize("name", SCORES)
@pytest.mark.parametrize("weighted", [False, True], ids=["", "weighted"])
def test_metrics_of_steps_count_what_the_mask_shows(name, weighted, eagerly):
    """As much as of the steps that count alone, each a row; others have no part."""
    weights = RNG.random(7) if weighted else None
    made, kind = SCORES[name](), "weighted_metrics" if weighted else "metrics"
    inputs = densa.Input((4, 3))
    out = layers.Dense(1, "sigmoid")(layers.Masking()(inputs))
    model = densa.Model(inputs, out)
    model.compile("sgd", "binary_crossentropy", **{kind: [made]}, run_eagerly=eagerly)
    y = np.where(KEPT[..., None], BINARY, np.nan)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "y.* holds a non-finite number")
        got = model.evaluate(X, y, sample_weight=weights, batch_size=3, verbose=0)[1]
    alone = SCORES[name]()
    scores = model.predict(X, verbose=0)[KEPT]
    rows = None if weights is None else np.repeat(weights, 4).reshape(7, 4)[KEPT]
    alone.update_state(BINARY[KEPT], scores, sample_weight=rows)
    assert got == pytest.approx(float(alone.result()), rel=1e-5, abs=1e-6)


ROWS = {
    "f1": lambda: metrics.F1Score(average="macro"),
    "f-beta": lambda: metrics.FBetaScore(average="weighted", beta=2.0, threshold=0.4),
    "r2": lambda: metrics.R2Score(),
    "adjusted r2": lambda: metrics.R2Score(num_regressors=2),
    "calibration": lambda: metrics.CalibrationError(5),
    "precision of a class": lambda: metrics.Precision(class_id=1),
    "auc of labels": lambda: metrics.AUC(multi_label=True),
    "iou of one-hot": lambda: metrics.OneHotMeanIoU(3),
    "pearson": lambda: metrics.PearsonCorrelation(),
    "categorical": lambda: metrics.CategoricalAccuracy(),
    "hinge": lambda: metrics.CategoricalHinge(),
}


@pytest.mark.parametrize("name", ROWS)
def test_metrics_of_rows_count_what_the_mask_shows(name):
    counted = np.array([True, False, True, True, False, True, True, True])
    x = np.where(counted[:, None], RNG.random((8, 3)), 0.0).astype("f4")
    y = np.eye(3)[RNG.integers(0, 3, 8)]
    hidden = np.where(counted[:, None], y, np.nan)
    metric, alone = ROWS[name](), ROWS[name]()
    for part in (slice(0, 5), slice(5, 8)):
        metric.update_state(hidden[part], layers.Masking()(x[part]))
    # Of masked rows in the first batch alone R² takes its shift; the score does not depend on it.
    alone.update_state(y[counted], x[counted])
    assert float(metric.result()) == pytest.approx(float(alone.result()), rel=2e-5, abs=1e-6)


def test_sums_and_means_of_masked_values():
    values = layers.Masking()(X)
    for kind, expected in ((metrics.Sum, X.sum(-1)), (metrics.Mean, X.sum(-1))):
        metric = kind()
        total = densa.ops.sum(values, axis=-1)
        total._keras_mask = values._keras_mask
        metric.update_state(total)
        wanted = expected[KEPT].sum() if kind is metrics.Sum else None
        if wanted is None:  # of rows, as with weights of the mask's shape
            wanted = float(metrics.Mean()(expected, sample_weight=KEPT))
        assert float(metric.result()) == pytest.approx(wanted, rel=1e-5)
