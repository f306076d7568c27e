"""Networks of many kinds for the tests of frozen ones, and rows for them."""

import numpy as np

import densa
from densa import layers


def dense_net():
    return densa.Sequential(
        [
            densa.Input((29,)),
            layers.Dense(50, "relu"),
            layers.Dense(33, "gelu", use_bias=False),
            layers.Dropout(0.5),
            layers.Dense(16, "tanh"),
            layers.Dense(5, "softmax"),
        ]
    )


def norm_net():
    return densa.Sequential(
        [
            densa.Input((13,)),
            layers.BatchNormalization(),
            layers.Dense(17),
            layers.BatchNormalization(),
            layers.Activation("silu"),
            layers.Dense(1),
        ]
    )


def wide_net():
    a, ids = densa.Input((6,), name="numbers"), densa.Input((2,), dtype="int32", name="ids")
    table = layers.Flatten()(layers.Embedding(11, 3)(ids))
    x = layers.Concatenate()([a, table])
    h = layers.Dense(12, "elu")(x)
    h = layers.Add()([h, layers.Dense(12, "relu")(h)])
    return densa.Model(
        {"numbers": a, "ids": ids},
        [layers.Dense(3, name="scores")(h), layers.Dense(1, "sigmoid", name="risk")(x)],
    )


def image_net():
    return densa.Sequential(
        [
            densa.Input((4, 5), dtype="uint8"),
            layers.Rescaling(1 / 255),
            layers.Flatten(),
            layers.Dense(9, "relu"),
            layers.Dense(9, "log_softmax"),
        ]
    )


def flat_net():
    return densa.Sequential(
        [densa.Input((3, 7)), layers.Flatten(), layers.Dense(6, "relu"), layers.Dense(3)]
    )


def deep_input_net():
    return densa.Sequential([densa.Input((3, 7)), layers.Dense(5, "relu"), layers.Dense(2)])


def deep_net():
    """Products of more axes, one behind the other and behind ops that have no panels."""
    x = densa.Input((4, 6))
    h = layers.Dense(5, "relu")(layers.Dense(9, "tanh")(x))
    h = layers.Add()([h, layers.Dense(5)(densa.ops.softmax(x, axis=1))])
    return densa.Model(x, [layers.Dense(3)(h), layers.Dense(2)(layers.Flatten()(h))])


def ids_net():
    """Ids that take another shape before they are looked up."""
    ids = densa.Input((2, 3), dtype="int32")
    return densa.Model(ids, layers.Dense(4)(layers.Embedding(11, 3)(layers.Flatten()(ids))))


def skip_net():
    """Operands that come in other forms than their readers want, asked for one by one."""
    x = densa.Input((6,))
    h = layers.Dense(6, "elu")(x)
    h = layers.Add()([h, layers.Multiply()([x, h])])
    h = layers.Concatenate()([h, layers.Maximum()([x, h]), layers.Rescaling(0.5, 1.25)(x)])
    h = layers.Subtract()([h, layers.Dense(1)(h)])
    return densa.Model(x, layers.Dense(4)(h))


def data_for(predictor, rows, seed=0):
    rng = np.random.default_rng(seed)
    arrays = []
    for spec in predictor.inputs:
        shape = (rows, *spec.shape[1:])
        if spec.dtype == "int32":
            arrays.append(rng.integers(0, 11, shape).astype("int32"))
        elif spec.dtype == "uint8":
            arrays.append(rng.integers(0, 256, shape).astype("uint8"))
        else:
            arrays.append(rng.normal(size=shape).astype(spec.dtype))
    return arrays


def move_weights(model):
    """Away from where they begin, moving averages too."""
    rng = np.random.default_rng(1)
    for variable in model.variables:
        if "float" in variable.dtype:
            value = variable.numpy() + 0.1 * rng.normal(size=variable.shape)
            variable.assign(np.abs(value) if "variance" in variable.name else value)


NETS = [
    dense_net,
    norm_net,
    wide_net,
    image_net,
    deep_input_net,
    deep_net,
    flat_net,
    ids_net,
    skip_net,
]
