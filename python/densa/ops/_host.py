"""Ops without a kernel: NumPy computes them from values, so no native step can hold them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from densa import _core
from densa.device import beside
from densa.ops._public import tensor


def values(name: str, *xs: Any) -> list[Any]:
    """Return the numbers as NumPy arrays.

    Raises:
        SymbolicError: where one is recorded: by `fit`, `freeze` or an export.
    """
    found = [tensor(x) for x in xs]
    for x in found:
        if x.is_symbolic:
            raise _core.SymbolicError(
                f"{name}, which NumPy computes, needs the numbers of a recorded tensor {x.dtype}"
                f"{tuple(x.shape)}, which has none while a model is recorded. Compute it before "
                "the model, with the data; or use compile(run_eagerly=True)"
            )
    return [x.numpy() for x in found]


def wrapped(array: Any, like: Any) -> Any:
    """Return NumPy's answer as a Tensor where `like` lies."""
    return beside(_core.to_tensor(np.ascontiguousarray(array).reshape(np.shape(array))), like)


def on_host(name: str, function: Callable[..., Any], *xs: Any) -> Any:
    """Apply a function of NumPy to arrays, off the tape."""
    return wrapped(function(*values(name, *xs)), tensor(xs[0]))


def moved(x: Any) -> Any:
    """Return x minus its own value: zero, with x's gradient.

    A function that NumPy computed gets its gradient by it: f(x) + f'(x)·moved(x), where f' is
    written in ops. The first derivative is exact; there is no second one through f'.
    """
    return x - x.detach()
