"""`GraphReader`: the values of an ONNX graph while it becomes a densa model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from densa._symbolic import KerasTensor
from densa.models.graph_builder import GraphBuilder, clean_name
from densa.onnx._library import library

# Stands for the unknown number of rows in what exporters compute from shapes. A product of it with
# a size stays recognisable.
ROWS = 2**40
# What may be done with sizes of which one is ROWS.
_KEEP_ROWS = {"Gather", "Slice", "Concat", "Unsqueeze", "Squeeze", "Cast", "Identity", "Reshape",
              "Mul"}  # fmt: skip


class Refusal(ValueError):
    """What a graph holds that densa cannot read; the reader adds where."""


class OnnxNode:
    """One node of the file: operator, names, attributes as Python values."""

    def __init__(self, proto: Any, index: int) -> None:
        self.proto = proto
        self.op: str = proto.op_type
        self.inputs = list(proto.input)
        self.outputs = list(proto.output)
        self.domain: str = "" if proto.domain == "ai.onnx" else proto.domain
        self.attributes = {a.name: library().helper.get_attribute_value(a) for a in proto.attribute}
        operator = f"{self.domain}.{self.op}" if self.domain else self.op
        name = f" {proto.name!r}" if proto.name else ""
        self.place = f"node {index}{name} ({operator}, giving {', '.join(self.outputs)})"

    def get(self, name: str, missing: Any = None) -> Any:
        """Return an attribute; texts as str."""
        value = self.attributes.get(name, missing)
        return value.decode() if isinstance(value, bytes) else value


class GraphReader(GraphBuilder):
    """Values by name: arrays where they are known, symbolic tensors elsewhere."""

    def __init__(self, graph: Any, opset: int) -> None:
        self.opset = opset
        self.nodes = [OnnxNode(n, i) for i, n in enumerate(graph.node)]
        self.outputs = [o.name for o in graph.output]
        self.values: dict[str, Any] = {}
        self.done: set[int] = set()  # nodes that became part of another's layer
        self._with_rows: set[str] = set()  # arrays that hold ROWS
        self._readers: dict[str, list[OnnxNode]] = {}
        for node in self.nodes:
            for name in node.inputs:
                self._readers.setdefault(name, []).append(node)
        # Names of outputs are kept for the layers that give them.
        inputs = {x.name for x in graph.input}
        self.kept = {name: clean_name(name) for name in self.outputs if name not in inputs}
        super().__init__(self.kept.values())
        self.named: set[int] = set()  # functions that have the name of an output

    # ---- names -----------------------------------------------------------------------------------

    def output_name(self, output: str) -> str:
        """Return the name of the layer that gives an output, once; then others like it."""
        return self.kept.pop(output, None) or self.unique(output)

    def name_of(self, node: OnnxNode) -> str:
        """Return a name for the layer that a node becomes."""
        for output in node.outputs:
            if output in self.kept:
                return self.output_name(output)
        # Exporters write "layer/Operator".
        return self.unique(node.proto.name.removesuffix(f"/{node.op}") or node.op.lower())

    # ---- values ----------------------------------------------------------------------------------

    def input(self, node: OnnxNode, index: int) -> Any:
        """Return an input's value; None if it is left out."""
        if index >= len(node.inputs) or not node.inputs[index]:
            return None
        return self.values[node.inputs[index]]

    def tensor(self, node: OnnxNode, index: int = 0) -> KerasTensor:
        """Return an input that must be computed from the graph's inputs."""
        value = self.input(node, index)
        if not isinstance(value, KerasTensor):
            raise Refusal(f"input {index} must depend on the graph's inputs")
        return value

    def array(self, node: OnnxNode, index: int, what: str) -> Any:
        """Return an input that must be known, or None if it is left out."""
        value = self.input(node, index)
        if isinstance(value, KerasTensor):
            raise Refusal(f"{what} (input {index}) must be a constant of the file")
        if value is not None and node.inputs[index] in self._with_rows:
            raise Refusal(f"{what} (input {index}) depends on the number of rows")
        return value

    def sizes(self, node: OnnxNode, index: int) -> list[int]:
        """Return an input that is a shape; -1 where it depends on the number of rows."""
        value = self.input(node, index)
        if isinstance(value, KerasTensor) or value is None:
            raise Refusal(f"its shape (input {index}) must be known or come from Shape")
        rows = node.inputs[index] in self._with_rows
        return [-1 if rows and v >= ROWS else int(v) for v in np.asarray(value).ravel().tolist()]

    def sole_reader(self, name: str) -> OnnxNode | None:
        """Return the one node that reads a value, None if there are others or it is an output."""
        readers = self._readers.get(name, [])
        return readers[0] if len(readers) == 1 and name not in self.outputs else None

    def axes(self, node: OnnxNode, index: int, rank: int) -> list[int] | None:
        """Return axes, an attribute in old files and an input in new ones; None if left out."""
        given = node.get("axes")
        if given is None:
            given = self.array(node, index, "axes")
        if given is None:
            return None
        return [int(a) % rank for a in np.asarray(given).ravel()]

    # ---- what nodes become -----------------------------------------------------------------------

    def layer(self, node: OnnxNode, cls: Any, *args: Any, **kwargs: Any) -> Any:
        """Make a layer named like the node."""
        dtype = kwargs.pop("dtype", "float32")
        return cls(*args, name=self.name_of(node), dtype=dtype, **kwargs)

    def operand(self, value: Any) -> Any:
        """Return an operand of an elementwise op: single numbers without axes of their own."""
        if isinstance(value, np.ndarray) and value.ndim == 0 and value.dtype.kind == "f":
            return float(value)
        return value

    # ---- constants -------------------------------------------------------------------------------

    def fold(self, node: OnnxNode) -> bool:
        """Compute a node whose inputs are all known; False if some are not."""
        known = [self.values[n] for n in node.inputs if n]
        if any(isinstance(v, KerasTensor) for v in known):
            return self._fold_shape(node)
        if node.domain or any(a.type in (5, 10) for a in node.proto.attribute):  # graphs inside
            raise Refusal("has no counterpart in densa")
        if node.op.startswith("Random") or node.op in ("Bernoulli", "Multinomial"):
            raise Refusal("draws random numbers")
        rows = [n for n in node.inputs if n in self._with_rows]
        if rows and node.op not in _KEEP_ROWS:
            raise Refusal("computes with the number of rows")
        if rows and node.op == "Cast" and np.dtype(_numpy_type(node.get("to"))).kind != "i":
            raise Refusal("computes with the number of rows")
        results = _evaluate(node, self.opset, self.values)
        for name, value in zip(node.outputs, results, strict=False):
            self.values[name] = value
            if rows and np.any(np.asarray(value) >= ROWS):
                self._with_rows.add(name)
        return True

    def _fold_shape(self, node: OnnxNode) -> bool:
        """The shape of a symbolic tensor is known but for the rows."""
        if node.op not in ("Shape", "Size"):
            return False
        shape = self.tensor(node).shape
        part = shape[node.get("start", 0) : node.get("end", len(shape))]
        if None in part[1:] or (part[:1] == (None,) and shape[:1] != (None,)):
            raise Refusal(f"asks for a shape of which more than the rows is unknown: {shape}")
        sizes = np.array([ROWS if d is None else d for d in part], np.int64)
        value = sizes if node.op == "Shape" else np.prod(sizes)
        self.values[node.outputs[0]] = value
        if np.any(value >= ROWS):
            self._with_rows.add(node.outputs[0])
        return True


