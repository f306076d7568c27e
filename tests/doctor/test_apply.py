"""`Finding.apply`: what the copy keeps, which layer changes, models that no file can hold."""

from __future__ import annotations

import numpy as np
import pytest

import densa

L = densa.layers


def data(scale=100.0):
    rng = np.random.default_rng(3)
    x = (scale * rng.normal(size=(64, 4))).astype("float32")
    return x, x[:, :1] / np.float32(scale)


def compiled(*layers, loss="mse", **arguments):
    model = densa.Sequential([densa.Input((4,)), *layers, L.Dense(1)])
    model.compile("adam", loss, **arguments)
    return model


def penalized(units=4, **arguments):
    return L.Dense(units, "relu", kernel_regularizer="l2", **arguments)


def finding(model, name, x=None, y=None):
    given = data() if x is None else (x, y)
    return next(f for f in model.diagnose(*given) if f.id == name)


# ---- what is kept ------------------------------------------------------------------------------


def adapted():
    norm = L.Normalization()
    norm.adapt(data()[0] + 7)
    return norm


def functional(norm):
    x = densa.Input((4,))
    model = densa.Model(x, L.Dense(1)(penalized()(norm(x))))
    model.compile("adam", "mse")
    return model


def nested(norm):
    inside = densa.Sequential([densa.Input((4,)), norm, penalized()])
    return compiled(inside)


@pytest.mark.parametrize("make", [lambda norm: compiled(norm, penalized()), functional, nested])
def test_statistics_of_adapt_are_kept(make):
    norm = adapted()
    model = make(norm)
    made = finding(model, "l2_with_adam").apply(model)
    copies = [x for x in made._flatten_layers() if isinstance(x, L.Normalization)]
    assert len(copies) == 1
    assert copies[0] is not norm
    x = data()[0].astype("float64") + 7
    np.testing.assert_allclose(copies[0].mean.numpy().ravel(), x.mean(0), rtol=1e-5)
    np.testing.assert_allclose(copies[0].variance.numpy().ravel(), x.var(0), rtol=1e-5)


def test_statistics_of_adapt_are_kept_where_no_layer_changes():
    model = compiled(adapted(), L.Dense(4, "relu"))
    made = densa.doctor.remedies.at_rate(0.25)(model)
    assert float(made.optimizer.learning_rate) == 0.25
    np.testing.assert_array_equal(made.layers[0].mean.numpy(), model.layers[0].mean.numpy())


def test_boundaries_of_adapt_are_kept():
    bins = L.Discretization(num_bins=4, output_mode="multi_hot")
    bins.adapt(data()[0])
    model = compiled(bins, penalized())
    made = finding(model, "l2_with_adam").apply(model)
    assert made.layers[0].bin_boundaries == bins.bin_boundaries


def test_frozen_weights_are_kept_and_moving_statistics_begin_anew():
    frozen, norm = L.Dense(4, trainable=False), L.BatchNormalization()
    model = compiled(frozen, norm, penalized())
    x, y = data()
    model.fit(x, y, epochs=1, verbose=0)
    made = finding(model, "l2_with_adam").apply(model)
    np.testing.assert_array_equal(made.layers[0].kernel.numpy(), frozen.kernel.numpy())
    assert not made.layers[0].trainable
    assert np.any(norm.moving_mean.numpy() != 0)
    np.testing.assert_array_equal(made.layers[1].moving_mean.numpy(), 0)
    assert np.any(made.layers[2].kernel.numpy() != model.layers[2].kernel.numpy())


# ---- which layer is changed --------------------------------------------------------------------


def wide_loss():
    # Unscaled inputs, a dropout behind the output and a penalty in the middle: each has its layer.
    return compiled(
        L.Dense(6, "relu", name="first"),
        penalized(5, name="second"),
        L.Dense(3, "relu", name="third"),
    )


@pytest.mark.parametrize("order", [1, -1])
def test_findings_are_applied_one_after_another(order):
    model = wide_loss()
    found = {f.id: f for f in model.diagnose(*data())}
    names = ["unscaled_inputs", "l2_with_adam"][::order]
    made = model
    for name in names:
        made = found[name].apply(made)
    kinds = [(type(x).__name__, x.name) for x in made.layers[:-1]]
    assert kinds == [
        ("Rescaling", "standardize"),
        ("Dense", "first"),
        ("Dense", "second"),
        ("Dense", "third"),
    ]
    assert [x.units for x in made.layers[1:4]] == [6, 5, 3]
    assert all(x.kernel_regularizer is None for x in made.layers[1:])
    assert type(made.optimizer).__name__ == "AdamW"
    assert made.fit(*data(), epochs=1, verbose=0).epoch == [0]


