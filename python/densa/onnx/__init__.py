"""ONNX files: write a model for other runtimes, read one as a densa model.

Needs the package onnx: `pip install "densa[onnx]"`.
"""

from densa.onnx.exporting import export
from densa.onnx.loading import load

__all__ = ["export", "load"]
