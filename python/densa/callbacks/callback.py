"""The base class of callbacks."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from densa._names import Named

NOT_STATE = ("_model", "params", "_made_with")


class Callback(Named):
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
    # Whether its hooks come behind those of all others.
    _comes_last = False
    # Whether it begins before all other callbacks and ends behind them: it undoes what they did.
    _encloses = False
    # Whether `on_train_end` is called behind an error, too.
    _ends_after_errors = False
    # Whether the model is built, by a batch, before `on_train_begin`.
    _needs_weights = False
    # The attributes that change while it works; None: all that hold plain data.
    _state_names: ClassVar[tuple[str, ...] | None] = None

    # Arguments that decide only where something is written, or what is printed.
    _free_arguments: ClassVar[tuple[str, ...]] = ("verbose",)

    params: dict[str, Any] | None = None
    _made_with: tuple[tuple[Any, ...], dict[str, Any]]

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        self = super().__new__(cls, *args, **kwargs)
        # Its settings, which a file of a training keeps: no arrays or objects.
        kept = {name: short(value) for name, value in kwargs.items()}
        self._made_with = tuple(map(short, args)), kept
        return self

    @property
    def _replaces_weights(self) -> bool:
        # Whether its end may put others in the place of the trained weights.
        own = type(self).on_train_end is not Callback.on_train_end
        users = not type(self).__module__.startswith("densa.")
        return (own and users) or "on_train_end" in vars(self)

    def __init__(self) -> None:
        self._model: Any = None

    @property
    def model(self) -> Any:
        """The model that is trained."""
        return self.__dict__.get("_model")

    def get_state(self) -> dict[str, Any]:
        """What `set_state` needs for this callback to go on: backups and files of models keep it.

        Numbers, texts, arrays, and lists, tuples and dictionaries of these by name; of a callback
        of your own, all attributes that hold such data, Variables or random generators. Arguments
        of its `__init__` count where they have changed since `fit` began. What cannot be kept is
        named in a warning, unless you write `get_state` and `set_state` yourself.
        """
        names = self._state_names
        if names is None:
            from densa.saving.object_state import state_of

            return state_of(self, NOT_STATE)[0]
        return {name: getattr(self, name) for name in names}

    def set_state(self, state: dict[str, Any]) -> None:
        """Goes on from what `get_state` gave: called behind `on_train_begin`, and once more behind
        `on_epoch_begin` where an epoch had begun."""
        from densa.saving.object_state import restore

        restore(self, state, whole=type(self).get_state is Callback.get_state)

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


def short(value: Any) -> Any:
    """A copy of a number, a text or a short list of these; Ellipsis for all else."""
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or type(value) in (bool, int, float, str):
        return value
    if type(value) in (list, tuple) and len(value) <= 100:
        items = [short(item) for item in value]
        return Ellipsis if Ellipsis in items else type(value)(items)
    return Ellipsis


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
