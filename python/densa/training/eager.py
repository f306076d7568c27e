"""The eager runner: epochs as Python loops over the model's step methods.

It runs everything, overridden steps and `run_eagerly=True` included; the native runner takes over
where a recorded plan can do the same.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterator
from typing import Any, Protocol

import numpy as np

from densa import _core
from densa.callbacks import CallbackList
from densa.callbacks.logs import LazyLogs
from densa.utils import tree
from densa.utils.batches import pack_x_y_sample_weight

from .check import check_labels
from .data import Batch, batch_rows
from .feed import Feed
from .interrupt import DeferInterrupt
from .probe import Probe, Recorded
from .recording import kinds, rows_of, signature

Logs = dict[str, Any]


class Runner(Protocol):
    """Runs the steps of one kind: `"train"`, `"test"` or `"predict"`."""

    def run_epoch(self, feed: Feed, callbacks: CallbackList) -> Logs:
        """All steps of an epoch; the logs at its end. Obeys `model.stop_training`."""
        ...

    def run_batch(self, batch: Batch) -> Logs:
        """One step; its logs."""
        ...

    def predict(self, feed: Feed, callbacks: CallbackList) -> Any:
        """The outputs of all batches joined, in the structure of the model's output."""
        ...


class EagerRunner:
    """Calls `train_step`, `test_step` or `predict_step` for every batch.

    Args:
        model: The model.
        kind: `"train"`, `"test"` or `"predict"`.
    """

    def __init__(self, model: Any, kind: str) -> None:
        self.model = model
        self.kind = kind
        self._step: Callable[[Any], Any] = getattr(model, f"{kind}_step")
        self._recorded: dict[Any, Recorded | None] = {}  # a probe's, for batches of the last kind

    def run_epoch(self, feed: Feed, callbacks: CallbackList) -> Logs:
        """All steps of an epoch."""
        model, kind = self.model, self.kind
        begin = getattr(callbacks, f"on_{kind}_batch_begin")
        end = getattr(callbacks, f"on_{kind}_batch_end")
        step = feed.first
        logs: Logs = dict(feed.logs) if step else {}
        if step and kind == "train" and model.stop_training:
            return dict(logs)
        probe = callbacks.probe if kind == "train" else None
        for group in groups(feed.epoch(), model.steps_per_execution):
            begin(step)
            for batch in group:
                check_labels(model, batch[1], x=batch[0])
                logs = self._one(batch, probe)
            step += len(group)
            shown = {**logs, **report_of(model, kind)}
            end(step - 1, LazyLogs(functools.partial(to_numbers, shown)))
            if kind == "train" and model.stop_training:
                break
        return {**self.at_the_end(logs), **report_of(model, kind)}

    def at_the_end(self, logs: Logs) -> Logs:
        """The logs of an epoch: the metrics as they stand, or what an own step gave last."""
        # They differ where a hook has evaluated: as in Keras, the metrics are shared.
        found = self.model.get_metrics_result()
        if found.keys() != logs.keys():
            return to_numbers(logs)
        tracker = self.model._loss_tracker
        if tracker is not None and tracker.name in logs and not float(tracker.count):
            found = {**found, tracker.name: logs[tracker.name]}  # the step never told it
        return to_numbers(found)

    def run_batch(self, batch: Batch) -> Logs:
        """One step."""
        return to_numbers(self._one(batch))

    def run_probed(self, batch: Batch, probe: Probe | None) -> Logs:
        """One step, which a probe may look at."""
        return to_numbers(self._one(batch, probe))

    def _one(self, batch: Batch, probe: Probe | None = None) -> Logs:
        if probe is None:
            return self._step_on(batch)
        if probe.wait > 0 or not self.model.built:
            probe.wait = max(probe.wait - 1, 0)
            return self._step_on(batch)
        rows = batch_rows(batch)
        key = (rows, *(None if part is None else signature(part) for part in batch))
        if key not in self._recorded:
            self._recorded = {key: probe.record(self.model, kinds(batch), rows)}
        with probe.looking(self._recorded[key], rows_of(batch), None, 0, rows):
            return self._step_on(batch)

    def _step_on(self, batch: Batch) -> Logs:
        data = pack_x_y_sample_weight(*(to_tensors(part, self.model) for part in batch))
        with DeferInterrupt():
            if self.kind == "train":
                logs = self._step(data)
            else:
                # So that the loss of a sigmoid or softmax is that of its logits, as in training.
                before = _core.keep_origins(True)
                try:
                    with _core.no_grad():
                        logs = self._step(data)
                finally:
                    _core.keep_origins(before)
        if not isinstance(logs, dict):
            raise ValueError(
                f"{self.kind}_step must return a dictionary of logs; received {type(logs).__name__}"
                "."
            )
        return logs

    def predict(self, feed: Feed, callbacks: CallbackList) -> Any:
        """The outputs of all batches joined."""
        joined = _Joined(feed.source.rows if feed.whole_passes else None)
        step = 0
        for group in groups(feed.epoch(), self.model.steps_per_execution):
            callbacks.on_predict_batch_begin(step)
            outputs = None
            for batch in group:
                data = pack_x_y_sample_weight(*(to_tensors(part, self.model) for part in batch))
                with _core.no_grad():
                    outputs = tree.map_structure(np.asarray, self._step(data))
                joined.add(outputs, batch_rows(batch))
            step += len(group)
            callbacks.on_predict_batch_end(step - 1, {"outputs": outputs})
            if self.model.stop_predicting:
                break
        return joined.result()


