"""Regularizers: penalties on weights or outputs that are added to the loss."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from densa import _core
from densa._names import Named, hinted, suggesting
from densa.saving.registry import Family


class Regularizer(Named):
    """A function from a weight to a penalty; subclasses give `__call__` and `get_config`.

    Example:
        >>> class Big(densa.regularizers.Regularizer):
        ...     def __call__(self, x):
        ...         return 0.1 * densa.ops.max(x)
    """

    def __call__(self, x: Any) -> Any:
        """Return the penalty as a scalar Tensor."""
        return 0.0

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make an equal regularizer."""
        raise NotImplementedError(f"{self.__class__.__name__} does not implement get_config()")

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Regularizer:
        """Make a regularizer from `get_config`'s answer."""
        return cls(**config)


def _penalty(value: Any, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not _usable(value):
        raise ValueError(
            f"Invalid value for argument {name}: expected a non-negative float. "
            f"Received: {name}={value}"
        )
    return float(value)


def _usable(value: float) -> bool:
    return math.isfinite(value) and value >= 0


def _l1(x: Any, factor: float) -> Any:
    return _core.apply("multiply", _core.apply("sum", _core.apply("abs", x)), factor)


def _l2(x: Any, factor: float) -> Any:
    return _core.apply("multiply", _core.apply("sum", _core.apply("square", x)), factor)


class L1L2(Regularizer):
    """Penalty l1·sum|x| + l2·sum(x²).

    By its name alone, `kernel_regularizer="l1_l2"`, both factors are 0.01, as Keras' documentation
    says; there (3.15) the name makes a penalty of 0.

    Args:
        l1: factor of the absolute values.
        l2: factor of the squares.

    Example:
        >>> float(densa.regularizers.L1L2(0.25, 0.125)(np.full(2, 1.0)))
        0.75
    """

    def __init__(self, l1: float | None = 0.0, l2: float | None = 0.0) -> None:
        self.l1 = _penalty(0.0 if l1 is None else l1, "l1")
        self.l2 = _penalty(0.0 if l2 is None else l2, "l2")

    def __call__(self, x: Any) -> Any:
        if not self.l2:
            return _l1(x, self.l1)
        if not self.l1:
            return _l2(x, self.l2)
        return _core.apply("add", _l1(x, self.l1), _l2(x, self.l2))

    def get_config(self) -> dict[str, Any]:
        return {"l1": self.l1, "l2": self.l2}


class L1(Regularizer):
    """Penalty l1·sum|x|.

    Args:
        l1: factor.

    Example:
        >>> float(densa.regularizers.L1(0.5)(np.full(2, -2.0)))
        2.0
    """

    def __init__(self, l1: float | None = 0.01) -> None:
        self.l1 = _penalty(0.01 if l1 is None else l1, "l1")

    def __call__(self, x: Any) -> Any:
        return _l1(x, self.l1)

    def get_config(self) -> dict[str, Any]:
        return {"l1": self.l1}


class L2(Regularizer):
    """Penalty l2·sum(x²).

    Args:
        l2: factor.

    Example:
        >>> float(densa.regularizers.L2(0.5)(np.full(2, -2.0)))
        4.0
    """

    def __init__(self, l2: float | None = 0.01) -> None:
        self.l2 = _penalty(0.01 if l2 is None else l2, "l2")

    def __call__(self, x: Any) -> Any:
        return _l2(x, self.l2)

    def get_config(self) -> dict[str, Any]:
        return {"l2": self.l2}


class OrthogonalRegularizer(Regularizer):
    """Penalty that pulls the rows or columns of a matrix towards being orthogonal.

    The mean |cosine| of the angle between two different rows, times `factor`.

    Args:
        factor: factor of the penalty.
        mode: `"rows"` or `"columns"`.

    Raises:
        ValueError: for another mode, or a weight that is not a matrix.

    Example:
        >>> float(densa.regularizers.OrthogonalRegularizer()(np.eye(3)))
        0.0
    """

    def __init__(self, factor: float = 0.01, mode: str = "rows") -> None:
        if mode not in ("rows", "columns"):
            raise ValueError(
                "Invalid value for argument `mode`. Expected one of {'rows', 'columns'}. "
                f"Received: mode={mode}"
            )
        self.factor = _penalty(factor, "factor")
        self.mode = mode

    def __call__(self, x: Any) -> Any:
        if len(x.shape) != 2:
            raise ValueError(
                "Inputs to OrthogonalRegularizer must have rank 2. Received: inputs.shape="
                f"{tuple(x.shape)}"
            )
        rows = self.mode == "rows"
        size = int(x.shape[0 if rows else 1])
        squares = _core.apply(
            "sum", _core.apply("square", x), axis=[1 if rows else 0], keepdims=True
        )
        unit = _core.apply(
            "multiply", x, _core.apply("rsqrt", _core.apply("maximum", squares, 1e-12))
        )
        cosines = _core.apply("matmul", unit, unit, transpose_a=not rows, transpose_b=rows)
        off = _core.from_numpy((1.0 - np.eye(size)).astype(str(x.dtype)))
        total = _core.apply("sum", _core.apply("abs", _core.apply("multiply", cosines, off)))
        pairs = size * (size - 1) / 2.0
        return _core.apply("multiply", total, self.factor * 0.5 / max(pairs, 1.0))

    def get_config(self) -> dict[str, Any]:
        return {"factor": self.factor, "mode": self.mode}


# Keras' names in small letters.
l1, l2, l1_l2, orthogonal_regularizer = L1, L2, L1L2, OrthogonalRegularizer


_family = Family(
    "regularizer",
    "densa.regularizers",
    {
        "L1": L1,
        "L2": L2,
        "L1L2": L1L2,
        "OrthogonalRegularizer": OrthogonalRegularizer,
        "l1": L1,
        "l2": L2,
        "l1_l2": L1L2,
        "l1l2": L1L2,
        "orthogonal_regularizer": OrthogonalRegularizer,
    },
    # Its own defaults are 0, so that L1L2(l2=0.1) is l2 alone: of a name they would make nothing.
    by_name={L1L2: lambda: L1L2(0.01, 0.01)},
)


@hinted
def serialize(regularizer: Any) -> Any:
    """Return plain data for a regularizer.

    Example:
        >>> densa.regularizers.serialize(densa.regularizers.L2(0.1))["config"]
        {'l2': 0.1}
    """
    return _family.serialize(regularizer)


@hinted
def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """Make a regularizer from its name or from `serialize`'s answer.

    Example:
        >>> densa.regularizers.deserialize("l2").l2
        0.01
    """
    return _family.deserialize(config, custom_objects)


@hinted
def get(identifier: Any) -> Any:
    """Return a regularizer for a name, config, function or instance; None stays None.

    Raises:
        ValueError: for a name that is not known; the nearest one is named.

    Example:
        >>> densa.regularizers.get("l1").l1
        0.01
    """
    return _family.get(identifier)


__all__ = [
    "L1",
    "L1L2",
    "L2",
    "OrthogonalRegularizer",
    "Regularizer",
    "deserialize",
    "get",
    "l1",
    "l1_l2",
    "l2",
    "orthogonal_regularizer",
    "serialize",
]

if not TYPE_CHECKING:  # lest type checkers take every name for known
    __getattr__ = suggesting(__name__)
