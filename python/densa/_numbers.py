"""Checks of single arguments that users give: numbers, names, paths, functions."""

from __future__ import annotations

import math
import numbers
import os
import reprlib
from typing import Any

import numpy as np


def check_name(owner: str, name: Any) -> None:
    """Raise TypeError unless a name is a text or None."""
    if name is not None and not isinstance(name, str):
        raise TypeError(f"{owner}: `name` must be a text or None; received {name!r}.")


def path_of(what: str, path: Any) -> str:
    """A path as a text.

    Raises:
        TypeError: It is none.
    """
    try:
        found = os.fspath(path)
    except TypeError:
        found = None
    if not isinstance(found, str):
        raise TypeError(
            f"{what} must be a path: a text or a pathlib.Path; received {path!r} of type "
            f"{type(path).__name__}."
        )
    return found


def check_callable(what: str, value: Any) -> None:
    """Raise TypeError unless a value can be called."""
    if not callable(value):
        raise TypeError(
            f"{what} must be a function; received {reprlib.repr(value)} of type "
            f"{type(value).__name__}."
        )


def array_of(what: str, values: Any) -> Any:
    """Values as an array.

    Raises:
        ValueError: They are lists of different lengths.
    """
    try:
        return np.asarray(values)
    except ValueError as error:
        raise ValueError(
            f"{what}: cannot make an array of the lists; received {reprlib.repr(values)}: {error}"
        ) from None


def is_numeric(value: Any) -> bool:
    """Tell whether a value is a number or an array, or lists that make one."""
    try:
        return np.asarray(value).dtype.kind in "fiub"
    except ValueError:  # lists of different lengths
        return False


def whole_number(name: str, value: Any, least: int = 1) -> int:
    """The value as an int.

    Args:
        name: What to call it in errors.
        value: What the user gave.
        least: Smallest value allowed.

    Raises:
        TypeError: It is no whole number; floats, booleans and texts are none.
        ValueError: It is too small.
    """
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise TypeError(
            f"{name} must be a whole number; received {value!r} of type {type(value).__name__}. "
            "int(...) makes one."
        )
    try:
        found = int(value.__index__())
    except TypeError:  # an array of several
        raise TypeError(f"{name} must be one whole number; received {value!r}.") from None
    if found < least:
        raise ValueError(f"{name} must be at least {least}; received {value!r}.")
    return found


def check_real_number(name: str, value: Any, least: float = -math.inf) -> None:
    """Raise where a value is no number, NaN, or below `least`.

    Raises:
        TypeError: It is no number.
        ValueError: It is NaN or too small.
    """
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise TypeError(
            f"{name} must be a number; received {value!r} of type {type(value).__name__}."
        )
    try:
        number = float(value)
    except OverflowError:
        raise ValueError(f"{name} is too large for a float; received {value!r}.") from None
    if not number >= least:
        bound = "must be a number, not NaN" if math.isnan(value) else f"must be at least {least}"
        raise ValueError(f"{name} {bound}; received {value!r}.")


def check_decay(name: str, value: Any) -> None:
    """Raise unless a value can be the decay of a moving average: at least 0, less than 1.

    Raises:
        TypeError: It is no number.
        ValueError: It is NaN or out of range.
    """
    check_real_number(name, value)
    if not 0 <= value < 1:
        raise ValueError(f"{name} must be at least 0 and less than 1; received {value!r}.")


def finite_number(name: str, value: Any, least: float = -math.inf) -> float:
    """The value as a float.

    Raises:
        TypeError: It is no number.
        ValueError: It is NaN, infinite or below `least`.
    """
    check_real_number(name, value, least)
    if math.isinf(value):
        raise ValueError(f"{name} must be finite; received {value!r}.")
    return float(value)


def check_share(name: str, value: Any) -> None:
    """Raise unless a value is a number from 0 to 1.

    Raises:
        TypeError: It is no number.
        ValueError: It is NaN or out of range.
    """
    check_real_number(name, value)
    if not 0 <= value <= 1:
        raise ValueError(f"{name} must lie between 0 and 1; received {value!r}.")


def check_axis(axis: Any, argument: str = "axis", owner: str = "") -> int | list[int]:
    """An axis as an int, or several as a list; TypeError for anything else."""
    several = isinstance(axis, (list, tuple))
    given = list(axis) if several else [axis]
    if any(isinstance(a, bool) or not hasattr(a, "__index__") for a in given):
        raise TypeError(
            f"{owner}{': ' if owner else ''}Invalid value for `{argument}` argument: expected an "
            f"int or a list/tuple of ints. Received: {argument}={axis!r}"
        )
    try:
        found = [int(a.__index__()) for a in given]
    except TypeError:  # an array
        raise TypeError(
            f"{owner}{': ' if owner else ''}`{argument}` must be an int or a list of ints; "
            f"received {axis!r}."
        ) from None
    return found if several else found[0]


def parameter_for_each(function: str, name: str, given: Any, shape: Any, above: float = 0.0) -> Any:
    """Return a parameter of a distribution, for each sample; ValueError unless above a bound."""
    array = np.asarray(given, dtype=np.float64)
    if not np.all((array > above) & (array < np.inf)):
        raise ValueError(f"{function}: {name} must be finite and above {above:g}; got {given!r}.")
    return for_each(function, name, array, shape)


def for_each(function: str, name: str, array: Any, shape: Any) -> Any:
    """Return an array stretched to a shape; ValueError where it does not stretch."""
    try:
        return np.broadcast_to(array, tuple(shape))
    except ValueError:
        raise ValueError(
            f"{function}: {name} of shape {array.shape} does not stretch to shape={tuple(shape)}."
        ) from None
