"""Normalization, Discretization and CategoryEncoding: what they learn from data."""

from __future__ import annotations

import numpy as np
import pytest

import densa

L = densa.layers
RNG = np.random.default_rng(5)
X = RNG.normal([3.0, -50.0, 2000.0], [2.0, 0.1, 30.0], (101, 3))
PARTS = [X[:40], X[40:41], X[41:]]


class Parts(densa.utils.PyDataset):
    def __len__(self):
        return 3

    def __getitem__(self, index):
        return PARTS[index], np.zeros(len(PARTS[index]))


KINDS = {
    "array": lambda: X,
    "float32": lambda: X.astype("float32"),
    "tensor": lambda: densa.asarray(X),
    "lists of numbers": lambda: X.tolist(),
    "list of batches": lambda: PARTS,
    "generator": lambda: (part for part in PARTS),
    "generator of x and y": lambda: ((part, part[:, :1]) for part in PARTS),
    "dataset": Parts,
    "with an empty batch": lambda: [PARTS[0], X[:0], X[40:]],
}


@pytest.mark.parametrize("kind", KINDS)
def test_normalization_adapts(kind):
    layer = L.Normalization(dtype="float64")
    layer.adapt(KINDS[kind]())
    tolerance = 1e-6 if kind == "float32" else 1e-12
    np.testing.assert_allclose(layer.mean.numpy(), X.mean(0, keepdims=True), rtol=tolerance)
    np.testing.assert_allclose(
        layer.variance.numpy(), X.var(0, keepdims=True), rtol=max(tolerance, 1e-10) * 100
    )
    y = layer(X).numpy()
    np.testing.assert_allclose(y, (X - X.mean(0)) / X.std(0), rtol=0, atol=tolerance * 1e5)
    assert [v.name for v in layer.non_trainable_variables] == ["mean", "variance"]
    assert layer.trainable_variables == []


