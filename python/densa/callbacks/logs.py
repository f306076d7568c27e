"""Logs that are computed only when somebody reads them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

# Stands in an unfilled dictionary: C code such as json's takes an empty one at its word.
_UNREAD = "unread"


class LazyLogs(dict[str, Any]):
    """A dictionary filled by a function at its first reading.

    A batch hook that does not look at its logs then costs no read of the metrics.

    Args:
        make: Gives the contents.
    """

    __slots__ = ("_make",)

    def __init__(self, make: Callable[[], dict[str, Any]]) -> None:
        self[_UNREAD] = None
        self._make: Callable[[], dict[str, Any]] | None = make

    def settle(self) -> None:
        """Fills the dictionary now."""
        self._fill()

    def _fill(self) -> None:
        make, self._make = self._make, None
        if make is not None:
            super().pop(_UNREAD)
            for key, value in make().items():
                dict.setdefault(self, key, value)

    def __missing__(self, key: str) -> Any:
        if self._make is None:
            raise KeyError(key)
        self._fill()
        return self[key]

    def get(self, key: str, default: Any = None) -> Any:
        self._fill()
        return super().get(key, default)

    def __reduce_ex__(self, protocol: Any) -> Any:
        return dict, (self.copy(),)

    def __contains__(self, key: object) -> bool:
        self._fill()
        return super().__contains__(key)

    def __iter__(self) -> Iterator[str]:
        self._fill()
        return super().__iter__()

    def __len__(self) -> int:
        self._fill()
        return super().__len__()

    def __bool__(self) -> bool:
        return len(self) > 0

    def pop(self, key: str, *default: Any) -> Any:
        self._fill()
        return super().pop(key, *default)

    def setdefault(self, key: str, default: Any = None) -> Any:
        self._fill()
        return super().setdefault(key, default)

    def __or__(self, other: Any) -> Any:
        return self.copy() | other

    def __ror__(self, other: Any) -> Any:
        return other | self.copy()

    def keys(self) -> Any:
        self._fill()
        return super().keys()

    def values(self) -> Any:
        self._fill()
        return super().values()

    def items(self) -> Any:
        self._fill()
        return super().items()

    def copy(self) -> dict[str, Any]:
        self._fill()
        return dict(super().items())

    def __eq__(self, other: object) -> bool:
        self._fill()
        return super().__eq__(other)

    def __repr__(self) -> str:
        self._fill()
        return super().__repr__()
