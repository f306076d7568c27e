"""Ids and labels that are no integers: an error on every path, never another row or class."""

import warnings

import numpy as np
import pytest

import densa
from densa import layers


@pytest.fixture(params=[False, True], ids=["plan", "eager"])
def eagerly(request):
    return request.param


def lookup(eagerly):
    model = densa.Sequential([layers.Embedding(10, 2), layers.Flatten(), layers.Dense(1)])
    model.compile("sgd", "mse", run_eagerly=eagerly)
    return model


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e30, 1.5])
def test_ids_that_are_no_integers(bad, eagerly):
    model = lookup(eagerly)
    ids, y = np.ones((12, 2)), np.zeros((12, 1))
    model.fit(ids, y, verbose=0)
    ids[5, 1] = bad
    for call in (
        lambda: model.layers[0](ids),
        lambda: model.predict(ids, verbose=0),
        lambda: model.fit(ids, y, batch_size=4, shuffle=False, verbose=0),
    ):
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "x.* holds a non-finite number")
            with pytest.raises(ValueError, match=r"\(Embedding\) must be whole numbers"):
                call()


@pytest.mark.parametrize("bad", [2.0**32 + 512, np.uint64(2**32 + 3), np.uint64(2**64 - 7)])
def test_ids_beyond_32_bits_are_out_of_range(bad, eagerly):
    """All of them would be ids of the table once their upper bits are lost."""
    model = lookup(eagerly)
    ids = np.ones((12, 2), type(bad))
    ids[5, 1] = bad
    with pytest.raises(IndexError, match=f"id {int(bad)} .*out of range"):
        model.layers[0](ids)
    with pytest.raises(IndexError, match=f"id {int(bad)} .*out of range"):
        model.fit(ids, np.zeros((12, 1)), batch_size=4, verbose=0)


@pytest.mark.parametrize("bad", [np.nan, -np.inf, 3e9, 2.0**32, -1.0, 3.0, 1.9, -0.5])
def test_float_labels_outside_the_classes(bad, eagerly):
    model = densa.Sequential([densa.Input((2,)), layers.Dense(3, activation="softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy", run_eagerly=eagerly)
    before = model.get_weights()[0]
    labels = np.array([0, 1, 2, bad, 1])
    with pytest.raises(ValueError, match="between 0 and 2.*first in row 3"):
        model.fit(np.ones((5, 2)), labels, verbose=0)
    np.testing.assert_array_equal(model.get_weights()[0], before)
    batches = iter([(np.ones((5, 2)), labels)] * 2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # NaN is warned of as well
        with pytest.raises(ValueError, match="between 0 and 2.*row 3"):
            model.evaluate(batches, verbose=0)


def test_the_functions_refuse_them_too():
    scores = np.ones((2, 3), "f4")
    for call in (
        lambda y: densa.metrics.sparse_categorical_accuracy(y, scores),
        lambda y: densa.ops.sparse_categorical_crossentropy(y, scores),
        lambda y: densa.ops.one_hot(y, 3),
    ):
        call(np.array([0.0, 2.0]))
        for bad in (np.nan, 1e30, 0.5):
            with pytest.raises(ValueError, match="must be whole numbers.*element 1"):
                call(np.array([0.0, bad]))
    with pytest.raises(ValueError, match="indices must be whole numbers"):
        densa.ops.take_along_axis(scores, np.full((2, 1), 2**64 - 1, np.uint64), 1)
    assert not densa.ops.one_hot(np.array([2.0**32 + 1]), 3).numpy().any()


@pytest.mark.parametrize("bad", [np.nan, 1e20, 2**40, 2**32 + 1, 0.5])
def test_integer_inputs_refuse_what_they_cannot_hold(bad, eagerly):
    model = densa.Sequential(
        [densa.Input((2,), dtype="int32", name="ids"), layers.Embedding(5, 3), layers.Flatten()]
    )
    model.compile("sgd", "mse", run_eagerly=eagerly)
    ids = np.ones((12, 2), np.float64 if isinstance(bad, float) else np.int64)
    ids[5, 1] = bad
    for call in (
        lambda: model(ids),
        lambda: model.predict(ids, verbose=0),
        lambda: model.fit(ids, np.zeros((12, 6)), batch_size=4, shuffle=False, verbose=0),
    ):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # NaN is warned of as well
            with pytest.raises(ValueError, match="input 'ids' must be whole numbers within"):
                call()
