"""The benchmark networks as data: sizes, activation, optimizer, batch, and what lies between."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Network:
    """A dense classifier trained by softmax cross-entropy on integer labels.

    Each hidden layer is dropout (if any), dense with bias, batch norm (if any), activation; the
    last layer is dropout and dense, and its output are logits. uint8 input is scaled by 1/255.
    """

    name: str
    sizes: tuple[int, ...]
    activation: str
    optimizer: str  # "sgd" with momentum 0.9, "adam" or "adamw"
    learning_rate: float
    batch: int
    rows: int  # of the training set the batches are drawn from
    input_dtype: str  # "uint8" or "float32"
    batch_norm: bool = False
    dropout: float = 0.0

    def kernels(self) -> list[tuple[int, int]]:
        """The shape (in, out) of every dense kernel."""
        return list(zip(self.sizes[:-1], self.sizes[1:], strict=True))

    def flop(self) -> int:
        """Floating-point operations of the matrix products of one training step.

        Forward, dX and dW are 2·batch·in·out each; the first layer needs no dX.
        """
        total = sum(3 * fan_in * fan_out for fan_in, fan_out in self.kernels())
        first_in, first_out = self.kernels()[0]
        return 2 * self.batch * (total - first_in * first_out)

    def title(self) -> str:
        """One line for tables, such as `784-300-100-10 relu, sgd`."""
        hidden = self.sizes[1:-1]
        if len(set(self.sizes[:-1])) == 1:
            body = f"{self.sizes[0]}x{len(hidden)}-{self.sizes[-1]}"
        elif len(hidden) > 3 and len(set(hidden)) == 1:
            body = f"{self.sizes[0]}-{hidden[0]}x{len(hidden)}-{self.sizes[-1]}"
        else:
            body = "-".join(map(str, self.sizes))
        extras = (", batch norm" if self.batch_norm else "") + (
            f", dropout {self.dropout}" if self.dropout else ""
        )
        return f"{body} {self.activation}{extras}, {self.optimizer}"


_IMAGES = (784, 300, 100, 10)

NETWORKS = {
    net.name: net
    for net in (
        Network("A", _IMAGES, "relu", "sgd", 0.01, 32, 60000, "uint8"),
        Network("B", _IMAGES, "relu", "sgd", 0.01, 512, 60000, "uint8"),
        Network("C", (17, 64, 64, 6), "tanh", "adam", 1e-3, 64, 16384, "float32"),
        Network("D", (1024,) * 5 + (10,), "gelu", "adamw", 1e-3, 256, 8192, "float32"),
        Network(
            "E",
            (3072, *(100,) * 20, 10),
            "silu",
            "adam",
            1e-3,
            64,
            20000,
            "uint8",
            batch_norm=True,
        ),
        Network("F", _IMAGES, "relu", "adam", 1e-3, 32, 60000, "uint8", dropout=0.2),
    )
}


def of_job(job: Mapping[str, Any]) -> Network:
    """The network that a job names, with the job's batch size if it has one."""
    net = NETWORKS[job["net"]]
    return replace(net, batch=job["batch"]) if "batch" in job else net


def make_data(net: Network, folder: Path) -> tuple[Path, Path]:
    """Writes `x` (rows, in) and int32 `y` (rows,) as .npy files that every worker maps.

    A random linear teacher gives the labels, so that each library's loss must fall alike.
    """
    rng = np.random.default_rng(0)
    width, classes = net.sizes[0], net.sizes[-1]
    x: np.ndarray[Any, np.dtype[Any]]
    if net.input_dtype == "uint8":
        x = rng.integers(0, 256, (net.rows, width), dtype=np.uint8)
    else:
        x = rng.standard_normal((net.rows, width), dtype=np.float32)
    teacher = rng.standard_normal((width, classes), dtype=np.float32)
    y = np.empty(net.rows, np.int32)
    for start in range(0, net.rows, 4096):
        part = x[start : start + 4096].astype(np.float32)
        if net.input_dtype == "uint8":
            part = part / np.float32(255) - np.float32(0.5)
        y[start : start + 4096] = np.argmax(part @ teacher, axis=1)
    paths = folder / f"{net.name}_x.npy", folder / f"{net.name}_y.npy"
    np.save(paths[0], x)
    np.save(paths[1], y)
    return paths
