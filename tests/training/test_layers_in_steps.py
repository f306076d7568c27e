"""Layers in native steps: recorded, not run by Python, with the numbers of eager steps."""

from __future__ import annotations

import numpy as np
import pytest

import densa

L = densa.layers
RNG = np.random.default_rng(11)
X = RNG.normal(2.0, 3.0, (21, 6)).astype("float32")
IDS = RNG.integers(0, 5, (21, 3)).astype("int32")
Y = RNG.normal(size=(21, 2)).astype("float32")


def normalization():
    layer = L.Normalization()
    layer.adapt(X)
    return layer


def bins(mode):
    layer = L.Discretization(num_bins=4, output_mode=mode)
    layer.adapt(X)
    return layer


def dots(x):
    a, b = L.Dense(4)(x), L.Dense(4)(x)
    rows = L.Dot((2, 2))([L.Reshape((2, 2))(a), L.Reshape((2, 2))(b)])
    return L.Concatenate()([L.Dot(1, normalize=True)([a, b]), L.Flatten()(rows)])


CASES = {
    "RMSNormalization": (lambda x: L.RMSNormalization()(L.Dense(5)(x)), X),
    "UnitNormalization": (lambda x: L.UnitNormalization()(L.Dense(5)(x)), X),
    "Normalization": (lambda x: normalization()(x), X),
    "Normalization, given": (lambda x: L.Normalization(mean=2.0, variance=9.0)(x), X),
    "Discretization": (lambda x: bins("one_hot")(x), X),
    "Discretization, count": (lambda x: bins("count")(x), X),
    "Discretization, embedded": (lambda x: L.Embedding(4, 3)(bins("int")(x)), X),
    "CategoryEncoding": (lambda x: L.CategoryEncoding(5)(x), IDS),
    "CategoryEncoding, count": (lambda x: L.CategoryEncoding(5, "count")(x), IDS),
    "CategoryEncoding, one_hot": (lambda x: L.CategoryEncoding(5, "one_hot")(x), IDS),
    "Dot": (dots, X),
    "PReLU, shared": (lambda x: L.PReLU(shared_axes=[1])(L.Dense(4)(x)), X),
    "Swish": (lambda x: L.Swish()(L.Dense(4)(x)), X),
    "GroupNormalization": (lambda x: L.GroupNormalization(2)(L.Dense(6)(x)), X),
    "EinsumDense": (
        lambda x: L.EinsumDense("ab,bcd->acd", (2, 3), "tanh", "cd")(L.Dense(4)(x)),
        X,
    ),
    "TimeDistributed": (
        lambda x: L.TimeDistributed(L.BatchNormalization(momentum=0.9))(
            L.TimeDistributed(L.Dense(3, "tanh"))(L.Reshape((2, 2))(L.Dense(4)(x)))
        ),
        X,
    ),
    "SpectralNormalization": (
        lambda x: L.SpectralNormalization(L.Dense(5, "tanh"), 2)(L.Dense(4)(x)),
        X,
    ),
    "RReLU": (lambda x: L.RReLU(seed=1)(L.Dense(5)(x)), X),
}


def model_of(name, dtype=None, eager=False):
    make, x = CASES[name]
    densa.utils.set_random_seed(3)
    before = densa.config.dtype_policy()
    densa.config.set_dtype_policy(dtype or before)
    try:
        inputs = densa.Input(x.shape[1:], dtype=str(x.dtype))
        model = densa.Model(inputs, L.Dense(2)(L.Flatten()(make(inputs))))
        model.compile(densa.optimizers.Adam(0.05), "mse", run_eagerly=eager)
    finally:
        densa.config.set_dtype_policy(before)
    return model


def ran_natively(model):
    plans = model._runner("train")._plans
    return bool(plans) and all(plan is not None for plan in plans.values())


def trained(name, **kwargs):
    model = model_of(name, **kwargs)
    history = model.fit(CASES[name][1], Y, batch_size=8, epochs=3, shuffle=False, verbose=0)
    return model, history.history["loss"]


@pytest.mark.parametrize("name", CASES)
def test_native_steps_have_the_numbers_of_eager_ones(name):
    native, losses = trained(name)
    assert ran_natively(native)
    eager, wanted = trained(name, eager=True)
    np.testing.assert_allclose(losses, wanted, rtol=2e-5)
    for a, b in zip(native.get_weights(), eager.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-5)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
