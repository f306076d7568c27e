"""Every op that a predictor may hold, in C: the predictor's answers, in each type of numbers."""

import numpy as np
import pytest

from densa import _core
from densa._core import apply
from exported import COMPILERS, Exported
from ops import specs
from predict.freezing import record

pytestmark = [
    pytest.mark.cpu_only("a C file is for CPUs"),
    pytest.mark.skipif(not COMPILERS, reason="needs a C compiler"),
]

FLOATS = ["float32", "float64"]
WHOLE = ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"]
TYPES = [*FLOATS, *WHOLE, "bool"]
# libm's functions and ours are each within 2 ulp; formulas of a few of them and of sums add up to
# some 20 roundings, and are differences near zero.
CLOSE = {"float32": {"rtol": 3e-6, "atol": 1e-6}, "float64": {"rtol": 1e-14, "atol": 1e-14}}


def numbers(rng, dtype, shape, low=-8.0, high=8.0):
    if dtype == "bool":
        return rng.random(shape) < 0.5
    if dtype.startswith("float"):
        return rng.uniform(low, high, shape).astype(dtype)
    kind = np.iinfo(dtype)
    x = rng.integers(0 if kind.min == 0 else -9, 10, shape).astype(dtype)
    some = rng.random(shape) < 0.2
    x[some] = rng.choice(np.array([kind.min, kind.max, kind.max // 2 + 1], dtype), some.sum())
    return x


def constant(value, dtype=None):
    return _core.from_numpy(np.ascontiguousarray(value, dtype))


def check(folder, calls, arrays, compiler=COMPILERS[0] if COMPILERS else "", dtype="float32"):
    """All calls of functions of the arrays' rows, named, as one network."""
    names = list(calls)
    program = record(
        lambda *x: [call(*x) for call in calls.values()],
        *((a.shape[1:], a.dtype.name) for a in arrays),
    )
    outputs = [f"y{i}" for i in range(len(names))]
    predictor, _ = program.freeze(outputs, dtype=dtype, names=[], fold=False, merge=False)
    found = Exported(predictor, folder, compiler).run(arrays)
    for name, y, t in zip(names, found, predictor.run(arrays), strict=True):
        assert y.dtype == t.dtype, name
        if t.dtype.name in CLOSE:
            np.testing.assert_allclose(y, t, **CLOSE[t.dtype.name], err_msg=name)
        else:
            np.testing.assert_array_equal(y, t, err_msg=name)


def of(op, **attrs):
    return lambda *x: apply(op, *x, **attrs)


# ---- elementwise ---------------------------------------------------------------------------------


@pytest.mark.parametrize("compiler", COMPILERS)
@pytest.mark.parametrize("dtype", FLOATS)
def test_unary_ops_of_floats(dtype, compiler, tmp_path):
    rng = np.random.default_rng(0)
    x = numbers(rng, dtype, (80, 5))
    x[0] = [0, -0.0, np.inf, -np.inf, np.nan]
    calls = {spec.label: of(spec.name, **spec.attrs) for spec in specs.UNARY}
    calls |= {name: of(name) for name in specs.TESTS}
    # Where the argument is out of the domain the answers are NaN or infinite: the same ones.
    check(tmp_path, calls, [x], compiler, dtype)


@pytest.mark.parametrize("compiler", COMPILERS)
@pytest.mark.parametrize("dtype", FLOATS)
def test_binary_ops_of_floats(dtype, compiler, tmp_path):
    rng = np.random.default_rng(1)
    a, b = numbers(rng, dtype, (80, 6)), numbers(rng, dtype, (80, 6))
    a[0] = [0, -0.0, np.inf, -np.inf, np.nan, 1]
    b[:6] = a[0][:, None]
    calls = {name: of(name) for name in [*(spec.name for spec in specs.BINARY), *specs.COMPARISONS]}
    check(tmp_path, calls, [a, b], compiler, dtype)


@pytest.mark.parametrize("compiler", COMPILERS)
@pytest.mark.parametrize("dtype", [*WHOLE, "bool"])
def test_elementwise_ops_of_whole_numbers(dtype, compiler, tmp_path):
    rng = np.random.default_rng(2)
    a, b = numbers(rng, dtype, (60, 7)), numbers(rng, dtype, (60, 7))
    one = ["isnan", "isinf", "isfinite", "logical_not"]
    two = ["add", "multiply", "maximum", "minimum", "floor_divide", "mod", *specs.COMPARISONS]
    if dtype != "bool":
        one += ["negative", "abs", "square", "relu", "relu6", "sign", "floor", "ceil", "round"]
        two += ["subtract", "power"]
    calls = {name: lambda a, b, name=name: apply(name, a) for name in one}
    check(tmp_path, calls | {name: of(name) for name in two}, [a, b], compiler)


def test_stretched_operands(tmp_path):
    rng = np.random.default_rng(3)
    x, column, row = (numbers(rng, "float32", (9, *s)) for s in ((3, 4), (3, 1), (1, 4)))
    whole = numbers(rng, "int32", (9, 3, 4))
    yes = numbers(rng, "bool", (9, 3, 1))
    k = constant(rng.normal(size=(3, 1)), "float32")
    calls = {
        "a value and its column": lambda x, c, r, w, y: apply("subtract", x, c),
        "a column and a row": lambda x, c, r, w, y: apply("multiply", c, r),
        "a constant column": lambda x, c, r, w, y: apply("divide", k, x),
        "a number": lambda x, c, r, w, y: apply("subtract", constant(2.5, "float32"), x),
        "a whole number": lambda x, c, r, w, y: apply("less", w, constant(0, "int32")),
        "where": lambda x, c, r, w, y: apply("where", y, c, r),
        "where of whole numbers": lambda x, c, r, w, y: apply("where", y, w, constant(7, "int32")),
        "broadcast_to": lambda x, c, r, w, y: apply("broadcast_to", c, shape=[-1, 3, 5]),
    }
    check(tmp_path, calls, [x, column, row, whole, yes])


@pytest.mark.parametrize("dtype", TYPES)
def test_casts(dtype, tmp_path):
    rng = np.random.default_rng(4)
    x = numbers(rng, dtype, (80, 8), -300, 300)
    if dtype in FLOATS:
        x[0] = [np.nan, np.inf, -np.inf, 1e30, -1e30, 2.0**63, -(2.0**63), 0.5]
    with np.errstate(invalid="ignore"):
        check(tmp_path, {to: of("cast", dtype=to) for to in TYPES}, [x], dtype="float32")
        (tmp_path / "wide").mkdir()
        check(tmp_path / "wide", {to: of("cast", dtype=to) for to in TYPES}, [x], dtype="float64")


@pytest.mark.parametrize(
    ("given", "to", "right", "wrong"),
    [
        (
            "float32",
            "int32",
            [2147483520.0, -2147483648.0],
            [np.nan, np.inf, 2147483648.0, -2147483904.0],
        ),
        ("float64", "uint8", [255.0, -0.0], [256.0, -1.0, 0.5, 254.9]),
        ("int64", "int8", [127, -128], [128, -129]),
        ("int32", "uint64", [0, 2147483647], [-1]),
        ("uint64", "int64", [0, 2**63 - 1], [2**63]),
    ],
)
def test_strict_casts(given, to, right, wrong, tmp_path):
    program = record(lambda x: apply("cast", x, dtype=to, strict="ids"), ((1,), given))
    predictor, _ = program.freeze(["y0"], dtype="float64", names=[])
    net = Exported(predictor, tmp_path, COMPILERS[0])
    for number in right + wrong:
        x, y = np.array([[number]], given), np.zeros((1, 1), to)
        assert net.call([x], [y]) == (0 if number in right else 2), number
        if number in right:
            np.testing.assert_array_equal(y, predictor.run([x])[0])
        else:
            with pytest.raises(ValueError, match="ids must be whole numbers"):
                predictor.run([x])


# ---- along axes ----------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", TYPES)
def test_reductions(dtype, tmp_path):
    rng = np.random.default_rng(5)
    x = numbers(rng, dtype, (20, 3, 5, 4), -1.2, 1.2)
    if dtype in FLOATS:
        x[0, 1, 2, 3], x[1, 0, 0, 0], x[2, 1] = np.nan, -np.inf, -np.inf
    names = ["max", "min", "argmax", "argmin"]
    if dtype != "bool":
        names += ["sum", "prod"]
    names += {"bool": ["any", "all"]}.get(dtype, ["mean", "var", "logsumexp"] * (dtype in FLOATS))
    calls = {}
    for name in names:
        for axis in (1, 2, -1) if name.startswith("arg") else ([1], [2], [-1], [1, 2], [1, 3]):
            calls[f"{name} {axis}"] = of(name, axis=axis)
        kept = 2 if name.startswith("arg") else [3, 2]
        calls[f"{name} kept"] = of(name, axis=kept, keepdims=True)
    check(tmp_path, calls, [x], dtype=dtype if dtype in FLOATS else "float32")


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "int64", "uint64"])
def test_orders(dtype, tmp_path):
    rng = np.random.default_rng(6)
    x = numbers(rng, dtype, (9, 3, 7))
    x[:, :, 1], x[:, 0, 5] = x[:, :, 4], x[:, 0, 2]  # equal ones
    if dtype in FLOATS:
        x[0, 0, 3], x[1, :, 2], x[2], x[3, 0, :2] = np.nan, np.nan, np.nan, (-np.inf, np.inf)
    calls = {str(d): of("argsort", descending=d) for d in (False, True)}
    calls["one"] = lambda x: apply("argsort", x[:, :, :1])
    check(tmp_path, calls, [x], dtype=dtype if dtype in FLOATS else "float32")


def test_several_of_a_kind(tmp_path):
    """Results of one number, whose loops are left out, beside each other."""
    rng = np.random.default_rng(11)
    x, ids = numbers(rng, "float32", (9, 4)), rng.integers(0, 3, (9, 1))
    w, table = constant(rng.normal(size=(4, 1)), "float32"), constant(np.arange(3.0), "float32")
    calls = {}
    for k in range(2):
        calls[f"dense {k}"] = lambda x, i: apply("dense", x, w)
        for name in ("softmax", "log_softmax", "argmax", "argmin"):
            calls[f"{name} {k}"] = lambda x, i, name=name: apply(name, x, axis=-1)
        for name in ("sum", "max", "mean", "var", "logsumexp"):
            calls[f"{name} {k}"] = lambda x, i, name=name: apply(name, x, axis=[1])
        calls[f"embedding {k}"] = lambda x, i: apply("embedding", w, i)
        calls[f"take {k}"] = lambda x, i: apply("take", table, apply("reshape", i, shape=[-1]))
    check(tmp_path, calls, [x, ids])


def test_reductions_of_nothing(tmp_path):
    x = np.zeros((3, 0, 4), "float32")
    names = ["sum", "prod", "mean", "var", "logsumexp"]
    check(tmp_path, {name: of(name, axis=[1]) for name in names}, [x])
    calls = {name: of(name, axis=[1]) for name in ("any", "all")}
    check(tmp_path, calls, [x > 0])


@pytest.mark.parametrize("compiler", COMPILERS)
@pytest.mark.parametrize("dtype", FLOATS)
def test_softmax_and_batch_norm(dtype, compiler, tmp_path):
    rng = np.random.default_rng(6)
    x = numbers(rng, dtype, (20, 3, 5, 4))
    x[0, 0, 0, 0] = 300
    calls = {}
    for name in ("softmax", "log_softmax"):
        for axis in (1, 2, -1):
            calls[f"{name} {axis}"] = of(name, axis=axis)
    for axes in ([1], [2], [-1], [1, 3], [3, 2]):
        shape = [x.shape[axis] for axis in axes]
        size = int(np.prod(shape))
        given = [constant(rng.uniform(0.5, 2, size), dtype) for _ in range(4)]
        calls[f"batch_norm {axes}"] = lambda x, given=given, axes=axes: apply(
            "batch_norm", x, *given, axis=axes, epsilon=0.01, training=False
        )
    check(tmp_path, calls, [x], compiler, dtype)


# ---- products and moves --------------------------------------------------------------------------


@pytest.mark.parametrize("compiler", COMPILERS)
@pytest.mark.parametrize("dtype", FLOATS)
def test_products(dtype, compiler, tmp_path):
    rng = np.random.default_rng(7)
    x, y, z = (numbers(rng, dtype, (9, *s), -1, 1) for s in ((3, 4), (4, 5), (2, 3, 4)))
    k, b = constant(rng.normal(size=(4, 6)), dtype), constant(rng.normal(size=6), dtype)
    m, before = constant(rng.normal(size=(2, 4, 3)), dtype), constant(np.eye(6, 4), dtype)
    calls = {
        "values": lambda x, y, z: apply("matmul", x, y),
        "a transposed": lambda x, y, z: apply("matmul", x, x, transpose_a=True),
        "b transposed": lambda x, y, z: apply("matmul", x, x, transpose_b=True),
        "both transposed": lambda x, y, z: apply(
            "matmul", y, x, transpose_a=True, transpose_b=True
        ),
        "a constant": lambda x, y, z: apply("matmul", x, k),
        "constants of a batch": lambda x, y, z: apply("matmul", z, m),
        "a constant before": lambda x, y, z: apply("matmul", before, y),
        "dense": lambda x, y, z: apply("dense", z, k, b, activation="tanh"),
        "dense without bias": lambda x, y, z: apply("dense", x, k),
        "dense of a column": lambda x, y, z: apply("dense", x, constant(np.ones((4, 1)), dtype)),
    }
    check(tmp_path, calls, [x, y, z], compiler, dtype)


@pytest.mark.parametrize("dtype", ["float64", "int16", "bool"])
def test_moves(dtype, tmp_path):
    rng = np.random.default_rng(8)
    x, y = numbers(rng, dtype, (9, 3, 5)), numbers(rng, dtype, (9, 3, 2))
    end = 2**63 - 1
    calls = {
        "reshape": lambda x, y: apply("reshape", x, shape=[-1, 5, 3]),
        "transpose": lambda x, y: apply("transpose", x, perm=[0, 2, 1]),
        "last": lambda x, y: apply("concatenate", x, y, x, axis=-1),
        "first": lambda x, y: apply("concatenate", x, x, axis=1),
        "part": lambda x, y: apply("slice", x, begin=[0, 1, 2], end=[end, 3, end], step=[1, 1, 2]),
        "back": lambda x, y: apply("slice", x, begin=[0, 2, 9], end=[end, -1, 0], step=[1, -2, -1]),
        "none": lambda x, y: apply("slice", x, begin=[0, 2, 0], end=[end, 2, 5], step=[1, 1, 1]),
        "take": lambda x, y: apply("take", x, constant([1, -1, 0, 0], "int32"), axis=2),
        "of the middle": lambda x, y: apply("take", x, constant([-3, 2], "int8"), axis=1),
        "padded": lambda x, y: apply(
            "pad_slice", x, begin=[0, 2, 1], step=[1, 1, 1], shape=[-1, 6, 7]
        ),
        "spread": lambda x, y: apply(
            "pad_slice", x, begin=[0, 4, 0], step=[1, -2, 2], shape=[-1, 5, 9]
        ),
    }
    check(tmp_path, calls, [x, y], dtype="float64")


@pytest.mark.parametrize("dtype", WHOLE)
def test_ids(dtype, tmp_path):
    rng = np.random.default_rng(9)
    ids, one = rng.integers(0, 5, (30, 4)).astype(dtype), rng.integers(0, 5, 30).astype(dtype)
    table, flags = rng.normal(size=(5, 3)), rng.random((5, 1)) < 0.5
    calls = {
        "embedding": lambda i, j: apply("embedding", constant(table, "float32"), i),
        "of flags": lambda i, j: apply("embedding", constant(flags), i),
        "take": lambda i, j: apply("take", constant(table, "float32"), j),
        "along": lambda i, j: apply(
            "take_along",
            apply("broadcast_to", constant(table, "float32"), shape=[-1, 5, 3]),
            apply("broadcast_to", apply("reshape", i, shape=[-1, 4, 1]), shape=[-1, 4, 3]),
            axis=1,
        ),
        "along the row": lambda i, j: apply(
            "take_along", i, apply("cast", apply("cast", i, dtype="bool"), dtype="uint8"), axis=1
        ),
        "one_hot": lambda i, j: apply("one_hot", i, classes=4),
        "one_hot of one": lambda i, j: apply("one_hot", j, classes=7, dtype="int8"),
    }
    check(tmp_path, calls, [ids, one])


def test_ids_from_the_end_and_wrong_ones(tmp_path):
    program = record(lambda i: apply("take", constant(np.arange(5.0), "float32"), i), ((), "int32"))
    predictor, _ = program.freeze(["y0"], dtype="float32", names=[])
    net = Exported(predictor, tmp_path, COMPILERS[0])
    y = np.zeros(1, "float32")
    for i in range(-7, 7):
        status = net.call([np.array([i], "int32")], [y])
        assert status == (0 if -5 <= i < 5 else 2)
        assert status == 2 or y[0] == i % 5


@pytest.mark.parametrize("dtype", [*WHOLE, "bool", "float64"])
def test_scaled_inputs(dtype, tmp_path):
    """What a Rescaling of an input becomes: part of reading it."""
    rng = np.random.default_rng(10)
    x = numbers(rng, dtype, (20, 6))
    program = record(
        lambda x: apply(
            "add",
            apply("multiply", apply("cast", x, dtype="float32"), constant(0.3, "float32")),
            constant(-1.25, "float32"),
        ),
        ((6,), dtype),
    )
    predictor, _ = program.freeze(["y0"], dtype="float32", names=[])
    found = Exported(predictor, tmp_path, COMPILERS[0], "-O2").run([x])
    np.testing.assert_array_equal(found, predictor.run([x]))
