"""Pictures of training and of models, drawn by matplotlib: `pip install "densa[plot]"`.

Every function returns a `matplotlib.figure.Figure` and, given `path`, writes it; no window opens
and no global state of pyplot is touched.
"""

from typing import TYPE_CHECKING

from densa._names import suggesting

from ._figure import check_installed
from .classification import plot_calibration, plot_confusion
from .distributions import plot_activations, plot_weights
from .health import plot_health
from .history import plot_history
from .lr_finder import plot_lr_finder
from .schedules import plot_schedule

__all__ = [
    "check_installed",
    "plot_activations",
    "plot_calibration",
    "plot_confusion",
    "plot_health",
    "plot_history",
    "plot_lr_finder",
    "plot_schedule",
    "plot_weights",
]

if not TYPE_CHECKING:  # lest type checkers take every name for known
    __getattr__ = suggesting(__name__)
