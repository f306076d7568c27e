"""`from_keras`: a Keras 3 model as a densa model.

Keras describes its models as plain data in a form that densa reads too: the configuration is
translated where the two differ, then the weights are copied by the names of layers and variables.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from densa import ops
from densa._names import hinted
from densa._symbolic import get_item
from densa.layers import Normalization
from densa.models import Model, Sequential
from densa.saving.serialization import find_class


@hinted
def from_keras(model: Any) -> Model:
    """Return a Sequential or functional model of Keras 3 as a densa model with the same weights.

    Layers, shared layers, nested models, functions of `keras.ops`, regularizers, constraints and
    `trainable` carry over; how the model was compiled does not.

    Args:
        model: a Keras model that is built.

    Returns:
        A Sequential or functional Model with the names of layers that the Keras model has.

    Raises:
        ImportError: if Keras is not installed.
        TypeError: if it is no Keras model.
        ValueError: if the model is not built, is a subclass with a call of its own, or has a layer,
            op or argument that densa does not have; the message names it.

    Example:
        >>> import keras
        >>> theirs = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
        >>> densa.convert.from_keras(theirs).count_params()
        10
    """
    try:
        import keras
    except ImportError as error:
        raise ImportError(
            f"densa.convert.from_keras needs Keras 3 ({error}); install it with: "
            'pip install "densa[keras]"'
        ) from error
    if not isinstance(model, keras.Model):
        raise TypeError(f"from_keras takes a keras.Model; received {type(model).__name__}.")
    ours = _cls(model)
    if not model.built:
        raise ValueError(
            f"The Keras model {model.name!r} is not built; call it on data or give it an Input."
        )
    made: Model = ours.from_config(_translate(model.get_config(), model))
    if not made.built:
        made.build(_input_shape(model))
    _copy_weights(model, made)
    return made


def _cls(model: Any) -> Any:
    import keras

    if isinstance(model, keras.Sequential):
        return Sequential
    if type(model).__name__ == "Functional" and type(model).__module__.startswith("keras."):
        return Model
    raise ValueError(
        f"The Keras model {model.name!r} is a subclass, {type(model).__name__}, whose call is "
        "code; only Sequential and functional models can be converted."
    )


def _input_shape(model: Any) -> Any:
    return tuple(model.input_shape)


# ---- the configuration ---------------------------------------------------------------------------


def _translate(config: Any, model: Any) -> dict[str, Any]:
    """Return a Keras model's configuration as densa's."""
    parts = {layer.name: layer for layer in model.layers}
    masks = any(_makes_mask(data) for data in config["layers"])
    items = [_layer(data, parts, masks) for data in config["layers"]]
    return {**config, "layers": items}


def _makes_mask(data: Any) -> bool:
    return data["class_name"] == "Masking" or bool(data["config"].get("mask_zero"))


def _layer(data: Any, parts: Mapping[str, Any], masks: bool) -> dict[str, Any]:
    """Translate one layer, nested model or op; of a model some of whose layers make masks."""
    module, name = str(data.get("module")), data["config"]["name"]
    if module.startswith("keras.src.ops"):
        return _operation(data)
    theirs = parts.get(name)
    inner = data["config"]
    if "inbound_nodes" in data:
        # Keras writes down the masks that it hands on by itself, and so does densa hand them on.
        by_itself = masks and data["class_name"] != "Softmax"
        uses = [
            {**u, "kwargs": _without_mask(u["kwargs"], by_itself)} for u in data["inbound_nodes"]
        ]
        data = {**data, "inbound_nodes": uses}
    if hasattr(theirs, "layers"):
        kind = _cls(theirs).__name__
        return {**data, "module": "densa", "class_name": kind, "config": _translate(inner, theirs)}
    if data["class_name"] == "Lambda":
        raise ValueError(
            f"Layer {name!r} of the Keras model is a Lambda, which holds code; write it with a "
            "registered layer."
        )
    place = f"Layer {name!r} of the Keras model"
    return {**data, "config": _arguments(_find(data, place), inner, type(theirs), place)}


def _without_mask(kwargs: Mapping[str, Any], by_itself: bool) -> dict[str, Any]:
    keep = kwargs.get("mask") is not None and not by_itself
    return {k: v for k, v in kwargs.items() if keep or k != "mask"}


def _find(data: Mapping[str, Any], place: str) -> Any:
    try:
        return find_class(data)
    except ValueError as error:
        raise ValueError(f"{place} has a {data['class_name']}: {error}") from error


def _object(x: Any, place: str) -> Any:
    """Translate what a layer's configuration holds: initializers, regularizers, activations."""
    if isinstance(x, (list, tuple)):
        return [_object(v, place) for v in x]
    if not isinstance(x, Mapping):
        return x
    is_object = str(x.get("module")).split(".")[0] == "keras" and x.get("class_name") != "function"
    if not is_object or not isinstance(x.get("config"), Mapping):
        return {k: _object(v, place) for k, v in x.items()}
    return {**x, "config": _arguments(_find(x, place), x["config"], None, place)}


