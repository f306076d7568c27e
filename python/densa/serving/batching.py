"""Micro-batching: requests that come within a short time are one call of the predictor."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import numpy as np

from .predictors import Array

__all__ = ["REFUSALS", "Batcher"]

# What a predictor raises for arrays that it does not take.
REFUSALS = (ValueError, IndexError, TypeError)

Run = Callable[[list[Array]], Awaitable[list[Array]]]


class _Batch:
    """Requests that wait together: the inputs of each and where its outputs go."""

    __slots__ = ("closed", "inputs", "results", "rows")

    def __init__(self) -> None:
        self.inputs: list[list[Array]] = []
        self.results: list[asyncio.Future[list[Array]]] = []
        self.rows = 0
        self.closed = False

    def takes(self, arrays: list[Array], max_rows: int) -> bool:
        """Whether these inputs fit behind those that are there."""
        if self.closed or self.rows + len(arrays[0]) > max_rows:
            return False
        return all(x.shape[1:] == y.shape[1:] for x, y in zip(arrays, self.inputs[0], strict=True))

    def add(self, arrays: list[Array]) -> asyncio.Future[list[Array]]:
        """Takes a request in; its outputs come from the future."""
        result: asyncio.Future[list[Array]] = asyncio.get_running_loop().create_future()
        self.inputs.append(arrays)
        self.results.append(result)
        self.rows += len(arrays[0])
        return result


class Batcher:
    """Runs requests in batches. Each batch is a task: no request that is given up ends it.

    Args:
        run: Computes the outputs of arrays, each with as many rows.
        window: Seconds that the first request of a batch waits. The last two milliseconds are
            spent polling, since event loops sleep no shorter.
        max_rows: A batch that has as many runs at once.
    """

    def __init__(self, run: Run, window: float, max_rows: int) -> None:
        self._run = run
        self._window = window
        self._max_rows = max_rows
        self._open: _Batch | None = None
        self._tasks: set[asyncio.Task[None]] = set()  # the event loop holds them weakly

    async def run(self, arrays: list[Array]) -> list[Array]:
        """The outputs of one request's arrays, computed together with those of others."""
        batch = self._open
        if batch is None or not batch.takes(arrays, self._max_rows):
            if batch is not None:
                batch.closed = True  # what came does not fit, so nothing more is waited for
            self._open = batch = _Batch()
            task = asyncio.create_task(self._work(batch))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        result = batch.add(arrays)
        batch.closed = batch.rows >= self._max_rows
        return await result

    async def _work(self, batch: _Batch) -> None:
        """Gathers and computes one batch; an error goes to all who wait."""
        try:
            await self._gather(batch)
            if self._open is batch:
                self._open = None
            await self._compute(batch)
        except Exception as error:
            for result in batch.results:
                if not result.done():
                    result.set_exception(error)

    async def _gather(self, batch: _Batch) -> None:
        """Waits for the window's end, or until the batch is closed."""
        clock = time.monotonic  # uvloop's own has whole milliseconds
        end = clock() + self._window
        while not batch.closed and (left := end - clock()) > 0:
            await asyncio.sleep(0.001 if left > 0.002 else 0)
        batch.closed = True

    async def _compute(self, batch: _Batch) -> None:
        """Runs a closed batch and hands out the outputs; one bad request spoils no other."""
        inputs = batch.inputs
        if len(inputs) > 1:
            together = [np.concatenate(parts) for parts in zip(*inputs, strict=True)]
            try:
                outputs = await self._run(together)
            except REFUSALS:
                pass  # somebody's values: each alone
            else:
                start = 0
                for arrays, result in zip(inputs, batch.results, strict=True):
                    stop = start + len(arrays[0])
                    _settle(result, [y[start:stop] for y in outputs])
                    start = stop
                return
        for arrays, result in zip(inputs, batch.results, strict=True):
            try:
                _settle(result, await self._run(arrays))
            except REFUSALS as error:
                if not result.done():
                    result.set_exception(error)


def _settle(result: asyncio.Future[list[Array]], outputs: list[Array]) -> None:
    if not result.done():  # its request may have been given up
        result.set_result(outputs)
