"""The package onnx, imported when it is used, and names for its types."""

from __future__ import annotations

from typing import Any

import numpy as np

# The opset of the files written: of 2025, so that runtimes of last year read them; later ones have
# nothing that densa needs. Runtimes read files of older opsets than theirs, not of newer ones.
OPSET = 23
# Runtimes that know the opset know this version of the file's own structure (IR_VERSION in onnx).
IR_VERSION = 11

# densa's names of types, as ONNX' enumeration spells them.
TYPES = {
    "float32": "FLOAT",
    "float64": "DOUBLE",
    "float16": "FLOAT16",
    "bfloat16": "BFLOAT16",
    "bool": "BOOL",
    "int8": "INT8",
    "int16": "INT16",
    "int32": "INT32",
    "int64": "INT64",
    "uint8": "UINT8",
    "uint16": "UINT16",
    "uint32": "UINT32",
    "uint64": "UINT64",
}


def library() -> Any:
    """Return the package onnx; ImportError that says how to get it."""
    try:
        import onnx
        import onnx.checker
        import onnx.helper
        import onnx.numpy_helper
    except ImportError as error:
        raise ImportError(
            f"densa.onnx needs the package onnx ({error}); install it with: "
            'pip install "densa[onnx]"'
        ) from error
    return onnx


def type_code(dtype: str) -> int:
    """Return ONNX' number of a type that densa names; ValueError if ONNX has none."""
    if dtype not in TYPES:
        raise ValueError(f"ONNX has no type for densa's {dtype!r}.")
    return int(library().TensorProto.DataType.Value(TYPES[dtype]))


def type_name(code: int) -> str:
    """Return densa's name of ONNX' type number; ValueError if densa has none."""
    name = library().TensorProto.DataType.Name(code)
    for ours, theirs in TYPES.items():
        if theirs == name:
            return ours
    raise ValueError(f"densa has no numbers of ONNX' type {name}.")


def to_tensor(array: Any, name: str, dtype: str) -> Any:
    """Return an array as a TensorProto of the type that densa names."""
    onnx = library()
    if dtype == "bfloat16":  # NumPy has no such type: densa hands out float32
        return onnx.helper.make_tensor(
            name, type_code(dtype), array.shape, array.astype(np.float32).ravel()
        )
    return onnx.numpy_helper.from_array(np.ascontiguousarray(array).reshape(array.shape), name)
