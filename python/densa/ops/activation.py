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
    scalar,
)


@public
def relu(x: Any) -> Any:
    """Return max(x, 0); the slope at 0 is 0.

    Args:
        x: Tensor, array, number or list of any shape.

    Example:
        >>> densa.ops.relu(np.array([-1.0, 2.0])).numpy().round(4).tolist()
        [0.0, 2.0]
    """
    return apply("relu", x)


@public
def relu6(x: Any) -> Any:
    """Return min(max(x, 0), 6).

    Args:
        x: Tensor, array, number or list of any shape.

    Example:
        >>> densa.ops.relu6(np.array([-1.0, 2.0])).numpy().round(4).tolist()
        [0.0, 2.0]
    """
    return apply("relu6", x)


@public
def leaky_relu(x: Any, negative_slope: float = 0.2) -> Any:
    """Return x, times negative_slope below zero.

    Args:
        x: Tensor, array, number or list of any shape.
        negative_slope: slope below zero.

    Example:
        >>> densa.ops.leaky_relu(np.array([-1.0, 2.0])).numpy().round(4).tolist()
        [-0.2, 2.0]
    """
    return apply("leaky_relu", x, negative_slope=float(negative_slope))


@public
def elu(x: Any, alpha: float = 1.0) -> Any:
    """Return x, and alpha · (eˣ - 1) below zero.

    Args:
        x: Tensor, array, number or list of any shape.
        alpha: the limit far below zero is -alpha.

    Example:
        >>> densa.ops.elu(np.array([-1.0, 2.0])).numpy().round(4).tolist()
        [-0.6321, 2.0]
    """
    return apply("elu", x, alpha=float(alpha))


@public
def celu(x: Any, alpha: float = 1.0) -> Any:
    """Return x, and alpha · (e^(x / alpha) - 1) below zero.

    Args:
        x: Tensor, array, number or list of any shape.
        alpha: the limit far below zero is -alpha.

    Example:
        >>> densa.ops.celu(np.array([-1.0, 2.0])).numpy().round(4).tolist()
        [-0.6321, 2.0]
    """
    return apply("celu", x, alpha=float(alpha))


@public
def selu(x: Any) -> Any:
    """Return the scaled elu that keeps mean 0 and variance 1.

    Args:
        x: Tensor, array, number or list of any shape.

    Example:
        >>> densa.ops.selu(np.array([-1.0, 2.0])).numpy().round(4).tolist()
        [-1.1113, 2.1014]
    """
    return apply("selu", x)


@public
def gelu(x: Any, approximate: bool = True) -> Any:
    """Return x Φ(x); approximate takes Φ by a tanh, as Keras' ops do by default.

    Args:
        x: Tensor, array, number or list of any shape.
        approximate: whether to use the tanh formula.

    Example:
        >>> densa.ops.gelu(np.array([-1.0, 2.0])).numpy().round(4).tolist()
        [-0.1588, 1.9546]
    """
    return apply("gelu_tanh" if approximate else "gelu", x)


@public
def silu(x: Any) -> Any:
    """Return x · sigmoid(x).

    Args:
        x: Tensor, array, number or list of any shape.

    Example:
        >>> densa.ops.silu(np.array([-1.0, 2.0])).numpy().round(4).tolist()
        [-0.2689, 1.7616]
    """
    return apply("silu", x)


@public
def swish(x: Any) -> Any:
    """Return x · sigmoid(x), like `silu`.

    Args:
        x: Tensor, array, number or list of any shape.

    Example:
        >>> densa.ops.swish(np.array([-1.0, 2.0])).numpy().round(4).tolist()
        [-0.2689, 1.7616]
    """
    return apply("silu", x)


@public
def mish(x: Any) -> Any:
    """Return x · tanh(softplus(x)).

    Args:
        x: Tensor, array, number or list of any shape.

    Example:
        >>> densa.ops.mish(np.array([-1.0, 2.0])).numpy().round(4).tolist()
        [-0.3034, 1.944]
    """
    return apply("mish", x)


@public
def sigmoid(x: Any) -> Any:
    """Return 1 / (1 + e⁻ˣ).

    Args:
        x: Tensor, array, number or list of any shape.

    Example:
        >>> densa.ops.sigmoid(np.array([-1.0, 2.0])).numpy().round(4).tolist()
        [0.2689, 0.8808]
    """
    return apply("sigmoid", x)


