"""`x[key]` in terms of the ops slice, reshape and take."""

from __future__ import annotations

from typing import Any

import numpy as np

from densa import _core
from densa._core import Tensor, apply

_FULL = slice(None)
_TO_END = 2**63 - 1  # the end of an axis whose size is not known


def get(x: Tensor, key: Any) -> Any:
    """Return `x[key]` by NumPy's rules; differentiable."""
    if type(key) is int and x.ndim and x.shape[0] is not None:
        return _row(x, key)
    items = key if isinstance(key, tuple) else (key,)
    if any(_is_mask(item) for item in items):
        if not x.is_symbolic or not all(_is_plain(item) for item in items):
            return _by_numpy(x, items)
        items = tuple(i for item in items for i in _of_mask(item))
    items = _expand(x, items)
    basic: list[Any] = []  # one slice or int per axis of x
    shape_plan: list[Any] = []  # per item of the key: "keep", "drop", "new" or an index array
    for item in items:
        if item is None:
            shape_plan.append("new")
        elif isinstance(item, slice):
            basic.append(item)
            shape_plan.append("keep")
        elif _is_integer(item):
            basic.append(int(item))
            shape_plan.append("drop")
        else:
            basic.append(_FULL)
            shape_plan.append(_ids(item))
    out = _slice(x, basic)
    arrays = [p for p in shape_plan if not isinstance(p, str)]
    if not arrays:
        return _reshape_plan(out, shape_plan)
    places = [i for i, p in enumerate(shape_plan) if not isinstance(p, str)]
    between = shape_plan[places[0] : places[-1] + 1]
    dropped = any(isinstance(p, str) and p == "drop" for p in shape_plan)
    if dropped or any(isinstance(p, str) for p in between):
        # NumPy moves the axes of split index arrays to the front; an integer counts as one.
        return _by_numpy(x, items)
    first = sum(p == "keep" for p in shape_plan[: places[0]])
    out = _take(out, arrays, first)
    ids_rank = np.broadcast_shapes(*(tuple(a.shape) for a in arrays))
    plan = shape_plan[: places[0]] + ["keep"] * len(ids_rank) + shape_plan[places[-1] + 1 :]
    return _reshape_plan(out, plan)


def _row(x: Tensor, i: int) -> Any:
    size, *rest = x.shape
    if not -size <= i < size:
        raise IndexError(f"index {i} is out of bounds for axis 0 with size {size}")
    if None in rest:
        return _reshape_plan(_slice(x, [i, *(_FULL,) * len(rest)]), ["drop", *["keep"] * len(rest)])
    first = i % size
    row = apply("slice", x, begin=[first] + [0] * len(rest), end=[first + 1, *rest])
    return apply("reshape", row, shape=rest)


def _is_integer(item: Any) -> bool:
    if isinstance(item, (bool, np.bool_)):
        return False
    if isinstance(item, (int, np.integer)):
        return True
    if isinstance(item, Tensor):
        return item.ndim == 0 and not item.is_symbolic and item.dtype.startswith(("int", "uint"))
    return isinstance(item, np.ndarray) and item.ndim == 0 and item.dtype.kind in "iu"


def _is_mask(item: Any) -> bool:
    if isinstance(item, (bool, np.bool_)):
        return True
    if isinstance(item, list):
        item = np.asarray(item)
    return isinstance(item, (Tensor, np.ndarray)) and str(item.dtype) == "bool"


def _is_plain(item: Any) -> bool:
    """Tell whether an item has numbers that are known: no recorded Tensor, no single bool."""
    if isinstance(item, (bool, np.bool_)):
        return False
    return not (isinstance(item, Tensor) and item.is_symbolic)


def _of_mask(item: Any) -> tuple[Any, ...]:
    """Return the ids that a mask stands for, one array for each of its axes."""
    return np.nonzero(np.asarray(item)) if _is_mask(item) else (item,)


def _ids(item: Any) -> Any:
    ids = item if isinstance(item, Tensor) and item.is_symbolic else np.asarray(item)
    if isinstance(ids, np.ndarray) and ids.size == 0:
        ids = ids.astype(np.int64)
    if not str(ids.dtype).startswith(("int", "uint")):
        raise IndexError(
            f"a Tensor is indexed by integers, slices, None, Ellipsis, integer arrays and boolean "
            f"masks; got {item!r}"
        )
    return ids


