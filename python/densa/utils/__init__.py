"""Helpers around models and data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from densa._names import suggesting
from densa._scope import clear_session
from densa.saving.object_registration import (
    CustomObjectScope,
    custom_object_scope,
    get_custom_objects,
    get_registered_name,
    get_registered_object,
    register_keras_serializable,
)
from densa.saving.serialization import deserialize_keras_object, serialize_keras_object
from densa.utils.batches import pack_x_y_sample_weight, unpack_x_y_sample_weight
from densa.utils.numerical import normalize, to_categorical
from densa.utils.plot_model import model_to_dot, plot_model
from densa.utils.py_dataset import PyDataset
from densa.utils.recalibrate_batch_norm import recalibrate_batch_norm
from densa.utils.seed import set_random_seed
from densa.utils.split_dataset import split_dataset

Sequence = PyDataset  # Keras' other name for it

__all__ = [
    "CustomObjectScope",
    "PyDataset",
    "Sequence",
    "clear_session",
    "custom_object_scope",
    "deserialize_keras_object",
    "get_custom_objects",
    "get_registered_name",
    "get_registered_object",
    "is_keras_tensor",
    "model_to_dot",
    "normalize",
    "pack_x_y_sample_weight",
    "plot_model",
    "recalibrate_batch_norm",
    "register_keras_serializable",
    "serialize_keras_object",
    "set_random_seed",
    "split_dataset",
    "to_categorical",
    "unpack_x_y_sample_weight",
]


def is_keras_tensor(x: Any) -> bool:
    """Tell whether x is a symbolic tensor.

    Args:
        x: anything.

    Example:
        >>> densa.utils.is_keras_tensor(densa.Input((2,)))
        True
    """
    from densa._symbolic import is_keras_tensor as symbolic  # it needs this module

    return symbolic(x)


if not TYPE_CHECKING:  # lest type checkers take every name for known
    __getattr__ = suggesting(__name__)
