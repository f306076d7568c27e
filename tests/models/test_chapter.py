"""The seed chapter on training deep networks, cell by cell, with `tf.keras` read as `densa`."""

from __future__ import annotations

import functools
import math
import types

import numpy as np
import pytest

import densa

pytestmark = pytest.mark.filterwarnings("ignore:A layer's `input_shape`:DeprecationWarning")
tf = types.SimpleNamespace(keras=densa)
RNG = np.random.default_rng(11)
CLASSES = 4
PROTOTYPES = RNG.normal(size=(CLASSES, 8, 8))


def images(rows):
    labels = RNG.integers(0, CLASSES, rows)
    return (PROTOTYPES[labels] + RNG.normal(size=(rows, 8, 8))).astype("f4"), labels


X_train, y_train = images(320)
X_valid, y_valid = images(96)
X_test, y_test = images(96)


@pytest.fixture(autouse=True)
def _seed():
    densa.utils.clear_session()
    densa.utils.set_random_seed(42)


def dense(units, **kwargs):
    return tf.keras.layers.Dense(units, kernel_initializer="he_normal", **kwargs)


def classifier(*layers):
    model = tf.keras.Sequential([tf.keras.layers.Flatten(input_shape=[8, 8]), *layers])
    model.add(tf.keras.layers.Dense(CLASSES, activation="softmax"))
    return model


def train(model, optimizer, **kwargs):
    model.compile(loss="sparse_categorical_crossentropy", optimizer=optimizer, metrics=["accuracy"])
    options = {"epochs": 3, "validation_data": (X_valid, y_valid), "verbose": 0}
    return model.fit(X_train, y_train, **{**options, **kwargs})


def test_initializers():
    layer = dense(50, activation="relu")
    layer.build((None, 200))
    assert layer.kernel.numpy().std() == pytest.approx(math.sqrt(2 / 200), rel=0.05)
    he_avg = tf.keras.initializers.VarianceScaling(
        scale=2.0, mode="fan_avg", distribution="uniform"
    )
    layer = tf.keras.layers.Dense(50, activation="sigmoid", kernel_initializer=he_avg)
    layer.build((None, 200))
    limit = math.sqrt(3 * 2 / 125)
    found = np.abs(layer.kernel.numpy()).max()
    assert 0.98 * limit < found <= np.float32(limit)


def test_leaky_relu_inside_and_behind_a_layer():
    with pytest.warns(UserWarning, match="negative_slope"):
        leaky_relu = tf.keras.layers.LeakyReLU(alpha=0.2)
    inside = tf.keras.Sequential([tf.keras.Input((3,)), dense(5, activation=leaky_relu)])
    behind = tf.keras.Sequential([tf.keras.Input((3,)), dense(5), leaky_relu])
    behind.set_weights(inside.get_weights())
    x = RNG.normal(size=(6, 3)).astype("f4")
    w, b = (a.astype("f8") for a in inside.get_weights())
    z = x @ w + b
    for model in (inside, behind):
        np.testing.assert_allclose(
            model.predict(x, verbose=0), np.where(z < 0, 0.2 * z, z), rtol=1e-5, atol=1e-6
        )


@pytest.mark.parametrize("activation", ["elu", "selu", "gelu", "swish", "mish"])
def test_activations_by_name(activation):
    initializer = "lecun_normal" if activation == "selu" else "he_normal"
    layer = tf.keras.layers.Dense(16, activation=activation, kernel_initializer=initializer)
    history = train(classifier(layer, tf.keras.layers.PReLU()), "sgd").history
    assert history["loss"][-1] < history["loss"][0]


def test_batch_normalization_after_and_before_the_activation():
    after = classifier(
        tf.keras.layers.BatchNormalization(),
        dense(20, activation="relu"),
        tf.keras.layers.BatchNormalization(),
    )
    names = [(variable.name, variable.trainable) for variable in after.layers[1].variables]
    assert names == [
        ("gamma", True),
        ("beta", True),
        ("moving_mean", False),
        ("moving_variance", False),
    ]
    before = classifier(
        dense(20, use_bias=False),
        tf.keras.layers.BatchNormalization(),
        tf.keras.layers.Activation("relu"),
    )
    for model in (after, before):
        assert train(model, "sgd", epochs=20).history["val_accuracy"][-1] > 0.8


