"""Histograms of weights and of what layers answer."""

from __future__ import annotations

from typing import Any

import numpy as np

from densa._names import hinted
from densa._numbers import whole_number

from ._figure import GRID, TRAINING, finish, panels, wrapped

_BINS = 60
_MOST = 64  # panels


@hinted
def plot_weights(model: Any, path: Any = None, *, bins: int = _BINS, title: str = "") -> Any:
    """Histogram of every weight matrix and vector, in the order of the layers.

    Above each panel stand mean, standard deviation and, where there are some, the share of exact
    zeros and the number of weights that are not finite.

    Args:
        model: A built model or layer.
        path: The picture to write; its ending names the format. None: none.
        bins: Bins of a histogram; of few numbers fewer.
        title: Text above the panels.

    Returns:
        A `matplotlib.figure.Figure`.

    Raises:
        ValueError: The model has no weights, or more than 64 arrays of them.
        ImportError: matplotlib is not installed.

    Example:

    >>> import densa
    >>> model = densa.Sequential([densa.Input((4,)), densa.layers.Dense(8)])
    >>> len(densa.viz.plot_weights(model).axes)
    2
    """
    if not hasattr(model, "weights"):
        raise TypeError(f"plot_weights: expected a model or layer, got {type(model).__name__}")
    named = [(weight.path, np.asarray(weight)) for weight in model.weights]
    named = [(name, value) for name, value in named if value.dtype.kind == "f" and value.size]
    return _histograms("plot_weights", named, bins, title, path)


@hinted
def plot_activations(
    model: Any, x: Any, path: Any = None, *, bins: int = _BINS, title: str = ""
) -> Any:
    """Histogram of what every layer answers to `x`, in inference mode.

    Shows saturation (values heaped at the ends of a sigmoid or tanh), dead units (a heap at zero)
    and signals that shrink or grow from layer to layer
    (HANDBOOK A1, A3).

    Args:
        model: A functional or Sequential model.
        x: A batch of inputs, as for `predict`.
        path: The picture to write; its ending names the format. None: none.
        bins: Bins of a histogram; of few numbers fewer.
        title: Text above the panels.

    Returns:
        A `matplotlib.figure.Figure`.

    Raises:
        ValueError: The model is not a built graph of layers, or has more than 64 answers.
        ImportError: matplotlib is not installed.

    Example:

    >>> import densa
    >>> model = densa.Sequential([densa.Input((4,)), densa.layers.Dense(8, "relu")])
    >>> figure = densa.viz.plot_activations(model, np.ones((16, 4), "float32"))
    """
    if getattr(model, "_graph", None) is None:
        raise ValueError(
            "plot_activations: expected a Sequential or functional model that is built, got "
            f"{type(model).__name__}; a subclassed model's layers are not known before it runs"
        )
    import densa

    layers = [layer for layer in model.layers if type(layer).__name__ != "InputLayer"]
    named_outputs = [
        (layer.name if k == 0 else f"{layer.name} {k}", node.outputs[0])
        for layer in layers
        for k, node in enumerate(layer._inbound_nodes)
        if any(node is inner for inner in model._graph.nodes)
    ]
    probe = densa.Model(model.inputs, [output for _, output in named_outputs])
    answers = probe.predict(x, verbose=0)
    if len(named_outputs) == 1 and not isinstance(answers, list):
        answers = [answers]
    named = [
        (name, np.asarray(answer)) for (name, _), answer in zip(named_outputs, answers, strict=True)
    ]
    return _histograms("plot_activations", named, bins, title, path)


def _histograms(caller: str, named: list[Any], bins: int, title: str, path: Any) -> Any:
    if not named:
        raise ValueError(
            f"{caller}: there is nothing to draw: no weights, or a model that is not built yet"
        )
    bins = whole_number(f"{caller}: bins", bins)
    if len(named) > _MOST:
        raise ValueError(
            f"{caller}: {len(named)} panels, at most {_MOST} fit a picture; draw a part of the "
            "model, such as one of its layers"
        )
    figure, axes = panels(len(named), width=3.6, height=2.6)
    for (name, value), ax in zip(named, axes, strict=True):
        flat = value.astype(np.float64).ravel()
        finite = flat[np.isfinite(flat)]
        if finite.size:
            ax.hist(finite, bins=min(bins, 8 + finite.size // 8), color=TRAINING)
        ax.set_title(f"{wrapped(name, 44)}\n{_summary(flat, finite)}", fontsize=8)
        ax.tick_params(labelsize=7)
        ax.grid(**GRID)
    return finish(figure, title, path)


def _summary(flat: Any, finite: Any) -> str:
    parts = [f"mean {finite.mean():.2g}, std {finite.std():.2g}"] if finite.size else []
    zeros = np.count_nonzero(flat == 0) / flat.size
    if zeros:
        parts.append(f"zero {zeros:.0%}")
    if finite.size < flat.size:
        parts.append(f"{flat.size - finite.size} not finite")
    return ", ".join(parts)
