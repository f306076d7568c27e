"""Serving: predictors behind the Open Inference Protocol v2, for any ASGI server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from densa._names import suggesting

from .asgi import Service, asgi
from .predictors import Predictor, TensorSpec, tensor_metadata

__all__ = ["Predictor", "Service", "TensorSpec", "asgi", "tensor_metadata"]

if not TYPE_CHECKING:  # lest type checkers take every name for known
    __getattr__ = suggesting(__name__)
