"""Objects to plain data and back, in Keras' form: module, class_name, config, registered_name.

Reading never imports a module named by the data: only classes of densa, registered ones and those
handed over in `custom_objects` can be made.
"""

from __future__ import annotations

import importlib
import math
import types
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from densa._names import hinted, nearest
from densa.config import DTypePolicy
from densa.saving.object_registration import (
    custom_object_scope,
    get_registered_object,
    name_in_scope,
    registered_name_or_none,
)

_PUBLIC = (
    "densa",
    "densa.activations",
    "densa.callbacks",
    "densa.constraints",
    "densa.initializers",
    "densa.layers",
    "densa.losses",
    "densa.metrics",
    "densa.models",
    "densa.optimizers",
    "densa.optimizers.schedules",
    "densa.random",
    "densa.regularizers",
)
_PLAIN = (str, int, float, bool, bytes, type(None))


class _Collector:
    """While set, custom classes and functions are gathered here under the names they get."""

    table: dict[str, Any] | None = None


@contextmanager
def collecting() -> Iterator[dict[str, Any]]:
    """Gather the custom objects that configurations name, to make them again in this process."""
    before = _Collector.table
    _Collector.table = {}
    try:
        yield _Collector.table
    finally:
        _Collector.table = before


def made_again(obj: Any, **changes: Any) -> Any:
    """A new object of the same configuration, but for `changes`, with this process's own functions
    and classes where it names some: nothing has to be registered."""
    with collecting() as table:
        config = obj.get_config()
    with custom_object_scope(table):
        return type(obj).from_config({**config, **changes})


class _Sharing:
    """While serializing: how often each object was met, and the number it gets. While making: what
    each number stands for."""

    met: dict[int, tuple[Any, int]] | None = None
    numbers: dict[int, int] | None = None
    made: dict[int, Any] | None = None


def serialize_with_sharing(obj: Any) -> Any:
    """`serialize_keras_object`; a layer that several models inside hold is numbered.

    Under `making_with_sharing` it is made once. Layers that one place alone holds get no number.
    """
    before = _Sharing.numbers
    try:
        data, _Sharing.numbers = _count_shared(obj)
        return serialize_keras_object(obj) if _Sharing.numbers else data
    finally:
        _Sharing.numbers = before


def _count_shared(obj: Any) -> tuple[Any, dict[int, int]]:
    """Return the data, and a number by id for each object that was met more than once."""
    before = _Sharing.met, _Sharing.numbers
    _Sharing.met, _Sharing.numbers = {}, None
    try:
        data = serialize_keras_object(obj)
        shared = [key for key, (_, times) in _Sharing.met.items() if times > 1]
        return data, {key: number for number, key in enumerate(shared)}
    finally:
        _Sharing.met, _Sharing.numbers = before


@contextmanager
def copying_with_sharing(obj: Any) -> Iterator[None]:
    """What is shared in `obj` is shared in copies made of its parts: see `copied_once`."""
    before = _Sharing.numbers
    if before is not None:  # within the copy of a whole
        yield
        return
    with collecting():
        _, _Sharing.numbers = _count_shared(obj)
    try:
        with making_with_sharing():
            yield
    finally:
        _Sharing.numbers = before


def copied_once(obj: Any, copy: Callable[[], Any]) -> Any:
    """Return the copy that was made of a shared object, or make it."""
    number, made = (_Sharing.numbers or {}).get(id(obj)), _Sharing.made
    if number is None or made is None:
        return copy()
    if number not in made:
        made[number] = copy()
    return made[number]


@contextmanager
def making_with_sharing() -> Iterator[None]:
    """Make what has the same number once."""
    before, _Sharing.made = _Sharing.made, {}
    try:
        yield
    finally:
        _Sharing.made = before


def public_module(module: str) -> str:
    """Return the public module of densa that a private one belongs to."""
    if module == "densa.config":
        return "densa"
    parts = module.split(".")
    if parts[:3] == ["densa", "optimizers", "schedules"] or (
        parts[:2] == ["densa", "optimizers"] and "schedule" in parts[-1]
    ):
        return "densa.optimizers.schedules"
    return ".".join(parts[:2])


