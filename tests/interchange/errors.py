"""How far results are from the exact ones."""

from __future__ import annotations

import numpy as np


def row_errors(y, exact):
    """The error of each row over the norm of the row, both along all but the first axis."""
    y, exact = np.asarray(y, "f8"), np.asarray(exact, "f8")
    assert y.shape == exact.shape
    y, exact = (a.reshape(len(a), -1) for a in (y, exact))
    norm = np.linalg.norm(exact, axis=1)
    return np.linalg.norm(y - exact, axis=1) / np.where(norm == 0, 1, norm)


def assert_as_good(y, source, exact, roundings):
    """In each row y errs at most twice what source does, plus 1e-6 and the worst of roundings."""
    ours, theirs = row_errors(y, exact), row_errors(source, exact)
    rounding = np.max([row_errors(r, exact) for r in roundings], axis=0)
    assert (ours <= 2 * theirs + 1e-6 + rounding).all(), (ours.max(), theirs.max(), rounding.max())
