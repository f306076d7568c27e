"""The networks of the latency benchmark as arrays, and what they must answer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import erf

import networks

EPSILON = 1e-3
FLOATS = np.ndarray[Any, np.dtype[np.floating[Any]]]


def write(net: networks.Network, rows: int, path: Path) -> None:
    """Writes weights as a trained network has them, rows, and the answers in float64."""
    rng = np.random.default_rng(1)
    arrays: dict[str, FLOATS] = {}
    for i, (fan_in, fan_out) in enumerate(net.kernels()):
        arrays[f"w{i}"] = rng.normal(size=(fan_in, fan_out)) * np.sqrt(2 / fan_in)
        arrays[f"b{i}"] = rng.normal(size=fan_out) * 0.1
        if net.batch_norm and i + 1 < len(net.kernels()):
            arrays[f"gamma{i}"] = rng.uniform(0.5, 1.5, fan_out)
            arrays[f"beta{i}"] = rng.normal(size=fan_out) * 0.1
            arrays[f"mean{i}"] = rng.normal(size=fan_out) * 0.1
            arrays[f"variance{i}"] = rng.uniform(0.5, 1.5, fan_out)
    arrays["x"] = rng.normal(size=(rows, net.sizes[0]))
    arrays = {name: a.astype(np.float32) for name, a in arrays.items()}
    arrays["y"] = answers(net, {name: a.astype(np.float64) for name, a in arrays.items()})
    np.savez(path, **arrays)  # type: ignore[arg-type]


def answers(net: networks.Network, a: dict[str, FLOATS]) -> FLOATS:
    """The logits in float64."""
    z = a["x"]
    last = len(net.kernels()) - 1
    for i in range(last + 1):
        z = z @ a[f"w{i}"] + a[f"b{i}"]
        if i == last:
            break
        if net.batch_norm:
            scale = a[f"gamma{i}"] / np.sqrt(a[f"variance{i}"] + EPSILON)
            z = (z - a[f"mean{i}"]) * scale + a[f"beta{i}"]
        z = ACTIVATIONS[net.activation](z)
    return z


ACTIVATIONS = {
    "relu": lambda z: np.maximum(z, 0),
    "tanh": np.tanh,
    "gelu": lambda z: z * 0.5 * (1 + erf(z / np.sqrt(2))),
    "silu": lambda z: z / (1 + np.exp(-z)),
}


def error(y: FLOATS, wanted: FLOATS) -> float:
    """The largest error of a row over the row's norm."""
    difference = np.linalg.norm(np.asarray(y, np.float64) - wanted, axis=1)
    return float(np.max(difference / np.linalg.norm(wanted, axis=1)))
