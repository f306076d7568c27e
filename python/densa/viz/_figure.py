"""What all pictures share: figures without pyplot, colours, and how one is written."""

from __future__ import annotations

import os
import re
from typing import Any

from densa._numbers import path_of
from densa.saving.file_format import write_beside

# Blue and orange stay apart for colour-blind eyes and in grey.
TRAINING, VALIDATION = "#2a6fbb", "#e07b1f"
FOUND = "#c0392b"  # what is pointed out
GRID = {"alpha": 0.3, "linewidth": 0.6}


def check_installed() -> None:
    """Do nothing where matplotlib can be used: for programs that draw at the end of a long run.

    Raises:
        ImportError: It is not installed; the message says how to install it.

    Example:

    >>> import densa
    >>> densa.viz.check_installed()
    """
    try:
        import matplotlib.figure  # noqa: F401
    except ImportError as error:
        raise ImportError(
            f'plots need matplotlib ({error}); install it with: pip install "densa[plot]"'
        ) from error


def new_figure(**arguments: Any) -> Any:
    """A figure that draws into memory."""
    check_installed()
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    made = Figure(layout="constrained", **arguments)
    FigureCanvasAgg(made)
    return made


def panels(count: int, width: float = 4.4, height: float = 3.4, most: int = 4) -> tuple[Any, Any]:
    """A figure with `count` axes in rows of at most `most`; those left over are hidden."""
    columns = min(count, most)
    rows = -(-count // columns)
    figure = new_figure(figsize=(width * columns, height * rows))
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for unused in axes[count:]:
        unused.set_visible(False)
    return figure, axes[:count]


def wrapped(name: str, most: int) -> str:
    """A long name on several lines, broken behind `_`, `/` and spaces where it has some."""
    lines = [""]
    for part in re.findall(r"[^_/ ]*[_/ ]?", name):
        for piece in [part[at : at + most] for at in range(0, len(part), most)]:
            if lines[-1] and len(lines[-1]) + len(piece) > most:
                lines.append("")
            lines[-1] += piece
    return "\n".join(lines)


def ink() -> Any:
    """The colour that stands out from the style's background."""
    import matplotlib

    return matplotlib.rcParams["text.color"]


def is_dark() -> bool:
    """Whether the style of the moment draws on a dark background."""
    import matplotlib
    from matplotlib import colors

    return sum(colors.to_rgb(matplotlib.rcParams["axes.facecolor"])) < 1.5


def finish(figure: Any, title: str, path: Any) -> Any:
    """The figure, with its title, written where a path is given: its ending is the format."""
    if title:
        figure.suptitle(title)
    if path is not None:
        path = path_of("`path`", path)
        ending = os.path.splitext(path)[1].lstrip(".") or "png"
        write_beside(path, lambda file: figure.savefig(file, dpi=120, format=ending))
    return figure
