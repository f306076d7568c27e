"""Keras 2's `keras.optimizers.experimental`: since Keras 3 the names lie in `optimizers`."""

from __future__ import annotations

import warnings
from typing import Any

from densa import optimizers
from densa._names import suggesting

_NAMES = ("SGD", "RMSprop", "Adagrad", "Adadelta", "Adam", "AdamW", "Adamax", "Nadam")


def __getattr__(name: str) -> Any:
    if name not in _NAMES:
        suggesting(__name__)(name)
    warnings.warn(
        f"optimizers.experimental.{name} is Keras 2's; use optimizers.{name} instead.",
        DeprecationWarning,
        stacklevel=2,
    )
    return getattr(optimizers, name)


def __dir__() -> list[str]:
    return list(_NAMES)
