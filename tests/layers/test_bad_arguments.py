"""What layers say of arguments and inputs that they cannot take."""

import numpy as np
import pytest

import densa

L = densa.layers
RNG = np.random.default_rng(20261122)


def data(*shape):
    return RNG.uniform(-3, 3, shape)


X = data(5, 6)
PAIR = [data(4, 3), data(4, 3)]


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: L.Dense(0), "units"),
        (lambda: L.Dense(2.5), "units"),
        (lambda: L.Dense(2, activation="rellu"), "Did you mean 'relu'"),
        (lambda: L.Dense(2, kernel_initializer="he_norml"), "Did you mean 'he_normal'"),
        (lambda: L.Dense(2, kernel_regularizer="l3"), "Unknown regularizer"),
        (lambda: L.Dense(2, kernel_constraint="maxnorm"), "Did you mean 'max_norm'"),
        (lambda: L.Dense(2, unit=3), "passed to Dense: .*Did you mean 'units'"),
        (lambda: L.Dense(2, name="a/b"), "cannot contain character"),
        (lambda: L.Dense(2, dtype="float16"), "mixed_float16"),
        (lambda: L.Dropout(1.5), "between 0 and 1"),
        (lambda: L.GaussianNoise(float("nan")), "float value >= 0"),
        (lambda: L.LeakyReLU(-1.0), "`negative_slope` must be at least 0"),
        (lambda: L.ReLU(-1.0), "`max_value` must be at least 0"),
        (lambda: L.Permute((1, 3)), "consecutive"),
        (lambda: L.Reshape((-1, -1)), "one may be -1"),
        (lambda: L.Embedding(0, 2), "`input_dim` must be at least 1"),
        (lambda: L.Add()(PAIR[0]), "list of inputs"),
        (lambda: L.Subtract()([*PAIR, PAIR[0]]), "exactly 2"),
        (lambda: L.Add()([data(2, 3), data(2, 4)]), "incompatible shapes"),
        (lambda: L.Concatenate(1)([data(2, 3, 4), data(2, 3, 5)]), "matching shapes"),
        (lambda: L.Reshape((5,))(X), "total size"),
        (lambda: L.Dense(2)(np.zeros(3, "float32")), "min_ndim=2, found ndim=1"),
        (lambda: L.BatchNormalization(axis=3)(X), "axis=3"),
        (lambda: L.RMSNormalization(axis=2)(X), "axis=2 does not fit samples"),
        (lambda: L.RMSNormalization(axis=0)(X), "axis=0 does not fit samples"),
        (lambda: L.RMSNormalization(epsilon=-1.0), "at least 0"),
        (lambda: L.UnitNormalization(axis=[1, -1])(X), "does not fit samples"),
        (lambda: L.PReLU(shared_axes=[2])(X), "axis=.2. does not fit samples"),
        (lambda: L.PReLU(shared_axes=[0])(X), "does not fit samples"),
        (lambda: L.PReLU()(densa.KerasTensor((None, None, 3))), "must have a known size"),
        (lambda: L.RReLU(0.5, 0.2), "must not exceed"),
        (lambda: L.RReLU(-0.1), "number >= 0"),
        (lambda: L.RReLU(upper=float("nan")), "number >= 0"),
        (lambda: L.RReLU(lowr=0.1), "Did you mean 'lower'"),
        (lambda: L.GaussianDropout(1.0), "below 1"),
        (lambda: L.Normalization(mean=1.0), "both `mean` and `variance`"),
        (lambda: L.Normalization(mean=[1.0], variance=[1.0, 2.0]), "same shape"),
        (lambda: L.Normalization(mean=1.0, variance=-1.0), "at least 0"),
        (lambda: L.Normalization(mean=[[1.0]], variance=[[1.0]]), "number of axes"),
        (lambda: L.Normalization(mean=[1.0, 2], variance=[1.0, 2])(X), "does not fit axis -1"),
        (lambda: L.Normalization(axis=2)(X), "axis=2"),
        (lambda: L.Normalization()(densa.KerasTensor((None, None))), "must have a known size"),
        (lambda: L.Discretization(), "either `num_bins` or"),
        (lambda: L.Discretization([0.0], 3), "either `num_bins` or"),
        (lambda: L.Discretization([1.0, 0.0]), "do not fall"),
        (lambda: L.Discretization(num_bins=0), "num_bins"),
        (lambda: L.Discretization([0.0], output_mode="onehot"), "Did you mean 'one_hot'"),
        (lambda: L.Discretization([0.0], sparse=True), "sparse"),
        (lambda: L.Discretization(num_bins=3)(X), "call its adapt"),
        (lambda: L.CategoryEncoding(), "num_tokens"),
        (lambda: L.CategoryEncoding(0), "num_tokens"),
        (lambda: L.CategoryEncoding(3, "mult_hot"), "Did you mean 'multi_hot'"),
        (lambda: L.CategoryEncoding(3)([[1]], count_weights=[[1.0]]), "not used when"),
        (
            lambda: L.CategoryEncoding(3, "count")(np.ones((2, 2), int), np.ones((2, 3))),
            "do not fit class numbers",
        ),
        (
            lambda: L.Dropout(True),
            "`rate` must be a number",
        ),
        (lambda: L.CategoryEncoding(3)(np.array([[np.nan]])), "Class numbers of layer"),
        (lambda: L.Dot(1)(X), "list of inputs"),
        (lambda: L.Dot(1)([X, X, X]), "exactly 2"),
        (lambda: L.Dot((1, 2, 3)), "two elements"),
        (lambda: L.Dot(0)(PAIR), "do not fit samples"),
        (lambda: L.Dot((1, 2))(PAIR), "do not fit samples"),
        (lambda: L.Dot(1)([data(2, 3), data(2, 4)]), "must be known and equal"),
        (lambda: L.Dense(2)(np.array([["a"]])), "cannot take an array"),
        (lambda: L.Dense(2)(densa.KerasTensor((None, None))), "must be known"),
        (lambda: L.GroupNormalization(0), "`groups`"),
        (lambda: L.GroupNormalization(4)(X), "must divide the number of channels, which is 6"),
        (lambda: L.GroupNormalization(2, axis=0)(X), "axis=0 does not fit samples"),
        (lambda: L.GroupNormalization(2)(densa.KerasTensor((None, None, 4))), "a known size"),
        (lambda: L.EinsumDense("ab->b", 4), "Invalid einsum equation"),
        (lambda: L.EinsumDense("...ab,bc->ac", 4), "Invalid einsum equation"),
        (lambda: L.EinsumDense("ab,bd->ac", 4), "does not fit"),
        (lambda: L.EinsumDense("ab,bc->ac", 4, bias_axes="b"), "'b' does not fit"),
        (lambda: L.EinsumDense("abc,cd->abd", 4)(data(2, 3, 4)), "must have 2 sizes"),
        (lambda: L.EinsumDense("ab,bc->ac", 4)(data(2, 3, 4)), "has not the axes 'ab'"),
        (lambda: L.EinsumDense("ab,bc->ac", None)(X), "size of axis 'c'"),
        (lambda: L.EinsumDense("abc,cd->abd", (2, 4))(data(2, 3, 4)), "has size 3 in the input"),
        (lambda: L.TimeDistributed(L.Dense(2))(X), "at least three axes"),
        (
            lambda: L.TimeDistributed(L.Dense(2))(densa.KerasTensor((None, None, 4))),
            "a known number of steps",
        ),
        (lambda: L.SpectralNormalization(L.ReLU())(X), "neither `kernel` nor `embeddings`"),
        (lambda: L.SpectralNormalization(L.Dense(2), 0), "power_iterations"),
    ],
)
def test_errors(make, words):
    with pytest.raises(ValueError, match=words):
        make()


