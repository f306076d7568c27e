"""Plain Python data with arrays as JSON and tensors, and back: no code is run by reading it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

_MARK = "__densa__"


def is_plain(value: Any) -> bool:
    """Whether `encode` takes a value."""
    if isinstance(value, dict):
        return all(type(k) is str and is_plain(v) for k, v in value.items())
    if type(value) in (list, tuple):
        return all(map(is_plain, value))
    if isinstance(value, np.ndarray):
        return value.dtype.kind in "biuf"
    if isinstance(value, np.generic):
        return value.dtype.kind in "biuf"
    return value is None or type(value) in (bool, int, float, str)


def encode(value: Any, tensors: dict[str, Any], name: str) -> Any:
    """The value as JSON can hold it; arrays go into `tensors`.

    Args:
        value: None, numbers, texts, arrays, and lists, tuples and dictionaries of these.
        tensors: What arrays are added to.
        name: What they are called there, and the value in errors.

    Raises:
        TypeError: It is, or holds, something else.
    """
    if value is None or type(value) in (bool, int, str):
        return value
    if type(value) is float:
        return value if math.isfinite(value) else {_MARK: "float", "value": repr(value)}
    if type(value) is list:
        return [encode(v, tensors, f"{name}/{i}") for i, v in enumerate(value)]
    if type(value) is tuple:
        items = [encode(v, tensors, f"{name}/{i}") for i, v in enumerate(value)]
        return {_MARK: "tuple", "value": items}
    if isinstance(value, Mapping) and all(isinstance(k, str) for k in value):
        return {str(k): encode(v, tensors, f"{name}/{k}") for k, v in value.items()}
    if isinstance(value, np.ndarray | np.generic) and value.dtype.kind in "biuf":
        tensors[name] = np.asarray(value)
        return {_MARK: "array" if isinstance(value, np.ndarray) else "number", "value": name}
    raise TypeError(
        f"{name} cannot be kept in a file: {type(value).__name__} is neither a number, a text, an "
        "array, nor a list, tuple or dictionary of these."
    )


def decode(value: Any, tensors: Mapping[str, Any]) -> Any:
    """The value that `encode` was given."""
    if isinstance(value, list):
        return [decode(v, tensors) for v in value]
    if not isinstance(value, dict):
        return value
    kind = value.get(_MARK)
    if kind is None:
        return {k: decode(v, tensors) for k, v in value.items()}
    inner = value["value"]
    if kind == "float":
        return float(inner)
    if kind == "tuple":
        return tuple(decode(v, tensors) for v in inner)
    array = np.array(tensors[inner])
    return array if kind == "array" else array[()]


def share(data: Any, own: dict[str, Any], tensors: dict[str, Any]) -> Any:
    """Add arrays to those of a file; one that is there already, bit for bit, is not added.

    Args:
        data: what `encode` made, with the arrays' names.
        own: its arrays by name.
        tensors: the file's.

    Returns:
        The data with the names in the file.
    """
    import hashlib  # slow to load

    def digest(array: Any) -> Any:
        data: Any = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
        return array.dtype, array.shape, hashlib.blake2b(data).digest()

    known: dict[Any, str] = {}
    shapes = {(array.dtype, array.shape) for array in own.values()}
    for name, array in tensors.items():
        if (array.dtype, array.shape) in shapes:
            known.setdefault(digest(array), name)
    renamed = {}
    for name, array in own.items():
        renamed[name] = known.setdefault(digest(array), name)
        if renamed[name] == name:
            tensors[name] = array
    return _with_names(data, renamed)


def _with_names(data: Any, names: dict[str, str]) -> Any:
    if isinstance(data, list):
        return [_with_names(item, names) for item in data]
    if not isinstance(data, dict):
        return data
    if data.get(_MARK) in ("array", "number"):
        return {**data, "value": names[data["value"]]}
    return {key: _with_names(value, names) for key, value in data.items()}


def names_in(data: Any) -> set[str]:
    """Return the names of the arrays in what `encode` made; ValueError where one is no text."""
    if isinstance(data, list):
        return set().union(*map(names_in, data))
    if not isinstance(data, dict):
        return set()
    if data.get(_MARK) in ("array", "number"):
        if not isinstance(data.get("value"), str):
            raise ValueError("a name of an array is no text")
        return {data["value"]}
    return set().union(*map(names_in, data.values()))
