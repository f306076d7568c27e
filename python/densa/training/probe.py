"""Statistics of training steps: units, gradients and updates of each layer.

A probe is a recording of its own: the forward pass with the draws that the step is about to make,
the loss, and the gradients. It runs on the batch of a step right before that step and changes
nothing but variables of its own, so training goes on with the same bits.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from densa import _core, activations, ops
from densa.random import Uses
from densa.saving.plain_data import is_plain
from densa.utils import tree
from densa.variables import Variable

from .arrays import DataTypes
from .data import Batch, Source
from .recording import symbols

# Activations whose mean slope over a batch follows from the means of y and y²: sigmoid's is
# y - y², tanh's 1 - y²; and the largest slope that they have.
STEEPEST = {"sigmoid": 0.25, "tanh": 1.0}
_KEPT_ROWS = 512
_LOOKS = 32  # after so many the interval doubles: what a long training costs and keeps is bounded


@dataclass
class Look:
    """One look at a step."""

    step: int
    rate: float
    count: dict[str, int]
    found: Found
    moves: Found | None = None

    def get_state(self) -> dict[str, Any]:
        """The look as plain data."""
        parts = [part.get_state() for part in (self.found, self.moves) if part is not None]
        return {"step": self.step, "rate": float(self.rate), "count": self.count, "parts": parts}

    @classmethod
    def from_state(cls, state: dict[str, Any], names: dict[str, str]) -> Look:
        """The look that `get_state` gave, under the names of today."""
        count = {names.get(name, name): int(size) for name, size in state["count"].items()}
        parts = [Found.from_state(part, names) for part in state["parts"]]
        return cls(int(state["step"]), float(state["rate"]), count, *parts)


@dataclass
class Series:
    """What looks have found, kind by kind: rules read all looks of a kind at once.

    Attributes:
        step: The step of each look.
        rate: The learning rate of each look.
        count: Numbers per unit in each look, by layer; 0 where a look has none.
        kinds: By kind and name: the looks that have it, and a row of sums over a batch for each.
    """

    step: list[int] = field(default_factory=list)
    rate: list[float] = field(default_factory=list)
    count: dict[str, Any] = field(default_factory=dict)
    kinds: dict[str, dict[str, tuple[Any, Any]]] = field(default_factory=dict)


class Probe:
    """Looks at a step now and then while a model trains: `_probe` of a callback.

    Args:
        interval: Steps from one look to the next; it doubles after each 32 looks.
    """

    def __init__(self, interval: int) -> None:
        self.interval = interval
        self.wait = 0  # steps until the next look
        self._looks: list[Look] = []
        self.failure = ""  # why there are no samples
        self.seen = False
        self.inputs: list[Any] = []  # some rows of the inputs
        self.targets: Any = None  # ... and of the targets, if they are one array
        self.heads: list[str] = []  # names of the layers that give the outputs
        self.lost: list[str] | None = None  # variables with NaN or infinity before the first look
        self.rows = 0  # of the largest batch looked at
        self.source: Source | None = None  # of the batches
        self._kinds: Batch = (None, None, None)

    def record(self, model: Any, kinds: Batch, rows: int) -> Recorded | None:
        """The programs for batches of these kinds; None, and a reason, where there can be none."""
        self._kinds = kinds
        try:
            recorded = Recorded(model, kinds, rows)
            self.heads = recorded.heads
            return recorded
        except Exception as error:  # whatever a model's own code raises on symbols
            self.failure = f"{type(error).__name__}: {error}"
            return None

    @property
    def series(self) -> Series:
        """What the looks have found, kind by kind."""
        return _series(self._looks)

    @property
    def kinds(self) -> Any:
        """The inputs without rows, in the form that the model is given."""
        return self._kinds[0]

    def get_state(self) -> dict[str, Any]:
        """What `set_state` needs to go on, as plain data."""
        data = {"inputs": self.inputs, "targets": self.targets, "kinds": self._kinds}
        return {
            "looks": [look.get_state() for look in self._looks],
            "wait": self.wait,
            "failure": self.failure,
            "heads": self.heads,
            "lost": self.lost,
            "rows": self.rows,
            "data": data if self.seen and is_plain(data) else None,
        }

    def set_state(self, state: dict[str, Any], names: dict[str, str]) -> None:
        """Goes on from what `get_state` gave.

        Args:
            state: The state.
            names: What layers and variables are called now, by what they were called then.
        """
        self._looks = [Look.from_state(look, names) for look in state["looks"]]
        self.wait, self.failure = int(state["wait"]), str(state["failure"])
        self.heads = [names.get(name, name) for name in state.get("heads", ())]
        lost = state.get("lost")
        self.lost = None if lost is None else [names.get(path, path) for path in lost]
        self.rows = int(state.get("rows", 0))
        data = state["data"]
        self.seen = data is not None
        if data is not None:
            self.inputs, self.targets = list(data["inputs"]), data["targets"]
            self._kinds = data["kinds"]

    def look(
        self, recorded: Recorded | None, arrays: Any, order: Any, first: int, rows: int
    ) -> Look | None:
        """Takes the statistics of a batch: these rows of the arrays."""
        self.rows = max(self.rows, rows)
        if self.lost is None and recorded is not None:
            self.lost = lost_variables(recorded.model)
        if not self.seen:
            self._keep(arrays, order, first, rows)
        if recorded is None:
            return None
        model = recorded.model
        step, draw = int(model.optimizer._iterations), model._steps_trained
        recorded.forward.begin(arrays, order, first, first + rows, rows)
        recorded.forward.step = 0
        recorded.forward.run(1, 0.0, 0.0, None, step if draw is None else draw)
        count = {name: rows * inner for name, inner in recorded.inner.items()}
        self._looks.append(Look(step, model.optimizer.rate_at(step), count, recorded.read()))
        return self._looks[-1]

    @contextmanager
    def looking(
        self, recorded: Recorded | None, arrays: Any, order: Any, first: int, rows: int
    ) -> Iterator[None]:
        """Looks at the step in between, which takes these rows, and at what it does to weights."""
        look = self.look(recorded, arrays, order, first, rows)
        yield
        if recorded is None or look is None:
            self.wait = sys.maxsize
            return
        look.moves = recorded.read_moves()
        self.wait = self.interval * 2 ** (len(self._looks) // _LOOKS) - 1

    def _keep(self, arrays: Any, order: Any, first: int, rows: int) -> None:
        # Some rows of inputs and targets, for rules about data.
        last = first + rows
        if order is not None:
            chosen = np.asarray(order)[first : max(last, first + _KEPT_ROWS)]
            found = [np.asarray(a)[np.sort(chosen)] for a in arrays]
        else:
            found = [np.array(a[first : max(last, first + _KEPT_ROWS)]) for a in arrays]
        inputs, targets = (
            sum(leaf is not None for leaf in tree.flatten(part)) if part is not None else 0
            for part in self._kinds[:2]
        )
        self.inputs = found[:inputs]
        self.targets = found[inputs] if targets == 1 else None
        self.seen = True


class Recorded:
    """A probe's programs for batches of one kind.

    Args:
        model: A built, compiled model.
        kinds: Arrays like those of its batches, without rows.
        rows: Rows of the largest batch.
    """

    def __init__(self, model: Any, kinds: Batch, rows: int) -> None:
        self.model = model
        self.inner: dict[str, int] = {}  # positions in a row that a unit gives a number for
        self.heads: list[str] = []  # names of the layers that give the outputs
        self._kernels: list[tuple[Variable, Variable]] = []  # each with a copy
        with Uses() as uses:
            program = self._record(kinds)
        if uses.several:
            with Uses(uses):
                program = self._record(kinds)
        self.forward = _core.Plan(program, rows)
        self._moves = _Written(model.trainable_variables[0])
        self.moved = _core.Plan(self._record_moves(), 1) if self._kernels else None

    def read(self) -> Found:
        """What the last run has found, by kind and name."""
        return self._found.read()

    def read_moves(self) -> Found | None:
        """Squares of what has happened to the kernels since the last run."""
        if self.moved is None:
            return None
        self.moved.begin((), None, 0, 1, 1)
        self.moved.run(1)
        return self._moves.read()

    def _record(self, kinds: Batch) -> Any:
        model = self.model
        variables = model.trainable_variables
        self._kernels.clear()
        found = self._found = _Written(variables[0])
        program = _core.Program()
        with program, _core.no_grad(), _outputs(model) as outputs:
            x, y, sample_weight = symbols(program, kinds, DataTypes(model), False)
            y_pred = model(x, training=True)
            loss = model.compute_loss(
                x=x, y=y, y_pred=y_pred, sample_weight=sample_weight, training=True
            )
            program.drop_assignments()  # moving averages and metrics are the step's own
            gradients = program.gradients(loss, variables)
            found.add("loss", "", loss)
            self.heads = _heads(outputs, tree.flatten(y_pred))
            for layer, (curve, output) in outputs.items():
                if curve in ("", "softmax"):
                    continue
                values = ops.cast(output, "float32")
                self.inner[layer.name] = math.prod(size or 1 for size in values.shape[1:-1])
                axes = 0 if len(values.shape) < 3 else tuple(range(len(values.shape) - 1))
                found.add(f"sum {curve}", layer.name, ops.sum(values, axis=axes))
                found.add("square", layer.name, ops.sum(values * values, axis=axes))
            limit = getattr(model.optimizer, "clipvalue", None)
            for variable, gradient in zip(variables, gradients, strict=True):
                if gradient is None or variable._rows:
                    continue
                found.add("gradient", variable.path, _squares(gradient))
                if limit is not None:
                    over = ops.cast(ops.abs(gradient) > limit, "float32")
                    found.add("cut", variable.path, ops.sum(over))
                if len(variable.shape) == 2:
                    found.add("weight", variable.path, _squares(variable.value))
                    copy = _zeros(tuple(variable.shape), variable, str(variable.dtype))
                    copy.assign(variable.value)
                    self._kernels.append((variable, copy))
            found.write()
        return program

    def _record_moves(self) -> Any:
        program = _core.Program()
        with program, _core.no_grad():
            for kernel, copy in self._kernels:
                self._moves.add("moved", kernel.path, _squares(kernel.value - copy.value))
            self._moves.write()
        return program


class _Written:
    # Values of a recording, written side by side into one variable: one read gets them all.

    def __init__(self, near: Variable) -> None:
        self._near = near
        self._values: list[Any] = []
        self._layout: list[tuple[str, str, int]] = []

    def add(self, kind: str, name: str, value: Any) -> None:
        value = ops.reshape(ops.cast(value, "float32"), (-1,))
        self._layout.append((kind, name, int(value.shape[0])))
        self._values.append(value)

    def write(self) -> None:
        size = sum(entry[2] for entry in self._layout)
        self._variable = _zeros((size,), self._near, "float32")
        self._variable.assign(ops.concatenate(self._values))
        self._values.clear()

    def read(self) -> Found:
        return Found(np.array(self._variable.numpy()), self._layout)


class Found:
    """Numbers of one look, cut up when somebody asks.

    Args:
        numbers: All of them.
        layout: Kind, name and size of each part.
    """

    def __init__(self, numbers: Any, layout: list[tuple[str, str, int]]) -> None:
        self._numbers = numbers
        self._layout = layout

    def get_state(self) -> dict[str, Any]:
        """The numbers as plain data."""
        return {"numbers": self._numbers, "layout": [list(entry) for entry in self._layout]}

    @classmethod
    def from_state(cls, state: dict[str, Any], names: dict[str, str]) -> Found:
        """The numbers that `get_state` gave, under the names of today."""
        layout = [(kind, names.get(name, name), int(n)) for kind, name, n in state["layout"]]
        return cls(state["numbers"], layout)

    def parts(self) -> dict[str, dict[str, Any]]:
        """The parts by kind and name."""
        out: dict[str, dict[str, Any]] = {}
        at = 0
        for kind, name, size in self._layout:
            out.setdefault(kind, {})[name] = self._numbers[..., at : at + size]
            at += size
        return out

    @property
    def layout(self) -> list[tuple[str, str, int]]:
        """Kind, name and size of each part."""
        return self._layout

    @classmethod
    def stacked(cls, several: list[Found]) -> Found:
        """One with a row for each of several of the same layout."""
        return cls(np.stack([one._numbers for one in several]), several[0]._layout)


def _series(looks: list[Look]) -> Series:
    keys: dict[int, Any] = {}  # layouts by identity: nearly all looks share theirs
    groups: dict[Any, tuple[list[int], list[Found]]] = {}
    for i, look in enumerate(looks):
        for found in (look.found, look.moves):
            if found is None:
                continue
            key = keys.get(id(found.layout))
            if key is None:
                key = keys[id(found.layout)] = tuple(map(tuple, found.layout))
            at, several = groups.setdefault(key, ([], []))
            at.append(i)
            several.append(found)
    parts: dict[str, dict[str, list[Any]]] = {}
    for at, several in groups.values():
        for kind, named in Found.stacked(several).parts().items():
            for name, numbers in named.items():
                parts.setdefault(kind, {}).setdefault(name, []).append((np.array(at), numbers))
    names = dict.fromkeys(name for look in looks for name in look.count)
    return Series(
        [look.step for look in looks],
        [float(look.rate) for look in looks],
        {name: np.array([look.count.get(name, 0) for look in looks]) for name in names},
        {
            kind: {name: _in_order(several) for name, several in named.items()}
            for kind, named in parts.items()
        },
    )


def lost_variables(model: Any) -> list[str]:
    """The paths of a model's variables that hold NaN or infinity."""
    return [
        variable.path
        for variable in model.variables
        if "float" in str(variable.dtype)
        and not np.isfinite(np.sum(variable.numpy(), dtype="float64"))
    ]


