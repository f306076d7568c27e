"""Keras' `keras.preprocessing.sequence`."""

from densa.utils import pad_sequences

__all__ = ["pad_sequences"]
