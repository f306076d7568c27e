"""What batch hooks are told, native steps against eager ones."""

import copy
import pickle

import numpy as np
import pytest

import densa
from densa.callbacks.logs import LazyLogs

X = np.arange(32, dtype="f4").reshape(8, 4) / 32
Y = np.arange(8, dtype="f4")[:, None]


def model_of(eager, **compiled):
    model = densa.Sequential([densa.Input((4,)), densa.layers.Dense(1, kernel_initializer="zeros")])
    model.compile(densa.optimizers.SGD(0.0), "mse", metrics=["mae"], run_eagerly=eager, **compiled)
    return model


class Evaluate(densa.callbacks.Callback):
    """Calls evaluate behind one batch: it resets the metrics that fit counts with."""

    def __init__(self, batch):
        super().__init__()
        self.batch = batch

    def on_train_batch_end(self, batch, logs=None):
        if batch == self.batch:
            self.model.evaluate(X[:2], Y[:2], verbose=0)


class Reader(densa.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.seen = []

    def on_train_batch_end(self, batch, logs=None):
        self.seen.append(logs["loss"])

    def on_epoch_end(self, epoch, logs=None):
        self.seen.append((logs["loss"], logs["mae"]))


def batches():
    for i in range(0, 8, 2):
        yield X[i : i + 2], Y[i : i + 2]


@pytest.mark.parametrize("eager", [False, True], ids=["plan", "eager"])
@pytest.mark.parametrize("stream", [False, True], ids=["arrays", "stream"])
@pytest.mark.parametrize("when", [1, 3])
def test_evaluate_in_a_hook_resets_the_metrics_of_fit(when, stream, eager):
    model, reader = model_of(eager), Reader()
    data = {"x": batches()} if stream else {"x": X, "y": Y, "batch_size": 2, "shuffle": False}
    model.fit(**data, verbose=0, callbacks=[Evaluate(when), reader])
    # The outputs are 0, so a row's loss is its squared target: 0 1 | 4 9 | 16 25 | 36 49, and
    # the rows evaluated 0 1 again. The logs of the batch itself stand as they were.
    if when == 1:
        expected = [0.5, 3.5, (0 + 1 + 16 + 25) / 4, (0 + 1 + 16 + 25 + 36 + 49) / 6]
        end = (expected[-1], (0 + 1 + 4 + 5 + 6 + 7) / 6)
    else:
        expected, end = [0.5, 3.5, 55 / 6, 17.5], (0.5, 0.5)
    np.testing.assert_allclose(reader.seen[:-1], expected, rtol=1e-6)  # float32
    np.testing.assert_allclose(reader.seen[-1], end, rtol=1e-6)


@pytest.mark.parametrize("eager", [False, True], ids=["plan", "eager"])
@pytest.mark.parametrize("stream", [False, True], ids=["arrays", "stream"])
def test_logs_that_are_kept_stay_those_of_their_batch(stream, eager):
    kept = []
    keep = densa.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: kept.append(logs))
    data = {"x": batches()} if stream else {"x": X, "y": Y, "batch_size": 2, "shuffle": False}
    model_of(eager).fit(**data, verbose=0, callbacks=[keep])
    np.testing.assert_allclose([logs["loss"] for logs in kept], [0.5, 3.5, 55 / 6, 17.5], rtol=1e-6)


def test_logs_that_nobody_reads_cost_no_look_at_the_metrics(monkeypatch):
    model, looks = model_of(False), []
    result = model.get_metrics_result
    monkeypatch.setattr(model, "get_metrics_result", lambda: (looks.append(1), result())[1])
    ignore = densa.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: None)
    model.fit(X, Y, batch_size=1, verbose=0, callbacks=[ignore])
    assert len(looks) == 1  # at the end of the epoch
    model.fit(batches(), verbose=0, callbacks=[ignore])
    assert len(looks) == 2


@pytest.mark.parametrize(
    "use",
    [
        lambda d: dict(d),
        lambda d: {**d},
        lambda d: d | {"c": 3},
        lambda d: {"a": 0} | d,
        lambda d: d.pop("a"),
        lambda d: d.pop("z", 5),
        lambda d: (d.setdefault("a", 7), d.setdefault("z", 8), dict(d)),
        lambda d: (d.update(a=9), sorted(d.items())),
        lambda d: (d.get("a"), "b" in d, len(d), list(d), d == {"a": 1, "b": 2}),
    ],
)
def test_lazy_logs_are_a_dictionary(use):
    assert use(LazyLogs(lambda: {"a": 1, "b": 2})) == use({"a": 1, "b": 2})


def test_hooks_see_and_set_the_steps_and_the_rate():
    found = []
    for eager in (False, True):
        densa.utils.set_random_seed(3)
        model, seen = model_of(eager), []
        optimizer = model.optimizer = densa.optimizers.Adam(0.1)

        def change(batch, logs, optimizer=optimizer, seen=seen):
            seen.append(int(optimizer.iterations))
            optimizer.learning_rate = 0.1 / (batch + 2)
            if batch == 1:
                optimizer.iterations = 40

        hook = densa.callbacks.LambdaCallback(on_train_batch_end=change)
        model.fit(X, Y, batch_size=2, verbose=0, shuffle=False, callbacks=[hook])
        assert seen == [1, 2, 41, 42]
        found.append(np.concatenate([w.ravel() for w in model.get_weights()]))
    np.testing.assert_allclose(*found, rtol=1e-5)  # float32, sums in another order


def test_the_counter_of_a_plan_must_be_a_whole_number():
    model = model_of(False)
    model.optimizer._iterations = densa.Variable(np.zeros(2), dtype="float64", name="steps")
    with pytest.raises(
        TypeError, match=r"'steps' must be one number of int64 but is float64\(2,\)"
    ):
        model.fit(X, Y, verbose=0)


def test_a_model_can_be_copied_in_a_hook():
    model, copies = model_of(False), []

    def copy_it(batch, logs):
        copies.extend([copy.deepcopy(model), pickle.loads(pickle.dumps(model))])

    hook = densa.callbacks.LambdaCallback(on_train_batch_end=copy_it)
    model.fit(X, Y, batch_size=4, verbose=0, callbacks=[hook])
    for other in copies:
        other.compile("sgd", "mse")
        other.fit(X, Y, verbose=0)


@pytest.mark.parametrize("eager", [False, True], ids=["plan", "eager"])
@pytest.mark.parametrize("stream", [False, True], ids=["arrays", "stream"])
def test_hooks_come_in_pairs_for_the_last_group_too(stream, eager):
    model, seen = model_of(eager, steps_per_execution=3), []
    hook = densa.callbacks.LambdaCallback(
        on_train_batch_begin=lambda batch, logs: seen.append(("begin", batch)),
        on_train_batch_end=lambda batch, logs: seen.append(("end", batch)),
    )
    data = {"x": batches()} if stream else {"x": X, "y": Y, "batch_size": 2}
    model.fit(**data, verbose=0, callbacks=[hook])
    assert seen == [("begin", 0), ("end", 2), ("begin", 3), ("end", 3)]
