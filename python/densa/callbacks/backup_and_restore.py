"""BackupAndRestore."""

from __future__ import annotations

import os
import warnings
from typing import Any

from densa import _core
from densa._numbers import path_of, whole_number

from .callback import Callback

_NAME = "training.densa"
_BEFORE = "training.before.densa"


class BackupAndRestore(Callback):
    """Keeps all that an interrupted `fit` needs to go on, and goes on when it is called again.

    A run that was killed and started again ends with the same bits as one left alone: weights,
    optimizer, schedule, metrics, random numbers, order of the data and place in it, history, and
    the state of the other callbacks (`Callback.get_state`). Make model, data and callbacks as
    before and call `fit` with the same arguments.

    A PyDataset or another object that yields batches is kept as a callback is: by `get_state` and
    `set_state` where it has them, else by its attributes. A generator is expected to begin at its
    first batch; batches that have been are taken from it, with the global random numbers that they
    had, and dropped. Attributes of layers, losses, metrics and the optimizer that have changed
    since `fit` began, a rate of dropout say, are kept; of a model or layer of your own all that
    holds plain data. What cannot be kept is named in a warning; variables of functions, of a
    `LambdaCallback`'s say, are not seen.

    Args:
        backup_dir: A folder of its own for the backup.
        save_freq: `"epoch"`, or a number of batches.
        double_checkpoint: Whether to keep the backup before the last one, too.
        delete_checkpoint: Whether to delete the backup when `fit` has ended.

    Raises:
        TypeError: `save_freq` is neither.
        ValueError: `save_freq` is below 1, or another text.

    Example:

    >>> import densa, os, tempfile
    >>> model = densa.Sequential([densa.Input((1,)), densa.layers.Dense(1)])
    >>> model.compile("sgd", "mse")
    >>> x = np.ones((4, 1))
    >>> backup = densa.callbacks.BackupAndRestore(os.path.join(tempfile.mkdtemp(), "backup"))
    >>> model.fit(x, x, epochs=2, callbacks=[backup], verbose=0).epoch
    [0, 1]
    """

    _comes_last = True
    _state_names = ("_since",)

    _free_arguments = ("backup_dir", "save_freq", "double_checkpoint", "delete_checkpoint")

    def __init__(
        self,
        backup_dir: Any,
        save_freq: str | int = "epoch",
        double_checkpoint: bool = False,
        delete_checkpoint: bool = True,
    ) -> None:
        super().__init__()
        if isinstance(save_freq, str):
            if save_freq != "epoch":
                raise ValueError(
                    f"BackupAndRestore: `save_freq` must be 'epoch' or a number of batches; "
                    f"received {save_freq!r}."
                )
        else:
            save_freq = whole_number("BackupAndRestore: `save_freq`", save_freq)
        self.backup_dir = path_of("BackupAndRestore: `backup_dir`", backup_dir)
        self.save_freq = save_freq
        self.double_checkpoint = double_checkpoint
        self.delete_checkpoint = delete_checkpoint
        self._wants_batches = save_freq != "epoch"
        self._training: Any = None
        self._attributes: Any = None
        self._seen: Any = {}  # attributes that have changed before the epoch's first batch
        self._epoch = 0
        self._last_batch = -1
        self._since = 0  # batches since the last backup
        self._looked = False  # for what cannot be kept
        self._said: set[str] = set()  # attributes that have changed and cannot

    @property
    def path(self) -> str:
        """The file of the last backup."""
        return os.path.join(self.backup_dir, _NAME)

    # ---- called by fit ---------------------------------------------------------------------------

    def attach(self, feed: Any, validation: Any, callbacks: Any) -> None:
        """Tells what else is to be kept: the data's place and the other callbacks."""
        from densa.saving.attributes import Attributes

        self._check_folder()
        self._attributes = Attributes(self.model)
        self._training = (feed, validation, callbacks)
        self._looked, self._said = False, set()
        callbacks.begin_states()
        for some in (feed, validation):
            if some is not None:
                some.source.keep_own_state()

    def _check_folder(self) -> None:
        folder = self.backup_dir
        while folder and not os.path.lexists(folder):
            folder = os.path.dirname(folder)
        if not os.path.isdir(folder or ".") or not os.access(folder or ".", os.W_OK | os.X_OK):
            raise ValueError(
                f"BackupAndRestore: backup_dir={self.backup_dir!r} cannot be written to: "
                f"{folder or '.'!r} is {'not writable' if os.path.isdir(folder) else 'no folder'}. "
                "Give it a folder of its own."
            )

    def find(self) -> Backup | None:
        """The backup to go on from; None where there is none.

        Raises:
            ValueError: It is damaged, or of another training; nothing has changed then.
        """
        path, contents = self._read()
        if contents is None:
            return None
        feed, validation, callbacks = self._training
        return Backup(path, contents, self.model, feed, validation, callbacks, self._attributes)

    def _read(self) -> tuple[str, Any]:
        """The file to go on from and what it holds: None where there is none."""
        from densa.saving.file_format import read_file

        before = os.path.join(self.backup_dir, _BEFORE)
        if not os.path.exists(self.path):
            return self.path, None
        try:
            return self.path, read_file(self.path)
        except ValueError as error:
            if not os.path.exists(before):
                raise ValueError(
                    f"BackupAndRestore: {error} Delete the file to begin anew; with "
                    "double_checkpoint=True there would be the one before it to go on from."
                ) from None
            warnings.warn(
                f"BackupAndRestore goes on from the backup before the last one, {before!r}: "
                f"{error}",
                stacklevel=2,
            )
            return before, read_file(before)

    # ---- hooks -----------------------------------------------------------------------------------

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._epoch = epoch
        self._last_batch = -1
        if self.save_freq != "epoch":
            self._seen = self._attributes.changes()

    def on_train_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        self._last_batch = batch - 1

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        if self.save_freq == "epoch":
            return
        self._since += batch - self._last_batch
        if self._since >= int(self.save_freq):
            self._since = 0
            self._save(self._epoch, batch + 1, dict(logs or {}))

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if self.save_freq == "epoch":
            self._save(epoch + 1, None, dict(logs or {}))

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        if not self.delete_checkpoint:
            return
        if not os.path.isdir(self.backup_dir):
            return
        for name in os.listdir(self.backup_dir):
            # Those that a killed process was writing are there, too.
            if name in (_NAME, _BEFORE) or (name.startswith("training.") and name.endswith(".tmp")):
                os.unlink(os.path.join(self.backup_dir, name))
        if not os.listdir(self.backup_dir):
            os.rmdir(self.backup_dir)

    def _save(self, epoch: int, batch: int | None, logs: dict[str, Any]) -> None:
        from densa.saving.callback_states import has_state
        from densa.saving.file_format import VERSION, to_json, write_file
        from densa.saving.plain_data import encode
        from densa.saving.training_state import get_training_state

        feed, validation, callbacks = self._training
        if not self._looked:
            self._looked = True
            _warn_of_unkept(feed, validation, callbacks.callbacks, self.model)
        self._warn_of_others()
        if validation is not None:
            validation.restart()  # as the next one does
        state = {
            "epoch": epoch,
            "batch": batch,
            "logs": logs,
            "data": extent(feed),
            "feed": feed.get_state(batch is None),
            "validation": None if validation is None else validation.get_state(True),
            "model": get_training_state(self.model),
            "attributes": self._attributes.changes(),
            "seen": None if batch is None else self._seen,
            "callbacks": [
                {"kind": type(c).__name__, "state": c.get_state() if has_state(c) else {}}
                for c in callbacks.callbacks
            ],
        }
        tensors: dict[str, Any] = {}
        data = encode(state, tensors, "training")
        os.makedirs(self.backup_dir, exist_ok=True)
        if self.double_checkpoint and os.path.exists(self.path):
            import shutil  # slow to load

            before = os.path.join(self.backup_dir, _BEFORE)
            shutil.copy2(self.path, f"{before}.tmp")
            os.replace(f"{before}.tmp", before)
        metadata = {"kind": "training", "version": str(VERSION), "state": to_json(data)}
        write_file(self.path, tensors, metadata)

    def _warn_of_others(self) -> None:
        new = set(self._attributes.unkept()) - self._said
        self._said |= new
        if new:
            warnings.warn(
                f"BackupAndRestore cannot keep {', '.join(sorted(new))}, which has become another "
                "object since fit began: no number, text or array. A resumed training goes on with "
                "the one that the model is made with. Make it so from the start, or put it there "
                "in `on_train_begin`.",
                stacklevel=2,
            )


