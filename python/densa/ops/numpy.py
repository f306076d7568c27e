"""Keras' `ops.numpy`: the functions of `densa.ops` that follow NumPy's."""

from __future__ import annotations

from typing import Any

import numpy as np

from densa import ops
from densa._names import suggesting

# What Keras has there beside the functions that carry NumPy's name.
_OTHERS = {
    *("arctan2", "array", "divide_no_nan", "get_item", "identity", "size", "slogdet", "view"),
    *("bitwise_left_shift", "bitwise_right_shift", "norm"),
}
__all__ = sorted(
    n for n in ops.__all__ if (hasattr(np, n) or n in _OTHERS) and n not in ("cast", "dtype")
)


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(ops, name)
    return suggesting(__name__)(name)


def __dir__() -> list[str]:
    return __all__
