"""What repeated calls ask of a GPU: launches, captures, copies, counted by the emulation."""

from __future__ import annotations

import numpy as np
import pytest

import densa
from densa import layers
from densa.device import _cuda


@pytest.fixture
def counted():
    """A function that calls its argument and returns what that asked of the GPU."""
    before = densa.get_device()
    try:
        densa.set_device("cuda")
    except RuntimeError as error:
        pytest.skip(f"no GPU: {error}")
    if not hasattr(_cuda(), "counts"):
        pytest.skip("a real GPU does not count")

    def count(call):
        first = _cuda().counts()
        call()
        return {name: number - first[name] for name, number in _cuda().counts().items()}

    yield count
    densa.set_device(before)


def network(widths, activation="relu"):
    stack = [layers.Dense(width, activation=activation) for width in widths[1:-1]]
    return densa.Sequential([densa.Input((widths[0],)), *stack, layers.Dense(widths[-1])])


@pytest.mark.parametrize("call", ["predict", "predict_on_batch"])
def test_repeated_predictions_replay_one_graph(counted, call):
    model = network((17, 64, 64, 6), "tanh")
    x = np.random.default_rng(0).normal(size=(4, 17)).astype("f4")

    def run():
        return model.predict(x, verbose=0) if call == "predict" else model.predict_on_batch(x)

    want = run()
    counts = [counted(run) for _ in range(4)]
    assert counts[0]["captures"] == 1
    for again in counts[1:]:
        assert again["captures"] == again["allocations"] == 0
        assert again["graphs"] == 1
        assert again["launches"] == 0  # beside the graph
        # To the GPU: rows and number of the step; back: results and where data is not finite.
        assert again["to_device"] + again["to_host"] == 4
        assert again["waits"] == 3
    np.testing.assert_array_equal(run(), want)


def test_training_replays_one_graph(counted):
    model = network((17, 64, 64, 6), "tanh")
    model.compile("adam", "mse")
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(64, 17)).astype("f4"), rng.normal(size=(64, 6)).astype("f4")

    def step():
        model.train_on_batch(x, y)

    step()
    step()
    again = counted(step)
    assert again["captures"] == 0
    assert again["graphs"] == 1


def deep_network():
    stack = [densa.Input((3072,))]
    for _ in range(20):
        stack += [layers.Dense(100, use_bias=False), layers.BatchNormalization()]
        stack.append(layers.Activation("silu"))
    return densa.Sequential([*stack, layers.Dense(10)])


SCORES = densa.losses.SparseCategoricalCrossentropy(from_logits=True)
# Networks of the design note: optimizer, loss, rows, ops of a training step and of a prediction.
STEPS = {
    "A": (lambda: network((784, 300, 100, 10)), lambda: densa.optimizers.SGD(0.01, momentum=0.9),
          SCORES, 32, 10, 5),
    "C": (lambda: network((17, 64, 64, 6), "tanh"), lambda: densa.optimizers.Adam(),
          "mse", 64, 4, 3),
    "E": (deep_network, lambda: densa.optimizers.Adam(), SCORES, 64, 141, 4),
}  # fmt: skip


@pytest.mark.parametrize("name", STEPS)
def test_ops_of_a_step(counted, name):
    make, optimizer, loss, rows, training, predicting = STEPS[name]
    model = make()
    rng = np.random.default_rng(0)
    x = rng.normal(size=(rows, model.input_shape[1])).astype("f4")
    y = rng.normal(size=(rows, 6)).astype("f4") if loss == "mse" else rng.integers(0, 10, rows)
    model.compile(optimizer(), loss)
    model.fit(x, y, batch_size=rows, verbose=0)
    model.predict(x, batch_size=rows, verbose=0)
    for kind, want in (("train", training), ("predict", predicting)):
        (bound,) = model._runner(kind)._plans.values()
        assert f" {want} launches" in str(bound.plan).splitlines()[0]
        assert not [line for line in str(bound.plan).splitlines()
                    if line.startswith("  assign") and "in place" not in line]  # fmt: skip
