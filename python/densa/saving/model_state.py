"""What a model's file keeps beside weights and optimizer: random numbers, orders, history, and the
weights that the end of a training has replaced."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from densa.random import SeedGenerator, get_global_state
from densa.saving.plain_data import decode, encode, is_plain


def generators(model: Any) -> list[Any]:
    """Return the seed generators of a model's layers, each once."""
    found: dict[int, Any] = {}
    for layer in model._flatten_layers():
        for item in layer._contents():
            if isinstance(item, SeedGenerator):
                found[id(item)] = item
    return list(found.values())


def state_of_generator(generator: Any) -> list[int]:
    """Return seed, stream and count of a `SeedGenerator`."""
    return [generator.seed, generator.stream, generator.count]


def generator_states(model: Any) -> list[list[int]]:
    """Return where the random layers of a model are."""
    return [state_of_generator(generator) for generator in generators(model)]


def set_generator_states(model: Any, states: Any) -> None:
    """Go back to what `generator_states` gave, where the model has as many generators."""
    own = generators(model)
    if isinstance(states, list) and len(states) == len(own):
        for generator, state in zip(own, states, strict=True):
            generator.set_state(state)


def steps_trained(model: Any) -> int | None:
    """Return the steps over all optimizers that the model has had: they number its draws."""
    steps = getattr(model, "_steps_trained", None)
    optimizer = getattr(model, "optimizer", None)
    if steps is None and optimizer is not None:
        return int(optimizer._iterations)
    return steps


def state_of_orders(model: Any) -> list[int] | None:
    """Return where the orders of rows go on for a model that has been trained, else None."""
    if not hasattr(model, "_orders") or not steps_trained(model):
        return None
    own = model._order_generator()
    state: list[int] | None = get_global_state()[3] if own is None else state_of_generator(own)
    return state


def state_of_history(model: Any) -> Any:
    """Return the epochs and logs of a model's last `fit` as JSON takes them, else None."""
    from densa.callbacks import History

    history = getattr(model, "history", None)
    if not isinstance(history, History):
        return None
    kept = plain_columns(history.history)
    return encode({"epoch": list(history.epoch), "history": kept}, {}, "history")


def plain_columns(history: Mapping[str, Any]) -> dict[str, Any]:
    """Return the columns of a history that a file can hold."""
    columns = {name: [_plain(value) for value in own] for name, own in history.items()}
    return {name: column for name, column in columns.items() if is_plain(column)}


def set_history(model: Any, state: Any) -> None:
    """Give a model the `History` of a file, where it has one."""
    from densa.callbacks import History

    if state is None:
        return
    history = History()
    found = decode(state, {})
    history.epoch = found["epoch"]
    history.history.update(found["history"])
    model.history = history


def is_history(state: Any) -> bool:
    """Tell whether `set_history` takes a state."""
    return state is None or (
        isinstance(state, dict)
        and state.keys() == {"epoch", "history"}
        and isinstance(state["epoch"], list)
        and isinstance(state["history"], dict)
        and all(isinstance(column, list) for column in state["history"].values())
    )


def state_of_ended(model: Any, tensors: dict[str, Any], callbacks_go_on: bool) -> Any:
    """Return what a training needs that goes on from a model as `fit` has left it, else None.

    Args:
        model: the model.
        tensors: what the trained weights are added to.
        callbacks_go_on: whether weights that a callback has replaced are needed, too.
    """
    ended = getattr(model, "_ended", None)
    if ended is None or not (ended.averages or callbacks_go_on) or not ended.holds(model):
        return None
    names = {}
    for place, array in ended.trained.items():
        names[str(place)] = f"trained/{place}"
        if names[str(place)] in tensors:
            raise ValueError(
                f"A weight of the model has the name {names[str(place)]!r}: rename it."
            )
        tensors[names[str(place)]] = array
    return {"averages": ended.averages, "weights": names}


def set_ended(model: Any, state: Any, tensors: Mapping[str, Any]) -> None:
    """Give a compiled model, which has its weights, what `state_of_ended` kept."""
    from densa.training.ended import Ended, check_sum

    if state is not None:
        trained = {int(place): tensors[name] for place, name in state["weights"].items()}
        model._ended = Ended(trained, check_sum(model), state["averages"])


def is_ended(state: Any, tensors: Mapping[str, Any], shapes: list[Any]) -> bool:
    """Tell whether `set_ended` takes a state, of a model whose weights have some shapes."""
    if state is None:
        return True
    names = state.get("weights") if isinstance(state, dict) else None
    return (
        isinstance(names, dict)
        and type(state.get("averages")) is bool
        and all(
            place.isdecimal()
            and int(place) < len(shapes)
            and isinstance(name, str)
            and name in tensors
            and tuple(tensors[name].shape) == tuple(shapes[int(place)])
            for place, name in names.items()
        )
    )


def _plain(value: Any) -> Any:
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else value
