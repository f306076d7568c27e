"""The state of a user's object, a callback or a dataset: what its attributes hold, and back.

Kept are numbers, texts, arrays, Variables, Tensors, random generators, and lists, tuples,
dictionaries, sets and deques of these. What `__init__` was given is made again by the user, so that
an argument is kept only where it has changed since `begin`.
"""

from __future__ import annotations

import collections
import copy
import functools
import inspect
import os
import random
import types
import zlib
from collections.abc import Iterable
from typing import Any

import numpy as np

from densa import _core
from densa.device import beside
from densa.random import SeedGenerator
from densa.variables import Variable

from .plain_data import is_plain

_MARK = "__state__"
_RECORD = "_as_it_began"
_LARGE = 1 << 20  # bytes; what is larger is kept only where it has changed
_NEW = object()  # an attribute that was not there
_FIXED = (
    type,
    types.ModuleType,
    types.FunctionType,
    types.BuiltinFunctionType,
    types.MethodType,
    functools.partial,
    os.PathLike,
)


def begin(thing: Any, large: bool = True) -> None:
    """Remembers an object's attributes as they are, to know later which ones have changed.

    Args:
        thing: The object.
        large: Whether arrays above 1 MB can change in place; they are read at each look then.
    """
    own = getattr(thing, "__dict__", None)
    if own is None:
        return
    own.pop(_RECORD, None)
    record: dict[str, Any] = {}
    for name, value in own.items():
        packed = pack(value)
        if packed is None:
            continue
        if _bytes(packed[0]) <= _LARGE:
            record[name] = _digest(packed[0]), copy.deepcopy(packed[0])
        else:
            record[name] = (_digest(packed[0]), None) if large else (value, None)
    own[_RECORD] = record


def mark(value: Any, packed: Any) -> tuple[Any, Any]:
    """What tells with `is_same` whether a value has changed, and a copy of the data of a small one.

    Large arrays are not read: they have changed where they are another object.
    """
    if _bytes(packed) > _LARGE:
        return [value], packed
    return (_digest(packed),), copy.deepcopy(packed)


def is_small(packed: Any) -> bool:
    """Tell whether the arrays in data are so small that copies are of no account."""
    return _bytes(packed) <= _LARGE


def is_same(mark: Any, other: Any) -> bool:
    """Tell whether two marks are of the same value."""
    if type(mark) is list or type(other) is list:
        return type(mark) is type(other) and mark[0] is other[0]
    return bool(mark == other)


def state_of(thing: Any, skip: Iterable[str] = ()) -> tuple[dict[str, Any], list[str]]:
    """An object's state for `restore`, and the names of the attributes that cannot be kept.

    Args:
        thing: The object.
        skip: Attributes that are no state of its own.

    Returns:
        The state by attribute, which `plain_data.encode` takes, and the names.
    """
    own = getattr(thing, "__dict__", None)
    if not own:  # a list of batches, a generator
        return {}, []
    record = own.get(_RECORD)
    arguments = inspect.signature(type(thing).__init__).parameters
    left_out = {_RECORD, *skip}
    state: dict[str, Any] = {}
    unkept: list[str] = []
    for name, value in own.items():
        if name in left_out or isinstance(value, np.memmap):
            continue
        packed = pack(value)
        if packed is None:
            if name not in arguments and not isinstance(value, _FIXED):
                unkept.append(name)
            continue
        given = name in arguments
        if record is None:
            keep = not given
        else:
            keep = not given and _bytes(packed[0]) <= _LARGE
            keep = keep or _changed(record.get(name, _NEW), value, packed[0])
        if keep:
            state[name] = packed[0]
    return state, unkept


def restore(thing: Any, state: dict[str, Any], whole: bool) -> None:
    """Gives an object's attributes what `state_of` found.

    Variables, random generators and dictionaries of a class of their own stay the same objects.

    Args:
        thing: The object.
        state: Its state.
        whole: Whether arguments of `__init__` that are not in it had not changed, so that they
            become as they began.
    """
    own = thing.__dict__
    arguments = inspect.signature(type(thing).__init__).parameters if whole else ()
    for name, (digest, value) in own.get(_RECORD, {}).items():
        if name in arguments and name not in state and value is not None and name in own:
            packed = pack(own[name])
            if packed is None or _digest(packed[0]) != digest:
                setattr(thing, name, unpack(copy.deepcopy(value), own[name]))
    for name, value in state.items():
        packed = pack(own[name]) if name in own else None
        # What is the same is left alone: some objects refuse to be changed.
        if packed is not None and _digest(packed[0]) == _digest(value):
            continue
        made = unpack(value, own.get(name))
        if name not in own or made is not own[name]:
            setattr(thing, name, made)


