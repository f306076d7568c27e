"""The curve of a search for a learning rate."""

from __future__ import annotations

import math
from typing import Any

from densa._names import hinted

from ._figure import FOUND, GRID, TRAINING, finish, new_figure


@hinted
def plot_lr_finder(finder: Any, path: Any = None, *, ax: Any = None, title: str = "") -> Any:
    """Loss over learning rate, and the rate that an `LRFinder` suggests.

    Args:
        finder: A `densa.callbacks.LRFinder` after a `fit`.
        path: The picture to write; its ending names the format. None: none.
        ax: Axes of matplotlib to draw into; None: those of a new figure.
        title: Text above the picture.

    Returns:
        The `matplotlib.figure.Figure`.

    Raises:
        TypeError: `finder` is no `LRFinder`.
        ValueError: It has not searched yet.
        ImportError: matplotlib is not installed.

    Example:

    >>> import densa
    >>> model = densa.Sequential([densa.Input((1,)), densa.layers.Dense(1)])
    >>> model.compile("sgd", "mse")
    >>> x = np.linspace(-1, 1, 640, dtype="float32")[:, None]
    >>> finder = densa.callbacks.LRFinder(1e-4, 100.0, num_steps=60)
    >>> history = model.fit(x, 3 * x, epochs=3, callbacks=[finder], verbose=0)
    >>> figure = densa.viz.plot_lr_finder(finder)
    """
    from densa.callbacks import LRFinder

    if not isinstance(finder, LRFinder):
        raise TypeError(f"plot_lr_finder: expected an LRFinder, got {type(finder).__name__}")
    if not finder.rates:
        raise ValueError("plot_lr_finder: nothing to draw; call fit with this callback first.")
    if ax is None:
        ax = new_figure(figsize=(6.4, 3.6)).subplots()
    ax.plot(finder.rates, finder.losses, color=TRAINING)
    ax.set(xscale="log", xlabel="learning rate", ylabel="loss (running mean)")
    finite = [loss for loss in finder.losses if math.isfinite(loss)]
    if finite:
        # What comes before the smallest mean sets the scale; the explosion runs out of sight.
        least = min(finite)
        room = max(finite[: finite.index(least) + 1]) - least or abs(least) or 1.0
        ax.set_ylim(least - 0.1 * room, least + 1.5 * room)
    if (suggestion := finder.suggestion) is not None:
        ax.axvline(suggestion, linestyle="--", color=FOUND)
        ax.annotate(
            f"{suggestion:.2g}",
            (suggestion, 0.97),
            xycoords=("data", "axes fraction"),
            xytext=(4, 0),
            textcoords="offset points",
            va="top",
            color=FOUND,
        )
    ax.grid(**GRID)
    return finish(ax.figure, title, path)
