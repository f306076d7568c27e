"""ReduceLROnPlateau."""

from __future__ import annotations

from typing import Any

from densa._numbers import check_real_number, finite_number

from .monitor import MonitorCallback


class ReduceLROnPlateau(MonitorCallback):
    """Lowers the learning rate when a number has not become better for a while.

    Where a schedule or a function gives the rate, its factor is lowered
    (`optimizer.learning_rate_factor`), so that both count.

    Args:
        monitor: Name of the number in the logs.
        factor: Factor from the old to the new rate, below 1.
        patience: Epochs without a better value before the rate is lowered.
        verbose: 1 prints each change.
        mode: `"min"`, `"max"` or `"auto"`.
        min_delta: Least change that counts as better.
        cooldown: Epochs after a change during which nothing is counted.
        min_lr: Lowest rate.

    Raises:
        TypeError: An argument is no number.
        ValueError: `factor` is 1 or more, `patience` or `cooldown` below 0, or a number NaN.

    Example:

    >>> import densa
    >>> plateau = densa.callbacks.ReduceLROnPlateau(factor=0.5, patience=5)
    """

    _state_names = ("wait", "cooldown_counter", "best")

    def __init__(
        self,
        monitor: str = "val_loss",
        factor: float = 0.1,
        patience: int = 10,
        verbose: int = 0,
        mode: str = "auto",
        min_delta: float = 1e-4,
        cooldown: int = 0,
        min_lr: float = 0.0,
        **kwargs: Any,
    ) -> None:
        check_real_number("ReduceLROnPlateau: `patience`", patience, least=0)
        check_real_number("ReduceLROnPlateau: `cooldown`", cooldown, least=0)
        check_real_number("ReduceLROnPlateau: `factor`", factor, least=0)
        finite_number("ReduceLROnPlateau: `min_lr`", min_lr)
        super().__init__(monitor, mode, min_delta=min_delta)
        if factor >= 1.0:
            raise ValueError(
                f"ReduceLROnPlateau does not support a factor >= 1.0. Got factor={factor}"
            )
        if kwargs:
            raise TypeError(f"ReduceLROnPlateau: unexpected argument {next(iter(kwargs))!r}.")
        self.factor = factor
        self.patience = patience
        self.verbose = verbose
        self.cooldown = cooldown
        self.min_lr = min_lr
        self.cooldown_counter = 0
        self.wait = 0

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._reset()

    def _reset(self) -> None:
        self.best = None
        self.cooldown_counter = 0
        self.wait = 0

    def in_cooldown(self) -> bool:
        """Whether a change was made a short while ago."""
        return self.cooldown_counter > 0

    def _lower(self, rate: float) -> None:
        optimizer, new = self.model.optimizer, max(rate * self.factor, self.min_lr)
        if optimizer.follows_schedule:
            optimizer.learning_rate_factor *= new / rate
        else:
            optimizer.learning_rate = new

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        rate = float(self.model.optimizer.learning_rate)
        if logs is not None:
            logs["learning_rate"] = rate
        current = self.current(logs)
        if current is None:
            return
        if self.in_cooldown():
            self.cooldown_counter -= 1
            self.wait = 0
        if self.is_better(current, self.best):
            self.best = current
            self.wait = 0
        elif not self.in_cooldown():
            self.wait += 1
            if self.wait >= self.patience and rate > self.min_lr:
                self._lower(rate)
                if self.verbose > 0:
                    new = float(self.model.optimizer.learning_rate)
                    print(
                        f"\nEpoch {epoch + 1}: ReduceLROnPlateau reducing learning rate to {new}."
                    )
                self.cooldown_counter = self.cooldown
                self.wait = 0
