"""densa's single jobs on a GPU: a product, a copy, an optimizer step, a prediction of one row."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np

from networks import Network, of_job
from peers import Job, Prepared, gpu_data

densa: Any = importlib.import_module("densa")


def prepare(job: Job) -> Prepared:
    """Builds a job; `proof` writes what it computes into the job's file `out`."""
    makers = {"product": product, "copy": copy, "adamw": adamw, "infer": infer}
    return makers[job["kind"]](job)


def on_gpu(values: Any) -> Any:
    """The array as a tensor of the GPU."""
    return densa._core.from_numpy(values).to("cuda")


def save(job: Job, tensor: Any) -> list[float]:
    """Writes a tensor into the job's file, as float32."""
    np.save(job["out"], np.asarray(tensor, np.float32))
    return []


def repeat(call: Any) -> Any:
    """A function that calls `call` so many times and waits for the GPU."""
    core = densa._core

    def run(units: int) -> None:
        with core.no_grad():
            for _ in range(units):
                call()
        core.synchronize("cuda:0")

    return run


def product(job: Job) -> Prepared:
    """One square product per unit: float32, or both operands and the result bfloat16."""
    apply = densa._core.apply
    x, w = map(on_gpu, gpu_data.factors(job["size"]))
    attrs: dict[str, str] = {}
    if job["bfloat16"]:
        x, w = (apply("cast", v, dtype="bfloat16") for v in (x, w))
        attrs = {"precision": "bfloat16"}

    def call() -> Any:
        return apply("matmul", x, w, **attrs)

    return Prepared(repeat(call), proof=lambda: save(job, call()))


def copy(job: Job) -> Prepared:
    """One elementwise copy per unit: y = x + 0, by densa's kernel."""
    x = on_gpu(gpu_data.weights(job["size"])[1])

    def call() -> Any:
        return densa._core.apply("add", x, 0.0)

    return Prepared(repeat(call), proof=lambda: save(job, gpu_data.sampled(np.asarray(call()))))


def adamw(job: Job) -> Prepared:
    """One fused step per unit over one variable."""
    start, gradient = gpu_data.weights(job["size"])
    w, g = densa.Variable(start), on_gpu(gradient)
    beta_1, beta_2 = gpu_data.BETAS
    rule = densa.optimizers.AdamW(
        gpu_data.RATE, weight_decay=gpu_data.DECAY, beta_1=beta_1, beta_2=beta_2
    )

    def call() -> None:
        rule.apply([g], [w])

    def proof() -> list[float]:
        repeat(call)(gpu_data.PROOF_UPDATES)
        return save(job, gpu_data.sampled(np.asarray(w)))

    return Prepared(repeat(call), proof=proof)


def network(net: Network) -> Any:
    """The layers of a network alone, on rows of float32."""
    layers = densa.layers
    hidden = [layers.Dense(width, net.activation) for width in net.sizes[1:-1]]
    return densa.Sequential([densa.Input((net.sizes[0],)), *hidden, layers.Dense(net.sizes[-1])])


def infer(job: Job) -> Prepared:
    """One row per unit by a frozen network: its graph alone, with tensors, or with arrays."""
    from peers import keras_style

    model = network(of_job(job))
    keras_style.set_kernels(model, job["weights"])
    predictor, way = model.freeze(device="cuda"), job["way"]
    x = gpu_data.row(of_job(job).sizes[0])
    if way != "arrays":
        x = on_gpu(x)
    y = predictor(x)
    calls = repeat(lambda: predictor(x, out=y))

    def replays(units: int) -> None:
        predictor._net.seconds(1, units)

    def proof() -> list[float]:
        if way == "replays":
            replays(3)
        calls(3)  # launched op by op, captured, replayed
        return save(job, y)

    return Prepared(replays if way == "replays" else calls, proof=proof, note=way)
