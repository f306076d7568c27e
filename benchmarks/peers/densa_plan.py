"""densa: native training steps over its own shuffle, whole fits, and single ops."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from networks import of_job
from peers import PROOF_STEPS, Job, Prepared, keras_style

densa: Any = importlib.import_module("densa")


def version() -> str:
    """densa's version."""
    return str(getattr(densa, "__version__", "?"))


def prepare(job: Job) -> Prepared:
    """Builds a training job, a whole fit or an op."""
    densa.set_num_threads(job["threads"])
    if "device" in job:
        densa.set_device(job["device"])
    densa.config.set_dtype_policy("mixed_bfloat16" if job.get("bfloat16") else None)
    densa.utils.set_random_seed(0)
    if job["kind"] == "train":
        net = of_job(job)
        x, y = np.load(job["x"]), np.load(job["y"])
        model = keras_style.build(densa, net)
        if "weights" in job:
            keras_style.set_kernels(model, job["weights"])
        return train_steps(model, x, y, net.batch)
    if job["kind"] == "fit":
        return keras_style.prepare_fit(densa, Path(job["folder"]))
    if job["kind"] in ("product", "copy", "adamw", "infer"):
        from peers import densa_gpu

        return densa_gpu.prepare(job)
    from peers import densa_ops

    return densa_ops.prepare(job)


def train_steps(model: Any, x: Any, y: Any, batch: int) -> Prepared:
    """The one place that knows how densa runs n training steps without the rest of `fit`.

    Without the hook the steps go through `fit`, and the note says so.
    """
    last: Any = float("nan")
    hook: Callable[..., Any] | None = getattr(model, "_train_runner", None)
    if hook is None:

        def run_fit(units: int) -> None:
            nonlocal last
            last = keras_style.fit_steps(model, x, y, batch, units)

        return Prepared(run_fit, lambda: float(last), "by fit")
    runner = hook(x, y, batch_size=batch)

    def run(units: int) -> None:
        nonlocal last
        last = runner.run(units)

    def proof() -> list[float]:
        one_batch = hook(x[:batch], y[:batch], batch_size=batch)
        return [float(one_batch.run(1)) for _ in range(PROOF_STEPS)]

    return Prepared(run, lambda: float(last), proof=proof)
