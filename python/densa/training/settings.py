"""What a recorded step has settled although it can be changed later: attributes of layers, losses
and metrics.

A recording reads `layer.rate` once. The runner compares these settings when a fit, evaluation or
prediction begins, and records again where one of them is no longer what it was. Of layers these
are the public attributes, with what lists and dicts among them hold. Losses and metrics, which have
little state, are compared with all that they hold: private attributes, Tensors, what is in lists
and dicts, losses within losses. What changes inside of an array or on a class is not seen.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from operator import is_
from typing import Any

from densa import _core
from densa.layers._tracking import PLAIN
from densa.random import SeedGenerator
from densa.utils import tree

Settings = dict[tuple[int, str], Any]

# What fit itself changes on a model.
OF_TRAINING = frozenset(
    (
        "stop_training",
        "stop_evaluating",
        "stop_predicting",
        "history",
        "_fitting",
        "_pending_logs",
        "_turns",
        "_steps_trained",
        "_treated",
        "_ended",
        "_going_on",
        "_training",
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
            for name, value in vars(owner).items():
                if type(value) in (list, dict) and name[0] != "_":
                    self._seen.append((value, list(_values(value))))
                    self._now[id(owner), f"{name}[]"] = tuple(map(_setting, _values(value)))
        for owner in held(of_compile(self._model)):
            self._seen.append((owner, list(_values(owner))))
            self._now.update(_all_settings(owner))
        self.key = self._key()

    def _key(self) -> Any:
        return frozenset(item for item in self._now.items() if item[0] not in self._state)


def _values(owner: Any) -> Any:
    if type(owner) is list:
        return owner
    if type(owner) is dict:
        return [*owner, *owner.values()]
    attributes = vars(owner)
    if "stop_training" in attributes:
        return [value for name, value in attributes.items() if name not in OF_TRAINING]
    return attributes.values()


def _settings(owner: Any) -> Iterator[tuple[tuple[int, str], Any]]:
    at = id(owner)
    for name, value in vars(owner).items():
        if name in OF_TRAINING or (name[0] == "_" and name != "_trainable"):
            continue
        if type(value) is not _core.Tensor:
            yield (at, name), _setting(value)


def _all_settings(owner: Any) -> Iterator[tuple[tuple[int, str], Any]]:
    at = id(owner)
    if isinstance(owner, list | dict):
        # As one: a step that puts something in has made all of it state.
        yield (at, ""), tuple(map(_setting, _values(owner)))
    else:
        for name, value in vars(owner).items():
            yield (at, name), _setting(value)


def _setting(value: Any) -> Any:
    kind = type(value)
    if kind in PLAIN or (kind is tuple and all(type(item) in PLAIN for item in value)):
        return kind, value
    return id(value)


def _owners(model: Any) -> Iterator[Any]:
    for layer in model._flatten_layers():
        yield layer
        for _, part in parts_of(layer):
            yield part


def parts_of(layer: Any) -> Iterator[tuple[str, Any]]:
    """Regularizers and the like, which a user may also have made, by attribute."""
    for name, value in vars(layer).items():
        if type(value) not in PLAIN and name[0] != "_" and _is_part(value):
            yield name, value


def of_compile(model: Any) -> Iterator[Any]:
    """The losses and metrics of `compile`."""
    compiled = model.__dict__.get("_compiled")
    if compiled is not None and compiled.loss is not None:
        yield from (loss for loss in tree.flatten(compiled.loss.loss) if loss is not None)
    if compiled is not None and compiled.metrics is not None:
        yield from compiled.metrics.objects


def held(parts: Iterable[Any]) -> Iterator[Any]:
    """The parts and what they hold, each once."""
    known: set[int] = set()
    waiting = list(parts)
    while waiting:
        part = waiting.pop()
        if id(part) not in known:
            known.add(id(part))
            yield part
            waiting.extend(
                value for value in _values(part) if type(value) in (dict, list) or _is_part(value)
            )


def _is_part(value: Any) -> bool:
    return (
        hasattr(value, "get_config")
        and hasattr(value, "__dict__")
        and not hasattr(value, "_flatten_layers")
        and not isinstance(value, (type, SeedGenerator))
    )
