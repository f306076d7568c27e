"""`Progbar`: a progress line for loops of one's own."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from densa._numbers import whole_number
from densa.progress import ProgressBar


class Progbar:
    """A line that shows the steps of a loop, and means of what each step reports.

    A value counts as often as there were steps since the last update: it is shown as
    sum(steps · value) / sum(steps), but for those that are shown as they come.

    Args:
        target: how many steps there are; None if that is not known.
        width: characters of the bar.
        verbose: 0 silent, 1 a live line on a terminal, 2 a line at the end.
        interval: the least number of seconds between two drawings.
        stateful_metrics: names that are shown as they come; the others are averaged.
        stateless_metrics: names that are averaged; the others are shown as they come.
        unit_name: what a step is called.

    Raises:
        ValueError: for a negative target, another verbose, or both lists of names.

    Example:
        >>> bar = densa.utils.Progbar(2, verbose=2)
        >>> bar.update(1, [("loss", 1.0)])
        >>> bar.add(1, [("loss", 0.5)])  # doctest: +ELLIPSIS
        2/2 ... - loss: 0.7500
    """

    def __init__(
        self,
        target: int | None,
        width: int = 20,
        verbose: int = 1,
        interval: float = 0.05,
        stateful_metrics: Iterable[str] | None = None,
        stateless_metrics: Iterable[str] | None = None,
        unit_name: str = "step",
    ) -> None:
        if verbose not in (0, 1, 2):
            raise ValueError(f"Progbar: `verbose` must be 0, 1 or 2; received {verbose!r}.")
        if stateful_metrics is not None and stateless_metrics is not None:
            raise ValueError(
                "Progbar: give `stateful_metrics`, shown as they come, or `stateless_metrics`, "
                "averaged; all others are then of the other kind. Received both."
            )
        self.target = None if target is None else whole_number("Progbar: `target`", target, least=0)
        self.width, self.verbose, self.interval = width, int(verbose), interval
        self.stateful_metrics = None if stateful_metrics is None else set(stateful_metrics)
        self.stateless_metrics = None if stateless_metrics is None else set(stateless_metrics)
        self.unit_name = unit_name
        self._seen = 0
        self._values: dict[str, tuple[float, float]] = {}  # sums, and what to divide them by
        self._bar: ProgressBar | None = None
        if self.verbose:
            live = False if self.verbose == 2 else None
            self._bar = ProgressBar(self.target, width, None, interval, live=live, unit=unit_name)

    def update(self, current: int, values: Any = None, finalize: bool | None = None) -> None:
        """Tell how far the loop is.

        Args:
            current: steps done so far.
            values: pairs (name, value) of the steps since the last update.
            finalize: True ends the line with these values as they are; None ends it when `current`
                reaches the target.
        """
        steps = max(current - self._seen, 1)
        for name, value in values or ():
            number = float(value)
            if self._averages(name) and not finalize:
                total, count = self._values.get(name, (0.0, 0.0))
                self._values[name] = (total + number * steps, count + steps)
            else:
                self._values[name] = (number, 1.0)
        self._seen = current
        if self._bar is not None:
            shown = [(name, total / count) for name, (total, count) in self._values.items()]
            self._bar.update(current, shown, finalize)

    def add(self, n: int, values: Any = None) -> None:
        """Tell that n more steps are done; `values` as for `update`."""
        self.update(self._seen + n, values)

    def _averages(self, name: str) -> bool:
        if self.stateless_metrics is not None:
            return name in self.stateless_metrics
        return name not in (self.stateful_metrics or ())
