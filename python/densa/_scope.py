"""Automatic names, name scopes and the context of a running layer call."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from densa import _core


class _Local(threading.local):
    def __init__(self) -> None:
        self.names: list[str] = []
        self.call: CallContext | None = None
        self.symbolic = 0
        self.monte_carlo = 0


_local = _Local()
_counts: dict[str, int] = {}
_on_clear: list[Callable[[], None]] = []


def to_snake_case(name: str) -> str:
    """Turn a class name into a variable name: `BatchNormalization` → `batch_normalization`.

    Example:
        >>> to_snake_case("LeakyReLU")
        'leaky_re_lu'
    """
    name = re.sub(r"\W+", "", name)
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()


def auto_name(prefix: str) -> str:
    """Return a name not given before: `dense`, then `dense_1`, `dense_2`…"""
    base = to_snake_case(prefix)
    count = _counts.get(base, 0)
    _counts[base] = count + 1
    return base if count == 0 else f"{base}_{count}"


def on_clear(function: Callable[[], None]) -> None:
    """Have a function called by `clear_session`."""
    _on_clear.append(function)


def clear_session(free_memory: bool = True) -> None:
    """Forget the automatic names given so far, so that the next dense layer is `dense` again.

    Args:
        free_memory: accepted for Keras.

    Example:
        >>> densa.utils.clear_session()
    """
    _counts.clear()
    for function in _on_clear:
        function()


class name_scope:
    """Put `name/` before the paths of variables made inside; None changes nothing."""

    __slots__ = ("name",)

    def __init__(self, name: str | None) -> None:
        self.name = name

    def __enter__(self) -> None:
        if self.name is not None:
            _local.names.append(self.name)

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if self.name is not None:
            if error is not None and not hasattr(error, "_densa_place"):
                with suppress(AttributeError):
                    error._densa_place = current_path()  # type: ignore[attr-defined]
            _local.names.pop()


def current_path() -> str:
    """Return the open name scopes joined by slashes."""
    return "/".join(_local.names)


def place_of_error(error: BaseException) -> str:
    """Return the path of the innermost layer that an error came from; it may be empty."""
    return getattr(error, "_densa_place", "")


class CallContext:
    """What the outermost running layer call hands to the calls inside it."""

    __slots__ = ("entry", "training", "variables_as")

    def __init__(self, entry: Any) -> None:
        self.entry = entry
        self.training: bool | None = None
        self.variables_as: str | None = None

    @contextmanager
    def reading_variables_as(self, dtype: str | None) -> Iterator[None]:
        """Have variables read in this type inside, None for their own."""
        before = self.variables_as
        self.variables_as = dtype
        _core.set_autocast(dtype)
        try:
            yield
        finally:
            self.variables_as = before
            _core.set_autocast(before)


def call_context() -> CallContext | None:
    """Return the context of the running call, None outside of calls."""
    return _local.call


def set_call_context(context: CallContext | None) -> None:
    """Install or remove the context of the running call."""
    _local.call = context


def asked(dtype: str) -> dict[str, bool]:
    """Return the attribute of a cast that makes freezing keep its rounding to 16 bits.

    Roundings of a mixed policy are not kept, so a layer's cast to its own type in 16 bits is none.
    """
    if dtype not in ("float16", "bfloat16") or not _core.recording():
        return {}
    context = _local.call
    return {} if context is not None and context.variables_as == dtype else {"asked": True}


@contextmanager
def inference_scope(entry: Any) -> Iterator[None]:
    """Run layers one by one as inside a call of `entry` with `training=False`."""
    before = _local.call
    context = CallContext(entry)
    context.training = False
    _local.call = context
    try:
        yield
    finally:
        _local.call = before


@contextmanager
def symbolic_scope() -> Iterator[None]:
    """Mark that code runs only to learn shapes: it must leave no trace."""
    _local.symbolic += 1
    try:
        yield
    finally:
        _local.symbolic -= 1


def in_symbolic_scope() -> bool:
    """Tell whether code runs only to learn shapes."""
    return _local.symbolic > 0


@contextmanager
def monte_carlo_scope() -> Iterator[None]:
    """Have dropout draw although nothing trains; all else stays as in inference."""
    _local.monte_carlo += 1
    try:
        yield
    finally:
        _local.monte_carlo -= 1


def in_monte_carlo_scope() -> bool:
    """Tell whether dropout draws although nothing trains."""
    return _local.monte_carlo > 0
