"""What a model may compute from its inputs, at least once with every function of `densa.ops`.

A case is a function of some of the inputs below, by the names of its parameters. Whether a row of
its result depends on its own row alone is nobody's opinion: tests find it out with numbers.
"""

from __future__ import annotations

import inspect

import numpy as np

import densa
from densa import ops
from densa._core import apply
from ops import specs
from predict.more_row_cases import MORE

ROWS = 6

# Of each input: the shape of a row, and its type. Their numbers: `arrays`.
INPUTS = {
    "s": ((), "float32"),
    "x": ((4,), "float32"),
    "y": ((4,), "float32"),
    "p": ((4,), "float32"),  # positive
    "m": ((3, 4), "float32"),
    "n": ((3, 4), "float32"),
    "q": ((3, 3), "float32"),
    "one": ((1,), "float32"),
    "b": ((4,), "bool"),
    "i": ((2,), "int32"),  # 0, 1 or 2
    "j": ((), "int64"),  # 0, 1 or 2
    "k": ((2, 4), "int32"),  # 0, 1 or 2
}


def arrays(names, rng):
    """Numbers for these inputs."""
    made = {}
    for name in names:
        shape, dtype = (ROWS, *INPUTS[name][0]), INPUTS[name][1]
        if dtype == "bool":
            made[name] = rng.random(shape) < 0.5
        elif dtype.startswith("int"):
            made[name] = rng.integers(0, 3, shape).astype(dtype)
        else:
            made[name] = rng.uniform(0.3 if name == "p" else -2, 2, shape).astype(dtype)
    return made


TABLE = np.random.default_rng(1).normal(size=(3, 4)).astype("float32")
SQUARE = np.random.default_rng(2).normal(size=(4, 4)).astype("float32")
LINE = TABLE[0]
CUBE = np.random.default_rng(3).normal(size=(3, 4, 5)).astype("float32")


def of_m(op, **attrs):
    return lambda m: apply(op, m, **attrs)


def of_x_y(op):
    return lambda x, y: apply(op, x, y)


