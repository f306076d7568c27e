"""Keras' `keras.tree`: nested lists, tuples and dicts, whose items go by sorted key."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from densa._names import suggesting
from densa.utils import tree as _tree
from densa.utils.tree import pack_like

__all__ = [
    "MAP_TO_NONE",
    "assert_same_paths",
    "assert_same_structure",
    "flatten",
    "flatten_with_path",
    "is_nested",
    "lists_to_tuples",
    "map_shape_structure",
    "map_structure",
    "map_structure_up_to",
    "pack_sequence_as",
    "traverse",
]


class MAP_TO_NONE:
    """What the function of `traverse` gives where None shall stand."""


def flatten(structure: Any) -> list[Any]:
    """Return the leaves in order; the items of a dict go by sorted key.

    Example:
        >>> densa.tree.flatten({"b": [1, (2,)], "a": 3})
        [3, 1, 2]
    """
    return _tree.flatten(structure)


def is_nested(structure: Any) -> bool:
    """Tell whether it is a list, tuple or dict.

    Example:
        >>> densa.tree.is_nested((1,)), densa.tree.is_nested(1)
        (True, False)
    """
    return _tree.is_nested(structure)


def flatten_with_path(structure: Any) -> list[tuple[tuple[Any, ...], Any]]:
    """Return each leaf with its path: the keys and numbers that lead to it.

    Example:
        >>> densa.tree.flatten_with_path({"a": [1, 2]})
        [(('a', 0), 1), (('a', 1), 2)]
    """
    out: list[tuple[tuple[Any, ...], Any]] = []

    def walk(part: Any, path: tuple[Any, ...]) -> None:
        if isinstance(part, dict):
            for key in sorted(part):
                walk(part[key], (*path, key))
        elif isinstance(part, (list, tuple)):
            for i, item in enumerate(part):
                walk(item, (*path, i))
        else:
            out.append((path, part))

    walk(structure, ())
    return out


def assert_same_structure(a: Any, b: Any, check_types: bool | None = None) -> None:
    """Raise ValueError unless two structures are nested alike.

    Args:
        a: a structure.
        b: another one.
        check_types: accepted for Keras: lists and tuples always differ.

    Example:
        >>> densa.tree.assert_same_structure([1, (2,)], [3, (4,)])
    """
    nested = is_nested(a)
    same = nested == is_nested(b) and (not nested or (type(a) is type(b) and len(a) == len(b)))
    if same and isinstance(a, dict):
        same = set(a) == set(b)
    if not same:
        raise ValueError(f"The structures differ: {a!r} and {b!r}.")
    if nested:
        keys = sorted(a) if isinstance(a, dict) else range(len(a))
        for key in keys:
            assert_same_structure(a[key], b[key])


def assert_same_paths(a: Any, b: Any) -> None:
    """Raise ValueError unless the paths of the leaves of two structures are the same.

    Args:
        a: a structure.
        b: another one.

    Example:
        >>> densa.tree.assert_same_paths([1, 2], (3, 4))
    """
    one, other = ({path for path, _ in flatten_with_path(x)} for x in (a, b))
    if one != other:
        raise ValueError(f"The paths differ: {sorted(map(str, one ^ other))} are in one alone.")


def map_structure(func: Callable[..., Any], *structures: Any, none_is_leaf: bool = True) -> Any:
    """Return the structure with func applied to its leaves, those of several side by side.

    Args:
        func: takes a leaf of each structure.
        *structures: one or more, nested alike.
        none_is_leaf: whether func is given None, too.

    Raises:
        TypeError: if func cannot be called.
        ValueError: without a structure, or for different ones.

    Example:
        >>> densa.tree.map_structure(lambda a, b: a + b, [1, 2], [10, 20])
        [11, 22]
    """
    if not callable(func):
        raise TypeError(f"map_structure: `func` must be callable; got {func!r}.")
    if not structures:
        raise ValueError("map_structure: at least one structure is needed.")
    for other in structures[1:]:
        assert_same_structure(structures[0], other)
    leaves = zip(*(flatten(s) for s in structures), strict=True)
    results = [
        None if not none_is_leaf and all(x is None for x in row) else func(*row) for row in leaves
    ]
    return pack_like(structures[0], results)


def map_structure_up_to(shallow_structure: Any, func: Callable[..., Any], *structures: Any) -> Any:
    """Return func of what stands in structures where a shallower one has its leaves.

    Args:
        shallow_structure: says how deep to go.
        func: takes a part of each structure.
        *structures: nested like the shallow one, at least.

    Raises:
        ValueError: without a structure, or for one that is nested otherwise.

    Example:
        >>> densa.tree.map_structure_up_to([0, 0], len, [[1, 2], [3]])
        [2, 1]
    """
    if not structures:
        raise ValueError("map_structure_up_to: at least one structure is needed.")
    if not is_nested(shallow_structure):
        return func(*structures)
    for s in structures:
        if not is_nested(s) or len(s) != len(shallow_structure):
            raise ValueError(f"The structures differ: {shallow_structure!r} and {s!r}.")
    shallow = shallow_structure
    if isinstance(shallow, dict):
        return {
            k: map_structure_up_to(shallow[k], func, *(s[k] for s in structures)) for k in shallow
        }
    parts = [
        map_structure_up_to(part, func, *(s[i] for s in structures))
        for i, part in enumerate(shallow)
    ]
    return parts if isinstance(shallow, list) else tuple(parts)


def pack_sequence_as(structure: Any, flat_sequence: Any) -> Any:
    """Return the structure filled with other leaves, in the order of `flatten`.

    Args:
        structure: the structure to have.
        flat_sequence: as many leaves.

    Raises:
        ValueError: for another number of leaves.

    Example:
        >>> densa.tree.pack_sequence_as({"a": 0, "b": [0]}, [1, 2])
        {'a': 1, 'b': [2]}
    """
    leaves, wanted = list(flat_sequence), len(flatten(structure))
    if len(leaves) != wanted:
        raise ValueError(f"pack_sequence_as: expected {wanted} leaves; got {len(leaves)}.")
    return pack_like(structure, leaves)


def lists_to_tuples(structure: Any) -> Any:
    """Return the structure with tuples in place of lists.

    Example:
        >>> densa.tree.lists_to_tuples([1, [2]])
        (1, (2,))
    """
    if isinstance(structure, dict):
        return {k: lists_to_tuples(v) for k, v in structure.items()}
    if isinstance(structure, (list, tuple)):
        return tuple(lists_to_tuples(x) for x in structure)
    return structure


def map_shape_structure(func: Callable[[Any], Any], structure: Any) -> Any:
    """Return the structure with func applied to each shape in it: lists and tuples of sizes.

    Example:
        >>> densa.tree.map_shape_structure(len, {"a": (2, None), "b": [3]})
        {'a': 2, 'b': 1}
    """
    if isinstance(structure, (list, tuple)) and all(
        d is None or isinstance(d, int) for d in structure
    ):
        return func(tuple(structure))
    if isinstance(structure, dict):
        return {k: map_shape_structure(func, v) for k, v in structure.items()}
    if isinstance(structure, (list, tuple)):
        return type(structure)(map_shape_structure(func, v) for v in structure)
    raise ValueError(f"map_shape_structure: expected shapes; got {structure!r}.")


def traverse(func: Callable[[Any], Any], structure: Any, top_down: bool = True) -> Any:
    """Return the structure with parts replaced by what func gives for them, if not None.

    Args:
        func: takes any part, leaves and whole ones; gives None to leave it and go on, or
            `MAP_TO_NONE` for None.
        structure: what to walk through.
        top_down: whether a whole comes before its parts.

    Example:
        >>> densa.tree.traverse(lambda x: sum(x) if isinstance(x, tuple) else None, [1, (2, 3)])
        [1, 5]
    """

    def replaced(part: Any) -> tuple[bool, Any]:
        found = func(part)
        if found is MAP_TO_NONE:
            return True, None
        return found is not None, found

    def inner(part: Any) -> Any:
        if isinstance(part, dict):
            return {k: traverse(func, part[k], top_down) for k in part}
        if isinstance(part, (list, tuple)):
            items = [traverse(func, x, top_down) for x in part]
            if isinstance(part, list):
                return items
            return type(part)(*items) if hasattr(part, "_fields") else tuple(items)
        return part

    if top_down:
        done, found = replaced(structure)
        return found if done else inner(structure)
    walked = inner(structure)
    done, found = replaced(walked)
    return found if done else walked


if not TYPE_CHECKING:  # lest type checkers take every name for known
    __getattr__ = suggesting(__name__)
