"""Where results lie: new tensors where set_device says, results of ops where their inputs lie."""

import inspect
import warnings

import numpy as np
import pytest

import densa
from densa import _core, layers, ops
from densa.utils import tree

if densa.get_device() == "cpu":
    pytest.skip("needs DENSA_TEST_DEVICE=cuda", allow_module_level=True)

GPU = densa.get_device()
FLOATS = ["float16", "bfloat16", "float32", "float64"]


def devices(result):
    found = {x.device for x in tree.flatten(result) if isinstance(x, _core.Tensor)}
    assert found
    return found


# ---- making ----------------------------------------------------------------------------------

MAKING = {
    "zeros": lambda dtype: ops.zeros((2, 3), dtype),
    "ones": lambda dtype: ops.ones((2, 3), dtype),
    "empty": lambda dtype: ops.empty((2, 3), dtype),
    "full": lambda dtype: ops.full((2, 3), 2, dtype),
    "arange": lambda dtype: ops.arange(1, 4, dtype=dtype),
    "linspace": lambda dtype: ops.linspace(0, 4, 5, dtype=dtype),
    "eye": lambda dtype: ops.eye(2, 3, dtype=dtype),
    "identity": lambda dtype: ops.identity(2, dtype=dtype),
    "array": lambda dtype: ops.array([1, 2], dtype=dtype),
    "convert_to_tensor": lambda dtype: ops.convert_to_tensor([1, 2], dtype=dtype),
    "asarray": lambda dtype: densa.asarray(np.ones(2, "int64"), dtype),
    "zeros_like": lambda dtype: ops.zeros_like([1.0, 2.0], dtype),
    "ones_like": lambda dtype: ops.ones_like([1.0, 2.0], dtype),
    "full_like": lambda dtype: ops.full_like([1.0, 2.0], 7, dtype),
    "one_hot": lambda dtype: ops.one_hot([1, 0], 3, dtype=dtype),
    "multi_hot": lambda dtype: ops.multi_hot([[1, 0]], 3, dtype=dtype),
    "cast": lambda dtype: ops.cast([1, 2], dtype),
}
DRAWING = {
    "normal": lambda dtype: densa.random.normal((2, 3), dtype=dtype, seed=1),
    "truncated_normal": lambda dtype: densa.random.truncated_normal((2, 3), dtype=dtype, seed=1),
    "gamma": lambda dtype: densa.random.gamma((2, 3), 2.0, dtype=dtype, seed=1),
    "beta": lambda dtype: densa.random.beta((2, 3), 2.0, 3.0, dtype=dtype, seed=1),
    "binomial": lambda dtype: densa.random.binomial((2, 3), 9, 0.5, dtype=dtype, seed=1),
    "uniform": lambda dtype: densa.random.uniform((2, 3), dtype=dtype, seed=1),
    "dropout": lambda dtype: densa.random.dropout(ops.ones((2, 3), dtype), 0.5, seed=1),
    "shuffle": lambda dtype: densa.random.shuffle(ops.ones((2, 3), dtype), seed=1),
    "initializer": lambda dtype: densa.initializers.get("glorot_uniform")((2, 3), dtype=dtype),
}


@pytest.mark.parametrize("name", [*MAKING, *DRAWING])
@pytest.mark.parametrize("dtype", [*FLOATS, "int32", "bool"])
def test_new_tensors(name, dtype):
    if name in DRAWING and dtype in ("int32", "bool"):
        pytest.skip("draws floats")
    made = (MAKING | DRAWING)[name](dtype)
    assert (made.device, made.dtype) == (GPU, dtype)
    if name not in DRAWING:
        densa.set_device("cpu")
        try:
            here = MAKING[name](dtype)
        finally:
            densa.set_device(GPU)
        assert here.device == "cpu"
        np.testing.assert_array_equal(made.numpy(), here.numpy(), strict=True)


def test_windows():
    assert {getattr(ops, name)(4).device for name in WINDOWS} == {GPU}
    assert ops.kaiser(4, 8.0).device == GPU


def test_new_integers_of_random():
    assert densa.random.randint((4,), 0, 10, seed=1).device == GPU
    assert densa.random.categorical([[0.0, 0.0]], 5, seed=1).device == GPU
    assert densa.random.shuffle([3, 1, 2], seed=1).device == GPU
    assert densa.random.dropout(np.ones((2, 3), "float32"), 0.5, (2, 1), seed=1).device == GPU


