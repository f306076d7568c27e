"""Models as people write them: subclassed, functional, nested, shared, with many inputs."""

import numpy as np

import densa
from densa import layers as L
from densa import ops


def image_and_table():
    image = densa.Input((4, 4), dtype="uint8", name="image")
    table = densa.Input((3,), name="table")
    pixels = L.Dense(6, "relu")(L.Flatten()(L.Rescaling(1 / 255)(image)))
    return densa.Model([image, table], L.Dense(2)(L.Concatenate()([pixels, table])))


def two_towers():
    tower = densa.Sequential([densa.Input((5,)), L.Dense(8, "relu"), L.Dense(4)], name="tower")
    a, b = densa.Input((5,), name="a"), densa.Input((5,), name="b")
    u, v = ops.normalize(tower(a)), ops.normalize(tower(b))
    return densa.Model([a, b], ops.sum(u * v, axis=-1, keepdims=True))


def residual():
    x = densa.Input((6,))
    h = x
    for _ in range(3):
        h = L.Add()([h, L.Dense(6)(L.Activation("gelu")(L.LayerNormalization()(h)))])
    return densa.Model(x, L.Dense(1)(h))


def dense_connections():
    x = densa.Input((4,))
    seen = [x]
    for _ in range(3):
        h = seen[0] if len(seen) == 1 else L.Concatenate()(seen)
        seen.append(L.Dense(3, "elu")(h))
    return densa.Model(x, seen[-1])


def dict_of_outputs():
    x = densa.Input((4,))
    h = L.Dense(5, "tanh")(x)
    return densa.Model(x, {"score": L.Dense(1)(h), "kind": L.Dense(3, "softmax")(h), "inside": h})


def autoencoder_error():
    x = densa.Input((6,))
    back = L.Dense(6)(L.Dense(2, "relu")(x))
    return densa.Model(x, ops.mean(ops.square(x - back), axis=-1))


def embeddings_of_columns():
    ids = densa.Input((3,), dtype="int32", name="ids")
    parts = [L.Embedding(11, 2)(ids[:, i]) for i in range(3)]
    return densa.Model(ids, L.Dense(2)(L.Concatenate()(parts)))


def bag_of_words():
    ids = densa.Input((5,), dtype="int32", name="ids")
    table = L.Embedding(11, 4)(ids)
    known = ops.cast(ids > 0, "float32")[..., None]
    mean = ops.sum(table * known, axis=1) / ops.maximum(ops.sum(known, axis=1), 1.0)
    return densa.Model(ids, L.Dense(2)(mean))


def one_hot_columns():
    ids = densa.Input((), dtype="int64", name="ids")
    return densa.Model(ids, L.Dense(3)(ops.one_hot(ids, 7)))


def fourier_features():
    x = densa.Input((2,))
    waves = x @ np.random.default_rng(0).normal(size=(2, 5)).astype("float32")
    return densa.Model(x, L.Dense(1)(ops.concatenate([ops.sin(waves), ops.cos(waves)], -1)))


def lambda_layers():
    return densa.Sequential(
        [
            densa.Input((4,)),
            L.Lambda(lambda x: ops.concatenate([x, x**2], axis=-1)),
            L.Dense(3),
            L.Lambda(lambda x: ops.clip(x, -1, 1)),
        ]
    )


def nested_three_deep():
    first = densa.Sequential([densa.Input((4,)), L.Dense(5), L.BatchNormalization()], name="first")
    x = densa.Input((4,))
    second = densa.Model(x, L.ReLU()(first(x)), name="second")
    return densa.Sequential([densa.Input((4,)), second, L.Dropout(0.5), L.Dense(2)])


def shared_layer():
    x = densa.Input((4,))
    same = L.Dense(4, "tanh")
    return densa.Model(x, same(same(same(x))))


def shapes_and_back():
    x = densa.Input((12,))
    h = L.Permute((2, 1))(L.Reshape((3, 4))(x))
    return densa.Model(x, L.Flatten()(L.Dense(2)(h)))


def all_merges():
    a, b = densa.Input((4,), name="a"), densa.Input((4,), name="b")
    merged = [m([a, b]) for m in (L.Add(), L.Subtract(), L.Multiply(), L.Average(), L.Maximum())]
    return densa.Model([a, b], L.Dense(2)(L.Minimum()(merged)))


def noise_everywhere():
    return densa.Sequential(
        [
            densa.Input((4,)),
            L.GaussianNoise(0.1),
            L.Dense(6, "selu"),
            L.AlphaDropout(0.2),
            L.GaussianDropout(0.2),
            L.ActivityRegularization(l2=0.1),
            L.Dense(2, activity_regularizer="l2"),
        ]
    )


def activations_with_parameters():
    return densa.Sequential(
        [
            densa.Input((5,)),
            L.Dense(6),
            L.PReLU(),
            L.Dense(6),
            L.Swish(),
            L.LeakyReLU(negative_slope=0.3),
            L.ELU(alpha=0.5),
            L.Softmax(),
        ]
    )


def float64_model():
    x = densa.Input((4,), dtype="float64")
    return densa.Model(x, L.Dense(3, "sigmoid", dtype="float64")(x))


def mixed_policy():
    x = densa.Input((4,))
    h = L.Dense(8, "relu", dtype="mixed_bfloat16")(x)
    return densa.Model(x, L.Dense(3, dtype="float32")(h))


