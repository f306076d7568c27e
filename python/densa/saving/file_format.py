"""The .densa file: the safetensors layout, read and written strictly.

    8 bytes   length N of the header, little-endian
    N bytes   JSON: {"__metadata__": {text: text}, name: {"dtype", "shape", "data_offsets"}, …}
    the rest  the tensors, row-major, little-endian, one behind the other without gaps

A file of densa starts its metadata with the CRC-32 of everything behind the length, computed with
eight zeros in its place, so a flipped bit anywhere is found. Reading never runs code.
"""

from __future__ import annotations

import itertools
import json
import math
import os
import zlib
from collections.abc import Callable, Mapping
from typing import Any, BinaryIO

import numpy as np

VERSION = 1
_MAX_HEADER = 100_000_000
_MAX_SIZE = 2**62
_DTYPES = {
    "BOOL": "?",
    "U8": "<u1",
    "I8": "<i1",
    "U16": "<u2",
    "I16": "<i2",
    "F16": "<f2",
    "U32": "<u4",
    "I32": "<i4",
    "F32": "<f4",
    "U64": "<u8",
    "I64": "<i8",
    "F64": "<f8",
}
_CODES = {np.dtype(v).newbyteorder("="): k for k, v in _DTYPES.items()}
_START = b'{"__metadata__":{"crc32":"'
_PREDICTOR_START = b'{"__metadata__":{"sum":"'
_ZEROS = b"00000000"


# ---- JSON ----------------------------------------------------------------------------------------


def strict_json(text: str, what: str) -> Any:
    """Parse JSON; ValueError for doubled keys, NaN, infinities, or anything that is not JSON."""

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        out = dict(items)
        if len(out) != len(items):
            keys = [k for k, _ in items]
            double = next(k for k in keys if keys.count(k) > 1)
            raise ValueError(f"{what}: the key {double!r} comes twice")
        return out

    def constant(name: str) -> Any:
        raise ValueError(f"{what}: {name} is not a JSON number")

    def number(digits: str) -> float:
        value = float(digits)
        if not math.isfinite(value):
            raise ValueError(f"{what}: the number {digits[:40]} is too large")
        return value

    try:
        return json.loads(
            text, object_pairs_hook=pairs, parse_constant=constant, parse_float=number
        )
    except json.JSONDecodeError as error:
        raise ValueError(f"{what} is not JSON: {error}") from None
    except RecursionError:
        raise ValueError(f"{what}: the JSON is nested too deeply") from None


def to_json(data: Any) -> str:
    """Return compact JSON; ValueError for what JSON cannot hold."""
    return json.dumps(data, allow_nan=False, ensure_ascii=False, separators=(",", ":"))


# ---- writing -------------------------------------------------------------------------------------


_writes = itertools.count()


def write_file(path: str, tensors: Mapping[str, Any], metadata: Mapping[str, str]) -> None:
    """Write a file of tensors as `write_beside` does.

    Args:
        path: the target.
        tensors: name to array.
        metadata: text to text.
    """
    write_beside(path, lambda file: write_stream(file, tensors, metadata))


