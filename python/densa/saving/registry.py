"""One way to turn names, configs, classes and instances into objects of one family."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Mapping
from typing import Any

from densa._names import nearest
from densa.saving.object_registration import get_registered_object
from densa.saving.serialization import (
    deserialize_keras_object,
    public_name,
    serialize_keras_object,
)

_ANY = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


class Family:
    """The named classes and functions of one kind: initializers, losses, optimizers…

    Args:
        kind: the word used in messages.
        module: its public module.
        names: every accepted name, to its class or function.
        by_name: what makes an object of a class that is named alone, where that is not the class.
    """

    def __init__(
        self,
        kind: str,
        module: str,
        names: Mapping[str, Any],
        by_name: Mapping[type, Callable[[], Any]] | None = None,
    ) -> None:
        self.kind = kind
        self.module = module
        self.names = dict(names)
        self.by_name = dict(by_name or {})

    def serialize(self, obj: Any) -> Any:
        """Return plain data for an object of the family; a built-in function is its name."""
        if obj is None:
            return None
        name = getattr(obj, "__name__", None)
        if isinstance(name, str) and not isinstance(obj, type) and self.names.get(name) is obj:
            return name
        return serialize_keras_object(obj)

    def deserialize(self, config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
        """Make the object from plain data or from its name; a class is instantiated."""
        if isinstance(config, str):
            found = get_registered_object(config, custom_objects, self.names)
            if found is None:
                raise ValueError(
                    f"Unknown {self.kind}: {config!r}.{nearest(config, self.names)} Known names "
                    f"stand in `{self.module}`; a custom one is passed as an object, or registered "
                    "with `densa.saving.register_keras_serializable()`."
                )
            return self._made(found, config) if isinstance(found, type) else found
        if not isinstance(config, Mapping) or "class_name" not in config:
            raise ValueError(
                f"Expected a name of the {self.kind}, or a dictionary with 'class_name' and "
                f"'config'; received {config!r}."
            )
        if not config.get("registered_name"):
            name = config["class_name"]
            known = self.names.get(str(config.get("config") if name == "function" else name))
            if name == "function" and known is not None:
                return known
            # By any of its names; but a loss that stands for a metric stays what it is.
            if isinstance(known, type) and not self._is_elsewhere(config):
                config = {**config, "class_name": known.__name__, "module": self.module}
        return deserialize_keras_object(
            {"module": self.module, "config": {}, **config}, custom_objects
        )

    def _is_elsewhere(self, config: Mapping[str, Any]) -> bool:
        module = public_name(str(config.get("module") or "densa"))
        if module in (None, "densa", self.module):
            return False
        return hasattr(importlib.import_module(str(module)), str(config["class_name"]))

    def _made(self, kind: type, name: str) -> Any:
        parameters = inspect.signature(kind).parameters.values()
        missing = [p.name for p in parameters if p.default is p.empty and p.kind not in _ANY]
        if missing:
            raise ValueError(
                f"The {self.kind} {name!r} cannot be made by its name alone: it needs "
                f"{', '.join(missing)}. Pass {self.module}.{kind.__name__}({missing[0]}=…)."
            )
        return self.by_name.get(kind, kind)()

    def get(self, identifier: Any) -> Any:
        """Return an object for a name, a config, a class, a function or an instance."""
        if identifier is None:
            return None
        if isinstance(identifier, (str, Mapping)):
            return self.deserialize(identifier)
        if isinstance(identifier, type):
            return self._made(identifier, identifier.__name__)
        if callable(identifier):
            return identifier
        raise ValueError(
            f"Could not interpret {self.kind} identifier: {identifier!r}. Expected a name, a "
            "config, an instance or a callable."
        )
