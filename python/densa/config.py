"""Package-wide defaults: floatx, epsilon, the dtype policy and the precision of products."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from densa._names import Named, hinted, nearest, suggesting

_FLOATS = ("float32", "float64")
_DTYPES = (
    *_FLOATS,
    "float16",
    "bfloat16",
    "bool",
    *(f"{u}int{n}" for u in ("", "u") for n in (8, 16, 32, 64)),
)
_MIXED = {"mixed_bfloat16": "bfloat16", "mixed_float16": "float16"}
_floatx = "float32"
_epsilon = 1e-7
_policy: DTypePolicy | None = None


def floatx() -> str:
    """Return the default float type, `"float32"` unless `set_floatx` was called.

    Example:
        >>> densa.config.floatx()
        'float32'
    """
    return _floatx


@hinted
def set_floatx(value: str) -> None:
    """Set the default float type of layers, variables and Python floats.

    Args:
        value: `"float32"` or `"float64"`.

    Raises:
        ValueError: for any other name.

    Example:
        >>> densa.config.set_floatx("float32")
    """
    from densa import _core

    global _floatx
    name = _check_float(value, "floatx")

    _core.set_floatx(name)
    _floatx = name
    _core.set_floatx(_floatx)


def epsilon() -> float:
    """Return the small number that losses and metrics add against division by zero.

    Example:
        >>> densa.config.epsilon()
        1e-07
    """
    return _epsilon


@hinted
def set_epsilon(value: float) -> None:
    """Set the small number that losses and metrics add against division by zero.

    Args:
        value: a positive number.

    Raises:
        ValueError: if it is not above zero.

    Example:
        >>> densa.config.set_epsilon(1e-7)
    """
    global _epsilon
    number = float(value)
    if not number > 0:
        raise ValueError(f"epsilon must be a number above 0; got {value!r}.")
    _epsilon = number


class DTypePolicy(Named):
    """Name the type in which a layer computes and the type in which it keeps its variables.

    Args:
        name: `"float32"` or `"float64"` for both types; `"mixed_bfloat16"` or `"mixed_float16"`
            to compute in 16 bits on variables of float32. None means floatx.

    Raises:
        ValueError: for a name that is not known.

    Example:
        >>> policy = densa.DTypePolicy("mixed_bfloat16")
        >>> policy.compute_dtype, policy.variable_dtype
        ('bfloat16', 'float32')
    """

    def __init__(self, name: str | None = None) -> None:
        self._name = _floatx if name is None else _check_policy(name)

    @property
    def name(self) -> str:
        return self._name

    @property
    def compute_dtype(self) -> str:
        """Type that floating inputs are cast to."""
        return _MIXED.get(self._name, self._name)

    @property
    def variable_dtype(self) -> str:
        """Type of floating variables."""
        return "float32" if self._name in _MIXED else self._name

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make an equal policy."""
        return {"name": self._name}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> DTypePolicy:
        """Make a policy from `get_config`'s answer."""
        return cls(**config)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DTypePolicy) and other._name == self._name

    def __hash__(self) -> int:
        return hash(("DTypePolicy", self._name))

    def __repr__(self) -> str:
        return f'<DTypePolicy "{self._name}">'


def dtype_policy() -> DTypePolicy:
    """Return the policy that layers get when no `dtype` is given.

    Example:
        >>> densa.config.dtype_policy().name
        'float32'
    """
    return DTypePolicy(_floatx) if _policy is None else _policy


def set_dtype_policy(policy: str | DTypePolicy | None) -> None:
    """Set the policy of layers that are made without a `dtype`; None goes back to floatx.

    Example:
        >>> densa.config.set_dtype_policy("float32")
    """
    global _policy
    _policy = None if policy is None else get_policy(policy)


def matmul_precision() -> str:
    """Return how exact products of float32 are on a GPU, `"highest"` unless it was set.

    Example:
        >>> densa.config.matmul_precision()
        'highest'
    """
    from densa import _core

    return str(_core.matmul_precision())


