"""The Open Inference Protocol v2 over REST: requests to arrays, arrays to answers.

JSON is JSON with three words more, as Triton and its clients use them: `NaN`, `Infinity` and
`-Infinity` are read as numbers, and an answer has them where an output does. Tensors may be binary
instead: they stand behind the JSON, little-endian and row by row.
"""

from __future__ import annotations

import functools
import importlib
import json
import math
import reprlib
from itertools import chain
from typing import Any, NamedTuple, NoReturn

import numpy as np

from .predictors import Array, Served, Tensor

__all__ = ["ProtocolError", "Request", "dumps", "encode", "loads", "parse"]

# Parameters that would change the answer; to ignore them would be to give a wrong one.
UNSUPPORTED = ("classification", "shared_memory_region")


class ProtocolError(Exception):
    """An answer that is an error: the HTTP status and what the client is told."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Request(NamedTuple):
    """A request that was checked: `outputs` are places in the model's, and whether as binary."""

    id: str | None
    arrays: list[Array]
    rows: int
    outputs: list[tuple[int, bool]]


@functools.cache
def _orjson() -> Any:
    """The faster library for JSON, or None where it is not installed."""
    try:
        return importlib.import_module("orjson")
    except ImportError:
        return None


def loads(text: bytes) -> Any:
    """What a JSON text says.

    Raises:
        ProtocolError: It is not JSON.
    """
    orjson = _orjson()
    try:
        if orjson is not None:
            try:
                return orjson.loads(text)
            except ValueError:
                if b"NaN" not in text and b"Infinity" not in text:  # words that orjson refuses
                    raise
        return json.loads(text.decode())
    except (ValueError, RecursionError) as error:
        _refuse(f"The request is not JSON: {error}.")


def dumps(value: Any) -> bytes:
    """JSON of a value without None in it, NaN and infinities as words."""
    orjson = _orjson()
    if orjson is not None:
        text: bytes = orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY)
        if b"null" not in text:  # what is not finite would be null
            return text
    return json.dumps(value, separators=(",", ":"), default=_plain).encode()


def _plain(value: Any) -> Any:
    return value.tolist()


def parse(body: bytes, header_length: int | None, model: Served, max_rows: int) -> Request:
    """Checks a request's body and gives its arrays in the order of the model's inputs.

    Args:
        body: The JSON, and the binary tensors behind it.
        header_length: Bytes of JSON, from `Inference-Header-Content-Length`; None if all is JSON.
        model: Says what is expected.
        max_rows: More are refused.

    Raises:
        ProtocolError: Something is wrong; the message says what, where, and what is expected.
    """
    binary: int | None = None
    if header_length is not None:
        if header_length > len(body):
            _refuse(
                f"Inference-Header-Content-Length is {header_length}, but the body has"
                f" {len(body)} bytes."
            )
        binary = header_length
    request = loads(body if binary is None else body[:binary])
    if type(request) is not dict:
        _refuse(f"The request is {_kind(request)}, not an object.")
    id = request.get("id")
    if id is not None:
        _check(id, str, "id")
        try:
            id.encode()
        except UnicodeEncodeError:
            _refuse("id is not text: half of a surrogate pair stands alone.")
    as_binary = _flag(_parameters(request, "The request"), "binary_data_output", False)
    outputs = _outputs(request.get("outputs"), model, as_binary)

    given = _check(request.get("inputs"), list, "inputs")
    found: list[Array | None] = [None] * len(model.inputs)
    rows = -1
    for entry in given:
        place = _place(entry, model.input_places, "input")
        tensor = model.inputs[place]
        if found[place] is not None:
            _refuse(f"Input {tensor.name!r} is there twice.")
        shape = _shape(entry, tensor, max_rows)
        if rows not in (-1, shape[0]):
            _refuse(f"Input {tensor.name!r} has {shape[0]} rows, the inputs before it {rows}.")
        rows = shape[0]
        size = _parameters(entry, f"Input {tensor.name!r}").get("binary_data_size")
        if size is None:
            x = _from_json(entry, tensor, shape)
        else:
            x, binary = _from_binary(body, binary, size, entry, tensor, shape)
        found[place] = x
    arrays = [x for x in found if x is not None]
    if len(arrays) < len(found):
        missing = [t.name for t, x in zip(model.inputs, found, strict=True) if x is None]
        _refuse(f"Inputs are missing: {', '.join(map(repr, missing))}.")
    if binary is not None and binary != len(body):
        _refuse(f"{len(body) - binary} bytes follow that belong to no input.")
    return Request(id, arrays, rows, outputs)


