"""Windows of a series of measurements, as batches for `fit`."""

from __future__ import annotations

from typing import Any

import numpy as np

from densa._numbers import whole_number
from densa.utils.py_dataset import PyDataset


class _Windows(PyDataset):
    def __init__(
        self, data: Any, targets: Any, starts: Any, offsets: Any, batch_size: int | None, rng: Any
    ) -> None:
        super().__init__()
        self._data, self._targets, self._starts, self._offsets = data, targets, starts, offsets
        self._size, self._rng = batch_size, rng
        self._order = np.arange(len(starts))
        self.on_epoch_end()

    def __len__(self) -> int:
        return len(self._starts) if self._size is None else -(-len(self._starts) // self._size)

    def __getitem__(self, index: int) -> Any:
        if not -len(self) <= index < len(self):
            raise IndexError(f"there is no batch {index} of {len(self)}")
        size = self._size or 1
        at = (index % len(self)) * size
        rows = self._starts[self._order[at : at + size]]
        x = self._data[rows[:, None] + self._offsets]
        y = None if self._targets is None else self._targets[rows]
        if self._size is None:
            x, y = x[0], None if y is None else y[0]
        return x if y is None else (x, y)

    def on_epoch_end(self) -> None:
        if self._rng is not None:
            self._rng.shuffle(self._order)


def timeseries_dataset_from_array(
    data: Any,
    targets: Any,
    sequence_length: int,
    sequence_stride: int = 1,
    sampling_rate: int = 1,
    batch_size: int | None = 128,
    shuffle: bool = False,
    seed: int | None = None,
    start_index: int | None = None,
    end_index: int | None = None,
    format: str | None = None,
) -> Any:
    """Return a PyDataset of windows of a series, batch by batch.

    Window i holds steps i·stride, i·stride + rate, …, sequence_length of them, and goes with the
    target of its first step: `targets = data[sequence_length:]` predicts what comes next.

    Args:
        data: measurements, the first axis being time.
        targets: one for each window, by the step that it begins with; None for windows alone.
        sequence_length: steps of a window.
        sequence_stride: from one window to the next.
        sampling_rate: from one step of a window to the next.
        batch_size: windows of a batch; None for single windows.
        shuffle: whether each epoch has a new order.
        seed: of that order.
        start_index: steps before it are left out.
        end_index: this step and those behind it are left out.
        format: accepted for Keras; there is one format.

    Raises:
        ValueError: for numbers below 1, or bounds outside of the data.

    Example:
        >>> series = np.arange(6.0)
        >>> windows = densa.utils.timeseries_dataset_from_array(series, series[2:], 2, batch_size=3)
        >>> x, y = windows[0]
        >>> x.tolist(), y.tolist()
        ([[0.0, 1.0], [1.0, 2.0], [2.0, 3.0]], [2.0, 3.0, 4.0])
    """
    length = whole_number("sequence_length", sequence_length)
    stride = whole_number("sequence_stride", sequence_stride)
    rate = whole_number("sampling_rate", sampling_rate)
    if batch_size is not None:
        batch_size = whole_number("batch_size", batch_size)
    array = np.asarray(data)
    goals = None if targets is None else np.asarray(targets)
    begin, end = start_index or 0, len(array) if end_index is None else end_index
    if not 0 <= begin < max(1, len(array)) or not begin < end <= max(1, len(array)):
        raise ValueError(
            f"timeseries_dataset_from_array: start_index={start_index} and end_index={end_index} "
            f"must lie within the data, which has {len(array)} steps, the start first."
        )
    last = end - (length - 1) * rate
    if goals is not None:
        last = min(last, len(goals), end)
    starts = np.arange(begin, max(begin, last), stride)
    rng = np.random.default_rng(seed) if shuffle else None
    return _Windows(array, goals, starts, np.arange(length) * rate, batch_size, rng)
