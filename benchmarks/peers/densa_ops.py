"""densa's single ops, eager, with the kernel held as a model holds it."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import numpy as np

from peers import Job, Prepared, Unavailable, op_data

SLOTS = {"sgd": 0, "sgd momentum": 1, "rmsprop": 1, "adagrad": 1}  # the others have two


def prepare(job: Job) -> Prepared:
    """Builds an op."""
    core: Any = importlib.import_module("densa._core")
    call = build(core, job)

    def run(units: int) -> None:
        with core.no_grad():
            for _ in range(units):
                call()

    return Prepared(run)


def build(core: Any, job: Job) -> Callable[[], Any]:
    """One call of the op."""
    op, apply = job["op"], core.apply
    if op in ("forward", "dx", "dw"):
        return matmul(core, job)
    if op == "unary":
        x = core.from_numpy(op_data.vector(job["size"]))
        fn = job["fn"]
        return lambda: apply(fn, x)
    if op == "optimizer":
        return optimizer(core, job)
    gather = getattr(getattr(core, "testing", None), "gather", None)
    if gather is None:
        raise Unavailable("the gather runs only inside a plan: no hook to time it alone")
    images, next_rows = op_data.images(), op_data.row_source(job["rows"])
    return lambda: gather(images, next_rows(), 1 / 255)


def matmul(core: Any, job: Job) -> Callable[[], Any]:
    """The products of a dense layer; W is a Variable, so nothing packs it per call."""
    rows, fan_in, fan_out = job["shape"]
    apply = core.apply
    w = core.Variable(op_data.matrix(fan_in, fan_out, 2))
    x = core.from_numpy(op_data.matrix(rows, fan_in, 1))
    dy = core.from_numpy(op_data.matrix(rows, fan_out, 3))
    calls: dict[str, Callable[[], Any]] = {
        "forward": lambda: apply("matmul", x, w),
        "dx": lambda: apply("matmul", dy, w, transpose_b=True),
        "dw": lambda: apply("matmul", x, dy, transpose_a=True),
    }
    return calls[job["op"]]


def optimizer(core: Any, job: Job) -> Callable[[], Any]:
    """A fused step over one variable of `size` elements."""
    size, kind = job["size"], job["kind_of"]
    w = core.Variable(op_data.vector(size))
    grad = core.from_numpy(np.full(size, 1e-3, np.float32))
    count = SLOTS.get(kind, 2)
    slots = [core.Variable(np.zeros(size, np.float32)) for _ in range(count)]
    hyper: dict[str, Any] = {"learning_rate": 1e-3}
    if kind == "sgd momentum":
        kind, hyper["momentum"] = "sgd", 0.9
    done = 0

    def step() -> None:
        nonlocal done
        core.optimizer_step(kind, hyper, [w], [grad], [slots], done)
        done += 1

    return step
