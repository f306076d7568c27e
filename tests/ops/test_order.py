"""argsort and what is made of it, against NumPy's stable sort; in recorded steps too."""

from __future__ import annotations

import numpy as np
import pytest

import densa
from densa import _core, ops

TYPES = ["float32", "float64", "float16", "int8", "int16", "int32", "int64",
         "uint8", "uint16", "uint32", "uint64", "bool"]  # fmt: skip


@pytest.mark.parametrize("dtype", TYPES)
def test_every_type(dtype):
    rng = np.random.default_rng(3)
    x = rng.integers(0, 4, (3, 5, 6)).astype(dtype)  # many are equal
    if dtype.startswith("int"):
        x[0] -= 2
        x[1, 1, 2:4] = np.iinfo(dtype).min, np.iinfo(dtype).max
    if dtype.startswith("uint"):
        x[1, 1, 2:4] = np.iinfo(dtype).max, np.iinfo(dtype).max - 1
    if dtype.startswith("float"):
        x[1] -= 1.5
        x[2, 1, :4] = np.nan, np.inf, -np.inf, np.nan
    t = densa.asarray(x)
    for axis in (0, 1, -1):
        order = ops.argsort(t, axis=axis)
        assert order.dtype == "int32"
        np.testing.assert_array_equal(order.numpy(), np.argsort(x, axis, kind="stable"))
        ordered = ops.sort(t, axis=axis)
        assert ordered.dtype == dtype
        np.testing.assert_array_equal(ordered.numpy(), np.sort(x, axis))
    np.testing.assert_array_equal(ops.argsort(t, axis=None), np.argsort(x, None, kind="stable"))
    # Largest first: NaN before them, and the first of equal ones first.
    line = [(v == v, -float(v) if v == v else 0.0, i) for i, v in enumerate(x[2, 1])]
    if dtype not in ("int64", "uint64"):  # whose largest are no floats
        values, places = ops.top_k(t[2, 1], 4)
        assert places.numpy().tolist() == [i for *_, i in sorted(line)][:4]
        np.testing.assert_array_equal(values.numpy(), x[2, 1][places.numpy()])


@pytest.mark.parametrize("shape", [(0,), (1,), (2, 0), (0, 3), (700,), (3, 65)])
def test_sizes(shape):
    x = np.random.default_rng(4).normal(size=shape).astype("f4")
    np.testing.assert_array_equal(ops.argsort(x).numpy(), np.argsort(x, kind="stable"))


def test_long_lines_and_many_rows():
    x = np.random.default_rng(5).normal(size=(2, 20000)).astype("f4")
    order = ops.argsort(densa.asarray(x))
    np.testing.assert_array_equal(order.numpy(), np.argsort(x, kind="stable"))
    assert order.device == densa.asarray(x).device
    x = x[:, :5000]
    np.testing.assert_array_equal(ops.argsort(x, axis=0), np.argsort(x, 0, kind="stable"))


def test_whole_numbers_beyond_floats():
    x = np.array([2**60 + 1, 2**60, 2**60 + 2])
    assert ops.top_k(densa.asarray(x), 2)[1].numpy().tolist() == [2, 0]
    big = np.array([2**63, 5, 2**64 - 1], "uint64")
    assert ops.argsort(densa.asarray(big)).numpy().tolist() == [1, 0, 2]


class Ordered(densa.Model):
    """Takes part in a network what stands in a row's order."""

    def __init__(self):
        super().__init__()
        self.inside, self.out = densa.layers.Dense(6, "tanh"), densa.layers.Dense(2)

    def call(self, x):
        h = self.inside(x)
        parts = [ops.sort(h), ops.top_k(h, 2)[0], ops.median(h, axis=1, keepdims=True)]
        return self.out(ops.concatenate(parts, axis=1))


