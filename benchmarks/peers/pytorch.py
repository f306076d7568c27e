"""PyTorch, eager with fused optimizers or by torch.compile: training steps and single ops."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np

from networks import Network, of_job
from peers import PROOF_STEPS, Job, Prepared, Unavailable

torch: Any = importlib.import_module("torch")

ACTIVATIONS: dict[str, Any] = {
    "relu": torch.nn.ReLU,
    "tanh": torch.nn.Tanh,
    "gelu": torch.nn.GELU,
    "silu": torch.nn.SiLU,
}


def version() -> str:
    """PyTorch's version."""
    return str(torch.__version__)


def prepare(job: Job) -> Prepared:
    """Builds a training job or an op."""
    torch.set_num_threads(job["threads"])
    if job["kind"] == "train":
        return prepare_training(job, of_job(job))
    if job["kind"] in ("product", "copy", "adamw") and not job["compiled"]:
        from peers import pytorch_gpu

        return pytorch_gpu.prepare(job)
    if job["kind"] == "op" and not job["compiled"]:
        from peers import pytorch_ops

        return pytorch_ops.prepare(job)
    raise Unavailable("no such job for this peer")


def build(net: Network) -> Any:
    """The network as torch.nn.Sequential."""
    layers: list[Any] = []
    last = len(net.sizes) - 2
    for i, (fan_in, fan_out) in enumerate(net.kernels()):
        if net.dropout:
            layers.append(torch.nn.Dropout(net.dropout))
        layers.append(torch.nn.Linear(fan_in, fan_out))
        if i < last:
            if net.batch_norm:
                # Keras' defaults; PyTorch's momentum is the weight of the new value.
                layers.append(torch.nn.BatchNorm1d(fan_out, eps=1e-3, momentum=0.01))
            layers.append(ACTIVATIONS[net.activation]())
    return torch.nn.Sequential(*layers)


def set_kernels(model: Any, path: str) -> None:
    """Sets the kernels of all linear layers to the arrays of an .npz file, the biases to 0."""
    with np.load(path) as kernels, torch.no_grad():
        linear = [layer for layer in model if isinstance(layer, torch.nn.Linear)]
        for i, layer in enumerate(linear):
            layer.weight.copy_(torch.from_numpy(kernels[f"kernel_{i}"].T.copy()))
            layer.bias.zero_()


def build_optimizer(net: Network, parameters: Any) -> Any:
    """The fused optimizer with Keras' defaults."""
    optim = torch.optim
    if net.optimizer == "sgd":
        return optim.SGD(parameters, lr=net.learning_rate, momentum=0.9, fused=True)
    kind = {"adam": optim.Adam, "adamw": optim.AdamW}[net.optimizer]
    options = {"weight_decay": 0.004} if net.optimizer == "adamw" else {}
    return kind(parameters, lr=net.learning_rate, eps=1e-7, fused=True, **options)


def prepare_training(job: Job, net: Network) -> Prepared:
    """One optimizer step per unit; the gather is inside the compiled function, if compiled.

    On a GPU the data set lies there, and compiled functions replay CUDA graphs.
    """
    torch.manual_seed(0)
    device = job.get("device", "cpu")
    if device != "cpu" and not torch.cuda.is_available():
        raise Unavailable("this PyTorch has no GPU")
    x = torch.from_numpy(np.load(job["x"])).to(device)
    y = torch.from_numpy(np.load(job["y"])).long().to(device)
    model = build(net)
    if "weights" in job:
        set_kernels(model, job["weights"])
    model.to(device)
    model.train()
    optimizer = build_optimizer(net, model.parameters())
    scale = x.dtype == torch.uint8
    cross_entropy = torch.nn.functional.cross_entropy

    def batch_loss(rows: Any) -> Any:
        batch = x.index_select(0, rows)
        if scale:
            batch = batch.float().mul_(1 / 255)
        with torch.autocast(device, torch.bfloat16, enabled=bool(job.get("bfloat16"))):
            z = model(batch)
        return cross_entropy(z.float(), y.index_select(0, rows))

    mode = "default" if device == "cpu" else "reduce-overhead"
    loss_of = torch.compile(batch_loss, mode=mode) if job["compiled"] else batch_loss
    order = torch.randperm(net.rows, device=device)
    at = 0
    last: Any = None

    def step(rows: Any) -> Any:
        optimizer.zero_grad(set_to_none=True)
        loss = loss_of(rows)
        loss.backward()
        optimizer.step()
        return loss

    def run(units: int) -> None:
        nonlocal order, at, last
        for _ in range(units):
            if at + net.batch > net.rows:
                order, at = torch.randperm(net.rows, device=device), 0
            last = step(order[at : at + net.batch])
            at += net.batch
        if device != "cpu":
            torch.cuda.synchronize()

    def proof() -> list[float]:
        rows = torch.arange(net.batch, device=device)
        return [float(step(rows).detach()) for _ in range(PROOF_STEPS)]

    return Prepared(run, lambda: float(last.detach()), proof=proof)
