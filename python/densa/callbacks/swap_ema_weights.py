"""SwapEMAWeights: evaluates with the moving averages of the weights."""

from __future__ import annotations

from typing import Any

import numpy as np

from .callback import Callback


class SwapEMAWeights(Callback):
    """Lends the model the moving averages of its weights while it is evaluated or predicts.

    `fit` goes on with the weights themselves; the numbers in the logs that begin with `val_` are
    those of the averages. The optimizer keeps the averages: give it `use_ema=True`.

    Args:
        swap_on_epoch: Whether the averages also stay in the model from the end of an epoch to the
            begin of the next, for callbacks behind this one, such as `ModelCheckpoint`.

    Raises:
        ValueError: The optimizer keeps no averages.

    Example:

    >>> import densa
    >>> model = densa.Sequential([densa.Input((1,)), densa.layers.Dense(1)])
    >>> model.compile(densa.optimizers.SGD(0.1, use_ema=True), "mse")
    >>> x = np.ones((4, 1))
    >>> swap = densa.callbacks.SwapEMAWeights()
    >>> history = model.fit(x, x, validation_data=(x, x), callbacks=[swap], verbose=0)
    >>> list(history.history)
    ['loss', 'val_loss']
    """

    def __init__(self, swap_on_epoch: bool = False) -> None:
        super().__init__()
        self.swap_on_epoch = bool(swap_on_epoch)
        self.kept: list[Any] | None = None  # the weights themselves, while the averages are in

    def _optimizer(self) -> Any:
        optimizer = getattr(self.model, "optimizer", None)
        optimizer = getattr(optimizer, "inner_optimizer", optimizer)
        if not getattr(optimizer, "use_ema", False):
            raise ValueError(
                "SwapEMAWeights needs an optimizer that keeps averages of the weights: compile "
                "with densa.optimizers.Adam(..., use_ema=True), for instance. The model has "
                f"{optimizer!r}."
            )
        return optimizer

    def _lend(self) -> None:
        optimizer = self._optimizer()
        if self.kept is not None or not optimizer.built:
            return
        from densa.optimizers.parts import put_average

        pairs = optimizer.averages()
        self.kept = [np.array(variable.numpy()) for variable, _ in pairs]
        for variable, average in pairs:
            put_average(variable, average)

    def take_back(self) -> None:
        """Puts the weights themselves back, where the averages are in their place."""
        if self.kept is None:
            return
        for (variable, _), own in zip(self._optimizer().averages(), self.kept, strict=True):
            variable.assign(own)
        self.kept = None

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._optimizer()
        self.kept = None

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self.take_back()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if self.swap_on_epoch:
            self._lend()

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        self.kept = None  # `fit` has left the averages in the model

    def on_test_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._lend()

    def on_test_end(self, logs: dict[str, Any] | None = None) -> None:
        self.take_back()

    def on_predict_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._lend()

    def on_predict_end(self, logs: dict[str, Any] | None = None) -> None:
        self.take_back()
