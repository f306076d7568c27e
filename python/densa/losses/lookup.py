"""Finding objects by name, with the nearest known name in the error."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any


def nearest(name: str, known: Iterable[str]) -> str:
    """` Did you mean 'x'?` for the known name closest to `name`, or an empty string."""
    folded: dict[str, str] = {}
    for k in known:
        # Of names that differ in case alone, the one written like `name`.
        if k.islower() == name.islower() or k.lower().replace("_", "") not in folded:
            folded[k.lower().replace("_", "")] = k
    close = difflib.get_close_matches(name.lower().replace("_", ""), folded, n=1, cutoff=0.5)
    return f" Did you mean {folded[close[0]]!r}?" if close else ""


def by_name(kind: str, name: str, known: Mapping[str, Any], folder: str) -> Any:
    """The object called `name`: a built-in one, else a registered one.

    Raises:
        ValueError: Nobody knows the name; says the nearest one.
    """
    if name in known:
        return known[name]
    from densa import saving

    registered = saving.get_registered_object(name)
    if registered is not None:
        return registered
    raise ValueError(
        f"Unknown {kind}: {name!r}.{nearest(name, known)} "
        f"Known names stand in `densa.{folder}`; a custom one is passed as an object, or "
        "registered with `densa.saving.register_keras_serializable()`."
    )


def serialize_object(obj: Any) -> Any:
    """Configuration of a class instance; a built-in function is its name."""
    from densa import saving

    return saving.serialize_keras_object(obj)


def deserialize_object(
    kind: str,
    config: Any,
    known: Mapping[str, Any],
    folder: str,
    custom_objects: Mapping[str, Any] | None = None,
) -> Any:
    """The object of a name or of a configuration made by `serialize_object`."""
    if isinstance(config, str):
        if custom_objects and config in custom_objects:
            return custom_objects[config]
        return by_name(kind, config, known, folder)
    if not isinstance(config, Mapping) or "class_name" not in config:
        raise ValueError(
            f"A {kind} is restored from a name or from a dictionary with 'class_name' and "
            f"'config'; received {config!r}."
        )
    name = config["class_name"]
    if name == "function":
        return deserialize_object(kind, config["config"], known, folder, custom_objects)
    if name in known and not config.get("registered_name"):
        found = known[name]
        return found.from_config(dict(config.get("config") or {}))
    from densa import saving

    return saving.deserialize_keras_object(dict(config), custom_objects=custom_objects)
