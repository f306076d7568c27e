"""Softmax, log-softmax, cross-entropies and accuracy against float64 NumPy."""

import numpy as np
import pytest

from ops.tools import SIZES, assert_close, gradients, run, second_gradients, slope, threads

DTYPES = pytest.mark.parametrize("dtype", ["float32", "float64"])


def softmax(x, axis=-1):
    e = np.exp(x - x.max(axis, keepdims=True))
    return e / e.sum(axis, keepdims=True)


def log_softmax(x, axis=-1):
    d = x - x.max(axis, keepdims=True)
    return d - np.log(np.exp(d).sum(axis, keepdims=True))


REFERENCE = {"softmax": softmax, "log_softmax": log_softmax}
BOTH = pytest.mark.parametrize("name", ["softmax", "log_softmax"])


def logits(shape, dtype="float64", seed=0, scale=4.0):
    return (np.random.default_rng(seed).normal(size=shape) * scale).astype(dtype)


def distribution(shape, dtype="float64", seed=1):
    t = np.random.default_rng(seed).random(shape)
    return (t / t.sum(-1, keepdims=True)).astype(dtype)


@BOTH
@DTYPES
def test_value(name, dtype):
    for n in SIZES[1:]:
        x = logits((5, n), dtype, n)
        # 2 ulp of exp on either side of the quotient, roundings of the sum and of x - max
        size = np.ptp(x.astype(np.float64), axis=1, keepdims=True) + 1
        exact = REFERENCE[name](x.astype(np.float64))
        slack = 4.0 * (exact if name == "softmax" else 1.0)
        got = run(name, x)
        bound = slack * size * np.finfo(dtype).eps + 4 * np.spacing(np.abs(exact).astype(dtype))
        assert np.all(np.abs(got - exact) <= bound)


@BOTH
@pytest.mark.parametrize("axis", [0, 1, 2, -2])
def test_axis_and_strides(name, axis):
    x = logits((4, 5, 6))
    np.testing.assert_allclose(run(name, x, axis=axis), REFERENCE[name](x, axis), rtol=1e-13)
    view = x[::-1, :, ::2].transpose(1, 2, 0)
    np.testing.assert_allclose(run(name, view, axis=axis), REFERENCE[name](view, axis), rtol=1e-13)
    assert run(name, np.ones((0, 3)), axis=1).shape == (0, 3)


@BOTH
@DTYPES
def test_large_numbers(name, dtype):
    x = np.array([[1e4, -1e4, 0.0], [-np.inf, 0.0, 0.0], [-1e38, -1e38, -1e38]], dtype)
    with np.errstate(divide="ignore"):
        expected = REFERENCE[name](x.astype(np.float64))
    np.testing.assert_allclose(run(name, x), expected, rtol=1e-6)
    assert np.isnan(run(name, np.array([[np.nan, 1.0]], dtype))).all()


@BOTH
@pytest.mark.parametrize("axis", [0, 1])
def test_gradients(name, axis):
    x, dy, v = logits((3, 5), scale=1), logits((3, 5), seed=2), logits((3, 5), seed=3)
    (got,) = gradients(name, [x], dy, axis=axis)
    expected = slope(lambda z: np.sum(dy * REFERENCE[name](z, axis)), [x], 0)
    np.testing.assert_allclose(got, expected, rtol=1e-6, atol=1e-7)
    (got,) = second_gradients(name, [x], dy, [v], axis=axis)
    expected = slope(lambda z: np.sum(v * gradients(name, [z], dy, axis=axis)[0]), [x], 0)
    np.testing.assert_allclose(got, expected, rtol=1e-6, atol=1e-6)


def dense_loss(x, t, smoothing=0.0):
    t = t * (1 - smoothing) + smoothing / x.shape[-1]
    return -np.sum(t * log_softmax(x), axis=-1)


def sparse_loss(x, labels):
    return -np.take_along_axis(log_softmax(x), labels[..., None], -1)[..., 0]


