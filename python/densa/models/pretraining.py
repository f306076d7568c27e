"""Greedy layer-wise pretraining: each layer first learns to keep what its input says."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

from densa import optimizers
from densa._names import hinted
from densa._numbers import check_real_number, whole_number
from densa.layers.dense import Dense
from densa.layers.dropout import Dropout
from densa.layers.input_layer import Input
from densa.layers.layer import Layer
from densa.layers.reshape import Reshape
from densa.models.sequential import Sequential


@hinted
def pretrain(
    model: Sequential,
    x: Any,
    *,
    epochs: int = 10,
    batch_size: int | None = None,
    optimizer: Any = "adam",
    loss: Any = "mse",
    corruption: float = 0.0,
    keep_last: int = 1,
    verbose: Any = 0,
) -> list[Any]:
    """Train the lower layers of a Sequential one after the other, on inputs without labels.

    Each dense layer, with what stands between it and the next one, becomes the encoder of an
    autoencoder: a linear layer behind it, thrown away afterwards, has to give back its input. Then
    it stays as it is, and its outputs are the next layer's input. Compile and `fit` the whole model
    on labelled rows afterwards.

    Layers in front that neither train nor draw, such as a `Normalization` that has been adapted,
    change x once, before all else: what has to be given back is what they give, not x.

    Args:
        model: a Sequential that knows its input shape; its weights change.
        x: inputs `(rows, …)`; no labels.
        epochs: epochs for each layer.
        batch_size: rows in a batch; 32 by default.
        optimizer: name, configuration or optimizer; each layer gets a fresh one like it.
        loss: how far what is given back lies from the input.
        corruption: share of each layer's input that is zeroed while it learns to give all of it
            back: a denoising autoencoder.
        keep_last: number of dense layers at the end that are left alone: the outputs, which need
            labels.
        verbose: as in `fit`.

    Returns:
        The histories of the layers, in order.

    Raises:
        TypeError: if `model` is no Sequential, or a number is none.
        ValueError: if it is not built, has no layer to pretrain, or a number is out of range.

    Example:
        >>> model = densa.Sequential([densa.Input((4,)), densa.layers.Dense(8, "relu"),
        ...                           densa.layers.Dense(3, "relu"), densa.layers.Dense(1)])
        >>> x = np.random.default_rng(0).standard_normal((64, 4))
        >>> histories = densa.models.pretrain(model, x, epochs=2)
        >>> len(histories)
        2
    """
    if not isinstance(model, Sequential):
        raise TypeError(f"pretrain expects a Sequential; received {type(model).__name__}.")
    if not model.built:
        raise ValueError(
            f"pretrain: the model '{model.name}' is not built. Put an Input at its front."
        )
    keep_last = whole_number("keep_last", keep_last, least=0)
    check_real_number("corruption", corruption)
    if not 0 <= corruption < 1:
        raise ValueError(f"corruption must lie in [0, 1); received {corruption!r}.")
    front, rest = _split(model.layers)
    blocks = _blocks(rest, keep_last)
    if not blocks:
        raise ValueError(
            f"pretrain: the model '{model.name}' has no dense layer but the last {keep_last}."
        )
    config = optimizers.serialize(optimizers.get(optimizer))
    histories = []
    features = x
    if front:
        start = model.inputs[0]
        before = Sequential([Input(batch_shape=start.shape, dtype=start.dtype), *front])
        features = before.predict(x, batch_size=batch_size, verbose=0)
    for block in blocks:
        shape = tuple(features.shape[1:])
        corrupt = [Dropout(corruption)] if corruption else []
        units = math.prod(shape)
        decoder = [Dense(units)] if len(shape) == 1 else [Dense(units), Reshape(shape)]
        trial = Sequential([Input(shape), *corrupt, *block, *decoder])
        trial.compile(optimizers.deserialize(config), loss)
        histories.append(
            trial.fit(features, features, batch_size=batch_size, epochs=epochs, verbose=verbose)
        )
        encoder = Sequential([Input(shape), *block])
        features = encoder.predict(features, batch_size=batch_size, verbose=0)
    return histories


def _split(layers: list[Layer]) -> tuple[list[Layer], list[Layer]]:
    """Layers in front that only change what the inputs are written in, and all others."""
    count = 0
    for layer in layers:
        draws = any(hasattr(inner, "seed_generator") for inner in layer._flatten_layers())
        if isinstance(layer, Dense) or layer.trainable_variables or draws:
            break
        count += 1
    return layers[:count], layers[count:]


def _blocks(layers: list[Layer], keep_last: int) -> list[list[Layer]]:
    """Each dense layer but the last few, with what stands behind it up to the next dense layer.

    The first block has what stands before it, too.
    """
    dense = [i for i, layer in enumerate(layers) if isinstance(layer, Dense)]
    cuts = [0, *dense[1:], len(layers)]
    blocks = [layers[a:b] for a, b in pairwise(cuts)]
    return blocks[: max(len(dense) - keep_last, 0)]
