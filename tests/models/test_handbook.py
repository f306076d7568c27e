"""What the founding texts say a network does, by their ids in the handbook, on densa."""

from __future__ import annotations

import functools

import numpy as np
import pytest

import densa
from densa import layers, optimizers

RNG = np.random.default_rng(5)
X = RNG.normal(size=(64, 6)).astype("f4")
Y = (X[:, :1] - X[:, 1:2]).astype("f4")


def net(*inner, optimizer="sgd", seed=0, out=1):
    densa.utils.set_random_seed(seed)
    model = densa.Sequential([densa.Input((6,)), *inner, layers.Dense(out)])
    model.compile(optimizer, "mse")
    return model


def test_equal_weights_stay_equal():  # A1-01
    model = net(layers.Dense(4, "tanh", kernel_initializer="ones"), optimizer="adam")
    model.layers[1].kernel.assign(np.full((4, 1), 0.3, "f4"))
    model.fit(X, Y, epochs=3, verbose=0)
    kernel = model.layers[0].get_weights()[0]
    assert (kernel == kernel[:, :1]).all()
    assert (kernel[0] != 1).all()


@pytest.mark.parametrize("kind", ["glorot_normal", "he_normal", "lecun_normal"])
def test_what_variance_goes_in_comes_out(kind):  # A1-04, A1-14
    x = RNG.normal(size=(400, 256)).astype("f4")
    layer = layers.Dense(256, kernel_initializer=kind)
    gain = 2.0 if kind == "he_normal" else 1.0
    assert float(np.var(layer(x).numpy())) == pytest.approx(gain, rel=0.1)
    gradient = RNG.normal(size=(400, 256)) @ layer.get_weights()[0].T  # on its way back
    assert float(np.var(gradient)) == pytest.approx(gain, rel=0.1)


def test_an_activation_is_the_same_as_argument_and_as_layer():  # A2-07
    inside = net(layers.Dense(8, activation=layers.LeakyReLU(0.2)))
    behind = net(layers.Dense(8), layers.LeakyReLU(0.2))
    behind.set_weights(inside.get_weights())
    for model in (inside, behind):
        model.fit(X, Y, epochs=2, shuffle=False, verbose=0)
    got, expected = (m.predict(X, verbose=0) for m in (behind, inside))
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-6)


def test_momentum_zero_is_plain_descent():  # A6-04
    weights = []
    for made in (optimizers.SGD(0.05), optimizers.SGD(0.05, momentum=0.0, nesterov=False)):
        model = net(layers.Dense(4, "relu", kernel_initializer="identity"), optimizer=made)
        model.fit(X, Y, shuffle=False, verbose=0)
        weights.append(model.get_weights()[0])
    np.testing.assert_array_equal(*weights)


def test_the_best_rate_reaches_a_parabola_in_one_step():  # A7-20
    for rate, left in ((0.25, 0.5), (0.5, 0.0), (0.75, -0.5), (1.25, -1.5)):
        w = densa.Variable([1.0])  # of w², whose second derivative is 2
        optimizers.SGD(rate).apply([2.0 * w.value], [w])
        assert w.numpy().tolist() == [left]


def test_the_loop_may_end_where_the_gradient_does():  # A6-18
    class UntilFlat(densa.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.model.stop_training = logs["gradient_norm"] < 1e-3

    model = net(optimizer=optimizers.SGD(0.3, report_gradient_norm=True))
    history = model.fit(X, Y, epochs=500, batch_size=64, callbacks=[UntilFlat()], verbose=0).history
    assert 5 < len(history["loss"]) < 500
    assert history["gradient_norm"][-1] < 1e-3 <= history["gradient_norm"][-2]


@pytest.mark.parametrize(("size", "updates"), [(64, 1), (1, 64), (16, 4)])
def test_batch_online_and_mini_batch_modes(size, updates):  # A12-01, A12-02, A12-03, A12-06
    model = net()
    model.fit(X, Y, batch_size=size, verbose=0)
    assert int(model.optimizer.iterations) == updates


def test_a_stream_follows_what_drifts():  # A12-02
    model = net(optimizer=optimizers.SGD(0.05))
    for sign in (1.0, -1.0):
        for i in range(192):
            model.train_on_batch(X[i % 64 : i % 64 + 1], sign * Y[i % 64 : i % 64 + 1])
        assert model.evaluate(X, sign * Y, verbose=0) < 0.05


@pytest.mark.cpu_only("a long training")
def test_labels_by_lot_can_be_learnt_by_heart():  # A5-16
    model = net(layers.Dense(128, "relu"), optimizer=optimizers.Adam(0.01))
    labels = RNG.normal(size=(64, 1)).astype("f4")
    model.fit(X, labels, epochs=200, verbose=0)
    assert model.evaluate(X, labels, verbose=0) < 0.05


def test_defaults_of_ones_own():  # A8-15
    regular = functools.partial(layers.Dense, activation="elu", kernel_regularizer="l2")
    model = net(regular(8), regular(4))
    assert [layer.activation.__name__ for layer in model.layers[:2]] == ["elu", "elu"]
    assert len(model.losses) == 2


def test_tied_weights_are_counted_and_trained_once():  # A11-07
    densa.utils.set_random_seed(0)
    shared = layers.Dense(6, "tanh")
    a, b = densa.Input((6,)), densa.Input((6,))
    model = densa.Model([a, b], layers.Dot(1)([shared(a), shared(b)]))
    assert model.count_params() == 42
    model.compile("sgd", "mse")
    model.fit([X, X[::-1].copy()], Y, epochs=1, verbose=0)
    np.testing.assert_array_equal(shared.get_weights()[0], model.get_weights()[0])


def test_reused_layers_are_the_same_layers():  # A10-02, A10-03, A10-04
    first = net(layers.Dense(4, "relu"))
    second = densa.Sequential([densa.Input((6,)), *first.layers[:-1], layers.Dense(1)])
    second.compile("sgd", "mse")
    copy = densa.models.clone_model(first)
    copy.set_weights(first.get_weights())
    before = first.predict(X, verbose=0)
    second.fit(X, Y, verbose=0)
    assert (first.predict(X, verbose=0) != before).any()
    np.testing.assert_array_equal(copy.predict(X, verbose=0), before)
