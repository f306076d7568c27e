"""Callbacks: what `fit` calls at its turning points."""

from __future__ import annotations

from typing import TYPE_CHECKING

from densa._names import suggesting

from .backup_and_restore import BackupAndRestore
from .callback import Callback
from .callback_list import CallbackList
from .csv_logger import CSVLogger
from .doctor import Doctor
from .early_stopping import EarlyStopping
from .history import History
from .lambda_callback import LambdaCallback
from .learning_rate_scheduler import LearningRateScheduler
from .lr_finder import LRFinder
from .magnitude_pruning import MagnitudePruning
from .model_checkpoint import ModelCheckpoint
from .monitor import MonitorCallback
from .progbar_logger import ProgbarLogger
from .reduce_lr_on_plateau import ReduceLROnPlateau
from .swa import SWA
from .swap_ema_weights import SwapEMAWeights
from .tensorboard import TensorBoard
from .terminate_on_nan import TerminateOnNaN

__all__ = [
    "SWA",
    "BackupAndRestore",
    "CSVLogger",
    "Callback",
    "CallbackList",
    "Doctor",
    "EarlyStopping",
    "History",
    "LRFinder",
    "LambdaCallback",
    "LearningRateScheduler",
    "MagnitudePruning",
    "ModelCheckpoint",
    "MonitorCallback",
    "ProgbarLogger",
    "ReduceLROnPlateau",
    "SwapEMAWeights",
    "TensorBoard",
    "TerminateOnNaN",
]

if not TYPE_CHECKING:  # lest type checkers take every name for known
    __getattr__ = suggesting(__name__)
