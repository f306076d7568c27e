"""Keras' `keras.preprocessing`: other names of functions of `densa.utils`."""

from typing import TYPE_CHECKING

from densa._names import suggesting
from densa.preprocessing import sequence
from densa.utils import timeseries_dataset_from_array

__all__ = ["sequence", "timeseries_dataset_from_array"]

if not TYPE_CHECKING:  # lest type checkers take every name for known
    __getattr__ = suggesting(__name__)
