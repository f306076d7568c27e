"""TerminateOnNaN."""

from __future__ import annotations

import math
from typing import Any

from .callback import Callback


class TerminateOnNaN(Callback):
    """Stops `fit` at the first batch whose loss is NaN or infinite.

    Args:
        raise_error: Whether to raise RuntimeError instead, so that no `on_train_end` is called.

    Example:

    >>> import densa
    >>> model = densa.Sequential([densa.Input((1,)), densa.layers.Dense(1)])
    >>> model.compile("sgd", "mse")
    >>> x = np.ones((4, 1))
    >>> stop = densa.callbacks.TerminateOnNaN()
    >>> history = model.fit(x, x, epochs=3, callbacks=[stop], verbose=0)
    >>> history.epoch
    [0, 1, 2]
    """

    _state_names = ()

    def __init__(self, raise_error: bool = False) -> None:
        super().__init__()
        self.raise_error = raise_error

    def on_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        loss = (logs or {}).get("loss")
        if loss is not None and not math.isfinite(float(loss)):
            if self.raise_error:
                raise RuntimeError(f"Batch {batch}: the loss is {float(loss)}.")
            print(f"Batch {batch}: Invalid loss, terminating training")
            self.model.stop_training = True
