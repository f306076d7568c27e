"""SWA: stochastic weight averaging."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from densa._numbers import whole_number

from .callback import Callback


class SWA(Callback):
    """Gives the model, when `fit` ends, the mean of its weights at the ends of late epochs.

    Weights that wander around a minimum with a rate that stays large lie at its edge; their mean
    lies inside. Metrics of the epochs are those of the wandering weights. A batch norm gets the
    mean of its moving statistics, which is not exactly what the mean weights would give:
    `densa.utils.recalibrate_batch_norm(model, x)` sets what they give, once `fit` has ended.

    Args:
        start_epoch: First epoch whose weights count, from 0.
        epochs: Number of epochs from one that counts to the next.
        verbose: 1 says how many were averaged.

    Raises:
        TypeError: A number is no whole number.
        ValueError: A number is too small.

    Example:

    >>> import densa
    >>> model = densa.Sequential([densa.Input((1,)), densa.layers.Dense(1)])
    >>> model.compile(densa.optimizers.SGD(0.1), "mse")
    >>> x = np.ones((4, 1))
    >>> swa = densa.callbacks.SWA(start_epoch=2)
    >>> history = model.fit(x, x, epochs=5, callbacks=[swa], verbose=0)
    >>> swa.averaged
    3
    """

    _replaces_weights = True

    def __init__(self, start_epoch: int, epochs: int = 1, verbose: int = 0) -> None:
        super().__init__()
        self.start_epoch = whole_number("start_epoch", start_epoch, least=0)
        self.epochs = whole_number("epochs", epochs)
        self.verbose = verbose
        self.averaged = 0
        self._means: list[tuple[Any, Any]] = []

    def get_state(self) -> dict[str, Any]:
        """How many epochs count so far, and the means of their weights."""
        return {"averaged": self.averaged, "means": [mean for _, mean in self._means]}

    def set_state(self, state: dict[str, Any]) -> None:
        """Goes on with the means so far."""
        self.averaged = state["averaged"]
        means = state["means"]
        self._means = list(zip(self._floating(), means, strict=True)) if means else []

    def _floating(self) -> list[Any]:
        return [v for v in self.model.weights if "float" in str(v.dtype)]

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self.averaged, self._means = 0, []

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if epoch < self.start_epoch or (epoch - self.start_epoch) % self.epochs:
            return
        if not self._means:
            self._means = [(v, np.zeros(tuple(v.shape))) for v in self._floating()]
        self.averaged += 1
        for variable, mean in self._means:
            mean += (np.asarray(variable.numpy(), np.float64) - mean) / self.averaged

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        if not self.averaged:
            warnings.warn(
                f"SWA: no epoch has reached start_epoch={self.start_epoch} (epochs count from 0); "
                "the weights stay as they are.",
                stacklevel=2,
            )
            return
        for variable, mean in self._means:
            variable.assign(
                mean.astype(np.float32 if "16" in str(variable.dtype) else variable.dtype)
            )
        if self.verbose:
            print(f"SWA: the weights are the mean of {self.averaged} epochs.")
