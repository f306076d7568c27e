"""Matrices solved and taken apart: part of `densa.ops`, and `densa.ops.linalg`.

NumPy's LAPACK computes them from values, so that no native step, frozen network or exported file
can hold them; each says so there. Gradients are those of the textbooks (M. Giles, An extended
collection of matrix derivative results, 2008), first derivatives only.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from densa import _core
from densa._names import suggesting
from densa._scope import in_symbolic_scope
from densa.device import together
from densa.ops._host import moved, values, wrapped
from densa.ops._public import apply, floating, public, scalar
from densa.ops.control import jvp
from densa.ops.reductions import norm
from densa.ops.shapes import swapaxes

__all__ = [
    "cholesky",
    "cholesky_inverse",
    "det",
    "eigh",
    "inv",
    "jvp",
    "logdet",
    "lstsq",
    "lu_factor",
    "matrix_rank",
    "norm",
    "pinv",
    "qr",
    "slogdet",
    "solve",
    "solve_triangular",
    "svd",
]


def _matrix(name: str, x: Any, square: bool = True) -> Any:
    x = floating(x)
    if x.dtype in ("float16", "bfloat16"):
        x = apply("cast", x, dtype="float32")
    shape = tuple(x.shape)
    if x.ndim < 2 or (square and None not in shape[-2:] and shape[-1] != shape[-2]):
        kind = "square matrices (…, n, n)" if square else "matrices (…, m, n)"
        raise ValueError(f"{name}: expected {kind}; got shape {shape}.")
    return x


def _computed(name: str, function: Callable[..., Any], *xs: Any) -> list[Any]:
    """Return NumPy's answer as arrays; ValueError where LAPACK finds none."""
    given = values(name, *xs)
    if in_symbolic_scope() and given[0].shape[-1] == given[0].shape[-2]:
        # A trial for the shapes, all ones: with this every factorization exists.
        given[0] = given[0] + given[0].shape[-1] * np.eye(given[0].shape[-1], dtype=given[0].dtype)
    try:
        found = function(*given)
    except np.linalg.LinAlgError as error:
        raise ValueError(f"{name}: {error} (shape {tuple(xs[0].shape)}).") from None
    return list(found) if isinstance(found, tuple) else [found]


def _flows(*xs: Any) -> bool:
    return _core.is_grad_enabled() and any(x.requires_grad for x in xs)


def _t(x: Any) -> Any:
    return swapaxes(x, -1, -2)


def _mm(*factors: Any) -> Any:
    out = factors[0]
    for factor in factors[1:]:
        out = apply("matmul", out, factor)
    return out


def _like(array: Any, x: Any) -> Any:
    return wrapped(np.asarray(array, x.dtype), x)


def _lower(x: Any, half: bool = False) -> Any:
    """Return the lower triangle, with half of its diagonal or none."""
    size = x.shape[-1]
    mask = np.tril(np.ones((size, size)), -1) + (0.5 * np.eye(size) if half else 0)
    return x * _like(mask, x)


@public
def cholesky(x: Any, upper: bool = False) -> Any:
    """Return the lower triangle L with L·Lᵀ = x.

    Args:
        x: symmetric, positive definite matrices (…, n, n), of which the lower triangle is read.
        upper: return Lᵀ.

    Raises:
        ValueError: for other shapes, or a matrix that is not positive definite.

    Example:
        >>> densa.ops.cholesky([[4.0, 2.0], [2.0, 5.0]]).numpy().tolist()
        [[2.0, 0.0], [1.0, 2.0]]
    """
    x = _matrix("cholesky", x)
    low = _like(_computed("cholesky", np.linalg.cholesky, x)[0], x)
    if _flows(x):
        back = _like(np.linalg.inv(low.numpy()), x)
        d = moved(x)
        inner = _mm(back, (d + _t(d)) * 0.5, _t(back))
        low = low + _mm(low, _lower(inner, half=True))
    return _t(low) if upper else low


