"""A random layer called several times in a step draws anew each time, the same on all paths."""

import numpy as np
import pytest

import densa
from densa import layers, ops

WIDTH = 40
GENERATOR = densa.random.SeedGenerator(5)


class Product(densa.losses.Loss):
    """The sum of output times target: with powers of two as targets it tells the mask."""

    def call(self, y_true, y_pred):
        return ops.sum(y_true * y_pred, axis=-1)


class Free(layers.Layer):
    """Draws from the global generator, which has no seed of its own."""

    def call(self, x, training=False):
        return densa.random.dropout(x, 0.5) if training else x


class Drawing(layers.Layer):
    """Draws with a function of densa.random."""

    def __init__(self, draw):
        super().__init__()
        self.draw = draw

    def call(self, x, training=False):
        return x + ops.cast(self.draw(x.shape), "float32") if training else x


def train(make, eager):
    densa.utils.set_random_seed(11)
    x = densa.Input((WIDTH,))
    layer = make()
    first = layer(x)
    second = layer(layers.Dense(WIDTH, kernel_initializer="identity", use_bias=False)(x))
    model = densa.Model(x, [first, second])
    model.compile(densa.optimizers.SGD(0.0), [Product(), Product()], run_eagerly=eager)
    targets = [np.eye(WIDTH, dtype="f4")] * 2
    seen = []

    def note(batch, logs):
        # Losses are means over the batches so far; each has one row.
        seen.append([logs[n] * (batch + 1) for n in sorted(logs) if n.endswith("_loss")])

    hook = densa.callbacks.LambdaCallback(on_train_batch_end=note)
    data = np.ones((WIDTH, WIDTH), "f4")
    model.fit(data, targets, batch_size=1, shuffle=False, verbose=0, callbacks=[hook])
    return np.diff(np.array(seen), axis=0, prepend=0.0)  # (step, call)


@pytest.mark.parametrize(
    "make",
    [
        lambda: layers.Dropout(0.5, seed=3),
        lambda: layers.Dropout(0.5),
        lambda: layers.AlphaDropout(0.5, seed=3),
        lambda: layers.GaussianNoise(0.5, seed=3),
        lambda: layers.GaussianDropout(0.5, seed=3),
        Free,
        lambda: Drawing(densa.random.normal),
        lambda: Drawing(lambda shape: densa.random.uniform(shape, 1, 3, seed=GENERATOR)),
        lambda: Drawing(lambda shape: densa.random.randint(shape, -3, 4)),
    ],
    ids=[
        *["dropout", "unseeded", "alpha", "noise", "gaussian", "global"],
        *["normal", "uniform", "randint"],
    ],
)
def test_each_call_of_a_random_layer_draws_anew_on_every_path(make):
    GENERATOR.set_state([5, 0, 0])
    plan = train(make, False)
    GENERATOR.set_state([5, 0, 0])
    eager = train(make, True)
    # Differences of running float32 sums of up to 40 numbers of about 2.
    np.testing.assert_allclose(plan, eager, atol=1e-3)
    # 40 entries of two masks of rate 1/2 agree by chance with a probability of 2^-40.
    assert np.abs(plan[:, 0] - plan[:, 1]).max() > 0.1
    assert np.abs(plan[0] - plan[1]).max() > 0.1


def test_draws_that_are_not_recorded_are_an_error():
    model = densa.Sequential([Drawing(densa.random.truncated_normal), layers.Dense(1)])
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match=r"truncated_normal would draw once.*run_eagerly=True"):
        model.fit(np.ones((8, 4), "f4"), np.ones((8, 1), "f4"), verbose=0)
    model.compile("sgd", "mse", run_eagerly=True)
    model.fit(np.ones((8, 4), "f4"), np.ones((8, 1), "f4"), verbose=0)


@pytest.mark.cpu_only("the text of a plan whose ops stay apart")
def test_one_call_keeps_the_mask_of_its_step():
    """Layers called once are recorded once, with the plan's step as it always was."""
    densa.utils.set_random_seed(2)
    model = densa.Sequential([densa.Input((4,)), layers.Dropout(0.5), layers.Dense(1)])
    model.compile("sgd", "mse")
    model.fit(np.ones((8, 4), "f4"), np.ones((8, 1), "f4"), verbose=0)
    (bound,) = model._runners["train"]._plans.values()
    assert "step=-1" in bound.plan.program_text
    assert "every=" not in bound.plan.program_text