def is_builtin(obj: Any) -> bool:
    """Tell whether a class or function is densa's own."""
    return str(getattr(obj, "__module__", "")).split(".")[0] == "densa"


@hinted
def serialize_keras_object(obj: Any) -> Any:
    """Turn an object into plain data that `deserialize_keras_object` understands.

    Args:
        obj: a layer, initializer, regularizer…, a registered function, an array, a number, or a
            list, tuple or dict of these.

    Returns:
        Plain data; objects become `{"module", "class_name", "config", "registered_name"}`.

    Raises:
        ValueError: for a lambda or function that is not registered.
        TypeError: for an object without `get_config`.

    Example:
        >>> densa.saving.serialize_keras_object(densa.initializers.Zeros())["class_name"]
        'Zeros'
    """
    if isinstance(obj, np.generic):
        obj = obj.item()
    if isinstance(obj, float) and not math.isfinite(obj):
        return {"class_name": "__float__", "config": str(obj)}
    if isinstance(obj, _PLAIN):
        return obj
    if isinstance(obj, (list, tuple)):
        items = [serialize_keras_object(x) for x in obj]
        return tuple(items) if isinstance(obj, tuple) else items
    if isinstance(obj, Mapping):
        return {str(k): serialize_keras_object(v) for k, v in obj.items()}
    if obj is Ellipsis:
        return {"class_name": "__ellipsis__", "config": {}}
    if isinstance(obj, slice):
        fields = {k: serialize_keras_object(getattr(obj, k)) for k in ("start", "stop", "step")}
        return {"class_name": "__slice__", "config": fields}
    if isinstance(obj, np.dtype):
        return obj.name
    if isinstance(obj, np.ndarray):
        return _array_config("__numpy__", obj)
    from densa import _core

    if isinstance(obj, (_core.Tensor, _core.Variable)):
        return _array_config("__tensor__", obj.numpy())
    if isinstance(obj, types.FunctionType):
        return _function_config(obj)
    if isinstance(obj, type):
        return {
            "class_name": "__type__",
            "config": {"module": obj.__module__, "name": _object_name(obj)},
        }
    if not hasattr(obj, "get_config"):
        raise TypeError(
            f"Cannot serialize {obj!r} of type {type(obj).__name__}: it has no get_config() "
            "method. Give its class get_config() and register it with "
            "@densa.saving.register_keras_serializable()."
        )
    return _object_config(obj)


def _array_config(kind: str, array: Any) -> dict[str, Any]:
    return {"class_name": kind, "config": {"value": array.tolist(), "dtype": array.dtype.name}}


def _object_config(obj: Any) -> dict[str, Any]:
    cls = type(obj)
    if _Sharing.met is not None and not isinstance(obj, DTypePolicy):  # policies are values
        # The object is kept with its id, lest another takes the id over.
        _Sharing.met[id(obj)] = (obj, _Sharing.met.get(id(obj), (obj, 0))[1] + 1)
    config = obj.get_config()
    out: dict[str, Any]
    if is_builtin(cls):
        name = getattr(obj, "_serialized_class_name", cls.__name__)
        out = {"module": public_module(cls.__module__), "class_name": name}
        registered = None
    else:
        out = {"module": cls.__module__, "class_name": cls.__name__}
        registered = _object_name(cls)
    out["config"] = serialize_keras_object(config)
    out["registered_name"] = registered
    build = getattr(obj, "get_build_config", None)
    if build is not None and (build_config := build()) is not None:
        out["build_config"] = serialize_keras_object(build_config)
    compiled = getattr(obj, "get_compile_config", None)
    if compiled is not None and (compile_config := compiled()) is not None:
        out["compile_config"] = serialize_keras_object(compile_config)
    number = (_Sharing.numbers or {}).get(id(obj))
    if number is not None:
        out["shared_object_id"] = number
    return out


