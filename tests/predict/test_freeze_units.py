"""Dense layers merge where that is cheaper; units of known value or without weight go."""

from __future__ import annotations

import numpy as np
import pytest

from densa._core import apply
from predict.freezing import (
    RELU,
    SIGMOID,
    TANH,
    Chain,
    Dense,
    Norm,
    Unary,
    check,
    freeze,
    kernels_of,
    norm_of,
    numbers,
    ops_of,
    record,
)

pytestmark = pytest.mark.cpu_only("freezing is a pass over programs")


@pytest.fixture
def rng():
    return np.random.default_rng(5)


# ---- merging --------------------------------------------------------------------------------


@pytest.mark.parametrize(("middle", "merged"), [(2, False), (3, True), (30, True)])
def test_merging_where_it_is_cheaper(rng, middle, merged):
    # in * out = 6 * 6 against 12 * middle
    chain = Chain([Dense(rng, "a", 6, middle), Dense(rng, "b", middle, 6)])
    frozen, report = check(chain, chain.numpy, numbers(rng, 5, 6))
    assert ops_of(frozen).count("dense") == (1 if merged else 2)
    assert len(report["merged"]) == int(merged)
    if merged:
        assert kernels_of(frozen) == ["a/kernel*b/kernel (6, 6)"]
        assert report["merged"] == [
            f"a/kernel and b/kernel: 6 x 6 for 6 x {middle} and {middle} x 6"
        ]


def test_merging_many(rng):
    chain = Chain(
        [
            Dense(rng, "a", 3, 40, bias=False),
            norm_of(rng, "n", 40),
            Dense(rng, "b", 40, 50),
            Dense(rng, "c", 50, 2, bias=False),
        ]
    )
    check(chain, chain.numpy, numbers(rng, 5, 3), ops=["feed", "dense"])
    frozen, report = check(chain, chain.numpy, numbers(rng, 5, 3), merge=False)
    assert ops_of(frozen).count("dense") == 3
    assert report["merged"] == []


def test_no_merging_across_another_reader(rng):
    a, b = Dense(rng, "a", 3, 4), Dense(rng, "b", 4, 4)
    check(
        lambda x: a(x) + b(a(x)),
        lambda x: a.numpy(x) + b.numpy(a.numpy(x)),
        numbers(rng, 5, 3),
        ops=["feed", "dense", "dense", "add"],
    )


# ---- removing units -------------------------------------------------------------------------


def test_units_without_weights(rng):
    a, b = Dense(rng, "a", 3, 6), Dense(rng, "b", 6, 2)
    w = a.w.numpy().copy()
    w[:, [1, 4]] = 0
    a.w.assign(w)
    v = b.w.numpy().copy()
    v[2] = 0
    b.w.assign(v)
    chain = Chain([a, Unary(SIGMOID), b])
    frozen, report = check(chain, chain.numpy, numbers(rng, 5, 3))
    assert kernels_of(frozen) == ["a/kernel (3, 3)", "b/kernel (3, 2)"]
    assert report["removed"] == ["a/kernel: 3 of 6 units (2 of known value, 1 without weight)"]
    frozen, report = check(chain, chain.numpy, numbers(rng, 5, 3), prune=False)
    assert kernels_of(frozen) == ["a/kernel (3, 6)", "b/kernel (6, 2)"]
    assert not report["removed"]


def test_dead_relu_by_bounds(rng):
    """Behind a sigmoid numbers lie in [0, 1], so a unit of weights <= 0.5 and bias -3 is dead."""
    a, b, c = Dense(rng, "a", 3, 5), Dense(rng, "b", 5, 4), Dense(rng, "c", 4, 2)
    w, bias = b.w.numpy().copy(), b.b.numpy().copy()
    w[:, 1], bias[1] = 0.5, -3.0
    w[:, 2], bias[2] = 0.5, -2.0  # may live: 5 * 0.5 - 2 > 0
    b.w.assign(w), b.b.assign(bias)
    chain = Chain([a, Unary(SIGMOID), b, Unary(RELU), c])
    frozen, report = check(chain, chain.numpy, numbers(rng, 5, 3))
    assert "b/kernel (5, 3)" in kernels_of(frozen)
    assert report["removed"] == ["b/kernel: 1 of 4 units (1 of known value, 0 without weight)"]


