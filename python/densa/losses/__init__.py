"""Losses: what training makes small."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from densa._names import hinted, suggesting
from densa.saving.registry import Family

from .circle import Circle, circle
from .classes import (
    BinaryCrossentropy,
    CategoricalCrossentropy,
    CategoricalHinge,
    CosineSimilarity,
    Hinge,
    Huber,
    KLDivergence,
    LogCosh,
    MeanAbsoluteError,
    MeanAbsolutePercentageError,
    MeanSquaredError,
    MeanSquaredLogarithmicError,
    Poisson,
    SparseCategoricalCrossentropy,
    SquaredHinge,
)
from .crossentropy import (
    binary_crossentropy,
    categorical_crossentropy,
    sparse_categorical_crossentropy,
)
from .distributional import (
    GaussianNegativeLogLikelihood,
    Pinball,
    gaussian_negative_log_likelihood,
    pinball,
)
from .focal import (
    BinaryFocalCrossentropy,
    CategoricalFocalCrossentropy,
    CategoricalGeneralizedCrossEntropy,
    binary_focal_crossentropy,
    categorical_focal_crossentropy,
    categorical_generalized_cross_entropy,
)
from .loss import Loss
from .overlap import Dice, Tversky, dice, tversky
from .regression import (
    categorical_hinge,
    cosine_similarity,
    hinge,
    huber,
    kl_divergence,
    log_cosh,
    mean_absolute_error,
    mean_absolute_percentage_error,
    mean_squared_error,
    mean_squared_logarithmic_error,
    poisson,
    squared_hinge,
)

# Every loss by its name; `get` knows them all.
__all__ = [
    "BinaryCrossentropy",
    "BinaryFocalCrossentropy",
    "CategoricalCrossentropy",
    "CategoricalFocalCrossentropy",
    "CategoricalGeneralizedCrossEntropy",
    "CategoricalHinge",
    "Circle",
    "CosineSimilarity",
    "Dice",
    "GaussianNegativeLogLikelihood",
    "Hinge",
    "Huber",
    "KLDivergence",
    "LogCosh",
    "MeanAbsoluteError",
    "MeanAbsolutePercentageError",
    "MeanSquaredError",
    "MeanSquaredLogarithmicError",
    "Pinball",
    "Poisson",
    "SparseCategoricalCrossentropy",
    "SquaredHinge",
    "Tversky",
    "binary_crossentropy",
    "binary_focal_crossentropy",
    "categorical_crossentropy",
    "categorical_focal_crossentropy",
    "categorical_generalized_cross_entropy",
    "categorical_hinge",
    "circle",
    "cosine_similarity",
    "dice",
    "gaussian_negative_log_likelihood",
    "hinge",
    "huber",
    "kl_divergence",
    "log_cosh",
    "mean_absolute_error",
    "mean_absolute_percentage_error",
    "mean_squared_error",
    "mean_squared_logarithmic_error",
    "pinball",
    "poisson",
    "sparse_categorical_crossentropy",
    "squared_hinge",
    "tversky",
]
_family = Family(
    "loss",
    "densa.losses",
    {name: globals()[name] for name in __all__}
    | {
        "bce": binary_crossentropy,
        "BCE": binary_crossentropy,
        "kld": kl_divergence,
        "KLD": kl_divergence,
        "mae": mean_absolute_error,
        "MAE": mean_absolute_error,
        "mse": mean_squared_error,
        "MSE": mean_squared_error,
        "mape": mean_absolute_percentage_error,
        "MAPE": mean_absolute_percentage_error,
        "msle": mean_squared_logarithmic_error,
        "MSLE": mean_squared_logarithmic_error,
        "logcosh": log_cosh,
        "huber_loss": huber,
        "quantile": pinball,
        "gaussian_nll": gaussian_negative_log_likelihood,
    },
)
__all__ += ["Loss", "deserialize", "get", "serialize"]


@hinted
def serialize(loss: Any) -> Any:
    """Configuration of a loss; a built-in function is its name.

    Args:
        loss: A `Loss` or a function.

    Returns:
        A dictionary or a name that `deserialize` accepts.

    Example:

    >>> import densa
    >>> densa.losses.serialize(densa.losses.mean_squared_error)
    'mean_squared_error'
    """
    return _family.serialize(loss)


@hinted
def deserialize(name: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """The loss of a name or of a configuration made by `serialize`.

    Args:
        name: A name (`"mse"`, `"MeanSquaredError"`, …) or a configuration.
        custom_objects: Own classes and functions by name.

    Returns:
        A function or a `Loss`.

    Raises:
        ValueError: The name is not known; suggests the nearest one.

    Example:

    >>> import densa
    >>> densa.losses.deserialize("mse").__name__
    'mean_squared_error'
    """
    return _family.deserialize(name, custom_objects)


@hinted
def get(identifier: Any) -> Callable[..., Any] | None:
    """A loss from whatever `compile` accepts: a name, a configuration, a function, a `Loss`.

    Args:
        identifier: None gives None; a class is instantiated.

    Returns:
        A callable `(y_true, y_pred)`, or None.

    Raises:
        ValueError: Nothing of that name, or no callable at all.

    Example:

    >>> import densa
    >>> densa.losses.get("mse").__name__
    'mean_squared_error'
    """
    found: Callable[..., Any] | None = _family.get(identifier)
    return found


if not TYPE_CHECKING:  # lest type checkers take every name for known
    __getattr__ = suggesting(__name__)
