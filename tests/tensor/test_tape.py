"""The eager tape: gradients, second derivatives, sharing, long chains, version checks."""

import threading
import weakref

import numpy as np
import pytest

import densa
from densa import _core
from densa._core import apply, from_numpy


def _leaf(values, dtype="float64"):
    x = from_numpy(np.array(values, dtype=dtype))
    x.requires_grad = True
    return x


def test_simple_gradient():
    x, w = _leaf([1.0, 2.0]), _leaf([3.0, 4.0])
    (x * w + x).sum().backward()
    assert x.grad.tolist() == [4, 5]
    assert w.grad.tolist() == [1, 2]
    assert x.is_leaf
    assert not (x * w).is_leaf


def test_gradients_add_up_until_they_are_cleared():
    x = _leaf([1.0, 2.0])
    (x * 2).sum().backward()
    (x * 3).sum().backward()
    assert x.grad.tolist() == [5, 5]
    x.grad = None
    (x * 3).sum().backward()
    assert x.grad.tolist() == [3, 3]


def test_broadcasting_sums():
    x, b = _leaf(np.ones((3, 2))), _leaf([1.0, 2.0])
    s = _leaf(2.0)
    ((x + b) * s).sum().backward()
    assert b.grad.tolist() == [6, 6]
    assert s.grad.item() == 15
    assert x.grad.shape == (3, 2)


def test_shared_subexpressions_are_visited_once():
    x = _leaf(1.0)
    y = x
    for _ in range(60):  # 2^60 paths
        y = y + y
    y.backward()
    assert x.grad.item() == 2.0**60


def test_diamond_waits_for_all_contributions():
    x = _leaf(2.0)
    a = x * x
    b = a * 3
    c = apply("exp", a) * b  # a is read by both, at different depths
    c.backward()
    expected = (3 * np.exp(4) + 12 * np.exp(4)) * 4
    np.testing.assert_allclose(x.grad.item(), expected, rtol=1e-12)


def test_a_chain_of_5000_ops():
    x = _leaf([1.0])
    y = x
    for _ in range(5000):
        y = y * 1.001
    y.backward()
    np.testing.assert_allclose(x.grad.item(), 1.001**5000, rtol=1e-10)


def test_a_long_chain_is_freed_without_recursion():
    a = np.ones(1)
    alive = weakref.ref(a)
    x = from_numpy(a)
    x.requires_grad = True
    y = x
    for _ in range(200_000):
        y = y + 1
    del a, x
    assert alive() is not None
    del y
    assert alive() is None


def test_no_cycles_are_left_behind():
    a = np.ones(2)
    alive = weakref.ref(a)
    x = from_numpy(a)
    x.requires_grad = True
    y = apply("exp", x) * x
    y.sum().backward()
    assert x.grad is not None
    del a, x, y
    assert alive() is None


def test_second_and_third_derivatives():
    a = np.array([0.5, 1.5])
    x = _leaf(a)
    y = x * x * x * x
    (first,) = _core.gradients([y], [x], [from_numpy(np.ones(2))], create_graph=True)
    (second,) = _core.gradients([first.sum()], [x], create_graph=True)
    (third,) = _core.gradients([second.sum()], [x])
    for got, expected in ((first, 4 * a**3), (second, 12 * a**2), (third, 24 * a)):
        np.testing.assert_allclose(got.numpy(), expected, rtol=1e-12)
    assert not third.requires_grad


def test_second_derivative_through_a_saved_output():
    x = _leaf(0.5)
    (first,) = _core.gradients([apply("exp", x) * x], [x], create_graph=True)
    (second,) = _core.gradients([first], [x])
    np.testing.assert_allclose(second.item(), np.exp(0.5) * 2.5, rtol=1e-12)


def test_gradients_of_values_in_the_middle():
    x = _leaf([1.0, 2.0])
    y = x * x
    z = (y * 3).sum()
    gy, gx, none = _core.gradients([z], [y, x, _leaf([1.0])])
    assert gy.tolist() == [3, 3]
    assert gx.tolist() == [6, 12]
    assert none is None
    assert x.grad is None


def test_several_roots():
    x = _leaf([1.0])
    (g,) = _core.gradients([x * 2, x * 3], [x])
    assert g.tolist() == [5]


def test_backward_with_a_weight():
    x = _leaf([1.0, 2.0])
    (x * x).backward([1.0, 10.0])
    assert x.grad.tolist() == [2, 40]
    with pytest.raises(ValueError, match="more than one element"):
        (x * x).backward()
    with pytest.raises(ValueError, match=r"gradient is float64\(3,\)"):
        (x * x).backward(np.ones(3))


def test_backward_needs_a_tape():
    with pytest.raises(ValueError, match="requires a gradient"):
        from_numpy(np.ones(1)).backward()
    x = _leaf([1.0])
    with densa.no_grad():
        y = x * 2
    with pytest.raises(ValueError, match="no_grad"):
        y.backward()


