"""Row cases of the functions that are made of other ops: see row_cases.py."""

import numpy as np

from densa import ops

TABLE = np.random.default_rng(4).normal(size=(3, 4)).astype("float32")

MORE = [
    lambda b: ops.bitwise_and(b, b),
    lambda b: ops.bitwise_or(b, ops.bitwise_not(b)),
    lambda b: ops.bitwise_xor(b, ops.bitwise_invert(b)),
    lambda i: ops.isin(i, [0, 2]),
    lambda x: ops.saturate_cast(x, "int8"),
    lambda x: ops.ptp(x, axis=1),
    lambda x: ops.ptp(x, axis=0),
    lambda x: ops.percentile(x, 30, axis=1),
    lambda x: ops.nanprod(x, axis=1),
    lambda x: ops.nanvar(x, axis=1) + ops.nanstd(x, axis=1),
    lambda x: ops.nancumsum(x, axis=1) + ops.nancumprod(x, axis=1),
    lambda x: ops.nanargmax(x, axis=1) + ops.nanargmin(x, axis=1),
    lambda x: ops.nanmedian(x, axis=1),
    lambda x: ops.nanquantile(x, 0.3, axis=1),
    lambda x: ops.nanpercentile(x, 30, axis=1, keepdims=True),
    lambda x: ops.erfinv(x / 3),
    lambda x: ops.i0(x),
    lambda x: ops.ldexp(x, [1, 0, -1, 2]),
    lambda x: ops.signbit(x),
    lambda x: ops.hsplit(x, 2),
    lambda m: ops.dsplit(m, 2),
    lambda x: ops.vsplit(x, 2),
    lambda m, n: ops.dstack([m, n]),
    lambda x: ops.diagflat(x),
    lambda m: ops.rot90(m, axes=(1, 2)),
    lambda x: ops.rot90(x),
    lambda x: ops.kron(x, [[1.0, 2.0]]),
    lambda m: ops.cross(m[..., :3], m[..., 1:]),
    lambda s: ops.vander(s, 3),
    lambda x: ops.corrcoef(x),
    lambda s: ops.correlate(s, [1.0, 2.0]),
    lambda m, n: ops.cdist(m, n),
    lambda m: ops.rearrange(m, "b h w -> b (w h)"),
    lambda x: ops.argpartition(x, 1),
    lambda x, j: ops.segment_max(x, j, 3) + ops.segment_min(x, j, 3) * ops.segment_prod(x, j, 3),
    lambda x: ops.scatter([[0], [2], [1], [1], [0], [2]], x, (3, 4)),
    lambda x: ops.scatter_update(TABLE, [[0], [2], [1], [1], [0], [2]], x),
    lambda x: ops.get_item(x, np.s_[:, 1:]),
    lambda i: ops.unravel_index(i, (2, 2)),
    lambda x: ops.fft((x, x))[0] + ops.ifft((x, x))[1],
    lambda m: ops.fft2((m, m))[0] + ops.ifft2((m, m))[1],
    lambda x: ops.irfft(ops.rfft(x)),
    lambda x: ops.cond(True, lambda: x, lambda: -x),
    lambda x: ops.switch(1, [ops.negative, ops.square], x),
    lambda x: ops.fori_loop(0, 3, lambda i, v: v * 2 + i, x),
    lambda x: ops.while_loop(lambda i, v: i < 2, lambda i, v: (i + 1, -v), (0, x))[1],
    lambda x: ops.associative_scan(ops.add, x, axis=1),
]

# What these do is tested elsewhere: they read numbers (tests/ops/test_linalg.py), take no array of
# the batch, or go along the first axis, which is its rows (tests/ops/test_control.py).
ELSEWHERE = {
    *("left_shift", "right_shift", "bitwise_left_shift", "bitwise_right_shift", "gcd", "lcm"),
    *("view", "nextafter", "nonzero", "unique", "histogram", "cholesky", "cholesky_inverse", "det"),
    *("eigh", "inv", "logdet", "lstsq", "lu_factor", "matrix_rank", "pinv", "qr", "slogdet"),
    *("solve", "solve_triangular", "svd", "jvp", "bartlett", "blackman", "hamming", "hanning"),
    *("kaiser", "dtype", "map", "scan", "vectorize", "vectorized_map"),
}
