"""What goes wrong in a training, and what to change: rules over curves, set-up and statistics.

`densa.callbacks.Doctor` and `Model.diagnose` gather a `Case`; `examine` applies the rules.
"""

from __future__ import annotations

from . import curves, setup, targets, units
from .case import Case
from .finding import Finding, table

RULES = (*targets.RULES, *setup.RULES, *units.RULES, *curves.RULES)


def examine(case: Case) -> list[Finding]:
    """Applies all rules.

    Args:
        case: What is known of a training.

    Returns:
        The findings, causes before what follows from them.
    """
    return [finding for rule in RULES if (finding := rule(case)) is not None]


__all__ = ["RULES", "Case", "Finding", "examine", "table"]