@pytest.mark.parametrize("axis", [None, 1, -1, 2, (1, 2), [0, 1], []])
def test_normalization_axes(axis):
    x = RNG.normal(size=(4, 3, 5))
    layer = L.Normalization(axis, dtype="float64")
    layer.adapt(x)
    given = [] if axis is None else [axis] if isinstance(axis, int) else list(axis)
    others = tuple(a for a in range(3) if a not in [g % 3 for g in given])
    mean, deviation = x.mean(others, keepdims=True), x.std(others, keepdims=True)
    deviation = np.maximum(deviation, 1e-7)
    np.testing.assert_allclose(layer(x).numpy(), (x - mean) / deviation, rtol=1e-9, atol=1e-9)
    back = L.Normalization(axis, invert=True, dtype="float64")
    back.adapt(x)
    np.testing.assert_allclose(back(layer(x)).numpy(), x, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("shape", [(40,), (40, 1), (8, 5)])
def test_one_mean_for_everything_fits_any_rank(tmp_path, shape):
    x = RNG.normal(3.0, 2.0, 40).astype("float32")
    layer = L.Normalization(axis=None)
    layer.adapt(x.reshape(shape))
    assert layer.mean.shape == (1,) * len(shape)
    model = densa.Sequential([densa.Input((1,)), layer, L.Dense(1)])
    model.compile("sgd", "mse")
    model.fit(x, x, verbose=0)
    column = x[:, None]
    np.testing.assert_allclose(layer(column), (column - x.mean()) / x.std(), rtol=1e-4, atol=1e-5)
    layer.adapt(column + 1)
    np.testing.assert_allclose(layer(x).numpy().mean(), -1 / x.std(), rtol=1e-4)
    model.save(tmp_path / "net.densa")
    again = densa.models.load_model(tmp_path / "net.densa")
    np.testing.assert_array_equal(again.predict(x, verbose=0), model.predict(x, verbose=0))
    given = L.Normalization(axis=None, mean=3.0, variance=4.0)
    assert given(x).shape == (40,)
    assert given(column).shape == (40, 1)


def test_of_tuples_the_first_part_is_what_is_adapted_to():
    rows, labels = [[1.0, 2.0], [3.0, 6.0]], [0, 1]
    for data in (((rows, labels) for _ in range(2)), [(np.array(rows), None)], [(rows, 1)]):
        layer = densa.layers.Normalization()
        layer.adapt(data)
        np.testing.assert_allclose(layer.mean.numpy(), [[2.0, 4.0]])
    for several in ({"a": np.ones(2)}, ((np.ones(2), np.ones(2)), 1)):
        with pytest.raises(TypeError, match="batch 0 of adapt.. has several inputs"):
            densa.layers.Normalization().adapt(batch for batch in [several])
    with pytest.raises(ValueError, match="its rows differ in shape"):
        densa.layers.Normalization().adapt(batch for batch in [[[1.0], [2.0, 3.0]]])


def test_adapting_again_forgets():
    layer = L.Normalization()
    layer.adapt(X)
    layer.adapt(X[:2])
    np.testing.assert_allclose(layer.mean.numpy(), X[:2].mean(0, keepdims=True), rtol=1e-6)


def test_steps_end_a_stream_without_end():
    def endless():
        while True:
            yield X[:10]

    layer = L.Normalization()
    layer.adapt(endless(), steps=3)
    np.testing.assert_allclose(layer.mean.numpy(), X[:10].mean(0, keepdims=True), rtol=1e-6)
    bins = L.Discretization(num_bins=3)
    bins.adapt(endless(), steps=2)
    assert len(bins.bin_boundaries) == 2


def used_up():
    stream = iter(PARTS)
    list(stream)
    return stream


@pytest.mark.parametrize("make", [L.Normalization, lambda: L.Discretization(num_bins=3)])
@pytest.mark.parametrize(
    ("data", "error", "words"),
    [
        (lambda: X[:0], ValueError, "no data"),
        (list, ValueError, "no data"),
        (used_up, ValueError, "no data"),
        (lambda: "text", TypeError, "an array or an iterable"),
        (lambda: 5, TypeError, "an array or an iterable"),
        (lambda: {"a": X}, TypeError, "an array or an iterable"),
        (lambda: np.array([["a"]]), ValueError, "expected numbers"),
        (lambda: [X, np.array([["a"]])], ValueError, "batch 1"),
        (lambda: np.where(X > 2000, np.nan, X), ValueError, "NaN or infinity"),
    ],
)
def test_data_that_cannot_be_learned_from(make, data, error, words):
    layer = make()
    with pytest.raises(error, match=words):
        layer.adapt(data())
    if isinstance(layer, L.Normalization):
        layer.adapt(X)
        before = layer.get_weights()
        with pytest.raises(error, match=words):
            layer.adapt(data())
        for a, b in zip(before, layer.get_weights(), strict=True):
            np.testing.assert_array_equal(a, b)


def test_batches_must_fit():
    layer = L.Normalization()
    with pytest.raises(ValueError, match="do not fit each other"):
        layer.adapt([X, X[:, :2]])
    layer.build((None, 3))
    with pytest.raises(ValueError, match="was built for inputs of rank 2"):
        layer.adapt(X[:, :2])
    with pytest.raises(ValueError, match="was given its mean"):
        L.Normalization(mean=0.0, variance=1.0).adapt(X)
    with pytest.raises(ValueError, match="make it with `num_bins`"):
        L.Discretization([0.0]).adapt(X)
    with pytest.raises(TypeError, match="steps"):
        layer.adapt(X, steps=1.5)


def test_saved_and_loaded(tmp_path):
    model = densa.Sequential(
        [densa.Input((3,)), L.Normalization(), L.Discretization(num_bins=4), L.CategoryEncoding(4)]
    )
    model.layers[0].adapt(X)
    model.layers[1].adapt(model.layers[0](X))
    model.save(tmp_path / "model.densa")
    again = densa.saving.load_model(tmp_path / "model.densa")
    assert again.layers[1].bin_boundaries == model.layers[1].bin_boundaries
    np.testing.assert_array_equal(again.predict(X, verbose=0), model.predict(X, verbose=0))
    copy = densa.models.clone_model(model)
    assert copy.layers[1].num_bins == 4


def test_a_mixed_policy_standardizes_in_float32():
    layer = L.Normalization(dtype="mixed_bfloat16")
    layer.adapt(X)
    y = layer(X.astype("float32"))
    assert str(y.dtype) == "bfloat16"
    wanted = (X - X.mean(0)) / X.std(0)
    # Rounded once, at the end: read in 16 bits, 2000 ± 30 would have eight values.
    np.testing.assert_allclose(y.numpy().astype("float64"), wanted, rtol=2**-8, atol=1e-3)


# ---- bins ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("bins", [1, 2, 3, 10])
@pytest.mark.parametrize("kind", ["array", "generator", "dataset"])
def test_bins_are_quantiles(kind, bins):
    layer = L.Discretization(num_bins=bins, dtype="float64")
    layer.adapt(KINDS[kind]())
    values, n = np.sort(X.ravel()), X.size
    # The empirical distribution, (i + 1) / n at the i-th value, joined by straight lines.
    wanted = np.interp(np.arange(1, bins) / bins, np.arange(1, n + 1) / n, values)
    np.testing.assert_allclose(layer.bin_boundaries, wanted, rtol=1e-12)
    counts = np.bincount(layer(X).numpy().ravel(), minlength=bins)
    assert counts.sum() == n
    assert np.abs(counts - n / bins).max() <= 1


def test_bins_of_boundaries_and_of_odd_numbers():
    bounds = [-1.0, 0.0, 0.0, 2.5]
    layer = L.Discretization(bounds)
    x = np.array([[-2.0, -1.0, -0.5, 0.0, 2.4999998, 2.5, np.inf, -np.inf, np.nan]], "float32")
    y = layer(x)
    assert y.dtype == "int32"
    np.testing.assert_array_equal(y.numpy(), np.digitize(x, bounds))
    whole = np.array([[-5, 0, 3]], "int64")
    np.testing.assert_array_equal(layer(whole).numpy(), np.digitize(whole, bounds))
    assert layer(densa.KerasTensor((None, 3))).dtype == "int32"
    assert L.Discretization(num_bins=1).compute_output_shape((None, 2)) == (None, 2)


def test_config_of_bins_before_and_after_adapt():
    layer = L.Discretization(num_bins=3, output_mode="one_hot")
    assert L.Discretization.from_config(layer.get_config()).bin_boundaries is None
    layer.adapt(X)
    again = L.deserialize(L.serialize(layer))
    assert again.bin_boundaries == layer.bin_boundaries
    assert again.compute_output_shape((None, 1)) == (None, 3)


# ---- classes -------------------------------------------------------------------------------------


def test_count_weights():
    layer = L.CategoryEncoding(4, "count")
    ids, weights = np.array([[0, 3, 3], [1, 2, 1]]), np.array([[0.5, 2, 3], [1, 1, 0.25]])
    wanted = np.zeros((2, 4))
    for row in range(2):
        np.add.at(wanted[row], ids[row], weights[row])
    np.testing.assert_allclose(layer(ids, count_weights=weights).numpy(), wanted)


def test_ids_outside_of_the_classes():
    layer = L.CategoryEncoding(3)
    for wrong in ([[0, 3]], [[-1, 0]]):
        with pytest.raises(IndexError, match="ids go from 0 to 2"):
            layer(np.array(wrong))
    with pytest.raises(ValueError, match=r"\(CategoryEncoding\) must be whole numbers.* is 1\.5"):
        layer(np.array([[0.0, 1.5]]))
    np.testing.assert_array_equal(layer(np.array([[0.0, 2.0]])).numpy(), [[1, 0, 1]])
    np.testing.assert_array_equal(L.CategoryEncoding(3, "one_hot")(1).numpy(), [[0, 1, 0]])
    assert L.CategoryEncoding(3, "binary").output_mode == "multi_hot"  # as Keras 2 had it


def test_floating_ids_keep_their_digits_under_a_mixed_policy():
    layer = L.CategoryEncoding(600, "one_hot", dtype="mixed_bfloat16")
    ids = np.array([[257.0], [599.0]], "float32")  # bfloat16 has 256 and 258
    np.testing.assert_array_equal(layer(ids).numpy().argmax(1), [257, 599])


@pytest.mark.parametrize(("axis", "summed"), [(-1, (0, 1)), (1, (0, 2)), ((1, 2), 0), (None, None)])
def test_shown_mean_and_variance_broadcast_to_the_input(axis, summed):
    x = RNG.normal(size=(6, 4, 3)).astype("f4")
    layer = L.Normalization(axis=axis)
    assert layer.mean is None
    layer.adapt(x)
    mean, variance = x.mean(summed, keepdims=True), x.var(summed, keepdims=True)
    assert (layer.mean.shape, layer.variance.shape) == (mean.shape, variance.shape)
    np.testing.assert_allclose(layer.mean.numpy(), mean, atol=1e-6)
    np.testing.assert_allclose(layer.variance.numpy(), variance, rtol=1e-5)
    given = L.Normalization(mean=2.0, variance=4.0)
    given.build((None, 3))
    assert given.mean.numpy().tolist() == [[2.0, 2.0, 2.0]]
