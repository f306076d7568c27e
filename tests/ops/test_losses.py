"""The loss ops and accuracy: values, first and second gradients, labels of every kind, errors."""

import numpy as np
import pytest
from scipy import special

from densa import _core

SHAPES = [(1,), (7,), (1, 1), (5, 10), (3, 17), (33, 2), (2, 3, 4), (4, 300)]


def leaf(x):
    t = _core.from_numpy(np.array(x))
    t.requires_grad = True
    return t


def dot(y, w):
    return _core.apply("sum", _core.apply("multiply", y, w))


def dense_loss(z, t, smoothing=0.0):
    t = t * (1 - smoothing) + smoothing / z.shape[-1]
    return -(t * special.log_softmax(z, axis=-1)).sum(-1)


def sparse_loss(z, labels):
    return -np.take_along_axis(special.log_softmax(z, axis=-1), labels[..., None], -1)[..., 0]


def sigmoid_loss(z, t):
    return -(t * special.log_expit(z) + (1 - t) * special.log_expit(-z))


def sample(shape, seed=0):
    rng = np.random.default_rng(seed)
    z = rng.normal(size=shape) * 3
    target = special.softmax(rng.normal(size=shape), axis=-1)
    labels = rng.integers(0, shape[-1], shape[:-1])
    return z, target, labels, rng.normal(size=shape[:-1])


def slope(f, x, h=1e-6):
    """Central differences of a scalar function."""
    g = np.zeros_like(x)
    for i in np.ndindex(x.shape):
        d = np.zeros_like(x)
        d[i] = h
        g[i] = (f(x + d) - f(x - d)) / (2 * h)
    return g


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("dtype", "rtol"), [("float32", 5e-6), ("float64", 1e-13)])
def test_values(shape, dtype, rtol):
    z, target, labels, _ = sample(shape)
    z, target = z.astype(dtype), target.astype(dtype)
    wide = z.astype(np.float64)
    got = _core.apply("sparse_softmax_cross_entropy", z, labels)
    assert got.dtype == dtype
    assert got.shape == shape[:-1]
    np.testing.assert_allclose(got.numpy(), sparse_loss(wide, labels), rtol=rtol, atol=rtol)
    for smoothing in (0.0, 0.1, 1.0):
        got = _core.apply("softmax_cross_entropy", z, target, label_smoothing=smoothing).numpy()
        np.testing.assert_allclose(got, dense_loss(wide, target, smoothing), rtol=rtol, atol=rtol)
    got = _core.apply("sigmoid_cross_entropy", z, target).numpy()
    np.testing.assert_allclose(got, sigmoid_loss(wide, target), rtol=rtol, atol=rtol)


def first_gradients(op, inputs, wrt, w, **attributes):
    leaves = [leaf(x) if i in wrt else x for i, x in enumerate(inputs)]
    y = dot(_core.apply(op, *leaves, **attributes), w)
    return _core.gradients([y], [leaves[i] for i in wrt])


