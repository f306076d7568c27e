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
from typing import Any

import numpy as np

from densa import _core, activations, ops
from densa.random import Uses
from densa.utils import tree
from densa.variables import Variable

from .arrays import array_dtype
from .data import Batch
from .recording import symbols

# Activations whose mean slope over a batch follows from the means of y and y²: sigmoid's is
# y - y², tanh's 1 - y²; and the largest slope that they have.
STEEPEST = {"sigmoid": 0.25, "tanh": 1.0}
_KEPT_ROWS = 512


class Probe:
    """Looks at a step now and then while a model trains; `fit` finds it at `model._probe`.

    Args:
        interval: Steps from one look to the next.
    """

    def __init__(self, interval: int) -> None:
        self.interval = interval
        self.wait = 0  # steps until the next look
        self.samples: list[dict[str, Any]] = []
        self.failure = ""  # why there are no samples
        self.seen = False
        self.inputs: list[Any] = []  # some rows of the floating inputs
        self.targets: Any = None  # ... and of the targets, if they are one array
        self._kinds: Batch = (None, None, None)

    def record(self, model: Any, kinds: Batch, rows: int) -> Recorded | None:
        """The programs for batches of these kinds; None, and a reason, where there can be none."""
        self._kinds = kinds
        try:
            return Recorded(model, kinds, rows)
        except Exception as error:  # whatever a model's own code raises on symbols
            self.failure = f"{type(error).__name__}: {error}"
            return None

    def look(
        self, recorded: Recorded | None, arrays: Any, order: Any, first: int, rows: int
    ) -> dict[str, Any] | None:
        """The statistics of a batch: these rows of the arrays."""
        if not self.seen:
            self._keep(arrays, order, first, rows)
        if recorded is None:
            return None
        model = recorded.model
        step, draw = int(model.optimizer._iterations), model._steps_trained
        recorded.forward.begin(arrays, order, first, first + rows, rows)
        recorded.forward.step = 0
        recorded.forward.run(1, 0.0, 0.0, None, step if draw is None else draw)
        sample = recorded.read()
        count = {name: rows * inner for name, inner in recorded.inner.items()}
        sample.update(step=step, count=count, rate=model.optimizer.rate_at(step))
        self.samples.append(sample)
        return sample

    @contextmanager
    def looking(
        self, recorded: Recorded | None, arrays: Any, order: Any, first: int, rows: int
    ) -> Iterator[None]:
        """Looks at the step in between, which takes these rows, and at what it does to weights."""
        sample = self.look(recorded, arrays, order, first, rows)
        yield
        if recorded is None or sample is None:
            self.wait = sys.maxsize
            return
        sample["moved"] = recorded.read_moves()
        self.wait = self.interval - 1

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
        self.inputs = [x for x in found[:inputs] if x.dtype.kind == "f"]
        self.targets = found[inputs] if targets == 1 else None
        self.seen = True


class Recorded:
    """A probe's programs for batches of one kind, and the variables that they write.

    Args:
        model: A built, compiled model.
        kinds: Arrays like those of its batches, without rows.
        rows: Rows of the largest batch.
    """

    def __init__(self, model: Any, kinds: Batch, rows: int) -> None:
        self.model = model
        self.capacity = rows
        self.kernels: list[Variable] = []
        self.moves: dict[str, Variable] = {}  # squares of updates, by the kernel's path
        self.inner: dict[str, int] = {}  # positions in a row that a unit gives a number for
        self._written: dict[tuple[str, str], Variable] = {}
        with Uses() as uses:
            program = self._record(kinds)
        if uses.several:
            with Uses(uses):
                program = self._record(kinds)
        self.forward = _core.Plan(program, rows)
        self._copies: list[Variable]
        if self.kernels:
            self.moved = _core.Plan(self._moves(), 1)

    def read(self) -> dict[str, Any]:
        """What the last run has found, by kind and name."""
        found: dict[str, Any] = {}
        for (kind, name), variable in self._written.items():
            found.setdefault(kind, {})[name] = _read(variable)
        return found

    def read_moves(self) -> dict[str, Any]:
        """Squares of what has happened to the kernels since the last run."""
        if self.kernels:
            self.moved.begin((), None, 0, 1, 1)
            self.moved.run(1)
        return {name: _read(variable) for name, variable in self.moves.items()}

    def _record(self, kinds: Batch) -> Any:
        model = self.model
        self._written, self.kernels, self._copies = {}, [], []
        program = _core.Program()
        with program, _core.no_grad(), _outputs(model) as outputs:
            x, y, sample_weight = symbols(program, kinds, array_dtype(model), False)
            y_pred = model(x, training=True)
            loss = model.compute_loss(
                x=x, y=y, y_pred=y_pred, sample_weight=sample_weight, training=True
            )
            program.drop_assignments()  # moving averages and metrics are the step's own
            variables = model.trainable_variables
            gradients = program.gradients(loss, variables)
            self._write("loss", "", ops.cast(loss, "float32"))
            for layer, (curve, output) in outputs.items():
                values = ops.cast(output, "float32")
                self.inner[layer.name] = math.prod(size or 1 for size in values.shape[1:-1])
                if len(values.shape) > 2:
                    values = ops.reshape(values, (-1, values.shape[-1]))
                self._write(f"sum {curve}", layer.name, ops.sum(values, axis=0))
                self._write("square", layer.name, ops.sum(values * values, axis=0))
            limit = getattr(model.optimizer, "clipvalue", None)
            for variable, gradient in zip(variables, gradients, strict=True):
                if gradient is None or variable._rows:
                    continue
                self._write("gradient", variable.path, _squares(gradient))
                if limit is not None:
                    over = ops.cast(ops.abs(gradient) > limit, "float32")
                    self._write("cut", variable.path, ops.sum(over))
                if len(variable.shape) == 2:
                    self._write("weight", variable.path, _squares(variable.value))
                    copy = _zeros(tuple(variable.shape), variable)
                    copy.assign(variable.value)
                    self.kernels.append(variable)
                    self._copies.append(copy)
        return program

    def _write(self, kind: str, name: str, value: Any) -> None:
        value = ops.cast(value, "float32")
        near = self.model.trainable_variables[0]
        variable = self._written[kind, name] = _zeros(tuple(value.shape), near, "float32")
        variable.assign(value)

    def _moves(self) -> Any:
        program = _core.Program()
        with program, _core.no_grad():
            for kernel, copy in zip(self.kernels, self._copies, strict=True):
                squares = _squares(kernel.value - copy.value)
                made = self.moves[kernel.path] = _zeros(tuple(squares.shape), kernel, "float32")
                made.assign(squares)
        return program


def _squares(value: Any) -> Any:
    # Column sums, which plans make on panels.
    value = ops.cast(value, "float32")
    return ops.sum(value * value, axis=0) if len(value.shape) == 2 else ops.sum(value * value)


def _zeros(shape: tuple[int, ...], near: Variable, dtype: str | None = None) -> Variable:
    dtype = dtype or str(near.dtype)
    return Variable(
        np.zeros(shape, dtype), dtype=dtype, trainable=False, name="probe", device=near.device
    )


def _read(variable: Variable) -> Any:
    return np.array(variable.numpy())


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
    # What the layers with an activation give while the model is called: the first time each.
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
        if curve and curve != "softmax" and "call" not in layer.__dict__:
            watch(layer, curve)
    try:
        yield found
    finally:
        for layer in changed:
            del layer.__dict__["call"]
