"""Examines a model as it stands, without training it."""

from __future__ import annotations

import math
from functools import partial
from itertools import islice
from typing import Any

from densa.random import get_global_state, set_global_state
from densa.training.check import check_labels
from densa.training.data import ArraySource, Batch, batch_rows
from densa.training.feed import Feed
from densa.training.probe import Probe, lost_variables
from densa.training.recording import kinds, rows_of

from . import Case, Finding, examine
from .raw import all_rows, many_targets
from .remedies import rebuilt


def diagnose(model: Any, feed: Feed, steps: int) -> list[Finding]:
    """The findings on at most `steps` batches and on the curves of the last `fit`."""
    probe = Probe(1)
    recorded = None
    size = 0
    first: Batch | None = None
    for batch in islice(feed.epoch(), steps):
        first = batch if first is None else first
        rows = batch_rows(batch)
        if not model.built:
            model.predict_on_batch(batch[0])
        if rows > size:
            recorded, size = probe.record(model, kinds(batch), rows), rows
            if recorded is None:
                _ask_loss(model, batch)
        probe.look(recorded, rows_of(batch), None, 0, rows)
    targets = many_targets(feed.source)
    history = getattr(getattr(model, "history", None), "history", None) or {}
    case = Case(
        model,
        loss=list(history.get("loss", [])),
        val_loss=list(history.get("val_loss", [])),
        batch_size=size,
        streamed=not isinstance(feed.source, ArraySource),
        samples=probe.series,
        inputs=probe.inputs,
        rows=all_rows(feed.source),
        kinds=probe.kinds,
        targets=probe.targets if targets is None else targets,
        heads=probe.heads,
        non_finite=feed.source.non_finite(),
        trained=True,
        lost=lost_variables(model),
        fresh=None if first is None else partial(_fresh_loss, model, first),
    )
    return examine(case)


def _ask_loss(model: Any, batch: Batch) -> None:
    # What cannot be recorded goes on by curves and set-up; what no training takes is an error.
    from densa import Model

    if type(model).train_step is Model.train_step:
        x, y, sample_weight = batch
        check_labels(model, y, x=x)
        y_pred = model(x, training=False)
        model.compute_loss(x=x, y=y, y_pred=y_pred, sample_weight=sample_weight, training=False)


def _fresh_loss(model: Any, batch: Batch) -> float:
    # The loss with which such a model begins; random numbers go on as if it had not been made.
    state = get_global_state()
    try:
        copy = rebuilt(model)
        logs = copy.test_on_batch(*batch, return_dict=True)
        return float(logs["loss"])
    except (AttributeError, NotImplementedError, TypeError, ValueError):
        return math.nan  # of a subclass there may be no copy
    finally:
        set_global_state(state)
