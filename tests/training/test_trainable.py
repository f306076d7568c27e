"""`trainable` is settled by `compile`, as in Keras 3 (A10-05, A10-06)."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import densa
from densa import layers

RNG = np.random.default_rng(8)
X = RNG.standard_normal((32, 4)).astype("f4")
Y = X[:, :1] * 2


def new(eager=False, optimizer="sgd"):
    densa.utils.set_random_seed(4)
    model = densa.Sequential(
        [
            densa.Input((4,)),
            layers.Dense(6, "relu", kernel_regularizer="l2", name="body"),
            layers.BatchNormalization(name="norm"),
            layers.Dense(1, name="head"),
        ]
    )
    model.compile(optimizer, "mse", run_eagerly=eager)
    return model


def same(a, b):
    for one, other in zip(a.get_weights(), b.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("batches", [False, True])
def test_a_change_waits_for_compile_and_says_so_once(eager, batches):
    def train(model):
        if batches:
            return [model.train_on_batch(X, Y) for _ in range(2)]
        return model.fit(X, Y, 8, 2, 0, shuffle=False).history["loss"]

    plain, model = new(eager), new(eager)
    train(plain)
    train(model)
    model.get_layer("body").trainable = False
    model.get_layer("norm").trainable = False
    with pytest.warns(UserWarning, match=r"`trainable` of body, norm has changed.*compile\(\)"):
        first = train(model)
    assert not model.get_layer("body").trainable
    assert len(model.trainable_variables) == 2
    assert train(plain) == first  # penalties are in the loss, the norm goes by its batch
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        train(model)
    train(plain)
    same(plain, model)
    model.compile("sgd", "mse", run_eagerly=eager)
    before = model.get_weights()
    train(model)
    changed = [not np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True)]
    assert changed == [False] * 6 + [True] * 2
    model.trainable = True
    model.compile("sgd", "mse", run_eagerly=eager)
    train(model)
    assert not any(map(np.array_equal, before, model.get_weights()))


def test_hooks_do_not_unfreeze(eager):
    def end(epoch, logs):
        model.get_layer("body").trainable = True

    model = new(eager)
    model.get_layer("body").trainable = False
    model.compile("sgd", "mse", run_eagerly=eager)
    before = model.get_layer("body").get_weights()
    told = densa.callbacks.LambdaCallback(on_epoch_end=end)
    with pytest.warns(UserWarning, match="`trainable` of body"):
        model.fit(X, Y, 8, 3, 0, callbacks=[told])
    np.testing.assert_array_equal(before[0], model.get_layer("body").get_weights()[0])
    assert model.get_layer("body").trainable


def test_two_models_that_share_layers_train_what_each_was_compiled_with(eager):
    judge = new(eager)
    maker = densa.Sequential([densa.Input((4,)), layers.Dense(4), judge])
    judge.trainable = False
    maker.compile("sgd", "mse", run_eagerly=eager)
    for _ in range(2):
        before = judge.get_weights()
        maker.train_on_batch(X, Y)
        assert all(map(np.array_equal, before, judge.get_weights()))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            judge.train_on_batch(X, Y)
        assert not any(map(np.array_equal, before, judge.get_weights()))


def test_a_model_that_is_built_later_settles_it_then(eager):
    model = densa.Sequential([layers.Dense(3), layers.Dense(1)])
    model.compile("sgd", "mse", run_eagerly=eager)
    model.layers[0].trainable = False
    model.fit(X, Y, 8, 1, 0)
    before = model.get_weights()
    model.fit(X, Y, 8, 1, 0)
    np.testing.assert_array_equal(before[0], model.get_weights()[0])
    assert not np.array_equal(before[2], model.get_weights()[2])
