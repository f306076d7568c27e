"""What callbacks and data know themselves goes on, too, or a warning names what does not."""

from __future__ import annotations

import collections
import random
import threading

import numpy as np
import pytest

import densa
from densa import callbacks
from training.resuming import Breaker, Stop, data, interrupted, new_model, same

CALLBACKS = {
    "swa": lambda folder: callbacks.SWA(1),
    "swap": lambda folder: callbacks.SwapEMAWeights(swap_on_epoch=True),
    "stopping": lambda folder: callbacks.EarlyStopping("loss", 0.5, 2, restore_best_weights=True),
    "plateau": lambda folder: callbacks.ReduceLROnPlateau("loss", 0.5, 1, min_delta=0.5),
    "scheduler": lambda folder: callbacks.LearningRateScheduler(lambda epoch, rate: 0.7 * rate),
    "checkpoint": lambda folder: callbacks.ModelCheckpoint(
        folder / "{epoch}.densa", "loss", save_best_only=True
    ),
    "log": lambda folder: callbacks.CSVLogger(folder / "log.csv", append=True),
    "doctor": lambda folder: callbacks.Doctor(interval=2, verbose=0),
    "board": lambda folder: callbacks.TensorBoard(folder / "logs", update_freq=2),
}


@pytest.mark.parametrize("save_freq", ["epoch", 4])
@pytest.mark.parametrize("name", CALLBACKS)
def test_every_callback_goes_on(tmp_path, name, save_freq):
    if name == "board":
        pytest.importorskip("tensorboard")
    made = []

    def make():
        return new_model(False, lambda: densa.optimizers.SGD(0.05, use_ema=name == "swap"))

    def extra():
        folder = tmp_path / ("whole" if not made else "parts.d")
        folder.mkdir(exist_ok=True)
        made.append(CALLBACKS[name](folder))
        return [made[-1]]

    def feed(x, y):
        return {"x": x, "y": y, "batch_size": 8}

    whole, resumed = interrupted(tmp_path, make, feed, (9, 14), save_freq, epochs=5, extra=extra)
    same(whole, resumed)
    first, last = made[0].get_state(), made[-1].get_state()
    first.pop("names", None)  # the doctor's: two models have two names
    last.pop("names", None)
    if name != "doctor":
        np.testing.assert_equal(first, last)
    else:
        assert [f.id for f in made[0].findings] == [f.id for f in made[-1].findings]
        assert made[0].health["step"] == made[-1].health["step"]
    if name in ("log", "checkpoint"):
        files = [sorted((tmp_path / d).glob("*.*")) for d in ("whole", "parts.d")]
        assert [f.name for f in files[0]] == [f.name for f in files[1]] != []
    if name == "log":
        assert files[0][0].read_text() == files[1][0].read_text()


class Own(callbacks.Callback):
    """A user's callback: all kinds of state, and it decides about the training."""

    def __init__(self, factor, seeds):
        super().__init__()
        self.factor = factor
        self.seeds = seeds
        self.rng = np.random.default_rng(1)
        self.old = np.random.RandomState(2)
        self.python = random.Random(3)
        self.generator = densa.random.SeedGenerator(4)
        self.mean = densa.Variable(np.zeros(2), dtype="float64")
        self.counts = collections.Counter()
        self.nested = {"parts": [(self.rng, None), densa.Variable(1.0)]}
        self.name = lambda: "no state"
        self.last = collections.deque([1.0], maxlen=3)
        self.of_epoch = {0: {1}}

    def draw(self):
        return (
            self.rng.random() + self.old.random_sample() + self.python.random()
        ) / 3 + self.generator.next()[1] * 0.01

    def on_train_batch_end(self, batch, logs=None):
        self.factor *= 0.99  # an argument that changes
        self.counts[str(batch)] += 1
        self.last.append(logs["loss"])
        self.of_epoch[batch] = self.of_epoch.get(batch, set()) | {self.counts[str(batch)]}
        self.mean.assign(self.mean.value * 0.5 + self.draw())
        self.nested["parts"][1].assign_add(1.0)
        rate = 0.1 * self.factor * float(self.mean.numpy()[0]) / float(self.nested["parts"][1])
        rate *= sum(self.last) / sum(map(len, self.of_epoch.values()))
        self.model.optimizer.learning_rate = rate

    def on_epoch_begin(self, epoch, logs=None):
        self.draw()  # a resumed epoch does it again


