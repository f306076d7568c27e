"""Whole models and weights to files and back."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np

from densa._names import hinted, refuse_more
from densa._numbers import path_of
from densa.random import OrdersOfModel
from densa.saving.file_format import VERSION, read_file, strict_json, to_json, write_file
from densa.saving.model_optimizers import (
    ALL,
    build_for,
    other_optimizers,
    set_states_of_others,
    states_of_others,
    variables_of,
)
from densa.saving.model_state import (
    generator_states,
    is_ended,
    is_history,
    set_ended,
    set_generator_states,
    set_history,
    state_of_ended,
    state_of_history,
    state_of_orders,
    steps_trained,
)
from densa.saving.object_registration import custom_object_scope
from densa.saving.plain_data import decode, encode, names_in, share
from densa.saving.serialization import (
    deserialize_keras_object,
    making_with_sharing,
    serialize_with_sharing,
)

_SUFFIX = ".densa"
_WEIGHTS_SUFFIX = ".weights.densa"


def save_model(model: Any, filepath: Any, overwrite: bool = True, **kwargs: Any) -> None:
    """Save a model's configuration, weights, optimizer state and random state in one file.

    A loaded model goes on as this one would: after `fit(..., epochs=2)`, `fit(..., initial_epoch=2,
    epochs=4)` gives the bits that `fit(..., epochs=4)` gives, with the orders of shuffled rows and
    the masks of dropout. A file that is written within an epoch goes on with the next one's order;
    `densa.callbacks.BackupAndRestore` goes on within it. The `History` of the last `fit` comes
    along, as `model.history`. Where the end of `fit` has put averages into the weights (`use_ema`),
    the file holds the trained weights beside them, to go on from.

    What callbacks know begins anew in every `fit`. A file that is written while `fit` runs, as by
    `ModelCheckpoint`, and one that is given `callbacks` holds their states, too, the global random
    numbers, and weights that a callback has replaced at the end of `fit`. `load_model(path,
    callbacks=[...])`, given callbacks made alike, goes on with them: `fit(..., initial_epoch=n)`
    with the same objects ends with the bits and the history of one `fit`. Within an epoch, and with
    data that has a state of its own, backups alone go on.

    Args:
        model: the model.
        filepath: a path ending in `.densa`.
        overwrite: False refuses to replace a file.
        callbacks: callbacks whose states are kept. None: those of the `fit` that is running; where
            a state is no data that a file can hold, `load_model` with callbacks says so.
        include_optimizer: False leaves the optimizer's state out.
        zipped: accepted for Keras; None or True, since the model is always one file.

    Raises:
        ValueError: for another ending, or a model that data cannot describe.
        FileExistsError: if the file exists and overwrite is False.
        TypeError: for something that is no model, and a callback whose state no file can hold.

    Example:
        >>> import tempfile, os
        >>> model = densa.Sequential([densa.Input((1,)), densa.layers.Dense(1)])
        >>> model.compile("sgd", "mse")
        >>> x = np.ones((8, 1), "float32")
        >>> stop = [densa.callbacks.EarlyStopping("loss", patience=3)]
        >>> history = model.fit(x, x, epochs=2, callbacks=stop, verbose=0)
        >>> path = os.path.join(tempfile.mkdtemp(), "model.densa")
        >>> densa.saving.save_model(model, path, callbacks=stop)
        >>> stop = [densa.callbacks.EarlyStopping("loss", patience=3)]
        >>> model = densa.saving.load_model(path, callbacks=stop)
        >>> model.fit(x, x, epochs=4, initial_epoch=2, callbacks=stop, verbose=0).epoch
        [0, 1, 2, 3]
    """
    include_optimizer = kwargs.pop("include_optimizer", True)
    callbacks = kwargs.pop("callbacks", None)
    if kwargs.pop("zipped", None) not in (None, True):
        raise ValueError("densa writes a model as one file; leave zipped=False out.")
    refuse_more(save_model, kwargs)
    if not hasattr(model, "weights"):
        raise TypeError(
            f"save_model: expected a model, then the file; received {model!r} of type "
            f"{type(model).__name__}."
        )
    from densa.training.going_on import state_of_training

    path = _path(filepath, _SUFFIX, overwrite)
    data = serialize_with_sharing(model)
    keys, tensors = _weight_arrays(model)
    optimizer = getattr(model, "optimizer", None) if include_optimizer else None
    state: dict[str, Any] = {
        "weights": keys,
        "generators": generator_states(model),
        "steps_trained": steps_trained(model),
        "orders": state_of_orders(model),
        "history": state_of_history(model),
    }
    if optimizer is not None and getattr(optimizer, "built", False):
        store: dict[str, Any] = {}
        optimizer.save_own_variables(store)
        state["optimizer"] = {k: _unused(f"optimizer/{k}", tensors) for k in store}
        tensors.update({state["optimizer"][k]: np.asarray(v) for k, v in store.items()})
        state["optimizer_of"] = variables_of(model, optimizer)
        training = state_of_training(model, callbacks)
        state["ended"] = state_of_ended(model, tensors, callbacks_go_on=training is not None)
        if training is not None:
            arrays: dict[str, Any] = {}
            encoded = encode(training, arrays, "training")
            state["training"] = share(encoded, arrays, tensors)
        others: dict[str, Any] = {}
        state["optimizers"] = encode(states_of_others(model), others, "optimizers")
        tensors.update(others)
    elif callbacks is not None:
        raise ValueError(
            "save_model: the state of callbacks goes with that of an optimizer: compile and fit "
            "the model first, and do not leave the optimizer out."
        )
    metadata = {
        "kind": "model",
        "version": str(VERSION),
        "model": to_json(data),
        "state": to_json(state),
    }
    write_file(path, tensors, metadata)


@hinted
def load_model(
    filepath: Any,
    custom_objects: Mapping[str, Any] | None = None,
    compile: bool = True,  # Keras' name
    safe_mode: bool = True,
    *,
    callbacks: Any = None,
) -> Any:
    """Load a model that `model.save` wrote.

    What it was trained with goes on in its next `fit`, the orders of rows included, whatever else
    has drawn random numbers; `densa.utils.set_random_seed` called later gives it new orders.

    Args:
        filepath: the file.
        custom_objects: name to class or function, for what is neither densa's nor registered.
        compile: whether to compile it as it was, with the optimizer's state.
        safe_mode: accepted for Keras; a file never runs code.
        callbacks: callbacks that go on with the next `fit`, where those of the file were: of the
            same classes in the same order, made with the same settings. It must be given the same
            objects. None: callbacks begin anew, as in every `fit`.

    Returns:
        The model.

    Raises:
        ValueError: if the file is not whole, is of another kind, or names an unknown class; if it
            holds no states of callbacks, or those of others.

    Example:
        >>> import tempfile, os
        >>> model = densa.Sequential([densa.Input((2,)), densa.layers.Dense(1)])
        >>> path = os.path.join(tempfile.mkdtemp(), "model.densa")
        >>> model.save(path)
        >>> densa.models.load_model(path).count_params()
        3
    """
    path = path_of("`filepath`", filepath)
    if not os.path.exists(path):
        raise ValueError(f"File not found: filepath={path}. Please ensure the file is there.")
    if not path.endswith(_SUFFIX):
        raise ValueError(
            f"File format not supported: filepath={path}. densa reads `{_SUFFIX}` files, written "
            "by model.save(); files of Keras must be converted first."
        )
    tensors, metadata = read_file(path)
    _check_kind(path, metadata, "model")
    try:
        data = strict_json(metadata["model"], "the model's description")
        state = strict_json(metadata["state"], "the state's description")
        keys, optimizer_keys = _check_state(state, tensors)
        if not isinstance(data, dict):
            raise ValueError("the model's description is not an object")
        going_on = None
        if callbacks is not None:
            going_on = _going_on(path, state.get("training"), tensors, callbacks, compile)
    except KeyError as error:
        raise ValueError(f"{path!r} lacks the entry {error} in its metadata.") from None
    except _Refused as error:
        raise ValueError(str(error)) from None
    except ValueError as error:
        raise ValueError(f"{path!r} cannot be read: {error}.") from None
    compiled = data.pop("compile_config", None)
    with custom_object_scope(custom_objects or {}), making_with_sharing():
        try:
            model = deserialize_keras_object(data)
        except (KeyError, IndexError, AttributeError) as error:
            raise ValueError(
                f"{path!r} does not describe a model that can be made again: "
                f"{type(error).__name__}: {error}."
            ) from error
        if not hasattr(model, "weights"):  # what save_model asks for, too
            raise ValueError(f"{path!r} describes {model!r}, not a model.")
        _assign(model, {k: tensors[k] for k in keys}, path)
        set_generator_states(model, state.get("generators"))
        if hasattr(model, "_steps_trained"):
            model._steps_trained = state.get("steps_trained")
        if hasattr(model, "_orders") and state.get("orders") is not None:
            model._orders = OrdersOfModel(state["orders"])
        set_history(model, state.get("history"))
        if compile and compiled:
            model.compile_from_config(compiled)
            optimizer = getattr(model, "optimizer", None)
            if optimizer is not None and optimizer_keys:
                build_for(model, optimizer, state.get("optimizer_of", ALL))
                _set_others(model, state.get("optimizers"), tensors)
                optimizer.load_own_variables({k: tensors[v] for k, v in optimizer_keys.items()})
                set_ended(model, state.get("ended"), tensors)
        if going_on is not None:
            model._going_on = going_on
    return model


def _set_others(model: Any, state: Any, tensors: Mapping[str, Any]) -> None:
    states = decode(state or {}, tensors)
    for key, optimizer in other_optimizers(model).items():
        if key in states:
            build_for(model, optimizer, states[key]["of"])
    set_states_of_others(model, states)


def _going_on(path: str, state: Any, tensors: Any, callbacks: Any, compile: bool) -> Any:
    from densa.training.going_on import GoingOn

    if state is None or not compile:
        raise _Refused(
            f"{path!r} holds no states of callbacks: ModelCheckpoint and save() within fit keep "
            "them, and save(path, callbacks=[...]) elsewhere. Load without `callbacks` to begin "
            "them anew."
            if compile
            else "load_model: callbacks go on with a compiled model; leave compile=False out."
        )
    try:
        decoded = decode(state, tensors)
        checked = (decoded["callbacks"], decoded["history"], decoded["random"], decoded["turn"])
        for entry in checked[0]:
            entry["kind"], entry["settings"].items(), entry["why"], entry["unkept"], entry["state"]
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ValueError(f"the states of callbacks are damaged ({error!r})") from None
    try:
        return GoingOn(path, decoded, callbacks)
    except ValueError as error:
        raise _Refused(str(error)) from None


class _Refused(ValueError):
    """What is wrong is said with the file's name already."""