def _object_name(obj: Any) -> str:
    """Return the name of a custom class or function; while collecting, remember it."""
    name = registered_name_or_none(obj) or name_in_scope(obj) or str(obj.__name__)
    if _Collector.table is not None and not is_builtin(obj):
        if _Collector.table.get(name, obj) is not obj or name == "<lambda>":
            name = f"{obj.__module__}>{obj.__qualname__}:{id(obj)}"
        _Collector.table[name] = obj
    return name


def _function_config(function: types.FunctionType) -> dict[str, Any]:
    known = is_nameable(function)
    if not known and function.__name__ == "<lambda>":
        raise ValueError(unregistered_function(function))
    module = "builtins"
    if is_builtin(function) and registered_name_or_none(function) is None:
        module = public_module(function.__module__)
    name = _object_name(function)
    return {"module": module, "class_name": "function", "config": name, "registered_name": name}


def is_nameable(function: Any) -> bool:
    """Tell whether a function will be found again by its name."""
    return (
        is_builtin(function)
        or _Collector.table is not None
        or registered_name_or_none(function) is not None
        or name_in_scope(function) is not None
    )


def unregistered_function(function: Any) -> str:
    """Return the words for a function that a file cannot name."""
    name = getattr(function, "__name__", str(function))
    what = "a lambda" if name == "<lambda>" else f"the function {name!r}"
    way = "Write it as a named function and decorate" if name == "<lambda>" else "Decorate"
    return (
        f"Cannot save {what}: a file holds data, never code, so it can only name functions that "
        f"are registered. {way} it with @densa.saving.register_keras_serializable(), or save and "
        "load inside densa.saving.custom_object_scope({'name': function})."
    )


def deserialize_keras_object(
    config: Any,
    custom_objects: Mapping[str, Any] | None = None,
    safe_mode: bool = True,
    **kwargs: Any,
) -> Any:
    """Make the object that `serialize_keras_object` described.

    Args:
        config: plain data.
        custom_objects: name to class or function, for what is neither densa's nor registered.
        safe_mode: accepted for Keras; densa never runs code from data.
        module_objects: name to object, for a config that is just a name.

    Returns:
        The object.

    Raises:
        ValueError: for a class or function that is not known.
        TypeError: for data that does not describe an object.

    Example:
        >>> data = densa.saving.serialize_keras_object(densa.initializers.Zeros())
        >>> type(densa.saving.deserialize_keras_object(data)).__name__
        'Zeros'
    """
    module_objects: Mapping[str, Any] | None = kwargs.pop("module_objects", None)
    if kwargs:
        raise TypeError(f"Unknown arguments: {sorted(kwargs)}.")
    if custom_objects:
        with custom_object_scope(custom_objects):
            return _deserialize(config, module_objects)
    return _deserialize(config, module_objects)


def _deserialize(config: Any, module_objects: Mapping[str, Any] | None = None) -> Any:
    if isinstance(config, str) and module_objects is not None:
        found = get_registered_object(config, module_objects=module_objects)
        return config if found is None else found
    if isinstance(config, _PLAIN):
        return config
    if isinstance(config, (list, tuple)):
        items = [_deserialize(x) for x in config]
        return tuple(items) if isinstance(config, tuple) else items
    if not isinstance(config, Mapping):
        raise TypeError(f"Cannot deserialize {config!r}: expected plain data.")
    if "class_name" not in config or "config" not in config:
        return {k: _deserialize(v) for k, v in config.items()}
    name, inner = config["class_name"], config["config"]
    if not isinstance(name, str):
        raise TypeError(f"`class_name` must be a string; got {name!r}.")
    if name.startswith("__"):
        return _special(name, inner)
    if name == "function":
        return _find_function(config)
    return _make(config, find_class(config), inner)


def _special(name: str, inner: Any) -> Any:
    if name == "__ellipsis__":
        return Ellipsis
    if name == "__float__":
        return float(inner)
    if name == "__slice__":
        return slice(*(_deserialize(inner[k]) for k in ("start", "stop", "step")))
    if name == "__numpy__":
        return np.array(inner["value"], dtype=inner["dtype"])
    if name == "__tensor__":
        from densa import _core

        return _core.to_tensor(np.array(inner["value"], dtype=inner["dtype"]))
    if name == "__type__":
        module = str(inner.get("module") or "")
        if get_registered_object(str(inner["name"])) is not None or public_name(module):
            return find_class({"class_name": str(inner["name"]), "module": module})
    raise ValueError(f"Cannot deserialize an object of kind {name!r}: {inner!r}.")