@public
def cholesky_inverse(x: Any, upper: bool = False) -> Any:
    """Return the inverse of the matrix whose Cholesky factor x is: (x·xᵀ)⁻¹.

    Args:
        x: lower triangles (…, n, n).
        upper: whether they are upper ones: (xᵀ·x)⁻¹.

    Raises:
        ValueError: for other shapes, or a factor without an inverse.

    Example:
        >>> densa.ops.cholesky_inverse([[2.0, 0.0], [0.0, 1.0]]).numpy().tolist()
        [[0.25, 0.0], [0.0, 1.0]]
    """
    x = _matrix("cholesky_inverse", x)
    mask = _like(np.tril(np.ones(x.shape[-2:])), x)
    back = inv((_t(x) if upper else x) * mask)
    return _mm(_t(back), back)


@public
def inv(x: Any) -> Any:
    """Return the inverse of matrices.

    Args:
        x: matrices (…, n, n).

    Raises:
        ValueError: for other shapes, or a matrix without an inverse.

    Example:
        >>> densa.ops.inv([[2.0, 0.0], [0.0, 4.0]]).numpy().tolist()
        [[0.5, 0.0], [0.0, 0.25]]
    """
    x = _matrix("inv", x)
    back = _like(_computed("inv", np.linalg.inv, x)[0], x)
    return back - _mm(back, moved(x), back) if _flows(x) else back


@public
def det(x: Any) -> Any:
    """Return the determinants of matrices.

    Args:
        x: matrices (…, n, n). The gradient needs an inverse.

    Raises:
        ValueError: for other shapes.

    Example:
        >>> float(densa.ops.det([[2.0, 0.0], [0.0, 4.0]]))
        8.0
    """
    x = _matrix("det", x)
    found = _like(_computed("det", np.linalg.det, x)[0], x)
    if not _flows(x):
        return found
    return found + found * _trace_of_inverse("det", x)


def _trace_of_inverse(name: str, x: Any) -> Any:
    """Return the trace of x⁻¹·dx, by which determinants move."""
    back = _like(_computed(f"the gradient of {name}", np.linalg.inv, x)[0], x)
    return apply("sum", _t(back) * moved(x), axis=[x.ndim - 2, x.ndim - 1])


@public
def slogdet(x: Any) -> tuple[Any, Any]:
    """Return the signs of determinants, and the logarithms of their sizes.

    Args:
        x: matrices (…, n, n).

    Returns:
        `(sign, logdet)`; 0 and -inf for a matrix without an inverse.

    Raises:
        ValueError: for other shapes.

    Example:
        >>> sign, size = densa.ops.slogdet([[0.0, 1.0], [1.0, 0.0]])
        >>> float(sign), float(size)
        (-1.0, 0.0)
    """
    x = _matrix("slogdet", x)
    sign, size = (_like(a, x) for a in _computed("slogdet", np.linalg.slogdet, x))
    return sign, size + _trace_of_inverse("slogdet", x) if _flows(x) else size


@public
def logdet(x: Any) -> Any:
    """Return the logarithms of the determinants of matrices; NaN where one is negative.

    Args:
        x: matrices (…, n, n), positive definite as a rule.

    Raises:
        ValueError: for other shapes.

    Example:
        >>> float(densa.ops.logdet([[1.0, 0.0], [0.0, 1.0]]))
        0.0
    """
    sign, size = slogdet(x)
    return apply("where", apply("less", sign, 0.0), scalar(float("nan"), size), size)


@public
def solve(a: Any, b: Any) -> Any:
    """Return x with a·x = b.

    Args:
        a: matrices (…, n, n).
        b: vectors (…, n), or matrices (…, n, k). With as many axes as a, matrices.

    Raises:
        ValueError: for other shapes, or a matrix without an inverse.

    Example:
        >>> densa.ops.solve([[2.0, 0.0], [0.0, 4.0]], [2.0, 2.0]).numpy().tolist()
        [1.0, 0.5]
    """
    a, b = _pair("solve", a, b)
    return _solved("solve", np.linalg.solve, a, b)


def _pair(name: str, a: Any, b: Any) -> tuple[Any, Any]:
    a, b = together(a, b)
    a, b = _matrix(name, a), floating(b)
    kind = "float64" if "float64" in (a.dtype, b.dtype) else "float32"
    a, b = (apply("cast", x, dtype=kind) for x in (a, b))
    vectors = b.ndim == a.ndim - 1
    rows = b.shape[-1 if vectors else -2] if b.ndim else None
    if not (vectors or b.ndim == a.ndim) or rows != a.shape[-1]:
        raise ValueError(
            f"{name}: b must be vectors (…, n) or matrices (…, n, k) for a of (…, n, n); got a "
            f"{tuple(a.shape)} and b {tuple(b.shape)}."
        )
    return a, b