def test_findings_are_applied_one_after_another_to_a_functional_model():
    x = densa.Input((4,))
    model = densa.Model(x, L.Dense(1)(L.Dense(3, "relu")(penalized()(x))))
    model.compile("adam", "mse")
    found = {f.id: f for f in model.diagnose(*data())}
    made = found["l2_with_adam"].apply(found["unscaled_inputs"].apply(model))
    dense = [x for x in made._flatten_layers() if isinstance(x, L.Dense)]
    assert [x.units for x in dense] == [4, 3, 1]
    assert all(x.kernel_regularizer is None for x in dense)


def test_a_model_built_alike_has_names_of_its_own():
    given, other = (compiled(L.Dense(3, "relu"), penalized()) for _ in range(2))
    made = finding(given, "l2_with_adam").apply(other)
    assert all(x.kernel_regularizer is None for x in made.layers)
    assert [x.name for x in made.layers] == [x.name for x in other.layers]


def test_a_layer_that_is_gone_is_an_error():
    found = finding(wide_loss(), "l2_with_adam")
    with pytest.raises(ValueError, match=r"has no layer 'second'.*diagnosed"):
        found.apply(compiled(L.Dense(6, "relu", name="first")))


# ---- models that no file can hold --------------------------------------------------------------


class Squares(densa.losses.Loss):
    def call(self, y, y_pred):
        return squares(y, y_pred)


class Twice(L.Layer):
    def __init__(self, times=2):
        super().__init__()
        self.times = times

    def call(self, x):
        return self.times * x


class Sum(densa.Model):
    def __init__(self):
        super().__init__()
        self.one, self.two = penalized(name="one"), L.Dense(1)

    def call(self, x):
        return self.two(self.one(x))


def squares(y, y_pred):
    return densa.ops.mean((y - y_pred) ** 2, axis=-1)


LOSSES = [squares, Squares(), lambda y, y_pred: squares(y, y_pred)]
LAYERS = [
    lambda: Twice(3),
    lambda: L.Lambda(lambda x: 2 * x),
    lambda: L.Dense(3, lambda x: 2 * x),
    lambda: L.Dense(3, kernel_initializer=lambda shape, dtype=None: np.ones(shape, "float32")),
]


@pytest.mark.parametrize("name", ["unscaled_inputs", "l2_with_adam"])
@pytest.mark.parametrize("loss", LOSSES)
def test_losses_and_metrics_that_are_not_registered(loss, name):
    seen = densa.metrics.MeanMetricWrapper(lambda y, y_pred: squares(y, y_pred), name="seen")
    model = compiled(penalized(), loss=loss, metrics=[squares, seen, "mae"])
    made = finding(model, name).apply(model)
    logs = made.fit(*data(), epochs=1, verbose=0).history
    assert {"loss", "squares", "seen", "mae"} <= set(logs)
    assert not {id(m) for m in made.metrics} & {id(m) for m in model.metrics}


@pytest.mark.parametrize("name", ["unscaled_inputs", "l2_with_adam"])
@pytest.mark.parametrize("make", LAYERS)
def test_layers_and_functions_that_are_not_registered(make, name):
    model = compiled(penalized(), make())
    made = finding(model, name).apply(model)
    layer, old = made.layers[-2], model.layers[-2]
    assert type(layer) is type(old)
    assert layer is not old
    assert getattr(layer, "times", None) == getattr(old, "times", None)
    assert getattr(layer, "activation", None) is getattr(old, "activation", None)
    assert made.fit(*data(), epochs=1, verbose=0).epoch == [0]


def test_a_subclass_is_copied_whole_or_says_what_to_change_by_hand():
    model = Sum()
    model.compile("adam", "mse")
    for name, reason in (("unscaled_inputs", "Standardize"), ("l2_with_adam", "'sum.*by hand")):
        found = finding(model, name)
        with pytest.raises(ValueError, match=rf"'{name}'.*{reason}") as error:
            found.apply(model)
        assert found.change in str(error.value)
    made = densa.doctor.remedies.at_rate(0.25)(model)
    assert isinstance(made, Sum)
    assert made.fit(*data(), epochs=1, verbose=0).epoch == [0]


def test_a_subclass_inside_a_model_keeps_its_layers():
    model = compiled(Sum())
    found = finding(model, "l2_with_adam")
    with pytest.raises(ValueError, match="not inside a subclass"):
        found.apply(model)
    assert finding(model, "unscaled_inputs").apply(model).fit(*data(), verbose=0).epoch == [0]


def test_a_subclass_with_a_step_of_its_own_takes_no_layer_in_front():
    class Own(densa.Model):
        def train_step(self, data):
            return super().train_step(data)

    x = densa.Input((4,))
    model = Own(x, L.Dense(1)(penalized()(x)))
    model.compile("adam", "mse")
    found = finding(model, "unscaled_inputs")
    assert not found.can_apply
    with pytest.raises(ValueError, match=r"cannot be applied.*Standardize"):
        found.apply(model)
    plain = compiled(penalized())
    with pytest.raises(ValueError, match=r"no layer in front.*by hand"):
        finding(plain, "unscaled_inputs").apply(model)
    assert isinstance(finding(model, "l2_with_adam").apply(model), Own)