def _arguments(cls: Any, config: Mapping[str, Any], theirs: Any, place: str) -> dict[str, Any]:
    """Drop arguments that densa's class does not take; ValueError unless they are the default."""
    known = _parameters(cls)
    out = {}
    for key, value in config.items():
        if key in known:
            out[key] = _object(value, place)
        elif not _is_default(theirs, key, value):
            raise ValueError(
                f"{place} has {key}={value!r}, which densa's {cls.__name__} does not take."
            )
    return out


def _parameters(cls: Any) -> set[str]:
    names = {"name", "trainable", "dtype", "activity_regularizer", "autocast"}
    for base in cls.__mro__:
        if "__init__" in base.__dict__:
            names.update(inspect.signature(base.__init__).parameters)
    return names - {"self", "args", "kwargs"}


def _is_default(cls: Any, key: str, value: Any) -> bool:
    if value is None or value is False:
        return True
    for base in getattr(cls, "__mro__", ()):
        if "__init__" in base.__dict__:
            parameter = inspect.signature(base.__init__).parameters.get(key)
            if parameter is not None:
                return bool(parameter.default == value)
    return False


def _operation(data: Mapping[str, Any]) -> dict[str, Any]:
    """Translate an op of keras.ops: its arguments move into its uses."""
    kind, config = data["class_name"], dict(data["config"])
    name = config.pop("name")
    snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", kind).lower()
    function = get_item if snake == "get_item" else getattr(ops, snake, None)
    if function is None or not hasattr(function, "__wrapped__"):
        raise ValueError(f"densa has no counterpart of keras.ops' {kind} (op {name!r}).")
    plain = function.__wrapped__
    known = inspect.signature(plain).parameters
    given = {k: v for k, v in config.items() if k in known}
    lost = [k for k, v in config.items() if k not in known and v not in (None, False)]
    if lost:
        raise ValueError(
            f"Op {name!r} of the Keras model, {kind}, has {lost[0]}={config[lost[0]]!r}, which "
            f"densa.ops.{snake} does not have."
        )
    uses = [
        {**use, "kwargs": {**_free(given, use, known), **use["kwargs"]}}
        for use in data["inbound_nodes"]
    ]
    return {
        "module": plain.__module__,
        "class_name": "Operation",
        "config": {"name": name, "function": plain.__name__},
        "registered_name": None,
        "name": name,
        "inbound_nodes": uses,
    }


def _free(given: dict[str, Any], use: Mapping[str, Any], known: Any) -> dict[str, Any]:
    """Return the op's own arguments but those that a use gives by position."""
    placed = list(known)[: len(use["args"])]
    return {k: v for k, v in given.items() if k not in placed}


# ---- weights -------------------------------------------------------------------------------------


def _copy_weights(theirs: Any, ours: Any) -> None:
    for layer in theirs.layers:
        if not layer.weights:
            continue
        mine = ours.get_layer(layer.name)
        if hasattr(layer, "layers"):
            _copy_weights(layer, mine)
            continue
        arrays = {w.name: _array(w) for w in layer.weights}
        if isinstance(mine, Normalization):
            arrays.pop("count", None)  # of old files, and nothing reads it
        names = {w.name for w in mine.weights}
        if names != set(arrays):
            raise ValueError(
                f"Layer {layer.name!r} has the weights {sorted(arrays)} in Keras and "
                f"{sorted(names)} in densa."
            )
        mine.set_weights([arrays[w.name] for w in mine.weights])


def _array(weight: Any) -> Any:
    from keras import ops as keras_ops

    return np.asarray(keras_ops.convert_to_numpy(weight))