def save_weights(model: Any, filepath: Any, overwrite: bool = True, **kwargs: Any) -> None:
    """Save the weights of a model or layer alone.

    Args:
        model: the model.
        filepath: a path ending in `.weights.densa`.
        overwrite: False refuses to replace a file.

    Raises:
        ValueError: for another ending, or a model that is not built.
    """
    path = _path(filepath, _WEIGHTS_SUFFIX, overwrite)
    keys, tensors = _weight_arrays(model)
    if not keys and not model.built:
        raise ValueError(
            f"Model '{model.name}' is not built and has no weights to save. Call it on data or "
            "call its build() first."
        )
    state = {"weights": keys, "generators": generator_states(model)}
    metadata = {"kind": "weights", "version": str(VERSION), "state": to_json(state)}
    write_file(path, tensors, metadata)


def load_weights(model: Any, filepath: Any, skip_mismatch: bool = False, **kwargs: Any) -> None:
    """Load the weights that `save_weights` or `save` wrote into a model or layer.

    Args:
        model: the model, built.
        filepath: the file.
        skip_mismatch: leave weights alone whose name or shape does not fit, with a warning.

    Raises:
        ValueError: if the file is not whole, or does not fit the model; nothing changes then.
    """
    refuse_more(load_weights, kwargs)
    path = path_of("`filepath`", filepath)
    if not os.path.exists(path):
        raise ValueError(f"File not found: filepath={path}. Please ensure the file is there.")
    tensors, metadata = read_file(path)
    _check_kind(path, metadata, "weights", "model")
    try:
        state = strict_json(metadata["state"], "the state's description")
        keys, _ = _check_state(state, tensors)
    except (KeyError, ValueError) as error:
        raise ValueError(f"{path!r} cannot be read: {error}.") from None
    if not model.built:
        raise ValueError(
            f"Model '{model.name}' is not built yet, so weights cannot be loaded into it. Call it "
            "on data or call its build() first."
        )
    _assign(model, {k: tensors[k] for k in keys}, path, skip_mismatch)


