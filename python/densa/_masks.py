"""Masks: which places of a tensor count, kept beside the tensors for as long as these live.

A mask is a boolean Tensor, True where a place counts, of the tensor's first axes: `(rows, steps)`
beside `(rows, steps, features)`. Layers hand masks on (`layers/_masking.py`), losses and metrics
make weights of them. Ops know nothing of masks: what they make has none.
"""

from __future__ import annotations

import weakref
from typing import Any

from densa import _core
from densa.utils import tree

# A tensor's address to the mask; the reference takes the entry out when the tensor goes.
_known: dict[int, tuple[weakref.ref[Any], Any]] = {}


def any_known() -> bool:
    """Tell whether any tensor has a mask."""
    return bool(_known)


def get_mask(x: Any) -> Any:
    """Return a tensor's mask, None where all of it counts."""
    entry = _known.get(id(x)) if _known else None
    return None if entry is None else entry[1]


def set_mask(x: Any, mask: Any) -> None:
    """Give a tensor a mask."""
    key = id(x)
    _known[key] = weakref.ref(x, lambda _: _known.pop(key, None)), mask


def masks_of(struct: Any) -> Any:
    """Return the masks of a structure of tensors in its form, None where no tensor has one."""
    if not _known:
        return None
    masks = tree.map_structure(get_mask, struct)
    return masks if any(mask is not None for mask in tree.flatten(masks)) else None


def carried(x: Any, made: Any) -> Any:
    """Return what was made of x place by place, with x's mask."""
    if _known and made is not x and (mask := get_mask(x)) is not None:
        set_mask(made, mask)
    return made


def _put_mask(x: Any, mask: Any) -> None:
    if mask is None:
        _known.pop(id(x), None)
    else:
        set_mask(x, mask)


# As in Keras, for layers, losses and metrics of one's own.
_core.Tensor._keras_mask = property(  # type: ignore[method-assign, assignment]
    get_mask, _put_mask, doc="The mask, True where a place counts; None where all of it does."
)
