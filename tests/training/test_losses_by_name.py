"""`compile(loss={...})` that names some of the outputs: what Keras 3.15 does, on every path."""

import functools

import numpy as np
import pytest

import densa
from densa import layers, ops

RNG = np.random.default_rng(11)
X = RNG.standard_normal((8, 3)).astype("f4")
A, B = RNG.standard_normal((2, 8, 2)).astype("f4")

CALLS = {
    "fit": lambda m, y: m.fit(X, y, verbose=0).history["loss"][0],
    "evaluate": lambda m, y: m.evaluate(X, y, verbose=0),
    "train_on_batch": lambda m, y: m.train_on_batch(X, y),
}


@pytest.fixture(params=CALLS.values(), ids=CALLS)
def call(request):
    return request.param


@pytest.fixture(params=[False, True], ids=["plan", "eager"])
def eagerly(request):
    return request.param


def model(named, eagerly, loss):
    x = densa.Input((3,))
    a, b = layers.Dense(2, name="a")(x), layers.Dense(2, name="b")(x)
    made = densa.Model(x, {"a": a, "b": b} if named else [a, b])
    made.compile("sgd", loss, run_eagerly=eagerly)
    return made


def mse_of_a(made):
    layer = made.get_layer("a")
    w, b = (v.numpy().astype("f8") for v in (layer.kernel, layer.bias))
    return np.mean((X.astype("f8") @ w + b - A) ** 2)


# Eager steps say that b has no gradient.
@pytest.mark.filterwarnings("ignore:Gradients do not exist:UserWarning")
@pytest.mark.parametrize(
    ("named", "loss"),
    [
        (True, {"a": "mse"}),
        (True, {"a": "mse", "b": None}),
        (False, {"a": "mse", "b": None}),
        (True, ["mse", None]),
        (False, ["mse", None]),
    ],
    ids=["dict, one name", "dict, None", "list, None by name", "dict, by place", "list, by place"],
)
def test_an_output_without_a_loss_is_not_trained(named, loss, call, eagerly):
    made = model(named, eagerly, loss)
    due, before = mse_of_a(made), made.get_layer("b").get_weights()
    # One step: the loss is that of the first weights; float32 against float64.
    assert call(made, {"a": A, "b": B}) == pytest.approx(due, rel=1e-5)
    for was, now in zip(before, made.get_layer("b").get_weights(), strict=True):
        np.testing.assert_array_equal(was, now)


@pytest.mark.parametrize("loss", [{"a": "mse"}, {"b": "mse"}, {}])
def test_outputs_in_a_list_need_every_name(loss, call, eagerly):
    made = model(False, eagerly, loss)
    before = made.get_weights()
    missing = "b" if "a" in loss else "a"
    with pytest.raises(
        ValueError, match=rf"outputs are \['a', 'b'\]; '{missing}' is missing.*None"
    ):
        call(made, [A, B])
    for was, now in zip(before, made.get_weights(), strict=True):
        np.testing.assert_array_equal(was, now)


@pytest.mark.parametrize("named", [False, True])
@pytest.mark.parametrize("loss", [{"a": "mse", "bb": "mse"}, {"bb": "mse"}])
def test_a_name_that_no_output_has(named, loss, call, eagerly):
    made = model(named, eagerly, loss)
    with pytest.raises(ValueError, match=r"`loss` has the key 'bb', which is not.*\['a', 'b'\]"):
        call(made, {"a": A, "b": B})


class Gap:
    def __call__(self, y_true, y_pred):
        return ops.abs(y_true - y_pred)


def RMSE(y_true, y_pred):
    return ops.sqrt(ops.mean((y_true - y_pred) ** 2, axis=-1))


def myMetric_X(y_true, y_pred):
    return ops.abs(y_true - y_pred)


@pytest.mark.parametrize(
    ("metric", "name"),
    [
        (RMSE, "rmse"),
        (myMetric_X, "my_metric_x"),
        (lambda a, b: ops.abs(a - b), "lambda"),
        (functools.partial(RMSE), "partial"),
        (Gap(), "gap"),
        (densa.losses.MeanAbsoluteError(), "mean_absolute_error"),
        (densa.losses.MeanAbsoluteError(name="far"), "far"),
        ("mae", "mae"),
    ],
)
def test_names_of_metrics_are_those_of_keras(metric, name):
    one = densa.Sequential([densa.Input((3,)), layers.Dense(2)])
    one.compile("sgd", "mse", metrics=[metric])
    history = one.fit(X, A, validation_data=(X, A), verbose=0).history
    assert set(history) == {"loss", name, "val_loss", f"val_{name}"}


def test_a_loss_may_ask_for_the_number_of_elements(eagerly):
    def mean_by_hand(y_true, y_pred):
        return ops.sum((y_true - y_pred) ** 2) / ops.cast(ops.size(y_true), "float32")

    one = densa.Sequential([densa.Input((3,)), layers.Dense(2)])
    one.compile("sgd", mean_by_hand, run_eagerly=eagerly)
    other = densa.models.clone_model(one)
    other.set_weights(one.get_weights())
    other.compile("sgd", "mse", run_eagerly=eagerly)
    for model in (one, other):
        model.fit(X, A, batch_size=3, shuffle=False, verbose=0)  # 3, 3 and 2 rows
    for a, b in zip(one.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_none_is_no_size():
    with pytest.raises(TypeError, match=r"ops.shape\(x\)\[0\]"):
        ops.arange(None)
    for make in (ops.ones, ops.zeros):
        with pytest.raises(TypeError, match=r"size of None.*ops.shape"):
            make((None, 2))