@public
def log_sigmoid(x: Any) -> Any:
    """Return log(sigmoid(x)) without underflow.

    Args:
        x: Tensor, array, number or list of any shape.

    Example:
        >>> densa.ops.log_sigmoid(np.array([-1.0, 2.0])).numpy().round(4).tolist()
        [-1.3133, -0.1269]
    """
    return apply("log_sigmoid", x)


@public
def hard_sigmoid(x: Any) -> Any:
    """Return relu6(x + 3) / 6.

    Args:
        x: Tensor, array, number or list of any shape.

    Example:
        >>> densa.ops.hard_sigmoid(np.array([-1.0, 2.0])).numpy().round(4).tolist()
        [0.3333, 0.8333]
    """
    return apply("hard_sigmoid", x)


@public
def hard_silu(x: Any) -> Any:
    """Return x · relu6(x + 3) / 6.

    Args:
        x: Tensor, array, number or list of any shape.

    Example:
        >>> densa.ops.hard_silu(np.array([-1.0, 2.0])).numpy().round(4).tolist()
        [-0.3333, 1.6667]
    """
    return apply("hard_silu", x)


@public
def hard_swish(x: Any) -> Any:
    """Return x · relu6(x + 3) / 6, like `hard_silu`.

    Args:
        x: Tensor, array, number or list of any shape.

    Example:
        >>> densa.ops.hard_swish(np.array([-1.0, 2.0])).numpy().round(4).tolist()
        [-0.3333, 1.6667]
    """
    return apply("hard_silu", x)


@public
def hard_tanh(x: Any) -> Any:
    """Return x held between -1 and 1.

    Args:
        x: Tensor, array, number or list of any shape.

    Example:
        >>> densa.ops.hard_tanh(np.array([-1.0, 2.0])).numpy().round(4).tolist()
        [-1.0, 1.0]
    """
    return apply("minimum", apply("maximum", x, -1.0), 1.0)


@public
def softplus(x: Any) -> Any:
    """Return log(1 + eˣ).

    Args:
        x: Tensor, array, number or list of any shape.

    Example:
        >>> densa.ops.softplus(np.array([-1.0, 2.0])).numpy().round(4).tolist()
        [0.3133, 2.1269]
    """
    return apply("softplus", x)


@public
def softsign(x: Any) -> Any:
    """Return x / (1 + |x|).

    Args:
        x: Tensor, array, number or list of any shape.

    Example:
        >>> densa.ops.softsign(np.array([-1.0, 2.0])).numpy().round(4).tolist()
        [-0.5, 0.6667]
    """
    return apply("softsign", x)


@public
def squareplus(x: Any, b: float = 4.0) -> Any:
    """Return (x + √(x² + b)) / 2.

    Args:
        x: Tensor, array, number or list of any shape.
        b: how round the bend is.

    Example:
        >>> densa.ops.squareplus(np.array([-1.0, 2.0])).numpy().round(4).tolist()
        [0.618, 2.4142]
    """
    return 0.5 * (floating(x) + apply("sqrt", apply("add", apply("square", floating(x)), b)))


@public
def tanh_shrink(x: Any) -> Any:
    """Return x - tanh(x).

    Args:
        x: Tensor, array, number or list of any shape.

    Example:
        >>> densa.ops.tanh_shrink(np.array([-1.0, 2.0])).numpy().round(4).tolist()
        [-0.2384, 1.036]
    """
    return apply("subtract", floating(x), apply("tanh", x))


@public
def soft_shrink(x: Any, threshold: float = 0.5) -> Any:
    """Return x moved by threshold towards zero, and 0 within it.

    Args:
        x: Tensor, array, number or list of any shape.
        threshold: how far x is moved.

    Example:
        >>> densa.ops.soft_shrink(np.array([-1.0, 2.0])).numpy().round(4).tolist()
        [-0.5, 1.5]
    """
    x = floating(x)
    return apply("relu", x - threshold) - apply("relu", -x - threshold)


@public
def hard_shrink(x: Any, threshold: float = 0.5) -> Any:
    """Return x, and 0 where |x| ≤ threshold.

    Args:
        x: Tensor, array, number or list of any shape.
        threshold: half the width of the zeros.

    Example:
        >>> densa.ops.hard_shrink(np.array([-0.3, 2.0])).numpy().round(4).tolist()
        [0.0, 2.0]
    """
    x = floating(x)
    return apply("where", apply("greater", apply("abs", x), threshold), x, 0.0)


