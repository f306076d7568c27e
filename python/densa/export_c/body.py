"""The body of the function: every value of a row is an array of C, which its node fills."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from densa.export_c.code import C_TYPES, Code, Nest, flat, literal, stretched, strides_of
from densa.export_c.formulas import ATTRIBUTES, function
from densa.export_c.net import Array, Net

Node = dict[str, Any]  # as csrc/predict/file.h writes it: op, in, out, attrs


class Body:
    """Values and their arrays, and the text so far: code, and the tables and functions it needs.

    Args:
        net: the network.
        inputs: the names of its arrays, which become values here.
    """

    def __init__(self, net: Net, inputs: list[str]) -> None:
        self.values = net.values
        self.code = Code()
        self.tables: list[str] = []
        self.functions: dict[str, str] = {}
        self.stack = 0  # bytes of all local arrays
        self.fails = False  # whether a row may have no answer
        self.arrays: dict[int, str] = {}
        self.prepared: dict[Any, str] = {}  # what products with narrow weights share
        for v, value in enumerate(self.values):
            if value.kind in ("input", "feed"):
                self.feed(v, net.inputs[value.feed["input"]]["dtype"], inputs)

    # ---- values ----------------------------------------------------------------------------------

    def dtype(self, v: int) -> str:
        return self.values[v].dtype

    def whole(self, v: int) -> tuple[int, ...]:
        return self.values[v].whole

    def floating(self, v: int) -> bool:
        return self.dtype(v).startswith("float")

    def array(self, v: int) -> str:
        """The name of a value's array."""
        if v not in self.arrays:
            self.arrays[v] = self.table(self.numbers(v), self.dtype(v))
        return self.arrays[v]

    def numbers(self, v: int) -> Array:
        """Those of a constant."""
        array = self.values[v].array
        if array is None:
            raise ValueError("export_c: a table that depends on the input is not known.")
        return array

    def local(self, name: str, count: int, dtype: str) -> str:
        self.stack += count * np.dtype(dtype).itemsize
        unused = "" if count > 0 else f" (void){name};"
        self.code.add(f"{C_TYPES[dtype]} {name}[{max(count, 1)}];{unused}")
        return name

    def make(self, v: int) -> str:
        """A new array for a value."""
        name = self.local(f"v{v}", self.values[v].size, self.dtype(v))
        self.arrays[v] = name
        return name

    def table(self, array: Array, dtype: str) -> str:
        """The name of a constant array with these numbers."""
        name = f"c{len(self.tables)}"
        numbers = [literal(number, dtype) for number in array.ravel()] or ["0"]
        lines = [", ".join(numbers[i : i + 6]) for i in range(0, len(numbers), 6)]
        joined = ",\n  ".join(lines)
        c = C_TYPES[dtype]
        self.tables.append(f"static const {c} {name}[{len(numbers)}] = {{\n  {joined}}};\n")
        return name

    def call(self, op: str, dtype: str, attrs: dict[str, Any]) -> Callable[..., str]:
        """A call of an elementwise formula."""
        found = function(op, dtype)
        if found is None:
            raise ValueError(f"export_c: the op '{op}' of {dtype} is not known.")
        name, text, calls = found
        if calls:
            self.call(calls, dtype, {})
        self.functions[name] = text
        more = ""
        if op in ATTRIBUTES:
            key, missing = ATTRIBUTES[op]
            more = ", " + literal(attrs.get(key, missing), dtype)
        return lambda *numbers: f"{name}({', '.join(numbers)}{more})"

    def fail_if(self, condition: str) -> None:
        """The row has no answer where this is true."""
        self.fails = True
        self.code.add(f"if ({condition}) return 2;")

    def activation(self, attrs: dict[str, Any], dtype: str) -> Callable[[str], str]:
        """What a product does with its sums."""
        op = attrs.get("activation")
        return self.call(op, dtype, attrs) if op else lambda z: z

    # ---- elementwise -----------------------------------------------------------------------------

    def each(self, out: int, ins: list[int], result: Callable[..., str], to: str = "") -> None:
        """Every element of `out` from those of `ins`, which are stretched to its shape."""
        numbers = [self.number(v) for v in ins]
        to = to or self.make(out)
        shape = self.whole(out)
        strides = {f"x{k}": (stretched(self.whole(v), shape), 0) for k, v in enumerate(ins)}
        with self.code.loops(Nest(shape, "i", y=(strides_of(shape), 0), **strides)) as at:
            read = [
                number or f"{self.array(v)}[{at[f'x{k}']}]"
                for k, (v, number) in enumerate(zip(ins, numbers, strict=True))
            ]
            self.code.add(f"{to}[{at['y']}] = {result(*read)};")

    def number(self, v: int) -> str:
        """A constant that is a single float, in C; else its array is made and this is ""."""
        array = self.values[v].array
        if array is not None and array.size == 1 and self.floating(v):
            return literal(array.ravel()[0], self.dtype(v))
        self.array(v)
        return ""

    def feed(self, v: int, given: str, inputs: list[str]) -> None:
        value = self.values[v]
        self.arrays[v] = inputs[value.feed["input"]]
        scale, offset = value.feed.get("scale", 1), value.feed.get("offset", 0)
        scaled = scale != 1 or offset != 0
        if given == value.dtype and not scaled:
            return
        x = self.arrays[v]
        read = f"({C_TYPES[value.dtype]}){x}[{{}}]"
        if scaled:
            read = f"{read} * {literal(scale, value.dtype)} + {literal(offset, value.dtype)}"
        name = self.make(v)
        with self.code.loops(flat(value.size)) as at:
            self.code.add(f"{name}[{at['x']}] = {read.format(at['x'])};")