@pytest.mark.parametrize(
    "make",
    [
        lambda: tf.keras.optimizers.SGD(clipvalue=1.0),
        lambda: tf.keras.optimizers.SGD(clipnorm=1.0),
        lambda: tf.keras.optimizers.SGD(learning_rate=0.001, momentum=0.9),
        lambda: tf.keras.optimizers.SGD(learning_rate=0.001, momentum=0.9, nesterov=True),
        lambda: tf.keras.optimizers.Adagrad(learning_rate=0.001),
        lambda: tf.keras.optimizers.RMSprop(learning_rate=0.001, rho=0.9),
        lambda: tf.keras.optimizers.Adam(learning_rate=0.001, beta_1=0.9, beta_2=0.999),
        lambda: tf.keras.optimizers.Adamax(),
        lambda: tf.keras.optimizers.Nadam(),
        lambda: tf.keras.optimizers.AdamW(weight_decay=0.01),
    ],
)
def test_optimizers(make):
    history = train(classifier(dense(20, activation="relu")), make(), epochs=4).history
    assert history["loss"][-1] < history["loss"][0]


def test_transfer(tmp_path):
    classifier(dense(20, activation="relu"), dense(10, activation="relu")).save(
        tmp_path / "my_model_A.densa"
    )
    model_a = tf.keras.models.load_model(tmp_path / "my_model_A.densa")
    clone = tf.keras.models.clone_model(model_a)
    clone.set_weights(model_a.get_weights())
    model_b_on_a = tf.keras.Sequential(model_a.layers[:-1])
    model_b_on_a.add(tf.keras.layers.Dense(1, activation="sigmoid"))
    y_b, y_b_valid = y_train < 2, y_valid < 2
    for trainable in (False, True):
        for layer in model_b_on_a.layers[:-1]:
            layer.trainable = trainable
        optimizer = tf.keras.optimizers.SGD(learning_rate=0.05)
        model_b_on_a.compile(loss="binary_crossentropy", optimizer=optimizer, metrics=["accuracy"])
        before = model_a.get_weights()[0]
        model_b_on_a.fit(X_train, y_b, epochs=4, validation_data=(X_valid, y_b_valid), verbose=0)
        assert np.array_equal(before, model_a.get_weights()[0]) is not trainable
    loss, accuracy = model_b_on_a.evaluate(X_valid, y_b_valid, verbose=0)
    assert loss < 0.5
    assert accuracy > 0.8
    assert not np.array_equal(clone.get_weights()[0], model_a.get_weights()[0])


def test_schedules_by_callback():
    def exponential_decay(lr0, s):
        return lambda epoch: lr0 * 0.1 ** (epoch / s)

    def by_rate(epoch, lr):
        return lr * 0.1 ** (1 / 20)

    def piecewise(epoch):
        return 0.01 if epoch < 1 else 0.005 if epoch < 2 else 0.001

    model = classifier(dense(20, activation="relu"))
    for schedule, expected in (
        (exponential_decay(0.01, 20), [0.01 * 0.1 ** (e / 20) for e in range(3)]),
        (by_rate, [0.01 * 0.1 ** ((e + 1) / 20) for e in range(3)]),
        (piecewise, [0.01, 0.005, 0.001]),
    ):
        scheduler = tf.keras.callbacks.LearningRateScheduler(schedule)
        history = train(model, tf.keras.optimizers.SGD(0.01), callbacks=[scheduler])
        assert history.history["learning_rate"] == pytest.approx(expected, rel=1e-6)
    plateau = tf.keras.callbacks.ReduceLROnPlateau(factor=0.5, patience=1, min_delta=100.0)
    history = train(model, tf.keras.optimizers.SGD(0.01), callbacks=[plateau])
    assert history.history["learning_rate"] == pytest.approx([0.01, 0.01, 0.005], rel=1e-6)


def test_schedule_object_counts_every_step():
    n_epochs, batch_size = 2, 32
    n_steps = n_epochs * math.ceil(len(X_train) / batch_size)
    rate = tf.keras.optimizers.schedules.ExponentialDecay(
        initial_learning_rate=0.01, decay_steps=n_steps, decay_rate=0.1
    )
    optimizer = tf.keras.optimizers.SGD(learning_rate=rate)
    train(classifier(dense(20, activation="relu")), optimizer, epochs=n_epochs)
    assert float(optimizer.learning_rate) == pytest.approx(0.001, rel=1e-6)


