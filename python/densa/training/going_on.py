"""A training that goes on from a model's file, with callbacks that go on as well."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np

from densa import _core
from densa.callbacks import CallbackList
from densa.saving.callback_states import (
    check_entries,
    entry_of,
    give_back,
    plain_logs,
    warn_of_unkept,
)
from densa.saving.model_state import generator_states, set_generator_states
from densa.saving.training_state import get_random_state, set_random_state


def state_of_training(model: Any, callbacks: Any) -> dict[str, Any] | None:
    """What a model's file keeps of a training beside the model, for `GoingOn`.

    Args:
        model: The model.
        callbacks: The callbacks that are to go on. None: those of the `fit` that is running, where
            a state that cannot be kept is noted; without one there is nothing to keep.

    Returns:
        Plain data with arrays, or None.

    Raises:
        TypeError: A callback's state holds what no file can hold.
        ValueError: Something is no callback.
    """
    fitting: Any = getattr(model, "_training", None)
    if callbacks is None and fitting is None:
        return None
    strict = callbacks is not None
    given = CallbackList(callbacks).given if strict else fitting.callbacks.given
    entries = [entry_of(callback, model, strict) for callback in given]
    if strict:
        for entry in entries:
            warn_of_unkept("save_model", entry["kind"], entry["unkept"])
    history = getattr(model, "history", None)
    state: dict[str, Any] = {
        "callbacks": entries,
        "history": None if history is None else _plain_history(history.get_state()),
        "random": get_random_state(),
        "turn": None,
    }
    turn = None if fitting is None else fitting.callbacks.turn
    if turn is not None:
        epoch, logs, place = turn
        behind = fitting.callbacks.callbacks[place + 1 :]
        state["turn"] = {
            "epoch": epoch,
            "logs": plain_logs(logs),
            "due": [i for i, callback in enumerate(given) if _is_in(callback, behind)],
            "history": _is_in(fitting.callbacks.history, behind),
            "stopped": bool(model.stop_training),
            **fitting.data_state(),
        }
    return state


class GoingOn:
    """What the next `fit` of a model that has been loaded goes on from.

    Args:
        path: The file, for messages.
        state: What `state_of_training` gave.
        callbacks: The callbacks that go on.

    Raises:
        ValueError: These are not the callbacks of the file; says what differs.
    """

    def __init__(self, path: str, state: Mapping[str, Any], callbacks: Any) -> None:
        self._path = path
        self._entries = state["callbacks"]
        self._history, self._random = state["history"], state["random"]
        self._turn: Mapping[str, Any] | None = state["turn"]
        self._callbacks = CallbackList(callbacks).given
        check_entries(path, self._entries, self._callbacks)
        for entry in self._entries:
            warn_of_unkept("load_model", entry["kind"], entry["unkept"])

    def check(self, fitting: Any, initial_epoch: int) -> None:
        """Refuses a `fit` that is not the one to go on.

        Raises:
            ValueError: It was given other callbacks, data, or another epoch.
        """
        given = fitting.callbacks.given
        if list(map(id, given)) != list(map(id, self._callbacks)):
            raise ValueError(
                f"The model was loaded from {self._path!r} with callbacks that go on: "
                f"{[type(c).__name__ for c in self._callbacks]}. Pass the same objects to fit, in "
                f"the same order; received {[type(c).__name__ for c in given]}. To begin callbacks "
                "anew, load the model without `callbacks`."
            )
        turn = self._turn
        if turn is None:
            return
        if initial_epoch != turn["epoch"] + 1:
            raise ValueError(
                f"{self._path!r} was written at the end of epoch {turn['epoch'] + 1}: pass "
                f"initial_epoch={turn['epoch'] + 1} to fit, to go on behind it; received "
                f"{initial_epoch}. To begin anew, load the model without `callbacks`."
            )
        own = fitting.data_state()
        for name, what in (("data", "rows, batch size, steps"), ("validates", "validates")):
            if turn[name] != own[name]:
                raise ValueError(
                    f"{self._path!r} was written by a fit with ({what}) = {turn[name]}; this one "
                    f"has {own[name]}. Call fit as before, or load the model without `callbacks`."
                )

    def state_before(self, model: Any) -> ModelState:
        """What hooks that begin a training are not to change, for `restore`."""
        return ModelState(model)

    def restore(self, fitting: Any, before: ModelState) -> dict[str, Any]:
        """Called behind `on_train_begin`: all that goes on is as it was; returns the last logs."""
        model, callbacks = fitting.model, fitting.callbacks
        before.put_back()
        set_random_state(self._random)
        history = callbacks.history
        if history is not None and self._history is not None:
            history.set_state({"history": dict(self._history["history"]), **self._epochs()})
        give_back(self._entries, self._callbacks)
        turn = self._turn
        if turn is None:
            return {}
        fitting.set_data_state(turn)
        logs = dict(turn["logs"])
        due = [self._callbacks[i] for i in turn["due"]]
        if turn["history"]:
            due.append(history)
        model.stop_training = turn["stopped"]
        callbacks.on_epoch_end(turn["epoch"], logs, due)  # those whose turn it had not been
        if model.stop_training:
            warnings.warn(
                f"The training that {self._path!r} was written in ended with that epoch "
                "(`stop_training`), so that there is nothing left to train. To train further, "
                "load the model without `callbacks`.",
                stacklevel=6,
            )
        return logs

    def _epochs(self) -> dict[str, Any]:
        return {"epoch": list(self._history["epoch"])}


class ModelState:
    """A model's variables, and where its random layers are, before hooks have changed them."""

    def __init__(self, model: Any) -> None:
        self._model = model
        variables = (*model.weights, *model.optimizer.variables)
        self._arrays = [(variable, np.array(variable.numpy())) for variable in variables]
        self._generators = generator_states(model)

    def put_back(self) -> None:
        """Makes them what they were."""
        with _core.no_grad():
            for variable, array in self._arrays:
                variable.assign(array.astype(str(variable.dtype), copy=False))
        set_generator_states(self._model, self._generators)


def _plain_history(state: Mapping[str, Any]) -> dict[str, Any]:
    from densa.saving.model_state import plain_columns

    return {"epoch": list(state["epoch"]), "history": plain_columns(state["history"])}


def _is_in(callback: Any, callbacks: list[Any]) -> bool:
    return any(callback is other for other in callbacks)
