"""A frozen network gives what `model.predict` gives, bit for bit, however its rows are cut."""

import gc
import threading
import weakref

import numpy as np
import pytest

import densa
from densa import layers
from predict_nets import NETS, data_for, dense_net, move_weights, wide_net

AS_IT_IS = {"fold": False, "merge": False, "prune": False}
ROWS = [0, 1, 2, 3, 7, 8, 9, 15, 16, 17, 33, 100, 257, 600]


@pytest.fixture(params=NETS, ids=lambda make: make.__name__)
def model(request):
    made = request.param()
    move_weights(made)
    return made


def as_given(predictor, arrays):
    names = [spec.name for spec in predictor.inputs]
    return dict(zip(names, arrays, strict=True)) if len(names) > 1 else arrays[0]


@pytest.mark.parametrize("rows", ROWS)
def test_the_bits_of_predict(model, rows):
    predictor = model.freeze(**AS_IT_IS)
    arrays = data_for(predictor, rows)
    got = predictor.run(arrays)
    if rows == 0:
        assert [y.shape for y in got] == [(0, *spec.shape[1:]) for spec in predictor.outputs]
        return
    wanted = model.predict(as_given(predictor, arrays), batch_size=1024, verbose=0)
    for y, t in zip(got, wanted if isinstance(wanted, list) else [wanted], strict=True):
        assert y.dtype == t.dtype
        np.testing.assert_array_equal(y, t)


def test_rows_do_not_depend_on_each_other(model):
    predictor = model.freeze()
    arrays = data_for(predictor, 300)
    whole = predictor.run(arrays)
    for cut in [slice(0, 1), slice(7, 8), slice(3, 40), slice(299, 300), slice(100, 260)]:
        part = predictor.run([a[cut] for a in arrays])
        for y, t in zip(part, whole, strict=True):
            np.testing.assert_array_equal(y, t[cut])


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("rows", [1, 5, 40, 64, 65, 500])
def test_threads_do_not_change_a_bit(model, threads, rows):
    predictor = model.freeze()
    arrays = data_for(predictor, rows)
    before = densa.get_num_threads()
    try:
        densa.set_num_threads(1, exact=True)
        wanted = predictor.run(arrays)
        densa.set_num_threads(threads, exact=True)
        got = predictor.run(arrays)
    finally:
        densa.set_num_threads(before)
    for y, t in zip(got, wanted, strict=True):
        np.testing.assert_array_equal(y, t)


def test_it_keeps_the_weights_of_the_moment():
    model = dense_net()
    predictor = model.freeze()
    x = data_for(predictor, 4)[0]
    before = predictor(x)
    for variable in model.variables:
        variable.assign(np.zeros(variable.shape))
    np.testing.assert_array_equal(predictor(x), before)
    assert not np.array_equal(model.freeze()(x), before)


def test_inputs_and_outputs_like_the_models():
    model = wide_net()
    predictor = model.freeze()
    assert [s.name for s in predictor.inputs] == ["ids", "numbers"]
    assert [(s.name, s.shape, s.dtype) for s in predictor.outputs] == [
        ("scores", (None, 3), "float32"),
        ("risk", (None, 1), "float32"),
    ]
    ids, numbers = data_for(predictor, 9)
    first = predictor({"numbers": numbers, "ids": ids})
    assert isinstance(first, list)
    second = predictor(ids, numbers)
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a, b)
    with pytest.raises(ValueError, match=r"inputs \['ids', 'numbers'\] expected"):
        predictor({"numbers": numbers})
    with pytest.raises(TypeError, match="2 inputs expected"):
        predictor(ids)


def test_a_subclass_tells_its_inputs():
    class Net(densa.Model):
        def __init__(self):
            super().__init__()
            self.layer = layers.Dense(3)

        def call(self, x):
            return self.layer(x) * 2

    net = Net()
    with pytest.raises(ValueError, match="does not know its inputs"):
        net.freeze()
    predictor = net.freeze(inputs=densa.Input((5,)))
    x = data_for(predictor, 6)[0]
    np.testing.assert_array_equal(predictor(x), net.predict(x, verbose=0))


# ---- arguments -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def small():
    return densa.Sequential([densa.Input((4,), name="x"), layers.Dense(3, name="y")]).freeze()


def test_results_go_where_they_are_wanted(small):
    x = np.ones((5, 4), "float32")
    out = np.full((5, 3), np.nan, "float32")
    assert small(x, out=out) is out
    np.testing.assert_array_equal(out, small(x))
    assert small(x, out=None) is not out
    assert small(x, out=[out]) is out


