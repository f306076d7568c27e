"""ONNX files: write a model for other runtimes, read one as a densa model.

Needs the package onnx: `pip install "densa[onnx]"`.
"""

from typing import TYPE_CHECKING

from densa._names import suggesting
from densa.onnx.exporting import export
from densa.onnx.loading import load

__all__ = ["export", "load"]

if not TYPE_CHECKING:  # lest type checkers take every name for known
    __getattr__ = suggesting(__name__)