def passed_through():
    x = densa.Input((4,))
    return densa.Model(x, [L.Dense(2)(x), x, x[:, :1]])


class Gated(densa.Model):
    """A mixture of experts with a gate."""

    def __init__(self):
        super().__init__()
        self.gate = L.Dense(3, "softmax")
        self.experts = [L.Dense(2) for _ in range(3)]

    def call(self, x):
        given = ops.stack([expert(x) for expert in self.experts], axis=1)
        return ops.sum(self.gate(x)[..., None] * given, axis=1)


class BestExpert(Gated):
    """Takes the expert that the gate likes best."""

    def call(self, x):
        given = ops.stack([expert(x) for expert in self.experts], axis=1)
        best = ops.argmax(self.gate(x), axis=-1)[:, None, None]
        return ops.take_along_axis(given, best, axis=1)[:, 0]


class Attention(densa.Model):
    """A transformer's block with two heads over the places of a row."""

    def __init__(self):
        super().__init__()
        self.qkv, self.out = L.Dense(12), L.Dense(4)
        self.norm, self.up, self.down = L.LayerNormalization(), L.Dense(8, "gelu"), L.Dense(4)

    def call(self, x):
        q, k, v = (
            ops.transpose(ops.reshape(part, (-1, 5, 2, 2)), (0, 2, 1, 3))
            for part in ops.split(self.qkv(self.norm(x)), 3, axis=-1)
        )
        scores = q @ ops.transpose(k, (0, 1, 3, 2)) / 2**0.5
        scores = ops.where(np.tri(5, dtype=bool), scores, -1e9)
        mixed = ops.transpose(ops.softmax(scores) @ v, (0, 2, 1, 3))
        x = x + self.out(ops.reshape(mixed, (-1, 5, 4)))
        return x + self.down(self.up(self.norm(x)))


class Recurrent(densa.Model):
    """A loop over the places of a row whose state begins with zeros of the batch's size."""

    def __init__(self):
        super().__init__()
        self.inward, self.again = L.Dense(3), L.Dense(3, use_bias=False)

    def call(self, x):
        state = ops.zeros((ops.shape(x)[0], 3))
        for i in range(x.shape[1]):
            state = ops.tanh(self.inward(x[:, i]) + self.again(state))
        return state


class Flattened(densa.Model):
    """Flattens as code for other libraries does."""

    def __init__(self):
        super().__init__()
        self.dense = L.Dense(3)

    def call(self, x, training=None):
        y = self.dense(ops.reshape(x, (x.shape[0] or ops.shape(x)[0], -1)))
        return y * 0.5 if training else y


class CountsInTraining(densa.Model):
    """Keeps a running number while it trains."""

    def __init__(self):
        super().__init__()
        self.dense = L.Dense(2)
        self.seen = self.add_weight(shape=(), initializer="zeros", trainable=False, name="seen")

    def call(self, x, training=None):
        if training:
            self.seen.assign_add(1.0)
        return self.dense(x) + self.seen


class Polynomial(densa.Model):
    """Weights of its own, windows and pads."""

    def build(self, shape):
        self.w = self.add_weight(shape=(3, shape[-1]), initializer="glorot_uniform", name="w")

    def call(self, x):
        wide = ops.pad(x, ((0, 0), (1, 1)))
        smooth = (wide[:, :-2] + wide[:, 1:-1] + wide[:, 2:]) / 3
        return ops.sum(self.w[None] * ops.stack([smooth**i for i in range(3)], axis=1), axis=(1, 2))


class Named(densa.Model):
    """Takes and gives dicts."""

    def __init__(self):
        super().__init__()
        self.dense = L.Dense(4, "relu")

    def call(self, x):
        h = self.dense(x["left"]) - self.dense(x["right"])
        return {"far": ops.norm(h, axis=-1), "sign": ops.sign(h), "which": ops.argmax(h, axis=-1)}


class Prototypes(densa.Model):
    """The nearest of learnt points, and how near."""

    def build(self, shape):
        self.points = self.add_weight(shape=(5, shape[-1]), initializer="random_normal", name="p")

    def call(self, x):
        far = ops.sum(ops.square(x[:, None] - self.points), axis=-1)
        near = ops.argmin(far, axis=-1)
        return ops.take(self.points, near, axis=0), ops.min(far, axis=-1), ops.softmax(-far)


def fixed_batch():
    x = densa.Input(batch_shape=(8, 2, 3))
    return densa.Model(x, L.Dense(2)(ops.reshape(x, (8, -1))))


FUNCTIONAL = [
    image_and_table,
    two_towers,
    residual,
    dense_connections,
    dict_of_outputs,
    autoencoder_error,
    embeddings_of_columns,
    bag_of_words,
    one_hot_columns,
    fourier_features,
    lambda_layers,
    nested_three_deep,
    shared_layer,
    shapes_and_back,
    all_merges,
    noise_everywhere,
    activations_with_parameters,
    float64_model,
    mixed_policy,
    passed_through,
    fixed_batch,
]
# And what each is called with.
SUBCLASSED = {
    Gated: (4,),
    BestExpert: (4,),
    Attention: (5, 4),
    Recurrent: (4, 2),
    Flattened: (2, 3),
    CountsInTraining: (4,),
    Polynomial: (6,),
    Named: {"left": (3,), "right": (3,)},
    Prototypes: (4,),
}
