"""Serving: predictors behind the Open Inference Protocol v2, for any ASGI server."""

from __future__ import annotations

from .asgi import Service, asgi
from .predictors import Predictor, TensorSpec, tensor_metadata

__all__ = ["Predictor", "Service", "TensorSpec", "asgi", "tensor_metadata"]
