"""Metrics of counts against scikit-learn and float64 NumPy: over batches, weighted, with NaN."""

from __future__ import annotations

import numpy as np
import pytest

import densa
from densa import metrics

sk = pytest.importorskip("sklearn.metrics")
RNG = np.random.default_rng(4)
ROWS = 90
LABELS = RNG.integers(0, 2, ROWS)
# One score in the middle between two thresholds each: no two share one, so areas are exact.
P = (RNG.permutation(199)[:ROWS] + 0.5) / 199
WEIGHTS = RNG.random(ROWS)
CLASSES = 4
ONE_HOT = np.eye(CLASSES)[RNG.integers(0, CLASSES, ROWS)]
LOGITS = RNG.standard_normal((ROWS, CLASSES)) + ONE_HOT
SHARES = np.exp(LOGITS) / np.exp(LOGITS).sum(axis=1, keepdims=True)


def gather(metric, y, p, w=None, batch=13):
    for i in range(0, len(p), batch):
        part = slice(i, i + batch)
        metric.update_state(y[part], p[part], sample_weight=None if w is None else w[part])
    return np.asarray(metric.result())


def counts(threshold, w):
    above = threshold < P
    return [(w * (above == a) * (b == LABELS)).sum() for a, b in ((1, 1), (1, 0), (0, 0), (0, 1))]


@pytest.fixture(params=[None, WEIGHTS], ids=["plain", "weighted"])
def w(request):
    return request.param


KINDS = ("TruePositives", "FalsePositives", "TrueNegatives", "FalseNegatives")


@pytest.mark.parametrize("name", KINDS)
def test_counts(name, w):
    ones = np.ones(ROWS) if w is None else w
    place = KINDS.index(name)
    for given, thresholds in ((None, [0.5]), (0.3, [0.3]), ([0.2, 0.7], [0.2, 0.7])):
        due = [counts(t, ones)[place] for t in thresholds]
        found = gather(getattr(metrics, name)(thresholds=given), LABELS, P, w)
        np.testing.assert_allclose(found, due if len(due) > 1 else due[0], rtol=1e-5)


def test_precision_and_recall(w):
    for threshold in (0.5, 0.25):
        above = threshold < P
        for metric, reference in (
            (metrics.Precision(threshold), sk.precision_score),
            (metrics.Recall(threshold), sk.recall_score),
        ):
            due = reference(LABELS, above, sample_weight=w)
            assert gather(metric, LABELS, P, w) == pytest.approx(due, rel=1e-5)
    found = gather(metrics.Recall([0.1, 0.9]), LABELS, P[:, None], w)
    due = [sk.recall_score(LABELS, t < P, sample_weight=w) for t in (0.1, 0.9)]
    np.testing.assert_allclose(found, due, rtol=1e-5)
    assert float(metrics.Precision()([0, 1], [0.1, 0.2])) == 0.0  # no positive answer


def test_precision_and_recall_of_classes(w):
    ones = np.ones(ROWS) if w is None else w
    best = np.argsort(-SHARES, axis=1)[:, :2]
    chosen = np.zeros_like(SHARES)
    np.put_along_axis(chosen, best, 1, axis=1)
    right = (ones[:, None] * chosen * ONE_HOT).sum()
    found = gather(metrics.Precision(top_k=2), ONE_HOT, SHARES, w)
    assert found == pytest.approx(right / (ones[:, None] * chosen).sum(), rel=1e-5)
    found = gather(metrics.Recall(top_k=2), ONE_HOT, SHARES, w)
    assert found == pytest.approx(right / (ones[:, None] * ONE_HOT).sum(), rel=1e-5)
    for column in (0, 3):
        due = sk.precision_score(ONE_HOT[:, column], SHARES[:, column] > 0.3, sample_weight=w)
        found = gather(metrics.Precision(0.3, class_id=column), ONE_HOT, SHARES, w)
        assert found == pytest.approx(due, rel=1e-5)


