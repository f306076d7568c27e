"""The state of what gives the batches: what a training that is resumed needs of it."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Iterator
from typing import Any

from densa.saving.object_state import begin, restore, state_of
from densa.saving.training_state import get_random_state, set_random_state
from densa.utils.py_dataset import PyDataset


class OwnState:
    """What a dataset, an iterable or a generator knows itself, kept in the backups of a training.

    A dataset is asked for single batches, so that its state is the present one. An iterable is
    gone through again from the begin of its pass: its state, and that of the global random
    numbers, is the one of that moment.

    Args:
        thing: The dataset, iterable or generator.
        by_pass: Whether it is gone through again.
    """

    def __init__(self, thing: Any, by_pass: bool) -> None:
        self._thing = thing
        self._by_pass = by_pass
        self._writes = hasattr(thing, "get_state") and hasattr(thing, "set_state")
        self._default = not self._writes or (
            isinstance(thing, PyDataset)
            and type(thing).get_state is PyDataset.get_state
            and type(thing).set_state is PyDataset.set_state
        )
        self._began: Any = None  # state and random numbers at the begin of the pass
        self._goes_on: Any = None  # the same, of the pass that begins next
        if self._default:
            begin(thing, large=by_pass or _has_hooks(thing))

    def unkept(self) -> list[str]:
        """Attributes that may be state and cannot be kept."""
        return state_of(self._thing)[1] if self._default else []

    def get(self, goes_on: bool) -> Any:
        """The state for `set`; `goes_on`: a pass has begun and has not ended."""
        if self._by_pass and goes_on and self._began is not None:
            return self._began
        return {"own": self._get(), "random": None}

    def set(self, state: Any, goes_on: bool) -> None:
        """Goes on from a state."""
        self._set(state["own"])
        self._goes_on = state if goes_on else None

    def begin_pass(self, stream: Any, skip: int) -> Iterator[Any]:
        """The batches of an iterable behind the first ones, which have been."""
        state, self._goes_on = self._goes_on, None
        now = get_random_state()
        if state is None:
            self._began = {"own": copy.deepcopy(self._get()), "random": now}
        else:
            self._began = state
        if state is not None and state["random"] is not None:
            set_random_state(state["random"])
        batches: Iterator[Any] = iter(stream)
        for _ in itertools.islice(batches, skip):
            pass
        if state is not None:
            set_random_state(now)
        return batches

    def begin_epoch(self, hook: Callable[[], Any]) -> None:
        """Calls a dataset's `on_epoch_begin`; in a pass that goes on, what it does is undone."""
        goes_on, self._goes_on = self._goes_on, None
        if goes_on is None:
            hook()
            return
        # Not the state of the backup: `on_epoch_end` may have come since.
        state, numbers = copy.deepcopy(self._get()), get_random_state()
        hook()
        set_random_state(numbers)
        self._set(state)

    def _get(self) -> Any:
        return self._thing.get_state() if self._writes else state_of(self._thing)[0]

    def _set(self, state: Any) -> None:
        state = copy.deepcopy(state)  # what is set may change in place
        if self._writes:
            self._thing.set_state(state)
        elif state:
            restore(self._thing, state, whole=True)


def _has_hooks(thing: Any) -> bool:
    return any(
        getattr(type(thing), name, None) not in (None, getattr(PyDataset, name))
        for name in ("on_epoch_begin", "on_epoch_end")
    )