def _changed(began: Any, value: Any, packed: Any) -> bool:
    if began is _NEW:
        return True
    digest, _ = began
    return bool(_digest(packed) != digest) if type(digest) is int else value is not digest


def pack(value: Any) -> tuple[Any] | None:
    """A value as data, in a tuple, as None is a value; None: it cannot be kept."""
    if isinstance(value, np.memmap):
        return None
    if is_plain(value):
        return (value,)
    kind: str | None = None
    if isinstance(value, Variable):
        kind, value = "variable", np.array(value.numpy())
    elif isinstance(value, _core.Tensor):
        kind, value = "tensor", np.array(value.numpy())
    elif isinstance(value, SeedGenerator):
        kind, value = "seed generator", [value.seed, value.stream, value.count]
    elif isinstance(value, np.random.Generator):
        kind, value = "generator", value.bit_generator.state
    elif isinstance(value, np.random.RandomState):
        kind, value = "random state", value.get_state(legacy=False)
    elif type(value) is random.Random:
        kind, value = "random", value.getstate()
    elif type(value) is set:
        kind, value = "set", list(value)
    elif type(value) is collections.deque:
        kind, value = "deque", [list(value), value.maxlen]
    if kind is not None:
        return ({_MARK: kind, "value": value},) if is_plain(value) else None
    if type(value) in (list, tuple):
        items = [pack(item) for item in value]
        return None if None in items else (type(value)(item[0] for item in items if item),)
    if isinstance(value, dict) and is_plain(list(value)):
        pairs = [(key, pack(item)) for key, item in value.items()]
        found = [(key, item[0]) for key, item in pairs if item is not None]
        if len(found) == len(pairs):
            if all(type(key) is str for key in value):
                return (dict(found),)
            return ({_MARK: "dict", "value": [list(pair) for pair in found]},)
    return None


def unpack(packed: Any, present: Any) -> Any:
    """The value of data that `pack` made; what is there already stays the same object."""
    if type(packed) in (list, tuple):
        like = type(present) in (list, tuple) and len(present) == len(packed)
        now = present if like else [None] * len(packed)
        return type(packed)(unpack(p, n) for p, n in zip(packed, now, strict=True))
    if not isinstance(packed, dict):
        return packed
    pairs = packed.items()
    if _MARK in packed:
        if packed[_MARK] != "dict":
            return _remake(packed[_MARK], packed["value"], present)
        pairs = packed["value"]
    same = present if isinstance(present, dict) else {}
    made = {key: unpack(value, dict.get(same, key)) for key, value in pairs}
    if type(same) is dict:
        return made
    same.clear()
    same.update(made)
    return same


def _remake(kind: str, value: Any, present: Any) -> Any:
    if kind == "variable":
        if not isinstance(present, Variable):
            return Variable(value, dtype=str(value.dtype))
        present.assign(value)
    elif kind == "tensor":
        made = _core.to_tensor(value)
        return beside(made, present) if isinstance(present, _core.Tensor) else made
    elif kind == "set":
        return set(value)
    elif kind == "deque":
        return collections.deque(*value)
    elif kind == "seed generator":
        present = present if isinstance(present, SeedGenerator) else SeedGenerator(0)
        present.set_state(value)
    elif kind == "generator":
        other = not isinstance(present, np.random.Generator)
        if other or present.bit_generator.state["bit_generator"] != value["bit_generator"]:
            present = np.random.Generator(getattr(np.random, value["bit_generator"])())
        present.bit_generator.state = value
    elif kind == "random state":
        if not isinstance(present, np.random.RandomState):
            present = np.random.RandomState()
        present.set_state(value)
    else:
        present = present if type(present) is random.Random else random.Random()
        present.setstate(value)
    return present


def _bytes(packed: Any) -> int:
    if isinstance(packed, np.ndarray):
        return packed.nbytes
    if isinstance(packed, dict):
        packed = list(packed.values())
    return sum(map(_bytes, packed)) if isinstance(packed, list | tuple) else 8


def _digest(packed: Any, so_far: int = 0) -> int:
    if isinstance(packed, np.ndarray):
        head = f"{packed.dtype.str}{packed.shape}".encode()
        data: Any = np.ascontiguousarray(packed).reshape(-1).view(np.uint8)
        return zlib.crc32(data, zlib.crc32(head, so_far))
    if isinstance(packed, dict):
        packed = [part for pair in packed.items() for part in pair]
    if isinstance(packed, list | tuple):
        for item in packed:
            so_far = _digest(item, so_far)
        return zlib.crc32(f"{type(packed).__name__}{len(packed)}".encode(), so_far)
    return zlib.crc32(repr(packed).encode(), so_far)
