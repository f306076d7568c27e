"""Checks of what losses and metrics hand on to densa's functions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from densa._numbers import (
    check_axis,
    check_real_number,
    check_share,
    finite_number,
    is_numeric,
    whole_number,
)


def _check_factors(name: str, value: Any) -> None:
    array = np.asarray(value if is_numeric(value) else "none")
    if array.dtype.kind not in "fiu" or array.ndim > 1 or not np.isfinite(array).all():
        raise ValueError(
            f"{name} must be a finite number, or a list of one for each class; received {value!r}."
        )


def _check_gamma(name: str, value: Any) -> None:
    finite_number(name, value, least=0)


def _check_class(name: str, value: Any) -> None:
    if value is not None:
        whole_number(name, value, least=-(2**31))


_CHECKS: Mapping[str, Callable[[str, Any], Any]] = {
    "alpha": _check_factors,
    "gamma": _check_gamma,
    "ignore_class": _check_class,
    "label_smoothing": check_share,
    "threshold": check_real_number,
}


def check_arguments(owner: str, function: Any, given: Mapping[str, Any]) -> None:
    """Refuses arguments that one of densa's losses or metrics cannot take, by their names.

    Raises:
        TypeError: A number or an axis is none.
        ValueError: A number is out of range.
    """
    if not str(getattr(function, "__module__", "")).startswith("densa."):
        return
    for name, value in given.items():
        if name == "axis" and value is not None:
            several = isinstance(value, list | tuple)
            if several and "categorical" in function.__name__:
                raise TypeError(f"{owner}: `axis` must be one int; received {value!r}.")
            check_axis(value, owner=owner)
        elif name in _CHECKS:
            _CHECKS[name](f"{owner}: `{name}`", value)