@DTYPES
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_dense_loss(dtype, smoothing):
    for n in SIZES[1:]:
        x, t = logits((7, n), dtype, n), distribution((7, n), dtype, n)
        got = run("softmax_cross_entropy", x, t, label_smoothing=smoothing)
        exact = dense_loss(x.astype(np.float64), t.astype(np.float64), smoothing)
        size = np.max(np.abs(log_softmax(x.astype(np.float64))), axis=-1)
        assert_close(got, exact, 4, 8.0, size + np.abs(x).max(-1))


@DTYPES
@pytest.mark.parametrize("ids", ["int8", "int32", "int64", "uint8"])
def test_sparse_loss(dtype, ids):
    for n in SIZES[1:]:
        x = logits((7, n), dtype, n)
        labels = np.random.default_rng(n).integers(0, n, 7).astype(ids)
        got = run("sparse_softmax_cross_entropy", x, labels)
        exact = sparse_loss(x.astype(np.float64), labels.astype(np.int64))
        assert_close(got, exact, 4, 8.0, np.abs(x).max(-1) * 2 + 1)
    x = logits((2, 3, 4), dtype)
    labels = np.array([[0, 3, 1], [2, 2, 0]], ids)
    got = run("sparse_softmax_cross_entropy", x, labels)
    np.testing.assert_allclose(got, sparse_loss(x, labels.astype(np.int64)), rtol=1e-5)


@DTYPES
def test_many_classes_and_rows(dtype):
    # A sum of 1000 terms, 16 at a time, makes at most 16 + 63 roundings of half an ulp.
    x, t = logits((300, 1000), dtype), distribution((300, 1000), dtype)
    wide = x.astype(np.float64)
    labels = np.random.default_rng(0).integers(0, 1000, 300)
    got = run("sparse_softmax_cross_entropy", x, labels)
    assert_close(got, sparse_loss(wide, labels), 4, 40.0, np.abs(x).max(-1) + 1)
    got = run("softmax_cross_entropy", x, t, label_smoothing=0.1)
    assert_close(got, dense_loss(wide, t.astype(np.float64), 0.1), 4, 40.0, np.abs(x).max(-1) + 1)
    dy = logits(300, dtype, 3)
    (got,) = gradients("sparse_softmax_cross_entropy", [x, labels], dy, wanted=[0])
    exact = dy[:, None] * (softmax(wide) - np.eye(1000)[labels])
    assert_close(got, exact, 4, 40.0, np.abs(dy)[:, None] * np.ones(1000))


def test_no_rows():
    x = np.ones((0, 3), "float32")
    assert run("sparse_softmax_cross_entropy", x, np.ones(0, int)).shape == (0,)
    assert run("softmax_cross_entropy", np.ones((2, 0, 3)), np.ones((2, 0, 3))).shape == (2, 0)
    assert gradients("softmax_cross_entropy", [x, x], np.ones(0, "f4"))[0].shape == (0, 3)


@DTYPES
@pytest.mark.parametrize("classes", [1, 10, 16, 33])
def test_a_row_does_not_depend_on_the_others(dtype, classes):
    x, t = logits((40, classes), dtype), distribution((40, classes), dtype)
    labels, dy = np.arange(40) % classes, logits(40, dtype)
    for op, second in (("softmax_cross_entropy", t), ("sparse_softmax_cross_entropy", labels)):
        loss, dx = run(op, x, second), run(op + "_grad", x, second, dy)
        for i in (0, 15, 16, 39):
            one = slice(i, i + 1)
            np.testing.assert_array_equal(run(op, x[one], second[one]), loss[one])
            alone = run(op + "_grad", x[one], second[one], dy[one])
            np.testing.assert_array_equal(alone, dx[one])


def test_hard_targets_and_sure_logits():
    x = np.array([[200.0, -200.0], [200.0, -200.0], [-np.inf, 0.0]])
    t = np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])
    np.testing.assert_array_equal(run("softmax_cross_entropy", x, t), [0.0, 400.0, 0.0])
    labels = np.array([0, 1, 1])
    np.testing.assert_array_equal(run("sparse_softmax_cross_entropy", x, labels), [0, 400, 0])


