"""From what users hand over to arrays: DataFrames, Tensors, lists, structures of them."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from densa import config
from densa.utils import tree


def is_frame(x: Any) -> bool:
    """Whether x is a table of pandas, polars and the like: it can become an array by itself."""
    return hasattr(x, "to_numpy") and not hasattr(x, "numpy")


def is_array(x: Any) -> bool:
    """Whether x is an array of rows: NumPy, Tensor, Variable, memmap, DataFrame, Series."""
    if is_frame(x):
        return True
    return hasattr(x, "shape") and hasattr(x, "dtype") and hasattr(x, "__array__")


def _is_numbers(x: Any) -> bool:
    while isinstance(x, list | tuple):
        if not x:
            return False
        x = x[0]
    return isinstance(x, int | float | np.number | np.bool_)


def is_data(x: Any) -> bool:
    """Whether x is arrays in memory: an array, or a list, tuple or dict of them."""
    if isinstance(x, list | tuple | dict):
        if _is_numbers(x):
            return True
        leaves = [leaf for leaf in tree.flatten(x) if leaf is not None]
        return bool(leaves) and all(is_array(leaf) for leaf in leaves)
    return is_array(x)


def to_array(x: Any, name: str) -> Any:
    """One array, its memory shared where that is possible.

    Args:
        x: Array, Tensor, DataFrame or nested lists of numbers.
        name: What to call it in errors.

    Raises:
        ValueError: It holds no numbers.
    """
    array = np.asarray(x.to_numpy()) if is_frame(x) else np.asarray(x)
    if array.dtype.kind not in "fiub":
        column = _odd_column(x)
        if array.dtype.kind == "O" and column is None:
            try:
                return array.astype("float64")
            except (TypeError, ValueError):
                pass
        where = f" (column {column!r})" if column is not None else ""
        raise ValueError(
            f"{name} holds values of type {array.dtype}{where}; expected numbers. Encode text and "
            "categories as numbers first, for instance with densa.layers.StringLookup."
        )
    if array.dtype.kind == "f" and array.dtype.itemsize not in (4, 8):
        # Half and extended precision have no storage in the core.
        array = array.astype(np.float32 if array.dtype.itemsize == 2 else np.float64)
    if not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="))
    return array


def _odd_column(frame: Any) -> Any:
    kinds = getattr(frame, "dtypes", None)
    if kinds is None or not hasattr(kinds, "items"):
        return None
    for column, kind in kinds.items():
        if getattr(kind, "kind", "O") not in "fiub":
            return column
    return None


def to_arrays(data: Any, name: str, names: list[str] | None = None) -> Any:
    """The structure of `data` with every leaf as an array of at least one axis.

    Args:
        data: An array, or lists, tuples and dicts of arrays; None stays None.
        name: What to call it in errors.
        names: What to call its leaves.

    Raises:
        ValueError: A leaf holds no numbers or has no rows.
    """
    if data is None:
        return None
    if not isinstance(data, dict) and (_is_numbers(data) or not tree.is_nested(data)):
        data = to_array(data, names[0] if names and len(names) == 1 else name)
        leaves = [data]
    else:
        named = list(_named(data, name, names))
        leaves = [None if leaf is None else to_array(leaf, label) for label, leaf in named]
        data = tree.pack_like(data, leaves)
    for leaf in leaves:
        if leaf is not None and leaf.ndim == 0:
            raise ValueError(f"{name} must be an array of rows; received the single value {leaf}.")
    return data


def _named(data: Any, name: str, names: list[str] | None) -> Iterator[tuple[str, Any]]:
    leaves = tree.flatten(data)
    if isinstance(data, dict) and len(leaves) == len(data):
        for key, leaf in zip(sorted(data), leaves, strict=True):
            yield f"{name}[{key!r}]", leaf
    elif names and len(names) == len(leaves):
        for label, leaf in zip(names, leaves, strict=True):
            yield f"{name} (input {label!r})" if name == "x" else f"{name} ({label!r})", leaf
    elif len(leaves) == 1:
        yield name, leaves[0]
    else:
        for i, leaf in enumerate(leaves):
            yield f"{name}[{i}]", leaf


def leaf_names(data: Any, name: str, names: list[str] | None = None) -> list[str]:
    """What to call the leaves of `data` in messages, in the order of `tree.flatten`."""
    if data is None:
        return []
    if not tree.is_nested(data):
        return [f"{name} (input {names[0]!r})" if names and name == "x" else name]
    return [label for label, _ in _named(data, name, names)]


def check_rows(*parts: tuple[str, Any], names: list[str] | None = None) -> int:
    """The number of rows that all arrays have.

    Args:
        *parts: What the user calls it, and its structure of arrays.
        names: What the inputs are called in messages.

    Raises:
        ValueError: They differ; says how.
    """
    sizes = {
        name: [leaf.shape[0] for leaf in tree.flatten(data) if leaf is not None]
        for name, data in parts
        if data is not None
    }
    found = {size for some in sizes.values() for size in some}
    if len(found) > 1:
        lines = []
        for name, data in parts:
            if name in sizes:
                line = f"'{name}' sizes: {', '.join(map(str, sizes[name]))}"
                labels = leaf_names(data, name, names if name == "x" else None)
                if len(labels) > 1:
                    some = zip(labels, tree.flatten(data), strict=True)
                    rows = [f"{label}: {leaf.shape[0]}" for label, leaf in some if leaf is not None]
                    line += f" ({'; '.join(rows)})"
                lines.append(line)
        text = "\n".join(lines)
        raise ValueError(
            "Data cardinality is ambiguous. Make sure all arrays contain the same number of "
            f"samples.\n{text}"
        )
    return found.pop() if found else 0


def array_dtype(model: Any) -> str:
    """Type in which a model's floating data is kept: layers of mixed precision cast it later."""
    return str(getattr(model, "variable_dtype", config.floatx()))


