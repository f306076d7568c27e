"""Sequences of different lengths as rows of one array."""

from __future__ import annotations

from typing import Any

import numpy as np

from densa._names import hinted
from densa._numbers import whole_number


@hinted
def pad_sequences(
    sequences: Any,
    maxlen: int | None = None,
    dtype: Any = "int32",
    padding: str = "pre",
    truncating: str = "pre",
    value: Any = 0.0,
) -> Any:
    """Cut and fill up sequences to one length.

    Args:
        sequences: a list of sequences of numbers, or of arrays (steps, …) that agree but for steps.
        maxlen: the length; None is that of the longest.
        dtype: type of the result; `object` or `str` for text.
        padding: whether the filling comes before ("pre") or behind ("post") a sequence.
        truncating: whether steps are cut away at its begin ("pre") or end ("post").
        value: the filling.

    Returns:
        A NumPy array of shape (sequences, maxlen, …).

    Raises:
        ValueError: for other words, elements that are no sequences, or steps of different shapes.

    Example:
        >>> densa.utils.pad_sequences([[1, 2, 3], [4]], padding="post").tolist()
        [[1, 2, 3], [4, 0, 0]]
    """
    for word, what in ((padding, "padding"), (truncating, "truncating")):
        if word not in ("pre", "post"):
            raise ValueError(f"pad_sequences: {what} must be 'pre' or 'post'; got {word!r}.")
    if not hasattr(sequences, "__len__"):
        raise ValueError("pad_sequences: `sequences` must be a list of sequences.")
    for i, each in enumerate(sequences):
        if not hasattr(each, "__len__") or isinstance(each, (str, bytes)):
            raise ValueError(f"pad_sequences: sequence {i} is no list of numbers; got {each!r}.")
    length = max((len(s) for s in sequences), default=0) if maxlen is None else maxlen
    length = whole_number("maxlen", length, least=0)
    arrays = [np.asarray(s) for s in sequences]
    rest = next((a.shape[1:] for a in arrays if len(a)), ())
    kind = np.dtype(dtype)
    if isinstance(value, str) and kind.kind not in "OU":
        raise ValueError(
            f"pad_sequences: the value {value!r} does not fit dtype {dtype!r}; pass dtype=object."
        )
    out: Any = np.full(
        (len(arrays), length, *rest), value, dtype=object if kind.kind == "U" else kind
    )
    for row, array in zip(out, arrays, strict=True):
        if not len(array) or not length:
            continue
        if array.shape[1:] != rest:
            raise ValueError(
                f"pad_sequences: steps must have one shape; got {array.shape[1:]} and {rest}."
            )
        kept = array[-length:] if truncating == "pre" else array[:length]
        if padding == "post":
            row[: len(kept)] = kept
        else:
            row[length - len(kept) :] = kept
    return out.astype(kind) if kind.kind == "U" else out
