"""One thread at a time: training and evaluation share metrics, predictions share a plan."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from typing import Any, TypeVar, cast

F = TypeVar("F", bound=Callable[..., Any])


class Turns:
    """The locks of one model; a copy of the model has its own."""

    def __init__(self) -> None:
        self.train = threading.RLock()
        self.predict = threading.RLock()

    def __reduce__(self) -> Any:
        return Turns, ()


def one_at_a_time(kind: str) -> Callable[[F], F]:
    """Makes calls from several threads wait for each other, but not for a whole `fit`.

    A thread may call again from within, from a callback.

    Args:
        kind: "train" for what trains or evaluates, "predict" for what predicts.

    Raises:
        ValueError: Another thread is in `fit`.
    """

    def decorate(method: F) -> F:
        @functools.wraps(method)
        def call(self: Any, *args: Any, **kwargs: Any) -> Any:
            lock = getattr(self._turns, kind)
            if not lock.acquire(blocking=False):
                if kind == "train" and self._fitting:
                    raise ValueError(
                        f"{method.__name__}() was called while fit() trains this model in another "
                        "thread. Wait for it to end, or give each thread a model of its own "
                        "(densa.models.clone_model)."
                    )
                lock.acquire()
            try:
                return method(self, *args, **kwargs)
            finally:
                lock.release()

        return cast(F, call)

    return decorate
