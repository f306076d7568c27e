"""What callbacks share that watch one number."""

from __future__ import annotations

import math
import warnings
from typing import Any

from densa._numbers import check_real_number

from .callback import Callback


class MonitorCallback(Callback):
    """Watches one entry of the logs and knows when it has become better.

    Args:
        monitor: Name of the entry.
        mode: `"min"`, `"max"`, or `"auto"`: found from the metric or its name.
        min_delta: Least change that counts.
        best: What a first value must beat; None for any.

    Example:

    >>> import densa
    >>> callback = densa.callbacks.MonitorCallback("val_loss", min_delta=0.1)
    >>> callback.is_better(0.75, 1.0), callback.is_better(0.95, 1.0)
    (True, False)
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        mode: str = "auto",
        best: float | None = None,
        min_delta: float = 0.0,
    ) -> None:
        check_real_number(f"{type(self).__name__}: `min_delta`", min_delta)
        if not isinstance(monitor, str):
            raise TypeError(
                f"{type(self).__name__}: `monitor` must be a name of the logs, such as 'val_loss'; "
                f"received {monitor!r}."
            )
        super().__init__()
        if mode not in ("auto", "min", "max"):
            warnings.warn(
                f"{type(self).__name__} mode {mode!r} is unknown, fallback to auto mode.",
                UserWarning,
                stacklevel=3,
            )
            mode = "auto"
        self.monitor = monitor
        self.mode = mode
        self.best = best
        self.min_delta = abs(min_delta)
        self._warned = False

    def higher_is_better(self) -> bool:
        """Whether a larger number is better.

        Raises:
            ValueError: `mode="auto"` and neither the metric nor its name tells.
        """
        if self.mode != "auto":
            return self.mode == "max"
        name = self.monitor.removeprefix("val_")
        if name == "loss" or name.endswith("_loss"):
            return False
        for metric in _metrics_of(self.model):
            if name == metric.name or name.endswith("_" + metric.name):
                direction = getattr(metric, "_direction", None)
                if direction is not None:
                    return bool(direction == "up")
        if name.endswith(("accuracy", "acc", "auc", "precision", "recall", "f1_score")):
            return True
        if name.endswith(("error", "mse", "mae", "rmse", "mape", "msle", "crossentropy")):
            return False
        raise ValueError(
            f"{type(self).__name__} cannot tell whether {self.monitor!r} should be large or small. "
            "Pass mode='max' or mode='min'."
        )

    def is_better(self, value: float, reference: float | None) -> bool:
        """Whether `value` beats `reference` by more than `min_delta`."""
        if math.isnan(value):
            return False
        if reference is None or math.isnan(reference):
            return True
        if self.higher_is_better():
            return value - self.min_delta > reference
        return value + self.min_delta < reference

    def current(self, logs: dict[str, Any] | None) -> float | None:
        """The watched number; None with a warning where the logs do not have it."""
        logs = logs or {}
        value = logs.get(self.monitor)
        if value is None:
            if not self._warned:
                self._warned = True
                warnings.warn(
                    f"{type(self).__name__} conditioned on metric `{self.monitor}` which is not "
                    f"available. Available metrics are: {','.join(map(str, logs))}",
                    UserWarning,
                    stacklevel=3,
                )
            return None
        return float(value)


def _metrics_of(model: Any) -> list[Any]:
    out: list[Any] = []
    for metric in getattr(model, "metrics", None) or []:
        inner = getattr(metric, "metrics", None)
        out.extend(inner if inner else [metric])
    return out
