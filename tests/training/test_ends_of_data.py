"""Where epochs and the data do not end together: what runs, what is recorded, what is said."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import densa
from training.cases import linear, regression

X, Y = regression(12)
RATE = 0.1


def model_of(eager):
    model = linear()
    model.compile(densa.optimizers.SGD(RATE), "mse", run_eagerly=eager)
    return model


def part(i):
    return X[4 * i : 4 * i + 4], Y[4 * i : 4 * i + 4]


def generator(batches=3):
    return (part(i) for i in range(batches))


def trained(epochs):
    """Loss of each epoch and the kernel at the end, by plain descent over lists of batches."""
    w, b = (a.astype("f8") for a in linear().get_weights())
    losses = []
    for epoch in epochs:
        found = []
        for i in epoch:
            x, y = (a.astype("f8") for a in part(i))
            error = x @ w + b - y
            found.append((error**2).mean())
            w = w - RATE * 2 * x.T @ error / 4
            b = b - RATE * 2 * error.mean()
        losses.append(np.mean(found))
    return losses, w


def check(model, history, epochs):
    losses, w = trained(epochs)
    assert history.epoch == list(range(len(epochs)))
    # A few steps in float32.
    np.testing.assert_allclose(history.history["loss"], losses, rtol=1e-5)
    np.testing.assert_allclose(model.get_weights()[0], w, rtol=1e-4)


class Told(densa.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.ended, self.last = [], None

    def on_epoch_end(self, epoch, logs=None):
        self.ended.append(epoch)

    def on_train_end(self, logs=None):
        self.last = dict(logs)


@pytest.mark.parametrize("steps", [None, 3], ids=["no steps", "steps"])
def test_a_generator_that_is_used_up_ends_the_training(eager, steps):
    model, told = model_of(eager), Told()
    with pytest.warns(UserWarning, match="ran out of data.*cannot begin again") as seen:
        history = model.fit(
            generator(), epochs=4, steps_per_epoch=steps, verbose=0, callbacks=[told]
        )
    assert len(seen) == 1
    check(model, history, [[0, 1, 2]])
    assert told.ended == [0]
    assert told.last == {"loss": history.history["loss"][0]}


@pytest.mark.parametrize("steps", [None, 3], ids=["no steps", "steps"])
def test_a_validation_that_is_used_up_leaves_no_numbers(eager, steps):
    model = model_of(eager)
    with pytest.warns(UserWarning, match="ran out of data") as seen:
        history = model.fit(
            *(X, Y, 4, 3, 0),  # batch_size, epochs, verbose
            shuffle=False,
            validation_data=generator(),
            validation_steps=steps,
        )
    assert len(seen) == 1
    check(model, history, [[0, 1, 2]] * 3)
    assert len(history.history["val_loss"]) == 1
    assert history.history["val_loss"][0] > 0


def test_a_generator_of_one_epoch_says_nothing(eager):
    model = model_of(eager)
    check(model, model.fit(generator(), verbose=0), [[0, 1, 2]])


class Dataset(densa.utils.PyDataset):
    def __len__(self):
        return 3

    def __getitem__(self, i):
        return part(i)


class Loader:
    def __iter__(self):
        return generator()


SOURCES = {
    "arrays": lambda: ((X, Y), {"batch_size": 4}),
    "dataset": lambda: ((Dataset(),), {}),
    "loader": lambda: ((Loader(),), {}),
}


@pytest.mark.parametrize("kind", SOURCES)
@pytest.mark.parametrize(
    ("steps", "epochs", "times"),
    [
        (5, [[0, 1, 2]] * 3, 3),
        (2, [[0, 1], [2], [0, 1], [2]], 2),
        (1, [[0], [1], [2], [0]], 0),
        (3, [[0, 1, 2]] * 2, 0),
    ],
)
def test_an_epoch_ends_with_the_data_and_the_next_begins_again(eager, kind, steps, epochs, times):
    data, more = SOURCES[kind]()
    model = model_of(eager)
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        history = model.fit(
            *data, epochs=len(epochs), steps_per_epoch=steps, shuffle=False, verbose=0, **more
        )
    check(model, history, epochs)
    assert len(seen) == times
    assert all(f"where {steps} were due" in str(w.message) for w in seen)


@pytest.mark.parametrize("kind", SOURCES)
def test_no_row_counts_twice_in_an_evaluation_or_prediction(eager, kind):
    data, more = SOURCES[kind]()
    model = model_of(eager)
    whole = model.evaluate(X, Y, batch_size=4, verbose=0)
    with pytest.warns(UserWarning, match="3 batches came where 5 were due"):
        assert model.evaluate(*data, steps=5, verbose=0, **more) == pytest.approx(whole, rel=1e-6)
    with pytest.warns(UserWarning, match="3 batches came where 5 were due"):
        found = model.predict(data[0], steps=5, verbose=0, **more)
    np.testing.assert_allclose(found, model.predict(X, verbose=0), rtol=1e-6)


class Batches(densa.utils.PyDataset):
    def __init__(self, batches):
        super().__init__()
        self.batches = batches

    def __len__(self):
        return len(self.batches)

    def __getitem__(self, index):
        return self.batches[index]


@pytest.mark.parametrize("kind", [iter, Batches], ids=["generator", "dataset"])
def test_a_batch_without_rows_is_refused_by_its_number(eager, kind):
    # A full batch comes first, so that a plan exists before the empty one.
    batches = [part(0), (X[:0], Y[:0]), part(1)]
    model = model_of(eager)
    message = r"Batch 1 \(counted from 0\) of `x` .* has no rows"
    with pytest.raises(ValueError, match=message):
        model.fit(kind(batches), verbose=0, shuffle=False)
    # The step before it stands, finite; none came after.
    _, w = trained([[0]])
    np.testing.assert_allclose(model.get_weights()[0], w, rtol=1e-4)
    assert int(model.optimizer.iterations) == 1
    with pytest.raises(ValueError, match=message):
        model.evaluate(kind(batches), verbose=0)
    with pytest.raises(ValueError, match=message):
        model.predict(kind([(x,) for x, _ in batches]), verbose=0)