def check_gradients(op, reference, inputs, wrt, w, **attributes):
    """First gradients against differences of the reference, second against those of the first."""
    rng = np.random.default_rng(9)
    got = first_gradients(op, inputs, wrt, w, **attributes)
    directions = [rng.normal(size=inputs[i].shape) for i in wrt]

    def replaced(i, x):
        return [x if k == i else v for k, v in enumerate(inputs)]

    for i, g in zip(wrt, got, strict=True):
        want = slope(lambda x, i=i: float((reference(*replaced(i, x)) * w).sum()), inputs[i])
        np.testing.assert_allclose(g.numpy(), want, rtol=1e-6, atol=1e-7)

    def along(values):
        firsts = first_gradients(op, values, wrt, w, **attributes)
        return sum(float((g.numpy() * v).sum()) for g, v in zip(firsts, directions, strict=True))

    leaves = [leaf(x) if i in wrt else x for i, x in enumerate(inputs)]
    y = dot(_core.apply(op, *leaves, **attributes), w)
    firsts = _core.gradients([y], [leaves[i] for i in wrt], create_graph=True)
    total = dot(firsts[0], directions[0])
    for g, v in zip(firsts[1:], directions[1:], strict=True):
        total = _core.apply("add", total, dot(g, v))
    seconds = _core.gradients([total], [leaves[i] for i in wrt])
    for i, g in zip(wrt, seconds, strict=True):
        want = slope(lambda x, i=i: along(replaced(i, x)), inputs[i])
        np.testing.assert_allclose(g.numpy(), want, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("shape", [(4,), (3, 5), (2, 2, 3)])
def test_sparse_gradients(shape):
    z, _, labels, w = sample(shape, 1)
    check_gradients(
        "sparse_softmax_cross_entropy", lambda z, t: sparse_loss(z, t), [z, labels], [0], w
    )


@pytest.mark.parametrize("shape", [(4,), (3, 5), (2, 2, 3)])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("wrt", [[0], [0, 1]])
def test_dense_gradients(shape, smoothing, wrt):
    z, target, _, w = sample(shape, 2)
    target = target * 1.3  # need not sum to 1
    check_gradients(
        "softmax_cross_entropy",
        lambda z, t: dense_loss(z, t, smoothing),
        [z, target],
        wrt,
        w,
        label_smoothing=smoothing,
    )


def test_sigmoid_gradients():
    z, target, _, _ = sample((3, 4), 3)
    w = np.random.default_rng(1).normal(size=(3, 4))
    check_gradients("sigmoid_cross_entropy", sigmoid_loss, [z, target], [0, 1], w)


@pytest.mark.parametrize("op", ["sparse_softmax_cross_entropy", "softmax_cross_entropy"])
def test_gradient_ops_by_themselves(op):
    """Second derivatives with respect to the upstream gradient."""
    z, target, labels, dy = sample((3, 5), 4)
    second = labels if op.startswith("sparse") else target
    w = np.random.default_rng(2).normal(size=(3, 5))

    def value(z, second, dy):
        return _core.apply(op + "_grad", z, second, dy).numpy()

    wrt = [0, 2] if op.startswith("sparse") else [0, 1, 2]
    inputs = [z, second, dy]
    got = first_gradients(op + "_grad", inputs, wrt, w)
    for i, g in zip(wrt, got, strict=True):

        def at(x, i=i):
            return float((value(*[x if k == i else v for k, v in enumerate(inputs)]) * w).sum())

        np.testing.assert_allclose(g.numpy(), slope(at, inputs[i]), rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_large_logits(dtype):
    z = np.array([[1e4, 0, -1e4], [3e4, 3e4, 3e4]], dtype)
    got = _core.apply("sparse_softmax_cross_entropy", z, np.array([1, 2])).numpy()
    np.testing.assert_allclose(got, [1e4, np.log(3)], rtol=1e-6)
    (g,) = first_gradients("sparse_softmax_cross_entropy", [z, np.array([1, 2])], [0], np.ones(2))
    np.testing.assert_allclose(g.numpy(), [[1, -1, 0], [1 / 3, 1 / 3, -2 / 3]], atol=1e-6)
    far = np.array([1e4, -1e4, 0], dtype)
    got = _core.apply("sigmoid_cross_entropy", far, np.array([0, 1, 0], dtype)).numpy()
    np.testing.assert_allclose(got, [1e4, 1e4, np.log(2)], rtol=1e-6)


@pytest.mark.parametrize(
    "dtype", ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"]
)
def test_label_dtypes(dtype):
    z, _, labels, _ = sample((6, 5), 5)
    got = _core.apply("sparse_softmax_cross_entropy", z, labels.astype(dtype)).numpy()
    np.testing.assert_allclose(got, sparse_loss(z, labels), rtol=1e-13)
    right = _core.apply("accuracy_sparse", z, labels.astype(dtype)).numpy()
    np.testing.assert_array_equal(right, z.argmax(-1) == labels)


def test_label_out_of_range_gives_nan():
    z, _, _, _ = sample((4, 3), 6)
    labels = np.array([0, 3, -1, 2])
    loss = _core.apply("sparse_softmax_cross_entropy", z, labels).numpy()
    np.testing.assert_array_equal(np.isnan(loss), [False, True, True, False])
    g = _core.apply("sparse_softmax_cross_entropy_grad", z, labels, np.ones(4)).numpy()
    np.testing.assert_array_equal(np.isnan(g), np.repeat([[False], [True], [True], [False]], 3, 1))
    unsigned = np.array([2**64 - 1, 0, 1, 2], np.uint64)
    loss = _core.apply("sparse_softmax_cross_entropy", z, unsigned).numpy()
    np.testing.assert_array_equal(np.isnan(loss), [True, False, False, False])


def test_nan_scores_give_nan():
    z = np.array([[np.nan, 0, 1], [0, 1, np.nan]])
    assert np.isnan(_core.apply("sparse_softmax_cross_entropy", z, np.array([1, 1])).numpy()).all()
    assert np.isnan(_core.apply("softmax_cross_entropy", z, np.ones((2, 3)) / 3).numpy()).all()


def test_accuracy():
    scores = np.array([[1, 2, 2], [5, 5, 5], [0, -1, -2], [np.nan, 1, 0], [0, np.nan, 1]])
    for labels, want in [
        ([1, 0, 0, 0, 1], [1, 1, 1, 0, 0]),
        ([2, 1, 2, 1, 2], [0, 0, 0, 0, 0]),
        ([-1, 3, 0, 1, 0], [0, 0, 1, 0, 0]),
    ]:
        got = _core.apply("accuracy_sparse", scores.astype(np.float32), np.array(labels))
        assert got.dtype == "float32"
        np.testing.assert_array_equal(got.numpy(), want)


def test_errors():
    z = np.ones((4, 3), np.float32)
    for op in ("sparse_softmax_cross_entropy", "accuracy_sparse"):
        with pytest.raises(ValueError, match=r"\(4, 1\)"):
            _core.apply(op, z, np.ones((4, 1), int))
    with pytest.raises(TypeError, match="labels must be integers"):
        _core.apply("sparse_softmax_cross_entropy_grad", z, np.ones(4, bool), z[:, 0])
    with pytest.raises(ValueError, match=r"\(4, 2\)"):
        _core.apply("softmax_cross_entropy", z, np.ones((4, 2), np.float32))
    with pytest.raises(ValueError, match="label_smoothing"):
        _core.apply("softmax_cross_entropy", z, z, label_smoothing=1.5)
    with pytest.raises(ValueError, match="sparse_softmax_cross_entropy"):
        _core.apply("sparse_softmax_cross_entropy", np.ones((4, 0)), np.zeros(4, int))
