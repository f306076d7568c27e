"""Monte Carlo dropout: `predict(x, mc_samples=…)`.

A graph is cut in two where chance comes in. The part before is predicted once; the part behind,
with dropout on, once per sample. Few rows are repeated, so that a pass is worth its call.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from densa._numbers import whole_number
from densa._scope import monte_carlo_scope
from densa._symbolic import KerasTensor, Node
from densa.layers import AlphaDropout, Dropout, GaussianDropout
from densa.models.model import Model
from densa.models.sequential import Sequential
from densa.random import SeedGenerator
from densa.utils import tree

from .arrays import is_data, to_arrays

_ROWS_OF_A_PASS = 4096
_LARGEST_BATCH = 1024


def predict_samples(
    model: Any,
    x: Any,
    samples: int,
    batch_size: int | None = None,
    verbose: Any = "auto",
    steps: int | None = None,
    callbacks: Any = None,
) -> tuple[Any, Any]:
    """Mean and standard deviation of predictions with dropout on; see `Trainer.predict`."""
    samples = whole_number("mc_samples", samples)
    parts = _parts(model, x)
    if isinstance(parts, _Whole):
        if not is_data(x) or steps is not None:
            raise ValueError(
                "predict(mc_samples=...) of a model with a `call` of its own needs arrays, and "
                "all of them: it repeats the whole model. Pass `x` as arrays, without `steps`."
            )
        behind: Any = parts
        hidden = tree.flatten(to_arrays(x, "x", model._names("input_names")))
        parts.struct = x
    else:
        before, behind = parts
        hidden = before.predict(x, batch_size, verbose, steps, callbacks)
    means: list[Any] = []
    squares: list[Any] = []
    done = 0
    rows = len(hidden[0])
    group = max(1, min(samples, _ROWS_OF_A_PASS // max(rows, 1)))
    while done < samples:
        now = min(group, samples - done)
        many = [np.tile(h, (now, *[1] * (h.ndim - 1))) for h in hidden]
        size = batch_size or min(_LARGEST_BATCH, rows * now)
        out = behind.predict(many, batch_size=max(size, 1), verbose=0)
        found = [y.reshape(now, rows, *y.shape[1:]).astype(np.float64) for y in tree.flatten(out)]
        mean = [y.mean(axis=0) for y in found]
        square = [((y - m) ** 2).sum(axis=0) for y, m in zip(found, mean, strict=True)]
        if not means:
            means, squares = mean, square
        else:  # two groups' means and sums of squares made one
            for i, (m, s) in enumerate(zip(mean, square, strict=True)):
                away = m - means[i]
                squares[i] += s + away**2 * (done * now / (done + now))
                means[i] += away * (now / (done + now))
        done += now
    dtypes = [y.dtype for y in tree.flatten(out)]
    mean = [m.astype(t) for m, t in zip(means, dtypes, strict=True)]
    std = [np.sqrt(s / samples).astype(t) for s, t in zip(squares, dtypes, strict=True)]
    return tree.pack_like(out, mean), tree.pack_like(out, std)


def _parts(model: Any, x: Any) -> Any:
    """The model's two halves, or the whole; kept until its graph is another one."""
    if not model.built and is_data(x):
        model.predict(tree.map_structure(lambda a: a[:1], x), verbose=0)
    dropouts = [layer for layer in model._flatten_layers() if _drops(layer)]
    if not dropouts:
        raise ValueError(
            f"predict(mc_samples=...): model '{model.name}' has no dropout layer with a rate above "
            "0, so that all samples would be alike. Add a Dropout, or leave mc_samples out."
        )
    graph = model._graph if type(model).call in (Model.call, Sequential.call) else None
    key = (graph, *map(id, dropouts))
    if model._monte_carlo is None or model._monte_carlo[0] != key:
        made = _Whole(model) if graph is None else _cut(model, graph)
        model._monte_carlo = key, made
    return model._monte_carlo[1]


def _drops(layer: Any) -> bool:
    return isinstance(layer, Dropout | AlphaDropout | GaussianDropout) and layer.rate > 0


def _is_random(operation: Any) -> bool:
    """Whether an operation may give another result each time; not sure of those of users."""
    if not hasattr(operation, "_flatten_layers"):
        return False
    return any(
        _drops(layer)
        or (
            not type(layer).__module__.startswith("densa.layers.")
            and any(isinstance(v, SeedGenerator) for v in vars(layer).values())
        )
        for layer in operation._flatten_layers()
    )


def _cut(model: Any, graph: Any) -> tuple[Model, Model]:
    drawn: set[int] = set()  # symbols that chance has a part in
    before: list[Node] = []
    behind: list[Node] = []
    for node in graph.nodes:
        random = _is_random(node.operation) or any(id(s) in drawn for s in node.inputs)
        (behind if random else before).append(node)
        if random:
            drawn.update(id(s) for s in node.outputs)
    wanted = [s for node in behind for s in node.inputs] + graph.outputs
    known = {id(s): s for s in wanted if id(s) not in drawn}
    return _Before(model, graph, before, list(known.values())), _Behind(
        graph, behind, list(known.values())
    )


class _Part(Model):
    # Some nodes of a graph. Their layers are this model's, too, for what settings it looks at.
    def __init__(self, graph: Any, nodes: list[Node]) -> None:
        super().__init__(autocast=False)
        self._graph_of = graph
        self._nodes_of = nodes
        self.parts = [n.operation for n in nodes if hasattr(n.operation, "_flatten_layers")]

    _untracked = Model._untracked | {"_graph_of", "_nodes_of", "_cut_at", "_owner"}


class _Before(_Part):
    def __init__(self, owner: Any, graph: Any, nodes: list[Node], cut: list[KerasTensor]) -> None:
        super().__init__(graph, nodes)
        self._owner = owner
        self._cut_at = cut

    def _input_dtypes(self, inputs: Any) -> Any:
        return self._owner._input_dtypes(inputs)

    def call(self, inputs: Any) -> list[Any]:
        given = self._owner._standardize_inputs(self._owner._to_dtypes(inputs))
        values = {id(k): v for k, v in zip(self._graph_of.inputs, given, strict=True)}
        self._graph_of.replay(self._nodes_of, values, False)
        return [values[id(s)] for s in self._cut_at]


class _Behind(_Part):
    def __init__(self, graph: Any, nodes: list[Node], cut: list[KerasTensor]) -> None:
        super().__init__(graph, nodes)
        self._cut_at = cut

    def call(self, inputs: Any) -> Any:
        values = {id(k): v for k, v in zip(self._cut_at, tree.flatten(inputs), strict=True)}
        with monte_carlo_scope():
            self._graph_of.replay(self._nodes_of, values, False)
        return tree.map_structure(lambda k: values[id(k)], self._graph_of.outputs_struct)


class _Whole(Model):
    # A model that is no graph, with dropout on.
    def __init__(self, inner: Any) -> None:
        super().__init__(autocast=False)
        self.inner = inner
        self.struct: Any = None

    _untracked = Model._untracked | {"struct"}

    def call(self, inputs: Any) -> Any:
        with monte_carlo_scope():
            return self.inner(tree.pack_like(self.struct, tree.flatten(inputs)), training=False)
