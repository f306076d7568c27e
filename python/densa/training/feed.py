"""`Feed`: the batches of a source cut into epochs."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

from densa._numbers import whole_number

from .data import Batch, Source


class Feed:
    """The batches of a source cut into epochs.

    Args:
        source: The source.
        steps_per_epoch: Steps of an epoch; None: one pass over the source. An epoch that is shorter
            than a pass goes on where the last one ended; none goes past the end of the source.

    Raises:
        TypeError: The number of steps is no whole number.
        ValueError: It is below 1.
    """

    def __init__(self, source: Source, steps_per_epoch: int | None = None) -> None:
        if steps_per_epoch is not None:
            steps_per_epoch = whole_number("The number of steps", steps_per_epoch)
        self.source = source
        self.steps_per_epoch = steps_per_epoch
        self.ran_out = False  # for good
        self.count = 0  # batches of this epoch so far
        self.first = 0  # number of the first batch of the next epoch: one that was begun before
        self.logs: dict[str, Any] = {}  # of the batches before
        self._in_pass = 0  # batches of this pass so far
        self._goes_on = False  # the pass that begins next was begun before
        self._going: Iterator[Batch] | None = None
        self._passes = 0
        self._empty = True  # until the first batch

    @property
    def steps(self) -> int | None:
        """Steps of an epoch where known."""
        return self.steps_per_epoch if self.steps_per_epoch is not None else self.source.steps

    @property
    def whole_passes(self) -> bool:
        """Whether an epoch is one pass over the source."""
        return self.steps_per_epoch is None or self.steps_per_epoch == self.source.steps

    def epoch(self) -> Iterator[Batch]:
        """The batches of the next epoch; warns where the source gives fewer than asked for.

        Raises:
            ValueError: There has never been a batch.
        """
        first = self.begin_epoch()
        if self.steps_per_epoch is None:
            self._in_pass = self.source.skip
            for batch in self.source.batches():
                self._got_one()
                yield batch
            if self.count == 0:
                self._say_ran_out()
            self._passes += 1
        else:
            for _ in range(first, self.steps_per_epoch):
                batch_or_none = self._next()
                if batch_or_none is None:
                    self._say_ran_out()
                    break
                self._got_one()
                yield batch_or_none
        self.source.end_of_epoch()

    def begin_epoch(self) -> int:
        """The number of the first batch of the epoch that begins now."""
        self.count, self.first = self.first, 0
        self._goes_on = self._goes_on and self.steps_per_epoch is not None
        return self.count

    def at(self, batch: int) -> None:
        """Told by what reads a source of arrays itself: how far it is."""
        self.count = self._in_pass = batch

    def get_state(self, epoch_is_over: bool) -> dict[str, Any]:
        """Where the data is, for `set_state`."""
        goes_on = self._going is not None or not epoch_is_over
        return {
            "count": 0 if epoch_is_over else self.count,
            "in_pass": self._in_pass if goes_on else 0,
            "passes": self._passes - (self._going is not None),
            "goes_on": goes_on,
            "drawn_from": self.source.drawn_from,
            "own": None if self.source.own is None else self.source.own.get(goes_on),
        }

    def set_state(self, state: dict[str, Any]) -> None:
        """Makes a new feed go on where another one was; a generator begins at its first batch."""
        self.first = int(state["count"])
        self._passes = int(state["passes"])
        self._goes_on = bool(state["goes_on"])
        self._empty = False
        if self._goes_on:
            self.source.go_on(state["drawn_from"], int(state["in_pass"]))
        if self.source.own is not None and state.get("own") is not None:
            self.source.own.set(state["own"], self._goes_on)

    def has_more(self) -> bool:
        """Whether another epoch can have batches; where it is known that none can, says so once."""
        spent = (
            self._passes > 0
            and self._going is None
            and not self._goes_on
            and not self.source.restarts
        )
        if spent and not self.ran_out:
            self.count = 0
            self._say_ran_out()
        return not self.ran_out

    @property
    def gave_nothing(self) -> bool:
        """Whether the last epoch had no batch, as the one before it took the last."""
        return self.ran_out and self.count == 0

    def restart(self) -> None:
        """Begins at the first batch again, where the source can."""
        if self.source.restarts:
            self._going = None
            self._goes_on = False
            self.source.go_on(None, 0)

    def _got_one(self) -> None:
        self.count += 1
        self._in_pass += 1
        self._empty = False

    def _next(self) -> Batch | None:
        fresh = self._going is None and not self._goes_on
        if self._going is None:
            if self._passes and not self.source.restarts and not self._goes_on:
                return None
            self._goes_on = False
            self._in_pass = self.source.skip
            self._going = self.source.batches()
            self._passes += 1
        batch = next(self._going, None)
        if batch is None:
            self._going = None
            if self.count == 0 and not fresh:  # the epoch before took the last one
                return self._next()
        return batch

    def _say_ran_out(self) -> None:
        kind = type(getattr(self.source, "dataset", getattr(self.source, "stream", None))).__name__
        if self._empty:
            raise ValueError(
                f"`x` ({kind}) gave no batches. A generator yields each batch once: if "
                "this one was used before, make a new one, or pass an iterable or a PyDataset "
                "that starts again."
            )
        self.ran_out = not self.source.restarts or self.count == 0
        due = "more" if self.steps_per_epoch is None else self.steps_per_epoch
        warnings.warn(
            f"The input ran out of data: {self.count} batches came where {due} were due. "
            + ("It cannot begin again, so it ends here. " if self.ran_out else "")
            + "Pass data with enough batches for the steps of all epochs, or ask for fewer steps.",
            UserWarning,
            stacklevel=2,
        )
