"""Keras' `keras.mixed_precision`: other names of dtype policies and the scaled loss."""

from __future__ import annotations

from typing import TYPE_CHECKING

from densa._names import suggesting
from densa.config import DTypePolicy, dtype_policy, set_dtype_policy
from densa.optimizers import LossScaleOptimizer

Policy = DTypePolicy
global_policy, set_global_policy = dtype_policy, set_dtype_policy

__all__ = [
    "DTypePolicy",
    "LossScaleOptimizer",
    "Policy",
    "dtype_policy",
    "global_policy",
    "set_dtype_policy",
    "set_global_policy",
]

if not TYPE_CHECKING:  # lest type checkers take every name for known
    __getattr__ = suggesting(__name__)
