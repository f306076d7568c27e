"""affine_transform and its gradient against plain loops in float64."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

import densa
from densa import _core

RNG = np.random.default_rng(4)
FILLS = ("constant", "nearest", "wrap", "reflect")


def pixel(line, i, fill, outside):
    """Pixel i of a list of pixels that goes on beyond its ends."""
    n = len(line)
    if fill == "constant" and not 0 <= i < n:
        return outside
    if fill == "nearest":
        return line[min(max(i, 0), n - 1)]
    if fill == "reflect":
        return np.concatenate([line, line[::-1]])[i % (2 * n)]
    return line[i % n]


def reference(x, m, height, width, fill, interpolation, outside):
    """x (n, h, w, c) in float64."""
    out = np.zeros((len(x), height, width, x.shape[3]))
    blank = np.full(x.shape[3], outside)
    for n, row, column in itertools.product(range(len(x)), range(height), range(width)):
        a, b, c, d, e, f = m[n]
        sx, sy = a * column + b * row + c, d * column + e * row + f

        def at(i, j, image=x[n]):
            lines = pixel(list(image), i, fill, [blank] * image.shape[1])
            return pixel(list(lines), j, fill, blank)

        if interpolation == "nearest":
            out[n, row, column] = at(math.floor(sy + 0.5), math.floor(sx + 0.5))
            continue
        i, j = math.floor(sy), math.floor(sx)
        for di, dj in itertools.product((0, 1), repeat=2):
            weight = (sy - i if di else 1 - sy + i) * (sx - j if dj else 1 - sx + j)
            out[n, row, column] += weight * at(i + di, j + dj)
    return out


def transforms(n, big=False):
    m = RNG.normal(0, 0.5, (n, 6)) + [1, 0, 0.3, 0, 1, -0.2]
    m[:, [2, 5]] *= 20 if big else 3
    return m


def run(x, m, **attrs):
    return _core.apply("affine_transform", densa.asarray(x), densa.asarray(m), **attrs).numpy()


@pytest.mark.parametrize("fill", FILLS)
@pytest.mark.parametrize("interpolation", ["bilinear", "nearest"])
@pytest.mark.parametrize(
    ("shape", "size"),
    [
        ((2, 5, 7, 3), (5, 7)),
        ((3, 4, 1, 1), (6, 2)),
        ((2, 1, 6, 2), (1, 6)),
        ((1, 9, 9, 1), (3, 3)),
    ],
)
@pytest.mark.parametrize("first", [False, True])
def test_against_loops(shape, size, interpolation, fill, first):
    x, m = RNG.normal(size=shape), transforms(shape[0], big=True)
    names = {"fill_mode": fill, "interpolation": interpolation, "fill_value": 0.75}
    sizes = {"height": size[0], "width": size[1], "channels_first": first}
    wanted = reference(x, m, *size, fill, interpolation, 0.75)
    for dtype, tolerance in (("float64", 1e-12), ("float32", 2e-4)):
        # In float32 a place some 20 pixels away is known to 2e-6, a step between pixels is below 8.
        if dtype == "float32" and interpolation == "nearest":
            continue  # a rounded place may fall to the other side
        given = np.moveaxis(x, 3, 1) if first else x
        y = run(np.ascontiguousarray(given, dtype), m.astype(dtype), **names, **sizes)
        assert y.dtype == dtype
        y = np.moveaxis(y, 1, 3) if first else y
        np.testing.assert_allclose(y, wanted, rtol=tolerance, atol=tolerance)


def test_whole_shifts_and_flips_copy_pixels():
    x = RNG.normal(size=(2, 6, 8, 3)).astype("float32")
    shift = np.array([[1, 0, 2, 0, 1, -1]] * 2, "float32")
    y = run(x, shift, fill_mode="constant", fill_value=-9.0)
    wanted = np.full_like(x, -9)
    wanted[:, 1:, :-2] = x[:, :-1, 2:]
    np.testing.assert_array_equal(y, wanted)
    np.testing.assert_array_equal(run(x, shift, fill_mode="wrap"), np.roll(x, (1, -2), (1, 2)))
    flip = np.array([[-1, 0, 7, 0, -1, 5]] * 2, "float32")
    np.testing.assert_array_equal(run(x, flip), x[:, ::-1, ::-1])
    reflected = np.pad(x, ((0, 0), (2, 2), (2, 2), (0, 0)), mode="symmetric")
    out = np.array([[1, 0, -2, 0, 1, -2]] * 2, "float32")
    np.testing.assert_array_equal(run(x, out, height=10, width=12), reflected)


@pytest.mark.parametrize("far", [1e20, -1e20, np.inf, np.nan])
def test_places_far_away_are_somewhere(far):
    x = np.ones((1, 3, 3, 1), "float32")
    m = np.array([[1, 0, far, 0, 1, 0]], "float32")
    for fill, interpolation in itertools.product(FILLS, ("bilinear", "nearest")):
        y = run(x, m, fill_mode=fill, interpolation=interpolation)
        np.testing.assert_array_equal(y, 0 * x if fill == "constant" else x)


@pytest.mark.parametrize("fill", FILLS)
@pytest.mark.parametrize("interpolation", ["bilinear", "nearest"])
@pytest.mark.parametrize("first", [False, True])
def test_gradients(fill, interpolation, first):
    """The op is linear in x but for a constant: the gradient is its transpose."""
    x = densa.asarray(RNG.normal(size=(2, 3, 4, 5)))
    m = densa.asarray(transforms(2))
    attrs = {"fill_mode": fill, "interpolation": interpolation, "channels_first": first}
    attrs |= {"height": 6, "width": 2, "fill_value": 0.5}
    x.requires_grad = True
    y = _core.apply("affine_transform", x, m, **attrs)
    dy = RNG.normal(size=y.shape)
    (y * dy).sum().backward()
    change = RNG.normal(size=x.shape)
    moved = _core.apply("affine_transform", densa.asarray(x.numpy() + change), m, **attrs)
    wanted = ((moved.numpy() - y.numpy()) * dy).sum()
    assert (x.grad.numpy() * change).sum() == pytest.approx(wanted, rel=1e-9)
    # The gradient's own gradient reads where it wrote.
    g = densa.asarray(dy)
    g.requires_grad = True
    sizes = {**attrs, "height": x.shape[2 if first else 1], "width": x.shape[3 if first else 2]}
    dx = _core.apply("affine_transform_grad", g, m, **sizes)
    np.testing.assert_array_equal(dx.numpy(), x.grad.numpy())
    (dx * change).sum().backward()
    assert (g.grad.numpy() * dy).sum() == pytest.approx(wanted, rel=1e-9)


@pytest.mark.parametrize("fill", FILLS)
@pytest.mark.parametrize("interpolation", ["bilinear", "nearest"])
@pytest.mark.parametrize("first", [False, True])
def test_along_the_sides(fill, interpolation, first):
    """Shifts, flips and zooms of images wide enough for several vectors, and a turn beside them."""
    x, m = RNG.normal(size=(5, 9, 37, 3)), transforms(5)
    m[:4, [1, 3]] = 0
    m[0], m[1] = [1, 0, -2.25, 0, 1, 3.5], [-1, 0, 35.25, 0, -1, 8]
    given = np.ascontiguousarray(np.moveaxis(x, 3, 1)) if first else x
    names = {"fill_mode": fill, "interpolation": interpolation, "fill_value": 0.75}
    y = run(given, m, **names, channels_first=first, height=11, width=120)
    y = np.moveaxis(y, 1, 3) if first else y
    np.testing.assert_allclose(y, reference(x, m, 11, 120, fill, interpolation, 0.75), atol=1e-12)


@pytest.mark.parametrize("shape", [(0, 3, 3, 1), (2, 3, 3, 0)])
def test_no_numbers(shape):
    assert run(np.zeros(shape, "float32"), np.zeros((shape[0], 6), "float32")).shape == shape


@pytest.mark.parametrize("along", [False, True])
@pytest.mark.parametrize("interpolation", ["bilinear", "nearest"])
def test_threads_change_no_bit(along, interpolation):
    x, m = RNG.normal(size=(90, 29, 28, 3)).astype("float32"), transforms(90).astype("float32")
    if along:
        m[:, [1, 3]] = 0
    before = densa.get_num_threads() if hasattr(densa, "get_num_threads") else None
    results = []
    for threads in (1, 2):
        densa.set_num_threads(threads)
        results.append(run(x, m, interpolation=interpolation))
    if before is not None:
        densa.set_num_threads(before)
    np.testing.assert_array_equal(*results)


X, M = np.zeros((2, 3, 3, 1), "float32"), np.zeros((2, 6), "float32")


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: run(X[0], M), "four axes"),
        (lambda: run(X, M[:1]), "six numbers each"),
        (lambda: run(X, M[:, :5]), "six numbers each"),
        (lambda: run(X, M.astype("float64")), "one dtype"),
        (lambda: run(X, M, fill_mode="mirror"), "fill_mode must be"),
        (lambda: run(X, M, interpolation="cubic"), "interpolation must be"),
        (lambda: run(X, M, height=0), "known height and width"),
        (lambda: run(X[:, :0], M), "known height and width"),
    ],
)
def test_errors(call, words):
    with pytest.raises((ValueError, TypeError), match=words):
        call()
