"""`set_random_seed`: one call that makes a run repeat itself."""

from __future__ import annotations

import random as _python_random

import numpy as np

from densa._names import hinted
from densa.random import set_global_seed


@hinted
def set_random_seed(seed: int) -> None:
    """Fix the seeds of Python, NumPy and densa, so that a run repeats bit for bit.

    Args:
        seed: integer from 0 to 2³² - 1.

    Raises:
        ValueError: for anything else.

    Example:
        >>> densa.utils.set_random_seed(42)
        >>> a = densa.layers.Dense(2)(np.ones((1, 3))).numpy()
        >>> densa.utils.set_random_seed(42)
        >>> bool((a == densa.layers.Dense(2)(np.ones((1, 3))).numpy()).all())
        True
    """
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or not 0 <= seed < 2**32:
        raise ValueError(
            "Expected `seed` argument to be an integer from 0 to 2**32 - 1. Received: "
            f"seed={seed!r} (of type {type(seed)})"
        )
    seed = int(seed)
    _python_random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002 - Keras seeds NumPy's global generator too
    set_global_seed(seed)
