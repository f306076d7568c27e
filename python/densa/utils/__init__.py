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
from densa.utils.attributes import Config
from densa.utils.batches import pack_x_y_sample_weight, unpack_x_y_sample_weight
from densa.utils.numerical import normalize, to_categorical
from densa.utils.pad_sequences import pad_sequences
from densa.utils.plot_model import model_to_dot, plot_model
from densa.utils.progbar import Progbar
from densa.utils.py_dataset import PyDataset
from densa.utils.recalibrate_batch_norm import recalibrate_batch_norm
from densa.utils.seed import set_random_seed
from densa.utils.split_dataset import split_dataset
from densa.utils.timeseries import timeseries_dataset_from_array

Sequence = PyDataset  # Keras' other name for it

__all__ = [
    "timeseries_dataset_from_array",
    "standardize_dtype",
    "pad_sequences",
    "get_source_inputs",
    "Config",
    "CustomObjectScope",
    "FeatureSpace",
    "Progbar",
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


def standardize_dtype(dtype: Any) -> str:
    """Return a type's name: `densa.backend.standardize_dtype`.

    Args:
        dtype: a name, a NumPy dtype, a Python or NumPy type, or None for floatx.

    Raises:
        ValueError: for what is no type that densa has.

    Example:
        >>> densa.utils.standardize_dtype(np.int64)
        'int64'
    """
    from densa.backend import standardize_dtype as name_of

    return name_of(dtype)


def get_source_inputs(tensor: Any) -> list[Any]:
    """Return the symbolic inputs that a symbolic tensor is computed from.

    Args:
        tensor: a symbolic tensor, or a structure of them.

    Raises:
        ValueError: for what is no symbolic tensor.

    Example:
        >>> x = densa.Input((4,))
        >>> y = densa.layers.Dense(2)(x)
        >>> densa.utils.get_source_inputs(y) == [x]
        True
    """
    from densa.utils import tree

    waiting = list(tree.flatten(tensor))
    found: list[Any] = []
    seen: set[int] = set()
    while waiting:
        x = waiting.pop(0)
        history = getattr(x, "_keras_history", None)
        if history is None:
            raise ValueError(f"get_source_inputs: expected symbolic tensors; got {x!r}.")
        node = history[0]._inbound_nodes[history[1]]
        if node.is_input:
            if not any(x is other for other in found):
                found.append(x)
        elif id(node) not in seen:
            seen.add(id(node))
            waiting.extend(node.inputs)
    return found


if TYPE_CHECKING:  # lest they take every name for known
    from densa.utils.feature_space import FeatureSpace
else:
    _missing = suggesting(__name__)

    def __getattr__(name: str) -> Any:
        if name != "FeatureSpace":
            return _missing(name)
        from densa.utils.feature_space import FeatureSpace  # layers import utils

        globals()[name] = FeatureSpace
        return FeatureSpace
