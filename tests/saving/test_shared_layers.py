"""A layer that several models inside share: files and copies hold it once."""

import json

import numpy as np
import pytest

import densa
from densa import layers, models


def encoder_beside_autoencoder():
    x = densa.Input((8,))
    encoder = models.Model(x, layers.Dense(4, name="shared")(x), name="encoder")
    i = densa.Input((8,))
    autoencoder = models.Model(i, layers.Dense(8, name="decoder")(encoder(i)), name="auto")
    j = densa.Input((8,))
    return models.Model(j, [autoencoder(j), encoder(j)])


def siblings():
    shared = layers.Dense(8, name="shared")
    a, b, j = densa.Input((8,)), densa.Input((8,)), densa.Input((8,))
    first = models.Model(a, shared(a), name="first")
    second = models.Model(b, layers.Dense(8, name="other")(shared(b)), name="second")
    return models.Model(j, [first(j), second(j)])


def three_deep():
    inner = models.Sequential([densa.Input((8,)), layers.Dense(8, name="shared")], name="inner")
    i, k, j = densa.Input((8,)), densa.Input((8,)), densa.Input((8,))
    middle = models.Model(i, inner(i), name="middle")
    outer = models.Model(k, middle(k), name="outer")
    return models.Model(j, layers.Dense(2)(outer(inner(j))))


def two_graphs_from_one_input():
    i = densa.Input((8,))
    h = layers.Dense(4, name="shared")(i)
    encoder = models.Model(i, h, name="encoder")
    autoencoder = models.Model(i, layers.Dense(8, name="decoder")(h), name="auto")
    j = densa.Input((8,))
    return models.Model(j, [autoencoder(j), encoder(j)])


def sequentials():
    shared = layers.Dense(8, name="shared", activation="tanh")
    first = models.Sequential([densa.Input((8,)), shared], name="first")
    second = models.Sequential([shared, layers.Dense(3, name="other")], name="second")
    i = densa.Input((8,))
    return models.Model(i, [first(i), second(shared(i))])


def inside_and_twice_outside():
    shared = layers.Dense(8, name="shared")
    i, j = densa.Input((8,)), densa.Input((8,))
    inside = models.Model(i, shared(i), name="inside")
    return models.Model(j, [shared(shared(j)), shared(inside(j))])


BUILDERS = [
    encoder_beside_autoencoder,
    siblings,
    three_deep,
    two_graphs_from_one_input,
    sequentials,
    inside_and_twice_outside,
]


def outputs(model, x):
    return [np.asarray(y) for y in densa.utils.tree.flatten(model.predict(x, verbose=0))]


@pytest.mark.parametrize("build", BUILDERS, ids=lambda f: f.__name__)
def test_a_shared_layer_is_shared_again(build, tmp_path):
    model = build()
    x = np.random.default_rng(0).normal(size=(5, 8)).astype("f4")
    model.save(tmp_path / "first.densa")
    loaded = models.load_model(tmp_path / "first.densa")
    loaded.save(tmp_path / "second.densa")
    for again in (loaded, models.load_model(tmp_path / "second.densa")):
        assert len(again.weights) == len(model.weights)
        for got, expected in zip(outputs(again, x), outputs(model, x), strict=True):
            np.testing.assert_array_equal(got, expected)
    clone = models.clone_model(model)
    described = models.model_from_json(model.to_json())
    for again in (clone, described):
        again.set_weights(model.get_weights())  # which fails where they are not shared
        for got, expected in zip(outputs(again, x), outputs(model, x), strict=True):
            np.testing.assert_array_equal(got, expected)


def test_what_is_not_shared_gets_no_number():
    model = models.Sequential([densa.Input((2,)), layers.Dense(1), layers.Dense(1)])
    assert "shared_object_id" not in model.to_json()


def test_a_policy_for_all_layers_is_no_shared_part():
    densa.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = models.Sequential([densa.Input((2,)), layers.Dense(1), layers.Dense(1)])
    finally:
        densa.config.set_dtype_policy(None)
    assert "shared_object_id" not in model.to_json()
    again = models.model_from_json(model.to_json())
    assert [layer.dtype_policy.name for layer in again.layers] == ["mixed_bfloat16"] * 2


def test_a_number_stands_for_one_class_only():
    model = models.Sequential([densa.Input((2,)), layers.Dense(1), layers.Dropout(0.5)])
    data = json.loads(model.to_json())
    for layer in data["config"]["layers"]:
        layer["shared_object_id"] = 0
    made = models.model_from_json(json.dumps(data))
    assert [type(layer) for layer in made.layers] == [layers.Dense, layers.Dropout]