def _solved(name: str, how: Callable[..., Any], a: Any, b: Any) -> Any:
    vectors = b.ndim == a.ndim - 1
    if vectors:
        b = apply("reshape", b, shape=[*b.shape, 1])
    found = _like(_computed(name, how, a, b)[0], b)
    if _flows(a, b):
        back = _like(np.linalg.inv(a.numpy()), a)
        found = found + _mm(back, moved(b) - _mm(moved(a), found))
    return apply("reshape", found, shape=list(found.shape[:-1])) if vectors else found


@public
def solve_triangular(a: Any, b: Any, lower: bool = False) -> Any:
    """Return x with a·x = b, of which a triangle of a is read.

    Args:
        a: matrices (…, n, n).
        b: vectors (…, n), or matrices (…, n, k).
        lower: whether the lower triangle is read, and not the upper one.

    Raises:
        ValueError: for other shapes, or a zero on a diagonal.

    Example:
        >>> densa.ops.solve_triangular([[2.0, 9.0], [0.0, 4.0]], [11.0, 4.0]).numpy().tolist()
        [1.0, 1.0]
    """
    a, b = _pair("solve_triangular", a, b)
    mask = np.tril(np.ones(a.shape[-2:])) if lower else np.triu(np.ones(a.shape[-2:]))
    return _solved("solve_triangular", np.linalg.solve, a * _like(mask, a), b)


@public
def lstsq(a: Any, b: Any, rcond: float | None = None) -> Any:
    """Return the x that makes |a·x - b|² least; of several, the shortest.

    Args:
        a: a matrix (m, n).
        b: a vector (m,) or a matrix (m, k).
        rcond: singular values below this share of the largest count as 0; None is the precision
            of the type times the larger of m and n.

    Raises:
        ValueError: for other shapes.

    Example:
        >>> densa.ops.lstsq([[1.0], [1.0]], [1.0, 3.0]).numpy().round(4).tolist()
        [2.0]
    """
    a, b = together(a, b)
    a = _matrix("lstsq", a, square=False)
    b = floating(b)
    if a.ndim != 2 or b.ndim not in (1, 2) or b.shape[0] != a.shape[0]:
        raise ValueError(
            f"lstsq: expected a (m, n) and b (m,) or (m, k); got {tuple(a.shape)} and "
            f"{tuple(b.shape)}."
        )
    if rcond is None:
        rcond = float(np.finfo(a.dtype).eps * max(a.shape))
    back = pinv(a, rcond)
    if b.ndim == 2:
        return _mm(back, b)
    out = _mm(back, apply("reshape", b, shape=[-1, 1]))
    return apply("reshape", out, shape=[-1])


@public
def pinv(x: Any, rcond: float | None = None) -> Any:
    """Return the pseudoinverse of matrices (Moore and Penrose), by singular values.

    Args:
        x: matrices (…, m, n).
        rcond: singular values below this share of the largest count as 0; None is 10 times the
            precision of the type times the larger of m and n.

    Raises:
        ValueError: for other shapes.

    Example:
        >>> densa.ops.pinv([[2.0], [0.0]]).numpy().tolist()
        [[0.5, 0.0]]
    """
    x = _matrix("pinv", x, square=False)
    if rcond is None:
        rcond = float(10.0 * max(x.shape[-2:]) * np.finfo(x.dtype).eps)
    found = _computed("pinv", lambda a: np.linalg.pinv(a, rcond), x)[0]
    p = _like(found, x)
    if not _flows(x):
        return p
    d, rest = moved(x), x.detach()
    left = _like(np.eye(x.shape[-2]), x) - _mm(rest, p)
    right = _like(np.eye(x.shape[-1]), x) - _mm(p, rest)
    return p - _mm(p, d, p) + _mm(p, _t(p), _t(d), left) + _mm(right, _t(d), _t(p), p)


