"""What the converter of PyTorch modules knows while it replays a traced `forward`."""

from __future__ import annotations

from typing import Any

import numpy as np

from densa import layers
from densa._symbolic import KerasTensor
from densa.models.graph_builder import GraphBuilder
from densa.utils import tree


class Refusal(ValueError):
    """What densa does not have; the converter adds where."""


class Rows:
    """Stands for the number of rows of the batch where `forward` asks for it."""


ROWS = Rows()


class Traced(GraphBuilder):
    """A traced module: its nodes' values, and what densa needs to know of its submodules."""

    def __init__(self, module: Any, dtype: str) -> None:
        super().__init__()
        self.module = module
        self.dtype = dtype
        self.values: dict[Any, Any] = {}
        self._layers: dict[str, Any] = {}

    def place(self, node: Any) -> str:
        """Return the words for a node in an error."""
        if node.op == "call_module":
            kind = type(self.module.get_submodule(node.target)).__name__
            return f"Submodule {node.target!r} ({kind})"
        name = node.target if isinstance(node.target, str) else node.target.__name__
        return f"Function {name!r} ({node.name} in the traced forward)"

    def arguments(self, node: Any) -> tuple[list[Any], dict[str, Any]]:
        """Return a node's arguments with the values of other nodes."""
        from torch import fx

        def one(x: Any) -> Any:
            if isinstance(x, slice):
                return slice(one(x.start), one(x.stop), one(x.step))
            return self.values[x] if isinstance(x, fx.Node) else x

        args = [tree.map_structure(one, _plain(a)) for a in node.args]
        return args, {k: tree.map_structure(one, _plain(v)) for k, v in node.kwargs.items()}

    def constant(self, target: str) -> Any:
        """Return a buffer as an array; Refusal for a parameter, which would not train."""
        owner, _, name = target.rpartition(".")
        value = getattr(self.module.get_submodule(owner), name)
        if value.requires_grad:
            raise Refusal("is a parameter that is used outside of a layer of torch.nn")
        return array(value)

    def apply(self, target: str, make: Any, weights: list[Any], x: Any) -> Any:
        """Call the layer of a submodule, one layer for all its uses, and give it its weights."""
        if target in self._layers:
            return self._layers[target](x)
        layer = self._layers[target] = make(name=self.unique(target), dtype=self.dtype)
        y = layer(x)
        if weights:
            layer.set_weights([array(w) for w in weights])
        return y

    def outputs(self, struct: Any) -> Any:
        """Return what forward gives, as a tensor or a list or dict of them."""
        from torch import fx

        def one(x: Any) -> Any:
            value = self.values[x] if isinstance(x, fx.Node) else x
            if not isinstance(value, KerasTensor):
                raise ValueError(f"forward gives {value!r}, which is no tensor of the input's.")
            return value

        found = tree.map_structure(one, _plain(struct))
        leaves = tree.flatten(found)
        seen: set[int] = set()
        named = []
        for x in leaves:  # an input given back, or a tensor given twice, has a layer of its own
            assert x._keras_history is not None
            if isinstance(x._keras_history[0], layers.InputLayer) or id(x) in seen:
                x = layers.Identity(name=self.unique("output"))(x)
            seen.add(id(x))
            named.append(x)
        return tree.pack_like(found, named)


def _plain(x: Any) -> Any:
    """Return torch.fx's own lists and dicts as Python's."""
    if isinstance(x, tuple):
        return tuple(_plain(v) for v in x)
    if isinstance(x, list):
        return [_plain(v) for v in x]
    if isinstance(x, dict):
        return {k: _plain(v) for k, v in x.items()}
    return x


def array(tensor: Any) -> Any:
    """Return a torch tensor's numbers as an array of its own."""
    return np.array(tensor.detach().cpu().numpy())
