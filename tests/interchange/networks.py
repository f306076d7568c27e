"""Random feed-forward networks as plain data: in NumPy's float64, and in each library."""

from __future__ import annotations

import numpy as np
from scipy import special

import densa

ACTIVATIONS = {
    "relu": lambda z: np.maximum(z, 0),
    "leaky_relu": lambda z: np.where(z < 0, 0.2 * z, z),
    "elu": lambda z: np.where(z < 0, np.expm1(np.minimum(z, 0)), z),
    "selu": lambda z: (
        1.0507009873554805
        * np.where(z < 0, 1.6732632423543772 * np.expm1(np.minimum(z, 0)), z)
    ),
    "gelu": lambda z: z * special.ndtr(z),
    "silu": lambda z: z * special.expit(z),
    "sigmoid": special.expit,
    "tanh": np.tanh,
    "softplus": lambda z: np.logaddexp(0, z),
    "softsign": lambda z: z / (1 + np.abs(z)),
    "relu6": lambda z: np.clip(z, 0, 6),
    "log_sigmoid": lambda z: -np.logaddexp(0, -z),
    "softmax": lambda z: special.softmax(z, axis=-1),
    "log_softmax": lambda z: special.log_softmax(z, axis=-1),
}  # fmt: skip
EPSILON = 1e-3


def draw(seed):
    """Return the width of the input and layers as `(kind, arrays, activation)`."""
    rng = np.random.default_rng(seed)

    def f4(*shape, low=-1.0, high=1.0):
        return rng.uniform(low, high, shape).astype("f4")

    inner = [a for a in ACTIVATIONS if "softmax" not in a]
    first = width = int(rng.integers(3, 40))
    network = []
    for _ in range(rng.integers(1, 6)):
        kind = str(rng.choice(["dense", "dense", "dense", "batch", "layer", "skip", "dropout"]))
        activation = str(rng.choice(inner)) if rng.random() < 0.7 else None
        if kind == "dense":
            out = int(rng.integers(8, 40))
            arrays = [f4(width, out) / np.sqrt(width).astype("f4"), f4(out)]
            if rng.random() < 0.3:
                del arrays[1]
            width = out
        elif kind == "skip":
            arrays = [f4(width, width) / np.sqrt(width).astype("f4"), f4(width)]
        elif kind == "batch":
            arrays = [f4(width), f4(width), f4(width), f4(width, low=0.1)]
        elif kind == "layer":
            arrays = [f4(width), f4(width)]
        else:
            arrays = []
        network.append((kind, arrays, activation))
    # A row of few numbers can come out small by cancellation, and its relative error large.
    out = int(rng.integers(8, 20))
    last = str(rng.choice(["softmax", "log_softmax", "sigmoid", "none"]))
    network.append(("dense", [f4(width, out), f4(out)], None if last == "none" else last))
    x = rng.normal(size=(int(rng.integers(1, 20)), first)).astype("f4")
    return x, network


def exact(x, network, nudge=lambda y: y):
    """What the network gives, in float64; `nudge` may move what activations take."""
    y = x.astype("f8")
    for kind, arrays, activation in network:
        w = [a.astype("f8") for a in arrays]
        if kind == "dense":
            y = y @ w[0] + (w[1] if len(w) > 1 else 0)
        elif kind == "skip":
            y = y + (y @ w[0] + w[1])
        elif kind == "batch":
            y = (y - w[2]) / np.sqrt(w[3] + EPSILON) * w[0] + w[1]
        elif kind == "layer":
            mean, variance = y.mean(-1, keepdims=True), y.var(-1, keepdims=True)
            y = (y - mean) / np.sqrt(variance + EPSILON) * w[0] + w[1]
        y = ACTIVATIONS[activation](nudge(y)) if activation else nudge(y)
    return y


def roundings(x, network):
    """What the network gives where each layer's result is off by up to 2**-23 of its row's largest
    number, as a sum in float32 may be. A softmax of large logits turns that into a large error.
    """
    rng = np.random.default_rng(0)

    def nudge(y):
        return y + 2.0**-23 * abs(y).max(-1, keepdims=True) * rng.uniform(-1, 1, y.shape)

    return [exact(x, network, nudge) for _ in range(8)]


def functional(library, width, network):
    """The network as a functional model of densa or Keras, which have the same names."""
    layers = library.layers
    inputs = y = library.Input((width,))
    for kind, arrays, activation in network:
        if kind in ("dense", "skip"):
            layer = layers.Dense(arrays[0].shape[1], use_bias=len(arrays) > 1)
        elif kind == "batch":
            layer = layers.BatchNormalization(epsilon=EPSILON)
        elif kind == "layer":
            layer = layers.LayerNormalization(epsilon=EPSILON)
        else:
            layer = layers.Dropout(0.3)
        y = layers.Add()([y, layer(y)]) if kind == "skip" else layer(y)
        if arrays:
            layer.set_weights(arrays)
        y = layers.Activation(activation)(y) if activation else y
    return library.Model(inputs, y)


def in_densa(x, network):
    return functional(densa, x.shape[1], network)


TORCH_ACTIVATIONS = {
    "relu": lambda nn: nn.ReLU(),
    "leaky_relu": lambda nn: nn.LeakyReLU(0.2),
    "elu": lambda nn: nn.ELU(),
    "selu": lambda nn: nn.SELU(),
    "gelu": lambda nn: nn.GELU(),
    "silu": lambda nn: nn.SiLU(),
    "sigmoid": lambda nn: nn.Sigmoid(),
    "tanh": lambda nn: nn.Tanh(),
    "softplus": lambda nn: nn.Softplus(),
    "softsign": lambda nn: nn.Softsign(),
    "relu6": lambda nn: nn.ReLU6(),
    "log_sigmoid": lambda nn: nn.LogSigmoid(),
    "softmax": lambda nn: nn.Softmax(dim=-1),
    "log_softmax": lambda nn: nn.LogSoftmax(dim=-1),
}


def in_torch(x, network):
    """The network as an nn.Sequential in which a skip is a module of its own."""
    import torch
    from torch import nn

    class Skip(nn.Module):
        def __init__(self, inner):
            super().__init__()
            self.inner = inner

        def forward(self, x):
            return x + self.inner(x)

    def fill(parameter, array):
        with torch.no_grad():
            parameter.copy_(torch.from_numpy(array))

    parts, width = [], x.shape[1]
    for kind, arrays, activation in network:
        if kind in ("dense", "skip"):
            part = nn.Linear(*arrays[0].shape, bias=len(arrays) > 1)
            fill(part.weight, arrays[0].T.copy())
            if len(arrays) > 1:
                fill(part.bias, arrays[1])
            width = arrays[0].shape[1]
        elif kind == "batch":
            part = nn.BatchNorm1d(width, eps=EPSILON)
            named = (part.weight, part.bias, part.running_mean, part.running_var)
            for parameter, array in zip(named, arrays, strict=True):
                fill(parameter, array)
        elif kind == "layer":
            part = nn.LayerNorm(width, eps=EPSILON)
            fill(part.weight, arrays[0])
            fill(part.bias, arrays[1])
        else:
            part = nn.Dropout(0.3)
        parts.append(Skip(part) if kind == "skip" else part)
        if activation:
            parts.append(TORCH_ACTIVATIONS[activation](nn))
    return nn.Sequential(*parts).eval()
