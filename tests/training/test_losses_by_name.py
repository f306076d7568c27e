"""`compile(loss={...})` that names some of the outputs: what Keras 3.15 does, on every path."""

import numpy as np
import pytest

import densa
from densa import layers

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
