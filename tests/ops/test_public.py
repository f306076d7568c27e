"""densa.ops: every function against NumPy, on arrays, Tensors, lists and symbolic tensors."""

import inspect

import numpy as np
import pytest

import densa
from densa import ops
from ops import composed_cases, more_cases
from ops.tools import tensor

RNG = np.random.default_rng(0)
X = RNG.normal(size=(3, 4)).astype("f4")
Y = RNG.normal(size=(3, 4)).astype("f4")
P = np.abs(X) + 0.5
IDS = np.array([[0, 3], [1, 1]])


def sig(z):
    return 1 / (1 + np.exp(-z))


def soft(z, axis=-1):
    e = np.exp(z - z.max(axis, keepdims=True))
    return e / e.sum(axis, keepdims=True)


# name, arguments, keyword arguments, expected
CASES = [
    ("abs", (X,), {}, np.abs(X)),
    ("absolute", (X,), {}, np.abs(X)),
    ("negative", (X,), {}, -X),
    ("sign", (X,), {}, np.sign(X)),
    ("square", (X,), {}, X * X),
    ("sqrt", (P,), {}, np.sqrt(P)),
    ("rsqrt", (P,), {}, 1 / np.sqrt(P)),
    ("reciprocal", (P,), {}, 1 / P),
    ("exp", (X,), {}, np.exp(X)),
    ("expm1", (X,), {}, np.expm1(X)),
    ("log", (P,), {}, np.log(P)),
    ("log1p", (P,), {}, np.log1p(P)),
    ("log2", (P,), {}, np.log2(P)),
    ("log10", (P,), {}, np.log10(P)),
    ("sin", (X,), {}, np.sin(X)),
    ("cos", (X,), {}, np.cos(X)),
    ("tan", (X,), {}, np.tan(X)),
    ("sinh", (X,), {}, np.sinh(X)),
    ("cosh", (X,), {}, np.cosh(X)),
    ("tanh", (X,), {}, np.tanh(X)),
    ("floor", (X,), {}, np.floor(X)),
    ("ceil", (X,), {}, np.ceil(X)),
    ("round", (X,), {}, np.round(X)),
    ("round", (X, 2), {}, np.round(X, 2)),
    ("clip", (X, -0.5, 0.5), {}, np.clip(X, -0.5, 0.5)),
    ("clip", (X, None, 0.5), {}, np.minimum(X, 0.5)),
    ("isnan", (X,), {}, np.isnan(X)),
    ("isinf", (X,), {}, np.isinf(X)),
    ("isfinite", (X,), {}, np.isfinite(X)),
    ("nan_to_num", (np.array([np.nan, 1, -np.inf], "f4"),), {"neginf": -9.0}, [0, 1, -9]),
    ("stop_gradient", (X,), {}, X),
    ("add", (X, Y), {}, X + Y),
    ("subtract", (X, 2), {}, X - 2),
    ("multiply", (X, Y[0]), {}, X * Y[0]),
    ("divide", (X, P), {}, X / P),
    ("true_divide", ([1, 2], [2, 4]), {}, [0.5, 0.5]),
    ("divide_no_nan", (X, np.array([1, 0, 2, 0], "f4")), {}, X * np.array([1, 0, 0.5, 0], "f4")),
    ("floor_divide", ([7, -7], 2), {}, [3, -4]),
    ("mod", ([7, -7], 4), {}, [3, 1]),
    ("power", (P, 2.5), {}, P**2.5),
    ("maximum", (X, 0.1), {}, np.maximum(X, 0.1)),
    ("minimum", (X, Y), {}, np.minimum(X, Y)),
    ("arctan2", (X, Y), {}, np.arctan2(X, Y)),
    ("logaddexp", (X, Y), {}, np.logaddexp(X, Y)),
    ("equal", (X, X), {}, X == X),
    ("not_equal", (X, Y), {}, X != Y),
    ("less", (X, Y), {}, X < Y),
    ("less_equal", (X, Y), {}, X <= Y),
    ("greater", (X, Y), {}, X > Y),
    ("greater_equal", (X, Y), {}, X >= Y),
    ("isclose", (X, X + 1e-7), {}, np.ones_like(X, bool)),
    ("logical_and", (X > 0, Y > 0), {}, (X > 0) & (Y > 0)),
    ("logical_or", (X > 0, Y > 0), {}, (X > 0) | (Y > 0)),
    ("logical_xor", (X > 0, Y > 0), {}, (X > 0) ^ (Y > 0)),
    ("logical_not", (X > 0,), {}, X <= 0),
    ("where", (X > 0, X, Y), {}, np.where(X > 0, X, Y)),
    ("matmul", (X, Y.T), {}, X @ Y.T),
    ("matmul", (X, Y[0]), {}, X @ Y[0]),
    ("dot", (X[0], Y[0]), {}, X[0] @ Y[0]),
    ("outer", (X[0], Y[0]), {}, np.outer(X[0], Y[0])),
    ("vdot", (X, Y), {}, np.vdot(X, Y)),
    ("tensordot", (X, Y), {"axes": ([0], [0])}, np.tensordot(X, Y, ([0], [0]))),
    ("sum", (X,), {"axis": 0}, X.sum(0)),
    ("sum", (X,), {"axis": ()}, X),
    ("mean", (X,), {"axis": (0, 1), "keepdims": True}, X.mean(keepdims=True)),
    ("prod", (X,), {"axis": 1}, X.prod(1)),
    ("max", (X,), {"axis": -1}, X.max(-1)),
    ("max", (np.zeros((0, 2), "f4"),), {"axis": 0, "initial": 3.0}, [3, 3]),
    ("min", (X,), {"initial": -9.0}, -9.0),
    ("amax", (X,), {}, X.max()),
    ("amin", (X,), {}, X.min()),
    ("var", (X,), {"axis": 0}, X.var(0)),
    ("std", (X,), {"axis": 0}, X.std(0)),
    ("logsumexp", (X,), {"axis": 1}, np.log(np.exp(X).sum(1))),
    ("any", (X > 1,), {"axis": 1}, (X > 1).any(1)),
    ("all", (X > -1,), {}, (X > -1).all()),
    ("count_nonzero", (X > 0,), {"axis": 0}, np.count_nonzero(X > 0, 0)),
    ("argmax", (X,), {"axis": 1}, X.argmax(1)),
    ("argmin", (X,), {}, X.argmin()),
    ("average", (X,), {"axis": 0, "weights": [1.0, 2, 3]}, np.average(X, 0, [1, 2, 3])),
    ("norm", (X,), {}, np.linalg.norm(X)),
    ("norm", (X,), {"ord": 1, "axis": 1}, np.abs(X).sum(1)),
    ("norm", (X,), {"ord": np.inf, "axis": 0}, np.abs(X).max(0)),
    ("norm", (X,), {"ord": 3, "axis": 0}, np.linalg.norm(X, 3, 0)),
    ("cast", (X, "int32"), {}, X.astype("int32")),
    ("zeros_like", (X,), {}, np.zeros_like(X)),
    ("ones_like", (X,), {"dtype": "int32"}, np.ones_like(X, "int32")),
    ("full_like", (X, 3), {}, np.full_like(X, 3)),
    ("copy", (X,), {}, X),
    ("reshape", (X, (2, -1)), {}, X.reshape(2, -1)),
    ("ravel", (X,), {}, X.ravel()),
    ("transpose", (X,), {}, X.T),
    ("transpose", (X[None],), {"axes": (2, 0, 1)}, X[None].transpose(2, 0, 1)),
    ("swapaxes", (X[None], 0, -1), {}, X[None].swapaxes(0, -1)),
    ("moveaxis", (X[None], 0, -1), {}, np.moveaxis(X[None], 0, -1)),
    ("expand_dims", (X, (0, -1)), {}, X[None, ..., None]),
    ("squeeze", (X[None],), {"axis": 0}, X),
    ("broadcast_to", (X[0], (2, 4)), {}, np.broadcast_to(X[0], (2, 4))),
    ("broadcast_to", (X[:, :1], (None, 4)), {}, X[:, :1].repeat(4, 1)),
    ("broadcast_to", (X[:1, :1], (None, 4)), {}, X[:1, :1].repeat(4, 1)),
    ("flip", (X,), {"axis": 1}, X[:, ::-1]),
    ("concatenate", ([X, Y],), {"axis": 0}, np.concatenate([X, Y])),
    ("stack", ([X, Y],), {"axis": -1}, np.stack([X, Y], -1)),
    ("hstack", ([X, Y],), {}, np.hstack([X, Y])),
    ("vstack", ([X[0], Y[0]],), {}, np.vstack([X[0], Y[0]])),
    ("pad", (X, ((1, 0), (0, 2))), {"constant_values": 7},
     np.pad(X, ((1, 0), (0, 2)), constant_values=7)),
    ("tile", (X, (2, 3)), {}, np.tile(X, (2, 3))),
    ("repeat", (X, 2), {"axis": 1}, X.repeat(2, 1)),
    ("roll", (X, 1), {"axis": 0}, np.roll(X, 1, 0)),
    ("roll", (X, -2), {}, np.roll(X, -2)),
    ("roll", (X, (1, -1)), {"axis": (0, 1)}, np.roll(X, (1, -1), (0, 1))),
    ("roll", (X, 1), {"axis": [0, 1]}, np.roll(X, 1, (0, 1))),
    ("pad", (X, ((0, 0), (1, 2)), "reflect"), {}, np.pad(X, ((0, 0), (1, 2)), "reflect")),
    ("pad", (X, ((0, 5), (1, 9)), "symmetric"), {}, np.pad(X, ((0, 5), (1, 9)), "symmetric")),
    ("take", (X, IDS), {"axis": 1}, X.take(IDS, 1)),
    ("take", (X, 5), {}, X.take(5)),
    ("take_along_axis", (X, X.argsort(1)), {"axis": 1}, np.sort(X, 1)),
    ("take_along_axis", (X, X.argsort(0)), {"axis": 0}, np.sort(X, 0)),
    ("take_along_axis", (X, np.array([[3, 0]])), {"axis": 1}, X[:, [3, 0]]),
    ("take_along_axis", (X[:1], IDS), {"axis": 1}, X[0][IDS]),
    ("slice", (X, (1, 0), (2, -1)), {}, X[1:3]),
    ("slice", (X, (0, 1), (-1, 2)), {}, X[:, 1:3]),
    ("diagonal", (X,), {}, X.diagonal()),
    ("tril", (X,), {"k": 1}, np.tril(X, 1)),
    ("triu", (X,), {}, np.triu(X)),
    ("relu", (X,), {}, np.maximum(X, 0)),
    ("relu6", (X * 9,), {}, np.clip(X * 9, 0, 6)),
    ("leaky_relu", (X,), {}, np.where(X < 0, 0.2 * X, X)),
    ("elu", (X,), {"alpha": 2.0}, np.where(X < 0, 2 * np.expm1(X), X)),
    ("celu", (X,), {}, np.where(X < 0, np.expm1(X), X)),
    ("silu", (X,), {}, X * sig(X)),
    ("swish", (X,), {}, X * sig(X)),
    ("mish", (X,), {}, X * np.tanh(np.log1p(np.exp(X)))),
    ("sigmoid", (X,), {}, sig(X)),
    ("log_sigmoid", (X,), {}, np.log(sig(X))),
    ("hard_sigmoid", (X,), {}, np.clip(X + 3, 0, 6) / 6),
    ("hard_silu", (X,), {}, X * np.clip(X + 3, 0, 6) / 6),
    ("hard_swish", (X,), {}, X * np.clip(X + 3, 0, 6) / 6),
    ("hard_tanh", (X,), {}, np.clip(X, -1, 1)),
    ("softplus", (X,), {}, np.log1p(np.exp(X))),
    ("softsign", (X,), {}, X / (1 + np.abs(X))),
    ("squareplus", (X,), {}, (X + np.sqrt(X * X + 4)) / 2),
    ("tanh_shrink", (X,), {}, X - np.tanh(X)),
    ("soft_shrink", (X,), {}, np.sign(X) * np.maximum(np.abs(X) - 0.5, 0)),
    ("hard_shrink", (X,), {}, np.where(np.abs(X) > 0.5, X, 0)),
    ("threshold", (X, 0.2, -1.0), {}, np.where(X > 0.2, X, -1)),
    ("glu", (X,), {}, X[:, :2] * sig(X[:, 2:])),
    ("softmax", (X,), {}, soft(X)),
    ("softmax", (X,), {"axis": None}, soft(X.ravel()).reshape(X.shape)),
    ("softmax", (X[None],), {"axis": (0, 2)}, soft(X[None], 2)),
    ("log_softmax", (X,), {"axis": 0}, np.log(soft(X, 0))),
    ("binary_crossentropy", (X > 0, sig(Y)), {}, -np.where(X > 0, np.log(sig(Y)), np.log(sig(-Y)))),
    ("binary_crossentropy", (X > 0, Y), {"from_logits": True},
     -np.where(X > 0, np.log(sig(Y)), np.log(sig(-Y)))),
    ("categorical_crossentropy", (soft(X), P), {},
     -(soft(X) * np.log(P / P.sum(-1, keepdims=True))).sum(-1)),
    ("categorical_crossentropy", (soft(X), Y), {"from_logits": True},
     -(soft(X) * np.log(soft(Y))).sum(-1)),
    ("categorical_crossentropy", (soft(X, 0), Y), {"from_logits": True, "axis": 0},
     -(soft(X, 0) * np.log(soft(Y, 0))).sum(0)),
    ("sparse_categorical_crossentropy", ([0, 3, 1], soft(Y)), {},
     -np.log(soft(Y))[np.arange(3), [0, 3, 1]]),
    ("sparse_categorical_crossentropy", ([[0], [3], [1]], Y), {"from_logits": True},
     -np.log(soft(Y))[np.arange(3), [0, 3, 1]]),
    ("one_hot", ([2, 0, 7], 3), {}, [[0, 0, 1], [1, 0, 0], [0, 0, 0]]),
    ("one_hot", ([2, 0], 3), {"axis": 0, "dtype": "int32"}, [[0, 1], [0, 0], [1, 0]]),
    ("multi_hot", ([[0, 2], [1, 1]], 3), {}, [[1, 0, 1], [0, 1, 0]]),
    ("in_top_k", ([0, 1, 2], [[3.0, 1, 2], [3, 1, 2], [3, 1, 2]], 2), {}, [True, False, True]),
    ("normalize", (X,), {}, X / np.linalg.norm(X, axis=-1, keepdims=True)),
    ("normalize", (X,), {"order": 1, "axis": 0}, X / np.abs(X).sum(0)),
    ("batch_normalization", (X, X.mean(0), X.var(0), -1), {"scale": P[0], "offset": Y[0]},
     (X - X.mean(0)) / np.sqrt(X.var(0) + 1e-3) * P[0] + Y[0]),
    ("psnr", (X, Y, 1.0), {}, 10 * np.log10(1 / np.mean((X - Y) ** 2))),
]  # fmt: skip
WITHOUT_CASE = {
    "array", "arange", "convert_to_numpy", "convert_to_tensor", "empty", "erf", "eye", "full",
    "gelu", "identity", "is_tensor", "linspace", "moments", "ndim", "ones", "selu", "shape",
    "size", "split", "unstack", "zeros",
} | composed_cases.WITHOUT_CASE | more_cases.WITHOUT_CASE  # fmt: skip
CASES += composed_cases.CASES + more_cases.CASES