CASES = {
    # ---- elementwise, in all its forms: the numbers are those of tests/ops ----
    **{f"{spec.label} of m": of_m(spec.name, **spec.attrs) for spec in specs.UNARY},
    **{f"{spec.name} of x, y": of_x_y(spec.name) for spec in specs.BINARY},
    **{f"{op} of x, y": of_x_y(op) for op in specs.COMPARISONS},
    **{f"{op} of m": of_m(op) for op in specs.TESTS},
    **{
        f"{spec.name} of m along {axis}": of_m(spec.name, axis=axis)
        for spec in specs.REDUCTIONS
        for axis in ([-1], [1], [1, 2], [0], [0, 2], [])
    },
    **{
        f"{spec.name} of m along {axis}, kept": of_m(spec.name, axis=axis, keepdims=True)
        for spec in specs.REDUCTIONS
        for axis in ([2], [0])
    },
    **{
        f"{name} of p": lambda p, name=name: getattr(ops, name)(p)
        for name in (
            "abs absolute celu ceil copy cos cosh elu erf exp expm1 floor gelu glu hard_shrink "
            "hard_sigmoid hard_silu hard_swish hard_tanh isfinite isinf isnan leaky_relu log log10 "
            "log1p log2 log_sigmoid log_softmax logical_not mish nan_to_num negative normalize "
            "ones_like reciprocal relu relu6 round rsqrt selu sigmoid sign silu sin sinh "
            "soft_shrink softmax softplus softsign sqrt square squareplus stop_gradient swish tan "
            "tanh tanh_shrink zeros_like "
            "arccos arccosh arcsin arcsinh arctan arctanh cbrt deg2rad empty_like erfc exp2 fabs "
            "isneginf isposinf rad2deg sinc sparse_plus sparse_sigmoid sparsemax trunc "
            "layer_normalization rms_normalization"
        ).split()
    },
    **{
        f"{name} of x, p": lambda x, p, name=name: getattr(ops, name)(x, p)
        for name in (
            "add arctan2 binary_crossentropy categorical_crossentropy divide divide_no_nan equal "
            "floor_divide greater greater_equal isclose less less_equal logaddexp logical_and "
            "logical_or logical_xor maximum minimum mod multiply not_equal subtract true_divide "
            "fmax fmin fmod heaviside hypot logaddexp2"
        ).split()
    },
    "power of p, x": lambda p, x: ops.power(p, x),
    "clip": lambda x: ops.clip(x, -0.5, 0.5),
    "threshold": lambda x: ops.threshold(x, 0.5, 7.0),
    "cast": lambda x: ops.cast(x, "int32"),
    "where of x, y": lambda b, x, y: ops.where(b, x, y),
    "where of a number": lambda b, x: ops.where(b, x, 1.5),
    "where of LINE": lambda b, x: ops.where(b, LINE, x),
    "where of a mask": lambda x: ops.where(LINE > 0, x, 0.0),
    "full_like": lambda x: ops.full_like(x, 3.0),
    "a row's number": lambda s, one: s * 2 + ops.reshape(one, (-1,)),
    "rows with a column": lambda x, one: x * one,
    # A row's own number is not its column: this stretches s over the columns of all rows.
    "s with x as it is": lambda s, q: s[:, None, None] * q,
    "another number for each row": lambda x: x + np.arange(float(ROWS), dtype="float32")[:, None],
    "array": lambda x: x + ops.array(LINE) + ops.convert_to_tensor(LINE),
    "zeros, ones, full, empty": lambda x: x + ops.zeros(4) + ops.ones((1, 4)) + ops.full(4, 2.0),
    "eye, identity": lambda x: x @ ops.eye(4) @ ops.identity(4),
    "arange, linspace": lambda x: x + ops.cast(ops.arange(4), "float32") * ops.linspace(0, 1, 4),
    # ---- reductions as users call them ----
    **{
        f"{name} of the last axis": lambda m, name=name: getattr(ops, name)(m, axis=-1)
        for name in "all amax amin any argmax argmin average count_nonzero logsumexp max mean min "
        "norm prod std sum var cumprod cumsum diff nanmax nanmean nanmin nansum trapezoid".split()
    },
    **{
        f"{name} of the first axis": lambda m, name=name: getattr(ops, name)(m, axis=0)
        for name in "all argmax argmin average count_nonzero norm std".split()
    },
    **{
        f"{name} of everything": lambda m, name=name: getattr(ops, name)(m)
        for name in "all any argmax average count_nonzero norm std".split()
    },
    "cumsum over the batch": lambda m: ops.cumsum(m, axis=0),
    "allclose": lambda x, y: ops.allclose(x, y),
    "argmax, kept": lambda m: ops.argmax(m, axis=1, keepdims=True),
    "average with weights": lambda m: ops.average(m, axis=2, weights=np.arange(1.0, 5.0)),
    "average with the row's weights": lambda x, p: ops.average(x, axis=-1, weights=p),
    "moments of the row": lambda m: ops.moments(m, axes=[1, 2], keepdims=True),
    "moments of the batch": lambda m: ops.moments(m, axes=[0]),
    "the batch's mean taken away": lambda x: x - ops.mean(x, axis=0),
    "the batch's mean taken away, kept": lambda x: x - ops.mean(x, axis=0, keepdims=True),
    "the batch's size": lambda x: x / ops.shape(x)[0] if ops.shape(x)[0] else x,
    "softmax over the batch": lambda x: ops.softmax(x, axis=0),
    "softmax of the middle": lambda m: ops.softmax(m, axis=1),
    "softmax of two axes": lambda m: ops.softmax(m, axis=(1, 2)),
    "log_softmax over the batch": lambda x: ops.log_softmax(x, axis=0),
    "normalize over the batch": lambda x: ops.normalize(x, axis=0),
    "normalize of order 3": lambda m: ops.normalize(m, axis=(1, 2), order=3),
    "batch_normalization": lambda x: ops.batch_normalization(x, LINE, LINE**2, -1),
    "batch_normalization of the middle": lambda m: ops.batch_normalization(
        m, TABLE[:, 0], TABLE[:, 1] ** 2, 1, offset=TABLE[:, 2], scale=TABLE[:, 3]
    ),
    "psnr": lambda x, y: ops.psnr(x, y, 2.0),
    # ---- losses and classes ----
    "binary_crossentropy of logits": lambda x, p: ops.binary_crossentropy(p, x, from_logits=True),
    "categorical_crossentropy of logits": lambda x, p: ops.categorical_crossentropy(
        p, x, from_logits=True
    ),
    "categorical_crossentropy of the middle": lambda m, n: ops.categorical_crossentropy(
        n, m, from_logits=True, axis=1
    ),
    "sparse_categorical_crossentropy": lambda p, j: ops.sparse_categorical_crossentropy(
        j, p / ops.sum(p, axis=-1, keepdims=True)
    ),
    "sparse_categorical_crossentropy of logits": lambda x, j: ops.sparse_categorical_crossentropy(
        j, x, from_logits=True
    ),
    "one_hot": lambda i: ops.one_hot(i, 3),
    "one_hot in front of the row": lambda j: ops.one_hot(j, 3),
    "one_hot of another axis": lambda i: ops.one_hot(i, 3, axis=1),
    "multi_hot": lambda i: ops.multi_hot(i, 3),
    "in_top_k": lambda x, j: ops.in_top_k(j, x, 2),
    "argsort": lambda m: ops.argsort(m, axis=1),
    "argsort of the batch": lambda x: ops.argsort(x, axis=0),
    "sort": lambda m: ops.sort(m),
    "top_k": lambda x: ops.top_k(x, 2),
    "median": lambda m: ops.median(m, axis=2),
    "quantile over the batch": lambda x: ops.quantile(x, 0.3, axis=0),
    # ---- products ----
    "dense": lambda m: apply("dense", m, SQUARE, LINE),
    "matmul": lambda m: ops.matmul(m, SQUARE),
    "matmul with a vector": lambda m: ops.matmul(m, LINE),
    "matmul of a matrix with rows": lambda m: ops.matmul(TABLE[:, :3], m),
    "matmul of the row": lambda m, n: ops.matmul(m, ops.transpose(n, (0, 2, 1))),
    "matmul of all rows": lambda x, y: ops.matmul(x, ops.transpose(y)),
    "matmul over the batch": lambda x, y: ops.matmul(ops.transpose(x), y),
    "dot": lambda x: ops.dot(x, SQUARE),
    "dot of more axes": lambda m: ops.dot(m, CUBE.transpose(0, 1, 2)),
    "outer with a vector": lambda s: ops.outer(s, LINE),
    "outer of all": lambda x, y: ops.outer(x, y),
    "vdot": lambda x, y: ops.vdot(x, y),
    "einsum of the last axis": lambda m: ops.einsum("rab,bc->rac", m, SQUARE),
    "einsum of the row": lambda m, n: ops.einsum("rab,rcb->rac", m, n),
    "einsum over the batch": lambda x, y: ops.einsum("ra,rb->ab", x, y),
    "inner with a vector": lambda x: ops.inner(x, LINE),
    "tensordot of the last axis": lambda m: ops.tensordot(m, SQUARE, 1),
    "tensordot of two axes": lambda m: ops.tensordot(m, CUBE, 2),
    "tensordot over the batch": lambda x, y: ops.tensordot(x, y, ([0], [0])),
    # ---- shapes ----
    "reshape": lambda m: ops.reshape(m, (-1, 2, 6)),
    "reshape with None": lambda m: ops.reshape(m, (None, 12)),
    "reshape to fewer rows": lambda m: ops.reshape(m, (-1, 24)),
    "reshape to more rows": lambda m: ops.reshape(m, (-1, 4)),
    "more rows and back": lambda m: ops.reshape(ops.reshape(m, (-1, 4)) @ SQUARE, (-1, 3, 4)),
    "reshape with the number of rows": lambda m: ops.reshape(m, (ops.shape(m)[0], -1)),
    "ravel": lambda m: ops.ravel(m),
    "transpose": lambda m: ops.transpose(m, (0, 2, 1)),
    "transpose of all": lambda m: ops.transpose(m),
    "swapaxes": lambda m: ops.swapaxes(m, 1, -1),
    "swapaxes of the rows": lambda m: ops.swapaxes(m, 0, 1),
    "moveaxis": lambda m: ops.moveaxis(m, 1, -1),
    "moveaxis of the rows": lambda m: ops.moveaxis(m, 0, -1),
    "rows to the middle and back": lambda m: ops.swapaxes(ops.swapaxes(m, 0, 1) * 2, 0, 1),
    "expand_dims": lambda x: ops.expand_dims(x, (1, -1)),
    "expand_dims in front": lambda x: ops.expand_dims(x, 0),
    "squeeze": lambda one: ops.squeeze(one, axis=-1),
    "squeeze of all": lambda one: ops.squeeze(one),
    "broadcast_to": lambda one: ops.broadcast_to(one, (None, 3)),
    "broadcast_to of a vector": lambda x: x + ops.broadcast_to(LINE, ops.shape(x)),
    "flip": lambda m: ops.flip(m, axis=(1, 2)),
    "flip of the rows": lambda m: ops.flip(m, axis=0),
    "flip of all": lambda m: ops.flip(m),
    "concatenate": lambda x, y: ops.concatenate([x, y], axis=-1),
    "concatenate of the middle": lambda m, n: ops.concatenate([m, n], axis=1),
    "concatenate of rows": lambda x, y: ops.concatenate([x, y], axis=0),
    "concatenate with a constant": lambda x: ops.concatenate(
        [x, ops.broadcast_to(LINE, ops.shape(x))], axis=-1
    ),
    "stack": lambda x, y: ops.stack([x, y], axis=1),
    "stack of very many": lambda m: ops.stack([m * i for i in range(70)], axis=1),
    "concatenate of very many": lambda x: ops.concatenate([x * i for i in range(70)], axis=-1),
    "stack of rows": lambda x, y: ops.stack([x, y], axis=0),
    "unstack": lambda m: ops.unstack(m, axis=1),
    "unstack of rows": lambda m: ops.unstack(m, axis=0),
    "hstack": lambda x, y: ops.hstack([x, y]),
    "vstack": lambda x, y: ops.vstack([x, y]),
    "split": lambda m: ops.split(m, 2, axis=2),
    "split at": lambda m: ops.split(m, [1], axis=1),
    "split of rows": lambda m: ops.split(m, 2, axis=0),
    "pad": lambda x: ops.pad(x, ((0, 0), (1, 2))),
    "pad with a number": lambda m: ops.pad(m, ((0, 0), (2, 0), (0, 1)), constant_values=7.0),
    "pad of flags": lambda b: ops.pad(b, ((0, 0), (1, 1)), constant_values=True),
    "pad of whole numbers": lambda i: ops.pad(i, ((0, 0), (1, 0))),
    "pad of rows": lambda x: ops.pad(x, ((1, 0), (0, 0))),
    "tile": lambda m: ops.tile(m, (1, 2, 3)),
    "tile of rows": lambda m: ops.tile(m, (2, 1, 1)),
    "repeat": lambda m: ops.repeat(m, 2, axis=1),
    "repeat by numbers": lambda m: ops.repeat(m, [0, 2, 1], axis=1),
    "repeat of rows": lambda m: ops.repeat(m, 2, axis=0),
    "roll": lambda m: ops.roll(m, -1, axis=2),
    "roll of rows": lambda m: ops.roll(m, 1, axis=0),
    "roll of all": lambda m: ops.roll(m, 1),
    "tril": lambda m: ops.tril(m, k=1),
    "triu": lambda q: ops.triu(q),
    "tril of the batch": lambda x: ops.tril(x),
    "diagonal of the batch": lambda x: ops.diagonal(x),
    "diagonal of the row": lambda q: ops.diagonal(q, 1, 1, 2),
    "trace of the row": lambda q: ops.trace(q, axis1=1, axis2=2),
    "diag of the batch": lambda x: ops.diag(x),
    "append": lambda x, y: ops.append(x, y, axis=1),
    "array_split": lambda m: ops.array_split(m, 3, axis=2),
    "fliplr": lambda x: ops.fliplr(x),
    "flipud": lambda x: ops.flipud(x),
    "tri, logspace, geomspace": lambda x: (
        x @ ops.tri(4) + ops.logspace(0, 1, 4) + ops.geomspace(1, 8, 4)
    ),
    "meshgrid": lambda x: x + ops.meshgrid(LINE, LINE[:1])[0],
    "select": lambda x, y: ops.select([x > 1, x > 0], [x, y], 2.0),
    "searchsorted": lambda x: ops.searchsorted([-1.0, 0.0, 1.0], x),
    "digitize": lambda x: ops.digitize(x, [-1.0, 0.0, 1.0]),
    "segment_sum over the batch": lambda x, j: ops.segment_sum(x, j, 3),
    "slice_update": lambda x: ops.slice_update(x, (0, 0), [[1.0]]),
    "slice": lambda m: ops.slice(m, (0, 1, 0), (-1, 2, 3)),
    "slice of rows": lambda m: ops.slice(m, (1, 0, 0), (2, -1, -1)),
    # ---- picking ----
    "an element": lambda m: m[:, 1, -1],
    "a slice": lambda m: m[:, ::-1, 1:3],
    "a slice of rows": lambda m: m[1:],
    "every second row": lambda m: m[::2],
    "rows in reverse": lambda m: m[::-1],
    "the first row": lambda m: m[0],
    "the first row for all": lambda x: x + x[:1],
    "a new axis": lambda m: m[:, None, ..., None],
    "ids of an axis": lambda m: m[:, [2, 0, 0]],
    "ids of the last axis": lambda m: m[..., np.array([[2, 0], [-1, 1]])],
    "ids of two axes": lambda m: m[:, [0, 1, 2], [3, 0, 1]],
    "ids of rows": lambda m: m[[1, 0]],
    "a mask": lambda m: m[:, np.array([True, False, True])],
    "take": lambda m: ops.take(m, [2, -1], axis=1),
    "take of one": lambda m: ops.take(m, 1, axis=2),
    "take of a table of ids": lambda m: ops.take(m, [[2, 0], [1, 1]], axis=-1),
    "take of rows": lambda m: ops.take(m, [2, 0], axis=0),
    "take of all": lambda m: ops.take(m, [2, 0]),
    "take from a table": lambda j: ops.take(TABLE, j, axis=0),
    "take from a table by more": lambda i: ops.take(TABLE, i, axis=0),
    "take from a table by negative ids": lambda i: ops.take(TABLE, i - 2, axis=0),
    "take from a cube by more": lambda i: ops.take(CUBE, i, axis=0),
    "take from a line": lambda k: ops.take(LINE, k, axis=0),
    "take from a line, flat": lambda k: ops.take(LINE, k),
    "take of a middle axis by ids": lambda i: ops.take(CUBE, i, axis=1),
    "take of rows by ids": lambda x, j: ops.take(x, j, axis=0),
    "take of the row by its ids": lambda x, i: ops.take(x, i, axis=1),
    "take_along_axis": lambda x, i: ops.take_along_axis(x, i, axis=1),
    "take_along_axis by the best": lambda x: ops.take_along_axis(
        x, ops.argmax(x, axis=-1, keepdims=True), axis=-1
    ),
    "take_along_axis of the middle": lambda m, k: ops.take_along_axis(m, k - 1, axis=1),
    "take_along_axis by constants": lambda x: ops.take_along_axis(x, [[3, 0, -1]], axis=1),
    "take_along_axis by a constant grid": lambda m: ops.take_along_axis(
        m, np.arange(12).reshape(1, 3, 4) % 3, axis=1
    ),
    "take_along_axis of a table": lambda i: ops.take_along_axis(LINE[None], i, axis=1),
    "take_along_axis of rows": lambda x: ops.take_along_axis(x, [[1, 0, 0, 1]], axis=0),
    "take_along_axis of all": lambda x: ops.take_along_axis(x, [0, 3], axis=None),
    # ---- several steps ----
    "the best three of the row": lambda x: ops.max(ops.where(x > 0, x, -9.0), axis=-1),
    "attention in the row": lambda m, n: ops.matmul(
        ops.softmax(ops.matmul(m, ops.transpose(n, (0, 2, 1)))), n
    ),
    "attention among rows": lambda x, y: ops.softmax(x @ ops.transpose(y)) @ y,
    "distances to a table": lambda x: ops.sum(ops.square(x[:, None] - TABLE[None]), axis=-1),
    "distances among rows": lambda x: ops.sum(ops.square(x[:, None] - x[None]), axis=-1),
    "the nearest of a table": lambda x: ops.take(
        TABLE, ops.argmin(ops.norm(x[:, None] - TABLE, axis=-1), axis=-1), axis=0
    ),
    "cumulative by a triangle": lambda x: x @ np.triu(np.ones((4, 4), "float32")),
    "two results": lambda x, m: (x * 2, {"sum": ops.sum(m, axis=(1, 2)), "m": m}),
    "nothing done": lambda x: x,
    "random numbers": lambda x: x + densa.random.normal((4,)),
}

CASES |= {f"more {number}": case for number, case in enumerate(MORE)}

# All in all these work row by row, but the rows leave the first axis on the way.
ROUNDABOUT = {"more rows and back", "rows to the middle and back"}


def names_of(case):
    """The inputs that a case takes."""
    return [name for name in inspect.signature(case).parameters if name in INPUTS]
