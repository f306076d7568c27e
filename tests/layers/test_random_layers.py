"""Dropout and noise: share, scale, seeds; initializers and `densa.random`."""

from __future__ import annotations

import numpy as np
import pytest

import densa

L = densa.layers
ONES = np.ones((200, 50), "float32")


@pytest.mark.parametrize("rate", [0.2, 0.5, 0.75])
def test_dropout_share_and_scale(rate):
    y = L.Dropout(rate, seed=1)(ONES, training=True).numpy()
    assert set(np.unique(y)) == {np.float32(0), np.float32(1 / (1 - rate))}
    assert np.mean(y == 0) == pytest.approx(rate, abs=0.02)


def test_dropout_of_three_quarters_multiplies_by_four():  # G17
    y = L.Dropout(0.75, seed=3)(ONES, training=True).numpy()
    assert y.max() == 4.0


def test_dropout_edges():
    np.testing.assert_array_equal(L.Dropout(0.0)(ONES, training=True).numpy(), ONES)
    for kind in (L.Dropout, L.AlphaDropout, L.GaussianDropout):
        with pytest.raises(ValueError, match="'d': `rate` .* below 1; received 1.0. Everything"):
            kind(1.0, name="d")
        with pytest.raises(ValueError, match="below 1; received 1"):
            kind.from_config({**kind(0.5).get_config(), "rate": 1})
        layer = kind.from_config(kind(0.999).get_config())
        assert layer.rate == 0.999
    np.testing.assert_array_equal(L.Dropout(0.5)(ONES).numpy(), ONES)


def test_dropout_seeds():
    a, b = L.Dropout(0.5, seed=5), L.Dropout(0.5, seed=5)
    first = a(ONES, training=True).numpy()
    np.testing.assert_array_equal(first, b(ONES, training=True).numpy())
    assert np.any(first != a(ONES, training=True).numpy())
    assert np.any(first != L.Dropout(0.5, seed=6)(ONES, training=True).numpy())
    densa.utils.set_random_seed(1)
    one, two = L.Dropout(0.5), L.Dropout(0.5)
    first, second = one(ONES, training=True).numpy(), two(ONES, training=True).numpy()
    assert np.any(first != second)
    densa.utils.set_random_seed(1)
    one, two = L.Dropout(0.5), L.Dropout(0.5)
    np.testing.assert_array_equal(first, one(ONES, training=True).numpy())
    np.testing.assert_array_equal(second, two(ONES, training=True).numpy())


def test_dropout_noise_shape():
    y = L.Dropout(0.5, noise_shape=(None, 1), seed=2)(ONES, training=True).numpy()
    assert np.all(y == y[:, :1])
    assert 0.3 < np.mean(y == 0) < 0.7


def test_alpha_dropout_keeps_mean_and_variance():
    x = np.random.default_rng(0).normal(size=(2000, 50)).astype("float32")
    y = L.AlphaDropout(0.3, seed=1)(x, training=True).numpy()
    assert y.mean() == pytest.approx(0, abs=0.02)
    assert y.std() == pytest.approx(1, abs=0.02)


def test_noise():
    y = L.GaussianNoise(0.5, seed=1)(ONES, training=True).numpy() - 1
    assert y.std() == pytest.approx(0.5, rel=0.05)
    assert y.mean() == pytest.approx(0, abs=0.02)
    y = L.GaussianDropout(0.2, seed=1)(ONES, training=True).numpy()
    assert y.std() == pytest.approx(0.5, rel=0.05)
    assert y.mean() == pytest.approx(1, abs=0.02)


def test_rrelu_draws_slopes_while_training():
    x = np.concatenate([-ONES, ONES])
    layer = L.RReLU(0.1, 0.4, seed=1)
    y = layer(x, training=True).numpy()
    slopes = -y[: len(ONES)]
    assert 0.1 <= slopes.min() < 0.101
    assert 0.399 < slopes.max() <= 0.4
    assert slopes.mean() == pytest.approx(0.25, abs=0.002)  # deviation 0.3 / sqrt(12 · 10000)
    np.testing.assert_array_equal(y[len(ONES) :], ONES)
    np.testing.assert_allclose(layer(x).numpy()[: len(ONES)], -0.25 * ONES, rtol=1e-6)
    again = L.RReLU(0.1, 0.4, seed=1)
    np.testing.assert_array_equal(again(x, training=True).numpy(), y)
    assert np.any(again(x, training=True).numpy() != y)


# ---- initializers --------------------------------------------------------------------------------

init = densa.initializers
SHAPE = (300, 200)
SCALED = {  # name → variance wanted
    "glorot_uniform": 2 / 500,
    "glorot_normal": 2 / 500,
    "he_uniform": 2 / 300,
    "he_normal": 2 / 300,
    "lecun_uniform": 1 / 300,
    "lecun_normal": 1 / 300,
    "random_normal": 0.05**2,
    "random_uniform": 0.1**2 / 12,
}


