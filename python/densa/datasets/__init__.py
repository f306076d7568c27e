"""Small data sets for examples and tests: `digits` (in the package) and `fashion_mnist`."""

from densa.datasets import digits, fashion_mnist

__all__ = ["digits", "fashion_mnist"]