def test_areas(w):
    due = sk.roc_auc_score(LABELS, P, sample_weight=w)
    assert gather(metrics.AUC(), LABELS, P, w) == pytest.approx(due, rel=1e-5)
    logits = np.log(P / (1 - P))
    found = gather(metrics.AUC(from_logits=True), LABELS, logits, w)
    assert found == pytest.approx(due, rel=1e-5)
    # scikit-learn's average precision is the sum that takes the higher recall's precision.
    precision, recall, _ = sk.precision_recall_curve(LABELS, P, sample_weight=w)
    steps = -np.diff(recall)
    low = (steps * np.minimum(precision[:-1], precision[1:])).sum()
    high = (steps * np.maximum(precision[:-1], precision[1:])).sum()
    areas = {
        method: float(gather(metrics.AUC(curve="PR", summation_method=method), LABELS, P, w))
        for method in ("minoring", "interpolation", "majoring")
    }
    # The first point, without any answer, has precision 0 in Keras and 1 in scikit-learn.
    first = steps[-1] * abs(precision[-1] - precision[-2]) + steps[-1]
    assert areas["minoring"] == pytest.approx(low, abs=first + 1e-5)
    assert areas["majoring"] == pytest.approx(high, abs=first + 1e-5)
    assert areas["minoring"] <= areas["interpolation"] <= areas["majoring"]
    assert areas["interpolation"] == pytest.approx(davis_and_goadrich(w), rel=1e-5)


def davis_and_goadrich(w):
    """The area by summing many points between the known ones, each with its own precision."""
    ones = np.ones(ROWS) if w is None else w
    edges = np.arange(200) / 199
    tp = np.array([(ones * LABELS * (t < P)).sum() for t in edges])
    fp = np.array([(ones * (1 - LABELS) * (t < P)).sum() for t in edges])
    area = 0.0
    for i in range(199):
        s = (np.arange(2000) + 0.5) / 2000
        t = tp[i + 1] + s * (tp[i] - tp[i + 1])
        f = fp[i + 1] + s * (fp[i] - fp[i + 1])
        if tp[i] > tp[i + 1]:
            area += (t / (t + f)).mean() * (tp[i] - tp[i + 1]) / tp[0]
    return area


def test_areas_of_several_labels(w):
    by_label = np.array(
        [sk.roc_auc_score(ONE_HOT[:, c], SHARES[:, c], sample_weight=w) for c in range(CLASSES)]
    )
    # 5000 thresholds: scores lie anywhere.
    metric = metrics.AUC(5000, multi_label=True)
    assert gather(metric, ONE_HOT, SHARES, w) == pytest.approx(by_label.mean(), abs=2e-3)
    share = [1.0, 2.0, 0.0, 1.0]
    metric = metrics.AUC(5000, multi_label=True, num_labels=CLASSES, label_weights=share)
    due = np.average(by_label, weights=share)
    assert gather(metric, ONE_HOT, SHARES, w) == pytest.approx(due, abs=2e-3)
    thresholds = sorted(set(P[:20]))
    metric = metrics.AUC(thresholds=thresholds)
    assert metric.thresholds[1:-1] == thresholds


def test_the_best_under_a_bound(w):
    ones = np.ones(ROWS) if w is None else w
    table = np.array([counts(t, ones) for t in metrics.AUC().thresholds])
    tp, fp, tn, fn = table.T
    with np.errstate(invalid="ignore"):
        shares = {
            "recall": tp / (tp + fn),
            "specificity": tn / (tn + fp),
            "precision": np.nan_to_num(tp / (tp + fp)),
        }
    for kind, bounded, wanted in (
        (metrics.SensitivityAtSpecificity, "specificity", "recall"),
        (metrics.SpecificityAtSensitivity, "recall", "specificity"),
        (metrics.PrecisionAtRecall, "recall", "precision"),
        (metrics.RecallAtPrecision, "precision", "recall"),
    ):
        for least in (0.2, 0.45, 0.6):
            met = shares[bounded] >= least
            due = shares[wanted][met].max() if met.any() else 0.0
            assert gather(kind(least), LABELS, P, w) == pytest.approx(due, rel=1e-5)
    assert gather(metrics.RecallAtPrecision(1.0), 1 - LABELS * 0, P) == pytest.approx(1.0)


def test_f_scores(w):
    best = SHARES.argmax(axis=1)
    truth = ONE_HOT.argmax(axis=1)
    for average in (None, "micro", "macro", "weighted"):
        due = sk.f1_score(truth, best, average=average, sample_weight=w)
        found = gather(metrics.F1Score(average), ONE_HOT, SHARES, w)
        np.testing.assert_allclose(found, due, rtol=1e-5)
        due = sk.fbeta_score(
            ONE_HOT, SHARES > 0.3, beta=2.0, average=average, sample_weight=w, zero_division=0
        )
        found = gather(metrics.FBetaScore(average, beta=2.0, threshold=0.3), ONE_HOT, SHARES, w)
        np.testing.assert_allclose(found, due, rtol=1e-5)