@pytest.mark.parametrize("name", SCALED)
def test_variance(name):
    w = type(init.get(name))(seed=1)(SHAPE, dtype="float64").numpy()
    assert w.var() == pytest.approx(SCALED[name], rel=0.02)
    assert w.mean() == pytest.approx(0, abs=3 * np.sqrt(SCALED[name] / w.size))


def test_bounds():
    w = init.GlorotUniform(seed=1)(SHAPE).numpy()
    limit = np.sqrt(6 / 500)
    assert 0.99 * limit < np.abs(w).max() <= limit
    w = init.TruncatedNormal(seed=1)(SHAPE).numpy()
    assert 0.09 < np.abs(w).max() <= 0.1
    w = init.HeNormal(seed=1)(SHAPE, dtype="float64").numpy()
    assert np.abs(w).max() <= 2 * np.sqrt(2 / 300) / 0.8796


def test_variance_scaling():
    w = init.VarianceScaling(2.0, "fan_avg", "uniform", seed=1)(SHAPE, dtype="float64").numpy()
    assert w.var() == pytest.approx(2 / 250, rel=0.02)
    w = init.VarianceScaling(1.0, "fan_out", "untruncated_normal", seed=1)(SHAPE).numpy()
    assert w.var() == pytest.approx(1 / 200, rel=0.03)
    for bad in ({"scale": 0}, {"mode": "fan"}, {"distribution": "beta"}):
        with pytest.raises(ValueError):
            init.VarianceScaling(**bad)


def test_deterministic_ones():
    np.testing.assert_array_equal(init.Zeros()((2, 3)).numpy(), np.zeros((2, 3)))
    np.testing.assert_array_equal(init.Ones()((2, 3)).numpy(), np.ones((2, 3)))
    np.testing.assert_array_equal(init.Constant(0.5)((2,)).numpy(), [0.5, 0.5])
    np.testing.assert_array_equal(init.Identity(2.0)((2, 3)).numpy(), 2 * np.eye(2, 3))
    for shape in ((4, 4), (6, 3), (3, 6)):
        q = init.Orthogonal(seed=1)(shape, dtype="float64").numpy()
        small = q @ q.T if shape[0] <= shape[1] else q.T @ q
        np.testing.assert_allclose(small, np.eye(min(shape)), atol=1e-12)


@pytest.mark.parametrize("name", [*SCALED, "truncated_normal", "orthogonal", "variance_scaling"])
def test_seeds_and_configs(name):
    cls = type(init.get(name))
    a, b = cls(seed=3), cls(seed=3)
    np.testing.assert_array_equal(a((7, 5)).numpy(), b((7, 5)).numpy())
    np.testing.assert_array_equal(a((7, 5)).numpy(), a((7, 5)).numpy())
    assert np.any(cls(seed=4)((7, 5)).numpy() != a((7, 5)).numpy())
    again = init.deserialize(init.serialize(a))
    np.testing.assert_array_equal(again((7, 5)).numpy(), a((7, 5)).numpy())
    assert np.any(cls()((7, 5)).numpy() != cls()((7, 5)).numpy())
    densa.utils.set_random_seed(9)
    first = cls()((7, 5)).numpy()
    densa.utils.set_random_seed(9)
    np.testing.assert_array_equal(first, cls()((7, 5)).numpy())


def test_bits_are_fixed():
    """The same seed gives the same bits in every version; these were computed once."""
    w = init.GlorotUniform(seed=42)((2, 2), dtype="float64").numpy()
    bits = np.random.Philox(key=np.array([42, 0], dtype=np.uint64)).random_raw(4)
    limit = np.sqrt(6 / 4)
    np.testing.assert_array_equal(w.ravel(), limit * (2 * ((bits >> np.uint64(11)) / 2**53) - 1))


def test_own_initializers():
    layer = L.Dense(2, kernel_initializer=lambda shape, dtype: np.full(shape, 3.0, dtype))
    layer.build((None, 2))
    np.testing.assert_array_equal(layer.kernel.numpy(), np.full((2, 2), 3.0))

    class Half(init.Initializer):
        def __call__(self, shape, dtype=None):
            return densa.random.uniform(shape, 0.5, 0.5 + 1e-9, dtype=dtype)

    layer = L.Dense(2, kernel_initializer=Half())
    layer.build((None, 2))
    np.testing.assert_allclose(layer.kernel.numpy(), np.full((2, 2), 0.5), rtol=1e-6)


def test_equal_start_stays_equal_but_random_start_does_not():
    assert np.ptp(L.Dense(3, kernel_initializer="ones")(ONES).numpy(), axis=1).max() == 0
    assert np.ptp(L.Dense(3)(ONES).numpy(), axis=1).min() > 0


def test_standard_normal_weights_widen_by_the_root_of_the_inputs():
    x = np.random.default_rng(2).normal(size=(4000, 100))
    layer = L.Dense(64, kernel_initializer=init.RandomNormal(stddev=1.0, seed=1), dtype="float64")
    assert layer(x).numpy().std() == pytest.approx(10, rel=0.02)