# ---- weights by path -----------------------------------------------------------------------------


def weight_keys(model: Any) -> dict[str, Any]:
    """Return the variables of a model by path; a path that comes again gets a number."""
    out: dict[str, Any] = {}
    for variable in model.weights:
        out[_unused(variable.path, out)] = variable
    return out


def _unused(name: str, taken: Mapping[str, Any]) -> str:
    unique, count = name, 2
    while unique in taken or unique == "__metadata__":
        unique = f"{name}#{count}"
        count += 1
    return unique


def _weight_arrays(model: Any) -> tuple[list[str], dict[str, Any]]:
    arrays = {key: variable.numpy() for key, variable in weight_keys(model).items()}
    return list(arrays), arrays


def _assign(model: Any, arrays: Mapping[str, Any], path: str, skip_mismatch: bool = False) -> None:
    """Give a model's variables their values: by path, or in order where the paths are others.

    Automatic names differ between two models made alike in one process, so paths may too; then
    number, order and last names must agree.
    """
    own = weight_keys(model)
    if set(own) != set(arrays):
        by_order = _match_in_order(own, arrays)
        if by_order is not None:
            arrays = by_order
        elif not skip_mismatch:
            missing = [k for k in own if k not in arrays]
            surplus = [k for k in arrays if k not in own]
            raise ValueError(
                f"The weights in {path!r} do not fit the model '{model.name}'"
                f"{'' if model.built else ' (which is not built)'}: the file has {len(arrays)}, "
                f"the model {len(own)}. Missing in the file: {missing[:5]}; unknown to the model: "
                f"{surplus[:5]}. Build the same architecture, or pass skip_mismatch=True."
            )
    chosen: list[tuple[Any, Any]] = []
    problems: list[str] = []
    for key, variable in own.items():
        array = arrays.get(key)
        if array is None:
            problems.append(f"{key} is not in the file")
        elif tuple(array.shape) != tuple(variable.shape):
            problems.append(
                f"{key} has shape {tuple(array.shape)} in the file and {tuple(variable.shape)} in "
                "the model"
            )
        else:
            chosen.append((variable, array))
    if problems and not skip_mismatch:
        raise ValueError(f"The weights in {path!r} do not fit: {'; '.join(problems[:5])}.")
    if problems:
        warnings.warn(f"Weights left as they were: {'; '.join(problems[:5])}.", stacklevel=3)
    for variable, array in chosen:
        variable.assign(np.array(array, dtype=str(variable.dtype)))