# ---- all ops ---------------------------------------------------------------------------------

X, IDS, LOGITS = np.array([[1.0, 2.0], [3.0, 4.0]], "float32"), np.array([1, 0]), np.eye(2)
NO_TENSOR = {"is_tensor", "convert_to_numpy", "shape", "ndim", "size", "dtype"}
MAKING_ALONE = {"zeros", "ones", "empty", "full", "arange", "linspace", "eye", "identity"}
MAKING_ALONE |= {"tri", "logspace", "geomspace"}
WINDOWS = ["bartlett", "blackman", "hamming", "hanning"]
MAKING_ALONE |= {*WINDOWS, "kaiser"}
INTEGERS = ("bitwise_and", "bitwise_or", "bitwise_xor", "bitwise_left_shift", "left_shift",
            "bitwise_right_shift", "right_shift", "gcd", "lcm")  # fmt: skip
ARGUMENTS = {  # behind the first one, which is X unless FIRST says otherwise
    "transpose": (),
    "cast": ("float64",),
    "clip": (0.0, 2.0),
    "full_like": (7.0,),
    "reshape": ((4,),),
    "swapaxes": (0, 1),
    "moveaxis": (0, 1),
    "expand_dims": (0,),
    "broadcast_to": ((3, 2, 2),),
    "pad": (((1, 1), (0, 0)), "constant", 2.0),
    "split": (2,),
    "tile": ((2, 1),),
    "repeat": (2,),
    "roll": (1,),
    "take": (IDS, 0),
    "take_along_axis": (IDS[:, None], 1),
    "slice": ((0, 0), (1, 2)),
    "tensordot": (X,),
    "outer": (X,),
    "vdot": (X,),
    "where": (),
    "moments": ([0],),
    "one_hot": (3,),
    "multi_hot": (3,),
    "in_top_k": (LOGITS, 1),
    "threshold": (1.0, 0.0),
    "binary_crossentropy": (X / 8,),
    "categorical_crossentropy": (X / 8,),
    "sparse_categorical_crossentropy": (LOGITS,),
    "batch_normalization": (X[0], X[1], -1),
    "psnr": (X, 1.0),
    "max": (None, False, 9.0),
    "array_split": (2,),
    "layer_normalization": (),
    "quantile": (0.5,),
    "searchsorted": (X,),
    "digitize": (X[0],),
    "segment_sum": (IDS, 2),
    "slice_update": ((0, 0), X[:1]),
    "top_k": (1,),
    "argpartition": (1,),
    "correlate": (X[1],),
    "dsplit": (2,),
    "hsplit": (2,),
    "vsplit": (2,),
    "get_item": ((0, 1),),
    "ldexp": (IDS,),
    "nanquantile": (0.5,),
    "rearrange": ("a b -> b a",),
    "saturate_cast": ("int8",),
    "scatter": (X, (3, 2)),
    "scatter_update": (IDS[:, None], X),
    **dict.fromkeys(("segment_max", "segment_min", "segment_prod"), (IDS, 2)),
    "unravel_index": ((2, 2),),
    **dict.fromkeys(INTEGERS, (IDS,)),
}
# How those are called that take functions or tuples.
CALLS = {
    "associative_scan": lambda x: ops.associative_scan(ops.add, x),
    "bitwise_invert": lambda x: ops.bitwise_invert(x),
    "bitwise_not": lambda x: ops.bitwise_not(x),
    "cond": lambda x: ops.cond(True, lambda: ops.exp(x), lambda: ops.add(x, 1)),
    **{
        name: lambda x, f=name: getattr(ops, f)((x, x))
        for name in ("fft", "fft2", "ifft2", "irfft")
    },
    "fori_loop": lambda x: ops.fori_loop(0, 2, lambda _, state: ops.add(state, state), x),
    "ifft": lambda x: ops.ifft((x, x)),
    "jvp": lambda x: ops.jvp(ops.square, (x,), (x,)),
    "map": lambda x: ops.map(ops.square, x),
    "scan": lambda x: ops.scan(lambda state, row: (ops.add(state, row), row), ops.sum(x, 0), x),
    "switch": lambda x: ops.switch(0, [ops.square, ops.exp], x),
    "vectorize": lambda x: ops.vectorize(ops.square)(x),
    "vectorized_map": lambda x: ops.vectorized_map(ops.square, x),
    "while_loop": lambda x: ops.while_loop(
        lambda state: ops.sum(state) < 100, lambda state: (ops.add(state, state),), (x,)
    ),
}
FIRST = {
    "cholesky": X + 4 * np.eye(2, dtype="float32"),
    "correlate": X[0],
    "dsplit": X[None],
    "scatter": IDS[:, None],
    "unravel_index": IDS,
    "vander": X[0],
    **dict.fromkeys(("bitwise_invert", "bitwise_not", *INTEGERS), IDS),
    "bincount": IDS,
    "searchsorted": X[0],
    "one_hot": IDS,
    "multi_hot": IDS[None],
    "in_top_k": IDS,
    "sparse_categorical_crossentropy": IDS,
    "squeeze": X[None],
    "where": X > 2,
}
ALL_OPS = sorted(set(ops.__all__) - NO_TENSOR - MAKING_ALONE - {"array", "convert_to_tensor"})
SEVERAL = {"concatenate", "stack", "hstack", "vstack"}


