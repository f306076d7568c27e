"""`Config`: settings by name, which can be frozen."""

from __future__ import annotations

import json
from collections.abc import ItemsView, KeysView, ValuesView
from typing import Any


class Config:
    """Settings that are read and written as attributes or like a dictionary.

    Args:
        **kwargs: the settings.

    Raises:
        ValueError: for a change of what is frozen.
        AttributeError: for a setting that there is not; KeyError where it is read as an item.

    Example:
        >>> config = densa.utils.Config(units=64, rate=0.1)
        >>> config.units, config["rate"]
        (64, 0.1)
    """

    def __init__(self, **kwargs: Any) -> None:
        object.__setattr__(self, "_settings", dict(kwargs))
        object.__setattr__(self, "_frozen", False)

    _settings: dict[str, Any]
    _frozen: bool

    @property
    def frozen(self) -> bool:
        """Whether changes are refused."""
        return self._frozen

    def freeze(self) -> None:
        """Refuse changes from now on."""
        object.__setattr__(self, "_frozen", True)

    def unfreeze(self) -> None:
        """Take changes again."""
        object.__setattr__(self, "_frozen", False)

    def _open(self) -> dict[str, Any]:
        if self._frozen:
            raise ValueError("This Config is frozen; call its unfreeze() to change it.")
        return self._settings

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        try:
            return self._settings[name]
        except KeyError:
            known = ", ".join(self._settings)
            raise AttributeError(f"This Config has no {name!r}; it has: {known}.") from None

    def __setattr__(self, name: str, value: Any) -> None:
        self._open()[name] = value

    def __delattr__(self, name: str) -> None:
        self._open()
        self.__getattr__(name)
        del self._settings[name]

    def __getitem__(self, name: str) -> Any:
        return self._settings[name]

    def __setitem__(self, name: str, value: Any) -> None:
        self._open()[name] = value

    def __delitem__(self, name: str) -> None:
        del self._open()[name]

    def __contains__(self, name: object) -> bool:
        return name in self._settings

    def __len__(self) -> int:
        return len(self._settings)

    def __iter__(self) -> Any:
        return iter(self._settings)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Config) and other._settings == self._settings

    __hash__ = None  # type: ignore[assignment]

    def as_dict(self) -> dict[str, Any]:
        """Return the settings as a dictionary of their own."""
        return dict(self._settings)

    def to_json(self) -> str:
        """Return the settings as JSON."""
        return json.dumps(self._settings)

    def keys(self) -> KeysView[str]:
        """Return the names."""
        return self._settings.keys()

    def values(self) -> ValuesView[Any]:
        """Return the values."""
        return self._settings.values()

    def items(self) -> ItemsView[str, Any]:
        """Return names and values."""
        return self._settings.items()

    def get(self, keyname: str, value: Any = None) -> Any:
        """Return a setting, or `value` if there is none."""
        return self._settings.get(keyname, value)

    def pop(self, *args: Any) -> Any:
        """Take a setting out and return it."""
        return self._open().pop(*args)

    def update(self, *args: Any, **kwargs: Any) -> None:
        """Take settings over, as `dict.update` does."""
        self._open().update(*args, **kwargs)

    def __repr__(self) -> str:
        inner = ", ".join(f"{k}={v!r}" for k, v in self._settings.items())
        return f"Config({inner})"
