"""Samples that depend on the seed alone: NumPy's Philox bits, turned into numbers here.

NumPy keeps the raw bits of a bit generator fixed, but not what `Generator` makes of them.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

_TO_UNIT = 2.0**-53


class Philox:
    """A source of float64 samples for one (seed, stream).

    Args:
        seed: non-negative integer.
        stream: tells uses of the same seed apart.
    """

    def __init__(self, seed: int, stream: int = 0) -> None:
        mask = (1 << 64) - 1
        key = np.array([int(seed) & mask, int(stream) & mask], dtype=np.uint64)
        self._bits: Any = np.random.Philox(key=key)

    def integers(self, count: int) -> Any:
        """Return `count` raw 64-bit integers."""
        if count > sys.maxsize // 8:
            raise MemoryError(f"{count} random numbers take {8 * count} bytes")
        return self._bits.random_raw(count)

    def uniform(self, count: int) -> Any:
        """Return `count` samples from [0, 1)."""
        return (self.integers(count) >> np.uint64(11)) * _TO_UNIT

    def normal(self, count: int) -> Any:
        """Return `count` samples of mean 0 and deviation 1 (Box and Muller)."""
        pairs = (count + 1) // 2
        radius = np.sqrt(-2.0 * np.log(1.0 - self.uniform(pairs)))
        angle = (2.0 * np.pi) * self.uniform(pairs)
        out = np.empty(2 * pairs)
        np.multiply(radius, np.cos(angle), out=out[:pairs])
        np.multiply(radius, np.sin(angle), out=out[pairs:])
        return out[:count]

    def truncated_normal(self, count: int) -> Any:
        """Return `count` normal samples; what lies beyond two deviations is drawn again."""
        out = self.normal(count)
        bad = np.flatnonzero(np.abs(out) > 2.0)
        while bad.size:
            out[bad] = self.normal(bad.size)
            bad = bad[np.abs(out[bad]) > 2.0]
        return out
