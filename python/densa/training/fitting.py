"""The loop of `fit`: epochs, validations and hooks, how a training goes on, and how it ends."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from densa.callbacks import BackupAndRestore, CallbackList, ModelCheckpoint, ProgbarLogger
from densa.callbacks.backup_and_restore import extent

from .ended import Ending
from .feed import Feed


class Fitting:
    """One call of `fit`, whose arguments have been checked.

    Args:
        model: The model, compiled.
        feed: The training data.
        validation: The validation data, or None.
        due: Whether an epoch, from 0, ends with a validation.
        callbacks: The callbacks.
    """

    def __init__(
        self,
        model: Any,
        feed: Feed,
        validation: Feed | None,
        due: Callable[[int], bool],
        callbacks: CallbackList,
    ) -> None:
        self.model = model
        self.feed = feed
        self.validation = validation
        self.due = due
        self.callbacks = callbacks

    def run(self, initial_epoch: int, epochs: int) -> Any:
        """Trains from an epoch to the one before `epochs`; returns the `History`."""
        model, callbacks = self.model, self.callbacks
        going_on = model._going_on
        if going_on is not None:
            going_on.check(self, initial_epoch)
        backup = callbacks.find_backup(self.feed, self.validation)
        model._going_on = None
        if backup is not None:
            going_on = None
        elif going_on is not None:
            callbacks.set_params({**callbacks.params, "resumes": True})
        if any(isinstance(c, ModelCheckpoint) for c in callbacks.callbacks):
            callbacks.begin_states()
        self._put_weights_back(backup is None and initial_epoch > 0, going_on is not None)
        runner = model._runner("train")
        logs: dict[str, Any] = {}
        outer = model._fitting, model._training
        model._fitting, model._training = True, self
        try:
            before = None if going_on is None else going_on.state_before(model)
            callbacks.on_train_begin()
            if callbacks.probe is not None:
                callbacks.probe.source = self.feed.source
            if backup is not None:
                backup.restore()
                initial_epoch, logs = backup.epoch, dict(backup.logs)
                if model.stop_training and not backup.in_epoch:
                    initial_epoch = epochs
            elif going_on is not None:
                logs = going_on.restore(self, before)
                if model.stop_training:
                    initial_epoch = epochs
            for epoch in range(initial_epoch, epochs):
                if not self.feed.has_more():
                    break
                model.reset_metrics()
                model.optimizer.report.start()
                callbacks.on_epoch_begin(epoch)
                if backup is not None and backup.in_epoch:
                    backup.restore()
                backup = None
                with model._as_compiled():  # whatever a hook has set
                    found = dict(runner.run_epoch(self.feed, callbacks))
                callbacks.catch_up()
                if self.feed.gave_nothing:
                    break
                logs = found
                logs = self._validated(epoch, logs)
                callbacks.on_epoch_end(epoch, logs)
                if model.stop_training:
                    break
        except BaseException as error:
            end_after_error(callbacks, logs, isinstance(error, KeyboardInterrupt))
            raise
        finally:
            model._fitting, model._training = outer
        self._end(epochs > 0, logs)
        return model.history

    def data_state(self) -> dict[str, Any]:
        """Where the data is between two epochs, and what tells it from other data."""
        validation = self.validation
        if validation is not None:
            validation.restart()  # as the next one does
        return {
            "data": extent(self.feed),
            "feed": {**self.feed.get_state(True), "own": None},
            "validates": validation is not None,
            "validation": None
            if validation is None
            else {**validation.get_state(True), "own": None},
        }

    def set_data_state(self, state: dict[str, Any]) -> None:
        """Makes the data go on from what `data_state` gave."""
        self.feed.set_state(state["feed"])
        if self.validation is not None:
            self.validation.set_state(state["validation"])

    def _put_weights_back(self, from_weights: bool, callbacks_go_on: bool) -> None:
        """Puts the weights back that the last training ended with, if this one goes on from it."""
        model, ended = self.model, self.model._ended
        if ended is None or self.callbacks.encloses:  # all will be as it was
            return
        model._ended = None
        if from_weights or callbacks_go_on:
            ended.put_back(model, callbacks_go_on)

    def _end(self, any_epochs: bool, logs: dict[str, Any]) -> None:
        model, callbacks, optimizer = self.model, self.callbacks, self.model.optimizer
        averages = bool(getattr(optimizer, "use_ema", False)) and any_epochs
        ending = None
        if (averages or callbacks.replace_weights) and not callbacks.encloses:
            callbacks.take_averages_out()
            ending = Ending(model)
        if averages:
            optimizer.finalize_variable_values(model.trainable_variables)
            if ending is not None:
                ending.averaged()
        callbacks.on_train_end(logs)
        if ending is not None:
            model._ended = ending.over()

    def _validated(self, epoch: int, logs: dict[str, Any]) -> dict[str, Any]:
        """The logs of an epoch with those of its validation, where one is due."""
        validation = self.validation
        if validation is None or not self.due(epoch) or not validation.has_more():
            return logs
        validation.restart()  # the same rows every time
        found = self.model._evaluate(validation, self.callbacks)
        if not validation.gave_nothing:
            logs.update({f"val_{name}": value for name, value in found.items()})
            logs = dict(sorted(logs.items()))
        return logs


def end_after_error(callbacks: CallbackList, logs: dict[str, Any], interrupted: bool) -> None:
    """Ends what callbacks have begun, behind an error or, in order, behind an interrupt.

    Behind an error files and lines are closed, and what was tried out is undone; a backup stays.
    """
    for callback in callbacks.ending():
        if isinstance(callback, BackupAndRestore):
            continue
        if isinstance(callback, ProgbarLogger):
            callback.close()
        elif interrupted or getattr(callback, "_ends_after_errors", False):
            callback.on_train_end(logs)
