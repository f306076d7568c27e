"""What the estimators share: reading data as scikit-learn does, labels, seeds."""

from __future__ import annotations

import numbers
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils import check_array, check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, column_or_1d, validate_data

from densa import random


class Estimator(BaseEstimator):  # type: ignore[misc]
    """An estimator around a network, which it has in `model_` once it is fitted."""

    model_: Any
    history_: Any
    n_features_in_: int
    _rows_have_axes = False  # whether a row may be more than a list of features

    def _read(self, X: Any, y: Any) -> tuple[Any, Any]:
        """Check what `fit` gets; sets `n_features_in_` and `feature_names_in_`."""
        return validate_data(  # type: ignore[no-any-return]
            self, X, y, multi_output=True, y_numeric=False, allow_nd=self._rows_have_axes
        )

    def _outputs(self, X: Any) -> Any:
        """Return what the fitted network gives for checked rows."""
        check_is_fitted(self, "model_")
        X = validate_data(self, X, reset=False, allow_nd=self._rows_have_axes)
        return self.model_.predict(X, verbose=0)


class Labels:
    """A classifier's labels, of any kind, and their places in `classes_`."""

    classes_: Any

    def _codes(self, y: Any) -> Any:
        """Return the place of each label among the sorted ones, which are kept in `classes_`."""
        check_classification_targets(y)
        y = column_or_1d(y, warn=True)
        self.classes_, codes = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(
                f"{type(self).__name__} can't train when only one class is present: all "
                f"{len(y)} labels are {self.classes_.tolist()[0]!r}. It needs rows of two classes "
                "or more."
            )
        return codes.astype(np.int32)


class Numbers:
    """A regressor's targets, of one or two axes, and predictions of the same."""

    _flat: bool

    def _columns(self, y: Any) -> Any:
        """Return targets as floats `(rows, outputs)`."""
        y = np.asarray(y, dtype=np.float64)
        self._flat = y.ndim == 1
        return y[:, None] if self._flat else y

    def _as_given(self, outputs: Any) -> Any:
        """Return outputs as the targets were, in the type that scikit-learn computes in."""
        return (outputs[:, 0] if self._flat else outputs).astype(np.float64)


def row_weights(sample_weight: Any, rows: int) -> Any:
    """Return one finite weight for each row; a single number is that of all."""
    if isinstance(sample_weight, numbers.Real):
        sample_weight = np.full(rows, sample_weight)
    weights = check_array(sample_weight, ensure_2d=False, dtype=np.float64)
    if weights.shape != (rows,):
        raise ValueError(
            f"sample_weight has the shape {weights.shape}; one number for each row, {(rows,)}, is "
            "expected."
        )
    if not weights.any():
        raise ValueError("sample_weight is zero for every row: no row has a say in the training.")
    return weights


@contextmanager
def seeded(random_state: Any) -> Iterator[None]:
    """Draw weights, masks and orders from `random_state`; densa's own state stays as it was.

    Args:
        random_state: as everywhere in scikit-learn: a seed or a RandomState; None draws from
            densa's global generator.
    """
    if random_state is None:
        yield
        return
    before = random.get_global_state()
    random.set_global_seed(check_random_state(random_state).randint(2**31 - 1))
    try:
        yield
    finally:
        random.set_global_state(before)
