"""`SKLearnClassifier`, `SKLearnRegressor`, `SKLearnTransformer`: any model as an estimator."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import ClassifierMixin, RegressorMixin, TransformerMixin

from densa.doctor.remedies import rebuilt
from densa.models import Model
from densa.sklearn.base import Estimator, Labels, Numbers

# Prefix of a parameter in `set_params` → the dictionary it goes to. densa's own: with it grids and
# distributions can name what `model` and `fit` take.
_ROUTES = {"model": "model_kwargs", "fit": "fit_kwargs"}


class _Wrapped(Estimator):
    _rows_have_axes = True

    def __init__(
        self,
        model: Any,
        warm_start: bool = False,
        model_kwargs: dict[str, Any] | None = None,
        fit_kwargs: dict[str, Any] | None = None,
    ) -> None:
        self.model = model
        self.warm_start = warm_start
        self.model_kwargs = model_kwargs
        self.fit_kwargs = fit_kwargs

    def set_params(self, **params: Any) -> Any:
        """Set parameters; `model__name` and `fit__name` set one of `model_kwargs` or `fit_kwargs`.

        Args:
            **params: the parameters by name.

        Returns:
            Itself.
        """
        plain = {}
        for name, value in params.items():
            route, _, inner = name.partition("__")
            if inner and route in _ROUTES:
                place = _ROUTES[route]
                setattr(self, place, {**(getattr(self, place) or {}), inner: value})
            else:
                plain[name] = value
        return super().set_params(**plain)

    def fit(self, X: Any, y: Any, **kwargs: Any) -> Any:
        """Train the model.

        Args:
            X: inputs `(rows, features)`, or rows of more axes.
            y: targets `(rows,)` or `(rows, outputs)`.
            **kwargs: further arguments of `Model.fit`, before those of `fit_kwargs`.

        Returns:
            Itself.

        Raises:
            ValueError: for data that scikit-learn refuses, or a model that is not compiled.
            TypeError: if `model` is no model, and no function that makes one.
        """
        X, y = self._read(X, y)
        y = self._encode(y)
        model = self._made(X, y)
        self.history_ = model.fit(X, y, **{**(self.fit_kwargs or {}), **kwargs})
        self.model_ = model
        return self

    def _made(self, X: Any, y: Any) -> Any:
        if self.warm_start and hasattr(self, "model_"):
            return self.model_
        if isinstance(self.model, Model):
            if self.warm_start:
                return self.model
            if self.model.get_compile_config() is None:
                raise ValueError(
                    f"{type(self).__name__}: model '{self.model.name}' is not compiled; call its "
                    "compile(...) with a loss and an optimizer first."
                )
            return rebuilt(self.model)
        if not callable(self.model):
            raise TypeError(
                f"{type(self).__name__}: model must be a compiled model, or a function "
                f"(X, y, ...) that makes one; received {type(self.model).__name__}."
            )
        made = self.model(X=X, y=y, **(self.model_kwargs or {}))
        if not isinstance(made, Model):
            raise TypeError(
                f"{type(self).__name__}: the function `model` must return a compiled model; it "
                f"gave {type(made).__name__}."
            )
        return made

    def _encode(self, y: Any) -> Any:
        """Return the targets that the network gets, one row each."""
        raise NotImplementedError

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.non_deterministic = True
        return tags


class SKLearnClassifier(Labels, ClassifierMixin, _Wrapped):  # type: ignore[misc]
    """A model that tells classes apart, as an estimator of scikit-learn.

    Labels of any kind reach the network as rows of zeros with a one at the label's class, so that
    its loss is "categorical_crossentropy".

    Args:
        model: a compiled model, of which `fit` trains a clone: its weights are fresh, but what no
            training changes is kept, statistics of `adapt` and weights of frozen layers; or a
            function `model(X, y, **model_kwargs)` that returns a compiled model.
        warm_start: whether a second `fit` goes on with the weights of the first one, and the model
            itself is trained, not a clone.
        model_kwargs: what the function `model` gets beside `X` and `y`.
        fit_kwargs: arguments of `Model.fit`; those given to `fit` come first.

    Attributes:
        model_: the trained model.
        history_: what its `fit` returned.
        classes_: the labels, sorted.

    `set_params`, and so a grid, may name `model__units` or `fit__epochs` for single entries of
    `model_kwargs` and `fit_kwargs`.

    Example:
        >>> from densa.sklearn import SKLearnClassifier
        >>> def make(X, y, units=8):
        ...     net = densa.Sequential([
        ...         densa.Input(X.shape[1:]),
        ...         densa.layers.Dense(units, "relu"),
        ...         densa.layers.Dense(y.shape[1], "softmax"),
        ...     ])
        ...     net.compile("adam", "categorical_crossentropy")
        ...     return net
        >>> x = np.random.default_rng(0).normal(size=(60, 4))
        >>> labels = np.where(x[:, 0] > 0, "high", "low")
        >>> net = SKLearnClassifier(make, model_kwargs={"units": 16})
        >>> net.fit(x, labels, epochs=5, verbose=0).predict_proba(x).shape
        (60, 2)
    """

    def _encode(self, y: Any) -> Any:
        codes = self._codes(y)
        return np.eye(len(self.classes_), dtype=np.float32)[codes]

    def predict_proba(self, X: Any) -> Any:
        """Return what the network gives for each class, `(rows, classes)`.

        Args:
            X: inputs.
        """
        return self._outputs(X)

    def predict(self, X: Any) -> Any:
        """Return the label of the largest output of each row.

        Args:
            X: inputs.
        """
        outputs = self._outputs(X)
        return self.classes_[outputs.argmax(axis=1)]

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.poor_score = True
        return tags


class SKLearnRegressor(Numbers, RegressorMixin, _Wrapped):  # type: ignore[misc]
    """A model that estimates numbers, as an estimator of scikit-learn.

    Args:
        model: see `SKLearnClassifier`.
        warm_start: see there.
        model_kwargs: see there.
        fit_kwargs: see there.

    Attributes:
        model_: the trained model.
        history_: what its `fit` returned.

    Example:
        >>> from densa.sklearn import SKLearnRegressor
        >>> net = densa.Sequential([densa.Input((2,)), densa.layers.Dense(1)])
        >>> net.compile(densa.optimizers.SGD(0.1), "mse")
        >>> x = np.random.default_rng(0).normal(size=(100, 2))
        >>> line = SKLearnRegressor(net, fit_kwargs={"epochs": 20, "verbose": 0})
        >>> line.fit(x, x[:, 0]).score(x, x[:, 0]) > 0.99
        True
    """

    def _encode(self, y: Any) -> Any:
        return self._columns(y)

    def predict(self, X: Any) -> Any:
        """Return the outputs, shaped as the targets of `fit`.

        Args:
            X: inputs.
        """
        return self._as_given(self._outputs(X))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.regressor_tags.poor_score = True
        tags.target_tags.multi_output = True
        return tags


class SKLearnTransformer(Numbers, TransformerMixin, _Wrapped):  # type: ignore[misc]
    """A model whose outputs are features for other estimators, as scikit-learn's transformers.

    Args:
        model: see `SKLearnClassifier`.
        warm_start: see there.
        model_kwargs: see there.
        fit_kwargs: see there.

    Attributes:
        model_: the trained model.
        history_: what its `fit` returned.

    Example:
        >>> from densa.sklearn import SKLearnTransformer
        >>> net = densa.Sequential([densa.Input((2,)), densa.layers.Dense(3)])
        >>> net.compile("sgd", "mse")
        >>> x = np.ones((10, 2))
        >>> net = SKLearnTransformer(net, fit_kwargs={"verbose": 0})
        >>> net.fit(x, np.ones((10, 3))).transform(x).shape
        (10, 3)
    """

    def _encode(self, y: Any) -> Any:
        return self._columns(y)

    def transform(self, X: Any) -> Any:
        """Return the network's outputs.

        Args:
            X: inputs.
        """
        return self._outputs(X)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        tags.transformer_tags.preserves_dtype = []
        return tags