def _in_order(parts: list[tuple[Any, Any]]) -> tuple[Any, Any]:
    if len(parts) == 1:
        return parts[0]
    at = np.concatenate([part[0] for part in parts])
    order = np.argsort(at)
    return at[order], np.concatenate([part[1] for part in parts])[order]


def _squares(value: Any) -> Any:
    # Column sums, which plans make on panels.
    value = ops.cast(value, "float32")
    return ops.sum(value * value, axis=0) if len(value.shape) == 2 else ops.sum(value * value)


def _zeros(shape: tuple[int, ...], near: Variable, dtype: str) -> Variable:
    return Variable(
        np.zeros(shape, dtype), dtype=dtype, trainable=False, name="probe", device=near.device
    )


def curve_of(layer: Any) -> str:
    """The name of a layer's activation, `""` where it has none; `"softmax"` among them."""
    function = getattr(layer, "activation", None)
    if function is not None:
        name = activations.fused_name(function)
        return str(getattr(function, "__name__", "") if name is None else name)
    kind = type(layer).__name__.lower()
    return kind if kind in ("relu", "elu", "softmax", "swish", "prelu", "rrelu") else ""


@contextmanager
def _outputs(model: Any) -> Iterator[dict[Any, tuple[str, Any]]]:
    # What layers with an activation or a kernel give as the model is called: the first time each.
    found: dict[Any, tuple[str, Any]] = {}
    changed = []

    def watch(layer: Any, curve: str) -> None:
        call = layer.call

        def watched(*args: Any, **kwargs: Any) -> Any:
            output = call(*args, **kwargs)
            if layer not in found and len(tree.flatten(output)) == 1:
                only = tree.flatten(output)[0]
                if getattr(only, "shape", None) and "float" in str(only.dtype):
                    found[layer] = (curve, only)
            return output

        layer.__dict__["call"] = watched
        changed.append(layer)

    for layer in model._flatten_layers():
        curve = curve_of(layer)
        if (curve or hasattr(layer, "kernel_initializer")) and "call" not in layer.__dict__:
            watch(layer, curve)
    try:
        yield found
    finally:
        for layer in changed:
            del layer.__dict__["call"]


def _heads(outputs: dict[Any, tuple[str, Any]], given: list[Any]) -> list[str]:
    # The layers whose outputs are the model's; where one is none of theirs, the last called, too.
    found = [layer for layer, (_, output) in outputs.items() if any(output is x for x in given)]
    if len(found) < len(given):
        found += list(outputs)[-1:]
    return [layer.name for layer in found]