def test_a_recipe_stays_one_behind_a_layer_that_scales():
    model = densa.models.mlp(4, 1, (8,))
    model.advice["schedule"] = ["mine", "I say so"]
    made = finding(model, "unscaled_inputs").apply(model)
    assert type(made) is densa.models.MLP
    assert made.layers[0].name == "standardize"
    lines = []
    made.explain(lines.append)
    assert "inputs          standardized by the first layer" in lines
    assert "schedule        mine" in lines
    assert model.advice["inputs"][0] == "standardize them"
    made.fit(*data(), epochs=1, verbose=0)
    assert "unscaled_inputs" not in [f.id for f in made.diagnose(*data())]
    other = densa.models.clone_model(made)
    assert other.advice == made.advice


class Twofold(densa.Sequential):
    """A stack of which a copy would lose what it does."""

    def call(self, x, training=None, mask=None):
        return 2 * super().call(x)


def test_a_stack_with_a_call_of_its_own_takes_no_layer_in_front():
    model = Twofold([densa.Input((4,)), L.Dense(1)])
    model.compile("adam", "mse")
    assert not finding(model, "unscaled_inputs").can_apply


@pytest.mark.parametrize("wrapper", [L.WeightNormalization, L.SpectralNormalization, None])
def test_a_variable_that_is_frozen_alone_is_kept(wrapper):
    inside = L.Dense(3)
    first = inside if wrapper is None else wrapper(inside)
    model = compiled(first, penalized())
    chosen = next(v for v in inside.variables if "bias" in v.path)
    chosen.assign(np.full(3, 7.0, "float32"))
    chosen.trainable = False
    model.compile("adam", "mse")
    x, y = data()
    for found in (finding(model, "l2_with_adam"), finding(model, "unscaled_inputs")):
        made = found.apply(model)
        copy = next(
            v for v in made.variables if not v.trainable and v.shape == (3,) and v.can_train
        )
        np.testing.assert_array_equal(copy.numpy(), 7.0)
        made.fit(x, y, epochs=1, verbose=0)
        np.testing.assert_array_equal(copy.numpy(), 7.0)
        others = sum(v.trainable for v in model.variables), sum(v.trainable for v in made.variables)
        assert others[0] == others[1]


def test_partly_frozen_layers_in_a_wrapper_are_kept():
    inner = densa.Sequential([densa.Input((4,)), L.Dense(3, name="low"), L.Dense(2, name="high")])
    inner.layers[0].trainable = False
    net = [L.TimeDistributed(inner), L.Flatten(), penalized(), L.Dense(1)]
    model = densa.Sequential([densa.Input((5, 4)), *net])
    model.compile("adam", "mse")
    x = np.random.default_rng(0).normal(size=(64, 5, 4)).astype("float32")
    made = finding(model, "l2_with_adam", x, x[:, 0, :1]).apply(model)
    old, new = ({v.path[-10:]: v for v in m.layers[0].variables} for m in (model, made))
    assert [v.trainable for v in old.values()] == [v.trainable for v in new.values()]
    pairs = zip(old.values(), new.values(), strict=True)
    same = [np.array_equal(v.numpy(), w.numpy()) for v, w in pairs]
    frozen = [not v.trainable or not np.any(v.numpy()) for v in old.values()]  # biases are zeros
    assert same == frozen


@pytest.mark.parametrize("dictionary", [False, True])
def test_names_of_inputs_and_outputs_stay(dictionary):
    i = densa.Input((4,), name="i")
    h = penalized()(i)
    outputs = [L.Dense(1, "sigmoid", name="a")(h), L.Dense(1, name="b")(h * 2.0)]
    model = densa.Model({"i": i} if dictionary else i, outputs, name="two")
    model.compile("adam", {"a": "binary_crossentropy", "b": "mse"})
    x, y = data()
    targets = {"a": (y > 0).astype("float32"), "b": y}
    found = finding(model, "unscaled_inputs", {"i": x}, targets)
    made = found.apply(model)
    assert (made.input_names, made.output_names) == (["i"], ["a", "b"])
    assert made.name == "two"
    made.fit({"i": x}, targets, epochs=1, verbose=0)
    again = finding(model, "l2_with_adam", {"i": x}, targets).apply(made)
    again.fit({"i": x}, targets, epochs=1, verbose=0)
    assert "unscaled_inputs" not in [f.id for f in made.diagnose({"i": x}, targets)]


def test_the_name_of_a_stack_s_input_stays():
    model = densa.Sequential([densa.Input((4,), name="i"), penalized(), L.Dense(1)], name="stack")
    model.compile("adam", "mse")
    x, y = data()
    made = finding(model, "unscaled_inputs", {"i": x}, y).apply(model)
    assert (made.input_names, made.name) == (["i"], "stack")
    made.fit({"i": x}, y, epochs=1, verbose=0)