def encode(model: Served, request: Request, arrays: list[Array]) -> tuple[bytes, int | None]:
    """The answer to a request.

    Args:
        model: What computed.
        request: What was asked for.
        arrays: The model's outputs, all of them.

    Returns:
        The body, and how many bytes of it are JSON where others follow.
    """
    outputs: list[dict[str, Any]] = []
    tail: list[bytes] = []
    for place, as_binary in request.outputs:
        tensor = model.outputs[place]
        y = np.ascontiguousarray(arrays[place], tensor.dtype)
        entry: dict[str, Any] = {"name": tensor.name, "datatype": tensor.datatype, "shape": y.shape}
        if as_binary:
            entry["parameters"] = {"binary_data_size": y.nbytes}
            tail.append(y.tobytes())
        else:
            entry["data"] = y.reshape(-1)
        outputs.append(entry)
    answer = {"model_name": model.name, "model_version": model.version, "outputs": outputs}
    if request.id is not None:
        answer["id"] = request.id
    head = dumps(answer)
    return (b"".join((head, *tail)), len(head)) if tail else (head, None)


def _outputs(given: Any, model: Served, as_binary: bool) -> list[tuple[int, bool]]:
    """Places and forms of the outputs asked for; all where none is named."""
    if given is None or given == []:
        return [(place, as_binary) for place in range(len(model.outputs))]
    _check(given, list, "outputs")
    asked: dict[int, bool] = {}
    for entry in given:
        place = _place(entry, model.output_places, "output")
        where = f"Output {model.outputs[place].name!r}"
        if place in asked:
            _refuse(f"{where} is there twice.")
        asked[place] = _flag(_parameters(entry, where), "binary_data", as_binary)
    return list(asked.items())


def _place(entry: Any, places: dict[str, int], what: str) -> int:
    """The place of an entry's name among the model's."""
    if type(entry) is not dict:
        _refuse(f"An {what} is {_kind(entry)}, not an object.")
    name = entry.get("name")
    place = places.get(name) if type(name) is str else None
    if place is None:
        known = ", ".join(map(repr, places))
        _refuse(f"No {what} has the name {_shown(name)}; there are: {known}.")
    return place


def _shape(entry: dict[str, Any], tensor: Tensor, max_rows: int) -> tuple[int, ...]:
    """An input's shape, which fits the model's as its datatype does."""
    if entry.get("datatype") != tensor.datatype:
        _refuse(
            f"Input {tensor.name!r} has datatype {_shown(entry.get('datatype'))}, not"
            f" '{tensor.datatype}'."
        )
    given = _check(entry.get("shape"), list, f"Input {tensor.name!r}: shape")
    fits = len(given) == len(tensor.shape) and all(
        type(extent) is int and extent >= 0 and (wanted is None or extent == wanted)
        for extent, wanted in zip(given, tensor.shape, strict=True)
    )
    if not fits:
        wanted = ", ".join("any" if extent is None else str(extent) for extent in tensor.shape)
        _refuse(f"Input {tensor.name!r} has shape {_shown(given)}, not [{wanted}].")
    if given[0] > max_rows:
        _refuse(f"Input {tensor.name!r} has {given[0]} rows, more than {max_rows} at once.")
    return tuple(given)