def test_variables_generators_and_changed_arguments_of_a_callback_go_on(tmp_path):
    made = []

    def extra():
        made.append(Own(1.0, [len(made)]))
        return [made[-1]]

    def feed(x, y):
        return {"x": x, "y": y, "batch_size": 8}

    whole, resumed = interrupted(tmp_path, lambda: new_model(False), feed, (4, 9), 2, extra=extra)
    same(whole, resumed)
    assert made[0].counts == made[-1].counts == {str(i): 3 for i in range(6)}
    assert made[0].factor == made[-1].factor == pytest.approx(0.99**18)
    assert type(made[-1].counts) is collections.Counter
    assert made[0].last == made[-1].last
    assert made[-1].last.maxlen == 3
    assert made[0].of_epoch == made[-1].of_epoch == {i: {1, 2, 3} for i in range(6)}
    assert made[-1].nested["parts"][0][0] is made[-1].rng
    assert made[-1].seeds == [3]  # an argument that stays is as it is given


def test_state_that_cannot_be_kept_is_named_once(tmp_path):
    class Held(callbacks.Callback):
        def __init__(self, thing):
            super().__init__()
            self.thing = thing
            self.lock = threading.Lock()

        def set_model(self, model):
            super().set_model(model)
            self.layer = model.layers[0]  # is kept with the model

    class Told(Held):
        def get_state(self):
            return {}

    class Rows(densa.utils.PyDataset):
        def __init__(self, x, y):
            super().__init__()
            self.x, self.y, self.seen = x, y, [object()]

        def __len__(self):
            return 2

        def __getitem__(self, i):
            return self.x[:8], self.y[:8]

    x, y = data()
    given = [callbacks.BackupAndRestore(tmp_path / "backup", 1), Held(object()), Told(object())]
    with pytest.warns(UserWarning, match="cannot keep") as said:
        new_model(False).fit(Rows(x, y), epochs=2, verbose=0, callbacks=given)
    texts = [str(one.message) for one in said]
    assert len(texts) == 2
    assert "Rows.seen:" in texts[0]
    assert "get_state() and set_state(state)" in texts[0]
    assert "cannot keep Held.lock:" in texts[1]


def test_an_own_get_state_decides_what_is_kept(tmp_path):
    class Clock(callbacks.Callback):
        def __init__(self, start=None):
            super().__init__()
            self.start = start
            self.here = self.all = 0

        def on_train_begin(self, logs=None):
            self.start = "now"

        def on_train_batch_end(self, batch, logs=None):
            assert self.start == "now"
            self.here += 1
            self.all += 1

        def get_state(self):
            return {"all": self.all}

    clocks = []

    def extra():
        clocks.append(Clock())
        return [clocks[-1]]

    def feed(x, y):
        return {"x": x, "y": y, "batch_size": 8}

    interrupted(tmp_path, lambda: new_model(False), feed, (9,), 1, extra=extra)
    assert (clocks[-1].here, clocks[-1].all) == (10, 18)


class Shuffled(densa.utils.PyDataset):
    """Moves what it was given, in place and anew, and draws in every hook and batch."""

    def __init__(self, x, y):
        super().__init__()
        self.x, self.y = x.copy(), y
        self.rng = np.random.default_rng(5)
        self.scale = 1.0

    def __len__(self):
        return 6

    def __getitem__(self, i):
        noise = self.rng.normal(0, 0.1, (1, 4)).astype("f4")
        noise += np.random.rand()  # noqa: NPY002
        return self.scale * self.x[i * 8 : i * 8 + 8] + noise, self.y[i * 8 : i * 8 + 8]

    def on_epoch_begin(self):
        self.scale *= 0.9
        np.random.rand(3)  # noqa: NPY002

    def on_epoch_end(self):
        order = self.rng.permutation(len(self.x))
        self.x[:] = self.x[order]
        self.y = self.y[order]


