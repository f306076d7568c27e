"""What cannot be frozen is refused: with the layer, what it does, and a way out that works."""

import time

import numpy as np
import pytest

import densa
from densa import layers, ops

pytestmark = pytest.mark.cpu_only("what freezes is the same everywhere")


class Inside(densa.layers.Layer):
    """Applies a function that a test gives."""

    def __init__(self, function, **kwargs):
        super().__init__(**kwargs)
        self.function = function
        self.counter = self.add_weight(shape=(), initializer="zeros", name="counter")

    def call(self, x, training=None):
        return self.function(self, x, training)


def network(function):
    """outer/inner/odd between two dense layers."""
    inner = densa.Sequential(
        [densa.Input((5,)), Inside(function, name="odd"), layers.Dense(3)], name="inner"
    )
    x = densa.Input((4,))
    return densa.Model(x, inner(layers.Dense(5, "relu")(x)), name="outer")


def refused(model, **options):
    with pytest.raises(ValueError, match="freeze: ") as caught:
        model.freeze(**options)
    assert "run_eagerly" not in str(caught.value)
    return str(caught.value)


def count(layer, x, training):
    layer.counter.assign_add(1.0)
    return x


def count_in_training(layer, x, training):
    if training:
        layer.counter.assign_add(1.0)
    return x


@pytest.mark.parametrize("name", ["fold", "merge", "prune"])
def test_what_is_neither_true_nor_false(name):
    model = densa.Sequential([densa.Input((2,)), layers.Dense(1)])
    for value in ("no", 0, None):
        with pytest.raises(TypeError, match=f"{name} must be True or False; received {value!r}"):
            model.freeze(**{name: value})


def test_a_model_without_layers():
    assert "has no layers, so there is nothing" in refused(densa.Sequential([densa.Input((3,))]))
    x = np.ones((2, 3), "f4")
    same = densa.Sequential([densa.Input((3,)), layers.Identity()])
    np.testing.assert_array_equal(same.freeze()(x), x)


DRAWS = {
    "normal": lambda: densa.random.normal((5,)),
    "uniform": lambda: densa.random.uniform((5,)),
    "randint": lambda: ops.cast(densa.random.randint((5,), 0, 9), "float32"),
    "a generator": lambda: densa.random.normal((5,), seed=GENERATOR),
}
GENERATOR = densa.random.SeedGenerator(7)


def test_assignments():
    message = refused(network(count))
    assert "layer 'outer/inner/odd' assigns to the variable" in message
    assert "counter" in message
    network(count_in_training).freeze()  # what the message says helps


@pytest.mark.parametrize("name", DRAWS)
def test_random_draws(name):
    message = refused(network(lambda layer, x, training: x + DRAWS[name]()))
    assert "layer 'outer/inner/odd' draws random numbers" in message
    model = network(lambda layer, x, training: x + DRAWS[name]() if training else x)
    x = np.ones((3, 4), "float32")
    np.testing.assert_array_equal(model.freeze()(x), model.predict(x, verbose=0))


def test_dropout_where_it_predicts():
    model = network(lambda layer, x, training: densa.random.dropout(x, 0.5))
    assert "layer 'outer/inner/odd' draws random numbers (dropout)" in refused(model)


@pytest.mark.parametrize(
    "draw",
    [
        lambda: densa.random.truncated_normal((5,)),
        lambda: densa.random.gamma((5,), 2.0),
        lambda: densa.random.shuffle(np.arange(5.0)),
        lambda: densa.random.categorical(np.zeros((1, 3)), 5),
    ],
)
def test_random_draws_that_are_not_recorded(draw):
    model = network(lambda layer, x, training: x + ops.cast(draw(), "float32"))
    with pytest.raises(ValueError, match="would draw once and for all"):
        model.freeze()


def test_draws_of_a_seed_are_constants():
    model = network(lambda layer, x, training: x + densa.random.normal((5,), seed=3))
    x = np.ones((3, 4), "float32")
    np.testing.assert_allclose(model.freeze()(x), model.predict(x, verbose=0), rtol=1e-6)


def test_what_is_another_number_each_time():
    rng = np.random.default_rng(0)
    for number in (rng.random, time.perf_counter, lambda: rng.random(5).astype("float32")):
        message = refused(network(lambda layer, x, training, number=number: x + number()))
        assert "layer 'outer/inner/odd' does not compute the same each time" in message


def test_numbers_made_from_the_size_of_the_batch():
    message = refused(network(lambda layer, x, training: x / float(ops.shape(x)[0])))
    assert "layer 'outer/inner/odd' does not compute the same" in message


def test_rows_that_mix():
    cases = {
        "mean": lambda layer, x, training: x - ops.mean(x, axis=0),
        "softmax": lambda layer, x, training: ops.softmax(x, axis=0),
    }
    for op, function in cases.items():
        message = refused(network(function))
        assert f"layer 'outer/inner/odd' uses the op {op}, which mixes the rows" in message


def test_a_way_out_of_mixing_rows():
    x = densa.Input((4,))
    h = layers.Dense(3, name="last")(x)
    whole = densa.Model(x, h - ops.mean(h, axis=0))
    assert "freeze a model that ends before this step" in refused(whole)
    data = np.random.default_rng(0).normal(size=(7, 4)).astype("float32")
    y = densa.Model(x, h).freeze()(data)
    np.testing.assert_allclose(y - y.mean(0), np.asarray(whole(data)), atol=1e-6)


def test_reading_numbers():
    def function(layer, x, training):
        return x if float(ops.sum(x)) > 0 else -x

    message = refused(network(function))
    assert "layer 'outer/inner/odd' computes in Python" in message
    assert "ops.where" in message


def test_an_op_of_a_functional_graph_is_named():
    x = densa.Input((4,))
    model = densa.Model(x, ops.softmax(x, axis=0) + 1.0, name="net")
    assert "layer 'net/softmax" in refused(model)


def test_results_that_are_no_rows():
    x = densa.Input((4,))
    message = refused(densa.Model(x, ops.sum(x)))
    assert "sum, which mixes the rows" in message

    class Constant(densa.Model):
        def call(self, x):
            return ops.ones((3, 2))

    model = Constant()
    assert "output 'output' has shape (3, 2)" in refused(model, inputs=densa.Input((4,)))

    class Number(densa.Model):
        def call(self, x):
            return x, 3

    assert "'output_1' is int" in refused(Number(), inputs=densa.Input((4,)))


def test_sizes_that_are_not_known():
    x = densa.Input((None, 4), name="x")
    message = refused(densa.Model(x, layers.Dense(3)(x)))
    assert "input 'x' has shape (None, None, 4)" in message