def _from_json(entry: dict[str, Any], tensor: Tensor, shape: tuple[int, ...]) -> Array:
    """An input's values from lists: all of them in one, or nested as the shape is."""
    where = f"Input {tensor.name!r}"
    if "data" not in entry:
        _refuse(f"{where} has neither data nor a parameter binary_data_size.")
    values = _check(entry["data"], list, f"{where}: data")
    if values and type(values[0]) is list:
        _count(values, shape[0], where)
        for extent in shape[1:]:
            for part in values:
                _count(_check(part, list, f"{where}: a part of data"), extent, where)
            values = list(chain.from_iterable(values))
    if len(values) != math.prod(shape):
        _refuse(
            f"{where}: data has {len(values)} values, but shape {_shown(list(shape))} takes"
            f" {math.prod(shape)}."
        )
    allowed: dict[str, set[type]] = {"f": {float, int}, "b": {bool}}
    strangers = set(map(type, values)) - allowed.get(tensor.dtype.kind, {int})
    if strangers:
        stranger = next(value for value in values if type(value) in strangers)
        _refuse(f"{where}: data has {_kind(stranger)} among its {tensor.datatype} values.")
    try:
        if tensor.dtype.kind in "iu" and values:
            limits = np.iinfo(tensor.dtype)
            if min(values) < limits.min or max(values) > limits.max:
                raise OverflowError
        with np.errstate(over="raise"):
            return np.array(values, tensor.dtype).reshape(shape)
    except (OverflowError, FloatingPointError):
        _refuse(f"{where}: data has a number beyond the range of {tensor.datatype}.")
    except ValueError as error:  # extents that no array can have, beside one of zero
        _refuse(f"{where}: {error}.")


def _count(values: list[Any], extent: int, where: str) -> None:
    if len(values) != extent:
        _refuse(f"{where}: data has a list of {len(values)} where its shape says {extent}.")


def _from_binary(
    body: bytes,
    start: int | None,
    size: Any,
    entry: dict[str, Any],
    tensor: Tensor,
    shape: tuple[int, ...],
) -> tuple[Array, int]:
    """An input's values from the bytes at `start`, and where the next ones begin."""
    where = f"Input {tensor.name!r}"
    if start is None:
        _refuse(
            f"{where} is binary, but the header Inference-Header-Content-Length,"
            " which says where it begins, is missing."
        )
    if "data" in entry:
        _refuse(f"{where} has data and binary_data_size: one of them.")
    _check(size, int, f"{where}: binary_data_size")
    count = math.prod(shape)
    if size != count * tensor.dtype.itemsize:
        _refuse(
            f"{where}: binary_data_size is {_shown(size)}, but {tensor.datatype} of"
            f" shape {_shown(list(shape))} has {count * tensor.dtype.itemsize} bytes."
        )
    if size > len(body) - start:
        _refuse(f"{where} has {size} bytes, but only {len(body) - start} follow.")
    try:
        x = np.frombuffer(body, tensor.dtype, count, start).reshape(shape)
    except ValueError as error:
        _refuse(f"{where}: {error}.")
    if tensor.dtype.kind == "b" and x.size and x.view(np.uint8).max() > 1:
        _refuse(f"{where} is BOOL and has a byte that is neither 0 nor 1.")
    return x if x.flags.aligned else x.copy(), start + size


def _parameters(entry: dict[str, Any], where: str) -> dict[str, Any]:
    if entry.get("parameters") is None:
        return {}
    _check(entry["parameters"], dict, f"{where}: parameters")
    parameters: dict[str, Any] = entry["parameters"]
    for name in UNSUPPORTED:
        if name in parameters:
            _refuse(f"{where}: parameter {name!r} is not supported.")
    return parameters


def _flag(parameters: dict[str, Any], name: str, default: bool) -> bool:
    value = parameters.get(name)
    return default if value is None else bool(_check(value, bool, f"parameter {name!r}"))


def _check(value: Any, kind: type, where: str) -> Any:
    if type(value) is not kind:
        names = {str: "a string", int: "a whole number", bool: "true or false", list: "a list"}
        _refuse(f"{where} is {_kind(value)}, not {names.get(kind, 'an object')}.")
    return value


def _kind(value: Any) -> str:
    """A JSON value for people."""
    if isinstance(value, (list, dict)):
        return "a list" if isinstance(value, list) else "an object"
    return "missing or null" if value is None else _shown(value)


def _shown(value: Any) -> str:
    """A value of the client's, short however long or deep it is."""
    return reprlib.repr(value)


def _refuse(message: str) -> NoReturn:
    raise ProtocolError(400, message)
