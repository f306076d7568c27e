"""Models of other libraries as densa models, with their weights.

No file is read or written, and no code comes from data.
"""

from typing import TYPE_CHECKING

from densa._names import suggesting
from densa.convert.keras_models import from_keras
from densa.convert.torch_modules import from_torch

__all__ = ["from_keras", "from_torch"]

if not TYPE_CHECKING:  # lest type checkers take every name for known
    __getattr__ = suggesting(__name__)
