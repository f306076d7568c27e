"""History: what the epochs gave."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from .callback import Callback


class _Epochs(dict[str, list[Any]]):
    """Values of each epoch by name; `"lr"`, Keras 2's name, finds `"learning_rate"`."""

    def __contains__(self, key: object) -> bool:
        return super().__contains__("learning_rate" if self._is_old(key) else key)

    def get(self, key: str, default: Any = None) -> Any:
        """The values called `key`, or `default`; it knows the same names as `[]`."""
        try:
            return self[key]
        except KeyError:
            return default

    def _is_old(self, key: object) -> bool:
        return key == "lr" and not super().__contains__("lr")

    def __missing__(self, key: str) -> list[Any]:
        if key not in self:
            raise KeyError(key)
        warnings.warn(
            'history["lr"] is Keras 2\'s name; use history["learning_rate"] instead.',
            DeprecationWarning,
            stacklevel=2,
        )
        return self["learning_rate"]


class History(Callback):
    """Keeps the logs of every epoch; `fit` adds one and returns it.

    `history.history` maps names to lists with one value per epoch, `history.epoch` lists the
    epochs. An interrupted `fit` leaves it at `model.history`.

    Example:

    >>> import densa
    >>> model = densa.Sequential([densa.Input((1,)), densa.layers.Dense(1)])
    >>> model.compile("sgd", "mse")
    >>> x = np.ones((4, 1))
    >>> history = model.fit(x, x, epochs=2, verbose=0)
    >>> history.epoch, list(history.history)
    ([0, 1], ['loss'])
    """

    _state_names = ("history", "epoch")

    def __init__(self) -> None:
        super().__init__()
        self.history: dict[str, list[Any]] = _Epochs()
        self.epoch: list[int] = []
        self._ahead: list[str] | None = None  # columns that hold an epoch whose turn is to come

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self.epoch = []
        self.history = _Epochs()

    def get_state(self) -> dict[str, Any]:
        """The epochs whose end has been told, and their logs."""
        if self._ahead is None:
            return {"history": self.history, "epoch": self.epoch}
        columns = {k: v[:-1] if k in self._ahead else v for k, v in self.history.items()}
        return {"history": {k: v for k, v in columns.items() if v}, "epoch": self.epoch[:-1]}

    @contextmanager
    def knowing(self, epoch: int, logs: dict[str, Any]) -> Iterator[None]:
        """Holds an epoch's logs for a while, before `on_epoch_end` keeps them for good.

        Args:
            epoch: Its number.
            logs: What it gave so far; callbacks may add to it.
        """
        history, epochs = self.history, self.epoch
        columns = {key: history.setdefault(key, []) for key in logs}
        epochs.append(epoch)
        for key, column in columns.items():
            column.append(logs[key])
        self._ahead = list(columns)
        try:
            yield
        finally:
            self._ahead = None
            epochs.pop()
            for key, column in columns.items():
                column.pop()
                if not column:
                    del history[key]

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self.epoch.append(epoch)
        for key, value in (logs or {}).items():
            self.history.setdefault(key, []).append(value)
