"""NumPy: single ops into preallocated results."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from peers import Job, Prepared, Unavailable, op_data

UFUNCS: dict[str, Any] = {
    name: getattr(np, name) for name in ("exp", "expm1", "log", "log1p", "sqrt", "tanh")
}


def version() -> str:
    """NumPy's version."""
    return np.__version__


def prepare(job: Job) -> Prepared:
    """Builds an op."""
    if job["kind"] != "op":
        raise Unavailable("no such job for this peer")
    call = build(job)

    def run(units: int) -> None:
        for _ in range(units):
            call()

    return Prepared(run)


def build(job: Job) -> Callable[[], Any]:
    """One call of the op."""
    op = job["op"]
    if op in ("forward", "dx", "dw"):
        a, b = op_data.matmul_operands(job)
        out = np.empty((a.shape[0], b.shape[1]), np.float32)
        return lambda: np.matmul(a, b, out=out)
    if op == "unary":
        x = op_data.vector(job["size"])
        y = np.empty_like(x)
        if job["fn"] == "relu":
            return lambda: np.maximum(x, 0, out=y)
        if job["fn"] not in UFUNCS:
            raise Unavailable(f"NumPy has no {job['fn']}")
        fn = UFUNCS[job["fn"]]
        return lambda: fn(x, out=y)
    if op == "gather":
        images, next_rows = op_data.images(), op_data.row_source(job["rows"])

        def gather() -> Any:
            return images[next_rows()].astype(np.float32) * np.float32(1 / 255)

        return gather
    raise Unavailable(f"NumPy has no {op}")
