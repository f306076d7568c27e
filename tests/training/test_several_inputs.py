"""Inputs that do not fit a model of several inputs: a ValueError that names the input."""

import numpy as np
import pytest

import densa
from densa import layers

A, B, Y = np.ones((8, 3), "f4"), np.ones((8, 2), "f4"), np.ones((8, 1), "f4")

CALLS = {
    "fit": lambda m, x: m.fit(x, Y, verbose=0),
    "evaluate": lambda m, x: m.evaluate(x, Y, verbose=0),
    "predict": lambda m, x: m.predict(x, verbose=0),
    "train_on_batch": lambda m, x: m.train_on_batch(x, Y),
    "predict_on_batch": lambda m, x: m.predict_on_batch(x),
}


@pytest.fixture(params=[False, True], ids=["list", "dict"])
def model(request):
    a, b = densa.Input((3,), name="a"), densa.Input((2,), name="b")
    y = layers.Dense(1)(layers.Concatenate()([a, b]))
    made = densa.Model({"a": a, "b": b} if request.param else [a, b], y)
    made.compile("sgd", "mse")
    return made


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
@pytest.mark.parametrize(
    ("x", "message"),
    [
        ({"a": A}, r"Missing data for input 'b'.*\['a'\]"),
        ({"a": A, "bb": B}, r"Missing data for input 'b'.*\['a', 'bb'\]"),
        ({0: A, 1: B}, r"Missing data for input 'a'"),
        ([A], r"expects 2 input\(s\) \['a', 'b'\], but received 1 array"),
        (A, r"expects 2 input\(s\) \['a', 'b'\], but received 1 array"),
        ((A, B, B), r"expects 2 input\(s\) \['a', 'b'\], but received 3 array"),
        ([B, A], r"Input 'a' .* expected shape \(None, 3\), found shape \(8, 2\)"),
        ([A, None], r"Missing data for input 'b' .*received None.*\(None, 2\)"),
        ({"a": None, "b": B}, r"Missing data for input 'a' .*received None.*\(None, 3\)"),
        ([A, B[:5]], r"'x' sizes: 8, 5 \(x \(input 'a'\): 8; x \(input 'b'\): 5\)"),
        ((A[:5], B), r"'x' sizes: 5, 8 \(x \(input 'a'\): 5; x \(input 'b'\): 8\)"),
        ({"b": B[:5], "a": A}, r"'x' sizes: 8, 5 \(x\['a'\]: 8; x\['b'\]: 5\)"),
    ],
)
def test_inputs_that_do_not_fit(model, call, x, message):
    before = model.get_weights()
    with pytest.raises(ValueError, match=message):
        call(model, x)
    for was, now in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(was, now)


@pytest.mark.parametrize("x", [[], {}, ()])
def test_no_inputs_at_all(model, x):
    for call in (CALLS["fit"], CALLS["evaluate"]):
        with pytest.raises(ValueError, match=r"`x` is an empty \w+; pass arrays.*\['a', 'b'\]"):
            call(model, x)
    # Without targets a list may have been meant as one of batches.
    with pytest.raises(ValueError, match="`x` is an empty dict|gave no batches"):
        model.predict(x, verbose=0)


def test_batches_of_different_lengths(model):
    with pytest.raises(ValueError, match=r"x \(input 'b'\): 5"):
        model.fit(iter([([A, B[:5]], Y)]), verbose=0)
