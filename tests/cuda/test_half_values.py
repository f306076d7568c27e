"""16-bit values of plans on a GPU lie in 16 bits, and no number changes by that."""

from __future__ import annotations

import itertools
import re

import numpy as np
import pytest

import densa
from densa import layers as L
from densa.device import _cuda

pytestmark = pytest.mark.usefixtures("gpu")
SCORES = densa.losses.SparseCategoricalCrossentropy(from_logits=True)


def random_network(rng):
    """Widths, activations and what lies between them by chance."""
    stack = [densa.Input((int(rng.integers(1, 40)),))]
    for _ in range(int(rng.integers(1, 4))):
        if rng.random() < 0.3:
            stack.append(L.Dropout(0.3))
        activation = rng.choice(["relu", "tanh", "gelu", "softplus", "leaky_relu", "linear"])
        width, bias = int(rng.integers(1, 70)), bool(rng.random() < 0.8)
        stack.append(L.Dense(width, str(activation), use_bias=bias))
        if rng.random() < 0.4:
            stack += [L.BatchNormalization(), L.Activation("silu")]
        if rng.random() < 0.3:
            stack.append(L.ReLU() if rng.random() < 0.5 else L.PReLU())
    return densa.Sequential([*stack, L.Dense(3, dtype="float32" if rng.random() < 0.7 else None)])


def deep_network(rng):
    """More variables than one launch rounds."""
    stack = [L.Dense(5, "relu") for _ in range(20)]
    return densa.Sequential([densa.Input((4,)), *stack, L.Dense(3, dtype="float32")])


def wide_network(rng):
    """Long sums, which are split, of few rows and of many, and wide layers of odd widths."""
    return densa.Sequential(
        [densa.Input((301,)), L.Dense(259, "gelu"), L.Dense(30, "relu"), L.Dense(3)]
    )


def tiled_network(rng):
    """Layers of whole tiles, and of parts, which every form of products takes."""
    return densa.Sequential(
        [densa.Input((72,)), L.Dense(136, "relu"), L.Dense(77, "tanh"), L.Dense(80), L.Dense(3)]
    )


def trained(seed, make=random_network, size=1.0, rows=None):
    """The numbers of a few steps and predictions, by name, and the two plans. The last batch is a
    short one."""
    densa.utils.set_random_seed(seed)
    rng = np.random.default_rng(seed)
    model = make(rng)
    rows = rows or int(rng.integers(5, 60))
    x = (size * rng.normal(size=(2 * rows + 3, model.input_shape[1]))).astype("float32")
    mse = rng.random() < 0.4
    y = rng.normal(size=(len(x), 3)).astype("f4") if mse else rng.integers(0, 3, len(x))
    model.compile(str(rng.choice(["sgd", "adam", "rmsprop"])), "mse" if mse else SCORES)
    numbers = {"untrained": model.predict(x, batch_size=rows, verbose=0)}
    numbers["loss"] = model.fit(x, y, batch_size=rows, epochs=3, verbose=0).history["loss"]
    for count in (len(x), 2):
        numbers[f"predict {count}"] = model.predict(x[:count], batch_size=rows, verbose=0)
    variables = [*model.variables, *model.optimizer.variables]
    numbers |= {f"variable {i}": v.numpy() for i, v in enumerate(variables)}
    plans = [next(iter(model._runner(kind)._plans.values())).plan for kind in ("train", "predict")]
    return numbers, plans


def assert_same(half, monkeypatch, *args, **kwargs):
    monkeypatch.setenv("DENSA_GPU_WIDE_VALUES", "1")
    wide, plans = trained(*args, **kwargs)
    assert not any(f"{half}(" in plan.program_text for plan in plans)
    monkeypatch.delenv("DENSA_GPU_WIDE_VALUES")
    here, plans = trained(*args, **kwargs)
    assert f"{half}(" in plans[0].program_text
    assert list(wide) == list(here)
    for name, a in wide.items():
        np.testing.assert_array_equal(here[name], a, strict=not isinstance(a, list), err_msg=name)
    return here, plans


@pytest.mark.parametrize("seed", range(12))
def test_no_number_changes(half, seed, monkeypatch):
    assert_same(half, monkeypatch, seed)


@pytest.mark.parametrize("make", [deep_network, wide_network])
def test_no_number_changes_in_networks_of_a_kind(half, make, monkeypatch):
    assert_same(half, monkeypatch, 3, make)


@pytest.mark.parametrize("seed", [1, 2, 4])
def test_what_overflows_does_so_alike(half, seed, monkeypatch):
    numbers, _ = assert_same(half, monkeypatch, seed, size=3e4)
    if half == "float16":
        assert not all(np.isfinite(n).all() for n in numbers.values())


def test_no_number_changes_in_large_tiles(half, monkeypatch):
    assert_same(half, monkeypatch, 3, tiled_network, rows=72)


def layers_of(widths, activation):
    stack = [L.Dense(width, activation) for width in widths[1:-1]]
    head = L.Dense(widths[-1], dtype="float32")
    return densa.Sequential([densa.Input((widths[0],)), *stack, head])