def test_r2(w):
    y = 1000 + RNG.standard_normal((ROWS, 3)) * [1.0, 2.0, 3.0]
    p = y + RNG.standard_normal((ROWS, 3))
    for aggregation, multioutput in (
        (None, "raw_values"),
        ("uniform_average", "uniform_average"),
        ("variance_weighted_average", "variance_weighted"),
    ):
        due = sk.r2_score(y, p, multioutput=multioutput, sample_weight=w)
        found = gather(metrics.R2Score(aggregation), y, p, w)
        # float32 holds the targets to 6e-5 of their spread
        np.testing.assert_allclose(found, due, rtol=2e-3, atol=2e-3)
        found = gather(metrics.R2Score(aggregation, dtype="float64"), y, p, w)
        np.testing.assert_allclose(found, due, rtol=1e-12)
    if w is None:
        plain = sk.r2_score(y[:, 0], p[:, 0])
        found = gather(metrics.R2Score(num_regressors=5, dtype="float64"), y[:, 0], p[:, :1])
        assert found == pytest.approx(1 - (1 - plain) * (ROWS - 1) / (ROWS - 6), rel=1e-12)


def test_too_many_regressors_are_told_of():
    metric = metrics.R2Score(num_regressors=3)
    metric.update_state([[1.0], [2.0], [4.0]], [[1.0], [2.0], [3.0]])
    with pytest.warns(UserWarning, match="3 regressors need more than 4 samples"):
        assert float(metric.result()) == pytest.approx(sk.r2_score([1, 2, 4], [1, 2, 3]), rel=1e-6)


def test_correlations(w):
    y = RNG.standard_normal((ROWS, 5)) + 3
    p = 0.5 * y + RNG.standard_normal((ROWS, 5))
    pearson = [np.corrcoef(a, b)[0, 1] for a, b in zip(y, p, strict=True)]
    agreement = [
        2 * np.cov(a, b, bias=True)[0, 1] / (a.var() + b.var() + (a.mean() - b.mean()) ** 2)
        for a, b in zip(y, p, strict=True)
    ]
    for metric, due in (
        (metrics.PearsonCorrelation(), pearson),
        (metrics.ConcordanceCorrelation(), agreement),
    ):
        found = gather(metric, y, p, w)
        assert found == pytest.approx(np.average(due, weights=w), rel=1e-5)
    assert float(metrics.PearsonCorrelation()([[1.0, 1.0]], [[1.0, 2.0]])) == 0.0


def calibration(right, confidence, w, bins=15):
    w = np.ones(len(right)) if w is None else w
    place = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    error = 0.0
    for b in range(bins):
        inside = w * (place == b)
        error += abs((inside * right).sum() - (inside * confidence).sum())
    return error / w.sum()


def test_calibration(w):
    truth, best = ONE_HOT.argmax(axis=1), SHARES.argmax(axis=1)
    due = calibration(truth == best, SHARES.max(axis=1), w)
    for y, p, logits in (
        (truth, SHARES, False),
        (truth[:, None], SHARES, False),
        (ONE_HOT, SHARES, False),
        (truth, LOGITS, True),
    ):
        metric = metrics.CalibrationError(from_logits=logits)
        assert gather(metric, y, p, w) == pytest.approx(due, rel=1e-4)
    due = calibration(LABELS, P, w, bins=10)
    for y, p in ((LABELS, P), (LABELS[:, None], P[:, None])):
        metric = metrics.CalibrationError(num_bins=10)
        assert gather(metric, y, p, w) == pytest.approx(due, rel=1e-4)
    assert float(metrics.CalibrationError()([1, 0], [0.0, 1.0])) == 1.0  # the ends belong to bins


