"""Each rule finds its defect, changes what it says, and leaves healthy trainings alone."""

from __future__ import annotations

import numpy as np
import pytest

import densa
from densa.callbacks import Doctor
from densa.doctor import Case, examine
from densa.training.probe import Series

# What they read, statistics, is tested on the GPU too.
pytestmark = pytest.mark.cpu_only("rules train long in emulation")
L = densa.layers


def data(rows=256, features=8, scale=1.0):
    rng = np.random.default_rng(2)
    x = rng.normal(size=(rows, features)).astype("float32")
    y = (x @ rng.normal(size=(features, 3)) + 0.3 * np.square(x[:, :3])).argmax(1)
    return (scale * x).astype("float32"), y.astype("int32")


def model_of(*layers, optimizer="adam", features=8):
    densa.utils.set_random_seed(1)
    model = densa.Sequential([densa.Input((features,)), *layers, L.Dense(3, "softmax")])
    model.compile(optimizer, "sparse_categorical_crossentropy")
    return model


def relu(units=16, **arguments):
    return L.Dense(units, "relu", **{"kernel_initializer": "he_normal", **arguments})


def examined(model, x, y, epochs=8, **arguments):
    doctor = Doctor(3, verbose=0)
    arguments = {"batch_size": 16, "validation_split": 0.25, **arguments}
    model.fit(x, y, epochs=epochs, verbose=0, callbacks=[doctor], **arguments)
    return {finding.id: finding for finding in doctor.findings}


