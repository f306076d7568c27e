"""A claim, the data sets that it is tried on, and what the numbers say about it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Trial:
    """The claim on one data set: every variant is measured for every seed."""

    data: str  # its name, and in the JSON file its key
    setup: str  # rows, epochs and the like
    measure: str
    better: str  # "higher" or "lower"
    variants: Mapping[str, Callable[[int], float]]  # seed → measure
    log: bool = False  # ratios are compared, not differences
    overlap: float = 0.0  # test rows by training rows where each seed splits the same rows anew


@dataclass(frozen=True)
class Claim:
    """Of each of the `pairs` the first variant is said to be better than the second."""

    name: str
    title: str
    says: str  # one sentence, what the texts claim
    source: str  # ids of the handbook
    pairs: tuple[tuple[str, str], ...]
    trials: tuple[Trial, ...]


@dataclass(frozen=True)
class Comparison:
    """Mean and half of the 95 % interval of one variant's advantage over another."""

    better: str
    other: str
    mean: float
    half: float

    @property
    def verdict(self) -> str:
        """Of this pair: on which side of zero the interval lies."""
        if self.mean - self.half > 0:
            return "holds"
        return "does not hold" if self.mean + self.half < 0 else "undecided"


def interval(values: Sequence[float], overlap: float = 0.0) -> tuple[float, float]:
    """Mean and half of the 95 % interval by Student's t; of one value the half is infinite.

    Seeds that split the same few rows anew share most of them, so they vary less than fresh rows
    would: `overlap` widens the interval for it (Nadeau and Bengio, Machine Learning 52, 2003).

    Raises:
        ValueError: A value is not finite: an experiment has to say what a ruined network counts.
    """
    from scipy.stats import t

    a = np.asarray(values, np.float64)
    if not np.isfinite(a).all():
        raise ValueError(f"values must be finite, got {a.tolist()}")
    if a.size < 2:
        return float(a.mean()), math.inf
    half = t.ppf(0.975, a.size - 1) * a.std(ddof=1) * math.sqrt(1 / a.size + overlap)
    return float(a.mean()), float(half)


def compare(
    pairs: Sequence[tuple[str, str]], trial: Trial, measured: Mapping[str, Sequence[float]]
) -> list[Comparison]:
    """Each pair's differences, seed by seed; of logarithms to base 10 where the trial says so."""
    sign = 1.0 if trial.better == "higher" else -1.0
    scale = np.log10 if trial.log else np.asarray
    found = []
    for better, other in pairs:
        a, b = (scale(np.asarray(measured[name], np.float64)) for name in (better, other))
        found.append(Comparison(better, other, *interval(sign * (a - b), trial.overlap)))
    return found


def verdict(comparisons: Sequence[Comparison]) -> str:
    """Of all pairs of a trial."""
    found = {comparison.verdict for comparison in comparisons}
    if len(found) == 1:
        return found.pop()
    return "holds in part" if "holds" in found else "does not hold"
