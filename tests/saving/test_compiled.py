"""Compiled and trained models: files, copies, summary."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

import densa

L = densa.layers
RNG = np.random.default_rng(2)
X = RNG.normal(size=(40, 4)).astype("float32")
Y = RNG.integers(0, 3, 40)


def trained(optimizer="adam", **arguments):
    densa.utils.set_random_seed(3)
    model = densa.Sequential(
        [
            densa.Input((4,)),
            L.Dense(8, "relu"),
            L.BatchNormalization(),
            L.Dropout(0.3),
            L.Dense(3, "softmax"),
        ]
    )
    arguments = {"loss": "sparse_categorical_crossentropy", "metrics": ["accuracy"], **arguments}
    model.compile(optimizer=optimizer, **arguments)
    model.fit(X, Y, epochs=2, batch_size=8, verbose=0, shuffle=False)
    return model


def go_on(model):
    model.fit(X, Y, epochs=2, batch_size=8, verbose=0, shuffle=False)
    return model.get_weights()


def through_file(model, tmp_path):
    model.save(tmp_path / "m.densa")
    return densa.models.load_model(tmp_path / "m.densa")


WAYS = {
    "file": through_file,
    "pickle": lambda model, _: pickle.loads(pickle.dumps(model)),
    "deepcopy": lambda model, _: copy.deepcopy(model),
}
OPTIMIZERS = {
    "adam": lambda: "adam",
    "sgd": lambda: densa.optimizers.SGD(0.05, momentum=0.9, nesterov=True),
    "schedule": lambda: densa.optimizers.AdamW(
        densa.optimizers.schedules.ExponentialDecay(0.01, 5, 0.9), weight_decay=0.01
    ),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_training_goes_on_bit_for_bit(way, optimizer, tmp_path):
    model = trained(OPTIMIZERS[optimizer]())
    other = WAYS[way](model, tmp_path)
    assert other.optimizer is not model.optimizer
    assert int(other.optimizer.iterations) == int(model.optimizer.iterations) == 10
    for a, b in zip(model.optimizer.variables, other.optimizer.variables, strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())
    np.testing.assert_array_equal(model.predict(X, verbose=0), other.predict(X, verbose=0))
    assert model.evaluate(X, Y, verbose=0) == other.evaluate(X, Y, verbose=0)
    for a, b in zip(go_on(model), go_on(other), strict=True):
        np.testing.assert_array_equal(a, b)


def test_load_without_compiling(tmp_path):
    model = trained()
    model.save(tmp_path / "m.densa")
    other = densa.models.load_model(tmp_path / "m.densa", compile=False)
    assert other.optimizer is None
    np.testing.assert_array_equal(model.predict(X, verbose=0), other.predict(X, verbose=0))
    model.save(tmp_path / "n.densa", include_optimizer=False)
    assert int(densa.models.load_model(tmp_path / "n.densa").optimizer.iterations) == 0


def own_loss(y, p):
    return densa.ops.mean(densa.ops.square(densa.ops.cast(y, "float32") - p[:, 0]))


def test_own_loss_by_custom_objects(tmp_path):
    model = trained(loss=own_loss, metrics=None)
    model.save(tmp_path / "m.densa")
    with pytest.raises(ValueError, match="own_loss"):
        densa.models.load_model(tmp_path / "m.densa")
    other = densa.models.load_model(tmp_path / "m.densa", custom_objects={"own_loss": own_loss})
    for a, b in zip(go_on(model), go_on(other), strict=True):
        np.testing.assert_array_equal(a, b)


def test_summary_counts_the_optimizer():
    model = trained()
    text = []
    model.summary(print_fn=text.append)
    count = sum(v.size for v in model.optimizer.variables)
    assert count == 2 * (40 + 16 + 27) + 2
    assert f" Total params: {count + 40 + 32 + 27:,} " in text[0]
    assert " Trainable params: 83 (332.00 B)" in text[0]
    assert " Non-trainable params: 16 (64.00 B)" in text[0]
    assert f" Optimizer params: {count:,} " in text[0]


def test_weights_of_a_trained_model(tmp_path):
    model = trained()
    model.save_weights(tmp_path / "m.weights.densa")
    other = trained("sgd")
    other.load_weights(tmp_path / "m.weights.densa")
    np.testing.assert_array_equal(model.predict(X, verbose=0), other.predict(X, verbose=0))


def test_transfer():
    """The chapter's transfer: shared layers, frozen and unfrozen, and a clone that is not."""
    a = trained()
    b = densa.Sequential(a.layers[:-1])
    b.add(L.Dense(1, activation="sigmoid"))
    kept = densa.models.clone_model(a)
    kept.set_weights(a.get_weights())
    before = a.get_weights()
    for layer in b.layers[:-1]:
        layer.trainable = False
    b.compile("sgd", "binary_crossentropy", metrics=["accuracy"])
    b.fit(X, Y > 0, epochs=1, verbose=0)
    for x, y in zip(before[:6], b.get_weights()[:6], strict=True):
        np.testing.assert_array_equal(x, y)
    for layer in b.layers[:-1]:
        layer.trainable = True
    b.compile("sgd", "binary_crossentropy", metrics=["accuracy"])
    b.fit(X, Y > 0, epochs=1, verbose=0)
    assert any(np.any(x != y) for x, y in zip(before, a.get_weights(), strict=True))
    for x, y in zip(before, kept.get_weights(), strict=True):
        np.testing.assert_array_equal(x, y)