SGD = densa.optimizers.SGD
# Id, the model with the defect, its data, arguments of fit, and what the changed model must be.
CASES = {
    "unscaled_inputs": (
        lambda: model_of(relu()),
        {"scale": 200.0},
        {},
        lambda m: isinstance(m.layers[0], L.Rescaling),
    ),
    "l2_with_adam": (
        lambda: model_of(relu(kernel_regularizer="l2")),
        {},
        {},
        lambda m: type(m.optimizer).__name__ == "AdamW" and m.layers[0].kernel_regularizer is None,
    ),
    "selu_setup": (
        lambda: model_of(L.Dense(16, "selu"), L.Dropout(0.4), L.Dense(16, "selu")),
        {},
        {},
        lambda m: (
            isinstance(m.layers[0].kernel_initializer, densa.initializers.LecunNormal)
            and isinstance(m.layers[1], L.AlphaDropout)
        ),
    ),
    "batch_norm_of_tiny_batches": (
        lambda: model_of(L.Dense(16), L.BatchNormalization(), L.Activation("relu")),
        {"rows": 60},
        {"batch_size": 2},
        lambda m: isinstance(m.layers[1], L.BatchNormalization),
    ),
    "dead_units": (
        lambda: model_of(relu(bias_initializer=densa.initializers.Constant(-9.0))),
        {},
        {},
        lambda m: m.layers[0].activation is densa.activations.leaky_relu,
    ),
    "saturation": (
        lambda: model_of(
            L.Dense(16, "tanh", kernel_initializer=densa.initializers.RandomNormal(stddev=9.0))
        ),
        {},
        {},
        lambda m: isinstance(m.layers[0].kernel_initializer, densa.initializers.GlorotUniform),
    ),
    "vanishing_gradients": (
        lambda: model_of(*(L.Dense(16, "sigmoid") for _ in range(8))),
        {},
        {},
        lambda m: m.layers[3].activation is densa.activations.silu,
    ),
    "exploding_gradients": (
        lambda: model_of(
            *(
                relu(kernel_initializer=densa.initializers.VarianceScaling(12.0, "fan_in"))
                for _ in range(7)
            )
        ),
        {},
        {},
        lambda m: isinstance(m.layers[0].kernel_initializer, densa.initializers.HeNormal),
    ),
    "update_ratio": (
        lambda: model_of(relu(), optimizer=SGD(1e-6)),
        {},
        {},
        lambda m: 1e-3 < float(m.optimizer.learning_rate) <= 0.1,
    ),
    "clipped_too_often": (
        lambda: model_of(relu(), optimizer=SGD(0.05, clipnorm=1e-3)),
        {},
        {},
        lambda m: m.optimizer.clipnorm > 0.01,
    ),
    "non_finite": (
        lambda: model_of(
            L.Dense(
                16, "exponential", kernel_initializer=densa.initializers.RandomNormal(stddev=90.0)
            )
        ),
        {},
        {},
        lambda m: m.layers[0].activation is densa.activations.relu,
    ),
    "divergence": (
        lambda: model_of(relu(), optimizer=SGD(300.0)),
        {},
        {},
        lambda m: float(m.optimizer.learning_rate) == pytest.approx(3.0),
    ),
    "oscillation": (
        lambda: model_of(relu(), optimizer=densa.optimizers.Adam(0.6)),
        {},
        {"epochs": 24},
        lambda m: float(m.optimizer.learning_rate) == pytest.approx(0.06),
    ),
    "plateau": (
        lambda: model_of(
            relu(), optimizer=SGD(densa.optimizers.schedules.ExponentialDecay(0.01, 8, 0.01))
        ),
        {},
        {"epochs": 16},
        lambda m: float(m.optimizer.learning_rate) == pytest.approx(0.01),
    ),
    "underfitting": (
        lambda: model_of(relu(), L.Dropout(0.95)),
        {},
        {"epochs": 10},
        lambda m: m.layers[1].rate == 0.2,
    ),
    "overfitting": (
        lambda: model_of(relu(64), relu(64), optimizer=densa.optimizers.Adam(0.01)),
        {"rows": 40},
        {"epochs": 60},
        lambda m: True,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_rule_finds_its_defect_and_mends_a_copy(name):
    make, data_arguments, fit, mended = CASES[name]
    x, y = data(**data_arguments)
    if name == "overfitting":
        y = y[::-1].copy()  # nothing to learn but the rows themselves
    model = make()
    before = model.get_compile_config(), [layer.get_config() for layer in model.layers]
    found = examined(model, x, y, **fit)
    assert name in found, list(found)
    finding = found[name]
    assert finding.evidence
    assert finding.handbook[0] == "A"
    assert name in str(finding)
    weights = model.get_weights()
    other = finding.apply(make())  # one built like it, whose layers have other names
    assert mended(other)
    other.fit(x, y, epochs=1, verbose=0)
    # The model that was diagnosed is as it was.
    assert [layer.get_config() for layer in model.layers] == before[1]
    assert model.get_compile_config()["loss"] == before[0]["loss"]
    for one, two in zip(weights, model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)


def test_tiny_batches_are_mended_by_larger_ones():
    x, y = data(rows=60)
    make = CASES["batch_norm_of_tiny_batches"][0]
    finding = examined(make(), x, y, batch_size=2)["batch_norm_of_tiny_batches"]
    assert finding.fit == {"batch_size": 32}
    doctor = Doctor(verbose=0)
    made = finding.apply(make())
    made.fit(x, y, verbose=0, callbacks=[doctor], **finding.fit)
    assert "batch_norm_of_tiny_batches" not in [f.id for f in doctor.findings]


def penalized(**arguments):
    l2 = densa.regularizers.L1L2(1e-3, 0.03)
    return relu(kernel_regularizer=l2, name="pulled", **arguments)


def test_weight_decay_is_about_as_strong_as_the_l2_penalty():
    x, y = data()
    doctor = Doctor(3, verbose=0)
    model = model_of(penalized(), relu(name="free"))
    model.fit(x, y, epochs=4, verbose=0, callbacks=[doctor])
    finding = next(f for f in doctor.findings if f.id == "l2_with_adam")
    norms = doctor.health["layers"]["pulled"]["gradient_norm"]
    size = np.median(norms) / np.sqrt(8 * 16 + 16)  # root mean square of a gradient's numbers
    made = finding.apply(model)
    assert made.optimizer.weight_decay == pytest.approx(0.7 * 2 * 0.03 / size, rel=0.05)
    decayed = [v.path for v in made.trainable_variables if made.optimizer._use_weight_decay(v)]
    assert [path.rsplit("/", 2)[1:] for path in decayed] == [["pulled", "kernel"]]
    assert isinstance(made.layers[0].kernel_regularizer, densa.regularizers.L1)


def test_weight_decay_for_an_l2_penalty_where_nothing_was_seen():
    model = model_of(penalized(), optimizer=densa.optimizers.AdamW(weight_decay=0.1))
    (finding,) = [f for f in examine(Case(model)) if f.id == "l2_with_adam"]
    made = finding.apply(model)
    assert made.optimizer.weight_decay == pytest.approx(0.1 + 0.3)
    decayed = [v.path for v in made.trainable_variables if made.optimizer._use_weight_decay(v)]
    assert [path.rsplit("/", 2)[1:] for path in decayed] == [["pulled", "kernel"]]
    assert "AdamW of 0.4 for what it was on alone, without the 0.1" in finding.change


def test_the_optimizer_inside_a_loss_scale_is_changed():
    scaled = densa.optimizers.LossScaleOptimizer(densa.optimizers.Adam(0.01))
    model = model_of(penalized(), optimizer=scaled)
    (finding,) = [f for f in examine(Case(model)) if f.id == "l2_with_adam"]
    made = finding.apply(model)
    assert type(made.optimizer) is densa.optimizers.LossScaleOptimizer
    assert made.optimizer.inner_optimizer.weight_decay == pytest.approx(0.3)


def test_selu_without_its_batch_norm_has_biases():
    dense = L.Dense(16, use_bias=False)
    model = model_of(dense, L.BatchNormalization(), L.Activation("selu"))
    (finding,) = [f for f in examine(Case(model)) if f.id == "selu_setup"]
    made = finding.apply(model)
    assert made.layers[0].use_bias
    assert isinstance(made.layers[0].kernel_initializer, densa.initializers.LecunNormal)
    assert isinstance(made.layers[1], L.Identity)
    assert isinstance(made.layers[-1].kernel_initializer, densa.initializers.GlorotUniform)


@pytest.mark.parametrize(
    ("clipping", "rows"),
    [({"clipnorm": 1e-9}, 1.0), ({"global_clipnorm": 1e-9}, 1.0), ({"clipvalue": 1e9}, 0.0)],
)
def test_health_says_what_clipping_cuts(clipping, rows):
    x, y = data()
    model = model_of(relu(), optimizer=SGD(0.01, **clipping))
    doctor = Doctor(interval=2, verbose=0)
    model.fit(x, y, verbose=0, callbacks=[doctor])
    assert doctor.health["clipped"] == [rows] * len(doctor.health["step"])


def clipped_training(limit, optimizer=None):
    densa.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(600, 8)).astype("float32")
    y = 20 * (x[:, 0] * x[:, 1] + x[:, 2])
    model = densa.Sequential([densa.Input((8,)), relu(32), L.Dense(1)])
    model.compile(optimizer or SGD(0.1, global_clipnorm=limit), "mse")
    found = examined(model, x, y, epochs=20)
    return model, x, y, found


def test_clipping_that_a_training_does_well_with_is_left_alone():
    assert "clipped_too_often" not in clipped_training(1.0)[-1]


def test_a_higher_threshold_comes_with_a_rate_that_it_allows():
    model, x, y, found = clipped_training(0.01)
    before = model.history.history["val_loss"][-1]
    made = found["clipped_too_often"].apply(model)
    assert float(made.optimizer.learning_rate) < 0.02
    after = made.fit(x, y, epochs=20, batch_size=16, validation_split=0.25, verbose=0)
    assert after.history["val_loss"][-1] < 0.3 * before


def test_the_rate_asked_for_is_one_that_the_optimizer_can_use():
    found = clipped_training(None, densa.optimizers.Adadelta(1e-4))[-1]
    assert float(found["update_ratio"].change.split()[-1].rstrip(".")) > 0.05


def test_an_output_layer_with_selu_is_none_to_change():
    hidden = L.Dense(4, "selu", kernel_initializer="lecun_normal")
    model = densa.Sequential([densa.Input((8,)), hidden, L.Dense(1, "selu")])
    model.compile("sgd", "mse")
    assert "selu_setup" not in [f.id for f in examine(Case(model))]


@pytest.mark.parametrize("depth", [11, 12, 30])
def test_no_gradient_vanishes_in_the_copy(depth):
    x, y = data()
    model = model_of(*(L.Dense(16, "sigmoid") for _ in range(depth)))
    finding = next(f for f in model.diagnose(x, y) if f.id == "vanishing_gradients")
    made = finding.apply(model)
    assert "vanishing_gradients" not in [f.id for f in made.diagnose(x, y)]


def test_dropout_on_the_output():
    densa.utils.set_random_seed(1)
    net = [relu(), L.Dropout(0.2), L.Dense(1), L.Dropout(0.5), L.Activation("tanh")]
    model = densa.Sequential([densa.Input((8,)), *net])
    model.compile("adam", "mse")
    x, _ = data()
    found = examined(model, x, x[:, :1])
    assert found["dropout_on_output"].layer == model.layers[3].name
    made = found["dropout_on_output"].apply(model)
    assert isinstance(made.layers[3], L.Identity)
    assert isinstance(made.layers[1], L.Dropout)
    assert isinstance(model.layers[3], L.Dropout)


def test_dropout_behind_the_output_moves_before_it():
    x, _ = data()
    densa.utils.set_random_seed(1)
    net = [relu(), L.Dense(1, name="out"), L.Dropout(0.5, name="drop"), L.Activation("tanh")]
    model = densa.Sequential([densa.Input((8,)), *net])
    model.compile("adam", "mse")
    found = examined(model, x, x[:, :1])["dropout_on_output"]
    assert "before out" in found.change
    made = found.apply(model)
    kinds = [type(layer).__name__ for layer in made.layers]
    assert kinds == ["Dense", "Dropout", "Dense", "Activation"]
    assert [layer.name for layer in model.layers][1:3] == ["out", "drop"]
    assert "dropout_on_output" not in examined(made, x, x[:, :1])
    alone = densa.Sequential([densa.Input((8,)), L.Dense(1), L.Dropout(0.5)])
    alone.compile("adam", "mse")  # before it there are inputs
    made = examined(alone, x, x[:, :1])["dropout_on_output"].apply(alone)
    assert isinstance(made.layers[1], L.Identity)


def test_units_that_the_steps_have_killed_get_a_lower_rate_too():
    x, y = data()
    y = x[:, :1]
    densa.utils.set_random_seed(0)
    model = densa.Sequential([densa.Input((8,)), relu(64), relu(64), L.Dense(1)])
    model.compile(densa.optimizers.Adam(3.0), "mse")
    found = examined(model, x, y)["dead_units"]
    assert found.evidence["silent at first"] < 0.2 < found.evidence["dead"]
    made = found.apply(model)
    assert float(made.optimizer.learning_rate) == pytest.approx(0.3)
    assert made.layers[1].activation is densa.activations.leaky_relu


def test_a_rate_that_is_right_already_is_not_asked_for():
    x, y = data()
    model = model_of(relu(), optimizer=SGD(0.1, clipnorm=1e-4))
    found = examined(model, x, y)
    assert "clipped_too_often" in found
    assert "update_ratio" not in found


def test_a_rate_left_unchanged_after_unfreezing_keeps_the_weights():
    x, y = data()
    model = model_of(relu(), optimizer=densa.optimizers.Adam(0.01))
    model.layers[0].trainable = False
    model.compile(densa.optimizers.Adam(0.01), "sparse_categorical_crossentropy")
    assert "rate_after_unfreezing" not in examined(model, x, y)
    model.layers[0].trainable = True
    model.compile(densa.optimizers.Adam(0.01), "sparse_categorical_crossentropy")
    finding = examined(model, x, y)["rate_after_unfreezing"]
    made = finding.apply(model)
    assert float(made.optimizer.learning_rate) < 0.001
    for one, two in zip(made.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)
    model.compile(densa.optimizers.Adam(0.001), "sparse_categorical_crossentropy")
    assert "rate_after_unfreezing" not in examined(model, x, y)


def test_nan_in_the_data_is_no_matter_of_the_model():
    x, y = data()
    x[7, 2] = np.nan
    with pytest.warns(UserWarning, match="NaN"):
        finding = examined(model_of(relu()), x, y)["non_finite"]
    assert finding.evidence["inputs"] == 1
    assert not finding.can_apply
    with pytest.raises(ValueError, match="rows of the data"):
        finding.apply(model_of(relu()))


@pytest.mark.parametrize(
    "make",
    [
        lambda: model_of(relu(), relu()),
        lambda: model_of(relu(), L.Dropout(0.2), optimizer=SGD(0.05, momentum=0.9)),
        lambda: model_of(L.Dense(16, use_bias=False), L.BatchNormalization(), L.Activation("relu")),
        lambda: model_of(L.Dense(16, "selu", kernel_initializer="lecun_normal")),
        lambda: model_of(L.Dense(16, "tanh"), optimizer=SGD(0.05, global_clipnorm=5.0)),
        lambda: model_of(relu(kernel_regularizer="l2"), optimizer=SGD(0.02)),
    ],
)
def test_healthy_trainings_have_no_findings(make):
    x, y = data(rows=600)
    assert examined(make(), x, y, epochs=8) == {}


def test_an_output_that_is_sure_is_not_saturated():
    densa.utils.set_random_seed(1)
    x, _ = data()
    model = densa.Sequential([densa.Input((8,)), L.Dense(1, "sigmoid", name="out")])
    model.compile(densa.optimizers.Adam(0.3), "binary_crossentropy")
    sure = Doctor(3, verbose=0)
    model.fit(x, x[:, :1] > 0, epochs=30, verbose=0, callbacks=[sure])
    assert max(sure.health["layers"]["out"]["saturated"]) == 1
    assert "saturation" not in [finding.id for finding in sure.findings]


def test_looks_of_a_long_training_lie_further_apart():
    x, y = data(rows=64)
    model = model_of(relu())
    doctor = Doctor(1, verbose=0)
    model.fit(x, y, epochs=30, batch_size=16, verbose=0, callbacks=[doctor])
    steps = doctor.health["step"]
    assert steps[:32] == list(range(32))
    assert set(np.diff(steps[32:64])) == {2}


def test_diagnose_trains_nothing():
    x, y = data(scale=100.0)
    model = model_of(relu(), L.Dropout(0.5), L.BatchNormalization())
    before = model.get_weights()
    found = {finding.id for finding in model.diagnose(x, y, batch_size=4)}
    assert found >= {"batch_norm_of_tiny_batches"}
    for one, two in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)
    assert int(model.optimizer.iterations) == 0
    with pytest.raises(ValueError, match="compile"):
        densa.Sequential([densa.Input((8,)), L.Dense(1)]).diagnose(x, y)


