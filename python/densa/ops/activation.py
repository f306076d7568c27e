"""Activations, softmax among them: part of `densa.ops`."""

from __future__ import annotations

from typing import Any

import numpy as np

from densa.ops._public import (
    apply,
    axes_of,
    floating,
    place,
    public,
    reshaped,
)


@public
def relu(x: Any) -> Any:
    """Return max(x, 0); the slope at 0 is 0."""
    return apply("relu", x)


@public
def relu6(x: Any) -> Any:
    """Return min(max(x, 0), 6)."""
    return apply("relu6", x)


@public
def leaky_relu(x: Any, negative_slope: float = 0.2) -> Any:
    """Return x, times negative_slope below zero."""
    return apply("leaky_relu", x, negative_slope=float(negative_slope))


@public
def elu(x: Any, alpha: float = 1.0) -> Any:
    """Return x, and alpha · (eˣ - 1) below zero."""
    return apply("elu", x, alpha=float(alpha))


@public
def celu(x: Any, alpha: float = 1.0) -> Any:
    """Return x, and alpha · (e^(x / alpha) - 1) below zero."""
    return apply("celu", x, alpha=float(alpha))


@public
def selu(x: Any) -> Any:
    """Return the scaled elu that keeps mean 0 and variance 1."""
    return apply("selu", x)


@public
def gelu(x: Any, approximate: bool = True) -> Any:
    """Return x Φ(x); approximate takes Φ by a tanh, as Keras' ops do by default."""
    return apply("gelu_tanh" if approximate else "gelu", x)


@public
def silu(x: Any) -> Any:
    """Return x · sigmoid(x)."""
    return apply("silu", x)


@public
def swish(x: Any) -> Any:
    """Return x · sigmoid(x), like `silu`."""
    return apply("silu", x)


@public
def mish(x: Any) -> Any:
    """Return x · tanh(softplus(x))."""
    return apply("mish", x)


@public
def sigmoid(x: Any) -> Any:
    """Return 1 / (1 + e⁻ˣ)."""
    return apply("sigmoid", x)


@public
def log_sigmoid(x: Any) -> Any:
    """Return log(sigmoid(x)) without underflow."""
    return apply("log_sigmoid", x)


@public
def hard_sigmoid(x: Any) -> Any:
    """Return relu6(x + 3) / 6."""
    return apply("hard_sigmoid", x)


@public
def hard_silu(x: Any) -> Any:
    """Return x · relu6(x + 3) / 6."""
    return apply("hard_silu", x)


@public
def hard_swish(x: Any) -> Any:
    """Return x · relu6(x + 3) / 6, like `hard_silu`."""
    return apply("hard_silu", x)


@public
def hard_tanh(x: Any) -> Any:
    """Return x held between -1 and 1."""
    return apply("minimum", apply("maximum", x, -1.0), 1.0)


@public
def softplus(x: Any) -> Any:
    """Return log(1 + eˣ)."""
    return apply("softplus", x)


@public
def softsign(x: Any) -> Any:
    """Return x / (1 + |x|)."""
    return apply("softsign", x)


@public
def squareplus(x: Any, b: float = 4.0) -> Any:
    """Return (x + √(x² + b)) / 2."""
    return 0.5 * (floating(x) + apply("sqrt", apply("add", apply("square", floating(x)), b)))


@public
def tanh_shrink(x: Any) -> Any:
    """Return x - tanh(x)."""
    return apply("subtract", floating(x), apply("tanh", x))


@public
def soft_shrink(x: Any, threshold: float = 0.5) -> Any:
    """Return x moved by threshold towards zero, and 0 within it."""
    x = floating(x)
    return apply("relu", x - threshold) - apply("relu", -x - threshold)


@public
def hard_shrink(x: Any, threshold: float = 0.5) -> Any:
    """Return x, and 0 where |x| ≤ threshold."""
    x = floating(x)
    return apply("where", apply("greater", apply("abs", x), threshold), x, 0.0)


@public
def threshold(x: Any, threshold: float, default_value: float) -> Any:
    """Return x where it is above threshold, else default_value."""
    return apply("where", apply("greater", x, threshold), x, default_value)


@public
def glu(x: Any, axis: int = -1) -> Any:
    """Return the first half along an axis times the sigmoid of the second half."""
    x = floating(x)
    where = place(axis, x.ndim, "glu")
    if x.shape[where] is None or x.shape[where] % 2:
        raise ValueError(f"glu: axis {axis} of shape {tuple(x.shape)} must have an even size.")
    half = x.shape[where] // 2
    front = (np.s_[:],) * where
    return x[(*front, np.s_[:half])] * apply("sigmoid", x[(*front, np.s_[half:])])


def _over_axes(name: str, x: Any, axis: Any) -> Any:
    if isinstance(axis, int):
        return apply(name, x, axis=axis)
    x = floating(x)
    if axis is None:
        return reshaped(apply(name, reshaped(x, [-1]), axis=0), x.shape)
    axes = [place(a, x.ndim, name) for a in axes_of(axis)]
    order = [a for a in range(x.ndim) if a not in axes] + axes
    moved = apply("transpose", x, perm=order)
    kept = list(moved.shape[: x.ndim - len(axes)])
    out = reshaped(apply(name, reshaped(moved, [*kept, -1]), axis=-1), moved.shape)
    return apply("transpose", out, perm=[order.index(a) for a in range(x.ndim)])


@public
def softmax(x: Any, axis: Any = -1) -> Any:
    """Return eˣ / Σ eˣ along an axis, several axes, or (None) all.

    Example:
        >>> densa.ops.softmax([0.0, 0.0]).numpy()
        array([0.5, 0.5], dtype=float32)
    """
    return _over_axes("softmax", x, axis)


@public
def log_softmax(x: Any, axis: Any = -1) -> Any:
    """Return log softmax(x) without underflow."""
    return _over_axes("log_softmax", x, axis)
