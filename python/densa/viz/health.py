"""What a doctor has seen: statistics of the layers over the steps, and its findings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from densa._names import hinted

from ._figure import FOUND, GRID, finish, ink, is_dark, panels

_MOST_NAMED = 16  # layers in the legend
_MOST_TEXT = 90  # letters in a line below the panels


@dataclass(frozen=True)
class _Panel:
    key: str  # in `health`
    label: str
    rules: tuple[str, ...] = ()  # that judge by it
    log: bool = False
    limits: tuple[str, ...] = ()  # names of their thresholds


_PANELS = (
    _Panel(
        "gradient_norm",
        "gradient norm",
        ("vanishing_gradients", "exploding_gradients"),
        log=True,
        limits=("EXPLODED",),
    ),
    _Panel("update_ratio", "update / weight", ("update_ratio",), log=True, limits=("SLOW", "FAST")),
    _Panel("spread", "spread of outputs", log=True),
    _Panel("silent", "silent units (ReLU)", ("dead_units",), limits=("DEAD",)),
    _Panel("saturated", "saturated units", ("saturation",), limits=("SATURATED",)),
    _Panel("clipped", "share cut by clipping", ("clipped_too_often",)),
    _Panel("nonfinite", "NaN or inf, units", ("non_finite",)),
)


@hinted
def plot_health(
    health: Any, path: Any = None, *, findings: Iterable[Any] | None = None, title: str = ""
) -> Any:
    """What a doctor has seen, one panel for each quantity, a line for each layer in it.

    Panels: norm of the gradient (dashed: of all of them), update over weight, spread of the
    outputs, silent and saturated units, what clipping cuts, numbers that are not finite. Those of
    which there is nothing are left out. Dotted lines are the thresholds of the rules. Above a
    panel stands, in red, what was found by it, and the line of that layer is thick; the other
    findings stand below.

    Args:
        health: A `densa.callbacks.Doctor` after a training, what `fit` returned, or the `health` of
            either.
        path: The picture to write; its ending names the format. None: none.
        findings: What to mark; None: the findings that `health` comes with, none for a dict.
        title: Text above the panels.

    Returns:
        A `matplotlib.figure.Figure`.

    Raises:
        TypeError: `health` is none of these.
        ValueError: No doctor has watched, or it has not seen a step.
        ImportError: matplotlib is not installed.

    Example:

    >>> import densa
    >>> model = densa.Sequential([densa.Input((2,)), densa.layers.Dense(1)])
    >>> model.compile("sgd", "mse")
    >>> x = np.linspace(-1, 1, 128, dtype="float32").reshape(64, 2)
    >>> doctor = densa.callbacks.Doctor(interval=1, verbose=0)
    >>> history = model.fit(x, x[:, :1], epochs=2, callbacks=[doctor], verbose=0)
    >>> figure = densa.viz.plot_health(history)
    """
    seen = health if isinstance(health, Mapping) else getattr(health, "health", None)
    if seen is None and hasattr(health, "history"):
        raise ValueError(
            "plot_health: no doctor has watched this training; give `fit` "
            "callbacks=[densa.callbacks.Doctor()]"
        )
    if not isinstance(seen, Mapping):
        raise TypeError(
            "plot_health: expected a Doctor, what `fit` returned or its `health`, got "
            f"{type(health).__name__}"
        )
    if not seen.get("step"):
        raise ValueError(
            "plot_health: the doctor has not looked at any step; call `fit` first, and with a "
            "smaller `interval` if it was short"
        )
    if findings is None:
        findings = getattr(health, "findings", ())
    findings = list(findings)
    drawn = [panel for panel in _PANELS if _has(seen, panel)]
    if not drawn:
        raise ValueError("plot_health: no layer has statistics; there is nothing to draw")

    figure, axes = panels(len(drawn), width=4.2, height=3.0, most=2 if len(drawn) in (2, 4) else 3)
    colors = _colors(list(seen["layers"]))
    for panel, ax in zip(drawn, axes, strict=True):
        own = [finding for finding in findings if finding.id in panel.rules]
        _draw(ax, panel, seen, colors, {finding.layer for finding in own})
        if own:
            said = "\n".join(_said(finding, "\n") for finding in own)
            ax.set_title(said, fontsize=8, color=FOUND)
    _legend(figure, axes, list(colors))
    shown = {rule for panel in drawn for rule in panel.rules}
    if rest := [_said(finding) for finding in findings if finding.id not in shown]:
        figure.supxlabel(_wrapped("also found: ", rest), fontsize=8, color=FOUND)
    return finish(figure, title, path)


def _has(seen: Mapping[str, Any], panel: _Panel) -> bool:
    values = [layer.get(panel.key, ()) for layer in seen["layers"].values()]
    values.append(seen.get(panel.key, ()))
    if panel.key == "nonfinite":
        return any(any(counts) for counts in values)
    return any(np.isfinite(numbers).any() for numbers in values)


def _draw(
    ax: Any, panel: _Panel, seen: Mapping[str, Any], colors: Mapping[str, Any], marked: set[str]
) -> None:
    steps = seen["step"]
    lines = {name: layer[panel.key] for name, layer in seen["layers"].items() if panel.key in layer}
    for name, values in lines.items():
        width = 3.0 if name in marked else 1.3
        _line(ax, steps, values, color=colors[name], linewidth=width, label=name)
    if seen.get(panel.key):
        style = {"color": ink(), "linewidth": 1.0, "linestyle": "--" if lines else "-"}
        _line(ax, steps, seen[panel.key], label="all", **style)
    known = np.concatenate([np.asarray(line.get_ydata(), np.float64) for line in ax.lines])
    known = known[np.isfinite(known) & (known > 0)]
    log = panel.log and known.size > 0 and known.max() > 10 * known.min()
    if log:
        ax.set_yscale("log", nonpositive="mask")
    elif panel.log:
        ax.set_ylim(bottom=0)
    elif panel.key != "nonfinite":
        ax.set_ylim(-0.04, 1.04)
    low, high = ax.get_ylim()
    for name in panel.limits:
        limit = _threshold(name)
        if panel.log and not (low / 5 if log else high / 50) < limit < high * (5 if log else 1):
            continue  # far from what is drawn, which it would flatten
        ax.axhline(limit, color="grey", linestyle=":", linewidth=1.2)
    ax.set_xlabel("step", fontsize=8)
    ax.set_ylabel(panel.label, fontsize=9)
    ax.tick_params(labelsize=7, which="both")
    ax.grid(**GRID)


def _line(ax: Any, steps: Sequence[int], values: Sequence[float], **style: Any) -> None:
    # A layer that a training has gained later has the last looks only.
    along = steps[len(steps) - len(values) :]
    ax.plot(along, values, marker="." if len(values) < 40 else "", markersize=4, **style)


def _threshold(name: str) -> float:
    from densa.doctor import units

    return float(getattr(units, name))


def _colors(names: list[str]) -> dict[str, Any]:
    # From the first layer to the last, so that an order of the layers shows as one of the colours.
    import matplotlib

    ends = (0.25, 1.0) if is_dark() else (0.0, 0.88)
    along = np.linspace(*ends, max(len(names), 2))
    return {
        name: matplotlib.colormaps["viridis"](at) for name, at in zip(names, along, strict=False)
    }


def _legend(figure: Any, axes: Sequence[Any], names: list[str]) -> None:
    lines = {line.get_label(): line for ax in reversed(axes) for line in ax.lines}
    order = [name for name in (*names, "all") if name in lines]
    if len(order) > _MOST_NAMED:  # some of them: the colours tell the rest
        order = [order[i] for i in np.linspace(0, len(order) - 1, _MOST_NAMED).astype(int)]
    figure.legend(
        [lines[name] for name in order], order, loc="outside right upper", fontsize=8, frameon=False
    )


def _said(finding: Any, apart: str = " ") -> str:
    where = f" in {finding.layer}" if finding.layer else ""
    return f"{finding.id}{where}:{apart}{finding.numbers}"


def _wrapped(start: str, parts: list[str]) -> str:
    lines, now = [], start
    for i, part in enumerate(parts):
        piece = part if i == len(parts) - 1 else f"{part};  "
        if len(now) + len(piece) > _MOST_TEXT and now != start:
            lines.append(now)
            now = ""
        now += piece
    return "\n".join([*lines, now])
