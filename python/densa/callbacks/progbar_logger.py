"""ProgbarLogger: the live line of `fit`, `evaluate` and `predict`."""

from __future__ import annotations

from typing import Any

from densa.progress import ProgressBar

from .callback import Callback


class ProgbarLogger(Callback):
    """Shows progress, loss and metrics; `verbose=1` live, `verbose=2` one line per epoch.

    Example:

    >>> import densa
    >>> model = densa.Sequential([densa.Input((1,)), densa.layers.Dense(1)])
    >>> model.compile("sgd", "mse")
    >>> x = np.ones((4, 1))
    >>> kept = model.fit(x, x, callbacks=[densa.callbacks.ProgbarLogger()], verbose=0)
    """

    _throttled = True
    _state_names = ()

    def __init__(self) -> None:
        super().__init__()
        self.bar: ProgressBar | None = None
        self._in_fit = False
        self._last_step = 0
        self._title = ""

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._in_fit = True

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        self._in_fit = False
        self.close()

    def on_test_begin(self, logs: dict[str, Any] | None = None) -> None:
        if not self._in_fit:
            self._open("")

    def on_predict_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._open("")

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        params = self.params or {}
        self._open(f"Epoch {epoch + 1}/{params.get('epochs', '?')}")

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        self._update(batch, logs)

    def on_test_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        if not self._in_fit:
            self._update(batch, logs)

    def on_predict_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        self._update(batch, None)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._finish(logs)

    def on_test_end(self, logs: dict[str, Any] | None = None) -> None:
        if not self._in_fit:
            self._finish(logs)

    def on_predict_end(self, logs: dict[str, Any] | None = None) -> None:
        self._finish(None)

    def close(self) -> None:
        """Ends an unfinished line."""
        if self.bar is not None:
            self.bar.close()
            self.bar = None

    def _open(self, title: str) -> None:
        self.close()
        params = self.params or {}
        if not params.get("verbose", 1):
            return
        self._last_step = 0
        self._title = title
        self.bar = ProgressBar(
            params.get("steps"),
            title=title,
            samples_per_step=int(params.get("batch_size") or 0),
            live=False if params.get("verbose") == 2 else None,
        )

    def _update(self, batch: int, logs: dict[str, Any] | None) -> None:
        self._last_step = batch + 1
        bar = self.bar
        if bar is None:
            return
        values = list(logs.items()) if logs and bar.live else []
        bar.update(batch + 1, _numbers(values), finalize=False)

    def _finish(self, logs: dict[str, Any] | None) -> None:
        if self.bar is None:
            return
        params = self.params or {}
        samples = params.get("samples")
        target = params.get("steps")
        self.bar.update(
            self._last_step or target or 0,
            _numbers((logs or {}).items()),
            finalize=True,
            samples=samples if samples and self._last_step in (0, target) else None,
        )
        self.bar = None


def _numbers(items: Any) -> list[tuple[str, float]]:
    out = []
    for name, value in items:
        try:
            out.append((str(name), float(value)))
        except (TypeError, ValueError):
            continue
    return out
