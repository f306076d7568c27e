"""Text of C: numbers, indented blocks, loops over arrays of any strides."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

C_TYPES = {
    "bool": "_Bool",
    "int8": "int8_t",
    "int16": "int16_t",
    "int32": "int32_t",
    "int64": "int64_t",
    "uint8": "uint8_t",
    "uint16": "uint16_t",
    "uint32": "uint32_t",
    "uint64": "uint64_t",
    "float32": "float",
    "float64": "double",
}


def literal(number: Any, dtype: str = "float32") -> str:
    """The number in C, exactly."""
    if not dtype.startswith("float"):
        whole = int(number)
        if whole == -(2**63):
            return "(-9223372036854775807 - 1)"
        return f"{whole}{'u' if whole >= 2**63 else ''}"
    if np.isnan(number):
        return "NAN"
    if np.isinf(number):
        return "INFINITY" if number > 0 else "-INFINITY"
    mantissa, exponent = float(np.dtype(dtype).type(number)).hex().split("p")
    whole_part, fraction = mantissa.split(".")
    fraction = fraction.rstrip("0")
    suffix = "f" if dtype == "float32" else ""
    return f"{whole_part}{'.' if fraction else ''}{fraction}p{exponent}{suffix}"


def strides_of(shape: Sequence[int]) -> list[int]:
    """Elements from one to the next along each axis of a row-major array."""
    strides, step = [], 1
    for size in reversed(shape):
        strides.append(step)
        step *= size
    return strides[::-1]


def stretched(shape: Sequence[int], to: Sequence[int]) -> list[int]:
    """Strides with which an array is read as one of the larger shape, aligned at the last axis."""
    strides = [0 if n == 1 else s for n, s in zip(shape, strides_of(shape), strict=True)]
    return [0] * (len(to) - len(shape)) + strides


class Nest:
    """Loops over the elements of a shape, and where arrays are read and written in them.

    Args:
        shape: how far each axis goes.
        name: of the loops' variables.
        strides: of each array, and where it begins.
    """

    def __init__(
        self, shape: Sequence[int], name: str, **strides: tuple[Sequence[int], int]
    ) -> None:
        self.empty = 0 in shape
        axes = [[n, *(s[k] for s, _ in strides.values())] for k, n in enumerate(shape) if n != 1]
        joined: list[list[int]] = []  # neighbours through which one variable runs
        for axis in axes:
            if joined and all(
                outer == inner * axis[0]
                for outer, inner in zip(joined[-1][1:], axis[1:], strict=True)
            ):
                joined[-1] = [joined[-1][0] * axis[0], *axis[1:]]
            else:
                joined.append(axis)
        self.sizes = [axis[0] for axis in joined]
        names = [name] if len(joined) == 1 else [f"{name}{k}" for k in range(len(joined))]
        self.names = names
        self.at = {
            array: _sum([begin, *_terms(names, [axis[1 + k] for axis in joined])])
            for k, (array, (_, begin)) in enumerate(strides.items())
        }


def flat(size: int, name: str = "i") -> Nest:
    """A loop over elements that lie one behind the other; x: where."""
    return Nest([size], name, x=([1], 0))


def join(a: str, b: str) -> str:
    """The sum of two indices."""
    if "0" in (a, b):
        return b if a == "0" else a
    return f"{a} + {b}"


def place(row: str, size: int, at: str) -> str:
    """Element `at` of a row of an array of rows."""
    return join(row if row == "0" or size == 1 else f"{row} * {size}", at)


def add(at: str, step: int, name: str = "k") -> str:
    return join(at, "0" if step == 0 else name if step == 1 else f"{step} * {name}")


def _terms(names: list[str], strides: list[int]) -> list[str]:
    return [f"{s} * {n}" if s != 1 else n for n, s in zip(names, strides, strict=True) if s != 0]


def _sum(terms: list[Any]) -> str:
    """The sum of a number and terms, as an index."""
    begin, *others = terms
    text = " + ".join(others)
    if not others or begin != 0:
        text = f"{text} + {begin}" if others else str(begin)
    return text.replace("+ -", "- ")


class Code:
    """Lines of C, with blocks."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.depth = 1

    def add(self, line: str) -> None:
        self.lines.append("  " * self.depth + line + "\n")

    @contextmanager
    def block(self, head: str) -> Iterator[None]:
        self.add(f"{head} {{" if head else "{")
        self.depth += 1
        yield
        self.depth -= 1
        self.add("}")

    @contextmanager
    def loops(self, nest: Nest) -> Iterator[dict[str, str]]:
        """What is added inside runs for every element; yields where each array is."""
        start = len(self.lines)
        for name, size in zip(nest.names, nest.sizes, strict=True):
            self.add(f"for (int {name} = 0; {name} < {size}; ++{name}) {{")
            self.depth += 1
        yield nest.at
        for _ in nest.names:
            self.depth -= 1
            self.add("}")
        if nest.empty:
            del self.lines[start:]

    @contextmanager
    def scoped(self, nest: Nest) -> Iterator[dict[str, str]]:
        """The same in a block of its own, where it is to have variables."""
        with self.loops(nest) as at:
            if nest.names:
                yield at
            else:
                with self.block(""):
                    yield at

    def text(self) -> str:
        return "".join(self.lines)