def test_in_recorded_steps():
    """Against the same network in float64 NumPy: one step of gradient descent."""
    rng = np.random.default_rng(6)
    x, y = rng.normal(size=(7, 3)), rng.normal(size=(7, 2))
    model = Ordered()
    model.compile(densa.optimizers.SGD(0.5), "mse")
    model.build((None, 3))
    w, b, v, c = (a.astype("f8") for a in model.get_weights())
    h = np.tanh(x @ w + b)
    up = np.sort(h, 1)
    z = np.hstack([up, up[:, :-3:-1], up[:, 2:4].mean(1, keepdims=True)])
    dout = 2 * (z @ v + c - y) / y.size
    dz = dout @ v.T
    dup = dz[:, :6]
    dup[:, [5, 4]] += dz[:, 6:8]
    dup[:, 2:4] += dz[:, 8:] / 2
    dh = np.empty_like(dup)
    np.put_along_axis(dh, np.argsort(h, 1), dup, axis=1)
    dh *= 1 - h * h
    model.train_on_batch(x.astype("f4"), y.astype("f4"))
    assert "argsort" in model.explain_plan()
    want = w - 0.5 * x.T @ dh, b - 0.5 * dh.sum(0), v - 0.5 * z.T @ dout, c - 0.5 * dout.sum(0)
    for got, expected in zip(model.get_weights(), want, strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-6)


def test_errors():
    with pytest.raises(TypeError, match="argsort: cannot sort int8"):
        _core.apply("argsort", densa.asarray(np.zeros(3, "int8")))
    with pytest.raises(ValueError, match="argsort: a scalar"):
        _core.apply("argsort", densa.asarray(np.float32(1)))


METHODS = ["linear", "lower", "higher", "midpoint", "nearest"]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("axis", [None, 0, 1, -1])
def test_quantiles_of_lines_with_nan(axis, method):
    x = np.random.default_rng(8).normal(size=(4, 5, 3)).astype("f4")
    x[1, 2, 0] = x[3, 0, 0] = x[3, 4, 1] = np.nan
    for q in (0.0, 0.3, 1.0, [0.2, 0.5]):
        got = ops.quantile(x, q, axis=axis, method=method, keepdims=True)
        want = np.quantile(x, q, axis=axis, method=method, keepdims=True)
        np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(ops.median(x, axis), np.median(x, axis), rtol=1e-5, atol=1e-6)


def test_quantiles_of_no_elements():
    x = np.zeros((3, 0, 2), "f4")
    for axis in (None, 1):
        for keep in (False, True):
            got = ops.median(x, axis, keepdims=keep).numpy()
            want = np.full(np.sum(x, axis, keepdims=keep).shape, np.nan)
            np.testing.assert_array_equal(got, want, strict=False)
            assert got.shape == want.shape
        with pytest.raises(ValueError, match="quantile: there are no elements"):
            ops.quantile(x, 0.5, axis=axis)
    assert ops.median(x, axis=0).shape == (0, 2)
    assert ops.median(np.zeros((0,), "i4")).dtype == "float32"


class Middle(densa.Model):
    def call(self, x):
        return ops.concatenate(
            [ops.median(x, axis=1, keepdims=True), ops.quantile(x, 0.3, axis=1, keepdims=True)], 1
        )


@pytest.mark.filterwarnings("ignore:x holds a non-finite number")
def test_a_recorded_step_gives_nan_for_a_line_with_nan():
    x = np.random.default_rng(9).normal(size=(4, 5)).astype("f4")
    x[2, 1] = np.nan
    model = Middle()
    model.compile("sgd", "mse")
    got = model.predict(x, verbose=0)
    want = np.stack([np.median(x, 1), np.quantile(x, 0.3, axis=1)], 1)
    np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6)


def test_places_of_nan():
    nan = np.float32("nan")
    x = np.array([[nan, 0], [2, 9]], "f4")
    for edges in (np.array([1, 2, 3], "f4"), np.array([1, 2, nan, nan], "f4")):
        for side in ("left", "right"):
            got = ops.searchsorted(edges, x, side=side)
            np.testing.assert_array_equal(got, np.searchsorted(edges, x, side=side))
        np.testing.assert_array_equal(ops.searchsorted(edges, np.float16("nan")), sum(edges > 0))
    np.testing.assert_array_equal(ops.digitize(x, [1.0, 3.0]), np.digitize(x, [1.0, 3.0]))
    values, ids = ops.top_k(np.array([1, nan, 3, 3, nan], "f4"), 4)
    np.testing.assert_array_equal(values, [nan, nan, 3, 3])
    assert ids.numpy().tolist() == [1, 4, 2, 3]
