"""Keras' `keras.preprocessing`: other names of functions of `densa.utils`."""

from densa.preprocessing import sequence
from densa.utils import timeseries_dataset_from_array

__all__ = ["sequence", "timeseries_dataset_from_array"]
