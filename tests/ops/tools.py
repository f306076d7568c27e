"""What the tests of ops share: sizes, tensors, gradients by the tape and by finite differences."""

from __future__ import annotations

import contextlib

import numpy as np

from densa import _core

# Around every multiple of a vector's lanes on any CPU level, and no elements at all.
SIZES = (0, 1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 65, 100)

SPECIAL = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 1e-40, -1e-40, 1e-45, 3e38, -3e38])


def on_device(tensor):
    """The tensor, moved to the device that is tested."""
    return tensor.to(str(_core.default_device()))


def tensor(array, *, grad=False):
    out = on_device(_core.from_numpy(np.array(array), copy=True))
    if grad:
        out.requires_grad = True
    return out


def run(op, *arrays, **attrs):
    """The op on arrays, as an array (or a tuple of them)."""
    out = _core.apply(op, *(on_device(_core.from_numpy(a)) for a in arrays), **attrs)
    return tuple(o.numpy() for o in out) if isinstance(out, tuple) else out.numpy()


def gradients(op, arrays, dy, wanted=None, **attrs):
    """The gradient of sum(dy * op(arrays)) with respect to the arrays listed in `wanted`."""
    wanted = range(len(arrays)) if wanted is None else wanted
    xs = [tensor(a, grad=i in wanted) for i, a in enumerate(arrays)]
    out = _core.apply(op, *xs, **attrs)
    found = _core.gradients([out], [xs[i] for i in wanted], [tensor(dy)])
    return [None if g is None else g.numpy() for g in found]


def second_gradients(op, arrays, dy, direction, wanted=None, **attrs):
    """The gradient of sum(direction * gradient of sum(dy * op))."""
    wanted = list(range(len(arrays))) if wanted is None else list(wanted)
    xs = [tensor(a, grad=i in wanted) for i, a in enumerate(arrays)]
    out = _core.apply(op, *xs, **attrs)
    inputs = [xs[i] for i in wanted]
    first = _core.gradients([out], inputs, [tensor(dy)], create_graph=True)
    first_dy = [tensor(d) for d in direction]
    # What does not depend on anything has no second gradient.
    pairs = [(g, d) for g, d in zip(first, first_dy, strict=True) if g is not None]
    pairs = [(g, d) for g, d in pairs if g.requires_grad]
    if not pairs:
        return [np.zeros_like(arrays[i]) for i in wanted]
    found = _core.gradients([g for g, _ in pairs], inputs, [d for _, d in pairs])
    return [
        np.zeros_like(arrays[i]) if g is None else g.numpy()
        for i, g in zip(wanted, found, strict=True)
    ]


def slope(function, arrays, index, step=1e-6):
    """The derivative of the scalar function with respect to each element of arrays[index]."""
    arrays = [np.array(a, dtype=np.float64) if a.dtype.kind == "f" else a for a in arrays]
    x = arrays[index]
    out = np.zeros_like(x)
    flat, result = x.reshape(-1), out.reshape(-1)
    for i in range(flat.size):
        kept = flat[i]
        h = step * max(1.0, abs(kept))
        flat[i] = kept + h
        up = function(*arrays)
        flat[i] = kept - h
        down = function(*arrays)
        flat[i] = kept
        result[i] = (up - down) / (2 * h)
    return out


def assert_close(got, exact, ulp, slack=0.0, size=None, what=""):
    """|got - exact| <= ulp spacings of exact, plus slack * eps * size; NaN and inf must agree."""
    got = np.asarray(got)
    exact = np.asarray(exact, dtype=np.float64)
    info = np.finfo(got.dtype)
    with np.errstate(over="ignore", invalid="ignore"):
        rounded = exact.astype(got.dtype)
    assert got.shape == exact.shape, (what, got.shape, exact.shape)
    finite = np.isfinite(rounded)
    np.testing.assert_array_equal(got[~finite], rounded[~finite], err_msg=what)
    if not finite.any():
        return
    spacing = np.spacing(np.maximum(np.abs(rounded[finite]), info.tiny)).astype(np.float64)
    bound = ulp * spacing + spacing * 1e-6
    if slack:
        magnitude = np.abs(exact if size is None else np.broadcast_to(size, exact.shape))[finite]
        magnitude = np.where(np.isfinite(magnitude), magnitude, 0.0)
        bound = bound + slack * float(info.eps) * magnitude
    error = np.abs(got[finite].astype(np.float64) - exact[finite])
    worst = int(np.argmax(error - bound))
    assert error[worst] <= bound[worst], (
        f"{what}: {got[finite][worst]!r} for {exact[finite][worst]!r}: "
        f"{error[worst] / spacing[worst]:.2f} ulp"
    )


@contextlib.contextmanager
def threads(count):
    before = _core.get_num_threads()
    _core.set_num_threads(count, exact=True)
    try:
        yield
    finally:
        _core.set_num_threads(before)
