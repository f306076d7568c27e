"""`to_categorical` and `normalize` on arrays."""

from __future__ import annotations

from typing import Any

import numpy as np

from densa._names import hinted
from densa._numbers import check_axis, check_real_number, whole_number


@hinted
def to_categorical(x: Any, num_classes: int | None = None) -> Any:
    """Turn class numbers into rows with a single one.

    Args:
        x: integers from 0 to num_classes - 1, of any shape; a last axis of size one is dropped.
        num_classes: number of columns; None means max(x) + 1.

    Returns:
        A float array of the shape of x with one more axis.

    Raises:
        TypeError: for labels or a num_classes that are no numbers.
        ValueError: for a number that is not a class.

    Example:
        >>> densa.utils.to_categorical([0, 2]).tolist()
        [[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]
    """
    labels = np.asarray(x)
    if labels.dtype.kind not in "fiub":
        raise TypeError(
            f"to_categorical: expected an array of whole numbers; received values of type "
            f"{labels.dtype}. Give each name a number first: np.unique(x, return_inverse=True)[1]."
        )
    if labels.size and labels.dtype.kind not in "iub" and not np.all(labels == np.floor(labels)):
        raise ValueError("to_categorical needs whole numbers.")
    labels = labels.astype(np.int64)
    shape = labels.shape[:-1] if labels.ndim > 1 and labels.shape[-1] == 1 else labels.shape
    flat = labels.reshape(-1)
    largest = int(flat.max()) if flat.size else -1
    count = largest + 1
    if num_classes is not None:
        count = whole_number("to_categorical: num_classes", num_classes)
    if flat.size and (int(flat.min()) < 0 or largest >= count):
        raise ValueError(
            f"to_categorical: labels must lie between 0 and {count - 1}; got from "
            f"{int(flat.min())} to {largest}."
        )
    out = np.zeros((flat.size, count))
    out[np.arange(flat.size), flat] = 1.0
    return out.reshape(*shape, count)


@hinted
def normalize(x: Any, axis: int = -1, order: Any = 2) -> Any:
    """Divide an array by its norm along an axis.

    Args:
        x: array.
        axis: the axis.
        order: of the norm: a number, or np.inf.

    Returns:
        An array; rows of zeros stay zero.

    Raises:
        TypeError: for an axis or order that is none.
        ValueError: for an axis that the array does not have.

    Example:
        >>> densa.utils.normalize(np.array([[3.0, 4.0]])).tolist()
        [[0.6, 0.8]]
    """
    array = np.asarray(x)
    one = check_axis(axis, owner="normalize")
    check_real_number("normalize: order", order)
    if isinstance(one, list) or not -max(array.ndim, 1) <= one < max(array.ndim, 1):
        raise ValueError(
            f"normalize: axis must be one axis of an array of shape {array.shape}; received "
            f"{axis!r}."
        )
    if array.dtype.kind != "f":
        array = array.astype(np.float64)
    if array.ndim == 0:
        array = array[None]
    norm = np.asarray(np.linalg.norm(array, order, axis, keepdims=True))
    norm[norm == 0] = 1.0
    return array / norm
