"""What a model's file keeps beside weights and optimizer: random numbers, orders and history."""

from __future__ import annotations

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
    columns = {name: [_plain(value) for value in own] for name, own in history.history.items()}
    kept = {name: column for name, column in columns.items() if is_plain(column)}
    return encode({"epoch": list(history.epoch), "history": kept}, {}, "history")


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


def _plain(value: Any) -> Any:
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else value