@pytest.mark.parametrize(
    ("out", "error", "text"),
    [
        (
            np.zeros((4, 3), "float32"),
            ValueError,
            r"must have shape \(5, 3\) but has shape \(4, 3\)",
        ),
        (np.zeros((5, 3)), TypeError, "writable, C-contiguous array of float32"),
        (np.zeros((3, 5), "float32").T, TypeError, "writable, C-contiguous"),
        (np.broadcast_to(np.float32(0), (5, 3)), TypeError, "writable, C-contiguous"),
        ([], ValueError, "out must hold 1 arrays, got 0"),
        (["no"], TypeError, "must be a NumPy array"),
    ],
)
def test_a_wrong_out_is_refused(small, out, error, text):
    with pytest.raises(error, match=text):
        small(np.ones((5, 4), "float32"), out=out)


@pytest.mark.parametrize(
    ("x", "error", "text"),
    [
        (np.ones((5, 3), "float32"), ValueError, r"'x' must have shape \(rows, 4\) but has"),
        (np.ones(4, "float32"), ValueError, r"must have shape \(rows, 4\) but has shape \(4,\)"),
        (np.ones((5, 4)), TypeError, "'x' must be float32 but is float64"),
        (np.ones((5, 4), "int64"), TypeError, "must be float32 but is int64"),
        (np.ones((5, 4), ">f4"), TypeError, "float32"),
        (object(), TypeError, "float"),
        ("text", (TypeError, ValueError), "float"),
    ],
)
def test_a_wrong_input_is_refused(small, x, error, text):
    with pytest.raises(error, match=text):
        small(x)


def test_wrong_calls(small):
    x = np.ones((1, 4), "float32")
    with pytest.raises(TypeError, match="1 inputs expected, got 2"):
        small(x, x)
    with pytest.raises(TypeError, match="1 inputs expected, got 0"):
        small()
    with pytest.raises(TypeError, match="unknown argument 'batch_size'"):
        small(x, batch_size=3)
    with pytest.raises(TypeError, match="no constructor"):
        densa.Predictor()


def test_memory_of_any_kind(small):
    base = np.random.default_rng(0).normal(size=(12, 8)).astype("float32")
    wanted = small(np.ascontiguousarray(base[::2, ::2]))
    np.testing.assert_array_equal(small(base[::2, ::2]), wanted)
    bytes_ = np.zeros(6 * 4 * 4 + 1, "uint8")
    odd = bytes_[1:].view("float32").reshape(6, 4)
    odd[:] = base[::2, ::2]
    np.testing.assert_array_equal(small(odd), wanted)
    frozen = base[::2, ::2].copy()
    frozen.flags.writeable = False
    np.testing.assert_array_equal(small(frozen), wanted)
    np.testing.assert_array_equal(small(densa.asarray(frozen)), wanted)
    np.testing.assert_array_equal(small(frozen.tolist()), wanted)


def test_an_id_out_of_range_is_an_error():
    model = wide_net()
    predictor = model.freeze()
    ids, numbers = data_for(predictor, 50)
    ids[37, 1] = 11
    with pytest.raises(IndexError, match="id 11"):
        predictor(ids, numbers)
    ids[37, 1] = 0
    predictor(ids, numbers)


def test_what_cannot_be_frozen_says_why():
    x = densa.Input((4,))
    model = densa.Model(x, x - densa.ops.mean(x, axis=0, keepdims=True))
    with pytest.raises(ValueError, match="rows"):
        model.freeze()


def test_not_finite_numbers_go_through(small):
    x = np.array([[np.nan, 0, 0, 0], [np.inf, 0, 0, 0], [1, 1, 1, 1]], "float32")
    y = small(x)
    assert np.isnan(y[0]).all()
    assert np.isinf(y[1]).all()
    np.testing.assert_array_equal(y[2:], small(x[2:]))


# ---- life ----------------------------------------------------------------------------------------


def test_it_can_be_collected():
    predictor = wide_net().freeze()
    predictor.me = predictor
    watched = weakref.ref(predictor)
    del predictor
    gc.collect()
    assert watched() is None


def test_many_threads_call_one_predictor():
    predictor = dense_net().freeze()
    x = data_for(predictor, 200)[0]
    wanted = predictor(x)
    wrong = []

    def work(seed):
        rng = np.random.default_rng(seed)
        for _ in range(200):
            first = int(rng.integers(0, 199))
            last = int(rng.integers(first + 1, 201))
            if not np.array_equal(predictor(x[first:last]), wanted[first:last]):
                wrong.append((first, last))

    threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_it_says_what_it_is(small):
    assert repr(small) == "<Predictor x float32(rows, 4) -> y float32(rows, 3)>"
    assert "dense" in small.explain()