def ids(case):
    return case[0]


def test_every_function_has_a_case():
    tested = {case[0] for case in CASES} | WITHOUT_CASE
    assert set(ops.__all__) == tested


@pytest.mark.parametrize("case", CASES, ids=ids)
def test_against_numpy(case):
    name, args, kwargs, expected = case
    got = getattr(ops, name)(*args, **kwargs)
    assert isinstance(got, densa.Tensor)
    np.testing.assert_allclose(got.numpy(), expected, rtol=3e-6, atol=2e-6)
    expected = np.asarray(expected)
    if name not in ("one_hot", "multi_hot", "cast"):
        assert (expected.dtype == bool) == (got.dtype == "bool")
    as_tensors = [tensor(a) if isinstance(a, np.ndarray) else a for a in args]
    np.testing.assert_array_equal(getattr(ops, name)(*as_tensors, **kwargs).numpy(), got.numpy())


@pytest.mark.parametrize("name", ops.__all__)
def test_named_and_typed(name):
    function = getattr(ops, name)
    assert function.__name__ == name
    assert inspect.signature(function).return_annotation is not inspect.Signature.empty


@pytest.mark.parametrize("name", ["sum", "prod"])
@pytest.mark.parametrize("dtype", ["int8", "int16", "uint8", "uint16"])
def test_small_integers_do_not_overflow(name, dtype):
    x = np.full((2, 5), 100, dtype)
    got = getattr(ops, name)(x, axis=0)
    assert got.dtype == ("uint32" if dtype.startswith("u") else "int32")
    np.testing.assert_array_equal(got.numpy(), getattr(np, name)(x, axis=0))
    assert getattr(ops, name)(x[:1], axis=(), keepdims=True).dtype == got.dtype


