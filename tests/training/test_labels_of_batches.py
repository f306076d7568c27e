"""Labels outside of the classes are an error wherever they come from, and nothing changes."""

import numpy as np
import pytest

import densa

X, Y = np.ones((8, 4), "f4"), np.array([0, 1, 2, 0, 1, 3, 0, 1])  # three classes; row 5 is wrong


def model(eagerly=False):
    net = densa.Sequential([densa.Input((4,)), densa.layers.Dense(3, activation="softmax")])
    net.compile("sgd", "sparse_categorical_crossentropy", run_eagerly=eagerly)
    return net


@pytest.mark.parametrize("eagerly", [False, True])
@pytest.mark.parametrize(
    "call",
    [
        lambda net: net.train_on_batch(X, Y),
        lambda net: net.test_on_batch(X, Y),
        lambda net: net.fit(((X, Y) for _ in range(2)), verbose=0),
        lambda net: net.evaluate(((X, Y) for _ in range(2)), verbose=0),
    ],
    ids=["train_on_batch", "test_on_batch", "fit", "evaluate"],
)
def test_bad_labels_in_batches(call, eagerly):
    net = model(eagerly)
    before = net.get_weights()
    with pytest.raises(ValueError, match="between 0 and 2.*first in row 5"):
        call(net)
    for a, b in zip(before, net.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
