"""densa's single ops, eager, with the kernel held as a model holds it."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import numpy as np

from peers import Job, Prepared, Unavailable, op_data


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
        return (eager_product if job.get("eager") else product)(core, job)
    if op == "unary":
        x = core.from_numpy(op_data.vector(job["size"]))
        fn = job["fn"]
        return lambda: apply(fn, x)
    if op == "optimizer":
        return optimizer(core, job)
    images, next_rows = op_data.images(), op_data.row_source(job["rows"])
    gather = core.testing.Gather(job["rows"], images.shape[1])
    return lambda: gather(images, next_rows(), 1 / 255)


def product(core: Any, job: Job) -> Callable[[], Any]:
    """A product of a dense layer as a training plan runs it: on panels that stay packed."""
    rows, fan_in, fan_out = job["shape"]
    x, w = op_data.matrix(rows, fan_in, 1), op_data.matrix(fan_in, fan_out, 2)
    products = core.testing.Products(x, w, op_data.matrix(rows, fan_out, 3))
    call: Callable[[], Any] = getattr(products, job["op"])
    return call


def eager_product(core: Any, job: Job) -> Callable[[], Any]:
    """The same product as an eager op, which packs its operands in every call."""
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
    """A fused step over one variable of `size` elements, by the optimizer's own `apply`."""
    densa: Any = importlib.import_module("densa")
    makers = densa.optimizers
    makers_by_name: dict[str, Callable[[], Any]] = {
        "sgd": lambda: makers.SGD(1e-3),
        "sgd momentum": lambda: makers.SGD(1e-3, momentum=0.9),
        "rmsprop": lambda: makers.RMSprop(1e-3),
        "adagrad": lambda: makers.Adagrad(1e-3),
        "adam": lambda: makers.Adam(1e-3),
        "adamw": lambda: makers.AdamW(1e-3),
        "adamax": lambda: makers.Adamax(1e-3),
        "nadam": lambda: makers.Nadam(1e-3),
    }
    if job["kind_of"] not in makers_by_name:
        raise Unavailable(f"no fused {job['kind_of']}")
    rule = makers_by_name[job["kind_of"]]()
    w = densa.Variable(op_data.vector(job["size"]))
    grad = core.from_numpy(np.full(job["size"], 1e-3, np.float32))
    return lambda: rule.apply([grad], [w])