def test_a_functional_model_is_scaled_and_changed():
    x, y = data(scale=100.0)
    a = densa.Input((8,))
    h = relu(bias_initializer=densa.initializers.Constant(-1e6))(a)
    model = densa.Model(a, L.Dense(3, "softmax")(L.Concatenate()([h, h])))
    model.compile("adam", "sparse_categorical_crossentropy")
    found = examined(model, x, y)
    assert set(found) >= {"unscaled_inputs", "dead_units"}
    made = found["unscaled_inputs"].apply(model)
    assert made.fit(x, y, epochs=1, verbose=0).epoch == [0]
    made = found["dead_units"].apply(model)
    assert made.fit(x, y, epochs=1, verbose=0).epoch == [0]


def test_the_table_and_the_history(capsys):
    x, y = data(scale=300.0)
    model = model_of(relu())
    history = model.fit(x, y, epochs=2, verbose=0, callbacks=[Doctor(2, verbose=2)])
    out = capsys.readouterr().out
    assert "Epoch 1: Doctor: unscaled_inputs" in out
    assert "doctor:" in out
    assert history.findings[0].id == "unscaled_inputs"
    assert history.health["step"] == list(range(0, 16, 2))
    with pytest.raises(ValueError, match="compile"):
        history.findings[0].apply(densa.Sequential([densa.Input((8,)), L.Dense(3)]))


