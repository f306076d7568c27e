"""Wrapper: a layer around a layer."""

from __future__ import annotations

import numpy as np
import pytest

import densa


@densa.saving.register_keras_serializable(package="tests")
class Scaled(densa.layers.Wrapper):
    def __init__(self, layer, factor=2.0, **kwargs):
        super().__init__(layer, **kwargs)
        self.factor = factor

    def call(self, inputs):
        return self.layer(inputs) * self.factor

    def get_config(self):
        return {**super().get_config(), "factor": self.factor}


X = np.random.default_rng(0).normal(size=(16, 3)).astype("f4")


def test_it_trains_the_layer_inside_and_is_saved(tmp_path):
    model = densa.Sequential([densa.Input((3,)), Scaled(densa.layers.Dense(2), 0.5)])
    model.compile("sgd", "mse")
    assert [w.name for w in model.trainable_variables] == ["kernel", "bias"]
    before = model.get_weights()[0]
    model.fit(X, X[:, :2], verbose=0)
    kernel, bias = model.get_weights()
    assert (kernel != before).any()
    np.testing.assert_allclose(model.predict(X, verbose=0), 0.5 * (X @ kernel + bias), atol=1e-5)
    model.save(tmp_path / "m.densa")
    again = densa.models.load_model(tmp_path / "m.densa")
    np.testing.assert_array_equal(again.predict(X, verbose=0), model.predict(X, verbose=0))
    copy = densa.models.clone_model(model)
    assert isinstance(copy.layers[0].layer, densa.layers.Dense)
    assert copy.layers[0].layer is not model.layers[0].layer


def test_what_is_no_layer_is_an_error():
    with pytest.raises(TypeError, match=r"must be a densa\.layers\.Layer; received 'dense'"):
        Scaled("dense")
