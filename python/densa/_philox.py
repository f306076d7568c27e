"""Samples that depend on the seed alone: NumPy's Philox bits, turned into numbers here.

NumPy keeps the raw bits of a bit generator fixed, but not what `Generator` makes of them.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

_TO_UNIT = 2.0**-53
_FEW_TRIALS = 16  # that a binomial sample makes one by one


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

    def log_gamma(self, alpha: Any) -> Any:
        """Return logarithms of samples of gamma distributions with scale 1.

        By rejection (Marsaglia and Tsang, 2000); below 1 a sample for alpha + 1 times u^(1/alpha),
        which itself may be too small for a float.

        Args:
            alpha: the shapes, float64 above 0.
        """
        flat = np.asarray(alpha, np.float64).ravel()
        small = flat < 1.0
        d = flat + small - 1.0 / 3.0
        out, left = np.empty(flat.size), np.arange(flat.size)
        while left.size:
            x, u, w = self.normal(left.size), 1.0 - self.uniform(left.size), d[left]
            v = 1.0 + x / np.sqrt(9.0 * w)
            log_v = 3.0 * np.log(np.where(v > 0.0, v, 1.0))
            taken = (v > 0.0) & (np.log(u) < 0.5 * x * x + w * (1.0 - v**3 + log_v))
            out[left[taken]] = (np.log(w) + log_v)[taken]
            left = left[~taken]
        if small.any():
            u = 1.0 - self.uniform(int(small.sum()))
            out[small] += np.log(u) / flat[small]
        return out.reshape(np.shape(alpha))

    def beta(self, alpha: Any, beta: Any) -> Any:
        """Return samples of beta distributions, from two gamma samples each.

        Args:
            alpha: first parameters, float64 above 0.
            beta: second ones, of the same shape.
        """
        more = self.log_gamma(beta) - self.log_gamma(alpha)
        return 1.0 / (1.0 + np.exp(np.minimum(more, 700.0)))  # e^700 is nearly the largest float

    def binomial(self, counts: Any, probabilities: Any) -> Any:
        """Return how many of `counts` trials succeed, as float64.

        The median trial's uniform number is drawn from its beta distribution, which tells how the
        trials on one side of it went, until few are left (Devroye, 1986, X.4.3).

        Args:
            counts: whole numbers from 0, as int64.
            probabilities: those of success, float64 of the same shape.
        """
        n, p = np.array(counts, np.int64).ravel(), np.array(probabilities, np.float64).ravel()
        out = np.zeros(n.size, np.int64)
        while (many := np.flatnonzero(n > _FEW_TRIALS)).size:
            middle = n[many] // 2 + 1
            at = self.beta(middle.astype(np.float64), (n[many] + 1 - middle).astype(np.float64))
            at = np.clip(at, _TO_UNIT, 1.0 - _TO_UNIT)
            below = at <= p[many]
            out[many] += np.where(below, middle, 0)
            n[many] = np.where(below, n[many] - middle, middle - 1)
            p[many] = np.where(below, (p[many] - at) / (1.0 - at), p[many] / at)
        for trial in range(int(n.max(initial=0))):
            out += (trial < n) & (self.uniform(n.size) < p)
        return out.astype(np.float64).reshape(np.shape(counts))
