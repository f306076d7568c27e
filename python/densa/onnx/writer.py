"""`GraphWriter`: nodes, constants and names of an ONNX graph while it is written."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from densa import config
from densa.onnx._library import library, to_tensor, type_code
from densa.onnx.whole_layers import Shape


class Operand(NamedTuple):
    """A value as an operator reads or gives it: its name in the graph, its type, its shape."""

    name: str
    dtype: str
    shape: Shape


class GraphWriter:
    """Collects the nodes and constants of a graph; every value has a name of its own."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self.inputs: list[Operand] = []
        self.place = ""  # the layer that the next nodes belong to
        self._taken: set[str] = set()
        self._numbers: dict[tuple[str, str, bytes], str] = {}
        self._rows: str | None = None

    def unique(self, name: str) -> str:
        """Return the name, with a number behind it if it is taken, and take it."""
        found, count = name, 1
        while found in self._taken:
            found = f"{name}_{count}"
            count += 1
        self._taken.add(found)
        return found

    def emit(self, op: str, *inputs: str, **attributes: Any) -> str:
        """Append a node; return the name of its (first) result."""
        name = self.unique(f"{self.place}/{op}" if self.place else op)
        self.nodes.append(library().helper.make_node(op, inputs, [name], name=name, **attributes))
        return name

    def emit_second(self, op: str, *inputs: str, **attributes: Any) -> str:
        """Append a node of two results; return the name of the second."""
        name = self.emit(op, *inputs, **attributes)
        second = self.unique(f"{name}/1")
        self.nodes[-1].output.append(second)
        return second

    def add_constant(self, array: Any, name: str, dtype: str) -> str:
        """Append a constant under this name or one like it; return the name."""
        name = self.unique(name)
        self.constants.append(to_tensor(np.asarray(array), name, dtype))
        return name

    def number(self, values: Any, dtype: str = "int64") -> str:
        """Return the name of a small constant, the same for the same numbers."""
        array = np.asarray(values, dtype=config.numpy_float(dtype))
        key = (dtype, str(array.shape), array.tobytes())
        if key not in self._numbers:
            text = "_".join(str(v) for v in array.ravel()[:4])
            self._numbers[key] = self.add_constant(array, f"constant_{text}", dtype)
        return self._numbers[key]

    def cast(self, x: str, dtype: str) -> str:
        """Append a cast."""
        return self.emit("Cast", x, to=type_code(dtype))

    def as_type(self, x: Operand, dtype: str) -> str:
        """Return x's name, cast if it has another type."""
        return x.name if x.dtype == dtype else self.cast(x.name, dtype)

    def reshape(self, x: str, shape: Shape) -> str:
        """Append a reshape; None is the rows of the batch."""
        sizes = [-1 if d is None else d for d in shape]
        # A size of 0 would otherwise mean the input's.
        zero = {"allowzero": 1} if 0 in sizes and -1 not in sizes else {}
        return self.emit("Reshape", x, self.number(sizes), **zero)

    def rows(self) -> str:
        """Return the name of the number of rows of the batch, int64 of shape (1,)."""
        if self._rows is None:
            batch = next(x for x in self.inputs if x.shape[:1] == (None,))
            self._rows = self.emit("Shape", batch.name, start=0, end=1)
        return self._rows

    def sizes(self, shape: Shape) -> str:
        """Return the name of a shape as int64 numbers, the rows of the batch for None."""
        if None not in shape:
            return self.number(np.asarray(shape, dtype=np.int64))
        parts = [self.rows() if d is None else self.number([d]) for d in shape]
        return parts[0] if len(parts) == 1 else self.emit("Concat", *parts, axis=0)
