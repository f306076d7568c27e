"""Discrete Fourier transforms of pairs (real, imaginary): part of `densa.ops`.

Each is a product with the matrix of its cosines and sines, n² terms for n numbers: the networks
that densa is for have short signals, and a product has a kernel, a gradient, and a place in frozen
and exported networks.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from densa.device import beside, together
from densa.ops._public import apply, floating, known_size, made, public


def _pair(name: str, x: Any) -> tuple[Any, Any]:
    if not isinstance(x, (tuple, list)) or len(x) != 2:
        raise ValueError(
            f"{name}: expected a pair (real, imaginary) of arrays; got {type(x).__name__}."
        )
    real, imaginary = (floating(part) for part in together(*x))
    if tuple(real.shape) != tuple(imaginary.shape) or real.ndim < 1:
        raise ValueError(
            f"{name}: both parts need one shape of an axis or more; got {tuple(real.shape)} and "
            f"{tuple(imaginary.shape)}."
        )
    return real, imaginary


def _waves(x: Any, size: int, count: int, sign: float) -> tuple[Any, Any]:
    """Return cosines and sines of 2π·k·n/size, for n < size and k < count."""
    # The product modulo size, so that no large angle loses digits.
    turns = np.outer(np.arange(size), np.arange(count)) % max(size, 1)
    angles = turns * (2 * np.pi / max(size, 1))
    parts = (np.cos(angles), sign * np.sin(angles))
    cosines, sines = (beside(made(part, x.dtype), x) for part in parts)
    return cosines, sines


def _transform(real: Any, imaginary: Any, sign: float, name: str) -> tuple[Any, Any]:
    size = known_size(real, real.ndim - 1, name)
    cosines, sines = _waves(real, size, size, sign)
    alone = real.ndim == 1
    if alone:
        real, imaginary = (apply("reshape", p, shape=[1, size]) for p in (real, imaginary))
    a = apply("matmul", real, cosines) - apply("matmul", imaginary, sines)
    b = apply("matmul", real, sines) + apply("matmul", imaginary, cosines)
    if alone:
        a, b = (apply("reshape", part, shape=[size]) for part in (a, b))
    return a, b


@public
def fft(x: Any) -> tuple[Any, Any]:
    """Return the discrete Fourier transform along the last axis: Σₙ xₙ exp(-2πi·kn/N).

    Args:
        x: a pair (real, imaginary) of arrays of one shape.

    Returns:
        The same kind of pair.

    Raises:
        ValueError: for anything else.

    Example:
        >>> real, imaginary = densa.ops.fft(([1.0, 2.0], [0.0, 0.0]))
        >>> real.numpy().tolist()
        [3.0, -1.0]
    """
    return _transform(*_pair("fft", x), -1.0, "fft")


@public
def ifft(x: Any) -> tuple[Any, Any]:
    """Return the inverse of the discrete Fourier transform: (1/N) Σₖ xₖ exp(2πi·kn/N).

    Args:
        x: a pair (real, imaginary) of arrays of one shape.

    Returns:
        The same kind of pair.

    Raises:
        ValueError: for anything else.

    Example:
        >>> real, imaginary = densa.ops.ifft(([3.0, -1.0], [0.0, 0.0]))
        >>> real.numpy().tolist()
        [1.0, 2.0]
    """
    real, imaginary = _transform(*_pair("ifft", x), 1.0, "ifft")
    share = 1.0 / max(1, known_size(real, real.ndim - 1, "ifft"))
    return real * share, imaginary * share


def _planes(name: str, x: Any, sign: float) -> tuple[Any, Any]:
    pair = _pair(name, x)
    if pair[0].ndim < 2:
        raise ValueError(f"{name}: expected two axes or more; got {tuple(pair[0].shape)}.")
    for _ in range(2):
        real, imaginary = _transform(*pair, sign, name)
        rank = real.ndim
        perm = [*range(rank - 2), rank - 1, rank - 2]
        pair = (apply("transpose", real, perm=perm), apply("transpose", imaginary, perm=perm))
    return pair


@public
def fft2(x: Any) -> tuple[Any, Any]:
    """Return the discrete Fourier transform along the last two axes.

    Args:
        x: a pair (real, imaginary) of arrays of one shape.

    Returns:
        The same kind of pair.

    Raises:
        ValueError: for anything else, or fewer than two axes.

    Example:
        >>> real, imaginary = densa.ops.fft2(([[1.0, 2.0]], [[0.0, 0.0]]))
        >>> real.numpy().tolist()
        [[3.0, -1.0]]
    """
    return _planes("fft2", x, -1.0)


@public
def ifft2(x: Any) -> tuple[Any, Any]:
    """Return the inverse of the discrete Fourier transform along the last two axes.

    Args:
        x: a pair (real, imaginary) of arrays of one shape.

    Returns:
        The same kind of pair.

    Raises:
        ValueError: for anything else, or fewer than two axes.

    Example:
        >>> real, imaginary = densa.ops.ifft2(([[3.0, -1.0]], [[0.0, 0.0]]))
        >>> real.numpy().tolist()
        [[1.0, 2.0]]
    """
    real, imaginary = _planes("ifft2", x, 1.0)
    sizes = [known_size(real, real.ndim - i, "ifft2") for i in (1, 2)]
    share = 1.0 / max(1, sizes[0] * sizes[1])
    return real * share, imaginary * share


def _fitted(x: Any, length: int) -> Any:
    """Return x cut or filled up with zeros to a length along the last axis."""
    size = known_size(x, x.ndim - 1, "fft_length")
    if size >= length:
        return x[..., :length]
    shape = [-1 if d is None else int(d) for d in x.shape[:-1]]
    return apply("pad_slice", x, begin=[0] * x.ndim, step=[1] * x.ndim, shape=[*shape, length])


def _length(name: str, length: Any, missing: int) -> int:
    if length is None:
        return missing
    if isinstance(length, bool) or not isinstance(length, (int, np.integer)) or length < 1:
        raise ValueError(f"{name}: fft_length must be a whole number above 0; got {length!r}.")
    return int(length)


@public
def rfft(x: Any, fft_length: int | None = None) -> tuple[Any, Any]:
    """Return the first N/2 + 1 numbers of the Fourier transform of real numbers.

    Args:
        x: real numbers; the last axis is transformed.
        fft_length: N: x is cut or filled up with zeros to it; None is x's size.

    Returns:
        A pair (real, imaginary); the others are these, conjugated, backwards.

    Raises:
        ValueError: for an array without an axis, or an N below 1.

    Example:
        >>> real, imaginary = densa.ops.rfft([1.0, 2.0, 3.0, 4.0])
        >>> real.numpy().round(4).tolist()
        [10.0, -2.0, -2.0]
    """
    x = floating(x)
    if x.ndim < 1:
        raise ValueError("rfft: expected an array of one axis or more; got a number.")
    size = _length("rfft", fft_length, known_size(x, x.ndim - 1, "rfft"))
    x = _fitted(x, size)
    parts = _waves(x, size, size // 2 + 1, -1.0)
    if x.ndim > 1:
        return apply("matmul", x, parts[0]), apply("matmul", x, parts[1])
    row = apply("reshape", x, shape=[1, size])
    real, imaginary = (apply("reshape", apply("matmul", row, p), shape=[-1]) for p in parts)
    return real, imaginary


@public
def irfft(x: Any, fft_length: int | None = None) -> Any:
    """Return the real numbers whose `rfft` is x.

    Args:
        x: a pair (real, imaginary) of arrays of one shape, as rfft gives it.
        fft_length: how many numbers; None is 2·(k - 1) for a last axis of k.

    Raises:
        ValueError: for anything else.

    Example:
        >>> densa.ops.irfft(densa.ops.rfft([1.0, 2.0, 3.0, 4.0])).numpy().round(4).tolist()
        [1.0, 2.0, 3.0, 4.0]
    """
    real, imaginary = _pair("irfft", x)
    size = _length("irfft", fft_length, 2 * (known_size(real, real.ndim - 1, "irfft") - 1))
    half = size // 2 + 1
    real, imaginary = _fitted(real, half), _fitted(imaginary, half)
    cosines, sines = _waves(real, size, half, 1.0)
    # All but the first, and the middle one of an even size, stand for two.
    weights = np.full(half, 2.0 / max(size, 1))
    weights[0] = 1.0 / max(size, 1)
    if size % 2 == 0:
        weights[-1] = 1.0 / max(size, 1)
    weight = beside(made(weights, real.dtype), real)
    alone = real.ndim == 1
    if alone:
        real, imaginary = (apply("reshape", p, shape=[1, half]) for p in (real, imaginary))
    back = [apply("transpose", m, perm=[1, 0]) for m in (cosines, sines)]
    out = apply("matmul", real * weight, back[0]) - apply("matmul", imaginary * weight, back[1])
    return apply("reshape", out, shape=[size]) if alone else out
