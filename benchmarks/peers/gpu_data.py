"""The numbers of the jobs on a GPU: the same for every peer, and for the reference."""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]

PROOF_UPDATES = 3
RATE, DECAY, BETAS = 1e-3, 0.004, (0.9, 0.999)


def factors(size: int) -> tuple[Array, Array]:
    """Two square matrices of float32."""
    rng = np.random.default_rng(0)
    shape = (size, size)
    return rng.standard_normal(shape, np.float32), rng.standard_normal(shape, np.float32)


def weights(count: int) -> tuple[Array, Array]:
    """Weights and their gradients, which are far from 0, where `epsilon` would matter."""
    rng = np.random.default_rng(1)
    w = rng.random(count, np.float32) - np.float32(0.5)
    g = rng.random(count, np.float32) + np.float32(0.5)
    g[::3] *= -1
    return w, g


def sampled(values: Array) -> Array:
    """What of many numbers is compared: every 101st, and the last 4096."""
    return np.concatenate([values[::101], values[-4096:]])


def row(width: int) -> Array:
    """One row of a network's input."""
    return np.random.default_rng(2).random((1, width), np.float32)
