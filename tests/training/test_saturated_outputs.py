"""Cross-entropies behind a sigmoid or softmax: steps take them from the logits."""

import numpy as np
import pytest

import densa
from densa import layers, losses

# Logits at which float32 probabilities round to 0 and 1, and two at which they do not.
LOGITS = np.array([-120.0, -3.0, 0.5, 60.0])
RNG = np.random.default_rng(2)
LABELS = RNG.integers(0, 2, (6, 4)).astype("f4")
LABELS[:2, [0, 3]] = [[1, 0], [1, 0]]  # wrong at both ends
CLASSES = np.eye(4, dtype="f4")[[0, 1, 2, 3, 0, 0]]
WEIGHTS = RNG.random(6).astype("f4")


def binary(z, t, smoothing=0.0, gamma=0.0, balance=None):
    t = t * (1 - smoothing) + smoothing / 2
    p = 1 / (1 + np.exp(-z))
    q = 1 / (1 + np.exp(z))  # 1 - p, without cancellation
    values = (t * q + (1 - t) * p) ** gamma * (np.logaddexp(0, z) - t * z)
    if balance is not None:
        values = values * (t * balance + (1 - t) * (1 - balance))
    return values.mean(-1)


def of_classes(z, t, alpha=0.25, gamma=2.0):
    log_p = z - np.logaddexp.reduce(z)
    return -(alpha * (-np.expm1(log_p)) ** gamma * t * log_p).sum(-1)


LOSSES = {
    "plain": ("sigmoid", losses.BinaryCrossentropy(), binary),
    "smoothed": (
        "sigmoid",
        losses.BinaryCrossentropy(label_smoothing=0.2),
        lambda z, t: binary(z, t, 0.2),
    ),
    "focal": (
        "sigmoid",
        losses.BinaryFocalCrossentropy(True, alpha=0.3, gamma=2.0),
        lambda z, t: binary(z, t, 0.0, 2.0, 0.3),
    ),
    "focal of classes": ("softmax", losses.CategoricalFocalCrossentropy(), of_classes),
}


def argument(name, dtype=None):
    return [layers.Dense(4, activation=name, kernel_initializer="zeros", dtype=dtype)]


def own_layer(name):
    return [*argument(None), layers.Activation(name)]


def reshaped(name):
    return [*argument(name), layers.Reshape((2, 2)), layers.Flatten()]


def in_16_bits(name):
    return argument(name, "mixed_bfloat16")


CASES = [(name, head) for name in LOSSES for head in (argument, own_layer, reshaped, in_16_bits)]
CASES.remove(("focal of classes", reshaped))  # the classes would lie along another axis


@pytest.mark.parametrize("eagerly", [False, True], ids=["plan", "eager"])
@pytest.mark.parametrize(("name", "head"), CASES)
def test_loss_and_gradient(name, head, eagerly):
    activation, loss, reference = LOSSES[name]
    targets = CLASSES if activation == "softmax" else LABELS
    model = densa.Sequential([densa.Input((3,)), *head(activation)])
    model.layers[0].bias.assign(LOGITS)
    model.compile(densa.optimizers.SGD(1.0), loss, run_eagerly=eagerly)
    x = np.zeros((6, 3), "f4")  # the logits are the biases
    evaluated = model.evaluate(x, targets, sample_weight=WEIGHTS, batch_size=6, verbose=0)
    found = model.fit(x, targets, sample_weight=WEIGHTS, batch_size=6, verbose=0).history["loss"]
    assert eagerly or "off the fast path" not in model.explain_plan()

    def total(z):
        return float((reference(z, targets.astype("f8")) * WEIGHTS).mean())

    rough = head is in_16_bits
    np.testing.assert_allclose(found[0], total(LOGITS), rtol=1e-2 if rough else 1e-5)
    np.testing.assert_allclose(evaluated, found[0], rtol=1e-5)
    step = 1e-5 * np.eye(4)
    slope = [(total(LOGITS + d) - total(LOGITS - d)) / 2e-5 for d in step]
    got = LOGITS - model.layers[0].bias.numpy()
    # The biases are read back after a step from numbers of up to 120 in float32.
    np.testing.assert_allclose(got, slope, rtol=2e-2 if rough else 1e-4, atol=2e-5)


def test_a_saturated_wrong_unit_has_the_whole_gradient():
    """Of two rows and one unit, the wrong one pulls with 1/n, the right one not at all."""
    for logit, wrong in ((90.0, 0.0), (-120.0, 1.0)):
        model = densa.Sequential([densa.Input((1,)), layers.Dense(1, "sigmoid")])
        model.set_weights([np.full((1, 1), logit), np.zeros(1)])
        model.compile(densa.optimizers.SGD(1.0), "binary_crossentropy")
        model.train_on_batch(np.ones((2, 1)), np.array([[wrong], [1.0 - wrong]]))
        assert model.get_weights()[1][0] == np.sign(wrong - 0.5) / 2


def test_classes_along_another_axis_are_not_taken_from_the_logits():
    """A softmax along axis 1 is no distribution over the last axis; its scores are scaled."""
    found = []
    x, y = RNG.standard_normal((4, 3, 2)), np.eye(5)[RNG.integers(0, 5, (4, 3))]
    for eagerly in (False, True):
        densa.utils.set_random_seed(1)
        model = densa.Sequential([densa.Input((3, 2)), layers.Dense(5), layers.Softmax(axis=1)])
        model.compile("sgd", "categorical_crossentropy", run_eagerly=eagerly)
        found.append(model.evaluate(x, y, verbose=0))
    assert found[0] == pytest.approx(found[1], rel=1e-5)


@pytest.mark.parametrize(("activation", "loss"), [("sigmoid", "binary"), ("softmax", "sparse")])
def test_own_steps_and_the_tape_alone(activation, loss):
    """Through ops and activations, of any tensor that the tape has."""
    logits = np.array([[-120.0, 60.0]], "f4")
    y = np.array([[1.0, 0.0]]) if loss == "binary" else np.array([0])
    made = {"binary": losses.BinaryCrossentropy(), "sparse": losses.SparseCategoricalCrossentropy()}
    for module in (densa.ops, densa.activations):

        def run(z, module=module):
            return made[loss](y, getattr(module, activation)(z))

        value, slope = densa.value_and_grad(run)(logits)
        assert float(value) == pytest.approx(90.0 if loss == "binary" else 180.0)
        np.testing.assert_allclose(slope, [[-0.5, 0.5]] if loss == "binary" else [[-1.0, 1.0]])


def test_what_was_written_since_is_not_looked_behind():
    x = densa.ops.convert_to_tensor(np.array([[90.0]], "f4"))
    p = layers.Dense(1, "sigmoid", kernel_initializer="ones")(x)
    loss = losses.BinaryCrossentropy()
    assert float(loss([[0.0]], p)) == 90.0
    x[...] = 0.0
    assert 15.0 < float(loss([[0.0]], p)) < 17.0  # clipped by epsilon


def test_off_the_tape_nothing_is_kept():
    z = densa.ops.convert_to_tensor(np.array([[90.0]], "f4"))
    p = densa.ops.sigmoid(z)
    assert densa._core.before(p, "sigmoid") is None
    assert not densa._core.keep_origins(True)
    try:
        p = densa.ops.sigmoid(z)
    finally:
        assert densa._core.keep_origins(False)
    assert float(densa._core.before(p, "sigmoid")) == 90.0
    assert not p.requires_grad
    assert p.is_leaf
