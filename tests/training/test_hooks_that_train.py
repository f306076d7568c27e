"""Hooks that train, test or predict with the model that is running, as eager steps allow it."""

import numpy as np
import pytest

import densa
from densa import layers as L

RNG = np.random.default_rng(0)
X = RNG.standard_normal((50, 4))
Y = X.sum(1, keepdims=True)


def made(eager):
    densa.utils.set_random_seed(1)
    model = densa.Sequential([L.Input((4,)), L.Dense(1)])
    model.compile(densa.optimizers.SGD(0.05), "mse", run_eagerly=eager)
    return model


class Hook(densa.callbacks.Callback):
    def __init__(self, name, act):
        super().__init__()
        setattr(self, name, self._run)
        self._act = act
        self.batches = []

    def _run(self, batch, logs=None):
        self.batches.append(batch)
        if batch == 3:
            self._act(self.model)


ACTS = {
    "train_on_batch": lambda m: m.train_on_batch(X[:7], Y[:7]),
    "fit": lambda m: m.fit(X[:9], Y[:9], batch_size=4, verbose=0, shuffle=False),
    "evaluate": lambda m: m.evaluate(X[:9], Y[:9], batch_size=4, verbose=0),
    "test_on_batch": lambda m: m.test_on_batch(X[:5], Y[:5]),
    "predict": lambda m: m.predict(X[:2], verbose=0),
    "predict_on_batch": lambda m: m.predict_on_batch(X[:2]),
}


@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize("hook", ["on_train_batch_begin", "on_train_batch_end"])
def test_in_fit(act, hook):
    runs = []
    for eager in (False, True):
        model, one = made(eager), Hook(hook, ACTS[act])
        try:
            model.fit(X, Y, batch_size=7, shuffle=False, verbose=0, callbacks=[one])
        except ValueError as error:  # fit within fit is refused on both paths, or on neither
            runs.append((str(error)[:40], None, None))
            continue
        runs.append((one.batches, int(model.optimizer.iterations), model.get_weights()))
    assert runs[0][:2] == runs[1][:2]
    if runs[0][2] is not None:
        assert runs[0][0] == list(range(8))
        for a, b in zip(runs[0][2], runs[1][2], strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-5)


@pytest.mark.parametrize("act", ["evaluate", "test_on_batch"])
def test_in_evaluate(act):
    losses = []
    for eager in (False, True):
        model, one = made(eager), Hook("on_test_batch_end", ACTS[act])
        model.evaluate(X, Y, batch_size=7, verbose=0, callbacks=[one])
        losses.append(one.batches)
    assert losses[0] == losses[1] == list(range(8))


@pytest.mark.parametrize("act", ["predict", "predict_on_batch"])
def test_in_predict(act):
    model = made(False)
    want = model.predict(X, batch_size=7, verbose=0)
    one = Hook("on_predict_batch_end", ACTS[act])
    got = model.predict(X, batch_size=7, verbose=0, callbacks=[one])
    assert one.batches == list(range(8))
    np.testing.assert_array_equal(got, want)


def test_random_draws_go_on_over_optimizers_and_paths():
    def losses(eager):
        densa.utils.set_random_seed(5)
        model = densa.Sequential(
            [
                L.Input((16,)),
                L.Dropout(0.5),
                L.Dense(1, use_bias=False, kernel_initializer="ones"),
                L.GaussianNoise(0.5),
            ]
        )
        out = []
        for run_eagerly in eager:
            model.compile(densa.optimizers.SGD(0.0), "mse", run_eagerly=run_eagerly)
            history = model.fit(
                np.ones((4, 16)), np.zeros((4, 1)), epochs=3, batch_size=2, verbose=0
            )
            out += history.history["loss"]
        model.optimizer = densa.optimizers.SGD(0.0)
        out += model.fit(np.ones((4, 16)), np.zeros((4, 1)), verbose=0).history["loss"]
        return out

    native = losses([False, False])
    assert len(set(native)) == len(native)
    np.testing.assert_allclose(native, losses([True, True]), rtol=1e-5)
    np.testing.assert_allclose(native, losses([False, True]), rtol=1e-5)
    np.testing.assert_allclose(native, losses([True, False]), rtol=1e-5)


def two_outputs(loss, metrics):
    i = densa.Input((4,))
    model = densa.Model(i, [L.Dense(1, name="a")(i), L.Dense(1, name="b")(i)])
    model.compile("sgd", loss=loss, metrics=metrics)
    return model


def test_metrics_have_the_targets_of_their_losses():
    for y in (Y, [Y]):
        model = two_outputs([None, "mse"], [None, ["mae"]])
        logs = model.evaluate(X, y, verbose=0, return_dict=True)
        b = model.predict(X, verbose=0)[1]
        np.testing.assert_allclose(logs["b_mae"], np.abs(b - Y).mean(), rtol=1e-5)


def test_a_metric_without_a_target_is_an_error():
    model = two_outputs([None, "mse"], [["mse"], ["mae"]])
    with pytest.raises(ValueError, match="no target for the output 'a', which has the metric"):
        model.evaluate(X, [Y], verbose=0)


def test_lists_and_dicts_of_a_model_are_looked_at():
    class M(densa.Model):
        def __init__(self):
            super().__init__()
            self.blocks = [L.Dense(4)]
            self.numbers = {"k": 2.0}
            self.calls = []

        def call(self, x):
            self.calls.append(1)
            for block in self.blocks:
                x = block(x)
            return x * self.numbers["k"]

    model = M()
    model.compile("sgd", "mse")
    x = X.astype("float32")
    model.predict(x, verbose=0)
    model.evaluate(x, np.zeros((50, 4)), verbose=0)
    for change in (
        lambda: model.numbers.update(k=4.0),
        lambda: model.blocks.append(L.Dense(4)),
        lambda: model.blocks.pop(0),
    ):
        change()
        want = model(x).numpy()
        np.testing.assert_allclose(model.predict(x, verbose=0), want, rtol=1e-5)
        loss = model.evaluate(x, np.zeros((50, 4)), verbose=0)
        np.testing.assert_allclose(loss, np.mean(want.astype("f8") ** 2), rtol=1e-5)
