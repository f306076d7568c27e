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


def assert_as_good(y, source, exact):
    """y's error is at most twice the source's plus 1e-6, in every row."""
    ours, theirs = row_errors(y, exact), row_errors(source, exact)
    assert (ours <= 2 * theirs + 1e-6).all(), (ours.max(), theirs.max())
