"""Circle loss: embeddings of one class close together, those of others apart."""

from __future__ import annotations

from typing import Any

import numpy as np

from densa import _core, ops
from densa._numbers import check_real_number

from .loss import LossFunctionWrapper


def circle(
    y_true: Any,
    y_pred: Any,
    ref_labels: Any = None,
    ref_embeddings: Any = None,
    remove_diagonal: bool = True,
    gamma: float = 80,
    margin: float = 0.4,
) -> Any:
    """softplus(log Σₚ exp(γ [m + d]₊ (d - m)) + log Σₙ exp(γ [1 + m - d]₊ (1 - m - d))).

    d is 1 minus the product of two embeddings; p goes over the references of the row's own class,
    n over the others. A row without either has a loss of 0.

    Args:
        y_true: Class numbers, (rows,) or (rows, 1).
        y_pred: Embeddings of length 1, (rows, features).
        ref_labels: Class numbers of the references; by default those of the rows.
        ref_embeddings: Embeddings of the references; by default those of the rows.
        remove_diagonal: Whether a row is left out of its own references, where these are the rows.
        gamma: γ, how steep it is.
        margin: m, how far classes shall be apart.

    Returns:
        One number for each row.

    Raises:
        ValueError: Other shapes, or labels without embeddings of references.

    Source: Sun et al., Circle Loss: A Unified Perspective of Pair Similarity Optimization, 2020.

    Example:

    >>> import densa
    >>> densa.losses.circle([0, 1], [[1.0, 0.0], [-1.0, 0.0]]).numpy().tolist()
    [0.0, 0.0]
    """
    x = ops.convert_to_tensor(y_pred)
    if (ref_labels is None) != (ref_embeddings is None):
        raise ValueError("circle: give ref_labels and ref_embeddings, or neither of them.")
    own = ref_embeddings is None
    others = x if own else ops.convert_to_tensor(ref_embeddings)
    if x.ndim != 2 or others.ndim != 2:
        raise ValueError(
            f"circle: embeddings must have shape (rows, features); got {tuple(x.shape)} and "
            f"{tuple(others.shape)}."
        )
    labels = ops.reshape(y_true, (-1, 1))
    theirs = ops.reshape(y_true if own else ref_labels, (1, -1))
    away = 1.0 - ops.matmul(x, ops.transpose(others))
    same = ops.equal(labels, theirs)
    other = ops.logical_not(same)
    if own and remove_diagonal:
        rows = ops.arange(x.shape[0]) if x.shape[0] is not None else _rows(x)
        same = ops.logical_and(same, ops.not_equal(ops.reshape(rows, (-1, 1)), rows))
    pull = gamma * ops.relu(away + margin) * (away - margin)
    push = gamma * ops.relu(1.0 + margin - away) * (1.0 - margin - away)
    return ops.softplus(_of(same, pull) + _of(other, push))


def _rows(x: Any) -> Any:
    raise _core.NeedsRows("circle: needs to know how many rows the batch has.")


def _of(mask: Any, logits: Any) -> Any:
    """log Σ exp over what the mask holds; -inf of nothing, without NaN in the slopes."""
    low = ops.full_like(logits, -np.inf)
    some = ops.any(mask, axis=1)
    safe = ops.where(ops.expand_dims(some, 1), ops.where(mask, logits, low), ops.zeros_like(logits))
    return ops.where(some, ops.logsumexp(safe, axis=1), low[:, 0])


class Circle(LossFunctionWrapper):
    """Circle loss of embeddings and their class numbers, for rankers and look-alikes.

    softplus(log Σₚ exp(γ [m + d]₊ (d - m)) + log Σₙ exp(γ [1 + m - d]₊ (1 - m - d))), where d is 1
    minus the product of two embeddings of length 1, p the rows of the same class, n the others.

    Args:
        gamma: γ, how steep it is.
        margin: m, how far classes shall be apart.
        remove_diagonal: Whether a row is left out of its own references.
        reduction: `"sum_over_batch_size"`, `"sum"`, `"mean_with_sample_weight"` or `"none"`.
        name: Name in logs.
        dtype: Floating dtype to compute in; by default that of the output.

    Source: Sun et al., Circle Loss: A Unified Perspective of Pair Similarity Optimization, 2020.

    Example:

    >>> import densa
    >>> float(densa.losses.Circle()([0, 1], [[1.0, 0.0], [-1.0, 0.0]]))
    0.0
    """

    def __init__(
        self,
        gamma: float = 80.0,
        margin: float = 0.4,
        remove_diagonal: bool = True,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "circle",
        dtype: Any = None,
    ) -> None:
        check_real_number("Circle: `gamma`", gamma, least=0)
        check_real_number("Circle: `margin`", margin)
        how = {"gamma": gamma, "margin": margin, "remove_diagonal": bool(remove_diagonal)}
        super().__init__(circle, reduction, name, dtype, **how)
