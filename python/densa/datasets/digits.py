"""Handwritten digits, 8x8 pixels, embedded in the package (LICENSE.digits.txt)."""

from __future__ import annotations

import os

import numpy as np
from numpy.typing import NDArray

__all__ = ["load_data"]

Split = tuple[NDArray[np.uint8], NDArray[np.uint8]]

_TRAIN_ROWS = 1437


def load_data() -> tuple[Split, Split]:
    """Return UCI's optical recognition of handwritten digits as `(train, test)`.

    The 1797 images are the test part of the UCI set, in its order: 13 people wrote them, one after
    the other. The first 1437 images are for training and the last 360 for testing, so most of the
    test images are by people whose hand the network has not seen. The split never changes.

    Returns:
        `((x_train, y_train), (x_test, y_test))`: images of shape `(1437, 8, 8)` and `(360, 8, 8)`,
        uint8 from 0 to 16, and labels of shape `(1437,)` and `(360,)`, uint8 from 0 to 9.

    Example:
        >>> from densa.datasets import digits
        >>> (x_train, y_train), (x_test, y_test) = digits.load_data()
        >>> x_train.shape, int(x_train.max()), y_test.shape
        ((1437, 8, 8), 16, (360,))
    """
    path = os.path.join(os.path.dirname(__file__), "digits.npz")
    with np.load(path, allow_pickle=False) as file:
        x, y = file["x"], file["y"]
    train, test = slice(None, _TRAIN_ROWS), slice(_TRAIN_ROWS, None)
    return (x[train], y[train]), (x[test], y[test])