@pytest.mark.parametrize("name", CASES)
def test_mixed_policies(name, policy):
    model, losses = trained(name, dtype=policy)
    assert ran_natively(model)
    assert np.isfinite(losses).all()
    _, wanted = trained(name, dtype=policy, eager=True)
    # Later ones differ by which steps the loss scale has left out.
    np.testing.assert_allclose(losses[0], wanted[0], rtol=0.02)
    # The first numbers of both policies: bfloat16 keeps 8 bits, so that
    # 1/64 of the largest number is eight roundings of it.
    x = CASES[name][1]
    found, exact = (model_of(name, dtype=d).predict(x, verbose=0) for d in (policy, None))
    np.testing.assert_allclose(found, exact, rtol=0, atol=np.abs(exact).max() / 64)


@pytest.mark.parametrize("name", CASES)
def test_saved_and_frozen(name, tmp_path):
    model, _ = trained(name)
    x = CASES[name][1]
    wanted = model.predict(x, verbose=0)
    model.save(tmp_path / "model.densa")
    again = densa.saving.load_model(tmp_path / "model.densa")
    np.testing.assert_array_equal(again.predict(x, verbose=0), wanted)
    predictor = model.freeze()
    np.testing.assert_allclose(predictor(x), wanted, rtol=1e-4, atol=1e-5)
    # At most twice what the network itself is off: rows may be nearly 0.
    certificate = predictor.certificate
    assert certificate.max_row_error <= 2 * certificate.model_row_error + 1e-6


def test_adapting_after_a_fit_acts_in_the_next():
    layer = normalization()
    bin_layer = bins("one_hot")
    inputs = densa.Input((6,))
    outputs = L.Concatenate()([layer(inputs), L.Flatten()(bin_layer(inputs))])
    model = densa.Model(inputs, L.Dense(2)(outputs))
    model.compile(densa.optimizers.SGD(0.0), "mse")
    model.fit(X, Y, verbose=0)
    model.predict(X, verbose=0)
    layer.adapt(X * 2)
    bin_layer.adapt(X - 1)
    dense = model.layers[-1]
    a = (X - 2 * X.mean(0)) / (2 * X.std(0))
    b = bin_layer(X).numpy()
    wanted = np.hstack([a, b.reshape(len(X), -1)]) @ dense.kernel.numpy() + dense.bias.numpy()
    np.testing.assert_allclose(model.predict(X, verbose=0), wanted, rtol=1e-4, atol=1e-5)
    loss = model.fit(X, Y, verbose=0).history["loss"][0]
    assert loss == pytest.approx(np.mean((wanted - Y) ** 2), rel=1e-4)


def test_class_numbers_outside_fail_before_the_step():
    model = model_of("CategoryEncoding")
    before = model.get_weights()
    wrong = IDS.copy()
    wrong[4, 1] = 5
    with pytest.raises(IndexError, match="ids go from 0 to 4"):
        model.fit(wrong, Y, batch_size=32, verbose=0)
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


class Halving(L.Layer):
    """Halves its weights at each call in training."""

    def build(self, shape):
        self.w = self.add_weight(shape=(shape[-1],), initializer="ones", name="w")

    def call(self, x, training=False):
        if training:
            self.w.assign(self.w + densa.ops.stop_gradient(self.w * -0.5))
        return x * self.w


@pytest.mark.parametrize("eager", [False, True])
def test_the_update_of_a_weight_that_the_step_assigns_begins_from_what_was_assigned(eager):
    model = densa.Sequential([densa.Input((2,)), Halving()])
    model.compile(densa.optimizers.SGD(0.1), "mse", run_eagerly=eager)
    x = np.array([[1.0, 2.0]] * 4, "f4")
    model.fit(x, 0 * x, batch_size=2, epochs=1, shuffle=False, verbose=0)
    assert eager or ran_natively(model)
    w = np.ones(2)
    for _ in range(2):
        w = w / 2
        w = w - 0.1 * w * np.array([1.0, 4.0])
    np.testing.assert_allclose(model.get_weights()[0], w, rtol=1e-6)
