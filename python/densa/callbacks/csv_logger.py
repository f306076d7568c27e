"""CSVLogger."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any, TextIO

import numpy as np

from densa._numbers import path_of

from .callback import Callback


class CSVLogger(Callback):
    """Writes the logs of every epoch as a row of a file.

    Args:
        filename: The file.
        separator: Between the values.
        append: Whether to go on at the end of an existing file.

    Example:

    >>> import densa
    >>> logger = densa.callbacks.CSVLogger("training.csv")
    """

    _ends_after_errors = True

    _free_arguments = ("filename",)

    def __init__(self, filename: Any, separator: str = ",", append: bool = False) -> None:
        super().__init__()
        self.filename = path_of("CSVLogger: `filename`", filename)
        self.separator = separator
        self.append = append
        self.keys: list[str] | None = None
        self._file: TextIO | None = None
        self._header = True

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        exists = os.path.exists(self.filename) and os.path.getsize(self.filename) > 0
        append = self.append or bool((self.params or {}).get("resumes"))
        self._header = not (append and exists)
        self._file = open(self.filename, "a" if append else "w", newline="")  # noqa: SIM115
        self.keys = None

    def get_state(self) -> dict[str, Any]:
        """The columns, and how long the file is."""
        size = 0 if self._file is None else self._file.tell()
        return {"keys": self.keys, "header": self._header, "size": size}

    def set_state(self, state: dict[str, Any]) -> None:
        """Takes what was written later out of the file, and goes on."""
        self.keys, self._header = state["keys"], state["header"]
        if self._file is not None and self._file.tell() > state["size"]:
            self._file.truncate(state["size"])
            self._file.seek(0, os.SEEK_END)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        logs = logs or {}
        if self._file is None:
            return
        if self.keys is None:
            self.keys = sorted(logs)
            # With validation_freq the first epoch may lack what later ones have.
            names = [k for k in self.keys if not k.startswith("val_")]
            if len(names) == len(self.keys) and (self.params or {}).get("validates"):
                self.keys += ["val_" + k for k in names if k != "learning_rate"]
        import csv  # slow to load

        writer = csv.DictWriter(
            self._file,
            ["epoch", *self.keys],
            delimiter=self.separator,
            extrasaction="ignore",
            lineterminator="\n",
        )
        if self._header:
            writer.writeheader()
            self._header = False
        row: dict[str, Any] = {"epoch": epoch}
        row.update({key: _text(logs.get(key, "NA")) for key in self.keys})
        writer.writerow(row)
        self._file.flush()

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


def _text(value: Any) -> Any:
    if isinstance(value, str):
        return value
    if isinstance(value, np.ndarray) and value.ndim == 0:
        return value.item()
    if isinstance(value, Iterable):
        return f"[{', '.join(map(str, value))}]"
    return value