MATRIX = [case for case in CASES if len(case[1]) and isinstance(case[1][0], np.ndarray)
          and case[1][0].shape == (3, 4)]  # fmt: skip


@pytest.mark.parametrize("case", MATRIX, ids=ids)
def test_symbolic(case):
    """The functional API: recorded with known sizes, then run on the values."""
    name, args, kwargs, expected = case
    x = densa.Input(batch_shape=args[0].shape, dtype=str(args[0].dtype))
    model = densa.Model(x, getattr(ops, name)(x, *args[1:], **kwargs))
    got = model(args[0])
    np.testing.assert_allclose(got.numpy(), expected, rtol=3e-6, atol=2e-6)


def test_arrays_are_joined_along_the_first_axis_unless_told():
    a, b = np.zeros((2, 3), "f4"), np.ones((1, 3), "f4")
    np.testing.assert_array_equal(ops.concatenate([a, b]), np.concatenate([a, b]))


def test_made_arrays():
    assert ops.zeros((2, 3)).dtype == "float32"
    np.testing.assert_array_equal(ops.ones(3, "int32").numpy(), np.ones(3, "i4"))
    np.testing.assert_array_equal(ops.full((2,), 7).numpy(), [7, 7])
    np.testing.assert_array_equal(ops.arange(3).numpy(), [0, 1, 2])
    assert ops.arange(3).dtype == "int32"
    assert ops.arange(0.0, 1.0, 0.25).dtype == "float32"
    np.testing.assert_allclose(ops.linspace(0, 1, 5).numpy(), np.linspace(0, 1, 5))
    np.testing.assert_array_equal(ops.eye(2, 3, 1).numpy(), np.eye(2, 3, 1))
    np.testing.assert_array_equal(ops.identity(2).numpy(), np.eye(2))
    assert ops.empty((0, 2)).shape == (0, 2)


