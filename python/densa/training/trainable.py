"""What training changes is settled by `compile`, as in Keras 3: `trainable` set later waits."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class Trainable:
    """The `trainable` of a model's layers and variables, as it was when the model was compiled.

    It decides which variables are updated, whether a batch norm goes by its batch, and which
    penalties on weights are in the loss.

    Args:
        model: The model, built.
    """

    def __init__(self, model: Any) -> None:
        self._layers = [(layer, layer._trainable) for layer in model._flatten_layers()]
        self._variables = [(variable, variable.trainable) for variable in model.variables]
        self._said: list[str] = []

    @contextmanager
    def settled(self) -> Iterator[None]:
        """Layers and variables train inside as they did then; behind it they are as they were."""
        layers = [(x, then) for x, then in self._layers if x._trainable is not then]
        variables = [(v, then) for v, then in self._variables if v.trainable is not then]
        if layers or variables:
            self._say([x.name for x, _ in layers] or [v.path for v, _ in variables])
        for layer, then in layers:
            layer._trainable = then
        for variable, then in variables:
            variable.trainable = then
        try:
            yield
        finally:
            for layer, then in layers:
                layer._trainable = not then
            for variable, then in variables:
                variable.trainable = not then

    def _say(self, names: list[str]) -> None:
        if names == self._said:
            return
        self._said = names
        warnings.warn(
            f"`trainable` of {', '.join(names)} has changed since compile(). What is trained was "
            "settled then, and is still trained: call compile() again for the change to act.",
            stacklevel=6,
        )
