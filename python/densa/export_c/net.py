"""A predictor's network as plain data: what its file says, and its constants as arrays."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from densa import _core
from densa._core import Predictor

Array = np.ndarray[Any, Any]

LANES = 16  # columns of a panel, and what rows of constants are filled up to
LINE = 64  # bytes; each constant begins at a multiple of it


@dataclass
class Value:
    """A value of the network; `shape` is that of one row, or all of a constant's."""

    kind: str
    dtype: str
    shape: tuple[int, ...]
    array: Array | None = None  # a constant's numbers: for int8 the whole numbers q
    scale: Array | None = None  # int8: the factor of each column
    # sparse, whose `array` is blocks of 16 numbers: the first block of each panel, the row of each
    starts: Array | None = None
    index: Array | None = None
    packing: str = ""
    feed: dict[str, Any] = field(default_factory=dict)

    @property
    def constant(self) -> bool:
        return self.kind == "constant"

    @property
    def size(self) -> int:
        return int(np.prod(self.shape, dtype=np.int64))

    @property
    def whole(self) -> tuple[int, ...]:
        """The shape, for a batch of one row."""
        return self.shape if self.constant else (1, *self.shape)


@dataclass
class Net:
    """`nodes`, `inputs` and `outputs` are as csrc/predict/file.h writes them."""

    inputs: list[dict[str, Any]]
    outputs: list[dict[str, Any]]
    values: list[Value]
    nodes: list[dict[str, Any]]


def read_net(predictor: Predictor) -> Net:
    """Return the network of a predictor."""
    header, arena = _core.predictor_file(predictor, {})
    net = json.loads(json.loads(header[8:])["__metadata__"]["net"])
    values, at = [], 0
    for value in net["values"]:
        kind, shape = value["kind"], tuple(value["shape"])
        if kind == "constant":
            made = Value(kind, value["dtype"], shape, packing=value["packing"])
            at += -(-_unpack(made, arena[at:], value.get("blocks", 0)) // LINE) * LINE
        else:
            made = Value(kind, value["dtype"], shape[1:], feed=value)
        values.append(made)
    return Net(net["inputs"], net["outputs"], values, net["nodes"])


def _unpack(value: Value, memory: Array, blocks: int) -> int:
    """Give a constant its numbers, which lie in front of the memory; returns their bytes."""
    dtype: np.dtype[Any] = np.dtype(value.dtype).newbyteorder("<")
    if value.packing == "rows":
        count = int(np.prod(value.shape, dtype=np.int64))
        value.array = memory[: dtype.itemsize * count].view(dtype).reshape(value.shape)
        return -(-count // LANES) * LANES * int(dtype.itemsize)
    rows, cols = value.shape
    panels = -(-cols // LANES)
    if value.packing == "sparse":
        starts = blocks * LANES * 4
        index = starts + (panels + 1) * 4
        value.array = memory[:starts].view("<f4").reshape(blocks, LANES)
        value.starts = memory[starts:index].view("<u4")
        value.index = memory[index : index + blocks * 4].view("<u4")
        return index + blocks * 4
    # How many numbers of a column lie side by side, and of what type.
    forms: dict[str, tuple[int, np.dtype[Any]]] = {
        "panels": (1, dtype),
        "bfloat16": (2, np.dtype("<u2")),
        "int8": (4, np.dtype("i1")),
    }
    step, item = forms[value.packing]
    steps = -(-rows // step)
    words = panels * steps * LANES * step * int(item.itemsize)
    numbers = memory[:words].view(item).reshape(panels, steps, LANES, step)
    matrix = numbers.transpose(1, 3, 0, 2).reshape(steps * step, panels * LANES)
    value.array = matrix[:rows, :cols]
    if value.packing != "int8":
        return words
    scales = panels * LANES * 4
    value.scale = memory[words : words + scales].view("<f4")[:cols]
    return words + 2 * scales  # and the sums of columns
