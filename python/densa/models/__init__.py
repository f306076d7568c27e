"""Models: layers from input to output."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from densa._names import hinted, suggesting
from densa.models.adversarial import AdversarialBatches, adversarial_examples
from densa.models.cloning import clone_model
from densa.models.ensembles import average_models, bagging
from densa.models.model import Model
from densa.models.pretraining import pretrain
from densa.models.recipes import MLP, mlp
from densa.models.sequential import Sequential
from densa.saving.saving_api import load_model, save_model


@hinted
def model_from_json(json_string: str, custom_objects: Any = None) -> Any:
    """Make a model from `model.to_json()`'s answer, with fresh weights.

    Args:
        json_string: the text.
        custom_objects: name to class or function, for what is not registered.

    Raises:
        ValueError: for text that is not such JSON.

    Example:
        >>> text = densa.Sequential([densa.Input((2,)), densa.layers.Dense(1)]).to_json()
        >>> densa.models.model_from_json(text).count_params()
        3
    """
    from densa.saving.file_format import strict_json
    from densa.saving.serialization import deserialize_keras_object, making_with_sharing

    with making_with_sharing():
        model = deserialize_keras_object(strict_json(json_string, "the JSON"), custom_objects)
    if not isinstance(model, Model):
        raise ValueError(f"The JSON describes {model!r}, not a model.")
    return model


# The name that configurations give to a graph.
Functional = Model

__all__ = [
    "MLP",
    "AdversarialBatches",
    "Model",
    "Sequential",
    "adversarial_examples",
    "average_models",
    "bagging",
    "clone_model",
    "load_model",
    "mlp",
    "model_from_json",
    "pretrain",
    "save_model",
]

if not TYPE_CHECKING:  # lest type checkers take every name for known
    __getattr__ = suggesting(__name__)