@pytest.mark.parametrize("seed", [8, 16, 21])
def test_a_short_training_whose_loss_falls_has_not_diverged(seed):
    densa.utils.set_random_seed(seed)
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(64, 5)).astype("float32")
    y = rng.normal(size=(64, 1)).astype("float32") if seed % 2 else x[:, :1]
    model = densa.Sequential(
        [densa.Input((5,)), L.Dense(8, "relu"), L.Dense(8, "relu"), L.Dense(1)]
    )
    model.compile("adam", "mse")
    assert "divergence" not in examined(model, x, y, epochs=5, batch_size=32, validation_split=0.2)
    assert model.history.history["loss"][-1] == min(model.history.history["loss"])


@pytest.mark.parametrize(
    ("looks", "loss", "diverged"),
    [
        ([2.1], [2.3, 2.2, 2.25, 2.1, 2.0], False),
        ([0.9], [2.4, 2.3, 2.2, 2.1, 2.0], False),  # the first batch was an easy one
        ([1.0], [500.0, 400.0, 380.0, 370.0, 365.0], True),  # it has blown up, and crawls back
        ([1.0], [1.5, 1.6, 1.7, 1.8, 1.9], True),
        ([1.0], [1.9, 1.8, 1.9, 2.0, 1.8], True),
    ],
)
def test_a_loss_diverges_unless_it_falls(looks, loss, diverged):
    model = model_of(relu())
    y = np.array([0, 1, 2])
    at = np.arange(len(looks))
    numbers = np.array(looks)[:, None]
    samples = Series(at.tolist(), [0.1] * len(looks), kinds={"loss": {"": (at, numbers)}})
    case = Case(model, loss=loss, samples=samples, targets=y)
    assert case.chance == pytest.approx(np.log(3))
    assert ("divergence" in [f.id for f in examine(case)]) == diverged
