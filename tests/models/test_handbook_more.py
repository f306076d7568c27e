"""More of what the founding texts say a network does: limits, rates, reuse, stopping, data."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import optimize

import densa
from densa import layers, optimizers

RNG = np.random.default_rng(17)
X = RNG.normal(size=(64, 6)).astype("f4")
Y = (X[:, :1] - X[:, 1:2]).astype("f4")


def net(*inner, optimizer="sgd", out=1, shape=6):
    densa.utils.set_random_seed(0)
    model = densa.Sequential([densa.Input((shape,)), *inner, layers.Dense(out, name="last")])
    model.compile(optimizer, "mse")
    return model


def test_small_weights_of_both_signs_by_the_root_of_the_inputs():  # A1-02, A1-03, A1-05
    spread = {}
    for shape in ("untruncated_normal", "uniform"):
        w = densa.initializers.VarianceScaling(1.0, "fan_in", shape, seed=1)((400, 100)).numpy()
        spread[shape] = w.std()
        assert abs(w.mean()) < 4 * 0.05 / np.sqrt(w.size)  # four standard errors
        assert 0.48 < (w > 0).mean() < 0.52
    for found in spread.values():
        assert found == pytest.approx(1 / np.sqrt(400), rel=0.02)


def test_a_batch_norm_in_front_standardizes():  # A3-08
    norm = layers.BatchNormalization(momentum=0.0)
    x = 50 + 7 * X
    for training in (True, False):  # then by the averages that the batch has left
        y = norm(x, training=training).numpy()
        np.testing.assert_allclose(y.mean(axis=0), 0, atol=1e-4)
        np.testing.assert_allclose(y.std(axis=0), 1, atol=1e-3)  # epsilon beside 49


@pytest.mark.parametrize("size", [1e-3, 0.9, 1e6])
def test_no_step_is_longer_than_clipping_allows(size):  # A4-02, A4-04
    w = densa.Variable(np.zeros(5), dtype="float64")
    g = RNG.normal(size=5)
    g *= size / np.linalg.norm(g)
    optimizers.SGD(1.0, clipnorm=1.0).apply([densa.ops.convert_to_tensor(g)], [w])
    np.testing.assert_allclose(w.numpy(), -g * min(1, 1 / size), rtol=1e-12)


def test_rates_per_layer():  # A7-03, A7-04, A7-05
    changes, start = [], {}
    for factors in ({}, {"last": 0.5, "first/kernel": 1 / np.sqrt(6)}):
        sgd = optimizers.SGD(0.1, learning_rate_multipliers=factors)
        model = net(layers.Dense(4, "tanh", name="first"), optimizer=sgd)
        before = [RNG.normal(size=w.shape).astype("f4") for w in model.get_weights()]
        before = start.setdefault("weights", before)
        model.set_weights(before)
        model.train_on_batch(X, Y)
        changes.append([b - a for a, b in zip(before, model.get_weights(), strict=True)])
    for plain, scaled, factor in zip(*changes, (1 / np.sqrt(6), 1, 0.5, 0.5), strict=True):
        np.testing.assert_allclose(scaled, factor * plain, rtol=1e-4, atol=1e-7)


def test_the_training_loss_without_dropout_is_asked_for_afterwards():  # A5-15
    model = net(layers.Dropout(0.5), optimizer=optimizers.SGD(0.0))
    noisy = model.fit(X, Y, verbose=0).history["loss"][0]
    w, b = model.get_weights()
    plain = np.mean((X.astype("f8") @ w + b - Y) ** 2)
    assert model.evaluate(X, Y, verbose=0) == pytest.approx(plain, rel=1e-5)
    assert abs(noisy - plain) > 0.01 * plain


def test_the_gap_between_the_losses_can_be_watched():  # A5-14
    class Gap(densa.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            logs["gap"] = abs(logs["val_loss"] - logs["loss"])

    model = net(optimizer=optimizers.SGD(0.5))
    stop = densa.callbacks.EarlyStopping("gap", patience=2, restore_best_weights=True, mode="min")
    data = {"validation_data": (X[48:], Y[48:] + 1), "epochs": 30, "verbose": 0}
    gaps = model.fit(X[:48], Y[:48], callbacks=[Gap(), stop], **data).history["gap"]
    assert len(gaps) == 1 + int(np.argmin(gaps)) + 2 < 30


@pytest.mark.cpu_only("a long training")
def test_bad_labels_show_as_a_validation_loss_that_stays_high():  # A5-18, A5-12
    wrong = np.where(RNG.random(Y.shape) < 0.4, -Y, Y)
    found = []
    for labels in (Y, wrong):
        model = net(layers.Dense(64, "relu"), optimizer=optimizers.Adam(0.02))
        history = model.fit(
            X[:40], labels[:40], validation_data=(X[40:], labels[40:]), epochs=80, verbose=0
        ).history
        assert history["loss"][-1] < 0.2  # either can be learnt by heart
        found.append(history["val_loss"][-1])
    assert found[1] > 3 * found[0]


@pytest.mark.cpu_only("a long training")
def test_a_first_version_beats_chance():  # A5-17, A16-05
    (x, y), (x_test, y_test) = densa.datasets.digits.load_data()
    model = densa.models.mlp((8, 8), 10, (32,), task="classification", learning_rate=0.01)
    model.fit(x[:640] / 16, y[:640], epochs=2, verbose=0)
    assert model.evaluate(x_test / 16, y_test, verbose=0)[1] > 0.5  # chance is 0.1


@pytest.mark.cpu_only("the algorithm is SciPy's, on NumPy arrays")
def test_quasi_newton_by_full_batch_gradients():  # A6-14, A6-19, A12-01
    model = net(layers.Dense(5, "tanh"))
    variables = model.trainable_variables
    shapes = [v.shape for v in variables]
    ends = np.cumsum([v.size for v in variables])[:-1]

    def loss():
        return densa.ops.mean(densa.ops.square(model(X) - Y))

    def value_and_gradient(flat):
        for v, part, shape in zip(variables, np.split(flat, ends), shapes, strict=True):
            v.assign(part.reshape(shape))
        for v in variables:
            v.grad = None
        value = loss()
        value.backward()
        return float(value), np.concatenate([v.grad.numpy().ravel() for v in variables])

    start = np.concatenate([v.numpy().ravel() for v in variables]).astype("f8")
    found = optimize.minimize(
        value_and_gradient, start, jac=True, method="L-BFGS-B", options={"maxiter": 15}
    )
    assert found.fun < 0.1 * value_and_gradient(start)[0]


@pytest.mark.cpu_only("a long training")
def test_one_hidden_layer_learns_what_none_can():  # A16-01
    x = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], "f4")
    y = np.array([[0], [1], [1], [0]], "f4")
    losses = []
    for inner in ([], [layers.Dense(8, "tanh")]):
        model = net(*inner, optimizer=optimizers.Adam(0.05), shape=2)
        model.fit(x, y, epochs=150, verbose=0)
        losses.append(model.evaluate(x, y, verbose=0))
    assert losses[0] > 0.24  # no line does better than 1/4
    assert losses[1] < 0.02


def test_an_adapter_feeds_inputs_of_another_size_to_reused_layers():  # A10-01, A10-09
    first = net(layers.Dense(4, "relu"))
    first.trainable = False
    adapted = densa.Sequential([densa.Input((3,)), layers.Dense(6, name="adapter"), first])
    adapted.compile(optimizers.Adam(0.05), "mse")
    kept = first.get_weights()
    losses = adapted.fit(X[:, :3], Y, epochs=10, verbose=0).history["loss"]
    assert losses[-1] < 0.8 * losses[0]
    assert all((a == b).all() for a, b in zip(first.get_weights(), kept, strict=True))


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (-1.0, 1.0)])
def test_features_moved_between_two_bounds(low, high):  # A13-02
    least, most = X.min(axis=0), X.max(axis=0)
    scale = (high - low) / (most - least)
    y = layers.Rescaling(scale, low - least * scale)(X).numpy()
    np.testing.assert_allclose(y.min(axis=0), low, atol=1e-6)
    np.testing.assert_allclose(y.max(axis=0), high, atol=1e-6)


def test_curves_of_several_batch_sizes():  # A12-04, A12-05, A12-09
    curves = {}
    for size in (4, 16, 64):
        model = net(optimizer=optimizers.SGD(0.05))
        curves[size] = model.fit(X, Y, batch_size=size, epochs=3, verbose=0).history["loss"]
        assert int(model.optimizer.iterations) == 3 * 64 // size
    assert curves[4][-1] < curves[16][-1] < curves[64][-1]  # more updates in as many epochs