# Networks of the design note: optimizer, rows, ops and thousands of bytes of a training step and a
# prediction, with values of 16 bits, then without.
STEPS = {
    "A": (lambda: layers_of((784, 300, 100, 10), "relu"),
          lambda: densa.optimizers.SGD(0.01, momentum=0.9), 32,
          (10, 6901), (5, 792), (24, 13103), (12, 3902)),
    "D": (lambda: layers_of((1024,) * 5 + (10,), "gelu"), lambda: densa.optimizers.AdamW(1e-3), 256,
          (26, 176772), (7, 14768), (59, 316299), (20, 72473)),
}  # fmt: skip


@pytest.mark.parametrize("name", STEPS)
def test_ops_and_bytes_of_a_step(name, monkeypatch):
    make, optimizer, rows, *want = STEPS[name]
    seen = []
    densa.config.set_dtype_policy("mixed_bfloat16")
    try:
        for wide in ("", "1"):
            monkeypatch.setenv("DENSA_GPU_WIDE_VALUES", wide)
            model = make()
            model.compile(optimizer(), SCORES)
            parts = np.zeros((1, model.input_shape[1]), "f4"), np.zeros(1, "i4"), None
            for kind in ("train", "predict"):
                bound = model._runner(kind)._bound(parts, rows)
                found = re.search(r"(\d+) launches, (\d+) bytes", str(bound.plan))
                ops, moved = int(found[1]), int(found[2])
                seen.append((ops, round(moved / 1000)))
    finally:
        densa.config.set_dtype_policy(None)
    assert seen == want


def test_copies_of_variables_follow_them(half):
    """A plan keeps 16-bit numbers of its variables, which the update writes, too."""
    model = layers_of((7, 33, 3), "tanh")
    model.compile("sgd", "mse")
    x, y = np.ones((8, 7), "f4"), np.zeros((8, 3), "f4")

    def same():
        eager = model(x).numpy()
        np.testing.assert_allclose(model.predict(x, verbose=0), eager, rtol=1e-6)
        return eager

    seen = [same()]
    model.train_on_batch(x, y)
    seen.append(same())
    model.set_weights([w + 0.1 for w in model.get_weights()])  # nothing but the version tells it
    seen.append(same())
    loss = model.train_on_batch(x, y)
    np.testing.assert_allclose(loss, np.mean(seen[-1].astype("f8") ** 2), rtol=1e-5)
    seen.append(same())
    model.fit(x, y, batch_size=3, epochs=2, verbose=0)
    seen.append(same())
    for a, b in itertools.pairwise(seen):
        assert np.abs(a - b).max() > 1e-4


@pytest.mark.parametrize("labels", ["classes", "shares"])
def test_scores_of_many_classes_and_their_gradient_lie_in_16_bits(half, labels, monkeypatch):
    """More than a program of rows takes: the loss, its gradient and the accuracy are ops."""
    rng = np.random.default_rng(5)
    x, y = rng.normal(size=(23, 20)).astype("f4"), rng.integers(0, 300, 23)
    loss = SCORES
    if labels == "shares":
        y = np.eye(300, dtype="f4")[y]
        loss = densa.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1)
    made = []
    for wide in ("1", ""):
        monkeypatch.setenv("DENSA_GPU_WIDE_VALUES", wide)
        densa.utils.set_random_seed(2)
        model = densa.Sequential([densa.Input((20,)), L.Dense(33, "relu"), L.Dense(300)])
        model.compile("sgd", loss, metrics=["accuracy"] if labels == "classes" else [])
        history = model.fit(x, y, batch_size=8, epochs=2, verbose=0).history
        made.append((history, model.get_weights()))
        (bound,) = model._runner("train")._plans.values()
    (history, weights), (same, weights_too) = made
    assert history == same
    for a, b in zip(weights, weights_too, strict=True):
        np.testing.assert_array_equal(a, b)
    text = bound.plan.program_text
    (line,) = [line for line in text.splitlines() if " = loss_pair " in line]
    assert f"{half}(rows, 300)" in line
    assert " = round_float16 " not in text
    assert " = round_bfloat16 " not in text


def test_a_variable_that_a_layer_assigns_is_rounded_in_each_step(half, monkeypatch):
    class Drifts(L.Layer):
        def build(self, input_shape):
            self.w = self.add_weight(shape=(input_shape[-1], 4), name="w")

        def call(self, x):
            y = densa.ops.matmul(x, self.w)
            self.w.assign(self.w.value.astype("float32") * 0.5)
            return y

    def make(rng):
        return densa.Sequential([densa.Input((6,)), Drifts(), L.Dense(3, dtype="float32")])

    assert_same(half, monkeypatch, 5, make)


def test_repeated_predictions_round_no_weights(half):
    count = getattr(_cuda(), "counts", None)
    if count is None:
        pytest.skip("a real GPU does not count")
    model = layers_of((784, 300, 10), "relu")
    x = np.ones((1, 784), "f4")
    for _ in range(3):
        model.predict(x, verbose=0)
    before = count()
    model.predict(x, verbose=0)
    assert count()["launches"] == before["launches"]  # beside the graph
    model.set_weights(model.get_weights())
    before = count()
    model.predict(x, verbose=0)
    assert count()["launches"] == before["launches"] + 1