def call(name, first):
    if name in SEVERAL:
        return getattr(ops, name)([first, X])
    function = getattr(ops, name)
    if name in CALLS:
        return CALLS[name](first)
    if name == "einsum":
        return function("ab,bc->ac", first, X)
    if name == "select":
        return function([first], [X], 0.0)
    given = ARGUMENTS.get(name)
    if given is None:
        known = inspect.signature(function).parameters.values()
        given = (X,) * (sum(p.default is p.empty for p in known) - 1)
    return function(first, *given)


@pytest.mark.parametrize("name", [*ALL_OPS, "array", "convert_to_tensor"])
def test_every_op(name):
    first = FIRST.get(name, X)
    assert devices(call(name, first)) == {GPU}, "arrays go where set_device says"
    here = _core.from_numpy(np.ascontiguousarray(first))
    there = here.to(GPU)
    assert devices(call(name, there)) == {GPU}
    if name in ("array", "convert_to_tensor"):
        return
    densa.set_device("cpu")
    try:
        assert devices(call(name, there)) == {GPU}, "beside a tensor of the GPU"
    finally:
        densa.set_device(GPU)


@pytest.mark.parametrize("name", ALL_OPS)
def test_a_tensor_of_the_cpu_stays_there(name):
    """Nobody asked for the GPU: an array beside it does not draw it there."""
    first = _core.from_numpy(np.ascontiguousarray(FIRST.get(name, X)))
    assert devices(call(name, first)) == {"cpu"}


def test_numbers_alone():
    assert ops.exp(1.0).device == GPU
    assert ops.add(1, 2.5).device == GPU
    assert ops.add(1, 2.5).item() == 3.5
    assert ops.where(True, 1, 2).item() == 1


def test_what_numpy_computes():
    x = densa.asarray(X)
    assert np.cumsum(x, axis=0).device == GPU
    assert x[x > 2].device == GPU
    assert (densa.asarray([5]) & densa.asarray([4])).device == GPU
    assert np.cumsum(x.to("cpu"), axis=0).device == "cpu"


NO_ACTIVATION = {"get", "serialize", "deserialize", "fused_name"}


@pytest.mark.parametrize("name", sorted(set(densa.activations.__all__) - NO_ACTIVATION))
def test_activations(name):
    y = getattr(densa.activations, name)(X, *ARGUMENTS.get(name, ()))
    assert y is X if name == "linear" else y.device == GPU


# ---- layers ----------------------------------------------------------------------------------