@public
def lu_factor(x: Any) -> tuple[Any, Any]:
    """Return the triangles L and U with L·U = x, of which rows were swapped.

    Args:
        x: matrices (…, n, n). The gradient needs an inverse.

    Returns:
        `(lu, pivots)`: U with L below its diagonal, L's own diagonal being ones; and int32
        (…, n): row i was swapped with row pivots[i], for i = 0, 1, …

    Raises:
        ValueError: for other shapes.

    Example:
        >>> lu, pivots = densa.ops.lu_factor([[1.0, 2.0], [2.0, 2.0]])
        >>> lu.numpy().tolist(), pivots.numpy().tolist()
        ([[2.0, 2.0], [0.5, 1.0]], [1, 1])
    """
    x = _matrix("lu_factor", x)
    n = x.shape[-1]
    (array,) = values("lu_factor", x)
    flat = array.reshape(math.prod(array.shape[:-2]), n, n).copy()
    pivots = np.zeros((len(flat), n), np.int32)
    order = np.tile(np.arange(n), (len(flat), 1))
    for a, pivot, rows in zip(flat, pivots, order, strict=True):
        for i in range(n):
            best = i + int(np.argmax(np.abs(a[i:, i])))
            pivot[i] = best
            a[[i, best]], rows[[i, best]] = a[[best, i]], rows[[best, i]]
            if a[i, i] != 0:
                a[i + 1 :, i] /= a[i, i]
                a[i + 1 :, i + 1 :] -= np.outer(a[i + 1 :, i], a[i, i + 1 :])
    lu = _like(flat.reshape(array.shape), x)
    if _flows(x):
        low = _like(np.linalg.inv(np.tril(flat, -1) + np.eye(n)).reshape(array.shape), x)
        upper = _computed("the gradient of lu_factor", np.linalg.inv, _like(np.triu(flat), x))[0]
        swap = _like(np.eye(n)[order].reshape(array.shape), x)
        back = _like(upper.reshape(array.shape), x)
        inner = _mm(low, swap, moved(x), back)
        below = _lower(inner)
        left = _like(np.tril(flat, -1).reshape(array.shape) + np.eye(n), x)
        right = _like(np.triu(flat).reshape(array.shape), x)
        lu = lu + _mm(left, below) + _mm(inner - below, right)
    return lu, wrapped(pivots.reshape(array.shape[:-1]), x)


@public
def matrix_rank(x: Any, tol: float | None = None) -> Any:
    """Return how many singular values of a matrix are above a limit.

    Args:
        x: matrices (…, m, n).
        tol: the limit; None is the largest one times the larger of m and n times the precision.

    Returns:
        int32 numbers, without a gradient.

    Raises:
        ValueError: for other shapes.

    Example:
        >>> int(densa.ops.matrix_rank([[1.0, 2.0], [2.0, 4.0]]))
        1
    """
    x = _matrix("matrix_rank", x, square=False)
    found = _computed("matrix_rank", lambda a: np.linalg.matrix_rank(a, tol), x)[0]
    return wrapped(np.asarray(found, np.int32), x)


@public
def qr(x: Any, mode: str = "reduced") -> tuple[Any, Any]:
    """Return q with orthogonal columns and an upper triangle r, with q·r = x.

    Args:
        x: matrices (…, m, n). The gradient needs m ≥ n, full rank and the reduced mode.
        mode: "reduced": k = min(m, n) columns; "complete": m columns.

    Returns:
        `(q, r)`.

    Raises:
        ValueError: for other shapes or modes, or where there is no gradient.

    Example:
        >>> q, r = densa.ops.qr([[3.0, 0.0], [4.0, 5.0]])
        >>> np.abs(r.numpy()).round(4).tolist()
        [[5.0, 4.0], [0.0, 3.0]]
    """
    if mode not in ("reduced", "complete"):
        raise ValueError(f"qr: mode must be 'reduced' or 'complete'; got {mode!r}.")
    x = _matrix("qr", x, square=False)
    how: Any = mode  # which NumPy knows by words
    q, r = (_like(a, x) for a in _computed("qr", lambda a: tuple(np.linalg.qr(a, how)), x))
    if not _flows(x):
        return q, r
    m, n = x.shape[-2:]
    if m < n or (mode == "complete" and m > n):
        raise ValueError(
            f"qr: there is a gradient for mode 'reduced' of matrices that are not wider than high; "
            f"got mode {mode!r} and {m} x {n}. Use x.detach() where none is wanted."
        )
    back = _like(_computed("the gradient of qr", np.linalg.inv, r)[0], x)
    moving = _mm(moved(x), back)
    inner = _mm(_t(q), moving)
    low = _lower(inner)
    turn = low - _t(low)  # qᵀ·dq, which is antisymmetric
    new_q = q + moving - _mm(q, inner) + _mm(q, turn)
    return new_q, r + _mm(inner - turn, r)


