"""Networks inside scikit-learn: its own checks, pipelines and searches (handbook A13, A15)."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="needs the extra sklearn")

from sklearn.base import clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.decomposition import PCA
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator

import densa
from densa import layers
from densa.sklearn import (
    DensaClassifier,
    DensaRegressor,
    SKLearnClassifier,
    SKLearnRegressor,
    SKLearnTransformer,
)

RNG = np.random.default_rng(3)
X = RNG.normal(size=(120, 5))
LABELS = np.array(["ash", "birch", "cedar"])[np.digitize(X[:, 0] - X[:, 1], [-0.5, 0.5])]
Y = X[:, 0] - 2 * X[:, 1]
QUICK = {"hidden": (16,), "learning_rate": 0.01, "epochs": 20, "random_state": 0}


def make(X, y, units=8, rate=0.01, last="softmax", loss="categorical_crossentropy"):
    start = densa.initializers.GlorotUniform
    net = densa.Sequential(
        [
            densa.Input(X.shape[1:]),
            layers.Dense(units, "relu", kernel_initializer=start(1)),
            layers.Dense(y.shape[1], last, kernel_initializer=start(2)),
        ]
    )
    net.compile(densa.optimizers.Adam(rate), loss)
    return net


FIT = {"epochs": 20, "verbose": 0, "shuffle": False}
LINE = {"last": None, "loss": "mse"}
# A weight is not that many copies of a row: batches and their order differ.
FAILS = {
    "check_sample_weight_equivalence_on_dense_data": "rows are drawn into batches",
}


@pytest.mark.slow
@pytest.mark.cpu_only("hundreds of trainings")
@pytest.mark.parametrize(
    "estimator",
    [
        DensaClassifier(hidden=(32,), learning_rate=0.01, epochs=40),
        DensaRegressor(hidden=(32,), learning_rate=0.01, epochs=100),
        SKLearnClassifier(make, fit_kwargs=FIT),
        SKLearnRegressor(make, model_kwargs=LINE, fit_kwargs=FIT),
        SKLearnTransformer(make, model_kwargs=LINE, fit_kwargs=FIT),
    ],
    ids=lambda e: type(e).__name__,
)
@pytest.mark.filterwarnings("ignore")
def test_scikit_learns_own_checks(estimator):
    results = check_estimator(estimator, expected_failed_checks=FAILS, on_fail=None)
    failed = {r["check_name"]: r["exception"] for r in results if r["status"] == "failed"}
    assert not failed
    assert len(results) > 30


@pytest.mark.cpu_only("several trainings, and a predictor of the CPU")
def test_a_search_over_flat_parameters_keeps_the_best_model():  # A15-02, A15-05
    grid = {"hidden": [(16,)], "learning_rate": [1e-5, 0.02]}
    search = GridSearchCV(DensaClassifier(**QUICK), grid, cv=2).fit(X, LABELS)
    assert search.best_params_ == {"hidden": (16,), "learning_rate": 0.02}
    best = search.best_estimator_
    assert best.model_.layers[-2].units == 16
    assert search.score(X, LABELS) > 0.9
    assert best.classes_.tolist() == ["ash", "birch", "cedar"]
    assert best.model_.freeze()(X.astype("float32")).argmax(1).tolist() == [
        best.classes_.tolist().index(label) for label in best.predict(X)
    ]


@pytest.mark.cpu_only("several trainings")
def test_a_random_search_over_ones_own_model():  # A15-03
    drawn = {"model__units": [4, 8], "model__rate": [0.001, 0.02], "fit__epochs": [2, 5]}
    net = SKLearnClassifier(make, fit_kwargs=FIT)
    search = RandomizedSearchCV(net, drawn, n_iter=2, cv=2, random_state=0).fit(X, LABELS)
    best = search.best_estimator_
    assert best.model_kwargs["units"] == best.model_.layers[0].units
    assert best.fit_kwargs["epochs"] == len(best.history_.epoch)
    assert net.model_kwargs is None
    assert net.fit_kwargs == FIT


@pytest.mark.cpu_only("trainings that take long in emulation")
def test_principal_components_before_a_network():  # A13-05, A13-10
    mixed = np.hstack([X, X @ RNG.normal(size=(5, 5))])  # ten features of rank five
    parts = make_pipeline(StandardScaler(), PCA(0.999), DensaRegressor(**{**QUICK, "epochs": 40}))
    parts.fit(mixed, Y)
    assert parts[-1].n_features_in_ == 5
    reduced = parts[:-1].transform(mixed)
    covariance = np.cov(reduced.T)
    np.testing.assert_allclose(covariance, np.diag(np.diag(covariance)), atol=1e-12)
    assert parts.score(mixed, Y) > 0.9


@pytest.mark.cpu_only("trainings that take long in emulation")
def test_targets_far_from_size_one_are_scaled_around_it():
    far = TransformedTargetRegressor(DensaRegressor(**QUICK), transformer=StandardScaler())
    assert far.fit(X, 1e4 + 100 * Y).score(X, 1e4 + 100 * Y) > 0.7


@pytest.mark.cpu_only("trainings that take long in emulation")
def test_the_seed_is_the_estimators_own():
    densa.utils.set_random_seed(8)
    expected = densa.random.uniform((3,)).numpy()
    densa.utils.set_random_seed(8)
    one, two = (DensaRegressor(**QUICK).fit(X, Y).predict(X) for _ in range(2))
    np.testing.assert_array_equal(one, two)
    np.testing.assert_array_equal(densa.random.uniform((3,)).numpy(), expected)
    other = DensaRegressor(**{**QUICK, "random_state": 1}).fit(X, Y).predict(X)
    assert abs(other - one).max() > 1e-4


@pytest.mark.cpu_only("trainings that take long in emulation")
def test_inputs_are_standardized_inside():
    shifted = 1000 + 50 * X
    one = DensaClassifier(**QUICK).fit(X, LABELS).predict_proba(X)
    same = DensaClassifier(**QUICK).fit(shifted, LABELS).predict_proba(shifted)
    np.testing.assert_allclose(same, one, atol=1e-2)  # float32 of 1000 is 6e-5 of a deviation
    raw = DensaClassifier(**QUICK, standardize=False).fit(shifted, LABELS)
    assert not any(isinstance(layer, layers.Normalization) for layer in raw.model_.layers)


@pytest.mark.cpu_only("trainings that take long in emulation")
def test_early_stopping_holds_rows_back_and_sees_given_ones():
    stopped = DensaClassifier(
        (16,), learning_rate=0.1, epochs=300, early_stopping=True, patience=3, random_state=0
    ).fit(X, LABELS, sample_weight=np.ones(120))
    assert 3 < len(stopped.history_.epoch) < 300
    assert {"val_loss", "val_accuracy"} < set(stopped.history_.history)
    given = DensaClassifier(**QUICK).fit(X, LABELS, validation_data=(X[:9], LABELS[:9]))
    assert len(given.history_.history["val_loss"]) == 20


@pytest.mark.cpu_only("trainings that take long in emulation")
def test_sample_weights_act():
    weights = (LABELS == "ash") * 1.0 + 1e-6
    lost = DensaClassifier(**QUICK).fit(X, LABELS, sample_weight=weights)
    assert set(lost.predict(X)) == {"ash"}


def test_fitted_estimators_travel():
    net = DensaRegressor(**{**QUICK, "epochs": 2}).fit(X, np.stack([Y, -Y], 1))
    there = pickle.loads(pickle.dumps(net))
    np.testing.assert_array_equal(there.predict(X), net.predict(X))
    assert net.predict(X).shape == (120, 2)
    assert not hasattr(clone(net), "model_")


@pytest.mark.cpu_only("trainings that take long in emulation")
def test_a_given_model_is_cloned_unless_it_goes_on():
    model = make(X, Y[:, None], last=None, loss="mse")
    before = model.get_weights()
    net = SKLearnRegressor(model, fit_kwargs=FIT).fit(X, Y)
    assert all((a == b).all() for a, b in zip(model.get_weights(), before, strict=True))
    assert net.model_ is not model
    on = SKLearnRegressor(model, warm_start=True, fit_kwargs=FIT)
    first = on.fit(X, Y).history_.history["loss"][-1]
    assert on.model_ is model
    assert on.fit(X, Y, epochs=1).history_.history["loss"][-1] < first
    images = SKLearnTransformer(
        lambda X, y: compiled([densa.Input(X.shape[1:]), layers.Flatten(), layers.Dense(2)]),
        fit_kwargs=FIT,
    )
    assert images.fit(X.reshape(120, 5, 1), Y[:, None] * [1, 2]).transform(
        X.reshape(120, 5, 1)
    ).shape == (120, 2)


def compiled(net):
    model = densa.Sequential(net)
    model.compile("sgd", "mse")
    return model


def test_a_clone_keeps_what_no_training_changes():
    scale = layers.Normalization()
    scale.adapt(10 * X + 3)
    frozen = layers.Dense(4, "tanh", trainable=False)
    given = densa.Sequential([densa.Input((5,)), scale, frozen, layers.Dense(1)])
    given.compile("sgd", "mse")
    made = SKLearnRegressor(given, fit_kwargs={"epochs": 0, "verbose": 0}).fit(X, Y).model_
    for old, new in zip(given.layers[:2], made.layers[:2], strict=True):
        assert new is not old
        for a, b in zip(old.get_weights(), new.get_weights(), strict=True):
            np.testing.assert_array_equal(a, b)
    assert (made.layers[2].kernel.numpy() != given.layers[2].kernel.numpy()).all()


@pytest.mark.parametrize(
    ("net", "error", "match"),
    [
        (SKLearnRegressor(densa.Sequential([layers.Dense(1)])), ValueError, "is not compiled"),
        (SKLearnRegressor(3), TypeError, "received int"),
        (SKLearnRegressor(lambda X, y: None), TypeError, "gave NoneType"),
        (DensaRegressor(recipe="fast"), ValueError, "recipe must be one of"),
        (DensaRegressor(epochs=1.5), TypeError, "epochs must be a whole number"),
        (DensaRegressor(early_stopping=True, patience=0), ValueError, "patience"),
        (
            DensaRegressor(early_stopping=True, validation_fraction=0),
            ValueError,
            "validation_fraction must be above 0 and below 1; received 0. .* validation_data",
        ),
    ],
)
def test_what_cannot_be_meant_is_refused(net, error, match):
    with pytest.raises(error, match=match):
        net.fit(X, Y)
    assert not hasattr(net, "model_")


def test_labels_that_cannot_be_learnt_are_refused():
    net = DensaClassifier(**QUICK)
    with pytest.raises(ValueError, match="only one class is present: all 120 labels are 'a'"):
        net.fit(X, ["a"] * 120)
    with pytest.raises(ValueError, match="the label 'oak', which no row of fit has"):
        net.fit(X, LABELS, validation_data=(X[:2], np.array(["ash", "oak"])))
    with pytest.raises(ValueError, match="one number for each row"):
        net.fit(X, LABELS, sample_weight=np.ones(3))


def test_keras_place_of_the_wrappers():
    assert densa.wrappers.SKLearnClassifier is SKLearnClassifier
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        densa.sklearn.Nothing  # noqa: B018
