"""`PyDataset`: batches by number."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from densa._names import Named


class PyDataset(Named):
    """Batches by number; a subclass gives `__len__` and `__getitem__`.

    Args:
        workers: accepted for Keras; batches are made by the caller's thread.
        use_multiprocessing: accepted for Keras.
        max_queue_size: accepted for Keras.

    Example:
        >>> class Ones(densa.utils.PyDataset):
        ...     def __len__(self):
        ...         return 3
        ...     def __getitem__(self, index):
        ...         return np.ones((8, 2)), np.ones((8, 1))
        >>> Ones().num_batches
        3
    """

    def __init__(
        self, workers: int = 1, use_multiprocessing: bool = False, max_queue_size: int = 10
    ) -> None:
        self.workers = workers
        self.use_multiprocessing = use_multiprocessing
        self.max_queue_size = max_queue_size

    def __getitem__(self, index: int) -> Any:
        """Return batch number `index`: x, (x, y) or (x, y, sample_weight)."""
        raise NotImplementedError(f"{type(self).__name__} must give __getitem__(index).")

    @property
    def num_batches(self) -> int | None:
        """Number of batches; None for a dataset without end."""
        try:
            return len(self)
        except TypeError:
            return None

    def __len__(self) -> int:
        raise TypeError(f"{type(self).__name__} does not give __len__().")

    def __iter__(self) -> Iterator[Any]:
        count = self.num_batches
        index = 0
        while count is None or index < count:
            yield self[index]
            index += 1

    def on_epoch_begin(self) -> None:
        """Called before each epoch."""

    def on_epoch_end(self) -> None:
        """Called after each epoch."""
