"""Training, evaluation and prediction."""

from __future__ import annotations

from densa.utils.batches import pack_x_y_sample_weight, unpack_x_y_sample_weight

from .trainer import Trainer

__all__ = ["Trainer", "pack_x_y_sample_weight", "unpack_x_y_sample_weight"]