class Backup:
    """A backup that has been read and fits the training that is to go on.

    Args:
        path: The file.
        contents: Its tensors and metadata.
        model: The model.
        feed: The training data.
        validation: The validation data, or None.
        callbacks: The `CallbackList`.
        attributes: The `Attributes` of the model as they are before `fit` has changed any.

    Raises:
        ValueError: The file is damaged, or is of another training.
    """

    def __init__(
        self,
        path: str,
        contents: tuple[dict[str, Any], dict[str, str]],
        model: Any,
        feed: Any,
        validation: Any,
        callbacks: Any,
        attributes: Any,
    ) -> None:
        from densa.saving.file_format import strict_json
        from densa.saving.plain_data import decode
        from densa.saving.training_state import check_training_state

        tensors, metadata = contents
        if metadata.get("kind") != "training":
            raise ValueError(f"{path!r} is no backup of a training.")
        try:
            state = decode(strict_json(metadata["state"], "the state"), tensors)
            kinds = [entry["kind"] for entry in state["callbacks"]]
            if kinds != [type(c).__name__ for c in callbacks.callbacks]:
                raise ValueError(f"it was made with the callbacks {kinds}")
            if state["data"] != extent(feed):
                raise ValueError(
                    f"it was made with (rows, batch size, steps) = {state['data']}, whereas fit "
                    f"was given {extent(feed)}"
                )
            if (state["validation"] is None) != (validation is None):
                raise ValueError("it was made with validation data, or fit was given some now")
            _build(model, feed, len(state["model"]["metrics"]))
            check_training_state(model, state["model"])
        except (KeyError, TypeError, IndexError) as error:
            raise ValueError(f"{path!r} is no whole backup: {error!r}.") from error
        except ValueError as error:
            raise ValueError(
                f"The backup {path!r} is of another training: {error}. Call fit as before, or "
                "delete the file to begin anew."
            ) from None
        self._state = state
        self._model, self._feed, self._validation = model, feed, validation
        self._callbacks, self._attributes = callbacks, attributes
        self.epoch = int(state["epoch"])
        self.in_epoch = state["batch"] is not None
        self.logs: dict[str, Any] = state["logs"]

    def restore(self) -> None:
        """Puts everything back."""
        from densa.saving.callback_states import give_back
        from densa.saving.training_state import set_training_state

        state = self._state
        set_training_state(self._model, state["model"])
        give_back(state["callbacks"], self._callbacks.callbacks)
        self._feed.set_state(state["feed"])
        self._feed.logs = self.logs
        if self._validation is not None:
            self._validation.set_state(state["validation"])
        changes = state.get("attributes", {})
        if not self.in_epoch:
            self._attributes.restore(changes)
            return
        # The recorded step of the epoch has read the attributes when the epoch began.
        seen = state.get("seen", {})
        self._attributes.restore(seen)
        self._callbacks.before_next_batch(lambda: self._attributes.restore(changes))
        for callback in self._callbacks.callbacks:
            if isinstance(callback, BackupAndRestore):
                callback._seen = seen


def _warn_of_unkept(feed: Any, validation: Any, callbacks: Any, model: Any) -> None:
    from densa.saving.callback_states import unkept_of, warn_of_unkept

    for some in (feed, validation):
        if some is not None and some.source.own is not None:
            warn_of_unkept("BackupAndRestore", some.source.kind, some.source.own.unkept())
    for callback in callbacks:
        warn_of_unkept("BackupAndRestore", type(callback).__name__, unkept_of(callback, model))


def extent(feed: Any) -> list[Any]:
    """What tells the data of one training from that of another: rows, batch size, steps."""
    return [feed.source.rows, feed.source.batch_size, feed.steps]


def _build(model: Any, feed: Any, metrics: int) -> None:
    # Weights and metrics that a first batch makes; what it does to them is overwritten.
    from densa.training.eager import to_tensors

    built = getattr(model, "built", False)
    if built and sum(len(metric.variables) for metric in model.metrics) == metrics:
        return
    x, y, weight = (to_tensors(part, model) for part in feed.source.peek())
    with _core.no_grad():
        model._forward(x, y, weight, training=False)
