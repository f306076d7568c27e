"""densa.ops.linalg: NumPy's answers, gradients by finite differences, and what it refuses."""

import numpy as np
import pytest

import densa
from densa import ops

RNG = np.random.default_rng(3)
A = RNG.normal(size=(2, 4, 4)) + 2 * np.eye(4)
B = RNG.normal(size=(2, 4, 3))
SPD = A @ A.transpose(0, 2, 1) + np.eye(4)
TALL, WIDE = RNG.normal(size=(5, 3)), RNG.normal(size=(3, 5))


def symmetric(x):
    return x + ops.transpose(x, (0, 2, 1))


def mirrored_lower(x):
    """What reads the lower triangle sees a symmetric matrix, however its elements move."""
    low = ops.tril(x)
    return low + ops.transpose(ops.tril(x, -1), (0, 2, 1))


def of_signs(q):
    """Columns of eigenvectors and factors up to their sign."""
    return ops.abs(q)


# name, function of the arrays that gives one array or several, arrays
CASES = [
    ("inv", ops.inv, (A,)),
    ("det", ops.det, (A,)),
    ("slogdet", lambda x: ops.slogdet(x)[1], (A,)),
    ("logdet", ops.logdet, (SPD,)),
    ("cholesky", lambda x: ops.cholesky(mirrored_lower(x)), (SPD,)),
    ("cholesky upper", lambda x: ops.cholesky(mirrored_lower(x), upper=True), (SPD,)),
    ("cholesky_inverse", ops.cholesky_inverse, (np.linalg.cholesky(SPD),)),
    ("cholesky_inverse upper", lambda x: ops.cholesky_inverse(x, upper=True), (SPD,)),
    ("solve", ops.solve, (A, B)),
    ("solve a vector", ops.solve, (A[0], B[0, :, 0])),
    ("solve_triangular", ops.solve_triangular, (A, B)),
    ("solve_triangular lower", lambda a, b: ops.solve_triangular(a, b, lower=True), (A, B)),
    ("lstsq", ops.lstsq, (TALL, RNG.normal(size=(5, 2)))),
    ("lstsq wide", ops.lstsq, (WIDE, RNG.normal(size=3))),
    ("pinv tall", ops.pinv, (TALL,)),
    ("pinv wide", ops.pinv, (WIDE,)),
    ("lu_factor", lambda x: ops.lu_factor(x)[0], (A,)),
    ("qr", lambda x: tuple(map(of_signs, ops.qr(x))), (TALL,)),
    ("qr square", lambda x: tuple(map(of_signs, ops.qr(x))), (A,)),
    ("eigh", lambda x: (lambda w, v: (w, of_signs(v)))(*ops.eigh(mirrored_lower(x))), (SPD,)),
    ("svd values", lambda x: ops.svd(x, compute_uv=False), (TALL,)),
    ("svd tall", lambda x: tuple(map(of_signs, ops.svd(x, full_matrices=False))), (TALL,)),
    ("svd wide", lambda x: tuple(map(of_signs, ops.svd(x, full_matrices=False))), (WIDE,)),
    ("svd square", lambda x: tuple(map(of_signs, ops.svd(x))), (A,)),
    ("norm nuc", lambda x: ops.norm(x, "nuc", axis=(-2, -1)), (TALL,)),
    ("norm 2", lambda x: ops.norm(x, 2, axis=(-2, -1)), (WIDE,)),
]


@pytest.mark.parametrize(("name", "function", "arrays"), CASES, ids=[c[0] for c in CASES])
def test_gradient(name, function, arrays):
    weights = {}

    def loss(*xs):
        outs = function(*xs)
        outs = outs if isinstance(outs, tuple) else (outs,)
        total = 0.0
        for i, out in enumerate(outs):
            if i not in weights:
                weights[i] = np.random.default_rng(i).normal(size=tuple(out.shape))
            total = total + ops.sum(out * weights[i])
        return total

    positions = tuple(range(len(arrays)))
    _, grads = densa.value_and_grad(loss, positions)(*arrays)
    step = 1e-6
    for k, array in enumerate(arrays):
        expected = np.zeros_like(array)
        for place in np.ndindex(array.shape):
            moved = [a.copy() for a in arrays]
            moved[k][place] += step
            up = float(loss(*moved))
            moved[k][place] -= 2 * step
            expected[place] = (up - float(loss(*moved))) / (2 * step)
        # Central differences of step 1e-6 leave about 1e-9 of the size of the function.
        np.testing.assert_allclose(grads[k].numpy(), expected, rtol=2e-5, atol=2e-6, err_msg=name)


