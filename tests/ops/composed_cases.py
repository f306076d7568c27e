"""The functions of densa.ops that are made of other ops, against NumPy: rows for test_public."""

import numpy as np
from scipy import special

RNG = np.random.default_rng(7)
X = RNG.normal(size=(3, 4)).astype("f4")
Y = RNG.normal(size=(3, 4)).astype("f4")
UNIT = np.clip(X / 3, -0.95, 0.95).astype("f4")
HOLES = np.where(X > 0.7, np.nan, X).astype("f4")
CUBE = RNG.normal(size=(2, 3, 4)).astype("f4")
EDGES = np.array([-1.0, 0.0, 0.5], "f4")


def sparse_plus(z):
    return np.where(z <= -1, 0, np.where(z >= 1, z, (z + 1) ** 2 / 4))


def sparsemax(z):
    """By sorting, as in the paper."""
    ordered = -np.sort(-z, axis=-1)
    k = np.arange(1, z.shape[-1] + 1)
    sums = np.cumsum(ordered, -1)
    number = (1 + k * ordered > sums).sum(-1, keepdims=True)
    tau = (np.take_along_axis(sums, number - 1, -1) - 1) / number
    return np.maximum(z - tau, 0)


def layer_norm(z, axis, epsilon=1e-7):
    return (z - z.mean(axis, keepdims=True)) / np.sqrt(z.var(axis, keepdims=True) + epsilon)


