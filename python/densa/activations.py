"""Activation functions by name, as functions and in saved models.

Every function here works on Tensors, on arrays and, recording itself, on symbolic tensors, and
gives a Tensor of the same shape and type; integers become floatx. Those that are one unary op of
the core are listed by `fused_name`, and dense layers run them inside their own op.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from densa import _core, config
from densa._names import hinted, suggesting
from densa._symbolic import op
from densa.ops.activation import glu as glu
from densa.ops.activation import log_softmax as _log_softmax
from densa.ops.activation import softmax as _softmax
from densa.ops.activation import sparse_plus as sparse_plus
from densa.ops.activation import sparse_sigmoid as sparse_sigmoid
from densa.ops.activation import sparsemax as sparsemax
from densa.saving.registry import Family


def _float(x: Any) -> Any:
    """Return x as something the core takes, floating."""
    if isinstance(x, _core.Variable):
        return x
    if isinstance(x, _core.Tensor):
        if config.is_float(x.dtype):
            return x
        return _core.apply("cast", x, dtype=config.floatx())
    array = np.asarray(x)
    if array.dtype.kind != "f" or not hasattr(x, "dtype"):
        array = array.astype(config.floatx())
    return _core.to_tensor(array)


def _unary(name: str, x: Any, **attributes: Any) -> Any:
    return _core.apply(name, _float(x), **attributes)


@op
def linear(x: Any) -> Any:
    """Return x unchanged.

    Args:
        x: floating Tensor or array of any shape.

    Example:
        >>> densa.activations.linear(np.array([-1.0, 2.0])).tolist()
        [-1.0, 2.0]
    """
    return x


@op
def relu(
    x: Any, negative_slope: float = 0.0, max_value: float | None = None, threshold: float = 0.0
) -> Any:
    """Return max(x, 0), with Keras' three changes to it.

    f(x) = max_value for x ≥ max_value; x for threshold ≤ x < max_value;
    negative_slope · (x - threshold) below.

    Args:
        x: floating Tensor or array of any shape.
        negative_slope: slope below the threshold.
        max_value: upper limit, None for none.
        threshold: where it bends.

    Example:
        >>> densa.activations.relu(np.array([-1.0, 2.0])).numpy()
        array([0., 2.])
    """
    if threshold == 0.0:
        if max_value is None:
            return (
                _unary("relu", x)
                if negative_slope == 0.0
                else _unary("leaky_relu", x, negative_slope=float(negative_slope))
            )
        if max_value == 6.0 and negative_slope == 0.0:
            return _unary("relu6", x)
    x = _float(x)
    below = float(negative_slope) * (x - threshold)
    y = _core.apply("where", _core.apply("greater_equal", x, float(threshold)), x, below)
    if max_value is not None:
        y = _core.apply("minimum", y, float(max_value))
    return y


@op
def leaky_relu(x: Any, negative_slope: float = 0.2) -> Any:
    """Return x, times `negative_slope` where it is negative.

    Args:
        x: floating Tensor or array of any shape.
        negative_slope: slope below zero.

    Example:
        >>> densa.activations.leaky_relu(np.array([-1.0, 2.0])).numpy().round(3).tolist()
        [-0.2, 2.0]
    """
    return _unary("leaky_relu", x, negative_slope=float(negative_slope))


@op
def relu6(x: Any) -> Any:
    """Return min(max(x, 0), 6).

    Args:
        x: floating Tensor or array of any shape.

    Example:
        >>> densa.activations.relu6(np.array([-1.0, 2.0])).numpy().round(3).tolist()
        [0.0, 2.0]
    """
    return _unary("relu6", x)


@op
def elu(x: Any, alpha: float = 1.0) -> Any:
    """Return x above zero, alpha·(exp(x) - 1) below.

    Args:
        x: floating Tensor or array of any shape.
        alpha: see the formula.

    Example:
        >>> densa.activations.elu(np.array([-1.0, 2.0])).numpy().round(3).tolist()
        [-0.632, 2.0]
    """
    return _unary("elu", x, alpha=float(alpha))


@op
def celu(x: Any, alpha: float = 1.0) -> Any:
    """Return max(x, 0) + min(0, alpha·(exp(x/alpha) - 1)).

    Args:
        x: floating Tensor or array of any shape.
        alpha: see the formula.

    Example:
        >>> densa.activations.celu(np.array([-1.0, 2.0])).numpy().round(3).tolist()
        [-0.632, 2.0]
    """
    return _unary("celu", x, alpha=float(alpha))


@op
def selu(x: Any) -> Any:
    """Return 1.0507·x above zero, 1.0507·1.6733·(exp(x) - 1) below.

    Args:
        x: floating Tensor or array of any shape.

    Example:
        >>> densa.activations.selu(np.array([-1.0, 2.0])).numpy().round(3).tolist()
        [-1.111, 2.101]
    """
    return _unary("selu", x)


@op
def gelu(x: Any, approximate: bool = False) -> Any:
    """Return x·Φ(x); with `approximate` by the tanh formula.

    Args:
        x: floating Tensor or array of any shape.
        approximate: whether to use the tanh formula.

    Example:
        >>> densa.activations.gelu(np.array([-1.0, 2.0])).numpy().round(3).tolist()
        [-0.159, 1.954]
    """
    return _unary("gelu_tanh" if approximate else "gelu", x)


@op
def silu(x: Any) -> Any:
    """Return x·sigmoid(x), also called swish.

    Args:
        x: floating Tensor or array of any shape.

    Example:
        >>> densa.activations.silu(np.array([-1.0, 2.0])).numpy().round(3).tolist()
        [-0.269, 1.762]
    """
    return _unary("silu", x)


@op
def mish(x: Any) -> Any:
    """Return x·tanh(softplus(x)).

    Args:
        x: floating Tensor or array of any shape.

    Example:
        >>> densa.activations.mish(np.array([-1.0, 2.0])).numpy().round(3).tolist()
        [-0.303, 1.944]
    """
    return _unary("mish", x)


@op
def sigmoid(x: Any) -> Any:
    """Return 1 / (1 + exp(-x)).

    Args:
        x: floating Tensor or array of any shape.

    Example:
        >>> densa.activations.sigmoid(np.array([-1.0, 2.0])).numpy().round(3).tolist()
        [0.269, 0.881]
    """
    return _unary("sigmoid", x)


@op
def hard_sigmoid(x: Any) -> Any:
    """Return min(max(x/6 + 1/2, 0), 1).

    Args:
        x: floating Tensor or array of any shape.

    Example:
        >>> densa.activations.hard_sigmoid(np.array([-1.0, 2.0])).numpy().round(3).tolist()
        [0.333, 0.833]
    """
    return _unary("hard_sigmoid", x)


@op
def hard_silu(x: Any) -> Any:
    """Return x·hard_sigmoid(x).

    Args:
        x: floating Tensor or array of any shape.

    Example:
        >>> densa.activations.hard_silu(np.array([-1.0, 2.0])).numpy().round(3).tolist()
        [-0.333, 1.667]
    """
    return _unary("hard_silu", x)


@op
def tanh(x: Any) -> Any:
    """Return the hyperbolic tangent.

    Args:
        x: floating Tensor or array of any shape.

    Example:
        >>> densa.activations.tanh(np.array([-1.0, 2.0])).numpy().round(3).tolist()
        [-0.762, 0.964]
    """
    return _unary("tanh", x)


@op
def softplus(x: Any) -> Any:
    """Return log(1 + exp(x)).

    Args:
        x: floating Tensor or array of any shape.

    Example:
        >>> densa.activations.softplus(np.array([-1.0, 2.0])).numpy().round(3).tolist()
        [0.313, 2.127]
    """
    return _unary("softplus", x)


@op
def softsign(x: Any) -> Any:
    """Return x / (1 + |x|).

    Args:
        x: floating Tensor or array of any shape.

    Example:
        >>> densa.activations.softsign(np.array([-1.0, 2.0])).numpy().round(3).tolist()
        [-0.5, 0.667]
    """
    return _unary("softsign", x)


@op
def log_sigmoid(x: Any) -> Any:
    """Return log(sigmoid(x)).

    Args:
        x: floating Tensor or array of any shape.

    Example:
        >>> densa.activations.log_sigmoid(np.array([-1.0, 2.0])).numpy().round(3).tolist()
        [-1.313, -0.127]
    """
    return _unary("log_sigmoid", x)


@op
def exponential(x: Any) -> Any:
    """Return exp(x).

    Args:
        x: floating Tensor or array of any shape.

    Example:
        >>> densa.activations.exponential(np.array([-1.0, 2.0])).numpy().round(3).tolist()
        [0.368, 7.389]
    """
    return _unary("exp", x)


@op
def softmax(x: Any, axis: Any = -1) -> Any:
    """Return exp(x) divided by its sum along an axis.

    Args:
        x: floating Tensor or array.
        axis: an axis, several, or None for all.

    Example:
        >>> densa.activations.softmax(np.zeros((1, 4))).numpy()
        array([[0.25, 0.25, 0.25, 0.25]])
    """
    return _unary("softmax", x, axis=axis) if isinstance(axis, int) else _softmax(x, axis)


@op
def log_softmax(x: Any, axis: Any = -1) -> Any:
    """Return the logarithm of softmax.

    Args:
        x: floating Tensor or array of any shape.
        axis: an axis, several, or None for all.

    Example:
        >>> densa.activations.log_softmax(np.array([-1.0, 2.0])).numpy().round(3).tolist()
        [-3.049, -0.049]
    """
    return _unary("log_softmax", x, axis=axis) if isinstance(axis, int) else _log_softmax(x, axis)


@op
def hard_tanh(x: Any) -> Any:
    """Return x cut to [-1, 1].

    Args:
        x: floating Tensor or array of any shape.

    Example:
        >>> densa.activations.hard_tanh(np.array([-1.0, 2.0])).numpy().round(3).tolist()
        [-1.0, 1.0]
    """
    return _core.apply("minimum", _core.apply("maximum", _float(x), -1.0), 1.0)


@op
def tanh_shrink(x: Any) -> Any:
    """Return x - tanh(x).

    Args:
        x: floating Tensor or array of any shape.

    Example:
        >>> densa.activations.tanh_shrink(np.array([-1.0, 2.0])).numpy().round(3).tolist()
        [-0.238, 1.036]
    """
    x = _float(x)
    return _core.apply("subtract", x, _core.apply("tanh", x))


@op
def soft_shrink(x: Any, threshold: float = 0.5) -> Any:
    """Return x moved towards zero by `threshold`, zero within it.

    Args:
        x: floating Tensor or array of any shape.
        threshold: see above.

    Example:
        >>> densa.activations.soft_shrink(np.array([-1.0, 2.0])).numpy().round(3).tolist()
        [-0.5, 1.5]
    """
    x = _float(x)
    up = _core.apply("maximum", _core.apply("subtract", x, float(threshold)), 0.0)
    down = _core.apply("minimum", _core.apply("add", x, float(threshold)), 0.0)
    return _core.apply("add", up, down)


@op
def hard_shrink(x: Any, threshold: float = 0.5) -> Any:
    """Return x, or zero where |x| ≤ threshold.

    Args:
        x: floating Tensor or array of any shape.
        threshold: see above.

    Example:
        >>> densa.activations.hard_shrink(np.array([-1.0, 2.0])).numpy().round(3).tolist()
        [-1.0, 2.0]
    """
    x = _float(x)
    large = _core.apply("greater", _core.apply("abs", x), float(threshold))
    return _core.apply("where", large, x, 0.0)


@op
def threshold(x: Any, threshold: float, default_value: float) -> Any:
    """Return x where it is above `threshold`, `default_value` elsewhere.

    Args:
        x: floating Tensor or array of any shape.
        threshold: see above.
        default_value: what replaces the rest.

    Example:
        >>> densa.activations.threshold(np.array([-1.0, 2.0]), 0.0, 0.0).numpy().round(3).tolist()
        [0.0, 2.0]
    """
    x = _float(x)
    above = _core.apply("greater", x, float(threshold))
    return _core.apply("where", above, x, float(default_value))


@op
def squareplus(x: Any, b: float = 4.0) -> Any:
    """Return (x + sqrt(x² + b)) / 2.

    Args:
        x: floating Tensor or array of any shape.
        b: how round the bend is.

    Example:
        >>> densa.activations.squareplus(np.array([-1.0, 2.0])).numpy().round(3).tolist()
        [0.618, 2.414]
    """
    x = _float(x)
    root = _core.apply("sqrt", _core.apply("add", _core.apply("square", x), float(b)))
    return _core.apply("multiply", _core.apply("add", x, root), 0.5)


_FUNCTIONS: tuple[Callable[..., Any], ...] = (
    celu,
    elu,
    exponential,
    gelu,
    glu,
    hard_shrink,
    hard_sigmoid,
    hard_silu,
    hard_tanh,
    leaky_relu,
    linear,
    log_sigmoid,
    log_softmax,
    mish,
    relu,
    relu6,
    selu,
    sigmoid,
    silu,
    soft_shrink,
    softmax,
    softplus,
    softsign,
    sparse_plus,
    sparse_sigmoid,
    sparsemax,
    squareplus,
    tanh,
    tanh_shrink,
    threshold,
)
_NAMES: dict[str, Callable[..., Any]] = {f.__name__: f for f in _FUNCTIONS}
swish, hard_swish = silu, hard_silu
_NAMES.update({"swish": silu, "hard_swish": hard_silu})
_family = Family("activation function", "densa.activations", _NAMES)

# Functions that are, with their defaults, one unary op of the core.
_FUSED: dict[Callable[..., Any], str] = {
    linear: "",
    exponential: "exp",
    **{
        _NAMES[name]: name
        for name in (
            "celu elu gelu hard_sigmoid hard_silu leaky_relu log_sigmoid mish relu relu6 selu "
            "sigmoid silu softplus softsign tanh"
        ).split()
    },
}


def fused_name(activation: Callable[..., Any] | None) -> str | None:
    """Return the core's name of an activation: "" for linear, None if it is not one unary op.

    Args:
        activation: a function, or None.

    Example:
        >>> densa.activations.fused_name(densa.activations.silu)
        'silu'
    """
    if activation is None:
        return ""
    try:
        return _FUSED.get(activation)
    except TypeError:  # a callable object that cannot be hashed
        return None


@hinted
def serialize(activation: Any) -> Any:
    """Return the name of an activation, or plain data for one of the user's.

    Args:
        activation: a function of this module, or one of the user's.

    Example:
        >>> densa.activations.serialize(densa.activations.relu)
        'relu'
    """
    return _family.serialize(activation)


@hinted
def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """Return the activation for a name or for `serialize`'s answer.

    Args:
        config: a name or plain data.
        custom_objects: own functions by name.

    Raises:
        ValueError: for a name that is not known; the nearest one is named.

    Example:
        >>> densa.activations.deserialize("relu").__name__
        'relu'
    """
    return _family.deserialize(config, custom_objects)


@hinted
def get(identifier: Any) -> Callable[..., Any]:
    """Return an activation for a name, a config, a function, a layer or None (linear).

    Args:
        identifier: a name, a config, a function, a layer, or None.

    Raises:
        ValueError: for a name that is not known; the nearest one is named.

    Example:
        >>> densa.activations.get("swish").__name__
        'silu'
    """
    found: Callable[..., Any] = _family.get(linear if identifier is None else identifier)
    return found


__all__ = [f.__name__ for f in _FUNCTIONS] + [
    "deserialize",
    "fused_name",
    "get",
    "hard_swish",
    "serialize",
    "swish",
]

if not TYPE_CHECKING:  # lest type checkers take every name for known
    __getattr__ = suggesting(__name__)
