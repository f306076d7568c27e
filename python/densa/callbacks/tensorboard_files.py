"""What the TensorBoard callback writes besides events: pictures, and tables for the projector."""

from __future__ import annotations

import json
import os
import re
import struct
import zlib
from collections.abc import Mapping
from typing import Any, BinaryIO

import numpy as np

from densa.layers.embedding import Embedding
from densa.saving.file_format import write_beside

_LARGEST = 1024  # dots along an axis of a picture


def weight_picture(values: Any) -> tuple[int, int, bytes] | None:
    """Height, width and PNG of a weight, the smallest number black and the largest white.

    A vector is one row, a matrix lies on its longer side; NaN is black. None for what has more
    axes or no numbers.
    """
    values = np.atleast_1d(np.squeeze(np.asarray(values, np.float64)))
    if values.ndim > 2 or values.size == 0:
        return None
    plane = values.reshape(1, -1) if values.ndim == 1 else values
    plane = plane.T if plane.shape[0] > plane.shape[1] else plane
    steps = [-(-size // _LARGEST) for size in plane.shape]
    plane = plane[:: steps[0], :: steps[1]]
    finite = plane[np.isfinite(plane)]
    low, high = (finite.min(), finite.max()) if finite.size else (0.0, 0.0)
    span = high - low if high > low else 1.0
    shades = np.nan_to_num((plane - low) / span, nan=0.0, posinf=1.0, neginf=0.0)
    height, width = plane.shape
    return height, width, _png((shades * 255).round().astype(np.uint8))


def _png(plane: Any) -> bytes:
    """A grey picture of 8 bits (PNG, ISO/IEC 15948)."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + check

    height, width = plane.shape
    rows = b"".join(b"\0" + row.tobytes() for row in plane)
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    parts = [chunk(b"IHDR", head), chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def embedding_layers(model: Any, metadata: Any) -> list[tuple[Any, str | None]]:
    """A model's embeddings, each with the name of its labels' file, if it has one.

    Raises:
        ValueError: There is none, or `metadata` names another layer.
    """
    found = [layer for layer in model._flatten_layers() if isinstance(layer, Embedding)]
    names = [layer.name for layer in found]
    if not found:
        raise ValueError(
            f"TensorBoard: `embeddings_freq` is for Embedding layers; model '{model.name}' has "
            "none. Leave it at 0."
        )
    if isinstance(metadata, Mapping):
        unknown = sorted(set(metadata) - set(names))
        if unknown:
            raise ValueError(
                f"TensorBoard: `embeddings_metadata` names {unknown}; the Embedding layers are "
                f"{names}."
            )
        return [(layer, metadata.get(layer.name)) for layer in found]
    return [(layer, metadata) for layer in found]


def write_embeddings(folder: str, found: list[tuple[Any, str | None]]) -> None:
    """Write the tables of embeddings as text, and the file from which the projector knows them.

    Args:
        folder: A run of TensorBoard. Names of labels' files count from the folder around it.
        found: What `embedding_layers` gave.
    """
    os.makedirs(folder, exist_ok=True)
    told = []
    for layer, labels in found:
        if layer.embeddings is None:
            continue
        name = f"{re.sub(r'[^A-Za-z0-9_.-]', '_', layer.name)}_embeddings.tsv"
        rows = ("\t".join(f"{x:.9g}" for x in row) for row in layer.embeddings.numpy().tolist())
        _write(os.path.join(folder, name), "".join(f"{row}\n" for row in rows))
        lines = {"tensor_name": layer.embeddings.path, "tensor_path": name}
        if labels is not None:
            labels = os.fspath(labels)
            lines["metadata_path"] = labels if os.path.isabs(labels) else os.path.join("..", labels)
        inside = "".join(
            f"  {key}: {json.dumps(value, ensure_ascii=False)}\n" for key, value in lines.items()
        )
        told.append(f"embeddings {{\n{inside}}}\n")
    _write(os.path.join(folder, "projector_config.pbtxt"), "".join(told))


def _write(path: str, text: str) -> None:
    def write(file: BinaryIO) -> None:
        file.write(text.encode())

    write_beside(path, write)
