"""SWA: the mean of the weights of late epochs."""

from __future__ import annotations

import numpy as np
import pytest

import densa
from densa import layers

RNG = np.random.default_rng(12)
X = RNG.standard_normal((160, 8)).astype("f4")
Y = (X[:, :3].sum(axis=1, keepdims=True) > 0).astype("f4")


@pytest.fixture(params=[False, True], ids=["plan", "eager"])
def eager(request):
    return request.param


def net(*hidden, seed=0, activation="tanh", eager=False, optimizer="adam"):
    densa.utils.set_random_seed(seed)
    made = densa.Sequential(
        [
            densa.Input((8,)),
            *(layers.Dense(n, activation) for n in hidden),
            layers.Dense(1, "sigmoid"),
        ]
    )
    made.compile(optimizer, "binary_crossentropy", run_eagerly=eager)
    return made


@pytest.mark.parametrize("every", [1, 2])
def test_swa_is_the_mean_of_late_epochs(every, eager):
    kept = []

    def keep(epoch, logs):
        if epoch >= 2 and (epoch - 2) % every == 0:
            kept.append([w.astype("f8") for w in model.get_weights()])

    model = net(6, eager=eager, optimizer=densa.optimizers.SGD(0.5))
    swa = densa.callbacks.SWA(start_epoch=2, epochs=every)
    told = densa.callbacks.LambdaCallback(on_epoch_end=keep)
    model.fit(X, Y, epochs=7, verbose=0, callbacks=[told, swa])
    assert swa.averaged == len(kept) == (5 if every == 1 else 3)
    for found, *due in zip(model.get_weights(), *kept, strict=True):
        np.testing.assert_allclose(found, np.mean(due, axis=0), rtol=1e-6, atol=1e-7)
    model.fit(X, Y, epochs=3, verbose=0, callbacks=[swa])  # counts from the start again
    assert swa.averaged == 1


def test_swa_averages_what_batch_norm_has_seen():
    model = densa.Sequential([densa.Input((8,)), layers.BatchNormalization(), layers.Dense(1)])
    model.compile("sgd", "mse")
    seen = []
    keep = densa.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: seen.append(model.layers[0].moving_mean.numpy())
    )
    model.fit(X + 3, Y, epochs=4, verbose=0, callbacks=[keep, densa.callbacks.SWA(0)])
    np.testing.assert_allclose(
        model.layers[0].moving_mean.numpy(), np.mean(seen, axis=0, dtype="f8"), rtol=1e-6
    )


def test_swa_that_begins_too_late_says_so():
    model = net()
    with pytest.warns(UserWarning, match="no epoch has reached start_epoch=5"):
        model.fit(X, Y, epochs=2, verbose=0, callbacks=[densa.callbacks.SWA(5)])
    with pytest.raises(ValueError, match="epochs must be at least 1"):
        densa.callbacks.SWA(0, epochs=0)
