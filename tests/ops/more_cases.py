"""The rest of Keras' functions against NumPy and SciPy: rows for test_public.

Those that give several arrays, or call functions, are tested in test_linalg.py and test_control.py.
"""

import warnings

import numpy as np
from scipy import special

RNG = np.random.default_rng(11)
X = RNG.normal(size=(3, 4)).astype("f4")
Y = RNG.normal(size=(3, 4)).astype("f4")
HOLES = np.where(X > 0.4, np.nan, X).astype("f4")
HOLES[1] = np.nan
CUBE = RNG.normal(size=(2, 3, 4)).astype("f4")
I = np.array([[12, 7, -5], [0, 255, 1]], "i4")  # noqa: E741 - whole numbers
J = np.array([[10, 3, 6], [4, 1, 2]], "i4")
SIGNAL = RNG.normal(size=7).astype("f4")
SHORT = RNG.normal(size=3).astype("f4")
SPD = (X @ X.T + 2 * np.eye(3)).astype("f4")


def nan_quiet(function, *args, **kwargs):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return function(*args, **kwargs)


def arg(function, axis):
    """NumPy raises for a line without a number, Keras says -1."""
    full = np.where(np.isnan(HOLES).all(axis, keepdims=True), 0, HOLES)
    return np.where(np.isnan(HOLES).all(axis), -1, function(full, axis))


def distances(a, b):
    return np.sqrt(((a[..., :, None, :] - b[..., None, :, :]) ** 2).sum(-1))


