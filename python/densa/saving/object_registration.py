"""Names under which custom classes and functions are found again when a file is read."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

from densa._names import hinted

T = TypeVar("T")

_objects: dict[str, Any] = {}
_names: dict[Any, str] = {}


class _Local(threading.local):
    def __init__(self) -> None:
        self.scopes: list[Mapping[str, Any]] = []


_local = _Local()


@hinted
def register_keras_serializable(
    package: str = "Custom", name: str | None = None
) -> Callable[[T], T]:
    """Give a class or function a name under which saved models find it.

    Args:
        package: first part of the name.
        name: second part; None means the object's own name.

    Returns:
        A decorator that leaves the object unchanged.

    Raises:
        ValueError: for a class without `get_config`, or something that is neither.

    Example:
        >>> @densa.saving.register_keras_serializable(package="my")
        ... def twice(x):
        ...     return 2 * x
    """

    def decorator(target: T) -> T:
        if not callable(target):
            raise ValueError(f"Only classes and functions can be registered; got {target!r}.")
        if isinstance(target, type) and not hasattr(target, "get_config"):
            raise ValueError(
                f"Cannot register the class {target.__name__}: it does not have a get_config() "
                "method."
            )
        full = f"{package}>{name or getattr(target, '__name__', '')}"
        _objects[full] = target
        _names[target] = full
        return target

    return decorator


@hinted
def get_registered_name(obj: Any) -> str:
    """Return the registered name of a class or function, or its own name.

    Example:
        >>> densa.saving.get_registered_name(densa.layers.Dense)
        'Dense'
    """
    found = _registered(obj)
    return found if found is not None else str(getattr(obj, "__name__", obj))


def _registered(obj: Any) -> str | None:
    try:
        return _names.get(obj)
    except TypeError:  # not hashable
        return None


def registered_name_or_none(obj: Any) -> str | None:
    """Return the name a class or function was registered with, None if it was not."""
    return _registered(obj)


@hinted
def get_registered_object(
    name: str,
    custom_objects: Mapping[str, Any] | None = None,
    module_objects: Mapping[str, Any] | None = None,
) -> Any:
    """Return what goes by a name: open scopes first, then the arguments, then the registry.

    Returns:
        The class or function; None if the name is unknown.

    Example:
        >>> densa.saving.get_registered_object("nobody>here") is None
        True
    """
    for objects in (custom_objects, module_objects):
        _check_objects(objects)
    for scope in reversed(_local.scopes):
        if name in scope:
            return scope[name]
    for table in (custom_objects, _objects, module_objects):
        if table and name in table:
            return table[name]
    return None


def _check_objects(given: Any) -> None:
    if given is not None and not isinstance(given, Mapping):
        raise TypeError(
            "custom_objects must be a dictionary of classes and functions by name; received "
            f"{given!r} of type {type(given).__name__}."
        )


def get_custom_objects() -> dict[str, Any]:
    """Return the table of registered names, open to change.

    Example:
        >>> isinstance(densa.saving.get_custom_objects(), dict)
        True
    """
    return _objects


def name_in_scope(obj: Any) -> str | None:
    """Return the name that an open `custom_object_scope` gives to a class or function."""
    for scope in reversed(_local.scopes):
        for name, value in scope.items():
            if value is obj:
                return str(name)
    return None


@contextmanager
def custom_object_scope(custom_objects: Mapping[str, Any]) -> Iterator[None]:
    """Make names known while the `with` block runs.

    Args:
        custom_objects: name to class or function.

    Example:
        >>> with densa.saving.custom_object_scope({"Thing": dict}):
        ...     densa.saving.get_registered_object("Thing").__name__
        'dict'
    """
    _check_objects(custom_objects)
    _local.scopes.append(dict(custom_objects or {}))
    try:
        yield
    finally:
        _local.scopes.pop()


# Keras' other name for the same thing.
CustomObjectScope = custom_object_scope
