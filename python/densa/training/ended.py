"""What the end of a training puts in the place of its weights, so that the next one can go on."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from densa import _core


class Ended:
    """The weights behind the last step of a training, where its end has put others in their place:
    moving averages (`use_ema`), means (`SWA`), those of the best epoch (`EarlyStopping`).

    Args:
        trained: The weights that are others now, by their place among `model.weights`.
        left: Check sum of all weights as `fit` has left them.
        averages: Whether these are moving averages, and callbacks have changed nothing.
    """

    def __init__(self, trained: Mapping[int, Any], left: int, averages: bool) -> None:
        self.trained = dict(trained)
        self.left = left
        self.averages = averages

    def holds(self, model: Any) -> bool:
        """Whether the model has the weights that `fit` has left, untouched."""
        return check_sum(model) == self.left

    def put_back(self, model: Any, callbacks_go_on: bool) -> None:
        """Gives an untouched model the trained weights, to go on from.

        Where callbacks begin anew, what they have put there is what their user wants to go on from.
        """
        if (self.averages or callbacks_go_on) and self.holds(model):
            weights = model.weights
            with _core.no_grad():
                for place, array in self.trained.items():
                    variable = weights[place]
                    variable.assign(np.asarray(array).astype(str(variable.dtype), copy=False))


class Ending:
    """Looks at a model's weights behind its last step and behind the end of `fit`.

    Args:
        model: The model, behind its last step.
    """

    def __init__(self, model: Any) -> None:
        self._model = model
        self._trained = [np.array(variable.numpy()) for variable in model.weights]
        self._averaged: int | None = None

    def averaged(self) -> None:
        """Told when averages have taken the weights' place."""
        self._averaged = check_sum(self._model)

    def over(self) -> Ended | None:
        """What a training that goes on needs; None where the weights are those of the last step."""
        pairs = zip(self._trained, self._model.weights, strict=True)
        trained = {
            place: array
            for place, (array, variable) in enumerate(pairs)
            if not np.array_equal(_bytes(array), _bytes(variable.numpy()))
        }
        left = check_sum(self._model)
        return Ended(trained, left, left == self._averaged) if trained else None


def check_sum(model: Any) -> int:
    """A number that tells the weights of a model from others."""
    found = 0
    for variable in model.weights:
        found = zlib.crc32(_bytes(variable.numpy()), found)
    return found


def _bytes(array: Any) -> Any:
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8)
