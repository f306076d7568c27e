"""Every public name of a family is one that `get` knows, and what it makes survives its config."""

import inspect

import numpy as np
import pytest

import densa

FAMILIES = ["activations", "constraints", "initializers", "losses", "metrics", "optimizers",
            "regularizers"]  # fmt: skip
NEEDED = {"num_classes": 3, "target_class_ids": [0], "precision": 0.5, "recall": 0.5,
          "specificity": 0.5, "sensitivity": 0.5, "fn": densa.losses.mean_squared_error,
          "inner_optimizer": densa.optimizers.SGD(0.5), "name": "own"}  # fmt: skip
BASES = {"Constraint", "Initializer", "Loss", "LossFunctionWrapper", "Metric", "Optimizer",
         "Regularizer", "RandomInitializer"}  # fmt: skip


def classes():
    for family in FAMILIES:
        module = getattr(densa, family)
        for name, kind in vars(module).items():
            own = inspect.isclass(kind) and kind.__module__.startswith(f"densa.{family}")
            if own and kind.__name__ == name and name not in BASES:
                yield pytest.param(module, kind, id=f"{family}.{name}")


def made(kind):
    needed = [p.name for p in inspect.signature(kind).parameters.values()
              if p.default is p.empty and p.kind is p.POSITIONAL_OR_KEYWORD]  # fmt: skip
    return kind(**{name: NEEDED[name] for name in needed}), needed


CLASSES = list(classes())


@pytest.mark.parametrize(("module", "kind"), CLASSES)
def test_a_class_is_known_by_name_and_survives_its_config(module, kind):
    one, needed = made(kind)
    again = module.deserialize(module.serialize(one))
    assert type(again) is kind
    assert again.get_config() == one.get_config()
    if needed:
        with pytest.raises(ValueError, match="needs"):
            module.get(kind.__name__)
    else:
        assert type(module.get(kind.__name__)) is kind


@pytest.mark.parametrize(("module", "kind"), CLASSES)
def test_a_misspelt_name_suggests_the_right_one(module, kind):
    with pytest.raises(ValueError, match="Did you mean"):
        module.get(kind.__name__ + "z")


def test_metrics_have_small_names():
    assert type(densa.metrics.get("true_positives")) is densa.metrics.TruePositives


@pytest.mark.parametrize("name", ["glu", "sparse_plus", "sparse_sigmoid", "sparsemax"])
def test_sparse_activations_train_and_are_saved(name, tmp_path):
    activation = densa.layers.Activation(name)
    layers = [densa.layers.Dense(4), activation, densa.layers.Dense(1)]
    model = densa.Sequential([densa.Input((3,)), *layers])
    model.compile("sgd", "mse")
    x = np.linspace(-1, 1, 24, dtype="f4").reshape(8, 3)
    before = model.layers[0].get_weights()[0]
    model.fit(x, x[:, :1], verbose=0)
    assert (model.layers[0].get_weights()[0] != before).any()
    model.save(tmp_path / "m.densa")
    again = densa.models.load_model(tmp_path / "m.densa")
    np.testing.assert_array_equal(again.predict(x, verbose=0), model.predict(x, verbose=0))


def test_glu_halves_the_last_axis():
    model = densa.Sequential([densa.Input((3,)), densa.layers.Dense(4, activation="glu")])
    assert model.output_shape == (None, 2)
    assert model(np.zeros((5, 3), "f4")).shape == (5, 2)
