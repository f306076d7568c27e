"""What a training changes on the parts of a model beside its weights, a rate of dropout say.

A model is made again by its user, so that only what has changed since `fit` began is kept. Of
densa's own layers, losses, metrics, penalties and optimizers these are public attributes that are
numbers, texts or tuples of them, and `trainable`; of users' own classes all that `object_state` can
keep, arrays and random generators among it.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Iterator, Mapping
from typing import Any

from densa import _core
from densa.layers._tracking import PLAIN, Tracked
from densa.random import SeedGenerator
from densa.saving.serialization import is_builtin
from densa.training.settings import OF_TRAINING, held, of_compile, parts_of
from densa.variables import Variable

from . import object_state

_FLAGS = "trainable variables"
_NONE: dict[str, Any] = {}


class Attributes:
    """The attributes of a model's parts when a training begins.

    Args:
        model: The model, compiled; parts that its first batch makes are not among them.
    """

    def __init__(self, model: Any) -> None:
        self._parts = dict(_parts(model))
        self._began = {key: dict(_kept(part)) for key, part in self._parts.items()}
        self._others = {key: dict(_others(part)) for key, part in self._parts.items()}
        self._variables = list(model.variables)
        self._trained = [bool(variable.trainable) for variable in self._variables]

    def changes(self) -> dict[str, Any]:
        """What has changed since, as data for `restore`."""
        out: dict[str, Any] = {}
        for key, part in self._parts.items():
            began = self._began[key]
            changed = {
                name: packed
                for name, (mark, packed) in _kept(part).items()
                if name not in began or not object_state.is_same(began[name][0], mark)
            }
            if changed:
                out[key] = changed
        trained = [bool(variable.trainable) for variable in self._variables]
        if trained != self._trained:
            out[_FLAGS] = trained
        return out

    def restore(self, changes: Mapping[str, Any]) -> None:
        """Makes the attributes what they were when `changes` was read, in this or another model.

        Args:
            changes: What `changes` gave for a model made alike.
        """
        for key, part in self._parts.items():
            changed, now = changes.get(key, _NONE), _kept(part)
            for name, (mark, packed) in self._began[key].items():
                if name in changed or name not in now:
                    continue
                if not object_state.is_same(now[name][0], mark):
                    _set(part, name, packed)
            for name, packed in changed.items():
                _set(part, name, packed)
        trained = changes.get(_FLAGS, self._trained)
        if len(trained) == len(self._variables):
            for variable, value in zip(self._variables, trained, strict=True):
                if bool(variable.trainable) is not value:
                    variable.trainable = value

    def unkept(self) -> list[str]:
        """Attributes that have become another object, which cannot be kept."""
        return [
            f"{type(part).__name__}.{name}"
            for key, part in self._parts.items()
            for name, value in _others(part).items()
            if (before := self._others[key].get(name)) is not None
            and before is not value
            and not isinstance(value, Variable)
        ]


def _parts(model: Any) -> Iterator[tuple[str, Any]]:
    for number, layer in enumerate(model._flatten_layers()):
        yield f"layer {number}", layer
        for name, part in parts_of(layer):
            yield f"layer {number} {name}", part
    optimizer = model.optimizer
    yield "optimizer", optimizer
    inner = vars(optimizer).get("inner_optimizer")
    if inner is not None:
        yield "inner optimizer", inner
    for number, part in enumerate(held(of_compile(model))):
        if hasattr(part, "__dict__"):
            yield f"compiled {number}", part


def _kept(part: Any) -> dict[str, tuple[Any, Any]]:
    """The attributes that can be kept, each with what tells whether it has changed, and packed."""
    own, skip, out = is_builtin(type(part)), _bookkeeping(part), {}
    for name, value in vars(part).items():
        kind = type(value)
        if kind in PLAIN or (kind is tuple and all(type(item) in PLAIN for item in value)):
            if name not in skip and not (own and name[0] == "_" and name != "_trainable"):
                out[name] = repr(value), value  # NaN is NaN, 1 is not True
        elif not own and name not in skip and not _is_tracked(value):
            packed = object_state.pack(value)
            if packed is not None:
                out[name] = object_state.mark(value, packed[0])
    return out


def _set(part: Any, name: str, packed: Any) -> None:
    value = object_state.unpack(copy.deepcopy(packed), vars(part).get(name))
    if name == "_trainable":  # the property would reach the layers inside
        part._trainable = value
    elif value is not vars(part).get(name, _NONE):
        setattr(part, name, value)


def _others(part: Any) -> dict[str, Any]:
    """Public attributes that are objects: functions, schedules, penalties."""
    skip = _bookkeeping(part)
    return {
        name: value
        for name, value in vars(part).items()
        if name == "_learning_rate"
        or (
            (name[0] != "_" and name not in skip and not _is_tracked(value))
            and (callable(value) or hasattr(value, "get_config"))
        )
    }


def _is_tracked(value: Any) -> bool:
    # Kept with the weights and the layers' random numbers; or in a list or dict of such.
    if isinstance(value, list | tuple | dict):
        items = value.values() if isinstance(value, dict) else value
        return any(_is_tracked(item) for item in items)
    return isinstance(value, (Variable, Tracked, SeedGenerator)) or (
        isinstance(value, _core.Tensor) and bool(value.is_symbolic)
    )


def _bookkeeping(part: Any) -> frozenset[str]:
    """Attributes that densa's own code keeps on layers, models and optimizers."""
    if hasattr(part, "_flatten_layers"):
        return _of_layers()
    return _of_optimizers() if hasattr(part, "slot_names") else frozenset()


@functools.cache
def _of_layers() -> frozenset[str]:
    from densa.layers import Layer
    from densa.models import Model, Sequential

    made = (Layer(name="layer"), Model(name="model"), Sequential(name="sequential"))
    return (frozenset[str]().union(*map(vars, made)) | OF_TRAINING) - {"_trainable"}


@functools.cache
def _of_optimizers() -> frozenset[str]:
    from densa.optimizers import Optimizer

    private = {name for name in vars(Optimizer(name="optimizer")) if name[0] == "_"}
    return frozenset((*private, "built", "keep_gradients", "last_gradients", "name", "report"))
