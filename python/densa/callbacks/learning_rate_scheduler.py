"""LearningRateScheduler."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from .callback import Callback


class LearningRateScheduler(Callback):
    """Sets the learning rate at the start of each epoch.

    Args:
        schedule: `schedule(epoch, rate)` or `schedule(epoch)`, epochs from 0; gives a number.
        verbose: 1 prints each rate.

    Example:

    >>> import densa
    >>> def halve(epoch, rate):
    ...     return rate if epoch < 10 else rate * 0.5
    >>> scheduler = densa.callbacks.LearningRateScheduler(halve)
    """

    _state_names = ()

    def __init__(self, schedule: Callable[..., float], verbose: int = 0) -> None:
        super().__init__()
        if not callable(schedule):
            raise TypeError(
                "LearningRateScheduler: `schedule` must be a function of the epoch, or of epoch "
                f"and rate; received {schedule!r} of type {type(schedule).__name__}."
            )
        self.schedule = schedule
        self.verbose = verbose
        self._takes_rate = _takes_two(schedule)

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        optimizer = getattr(self.model, "optimizer", None)
        if optimizer is None or not hasattr(optimizer, "learning_rate"):
            raise ValueError('Optimizer must have a "learning_rate" attribute.')
        if self._takes_rate:
            rate = self.schedule(epoch, float(optimizer.learning_rate))
        else:
            rate = self.schedule(epoch)
        if not isinstance(rate, float | int | np.floating | np.integer) or isinstance(rate, bool):
            try:
                rate = float(rate)
            except (TypeError, ValueError):
                raise ValueError(
                    f"The output of the `schedule` function should be a float. Got: {rate!r}"
                ) from None
        optimizer.learning_rate = float(rate)
        if self.verbose > 0:
            print(f"\nEpoch {epoch + 1}: LearningRateScheduler setting learning rate to {rate}.")

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if logs is not None:
            logs["learning_rate"] = float(self.model.optimizer.learning_rate)


def _takes_two(schedule: Callable[..., float]) -> bool:
    try:
        signature = inspect.signature(schedule)
    except (TypeError, ValueError):
        return False
    try:
        signature.bind(0, 0.1)
    except TypeError:
        return False
    return True
