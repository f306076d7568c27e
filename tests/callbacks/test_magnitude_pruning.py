"""Pruning by magnitude while a network trains: which weights go, when, and that they stay away."""

from __future__ import annotations

import numpy as np
import pytest

import densa
from densa import constraints, layers, optimizers
from densa.callbacks import MagnitudePruning

RNG = np.random.default_rng(4)
X = RNG.normal(size=(40, 6))
Y = X @ RNG.normal(size=(6, 5)) + 0.1


def line(units=5, eager=False, **arguments):
    densa.utils.set_random_seed(2)
    dense = layers.Dense(units, name="one", dtype="float64", **arguments)
    model = densa.Sequential([densa.Input((6,), dtype="float64"), dense])
    model.compile(optimizers.SGD(0.1, momentum=0.9), "mse", run_eagerly=eager)
    return model


@pytest.mark.parametrize("eager", [False, True], ids=["plan", "eager"])
@pytest.mark.parametrize("limit", [None, 0.5])
def test_masked_descent_against_numpy(eager, limit):  # A6-20
    model = line(eager=eager, kernel_constraint=limit and constraints.MaxNorm(limit))
    own = model.layers[0].kernel.constraint
    w, b = model.get_weights()
    m, mb, mask = np.zeros_like(w), np.zeros_like(b), np.ones_like(w)
    prune = MagnitudePruning(0.8, 0.2, begin_epoch=1, end_epoch=4)
    model.fit(X, Y, batch_size=40, epochs=6, callbacks=[prune], verbose=0)
    for epoch, share in enumerate([0, 0.2, 0.8 - 0.6 * (2 / 3) ** 3, 0.8 - 0.6 / 27, 0.8, 0.8]):
        mask = np.ones_like(w)
        mask.flat[np.argsort(abs(w), axis=None)[: int(share * w.size + 1e-9)]] = 0
        w = w * mask
        dy = 2 * (X @ w + b - Y) / Y.size
        m, mb = 0.9 * m - 0.1 * X.T @ dy, 0.9 * mb - 0.1 * dy.sum(axis=0)
        w, b = w + m, b + mb
        if limit:
            norms = np.linalg.norm(w, axis=0)
            w = w * np.clip(norms, 0, limit) / (norms + 1e-7)
        if epoch:
            w = w * mask
    np.testing.assert_allclose(model.get_weights()[0], w, rtol=1e-7, atol=0)  # 0.1 in float32
    assert (w == 0).sum() == 24
    assert model.layers[0].kernel.constraint is own
    assert eager == ("off the fast path" in model.explain_plan())


def test_blocks_go_together_and_are_left_out_when_frozen():  # A17-02
    densa.utils.set_random_seed(1)
    x = RNG.normal(size=(64, 20)).astype("f4")
    model = densa.Sequential(
        [densa.Input((20,)), layers.Dense(40, "relu", name="wide"), layers.Dense(1, name="last")]
    )
    model.compile("adam", "mse")
    prune = MagnitudePruning(0.75, end_epoch=0, block=16, layers=["wide"])
    model.fit(x, x[:, :1], epochs=2, callbacks=[prune], verbose=0)
    w = model.layers[0].kernel.numpy()
    gone = np.stack([(w[:, i : i + 16] == 0).all(axis=1) for i in (0, 16, 32)])
    assert gone.sum() == 45  # of 60
    assert (model.layers[1].kernel.numpy() != 0).all()


@pytest.mark.cpu_only("a predictor of the CPU")
def test_a_pruned_network_may_be_frozen_sparsely():
    model = line(units=32)
    model.layers[0].kernel.assign(RNG.normal(size=(6, 32)))
    prune = MagnitudePruning(0.5, end_epoch=0, block=16)
    model.fit(X, np.tile(Y, 7)[:, :32], epochs=1, callbacks=[prune], verbose=0)
    sparse = model.freeze(formats={"one": "sparse"})
    np.testing.assert_allclose(sparse(X), model.predict(X, verbose=0), atol=1e-5)