def _make(config: Mapping[str, Any], cls: Any, inner: Any) -> Any:
    if not hasattr(cls, "from_config"):
        raise TypeError(
            f"Unable to reconstruct an instance of {cls!r} because the class is missing a "
            "from_config() method."
        )
    if not isinstance(inner, Mapping):
        raise TypeError(f"The config of {config['class_name']} must be a dict; got {inner!r}.")
    number, made = config.get("shared_object_id"), _Sharing.made
    if made is not None and type(number) is int and isinstance(made.get(number), cls):
        return made[number]
    try:
        instance = cls.from_config(dict(inner))
    except TypeError as error:
        raise TypeError(
            f"{cls.__name__} could not be made from its config. Custom classes need a get_config() "
            f"that gives every argument of __init__ (and from_config() where arguments are "
            f"objects).\nconfig={dict(inner)}\nError: {error}"
        ) from error
    build = config.get("build_config")
    if build and hasattr(instance, "build_from_config") and not getattr(instance, "built", True):
        instance.build_from_config(_deserialize(build))
    compiled = config.get("compile_config")
    if compiled and hasattr(instance, "compile_from_config"):
        instance.compile_from_config(compiled)
    if made is not None and type(number) is int:
        made[number] = instance
    return instance


def find_class(config: Mapping[str, Any]) -> Any:
    """Return the class that a serialized object names; ValueError if it is not known."""
    name = config["class_name"]
    module = str(config.get("module") or "")
    registered = config.get("registered_name")
    for candidate in (registered, name):
        if isinstance(candidate, str):
            found = get_registered_object(candidate)
            if found is not None:
                return found
    if name == "FeatureSpace" and module in ("densa.utils", "keras.utils"):
        return _import("densa.utils").FeatureSpace  # no other class of utils is made from a file
    public = public_name(module)
    if public is not None:
        for place in dict.fromkeys((public, "densa.models", "densa.layers", "densa")):
            found = getattr(_import(place), name, None) if place in _PUBLIC else None
            if isinstance(found, type):
                return found
        raise ValueError(f"densa has no {public}.{name}.{nearest(name, _import(public).__all__)}")
    raise ValueError(
        f"Could not locate class '{name}' (module {module!r}). A file is data and is not allowed "
        "to import code: decorate the class with @densa.saving.register_keras_serializable() "
        "before it is saved, or pass it to custom_objects when loading: "
        f"custom_objects={{'{registered or name}': {name}}}."
    )


def public_name(module: str) -> str | None:
    """Return the densa module for a densa or Keras module; None for anybody else's."""
    root, _, rest = module.partition(".")
    if root == "keras":
        rest = rest.removeprefix("src.")
        module = f"densa.{rest}" if rest else "densa"
    elif root != "densa" and module:
        return None
    if not module:
        return "densa"
    module = public_module(module)
    return module if module in _PUBLIC else None


def _import(module: str) -> Any:
    return importlib.import_module(module)


def _find_function(config: Mapping[str, Any]) -> Any:
    name = config.get("registered_name") or config["config"]
    for candidate in (name, config["config"]):
        if isinstance(candidate, str):
            found = get_registered_object(candidate)
            if found is not None:
                return found
    public = public_name(str(config.get("module") or "builtins"))
    if public is not None:
        found = getattr(_import(public), str(config["config"]), None)
        if isinstance(found, types.FunctionType):
            return found
    raise ValueError(
        f"Could not locate function '{config['config']}'. Decorate it with "
        "@densa.saving.register_keras_serializable(), or pass it to custom_objects: "
        f"custom_objects={{'{name}': {config['config']}}}."
    )


def short_name(cls: type) -> str:
    """Return the lower-case name Keras accepts beside the class name."""
    from densa._scope import to_snake_case

    return to_snake_case(cls.__name__)