LAYERS = {
    "Activation": lambda: layers.Activation("relu"),
    "ActivityRegularization": lambda: layers.ActivityRegularization(l2=0.1),
    "AlphaDropout": lambda: layers.AlphaDropout(0.5),
    "CategoryEncoding": lambda: layers.CategoryEncoding(4),
    "CenterCrop": lambda: layers.CenterCrop(2, 2),
    "Dense": lambda: layers.Dense(3),
    "Discretization": lambda: layers.Discretization([0.5, 2.0]),
    "Dot": lambda: layers.Dot(1),
    "Dropout": lambda: layers.Dropout(0.5),
    "GaussianDropout": lambda: layers.GaussianDropout(0.5),
    "GaussianNoise": lambda: layers.GaussianNoise(0.5),
    "EinsumDense": lambda: layers.EinsumDense("ab,bc->ac", 3),
    "GroupNormalization": lambda: layers.GroupNormalization(1),
    "SpectralNormalization": lambda: layers.SpectralNormalization(layers.Dense(3)),
    "WeightNormalization": lambda: layers.WeightNormalization(layers.Dense(3)),
    "SpatialDropout1D": lambda: layers.SpatialDropout1D(0.5),
    "RepeatVector": lambda: layers.RepeatVector(2),
    "Hashing": lambda: layers.Hashing(4),
    "HashedCrossing": lambda: layers.HashedCrossing(4),
    "IntegerLookup": lambda: layers.IntegerLookup(vocabulary=[0, 1]),
    "StringLookup": lambda: layers.StringLookup(vocabulary=["a", "b"]),
    "TextVectorization": lambda: layers.TextVectorization(vocabulary=["a", "b"]),
    "Lambda": lambda: layers.Lambda(lambda x: x * 2),
    "Permute": lambda: layers.Permute((1,)),
    "RandomBrightness": lambda: layers.RandomBrightness(0.2),
    "RandomContrast": lambda: layers.RandomContrast(0.2),
    "RandomCrop": lambda: layers.RandomCrop(2, 2),
    "RandomRotation": lambda: layers.RandomRotation(0.2),
    "RandomTranslation": lambda: layers.RandomTranslation(0.2, 0.2),
    "RandomZoom": lambda: layers.RandomZoom(0.2),
    "Rescaling": lambda: layers.Rescaling(np.array([2.0, 3.0]), [1.0, 2.0]),
    "Reshape": lambda: layers.Reshape((2, 1)),
    "Resizing": lambda: layers.Resizing(2, 2),
}
ALL = [
    name
    for name in layers.__all__
    if isinstance(getattr(layers, name), type)
    and name not in ("Input", "InputLayer", "InputSpec", "Layer", "Wrapper")
]


def layer_call(name, **kwargs):
    layer = LAYERS[name]() if name in LAYERS else None
    if name == "TimeDistributed":
        return layers.TimeDistributed(layers.Dense(3)), X[None]
    if name == "Embedding":
        return layers.Embedding(4, 3), IDS
    if isinstance(getattr(layers, name), type) and layer is None:
        layer = getattr(layers, name)()
    if name in ("CategoryEncoding", "Hashing", "IntegerLookup"):
        return layer, IDS
    if name == "HashedCrossing":
        return layer, (IDS, IDS)
    if name in ("StringLookup", "TextVectorization"):
        return layer, np.array(["a", "c"])
    if name in ("GlobalAveragePooling1D", "GlobalMaxPooling1D", "SpatialDropout1D"):
        return layer, X[None]
    pictures = ("CenterCrop", "Resizing", "GlobalAveragePooling2D", "GlobalMaxPooling2D")
    if name in pictures or isinstance(layer, layers.RandomFlip.__mro__[1]):
        return layer, np.ones((2, 3, 3, 1), "float32")
    several = isinstance(layer, layers.Add.__mro__[1]) or name in ("Concatenate", "Dot")
    return layer, [X, X] if several else X


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("name", ALL)
def test_layers_on_arrays(name, training):
    layer, x = layer_call(name)
    assert devices(layer(x, training=training)) == {GPU}
    assert devices(layer(x, training=training)) == {GPU}, "once built"


@pytest.mark.parametrize("dtype", ["uint8", "float64", "float32"])
@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_a_model_without_weights(dtype, policy):
    model = densa.Sequential(
        [densa.Input((2,)), layers.Rescaling(2.0, dtype=policy), layers.Flatten()]
    )
    assert model(X.astype(dtype)).device == GPU
    assert model(X.astype(dtype).tolist()).device == GPU


def test_steps_of_run_eagerly():
    seen = []

    class Watch(layers.Layer):
        def call(self, x):
            seen.append(x.device)
            return x

    model = densa.Sequential([densa.Input((2,)), Watch(), layers.Dense(1)])
    model.compile("sgd", "mse", run_eagerly=True)
    seen.clear()
    model.fit(X, X[:, :1], verbose=0)
    model.predict(X, verbose=0)
    assert set(seen) == {GPU}


def test_a_model_of_another_device_keeps_its_inputs():
    """They go to the variables, and not away from them."""
    densa.set_device("cpu")
    model = densa.Sequential([densa.Input((2,)), layers.Dropout(0.5), layers.Dense(1)])
    densa.set_device(GPU)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert model(X).device == "cpu"
        assert model(X, training=True).device == "cpu"
    assert model.layers[-1](X).device == "cpu"