class DataTypes:
    """Types in which a model's floating data is kept: an input's is that of its `Input`.

    Args:
        model: The model; None for one whose inputs are not known.
        dtype: Type of what has none of its own; None is the type of the model's variables.
    """

    def __init__(self, model: Any = None, dtype: str | None = None) -> None:
        self.dtype = array_dtype(model) if dtype is None else dtype
        self._of_inputs = getattr(model, "_input_dtypes", None)

    def of_inputs(self, x: Any) -> list[str | None]:
        """For each leaf, what floating numbers are cast to; None: the model does that itself."""
        known = None if self._of_inputs is None else self._of_inputs(x)
        if known is None:
            return [self.dtype] * len(tree.flatten(x))
        # There are no arrays of 16 bits; what becomes whole numbers must not be rounded before.
        narrow = ("float16", "bfloat16")
        return [None if "float" not in k else "float32" if k in narrow else k for k in known]

    def cast(self, x: Any, y: Any = None, sample_weight: Any = None) -> tuple[Any, Any, Any]:
        """Inputs, targets and weights with floating numbers of these types; other numbers stay."""
        if x is not None:
            pairs = zip(tree.flatten(x), self.of_inputs(x), strict=True)
            x = tree.pack_like(x, [_floats_to(array, dtype) for array, dtype in pairs])
        rest = [
            None if part is None else tree.map_structure(lambda a: _floats_to(a, self.dtype), part)
            for part in (y, sample_weight)
        ]
        return x, rest[0], rest[1]


def _floats_to(array: Any, dtype: str | None) -> Any:
    if array is None or dtype is None or array.dtype.kind != "f":
        return array
    return array.astype(dtype, copy=False)


def first_non_finite_of(names: list[str], parts: Any) -> tuple[str, int] | None:
    """The array with the smallest row that holds NaN or infinity, and that row."""
    leaves = [leaf for part in parts if part is not None for leaf in tree.flatten(part)]
    rows = [(name, first_non_finite(leaf)) for name, leaf in zip(names, leaves, strict=True)]
    found = [(name, row) for name, row in rows if row is not None]
    return min(found, key=lambda pair: pair[1]) if found else None


def first_non_finite(array: Any) -> int | None:
    """The first row that holds NaN or infinity."""
    if array is None or array.dtype.kind != "f":
        return None
    # A finite sum needs no further look; an infinite one may be an overflow.
    if np.isfinite(array.sum(dtype=np.float64)):
        return None
    bad = ~np.isfinite(array).reshape(array.shape[0], -1).all(axis=1)
    return int(bad.argmax()) if bad.any() else None


