"""A live progress line for training, evaluation and prediction; pure Python."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from time import perf_counter
from typing import TextIO

__all__ = ["ProgressBar"]


class ProgressBar:
    """One line that shows title, step, time, speed, loss and metrics of a loop.

    On a terminal (or in a notebook) the line is redrawn in place at most once per `interval`.
    Anywhere else one plain line is written when the loop ends. The speed is that of the steps
    alone: what happens between the last step and `finalize` (validation, say) is not counted.

    Args:
        target: Number of steps in the loop; `None` where it is not known.
        width: Number of characters of the bar itself.
        stream: Where to write; default `sys.stdout`, looked up when the bar is made.
        interval: Least number of seconds between two redraws.
        title: Text before the bar, for example `"Epoch 1/5"`.
        samples_per_step: Rows in one step, for the samples per second; 0 leaves the speed out.
        unit: What a step is called.
        live: Redraw in place. Default: whether `stream` is a terminal or a notebook's output.

    Example:
        >>> import io
        >>> from densa.progress import ProgressBar
        >>> out = io.StringIO()
        >>> bar = ProgressBar(2, stream=out, title="Epoch 1/1")
        >>> bar.update(1, [("loss", 0.5)])
        >>> bar.update(2, [("loss", 0.25)])
        >>> out.getvalue().endswith("loss: 0.2500\\n")
        True
    """

    def __init__(
        self,
        target: int | None,
        width: int = 20,
        stream: TextIO | None = None,
        interval: float = 0.05,
        *,
        title: str = "",
        samples_per_step: int = 0,
        unit: str = "step",
        live: bool | None = None,
    ) -> None:
        if target is not None and target < 0:
            raise ValueError(f"ProgressBar: target must be None or at least 0, got {target}.")
        self.target = target
        self.width = width
        self.stream: TextIO = sys.stdout if stream is None else stream
        self.interval = interval
        self.title = title
        self.samples_per_step = samples_per_step
        self.unit = unit
        self.live = _is_live(self.stream) if live is None else live
        self.done = False
        self._full, self._empty = _bar_characters(self.stream)
        self._start = perf_counter()
        self._steps_end = 0.0
        self._steps = 0
        self._samples = 0
        self._drawn_at = float("-inf")
        self._drawn_length = 0

    def update(
        self,
        current: int,
        values: Sequence[tuple[str, float]] = (),
        finalize: bool | None = None,
        *,
        samples: int | None = None,
    ) -> None:
        """Tell the bar how far the loop is, and redraw it if it is time to.

        Args:
            current: Number of steps done.
            values: Names and values to show after the bar, in order.
            finalize: End the line. Default: when `current` reaches the target.
            samples: Number of rows seen so far; default `current * samples_per_step`.
        """
        if self.done:
            return
        now = perf_counter()
        if current > self._steps:
            self._steps, self._steps_end = current, now
            self._samples = current * self.samples_per_step
        if samples is not None:
            self._samples = samples
        if finalize is None:
            finalize = self.target is not None and current >= self.target
        if finalize:
            self.done = True
            self._write(self._line(values, now, final=True, width=self.width), end="\n")
        elif self.live and now - self._drawn_at >= self.interval:
            self._drawn_at = now
            # A line that wraps could not be drawn over: the bar shrinks first, then the end goes.
            room = _columns(self.stream) - 1
            line = self._line(values, now, final=False, width=self.width)
            if len(line) > room:
                width = max(self.width - (len(line) - room), 0)
                line = self._line(values, now, final=False, width=width)[:room]
            self._write(line, end="")

    def close(self) -> None:
        """End an unfinished live line, so that what is printed next starts on a new one."""
        if not self.done:
            self.done = True
            if self.live and self._drawn_length:
                self.stream.write("\n")
                self.stream.flush()

    def _line(
        self, values: Sequence[tuple[str, float]], now: float, *, final: bool, width: int
    ) -> str:
        seconds = max((self._steps_end or now) - self._start, 1e-9)
        steps = f"{self._steps}" if self.target is None else f"{self._steps}/{self.target}"
        if self.live and self.target:
            part = min(self._steps / self.target, 1.0)
            full = int(part * width)
            steps += (" " if width else "") + self._full * full + self._empty * (width - full)
        parts = [f"{self.title} {steps}" if self.title else steps]
        if final:
            parts[0] += f" {format_seconds(now - self._start)}"
        elif self.target and self._steps:
            left = seconds * (self.target - self._steps) / self._steps
            parts[0] += f" {format_seconds(left)} left"
        if self._samples:
            parts.append(f"{format_count(self._samples / seconds)} samples/s")
        elif self._steps:
            parts.append(f"{format_seconds(seconds / self._steps)}/{self.unit}")
        parts += [f"{name}: {format_value(value)}" for name, value in values]
        return " - ".join(parts)

    def _write(self, line: str, end: str) -> None:
        if self.live:
            shown = len(line)
            line = "\r" + line + " " * (self._drawn_length - shown)
            self._drawn_length = shown
        self.stream.write(line + end)
        self.stream.flush()


def format_value(value: float) -> str:
    """Format a loss or metric as Keras does: four decimals, or an exponent if it is tiny."""
    value = float(value)
    return f"{value:.4f}" if abs(value) > 1e-3 or value == 0 else f"{value:.4e}"


def format_seconds(seconds: float) -> str:
    """Format a duration with the unit that fits: `2h03m`, `1m05s`, `12s`, `3.4s`, `12ms`."""
    if seconds >= 3600:
        return f"{int(seconds // 3600)}h{int(seconds % 3600 // 60):02d}m"
    if seconds >= 60:
        return f"{int(seconds // 60)}m{int(seconds % 60):02d}s"
    if seconds >= 10:
        return f"{seconds:.0f}s"
    if seconds >= 1:
        return f"{seconds:.1f}s"
    if seconds >= 1e-3:
        return f"{seconds * 1e3:.0f}ms"
    return f"{max(seconds, 0.0) * 1e6:.0f}us"


def format_count(count: float) -> str:
    """Format a rate in three digits: `870`, `12.3k`, `1.45M`."""
    for scale, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if count >= 0.9995 * scale:
            return f"{count / scale:.3g}{unit}"
    return f"{count:.0f}"


def _is_live(stream: TextIO) -> bool:
    # A notebook's stream is no terminal but obeys carriage returns.
    if type(stream).__module__.startswith("ipykernel"):
        return True
    try:
        return stream.isatty()
    except (AttributeError, ValueError):
        return False


def _bar_characters(stream: TextIO) -> tuple[str, str]:
    try:
        "━─".encode(getattr(stream, "encoding", None) or "utf-8")
    except (UnicodeEncodeError, LookupError):
        return "=", "."
    return "━", "─"


def _columns(stream: TextIO) -> int:
    try:
        return os.get_terminal_size(stream.fileno()).columns or 80
    except (OSError, ValueError, AttributeError):
        return 80 if not type(stream).__module__.startswith("ipykernel") else 120
