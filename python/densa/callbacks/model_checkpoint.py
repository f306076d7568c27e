"""ModelCheckpoint."""

from __future__ import annotations

import os
from typing import Any

from densa._numbers import check_real_number, path_of

from .monitor import MonitorCallback


class ModelCheckpoint(MonitorCallback):
    """Saves the model, or its weights, as training goes on.

    Args:
        filepath: The file; may name the epoch and logs: `"at-{epoch:02d}-{val_loss:.2f}.densa"`.
        monitor: Name of the number that decides what is best.
        verbose: 1 prints each save.
        save_best_only: Whether to save only when the number has become better.
        save_weights_only: Whether to save weights rather than the whole model.
        mode: `"min"`, `"max"` or `"auto"`.
        save_freq: `"epoch"`, or a number of batches.
        initial_value_threshold: What a first value must beat.

    Raises:
        ValueError: `save_freq` is neither.

    Example:

    >>> import densa
    >>> keep = densa.callbacks.ModelCheckpoint("best.densa", save_best_only=True)
    """

    _state_names = ("best", "_batches", "_last_batch", "_epoch")

    _free_arguments = ("verbose", "filepath")

    def __init__(
        self,
        filepath: Any,
        monitor: str = "val_loss",
        verbose: int = 0,
        save_best_only: bool = False,
        save_weights_only: bool = False,
        mode: str = "auto",
        save_freq: str | int = "epoch",
        initial_value_threshold: float | None = None,
    ) -> None:
        if initial_value_threshold is not None:
            check_real_number("ModelCheckpoint: `initial_value_threshold`", initial_value_threshold)
        super().__init__(monitor, mode, best=initial_value_threshold)
        if save_freq != "epoch" and (not isinstance(save_freq, int) or save_freq < 1):
            raise ValueError(
                f"Unrecognized save_freq: {save_freq!r}. Expected 'epoch' or a number of batches."
            )
        self.filepath = path_of("ModelCheckpoint: `filepath`", filepath)
        ending = ".weights.densa" if save_weights_only else ".densa"
        if not self.filepath.endswith(ending):
            raise ValueError(
                f"The filepath must end in `{ending}` with save_weights_only={save_weights_only}. "
                f"Received: filepath={self.filepath}"
            )
        self.verbose = verbose
        self.save_best_only = save_best_only
        self.save_weights_only = save_weights_only
        self.save_freq = save_freq
        self._batches = 0
        self._last_batch = 0
        self._epoch = 0
        self._wants_batches = save_freq != "epoch"

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        if self.save_freq == "epoch":
            return
        done = batch + 1 if batch <= self._last_batch else batch - self._last_batch
        self._last_batch = batch
        self._batches += done
        if self._batches >= int(self.save_freq):
            self._batches = 0
            self._save(batch=batch, logs=logs)

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._epoch = epoch

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if self.save_freq == "epoch":
            self._save(batch=None, logs=logs)

    def _save(self, batch: int | None, logs: dict[str, Any] | None) -> None:
        logs = logs or {}
        where = self._path(batch, logs)
        if self.save_best_only:
            current = self.current(logs)
            if current is None:
                return
            if not self.is_better(current, self.best):
                if self.verbose > 0:
                    print(
                        f"\nEpoch {self._epoch + 1}: {self.monitor} did not improve from "
                        f"{self.best:.5f}"
                    )
                return
            if self.verbose > 0:
                before = "inf" if self.best is None else f"{self.best:.5f}"
                print(
                    f"\nEpoch {self._epoch + 1}: {self.monitor} improved from {before} to "
                    f"{current:.5f}, saving model to {where}"
                )
            self.best = current
        elif self.verbose > 0:
            print(f"\nEpoch {self._epoch + 1}: saving model to {where}")
        folder = os.path.dirname(where)
        if folder:
            os.makedirs(folder, exist_ok=True)
        if self.save_weights_only:
            self.model.save_weights(where, overwrite=True)
        else:
            self.model.save(where, overwrite=True)

    def _path(self, batch: int | None, logs: dict[str, Any]) -> str:
        names = dict(logs)
        if batch is not None and "batch" not in names:
            names["batch"] = batch + 1
        try:
            return str(self.filepath).format(**{**names, "epoch": self._epoch + 1})
        except (KeyError, IndexError) as error:
            raise KeyError(
                f"ModelCheckpoint: the file name {self.filepath!r} asks for {error}; the logs have "
                f"{sorted(names)}."
            ) from None
