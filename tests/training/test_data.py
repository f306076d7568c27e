"""Sources and feeds: order, coverage, epochs that are no whole passes."""

from __future__ import annotations

import numpy as np
import pytest

import densa
from densa.training.data import ArraySource, StreamSource, make_source
from densa.training.feed import Feed


def numbers(batches):
    return [list(x[:, 0].astype(int)) for x, _, _ in batches]


def flat(source):
    return [row for batch in numbers(source.batches()) for row in batch]


def rows(count):
    return np.arange(count, dtype="f4")[:, None]


def test_shuffled_passes_cover_every_row_once_in_a_new_order():
    densa.utils.set_random_seed(3)
    source = ArraySource(rows(23), batch_size=5, shuffle=True)
    first, second = (flat(source) for _ in range(2))
    assert sorted(first) == sorted(second) == list(range(23))
    assert first != second
    densa.utils.set_random_seed(3)
    again = ArraySource(rows(23), batch_size=5, shuffle=True)
    assert flat(again) == first


def test_batches_stay_together_when_asked():
    densa.utils.set_random_seed(3)
    source = ArraySource(rows(23), batch_size=5, shuffle="batch")
    found = numbers(source.batches())
    assert found[-1] == [20, 21, 22]
    assert sorted(b[0] for b in found) == [0, 5, 10, 15, 20]
    assert all(b == list(range(b[0], b[0] + len(b))) for b in found)


def test_floats_are_cast_and_integers_are_not():
    source = ArraySource(np.ones((3, 2)), np.arange(3), batch_size=2)
    x, y, weight = next(source.batches())
    assert (x.dtype, y.dtype, weight) == (np.float32, np.int64, None)


def test_feed_cuts_passes_into_epochs():
    feed = Feed(ArraySource(rows(10), batch_size=4), steps_per_epoch=2)
    assert numbers(feed.epoch()) == [[0, 1, 2, 3], [4, 5, 6, 7]]
    with pytest.warns(UserWarning, match="1 batches came where 2 were due"):
        assert numbers(feed.epoch()) == [[8, 9]]
    assert numbers(feed.epoch()) == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert not feed.ran_out
    assert not feed.whole_passes
    assert Feed(ArraySource(rows(10), batch_size=4), 3).whole_passes
    with pytest.raises(ValueError, match="at least 1"):
        Feed(ArraySource(rows(10)), 0)


def test_stream_that_ends():
    feed = Feed(StreamSource(iter([rows(2)] * 3)), steps_per_epoch=2)
    assert len(list(feed.epoch())) == 2
    with pytest.warns(UserWarning, match="ran out"):
        assert len(list(feed.epoch())) == 1
    assert feed.ran_out


def test_dictionaries_keep_their_structure():
    source = make_source({"b": rows(4), "a": rows(4) + 10}, batch_size=2)
    x, _, _ = next(source.batches())
    assert list(x) == ["b", "a"]
    assert list(x["a"][:, 0]) == [10, 11]


def test_odd_batches_are_refused():
    with pytest.raises(ValueError, match="tuple of 4"):
        list(StreamSource(iter([(1, 2, 3, 4)])).batches())
    with pytest.raises(ValueError, match="cardinality"):
        list(StreamSource(iter([(rows(3), rows(2))])).batches())


@pytest.mark.parametrize("parts", [(1,), (1, 2), (1, 2, 3)])
def test_batches_are_packed_and_unpacked(parts):
    x, y, sample_weight = densa.utils.unpack_x_y_sample_weight(parts)
    assert (x, y, sample_weight) == (*parts, None, None)[:3]
    packed = densa.utils.pack_x_y_sample_weight(x, y, sample_weight)
    assert packed == (parts if len(parts) > 1 else 1)
    assert densa.utils.unpack_x_y_sample_weight(list(parts)) == (x, y, sample_weight)


@pytest.mark.parametrize("eager", [False, True], ids=["plan", "eager"])
def test_no_batches_at_all_is_an_error(eager):
    model = densa.Sequential([densa.Input((1,)), densa.layers.Dense(1)])
    model.compile("sgd", "mse", run_eagerly=eager)
    batches = ((rows(4), rows(4)) for _ in range(2))
    model.fit(batches, verbose=0)
    for call in (
        lambda: model.fit(batches, verbose=0),
        lambda: model.fit(batches, steps_per_epoch=2, epochs=2, verbose=0),
        lambda: model.evaluate(batches, verbose=0),
        lambda: model.predict(batches, verbose=0),
    ):
        with pytest.raises(ValueError, match=r"`x` \(generator\) gave no batches.*make a new one"):
            call()
    with pytest.raises(ValueError, match=r"`x` \(list\) gave no batches"):
        model.fit([], verbose=0)
    with pytest.warns(UserWarning, match="ran out of data"):
        model.fit(iter([(rows(4), rows(4))]), steps_per_epoch=2, verbose=0)


@pytest.mark.parametrize(
    "hook", ["on_train_begin", "on_epoch_begin", "on_train_batch_end", "on_epoch_end"]
)
def test_compile_while_fit_runs_is_refused(hook):
    model = densa.Sequential([densa.Input((1,)), densa.layers.Dense(1)])
    model.compile("sgd", "mse")
    again = densa.callbacks.LambdaCallback(**{hook: lambda *args, **logs: model.compile("adam")})
    with pytest.raises(ValueError, match="while fit.. runs.*learning_rate.*stop_training"):
        model.fit(rows(8), rows(8), verbose=0, callbacks=[again])
    assert type(model.optimizer) is densa.optimizers.SGD
    model.compile("adam", "mse")
    model.fit(rows(8), rows(8), verbose=0)