# name, arguments, keyword arguments, expected
CASES = [
    *((f"bitwise_{n}", (I, J), {}, getattr(np, f"bitwise_{n}")(I, J))
      for n in ("and", "or", "xor")),
    ("bitwise_and", (X > 0, Y > 0), {}, (X > 0) & (Y > 0)),
    ("bitwise_or", (np.array([200], "u1"), 7), {}, np.array([207], "u1")),
    ("bitwise_xor", (X > 0, Y > 0), {}, (X > 0) ^ (Y > 0)),
    *((n, (I,), {}, ~I) for n in ("bitwise_not", "bitwise_invert")),
    ("bitwise_not", (X > 0,), {}, X <= 0),
    *((n, (I, 2), {}, I << 2) for n in ("bitwise_left_shift", "left_shift")),
    *((n, (I, 1), {}, I >> 1) for n in ("bitwise_right_shift", "right_shift")),
    ("gcd", (I, J), {}, np.gcd(I, J)),
    ("lcm", (I, J), {}, np.lcm(I, J)),
    ("isin", (I, [7, 1]), {}, np.isin(I, [7, 1])),
    ("isin", (X, X[:, 1]), {"invert": True}, np.isin(X, X[:, 1], invert=True)),
    ("view", (X, "int32"), {}, X.view("i4")),
    ("view", (X, "uint8"), {}, X.view("u1")),
    ("saturate_cast", (1e3 * X, "int8"), {}, np.clip(1e3 * X, -128, 127).astype("i1")),
    ("saturate_cast", (np.array([np.nan, np.inf, -np.inf]), "int64"), {},
     [0, 9223372036854774784, -(2**63)]),
    ("saturate_cast", (I, "uint8"), {}, np.clip(I, 0, 255)),
    ("saturate_cast", (np.array([1e300, -1.0]), "float32"), {},
     [float(np.finfo("f4").max), -1.0]),
    ("percentile", (X, [10, 50]), {"axis": 1}, np.percentile(X, [10, 50], axis=1)),
    ("percentile", (CUBE, 30), {"axis": (0, 2), "keepdims": True},
     np.percentile(CUBE, 30, axis=(0, 2), keepdims=True)),
    ("ptp", (X,), {"axis": 0}, np.ptp(X, 0)),
    ("ptp", (X,), {"keepdims": True}, np.ptp(X, keepdims=True)),
    ("nanprod", (HOLES,), {"axis": 1}, nan_quiet(np.nanprod, HOLES, 1)),
    ("nanvar", (HOLES,), {"axis": 1}, nan_quiet(np.nanvar, HOLES, 1)),
    ("nanvar", (HOLES,), {"keepdims": True}, nan_quiet(np.nanvar, HOLES, keepdims=True)),
    ("nanstd", (HOLES,), {"axis": 0}, nan_quiet(np.nanstd, HOLES, 0)),
    ("nancumsum", (HOLES,), {"axis": 1}, nan_quiet(np.nancumsum, HOLES, 1)),
    ("nancumsum", (I,), {}, np.nancumsum(I)),
    ("nancumprod", (HOLES,), {}, nan_quiet(np.nancumprod, HOLES)),
    ("nanargmax", (HOLES,), {"axis": 1}, arg(np.nanargmax, 1)),
    ("nanargmax", (HOLES,), {}, nan_quiet(np.nanargmax, HOLES)),
    ("nanargmin", (HOLES,), {"axis": 0, "keepdims": True}, arg(np.nanargmin, 0)[None]),
    ("nanmedian", (HOLES,), {"axis": 1}, nan_quiet(np.nanmedian, HOLES, 1)),
    ("nanmedian", (HOLES,), {}, nan_quiet(np.nanmedian, HOLES)),
    *(("nanquantile", (HOLES, [0.0, 0.3, 1.0]), {"axis": 0, "method": m},
       nan_quiet(np.nanquantile, HOLES, [0.0, 0.3, 1.0], axis=0, method=m))
      for m in ("linear", "lower", "higher", "midpoint", "nearest")),
    ("nanquantile", (HOLES, 0.5), {"axis": 1, "keepdims": True},
     nan_quiet(np.nanquantile, HOLES, 0.5, axis=1, keepdims=True)),
    ("nanpercentile", (HOLES, [25, 50]), {}, nan_quiet(np.nanpercentile, HOLES, [25, 50])),
    ("erfinv", (np.tanh(X),), {}, special.erfinv(np.tanh(X))),
    ("erfinv", (np.array([-1.0, 0.0, 1.0, 1.5]),), {}, [-np.inf, 0, np.inf, np.nan]),
    ("erfinv", (np.linspace(-0.999999, 0.999999, 11),), {},
     special.erfinv(np.linspace(-0.999999, 0.999999, 11))),
    ("i0", (X,), {}, special.i0(X)),
    ("i0", (np.array([-600.0, 20.0]),), {}, special.i0([-600.0, 20.0])),
    ("ldexp", (X, J[0, :1]), {}, np.ldexp(X, J[0, :1])),
    ("ldexp", (np.array([2.0**-120, 1.0], "f4"), np.array([150, -140])), {}, [2.0**30, 2.0**-140]),
    ("signbit", (np.array([-0.0, 0.0, -1.0, -np.inf, 3.0]),), {},
     [True, False, True, True, False]),
    ("signbit", (I,), {}, I < 0),
    ("nextafter", (X, Y), {}, np.nextafter(X, Y)),
    *((n, (7,), {}, getattr(np, n)(7)) for n in ("bartlett", "blackman", "hamming", "hanning")),
    ("kaiser", (6, 8.6), {}, np.kaiser(6, 8.6)),
    ("dstack", ([X, Y],), {}, np.dstack([X, Y])),
    ("dstack", ([X[0], Y[0]],), {}, np.dstack([X[0], Y[0]])),
    ("diagflat", (X[:2, :2],), {"k": -1}, np.diagflat(X[:2, :2], -1)),
    *(("rot90", (X,), {"k": k}, np.rot90(X, k)) for k in (-1, 0, 1, 2, 3, 5)),
    ("rot90", (CUBE,), {"axes": (2, 0)}, np.rot90(CUBE, axes=(2, 0))),
    ("kron", (X[:2, :2], Y), {}, np.kron(X[:2, :2], Y)),
    ("kron", (X[0], CUBE), {}, np.kron(X[0], CUBE)),
    ("cross", (X[:, :3], Y[:, :3]), {}, np.cross(X[:, :3], Y[:, :3])),
    ("cross", (X, Y), {"axis": 0}, np.cross(X, Y, axis=0)),
    ("cross", (X[:, :2], Y[:, :2]), {}, X[:, 0] * Y[:, 1] - X[:, 1] * Y[:, 0]),
    ("cross", (X[:, :3], Y[:, :2]), {},
     np.cross(X[:, :3], np.concatenate([Y[:, :2], np.zeros((3, 1))], 1))),
    ("vander", (SHORT,), {}, np.vander(SHORT)),
    ("vander", (SHORT, 5), {"increasing": True}, np.vander(SHORT, 5, increasing=True)),
    ("corrcoef", (X,), {}, np.corrcoef(X)),
    *(("correlate", pair, {"mode": m}, np.correlate(*pair, mode=m))
      for pair in ((SIGNAL, SHORT), (SHORT, SIGNAL), (SIGNAL, SIGNAL[:4]), (SIGNAL[:4], SIGNAL))
      for m in ("valid", "same", "full")),
    ("cdist", (X, Y[:2]), {}, distances(X, Y[:2])),
    ("cdist", (CUBE, CUBE), {}, distances(CUBE, CUBE)),
    ("rearrange", (CUBE, "a b (c d) -> (c a) (b d)"), {"d": 2},
     CUBE.reshape(2, 3, 2, 2).transpose(2, 0, 1, 3).reshape(4, 6)),
    ("rearrange", (X, "a b -> b 1 a"), {}, X.T[:, None]),
    ("argpartition", (X, 2), {}, np.argsort(X, -1)),
    ("segment_max", (X, [1, 0, 1]), {"num_segments": 3},
     np.stack([X[1], np.maximum(X[0], X[2]), np.full(4, -np.inf)])),
    ("segment_min", (I, [1, 1]), {}, np.stack([np.full(3, 2**31 - 1), I.min(0)])),
    ("segment_prod", (X, [0, 0, 9]), {"num_segments": 2}, np.stack([X[0] * X[1], np.ones(4)])),
    ("scatter", ([[1, 0], [1, 0], [2, 3]], [1.0, 2.0, 5.0], (3, 4)), {},
     [[0, 0, 0, 0], [3, 0, 0, 0], [0, 0, 0, 5]]),
    ("scatter", ([[-1], [7]], X[:2], (3, 4)), {}, np.stack([0 * X[0], 0 * X[0], X[0]])),
    ("scatter_update", (X, [[1], [1], [0]], Y), {}, np.stack([Y[2], Y[1], X[2]])),
    ("scatter_update", (X, [[1], [1]], Y[:2]), {"reduction": "add"},
     np.stack([X[0], X[1] + Y[0] + Y[1], X[2]])),
    ("scatter_update", (X, [[2]], Y[:1]), {"reduction": "max"},
     np.stack([X[0], X[1], np.maximum(X[2], Y[0])])),
    ("scatter_update", (X, [[2, 1]], [7.0]), {"reduction": "mul"},
     X * np.array([[1, 1, 1, 1], [1, 1, 1, 1], [1, 7, 1, 1]])),
    ("get_item", (X, (slice(1, None), 2)), {}, X[1:, 2]),
    ("cholesky", (SPD,), {}, np.linalg.cholesky(SPD)),
    ("cholesky", (SPD,), {"upper": True}, np.linalg.cholesky(SPD).T),
    ("cholesky_inverse", (np.linalg.cholesky(SPD),), {}, np.linalg.inv(SPD)),
    ("inv", (SPD,), {}, np.linalg.inv(SPD)),
    ("det", (SPD,), {}, np.linalg.det(SPD)),
    ("logdet", (SPD,), {}, np.linalg.slogdet(SPD)[1]),
    ("solve", (SPD, X), {}, np.linalg.solve(SPD, X)),
    ("solve", (SPD, X[:, 0]), {}, np.linalg.solve(SPD, X[:, 0])),
    ("solve_triangular", (SPD, X), {}, np.linalg.solve(np.triu(SPD), X)),
    ("solve_triangular", (SPD, X), {"lower": True}, np.linalg.solve(np.tril(SPD), X)),
    ("lstsq", (X, SHORT), {}, np.linalg.lstsq(X, SHORT, rcond=None)[0]),
    ("lstsq", (X.T, Y.T), {}, np.linalg.lstsq(X.T, Y.T, rcond=None)[0]),
    ("pinv", (X,), {}, np.linalg.pinv(X)),
    ("matrix_rank", (np.outer(SHORT, SHORT),), {}, 1),
    *(("pad", (X, ((1, 2), (0, 3))), {"mode": m}, np.pad(X, ((1, 2), (0, 3)), mode=m))
      for m in ("reflect", "symmetric", "edge", "wrap")),
]  # fmt: skip
WITHOUT_CASE = {
    *("associative_scan", "cond", "fori_loop", "map", "scan", "switch", "vectorize"),
    *("vectorized_map", "while_loop", "jvp", "eigh", "lu_factor", "qr", "slogdet", "svd"),
    *("fft", "fft2", "ifft", "ifft2", "rfft", "irfft", "dtype", "dsplit", "hsplit", "vsplit"),
    *("histogram", "nonzero", "unique", "unravel_index"),
}
