"""Weight normalization against float64 NumPy: values, a step of descent, files, frozen."""

from __future__ import annotations

import numpy as np
import pytest

import densa
from densa import layers

RNG = np.random.default_rng(12)
X = RNG.normal(size=(16, 5))
Y = RNG.normal(size=(16, 3))


def net(dtype="float64"):
    dense = layers.Dense(3, name="inside", dtype=dtype)
    wrapped = layers.WeightNormalization(dense, name="outside", dtype=dtype)
    model = densa.Sequential([densa.Input((5,), dtype=dtype), wrapped])
    model.compile(densa.optimizers.SGD(0.5), "mse")
    return model


@pytest.mark.parametrize("eager", [False, True], ids=["plan", "eager"])
def test_steps_against_numpy(eager):  # A3-14
    model = net()
    model.compile(densa.optimizers.SGD(0.5), "mse", run_eagerly=eager)
    g, v, b = model.get_weights()
    np.testing.assert_allclose(g, np.linalg.norm(v, axis=0), rtol=1e-6)  # the kernel as drawn
    g = g * [0.5, 1, 2]
    model.set_weights([g, v, b])
    for _ in range(3):
        model.fit(X, Y, batch_size=16, verbose=0)
        length = np.linalg.norm(v, axis=0)
        dy = 2 * (X @ (g * v / length) + b - Y) / Y.size
        dw = X.T @ dy
        dg = (dw * v).sum(axis=0) / length
        dv = g / length * (dw - dg * v / length)
        g, v, b = g - 0.5 * dg, v - 0.5 * dv, b - 0.5 * dy.sum(axis=0)
    for found, due in zip(model.get_weights(), (g, v, b), strict=True):
        np.testing.assert_allclose(found, due, rtol=1e-6, atol=1e-9)


@pytest.mark.cpu_only("a predictor of the CPU")
def test_frozen_it_is_one_dense_layer(tmp_path):
    model = net("float32")
    model.layers[0].scale.assign([0.5, 1, 2])
    model.save(tmp_path / "m.densa")
    again = densa.models.load_model(tmp_path / "m.densa")
    x = X.astype("f4")
    due = model.predict(x, verbose=0)
    np.testing.assert_array_equal(again.predict(x, verbose=0), due)
    predictor = again.freeze()
    np.testing.assert_allclose(predictor(x), due, rtol=1e-5, atol=1e-6)
    assert list(predictor.formats) == ["inside"]


def test_what_has_no_kernel_is_refused():
    with pytest.raises(TypeError, match=r"a kernel \(in, out\), such as Dense; received Dropout"):
        layers.WeightNormalization(layers.Dropout(0.5))(X)
    with pytest.raises(TypeError, match="must be a densa.layers.Layer"):
        layers.WeightNormalization("dense")


def test_a_mixed_policy_rounds_the_kernel_alone():
    dense = layers.Dense(3, dtype="mixed_bfloat16")
    layer = layers.WeightNormalization(dense, dtype="mixed_bfloat16")
    y = layer(np.eye(5, dtype="f4"))
    assert str(y.dtype) == "bfloat16"
    v = dense.kernel.numpy().astype("f8")
    # The scale is the length that was drawn, so the kernel is v, rounded once to 8 bits.
    np.testing.assert_allclose(np.asarray(y.numpy(), "f8"), v, rtol=2.0**-8)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("eager", [False, True], ids=["plan", "eager"])
def test_a_column_of_zeros_gives_zeros(dtype, eager):
    model = net(dtype)
    model.compile(densa.optimizers.SGD(0.1), "mse", run_eagerly=eager)
    g, v, b = model.get_weights()
    g[1], v[:, 1] = 0, 0
    model.set_weights([g, v, b])
    x, y = X.astype(dtype), Y.astype(dtype)
    want = x.astype("f8") @ (g * v / np.maximum(np.linalg.norm(v, axis=0), 1e-9)) + b
    np.testing.assert_allclose(model.predict(x, verbose=0), want, rtol=1e-5, atol=1e-5)
    model.fit(x, y, verbose=0)
    assert all(np.isfinite(w).all() for w in model.get_weights())
    np.testing.assert_array_equal(model.get_weights()[1][:, 1], 0)


@pytest.mark.cpu_only("a predictor of the CPU")
def test_a_column_of_zeros_frozen():
    model = net("float32")
    g, v, b = model.get_weights()
    v[:, 1] = 0  # and a scale that is not
    model.set_weights([g, v, b])
    x = X.astype("f4")
    due = model.predict(x, verbose=0)
    np.testing.assert_array_equal(due[:, 1], 0)
    np.testing.assert_allclose(model.freeze()(x), due, rtol=1e-5, atol=1e-6)
