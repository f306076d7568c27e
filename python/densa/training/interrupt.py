"""Ctrl-C between steps rather than inside one, so that an interrupted model is whole."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any


class DeferInterrupt:
    """While open, a first SIGINT waits for the end of the block; a second one does not."""

    __slots__ = ("_before", "_came")

    def __init__(self) -> None:
        self._before: Any = None
        self._came = False

    def __enter__(self) -> DeferInterrupt:
        self._came = False
        self._before = None
        if threading.current_thread() is threading.main_thread():
            handler = signal.getsignal(signal.SIGINT)
            if callable(handler):
                self._before = handler
                signal.signal(signal.SIGINT, self._note)
        return self

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self._came:
            signal.signal(signal.SIGINT, self._before)
            self._before(number, frame)
        self._came = True

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._before is None:
            return
        before, self._before = self._before, None
        signal.signal(signal.SIGINT, before)
        if self._came and kind is None:
            before(signal.SIGINT, None)
