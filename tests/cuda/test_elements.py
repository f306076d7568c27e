"""Elementwise, cast and random ops on a GPU against the CPU: numbers at the edges, every dtype."""

import numpy as np
import pytest

import densa
from densa import _core

if densa.get_device() == "cpu":
    pytest.skip("needs DENSA_TEST_DEVICE=cuda", allow_module_level=True)

WHOLE = ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"]
FLOATS = ["float32", "float64"]
NAMES = ["bool", *WHOLE, *FLOATS]
QUESTIONS = ["equal", "not_equal", "less", "less_equal", "greater", "greater_equal", "logical_and",
             "logical_or", "logical_xor"]  # fmt: skip
# Less than one four, one, some with and without a tail, more than one block.
SIZES = [1, 3, 4, 5, 31, 32, 33, 1000, 4099]


def both(op, *arrays, **attrs):
    """The op's result on the GPU and on the CPU."""
    on_gpu = _core.apply(op, *(_core.from_numpy(x).to("cuda") for x in arrays), **attrs)
    assert on_gpu.device.startswith("cuda")
    on_cpu = _core.apply(op, *(_core.from_numpy(x) for x in arrays), **attrs) if arrays else None
    return on_gpu.numpy(), None if on_cpu is None else on_cpu.numpy()


def check(op, *arrays, **attrs):
    with np.errstate(all="ignore"):
        on_gpu, on_cpu = both(op, *arrays, **attrs)
    np.testing.assert_array_equal(on_gpu, on_cpu, strict=True)


def made_on_cpu(op, **attrs):
    """What an op without inputs makes there."""
    device = densa.get_device()
    densa.set_device("cpu")
    try:
        return _core.apply(op, **attrs).numpy()
    finally:
        densa.set_device(device)


def edges(dtype):
    """Numbers at which integers wrap and floats are special, and some between."""
    if dtype == "bool":
        return np.array([False, True, True, False])
    if dtype in FLOATS:
        info = np.finfo(dtype)
        some = [0.0, -0.0, np.inf, -np.inf, np.nan, info.max, info.min, info.tiny, 1e-45, 0.5, -1.5]
        some += [2.0**31, 2.0**63, 2.0**64, -(2.0**63), 127.9, 255.5, -0.9, 3.0, -7.0]
        with np.errstate(all="ignore"):
            return np.array(some).astype(dtype)
    info = np.iinfo(dtype)
    some = [0, 1, 2, 3, 7, 100, info.max, info.max - 1, info.min, info.min + 1]
    return np.array([n for n in [*some, -1, -2, -3, -7, -100] if info.min <= n], dtype)


def pairs(dtype):
    """Each edge with each."""
    x = edges(dtype)
    return np.repeat(x, len(x)), np.tile(x, len(x))


@pytest.mark.parametrize("dtype", WHOLE)
@pytest.mark.parametrize(
    "op", ["negative", "abs", "square", "relu", "relu6", "sign", "floor", "ceil", "round"]
)
def test_unary_of_integers(op, dtype):
    check(op, edges(dtype))


@pytest.mark.parametrize("dtype", NAMES)
@pytest.mark.parametrize(
    "op", ["add", "subtract", "multiply", "maximum", "minimum", "power", "floor_divide", "mod"]
)
def test_pairs_of_every_dtype(op, dtype):
    if dtype == "bool" and op in ("subtract", "power"):
        pytest.skip("not of bools")
    a, b = pairs(dtype)
    if op == "power" and dtype in FLOATS:
        a, b = a.clip(-8, 8), b.clip(-8, 8)  # specials are in tests/ops
    check(op, a, b)


@pytest.mark.parametrize("dtype", NAMES)
@pytest.mark.parametrize("op", QUESTIONS)
def test_questions_about_pairs(op, dtype):
    check(op, *pairs(dtype))


@pytest.mark.parametrize("dtype", NAMES)
@pytest.mark.parametrize("op", ["isnan", "isinf", "isfinite", "logical_not"])
def test_questions(op, dtype):
    check(op, edges(dtype))


@pytest.mark.parametrize("dtype", FLOATS)
def test_arctan2_at_the_edges(dtype):
    on_gpu, on_cpu = both("arctan2", *pairs(dtype))
    # The two libraries are each within a few units in the last place.
    np.testing.assert_allclose(on_gpu, on_cpu, rtol=4 * np.finfo(dtype).eps, atol=1e-44)
    np.testing.assert_array_equal(np.signbit(on_gpu), np.signbit(on_cpu))


@pytest.mark.parametrize("to", NAMES)
@pytest.mark.parametrize("origin", NAMES)
def test_cast_at_the_edges(origin, to):
    check("cast", edges(origin), dtype=to)


@pytest.mark.parametrize("origin", [*WHOLE, *FLOATS])
@pytest.mark.parametrize("to", WHOLE)
def test_strict_cast_refuses_the_same(origin, to):
    for number in edges(origin):
        x = np.array([[0, 1, 2], [3, number, number]], origin)
        messages = []
        for device in ("cpu", "cuda"):
            try:
                _core.apply("cast", _core.from_numpy(x).to(device), dtype=to, strict="Ids")
            except ValueError as error:
                messages.append(str(error))
        assert len(messages) in (0, 2), (number, messages)
        assert len(set(messages)) < 2, messages


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("dtype", ["bool", "int8", "int16", *FLOATS])
def test_where_and_copies_of_every_size(n, dtype):
    rng = np.random.default_rng(n)
    a, b = rng.integers(0, 100, (2, n)).astype(dtype)
    check("where", rng.random(n) < 0.5, a, b)
    check("where", rng.random((3, 1)) < 0.5, a, b[:1])


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("dtype", FLOATS)
def test_bias_and_activation_of_every_width(n, dtype):
    rng = np.random.default_rng(n)
    x, b = rng.normal(size=(3, n)).astype(dtype), rng.normal(size=n).astype(dtype)
    check("add", x, b)
    check("multiply", x, x[:, :1])
    check("less", x, b)
    check("relu", x)


@pytest.mark.parametrize("n", [0, *SIZES])
@pytest.mark.parametrize("dtype", FLOATS)
def test_dropout_of_every_size(n, dtype):
    x = np.arange(1, n + 1).astype(dtype)
    check("dropout", x, rate=0.4, seed=7, stream=2, step=2**33 + 5)


@pytest.mark.parametrize("n", [0, *SIZES])
@pytest.mark.parametrize("dtype", FLOATS)
def test_random_numbers_are_the_cpus(n, dtype):
    attrs = {"shape": [n], "dtype": dtype, "seed": 3, "stream": 5, "step": 11}
    got = _core.apply("random_uniform", low=-1.0, high=2.5, **attrs)
    assert got.device.startswith("cuda")
    expected = made_on_cpu("random_uniform", low=-1.0, high=2.5, **attrs)
    np.testing.assert_array_equal(got.numpy(), expected, strict=True)
    got = _core.apply("random_normal", mean=0.5, stddev=2.0, **attrs).numpy()
    expected = made_on_cpu("random_normal", mean=0.5, stddev=2.0, **attrs)
    # log, sin and cos of float64 are each within a few ulp; sums with the mean may cancel.
    eps = np.finfo(dtype).eps
    np.testing.assert_allclose(got, expected, rtol=4 * eps, atol=16 * np.finfo("f8").eps)
