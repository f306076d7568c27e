"""The states of callbacks as a model's file keeps them, and back: class, settings, state."""

from __future__ import annotations

import copy
import inspect
import warnings
from collections.abc import Iterable
from typing import Any

from densa.callbacks.callback import NOT_STATE, Callback, short
from densa.saving import object_state
from densa.saving.plain_data import encode, is_plain


def has_state(callback: Any) -> bool:
    """Tell whether a callback, of densa or anybody, gives and takes its state."""
    return hasattr(callback, "get_state") and hasattr(callback, "set_state")


def keeps_attributes(callback: Any) -> bool:
    """Tell whether a callback's state is what its attributes hold."""
    own = isinstance(callback, Callback) and callback._state_names is None
    return own and type(callback).get_state is Callback.get_state


def unkept_of(callback: Any, model: Any) -> list[str]:
    """Return the attributes of a callback that may be state and cannot be kept."""
    if not keeps_attributes(callback):
        return []
    # What the model holds is kept with it.
    parts = {id(part) for part in (model, model.optimizer, *model._flatten_layers())}
    names = object_state.state_of(callback, NOT_STATE)[1]
    return [name for name in names if id(vars(callback)[name]) not in parts]


def warn_of_unkept(who: str, kind: str, names: Iterable[str]) -> None:
    """Warn that attributes of a callback or of data are not kept, if there are some."""
    names = list(names)
    if names:
        warnings.warn(
            f"{who} cannot keep {', '.join(f'{kind}.{name}' for name in names)}: "
            "neither numbers, texts, arrays, Variables or random generators, nor lists, tuples "
            "or dictionaries of these. If it changes during training, a resumed training ends "
            f"with other numbers: give {kind} the methods get_state() and set_state(state), "
            "which return and take what it needs as such data.",
            stacklevel=3,
        )


def settings_of(callback: Any) -> dict[str, Any]:
    """Return the arguments that a callback was made with, defaults included, by name.

    Numbers, texts and short lists of them alone; none that decides only where something is written
    or what is printed.
    """
    made_with = getattr(callback, "_made_with", None)
    if made_with is None:
        return {}
    try:
        signature = inspect.signature(type(callback).__init__)
        bound = signature.bind(callback, *made_with[0], **made_with[1])
    except (TypeError, ValueError):
        return {}
    bound.apply_defaults()
    out: dict[str, Any] = {}
    for (name, value), parameter in zip(
        list(bound.arguments.items())[1:], list(signature.parameters.values())[1:], strict=True
    ):
        if parameter.kind is inspect.Parameter.VAR_KEYWORD:
            out.update(value)
        else:
            out[name] = value
    free = callback._free_arguments
    shorts = {name: short(value) for name, value in out.items() if name not in free}
    return {name: value for name, value in shorts.items() if value is not Ellipsis}


# ---- to a file -----------------------------------------------------------------------------------


def entry_of(callback: Any, model: Any, strict: bool) -> dict[str, Any]:
    """Return what a file keeps of a callback.

    Args:
        callback: the callback.
        model: its model.
        strict: whether a state that cannot be kept is an error; it is noted otherwise.

    Raises:
        TypeError: the state holds something that no file can hold.
    """
    entry: dict[str, Any] = {
        "kind": type(callback).__name__,
        "settings": settings_of(callback),
        "unkept": [],
        "why": None,
        "state": {},
    }
    if not has_state(callback):
        return entry
    try:
        state = callback.get_state()
        if keeps_attributes(callback):
            state = {**_changed_arguments(callback, entry["settings"]), **state}
        encode(state, {}, f"the state of {entry['kind']}")  # raises
        entry["unkept"] = unkept_of(callback, model)
        entry["state"] = state
    except Exception as error:
        if strict:
            raise
        entry["why"] = f"{type(error).__name__}: {error}"
    return entry


def _changed_arguments(callback: Any, settings: dict[str, Any]) -> dict[str, Any]:
    # Arguments that are others than those that it was made with, and arrays, which may be.
    out = {}
    for name in inspect.signature(type(callback).__init__).parameters:
        if name in vars(callback):
            value = vars(callback)[name]
            packed = object_state.pack(value)
            if packed is not None:
                same = name in settings and repr(short(value)) == repr(settings[name])
                if not same and object_state.is_small(packed[0]):
                    out[name] = packed[0]
    return out


# ---- from a file ---------------------------------------------------------------------------------


def check_entries(path: str, entries: list[dict[str, Any]], callbacks: list[Any]) -> None:
    """Refuse callbacks that are not those of a file.

    Raises:
        ValueError: classes, their order or settings are others, or the file lacks a state; says so.
    """
    kinds, own = [entry["kind"] for entry in entries], [type(c).__name__ for c in callbacks]
    if kinds != own:
        raise ValueError(
            f"{path!r} holds the state of the callbacks {kinds}, in this order; received {own}. "
            "Pass the same ones, made as before, or load without `callbacks` to begin them anew."
        )
    for entry, callback in zip(entries, callbacks, strict=True):
        kind, before = entry["kind"], entry["settings"]
        if entry["why"] is not None:
            raise ValueError(
                f"{path!r} holds no state of the callback {kind}, as it could not be kept "
                f"({entry['why']}). Let its get_state() return plain data, or load without "
                "`callbacks` to begin them anew."
            )
        now = settings_of(callback)
        for name in before:
            if name in now and repr(before[name]) != repr(now[name]):
                raise ValueError(
                    f"{path!r}: the callback {kind} was made with {name}={before[name]!r}; "
                    f"received one with {name}={now[name]!r}. Make it as before; what is to be "
                    f"another from here on can be set behind that (`callback.{name} = ...`). Or "
                    "load without `callbacks` to begin them anew."
                )


def give_back(entries: list[dict[str, Any]], callbacks: list[Any]) -> None:
    """Give callbacks the states that a file, or a backup, holds."""
    for entry, callback in zip(entries, callbacks, strict=True):
        if has_state(callback) and entry["state"] is not None:
            callback.set_state(copy.deepcopy(entry["state"]))  # it may change in place


def plain_logs(logs: dict[str, Any]) -> dict[str, Any]:
    """Return what a file can hold of logs."""
    return {name: value for name, value in logs.items() if is_plain(value)}
