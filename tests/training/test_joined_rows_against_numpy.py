"""Native steps at rank 3: losses and gradients against networks written in NumPy's float64.

One step of plain descent at rate 1 moves each weight by its gradient, which is compared with
central differences of the reference.
"""

from __future__ import annotations

import numpy as np
import pytest

import densa
from densa import layers, ops

RNG = np.random.default_rng(8)


def softmax(z):
    e = np.exp(z - z.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def flat(x):
    return x.reshape(len(x), -1)


def normalized(x, gamma, beta):
    centred = x - x.mean(-1, keepdims=True)
    return centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-3) * gamma + beta


def squares(y, target):
    return np.mean((y - target) ** 2)


def entropy_at_each_place(y, classes):
    return -np.mean(np.log(np.take_along_axis(y, classes[..., None], -1)))


class Attention(layers.Layer):
    def __init__(self):
        super().__init__()
        self.q, self.k, self.v = (layers.Dense(3, use_bias=False) for _ in range(3))

    def call(self, x):
        scores = ops.matmul(self.q(x), ops.transpose(self.k(x), (0, 2, 1)))
        return ops.matmul(ops.softmax(scores), self.v(x))


class MeanOfKept(layers.Layer):
    def call(self, x, mask=None):
        kept = ops.expand_dims(ops.cast(mask, x.dtype), -1)
        return ops.sum(x * kept, axis=1) / ops.sum(kept, axis=1)

    def compute_mask(self, inputs, mask=None):
        return None


def dense(width):
    return (
        [layers.Dense(width, activation="tanh"), layers.Flatten(), layers.Dense(2)],
        lambda x, w, b, v, c: flat(np.tanh(x @ w + b)) @ v + c,
    )


def attention():
    def reference(x, q, k, v, out, bias):
        scores = np.einsum("btd,bsd->bts", x @ q, x @ k)
        return flat(np.einsum("bts,bsd->btd", softmax(scores), x @ v)) @ out + bias

    return [Attention(), layers.Flatten(), layers.Dense(2)], reference


def einsum():
    def reference(x, w, b, v, c, out, bias):
        h = np.logaddexp(0, np.einsum("abc,cde->abde", x, w) + b)
        return flat(np.einsum("abde,def->abf", h, v) + c) @ out + bias

    first = layers.EinsumDense("abc,cde->abde", (None, 2, 3), bias_axes="de")
    second = layers.EinsumDense("abde,def->abf", (None, 4), bias_axes="f")
    stack = [first, layers.Activation("softplus"), second, layers.Flatten(), layers.Dense(2)]
    return stack, reference


def along_the_second_axis():
    def reference(x, gamma, beta, w, b, v, c):
        y = normalized(x, gamma, beta).swapaxes(1, 2) @ w + b
        return flat(y.swapaxes(1, 2)) @ v + c

    stack = [layers.LayerNormalization(), layers.Permute((2, 1)), layers.Dense(7)]
    return [*stack, layers.Permute((2, 1)), layers.Flatten(), layers.Dense(2)], reference


def set_of_kept():
    def reference(x, w, b, v, c):
        kept = (x != 0).any(-1)[..., None]
        return (np.tanh(x @ w + b) * kept).sum(1) / kept.sum(1) @ v + c

    stack = [layers.Masking(), layers.Dense(8, activation="tanh"), MeanOfKept(), layers.Dense(2)]
    return stack, reference


def class_at_each_place():
    return (
        [layers.Dense(5, activation="tanh"), layers.Dense(3, activation="softmax")],
        lambda x, w, b, v, c: softmax(np.tanh(x @ w + b) @ v + c),
    )


CASES = {
    **{
        f"dense {shape} to {width}": (dense, (width,), shape)
        for shape, width in [
            ((1, 1, 1), 1),
            ((1, 5, 6), 17),
            ((3, 1, 7), 16),
            ((37, 2, 1), 15),
            ((2, 9, 33), 1),
            ((65, 3, 5), 33),
        ]
    },
    "attention": (attention, (), (9, 4, 5)),
    "einsum": (einsum, (), (7, 3, 5)),
    "second axis": (along_the_second_axis, (), (11, 5, 6)),
    "set of kept": (set_of_kept, (), (13, 6, 3)),
    "class at each place": (class_at_each_place, (), (10, 4, 3)),
}


@pytest.mark.parametrize("name", CASES)
def test_a_step_moves_weights_by_the_gradient(name):
    make, arguments, shape = CASES[name]
    stack, reference = make(*arguments)
    places = make is class_at_each_place
    x = RNG.normal(size=shape).astype("f4")
    if make is set_of_kept:
        x[:, 1:] *= RNG.integers(0, 2, (shape[0], shape[1] - 1, 1))
    target = RNG.integers(0, 3, shape[:2]) if places else RNG.normal(size=(shape[0], 2))
    target = target.astype("i4" if places else "f4")
    model = densa.Sequential([densa.Input(shape[1:]), *stack])
    for w in model.weights:
        w.assign(RNG.normal(size=w.shape).astype("f4") / np.sqrt(w.shape[0]))
    weights = [np.asarray(w, "f8") for w in model.get_weights()]
    score = entropy_at_each_place if places else squares

    def loss(weights):
        return score(reference(x.astype("f8"), *weights), target)

    model.compile(
        optimizer=densa.optimizers.SGD(1.0),
        loss="sparse_categorical_crossentropy" if places else "mse",
    )
    history = model.fit(x, target, batch_size=shape[0], epochs=1, shuffle=False, verbose=0).history
    assert "op by op" not in model.explain_plan()
    np.testing.assert_allclose(history["loss"], [loss(weights)], rtol=2e-6)
    for at, moved in enumerate(model.get_weights()):
        slope = np.empty(moved.size)
        for i in range(moved.size):
            sides = []
            for step in (1e-6, -1e-6):
                changed = [w.copy() for w in weights]
                changed[at].flat[i] += step
                sides.append(loss(changed))
            slope[i] = (sides[0] - sides[1]) / 2e-6
        np.testing.assert_allclose(
            (weights[at] - moved).ravel(), slope, rtol=1e-4, atol=2e-6, err_msg=f"weight {at}"
        )