# name, arguments, keyword arguments, expected
CASES = [
    ("sparse_plus", (X,), {}, sparse_plus(X)),
    ("sparse_sigmoid", (X,), {}, np.clip((X + 1) / 2, 0, 1)),
    ("sparsemax", (X,), {}, sparsemax(X)),
    ("sparsemax", (X,), {"axis": 0}, sparsemax(X.T).T),
    ("arcsin", (UNIT,), {}, np.arcsin(UNIT)),
    ("arccos", (UNIT,), {}, np.arccos(UNIT)),
    ("arctan", (X,), {}, np.arctan(X)),
    ("arcsinh", (X,), {}, np.arcsinh(X)),
    ("arccosh", (np.abs(X) + 1,), {}, np.arccosh(np.abs(X) + 1)),
    ("arctanh", (UNIT,), {}, np.arctanh(UNIT)),
    ("exp2", (X,), {}, np.exp2(X)),
    ("cbrt", (X,), {}, np.cbrt(X)),
    ("deg2rad", (X,), {}, np.deg2rad(X)),
    ("rad2deg", (UNIT,), {}, np.rad2deg(UNIT)),
    ("erfc", (X,), {}, special.erfc(X)),
    ("fabs", (X,), {}, np.fabs(X)),
    ("trunc", (3 * X,), {}, np.trunc(3 * X)),
    ("sinc", (np.where(X > 0.5, 0, X).astype("f4"),), {}, np.sinc(np.where(X > 0.5, 0, X))),
    ("isposinf", (np.array([np.inf, -np.inf, 1.0]),), {}, [True, False, False]),
    ("isneginf", (np.array([np.inf, -np.inf, 1.0]),), {}, [False, True, False]),
    ("heaviside", (np.array([-1.0, 0.0, 2.0]), 0.5), {}, [0.0, 0.5, 1.0]),
    ("hypot", (X, Y), {}, np.hypot(X, Y)),
    ("hypot", (np.array([0.0, np.inf, 1e30], "f4"), np.array([0.0, 1.0, 1e30], "f4")), {},
     [0.0, np.inf, 1e30 * np.sqrt(2)]),
    ("fmax", (HOLES, Y), {}, np.fmax(HOLES, Y)),
    ("fmin", (HOLES, Y), {}, np.fmin(HOLES, Y)),
    ("fmod", (X, np.float32(0.3)), {}, np.fmod(X, np.float32(0.3))),
    ("fmod", (np.array([-5, 5]), np.array([3, -3])), {}, [-2, 2]),
    ("logaddexp2", (X, Y), {}, np.logaddexp2(X, Y)),
    ("logaddexp2", (np.array([1e3, np.inf]), np.array([1e3, np.inf])), {}, [1001.0, np.inf]),
    ("allclose", (X, X + 1e-9), {}, True),
    ("allclose", (X, Y), {}, False),
    ("allclose", (np.array([np.inf, np.nan]), np.array([np.inf, np.nan])), {"equal_nan": True},
     True),
    ("select", ([X > 1, X > 0], [X, Y], 7.0), {}, np.select([X > 1, X > 0], [X, Y], 7.0)),
    ("cumsum", (X,), {"axis": 1}, np.cumsum(X, 1)),
    ("cumsum", (X,), {}, np.cumsum(X)),
    ("cumprod", (X,), {"axis": 0}, np.cumprod(X, 0)),
    ("diff", (X,), {"n": 2}, np.diff(X, n=2)),
    ("diff", (X > 0,), {}, np.diff(X > 0)),
    ("diff", (X > 0,), {"n": 2}, np.diff(X > 0, n=2)),
    ("trapezoid", (X,), {"dx": 0.5}, (X[:, 1:] + X[:, :-1]).sum(1) * 0.25),
    ("trapezoid", (X, np.array([0.0, 1.0, 3.0, 4.0], "f4")), {},
     ((X[:, 1:] + X[:, :-1]) / 2 * [1.0, 2.0, 1.0]).sum(1)),
    ("sort", (X,), {"axis": 0}, np.sort(X, 0)),
    ("argsort", (X,), {}, np.argsort(X)),
    ("quantile", (X, [0.1, 0.5]), {"axis": 1}, np.quantile(X, [0.1, 0.5], axis=1)),
    ("quantile", (X, 0.3), {"method": "nearest", "axis": 0, "keepdims": True},
     np.quantile(X, 0.3, method="nearest", axis=0, keepdims=True)),
    ("median", (X,), {}, np.median(X)),
    ("median", (X,), {"axis": 1, "keepdims": True}, np.median(X, axis=1, keepdims=True)),
    ("median", (CUBE,), {"axis": (0, 2)}, np.median(CUBE, axis=(0, 2))),
    ("median", (CUBE,), {"axis": [2, 1], "keepdims": True},
     np.median(CUBE, axis=(1, 2), keepdims=True)),
    ("quantile", (CUBE, [0.2, 0.7]), {"axis": (-1, 0), "keepdims": True},
     np.quantile(CUBE, [0.2, 0.7], axis=(0, 2), keepdims=True)),
    ("searchsorted", (EDGES, X), {}, np.searchsorted(EDGES, X)),
    ("searchsorted", (EDGES, EDGES), {"side": "right"}, [1, 2, 3]),
    ("digitize", (X, EDGES), {}, np.digitize(X, EDGES)),
    ("nansum", (HOLES,), {"axis": 0}, np.nansum(HOLES, 0)),
    ("nanmean", (HOLES,), {"axis": 1}, np.nanmean(HOLES, 1)),
    ("nanmax", (HOLES,), {}, np.nanmax(HOLES)),
    ("nanmin", (HOLES,), {"axis": 1, "keepdims": True}, np.nanmin(HOLES, 1, keepdims=True)),
    ("einsum", ("ab,cb->ca", X, Y), {}, np.einsum("ab,cb->ca", X, Y)),
    ("einsum", ("abc,ac->ab", CUBE, CUBE[:, 0]), {}, np.einsum("abc,ac->ab", CUBE, CUBE[:, 0])),
    ("einsum", ("...a,ab->...b", CUBE, X.T), {}, CUBE @ X.T),
    ("einsum", ("ab,ab,cb->c", X, Y, X), {}, np.einsum("ab,ab,cb->c", X, Y, X)),
    ("einsum", ("ab,b", X, Y[0]), {}, X @ Y[0]),
    ("einsum", ("ba", X), {}, X.T),
    ("einsum", ("ab,cd->", X, Y), {}, X.sum() * Y.sum()),
    ("inner", (X, CUBE), {}, np.inner(X, CUBE)),
    ("trace", (X,), {"offset": 1}, np.trace(X, 1)),
    ("trace", (CUBE,), {"axis1": 2, "axis2": 0}, np.trace(CUBE, axis1=2, axis2=0)),
    ("diag", (X[0],), {"k": -1}, np.diag(X[0], -1)),
    ("diag", (X,), {"k": 2}, np.diag(X, 2)),
    ("diagonal", (X, -1), {}, np.diagonal(X, -1)),
    ("diagonal", (X, 9), {}, np.diagonal(X, 9)),
    ("diagonal", (CUBE, 1, 1, 2), {}, np.diagonal(CUBE, 1, 1, 2)),
    ("slice_update", (X, (1, 2), Y[:2, :2]), {},
     np.vstack([X[:1], np.hstack([X[1:, :2], Y[:2, :2]])])),
    ("append", (X, Y), {}, np.append(X, Y)),
    ("append", (X, Y), {"axis": 1}, np.append(X, Y, 1)),
    ("fliplr", (X,), {}, np.fliplr(X)),
    ("flipud", (X,), {}, np.flipud(X)),
    ("segment_sum", (X, [1, 0, 1]), {}, [X[1], X[0] + X[2]]),
    ("segment_sum", (np.array([1, 2, 3]), [0, 5, 0], 2), {}, [4, 0]),
    ("bincount", ([0, 2, 2],), {"minlength": 4}, [1, 0, 2, 0]),
    ("bincount", (np.array([[0, 1], [1, 1]]), np.array([[1.0, 2.0], [3.0, 4.0]])), {},
     [[1.0, 2.0], [0.0, 7.0]]),
    ("rms_normalization", (X, Y[0]), {}, X / np.sqrt((X**2).mean(1, keepdims=True) + 1e-7) * Y[0]),
    ("layer_normalization", (X, Y[0], Y[1]), {}, layer_norm(X, 1) * Y[0] + Y[1]),
    ("layer_normalization", (CUBE,), {"axis": [1, 2]}, layer_norm(CUBE, (1, 2))),
    ("tri", (3, 4, 1), {}, np.tri(3, 4, 1)),
    ("logspace", (0.0, 2.0, 5), {}, np.logspace(0, 2, 5)),
    ("geomspace", (1.0, 100.0, 5), {}, np.geomspace(1, 100, 5)),
    ("empty_like", (X,), {}, np.zeros_like(X)),
]  # fmt: skip
WITHOUT_CASE = {"array_split", "meshgrid", "top_k"}
