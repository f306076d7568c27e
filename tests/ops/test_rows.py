"""Shapes while a Program records and the number of rows is not known."""

import numpy as np
import pytest

import densa
from densa import _core, ops


def recorded(function, shape=(None, 6), dtype="float32"):
    program = _core.Program()
    with program:
        return tuple(function(program.input("x", shape, dtype)).shape)


KEPT = [
    (lambda x: ops.reshape(x, (-1, 6)), (None, 6)),
    (lambda x: ops.reshape(x, (-1, 2, 3)), (None, 2, 3)),
    (lambda x: ops.reshape(x, (-1, 3)), (None, 3)),
    (lambda x: ops.reshape(x, (-1,)), (None,)),
    (lambda x: ops.reshape(ops.reshape(x, (-1, 3)), (-1, 2, 3)) + ops.zeros((2, 3)), (None, 2, 3)),
    (lambda x: ops.reshape(x, (None, 2, -1)), (None, 2, 3)),
    (lambda x: ops.expand_dims(x, 1), (None, 1, 6)),
    (lambda x: ops.squeeze(x[:, :1], 1), (None,)),
    (lambda x: ops.transpose(ops.reshape(x, (-1, 2, 3)), (0, 2, 1)), (None, 3, 2)),
    (lambda x: ops.broadcast_to(ops.reshape(x, (-1, 1, 6)), (None, 2, 6)), (None, 2, 6)),
    (lambda x: ops.concatenate([x, x], 1), (None, 12)),
    (lambda x: ops.stack([x, x], 1), (None, 2, 6)),
    (lambda x: ops.split(x, 3, axis=1)[1], (None, 2)),
    (lambda x: x[:, 1:3], (None, 2)),
    (lambda x: ops.flip(x, 1), (None, 6)),
    (lambda x: ops.pad(x, ((0, 0), (1, 2))), (None, 9)),
    (lambda x: ops.tile(x, (1, 2)), (None, 12)),
    (lambda x: ops.repeat(x, 2, axis=1), (None, 12)),
    (lambda x: ops.roll(x, 1, axis=1), (None, 6)),
    (lambda x: ops.take(x, [0, 1], axis=1), (None, 2)),
    (lambda x: ops.zeros_like(x) + x, (None, 6)),
    (lambda x: x + np.ones((1, 6), "f4"), (None, 6)),
    (lambda x: ops.where(x > 0, x, 0.0), (None, 6)),
    (lambda x: ops.one_hot(ops.argmax(x, -1), 4), (None, 4)),
    (lambda x: ops.softmax(x, axis=0), (None, 6)),
    (lambda x: ops.categorical_crossentropy(ops.softmax(x), x, from_logits=True), (None,)),
    (lambda x: ops.average(x, axis=1, weights=np.ones(6, "f4")), (None,)),
    (lambda x: ops.tensordot(x, np.ones((6, 2), "f4"), 1), (None, 2)),
    (lambda x: ops.sum(x, axis=1, keepdims=True), (None, 1)),
    (lambda x: ops.var(x, axis=0), (6,)),
    (lambda x: ops.max(x), ()),
]


@pytest.mark.parametrize(("function", "shape"), KEPT)
def test_rows_go_through(function, shape):
    assert recorded(function) == shape


NEEDED = [
    lambda x: ops.reshape(x, (6, -1)),
    lambda x: ops.reshape(x, (-1, 4)),
    # More rows than the batch has: whether those of the batch or these are meant is not known.
    lambda x: ops.zeros_like(ops.reshape(x, (-1, 3))),
    lambda x: ops.reshape(x, (-1, 3)) + x[:, :3],
    lambda x: ops.transpose(x),
    lambda x: ops.concatenate([x, x], 0),
    lambda x: x[1:],
    lambda x: ops.take(x, [0], axis=0),
    lambda x: ops.pad(x, 1),
    lambda x: ops.shape(x),
    lambda x: ops.split(x, 2),
    lambda x: ops.roll(x, 1, axis=0),
]


@pytest.mark.parametrize("function", NEEDED)
def test_what_needs_the_rows_says_so(function):
    with pytest.raises(_core.NeedsRows):
        recorded(function)


def test_a_count_of_joined_rows_is_theirs():
    program = _core.Program()
    with program, _core.no_grad():
        x = program.input("x", (None, 6), "float32")
        y = ops.reshape(x, (-1, 2))
        found = densa.Variable(np.zeros(3, "f4"))
        many = _core.apply("row_count", y, dtype="float32")
        rows = _core.apply("row_count", x, dtype="float32")
        found.assign(ops.stack([many, rows, ops.mean(ops.sum(y, axis=1))]))
    assert "3 rows" in str(program)
    plan = _core.Plan(program, 8)
    for rows in (8, 5, 1):
        data = np.arange(rows * 6, dtype="f4").reshape(rows, 6)
        plan.begin((data,), None, 0, rows, rows)
        plan.run(1)
        np.testing.assert_allclose(found.numpy(), [3 * rows, rows, data.sum() / (3 * rows)])
