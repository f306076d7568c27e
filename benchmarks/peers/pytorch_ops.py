"""PyTorch's single ops, eager, into preallocated results where it has them."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

from peers import Job, Prepared, Unavailable, op_data

torch: Any = importlib.import_module("torch")


def prepare(job: Job) -> Prepared:
    """Builds an op."""
    call = build(job)

    def run(units: int) -> None:
        with torch.inference_mode(job["op"] != "optimizer"):
            for _ in range(units):
                call()

    return Prepared(run)


def build(job: Job) -> Callable[[], Any]:
    """One call of the op."""
    op = job["op"]
    if op in ("forward", "dx", "dw"):
        a, b = map(torch.from_numpy, op_data.matmul_operands(job))
        out = torch.empty(a.shape[0], b.shape[1])
        return lambda: torch.mm(a, b, out=out)
    if op == "unary":
        return unary(job)
    if op == "gather":
        images, next_rows = torch.from_numpy(op_data.images()), op_data.row_source(job["rows"])
        return lambda: images.index_select(0, torch.from_numpy(next_rows())).float().mul_(1 / 255)
    if op == "optimizer":
        return optimizer(job)
    raise Unavailable(f"PyTorch has no {op}")


def unary(job: Job) -> Callable[[], Any]:
    """An elementwise function."""
    x = torch.from_numpy(op_data.vector(job["size"]))
    y = torch.empty_like(x)
    functional = torch.nn.functional
    plain = {
        "relu": functional.relu,
        "gelu": functional.gelu,
        "gelu_tanh": lambda z: functional.gelu(z, approximate="tanh"),
        "silu": functional.silu,
        "mish": functional.mish,
        "softplus": functional.softplus,
    }
    name = job["fn"]
    if name in plain:
        fn = plain[name]
        return lambda: fn(x)
    fn = getattr(torch, name)
    return lambda: fn(x, out=y)


def optimizer(job: Job) -> Callable[[], Any]:
    """A fused step over one parameter of `size` elements."""
    w = torch.nn.Parameter(torch.from_numpy(op_data.vector(job["size"])))
    w.grad = torch.full_like(w, 1e-3)
    optim = torch.optim
    makers: dict[str, Callable[[], Any]] = {
        "sgd": lambda: optim.SGD([w], lr=1e-3, fused=True),
        "sgd momentum": lambda: optim.SGD([w], lr=1e-3, momentum=0.9, fused=True),
        "adam": lambda: optim.Adam([w], lr=1e-3, fused=True),
        "adamw": lambda: optim.AdamW([w], lr=1e-3, fused=True),
        "adagrad": lambda: optim.Adagrad([w], lr=1e-3, fused=True),
    }
    if job["kind_of"] not in makers:
        raise Unavailable(f"PyTorch has no fused {job['kind_of']} on the CPU")
    step: Callable[[], Any] = makers[job["kind_of"]]().step
    return step