class Written(Shuffled):
    """Says itself what its state is."""

    def get_state(self):
        return {"x": self.x, "y": self.y, "s": self.scale, "rng": self.rng.bit_generator.state}

    def set_state(self, state):
        self.x, self.y, self.scale = state["x"], state["y"], state["s"]
        self.rng.bit_generator.state = state["rng"]


class Other:
    """Batches by number, of a class that knows nothing of densa."""

    def __init__(self, x, y):
        self.inner = [(x[i : i + 8], y[i : i + 8]) for i in range(0, 32, 8)]
        self.rng = np.random.default_rng(1)
        self.num_batches = 4

    def __setattr__(self, name, value):
        if name in vars(self):
            raise AttributeError(name)  # as one that is never changed
        super().__setattr__(name, value)

    def __getitem__(self, i):
        x, y = self.inner[i]
        return x * np.float32(self.rng.random()), y


class Stream:
    """Begins again with each epoch, in another order."""

    def __init__(self, x, y):
        self.x, self.y, self.order = x, y, np.arange(len(x))
        self.rng = np.random.default_rng(6)

    def __iter__(self):
        self.rng.shuffle(self.order)
        first = np.random.randint(0, 2)  # noqa: NPY002
        for i in range(6):
            rows = (first + self.order[i * 8 : i * 8 + 8]) % len(self.x)
            yield self.x[rows] * self.rng.random(dtype="f4"), self.y[rows]


def endless(x, y):
    while True:
        rows = np.random.permutation(len(x))[:8]  # noqa: NPY002
        yield x[rows] * np.float32(random.random()), y[rows]


FEEDS = {
    "dataset": lambda x, y: {"x": Shuffled(x, y), "shuffle": True},
    "dataset in parts": lambda x, y: {"x": Shuffled(x, y), "steps_per_epoch": 3},
    "own methods": lambda x, y: {"x": Written(x, y)},
    "no PyDataset": lambda x, y: {"x": Other(x, y)},
    "stream": lambda x, y: {"x": Stream(x, y)},
    "stream in parts": lambda x, y: {"x": Stream(x, y), "steps_per_epoch": 3},
    "no attributes": lambda x, y: {
        "x": collections.deque((x[i : i + 8], y[i : i + 8]) for i in range(0, 32, 8))
    },
    "generator": lambda x, y: {"x": endless(x, y), "steps_per_epoch": 4},
}


@pytest.mark.parametrize("save_freq", ["epoch", 2])
@pytest.mark.parametrize("name", FEEDS)
def test_what_data_knows_itself_goes_on(tmp_path, name, save_freq):
    def make():
        np.random.seed(3)  # noqa: NPY002
        random.seed(3)
        return new_model(False)

    whole, resumed = interrupted(tmp_path, make, FEEDS[name], (2, 7, 11), save_freq, epochs=4)
    same(whole, resumed)


@pytest.mark.parametrize("save_freq", ["epoch", 4])
def test_adversarial_batches_go_on(tmp_path, save_freq):
    x, y = data()

    def fit(folder, stop):
        model = new_model(False)
        batches = densa.models.AdversarialBatches(model, x, y, 0.1, 8)
        given = [callbacks.BackupAndRestore(folder, save_freq), Breaker(stop)]
        model.fit(batches, epochs=4, verbose=0, callbacks=given)
        return model

    whole = fit(tmp_path / "whole", 0)
    for stop in (8, 14):
        with pytest.raises(Stop):
            fit(tmp_path / "parts", stop)
    same(whole, fit(tmp_path / "parts", 0))


def test_validation_data_that_draws_goes_on(tmp_path):
    x, y = data()

    def fit(folder, stop):
        np.random.seed(1)  # noqa: NPY002
        model = new_model(False)
        given = [callbacks.BackupAndRestore(folder, 1), Breaker(stop)]
        more = {"validation_data": Stream(x, y), "validation_steps": 2}
        model.fit(x, y, 8, 4, 0, callbacks=given, **more)
        return model

    whole = fit(tmp_path / "whole", 0)
    for stop in (8, 14):
        with pytest.raises(Stop):
            fit(tmp_path / "parts", stop)
    same(whole, fit(tmp_path / "parts", 0))