@dataclass(frozen=True)
class NonFinite:
    """Numbers in the data that are NaN or infinite.

    Attributes:
        name: What the array with the first of them is called.
        row: Its row; None where it is not known.
        inputs: How many there are in the inputs.
        targets: ... in the targets.
        weights: ... in the weights of the rows.
    """

    name: str
    row: int | None
    inputs: int
    targets: int
    weights: int

    @classmethod
    def of(cls, name: str, row: int | None, batch: tuple[Any, Any, Any]) -> NonFinite:
        """Counts them in inputs, targets and weights."""
        counts = [
            sum(
                int((~np.isfinite(x)).sum())
                for x in (tree.flatten(part) if part is not None else ())
                if x is not None and x.dtype.kind == "f"
            )
            for part in batch
        ]
        return cls(name, row, *counts)

    def __add__(self, later: NonFinite) -> NonFinite:
        """All of them, by the first."""
        return NonFinite(
            self.name,
            self.row,
            self.inputs + later.inputs,
            self.targets + later.targets,
            self.weights + later.weights,
        )


def warn_non_finite(name: str, row: int, value: Any = None) -> None:
    """Says once that an input holds NaN or infinity."""
    shown = "" if value is None else f" ({value})"
    warnings.warn(
        f"{name} holds a non-finite number{shown} in row {row}. Losses and outputs become "
        "NaN from it; clean the data, for instance with numpy.nan_to_num.",
        UserWarning,
        stacklevel=2,
    )


def class_weights(y: Any, class_weight: Any, classes: int | None = None) -> Any:
    """One weight per row from `{class: weight}`; classes that are not named count 1.

    Args:
        y: Targets: class numbers, or one-hot.
        class_weight: The weights.
        classes: How many classes the output has, None where that is not known.

    Raises:
        ValueError: There is no single target, or a class or a weight is none.
    """
    leaves = [leaf for leaf in tree.flatten(y) if leaf is not None] if y is not None else []
    if len(leaves) != 1:
        raise ValueError(
            "`class_weight` is only supported for models with a single target; received "
            f"{len(leaves)}."
        )
    labels = np.asarray(leaves[0])
    if labels.ndim > 1 and labels.shape[-1] > 1:
        classes = labels.shape[-1]
        labels = labels.argmax(axis=-1)
    elif labels.ndim > 1:
        labels = labels[..., 0]
    labels = np.rint(labels).astype(np.int64)
    weights = np.ones(labels.shape, np.float32)
    for label, weight in _weight_table(class_weight, classes).items():
        weights[labels == label] = weight
    return weights


def _weight_table(class_weight: Any, classes: int | None) -> dict[int, float]:
    try:
        table = {float(k): float(v) for k, v in dict(class_weight).items()}
    except (TypeError, ValueError):
        raise ValueError(
            f"`class_weight` must map class indices to numbers; received {class_weight!r}."
        ) from None
    # Without classes, y may hold the labels -1 and 1.
    low, high = (-1, math.inf) if classes is None else (0, classes - 1)
    for label, weight in table.items():
        if not (low <= label <= high and label == np.floor(label) and label < 2**63):
            known = f"0 to {classes - 1}" if classes else "whole numbers from 0 on"
            raise ValueError(
                f"`class_weight` has a weight for the class {label:g}, but the classes are {known}."
                " Leave it out, or count classes from 0."
            )
        if not 0 <= weight < math.inf:
            raise ValueError(
                f"`class_weight` of class {label:g} must be a finite number of at least 0; "
                f"received {weight}."
            )
    return {int(label): weight for label, weight in table.items()}


def row_contiguous(array: Any) -> Any:
    """The array, copied unless each row lies in one piece and in the machine's byte order."""
    step = array.itemsize
    for size, stride in zip(array.shape[:0:-1], array.strides[:0:-1], strict=True):
        if size != 1 and stride != step:
            return np.ascontiguousarray(array)
        step *= size
    if array.dtype.byteorder not in "=|" and not array.dtype.isnative:
        return array.astype(array.dtype.newbyteorder("="))
    return array
