"""What chapter 11 of the founding texts does with tf.keras, with densa in its place.

Each test says which cells it follows, by the lines of the text; the calls are those of the cells
with Keras 2's spellings, the networks and data are as small as the point allows. Two cells of the
text end in exceptions; they are the first two tests.
"""

import functools
import math
import types

import numpy as np
import pytest

import densa

tf = types.SimpleNamespace(keras=densa)


def images(n=160, classes=10, seed=0):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, classes, n)
    x = rng.random((n, 28, 28)).astype("float32") / 2
    x[np.arange(n), y] += 0.5  # the class is a bright row
    return x, y


def small_classifier(*between):
    return tf.keras.Sequential(
        [
            tf.keras.layers.Flatten(input_shape=[28, 28]),
            tf.keras.layers.Dense(32, activation="relu", kernel_initializer="he_normal"),
            *between,
            tf.keras.layers.Dense(10, activation="softmax"),
        ]
    )


def compiled(model, optimizer="nadam"):
    model.compile(loss="sparse_categorical_crossentropy", optimizer=optimizer, metrics=["accuracy"])
    return model


# ---- the two cells that raise --------------------------------------------------------------------


def test_the_cell_of_line_97_is_no_python():
    with pytest.raises(SyntaxError):
        compile("Sequential([\n    [...]  # more layers\n    Dense(50),\n])", "cell", "exec")


def test_the_cell_of_line_321_names_the_optimizer_twice():
    model = small_classifier()
    with pytest.raises(TypeError, match="multiple values for argument 'optimizer'"):
        model.compile([...], optimizer=tf.keras.optimizers.SGD(clipvalue=1.0))


# ---- initializers and activations ----------------------------------------------------------------


def test_initializers_by_name_and_by_variance():  # 58, 67
    x = np.ones((1, 400), "float32")
    he = tf.keras.layers.Dense(300, activation="relu", kernel_initializer="he_normal")
    he(x)
    assert np.std(he.kernel) == pytest.approx(math.sqrt(2 / 400), rel=0.02)
    average = tf.keras.initializers.VarianceScaling(
        scale=2.0, mode="fan_avg", distribution="uniform"
    )
    dense = tf.keras.layers.Dense(300, activation="sigmoid", kernel_initializer=average)
    dense(x)
    limit = math.sqrt(3 * 2 / 350)
    assert np.abs(dense.kernel).max() == pytest.approx(limit, rel=0.01)
    assert np.abs(dense.kernel).max() <= limit


def test_leaky_relu_within_a_layer_and_behind_it():  # 90, 99
    with pytest.warns(UserWarning, match="negative_slope"):
        leaky = tf.keras.layers.LeakyReLU(alpha=0.2)
    inside = tf.keras.Sequential(
        [
            tf.keras.Input((8,)),
            tf.keras.layers.Dense(50, activation=leaky, kernel_initializer="he_normal"),
        ]
    )
    behind = tf.keras.models.Sequential(
        [
            tf.keras.Input((8,)),
            tf.keras.layers.Dense(50, kernel_initializer="he_normal"),
            tf.keras.layers.LeakyReLU(negative_slope=0.2),
        ]
    )
    behind.set_weights(inside.get_weights())
    x = np.random.default_rng(0).normal(size=(5, 8)).astype("float32")
    np.testing.assert_array_equal(inside.predict(x, verbose=0), behind.predict(x, verbose=0))
    z = x @ np.asarray(inside.layers[0].kernel)
    np.testing.assert_allclose(
        inside.predict(x, verbose=0), np.maximum(0.2 * z, z), rtol=1e-5, atol=1e-5
    )


# ---- batch norm ----------------------------------------------------------------------------------


def test_batch_norm_after_the_activation(capsys):  # 234, 255, 279
    layers = tf.keras.layers
    model = tf.keras.Sequential(
        [
            layers.Flatten(input_shape=[28, 28]),
            layers.BatchNormalization(),
            layers.Dense(300, activation="relu", kernel_initializer="he_normal"),
            layers.BatchNormalization(),
            layers.Dense(100, activation="relu", kernel_initializer="he_normal"),
            layers.BatchNormalization(),
            layers.Dense(10, activation="softmax"),
        ]
    )
    model.summary()
    told = capsys.readouterr().out
    assert all(number in told for number in ("3,136", "235,500", "1,200", "30,100", "2,368"))
    assert [(v.name, v.trainable) for v in model.layers[1].variables] == [
        ("gamma", True),
        ("beta", True),
        ("moving_mean", False),
        ("moving_variance", False),
    ]


