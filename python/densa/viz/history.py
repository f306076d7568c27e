"""Learning curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from densa._names import hinted

from ._figure import FOUND, GRID, TRAINING, VALIDATION, finish, panels, wrapped

_MOST_MARKED = 60  # epochs
_FEW = 5
_TOWER = 100.0  # the largest value by the median, where the axis becomes logarithmic


@hinted
def plot_history(
    history: Any,
    path: Any = None,
    *,
    metrics: Sequence[str] | None = None,
    title: str = "",
) -> Any:
    """Learning curves, one panel for each quantity, training and validation in it.

    A mark stands at the best epoch of the validation loss, where there is one. A panel without a
    finite value says so; one whose largest value is far above the others has a logarithmic axis. A
    learning rate that changed gets a panel of its own, with such an axis, too.

    Args:
        history: What `fit` returned, or its `history`: values of each epoch by name.
        path: The picture to write; its ending names the format. None: none.
        metrics: Names to draw, without `val_`; None: all.
        title: Text above the panels.

    Returns:
        A `matplotlib.figure.Figure`.

    Raises:
        TypeError: It is no history.
        ValueError: There is nothing to draw, or a name is not in the history.
        ImportError: matplotlib is not installed.

    Example:

    >>> import densa
    >>> figure = densa.viz.plot_history({"loss": [2.0, 1.0], "val_loss": [2.1, 1.5]})
    >>> len(figure.axes)
    1
    """
    values = getattr(history, "history", history)
    if not isinstance(values, Mapping):
        raise TypeError(
            "plot_history: expected what `fit` returned or a dict of lists, got "
            f"{type(history).__name__}"
        )
    for name, curve in values.items():
        if not isinstance(name, str) or isinstance(curve, str) or not hasattr(curve, "__len__"):
            raise TypeError(
                "plot_history: expected a list with one number per epoch for each name, got "
                f"{curve!r} for {name!r}"
            )
    epochs = getattr(history, "epoch", None)
    names = _names(values, metrics)
    figure, axes = panels(len(names))
    best = _best_epoch(values.get("val_loss"))
    for name, ax in zip(names, axes, strict=True):
        for key, label, color in (
            (name, "training", TRAINING),
            (f"val_{name}", "validation", VALIDATION),
        ):
            curve = values.get(key)
            if not curve:
                continue
            first = epochs[0] if epochs and len(epochs) == len(curve) else 0
            along = range(first + 1, first + len(curve) + 1)
            marker = "." if len(curve) <= _MOST_MARKED else ""
            ax.plot(along, curve, marker=marker, color=color, label=label)
            if key == "val_loss" and best is not None:
                ax.plot(along[best], curve[best], "o", mfc="none", color=color, label="best")
        if not any(np.isfinite(line.get_ydata()).any() for line in ax.lines):
            words = f"no finite value of {name}:\nNaN or inf in every epoch"
            ax.text(0.5, 0.5, words, ha="center", color=FOUND, transform=ax.transAxes)
            ax.set_yticks([])
        ax.xaxis.get_major_locator().set_params(integer=True)
        known = [epoch for line in ax.lines for epoch in line.get_xdata()]
        if len(set(known)) < _FEW:
            ax.set_xlim(min(known) - 0.5, max(known) + 0.5)
            ax.set_xticks(sorted(set(known)))
        ax.set_xlabel("epoch")
        ax.set_ylabel(wrapped(name, 30))
        ax.grid(**GRID)
        if name == "learning_rate" or _towers(ax):
            ax.set_yscale("log")
        if name != "learning_rate" and ax.lines:
            ax.legend()
    return finish(figure, title, path)


def _towers(ax: Any) -> bool:
    """Whether a few values are so large that the others would lie on the axis."""
    known = np.concatenate([np.asarray(line.get_ydata(), np.float64) for line in ax.lines])
    known = known[np.isfinite(known)]
    return bool(known.size and known.min() > 0 and known.max() > _TOWER * np.median(known))


def _names(values: Mapping[str, Any], metrics: Sequence[str] | None) -> list[str]:
    drawn = [
        name
        for name, curve in values.items()
        if not name.startswith("val_") and _is_curve(curve) and not _still(name, curve)
    ]
    if metrics is not None:
        if isinstance(metrics, str) or not metrics:
            raise ValueError(
                "plot_history: metrics is a list of names with at least one, or None for all; got "
                f"{metrics!r}"
            )
        unknown = [name for name in metrics if name not in values]
        if unknown:
            raise ValueError(
                f"plot_history: the history has no {unknown[0]!r}; it has {', '.join(values)}"
            )
        return list(metrics)
    drawn.sort(key=lambda name: (name != "loss", name == "learning_rate"))
    if not drawn:
        raise ValueError(
            "plot_history: the history is empty, there is nothing to draw (its names: "
            f"{', '.join(values) or 'none'}); call fit with epochs of at least 1"
        )
    return drawn


def _is_curve(curve: Any) -> bool:
    return bool(len(curve)) and all(isinstance(value, (int, float)) for value in curve)


def _still(name: str, curve: Sequence[float]) -> bool:
    """A learning rate that never changed."""
    return name == "learning_rate" and len(set(curve)) == 1


def _best_epoch(curve: Sequence[float] | None) -> int | None:
    known = [(value, i) for i, value in enumerate(curve or ()) if value == value]
    return min(known)[1] if known else None
