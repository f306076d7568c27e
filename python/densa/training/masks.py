"""The masks of a model's outputs for all rows of its inputs, without the outputs themselves."""

from __future__ import annotations

from typing import Any

import numpy as np

from densa import _core
from densa._masks import get_mask
from densa.utils import tree

from .arrays import DataTypes
from .data import batch_rows
from .eager import to_tensors
from .native import NativeRunner
from .recording import rows_of, symbols

_ROWS = 1024  # at a time


def masks_of_outputs(model: Any, x: Any) -> list[Any]:
    """The mask of each output as an array, None where all of it counts.

    Args:
        model: The model.
        x: Its inputs, as arrays.
    """
    runner = model._runners.get("masks")
    if runner is None:
        runner = model._runners["masks"] = _MaskRunner(model)
    found: list[Any] = runner.masks(x)
    return found


class _MaskRunner(NativeRunner):
    # A recorded prediction whose results are the masks: a plan computes no more than they need.

    def __init__(self, model: Any) -> None:
        super().__init__(model, "predict")

    def _program(self, parts: Any) -> tuple[Any, Any, list[Any]] | None:
        program = _core.Program()
        with program, _core.no_grad():
            x, _, _ = symbols(program, parts, DataTypes(self.model), True)
            masks = [get_mask(leaf) for leaf in tree.flatten(self.model(x, training=False))]
            leaves = [mask for mask in masks if mask is not None]
            if not all(leaf.shape and leaf.shape[0] is None for leaf in leaves):
                return None
            for i, leaf in enumerate(leaves):
                program.output(f"out{i}", leaf)
        return program, [mask is not None for mask in masks], leaves

    def masks(self, x: Any) -> list[Any]:
        """The masks for all rows of x."""
        parts = (x, None, None)
        rows = batch_rows(parts)
        self._look = True
        try:
            bound = self._bound(parts, min(rows, _ROWS))
        except _core.SymbolicError:  # it reads numbers, and runs with run_eagerly=True
            bound = None
        if bound is None:
            return self._one_by_one(x, rows)
        results = [np.empty((rows, *leaf.shape[1:]), "bool") for leaf in bound.leaves]
        if results:
            bound.plan.begin(rows_of(parts), None, 0, rows, min(rows, _ROWS), results)
            while not bound.plan.done:
                self._advance(bound, rows, 1.0, 0.0)
        left = iter(results)
        return [next(left) if there else None for there in bound.struct]

    def _one_by_one(self, x: Any, rows: int) -> list[Any]:
        found: list[list[Any]] = []
        for start in range(0, rows, _ROWS):
            part = _slice(x, start)
            part, _, _ = DataTypes(self.model).cast(part, None, None)
            with _core.no_grad():
                outputs = self.model(to_tensors(part, self.model), training=False)
            found.append([get_mask(leaf) for leaf in tree.flatten(outputs)])
        return [
            None if of_output[0] is None else np.concatenate([np.asarray(m) for m in of_output])
            for of_output in zip(*found, strict=True)
        ]


def _slice(x: Any, start: int) -> Any:
    return tree.map_structure(lambda a: None if a is None else a[start : start + _ROWS], x)
