"""What a recorded step has settled although it can be changed later: attributes of layers, losses.

A recording reads `layer.rate` once. The runner compares these settings when a fit, evaluation or
prediction begins, and records again where one of them is no longer what it was.
"""

from __future__ import annotations

from collections.abc import Iterator
from operator import is_
from typing import Any

from densa import _core
from densa.layers._tracking import PLAIN
from densa.random import SeedGenerator
from densa.utils import tree

Settings = dict[tuple[int, str], Any]

# What fit itself changes on a model.
_OF_TRAINING = frozenset(
    (
        "stop_training",
        "stop_evaluating",
        "stop_predicting",
        "history",
        "_fitting",
        "_pending_logs",
        "_turns",
    )
)
_NEW = object()


class Watched:
    """The settings of a model as a key; costs a few microseconds a layer while nothing changes.

    Attributes that a recording itself changes, a counter say, are state and count for nothing.

    Args:
        model: The model.
    """

    def __init__(self, model: Any) -> None:
        self._model = model
        self._state: set[tuple[int, str]] = set()
        self._now: Settings = {}
        # All attributes of all owners as they were: the same objects, the same settings.
        self._seen: list[tuple[Any, list[Any]]] = []
        self.key: Any = None

    @property
    def alive(self) -> Any:
        """Keeps the objects whose addresses are in the key, so that no other gets them."""
        return self._seen

    def look(self) -> None:
        """Makes `key` from the settings as they are."""
        for owner, values in self._seen:
            found = _values(owner)
            if len(found) != len(values) or not all(map(is_, found, values)):
                break
        else:
            if self._seen:
                return
        self._read()

    def look_again(self) -> None:
        """The same behind a recording: what it has changed is no setting."""
        before = self._now
        self._read()
        changed = {name for name in self._now if before.get(name, _NEW) != self._now[name]}
        self._state |= changed & before.keys()
        self.key = self._key()

    def _read(self) -> None:
        self._now, self._seen = {}, []
        for owner in _owners(self._model):
            self._seen.append((owner, list(_values(owner))))
            self._now.update(_settings(owner))
        self.key = self._key()

    def _key(self) -> Any:
        return frozenset(item for item in self._now.items() if item[0] not in self._state)


def _values(owner: Any) -> Any:
    attributes = vars(owner)
    if "stop_training" in attributes:
        return [value for name, value in attributes.items() if name not in _OF_TRAINING]
    return attributes.values()


def _settings(owner: Any) -> Iterator[tuple[tuple[int, str], Any]]:
    at = id(owner)
    for name, value in vars(owner).items():
        if name in _OF_TRAINING or (name[0] == "_" and name != "_trainable"):
            continue
        kind = type(value)
        if kind in PLAIN or (kind is tuple and all(type(item) in PLAIN for item in value)):
            yield (at, name), (kind, value)
        elif kind is not _core.Tensor:
            yield (at, name), id(value)


def _owners(model: Any) -> Iterator[Any]:
    for layer in model._flatten_layers():
        yield layer
        for name, value in vars(layer).items():
            # Regularizers and the like, which a user may also have made.
            if type(value) not in PLAIN and name[0] != "_" and _is_part(value):
                yield value
    compiled = model.__dict__.get("_compiled")
    if compiled is not None and compiled.loss is not None:
        yield from (loss for loss in tree.flatten(compiled.loss.loss) if loss is not None)


def _is_part(value: Any) -> bool:
    return (
        hasattr(value, "get_config")
        and hasattr(value, "__dict__")
        and not hasattr(value, "_flatten_layers")
        and not isinstance(value, (type, SeedGenerator))
    )
