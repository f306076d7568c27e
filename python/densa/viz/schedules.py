"""Learning rates over the steps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from densa._names import hinted
from densa._numbers import whole_number

from ._figure import GRID, finish, new_figure

_POINTS = 400


@hinted
def plot_schedule(
    schedules: Any, steps: int, path: Any = None, *, log: bool = False, title: str = ""
) -> Any:
    """Learning rate over `steps` steps, for one schedule or several by name.

    Args:
        schedules: A schedule (anything that gives a rate for a step), or a dict of them by name.
        steps: How many steps to draw, at least 2.
        path: The picture to write; its ending names the format. None: none.
        log: A logarithmic axis of the rate.
        title: Text above the picture.

    Returns:
        A `matplotlib.figure.Figure`.

    Raises:
        ValueError: Fewer than two steps, or no schedule.
        TypeError: A schedule that cannot be called with a step or gives no number, or `steps` that
            is no whole number.
        ImportError: matplotlib is not installed.

    Example:

    >>> import densa
    >>> decay = densa.optimizers.schedules.CosineDecay(0.1, 1000)
    >>> figure = densa.viz.plot_schedule({"cosine": decay}, 1000)
    """
    named = schedules if isinstance(schedules, Mapping) else {"": schedules}
    if not named:
        raise ValueError("plot_schedule: no schedule given")
    steps = whole_number("plot_schedule: steps", steps, least=2)
    for name, schedule in named.items():
        if not callable(schedule):
            raise TypeError(
                f"plot_schedule: a schedule is called with a step; {name or 'the first'} is a "
                f"{type(schedule).__name__}"
            )
    along = np.unique(np.linspace(0, steps - 1, min(_POINTS, steps)).astype(int))
    figure = new_figure(figsize=(6.4, 3.6))
    ax = figure.subplots()
    for name, schedule in named.items():
        rates = [schedule(int(step)) for step in along]
        try:
            numbers = [float(rate) for rate in rates]
        except (TypeError, ValueError):
            raise TypeError(
                f"plot_schedule: a schedule gives a number for a step; {name or 'the first'} gave "
                f"{rates[0]!r} for step 0"
            ) from None
        ax.plot(along, numbers, label=name)
    ax.set_xlabel("step")
    ax.set_ylabel("learning rate")
    if log:
        ax.set_yscale("log")
    ax.grid(**GRID)
    if any(named):
        ax.legend()
    return finish(figure, title, path)