def test_intersections_over_unions(w):
    truth, best = ONE_HOT.argmax(axis=1), SHARES.argmax(axis=1)
    shares = sk.jaccard_score(truth, best, average=None, sample_weight=w)
    for metric, y, p, due in (
        (metrics.IoU(CLASSES, [0, 2]), truth, best, shares[[0, 2]].mean()),
        (metrics.MeanIoU(CLASSES), truth[:, None], best[:, None], shares.mean()),
        (metrics.MeanIoU(CLASSES + 3), truth, best, shares.mean()),  # classes that do not occur
        (metrics.MeanIoU(CLASSES, sparse_y_pred=False), truth, SHARES, shares.mean()),
        (metrics.OneHotIoU(CLASSES, [1]), ONE_HOT, SHARES, shares[1]),
        (metrics.OneHotMeanIoU(CLASSES), ONE_HOT, SHARES, shares.mean()),
    ):
        assert gather(metric, y, p, w) == pytest.approx(due, rel=1e-5)
    labels = np.where(truth == 3, 255, truth)
    kept = truth != 3
    part = None if w is None else w[kept]
    due = sk.jaccard_score(truth[kept], best[kept], average=None, sample_weight=part, labels=[0, 1])
    metric = metrics.IoU(CLASSES, [0, 1], ignore_class=255)
    assert gather(metric, labels, best, w) == pytest.approx(due.mean(), rel=1e-5)
    for ids in ((0, 1), (1,)):
        due = sk.jaccard_score(LABELS, P >= 0.3, average=None, sample_weight=w)[list(ids)].mean()
        metric = metrics.BinaryIoU(ids, threshold=0.3)
        assert gather(metric, LABELS, P[:, None], w) == pytest.approx(due, rel=1e-5)


def test_weights_in_a_column_weigh_rows():
    metric = metrics.IoU(3, [0, 2])
    metric.update_state([0, 1, 2], [0, 2, 2], sample_weight=np.array([[1.0], [2.0], [3.0]]))
    assert float(metric.result()) == pytest.approx((1.0 + 3.0 / 5.0) / 2)


def test_ignored_labels_and_sorted_answers(w):
    ones = np.ones(ROWS) if w is None else w
    truth = ONE_HOT.argmax(axis=1)
    kept = ones * (truth != 2)
    due = (kept * -np.log(SHARES[np.arange(ROWS), truth])).sum() / kept.sum()
    for labels in (truth, truth[:, None]):
        metric = metrics.SparseCategoricalCrossentropy(ignore_class=2)
        assert gather(metric, labels, SHARES, w) == pytest.approx(due, rel=1e-5)
    order = np.argsort(-SHARES, axis=1)
    hits = (order[:, :2] == truth[:, None]).any(axis=1)
    metric = metrics.SparseTopKCategoricalAccuracy(2, from_sorted_ids=True)
    assert gather(metric, truth, order, w) == pytest.approx((ones * hits).sum() / ones.sum())


def both():
    return [
        metrics.AUC(),
        metrics.AUC(curve="PR"),
        metrics.Precision(),
        metrics.Recall(),
        metrics.TrueNegatives(),
        metrics.SensitivityAtSpecificity(0.5),
        metrics.PrecisionAtRecall(0.5),
        metrics.CalibrationError(),
        metrics.R2Score(),
        metrics.BinaryIoU(),
    ]


@pytest.mark.parametrize("where", ["output", "target", "weight"])
def test_a_nan_is_not_taken_for_a_small_score(where):
    for metric in [*both(), metrics.F1Score("macro", threshold=0.5)]:
        y, p, w = LABELS[:, None].astype("f4"), P[:, None].astype("f4"), np.ones(ROWS)
        {"output": p, "target": y, "weight": w}[where][7] = np.nan
        assert np.isnan(gather(metric, y, p, w)), metric.name
        metric.reset_state()
        assert np.isfinite(gather(metric, LABELS[:, None], P[:, None])), metric.name


@pytest.mark.parametrize("weighted", [False, True])
def test_native_training_gathers_the_same(weighted):
    x = RNG.standard_normal((ROWS, 3)).astype("f4")
    found = []
    for eager in (False, True):
        densa.utils.set_random_seed(1)
        densa.utils.clear_session()  # for the names of metrics
        model = densa.Sequential([densa.Input((3,)), densa.layers.Dense(1, "sigmoid")])
        which = {"weighted_metrics" if weighted else "metrics": both()}
        model.compile("adam", "bce", run_eagerly=eager, **which)
        w = WEIGHTS if weighted else None
        history = model.fit(x, LABELS, sample_weight=w, epochs=2, verbose=0, batch_size=32)
        assert eager == ("off the fast path" in model.explain_plan())
        scores = model.predict(x, verbose=0)
        logs = model.evaluate(x, LABELS, sample_weight=w, verbose=0, return_dict=True)
        ready = [float(gather(metric, LABELS, scores, w)) for metric in both()]
        assert [logs[n] for n in model.metrics_names[1:]] == pytest.approx(ready, rel=1e-4)
        found.append(history.history)
    for name, values in found[0].items():
        np.testing.assert_allclose(values, found[1][name], rtol=1e-4, atol=1e-6)


