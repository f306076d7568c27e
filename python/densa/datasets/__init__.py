"""Small data sets for examples and tests: `digits` (in the package) and `fashion_mnist`."""

from typing import TYPE_CHECKING

from densa._names import suggesting
from densa.datasets import digits, fashion_mnist

__all__ = ["digits", "fashion_mnist"]

if not TYPE_CHECKING:  # lest type checkers take every name for known
    __getattr__ = suggesting(__name__)