def test_factors_multiply_to_the_matrix():
    for x in (A, TALL, WIDE, A.astype("f4")):
        tolerance = (
            {"rtol": 1e-4, "atol": 1e-5} if x.dtype == "f4" else {"rtol": 1e-10, "atol": 1e-10}
        )
        q, r = ops.qr(x)
        np.testing.assert_allclose((q.numpy() @ r.numpy()), x, **tolerance)
        u, s, vt = ops.svd(x, full_matrices=False)
        assert u.dtype == s.dtype == x.dtype
        np.testing.assert_allclose(u.numpy() * s.numpy()[..., None, :] @ vt.numpy(), x, **tolerance)
    assert [t.shape for t in ops.svd(TALL)] == [(5, 5), (3,), (3, 3)]
    assert [t.shape for t in ops.qr(TALL, "complete")] == [(5, 5), (5, 3)]
    w, v = ops.eigh(SPD)
    np.testing.assert_allclose(v.numpy() * w.numpy()[:, None] @ v.numpy().transpose(0, 2, 1), SPD)
    lu, pivots = ops.lu_factor(A)
    for x, factors, swaps in zip(A, lu.numpy(), pivots.numpy(), strict=True):
        product = (np.tril(factors, -1) + np.eye(4)) @ np.triu(factors)
        for i in reversed(range(4)):
            product[[i, swaps[i]]] = product[[swaps[i], i]]
        np.testing.assert_allclose(product, x, rtol=1e-10, atol=1e-12)
    sign, size = ops.slogdet(-A[0, :3, :3])
    np.testing.assert_allclose([sign, size], np.linalg.slogdet(-A[0, :3, :3]))


@pytest.mark.parametrize("order", ["nuc", "fro", 1, -1, 2, -2, np.inf, -np.inf])
@pytest.mark.parametrize("keepdims", [False, True])
def test_norms_of_matrices(order, keepdims):
    got = ops.norm(A, order, axis=(1, 2), keepdims=keepdims)
    np.testing.assert_allclose(got.numpy(), np.linalg.norm(A, order, (1, 2), keepdims))
    if not keepdims:
        np.testing.assert_allclose(ops.norm(TALL, order).numpy(), np.linalg.norm(TALL, order))


def test_awkward_sizes():
    assert ops.inv(np.zeros((0, 3, 3))).shape == (0, 3, 3)
    assert float(ops.det(np.zeros((0, 0)))) == 1.0
    assert [x.shape for x in ops.lu_factor(np.zeros((2, 0, 0)))] == [(2, 0, 0), (2, 0)]
    assert ops.solve(np.zeros((0, 0)), np.zeros((0, 2))).shape == (0, 2)
    np.testing.assert_array_equal(ops.inv([[4.0]]).numpy(), [[0.25]])
    assert np.isnan(ops.logdet([[-1.0]]).numpy())
    assert ops.eigh(np.float32([[2.0]]))[1].dtype == "float32"


@pytest.mark.parametrize(
    ("match", "call"),
    [
        ("square matrices", lambda: ops.inv(TALL)),
        ("[Ss]ingular", lambda: ops.inv(np.zeros((2, 2)))),
        ("[Ss]ingular", lambda: ops.solve(np.zeros((2, 2)), [1.0, 2.0])),
        ("[Pp]ositive", lambda: ops.cholesky(-np.eye(2))),
        ("vectors", lambda: ops.solve(A, B[:, :3])),
        ("mode", lambda: ops.qr(TALL, "raw")),
        ("expected a", lambda: ops.lstsq(TALL, WIDE)),
        ("full_matrices=False", lambda: ops.svd(densa.Variable(TALL))),
        ("reduced", lambda: ops.qr(densa.Variable(WIDE))),
        ("shapes of the primals", lambda: ops.jvp(ops.sin, (1.0,), ([1.0, 2.0],))),
        ("order", lambda: ops.norm(TALL, 3, axis=(0, 1))),
    ],
)
def test_errors(match, call):
    with pytest.raises(ValueError, match=match):
        call()


