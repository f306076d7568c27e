"""Programs of rows under mixed policies: they round where separate launches do, and no step takes
more launches than in float32."""

from __future__ import annotations

import re

import numpy as np
import pytest

import densa
from densa import layers as L

pytestmark = pytest.mark.usefixtures("gpu")
SCORES = densa.losses.SparseCategoricalCrossentropy(from_logits=True)


def text_of(model, kind="train"):
    (bound,) = model._runner(kind)._plans.values()
    return bound.plan.program_text


def ops_of(model, kind="train"):
    words = re.findall(r" = (\w+)", text_of(model, kind))
    return [word for word in words if word not in ("input", "variable", "constant", "row_count")]


# ---- the bits of separate launches --------------------------------------------------------------


def exact_model(rng, head):
    """Weights whose gradients are sums without roundings, in any order: few bits each."""
    model = densa.Sequential([densa.Input((5,)), L.Dense(16, "relu"), L.Dense(4, dtype=head)])
    model.set_weights(
        [
            rng.integers(-1, 2, (5, 16)).astype("f4"),
            (rng.integers(-255, 256, 16) / 256).astype("f4"),
            (rng.integers(-127, 128, (16, 4)) / 128).astype("f4"),
            (rng.integers(-127, 128, 4) / 64).astype("f4"),
        ]
    )
    return model


@pytest.mark.parametrize("head", [None, "float32"])
@pytest.mark.parametrize("rows", [1, 2, 8, 64, 2048])  # 2048: large tiles
def test_a_step_has_the_bits_of_separate_launches(half, rows, head):
    rng = np.random.default_rng(rows)
    x = rng.integers(-7, 8, (rows, 5)).astype("f4")
    y = rng.choice([-1.0, 1.0, 2.0], (rows, 4)).astype("f4")
    made = []
    for eagerly in (True, False):
        model = exact_model(np.random.default_rng(3), head)
        before = model.get_weights()
        model.compile(densa.optimizers.SGD(4.0), lambda t, p: p * t, run_eagerly=eagerly,
                      auto_scale_loss=False)  # fmt: skip
        loss = model.train_on_batch(x, y)
        made.append((loss, [a - b for a, b in zip(before, model.get_weights(), strict=True)]))
    ops = ops_of(model)
    assert "row_program" in ops
    assert not {"dense", "matmul", "slope_sum", "unary_slope"} & set(ops)
    (loss, moved), (same, moved_too) = made
    np.testing.assert_allclose(same, loss, rtol=1e-6)
    for a, b in zip(moved, moved_too, strict=True):
        assert rows < 8 or np.abs(a).max() > 0
        np.testing.assert_array_equal(b, a)


def random_model(rng):
    stack = [densa.Input((int(rng.integers(1, 30)),))]
    for i in range(int(rng.integers(1, 4))):
        if rng.random() < 0.3:
            stack.append(L.Dropout(0.3, seed=i))
        activation = rng.choice(["relu", "tanh", "gelu", "silu", "leaky_relu", "linear", "softmax"])
        width, bias = int(rng.integers(1, 70)), bool(rng.random() < 0.8)
        stack.append(L.Dense(width, str(activation), use_bias=bias))
        if rng.random() < 0.3:
            stack.append(L.PReLU())
    head = str(rng.choice(["", "softmax"])) or None
    return densa.Sequential([*stack, L.Dense(3, head, dtype="float32" if head else None)])


@pytest.mark.parametrize("seed", range(16))
def test_a_random_network_rounds_where_eager_ops_do(half, seed):
    """A number that is rounded once more, or not at all, shows in the third or fourth digit."""
    made = []
    for eagerly in (True, False):
        densa.utils.set_random_seed(seed)
        rng = np.random.default_rng(seed)
        model = random_model(rng)
        before = model.get_weights()
        rows, mse = int(rng.integers(2, 50)), rng.random() < 0.5
        x = rng.normal(size=(rows, model.input_shape[1])).astype("f4")
        y = rng.normal(size=(rows, 3)).astype("f4") if mse else rng.integers(0, 3, rows)
        model.compile(densa.optimizers.SGD(1.0), "mse" if mse else SCORES, run_eagerly=eagerly,
                      auto_scale_loss=False)  # fmt: skip
        loss = model.train_on_batch(x, y)
        moved = [a - b for a, b in zip(before, model.get_weights(), strict=True)]
        made.append((loss, np.concatenate([m.ravel() for m in moved])))
    assert "row_program" in ops_of(model)
    (loss, moved), (loss_here, moved_here) = made
    np.testing.assert_allclose(loss_here, loss, rtol=2e-5)
    # Sums have other orders, so here and there a number is rounded to its other neighbour.
    assert np.linalg.norm(moved_here - moved) < 3e-4 * np.linalg.norm(moved)


# ---- launches -----------------------------------------------------------------------------------


def dense(widths, activation):
    stack = [L.Dense(width, activation) for width in widths[1:-1]]
    return [densa.Input((widths[0],)), *stack, L.Dense(widths[-1], dtype="float32")]


def with_more(rng_seed=1):
    return [densa.Input((12,)), L.Dense(40, "gelu"), L.Dropout(0.2, seed=rng_seed),
            L.Dense(33), L.PReLU(), L.Dense(20, "silu"), L.Dense(3, dtype="float32")]  # fmt: skip


def with_norms():
    stack = [densa.Input((90,))]
    for _ in range(4):
        stack += [L.Dense(30, use_bias=False), L.BatchNormalization(), L.Activation("silu")]
    return [*stack, L.Dense(3, dtype="float32")]


# Layers, and ops of a step in float32.
NETWORKS = {
    "A": (lambda: dense((784, 300, 100, 10), "relu"), 10),
    "C": (lambda: dense((17, 64, 64, 6), "tanh"), 4),
    "narrow": (lambda: dense((200, 128, 128, 10), "relu"), 4),
    "deep": (lambda: dense((8, *[16] * 6, 3), "relu"), 4),
    "more": (with_more, 10),
    "norms": (with_norms, 29),
}


def launches(name, policy, kind="train", whole=False):
    densa.config.set_dtype_policy(policy)
    try:
        stack = NETWORKS[name][0]()
        if whole:
            stack[-1] = L.Dense(stack[-1].units)
        model = densa.Sequential(stack)
        model.compile(densa.optimizers.SGD(0.01, momentum=0.9), SCORES)
    finally:
        densa.config.set_dtype_policy(None)
    parts = np.zeros((1, model.input_shape[1]), "f4"), np.zeros(1, "i4"), None
    bound = model._runner(kind)._bound(parts, 32)
    return int(re.search(r"(\d+) launches", str(bound.plan))[1])


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("name", NETWORKS)
def test_a_step_takes_no_more_launches_than_in_float32(name, whole):
    assert launches(name, "float32", whole=whole) == NETWORKS[name][1]
    for policy in ("mixed_bfloat16", "mixed_float16"):
        assert launches(name, policy, whole=whole) <= NETWORKS[name][1]
