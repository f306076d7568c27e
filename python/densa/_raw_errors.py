"""Raw errors of Python and NumPy about arguments, told in terms of the function that was called."""

from __future__ import annotations

import dis
import inspect
import os
import re
import reprlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

_OURS = os.path.dirname(os.path.abspath(__file__)) + os.sep
_NUMPY = os.path.dirname(os.path.abspath(np.__file__)) + os.sep
_PYTHON = os.path.dirname(os.path.abspath(os.__file__)) + os.sep
RAW = (TypeError, ValueError, AttributeError, IndexError, OverflowError)
# In messages that tell what came.
_TOLD = ("eceived", "; got ", "Got ")
# What Python says of its own sequences; the engine's IndexErrors name an id.
_OF_SEQUENCES = ("tuple index out of range", "list index out of range")


def explain(
    function: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    error: Exception,
    name: str | None = None,
) -> None:
    """Raise the error again with the function's name and arguments, unless it tells of them.

    Args:
        function: what was called.
        args: the arguments of the call.
        kwargs: those given by name.
        error: what the call raised. Nothing happens where it names the function, comes from code
            of the user's, was raised by densa's Python in words of its own, or has a type of its
            own.
        name: what to call the function.

    Raises:
        TypeError: the error was one, or an AttributeError.
        ValueError: the error was another one.
    """
    name = name or function.__name__
    if type(error) not in RAW:
        return
    text = str(error)
    # "shape" and "array" are words of NumPy's messages, too.
    named = re.search(rf"(?<!\w){re.escape(name)}[:('`]", text)
    if named or any(words in text for words in _TOLD):
        return
    if type(error) is IndexError and text not in _OF_SEQUENCES:
        return
    trace, path, last = error.__traceback__, "", None
    while trace is not None:
        path, last = trace.tb_frame.f_code.co_filename, trace
        own = path.startswith((_OURS, _NUMPY))
        if not own and (not path.startswith(_PYTHON) or "-packages" in path):
            return
        trace = trace.tb_next
    raised = last is not None and last.tb_frame.f_code.co_code[last.tb_lasti]
    if path.startswith(_OURS) and raised == dis.opmap["RAISE_VARARGS"]:
        return
    try:
        given = inspect.signature(function).bind_partial(*args, **kwargs).arguments
    except TypeError:  # it says what is missing
        return
    kind = TypeError if isinstance(error, (TypeError, AttributeError)) else ValueError
    received = ", ".join(f"{k}={_short(v)}" for k, v in given.items() if k != "self")
    raise kind(f"{name}: {text.rstrip('.')}. Received: {received or 'nothing'}.") from error


def _short(x: Any) -> str:
    shape = getattr(x, "shape", None)
    if isinstance(shape, tuple) and shape != () and hasattr(x, "dtype"):
        return f"{x.dtype} of shape {shape}"
    return reprlib.repr(x)
