"""Hints for names that are misspelt, or that other libraries give to the same thing."""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, NoReturn, ParamSpec, TypeVar

from densa._raw_errors import RAW, explain

# What Keras 2 and PyTorch call arguments of Keras 3.
_ELSEWHERE = {
    "bias": "use_bias",
    "dim": "axis",
    "embedding_dim": "output_dim",
    "eps": "epsilon",
    "lr": "learning_rate",
    "num_embeddings": "input_dim",
    "out_features": "units",
    "p": "rate",
}


def nearest(name: str, known: Iterable[str]) -> str:
    """Return ` Did you mean 'x'?` for the known name closest to `name`, or an empty string."""
    import difflib

    folded: dict[str, str] = {}
    for k in known:
        # Of names that differ in case alone, the one written like `name`.
        if k.islower() == name.islower() or k.lower().replace("_", "") not in folded:
            folded[k.lower().replace("_", "")] = k
    wanted = _ELSEWHERE.get(name, name).lower().replace("_", "")
    if wanted not in folded:
        wanted = name.lower().replace("_", "")
    cutoff = 0.6 if len(wanted) > 2 else 0.5  # one letter of two may be wrong
    close = difflib.get_close_matches(wanted, folded, n=1, cutoff=cutoff)
    return f" Did you mean {folded[close[0]]!r}?" if close else ""


P = ParamSpec("P")
R = TypeVar("R")


def misspelt(function: Callable[..., Any], kwargs: Mapping[str, Any], error: Exception) -> None:
    """Raise what a call said of an argument that the function has not, with the nearest name.

    Args:
        function: what was called.
        kwargs: the keyword arguments of the call.
        error: what the call raised; nothing happens where it comes from inside of the function.

    Raises:
        TypeError: an argument is not known.
    """
    trace = error.__traceback__
    inside = trace is None or trace.tb_next is not None
    if not kwargs or inside or not isinstance(error, TypeError):
        return
    parameters = inspect.signature(function).parameters
    if any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        return
    for name in kwargs:
        if name not in parameters:
            known = [known for known in parameters if known != "self"]
            raise TypeError(
                f"{function.__name__}() got an unexpected keyword argument {name!r}."
                f"{nearest(name, known) or f' It takes {known}.'}"
            ) from None


def refuse_more(function: Callable[..., Any], kwargs: Mapping[str, Any]) -> None:
    """Refuse what is left in the `**kwargs` of a function, with the nearest name.

    Raises:
        ValueError: something is left.
    """
    for name in kwargs:
        known = [p for p in inspect.signature(function).parameters if p not in ("self", "kwargs")]
        raise ValueError(
            f"{function.__name__}() does not know the argument {name!r}."
            f"{nearest(name, known) or f' It takes {known}.'}"
        )


def hinted(function: Callable[P, R]) -> Callable[P, R]:
    """Have a misspelt keyword argument of a function or method refused with the nearest name.

    Raw errors about the arguments of functions, losses and metrics are told in their terms. Those
    of other methods may come from anywhere.
    """
    method = next(iter(inspect.signature(function).parameters), "") == "self"
    explained = not method or function.__module__.startswith(("densa.losses", "densa.metrics"))

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except RAW as error:
            misspelt(function, kwargs, error)
            if explained:
                owner = type(args[0]).__name__ if method else None
                explain(function, args, kwargs, error, owner)
            raise

    return call


def suggesting(module: str) -> Callable[[str], NoReturn]:
    """Return a module's `__getattr__`, whose AttributeError suggests the nearest public name."""

    def missing(name: str) -> NoReturn:
        # From vars: getattr would come back here while the module is being imported.
        known = vars(sys.modules[module]).get("__all__") or dir(sys.modules[module])
        hint = nearest(name, (k for k in known if k[0] != "_")) if name[:1] != "_" else ""
        raise AttributeError(f"module {module!r} has no attribute {name!r}.{hint}", name=name)

    return missing


def arguments_of(cls: type) -> set[str]:
    """Return the names of all arguments that the `__init__` of a class and its bases take."""
    found: set[str] = set()
    for base in cls.__mro__:
        if "__init__" in base.__dict__ and base is not object:
            found.update(inspect.signature(base.__dict__["__init__"]).parameters)
    return found - {"self", "args", "kwargs"}


def check_keywords(cls: type, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
    """Refuse, with the nearest name, an argument that `cls.__init__` cannot take.

    Where `__init__` hands what it does not know on to its bases, they know best; only what looks
    like a misspelt form of an argument that must be given and is not is refused here.

    Raises:
        TypeError: `__init__` would raise one, without the hint.
    """
    code = getattr(cls.__init__, "__code__", None)  # type: ignore[misc]
    if code is None:
        return
    names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    unknown = [name for name in kwargs if name not in names]
    if not unknown:
        return
    candidates: Iterable[str] = names[1:]
    if code.co_flags & inspect.CO_VARKEYWORDS:
        parameters = list(inspect.signature(cls.__init__).parameters.values())  # type: ignore[misc]
        candidates = [
            p.name
            for p in parameters[1 + len(args) :]
            if p.default is p.empty
            and p.name not in kwargs
            and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
        ]
        unknown = [name for name in unknown if name not in arguments_of(cls)]
        unknown = [name for name in unknown if nearest(name, candidates)]
    if unknown:
        raise TypeError(
            f"{cls.__name__}.__init__() got an unexpected keyword argument {unknown[0]!r}."
            f"{nearest(unknown[0], candidates)}"
        )


class Named:
    """A base of public classes: a misspelt argument is refused with the nearest one."""

    if not TYPE_CHECKING:  # lest type checkers take every argument for known

        def __new__(cls, *args: Any, **kwargs: Any) -> Any:
            if (args or kwargs) and cls.__init__ is object.__init__:
                raise TypeError(f"{cls.__name__}() takes no arguments")
            if kwargs:
                check_keywords(cls, args, kwargs)
            return super().__new__(cls)
