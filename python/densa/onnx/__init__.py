"""ONNX files: a model for other runtimes.

Needs the package onnx: `pip install "densa[onnx]"`.
"""

from densa.onnx.exporting import export

__all__ = ["export"]
