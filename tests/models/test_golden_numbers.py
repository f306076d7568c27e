"""Numbers that the handbook states (A19): parameter counts, how a signal keeps its size, …

G08 to G15, G17, G25 to G28 stand beside what they are about. G19 and G20 (one trained network's
numbers), G23 and G24 (quoted from papers) are trends and quotations that no test can recompute.
"""

from __future__ import annotations

import numpy as np
import pytest

import densa

L = densa.layers


@pytest.fixture(autouse=True)
def _fresh_names():
    densa.utils.clear_session()


def after():
    return densa.Sequential(
        [
            densa.Input((28, 28)),
            L.Flatten(),
            L.BatchNormalization(),
            L.Dense(300, activation="relu", kernel_initializer="he_normal"),
            L.BatchNormalization(),
            L.Dense(100, activation="relu", kernel_initializer="he_normal"),
            L.BatchNormalization(),
            L.Dense(10, activation="softmax"),
        ]
    )


def test_normalization_after_each_layer():
    model = after()
    assert [layer.count_params() for layer in model.layers] == [
        0,
        3136,  # G01
        235500,  # G02
        1200,  # G03
        30100,
        400,
        1010,  # G05
    ]
    assert sum(v.size for v in model.non_trainable_variables) == 2368  # G04
    assert model.count_params() == 271_346
    assert sum(v.size for v in model.trainable_variables) == 268_978
    assert round(4 * 268_978**2 / 1e9) == 289  # G31: GB of its Hessian in float32
    assert [(v.name, v.trainable) for v in model.layers[1].variables] == [
        ("gamma", True),
        ("beta", True),
        ("moving_mean", False),
        ("moving_variance", False),
    ]
    text = []
    model.summary(print_fn=text.append)
    table = "\n".join(text)
    for part in (
        'Model: "sequential"',
        "flatten (Flatten)",
        "(None, 784)",
        "3,136",
        "235,500",
        " Total params: 271,346 (1.04 MB)",
        " Trainable params: 268,978 (1.03 MB)",
        " Non-trainable params: 2,368 (9.25 KB)",
    ):
        assert part in table, table


def test_normalization_before_the_activation():
    model = densa.Sequential(
        [
            densa.Input((28, 28)),
            L.Flatten(),
            L.Dense(300, kernel_initializer="he_normal", use_bias=False),
            L.BatchNormalization(),
            L.Activation("relu"),
            L.Dense(100, kernel_initializer="he_normal", use_bias=False),
            L.BatchNormalization(),
            L.Activation("relu"),
            L.Dense(10, activation="softmax"),
        ]
    )
    counts = [layer.count_params() for layer in model.layers]
    assert counts == [0, 235200, 1200, 0, 30000, 400, 0, 1010]
    assert model.count_params() == 267_810  # G06
    assert sum(v.size for v in model.non_trainable_variables) == 800


def test_regularized_model():
    from functools import partial

    dense = partial(
        L.Dense,
        activation="relu",
        kernel_initializer="he_normal",
        kernel_regularizer=densa.regularizers.l2(0.01),
    )
    model = densa.Sequential(
        [
            densa.Input((28, 28)),
            L.Flatten(),
            dense(100),
            dense(100),
            dense(10, activation="softmax"),
        ]
    )
    assert [layer.count_params() for layer in model.layers] == [0, 78_500, 10_100, 1_010]
    assert model.count_params() == 89_610  # G07
    assert len(model.losses) == 3
    model(np.zeros((2, 28, 28)))
    total = sum(float(x) for x in model.losses)
    wanted = sum(0.01 * np.sum(v.numpy().astype("float64") ** 2) for v in model.weights[::2])
    assert total == pytest.approx(wanted, rel=1e-5)


def test_selu_keeps_mean_and_deviation():  # G16
    densa.utils.set_random_seed(1)
    deep = densa.Sequential([densa.Input((256,))])
    for _ in range(50):
        deep.add(L.Dense(256, activation="selu", kernel_initializer="lecun_normal"))
    y = deep.predict(np.random.default_rng(0).normal(size=(1000, 256)), verbose=0)
    # The fixed point attracts; what is left is the noise of 50 random layers.
    assert abs(y.mean()) < 0.1
    assert y.std() == pytest.approx(1, abs=0.1)


def test_deviation_grows_with_the_root_of_the_inputs():  # G29
    densa.utils.set_random_seed(2)
    normal = densa.initializers.RandomNormal(mean=0.0, stddev=1.0)
    layer = L.Dense(500, kernel_initializer=normal, use_bias=False)
    y = layer(np.random.default_rng(0).normal(size=(500, 100))).numpy()
    # sqrt(100); each of 100 inputs has its own deviation, 1/sqrt(2*500) off, so 3 % is ample.
    assert y.std() == pytest.approx(10, rel=0.03)


@pytest.mark.cpu_only("ten million numbers, about their shape")
def test_a_stack_of_monte_carlo_samples():  # G18
    model = densa.Sequential(
        [densa.Input((2,)), L.Dropout(0.5, seed=1), L.Dense(10, activation="softmax")]
    )
    x = np.ones((10_000, 2), "float32")
    stack = np.stack([model(x, training=True).numpy() for _ in range(100)])
    assert stack.shape == (100, 10_000, 10)
    mean, std = model.predict(x[:100], verbose=0, mc_samples=100)
    assert mean.shape == std.shape == (100, 10)


@pytest.mark.parametrize(
    ("before", "after", "cut"),
    [(0.9185, 0.9385, 0.2454), (0.95, 0.97, 0.40)],  # G21, G22
)
def test_errors_cut_by_two_points(before, after, cut):
    def error(share):
        metric = densa.metrics.Mean()
        metric.update_state([1.0, 0.0], sample_weight=[1 - share, share])
        return float(metric.result())

    # 1e-7 of a mean in float32 over a difference of 0.02.
    assert 1 - error(after) / error(before) == pytest.approx(cut, abs=5e-5)


@pytest.mark.cpu_only("a predictor in float64 on the CPU")
def test_folding_a_batch_norm_keeps_its_epsilon():  # G30
    model = densa.Sequential(
        [
            densa.Input((6,), dtype="float64"),
            L.Dense(8, use_bias=False, dtype="float64"),
            L.BatchNormalization(epsilon=0.1, dtype="float64"),
        ]
    )
    rng = np.random.default_rng(0)
    model.set_weights([rng.uniform(0.5, 1.5, w.shape) for w in model.get_weights()])
    kernel, gamma, beta, mean, variance = model.get_weights()
    x = rng.normal(size=(50, 6))
    predictor = model.freeze("float64")
    assert "folded" in str(predictor.certificate)
    due = gamma * (x @ kernel - mean) / np.sqrt(variance + 0.1) + beta
    np.testing.assert_allclose(predictor(x), due, rtol=0, atol=4e-14)  # 3.6e-15 in the handbook
