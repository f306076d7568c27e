"""Losses, classes and normalizing: functions of `densa.ops` that networks are made of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from densa import config
from densa._names import suggesting
from densa.device import together
from densa.ops._public import (
    apply,
    axes_of,
    dtype_or_floatx,
    floating,
    place,
    public,
    reshaped,
    scalar,
    tensor,
    whole,
)

# ---- losses --------------------------------------------------------------------------------------


def _clipped(probabilities: Any) -> Any:
    low = config.epsilon()
    return apply("minimum", apply("maximum", probabilities, low), 1.0 - low)


def _same_shape(name: str, target: Any, output: Any) -> None:
    if tuple(target.shape) != tuple(output.shape):
        raise ValueError(
            f"{name}: target and output must have one shape; got {tuple(target.shape)} and "
            f"{tuple(output.shape)}."
        )


@public
def binary_crossentropy(target: Any, output: Any, from_logits: bool = False) -> Any:
    """Return -(t log p + (1 - t) log(1 - p)) for each element.

    Args:
        target: numbers in [0, 1], of output's shape.
        output: probabilities, or logits.
        from_logits: whether output holds logits; exact where p is near 0 or 1.

    Returns:
        Losses of output's shape.

    Raises:
        ValueError: if the shapes differ.

    Example:
        >>> p = np.array([0.9, 0.5])
        >>> densa.ops.binary_crossentropy([1.0, 0.0], p).numpy().round(4).tolist()
        [0.1054, 0.6931]
    """
    target, output = together(target, output)
    output = floating(output)
    _same_shape("binary_crossentropy", target, output)
    target = apply("cast", target, dtype=output.dtype)
    if from_logits:
        return apply("sigmoid_cross_entropy", output, target)
    p = _clipped(output)
    loss = target * apply("log", p) + (1.0 - target) * apply("log", 1.0 - p)
    return apply("negative", loss)


@public
def categorical_crossentropy(
    target: Any, output: Any, from_logits: bool = False, axis: int = -1
) -> Any:
    """Return -Σ t log p over the classes.

    Args:
        target: probabilities (often one-hot), of output's shape.
        output: probabilities (scaled to sum 1), or logits.
        from_logits: whether output holds logits.
        axis: the axis of the classes.

    Returns:
        Losses of output's shape without `axis`.

    Raises:
        ValueError: if the shapes differ.

    Example:
        >>> p = np.array([[0.9, 0.1], [0.5, 0.5]])
        >>> densa.ops.categorical_crossentropy(np.eye(2), p).numpy().round(4).tolist()
        [0.1054, 0.6931]
    """
    target, output = together(target, output)
    output = floating(output)
    _same_shape("categorical_crossentropy", target, output)
    if output.ndim < 1:
        raise ValueError("categorical_crossentropy: a scalar has no classes.")
    target = apply("cast", target, dtype=output.dtype)
    if from_logits:
        last = place(axis, output.ndim, "categorical_crossentropy")
        if last != output.ndim - 1:
            order = [a for a in range(output.ndim) if a != last] + [last]
            target, output = (apply("transpose", v, perm=order) for v in (target, output))
        return apply("softmax_cross_entropy", output, target)
    p = apply("divide", output, apply("sum", output, axis=[axis], keepdims=True))
    terms = target * apply("log", _clipped(p))
    return apply("negative", apply("sum", terms, axis=[axis]))


@public
def sparse_categorical_crossentropy(
    target: Any, output: Any, from_logits: bool = False, axis: int = -1
) -> Any:
    """Return -log p of each row's class.

    Args:
        target: class numbers, of output's shape without `axis` (or with size 1 there).
        output: probabilities, or logits.
        from_logits: whether output holds logits.
        axis: the axis of the classes.

    Returns:
        Losses of output's shape without `axis`; NaN for a class that does not exist (logits).

    Raises:
        ValueError: if the shapes do not fit.

    Example:
        >>> p = np.array([[0.9, 0.1], [0.5, 0.5]])
        >>> densa.ops.sparse_categorical_crossentropy([0, 1], p).numpy().round(4).tolist()
        [0.1054, 0.6931]
    """
    target, output = together(target, output)
    output = floating(output)
    if output.ndim < 1:
        raise ValueError("sparse_categorical_crossentropy: a scalar has no classes.")
    last = place(axis, output.ndim, "sparse_categorical_crossentropy")
    if last != output.ndim - 1:
        order = [a for a in range(output.ndim) if a != last] + [last]
        output = apply("transpose", output, perm=order)
        if target.ndim == output.ndim:
            target = apply("transpose", target, perm=order)
    if target.ndim == output.ndim and target.shape[-1] == 1:
        target = reshaped(target, target.shape[:-1])
    target = whole(target, "sparse_categorical_crossentropy: classes")
    if tuple(target.shape) != tuple(output.shape)[:-1]:
        raise ValueError(
            f"sparse_categorical_crossentropy: target has shape {tuple(target.shape)} but output "
            f"{tuple(output.shape)} asks for {tuple(output.shape)[:-1]}."
        )
    if from_logits:
        return apply("sparse_softmax_cross_entropy", output, target)
    logs = apply("log", _clipped(output))
    hot = apply("one_hot", target, classes=output.shape[-1], dtype=output.dtype)
    return apply("negative", apply("sum", hot * logs, axis=[output.ndim - 1]))


# ---- classes -------------------------------------------------------------------------------------


@public
def one_hot(
    x: Any, num_classes: int, axis: int = -1, dtype: Any = None, sparse: bool = False
) -> Any:
    """Return a 1 at each class number and zeros elsewhere; a number out of range gives zeros.

    Args:
        x: integers.
        num_classes: size of the new axis.
        axis: where the new axis goes.
        dtype: of the result; None is floatx.
        sparse: accepted for Keras; True raises.

    Raises:
        ValueError: if sparse is True.

    Example:
        >>> densa.ops.one_hot([1, 0], 3).numpy()
        array([[0., 1., 0.],
               [1., 0., 0.]], dtype=float32)
    """
    if sparse:
        raise ValueError("densa has no sparse tensors; pass sparse=False.")
    ids = whole(x, "one_hot: classes")
    out = apply("one_hot", ids, classes=int(num_classes), dtype=dtype_or_floatx(dtype))
    where = place(axis, out.ndim, "one_hot")
    if where == out.ndim - 1:
        return out
    order = list(range(out.ndim - 1))
    order.insert(where, out.ndim - 1)
    return apply("transpose", out, perm=order)


@public
def multi_hot(
    inputs: Any, num_classes: int, axis: int = -1, dtype: Any = None, sparse: bool = False
) -> Any:
    """Return a 1 for each class number that occurs along the last axis of inputs.

    Args:
        inputs: integers.
        num_classes: size of the new last axis.
        axis: accepted for Keras.
        dtype: of the result; None is floatx.
        sparse: accepted for Keras; True raises.

    Raises:
        ValueError: if sparse is True.

    Example:
        >>> densa.ops.multi_hot([[0, 2], [1, 1]], 3).numpy().tolist()
        [[1.0, 0.0, 1.0], [0.0, 1.0, 0.0]]
    """
    ids = tensor(inputs)
    hot = one_hot(ids, num_classes, axis=-1, dtype=dtype, sparse=sparse)
    return hot if ids.ndim < 1 else apply("max", hot, axis=[ids.ndim - 1])


@public
def in_top_k(targets: Any, predictions: Any, k: int) -> Any:
    """Tell for each row whether the target is among the k best predictions.

    Args:
        targets: class numbers, shape (n,).
        predictions: scores, shape (n, classes).
        k: how many.

    Returns:
        Booleans, shape (n,).

    Example:
        >>> densa.ops.in_top_k([2, 0], [[0.1, 0.5, 0.4], [0.1, 0.5, 0.4]], k=2).numpy().tolist()
        [True, False]
    """
    scores, ids = together(predictions, targets)
    scores = floating(scores)
    hot = apply("one_hot", ids, classes=scores.shape[-1], dtype="bool")
    own = apply("max", apply("where", hot, scores, -float("inf")), axis=[-1], keepdims=True)
    better = apply("cast", apply("greater", scores, own), dtype="int32")
    found = apply("less", apply("sum", better, axis=[-1]), k)
    return apply("logical_and", found, apply("isfinite", reshaped(own, own.shape[:-1])))


# ---- normalizing ---------------------------------------------------------------------------------


@public
def normalize(x: Any, axis: Any = -1, order: int = 2, epsilon: float | None = None) -> Any:
    """Return x divided by its norm of the given order along an axis, kept above epsilon.

    Args:
        x: numbers.
        axis: an axis or several.
        order: of the norm.
        epsilon: the least norm; None is the one of the configuration.

    Example:
        >>> densa.ops.normalize(np.array([[3.0, 4.0]])).numpy().round(4).tolist()
        [[0.6, 0.8]]
    """
    x = floating(x)
    epsilon = config.epsilon() if epsilon is None else epsilon
    axes = axes_of(axis)
    if order == 2:
        total = apply("sum", apply("square", x), axis=axes, keepdims=True)
        return x * apply("rsqrt", apply("maximum", total, epsilon**2))
    size = apply("power", apply("abs", x), float(order))
    size = apply("power", apply("sum", size, axis=axes, keepdims=True), 1.0 / order)
    return x / apply("maximum", size, epsilon)


@public
def batch_normalization(
    x: Any,
    mean: Any,
    variance: Any,
    axis: int,
    offset: Any = None,
    scale: Any = None,
    epsilon: float = 1e-3,
) -> Any:
    """Return (x - mean) / √(variance + epsilon) · scale + offset along the channel axis.

    Args:
        x: numbers.
        mean: one per channel.
        variance: one per channel.
        axis: the axis of the channels.
        offset: one per channel; None adds nothing.
        scale: one per channel; None is 1.
        epsilon: against division by zero.

    Example:
        >>> x, mean, variance = [[1.0, 4.0]], [0.0, 0.0], [1.0, 4.0]
        >>> densa.ops.batch_normalization(x, mean, variance, -1, epsilon=0.0).numpy().tolist()
        [[1.0, 2.0]]
    """
    x, mean = together(x, mean)
    x = floating(x)
    ones = apply("broadcast_to", scalar(1.0, x), shape=list(mean.shape))
    gamma = ones if scale is None else scale
    beta = ones - ones if offset is None else offset
    return apply("batch_norm", x, gamma, beta, mean, variance, axis=[axis], epsilon=float(epsilon))


@public
def psnr(x1: Any, x2: Any, max_val: float) -> Any:
    """Return the peak signal-to-noise ratio in decibels.

    Args:
        x1: numbers.
        x2: numbers, of x1's shape.
        max_val: the largest value there can be.

    Raises:
        ValueError: if the shapes differ.

    Example:
        >>> densa.ops.psnr(np.zeros((2, 2)), np.ones((2, 2)), 10.0).numpy().round(4).tolist()
        20.0
    """
    x1, x2 = map(floating, together(x1, x2))
    _same_shape("psnr", x1, x2)
    error = apply("mean", apply("square", x1 - x2))
    return apply("log", max_val * max_val / error) * (10.0 / float(np.log(10.0)))


if not TYPE_CHECKING:  # lest type checkers take every name for known
    # What Keras has in this namespace, too, and densa defines elsewhere.
    _ELSEWHERE = frozenset(
        "celu elu gelu glu hard_shrink hard_sigmoid hard_silu hard_swish hard_tanh "
        "layer_normalization leaky_relu log_sigmoid log_softmax moments relu relu6 "
        "rms_normalization selu sigmoid silu soft_shrink softmax softplus softsign sparse_plus "
        "sparse_sigmoid sparsemax squareplus swish tanh_shrink threshold".split()
    )

    def __getattr__(name):
        if name not in _ELSEWHERE:
            return suggesting(__name__)(name)
        from densa import ops

        return getattr(ops, name)