@pytest.mark.parametrize(
    "make",
    [
        lambda: L.UnitNormalization("last"),
        lambda: L.RMSNormalization(1.5),
        lambda: L.LayerNormalization([1, "a"]),
        lambda: L.BatchNormalization(True),
        lambda: L.PReLU(shared_axes="1"),
        lambda: L.Dot("all"),
        lambda: L.GroupNormalization(2, axis=[1, 2]),
    ],
)
def test_axes_are_integers(make):
    with pytest.raises(TypeError, match="int"):
        make()


def test_wrong_width_names_layer_and_way_out():
    layer = L.Dense(2, name="head")
    layer(np.zeros((1, 4), "float32"))
    with pytest.raises(ValueError, match=r'"head".*axis -1.*value 4.*\(1, 5\).*Reshape'):
        layer(np.zeros((1, 5), "float32"))


@pytest.mark.parametrize("mode", ["multi_hot", "count", "one_hot"])
def test_no_class_numbers_at_all(mode):
    x = np.zeros((3, 0), "int32")
    due = np.zeros((3, 0, 4) if mode == "one_hot" else (3, 4), "float32")
    np.testing.assert_array_equal(L.CategoryEncoding(4, mode)(x).numpy(), due)
    model = densa.Sequential([densa.Input((0,), dtype="int32"), L.CategoryEncoding(4, mode)])
    np.testing.assert_array_equal(model.predict(x, verbose=0), due)


def test_class_numbers_out_of_range_name_the_layer():
    words = r"class numbers of layer 'kind' \(num_tokens=4\): id 7 .* ids go from 0 to 3"
    layer, x = L.CategoryEncoding(4, name="kind"), np.array([[1, 7]], "int32")
    with pytest.raises(IndexError, match=words):
        layer(x)
    model = densa.Sequential([densa.Input((2,), dtype="int32"), layer])
    with pytest.raises(IndexError, match=words):
        model.predict(x, verbose=0)
    model.add(L.Dense(1))
    model.compile("sgd", "mse")
    with pytest.raises(IndexError, match=words):
        model.fit(x, np.ones((1, 1)), verbose=0)
    with pytest.raises(IndexError, match=words):
        model.freeze()(x)
