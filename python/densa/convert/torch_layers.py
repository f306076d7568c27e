"""Layers of torch.nn as densa's. A function here takes one submodule and its input."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from densa import layers
from densa.convert.torch_functions import FUNCTIONS
from densa.convert.tracing import Refusal, Traced


def _linear(t: Traced, m: Any, target: str, x: Any) -> Any:
    make = functools.partial(layers.Dense, m.out_features, use_bias=m.bias is not None)
    return t.apply(target, make, [m.weight.T] if m.bias is None else [m.weight.T, m.bias], x)


def _embedding(t: Traced, m: Any, target: str, x: Any) -> Any:
    if m.max_norm is not None:
        raise Refusal("has max_norm, which densa does not have")
    make = functools.partial(layers.Embedding, m.num_embeddings, m.embedding_dim)
    return t.apply(target, make, [m.weight], x)


def _batch_norm(t: Traced, m: Any, target: str, x: Any) -> Any:
    if m.running_mean is None:
        raise Refusal("has no running statistics (track_running_stats=False)")
    make = functools.partial(
        layers.BatchNormalization,
        axis=-1 if x.ndim == 2 else 1,
        momentum=0.99 if m.momentum is None else 1 - m.momentum,
        epsilon=m.eps,
        center=m.affine,
        scale=m.affine,
    )
    affine = [m.weight, m.bias] if m.affine else []
    return t.apply(target, make, [*affine, m.running_mean, m.running_var], x)


def _layer_norm(t: Traced, m: Any, target: str, x: Any) -> Any:
    count = len(m.normalized_shape)
    weights = [w for w in (m.weight, m.bias) if w is not None]
    make = functools.partial(
        layers.LayerNormalization,
        axis=-1 if count == 1 else list(range(-count, 0)),
        epsilon=m.eps,
        scale=m.weight is not None,
        center=m.bias is not None,
    )
    return t.apply(target, make, weights, x)


def _rms_norm(t: Traced, m: Any, target: str, x: Any) -> Any:
    count = len(m.normalized_shape)
    make = functools.partial(
        layers.RMSNormalization,
        axis=-1 if count == 1 else list(range(-count, 0)),
        epsilon=float(np.finfo(t.dtype).eps) if m.eps is None else m.eps,
        trainable=m.weight is not None,  # densa's always has a scale: ones
    )
    return t.apply(target, make, [] if m.weight is None else [m.weight], x)


def _rrelu(t: Traced, m: Any, target: str, x: Any) -> Any:
    return t.apply(target, functools.partial(layers.RReLU, m.lower, m.upper), [], x)


def _dropout(t: Traced, m: Any, target: str, x: Any) -> Any:
    return t.apply(target, functools.partial(layers.Dropout, m.p), [], x)


def _alpha_dropout(t: Traced, m: Any, target: str, x: Any) -> Any:
    return t.apply(target, functools.partial(layers.AlphaDropout, m.p), [], x)


def _prelu(t: Traced, m: Any, target: str, x: Any) -> Any:
    # One slope for all, or one for each index of the axis behind the rows.
    first = 2 if m.num_parameters > 1 else 1
    shared = list(range(first, x.ndim))
    make = functools.partial(layers.PReLU, shared_axes=shared or None)
    sizes = [1 if a + 1 in shared else x.shape[a + 1] for a in range(x.ndim - 1)]
    return t.apply(target, make, [m.weight.reshape(sizes)], x)


def _identity(t: Traced, m: Any, target: str, x: Any) -> Any:
    return x


def _function(name: str, *attributes: str) -> Callable[..., Any]:
    """Make a layer out of the function of that name and the module's attributes in order."""

    def make(t: Traced, m: Any, target: str, x: Any) -> Any:
        return FUNCTIONS[name](t, x, *(getattr(m, a) for a in attributes))

    return make


def _unflatten(t: Traced, m: Any, target: str, x: Any) -> Any:
    dim = m.dim % x.ndim
    return FUNCTIONS["reshape"](t, x, (*x.shape[:dim], *m.unflattened_size, *x.shape[dim + 1 :]))


LAYERS: dict[str, Callable[..., Any]] = {
    "AlphaDropout": _alpha_dropout,
    "BatchNorm1d": _batch_norm,
    "CELU": _function("celu", "alpha"),
    "Dropout": _dropout,
    "Dropout1d": _dropout,
    "ELU": _function("elu", "alpha"),
    "Embedding": _embedding,
    "FeatureAlphaDropout": _alpha_dropout,
    "Flatten": _function("flatten", "start_dim", "end_dim"),
    "GELU": _function("gelu", "approximate"),
    "GLU": _function("glu", "dim"),
    "Hardshrink": _function("hardshrink", "lambd"),
    "Hardsigmoid": _function("hardsigmoid"),
    "Hardswish": _function("hardswish"),
    "Hardtanh": _function("hardtanh", "min_val", "max_val"),
    "Identity": _identity,
    "LayerNorm": _layer_norm,
    "LeakyReLU": _function("leaky_relu", "negative_slope"),
    "Linear": _linear,
    "LogSigmoid": _function("logsigmoid"),
    "LogSoftmax": _function("log_softmax", "dim"),
    "Mish": _function("mish"),
    "PReLU": _prelu,
    "RMSNorm": _rms_norm,
    "RReLU": _rrelu,
    "ReLU": _function("relu"),
    "ReLU6": _function("relu6"),
    "SELU": _function("selu"),
    "SiLU": _function("silu"),
    "Sigmoid": _function("sigmoid"),
    "Softmax": _function("softmax", "dim"),
    "Softplus": _function("softplus", "beta"),
    "Softshrink": _function("softshrink", "lambd"),
    "Softsign": _function("softsign"),
    "Tanh": _function("tanh"),
    "Tanhshrink": _function("tanhshrink"),
    "Threshold": _function("threshold", "threshold", "value"),
    "Unflatten": _unflatten,
}


def first_input(t: Traced, node: Any) -> tuple[Any, Any]:
    """Return shape of a sample and type that the layer behind an input wants; None if unknown."""
    shape = dtype = None
    for user in node.users:
        m: Any = t.module.get_submodule(user.target) if user.op == "call_module" else None
        kind = type(m).__name__
        if kind == "Linear":
            shape = (m.in_features,)
        elif kind in ("LayerNorm", "RMSNorm"):
            shape = tuple(m.normalized_shape)
        elif kind == "BatchNorm1d":
            shape = (m.num_features,)
        elif kind == "Embedding":
            dtype = "int64"
        elif kind in ("Dropout", "Identity") or (kind in LAYERS and not list(m.parameters())):
            shape = first_input(t, user)[0] if kind not in ("Flatten", "Unflatten") else None
    return shape, dtype
