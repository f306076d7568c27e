"""The optimizers of a model: which variables they have, and those that a step of its own holds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

ALL = object()  # of files that do not say which variables an optimizer has


def other_optimizers(model: Any) -> dict[str, Any]:
    """Optimizers that a step of a user's own holds beside the model's, by layer and attribute."""
    from densa.optimizers import Optimizer

    found = {}
    for number, layer in enumerate(model._flatten_layers()):
        for name, value in vars(layer).items():
            if type(value) in (list, tuple):
                items = {f"{name}/{i}": item for i, item in enumerate(value)}
            else:
                items = value if isinstance(value, dict) else {"": value}
                items = {f"{name}/{key}": item for key, item in items.items()}
            for key, item in items.items():
                if isinstance(item, Optimizer) and item is not model.optimizer:
                    found[f"{number}/{key}"] = item
    return found


def states_of_others(model: Any) -> dict[str, Any]:
    """Return the states of `other_optimizers`, and which variables they were built for."""
    return {
        key: {
            "of": variables_of(model, optimizer),
            "state": [variable.numpy() for variable in optimizer.variables],
        }
        for key, optimizer in other_optimizers(model).items()
    }


def set_states_of_others(model: Any, states: Mapping[str, Any]) -> None:
    """Give optimizers that have the same variables what `states_of_others` gave."""
    for key, optimizer in other_optimizers(model).items():
        arrays = states[key]["state"] if key in states else ()
        variables = optimizer.variables
        if [np.shape(array) for array in arrays] == [tuple(v.shape) for v in variables]:
            for variable, array in zip(variables, arrays, strict=True):
                variable.assign(np.asarray(array).astype(str(variable.dtype), copy=False))


def variables_of(model: Any, optimizer: Any) -> list[int] | None:
    """Return the variables that an optimizer was built for, by their places among the weights.

    None where it is not built, or was for variables that are no weights.
    """
    places = {id(variable): place for place, variable in enumerate(model.weights)}
    own = [places.get(id(variable), -1) for variable in optimizer._trainable_variables]
    return None if not optimizer.built or -1 in own else own


def build_for(model: Any, optimizer: Any, places: Any) -> None:
    """Build an optimizer for the variables that `variables_of` named; for all that train: ALL."""
    if places is ALL:
        optimizer.build(model.trainable_variables)
    elif places is not None and variables_of(model, optimizer) != places:
        getattr(optimizer, "inner_optimizer", optimizer).built = False  # for others
        optimizer.build([model.weights[place] for place in places])
