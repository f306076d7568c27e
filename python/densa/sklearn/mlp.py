"""`DensaClassifier` and `DensaRegressor`: `densa.models.mlp` as estimators."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.model_selection import train_test_split

from densa import layers, models
from densa._numbers import check_real_number
from densa.sklearn.base import Estimator, Labels, Numbers, row_weights, seeded


class _MLP(Estimator):
    def __init__(
        self,
        hidden: Any = (100, 100),
        recipe: str = "default",
        *,
        dropout: float | None = None,
        l1: float = 1e-4,
        learning_rate: float | None = None,
        standardize: bool = True,
        epochs: int = 100,
        batch_size: int = 32,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        patience: int = 10,
        random_state: Any = None,
        verbose: Any = 0,
    ) -> None:
        self.hidden = hidden
        self.recipe = recipe
        self.dropout = dropout
        self.l1 = l1
        self.learning_rate = learning_rate
        self.standardize = standardize
        self.epochs = epochs
        self.batch_size = batch_size
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.patience = patience
        self.random_state = random_state
        self.verbose = verbose

    def _fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any,
        task: str,
        outputs: int,
        callbacks: Any,
        validation_data: Any,
    ) -> Any:
        if sample_weight is not None:
            sample_weight = row_weights(sample_weight, len(X))
        callbacks = list(callbacks or ())
        with seeded(self.random_state):
            if self.early_stopping and validation_data is None:
                X, y, sample_weight, validation_data = self._held_back(X, y, sample_weight, task)
            model = self._network(X, task, outputs)
            if self.early_stopping:
                callbacks += model.callbacks("val_loss", self.patience)
            history = model.fit(
                X,
                y,
                batch_size=self.batch_size,
                epochs=self.epochs,
                verbose=self.verbose,
                callbacks=callbacks,
                validation_data=validation_data,
                sample_weight=sample_weight,
            )
        self.model_, self.history_ = model, history
        return self

    def _held_back(self, X: Any, y: Any, sample_weight: Any, task: str) -> tuple[Any, ...]:
        """Return rows to train on, and rows for validation with their targets and weights."""
        check_real_number("validation_fraction", self.validation_fraction)
        if not 0 < self.validation_fraction < 1:
            raise ValueError(
                "validation_fraction must be above 0 and below 1; received "
                f"{self.validation_fraction!r}. To hold no rows back, pass validation_data to fit, "
                "or leave early_stopping out."
            )
        weighted = sample_weight is not None
        parts = train_test_split(
            *((X, y, sample_weight) if weighted else (X, y)),
            test_size=float(self.validation_fraction),
            random_state=0 if self.random_state is None else self.random_state,
            stratify=y if task == "classification" else None,
        )
        train, validation = parts[::2], tuple(parts[1::2])
        return (*train, validation) if weighted else (*train, None, validation)

    def _network(self, X: Any, task: str, outputs: int) -> Any:
        model = models.mlp(
            X.shape[1:],
            outputs,
            self.hidden,
            self.recipe,
            task=task,
            dropout=self.dropout,
            l1=self.l1,
            learning_rate=self.learning_rate,
        )
        if not self.standardize:
            return model
        scale = layers.Normalization()
        scale.adapt(X)
        scaled = model._like([layers.Input(X.shape[1:]), scale, *model.layers])
        metrics = ["accuracy"] if task == "classification" else None
        scaled.compile(model.optimizer, model.loss, metrics=metrics)
        return scaled


class DensaClassifier(Labels, ClassifierMixin, _MLP):  # type: ignore[misc]
    """A dense network that tells classes apart, as an estimator of scikit-learn.

    It is `densa.models.mlp(task="classification")` behind a `Normalization`, trained by cross-
    entropy; `model_.freeze()` makes a predictor of it, scaling included. Each parameter is flat, so
    that `GridSearchCV`, `RandomizedSearchCV` and Optuna can set it.

    Args:
        hidden: units of the hidden layers, in order.
        recipe: "default", "self_normalizing", "low_latency", "sparse" or "uncertain".
        dropout: share of units dropped behind each of the last three hidden layers; None leaves it
            to the recipe.
        l1: factor of the penalty of "sparse".
        learning_rate: None leaves it to the recipe.
        standardize: whether inputs get mean 0 and deviation 1, by the rows of `fit`.
        epochs: passes over the rows; the most with early stopping.
        batch_size: rows in a batch.
        early_stopping: whether to hold rows back, halve the rate where their loss does not improve,
            end there, and keep the best weights.
        validation_fraction: share of the rows that early stopping holds back.
        patience: epochs without improvement until it ends.
        random_state: a seed or a RandomState for weights, masks, orders and rows held back; None
            draws from densa's generator (`densa.utils.set_random_seed`).
        verbose: see `Model.fit`.

    Attributes:
        model_: the trained `densa.models.MLP`.
        history_: what its `fit` returned.
        classes_: the labels, sorted.
        n_features_in_: number of features.

    Source: handbook A13-10, A15-02, A15-03, A20-03.

    Example:
        >>> from sklearn.model_selection import GridSearchCV
        >>> from densa.sklearn import DensaClassifier
        >>> (x, y), _ = densa.datasets.digits.load_data()
        >>> x, y = x[:200].reshape(200, -1), y[:200]
        >>> net = DensaClassifier(hidden=(32,), epochs=10, random_state=0)
        >>> search = GridSearchCV(net, {"learning_rate": [1e-5, 1e-2]}, cv=2).fit(x, y)
        >>> search.best_params_
        {'learning_rate': 0.01}
    """

    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        callbacks: Any = None,
        validation_data: Any = None,
    ) -> DensaClassifier:
        """Train a new network.

        Args:
            X: inputs `(rows, features)`.
            y: a label for each row, of any kind.
            sample_weight: weight of each row.
            callbacks: callbacks of densa for `Model.fit`.
            validation_data: `(X, y)` to look at after each epoch, in place of rows held back.

        Returns:
            Itself.

        Raises:
            ValueError: for data that scikit-learn refuses, a single class, or a parameter out of
                range.
            TypeError: for a parameter that is no number.
        """
        X, y = self._read(X, y)
        codes = self._codes(y)
        if validation_data is not None:
            validation_data = (validation_data[0], self._known(np.asarray(validation_data[1])))
        outputs = len(self.classes_) if len(self.classes_) > 2 else 1
        task = "classification"
        self._fit(X, codes, sample_weight, task, outputs, callbacks, validation_data)
        return self

    def _known(self, y: Any) -> Any:
        """Return the places of labels among those of `fit`."""
        places = self.classes_.searchsorted(y).clip(max=len(self.classes_) - 1)
        strangers = self.classes_[places] != y
        if strangers.any():
            stranger = y.tolist()[strangers.argmax()]
            raise ValueError(
                f"validation_data has the label {stranger!r}, which no row of fit has; it has "
                f"{self.classes_.tolist()}."
            )
        return places.astype("int32")

    def predict_proba(self, X: Any) -> Any:
        """Return the probability of each class.

        Args:
            X: inputs `(rows, features)`.

        Returns:
            An array `(rows, classes)` in the order of `classes_`.
        """
        p = self._outputs(X)
        return np.concatenate([1 - p, p], axis=1) if p.shape[1] == 1 else p

    def predict(self, X: Any) -> Any:
        """Return the most probable label of each row.

        Args:
            X: inputs `(rows, features)`.
        """
        p = self.predict_proba(X)
        return self.classes_[p.argmax(axis=1)]


class DensaRegressor(Numbers, RegressorMixin, _MLP):  # type: ignore[misc]
    """A dense network that estimates numbers, as an estimator of scikit-learn.

    It is `densa.models.mlp(task="regression")` behind a `Normalization`, trained by the squared
    error. Targets far from size one train better inside scikit-learn's
    `TransformedTargetRegressor`.

    Args:
        hidden: see `DensaClassifier`.
        recipe: see there.
        dropout: see there.
        l1: see there.
        learning_rate: see there.
        standardize: see there.
        epochs: see there.
        batch_size: see there.
        early_stopping: see there.
        validation_fraction: see there.
        patience: see there.
        random_state: see there.
        verbose: see there.

    Attributes:
        model_: the trained `densa.models.MLP`.
        history_: what its `fit` returned.
        n_features_in_: number of features.

    Source: handbook A13-05, A13-10, A15-02.

    Example:
        >>> from sklearn.decomposition import PCA
        >>> from sklearn.pipeline import make_pipeline
        >>> from densa.sklearn import DensaRegressor
        >>> x = np.random.default_rng(0).normal(size=(200, 6))
        >>> net = DensaRegressor(hidden=(32,), learning_rate=0.01, random_state=0)
        >>> model = make_pipeline(PCA(4), net).fit(x, x[:, 0] + x[:, 1])
        >>> model.predict(x).shape
        (200,)
    """

    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        callbacks: Any = None,
        validation_data: Any = None,
    ) -> DensaRegressor:
        """Train a new network.

        Args:
            X: inputs `(rows, features)`.
            y: a number for each row, `(rows,)`, or several, `(rows, outputs)`.
            sample_weight: weight of each row.
            callbacks: callbacks of densa for `Model.fit`.
            validation_data: `(X, y)` to look at after each epoch, in place of rows held back.

        Returns:
            Itself.

        Raises:
            ValueError: for data that scikit-learn refuses, or a parameter out of range.
            TypeError: for a parameter that is no number.
        """
        X, y = self._read(X, y)
        y = self._columns(y)
        self._fit(X, y, sample_weight, "regression", y.shape[1], callbacks, validation_data)
        return self

    def predict(self, X: Any) -> Any:
        """Return the number, or the numbers, of each row.

        Args:
            X: inputs `(rows, features)`.

        Returns:
            An array shaped as the targets of `fit`.
        """
        return self._as_given(self._outputs(X))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
