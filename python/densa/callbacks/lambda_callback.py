"""LambdaCallback."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from densa._names import nearest

from .callback import Callback

_HOOKS = tuple(name for name in vars(Callback) if name.startswith("on_"))


class LambdaCallback(Callback):
    """A callback made of functions.

    Args:
        on_epoch_begin: `(epoch, logs)`.
        on_epoch_end: `(epoch, logs)`.
        on_train_begin: `(logs)`.
        on_train_end: `(logs)`.
        on_train_batch_begin: `(batch, logs)`.
        on_train_batch_end: `(batch, logs)`.
        **kwargs: Any other hook of `Callback` by name.

    Example:

    >>> import densa
    >>> show = densa.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: print(epoch, logs))
    """

    _state_names = ()

    def __init__(
        self,
        on_epoch_begin: Callable[..., Any] | None = None,
        on_epoch_end: Callable[..., Any] | None = None,
        on_train_begin: Callable[..., Any] | None = None,
        on_train_end: Callable[..., Any] | None = None,
        on_train_batch_begin: Callable[..., Any] | None = None,
        on_train_batch_end: Callable[..., Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__()
        given = {
            "on_epoch_begin": on_epoch_begin,
            "on_epoch_end": on_epoch_end,
            "on_train_begin": on_train_begin,
            "on_train_end": on_train_end,
            "on_train_batch_begin": on_train_batch_begin,
            "on_train_batch_end": on_train_batch_end,
            **kwargs,
        }
        for name, function in given.items():
            if function is None:
                continue
            if name not in _HOOKS:
                raise TypeError(
                    f"LambdaCallback: {name!r} is no hook.{nearest(name, _HOOKS)} There are "
                    f"{list(_HOOKS)}."
                )
            if not callable(function):
                raise TypeError(f"LambdaCallback: {name} must be a function; got {function!r}.")
            setattr(self, name, function)
