"""EarlyStopping."""

from __future__ import annotations

from typing import Any

from densa._numbers import check_real_number

from .monitor import MonitorCallback


class EarlyStopping(MonitorCallback):
    """Stops `fit` when a number has not become better for a while.

    Args:
        monitor: Name of the number in the logs.
        min_delta: Least change that counts as better.
        patience: Epochs without a better value before `fit` stops.
        verbose: 1 prints when it stops.
        mode: `"min"`, `"max"` or `"auto"`.
        baseline: What the number must beat for patience to start again.
        restore_best_weights: Whether to put the weights of the best epoch back at the end.
        start_from_epoch: First epoch that is looked at.

    Raises:
        TypeError: An argument is no number.
        ValueError: `patience` or `start_from_epoch` is below 0, or a number is NaN.

    Example:

    >>> import densa
    >>> stop = densa.callbacks.EarlyStopping(monitor="loss", patience=3)
    """

    _state_names = ("wait", "stopped_epoch", "best", "best_epoch", "best_weights")

    def __init__(
        self,
        monitor: str = "val_loss",
        min_delta: float = 0,
        patience: int = 0,
        verbose: int = 0,
        mode: str = "auto",
        baseline: float | None = None,
        restore_best_weights: bool = False,
        start_from_epoch: int = 0,
    ) -> None:
        check_real_number("EarlyStopping: `patience`", patience, least=0)
        check_real_number("EarlyStopping: `start_from_epoch`", start_from_epoch, least=0)
        if baseline is not None:
            check_real_number("EarlyStopping: `baseline`", baseline)
        super().__init__(monitor, mode, min_delta=min_delta)
        self.patience = patience
        self.verbose = verbose
        self.baseline = baseline
        self.restore_best_weights = restore_best_weights
        self.start_from_epoch = start_from_epoch
        self.wait = 0
        self.stopped_epoch = 0
        self.best_epoch = 0
        self.best_weights: list[Any] | None = None

    @property
    def _replaces_weights(self) -> bool:
        return self.restore_best_weights

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self.wait = 0
        self.stopped_epoch = 0
        self.best = None
        self.best_weights = None
        self.best_epoch = 0

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        current = self.current(logs)
        if current is None or epoch < self.start_from_epoch:
            return
        if self.restore_best_weights and self.best_weights is None:
            # A first value that is NaN must not leave nothing to restore.
            self.best_weights = self.model.get_weights()
            self.best_epoch = epoch
        self.wait += 1
        if self.is_better(current, self.best):
            self.best = current
            self.best_epoch = epoch
            if self.restore_best_weights:
                self.best_weights = self.model.get_weights()
            if self.baseline is None or self.is_better(current, self.baseline):
                self.wait = 0
            return
        if self.wait >= self.patience and epoch > 0:
            self.stopped_epoch = epoch
            self.model.stop_training = True

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        if self.stopped_epoch > 0 and self.verbose > 0:
            print(f"Epoch {self.stopped_epoch + 1}: early stopping")
        if self.restore_best_weights and self.best_weights is not None:
            if self.verbose > 0:
                print(
                    "Restoring model weights from the end of the best epoch: "
                    f"{self.best_epoch + 1}."
                )
            self.model.set_weights(self.best_weights)
