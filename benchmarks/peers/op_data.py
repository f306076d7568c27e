"""The same operands for every peer's ops."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from peers import Job

Array = np.ndarray[Any, np.dtype[Any]]


def matrix(rows: int, cols: int, seed: int) -> Array:
    """Normal numbers, float32."""
    return np.random.default_rng(seed).standard_normal((rows, cols), dtype=np.float32)


def matmul_operands(job: Job) -> tuple[Array, Array]:
    """The two factors of the forward product, of dX = dY·Wᵀ or of dW = Xᵀ·dY.

    The job's `shape` is (batch, in, out); transposed factors are views, as a framework has them.
    """
    rows, fan_in, fan_out = job["shape"]
    if job["op"] == "forward":
        return matrix(rows, fan_in, 1), matrix(fan_in, fan_out, 2)
    if job["op"] == "dx":
        return matrix(rows, fan_out, 3), matrix(fan_in, fan_out, 2).T
    return matrix(rows, fan_in, 1).T, matrix(rows, fan_out, 3)


def vector(size: int) -> Array:
    """Numbers in 0.1 to 4, where every function is defined and nothing saturates."""
    return np.random.default_rng(4).uniform(0.1, 4, size).astype(np.float32)


def images() -> Array:
    """Random bytes of Fashion-MNIST's shape."""
    return np.random.default_rng(5).integers(0, 256, (60000, 784), dtype=np.uint8)


def row_source(batch: int) -> Callable[[], Array]:
    """Gives the next batch of a shuffled epoch, each row once."""
    order = np.random.default_rng(6).permutation(60000)
    at = 0

    def following() -> Array:
        nonlocal at
        if at + batch > len(order):
            at = 0
        rows = order[at : at + batch]
        at += batch
        return rows

    return following