def write_beside(path: str, write: Callable[[BinaryIO], Any]) -> None:
    """Write a file beside the target, sync it to disk and rename it over the target.

    Args:
        path: the target; what a symbolic link points to, if it is one.
        write: gets the file and fills it.

    Raises:
        ValueError: if the folder does not exist.
    """
    given, path = path, os.path.realpath(path)
    folder = os.path.dirname(path)
    if not os.path.isdir(folder):
        raise ValueError(f"Cannot save to {given!r}: the folder {folder!r} does not exist.")
    # A name of its own for every write, also of several threads at once.
    beside = f"{path}.{os.getpid()}.{next(_writes)}.tmp"
    try:
        with open(beside, "wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    except BaseException as error:
        if os.path.exists(beside):
            os.unlink(beside)
        if isinstance(error, OSError) and error.errno is not None:
            raise OSError(
                error.errno, f"Cannot write {given!r}, which is as before: {error.strerror}"
            ) from error
        raise
    _sync_folder(folder)


def write_stream(file: BinaryIO, tensors: Mapping[str, Any], metadata: Mapping[str, str]) -> None:
    """Write the bytes of a file to something that can seek."""
    arrays = {name: _plain(name, a) for name, a in tensors.items()}
    header = _header(arrays, metadata)
    start = file.tell()
    file.write(len(header).to_bytes(8, "little"))
    file.write(header)
    crc = zlib.crc32(header)
    for array in arrays.values():
        data = array.reshape(-1).view(np.uint8).data
        crc = zlib.crc32(data, crc)
        file.write(data)
    end = file.tell()
    file.seek(start + 8 + len(_START))
    file.write(f"{crc:08x}".encode())
    file.seek(end)


def _plain(name: str, array: Any) -> Any:
    array = np.asarray(array)
    code = _CODES.get(array.dtype.newbyteorder("="))
    if code is None:
        raise ValueError(f"Cannot save {name!r}: a file cannot hold the type {array.dtype}.")
    return np.ascontiguousarray(array.astype(_DTYPES[code], copy=False)).reshape(array.shape)


def _header(arrays: Mapping[str, Any], metadata: Mapping[str, str]) -> bytes:
    table: dict[str, Any] = {"__metadata__": {"crc32": _ZEROS.decode(), **metadata}}
    place = 0
    for name, array in arrays.items():
        table[name] = {
            "dtype": _CODES[array.dtype.newbyteorder("=")],
            "shape": list(array.shape),
            "data_offsets": [place, place + array.nbytes],
        }
        place += array.nbytes
    text = to_json(table).encode()
    return text + b" " * (-len(text) % 8)


def _sync_folder(folder: str) -> None:
    if not hasattr(os, "O_DIRECTORY"):
        return
    try:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        return
    try:
        os.fsync(handle)
    except OSError:  # some file systems cannot sync a folder
        pass
    finally:
        os.close(handle)


# ---- reading -------------------------------------------------------------------------------------


def read_file(path: Any) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the tensors, as read-only arrays, and the metadata of a file.

    Raises:
        ValueError: naming the file and what is wrong with it.
        FileNotFoundError: if there is none.
    """
    path = os.fspath(path)
    with open(path, "rb") as file:
        data = file.read()
    try:
        return parse(data)
    except ValueError as error:
        raise ValueError(f"{path!r} is not a whole .densa file: {error}.") from None


def parse(data: bytes) -> tuple[dict[str, Any], dict[str, str]]:
    """Return tensors and metadata of a file's bytes; ValueError names what is wrong."""
    if len(data) < 8:
        raise ValueError(f"it has {len(data)} bytes, fewer than the 8 of the header's length")
    size = int.from_bytes(data[:8], "little")
    if size > _MAX_HEADER:
        raise ValueError(f"its header would be {size} bytes long; at most {_MAX_HEADER} are read")
    if size > len(data) - 8:
        raise ValueError(f"its header should have {size} bytes, but only {len(data) - 8} follow")
    header = data[8 : 8 + size]
    _check_sum(header, data)
    try:
        text = header.decode("utf-8")
    except UnicodeDecodeError:
        raise ValueError("its header is not UTF-8 text") from None
    table = strict_json(text, "its header")
    if not isinstance(table, dict):
        raise ValueError("its header is not a JSON object")
    metadata = table.pop("__metadata__", None)
    if not isinstance(metadata, dict) or not all(isinstance(v, str) for v in metadata.values()):
        raise ValueError("its __metadata__ is not an object of strings")
    return _tensors(table, memoryview(data)[8 + size :]), metadata


def is_predictor(path: str) -> bool:
    """Whether a file begins as a frozen predictor's."""
    with open(path, "rb") as file:
        return file.read(8 + len(_PREDICTOR_START))[8:] == _PREDICTOR_START


def _check_sum(header: bytes, data: bytes) -> None:
    if header.startswith(_PREDICTOR_START):
        raise ValueError("it is a frozen predictor; densa.Predictor.load reads it")
    if not header.startswith(_START) or len(header) < len(_START) + 9:
        raise ValueError("its header does not start with densa's check sum")
    place = len(_START)
    written = header[place : place + 8]
    crc = zlib.crc32(header[:place] + _ZEROS + header[place + 8 :])
    crc = zlib.crc32(memoryview(data)[8 + len(header) :], crc)
    if written != f"{crc:08x}".encode():
        raise ValueError("its check sum does not fit its contents: the file is cut or damaged")


def _tensors(table: dict[str, Any], data: memoryview) -> dict[str, Any]:
    spans: list[tuple[int, int, str]] = []
    arrays: dict[str, Any] = {}
    for name, entry in table.items():
        begin, end, dtype, shape = _entry(name, entry)
        if end > len(data):
            raise ValueError(
                f"tensor {name!r} ends at byte {end}, but there are only {len(data)} bytes of data"
            )
        spans.append((begin, end, name))
        flat = np.frombuffer(data[begin:end], dtype=dtype)
        arrays[name] = flat.reshape(shape)
    place = 0
    for begin, end, name in sorted(spans):
        if begin != place:
            what = "overlaps the one before it" if begin < place else "leaves a gap before it"
            raise ValueError(f"tensor {name!r} {what}: it begins at {begin}, not at {place}")
        place = end
    if place != len(data):
        raise ValueError(f"{len(data) - place} bytes follow the last tensor")
    return arrays


def _entry(name: str, entry: Any) -> tuple[int, int, Any, tuple[int, ...]]:
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        raise ValueError(f"tensor {name!r} is not described by dtype, shape and data_offsets")
    code = entry["dtype"]
    if not isinstance(code, str) or code not in _DTYPES:
        raise ValueError(f"tensor {name!r} has the unknown type {code!r}")
    shape, offsets = entry["shape"], entry["data_offsets"]
    for what, numbers in (("shape", shape), ("data_offsets", offsets)):
        if not isinstance(numbers, list) or not all(
            type(n) is int and 0 <= n <= _MAX_SIZE for n in numbers
        ):
            raise ValueError(f"tensor {name!r}: {what} must be a list of integers >= 0")
    if len(offsets) != 2 or offsets[0] > offsets[1]:
        raise ValueError(f"tensor {name!r}: data_offsets must be [begin, end]; got {offsets}")
    if len(shape) > 32:
        raise ValueError(f"tensor {name!r} has {len(shape)} dimensions; at most 32 are read")
    if math.prod(max(n, 1) for n in shape) > _MAX_SIZE:
        raise ValueError(f"tensor {name!r} is too large: its shape is {shape}")
    dtype = np.dtype(_DTYPES[code])
    wanted = math.prod(shape) * dtype.itemsize
    if wanted != offsets[1] - offsets[0]:
        raise ValueError(
            f"tensor {name!r} of shape {shape} needs {wanted} bytes, but has "
            f"{offsets[1] - offsets[0]}"
        )
    return offsets[0], offsets[1], dtype, tuple(shape)