def _numpy_type(code: int) -> Any:
    return library().helper.tensor_dtype_to_np_dtype(code)


def _evaluate(node: OnnxNode, opset: int, values: dict[str, Any]) -> list[Any]:
    """Compute one node by the package onnx' own reference."""
    from onnx.reference import ReferenceEvaluator

    feeds = {n: values[n] for n in node.inputs if n}
    try:
        with np.errstate(all="ignore"):
            found = ReferenceEvaluator(node.proto, opsets={"": opset}).run(None, feeds)
    except Exception as error:
        raise Refusal(f"cannot be computed from constants: {error}") from error
    return [np.asarray(v) for v in found]


def in_order(reader: GraphReader, handlers: dict[str, Callable[..., Any]]) -> None:
    """Turn each node into layers and ops; ValueError that names the node that fails."""
    for node in reader.nodes:
        if id(node) in reader.done:
            continue
        try:
            if reader.fold(node):
                continue
            handler = handlers.get(node.op) if not node.domain else None
            if handler is None:
                raise Refusal("has no counterpart in densa")
            results = handler(reader, node)
        except Refusal as error:
            raise ValueError(f"{node.place}: {error}.") from error
        except (ValueError, TypeError, LookupError) as error:
            raise ValueError(f"{node.place}: {error}") from error
        results = list(results) if isinstance(results, (list, tuple)) else [results]
        for i, name in enumerate(node.outputs):
            if i < len(results):
                reader.values[name] = results[i]
            elif name and (reader._readers.get(name) or name in reader.outputs):
                raise ValueError(f"{node.place}: densa does not compute its output {name!r}.")
