"""A model that was saved, loaded and trained on has the bits of one that was never saved."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest

import densa
from densa import layers
from densa.saving.file_format import read_file, write_file

RNG = np.random.default_rng(2)
X = RNG.standard_normal((50, 4)).astype("f4")
Y = X[:, :1] * 2


def model_of(seed=5, eager=False):
    densa.utils.set_random_seed(seed)
    made = densa.Sequential(
        [densa.Input((4,)), layers.Dense(8, "relu"), layers.Dropout(0.4), layers.Dense(1)]
    )
    made.compile(densa.optimizers.Adam(0.01), "mse", run_eagerly=eager)
    return made


def same(a, b):
    for one, other in zip(a.get_weights(), b.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(("shuffle", "eager"), [(True, False), ("batch", False), (True, True)])
def test_a_loaded_model_goes_on_with_the_same_bits(tmp_path, shuffle, eager):
    whole = model_of(eager=eager)
    whole.fit(X, Y, 8, 6, 0, shuffle=shuffle)
    model, path = model_of(eager=eager), tmp_path / "m.densa"
    keep = densa.callbacks.ModelCheckpoint(path, "loss")
    model.fit(X, Y, 8, 2, 0, shuffle=shuffle, callbacks=[keep])
    for epoch in (2, 4):
        densa.random.uniform((3,))  # the global generator is no part of it
        model = densa.models.load_model(path)
        if epoch == 4:
            assert model.history.epoch == [2, 3]
        model.fit(X, Y, 8, epoch + 2, 0, shuffle=shuffle, initial_epoch=epoch)
        model.save(path)
    same(whole, model)
    assert whole.history.history["loss"][-2:] == model.history.history["loss"]


@pytest.mark.cpu_only("it starts a process of its own")
def test_so_does_one_in_another_process(tmp_path):
    whole = model_of()
    whole.fit(X, Y, 8, 4, 0)
    model = model_of()
    model.fit(X, Y, 8, 2, 0)
    model.save(tmp_path / "m.densa")
    np.savez(tmp_path / "data.npz", x=X, y=Y)
    code = (
        "import sys, numpy as np, densa\n"
        "densa.utils.set_random_seed(99)\n"
        "data = np.load('data.npz')\n"
        "model = densa.models.load_model('m.densa')\n"
        "model.fit(data['x'], data['y'], 8, 4, 0, initial_epoch=2)\n"
        "np.savez('out.npz', *model.get_weights())\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, timeout=300)
    with np.load(tmp_path / "out.npz") as found:
        for due, name in zip(whole.get_weights(), found, strict=True):
            np.testing.assert_array_equal(found[name], due)


@pytest.mark.parametrize("saved", [True, False])
@pytest.mark.parametrize("lent", [True, False])
def test_averages_do_not_come_into_a_training_that_goes_on(tmp_path, saved, lent):
    def make():
        densa.utils.set_random_seed(5)
        stack = [densa.Input((4,)), layers.Dense(8, "relu"), layers.BatchNormalization()]
        made = densa.Sequential([*stack, layers.Dropout(0.4), layers.Dense(1)])
        made.compile(densa.optimizers.Adam(0.01, use_ema=True, ema_momentum=0.9), "mse")
        return made

    def callbacks():
        return [densa.callbacks.SwapEMAWeights(swap_on_epoch=True)] if lent else []

    whole = make()
    whole.fit(X, Y, 8, 4, 0, callbacks=callbacks())
    model = make()
    for begin, end in ((0, 2), (2, 3), (3, 4)):
        model.fit(X, Y, 8, end, 0, initial_epoch=begin, callbacks=callbacks())
        if saved:
            shown = model.get_weights()
            model.save(tmp_path / "m.densa")
            model = densa.models.load_model(tmp_path / "m.densa")
            np.testing.assert_equal(model.get_weights(), shown)
    same(whole, model)
    averages = [average.numpy() for _, average in model.optimizer.averages()]
    np.testing.assert_array_equal(model.layers[0].kernel.numpy(), averages[0])


def test_weights_that_someone_has_set_are_gone_on_from(tmp_path):
    def make():
        densa.utils.set_random_seed(5)
        made = densa.Sequential([densa.Input((4,)), layers.Dense(1)])
        made.compile(densa.optimizers.SGD(0.01, use_ema=True), "mse")
        made.fit(X, Y, 8, 2, 0)
        return made

    begun = []

    def go_on(model, epoch=2):
        look = densa.callbacks.LambdaCallback(
            on_train_begin=lambda logs: begun.append(model.get_weights()[0])
        )
        model.fit(X, Y, 8, epoch + 1, 0, initial_epoch=epoch, callbacks=[look])
        return model.optimizer.averages()[0][1].numpy()

    due = go_on(make())
    for change in (
        lambda model: model.set_weights(model.get_weights()),  # the same ones
        lambda model: model.evaluate(X, Y, verbose=0),
        lambda model: model.fit(X, Y, 8, 1, 0, callbacks=[densa.callbacks.LRFinder(num_steps=5)]),
    ):
        model = make()
        change(model)
        np.testing.assert_array_equal(go_on(model), due)
    others = [make(), make(), make()]
    others[0].set_weights([w + 1 for w in others[0].get_weights()])
    others[1].train_on_batch(X, Y)
    for model in others:
        now = model.get_weights()[0]
        assert not np.array_equal(go_on(model, 0 if model is others[2] else 2), due)
        np.testing.assert_array_equal(begun[-1], now)
    model = make()
    model.compile(model.optimizer, "mse")
    assert not np.array_equal(go_on(model), due)


def test_damaged_lists_of_replaced_weights_are_refused(tmp_path):
    model, path = model_of(), tmp_path / "m.densa"
    model.compile(densa.optimizers.SGD(0.01, use_ema=True), "mse")
    model.fit(X, Y, 8, 1, 0)
    model.save(path)
    tensors, metadata = read_file(path)
    del metadata["crc32"]
    state = json.loads(metadata["state"])
    names = state["ended"]["weights"]
    for damage in (
        {"averages": 1, "weights": names},
        {"averages": True, "weights": {**names, "99": names["0"]}},
        {"averages": True, "weights": {**names, "0": names["1"]}},
        {"averages": True, "weights": list(names)},
        {"averages": True, "weights": {"0": "nothing"}},
        [],
    ):
        write_file(path, tensors, {**metadata, "state": json.dumps({**state, "ended": damage})})
        with pytest.raises(ValueError, match="damaged"):
            densa.models.load_model(path)
    write_file(path, tensors, {**metadata, "state": json.dumps({**state, "ended": None})})
    with pytest.raises(ValueError, match="name each tensor once"):
        densa.models.load_model(path)


def test_a_seed_that_is_set_after_loading_counts(tmp_path):
    model = model_of()
    model.fit(X, Y, 8, 1, 0)
    model.save(tmp_path / "m.densa")
    orders = []
    for seed in (1, 1, 2):
        loaded = densa.models.load_model(tmp_path / "m.densa")
        densa.utils.set_random_seed(seed)
        loaded.fit(X, Y, 8, 1, 0)
        orders.append(loaded.get_weights()[0])
    np.testing.assert_array_equal(orders[0], orders[1])
    assert not np.array_equal(orders[0], orders[2])


def test_a_loaded_model_that_is_interrupted_goes_on(tmp_path):
    model = model_of()
    model.fit(X, Y, 8, 1, 0)
    model.save(tmp_path / "m.densa")

    def fit(folder, stop):
        def end(batch, logs):
            if batch == stop:
                raise RuntimeError

        loaded = densa.models.load_model(tmp_path / "m.densa")
        backup = densa.callbacks.BackupAndRestore(folder, 1)
        breaker = densa.callbacks.LambdaCallback(on_train_batch_end=end)
        loaded.fit(X, Y, 8, 3, 0, callbacks=[backup, breaker])
        return loaded

    whole = fit(tmp_path / "whole", None)
    with pytest.raises(RuntimeError):
        fit(tmp_path / "parts", 4)
    same(whole, fit(tmp_path / "parts", None))


def test_files_without_orders_and_history_load(tmp_path):
    model, path = model_of(), tmp_path / "m.densa"
    model.fit(X, Y, 8, 1, 0)
    model.save(path)
    tensors, metadata = read_file(path)
    del metadata["crc32"]
    state = json.loads(metadata["state"])
    for damage in ({"orders": [1, 2]}, {"history": {"epoch": 1}}, {"history": []}):
        write_file(path, tensors, {**metadata, "state": json.dumps({**state, **damage})})
        with pytest.raises(ValueError, match="damaged"):
            densa.models.load_model(path)
    old = {name: value for name, value in state.items() if name not in ("orders", "history")}
    write_file(path, tensors, {**metadata, "state": json.dumps(old)})
    loaded = densa.models.load_model(path)
    assert loaded.history is None
    same(model, loaded)
    loaded.fit(X, Y, 8, 1, 0)
