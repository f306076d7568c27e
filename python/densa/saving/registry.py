"""One way to turn names, configs, classes and instances into objects of one family."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

from densa.saving.object_registration import get_registered_object
from densa.saving.serialization import deserialize_keras_object, serialize_keras_object


class Family:
    """The named classes of one kind: initializers, regularizers, constraints…

    Args:
        kind: the word used in messages.
        module: its public module.
        names: every accepted name, to its class.
    """

    def __init__(self, kind: str, module: str, names: Mapping[str, type]) -> None:
        self.kind = kind
        self.module = module
        self.names = dict(names)

    def serialize(self, obj: Any) -> Any:
        """Return plain data for an object of the family."""
        return None if obj is None else serialize_keras_object(obj)

    def deserialize(self, config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
        """Make the object from plain data or from its name."""
        if isinstance(config, str):
            found = get_registered_object(config, custom_objects, self.names)
            if found is None:
                raise ValueError(unknown_name(self.kind, config, self.names))
            return found() if isinstance(found, type) else found
        if isinstance(config, Mapping) and "class_name" in config and "module" not in config:
            config = {"module": self.module, **config}
        return deserialize_keras_object(config, custom_objects)

    def get(self, identifier: Any) -> Any:
        """Return an object for a name, a config, a class, a function or an instance."""
        if identifier is None:
            return None
        if isinstance(identifier, (str, Mapping)):
            return self.deserialize(identifier)
        if isinstance(identifier, type):
            return identifier()
        if callable(identifier):
            return identifier
        raise ValueError(
            f"Could not interpret {self.kind} identifier: {identifier!r}. Expected a name, a "
            "config, an instance or a callable."
        )


def unknown_name(kind: str, name: str, known: Any) -> str:
    """Return the words for a name that nobody knows, with the nearest one."""
    names = sorted(known)
    near = difflib.get_close_matches(name, names, 1)
    lower = {n.lower(): n for n in names}
    if not near and name.lower() in lower:
        near = [lower[name.lower()]]
    if near:
        return f"Unknown {kind}: {name!r}. Did you mean {near[0]!r}?"
    return f"Unknown {kind}: {name!r}. Known names: {', '.join(names)}."