def test_selu_keeps_mean_and_deviation_over_fifty_layers():
    x = np.random.default_rng(3).normal(size=(500, 256)).astype("float32")
    for i in range(50):
        x = L.Dense(256, "selu", kernel_initializer=init.LecunNormal(seed=i))(x).numpy()
    assert abs(x.mean()) < 0.15
    assert abs(x.std() - 1) < 0.15


# ---- densa.random --------------------------------------------------------------------------------


def test_functions():
    r = densa.random
    np.testing.assert_array_equal(r.normal((4,), seed=1).numpy(), r.normal((4,), seed=1).numpy())
    generator = r.SeedGenerator(1)
    assert np.any(r.normal((4,), seed=generator).numpy() != r.normal((4,), seed=generator).numpy())
    assert r.uniform((1000,), 2.0, 3.0, seed=1).numpy().min() >= 2.0
    picks = r.randint((1000,), 0, 3, seed=1).numpy()
    assert set(picks) == {0, 1, 2}
    assert np.abs(r.truncated_normal((1000,), seed=1).numpy()).max() <= 2
    assert sorted(r.shuffle(np.arange(9), seed=1).numpy()) == list(range(9))
    counts = np.bincount(r.categorical(np.log([[0.2, 0.8]]), 5000, seed=1).numpy()[0])
    assert counts[1] / 5000 == pytest.approx(0.8, abs=0.03)
    with pytest.raises(ValueError, match="non-negative integer"):
        r.SeedGenerator(-1)
    densa.utils.set_random_seed(4)
    a = r.normal((3,)).numpy()
    densa.utils.set_random_seed(4)
    np.testing.assert_array_equal(a, r.normal((3,)).numpy())


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        *(("gamma", (a,)) for a in (0.05, 0.7, 1.0, 30.0)),
        *(("beta", pair) for pair in ((0.3, 0.2), (1.0, 1.0), (50.0, 3.0))),
        *(("binomial", pair) for pair in ((7, 0.3), (100, 0.02), (10**6, 0.4), (50, 0.0), (50, 1))),
    ],
)
def test_distributions(name, arguments):
    """By the distance of distributions (Kolmogorov, Smirnov), or by counts; the seed is fixed."""
    from scipy import special

    draw = getattr(densa.random, name)
    x = draw((4000,), *arguments, dtype="float64", seed=5).numpy()
    np.testing.assert_array_equal(x, draw((4000,), *arguments, dtype="float64", seed=5).numpy())
    if name != "binomial":
        below = {"gamma": special.gammainc, "beta": special.betainc}[name](*arguments, np.sort(x))
        ranks = np.arange(4001) / 4000
        far = max((ranks[1:] - below).max(), (below - ranks[:-1]).max())
        assert far < 1.63 / np.sqrt(4000)  # what 99 of 100 samples keep
        return
    n, p = arguments
    mean, spread = n * p, np.sqrt(n * p * (1 - p))
    assert (x == np.floor(x)).all()
    for at in np.floor([mean, mean + spread]):  # shares of 4000 vary by 0.008
        share = special.bdtr(at, n, p) if at < n else 1.0
        assert (x <= at).mean() == pytest.approx(share, abs=0.03)
    assert x.mean() == pytest.approx(mean, abs=4 * spread / np.sqrt(4000) + 1e-9)
    assert x.var() == pytest.approx(spread**2, rel=0.1, abs=1e-9)


def test_parameters_of_distributions():
    r = densa.random
    x = r.binomial((2000, 3), [0, 5, 200], [[0.5, 1.0, 0.1]], seed=1).numpy()
    assert x.dtype == "float32"
    assert (x[:, 0] == 0).all()
    assert (x[:, 1] == 5).all()
    assert x[:, 2].mean() == pytest.approx(20, abs=0.5)
    x = r.gamma((3, 2000), [[0.5], [2.0], [9.0]], seed=2).numpy()
    np.testing.assert_allclose(x.mean(1), [0.5, 2.0, 9.0], rtol=0.1)
    for a in (1e-4, 1e4):
        tiny = r.beta((1000,), a, a, seed=3).numpy()
        assert ((tiny >= 0) & (tiny <= 1)).all()
        assert tiny.mean() == pytest.approx(0.5, abs=0.05)
    assert r.gamma((0,), 2.0, seed=1).shape == (0,)
    generator = r.SeedGenerator(1)
    assert (r.gamma((4,), 2.0, seed=generator) != r.gamma((4,), 2.0, seed=generator)).numpy().any()
    for match, call in [
        ("alpha must be finite and above 0", lambda: r.gamma((2,), [1.0, 0.0])),
        ("beta must be finite and above 0", lambda: r.beta((2,), 1.0, np.nan)),
        (r"alpha of shape \(3,\) does not stretch", lambda: r.gamma((2,), [1.0, 1.0, 1.0])),
        ("whole numbers from 0", lambda: r.binomial((2,), 1.5, 0.5)),
        ("between 0 and 1", lambda: r.binomial((2,), 2, 1.5)),
    ]:
        with pytest.raises(ValueError, match=match):
            call()
