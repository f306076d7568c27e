"""What the founding texts claim, each as variants that are trained side by side."""

from .base import Claim, Trial
from .learning import CLAIMS as LEARNING
from .regularization import CLAIMS as REGULARIZATION
from .signals import CLAIMS as SIGNALS

CLAIMS: tuple[Claim, ...] = (*SIGNALS, *LEARNING, *REGULARIZATION)

__all__ = ["CLAIMS", "Claim", "Trial"]