def test_questions():
    assert ops.shape(X) == (3, 4)
    assert (ops.ndim(X), ops.size(X)) == (2, 12)
    assert [ops.is_tensor(x) for x in (ops.array(X), X)] == [True, False]
    assert isinstance(ops.convert_to_numpy(ops.array([1.0])), np.ndarray)
    assert ops.convert_to_tensor([1, 2], "float64").dtype == "float64"
    assert ops.shape(densa.Input((4,))) == (None, 4)


def test_several_results():
    for got, expected in zip(ops.split(X, 2, axis=1), np.split(X, 2, 1), strict=True):
        np.testing.assert_array_equal(got.numpy(), expected)
    for got, expected in zip(ops.split(X, [1, 3], axis=-1), np.split(X, [1, 3], 1), strict=True):
        np.testing.assert_array_equal(got.numpy(), expected)
    for got, expected in zip(ops.unstack(X, axis=1), X.T, strict=True):
        np.testing.assert_array_equal(got.numpy(), expected)
    mean, variance = ops.moments(X, axes=0)
    np.testing.assert_allclose(mean.numpy(), X.mean(0), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(variance.numpy(), X.var(0), rtol=1e-5)
    np.testing.assert_array_equal(ops.where(X > 0)[1].numpy(), np.where(X > 0)[1])


def test_several_results_of_composed_ops():
    for got, expected in zip(ops.array_split(X, 3, 1), np.array_split(X, 3, 1), strict=True):
        np.testing.assert_array_equal(got.numpy(), expected)
    for how in ("xy", "ij"):
        want = np.meshgrid(X[0], X[1, :2], X[2, :3], indexing=how)
        for got, expected in zip(ops.meshgrid(X[0], X[1, :2], X[2, :3], indexing=how), want,
                                 strict=True):  # fmt: skip
            np.testing.assert_array_equal(got.numpy(), expected)
    values, places = ops.top_k(X, 2)
    np.testing.assert_array_equal(places.numpy(), np.argsort(-X, -1)[:, :2])
    np.testing.assert_array_equal(values.numpy(), -np.sort(-X, -1)[:, :2])
    numbers, step = ops.linspace(0.0, 1.0, 5, retstep=True)
    assert (numbers.shape, float(step)) == ((5,), 0.25)
    assert ops.linspace([0.0, 1.0], [1.0, 3.0], 3, axis=1).numpy().tolist() == [
        [0.0, 0.5, 1.0],
        [1.0, 2.0, 3.0],
    ]


@pytest.mark.parametrize(
    ("name", "domain"),
    [("arcsin", 0.9), ("arccos", 0.9), ("arctanh", 0.9), ("arctan", 4), ("arcsinh", 4),
     ("cbrt", 4), ("exp2", 4), ("erfc", 2), ("sparse_plus", 0.9), ("sinc", 3)],
)  # fmt: skip
def test_slopes_of_composed_ops(name, domain):
    z = np.array([-0.83, -0.41, 0.13, 0.7]) * domain
    v = densa.Variable(z.astype("f8"), dtype="float64")
    densa.ops.sum(getattr(ops, name)(v)).backward()
    step = 1e-5
    up, down = (np.asarray(getattr(ops, name)(z + s)) for s in (step, -step))
    np.testing.assert_allclose(v.grad.numpy(), (up - down) / (2 * step), rtol=1e-5, atol=1e-7)


def test_slopes_at_zero_and_of_running_sums():
    for name in ("arcsinh", "arctanh", "arctan", "arcsin"):
        v = densa.Variable([0.0])
        getattr(ops, name)(v).backward()
        assert v.grad.numpy().tolist() == [1.0]
    v = densa.Variable([1.0, 2.0, 3.0])
    ops.sum(ops.cumsum(v)).backward()
    assert v.grad.numpy().tolist() == [3.0, 2.0, 1.0]
    v = densa.Variable([3.0, 1.0, 2.0])
    ops.sum(ops.sort(v) * np.array([1.0, 10.0, 100.0], "f4")).backward()
    assert v.grad.numpy().tolist() == [100.0, 1.0, 10.0]


def test_gelu_forms():
    from scipy.special import ndtr

    np.testing.assert_allclose(ops.gelu(X, approximate=False).numpy(), X * ndtr(X), atol=1e-6)
    np.testing.assert_allclose(ops.gelu(X).numpy(), X * ndtr(X), atol=1e-3)


WHOLE = ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "bool"]


