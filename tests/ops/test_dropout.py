"""Dropout and random tensors: the masks are part of the contract, bit for bit."""

import numpy as np
import pytest

from densa import _core

MASK32, MASK64 = 2**32 - 1, 2**64 - 1


def philox(key, step, block):
    """Philox4x32-10 from its definition."""
    c = [block & MASK32, block >> 32, step & MASK32, step >> 32]
    k0, k1 = key & MASK32, key >> 32
    for _ in range(10):
        a, b = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [(b >> 32) ^ c[1] ^ k0, b & MASK32, (a >> 32) ^ c[3] ^ k1, a & MASK32]
        k0, k1 = (k0 + 0x9E3779B9) & MASK32, (k1 + 0xBB67AE85) & MASK32
    return c


def key_of(seed, stream):
    x = (seed + 0x9E3779B97F4A7C15 * (stream + 1)) & MASK64
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & MASK64
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & MASK64
    return x ^ (x >> 31)


def words(count, seed, stream, step):
    key = key_of(seed & MASK64, stream & MASK64)
    blocks = [philox(key, step, block) for block in range(-(-count // 4))]
    return np.array(blocks, np.uint64).reshape(-1)[:count]


def dropout(x, **attributes):
    return _core.apply("dropout", x, **attributes)


def test_philox_known_answers():
    """The published vectors of the generator."""
    assert philox(0, 0, 0) == [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]
    ones = philox(MASK64, MASK64, MASK64)
    assert ones == [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD]
    assert list(_core.testing.philox(0, 0, 0)) == philox(0, 0, 0)


def test_golden_mask():
    """These bits must never change: saved seeds would train differently."""
    y = dropout(np.ones((3, 7), np.float32), rate=0.5, seed=1, stream=2, step=3).numpy()
    assert ["".join("x" if v else "." for v in row) for row in y] == [
        "...x..x",
        "x.....x",
        "x.xx.xx",
    ]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", [(), (1,), (5,), (16,), (3, 7), (9, 33), (2, 3, 65), (0, 4)])
@pytest.mark.parametrize("rate", [0.0, 0.1, 0.5, 0.95])
def test_mask(dtype, shape, rate):
    x = np.random.default_rng(3).normal(size=shape).astype(dtype)
    for seed, stream, step in [(0, 0, 0), (77, 5, 12), (2**62 + 3, 2**40, 2**33 + 1)]:
        y = dropout(x, rate=rate, seed=seed, stream=stream, step=step)
        keep = words(x.size, seed, stream, step).reshape(shape) >= round(rate * 2**32)
        scaled = x * np.dtype(dtype).type(1 / (1 - rate))
        assert y.dtype == dtype
        np.testing.assert_array_equal(
            y.numpy(), np.where(keep, scaled, x.dtype.type(0)), strict=True
        )


def test_large_and_strided():
    """Split over threads, and read through strides: the index is the row-major one."""
    x = np.ones((403, 331), np.float32)
    attributes = {"rate": 0.25, "seed": 4, "stream": 1, "step": 2}
    y = dropout(x, **attributes).numpy()
    for row in (0, 1, 200, 402):
        first = row * 331
        key = key_of(4, 1)
        keep = [philox(key, 2, i // 4)[i % 4] >= 2**30 for i in range(first, first + 331)]
        np.testing.assert_array_equal(y[row] != 0, keep)
    assert abs(np.mean(y != 0) - 0.75) < 0.01
    turned = _core.apply("transpose", _core.from_numpy(np.ones((331, 403), np.float32)))
    np.testing.assert_array_equal(dropout(turned, **attributes).numpy(), y)


def test_dropped_values_leave_no_trace():
    x = np.full(1000, np.nan, np.float32)
    y = dropout(x, rate=0.5, seed=1, step=0).numpy()
    assert np.all((y == 0) | np.isnan(y))
    assert np.any(y == 0)


def test_draws_differ():
    x = np.ones(4096, np.float32)
    base = {"rate": 0.5, "seed": 1, "stream": 1, "step": 1}
    first = dropout(x, **base).numpy()
    np.testing.assert_array_equal(dropout(x, **base).numpy(), first)
    for change in ("seed", "stream", "step"):
        other = dropout(x, **{**base, change: 2}).numpy()
        assert 0.4 < np.mean(first != other) < 0.6


def test_gradient_is_the_same_mask():
    t = _core.from_numpy(np.random.default_rng(0).normal(size=(5, 9)))
    t.requires_grad = True
    y = dropout(t, rate=0.3, seed=2, stream=0, step=4)
    up = np.random.default_rng(1).normal(size=(5, 9))
    y.backward(_core.from_numpy(up))
    want = dropout(up, rate=0.3, seed=2, stream=0, step=4).numpy()
    np.testing.assert_array_equal(t.grad.numpy(), want)


@pytest.mark.parametrize("rate", [-0.1, 1.0, 2.0, float("nan")])
def test_rate_out_of_range(rate):
    with pytest.raises(ValueError, match="rate must be at least 0 and below 1"):
        dropout(np.ones(3, np.float32), rate=rate, seed=0, step=0)


def test_bad_step():
    with pytest.raises(ValueError, match="step must be at least 0"):
        dropout(np.ones(3, np.float32), rate=0.1, seed=0, step=-2)


# ---- random tensors ----


def test_uniform_bits():
    u = _core.apply("random_uniform", shape=[3, 5], seed=9, stream=1, step=2).numpy()
    want = (words(15, 9, 1, 2) >> np.uint64(8)) * 2.0**-24
    np.testing.assert_array_equal(u, want.reshape(3, 5).astype(np.float32), strict=True)
    u = _core.apply("random_uniform", shape=[5], dtype="float64", seed=9, stream=1, step=2).numpy()
    pairs = words(12, 9, 1, 2).reshape(-1, 2)
    want = (((pairs[:, 0] << np.uint64(32)) | pairs[:, 1]) >> np.uint64(11)) * 2.0**-53
    np.testing.assert_array_equal(u, want[:5], strict=True)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_uniform_range(dtype):
    u = _core.apply(
        "random_uniform", shape=[200, 300], dtype=dtype, seed=1, step=0, low=-2.0, high=3.0
    ).numpy()
    assert u.min() >= -2
    assert u.max() < 3
    assert abs(u.mean() - 0.5) < 0.03
    same = _core.apply("random_uniform", shape=[4], seed=1, step=0, low=2, high=2).numpy()
    np.testing.assert_array_equal(same, 2)
    # One float above low: rounding must not give high.
    low, high = 1.0, float(np.nextafter(np.float32(1), np.float32(2)))
    close = _core.apply("random_uniform", shape=[1000], seed=1, step=0, low=low, high=high).numpy()
    np.testing.assert_array_equal(close, np.float32(1))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_normal(dtype):
    x = _core.apply(
        "random_normal", shape=[100_001], dtype=dtype, seed=5, step=0, mean=1.0, stddev=2.0
    ).numpy()
    assert x.dtype == dtype
    assert abs(x.mean() - 1) < 0.03
    assert abs(x.std() - 2) < 0.03
    pairs = words(4, 5, 0, 0).reshape(-1, 2)
    u, v = (((pairs[:, 0] << np.uint64(32)) | pairs[:, 1]) >> np.uint64(11)) * 2.0**-53
    radius = np.sqrt(-2 * np.log(1 - u))
    want = 1 + 2 * radius * np.array([np.cos(2 * np.pi * v), np.sin(2 * np.pi * v)])
    np.testing.assert_allclose(x[:2], want, rtol=1e-6)


@pytest.mark.parametrize(
    ("op", "attributes", "error", "message"),
    [
        ("random_uniform", {"low": 2.0, "high": 1.0}, ValueError, "low must not exceed high"),
        ("random_normal", {"stddev": -1.0}, ValueError, "stddev must be at least 0"),
        ("random_normal", {"dtype": "int32"}, TypeError, "float32 or float64"),
        ("random_uniform", {"shape": [2, -3]}, ValueError, "negative size"),
        ("random_uniform", {"step": -2}, ValueError, "step must be at least 0"),
        ("random_uniform", {"every": 2, "use": 2}, ValueError, "use must lie in 0 .* 2 of 2"),
    ],
)
def test_random_errors(op, attributes, error, message):
    with pytest.raises(error, match=message):
        _core.apply(op, **{"shape": [3], "seed": 0, "step": 0, **attributes})
