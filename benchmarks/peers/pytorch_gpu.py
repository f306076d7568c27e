"""PyTorch's single jobs on a GPU: a product by cuBLAS, a copy, a fused optimizer step."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np

from peers import Job, Prepared, Unavailable, gpu_data

torch: Any = importlib.import_module("torch")


def prepare(job: Job) -> Prepared:
    """Builds a job; `proof` writes what it computes into the job's file `out`."""
    if job["device"] != "cpu" and not torch.cuda.is_available():
        raise Unavailable("this PyTorch has no GPU")
    makers = {"product": product, "copy": copy, "adamw": adamw}
    return makers[job["kind"]](job)


def save(job: Job, tensor: Any) -> list[float]:
    """Writes a tensor into the job's file, as float32."""
    np.save(job["out"], tensor.detach().float().cpu().numpy())
    return []


def repeat(job: Job, call: Any) -> Any:
    """A function that calls `call` so many times and waits for the GPU."""

    def run(units: int) -> None:
        for _ in range(units):
            call()
        if job["device"] != "cpu":
            torch.cuda.synchronize()

    return run


def product(job: Job) -> Prepared:
    """One square product per unit: float32, or both operands and the result bfloat16."""
    torch.backends.cuda.matmul.allow_tf32 = job.get("tf32", False)
    # Sums of parts stay float32, as densa's do.
    torch.backends.cuda.matmul.allow_bf16_reduced_precision_reduction = False
    dtype = torch.bfloat16 if job["bfloat16"] else torch.float32
    x, w = (torch.from_numpy(v).to(job["device"], dtype) for v in gpu_data.factors(job["size"]))
    y = torch.empty_like(x)

    def call() -> Any:
        return torch.mm(x, w, out=y)

    return Prepared(repeat(job, call), proof=lambda: save(job, call()))


def copy(job: Job) -> Prepared:
    """One copy per unit, from device to device by the driver."""
    x = torch.from_numpy(gpu_data.weights(job["size"])[1]).to(job["device"])
    y = torch.empty_like(x)

    def proof() -> list[float]:
        y.copy_(x)
        np.save(job["out"], gpu_data.sampled(y.cpu().numpy()))
        return []

    return Prepared(repeat(job, lambda: y.copy_(x)), proof=proof)


def adamw(job: Job) -> Prepared:
    """One fused step per unit over one parameter."""
    start, gradient = (torch.from_numpy(v).to(job["device"]) for v in gpu_data.weights(job["size"]))
    w = torch.nn.Parameter(start)
    w.grad = gradient
    rule = torch.optim.AdamW(
        [w],
        lr=gpu_data.RATE,
        betas=gpu_data.BETAS,
        eps=1e-7,
        weight_decay=gpu_data.DECAY,
        fused=True,
    )

    def proof() -> list[float]:
        for _ in range(gpu_data.PROOF_UPDATES):
            rule.step()
        np.save(job["out"], gpu_data.sampled(w.detach().cpu().numpy()))
        return []

    return Prepared(repeat(job, rule.step), proof=proof)
