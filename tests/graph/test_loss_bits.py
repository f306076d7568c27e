"""One kernel serves eager losses and plans: both give the same bits."""

from __future__ import annotations

import numpy as np
import pytest

import densa
from densa import _core


def in_a_plan(op, z, target, **attributes):
    """Per-row losses, and `z - dz` for the mean loss, by one step of descent at rate 1.

    The scores are a weight behind the identity matrix, which passes them on exactly; so is their
    gradient.
    """
    rows = len(z)
    w = _core.Variable(z, name="w")
    program = _core.Program()
    with program, _core.no_grad():
        x = program.input("x", (None, rows), str(z.dtype))
        t = program.input("t", (None, *target.shape[1:]), str(target.dtype))
        losses = _core.apply(op, _core.apply("matmul", x, w), t, **attributes)
        program.output("losses", losses)
        program.output("loss", _core.apply("mean", losses))
    plan = _core.Plan(
        program,
        rows,
        optimizer={
            "kind": "sgd",
            "hyper": {},
            "targets": [(w, [], False)],
            "clipnorm": None,
            "global_clipnorm": None,
        },
        collect=["losses"],
    )
    text = str(plan)  # a kernel of its own, not the row-major way
    assert "softmax loss" in text or "row_program" in text
    found = np.empty(rows, z.dtype)
    plan.begin((np.eye(rows, dtype=z.dtype), target), None, 0, rows, rows, (found,))
    plan.run(1, 0.0, [1.0])
    return found, w.numpy()


def eager(op, z, target, **attributes):
    leaf = densa.asarray(z)
    leaf.requires_grad = True
    losses = _core.apply(op, leaf, target, **attributes)
    (dz,) = _core.gradients([_core.apply("mean", losses)], [leaf])
    return losses.numpy(), z - dz.numpy()


@pytest.mark.parametrize("classes", [1, 2, 10, 16, 17, 35, 1000])
@pytest.mark.parametrize("rows", [1, 15, 16, 33])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_eager_and_native_losses_have_the_same_bits(dtype, rows, classes):
    rng = np.random.default_rng(classes)
    z = rng.normal(size=(rows, classes), scale=4).astype(dtype)
    t = rng.random((rows, classes)).astype(dtype)
    t[:, :2] = 0
    for smoothing in (0.0, 0.1):
        got = in_a_plan("softmax_cross_entropy", z, t, label_smoothing=smoothing)
        want = eager("softmax_cross_entropy", z, t, label_smoothing=smoothing)
        np.testing.assert_array_equal(got[0], want[0])
        np.testing.assert_array_equal(got[1], want[1])
    for kind in ("int64", "uint8"):
        labels = rng.integers(0, min(classes, 256), rows).astype(kind)
        got = in_a_plan("sparse_softmax_cross_entropy", z, labels)
        want = eager("sparse_softmax_cross_entropy", z, labels)
        np.testing.assert_array_equal(got[0], want[0])
        np.testing.assert_array_equal(got[1], want[1])