def _expand(x: Tensor, items: tuple[Any, ...]) -> tuple[Any, ...]:
    """Replace the ellipsis and add the slices left out."""
    used = sum(item is not None and item is not Ellipsis for item in items)
    dots = [i for i, item in enumerate(items) if item is Ellipsis]
    if len(dots) > 1:
        raise IndexError("an index can hold one ellipsis ('...') only")
    missing = x.ndim - used
    if missing < 0:
        raise IndexError(
            f"too many indices: the Tensor has {x.ndim} dimensions, but {used} were indexed"
        )
    at = dots[0] if dots else len(items)
    return (*items[:at], *(_FULL,) * missing, *items[at + 1 :])


def _slice(x: Tensor, basic: list[Any]) -> Any:
    """Cut out slices; an integer leaves an axis of size one."""
    if all(isinstance(item, slice) and item == _FULL for item in basic):
        return x
    begin, end, step = [], [], []
    for axis, (item, size) in enumerate(zip(basic, x.shape, strict=True)):
        if size is None:
            item = _rows_bounds(item)
            begin.append(item.start)
            end.append(item.stop)
            step.append(1)
            continue
        if isinstance(item, slice):
            start, stop, stride = item.indices(size)
        else:
            if not -size <= item < size:
                raise IndexError(f"index {item} is out of bounds for axis {axis} with size {size}")
            start = item % size
            stop, stride = start + 1, 1
        begin.append(start)
        end.append(stop)
        step.append(stride)
    return apply("slice", x, begin=begin, end=end, step=step)


def _rows_bounds(item: Any) -> slice:
    """Bounds on an axis whose size is not known while a model is recorded."""
    if isinstance(item, slice) and item == _FULL:
        return slice(0, _TO_END)
    raise _core.NeedsRows(
        "the number of rows is not known while a model is recorded, so the batch axis can only be "
        "kept whole ([:]); index it outside the model or use compile(run_eagerly=True)"
    )


def _reshape_plan(x: Tensor, plan: list[Any]) -> Any:
    if all(p == "keep" for p in plan):
        return x
    sizes = list(x.shape)
    shape: list[int | None] = []
    at = 0
    for p in plan:
        if p == "new":
            shape.append(1)
            continue
        if p == "keep":
            shape.append(sizes[at])
        at += 1
    return apply("reshape", x, shape=shape)


def _take(x: Tensor, arrays: list[Any], axis: int) -> Any:
    count = len(arrays)
    sizes = x.shape[axis : axis + count]
    if count == 1 and isinstance(arrays[0], Tensor):
        from densa.ops.picking import take

        return take(x, arrays[0], axis)
    if any(isinstance(a, Tensor) for a in arrays) or any(s is None for s in sizes):
        raise _core.NeedsRows(
            "indexing the batch axis needs the number of rows, which is not known while a model is "
            "recorded"
        )
    pairs = list(zip(arrays, sizes, strict=True))
    arrays = [_in_range(a, s, axis + i) for i, (a, s) in enumerate(pairs)]
    shape = np.broadcast_shapes(*(a.shape for a in arrays))
    arrays = [np.broadcast_to(a, shape) for a in arrays]
    flat = np.ravel_multi_index(arrays, sizes) if count > 1 else arrays[0]
    flat = np.ascontiguousarray(flat, dtype=np.int64).reshape(-1)
    if count > 1:
        merged = int(np.prod(sizes))
        x = apply("reshape", x, shape=[*x.shape[:axis], merged, *x.shape[axis + count :]])
    out = apply("take", x, flat, axis=axis)
    if len(shape) == 1:
        return out
    return apply("reshape", out, shape=[*out.shape[:axis], *shape, *out.shape[axis + 1 :]])


def _in_range(ids: Any, size: int, axis: int) -> Any:
    ids = ids.astype(np.int64, copy=False)
    if ids.size and (ids.min() < -size or ids.max() >= size):
        bad = ids[(ids < -size) | (ids >= size)].flat[0]
        raise IndexError(f"index {bad} is out of bounds for axis {axis} with size {size}")
    return np.where(ids < 0, ids + size, ids)


def _by_numpy(x: Tensor, items: tuple[Any, ...]) -> Any:
    plain = tuple(np.asarray(i) if isinstance(i, (Tensor, list)) else i for i in items)
    if x.requires_grad and _core.is_grad_enabled():
        # The same key on the elements' numbers says which of them to take.
        ids = np.asarray(np.arange(x.size).reshape(x.shape)[plain])
        out = apply("take", apply("reshape", x, shape=[-1]), ids.reshape(-1), axis=0)
        return apply("reshape", out, shape=list(ids.shape))
    return _core.from_numpy(np.asarray(x.numpy()[plain]), copy=True).to(x.device)
