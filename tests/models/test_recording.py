"""Models called while a Program records: the same code, with the number of rows open."""

from __future__ import annotations

import numpy as np
import pytest

import densa
from densa import _core

L = densa.layers

if not hasattr(_core, "Program"):
    pytest.skip("this build of the core records nothing", allow_module_level=True)


def record(model, shape, dtype="float32", training=True):
    program = _core.Program()
    with program:
        x = program.input("x", shape, dtype)
        y = model(x, training=training)
        for i, out in enumerate(densa.utils.tree.flatten(y)):
            program.output(f"y{i}", out)
    return str(program), y


LAYERS = {
    "Dense": (lambda: L.Dense(3, "relu"), "relu"),
    "Dense, softmax": (lambda: L.Dense(3, "softmax"), "softmax"),
    "Activation": (lambda: L.Activation("gelu"), "gelu"),
    "Dropout": (lambda: L.Dropout(0.5), "dropout"),
    "Dropout, noise_shape": (lambda: L.Dropout(0.5, noise_shape=(None, 1)), "slice"),
    "AlphaDropout": (lambda: L.AlphaDropout(0.5), "dropout"),
    "GaussianNoise": (lambda: L.GaussianNoise(0.5), "random_normal"),
    "GaussianDropout": (lambda: L.GaussianDropout(0.5), "random_normal"),
    "ReLU": (lambda: L.ReLU(2.0, 0.1, 0.5), "where"),
    "LeakyReLU": (lambda: L.LeakyReLU(), "leaky_relu"),
    "PReLU": (lambda: L.PReLU(), "variable"),
    "ELU": (lambda: L.ELU(), "elu"),
    "Softmax": (lambda: L.Softmax(), "softmax"),
    "Swish": (lambda: L.Swish(), "sigmoid"),
    "Reshape": (lambda: L.Reshape((2, 2)), "reshape"),
    "Permute": (lambda: densa.Sequential([L.Reshape((2, 2)), L.Permute((2, 1))]), "transpose"),
    "Flatten": (lambda: densa.Sequential([L.Reshape((2, 2)), L.Flatten()]), "reshape"),
    "Rescaling": (lambda: L.Rescaling(0.5, 1.0), "multiply"),
    "Lambda": (lambda: L.Lambda(lambda x: x[:, 1:] * 2.0), "slice"),
    "BatchNormalization": (lambda: L.BatchNormalization(), "batch_norm"),
}


@pytest.mark.parametrize("name", LAYERS)
def test_layer(name):
    make, op = LAYERS[name]
    if name == "BatchNormalization" and "batch_norm" not in _core.op_names():
        pytest.skip("this build of the core has no batch_norm")
    layer = make()
    wanted = layer(np.zeros((7, 4), "float32")).shape[1:]
    text, y = record(layer, (None, 4))
    assert y.shape == (None, *wanted)
    assert op in text


def test_random_layers_take_the_step_of_the_plan():
    layer = L.Dropout(0.5, seed=3)
    text, _ = record(layer, (None, 4))
    assert "step=-1" in text
    assert "seed=3" in text
    assert layer.seed_generator.count == 0
    text, _ = record(L.Dropout(0.5), (None, 4), training=False)
    assert "dropout" not in text


def test_two_dropouts_have_two_streams():
    model = densa.Sequential([densa.Input((4,)), L.Dropout(0.5), L.Dropout(0.5)])
    text, _ = record(model, (None, 4))
    lines = [line for line in text.splitlines() if "dropout" in line]
    assert len(lines) == 2
    assert lines[0].split("stream")[1] != lines[1].split("stream")[1]


def test_graph():
    x = densa.Input((4,))
    h = L.Dense(4, "tanh")(x)
    model = densa.Model(x, [L.Concatenate()([h, x * 2.0]), h[:, :1]])
    text, y = record(model, (None, 4))
    assert [out.shape for out in y] == [(None, 8), (None, 1)]
    assert 'activation="tanh"' in text
    assert text.count("variable") == 2


def test_building_while_recording():
    model = densa.Sequential([L.Dense(3, "relu", kernel_regularizer="l2"), L.Dense(2)])
    text, y = record(model, (None, 4))
    assert y.shape == (None, 2)
    assert model.built
    assert text.count("dense ") == 2
    assert model(np.zeros((1, 4))).shape == (1, 2)


def test_batch_normalization_assigns():
    if "batch_norm" not in _core.op_names():
        pytest.skip("this build of the core has no batch_norm")
    layer = L.BatchNormalization()
    layer.build((None, 4))
    before = layer.get_weights()
    text, _ = record(layer, (None, 4))
    assert text.count("assign") == 2
    for a, b in zip(before, layer.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    text, _ = record(layer, (None, 4), training=False)
    assert "assign" not in text
    layer.trainable = False
    text, _ = record(layer, (None, 4))
    assert "assign" not in text


def test_wrong_shapes_are_named_while_recording():
    layer = L.Dense(3, name="head")
    layer.build((None, 4))
    with pytest.raises(ValueError, match=r'"head".*\(None, 5\)'):
        record(layer, (None, 5))


def test_recorded_losses_stay_in_the_recording():
    layer = L.ActivityRegularization(l2=1.0)
    program = _core.Program()
    with program:
        x = program.input("x", (None, 4), "float32")
        layer(x, training=True)
        assert len(layer.losses) == 1
    assert layer.losses == []
    layer(np.ones((1, 4), "float32"))
    assert float(layer.losses[0]) == 4.0
