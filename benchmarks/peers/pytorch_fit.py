"""PyTorch's whole fit of network A: by DataLoader, or by indexing tensors directly."""

from __future__ import annotations

import importlib
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from networks import NETWORKS
from peers import Job, Prepared, Unavailable, pytorch

torch: Any = importlib.import_module("torch")
BATCH = 32


def version() -> str:
    """PyTorch's version."""
    return str(torch.__version__)


class Progress:
    """A bar with running loss and accuracy, redrawn at most ten times a second."""

    def __init__(self, steps: int) -> None:
        self._steps = steps
        self._drawn = 0.0

    def update(self, step: int, loss: float, accuracy: float) -> None:
        """Draws the state after `step` steps."""
        bar = "#" * (30 * step // self._steps)
        end = "\n" if step == self._steps else ""
        line = f"\r{step}/{self._steps} [{bar:30}] loss {loss:.4f} accuracy {accuracy:.4f}{end}"
        sys.stdout.write(line)
        sys.stdout.flush()
        self._drawn = time.perf_counter()

    def due(self) -> bool:
        """Whether it is time to draw again."""
        return time.perf_counter() - self._drawn >= 0.1


def prepare(job: Job) -> Prepared:
    """An epoch per unit; the sums of loss and accuracy stay tensors until they are shown."""
    if job["kind"] != "fit":
        raise Unavailable("no such job for this peer")
    torch.set_num_threads(job["threads"])
    torch.manual_seed(0)
    folder = Path(job["folder"])
    x, x_test = (torch.from_numpy(np.load(folder / f"x_{part}.npy")) for part in ("train", "test"))
    y, y_test = (
        torch.from_numpy(np.load(folder / f"y_{part}.npy")).long() for part in ("train", "test")
    )
    model = pytorch.build(NETWORKS["A"])
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, fused=True)
    cross_entropy = torch.nn.functional.cross_entropy
    utils = torch.utils.data
    loader = utils.DataLoader(utils.TensorDataset(x, y), batch_size=BATCH, shuffle=True)

    def batches() -> Any:
        if job["loader"]:
            yield from loader
            return
        order = torch.randperm(len(x))
        for start in range(0, len(x), BATCH):
            rows = order[start : start + BATCH]
            yield x[rows], y[rows]

    def run(units: int) -> None:
        for _ in range(units):
            model.train()
            progress = Progress(len(loader))
            total, right, seen = torch.zeros(()), torch.zeros((), dtype=torch.long), 0
            for step, (images, labels) in enumerate(batches(), 1):
                optimizer.zero_grad(set_to_none=True)
                logits = model(images)
                loss = cross_entropy(logits, labels)
                loss.backward()
                optimizer.step()
                with torch.no_grad():
                    total += loss * len(labels)
                    right += (logits.argmax(1) == labels).sum()
                seen += len(labels)
                if step == len(loader) or progress.due():
                    progress.update(step, float(total) / seen, float(right) / seen)

    def check() -> float:
        model.eval()
        with torch.no_grad():
            return float((model(x_test).argmax(1) == y_test).float().mean())

    return Prepared(run, check)
