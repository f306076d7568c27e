"""Keras' place for the estimators of `densa.sklearn` that wrap a model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from densa._names import suggesting

if TYPE_CHECKING:
    from densa.sklearn import SKLearnClassifier, SKLearnRegressor, SKLearnTransformer

__all__ = ["SKLearnClassifier", "SKLearnRegressor", "SKLearnTransformer"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        suggesting(__name__)(name)
    from densa import sklearn

    return getattr(sklearn, name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