def test_constraints_come_back_after_an_error():
    class Stop(densa.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            raise KeyError("stop")

    model = line()
    with pytest.raises(KeyError):
        model.fit(X, Y, callbacks=[MagnitudePruning(0.5, end_epoch=0), Stop()], verbose=0)
    assert model.layers[0].kernel.constraint is None


@pytest.mark.parametrize("eager", [False, True], ids=["plan", "eager"])
def test_a_model_is_built_for_it(eager):
    def fit(*front, data=(X, Y), steps=None):
        densa.utils.set_random_seed(3)
        model = densa.Sequential([*front, layers.Dense(4), layers.Dense(5)])
        model.compile("sgd", "mse", run_eagerly=eager)
        prune = MagnitudePruning(0.5)
        model.fit(
            *data, epochs=3, steps_per_epoch=steps, shuffle=False, callbacks=[prune], verbose=0
        )
        return model.get_weights()

    wanted = fit(densa.Input((6,)))
    assert [(w == 0).mean() for w in wanted[::2]] == [0.5, 0.5]
    stream = ((X[i : i + 32], Y[i : i + 32]) for _ in range(3) for i in (0, 32))
    for found in (fit(), fit(data=(stream,), steps=2)):
        assert all((a == b).all() for a, b in zip(found, wanted, strict=True))


def test_layers_of_one_name_in_models_inside_are_all_pruned():
    def inner():
        return densa.Sequential([densa.Input((6,)), layers.Dense(6, name="same")])

    for names in (None, ["same"]):
        model = densa.Sequential([densa.Input((6,)), inner(), inner(), layers.Dense(5)])
        model.compile("sgd", "mse")
        prune = MagnitudePruning(0.5, layers=names)
        model.fit(X, Y, epochs=3, callbacks=[prune], verbose=0)
        zeros = [(w == 0).mean() for w in model.get_weights()[::2]]
        assert zeros == [0.5, 0.5, 0.0 if names else 0.5]


@pytest.mark.parametrize(
    ("arguments", "error", "match"),
    [
        ({"final_sparsity": 1.0}, ValueError, "final_sparsity must be less than 1"),
        ({"final_sparsity": "half"}, TypeError, "final_sparsity must be a number"),
        ({"final_sparsity": 0.1, "initial_sparsity": 0.2}, ValueError, "must not be above"),
        ({"final_sparsity": 0.1, "begin_epoch": 3, "end_epoch": 2}, ValueError, "end_epoch"),
        ({"final_sparsity": 0.1, "block": 0}, ValueError, "block must be at least 1"),
        ({"final_sparsity": 0.1, "layers": "one"}, TypeError, "a list of names"),
        ({"final_sparsity": 0.1, "layers": ["two"]}, ValueError, "'two' is not in the model"),
        ({"final_sparsity": 0.1, "end_epoch": 5}, ValueError, "fit has 2 epochs"),
    ],
)
def test_what_cannot_be_pruned_is_refused(arguments, error, match):
    model = line()
    before = model.get_weights()
    with pytest.raises(error, match=match):
        model.fit(X, Y, epochs=2, callbacks=[MagnitudePruning(**arguments)], verbose=0)
    assert all((a == b).all() for a, b in zip(before, model.get_weights(), strict=True))


def test_an_interrupted_training_goes_on_with_the_same_bits(tmp_path):
    class Stop(densa.callbacks.Callback):
        def __init__(self, step):
            super().__init__()
            self.step = step

        def on_train_batch_end(self, batch, logs=None):
            if int(self.model.optimizer.iterations) == self.step:
                raise KeyboardInterrupt

    def fit(step):
        model = line()
        backup = densa.callbacks.BackupAndRestore(tmp_path / "backup", save_freq=1)
        kept = [backup, MagnitudePruning(0.7, 0.1, end_epoch=2), Stop(step)]
        model.fit(X, Y, batch_size=8, epochs=4, callbacks=kept, verbose=0)
        return model.get_weights()

    whole = fit(0)
    with pytest.raises(KeyboardInterrupt):
        fit(8)
    again = fit(0)
    assert (again[0] == 0).sum() == 21
    for one, other in zip(whole, again, strict=True):
        np.testing.assert_array_equal(one, other)
