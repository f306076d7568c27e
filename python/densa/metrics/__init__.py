"""Metrics: what training reports."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from densa._names import hinted, suggesting
from densa._scope import to_snake_case
from densa.losses import (
    binary_crossentropy,
    binary_focal_crossentropy,
    categorical_crossentropy,
    categorical_focal_crossentropy,
    categorical_generalized_cross_entropy,
    categorical_hinge,
    gaussian_negative_log_likelihood,
    hinge,
    huber,
    kl_divergence,
    log_cosh,
    mean_absolute_error,
    mean_absolute_percentage_error,
    mean_squared_error,
    mean_squared_logarithmic_error,
    pinball,
    poisson,
    sparse_categorical_crossentropy,
    squared_hinge,
)
from densa.saving.registry import Family

from .accuracy import (
    Accuracy,
    BinaryAccuracy,
    CategoricalAccuracy,
    SparseCategoricalAccuracy,
    SparseTopKCategoricalAccuracy,
    TopKCategoricalAccuracy,
    accuracy,
    binary_accuracy,
    categorical_accuracy,
    sparse_categorical_accuracy,
    sparse_top_k_categorical_accuracy,
    top_k_categorical_accuracy,
)
from .auc import AUC
from .calibration import CalibrationError
from .confusion import (
    FalseNegatives,
    FalsePositives,
    Precision,
    PrecisionAtRecall,
    Recall,
    RecallAtPrecision,
    SensitivityAtSpecificity,
    SpecificityAtSensitivity,
    TrueNegatives,
    TruePositives,
)
from .correlation import (
    ConcordanceCorrelation,
    PearsonCorrelation,
    R2Score,
    concordance_correlation,
    pearson_correlation,
)
from .errors import (
    BinaryCrossentropy,
    CategoricalCrossentropy,
    CategoricalHinge,
    CosineSimilarity,
    Hinge,
    KLDivergence,
    LogCoshError,
    MeanAbsoluteError,
    MeanAbsolutePercentageError,
    MeanSquaredError,
    MeanSquaredLogarithmicError,
    Poisson,
    RootMeanSquaredError,
    SparseCategoricalCrossentropy,
    SquaredHinge,
)
from .f_scores import F1Score, FBetaScore
from .iou import BinaryIoU, IoU, MeanIoU, OneHotIoU, OneHotMeanIoU
from .metric import Metric
from .reduction import Mean, MeanMetricWrapper, Sum

# Every metric by its name; `get` knows them all.
__all__ = [
    "Accuracy",
    "BinaryAccuracy",
    "CategoricalAccuracy",
    "SparseCategoricalAccuracy",
    "TopKCategoricalAccuracy",
    "SparseTopKCategoricalAccuracy",
    "MeanSquaredError",
    "MeanAbsoluteError",
    "MeanAbsolutePercentageError",
    "MeanSquaredLogarithmicError",
    "LogCoshError",
    "KLDivergence",
    "Poisson",
    "Hinge",
    "SquaredHinge",
    "CategoricalHinge",
    "RootMeanSquaredError",
    "CosineSimilarity",
    "BinaryCrossentropy",
    "CategoricalCrossentropy",
    "SparseCategoricalCrossentropy",
    "AUC",
    "CalibrationError",
    "FalseNegatives",
    "FalsePositives",
    "Precision",
    "PrecisionAtRecall",
    "Recall",
    "RecallAtPrecision",
    "SensitivityAtSpecificity",
    "SpecificityAtSensitivity",
    "TrueNegatives",
    "TruePositives",
    "ConcordanceCorrelation",
    "PearsonCorrelation",
    "R2Score",
    "F1Score",
    "FBetaScore",
    "BinaryIoU",
    "IoU",
    "MeanIoU",
    "OneHotIoU",
    "OneHotMeanIoU",
    "Mean",
    "MeanMetricWrapper",
    "Sum",
    "accuracy",
    "binary_accuracy",
    "categorical_accuracy",
    "sparse_categorical_accuracy",
    "top_k_categorical_accuracy",
    "sparse_top_k_categorical_accuracy",
    "binary_crossentropy",
    "categorical_crossentropy",
    "categorical_hinge",
    "hinge",
    "huber",
    "kl_divergence",
    "log_cosh",
    "mean_absolute_error",
    "mean_absolute_percentage_error",
    "mean_squared_error",
    "mean_squared_logarithmic_error",
    "poisson",
    "sparse_categorical_crossentropy",
    "squared_hinge",
    "concordance_correlation",
    "pearson_correlation",
    "binary_focal_crossentropy",
    "categorical_focal_crossentropy",
    "categorical_generalized_cross_entropy",
    "gaussian_negative_log_likelihood",
    "pinball",
]
_family = Family(
    "metric",
    "densa.metrics",
    {to_snake_case(name): globals()[name] for name in __all__}  # a function before its class
    | {name: globals()[name] for name in __all__}
    | {
        "bce": BinaryCrossentropy,
        "BCE": BinaryCrossentropy,
        "mse": MeanSquaredError,
        "MSE": MeanSquaredError,
        "mae": MeanAbsoluteError,
        "MAE": MeanAbsoluteError,
        "mape": MeanAbsolutePercentageError,
        "MAPE": MeanAbsolutePercentageError,
        "msle": MeanSquaredLogarithmicError,
        "MSLE": MeanSquaredLogarithmicError,
        "rmse": RootMeanSquaredError,
        "RMSE": RootMeanSquaredError,
        "kld": KLDivergence,
        "logcosh": LogCoshError,
        "acc": accuracy,
    },
)
_METRIC_OF = {
    to_snake_case(name): kind for name, kind in _family.names.items() if isinstance(kind, type)
}
__all__ += ["Metric", "deserialize", "get", "serialize"]


@hinted
def serialize(metric: Any) -> Any:
    """Configuration of a metric; a built-in function is its name.

    Args:
        metric: A `Metric` or a function.

    Returns:
        A dictionary or a name that `deserialize` accepts.

    Example:

    >>> import densa
    >>> densa.metrics.serialize(densa.metrics.binary_accuracy)
    'binary_accuracy'
    """
    return _family.serialize(metric)


@hinted
def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """The metric of a name or of a configuration made by `serialize`.

    Args:
        config: A name (`"mse"`, `"BinaryAccuracy"`, …) or a configuration.
        custom_objects: Own classes and functions by name.

    Returns:
        A function or a `Metric`.

    Raises:
        ValueError: The name is not known; suggests the nearest one.

    Example:

    >>> import densa
    >>> densa.metrics.deserialize("binary_accuracy").__name__
    'binary_accuracy'
    """
    return _family.deserialize(config, custom_objects)


@hinted
def get(identifier: Any) -> Any:
    """A metric from a name, a configuration, a function or a `Metric`.

    Args:
        identifier: None gives None; a class is instantiated.

    Returns:
        A `Metric` or a function `(y_true, y_pred)`, or None.

    Raises:
        ValueError: Nothing of that name, or no callable at all.

    Example:

    >>> import densa
    >>> densa.metrics.get("mae").name
    'mean_absolute_error'
    """
    found = _family.get(identifier)
    # A built-in function's name means the metric of that name, which knows its direction.
    if isinstance(identifier, str) and found is _family.names.get(identifier):
        made = _METRIC_OF.get(identifier)
        found = found if made is None else made()
    return found


if not TYPE_CHECKING:  # lest type checkers take every name for known
    __getattr__ = suggesting(__name__)