@public
def threshold(x: Any, threshold: float, default_value: float) -> Any:
    """Return x where it is above threshold, else default_value.

    Args:
        x: Tensor, array, number or list of any shape.
        threshold: the limit.
        default_value: what stands for the rest.

    Example:
        >>> densa.ops.threshold([0.5, 2.0], 1.0, -1.0).numpy().tolist()
        [-1.0, 2.0]
    """
    return apply("where", apply("greater", x, threshold), x, default_value)


@public
def glu(x: Any, axis: int = -1) -> Any:
    """Return the first half along an axis times the sigmoid of the second half.

    Args:
        x: numbers.
        axis: the axis that is halved.

    Raises:
        ValueError: if the size of that axis is odd.

    Example:
        >>> densa.ops.glu([1.0, 2.0, 0.0, 0.0]).numpy().tolist()
        [0.5, 1.0]
    """
    x = floating(x)
    where = place(axis, x.ndim, "glu")
    if x.shape[where] is None or x.shape[where] % 2:
        raise ValueError(f"glu: axis {axis} of shape {tuple(x.shape)} must have an even size.")
    half = x.shape[where] // 2
    front = (np.s_[:],) * where
    return x[(*front, np.s_[:half])] * apply("sigmoid", x[(*front, np.s_[half:])])


@public
def sparse_plus(x: Any) -> Any:
    """Return 0 up to -1, x from 1 on, and (x + 1)² / 4 between: a softplus with exact zeros.

    Args:
        x: Tensor, array, number or list of any shape.

    Example:
        >>> densa.ops.sparse_plus([-2.0, 0.0, 3.0]).numpy().tolist()
        [0.0, 0.25, 3.0]
    """
    x = floating(x)
    bend = apply("multiply", apply("square", apply("add", x, 1.0)), 0.25)
    low = apply("where", apply("less_equal", x, -1.0), scalar(0.0, x), bend)
    return apply("where", apply("greater_equal", x, 1.0), x, low)


@public
def sparse_sigmoid(x: Any) -> Any:
    """Return (x + 1) / 2, kept in [0, 1]: the slope of `sparse_plus`.

    Args:
        x: Tensor, array, number or list of any shape.

    Example:
        >>> densa.ops.sparse_sigmoid([-2.0, 0.0, 3.0]).numpy().tolist()
        [0.0, 0.5, 1.0]
    """
    line = apply("multiply", apply("add", floating(x), 1.0), 0.5)
    return apply("minimum", apply("maximum", line, 0.0), 1.0)


@public
def sparsemax(x: Any, axis: int = -1) -> Any:
    """Return the point of the simplex nearest to x: like softmax, with exact zeros.

    max(x - τ, 0) with the τ for which the result sums to 1; with Sᵢ the sum and kᵢ the number of
    the elements that are at least xᵢ, τ = maxᵢ (Sᵢ - 1) / kᵢ. Compares all pairs along the axis.
    Source: Martins and Astudillo, 2016, https://arxiv.org/abs/1602.02068.

    Args:
        x: numbers.
        axis: the axis whose elements sum to 1.

    Raises:
        ValueError: if there is no such axis.

    Example:
        >>> densa.ops.sparsemax([1.0, 0.5, -1.0]).numpy().tolist()
        [0.75, 0.25, 0.0]
    """
    x = floating(x)
    where = place(axis, x.ndim, "sparsemax")
    each = reshaped(x, [*x.shape[: where + 1], 1, *x.shape[where + 1 :]])
    others = reshaped(x, [*x.shape[:where], 1, *x.shape[where:]])
    # others[..., i, j] = x[j] counts for x[i] where it is at least as large.
    counts = apply("cast", apply("greater_equal", others, each), dtype=x.dtype)
    total = apply("sum", counts * others, axis=[where + 1])
    number = apply("sum", counts, axis=[where + 1])
    bound = apply("max", (total - 1.0) / number, axis=[where], keepdims=True)
    return apply("maximum", x - bound, 0.0)


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

    Args:
        x: numbers.
        axis: an axis or several; None is all of them.

    Example:
        >>> densa.ops.softmax([0.0, 0.0]).numpy()
        array([0.5, 0.5], dtype=float32)
    """
    return _over_axes("softmax", x, axis)


@public
def log_softmax(x: Any, axis: Any = -1) -> Any:
    """Return log softmax(x) without underflow.

    Args:
        x: numbers.
        axis: an axis or several; None is all of them.

    Example:
        >>> densa.ops.log_softmax(np.array([0.0, 0.0])).numpy().round(4).tolist()
        [-0.6931, -0.6931]
    """
    return _over_axes("log_softmax", x, axis)
