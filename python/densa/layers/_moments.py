"""Mean and variance of data that comes in parts."""

from __future__ import annotations

import math
from typing import Any

import numpy as np


class Moments:
    """Mean and (biased) variance in float64, joined over parts exactly but for rounding."""

    def __init__(self) -> None:
        self.count = 0
        self._mean: Any = 0.0
        self._squares: Any = 0.0  # sum of squared distances from the mean

    def add(self, x: Any, kept: list[int]) -> None:
        """Take in an array whose axes `kept` have moments of their own."""
        others = tuple(a for a in range(x.ndim) if a not in kept)
        count = math.prod(x.shape[a] for a in others)
        if count == 0:
            return
        x = x.astype(np.float64, copy=False)
        # The mean first, so that large numbers with a small spread keep their digits.
        mean = x.mean(axis=others)
        spread = x - np.expand_dims(mean, others)
        total, change = self.count + count, mean - self._mean
        self._squares = self._squares + (spread * spread).sum(axis=others)
        self._squares = self._squares + change * change * (self.count * count / total)
        self._mean = self._mean + change * (count / total)
        self.count = total

    def result(self, what: str) -> tuple[Any, Any]:
        """Return mean and variance; ValueError naming `what` unless they are finite."""
        mean, variance = self._mean, self._squares / self.count
        if not (np.isfinite(mean).all() and np.isfinite(variance).all()):
            raise ValueError(
                f"{what} holds NaN or infinity, or numbers too large to square; clean it, for "
                "instance with numpy.nan_to_num."
            )
        return mean, variance