def test_grad_modes_nest():
    assert _core.is_grad_enabled()
    with densa.no_grad():
        assert not _core.is_grad_enabled()
        with densa.enable_grad():
            assert _core.is_grad_enabled()
        assert not _core.is_grad_enabled()
    assert _core.is_grad_enabled()


def test_grad_mode_belongs_to_the_thread():
    seen = []
    with densa.no_grad():
        t = threading.Thread(target=lambda: seen.append(_core.is_grad_enabled()))
        t.start()
        t.join()
    assert seen == [True]


def test_integers_do_not_require_gradients():
    x = from_numpy(np.arange(3))
    with pytest.raises(TypeError, match="only floating"):
        x.requires_grad = True
    y = _leaf([1.0]) > 0
    assert not y.requires_grad
    with pytest.raises(ValueError, match="leaves only"):
        (_leaf([1.0]) * 2).requires_grad = False


def test_a_cast_passes_gradients_between_floats():
    x = _leaf([1.0, 2.0], "float32")
    (x.astype("float64") * 2).sum().backward()
    assert x.grad.dtype == "float32"
    assert x.grad.tolist() == [2, 2]


def test_a_write_that_the_tape_needs_is_caught():
    x = _leaf([1.0, 2.0])
    w = from_numpy(np.array([3.0, 4.0]))
    y = (x * w).sum()
    w[0] = 7.0
    with pytest.raises(RuntimeError, match="written to"):
        y.backward()


def test_a_write_to_an_output_that_the_tape_needs_is_caught():
    x = _leaf([1.0, 2.0])
    y = apply("exp", x)
    y.detach()[0] = 0.0
    with pytest.raises(RuntimeError, match="written to"):
        y.sum().backward()


def test_a_write_that_the_tape_does_not_need_is_allowed():
    x = _leaf([1.0, 2.0])
    w = from_numpy(np.array([3.0, 4.0]))
    y = (x + w).sum()
    w[0] = 7.0
    y.backward()
    assert x.grad.tolist() == [1, 1]


def test_detach_shares_memory_and_cuts_the_tape():
    x = _leaf([1.0, 2.0])
    d = (x * 2).detach()
    assert not d.requires_grad
    (x * d).sum().backward()
    assert x.grad.tolist() == [2, 4]
    assert np.shares_memory(x.detach().numpy(), x.numpy())


def test_grad_checks_its_shape():
    x = _leaf([1.0])
    with pytest.raises(ValueError, match="grad"):
        x.grad = from_numpy(np.ones(2))
    x.grad = from_numpy(np.ones(1))
    assert x.grad.tolist() == [1]


def test_unknown_ops_name_the_nearest():
    with pytest.raises(ValueError, match="did you mean 'multiply'"):
        apply("multipy", 1.0, 2.0)


def test_value_and_grad():
    f = densa.value_and_grad(lambda x, y: (x * x * y).sum(), argnums=(0, 1))
    value, (dx, dy) = f(np.array([1.0, 2.0]), np.array([3.0, 4.0]))
    assert value.item() == 19
    assert dx.tolist() == [6, 16]
    assert dy.tolist() == [1, 4]


def test_value_and_grad_of_trees_and_variables():
    v = densa.Variable([1.0, 2.0], name="v")
    params = {"w": np.array([3.0, 4.0], np.float32), "rest": [v, 2.0]}

    def f(p):
        return (p["w"] * p["rest"][0]).sum() * p["rest"][1]

    value, grads = densa.value_and_grad(f)(params)
    assert value.item() == 22
    assert grads["w"].tolist() == [2, 4]
    assert grads["rest"][0].tolist() == [6, 8]
    assert grads["rest"][1].item() == 11


def test_value_and_grad_nests():
    f = lambda x: (x * x * x).sum()  # noqa: E731
    slope = lambda x: densa.value_and_grad(f)(x)[1].sum()  # noqa: E731
    _, second = densa.value_and_grad(slope)(np.array([1.0, 2.0]))
    assert second.tolist() == [6, 12]


def test_value_and_grad_with_more_results_and_errors():
    (value, extra), grad = densa.value_and_grad(lambda x: (x.sum(), "extra"), has_aux=True)(
        np.ones(2)
    )
    assert (value.item(), extra, grad.tolist()) == (2, "extra", [1, 1])
    _, unused = densa.value_and_grad(lambda x, y: x.sum(), 1)(np.ones(2), np.ones(3))
    assert unused.tolist() == [0, 0, 0]
    with pytest.raises(ValueError, match="one element"):
        densa.value_and_grad(lambda x: x)(np.ones(2))
    with pytest.raises(TypeError, match="floats"):
        densa.value_and_grad(lambda x: x.sum())(np.ones(2, int))


def test_threads_have_tapes_of_their_own():
    results = {}

    def work(seed):
        x = _leaf(np.full(40_000, float(seed)))  # large enough to give up Python's lock
        for _ in range(20):
            y = (x * x * 0.5).sum()
            y.backward()
        results[seed] = x.grad.numpy()[0]

    threads = [threading.Thread(target=work, args=(s,)) for s in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert results == {s: 20.0 * s for s in range(4)}
