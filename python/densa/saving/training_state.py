"""What a training needs to go on with the same bits: the state of a model and of all randomness."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

import numpy as np

from densa import _core
from densa.random import OrdersOfModel, get_global_state, set_global_state

from .model_optimizers import (
    ALL,
    build_for,
    other_optimizers,
    set_states_of_others,
    states_of_others,
    variables_of,
)
from .model_state import generator_states, set_generator_states, state_of_generator
from .saving_api import weight_keys


def get_random_state() -> dict[str, Any]:
    """Where the global random numbers are: densa's, NumPy's old ones and Python's."""
    kind, keys, *rest = np.random.get_state()  # noqa: NPY002
    return {
        "random": get_global_state(),
        "numpy": (kind, keys, *rest),
        "python": random.getstate(),
    }


def set_random_state(state: Mapping[str, Any]) -> None:
    """Goes back to what `get_random_state` gave."""
    set_global_state(state["random"])
    np.random.set_state(tuple(state["numpy"]))  # noqa: NPY002
    random.setstate(state["python"])


def get_training_state(model: Any) -> dict[str, Any]:
    """Weights, optimizer, metrics, counters and random states of a model in training.

    Args:
        model: A compiled model.

    Returns:
        Plain data with arrays, for `set_training_state`.
    """
    optimizer: dict[str, Any] = {}
    model.optimizer.save_own_variables(optimizer)
    return {
        "weights": {key: variable.numpy() for key, variable in weight_keys(model).items()},
        "optimizer": optimizer,
        "optimizer_of": variables_of(model, model.optimizer),
        "optimizers": states_of_others(model),
        "metrics": [variable.numpy() for variable in _metric_variables(model)],
        "report": model.optimizer.report.get_state(),
        "steps_trained": model._steps_trained,
        "steps_of_runners": {
            name: runner._steps
            for name, runner in model._runners.items()
            if hasattr(runner, "_steps")
        },
        "stop_training": bool(model.stop_training),
        "generators": generator_states(model),
        "orders": None if (own := model._order_generator()) is None else state_of_generator(own),
        # Users' generators and augmentations may draw from NumPy's old global state.
        **get_random_state(),
    }


def check_training_state(model: Any, state: Mapping[str, Any]) -> None:
    """Refuses a state that is not of this model.

    Raises:
        ValueError: Weights, optimizer or metrics are others; says which.
    """
    own = {key: tuple(v.shape) for key, v in weight_keys(model).items()}
    saved = {key: tuple(array.shape) for key, array in state["weights"].items()}
    if list(own.values()) != list(saved.values()):
        raise ValueError(f"it has the weights {_shown(saved)}, whereas the model has {_shown(own)}")
    build_for(model, model.optimizer, state.get("optimizer_of", ALL))
    others, kept = other_optimizers(model), state.get("optimizers", {})
    if others.keys() != kept.keys():
        raise ValueError(f"it has the optimizers {list(kept)} beside the model's own")
    for key, other in others.items():
        build_for(model, other, kept[key]["of"])
    for what, mine, theirs in (
        ("the optimizer's state", model.optimizer.variables, state["optimizer"].values()),
        ("the metrics", _metric_variables(model), state["metrics"]),
        *((f"the state of {key}", x.variables, kept[key]["state"]) for key, x in others.items()),
    ):
        if [tuple(v.shape) for v in mine] != [tuple(np.shape(a)) for a in theirs]:
            raise ValueError(f"{what} do not fit the compiled model's")


def set_training_state(model: Any, state: Mapping[str, Any]) -> None:
    """Puts a state back into a model that has been built and compiled alike.

    Args:
        model: The model; its metrics have seen a batch.
        state: What `get_training_state` gave and `check_training_state` has passed.
    """
    with _core.no_grad():
        _assign(weight_keys(model).values(), state["weights"].values())
        _assign(_metric_variables(model), state["metrics"])
        _assign(model.optimizer.variables, state["optimizer"].values())
        set_states_of_others(model, state.get("optimizers", {}))
    model.optimizer.report.set_state(state["report"])
    model._steps_trained = state["steps_trained"]
    for name, steps in state["steps_of_runners"].items():
        runner = model._runner(name)
        if hasattr(runner, "_steps"):
            runner._steps = steps
    model.stop_training = state["stop_training"]
    set_generator_states(model, state["generators"])
    orders = state.get("orders")
    model._orders = None if orders is None else OrdersOfModel(orders)
    set_random_state(state)


def _assign(variables: Any, arrays: Any) -> None:
    for variable, array in zip(variables, arrays, strict=True):
        variable.assign(np.asarray(array).astype(str(variable.dtype), copy=False))


def _metric_variables(model: Any) -> list[Any]:
    return [variable for metric in model.metrics for variable in metric.variables]


def _shown(shapes: Mapping[str, Any]) -> str:
    return ", ".join(f"{key} {shape}" for key, shape in list(shapes.items())[:6])
