"""Numbers that fit cannot use are errors before anything runs."""

import numpy as np
import pytest

import densa

X = np.ones((8, 2), "f4")


@pytest.mark.parametrize(
    ("argument", "value", "error"),
    [
        ("epochs", "3", TypeError),
        ("epochs", 2.5, TypeError),
        ("epochs", -1, ValueError),
        ("initial_epoch", -1, ValueError),
        ("initial_epoch", "a", TypeError),
        ("validation_batch_size", 0, ValueError),
        ("validation_split", "a", TypeError),
        ("validation_split", float("nan"), ValueError),
    ],
)
def test_refused(argument, value, error):
    class Began(densa.callbacks.Callback):
        def on_train_begin(self, logs=None):
            raise AssertionError("the training began")

    model = densa.Sequential([densa.Input((2,)), densa.layers.Dense(1)])
    model.compile("sgd", "mse")
    with pytest.raises(error, match=argument):
        model.fit(X, X[:, :1], verbose=0, callbacks=[Began()], **{argument: value})


def test_epochs_of_numpy_and_none_at_all():
    model = densa.Sequential([densa.Input((2,)), densa.layers.Dense(1)])
    model.compile("sgd", "mse")
    assert model.fit(X, X[:, :1], verbose=0, epochs=np.int64(2)).epoch == [0, 1]
    assert model.fit(X, X[:, :1], verbose=0, epochs=0).epoch == []
