"""The eager fused step on memory as it lies: layouts, strides, threads, what it refuses."""

import numpy as np
import pytest

from densa import _core

# Large enough that three threads get a part each (a part is at least 2**15 numbers), and of sizes
# that leave a tail in vectors, panels and tiles.
SHAPES = [(3 * 2**15 + 5,), (403, 301), (3, 40001), (120001, 1), (0, 3), (3, 0)]


@pytest.fixture
def threads():
    before = _core.get_num_threads()
    yield lambda count: _core.set_num_threads(count, exact=True)
    _core.set_num_threads(before)


def adam(w, g, steps, lr=0.01, beta_1=0.9, beta_2=0.999, epsilon=1e-7):
    m, v = np.zeros_like(w), np.zeros_like(w)
    for t in range(1, steps + 1):
        m = beta_1 * m + (1 - beta_1) * g
        v = beta_2 * v + (1 - beta_2) * g * g
        w = w - lr * np.sqrt(1 - beta_2**t) / (1 - beta_1**t) * m / (np.sqrt(v) + epsilon)
    return w


def stepped(w, gradient, steps=2, rows=False):
    """Variable and slots after steps of Adam, through the core alone."""
    variable = _core.Variable(w, rows=rows)
    slots = [_core.Variable(np.zeros_like(w), rows=rows) for _ in range(2)]
    for i in range(steps):
        _core.optimizer_step("adam", {}, [variable], [gradient], [slots], [True], i, 0.01)
    return [variable.numpy(), *(slot.numpy() for slot in slots)]


def strided(g, how):
    """A Tensor of g's numbers that is not row-major."""
    if how == "rows":
        return _core.from_numpy(g)
    if how == "every second":
        wide = np.zeros((*g.shape[:-1], 2 * g.shape[-1]), g.dtype)
        wide[..., ::2] = g
        return _core.from_numpy(wide[..., ::2])
    return _core.from_numpy(np.asfortranarray(g))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("how", ["rows", "every second", "by columns"])
def test_threads_never_change_a_bit(shape, dtype, how, threads):
    rng = np.random.default_rng(7)
    w, g = (rng.standard_normal(shape).astype(dtype) for _ in range(2))
    gradient = strided(g, how)
    threads(1)
    one = stepped(w, gradient)
    for count in (2, 3):
        threads(count)
        for found, expected in zip(stepped(w, gradient), one, strict=True):
            np.testing.assert_array_equal(found, expected)
    expected = adam(w.astype(np.float64), g.astype(np.float64), 2)
    # Each of the two moves is about the rate, 0.01, and right to some 8 eps; so is the weight.
    eps = np.finfo(dtype).eps
    np.testing.assert_allclose(one[0], expected, rtol=8 * eps, atol=0.02 * 8 * eps)
    np.testing.assert_array_equal(gradient.numpy(), g)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_layouts_agree(dtype):
    rng = np.random.default_rng(8)
    w, g = (rng.standard_normal((67, 83)).astype(dtype) for _ in range(2))
    gradient = _core.from_numpy(g)
    for a, b in zip(stepped(w, gradient), stepped(w, gradient, rows=True), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("size", [0, 1, 15, 16, 17, 33])
def test_numbers_behind_the_end_stay(size):
    """A step on one variable of an arena leaves its neighbours alone, and reads no more of g."""
    wide = np.full(size + 40, np.nan, np.float32)
    wide[:size] = 1
    before, one, after = (_core.Variable(np.full(n, 2, np.float32)) for n in (3, size, 5))
    arena = _core.Arena([before, one, after])
    _core.optimizer_step("sgd", {}, [one], [_core.from_numpy(wide[:size])], [[]], [True], 0, 0.5)
    assert arena.holds_all
    np.testing.assert_array_equal(one.numpy(), np.full(size, 1.5, np.float32))
    np.testing.assert_array_equal(before.numpy(), np.full(3, 2, np.float32))
    np.testing.assert_array_equal(after.numpy(), np.full(5, 2, np.float32))


def test_padding_of_panels_stays_zero():
    """Padding that is not zero would reach the product with a matrix of fewer columns."""
    rng = np.random.default_rng(9)
    w, g = (rng.standard_normal((20, 19)).astype(np.float32) for _ in range(2))
    one = _core.Variable(w, device="cpu")  # a GPU has no panels
    m, v = (_core.Variable(np.zeros_like(w), device="cpu") for _ in range(2))
    for i in range(3):
        _core.optimizer_step("adam", {}, [one], [_core.from_numpy(g)], [[m, v]], [True], i, 0.1)
    # Two panels of 20 rows; a plan of the bias-free layer reads the padding of the second.
    program = _core.Program()
    with program:
        x = program.input("x", (None, 20))
        y = _core.apply("matmul", x, one)
        eye = _core.Variable(np.eye(19, dtype=np.float32), device="cpu")
        program.output("y", _core.apply("matmul", y, eye))
    found = np.empty((5, 19), np.float32)
    data = rng.standard_normal((5, 20)).astype(np.float32)
    plan = _core.Plan(program, 5, loss="", collect=["y"])
    plan.begin([data], None, 0, 5, 5, [found])
    plan.run()
    expected = data.astype(np.float64) @ one.numpy().astype(np.float64)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)  # 20 products


@pytest.mark.parametrize("other", ["variable", "slot"])
def test_gradient_that_shares_memory_with_what_is_stepped(other):
    w = np.arange(1, 36, dtype=np.float32).reshape(5, 7)
    variable, slot = _core.Variable(w, rows=True), _core.Variable(2 * w, rows=True)
    gradient = (variable if other == "variable" else slot).value()
    g = gradient.numpy().copy()
    _core.optimizer_step(
        "sgd",
        {"momentum": 0.5},
        [variable],
        [gradient],
        [[slot]],
        [True],
        0,
        0.25,
    )
    # Powers of two times small whole numbers: every operation is exact.
    np.testing.assert_array_equal(slot.numpy(), w - 0.25 * g)
    np.testing.assert_array_equal(variable.numpy(), w + (w - 0.25 * g))


def test_what_does_not_fit_changes_nothing():
    w = np.ones((4, 3), np.float32)
    first, second = _core.Variable(w), _core.Variable(w)
    whole = _core.Variable(np.ones(3, np.int32))
    g = _core.from_numpy(w)

    def step(variable, gradient, slots):
        _core.optimizer_step(
            "sgd", {}, [first, variable], [g, gradient], [[], slots], [True, True], 0, 1.0
        )

    with pytest.raises(ValueError, match="its gradient is float32"):
        step(second, _core.from_numpy(np.ones((3, 4), np.float32)), [])
    with pytest.raises(ValueError, match="has 1 slots, sgd needs 0"):
        step(second, g, [_core.Variable(w)])
    with pytest.raises(TypeError, match="only floating variables"):
        step(whole, _core.from_numpy(np.ones(3, np.int32)), [])
    np.testing.assert_array_equal(first.numpy(), w)