@pytest.mark.parametrize("dtype", WHOLE)
def test_products_of_whole_numbers(dtype):
    rng = np.random.default_rng(7)
    a, b = (rng.integers(0, 2 if dtype == "bool" else 100, s).astype(dtype)
            for s in ((2, 3, 4), (4, 5)))  # fmt: skip
    if dtype == "int64":
        a[0, 0], b[:, 0] = 2**31 + 1, 2**30 + 1  # beyond what floats hold
    wide = "int32" if dtype == "int8" else dtype
    want = np.matmul(a.astype(wide), b.astype(wide))  # which wraps around, as sums do

    def check(got, expected):
        assert got.dtype == wide
        np.testing.assert_array_equal(got.numpy(), expected)

    x, y = densa.asarray(a), densa.asarray(b)
    check(ops.matmul(x, y), want)
    check(x @ y, want)
    check(ops.einsum("abc,cd->abd", x, y), want)
    check(ops.tensordot(x, y, 1), want)
    check(ops.matmul(x[0], y[:, 0]), want[0, :, 0])
    check(ops.dot(x[0, 0], y[:, 0]), want[0, 0, 0])
    assert ops.matmul(x, y).device == x.device
    if dtype in ("int32", "int64"):  # recorded
        inputs = densa.Input((3, 4), dtype=dtype)
        model = densa.Model(inputs, [ops.matmul(inputs, b), ops.matmul(inputs, b[:, 0])])
        for got, expected in zip(model.freeze()(a), (want, want[:, :, 0]), strict=True):
            np.testing.assert_array_equal(np.asarray(got), expected)


