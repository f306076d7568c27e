"""How right a classifier is, and how right it thinks it is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from densa._names import hinted
from densa._numbers import whole_number

from ._figure import GRID, TRAINING, finish, ink, new_figure

_MOST_NUMBERED = 20  # classes whose cells have numbers
_MOST_CLASSES = 2000  # a cell is less than a dot then


@hinted
def plot_confusion(
    y_true: Any,
    y_pred: Any,
    path: Any = None,
    *,
    class_names: Sequence[str] | None = None,
    normalize: bool = True,
    title: str = "",
) -> Any:
    """Confusion matrix: rows are the true classes, columns what was predicted.

    Args:
        y_true: `(n,)` class ids.
        y_pred: `(n,)` class ids, or `(n, classes)` scores, whose largest counts, or `(n, 1)` or
            `(n,)` probabilities of class 1, which is the answer above 0.5.
        path: The picture to write; its ending names the format. None: none.
        class_names: One for each class; None: their ids.
        normalize: Shares of each true class instead of counts.
        title: Text above the picture.

    Returns:
        A `matplotlib.figure.Figure`.

    Raises:
        TypeError: `class_names` is no list.
        ValueError: Lengths that differ, nothing to draw, ids that are negative, predictions that
            are not finite or no probabilities, too few names, or more classes than fit.
        ImportError: matplotlib is not installed.

    Example:

    >>> import densa
    >>> figure = densa.viz.plot_confusion([0, 1, 1], [0, 1, 0])
    """
    truth = _ids("plot_confusion: y_true", y_true)
    scores = _array("plot_confusion: y_pred", y_pred)
    if scores.dtype.kind == "f" and not np.all(np.isfinite(scores)):
        bad = int(np.argmax(~np.isfinite(scores.reshape(len(scores), -1)).all(1)))
        raise ValueError(
            f"plot_confusion: y_pred holds NaN or inf, first in row {bad}: such a row has no answer"
        )
    given = scores
    if scores.ndim == 2 and scores.shape[1] > 1:
        given = scores.argmax(1)
    elif scores.dtype.kind == "f" and (scores % 1).any():
        if scores.min() < 0 or scores.max() > 1:
            raise ValueError(
                "plot_confusion: y_pred of one column must hold class ids or probabilities of "
                f"class 1; got numbers from {scores.min():g} to {scores.max():g}. For logits pass "
                "densa.activations.sigmoid(y_pred)"
            )
        given = (scores > 0.5).astype(np.int64)
    guess = _ids("plot_confusion: y_pred", given)
    if truth.size != guess.size or truth.size == 0:
        raise ValueError(
            f"plot_confusion: y_true has {truth.size} rows, y_pred {guess.size}; as many of both "
            "are expected, at least one"
        )
    classes = int(max(truth.max(), guess.max(), given is not scores)) + 1
    if scores.ndim == 2:
        classes = max(classes, scores.shape[1])
    if classes > _MOST_CLASSES:
        raise ValueError(
            f"plot_confusion: class {classes - 1} makes {classes} classes; at most "
            f"{_MOST_CLASSES} fit a picture. Class ids count from 0"
        )
    if class_names is not None:
        class_names = list(_sized("class_names", class_names))
        if len(class_names) < classes:
            raise ValueError(
                f"plot_confusion: {classes} classes, but {len(class_names)} class_names"
            )
        classes = len(class_names)
    counts = np.zeros((classes, classes), np.int64)
    np.add.at(counts, (truth, guess), 1)
    each = counts.sum(1, keepdims=True)
    shown = counts / np.maximum(each, 1) if normalize else counts
    side = min(max(4.0, 0.5 * classes + 1.6), 14.0)
    labels = list(class_names) if class_names is not None else [str(i) for i in range(classes)]
    room = min(0.09 * max(map(len, labels)), 4.0)  # inches that the longest name takes
    figure = new_figure(figsize=(side + 0.8 + room, side + 0.7 * room))
    ax = figure.subplots()
    image = ax.imshow(shown, cmap="Blues", vmin=0, vmax=1 if normalize else None)
    figure.colorbar(image, ax=ax, shrink=0.8, ticks=None if normalize else _whole())
    if classes <= _MOST_NUMBERED:
        half = shown.max() / 2
        for i, j in np.ndindex(classes, classes):
            if counts[i, j]:
                text = f"{shown[i, j]:.2f}" if normalize else str(counts[i, j])
                color = "white" if shown[i, j] > half else "black"
                ax.text(j, i, text, ha="center", va="center", fontsize=7, color=color)
    step = max(1, classes // 25)
    ax.set_xticks(range(0, classes, step), labels[::step], rotation=45, ha="right")
    ax.set_yticks(range(0, classes, step), labels[::step])
    ax.set_xlabel("predicted")
    ax.set_ylabel("true")
    right = np.trace(counts) / truth.size
    return finish(figure, title or f"{right:.1%} of {truth.size} right", path)


@hinted
def plot_calibration(
    y_true: Any, probabilities: Any, path: Any = None, *, bins: int = 10, title: str = ""
) -> Any:
    """Reliability diagram: how often a classifier is right, against how sure it is.

    Predictions are put into `bins` equal parts of [0, 1] by their confidence, the largest
    probability of a row. The expected calibration error is the mean of |right - confidence| over
    the bins, weighted by their rows (Guo et al., 2017, "On Calibration of Modern Neural Networks").

    Args:
        y_true: `(n,)` class ids; 0 and 1 where `probabilities` is of one class.
        probabilities: `(n, classes)`, or `(n,)` or `(n, 1)`: of class 1.
        path: The picture to write; its ending names the format. None: none.
        bins: Parts of [0, 1], at least 1.
        title: Text above the picture.

    Returns:
        A `matplotlib.figure.Figure`.

    Raises:
        TypeError: `bins` is no whole number.
        ValueError: Lengths that differ, nothing to draw, a class without a column, or numbers
            outside [0, 1].
        ImportError: matplotlib is not installed.

    Example:

    >>> import densa
    >>> figure = densa.viz.plot_calibration([1, 0, 1], [0.9, 0.2, 0.6])
    """
    truth = _ids("plot_calibration: y_true", y_true)
    p = _array("plot_calibration: probabilities", probabilities).astype(np.float64)
    if p.ndim == 1 or (p.ndim == 2 and p.shape[1] == 1):
        p = np.stack([1 - p.ravel(), p.ravel()], 1)
    if p.ndim != 2 or len(p) != truth.size or truth.size == 0:
        raise ValueError(
            f"plot_calibration: y_true has {truth.size} rows, probabilities the shape "
            f"{np.shape(probabilities)}; as many rows of both are expected, at least one"
        )
    if not np.all((p >= 0) & (p <= 1)):
        raise ValueError(
            "plot_calibration: probabilities must lie in [0, 1]; scores become some by softmax "
            "or sigmoid"
        )
    if truth.max() >= p.shape[1]:
        raise ValueError(
            f"plot_calibration: y_true has the class {truth.max()}, probabilities the classes 0 to "
            f"{p.shape[1] - 1}"
        )
    bins = whole_number("plot_calibration: bins", bins)
    confidence, right = p.max(1), p.argmax(1) == truth
    part = np.minimum((confidence * bins).astype(int), bins - 1)
    rows = np.bincount(part, minlength=bins)
    filled = rows > 0
    sure = np.bincount(part, confidence, bins)[filled] / rows[filled]
    hit = np.bincount(part, right, bins)[filled] / rows[filled]
    error = float(np.sum(rows[filled] * np.abs(hit - sure)) / truth.size)

    figure = new_figure(figsize=(4.8, 5.2))
    above, below = figure.subplots(2, 1, height_ratios=[3, 1], sharex=True)
    centers = (np.arange(bins) + 0.5) / bins
    above.bar(centers[filled], hit, 0.94 / bins, color=TRAINING, alpha=0.85, label="right")
    dots = {"color": ink(), "markersize": 3, "clip_on": False, "zorder": 3}
    above.plot(sure, hit, "o", label="mean confidence", **dots)
    above.plot([0, 1], [0, 1], "--", color="grey", label="calibrated")
    above.set_xlim(0, 1)
    above.set_ylim(0, 1)
    above.set_ylabel("share that is right")
    above.legend(loc="upper left", fontsize=8)
    above.grid(**GRID)
    below.bar(centers, rows, 0.94 / bins, color="grey")
    below.set_xlabel("confidence")
    below.set_ylabel("rows")
    below.yaxis.set_major_locator(_whole())
    below.grid(**GRID)
    return finish(figure, title or f"expected calibration error {error:.3f}", path)


def _whole() -> Any:
    """Ticks of counts."""
    from matplotlib.ticker import MaxNLocator

    return MaxNLocator("auto", integer=True)


def _array(name: str, given: Any) -> Any:
    """The numbers as an array; ValueError for what is none."""
    try:
        array = np.asarray(given)
    except ValueError:  # rows of several lengths
        array = np.empty(0, object)
    if array.dtype.kind not in "iubf":
        raise ValueError(f"{name}: expected an array of numbers, got {_short(given)}")
    return array


def _short(given: Any) -> str:
    text = repr(given)
    return text if len(text) < 60 else f"{text[:57]}..."


def _sized(name: str, given: Any) -> Any:
    if isinstance(given, str) or not hasattr(given, "__len__"):
        raise TypeError(
            f"plot_confusion: {name} is a list with a name for each class, got {given!r}"
        )
    return given


def _ids(name: str, given: Any) -> Any:
    ids = _array(name, given)
    if ids.ndim == 2 and ids.shape[1] == 1:
        ids = ids[:, 0]
    finite = ids.dtype.kind != "f" or bool(np.all(np.isfinite(ids)))
    if ids.ndim != 1 or not finite or np.any(ids != ids.astype(np.int64)):
        raise ValueError(f"{name}: expected class ids of shape (n,), got {ids.dtype} {ids.shape}")
    ids = ids.astype(np.int64)
    if ids.size and ids.min() < 0:
        raise ValueError(f"{name}: class ids are 0 or more, got {ids.min()}")
    return ids
