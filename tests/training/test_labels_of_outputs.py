"""Labels outside of the classes of one of several outputs, or of a model that is no graph."""

import numpy as np
import pytest

import densa
from densa import layers

ROWS = 12
X = np.random.default_rng(5).standard_normal((ROWS, 4)).astype("f4")
GOOD = np.arange(ROWS) % 3
BAD = np.where(np.arange(ROWS) == 7, 9, GOOD)
LABELS = "sparse_categorical_crossentropy"


class Own(densa.Model):
    """Two heads of 3 and 5 classes without a graph of symbols; the second one may be left out."""

    def __init__(self, heads=2):
        super().__init__()
        # Its moving averages would change in a step.
        self.norm = layers.BatchNormalization()
        self.heads = [layers.Dense(n, activation="softmax") for n in (3, 5)[:heads]]

    def call(self, x):
        found = [head(self.norm(x)) for head in self.heads]
        return found if len(found) > 1 else found[0]


def graph(named=False):
    x = densa.Input((4,))
    a, b = (layers.Dense(n, activation="softmax", name=name)(x) for n, name in ((3, "a"), (5, "b")))
    return densa.Model(x, {"a": a, "b": b} if named else [a, b])


def batches(y):
    return ((X[i : i + 6], [part[i : i + 6] for part in y]) for i in (0, 6))


CALLS = {
    "fit": lambda m, y: m.fit(X, y, batch_size=6, shuffle=False, verbose=0),
    "fit batches": lambda m, y: m.fit(batches(y), verbose=0),
    "evaluate": lambda m, y: m.evaluate(X, y, verbose=0),
    "train_on_batch": lambda m, y: m.train_on_batch(X, y),
    "test_on_batch": lambda m, y: m.test_on_batch(X, y),
}


@pytest.fixture(params=CALLS, ids=str)
def call(request):
    return request.param


@pytest.fixture(params=[False, True], ids=["plan", "eager"])
def eagerly(request):
    return request.param


def trained(model):
    return [v.numpy().copy() for v in model.trainable_variables]


def check_refused(model, call, y, message, batchwise=False):
    before = trained(model)
    with pytest.raises(ValueError, match=message):
        CALLS[call](model, y)
    if not batchwise:
        for was, now in zip(before, trained(model), strict=True):
            np.testing.assert_array_equal(was, now)


@pytest.mark.parametrize("kind", ["graph", "subclass"])
def test_the_second_of_two_outputs(kind, call, eagerly):
    model = graph() if kind == "graph" else Own()
    model(X)
    model.compile("sgd", LABELS, run_eagerly=eagerly)
    name = "b" if kind == "graph" else "output_1"
    # Batches of a stream are looked at one by one, and so are those of eager steps where classes
    # show in the step only: the first one is good, the bad row is in the second one.
    eager_fit = call == "fit" and eagerly and kind == "subclass"
    batchwise = call == "fit batches" or eager_fit
    row = 1 if batchwise else 7
    message = rf"output '{name}' must lie between 0 and 4.*first in row {row}: 9\)"
    check_refused(model, call, [GOOD, BAD], message, batchwise)
    CALLS[call](model, [GOOD, GOOD])
    check_refused(model, call, [GOOD, BAD], message, batchwise)  # with a plan that is there already


def test_a_subclassed_model_of_one_output(eagerly):
    model = Own(1)
    model.compile("sgd", LABELS, run_eagerly=eagerly)
    model(X)
    before = trained(model)
    for bad in (BAD, -BAD, BAD.astype("f4"), BAD[:, None]):
        with pytest.raises(ValueError, match="output 'output' must lie between 0 and 2"):
            model.fit(X, bad, verbose=0)
        with pytest.raises(ValueError, match="output 'output' must lie between 0 and 2"):
            model.evaluate(X, bad, verbose=0)
    for was, now in zip(before, trained(model), strict=True):
        np.testing.assert_array_equal(was, now)


@pytest.mark.parametrize("named", [False, True])
def test_targets_by_name(named, call, eagerly):
    if call == "fit batches":
        return  # its batches are lists
    model = graph(named)
    model.compile("sgd", {"a": LABELS, "b": LABELS}, run_eagerly=eagerly)
    message = r"output 'a' must lie between 0 and 2.*goes from -9 to 0 \(first in row 1: -1\)"
    check_refused(model, call, {"b": GOOD, "a": -BAD}, message)


@pytest.mark.parametrize("eager", [False, True])
def test_only_outputs_with_such_a_loss_are_looked_at(eager):
    model = graph()
    model.compile("sgd", ["mse", LABELS], run_eagerly=eager)
    numbers = np.full((ROWS, 3), 77.0, "f4")
    assert np.isfinite(model.train_on_batch(X, [numbers, GOOD])[0])
    model.compile("sgd", [None, LABELS], run_eagerly=eager)
    with pytest.raises(ValueError, match="output 'b'.*row 7: 9"):
        model.evaluate(X, BAD, verbose=0)  # the one target belongs to the one loss


@pytest.mark.parametrize("eager", [False, True])
@pytest.mark.parametrize("make", [graph, Own], ids=["graph", "subclass"])
def test_a_label_to_ignore_may_lie_anywhere_and_no_other(make, eager):
    model = make()
    model(X)
    loss = densa.losses.SparseCategoricalCrossentropy(ignore_class=9)
    model.compile("sgd", loss, run_eagerly=eager)
    assert np.isfinite(model.evaluate(X, [GOOD, BAD], verbose=0)[0])
    with pytest.raises(ValueError, match=r"must lie between 0 and 4.*row 3: 8\)"):
        model.fit(X, [GOOD, np.where(np.arange(ROWS) == 3, 8, BAD)], shuffle=False, verbose=0)


class Candidates(densa.Model):
    """As many classes as there are columns."""

    def __init__(self):
        super().__init__()
        self.score = layers.Dense(1)

    def call(self, x):
        return densa.ops.softmax(self.score(x)[:, :, 0])


@pytest.mark.parametrize("eager", [False, True])
def test_the_number_of_classes_may_follow_from_the_data(eager):
    model = Candidates()
    model.compile("sgd", LABELS, run_eagerly=eager)
    small, large = np.ones((4, 3, 2), "f4"), np.ones((4, 6, 2), "f4")
    model.train_on_batch(small, np.array([0, 1, 2, 0]))
    assert np.isfinite(model.train_on_batch(large, np.array([5, 4, 3, 2])))
    with pytest.raises(ValueError, match=r"between 0 and 2.*row 1: 5"):
        model.train_on_batch(small, np.array([0, 5, 2, 0]))