def test_dropout_that_stays_on():
    """The chapter's Monte Carlo dropout."""

    class MCDropout(L.Dropout):
        def call(self, inputs, training=False):
            return super().call(inputs, training=True)

    model = trained()
    monte_carlo = densa.Sequential(
        [MCDropout(layer.rate) if isinstance(layer, L.Dropout) else layer for layer in model.layers]
    )
    monte_carlo.set_weights(model.get_weights())
    stack = np.stack([monte_carlo(X[:5]).numpy() for _ in range(20)])
    assert stack.shape == (20, 5, 3)
    assert stack.std(axis=0).max() > 0


@pytest.mark.parametrize(
    "arguments",
    [
        {"metrics": [densa.losses.SparseCategoricalCrossentropy()]},
        {"metrics": [densa.metrics.SparseCategoricalAccuracy]},
        {"loss": densa.losses.SparseCategoricalCrossentropy},
        {"optimizer": densa.optimizers.Adam},
    ],
    ids=["loss as metric", "class of metric", "class of loss", "class of optimizer"],
)
def test_what_compile_takes_is_loaded(arguments, tmp_path):
    model = trained(**arguments)
    model.save(tmp_path / "m.densa")
    loaded = densa.saving.load_model(tmp_path / "m.densa")
    assert loaded.evaluate(X, Y, verbose=0, return_dict=True) == model.evaluate(
        X, Y, verbose=0, return_dict=True
    )
    for a, b in zip(go_on(model), go_on(loaded), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_file_names_classes_of_models_alone():
    kind = {"class_name": "__type__", "config": {"module": "densa.utils.py_dataset"}}
    for name in ("PyDataset", "CustomObjectScope"):
        kind["config"]["name"] = name
        with pytest.raises(ValueError, match="__type__"):
            densa.saving.deserialize_keras_object(kind)
    found = densa.saving.deserialize_keras_object(
        {"class_name": "__type__", "config": {"module": "densa.losses.classes", "name": "Huber"}}
    )
    assert found is densa.losses.Huber


def test_a_layer_that_was_saved_is_loaded(tmp_path):
    layer = L.Normalization(name="scaled")
    layer.adapt(X)
    densa.saving.save_model(layer, tmp_path / "layer.densa")
    loaded = densa.saving.load_model(tmp_path / "layer.densa")
    assert loaded.name == "scaled"
    np.testing.assert_array_equal(loaded(X).numpy(), layer(X).numpy())
