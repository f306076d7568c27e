"""Whole numbers as bits, divisors and sets: part of `densa.ops`. Bits have no kernel."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from densa import _core, config
from densa.device import together
from densa.ops._host import on_host
from densa.ops._public import apply, public, reshaped, scalar, tensor


def _whole(name: str, *xs: Any) -> list[Any]:
    """Return Tensors of one integer type; TypeError for floats."""
    found = together(*xs)
    for x in found:
        if config.is_float(x.dtype):
            raise TypeError(
                f"{name}: expected whole numbers or booleans; got {x.dtype}. Cast them first: "
                "ops.cast(x, 'int32')."
            )
    if len(found) == 1:
        return found
    # A number takes the type of the array beside it, as in other ops.
    weak = [isinstance(x, (bool, int)) for x in xs]
    if weak[0] != weak[1]:
        kind = found[weak.index(False)].dtype
    else:
        kind = _core.result_type(*found)
    return [apply("cast", x, dtype=kind) for x in found]


def _bitwise(name: str, numpy_function: Callable[..., Any], of_bools: str, x: Any, y: Any) -> Any:
    pair = _whole(name, x, y)
    if pair[0].dtype == "bool":
        return apply(of_bools, *pair)
    return on_host(name, numpy_function, *pair)


@public
def bitwise_and(x: Any, y: Any) -> Any:
    """Return the bits that both have; of booleans, whether both are true.

    Args:
        x: whole numbers or booleans.
        y: the same, of a shape that broadcasts with x's.

    Raises:
        TypeError: for floats.

    Example:
        >>> densa.ops.bitwise_and([12, 10], [10, 3]).numpy().tolist()
        [8, 2]
    """
    return _bitwise("bitwise_and", np.bitwise_and, "logical_and", x, y)


@public
def bitwise_or(x: Any, y: Any) -> Any:
    """Return the bits that one of both has; of booleans, whether one is true.

    Args:
        x: whole numbers or booleans.
        y: the same, of a shape that broadcasts with x's.

    Raises:
        TypeError: for floats.

    Example:
        >>> densa.ops.bitwise_or([12, 10], [10, 3]).numpy().tolist()
        [14, 11]
    """
    return _bitwise("bitwise_or", np.bitwise_or, "logical_or", x, y)


@public
def bitwise_xor(x: Any, y: Any) -> Any:
    """Return the bits that one of both has, but not the other.

    Args:
        x: whole numbers or booleans.
        y: the same, of a shape that broadcasts with x's.

    Raises:
        TypeError: for floats.

    Example:
        >>> densa.ops.bitwise_xor([12, 10], [10, 3]).numpy().tolist()
        [6, 9]
    """
    return _bitwise("bitwise_xor", np.bitwise_xor, "logical_xor", x, y)


@public
def bitwise_not(x: Any) -> Any:
    """Return each number with all bits turned: -x - 1 with a sign; of booleans, the other one.

    Args:
        x: whole numbers or booleans.

    Raises:
        TypeError: for floats.

    Example:
        >>> densa.ops.bitwise_not([0, 5]).numpy().tolist()
        [-1, -6]
    """
    (x,) = _whole("bitwise_not", x)
    return apply("logical_not", x) if x.dtype == "bool" else on_host("bitwise_not", np.invert, x)


@public
def bitwise_invert(x: Any) -> Any:
    """Return each number with all bits turned: another name of `bitwise_not`.

    Args:
        x: whole numbers or booleans.

    Raises:
        TypeError: for floats.

    Example:
        >>> densa.ops.bitwise_invert([0, 5]).numpy().tolist()
        [-1, -6]
    """
    return bitwise_not(x)


@public
def bitwise_left_shift(x: Any, y: Any) -> Any:
    """Return x·2ʸ: the bits moved up by y places.

    Args:
        x: whole numbers.
        y: places, from 0 to below the number of bits.

    Raises:
        TypeError: for floats.

    Example:
        >>> densa.ops.bitwise_left_shift([1, 3], 2).numpy().tolist()
        [4, 12]
    """
    return on_host("bitwise_left_shift", np.left_shift, *_whole("bitwise_left_shift", x, y))


@public
def left_shift(x: Any, y: Any) -> Any:
    """Return x·2ʸ: another name of `bitwise_left_shift`.

    Args:
        x: whole numbers.
        y: places, from 0 to below the number of bits.

    Raises:
        TypeError: for floats.

    Example:
        >>> densa.ops.left_shift([1, 3], 2).numpy().tolist()
        [4, 12]
    """
    return bitwise_left_shift(x, y)


@public
def bitwise_right_shift(x: Any, y: Any) -> Any:
    """Return ⌊x / 2ʸ⌋: the bits moved down by y places, the sign kept.

    Args:
        x: whole numbers.
        y: places, from 0 to below the number of bits.

    Raises:
        TypeError: for floats.

    Example:
        >>> densa.ops.bitwise_right_shift([8, -3], 1).numpy().tolist()
        [4, -2]
    """
    return on_host("bitwise_right_shift", np.right_shift, *_whole("bitwise_right_shift", x, y))


@public
def right_shift(x: Any, y: Any) -> Any:
    """Return ⌊x / 2ʸ⌋: another name of `bitwise_right_shift`.

    Args:
        x: whole numbers.
        y: places, from 0 to below the number of bits.

    Raises:
        TypeError: for floats.

    Example:
        >>> densa.ops.right_shift([8, -3], 1).numpy().tolist()
        [4, -2]
    """
    return bitwise_right_shift(x, y)


@public
def gcd(x1: Any, x2: Any) -> Any:
    """Return the greatest number that divides both; never negative.

    Args:
        x1: whole numbers.
        x2: whole numbers, of a shape that broadcasts with x1's.

    Raises:
        TypeError: for floats.

    Example:
        >>> densa.ops.gcd([12, 7], 18).numpy().tolist()
        [6, 1]
    """
    return on_host("gcd", np.gcd, *_whole("gcd", x1, x2))


@public
def lcm(x1: Any, x2: Any) -> Any:
    """Return the least number that both divide; never negative.

    Args:
        x1: whole numbers.
        x2: whole numbers, of a shape that broadcasts with x1's.

    Raises:
        TypeError: for floats.

    Example:
        >>> densa.ops.lcm([4, 7], 6).numpy().tolist()
        [12, 42]
    """
    return on_host("lcm", np.lcm, *_whole("lcm", x1, x2))


@public
def isin(x1: Any, x2: Any, assume_unique: bool = False, invert: bool = False) -> Any:
    """Tell of each element of x1 whether it is one of x2's.

    Args:
        x1: numbers of any shape.
        x2: numbers of any shape; compared with each element, so not too many.
        assume_unique: accepted for Keras.
        invert: whether to tell which are none of x2's.

    Returns:
        Booleans in x1's shape.

    Example:
        >>> densa.ops.isin([1, 2, 3], [3, 1]).numpy().tolist()
        [True, False, True]
    """
    x, among = together(x1, x2)
    same = apply("equal", reshaped(x, [*x.shape, 1]), reshaped(among, [-1]))
    found = apply("any", same, axis=[x.ndim])
    return apply("logical_not", found) if invert else found


@public
def view(x: Any, dtype: Any = None) -> Any:
    """Return the bytes of x read as another type; the last axis shrinks or grows with it.

    Args:
        x: numbers; no kernel reads them so, NumPy does.
        dtype: the type to read; None is x's.

    Raises:
        TypeError: for bfloat16, which NumPy has not.

    Example:
        >>> densa.ops.view(np.float32(1.0), "int32").numpy().tolist()
        1065353216
    """
    x = tensor(x)
    kind = x.dtype if dtype is None else config.dtype_name(dtype)
    if "bfloat16" in (x.dtype, kind):
        raise TypeError("view: bytes of bfloat16 cannot be read as another type, nor into it.")

    def read(array: Any) -> Any:
        line = np.ascontiguousarray(array)  # which gives a number an axis
        return line.view(kind) if np.ndim(array) else line.view(kind).reshape(())

    return on_host("view", read, x)


@public
def saturate_cast(x: Any, dtype: Any) -> Any:
    """Return x as another type; what does not fit becomes the least or the largest that does.

    Args:
        x: numbers.
        dtype: type name.

    Returns:
        Numbers of that type; NaN becomes 0 in a type of whole numbers.

    Example:
        >>> densa.ops.saturate_cast([-3.0, 7.0, 300.0], "uint8").numpy().tolist()
        [0, 7, 255]
    """
    x = tensor(x)
    kind = config.dtype_name(dtype)
    if kind == x.dtype or x.dtype == "bool" or kind == "bool":
        return apply("cast", x, dtype=kind)
    if config.is_float(kind):
        if not config.is_float(x.dtype):
            return apply("cast", x, dtype=kind)
        low, high = (float(limit) for limit in config.float_limits(kind))
        known = config.float_limits(x.dtype)
        low, high = max(low, known[0]), min(high, known[1])
        return apply("cast", apply("minimum", apply("maximum", x, low), high), dtype=kind)
    limits = np.iinfo(kind)
    if config.is_float(x.dtype):
        x = apply("cast", x, dtype="float64")
        x = apply("where", apply("isnan", x), scalar(0.0, x), x)
        # The largest float64 that is still such a number: 2**63 is none of int64.
        high = float(limits.max)
        high = high if int(high) <= limits.max else float(np.nextafter(high, 0))
        x = apply("minimum", apply("maximum", x, float(limits.min)), high)
        return apply("cast", x, dtype=kind)
    own = np.iinfo(x.dtype)
    low, high = max(int(limits.min), int(own.min)), min(int(limits.max), int(own.max))
    if low > own.min:
        x = apply("maximum", x, low)
    if high < own.max:
        x = apply("minimum", x, high)
    return apply("cast", x, dtype=kind)