def test_batch_norm_before_the_activation_trains():  # 289
    layers = tf.keras.layers
    model = tf.keras.Sequential([layers.Flatten(input_shape=[28, 28])])
    for units in (300, 100):
        model.add(layers.Dense(units, kernel_initializer="he_normal", use_bias=False))
        model.add(layers.BatchNormalization())
        model.add(layers.Activation("relu"))
    model.add(layers.Dense(10, activation="softmax"))
    x, y = images()
    history = compiled(model).fit(x, y, epochs=4, verbose=0)
    assert history.history["accuracy"][-1] > 0.8


# ---- clipping, transfer --------------------------------------------------------------------------


def test_clipping():  # 319, 325
    for clip, wanted in (
        ({"clipvalue": 1.0}, [0.9, 1.0]),
        ({"clipnorm": 1.0}, [0.00899964, 0.9999595]),
    ):
        optimizer = tf.keras.optimizers.SGD(learning_rate=1.0, **clip)
        v = tf.keras.Variable(np.zeros(2, "float32"))
        optimizer.apply([tf.keras.ops.convert_to_tensor([0.9, 100.0])], [v])
        np.testing.assert_allclose(-np.asarray(v), wanted, rtol=1e-6)


def test_transfer(tmp_path):  # 369 to 412
    x, y = images(400)
    first = compiled(small_classifier())
    first.fit(x, y, epochs=3, verbose=0)
    path = tmp_path / "my_model_A.densa"
    first.save(path)

    model_A = tf.keras.models.load_model(path)
    model_B_on_A = tf.keras.Sequential(model_A.layers[:-1])
    model_B_on_A.add(tf.keras.layers.Dense(1, activation="sigmoid"))
    clone = tf.keras.models.clone_model(model_A)
    clone.set_weights(model_A.get_weights())

    for layer in model_B_on_A.layers[:-1]:
        layer.trainable = False
    model_B_on_A.compile(
        loss="binary_crossentropy",
        optimizer=tf.keras.optimizers.SGD(learning_rate=0.1),
        metrics=["accuracy"],
    )
    kept = [np.array(w) for w in model_A.get_weights()]
    x_b, y_b = images(120, classes=2, seed=1)
    model_B_on_A.fit(x_b, y_b, epochs=4, validation_data=(x_b, y_b), verbose=0)
    for a, b in zip(kept, model_A.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)

    for layer in model_B_on_A.layers[:-1]:
        layer.trainable = True
    model_B_on_A.compile(
        loss="binary_crossentropy",
        optimizer=tf.keras.optimizers.SGD(learning_rate=0.01),
        metrics=["accuracy"],
    )
    model_B_on_A.fit(x_b, y_b, epochs=16, validation_data=(x_b, y_b), verbose=0)
    assert model_B_on_A.evaluate(x_b, y_b, verbose=0)[1] > 0.9
    # The layers are shared, so A has changed; the clone has not.
    assert np.abs(kept[0] - model_A.get_weights()[0]).max() > 0
    for a, b in zip(kept, clone.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


# ---- optimizers and schedules --------------------------------------------------------------------


def test_optimizers():  # 479, 503, 527, 543, 562, 606
    o = tf.keras.optimizers
    with pytest.warns(DeprecationWarning, match=r"use optimizers\.AdamW"):
        adamw = o.experimental.AdamW(learning_rate=0.001, weight_decay=0.004)
    assert type(adamw) is o.AdamW
    x, y = images(64)
    for optimizer in (
        o.SGD(learning_rate=0.001, momentum=0.9),
        o.SGD(learning_rate=0.001, momentum=0.9, nesterov=True),
        o.Adagrad(learning_rate=0.001),
        o.RMSprop(learning_rate=0.001, rho=0.9),
        o.Adam(learning_rate=0.001, beta_1=0.9, beta_2=0.999),
        o.Nadam(learning_rate=0.001, beta_1=0.9, beta_2=0.999),
        o.Adamax(learning_rate=0.001, beta_1=0.9, beta_2=0.999),
        adamw,
    ):
        tf.keras.utils.set_random_seed(1)
        model = compiled(small_classifier(), optimizer)
        losses = model.fit(x, y, epochs=3, verbose=0).history["loss"]
        assert losses[-1] < losses[0]


def fitted(optimizer, *callbacks, epochs=3, **arguments):
    model = tf.keras.Sequential([tf.keras.Input((2,)), tf.keras.layers.Dense(1)])
    model.compile("sgd" if optimizer is None else optimizer, "mse")
    x = np.ones((64, 2), "float32")
    return model.fit(x, x[:, :1], epochs=epochs, callbacks=[*callbacks], verbose=0, **arguments)


def test_power_scheduling():  # 655, 680; G11
    with pytest.warns(DeprecationWarning, match=r"PowerDecay\(0.01, 1 / decay\)"):
        optimizer = tf.keras.optimizers.SGD(learning_rate=0.01, decay=1e-4)
    rates = []
    for step in (0, 10_000, 20_000, 30_000):
        optimizer.iterations = step
        rates.append(float(optimizer.learning_rate))
    np.testing.assert_allclose(rates, [0.01, 0.005, 0.01 / 3, 0.0025], rtol=1e-6)


def test_exponential_scheduling():  # 688, 694, 703, 710, 713; G12
    def exponential_decay(lr0, s):
        def exponential_decay_fn(epoch):
            return lr0 * 0.1 ** (epoch / s)

        return exponential_decay_fn

    schedule = exponential_decay(lr0=0.01, s=20)
    assert schedule(20) == pytest.approx(0.001)
    assert schedule(40) == pytest.approx(0.0001)
    by_epoch = fitted(None, tf.keras.callbacks.LearningRateScheduler(schedule))
    with pytest.warns(DeprecationWarning, match="learning_rate"):
        rates = by_epoch.history["lr"]
    np.testing.assert_allclose(rates, [0.01 * 0.1 ** (e / 20) for e in range(3)], rtol=1e-6)

    step_down = tf.keras.callbacks.LearningRateScheduler(lambda epoch, lr: lr * 0.1 ** (1 / 20))
    by_rate = fitted(tf.keras.optimizers.SGD(learning_rate=0.01), step_down)
    np.testing.assert_allclose(
        by_rate.history["learning_rate"], [0.01 * 0.1 ** (e / 20) for e in (1, 2, 3)], rtol=1e-6
    )


def test_a_history_without_a_rate_has_no_lr():
    with pytest.raises(KeyError, match="lr"):
        fitted(None).history["lr"]


def test_piecewise_scheduling_goes_on_where_it_stopped():  # 727, 722
    def piecewise_constant(epoch):
        return 0.01 if epoch < 5 else 0.005 if epoch < 15 else 0.001

    scheduler = tf.keras.callbacks.LearningRateScheduler(piecewise_constant)
    history = fitted(None, scheduler, epochs=17, initial_epoch=3)
    np.testing.assert_allclose(
        history.history["learning_rate"], [0.01] * 2 + [0.005] * 10 + [0.001] * 2, rtol=1e-6
    )


def test_performance_scheduling():  # 738
    plateau = tf.keras.callbacks.ReduceLROnPlateau(factor=0.5, patience=5)
    x = np.ones((64, 2), "float32")
    still = tf.keras.optimizers.SGD(learning_rate=1e-12)
    history = fitted(still, plateau, epochs=12, validation_data=(x, x[:, :1]))
    rates = history.history["learning_rate"]
    np.testing.assert_allclose(rates[0], 1e-12)
    np.testing.assert_allclose(rates[-1], 0.25e-12)


def test_a_schedule_of_steps():  # 744; E12: it spans 25 epochs, not the 20 of the function
    n_steps = 25 * math.ceil(1000 / 32)
    rate = tf.keras.optimizers.schedules.ExponentialDecay(
        initial_learning_rate=0.01, decay_steps=n_steps, decay_rate=0.1
    )
    assert float(rate(n_steps)) == pytest.approx(0.001)
    assert float(rate(n_steps * 20 // 25)) == pytest.approx(0.00158, abs=5e-6)
    optimizer = tf.keras.optimizers.SGD(learning_rate=rate)
    fitted(optimizer)
    assert float(optimizer.learning_rate) == pytest.approx(0.01 * 0.1 ** (6 / n_steps))


def test_one_cycle_by_a_callback_of_ones_own():  # 755
    K = tf.keras.backend

    class OneCycle(tf.keras.callbacks.Callback):
        def __init__(self, peak, steps):
            super().__init__()
            self.peak, self.steps, self.step, self.seen = peak, steps, 0, []

        def on_batch_begin(self, batch, logs=None):
            half = self.steps / 2
            up = self.step / half if self.step <= half else 2 - self.step / half
            K.set_value(self.model.optimizer.learning_rate, self.peak * (0.1 + 0.9 * up))
            self.step += 1

        def on_batch_end(self, batch, logs=None):
            self.seen.append(float(self.model.optimizer.learning_rate))

    cycle = OneCycle(0.1, 8)
    with pytest.warns(DeprecationWarning, match="assign"):
        fitted(None, cycle, epochs=4)
    np.testing.assert_allclose(
        cycle.seen, [0.01, 0.0325, 0.055, 0.0775, 0.1, 0.0775, 0.055, 0.0325], rtol=1e-5
    )


def test_set_value_wants_a_variable():
    with (
        pytest.warns(DeprecationWarning, match="assign"),
        pytest.raises(TypeError, match="got float"),
    ):
        tf.keras.backend.set_value(0.1, 0.2)
    with pytest.warns(DeprecationWarning, match="asarray"):
        assert tf.keras.backend.get_value(tf.keras.Variable(2.0)) == 2


# ---- regularization ------------------------------------------------------------------------------


def test_l2_is_part_of_the_loss():  # 775, 779, 784
    regularized = functools.partial(
        tf.keras.layers.Dense,
        activation="relu",
        kernel_initializer="he_normal",
        kernel_regularizer=tf.keras.regularizers.l2(0.01),
    )
    model = tf.keras.Sequential(
        [
            tf.keras.layers.Flatten(input_shape=[28, 28]),
            regularized(100),
            regularized(100),
            regularized(10, activation="softmax"),
        ]
    )
    x, y = images(32)
    compiled(model)
    p = model.predict(x, verbose=0).astype(np.float64)
    kernels = [np.asarray(w, np.float64) for w in model.get_weights()[::2]]
    wanted = -np.log(p[np.arange(32), y]).mean() + 0.01 * sum((w**2).sum() for w in kernels)
    assert model.evaluate(x, y, verbose=0)[0] == pytest.approx(wanted, rel=1e-5)
    assert float(tf.keras.regularizers.l1_l2(0.1, 0.2)(np.array([1.0, -2.0]))) == pytest.approx(
        0.1 * 3 + 0.2 * 5
    )


def test_dropout_and_its_monte_carlo():  # 831, 876 to 914, 925; G18
    layers = tf.keras.layers
    model = tf.keras.Sequential([layers.Flatten(input_shape=[28, 28])])
    for _ in range(2):
        model.add(layers.Dropout(rate=0.2))
        model.add(layers.Dense(100, activation="relu", kernel_initializer="he_normal"))
    model.add(layers.Dropout(rate=0.2))
    model.add(layers.Dense(10, activation="softmax"))
    x, y = images(300)
    compiled(model).fit(x, y, epochs=8, verbose=0)

    y_probas = np.stack([model(x, training=True) for _ in range(100)])
    assert y_probas.shape == (100, 300, 10)
    y_proba, y_std = y_probas.mean(axis=0), y_probas.std(axis=0)
    np.testing.assert_allclose(y_proba.sum(axis=1), 1, rtol=1e-5)
    assert y_std.max() > 0.05
    assert (y_proba.argmax(axis=1) == y).mean() > 0.9
    sure = model.predict(x, verbose=0).max(axis=1).mean()
    assert y_proba.max(axis=1).mean() < sure  # the trend of G19

    class MCDropout(tf.keras.layers.Dropout):
        def call(self, inputs, training=False):
            return super().call(inputs, training=True)

    always = tf.keras.Sequential([tf.keras.Input((1000,)), MCDropout(0.25)])
    ones = np.ones((4, 1000), "float32")
    a, b = always.predict(ones, verbose=0), always.predict(ones, verbose=0)
    assert set(np.unique(a)) == {0, np.float32(1 / 0.75)}
    assert (a != b).any()


def test_max_norm():  # 944
    dense = tf.keras.layers.Dense(
        20,
        activation="relu",
        kernel_initializer="he_normal",
        kernel_constraint=tf.keras.constraints.max_norm(1.0),
    )
    model = tf.keras.Sequential([tf.keras.Input((30,)), dense])
    model.compile(tf.keras.optimizers.SGD(1.0), "mse")
    x = np.random.default_rng(0).normal(size=(64, 30)).astype("float32")
    model.fit(x, 5 * x[:, :20], epochs=2, verbose=0)
    norms = np.linalg.norm(np.asarray(dense.kernel), axis=0)
    assert norms.max() <= 1 + 1e-6
    assert norms.max() > 0.99


# ---- golden numbers that no other test has -------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_small_number_beside_a_large_one_is_lost(dtype):  # G28
    ops = tf.keras.ops
    large, small = (ops.convert_to_tensor(value, dtype) for value in (1e10, 1e-10))
    assert float(large + small) == 1e10
