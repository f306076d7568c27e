"""Checks of single numbers that users give."""

from __future__ import annotations

from typing import Any


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
    found = int(value.__index__())
    if found < least:
        raise ValueError(f"{name} must be at least {least}; received {value!r}.")
    return found
