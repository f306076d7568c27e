"""The IDX format of the MNIST family: a strict reader."""

from __future__ import annotations

import math
import os

import numpy as np
from numpy.typing import NDArray

__all__ = ["read_idx"]

_UBYTE = 0x08


def read_idx(
    path: str | os.PathLike[str], ndim: int, sha256: str | None = None
) -> NDArray[np.uint8]:
    """Read an IDX file of unsigned bytes, plain or gzip-compressed (`.gz`).

    Args:
        path: The file.
        ndim: Number of dimensions that the array must have.
        sha256: Hexadecimal digest that the uncompressed content must have; `None` checks nothing.

    Returns:
        A new uint8 array of the shape that the file gives.

    Raises:
        ValueError: The file is not of this format, cut short, too long or not of this digest.
        OSError: The file cannot be opened.

    Example:
        >>> import os, tempfile
        >>> from densa.datasets.idx import read_idx
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = os.path.join(folder, "labels-idx1-ubyte")
        ...     with open(path, "wb") as file:
        ...         _ = file.write(bytes([0, 0, 8, 1, 0, 0, 0, 3, 7, 2, 1]))
        ...     read_idx(path, ndim=1)
        array([7, 2, 1], dtype=uint8)
    """
    import gzip
    import hashlib
    import zlib

    name = os.fspath(path)
    opener = gzip.open if name.endswith(".gz") else open
    try:
        with opener(name, "rb") as file:
            header = file.read(4 + 4 * ndim)
            shape = _shape(header, ndim, name)
            size = math.prod(shape)
            # In pieces, so that a lying header reserves nothing, and never more than it promises.
            content = bytearray()
            while len(content) < size:
                piece = file.read(min(size - len(content), 1 << 20))
                if not piece:
                    break
                content += piece
            rest = file.read(1)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ValueError(f"{name}: broken or cut-short gzip file ({error}).") from error
    if len(content) != size:
        raise ValueError(
            f"{name}: cut short: the header says {size} bytes of shape {shape}, "
            f"{len(content)} are there."
        )
    if rest:
        raise ValueError(f"{name}: more data than the {size} bytes of shape {shape} in the header.")
    if sha256 is not None:
        found = hashlib.sha256(header + content).hexdigest()
        if found != sha256:
            raise ValueError(
                f"{name}: wrong content: sha256 of the uncompressed data is {found}, "
                f"expected {sha256}."
            )
    return np.frombuffer(content, dtype=np.uint8).reshape(shape)


def _shape(header: bytes, ndim: int, name: str) -> tuple[int, ...]:
    if len(header) >= 4:
        expected = bytes([0, 0, _UBYTE, ndim])
        if header[:4] != expected:
            raise ValueError(
                f"{name}: not an IDX file of unsigned bytes with {ndim} dimensions: it starts with "
                f"{header[:4].hex()}, expected {expected.hex()}."
            )
    if len(header) < 4 + 4 * ndim:
        raise ValueError(f"{name}: cut short: {len(header)} bytes, not even a whole IDX header.")
    return tuple(int.from_bytes(header[4 + 4 * i : 8 + 4 * i], "big") for i in range(ndim))
