"""Several callbacks as one."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import nullcontext
from typing import Any

from .backup_and_restore import Backup, BackupAndRestore
from .callback import Callback, overrides
from .history import History
from .progbar_logger import ProgbarLogger
from .swap_ema_weights import SwapEMAWeights

Logs = dict[str, Any] | None

_BATCH_HOOKS = tuple(
    f"on_{kind}_batch_{end}" for kind in ("train", "test", "predict") for end in ("begin", "end")
)


class CallbackList:
    """Calls every callback in order, and knows which ones want to hear of every batch.

    Args:
        callbacks: Callbacks, or None.
        add_history: Whether to add a `History` if there is none.
        add_progbar: Whether to add a `ProgbarLogger` if there is none.
        model: Told to every callback.
        **params: Told to every callback.

    Raises:
        ValueError: Something that is no callback.

    Example:

    >>> import densa
    >>> calls = densa.callbacks.CallbackList([densa.callbacks.History()])
    >>> calls.on_train_begin()
    >>> calls.on_epoch_end(0, {"loss": 0.5})
    >>> calls.callbacks[0].history
    {'loss': [0.5]}
    """

    def __init__(
        self,
        callbacks: Any = None,
        add_history: bool = False,
        add_progbar: bool = False,
        model: Any = None,
        **params: Any,
    ) -> None:
        self.callbacks: list[Any] = _flat(callbacks)
        self.given = list(self.callbacks)  # as the user has ordered them
        # Whose turn it is in on_epoch_end: epoch, logs and place among `callbacks`.
        self.turn: tuple[int, dict[str, Any], int] | None = None
        for callback in self.callbacks:
            if isinstance(callback, type) or not hasattr(callback, "on_epoch_end"):
                hint = ""
                if isinstance(callback, type):
                    hint = f" That is a class: pass {callback.__name__}(...)."
                raise ValueError(
                    "callbacks must hold instances of densa.callbacks.Callback; received "
                    f"{callback!r}.{hint}"
                )
        self._history: History | None = None
        if add_progbar and not any(isinstance(c, ProgbarLogger) for c in self.callbacks):
            self.callbacks.append(ProgbarLogger())
        for callback in self.callbacks:
            if isinstance(callback, History):
                self._history = callback
        if self._history is None and add_history:
            self._history = History()
            self.callbacks.append(self._history)
        self._sort()
        self._hooks: dict[str, list[Callable[..., Any]]] = {}
        self._every: dict[str, bool] = {}
        self._late: Callable[[], Any] | None = None
        self._find_hooks()
        self.model = model
        self.params: dict[str, Any] = params
        if model is not None:
            self.set_model(model)
        if params:
            self.set_params(params)

    @property
    def history(self) -> History | None:
        """The `History` among the callbacks."""
        return self._history

    def _sort(self) -> None:
        self.callbacks.sort(key=lambda callback: bool(getattr(callback, "_comes_last", False)))

    def _find_hooks(self) -> None:
        for hook in _BATCH_HOOKS:
            found = [c for c in self.callbacks if overrides(c, hook)]
            self._hooks[hook] = [getattr(c, hook) for c in found]
        for kind in ("train", "test", "predict"):
            self._every[kind] = any(
                overrides(c, f"on_{kind}_batch_{end}") and not getattr(c, "_throttled", False)
                for c in self.callbacks
                for end in ("begin", "end")
            )
            self._hooks[f"{kind}_progress"] = [
                getattr(c, f"on_{kind}_batch_end")
                for c in self.callbacks
                if getattr(c, "_throttled", False) and overrides(c, f"on_{kind}_batch_end")
            ]

    def ending(self) -> list[Any]:
        """The callbacks in the order in which they end: those that enclose the others last."""
        return sorted(self.callbacks, key=lambda c: bool(getattr(c, "_encloses", False)))

    @property
    def encloses(self) -> bool:
        """Whether a callback undoes at the end of `fit` all that it has done."""
        return any(getattr(c, "_encloses", False) for c in self.callbacks)

    @property
    def replace_weights(self) -> bool:
        """Whether the end of a callback may put others in the place of the trained weights."""
        return any(getattr(c, "_replaces_weights", True) for c in self.callbacks)

    def take_averages_out(self) -> None:
        """Lets callbacks that have lent averages to the model give the weights themselves back."""
        for callback in self.callbacks:
            if isinstance(callback, SwapEMAWeights):
                callback.take_back()

    @property
    def probe(self) -> Any:
        """What looks into steps for a callback (`densa.callbacks.Doctor`); None without one."""
        return next((p for c in self.callbacks if (p := getattr(c, "_probe", None))), None)

    @property
    def needs_weights(self) -> bool:
        """Whether a callback looks at weights before the first batch."""
        return any(getattr(c, "_needs_weights", False) for c in self.callbacks)

    def wants_every_batch(self, kind: str) -> bool:
        """Whether a callback must hear of every batch of `"train"`, `"test"` or `"predict"`."""
        return self._every[kind]

    def progress(self, kind: str, batch: int, logs: Logs = None) -> None:
        """Tells progress bars alone that batches up to `batch` are done; called now and then."""
        for hook in self._hooks[f"{kind}_progress"]:
            hook(batch, logs)

    def append(self, callback: Callback) -> None:
        """Adds a callback."""
        self.callbacks.append(callback)
        self._sort()
        self._find_hooks()

    def find_backup(self, feed: Any, validation: Any) -> Backup | None:
        """What a `BackupAndRestore` among the callbacks has kept of this training, if any.

        Args:
            feed: The training data.
            validation: The validation data, or None.

        Raises:
            ValueError: The backup is damaged, or of another training.
        """
        found = None
        for callback in self.callbacks:
            if isinstance(callback, BackupAndRestore):
                callback.attach(feed, validation, self)
                found = found or callback.find()
        if found is not None:
            self.set_params({**self.params, "resumes": True})
        return found

    def begin_states(self) -> None:
        """Told before a training whose callbacks' states are to be kept."""
        from densa.saving.object_state import begin

        for callback in self.callbacks:
            if isinstance(callback, Callback) and callback._state_names is None:
                begin(callback, large=False)

    def set_params(self, params: dict[str, Any]) -> None:
        """Tells every callback."""
        self.params = params
        for callback in self.callbacks:
            callback.set_params(params)

    def set_model(self, model: Any) -> None:
        """Tells every callback."""
        self.model = model
        if self._history is not None:
            model.history = self._history
        for callback in self.callbacks:
            callback.set_model(model)

    def before_next_batch(self, call: Callable[[], Any]) -> None:
        """Puts a call before the hooks of the next batch of the training."""
        self._late = call

    def catch_up(self) -> None:
        """Makes the call that `before_next_batch` was given, if it is still due."""
        call, self._late = self._late, None
        if call is not None:
            call()

    def _batch(self, hook: str, batch: int, logs: Logs) -> None:
        if self._late is not None and hook == "on_train_batch_begin":
            self.catch_up()
        calls = self._hooks[hook]
        if calls and logs is None:
            logs = {}
        for call in calls:
            call(batch, logs=logs)

    def on_batch_begin(self, batch: int, logs: Logs = None) -> None:
        self._batch("on_train_batch_begin", batch, logs)

    def on_batch_end(self, batch: int, logs: Logs = None) -> None:
        self._batch("on_train_batch_end", batch, logs)

    def on_train_batch_begin(self, batch: int, logs: Logs = None) -> None:
        self._batch("on_train_batch_begin", batch, logs)

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        self._batch("on_train_batch_end", batch, logs)

    def on_test_batch_begin(self, batch: int, logs: Logs = None) -> None:
        self._batch("on_test_batch_begin", batch, logs)

    def on_test_batch_end(self, batch: int, logs: Logs = None) -> None:
        self._batch("on_test_batch_end", batch, logs)

    def on_predict_batch_begin(self, batch: int, logs: Logs = None) -> None:
        self._batch("on_predict_batch_begin", batch, logs)

    def on_predict_batch_end(self, batch: int, logs: Logs = None) -> None:
        self._batch("on_predict_batch_end", batch, logs)

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        for callback in self.callbacks:
            callback.on_epoch_begin(epoch, {} if logs is None else logs)

    def on_epoch_end(self, epoch: int, logs: Logs = None, due: list[Any] | None = None) -> None:
        """Tells every callback; or those in `due` alone, where the others have been told before."""
        logs = {} if logs is None else logs
        try:
            self._end_epoch(epoch, logs, due)
        finally:
            self.turn = None

    def _end_epoch(self, epoch: int, logs: dict[str, Any], due: list[Any] | None) -> None:
        history = self._history
        if due is not None and not any(callback is history for callback in due):
            history = None
        for place, callback in enumerate(self.callbacks):
            if due is not None and not any(callback is other for other in due):
                continue
            self.turn = (epoch, logs, place)
            if callback is history:
                history = None
            # A file that a callback writes before History's turn holds this epoch too. History
            # keeps its place, for callbacks add to the logs.
            with nullcontext() if history is None else history.knowing(epoch, logs):
                callback.on_epoch_end(epoch, logs)

    def _all(self, hook: str, logs: Logs) -> None:
        for callback in self.callbacks:
            getattr(callback, hook)({} if logs is None else logs)

    def on_train_begin(self, logs: Logs = None) -> None:
        first = [c for c in self.callbacks if getattr(c, "_encloses", False)]
        for callback in [*first, *(c for c in self.callbacks if c not in first)]:
            callback.on_train_begin({} if logs is None else logs)

    def on_train_end(self, logs: Logs = None) -> None:
        for callback in self.ending():
            callback.on_train_end({} if logs is None else logs)

    def on_test_begin(self, logs: Logs = None) -> None:
        self._all("on_test_begin", logs)

    def on_test_end(self, logs: Logs = None) -> None:
        self._all("on_test_end", logs)

    def on_predict_begin(self, logs: Logs = None) -> None:
        self._all("on_predict_begin", logs)

    def on_predict_end(self, logs: Logs = None) -> None:
        self._all("on_predict_end", logs)


def _flat(callbacks: Any) -> list[Any]:
    if callbacks is None:
        return []
    if isinstance(callbacks, Iterable) and not isinstance(callbacks, str | bytes):
        return [c for item in callbacks for c in _flat(item)]
    return [callbacks]