def test_scores_of_each_class_in_the_history():
    model = densa.Sequential([densa.Input((CLASSES,)), densa.layers.Dense(CLASSES, "softmax")])
    model.compile("sgd", "categorical_crossentropy", metrics=[metrics.F1Score(), "f1_score"])
    history = model.fit(LOGITS, ONE_HOT, epochs=2, verbose=2).history
    assert np.shape(history["f1_score"]) == (2, CLASSES)


def every():
    return [
        *both(),
        metrics.TruePositives([0.1, 0.2]),
        metrics.FalsePositives(0.3),
        metrics.IoU(3, [0, 2], ignore_class=1, sparse_y_pred=False, axis=1),
        metrics.MeanIoU(3),
        metrics.OneHotIoU(3, [1]),
        metrics.OneHotMeanIoU(3),
        metrics.SparseTopKCategoricalAccuracy(2, from_sorted_ids=True),
        metrics.SparseCategoricalCrossentropy(ignore_class=-1),
        metrics.FalseNegatives(),
        metrics.Precision(top_k=2, class_id=1, name="one"),
        metrics.AUC(10, "PR", "minoring", multi_label=True, num_labels=2, label_weights=[1, 2]),
        metrics.AUC(thresholds=[0.2, 0.4], from_logits=True),
        metrics.SpecificityAtSensitivity(0.3, num_thresholds=7),
        metrics.RecallAtPrecision(0.3, class_id=2),
        metrics.FBetaScore("macro", beta=0.5, threshold=0.2),
        metrics.F1Score(threshold=0.2),
        metrics.R2Score(None, num_regressors=2),
        metrics.PearsonCorrelation(axis=0),
        metrics.ConcordanceCorrelation(),
        metrics.CalibrationError(num_bins=3, from_logits=True),
    ]


def test_configurations():
    for metric in every():
        again = metrics.deserialize(metrics.serialize(metric))
        assert type(again) is type(metric)
        assert again.get_config() == metric.get_config()
        assert getattr(again, "thresholds", None) == getattr(metric, "thresholds", None)
        assert metric._direction in ("up", "down")
    assert isinstance(metrics.get("auc"), metrics.AUC)
    assert isinstance(metrics.get("Precision"), metrics.Precision)


@pytest.mark.parametrize(
    ("make", "error", "says"),
    [
        (lambda: metrics.Precision(1.5), ValueError, "between 0 and 1; received 1.5"),
        (lambda: metrics.Precision("half"), TypeError, "thresholds must be a number"),
        (lambda: metrics.Recall([]), ValueError, "the list is empty"),
        (lambda: metrics.Recall(top_k=0), ValueError, "top_k must be at least 1"),
        (lambda: metrics.AUC(1), ValueError, "num_thresholds must be at least 2"),
        (lambda: metrics.AUC(curve="PRC"), ValueError, "Did you mean 'PR'"),
        (lambda: metrics.AUC(label_weights=[1.0]), ValueError, "need `multi_label=True`"),
        (lambda: metrics.PrecisionAtRecall(-1), ValueError, "recall must be at least 0"),
        (lambda: metrics.F1Score("makro"), ValueError, "Did you mean 'macro'"),
        (lambda: metrics.FBetaScore(beta=0), ValueError, "beta must be above 0"),
        (lambda: metrics.R2Score("average"), ValueError, "class_aggregation"),
        (lambda: metrics.R2Score(num_regressors=-1), ValueError, "at least 0"),
        (lambda: metrics.IoU(3, [3]), ValueError, "numbers from 0 to 2"),
        (lambda: metrics.MeanIoU(4)(ONE_HOT, SHARES.argmax(1)), ValueError, "sparse_y_true"),
        (lambda: metrics.CalibrationError(0), ValueError, "num_bins must be at least 1"),
        (lambda: metrics.Precision(class_id=4)(ONE_HOT, SHARES), ValueError, "class_id=4 is out"),
        (lambda: metrics.Precision()(ONE_HOT[:, :2], SHARES), ValueError, "must be alike"),
        (lambda: metrics.Recall()(ONE_HOT, SHARES, WEIGHTS[:5]), ValueError, "sample_weight"),
        (lambda: metrics.F1Score()(LABELS, P), ValueError, r"\(rows, classes\)"),
    ],
)
def test_what_does_not_fit_is_refused(make, error, says):
    with pytest.raises(error, match=says):
        make()
