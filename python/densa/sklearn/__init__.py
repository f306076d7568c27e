"""Networks as estimators of scikit-learn: `pip install "densa[sklearn]"`.

`DensaClassifier` and `DensaRegressor` are `densa.models.mlp` with flat parameters, ready for
pipelines, cross-validation and searches; `SKLearnClassifier`, `SKLearnRegressor` and
`SKLearnTransformer` take any compiled model, as Keras' wrappers of these names do.

Names come with scikit-learn when they are first used, so that `import densa` does not need it.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from densa._names import suggesting

if TYPE_CHECKING:
    from densa.sklearn.mlp import DensaClassifier, DensaRegressor
    from densa.sklearn.wrapped import SKLearnClassifier, SKLearnRegressor, SKLearnTransformer

_NAMES = {
    "DensaClassifier": "mlp",
    "DensaRegressor": "mlp",
    "SKLearnClassifier": "wrapped",
    "SKLearnRegressor": "wrapped",
    "SKLearnTransformer": "wrapped",
}


def __getattr__(name: str) -> Any:
    if name not in _NAMES:
        suggesting(__name__)(name)
    try:
        importlib.import_module("sklearn")
    except ImportError as error:
        raise ImportError(
            f"densa.sklearn.{name} needs scikit-learn ({error}); install it with: "
            'pip install "densa[sklearn]"'
        ) from error
    return getattr(importlib.import_module(f"densa.sklearn.{_NAMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_NAMES])


__all__ = [
    "DensaClassifier",
    "DensaRegressor",
    "SKLearnClassifier",
    "SKLearnRegressor",
    "SKLearnTransformer",
]