def test_jvp():
    x, t = RNG.normal(size=(3, 2)), RNG.normal(size=(3, 2))
    w = RNG.normal(size=(2, 4))
    value, tangent = ops.jvp(lambda x: ops.tanh(ops.matmul(x, w)), (x,), (t,))
    np.testing.assert_allclose(value.numpy(), np.tanh(x @ w))
    np.testing.assert_allclose(tangent.numpy(), (1 - np.tanh(x @ w) ** 2) * (t @ w))
    value, tangent, aux = ops.jvp(lambda x, y: (x * y, "aux"), [2.0, 3.0], [1.0, 1.0], has_aux=True)
    assert (float(value), float(tangent), aux) == (6.0, 5.0, "aux")
    _, still = ops.jvp(lambda x: ops.sign(x), (x,), (t,))
    np.testing.assert_array_equal(still.numpy(), 0 * x)


class Whitened(densa.layers.Layer):
    """Reads the inputs' numbers: a matrix is made of each row, and inverted."""

    def call(self, x):
        matrices = ops.reshape(x, (-1, 3, 1)) * ops.reshape(x, (-1, 1, 3)) + ops.eye(3)
        return ops.sum(ops.inv(matrices), axis=-1)


def test_where_models_are_recorded_it_says_so():
    model = densa.Sequential([densa.Input((3,)), Whitened(), densa.layers.Dense(1)])
    x, y = RNG.normal(size=(8, 3)), RNG.normal(size=(8, 1))
    model.compile("sgd", "mse")
    for train in (lambda: model.fit(x, y, verbose=0), lambda: model.predict(x, verbose=0)):
        with pytest.raises(TypeError, match="inv, which NumPy computes.*run_eagerly=True"):
            train()
    with pytest.raises(ValueError, match="freeze: layer .*whitened.*inv, which NumPy computes"):
        model.freeze()
    model.compile("sgd", "mse", run_eagerly=True)
    before = model.layers[-1].kernel.numpy()
    model.fit(x, y, verbose=0)
    assert np.abs(model.layers[-1].kernel.numpy() - before).max() > 0


@pytest.mark.parametrize("function", [ops.inv, ops.cholesky, lambda a: ops.solve(a, a), ops.det])
def test_in_a_graph(function):
    a = densa.Input((3, 3))
    model = densa.Model(a, function(a))
    given = np.stack([np.diag([1.0, 2, 4]), np.eye(3) + 0.5]).astype("f4")
    np.testing.assert_allclose(model(given), function(given), rtol=1e-6)
    with pytest.raises(TypeError, match="which NumPy computes"):
        model.predict(given, verbose=0)
    model.compile(run_eagerly=True)
    np.testing.assert_allclose(model.predict(given, verbose=0), function(given), rtol=1e-6)


def test_a_trainable_matrix_is_solved_in_an_eager_step():
    """Gradients reach a variable through LAPACK: (W + 4)·x = b, W pulled to the answer."""
    w = densa.Variable(np.zeros((3, 3)), dtype="float64")
    optimizer = densa.optimizers.Adam(0.05)
    target, b = np.array([0.5, 0.8, -0.25]), np.array([1.0, 2.0, -0.5])
    losses = []
    for _ in range(200):
        found = ops.solve(w + 4 * np.eye(3), b)
        loss = ops.mean(ops.square(found - target))
        loss.backward()
        optimizer.apply([w.grad], [w])
        w.grad = None
        losses.append(float(loss))
    assert losses[-1] < 1e-3 * losses[0]


@pytest.mark.parametrize("namespace", ["linalg", "nn", "numpy", "image"])
def test_namespaces(namespace):
    module = getattr(ops, namespace)
    for name in {"linalg": ["solve", "norm"], "nn": ["relu", "one_hot"], "numpy": ["sum", "dot"],
                 "image": ["resize"]}[namespace]:  # fmt: skip
        function = getattr(module, name)
        assert function is getattr(ops, name, function)
    with pytest.raises(AttributeError, match="has no attribute"):
        module.no_such_name  # noqa: B018
