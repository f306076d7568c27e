"""The peers: each module has `version()` and `prepare(job) -> Prepared`.

A job is a dictionary with a `kind`:

- `train`: `net`, `x`, `y` (paths of .npy files), `threads`; a unit is one training step on the next
  batch of shuffled rows, gathered and cast within the step.
- `fit`: `folder` with Fashion-MNIST as .npy files, `threads`; a unit is one epoch with progress and
  metrics.
- `product`, `copy`, `adamw`, `infer`: on a GPU; `gpu_rows.py` says what they hold.
- `op`: `op`, its sizes, `threads`; a unit is one call.
- `frozen`: `net`, `data`, `rows`, `threads`, `engine`; a unit is one call of a frozen network.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Job = dict[str, Any]
PROOF_STEPS = 4  # whose losses are compared


class Unavailable(Exception):
    """The peer is here but has no way to do this job."""


@dataclass
class Prepared:
    """A job that is ready to run.

    `run(units)` returns when the last unit's work is done; `check()` is the last loss of a
    training job, the test accuracy of a fit, the error of a frozen network, or 0 for an op.
    `call()` is one unit, for jobs whose calls are timed one by one. `proof()` is asked for before
    anything is timed, of jobs on a GPU: the losses of the first steps on one batch, from the
    weights of the job, or nothing where the results went into the file `out` of the job.
    """

    run: Callable[[int], None]
    check: Callable[[], float] = lambda: 0.0
    note: str = ""
    call: Callable[[], Any] | None = None
    proof: Callable[[], list[float]] | None = None


PEERS: dict[str, tuple[str, Job]] = {
    "densa": ("peers.densa_plan", {}),
    "torch": ("peers.pytorch", {"compiled": False}),
    "torch-compile": ("peers.pytorch", {"compiled": True}),
    "torch-loader": ("peers.pytorch_fit", {"loader": True}),
    "torch-index": ("peers.pytorch_fit", {"loader": False}),
    "jax": ("peers.jax_optax", {}),
    "keras-jax": ("peers.keras_jax", {}),
    "frozen": ("peers.frozen", {}),
    "sklearn": ("peers.scikit", {}),
    "numpy": ("peers.plain_numpy", {}),
}
