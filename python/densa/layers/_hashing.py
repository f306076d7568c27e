"""SipHash-2-4 of tokens: which bin a word falls into, alike on every machine."""

from __future__ import annotations

from typing import Any

import numpy as np

_ALL = (1 << 64) - 1


def _turned(x: int, bits: int) -> int:
    return ((x << bits) | (x >> (64 - bits))) & _ALL


def siphash(data: bytes, key: tuple[int, int] = (0, 0)) -> int:
    """Return the 64 bits of SipHash-2-4.

    Source: J.-P. Aumasson and D. J. Bernstein, SipHash: a fast short-input PRF, 2012.
    """
    a, b = key[0] ^ 0x736F6D6570736575, key[1] ^ 0x646F72616E646F6D
    c, d = key[0] ^ 0x6C7967656E657261, key[1] ^ 0x7465646279746573
    whole = len(data) - len(data) % 8
    words = [int.from_bytes(data[i : i + 8], "little") for i in range(0, whole, 8)]
    words.append(int.from_bytes(data[whole:], "little") | (len(data) & 255) << 56)

    def rounds(count: int) -> None:
        nonlocal a, b, c, d
        for _ in range(count):
            a, c = (a + b) & _ALL, (c + d) & _ALL
            b, d = _turned(b, 13) ^ a, _turned(d, 16) ^ c
            a, c = (_turned(a, 32) + d) & _ALL, (c + b) & _ALL
            d, b = _turned(d, 21) ^ a, _turned(b, 17) ^ c
            c = _turned(c, 32)

    for word in words:
        d ^= word
        rounds(2)
        a ^= word
    c ^= 0xFF
    rounds(4)
    return a ^ b ^ c ^ d


def bins_of(tokens: Any, bins: int, key: tuple[int, int] = (0, 0)) -> Any:
    """Return the bin of each token, an array of str or of whole numbers: hash modulo `bins`."""
    array = np.asarray(tokens)
    if array.size == 0:
        return np.zeros(array.shape, np.int64)
    different, where = np.unique(array, return_inverse=True)
    found = [siphash(str(token).encode("utf-8"), key) % bins for token in different.tolist()]
    return np.asarray(found, np.int64)[where].reshape(array.shape)


def key_of(salt: Any, layer: str) -> tuple[int, int]:
    """Return the key that a salt stands for: a whole number twice, or two of them."""
    both = (0, 0) if salt is None else (salt, salt) if isinstance(salt, int) else salt
    try:
        first, second = (int(s) & _ALL for s in both)
    except (TypeError, ValueError):
        raise ValueError(
            f"{layer}: `salt` must be a whole number or two of them; got {salt!r}."
        ) from None
    return first, second
