"""The search for a learning rate, and that nothing of it is left behind."""

from __future__ import annotations

import numpy as np
import pytest

import densa
from densa import layers
from densa.callbacks import LRFinder


@pytest.fixture(params=[False, True], ids=["plan", "eager"])
def eager(request):
    return request.param


def new_model(eager, optimizer=None):
    densa.utils.set_random_seed(4)
    model = densa.Sequential(
        [
            densa.Input((3,)),
            layers.Dense(8, "relu"),
            layers.BatchNormalization(),
            layers.Dropout(0.2),
            layers.Dense(1),
        ]
    )
    model.compile(optimizer or densa.optimizers.SGD(0.02, momentum=0.9), "mse", run_eagerly=eager)
    return model


def data():
    x = np.random.default_rng(1).standard_normal((96, 3)).astype("f4")
    return x, (x @ np.array([[1.0], [2.0], [-1.0]])).astype("f4")


@pytest.mark.parametrize("optimizer", ["sgd", "ema"])
def test_everything_is_as_before(eager, optimizer):
    made = None
    if optimizer == "ema":
        made = densa.optimizers.Adam(0.02, use_ema=True)
    x, y = data()
    model, other = new_model(eager, made), None
    model.fit(x, y, 8, 1, 0)
    before = [v.numpy() for v in [*model.weights, *model.optimizer.variables]]
    rate = float(model.optimizer.learning_rate)
    finder = LRFinder(1e-4, 10.0, 20)
    model.fit(x, y, 8, 3, 0, callbacks=[finder])
    after = [v.numpy() for v in [*model.weights, *model.optimizer.variables]]
    for a, b in zip(before, after, strict=True):
        np.testing.assert_array_equal(a, b)
    assert float(model.optimizer.learning_rate) == rate
    assert len(finder.rates) <= 20
    # The next training is that of a model which was never searched with: masks, order and all.
    if optimizer == "ema":
        made = densa.optimizers.Adam(0.02, use_ema=True)
    other = new_model(eager, made)
    other.fit(x, y, 8, 1, 0)
    drawn = densa.random.uniform((2,)).numpy()
    other.fit(x, y, 8, 2, 0)
    densa.utils.set_random_seed(4)
    model = new_model(eager, None if made is None else densa.optimizers.Adam(0.02, use_ema=True))
    model.fit(x, y, 8, 1, 0)
    model.fit(x, y, 8, 3, 0, callbacks=[LRFinder(1e-4, 10.0, 20)])
    np.testing.assert_array_equal(densa.random.uniform((2,)).numpy(), drawn)
    model.fit(x, y, 8, 2, 0)
    for a, b in zip(model.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_rates_grow_by_a_factor_and_the_search_ends_where_the_loss_explodes(eager):
    x, y = data()
    densa.utils.set_random_seed(1)
    model = densa.Sequential([densa.Input((3,)), layers.Dense(1)])
    model.compile(densa.optimizers.SGD(0.01), "mse", run_eagerly=eager)
    finder = LRFinder(1e-3, 100.0, 100)
    model.fit(x, y, 8, 20, 0, callbacks=[finder])
    factors = np.divide(finder.rates[1:], finder.rates[:-1])
    np.testing.assert_allclose(factors, 1e5 ** (1 / 99), rtol=1e-9)
    assert finder.rates[0] == pytest.approx(1e-3)
    assert 10 < len(finder.rates) < 100
    assert finder.losses[-1] > 4 * min(finder.losses[10:]) or not np.isfinite(finder.losses[-1])
    # A quadratic with these inputs, whose second moments are near 1, diverges above a rate of 1.
    assert 0.002 < finder.suggestion < 0.3
    assert finder.suggestion == pytest.approx(
        0.1 * finder.rates[10 + int(np.nanargmin(finder.losses[10:]))]
    )


def test_losses_are_the_running_mean_of_the_batches(eager):
    x, y = data()
    densa.utils.set_random_seed(1)
    model = densa.Sequential([densa.Input((3,)), layers.Dense(1)])
    model.compile(densa.optimizers.SGD(0.01), "mse", run_eagerly=eager)
    w, b = (a.astype("f8") for a in model.get_weights())
    finder = LRFinder(1e-3, 1e-2, 24, smoothing=0.75)
    model.fit(x, y, 8, 2, 0, callbacks=[finder], shuffle=False)
    mean, expected = 0.0, []
    for i in range(24):
        part, target = x[i % 12 * 8 :][:8].astype("f8"), y[i % 12 * 8 :][:8].astype("f8")
        error = part @ w + b - target
        mean = 0.75 * mean + 0.25 * np.mean(error**2)
        expected.append(mean / (1 - 0.75 ** (i + 1)))
        rate = 1e-3 * 10 ** (i / 23)
        w = w - rate * 2 / 8 * part.T @ error
        b = b - rate * 2 * error.mean(0)
    np.testing.assert_allclose(finder.losses, expected, rtol=1e-4)


def test_an_error_in_the_middle_puts_everything_back_too(eager):
    class Breaks(densa.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if batch == 3:
                raise RuntimeError("broken")

    x, y = data()
    model = new_model(eager)
    before = [v.numpy() for v in model.weights]
    with pytest.raises(RuntimeError, match="broken"):
        model.fit(x, y, 8, 1, 0, callbacks=[LRFinder(0.1, 1.0, 20), Breaks()])
    for a, b in zip(before, model.weights, strict=True):
        np.testing.assert_array_equal(a, b.numpy())
    assert float(model.optimizer.learning_rate) == 0.02
    assert model.fit(x, y, 8, 1, 0).epoch == [0]


def test_the_curve_is_drawn_with_its_suggestion(tmp_path):
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    x, y = data()
    model, finder = new_model(False), LRFinder(1e-4, 10.0, 30)
    with pytest.raises(ValueError, match="call fit"):
        finder.plot()
    model.fit(x, y, 8, 3, 0, callbacks=[finder])
    axes = finder.plot()
    np.testing.assert_array_equal(axes.lines[0].get_xdata(), finder.rates)
    np.testing.assert_array_equal(axes.lines[0].get_ydata(), finder.losses)
    assert axes.get_xscale() == "log"
    assert list(axes.lines[1].get_xdata()) == [finder.suggestion] * 2
    axes.figure.savefig(tmp_path / "curve.png")
    assert (tmp_path / "curve.png").stat().st_size > 1000


def test_the_explosion_at_the_end_does_not_set_the_scale():
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    finder = LRFinder(1e-4, 10.0, 30)
    for losses in ([2.0, 1.5, 1.0, 3.0, 1e9], [2.0, 1.0, float("inf")], [float("nan"), 2.0, 1.0]):
        finder.losses, finder.rates = losses, list(np.geomspace(1e-4, 10, len(losses)))
        bottom, top = finder.plot().get_ylim()
        assert bottom < 1.0
        assert 2.0 < top < 3.0
    finder.losses, finder.rates = [1e-3, 2e-3, 5.0], [0.1, 1.0, 10.0]  # it only grows
    assert 2e-3 < finder.plot().get_ylim()[1] < 0.01


@pytest.mark.parametrize("order", [1, -1], ids=["before", "behind"])
def test_callbacks_that_change_weights_at_the_end_are_undone(order):
    class Begins(densa.callbacks.Callback):
        def on_train_begin(self, logs=None):
            self.model.set_weights([w + 1 for w in self.model.get_weights()])

    x, y = data()
    model, finder = new_model(False), LRFinder(1e-4, 10.0, 20)
    before = [v.numpy() for v in model.weights]
    stop = densa.callbacks.EarlyStopping("loss", patience=5, restore_best_weights=True)
    others = [Begins(), stop, densa.callbacks.SWA(0)]
    model.fit(x, y, 8, 3, 0, callbacks=[finder, *others][::order])
    for a, b in zip(before, model.weights, strict=True):
        np.testing.assert_array_equal(a, b.numpy())


def test_a_fit_too_short_for_the_rates_warns():
    x, y = data()
    finder = LRFinder(1e-4, 1e-2, 40)
    with pytest.warns(UserWarning, match="12 of num_steps=40 .* of max_lr=0.01;.*epochs=4"):
        new_model(False).fit(x, y, 8, 1, 0, callbacks=[finder])
    with pytest.warns(UserWarning, match="8 of num_steps=40"):
        new_model(False).fit(((x[:8], y[:8]) for _ in range(8)), verbose=0, callbacks=[finder])


def test_golden_rate_pick():  # G27
    # Losses of three rates: the suggestion is that of the smallest one, `below` aside.
    finder = LRFinder(1e-3, 1e-1, 3, below=1.0)
    finder.rates, finder.losses = [0.001, 0.01, 0.1], [2.3, 0.7, 1.3]
    assert finder.suggestion == 0.01


@pytest.mark.parametrize("rule", ["decay", "cycle", "function"])
def test_a_schedule_rests_while_it_searches(eager, rule):
    schedules = densa.optimizers.schedules
    made = {
        "decay": lambda: schedules.PowerDecay(0.1, 10),
        "cycle": lambda: schedules.OneCycle(0.1, 40),  # it moves the momentum, too
        "function": lambda: lambda: 0.05,
    }[rule]
    x, y = data()

    def trained(*callbacks):
        model = new_model(eager, densa.optimizers.SGD(made(), momentum=0.9))
        model.fit(x, y, 8, 1, 0)
        for callback in callbacks:
            model.fit(x, y, 8, 2, 0, callbacks=[callback])
        found = [model.optimizer.learning_rate, len(model.optimizer.variables)]
        model.fit(x, y, 8, 1, 0)
        return [*found, *model.get_weights()]

    finder = LRFinder(1e-4, 1e-2, 20, diverged=1e9)
    for a, b in zip(trained(finder), trained(), strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_allclose(finder.rates, np.geomspace(1e-4, 1e-2, 20), rtol=1e-6)


def test_what_it_cannot_search_with_is_refused():
    x, y = data()
    unbuilt = densa.Sequential([layers.Dense(1)])
    unbuilt.compile("sgd", "mse")
    with pytest.raises(ValueError, match="build the model first"):
        unbuilt.fit(x, y, callbacks=[LRFinder()], verbose=0)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"min_lr": 0.0}, ValueError),
        ({"min_lr": 1.0, "max_lr": 0.1}, ValueError),
        ({"max_lr": "1"}, TypeError),
        ({"num_steps": 1}, ValueError),
        ({"num_steps": 2.5}, TypeError),
        ({"smoothing": 1.0}, ValueError),
        ({"diverged": 1.0}, ValueError),
        ({"below": -1.0}, ValueError),
    ],
)
def test_bad_arguments_are_refused(arguments, error):
    with pytest.raises(error, match="LRFinder: "):
        LRFinder(**arguments)


def test_a_loss_that_never_falls_warns():
    x, y = data()
    model = densa.Sequential([densa.Input((3,)), layers.Dense(1, kernel_initializer="zeros")])
    model.compile("sgd", "mse")
    finder = LRFinder(1e-4, 1.0, 24)
    with pytest.warns(UserWarning, match="did not fall from there"):
        model.fit(x, np.zeros_like(y), 8, 2, 0, callbacks=[finder])
    assert finder.suggestion < finder.min_lr


def test_a_doctor_does_not_judge_a_search(capsys):
    x, y = data()
    model = new_model(False)
    both = [densa.callbacks.Doctor(2), LRFinder(1e-6, 10.0, 60)]
    for order in (1, -1):
        history = model.fit(x, y, 8, 6, 0, callbacks=both[::order])
        assert history.findings == []
        assert len(history.health["step"]) > 10
        assert "no training to judge" in capsys.readouterr().out
    model.fit(x, y, 8, 2, 0, callbacks=[densa.callbacks.Doctor(2)])
    assert "no training to judge" not in capsys.readouterr().out
