"""Mixed precision: layers compute in 16 bits on variables of float32."""

import numpy as np
import pytest

import densa
from densa import layers as L
from densa import ops

POLICIES = ["mixed_bfloat16", "mixed_float16"]
RNG = np.random.default_rng(7)
X = RNG.standard_normal((96, 17)).astype("float32")
LABELS = (X[:, 0] + X[:, 1] > 0).astype("int64")


@pytest.fixture(params=POLICIES)
def policy(request):
    densa.config.set_dtype_policy(request.param)
    yield densa.config.dtype_policy()
    densa.config.set_dtype_policy(None)


def network():
    return densa.Sequential(
        [
            densa.Input((17,)),
            L.Dense(33, activation="tanh"),
            L.BatchNormalization(),
            L.Dense(20),
            L.ReLU(),
            L.Dropout(0.2),
            L.Dense(2, activation="softmax", dtype="float32"),
        ]
    )


def fitted(eager, epochs=4):
    densa.utils.set_random_seed(3)
    model = network()
    model.compile(
        densa.optimizers.SGD(0.1, momentum=0.9),
        "sparse_categorical_crossentropy",
        metrics=["accuracy"],
        run_eagerly=eager,
    )
    return model, model.fit(X, LABELS, batch_size=16, epochs=epochs, verbose=0)


def test_types(policy):
    half = policy.compute_dtype
    layer = L.Dense(3)
    y = layer(X[:2])
    assert (layer.compute_dtype, layer.variable_dtype, layer.dtype) == (half, "float32", "float32")
    assert y.dtype == half
    assert layer.kernel.dtype == "float32"
    assert layer.kernel.value.dtype == "float32"  # outside of the layer
    assert L.BatchNormalization()(y).dtype == half
    assert L.Embedding(4, 3)(np.array([[1, 2]])).dtype == half
    assert L.Rescaling(0.5)(X[:2]).dtype == half
    assert L.Softmax()(y, mask=np.array([[True, True, False]] * 2)).dtype == half


def test_symbolic_types(policy):
    x = densa.Input((17,))
    y = L.Dense(3)(x)
    assert (x.dtype, y.dtype) == ("float32", policy.compute_dtype)
    assert L.Dense(3, dtype="float32")(y).dtype == "float32"


def test_a_custom_layer_reads_its_variables_in_16_bits(policy):
    seen = []

    class Custom(L.Layer):
        def build(self, input_shape):
            self.w = self.add_weight(shape=(input_shape[-1], 4))
            self.exact = self.add_weight(shape=(4,), autocast=False)
            self.inner = L.Dense(4, dtype="float32")

        def call(self, x):
            seen.append((x.dtype, self.w.value.dtype, (self.w * 1.0).dtype, self.exact.value.dtype))
            inner = self.inner(x)
            seen.append((inner.dtype, self.w.value.dtype))
            return ops.matmul(x, self.w)

    half = policy.compute_dtype
    assert Custom()(X[:2]).dtype == half
    assert seen[-2:] == [(half, half, half, "float32"), ("float32", half)]


def test_dense_multiplies_rounded_numbers(policy):
    layer = L.Dense(5)
    y = layer(X).astype("float32").numpy()

    def rounded(a):
        return densa.asarray(np.asarray(a)).astype(policy.compute_dtype).astype("float64").numpy()

    exact = rounded(X) @ rounded(layer.kernel.numpy())
    unit = 2.0 ** (-11 if policy.compute_dtype == "float16" else -8)
    np.testing.assert_allclose(y, exact, rtol=unit, atol=1e-5)
    assert np.abs(y - X @ layer.kernel.numpy()).max() > 1e-5  # and not those of float32


def test_the_plan_trains_as_the_tape_does(policy):
    (a, history), (b, eager) = fitted(False), fitted(True)
    # Sums in another order are now and then rounded to the other neighbour, and steps add that up:
    # epoch by epoch the two may drift apart twice as far.
    unit = 2.0 ** (-11 if policy.compute_dtype == "float16" else -8)
    losses = zip(history.history["loss"], eager.history["loss"], strict=True)
    for epoch, (loss, wanted) in enumerate(losses):
        assert abs(loss - wanted) <= 2 * unit * 2**epoch * wanted, epoch
    for v, w in zip(a.get_weights(), b.get_weights(), strict=True):
        np.testing.assert_allclose(v, w, atol=4 * unit * max(1.0, np.abs(w).max()))


@pytest.mark.parametrize("noise", [lambda: L.GaussianNoise(0.2), lambda: L.GaussianDropout(0.3)])
def test_a_plan_draws_the_noise_of_the_tape(policy, noise):
    losses = []
    for eager in (False, True):
        densa.utils.set_random_seed(3)
        ones = L.Dense(33, use_bias=False, kernel_initializer="ones")
        model = densa.Sequential([densa.Input((4,)), ones, noise()])
        model.compile(densa.optimizers.SGD(0.0), "mse", run_eagerly=eager)
        x, y = np.ones((48, 4), "float32"), np.full((48, 33), 4, "float32")
        losses.append(model.fit(x, y, batch_size=16, epochs=3, verbose=0).history["loss"])
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-5)  # of sums of the same numbers
    assert min(losses[0]) > 0.01
    assert len(set(losses[0])) == 3


def test_it_learns_and_is_saved(policy, tmp_path):
    model, history = fitted(False, epochs=12)
    assert history.history["accuracy"][-1] > 0.9
    model.save(tmp_path / "model.densa")
    back = densa.models.load_model(tmp_path / "model.densa")
    assert back.layers[0].dtype_policy == policy
    assert [w.dtype for w in back.get_weights()] == ["float32"] * len(back.get_weights())
    np.testing.assert_array_equal(
        model.predict(X, verbose=0), back.predict(X, verbose=0), strict=True
    )
    back.fit(X, LABELS, epochs=1, verbose=0)


def test_outputs_of_16_bits_reach_numpy(policy):
    model = densa.Sequential([densa.Input((17,)), L.Dense(3)])
    wanted = "float32" if policy.compute_dtype == "bfloat16" else "float16"
    y = model.predict(X, verbose=0)
    assert y.dtype == wanted
    np.testing.assert_array_equal(y, model(X).numpy())
    model.compile("sgd", "mse")
    loss = model.evaluate(X, np.zeros((96, 3), "float32"), verbose=0)
    np.testing.assert_allclose(loss, np.mean(y.astype("float64") ** 2), rtol=1e-5)


def test_names():
    assert densa.DTypePolicy("mixed_float16").get_config() == {"name": "mixed_float16"}
    with pytest.raises(ValueError, match='use "mixed_bfloat16"'):
        densa.DTypePolicy("bfloat16")
    with pytest.raises(ValueError, match="must be one of"):
        densa.config.set_dtype_policy("mixed_int8")