def test_rate_changed_in_every_batch():
    class ExponentialRate(tf.keras.callbacks.Callback):
        def __init__(self, factor):
            self.factor, self.rates, self.losses = factor, [], []

        def on_batch_end(self, batch, logs=None):
            self.rates.append(float(self.model.optimizer.learning_rate))
            self.losses.append(logs["loss"])
            self.model.optimizer.learning_rate = self.rates[-1] * self.factor

    callback = ExponentialRate(1.5)
    optimizer = tf.keras.optimizers.SGD(1e-3)
    train(classifier(dense(20, activation="relu")), optimizer, epochs=1, callbacks=[callback])
    assert callback.rates == pytest.approx([1e-3 * 1.5**i for i in range(10)], rel=1e-5)
    assert len(callback.losses) == 10
    assert np.isfinite(callback.losses).all()


def test_penalties_on_weights():
    regularized = functools.partial(
        dense, activation="relu", kernel_regularizer=tf.keras.regularizers.l2(0.01)
    )
    model = classifier(regularized(12), regularized(10))
    expected = sum(0.01 * (w.astype("f8") ** 2).sum() for w in model.get_weights()[:4:2])
    assert float(sum(model.losses)) == pytest.approx(expected, rel=1e-5)
    train(model, tf.keras.optimizers.SGD(learning_rate=0.02))
    x = np.array([[1.0, -2.0]], "f4")
    assert float(tf.keras.regularizers.l1(0.1)(x)) == pytest.approx(0.3, rel=1e-6)
    assert float(tf.keras.regularizers.l1_l2(0.1, 0.01)(x)) == pytest.approx(0.35, rel=1e-6)


def test_max_norm():
    layer = dense(20, activation="relu", kernel_constraint=tf.keras.constraints.max_norm(1.0))
    train(classifier(layer), tf.keras.optimizers.SGD(0.1))
    norms = np.linalg.norm(layer.kernel.numpy().astype("f8"), axis=0)
    assert norms.max() <= 1 + 1e-5
    assert (norms > 0.99).any()


def dropout_model(layer):
    return classifier(
        layer(rate=0.2), dense(20, activation="relu"), layer(rate=0.2), dense(20, activation="relu")
    )


def test_monte_carlo_dropout():
    model = dropout_model(tf.keras.layers.Dropout)
    train(model, "adam", epochs=8)
    y_probas = np.stack([model(X_test, training=True) for sample in range(30)])
    assert y_probas.shape == (30, 96, CLASSES)
    y_proba = y_probas.mean(axis=0)
    y_std = y_probas.std(axis=0)
    samples = np.stack([np.asarray(y) for y in y_probas]).astype("f8")
    # Three decimals, and 1e-6 for float32 sums that round the other way.
    np.testing.assert_allclose(y_proba[0].round(3), samples.mean(axis=0)[0], atol=5.01e-4)
    np.testing.assert_allclose(y_std[0].round(3), samples.std(axis=0)[0], atol=5.01e-4)
    assert np.asarray(y_std).max() > 0.05
    assert model.predict(X_test[:1], verbose=0).round(3).sum() == pytest.approx(1, abs=2e-3)
    y_pred = y_proba.argmax(axis=1)
    accuracy = (y_pred == y_test).sum() / len(y_test)
    right = np.mean(samples.mean(axis=0).argmax(axis=1) == y_test)
    assert float(accuracy) == pytest.approx(right, rel=1e-6)  # float32


class MCDropout(tf.keras.layers.Dropout):
    def call(self, inputs, training=False):
        return super().call(inputs, training=True)


class MCAlphaDropout(tf.keras.layers.AlphaDropout):
    def call(self, inputs, training=False):
        return super().call(inputs, training=True)


@pytest.mark.parametrize("layer", [MCDropout, MCAlphaDropout])
@pytest.mark.parametrize("eager", [False, True], ids=["plan", "eager"])
def test_dropout_that_is_always_on(layer, eager):
    found = []
    for _ in range(2):
        densa.utils.set_random_seed(7)
        model = dropout_model(layer)
        model.compile(loss="sparse_categorical_crossentropy", run_eagerly=eager)
        predictions = [model.predict(X_test, verbose=0) for _ in range(3)]
        losses = [model.evaluate(X_test, y_test, verbose=0) for _ in range(3)]
        assert len({p.tobytes() for p in predictions}) == len(set(losses)) == 3
        found.append((np.stack(predictions), losses))
    np.testing.assert_array_equal(found[0][0], found[1][0])
    assert found[0][1] == found[1][1]


def test_every_batch_of_a_prediction_has_a_mask_of_its_own():
    model = tf.keras.Sequential([tf.keras.Input((64,)), MCDropout(0.5)])
    rows = model.predict(np.ones((3000, 64), "f4"), batch_size=2, verbose=0)
    assert len({row.tobytes() for row in rows}) == 3000