def test_unknown_label_gives_nan():
    x = logits((3, 4))
    labels = np.array([0, 4, -1])
    loss = run("sparse_softmax_cross_entropy", x, labels)
    np.testing.assert_array_equal(np.isnan(loss), [False, True, True])
    (dx,) = gradients("sparse_softmax_cross_entropy", [x, labels], np.ones(3), wanted=[0])
    np.testing.assert_array_equal(np.isnan(dx).all(1), [False, True, True])


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("classes", [1, 3, 17, 35])
def test_dense_loss_gradients(smoothing, classes):
    x, t = logits((2, classes), scale=1), distribution((2, classes)) * 1.3
    dy, v = logits(2, seed=3), [logits(x.shape, seed=4), logits(x.shape, seed=5)]
    got = gradients("softmax_cross_entropy", [x, t], dy, label_smoothing=smoothing)
    for i in range(2):
        expected = slope(lambda a, b: np.sum(dy * dense_loss(a, b, smoothing)), [x, t], i)
        np.testing.assert_allclose(got[i], expected, rtol=1e-6, atol=1e-7)

    def along(a, b):
        first = gradients("softmax_cross_entropy", [a, b], dy, label_smoothing=smoothing)
        return sum(np.sum(d * g) for d, g in zip(v, first, strict=True))

    got = second_gradients("softmax_cross_entropy", [x, t], dy, v, label_smoothing=smoothing)
    for i in range(2):
        np.testing.assert_allclose(got[i], slope(along, [x, t], i), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("classes", [2, 16, 35])
def test_sparse_loss_gradients(classes):
    x, labels = logits((3, classes), scale=1), np.array([0, classes - 1, 1])
    dy, v = logits(3, seed=3), logits(x.shape, seed=4)
    name = "sparse_softmax_cross_entropy"
    (got,) = gradients(name, [x, labels], dy, wanted=[0])
    expected = slope(lambda a, b: np.sum(dy * sparse_loss(a, b)), [x, labels], 0)
    np.testing.assert_allclose(got, expected, rtol=1e-6, atol=1e-7)
    (got,) = second_gradients(name, [x, labels], dy, [v], wanted=[0])
    expected = slope(
        lambda a, b: np.sum(v * gradients(name, [a, b], dy, wanted=[0])[0]), [x, labels], 0
    )
    np.testing.assert_allclose(got, expected, rtol=1e-6, atol=1e-6)


def test_accuracy():
    scores = np.array([[1.0, 3.0, 3.0], [0.0, -1.0, -2.0], [np.nan, 1.0, 2.0]], "f4")
    for ids in ("int32", "int64", "uint8"):
        got = run("accuracy_sparse", scores, np.array([1, 1, 0], ids))
        np.testing.assert_array_equal(got, [1.0, 0.0, 0.0])  # NaN is never right
        assert got.dtype == np.float32
    wide = logits((40, 37), "float32")
    best = wide.argmax(1)
    best[::3] = (best[::3] + 1) % 37
    expected = np.ones(40)
    expected[::3] = 0
    np.testing.assert_array_equal(run("accuracy_sparse", wide, best), expected)


@pytest.mark.parametrize("name", ["softmax", "softmax_cross_entropy"])
def test_threads_do_not_change_bits(name):
    x, t = logits((3000, 37), "float32"), distribution((3000, 37), "float32")
    arrays = [x] if name == "softmax" else [x, t]
    results = []
    for count in (1, 2):
        with threads(count):
            results.append(run(name, *arrays))
    np.testing.assert_array_equal(*results)


@pytest.mark.parametrize(
    ("error", "match", "call"),
    [
        (ValueError, "scalar", lambda: run("softmax", np.array(1.0))),
        (ValueError, "axis", lambda: run("softmax", np.ones((2, 3)), axis=2)),
        (ValueError, "must be equal",
         lambda: run("softmax_cross_entropy", np.ones((2, 3)), np.ones((2, 4)))),
        (ValueError, "label_smoothing",
         lambda: run("softmax_cross_entropy", np.ones(3), np.ones(3), label_smoothing=1.5)),
        (ValueError, "labels",
         lambda: run("sparse_softmax_cross_entropy", np.ones((2, 3)), np.zeros(3, int))),
        (ValueError, "last axis",
         lambda: run("sparse_softmax_cross_entropy", np.ones((2, 0)), np.zeros(2, int))),
    ],
)  # fmt: skip
def test_errors(error, match, call):
    with pytest.raises(error, match=match):
        call()
