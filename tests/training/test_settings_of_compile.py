"""Attributes of losses and metrics that are changed after a step was recorded."""

import numpy as np
import pytest

import densa
from densa import layers, ops

X = np.random.default_rng(3).standard_normal((16, 4)).astype("f4")
Y = np.eye(3, dtype="f4")[np.arange(16) % 3]


class Scaled(densa.losses.Loss):
    """Squares times a number that is kept in some way."""

    def __init__(self, kept):
        super().__init__(name="scaled")
        self.kept = kept
        self.scale, self._scale = 1.0, 1.0
        self.values, self.table = [1.0], {"scale": 1.0}
        self.tensor, self.inner = ops.convert_to_tensor(1.0), densa.losses.Huber(delta=1.0)

    def put(self, value):
        if self.kept == "list":
            self.values[0] = value
        elif self.kept == "dict":
            self.table["scale"] = value
        elif self.kept == "inner":
            self.inner.reduction = "sum"
        else:
            setattr(
                self, self.kept, ops.convert_to_tensor(value) if self.kept == "tensor" else value
            )

    def call(self, y_true, y_pred):
        scale = {"list": self.values[0], "dict": self.table["scale"]}.get(self.kept)
        if scale is None and self.kept != "inner":
            scale = getattr(self, self.kept)
        found = ops.mean((y_true - y_pred) ** 2, axis=-1)
        return found * (self.inner(y_true, y_pred) if scale is None else scale)


KEPT = ["scale", "_scale", "tensor", "list", "dict", "inner"]


class Total(densa.metrics.Metric):
    """Sum of the outputs times a number that is kept in some way."""

    def __init__(self, kept):
        super().__init__(name="total")
        self.total = self.add_variable((), "zeros", name="total")
        self.of = Scaled(kept)
        self.kept = kept

    def update_state(self, y_true, y_pred, sample_weight=None):
        self.total.assign(self.total + self.of(y_true, y_pred))

    def result(self):
        return self.total

    def reset_state(self):
        self.total.assign(0.0)


def model(loss, metrics=None):
    densa.utils.set_random_seed(2)
    made = densa.Sequential([densa.Input((4,)), layers.Dense(3)])
    made.compile(densa.optimizers.SGD(0.0), loss, metrics=metrics)  # the weights stay
    return made


FIRST = {
    "evaluate": lambda m: m.evaluate(X, Y, verbose=0),
    "fit": lambda m: (m.fit(X, Y, verbose=0), m.evaluate(X, Y, verbose=0))[1],
}


@pytest.mark.parametrize("first", FIRST.values(), ids=FIRST)
@pytest.mark.parametrize("kept", KEPT)
def test_a_loss(kept, first):
    loss = Scaled(kept)
    made = model(loss)
    before = first(made)
    loss.put(3.0)
    # Huber's sum over a batch of 16 in place of the mean; sums of 16 float32 numbers.
    factor = 16.0 if kept == "inner" else 3.0
    assert made.evaluate(X, Y, verbose=0) == pytest.approx(factor * before, rel=1e-5)
    assert made.test_on_batch(X, Y) == pytest.approx(factor * before, rel=1e-5)
    assert made.fit(X, Y, verbose=0).history["loss"][0] == pytest.approx(factor * before, rel=1e-5)


@pytest.mark.parametrize("first", FIRST.values(), ids=FIRST)
@pytest.mark.parametrize("kept", KEPT)
def test_a_metric(kept, first):
    metric = Total(kept)
    made = model("mse", [metric])
    before = first(made)
    metric.of.put(3.0)
    factor = 16.0 if kept == "inner" else 3.0
    after = made.evaluate(X, Y, verbose=0)
    np.testing.assert_allclose(after, [before[0], factor * before[1]], rtol=1e-5)
    logs = made.fit(X, Y, verbose=0).history
    np.testing.assert_allclose(logs["total"][0], factor * before[1], rtol=1e-5)


def test_numbers_of_a_built_in_metric():
    metric = densa.metrics.BinaryAccuracy(threshold=0.5)
    made = model("mse", [metric])
    made.evaluate(X, Y, verbose=0)
    metric._fn_kwargs["threshold"] = -100.0
    # All outputs count as ones, of which a third of the targets are.
    assert made.evaluate(X, Y, verbose=0)[1] == pytest.approx(1 / 3, rel=1e-6)


class Noting(densa.losses.Loss):
    """Keeps what its calls leave behind: no setting, although it is in attributes."""

    def __init__(self):
        super().__init__(name="noting")
        self.calls, self.last, self.seen, self.by_name = 0, None, [], {}

    def call(self, y_true, y_pred):
        self.calls += 1
        self.last, self._note = y_pred, (1, self.calls)
        self.seen.append(self.calls)
        self.by_name[str(self.calls)] = y_pred
        return ops.mean((y_true - y_pred) ** 2, axis=-1)


def test_what_a_call_leaves_behind_makes_no_new_recording():
    loss = Noting()
    made = model(loss, [densa.metrics.MeanMetricWrapper(densa.metrics.mean_squared_error)])
    made.fit(X, Y, epochs=3, validation_data=(X, Y), verbose=0)
    made.train_on_batch(X, Y)
    calls = loss.calls
    for _ in range(3):
        made.fit(X, Y, epochs=3, validation_data=(X, Y), verbose=0)
        made.train_on_batch(X, Y), made.test_on_batch(X, Y)
    assert loss.calls == calls