def _match_in_order(own: Mapping[str, Any], arrays: Mapping[str, Any]) -> dict[str, Any] | None:
    def last(key: str) -> str:
        name = key.split("#")[0].rpartition("/")[2]
        return "variable" if re.fullmatch(r"variable_\d+", name) else name

    if [last(key) for key in own] != [last(key) for key in arrays]:
        return None
    return dict(zip(own, arrays.values(), strict=True))


# ---- checks --------------------------------------------------------------------------------------


def _path(filepath: Any, suffix: str, overwrite: bool) -> str:
    path = path_of("`filepath`", filepath)
    if not isinstance(path, str) or not path.endswith(suffix):
        raise ValueError(
            f"The filename must end in `{suffix}`. Received: filepath={path}. densa writes its own "
            "format; it does not write `.keras` or `.h5`."
        )
    if os.path.isdir(path):
        raise IsADirectoryError(f"{path!r} is a folder; give the path of a file.")
    if not overwrite and os.path.exists(path):
        raise FileExistsError(f"{path!r} exists, and overwrite=False.")
    return path


def _check_kind(path: str, metadata: Mapping[str, str], *kinds: str) -> None:
    kind = metadata.get("kind", "unknown")
    if kind not in kinds:
        way = {
            "weights": "load it with model.load_weights(path)",
            "model": "load it with densa.models.load_model(path)",
            "predictor": "load it with densa.Predictor.load(path)",
        }.get(kind, "this version of densa has no loader for it")
        raise ValueError(f"{path!r} holds {kind!r}, not {' or '.join(kinds)}: {way}.")
    version = metadata.get("version", "")
    if not version.isdigit() or not 1 <= int(version) <= VERSION:
        raise ValueError(
            f"{path!r} is of version {version!r}; this densa reads versions up to {VERSION}. "
            "Install a newer densa to read it."
        )


def _check_state(state: Any, tensors: Mapping[str, Any]) -> tuple[list[str], dict[str, str]]:
    keys = state.get("weights") if isinstance(state, dict) else None
    if not isinstance(keys, list) or not all(isinstance(k, str) for k in keys):
        raise ValueError("the list of weights is missing")
    optimizer = state.get("optimizer", {})
    if not isinstance(optimizer, dict) or not all(isinstance(v, str) for v in optimizer.values()):
        raise ValueError("the list of the optimizer's tensors is damaged")
    ended = state.get("ended")
    if not is_ended(ended, tensors, [tensors[k].shape for k in keys if k in tensors]):
        raise ValueError("what the end of a training has replaced is damaged")
    listed = [*keys, *optimizer.values(), *(ended or {}).get("weights", {}).values()]
    others = names_in([state.get("training"), state.get("optimizers")])
    if len(set(listed)) != len(listed) or set(listed) | others != set(tensors):
        raise ValueError("its lists of weights do not name each tensor once")
    generators = state.get("generators", [])
    orders = state.get("orders")
    if not isinstance(generators, list) or not all(
        isinstance(g, list) and len(g) == 3 and all(type(n) is int for n in g)
        for g in (*generators, *([] if orders is None else [orders]))
    ):
        raise ValueError("the states of the random generators are damaged")
    if not is_history(state.get("history")):
        raise ValueError("the history is damaged")
    steps = state.get("steps_trained")
    if steps is not None and (type(steps) is not int or steps < 0):
        raise ValueError("the number of steps is damaged")
    return keys, optimizer