def test_dtypes():
    assert ops.matmul(np.ones((2, 2), "int16"), np.ones((2, 2), "uint8")).dtype == "int16"
    assert ops.matmul(np.ones((2, 2), "int32"), np.ones((2, 2), "float16")).dtype == "float16"
    whole = np.array([1, 2], "int64")
    assert ops.add(whole, X[0, :2]).dtype == "float32"
    assert ops.add(whole, 1.5).dtype == "float32"
    assert ops.add(whole, 1).dtype == "int64"
    assert ops.divide(whole, 2).dtype == "float32"
    assert ops.mean(whole).dtype == "float32"
    assert ops.sum(X > 0).dtype == "int32"
    assert ops.argmax(X, 1).dtype == "int32"
    assert ops.exp(whole).dtype == "float32"
    assert ops.relu(whole).dtype == "int64"


@pytest.mark.parametrize(
    ("match", "call"),
    [
        ("both x1 and x2", lambda: ops.where(X > 0, X)),
        ("has not size 1", lambda: ops.squeeze(X, 0)),
        ("out of range", lambda: ops.expand_dims(X, 5)),
        ("equal parts", lambda: ops.split(X, 3, axis=1)),
        ("must be equal", lambda: ops.stack([X, Y[0]])),
        ("one shape", lambda: ops.binary_crossentropy(X, Y[0])),
        ("asks for", lambda: ops.sparse_categorical_crossentropy([0, 1], Y)),
        ("even size", lambda: ops.glu(X[:, :3])),
        ("mode", lambda: ops.pad(X, 1, mode="mirror")),
        ("sparse", lambda: ops.one_hot([0], 2, sparse=True)),
        ("one size", lambda: ops.matmul(np.ones((2, 3), int), np.ones((2, 3), int))),
        ("operands", lambda: ops.einsum("ab,bc->ac", X)),
        ("does not name", lambda: ops.einsum("abc,cd->ad", X, Y)),
        ("has size", lambda: ops.einsum("ab,bc->ac", X, Y)),
        ("twice", lambda: ops.einsum("aa->a", X)),
        ("axes of the operands", lambda: ops.einsum("ab->ac", X)),
        ("between 0 and 1", lambda: ops.quantile(X, 2.0)),
        ("method", lambda: ops.quantile(X, 0.3, method="cubic")),
        ("has no 9", lambda: ops.top_k(X, 9)),
        ("side", lambda: ops.searchsorted([1.0], X, side="up")),
        ("does not lie in", lambda: ops.slice_update(X, (2, 3), Y)),
        ("same axis", lambda: ops.diagonal(X, 0, 1, -1)),
        ("must be at least 0", lambda: ops.bincount([-1])),
        ("one part", lambda: ops.array_split(X, 0)),
        ("indexing", lambda: ops.meshgrid([1.0], indexing="yx")),
    ],
)
def test_errors(match, call):
    with pytest.raises(ValueError, match=match):
        call()
