"""What the engine runs on: CPU level, threads, build."""

from __future__ import annotations

import platform
import sys

import numpy as np

from densa import _core
from densa._names import hinted


def show_config() -> None:
    """Print densa's version, CPU level, threads and build.

    Example:
        >>> densa.show_config()  # doctest: +ELLIPSIS
        densa ...
    """
    import densa

    python = f"Python {platform.python_version()} on {sys.platform} {platform.machine()}"
    lines = [f"densa {densa.__version__}", f"{'python':<14}{python}"]
    lines.append(f"{'numpy':<14}{np.__version__}")
    details = dict(_core.config())
    details.pop("version", None)
    details.setdefault("threads", _core.get_num_threads())
    width = max([14, *(len(str(k)) + 2 for k in details)])
    lines += [f"{k!s:<{width}}{v}" for k, v in details.items()]
    print("\n".join(lines))


@hinted
def set_num_threads(n: int, *, exact: bool = False) -> None:
    """Let the engine use at most n threads; the results do not depend on n.

    Args:
        n: number of threads, at least 1.
        exact: use exactly n threads, even where fewer would be faster.

    Raises:
        ValueError: for anything else.

    Example:
        >>> densa.set_num_threads(2)
    """
    if isinstance(n, bool) or not isinstance(n, (int, np.integer)) or n < 1:
        raise ValueError(f"set_num_threads needs an integer of at least 1; got {n!r}.")
    _core.set_num_threads(int(n), exact)


def get_num_threads() -> int:
    """Return the largest number of threads that the engine uses.

    Example:
        >>> densa.get_num_threads() >= 1
        True
    """
    return int(_core.get_num_threads())
