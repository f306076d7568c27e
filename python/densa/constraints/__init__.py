"""Constraints: what weights are put back to after each update."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from densa import _core, config
from densa._names import Named, hinted, suggesting
from densa._numbers import check_axis, check_real_number
from densa.saving.registry import Family


class Constraint(Named):
    """A function from a weight to the nearest allowed weight.

    Subclasses give `__call__` and `get_config`.

    Example:
        >>> class Positive(densa.constraints.Constraint):
        ...     def __call__(self, w):
        ...         return densa.ops.abs(w)
    """

    def __call__(self, w: Any) -> Any:
        """Return the allowed weight."""
        raise NotImplementedError(f"{self.__class__.__name__} does not implement __call__()")

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make an equal constraint."""
        return {}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Constraint:
        """Make a constraint from `get_config`'s answer."""
        return cls(**config)


def _axes(axis: int | list[int] | tuple[int, ...], rank: int) -> list[int]:
    given = [axis] if isinstance(axis, int) else list(axis)
    if any(not -rank <= a < rank for a in given):
        raise ValueError(
            f"The constraint's axis={axis} is out of range for a weight with {rank} "
            f"ax{'i' if rank == 1 else 'e'}s; a dense kernel (in, out) has 0 and 1."
        )
    return [a + rank if a < 0 else a for a in given]


def _norm(w: Any, axis: Any) -> Any:
    squares = _core.apply("square", w)
    return _core.apply(
        "sqrt", _core.apply("sum", squares, axis=_axes(axis, len(w.shape)), keepdims=True)
    )


def _clip(x: Any, low: float, high: float) -> Any:
    return _core.apply("minimum", _core.apply("maximum", x, low), high)


def _rescale(w: Any, wanted: Any, norms: Any) -> Any:
    ratio = _core.apply("divide", wanted, _core.apply("add", norms, config.epsilon()))
    return _core.apply("multiply", w, ratio)


class MaxNorm(Constraint):
    """Shrink the incoming weights of each unit to a norm of at most `max_value`.

    Args:
        max_value: the largest norm allowed.
        axis: axis or axes along which norms are taken; 0 for a dense kernel (in, out).

    Raises:
        TypeError: if max_value is no number, or the axis none.
        ValueError: if it is negative or NaN.

    Example:
        >>> densa.constraints.MaxNorm(1.0)(np.array([[3.0], [4.0]])).numpy().round(3).tolist()
        [[0.6], [0.8]]
    """

    def __init__(self, max_value: float = 2, axis: Any = 0) -> None:
        check_real_number("MaxNorm: `max_value`", max_value, least=0)
        self.max_value = max_value
        self.axis = check_axis(axis, owner="MaxNorm")

    def __call__(self, w: Any) -> Any:
        norms = _norm(w, self.axis)
        return _rescale(w, _clip(norms, 0.0, float(self.max_value)), norms)

    def get_config(self) -> dict[str, Any]:
        return {"max_value": self.max_value, "axis": self.axis}


class NonNeg(Constraint):
    """Set negative weights to zero.

    Example:
        >>> densa.constraints.NonNeg()(np.array([-1.0, 2.0])).numpy().tolist()
        [0.0, 2.0]
    """

    def __call__(self, w: Any) -> Any:
        return _core.apply("maximum", w, 0.0)


class UnitNorm(Constraint):
    """Scale the incoming weights of each unit to norm one.

    Args:
        axis: axis or axes along which norms are taken; 0 for a dense kernel (in, out).

    Raises:
        TypeError: if the axis is none.

    Example:
        >>> densa.constraints.UnitNorm()(np.array([[3.0], [4.0]])).numpy().round(3).tolist()
        [[0.6], [0.8]]
    """

    def __init__(self, axis: Any = 0) -> None:
        self.axis = check_axis(axis, owner="UnitNorm")

    def __call__(self, w: Any) -> Any:
        return _core.apply("divide", w, _core.apply("add", _norm(w, self.axis), config.epsilon()))

    def get_config(self) -> dict[str, Any]:
        return {"axis": self.axis}


class MinMaxNorm(Constraint):
    """Bring the norm of each unit's incoming weights between two bounds.

    Args:
        min_value: the smallest norm.
        max_value: the largest norm.
        rate: share of the way to go in each step, from 0 to 1.
        axis: axis or axes along which norms are taken; 0 for a dense kernel (in, out).

    Raises:
        TypeError: if one of the numbers or the axis is none.
        ValueError: if one is out of range.

    Example:
        >>> densa.constraints.MinMaxNorm(0.0, 1.0)(np.array([[3.0], [4.0]])).shape
        (2, 1)
    """

    def __init__(
        self, min_value: float = 0.0, max_value: float = 1.0, rate: float = 1.0, axis: Any = 0
    ) -> None:
        check_real_number("MinMaxNorm: `min_value`", min_value, least=0)
        check_real_number("MinMaxNorm: `max_value`", max_value, least=min_value)
        check_real_number("MinMaxNorm: `rate`", rate, least=0)
        if rate > 1:
            raise ValueError(f"MinMaxNorm: `rate` must lie between 0 and 1; received {rate!r}.")
        self.min_value = min_value
        self.max_value = max_value
        self.rate = rate
        self.axis = check_axis(axis, owner="MinMaxNorm")

    def __call__(self, w: Any) -> Any:
        norms = _norm(w, self.axis)
        inside = _core.apply(
            "multiply", _clip(norms, float(self.min_value), float(self.max_value)), float(self.rate)
        )
        rest = _core.apply("multiply", norms, 1.0 - float(self.rate))
        return _rescale(w, _core.apply("add", inside, rest), norms)

    def get_config(self) -> dict[str, Any]:
        return {
            "min_value": self.min_value,
            "max_value": self.max_value,
            "rate": self.rate,
            "axis": self.axis,
        }


# Keras' names in small letters.
max_norm, non_neg, unit_norm, min_max_norm = MaxNorm, NonNeg, UnitNorm, MinMaxNorm

_family = Family(
    "constraint",
    "densa.constraints",
    {
        "MaxNorm": MaxNorm,
        "NonNeg": NonNeg,
        "UnitNorm": UnitNorm,
        "MinMaxNorm": MinMaxNorm,
        "max_norm": MaxNorm,
        "non_neg": NonNeg,
        "unit_norm": UnitNorm,
        "min_max_norm": MinMaxNorm,
    },
)


@hinted
def serialize(constraint: Any) -> Any:
    """Return plain data for a constraint.

    Example:
        >>> densa.constraints.serialize(densa.constraints.NonNeg())["class_name"]
        'NonNeg'
    """
    return _family.serialize(constraint)


@hinted
def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """Make a constraint from its name or from `serialize`'s answer.

    Example:
        >>> densa.constraints.deserialize("max_norm").max_value
        2
    """
    return _family.deserialize(config, custom_objects)


@hinted
def get(identifier: Any) -> Any:
    """Return a constraint for a name, config, function or instance; None stays None.

    Raises:
        ValueError: for a name that is not known; the nearest one is named.

    Example:
        >>> densa.constraints.get("non_neg").__class__.__name__
        'NonNeg'
    """
    return _family.get(identifier)


__all__ = [
    "Constraint",
    "MaxNorm",
    "MinMaxNorm",
    "NonNeg",
    "UnitNorm",
    "deserialize",
    "get",
    "max_norm",
    "min_max_norm",
    "non_neg",
    "serialize",
    "unit_norm",
]

if not TYPE_CHECKING:  # lest type checkers take every name for known
    __getattr__ = suggesting(__name__)