class _Joined:
    # Writes into one array per output where the number of rows is known, else joins at the end.

    def __init__(self, rows: int | None) -> None:
        self._rows = rows
        self._at = 0
        self._struct: Any = None
        self._whole: list[Any] | None = None
        self._parts: list[list[Any]] = []

    def add(self, outputs: Any, rows: int) -> None:
        leaves = [np.asarray(leaf) for leaf in tree.flatten(outputs)]
        if self._struct is None:
            self._struct = outputs
            self._parts = [[] for _ in leaves]
            fits = all(leaf.ndim > 0 and leaf.shape[0] == rows for leaf in leaves)
            if self._rows is not None and fits:
                self._whole = [np.empty((self._rows, *a.shape[1:]), a.dtype) for a in leaves]
        if self._whole is not None:
            for whole, leaf in zip(self._whole, leaves, strict=True):
                whole[self._at : self._at + rows] = leaf
        else:
            for part, leaf in zip(self._parts, leaves, strict=True):
                # The memory may be a view of something that changes.
                part.append(np.array(leaf))
        self._at += rows

    def result(self) -> Any:
        if self._struct is None:
            return None
        if self._whole is not None:
            leaves = [whole[: self._at] for whole in self._whole]
        else:
            leaves = [np.concatenate(part) if part[0].ndim else part[-1] for part in self._parts]
        return tree.pack_like(self._struct, leaves)


def groups(batches: Iterator[Batch], size: int) -> Iterator[list[Batch]]:
    """Batches between two calls of batch hooks; the last group may be smaller."""
    while group := list(itertools.islice(batches, size)):
        yield group


def to_tensors(part: Any, model: Any) -> Any:
    """A structure of arrays as Tensors where the model lies; on the CPU they share its memory."""
    if part is None:
        return None

    def one(array: Any) -> Any:
        if array is None or isinstance(array, _core.Tensor):
            return array
        return model._placed(np.ascontiguousarray(array).reshape(array.shape))

    return tree.map_structure(one, part)


def report_of(model: Any, kind: str) -> Logs:
    """What the optimizer tells of its steps, where it was asked to."""
    optimizer = model.optimizer
    if kind != "train" or not getattr(optimizer, "report_gradient_norm", False):
        return {}
    logs: Logs = optimizer.report.logs()
    return logs


def to_numbers(logs: Logs) -> Logs:
    """Logs sorted by name, with scalars as Python floats and inner dictionaries' entries beside."""
    out: Logs = {}
    for key in sorted(logs):
        value = logs[key]
        if isinstance(value, int | float):
            out[key] = float(value)
        elif isinstance(value, dict):
            out.update(to_numbers(value))
        elif hasattr(value, "numpy") or hasattr(value, "__array__"):
            array = np.asarray(value)
            out[key] = float(array) if array.ndim == 0 else array
        else:
            out[key] = value
    return out