def test_bytes_have_bounds(rng):
    a, b = Dense(rng, "a", 3, 2), Dense(rng, "b", 2, 2)
    a.w.assign(np.array([[1, -0.1], [-1, -0.1], [1, 0]], "float32"))
    a.b.assign(np.array([0, -0.5], "float32"))
    x = rng.integers(0, 256, (5, 3)).astype("uint8")
    chain = Chain([a, Unary(RELU), b])
    frozen, _ = check(lambda x: chain(apply("cast", x, dtype="float32")), chain.numpy, x)
    assert kernels_of(frozen) == ["a/kernel (3, 1)", "b/kernel (1, 2)"]
    floats = record(chain, ((3,), "float32"))
    assert len(kernels_of(freeze(floats)[0])) == 2  # any float may come: nothing is dead
    assert freeze(floats)[1]["removed"] == []


def test_removal_goes_on_backwards(rng):
    """A unit that only units without weight read has none itself."""
    a, b, c = Dense(rng, "a", 3, 4), Dense(rng, "b", 4, 4), Dense(rng, "c", 4, 2)
    v = c.w.numpy().copy()
    v[0] = 0
    c.w.assign(v)
    w = b.w.numpy().copy()
    w[3, 1:] = 0
    b.w.assign(w)
    chain = Chain([a, Unary(TANH), b, Unary(TANH), c])
    frozen, _ = check(chain, chain.numpy, numbers(rng, 5, 3))
    assert kernels_of(frozen) == ["a/kernel (3, 3)", "b/kernel (3, 3)", "c/kernel (3, 2)"]


def test_zero_factors_make_constant_units(rng):
    before = Norm("n", [1, 0, 1], [0.3, -0.7, 0.1], np.zeros(3), np.ones(3))
    behind = Norm("m", [0, 1, 1], [0.5, 0.1, 0.2], np.zeros(3), np.ones(3))
    chain = Chain([Dense(rng, "a", 3, 3), before, Unary(TANH), behind, Dense(rng, "b", 3, 2)])
    frozen, _ = check(chain, chain.numpy, numbers(rng, 5, 3))
    assert kernels_of(frozen) == ["a/kernel (3, 1)", "b/kernel (1, 2)"]


def test_one_unit_stays(rng):
    a, b = Dense(rng, "a", 3, 4), Dense(rng, "b", 4, 2)
    a.w.assign(np.zeros((3, 4), "float32"))
    chain = Chain([a, Unary(RELU), b])
    frozen, _ = check(chain, chain.numpy, numbers(rng, 5, 3))
    assert kernels_of(frozen) == ["a/kernel (3, 1)", "b/kernel (1, 2)"]


def test_columns_of_outputs_stay(rng):
    a, b = Dense(rng, "a", 3, 4), Dense(rng, "b", 4, 2)
    w = a.w.numpy().copy()
    w[:, 1] = 0
    a.w.assign(w)

    def model(x):
        h = apply("tanh", a(x))
        return [h, b(h)]

    _, report = check(
        model, lambda x: [np.tanh(a.numpy(x)), b.numpy(np.tanh(a.numpy(x)))], numbers(rng, 5, 3)
    )
    assert report["removed"] == []


def test_removal_through_concatenate_and_several_readers(rng):
    a, b = Dense(rng, "a", 3, 4), Dense(rng, "b", 3, 3)
    c, d = Dense(rng, "c", 10, 2), Dense(rng, "d", 4, 2)
    w = a.w.numpy().copy()
    w[:, 1] = 0
    a.w.assign(w)

    def model(x):
        h = apply("tanh", a(x))
        return c(apply("concatenate", x, h, apply("relu", b(x)), axis=-1)) + d(h)

    def reference(x):
        h = np.tanh(a.numpy(x))
        return c.numpy(np.concatenate([x, h, np.maximum(b.numpy(x), 0)], -1)) + d.numpy(h)

    frozen, _ = check(model, reference, numbers(rng, 5, 3))
    assert kernels_of(frozen) == [
        "a/kernel (3, 3)",
        "b/kernel (3, 3)",
        "c/kernel (9, 2)",
        "d/kernel (3, 2)",
    ]
