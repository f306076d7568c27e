"""Folding that costs digits is taken back: the error of a frozen network beside the unfrozen one's.

Where a batch norm magnifies roundings, or a relu lets little through, it is luck whether folding
in front of it makes a row's error larger or smaller. No rule that looks at weights alone knows, so
the answers are measured against float64.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from densa._certificate import row_error
from densa._core import Predictor

# Of a row, over the row's norm: at most this many times the unfrozen network's error, and this.
FACTOR, SLACK = 2.0, 1e-6

Made = tuple[Predictor, dict[str, list[str]]]


def within_bound(
    make: Callable[..., Made], first: Made, plain: Predictor, exact: Predictor, arrays: list[Any]
) -> Made:
    """Return a predictor whose errors on the rows keep the bound, and its report.

    Args:
        make: takes `keep`, `fold`, `merge` and `prune` of `Program.freeze`; what is not given is as
            the user wishes.
        first: what it makes without arguments.
        plain: the network with nothing folded, merged or removed.
        exact: the same in float64.
        arrays: rows for each input.

    Returns:
        `first` if it keeps the bound. Else one with as few foldings and mergings left out as were
        found, which are listed in `kept` with the errors that were measured.
    """
    wanted = exact.run(arrays)

    def error(made: Predictor) -> float:
        found = zip(made.run(arrays), wanted, strict=True)
        return max((_error(y, t) for y, t in found if y.dtype.kind == "f"), default=0.0)

    before = error(plain)

    def holds(made: Made) -> bool:
        return error(made[0]) <= FACTOR * before + SLACK

    if holds(first):
        return first
    why = (
        f"with all foldings the error is {error(first[0]):.2g} of a row's norm, {before:.2g} before"
    )
    _, report = first
    names = [line.split(" into ")[0] for line in report["folded"]]
    names += [line.split(": ")[0] for line in report["merged"]]
    names = list(dict.fromkeys(names))
    # What helps most by itself goes first.
    names.sort(key=lambda name: error(make(keep={name: why})[0]))
    for count in range(1, len(names) + 1):
        made = make(keep=dict.fromkeys(names[:count], why))
        if holds(made):
            return made
    for off in ({"fold": False, "merge": False}, {"fold": False, "merge": False, "prune": False}):
        made = make(**off)
        if holds(made):
            break
    made[1]["kept"].extend(f"{name}: {why}" for name in names)
    return made


def _error(output: Any, exact: Any) -> float:
    """The certificate's error of rows, but for rows of a single number.

    That may come as near to zero as it likes, where its size says nothing of its error; so it is
    taken to be at least as large as half of the others are.
    """
    if exact[:1].size != 1:
        return row_error([output], [exact])
    exact, output = exact.reshape(-1, 1), output.reshape(-1, 1)
    known = np.abs(exact[~np.isnan(exact)])
    middle = np.median(known) if known.size else 0.0
    with np.errstate(invalid="ignore", over="ignore"):
        rest = np.sqrt(np.maximum(middle**2 - exact**2, 0))
    return row_error([np.hstack([output, rest])], [np.hstack([exact, rest])])
