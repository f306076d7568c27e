"""The base class of callbacks."""

from __future__ import annotations

from typing import Any


class Callback:
    """What `fit`, `evaluate` and `predict` call at their turning points.

    `self.model` is the model, `self.params` a dictionary with `verbose`, `epochs` and `steps`.
    `logs` holds the loss and the metrics so far; the batch hooks may set
    `self.model.stop_training`.

    Example:

    >>> import densa
    >>> class Losses(densa.callbacks.Callback):
    ...     def on_train_begin(self, logs=None):
    ...         self.losses = []
    ...     def on_train_batch_end(self, batch, logs=None):
    ...         self.losses.append(logs["loss"])
    """

    # Whether batch hooks may be left out between redraws (progress bars).
    _throttled = False
    # False: the batch hooks do nothing, so training need not come back after every step.
    _wants_batches = True

    params: dict[str, Any] | None = None

    def __init__(self) -> None:
        self._model: Any = None

    @property
    def model(self) -> Any:
        """The model that is trained."""
        return self.__dict__.get("_model")

    def set_params(self, params: dict[str, Any]) -> None:
        """Told once per call of `fit`, `evaluate` or `predict`."""
        self.params = params

    def set_model(self, model: Any) -> None:
        """Told once per call of `fit`, `evaluate` or `predict`."""
        self._model = model

    def on_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Another name of `on_train_batch_begin`."""

    def on_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Another name of `on_train_batch_end`."""

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Before an epoch of `fit`."""

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """After an epoch of `fit` and its validation; `logs` holds both."""

    def on_train_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Before a batch of `fit`."""
        self.on_batch_begin(batch, logs=logs)

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """After a batch of `fit`."""
        self.on_batch_end(batch, logs=logs)

    def on_test_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Before a batch of `evaluate` or of the validation in `fit`."""

    def on_test_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """After a batch of `evaluate` or of the validation in `fit`."""

    def on_predict_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Before a batch of `predict`."""

    def on_predict_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """After a batch of `predict`; `logs["outputs"]` holds its outputs."""

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """At the start of `fit`."""

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """At the end of `fit`, an interrupted one included."""

    def on_test_begin(self, logs: dict[str, Any] | None = None) -> None:
        """At the start of `evaluate` or of a validation."""

    def on_test_end(self, logs: dict[str, Any] | None = None) -> None:
        """At the end of `evaluate` or of a validation."""

    def on_predict_begin(self, logs: dict[str, Any] | None = None) -> None:
        """At the start of `predict`."""

    def on_predict_end(self, logs: dict[str, Any] | None = None) -> None:
        """At the end of `predict`."""


_ALIASES = {
    "on_train_batch_begin": "on_batch_begin",
    "on_train_batch_end": "on_batch_end",
}


def overrides(callback: Any, hook: str) -> bool:
    """Whether a callback does anything in a batch hook."""
    if not getattr(callback, "_wants_batches", True):
        return False
    for name in (hook, _ALIASES.get(hook)):
        if name is None:
            continue
        if name in getattr(callback, "__dict__", {}):
            return callback.__dict__[name] is not None
        own = getattr(type(callback), name, None)
        if own is not None and own is not getattr(Callback, name):
            return True
    return False