def set_matmul_precision(value: str) -> None:
    """Set how exact products of float32 are on a GPU; on the CPU they are always float32.

    With factors a and b of float32, each rounded to 11 bits (TF32) as hi(a), the rest as lo(a):

        highest   a * b in float32, without tensor cores
        high      hi(a) * hi(b) + hi(a) * lo(b) + lo(a) * hi(b), an error of about 2^-21
        medium    hi(a) * hi(b), an error of up to 2^-10

    Sums are float32. Products of fewer than 17 rows, columns or terms, and those inside the one
    launch of narrow layers, stay exact. An op reads the setting when it runs, a model at its next
    epoch or call: the steps are then planned anew. A frozen model keeps what was set. The
    environment's `DENSA_CUDA_MATMUL` (`exact`, `tf32x3`, `tf32`) holds until the first call.

    Args:
        value: `"highest"`, `"high"` or `"medium"`.

    Raises:
        TypeError: if it is no string.
        ValueError: for any other name. A GPU without TF32 (compute capability below 8.0) raises
            when it multiplies.

    Example:
        >>> densa.config.set_matmul_precision("highest")
    """
    from densa import _core

    if not isinstance(value, str):
        raise TypeError(
            f"matmul_precision must be 'highest', 'high' or 'medium'; got {type(value).__name__}."
        )
    _core.set_matmul_precision(value)


def get_policy(identifier: Any) -> DTypePolicy:
    """Turn None, a type, a policy or its configuration into a policy."""
    if identifier is None:
        return dtype_policy()
    if isinstance(identifier, DTypePolicy):
        return identifier
    if isinstance(identifier, dict):
        config = identifier.get("config", identifier)
        if isinstance(config, dict) and isinstance(config.get("name"), str):
            return DTypePolicy(config["name"])
        raise ValueError(f"This is not the configuration of a dtype policy: {identifier!r}.")
    return DTypePolicy(dtype_name(identifier))


def dtype_name(dtype: Any) -> str:
    """Return the name of a dtype given as a string, a NumPy dtype, a scalar type or None."""
    if isinstance(dtype, str):
        return "float32" if dtype == "float" else "int32" if dtype == "int" else dtype
    if dtype is None:
        return _floatx
    if dtype is float:
        return _floatx
    if dtype is int:
        return "int32"
    if dtype is bool:
        return "bool"
    name = getattr(dtype, "name", None)
    if isinstance(name, str):
        return name
    import numpy as np

    try:
        return str(np.dtype(dtype).name)
    except (TypeError, ValueError):
        hint = nearest(dtype, _DTYPES) if isinstance(dtype, str) else ""
        raise TypeError(
            f"{dtype!r} is no dtype.{hint} Expected a name such as 'float32', a NumPy dtype, or "
            "None for floatx."
        ) from None


def _check_float(value: Any, what: str) -> str:
    name = dtype_name(value) if value is not None else "None"
    if name in _FLOATS:
        return name
    raise ValueError(f'{what} must be "float32" or "float64"; got {value!r}.')


def _check_policy(value: Any) -> str:
    name = dtype_name(value)
    if name in _FLOATS or name in _MIXED:
        return name
    hint = ""
    if name in _MIXED.values():
        hint = f' Variables of 16 bits are not available: use "mixed_{name}".'
    known = ", ".join(f'"{n}"' for n in (*_FLOATS, *_MIXED))
    raise ValueError(f"a dtype policy must be one of {known}; got {value!r}.{hint}")


def is_float(dtype: Any) -> bool:
    """Tell whether a dtype, by name, is a floating one, of 16 bits or more."""
    return "float" in str(dtype)


def float_limits(dtype: str) -> tuple[float, float]:
    """Return the smallest and the largest finite number of a floating dtype."""
    import numpy as np

    largest = (2 - 2**-7) * 2.0**127 if dtype == "bfloat16" else float(np.finfo(dtype).max)
    return -largest, largest


def numpy_float(dtype: str) -> str:
    """Return the dtype that NumPy computes in for a dtype of densa: float32 for bfloat16."""
    return "float32" if dtype == "bfloat16" else dtype


if not TYPE_CHECKING:  # lest type checkers take every name for known
    __getattr__ = suggesting(__name__)