def _inverse_gaps(w: Any) -> Any:
    """Return 1 / (wⱼ - wᵢ), 0 on the diagonal."""
    gaps = w[..., None, :] - w[..., :, None]
    with np.errstate(divide="ignore"):
        out = 1.0 / gaps
    n = w.shape[-1]
    out[..., np.arange(n), np.arange(n)] = 0
    return out


@public
def eigh(x: Any) -> tuple[Any, Any]:
    """Return the eigenvalues of symmetric matrices in rising order, and their vectors.

    Args:
        x: symmetric matrices (…, n, n), of which the lower triangle is read.

    Returns:
        `(eigenvalues, eigenvectors)`, the vectors being the columns of (…, n, n). Vectors of equal
        values have no gradient: it comes out as NaN.

    Raises:
        ValueError: for other shapes.

    Example:
        >>> w, v = densa.ops.eigh([[2.0, 0.0], [0.0, 1.0]])
        >>> w.numpy().tolist()
        [1.0, 2.0]
    """
    x = _matrix("eigh", x)
    w, v = (_like(a, x) for a in _computed("eigh", lambda a: tuple(np.linalg.eigh(a)), x))
    if not _flows(x):
        return w, v
    d = moved(x)
    inner = _mm(_t(v), (d + _t(d)) * 0.5, v)
    eye = _like(np.eye(x.shape[-1]), x)
    values_now = w + apply("sum", inner * eye, axis=[x.ndim - 1])
    return values_now, v + _mm(v, inner * _like(_inverse_gaps(w.numpy()), x))


@public
def svd(x: Any, full_matrices: bool = True, compute_uv: bool = True) -> Any:
    """Return u, s and vᵀ with x = u·diag(s)·vᵀ, the singular values s falling.

    Args:
        x: matrices (…, m, n).
        full_matrices: whether u and vᵀ are square; else they have k = min(m, n) columns and rows.
            Gradients of u and v of matrices that are not square need False.
        compute_uv: whether to return u and v, too.

    Returns:
        `(u, s, vᵀ)`, or s alone. Vectors of equal values have no gradient: it comes out as NaN.

    Raises:
        ValueError: for other shapes, or where there is no gradient.

    Example:
        >>> densa.ops.svd([[3.0, 0.0], [0.0, -4.0]], compute_uv=False).numpy().tolist()
        [4.0, 3.0]
    """
    x = _matrix("svd", x, square=False)
    m, n = x.shape[-2:]
    flows = _flows(x)
    full = bool(full_matrices) and compute_uv and m != n
    if full and flows:
        raise ValueError(
            f"svd: u and v of {m} x {n} matrices have a gradient with full_matrices=False; pass "
            "that, or x.detach() where none is wanted."
        )
    found = _computed("svd", lambda a: tuple(np.linalg.svd(a, full_matrices=full)), x)
    u, s, vt = (_like(a, x) for a in found)
    if not flows:
        return (u, s, vt) if compute_uv else s
    k = min(m, n)
    d, v = moved(x), _t(vt)
    inner = _mm(_t(u), d, v)
    s_now = s + apply("sum", inner * _like(np.eye(k), x), axis=[x.ndim - 1])
    if not compute_uv:
        return s_now
    size = s.numpy()
    gaps = _like(_inverse_gaps(size**2), x)
    across, down = _like(size[..., None, :], x), _like(size[..., :, None], x)
    du = gaps * (inner * across + down * _t(inner))
    dv = gaps * (down * inner + _t(inner) * across)
    u_now, v_now = u + _mm(u, du), v + _mm(v, dv)
    over = apply("reciprocal", across)
    if m > k:
        u_now = u_now + (_mm(d, v) - _mm(u, inner)) * over
    if n > k:
        v_now = v_now + (_mm(_t(d), u) - _mm(v, _t(inner))) * over
    return u_now, s_now, _t(v_now)


if not TYPE_CHECKING:  # lest type checkers take every name for known
    __getattr__ = suggesting(__name__)
