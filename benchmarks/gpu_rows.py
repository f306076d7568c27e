"""The rows of `gpu.py`: each is checked in every form that is timed, then timed.

A peer whose answers are wrong gets no number, nor one that fails: its entry in the row says why.
Training steps are compared by the losses of the first steps from the same weights, products and
AdamW with float64, and the reference of the losses is densa on the CPU.
"""

from __future__ import annotations

import argparse
import math
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

import common
import gpu_limits
import machine
import slots
from gpu_limits import Limits
from networks import Network, make_data, of_job
from peers import gpu_data

FORM, FORM_16 = "DENSA_CUDA_MATMUL", "DENSA_CUDA_MATMUL_16BIT"
JOBS: dict[str, dict[str, Any]] = {
    "A": {"net": "A"},
    "C": {"net": "C"},
    "D": {"net": "D"},
    "D at 4096": {"net": "D", "batch": 4096},
    "D, bfloat16": {"net": "D", "bfloat16": True},
    "D at 4096, bfloat16": {"net": "D", "batch": 4096, "bfloat16": True},
    "E": {"net": "E"},
}
OTHERS = ["product bfloat16", "product float32", "copy", "adamw", "inference"]
ROWS = [*JOBS, *OTHERS]
PEERS = ["densa", "torch", "torch-compile"]
FORMS = ["exact", "tf32x3", "tf32", "mma", "wgmma"]

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass
class Bench:
    """What all rows share, and what went wrong so far."""

    options: argparse.Namespace
    facts: Mapping[str, Any]
    limits: Limits
    problems: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Column:
    """A peer in one of its forms."""

    name: str
    peer: str
    form: str = "exact"
    job: Mapping[str, Any] = field(default_factory=dict)

    def variables(self) -> dict[str, str]:
        """The environment of densa's form; others than the form are `exact`."""
        sixteen = self.form in ("mma", "wgmma")
        return {
            FORM: "exact" if sixteen else self.form,
            FORM_16: self.form if sixteen else "exact",
        }

    def is_densa(self) -> bool:
        """Whether it is densa, whose failure fails the whole run."""
        return self.peer == "densa"


def columns(bench: Bench, bits_16: bool, *, forms: bool = True, tf32: bool = False) -> list[Column]:
    """densa's forms and the peers of a row."""
    out = []
    if "densa" in bench.options.peers:
        chosen = ["exact"]
        if forms:
            chosen += ["mma", "wgmma"] if bits_16 else ["tf32x3", "tf32"]
        for form in chosen:
            if form in bench.options.forms:
                out.append(Column("densa" if form == "exact" else f"densa {form}", "densa", form))
    for peer in PEERS[1:]:
        if peer in bench.options.peers:
            out.append(Column(peer, peer))
            if tf32 and peer == "torch":
                out.append(Column("torch tf32", peer, "tf32", {"tf32": True}))
    return out


def lacking(column: Column, facts: Mapping[str, Any]) -> str:
    """Why the GPU cannot run a form of densa; empty if it can."""
    capability = tuple(facts["capability"])
    if not column.is_densa() or column.form == "exact":
        return ""
    if column.form == "wgmma":
        return "" if capability == (9, 0) else "needs compute capability 9.0"
    return "" if capability[0] >= 8 else "needs compute capability 8.0"


# ---- one row ------------------------------------------------------------------------------------


def measure(
    bench: Bench,
    row: dict[str, Any],
    job: dict[str, Any],
    wanted: list[Column],
    wrong: Callable[[Column, list[float], Path], str],
) -> dict[str, Any]:
    """Checks every column and times those whose answers are right.

    Args:
        bench: options and the GPU.
        row: name and title; gets the entry of each column.
        job: for all columns.
        wanted: the columns.
        wrong: says of a column's proof and its file of results what is wrong, or nothing.
    """
    print(f"\n{row['name']}: {row['title']}", flush=True)
    peers: dict[str, dict[str, Any]] = {column.name: {} for column in wanted}
    row["peers"] = peers
    by_name = {column.name: column for column in wanted}
    workers: list[slots.Worker] = []

    def give_up(name: str, why: str, *, expected: bool = False) -> None:
        peers[name] = {key: v for key, v in peers[name].items() if key in ("version", "proof")}
        peers[name]["why"] = why
        print(f"  {name}: {why}", flush=True)
        if by_name[name].is_densa() and not expected:
            bench.problems.append(f"{row['name']}, {name}: {why}")

    try:
        for column in wanted:
            if why := lacking(column, bench.facts):
                give_up(column.name, why, expected=True)
            elif worker := prove(bench, row, job, column, wrong, give_up):
                workers.append(worker)
        time_all(bench, row, workers, give_up)
    finally:
        for worker in workers:
            worker.close()
    return row


def prove(
    bench: Bench,
    row: dict[str, Any],
    job: dict[str, Any],
    column: Column,
    wrong: Callable[[Column, list[float], Path], str],
    give_up: Callable[..., None],
) -> slots.Worker | None:
    """Starts a column's process and compares what it computes; None if it cannot be timed."""
    options, entry = bench.options, row["peers"][column.name]
    python = options.pythons.get(column.peer, options.pythons.get("", sys.executable))
    worker = slots.Worker(
        column.peer,
        job["threads"],
        python,
        options.log,
        name=column.name,
        variables=column.variables() if column.is_densa() else None,
        patience=options.patience,
    )
    with tempfile.TemporaryDirectory(prefix="densa-bench-") as folder:
        out = Path(folder) / "out.npy"
        try:
            entry.update(worker.prepare({**job, **column.job, "out": str(out)}))
            proof = worker.proof()
            entry["proof"] = proof
            why = wrong(column, proof, out)
        except slots.Skipped as reason:
            give_up(column.name, str(reason))
        else:
            if not why:
                return worker
            bench.problems += [] if column.is_densa() else [f"{row['name']}, {column.name}: {why}"]
            give_up(column.name, why)
    worker.close()
    return None


def time_all(
    bench: Bench, row: dict[str, Any], workers: list[slots.Worker], give_up: Callable[..., None]
) -> None:
    """Times the workers in turn; one that fails meanwhile is left out, and the rest start anew."""
    options, peers = bench.options, row["peers"]
    while workers:
        try:
            rounds = common.interleave(workers, repeats=options.repeats, slot_seconds=options.slot)
            ends = {worker.name: worker.check() for worker in workers}
        except slots.Skipped as reason:
            failed = next(worker for worker in workers if worker.name == reason.peer)
            give_up(failed.name, str(reason))
            failed.close()
            workers.remove(failed)
            continue
        break
    else:
        return
    for name, samples in rounds.samples.items():
        if not math.isfinite(ends[name]):
            give_up(name, f"the loss is {ends[name]} after the steps that were timed")
            continue
        entry = peers[name]
        entry.update(samples.summary(), end=ends[name])
        entry["by"] = {
            other: rounds.ratio(name, other) for other in rounds.samples if other != name
        }
        if "amount" in row:
            entry["rate"] = row["amount"] / entry["us"] / 1e6
        print(
            f"  {name:14} {entry['us']:10.2f} us ({entry['q1']:.2f}-{entry['q3']:.2f})"
            f"{rate_text(row, entry)}",
            flush=True,
        )
    if limits := row.get("least"):
        times = (gpu_limits.known(limits[key]) for key in ("flop_us", "bytes_us"))
        print(
            "  {:14} at least {} us for the float operations, {} us for the bytes".format(
                "limits", *times
            ),
            flush=True,
        )


def rate_text(row: dict[str, Any], entry: dict[str, Any]) -> str:
    """The rate beside a time, where the row has one."""
    return f", {entry['rate']:.4g} {row['unit']}" if "rate" in entry else ""


# ---- training steps -----------------------------------------------------------------------------


def kernels(net: Network, folder: Path) -> Path:
    """Writes the weights from which every peer starts."""
    rng = np.random.default_rng(3)
    arrays = {
        f"kernel_{i}": rng.standard_normal((fan_in, fan_out), np.float32)
        * np.float32(math.sqrt(2 / fan_in))
        for i, (fan_in, fan_out) in enumerate(net.kernels())
    }
    path = folder / "kernels.npz"
    np.savez(path, **arrays)
    return path


def bounds(net: Network, column: Column, bfloat16: bool) -> tuple[float, float]:
    """How far losses may lie from the reference's, as a share: of the first step, of the others.

    Rounding grows from step to step in E, with its 20 layers and Adam: 0.1 % between float32 and
    float64 after 4 steps, 3 % with factors of bfloat16.
    """
    if bfloat16:
        return 1e-2, 3e-2
    if column.form == "tf32":
        return 5e-3, 0.1 if net.batch_norm else 1e-2
    return 1e-4, 2e-2 if net.batch_norm else 2e-3


def judge_losses(losses: list[float], reference: list[float], least: tuple[float, float]) -> str:
    """What is wrong with the losses of the first steps."""
    shown = f"{' '.join(f'{v:.4f}' for v in losses)}; densa on the CPU: " + " ".join(
        f"{v:.4f}" for v in reference
    )
    if not all(map(math.isfinite, losses)) or len(losses) != len(reference):
        return f"wrong losses: {shown}"
    for at, (loss, want) in enumerate(zip(losses, reference, strict=True)):
        if abs(loss - want) > least[at > 0] * abs(want):
            return f"wrong losses: {shown}"
    return "" if losses[-1] < losses[0] else f"losses do not fall: {shown}"


def train_row(bench: Bench, name: str) -> dict[str, Any]:
    """A training step of a network with every peer."""
    spec = JOBS[name]
    net, bits_16 = of_job(spec), bool(spec.get("bfloat16"))
    limits = bench.limits
    row: dict[str, Any] = {"name": name, "title": f"{net.title()}, batch {net.batch}"}
    row |= {"amount": net.flop(), "unit": "TFLOP/s"}
    rate = limits.bfloat16 if bits_16 else limits.float32
    row["least"] = gpu_limits.least_us(net.flop(), rate, gpu_limits.step_bytes(net), limits.memory)
    with tempfile.TemporaryDirectory(prefix="densa-bench-") as folder:
        x, y = make_data(net, Path(folder))
        weights = kernels(net, Path(folder))
        job = {"kind": "train", "x": str(x), "y": str(y), "weights": str(weights), **spec}
        try:
            reference = losses_on_cpu(bench, job)
        except slots.Skipped as reason:
            bench.problems.append(f"{name}: no reference from densa on the CPU: {reason}")
            print(f"\n{bench.problems[-1]}", flush=True)
            return {**row, "peers": {}, "why": bench.problems[-1]}
        row["reference"] = reference

        def wrong(column: Column, proof: list[float], _: Path) -> str:
            return judge_losses(proof, reference, bounds(net, column, bits_16))

        job |= {"threads": 1, "device": "cuda"}
        return measure(bench, row, job, columns(bench, bits_16), wrong)


def losses_on_cpu(bench: Bench, job: dict[str, Any]) -> list[float]:
    """The reference: the same steps by densa on the CPU, with the job's policy."""
    options, threads = bench.options, machine.cpu_count()
    python = options.pythons.get("densa", options.pythons.get("", sys.executable))
    worker = slots.Worker("densa", threads, python, options.log, patience=options.patience)
    try:
        worker.prepare({**job, "threads": threads, "device": "cpu"})
        return worker.proof()
    finally:
        worker.close()


# ---- products, copies, AdamW, one row -----------------------------------------------------------


def to_bfloat16(values: Array) -> Array:
    """The nearest bfloat16 numbers, ties to even, as float32; all finite."""
    bits = values.view(np.uint32).astype(np.uint64)
    bits += 0x7FFF + ((bits >> np.uint64(16)) & np.uint64(1))
    return (bits & np.uint64(0xFFFF0000)).astype(np.uint32).view(np.float32)


def product_row(bench: Bench, bits_16: bool) -> dict[str, Any]:
    """A square product, every result of which is compared with float64."""
    n, limits = bench.options.product, bench.limits
    a, b = gpu_data.factors(n)
    if bits_16:
        a, b = to_bfloat16(a), to_bfloat16(b)
    want = a.astype(np.float64) @ b
    size = np.abs(a).astype(np.float64) @ np.abs(b)

    def wrong(column: Column, _: list[float], out: Path) -> str:
        got = np.load(out)
        if got.shape != want.shape:
            return f"wrong results: shape {got.shape}, not {want.shape}"
        # Sums of float32; factors of 11 bits; results of 8 bits.
        share = 2.0**-10 if column.form == "tf32" else 2.0**-19
        room = share * size + (2.0**-8 * np.abs(want) if bits_16 else 0)
        error = np.abs(got - want) / room
        if (error <= 1).all():
            return ""
        i, j = np.unravel_index(
            int(np.argmax(np.where(np.isfinite(error), error, np.inf))), got.shape
        )
        return f"wrong results: y[{i}, {j}] is {got[i, j]:.6g}, not {want[i, j]:.6g}"

    kind = "bfloat16" if bits_16 else "float32"
    row: dict[str, Any] = {"name": f"product {kind}", "title": f"{n}x{n}x{n} of {kind}"}
    row |= {"amount": 2.0 * n**3, "unit": "TFLOP/s"}
    rate = limits.bfloat16 if bits_16 else limits.float32
    item = 2 if bits_16 else 4
    row["least"] = gpu_limits.least_us(2.0 * n**3, rate, 3.0 * item * n * n, limits.memory)
    if not bits_16:
        row["tf32_limit"] = limits.tf32
    job = {"kind": "product", "size": n, "bfloat16": bits_16, "threads": 1, "device": "cuda"}
    wanted = columns(bench, bits_16, tf32=not bits_16)
    return measure(bench, row, job, [c for c in wanted if c.name != "torch-compile"], wrong)


def memory_row(bench: Bench, kind: str) -> dict[str, Any]:
    """A copy of so many float32 numbers, or a fused step of AdamW over as many weights."""
    n = bench.options.weights
    w, g = (gpu_data.sampled(v).astype(np.float64) for v in gpu_data.weights(n))
    want = g if kind == "copy" else adamw_by_hand(w, g)
    room = 0.0 if kind == "copy" else 2.0**-22

    def wrong(_: Column, __: list[float], out: Path) -> str:
        got = np.load(out)
        if got.shape != want.shape:
            return f"wrong results: shape {got.shape}, not {want.shape}"
        error = np.abs(got - want)
        if (error <= room).all():
            return ""
        at = int(np.argmax(np.where(np.isfinite(error), error, np.inf)))
        return f"wrong results: sampled number {at} is {got[at]:.8g}, not {want[at]:.8g}"

    size = (8.0 if kind == "copy" else 28.0) * n
    title = "copy of" if kind == "copy" else "a fused step of AdamW over"
    row: dict[str, Any] = {"name": kind, "title": f"{title} {n} float32 numbers"}
    row |= {"amount": size, "unit": "TB/s"}
    row["least"] = gpu_limits.least_us(0.0, None, size, bench.limits.memory)
    job = {"kind": kind, "size": n, "threads": 1, "device": "cuda"}
    wanted = [c for c in columns(bench, False, forms=False) if c.name != "torch-compile"]
    return measure(bench, row, job, wanted, wrong)


def adamw_by_hand(w: Array, g: Array) -> Array:
    """Steps of AdamW in float64; `epsilon` is far below the gradients."""
    m, v = np.zeros_like(w), np.zeros_like(w)
    beta_1, beta_2 = gpu_data.BETAS
    for step in range(1, gpu_data.PROOF_UPDATES + 1):
        m = beta_1 * m + (1 - beta_1) * g
        v = beta_2 * v + (1 - beta_2) * g * g
        w = w - gpu_data.RATE * gpu_data.DECAY * w
        mean, square = m / (1 - beta_1**step), v / (1 - beta_2**step)
        w = w - gpu_data.RATE * mean / (np.sqrt(square) + 1e-7)
    return w


def inference_row(bench: Bench) -> dict[str, Any]:
    """One row of network A, frozen, by the GPU alone, with tensors and with arrays."""
    net = of_job({"net": "A"})
    with tempfile.TemporaryDirectory(prefix="densa-bench-") as folder:
        path = kernels(net, Path(folder))
        y = gpu_data.row(net.sizes[0]).astype(np.float64)
        with np.load(path) as arrays:
            for i in range(len(net.kernels())):
                y = (np.maximum(y, 0) if i else y) @ arrays[f"kernel_{i}"]

        def wrong(_: Column, __: list[float], out: Path) -> str:
            got = np.load(out)
            if got.shape == y.shape and np.allclose(got, y, rtol=1e-4, atol=1e-4):
                return ""
            return f"wrong results: {got.ravel()[:3]}…, not {y.ravel()[:3]}…"

        flop = 2.0 * sum(a * b for a, b in net.kernels())
        size = 4.0 * sum(a * b + b for a, b in net.kernels())
        row: dict[str, Any] = {"name": "inference", "title": f"{net.title()}: one row"}
        limits = bench.limits
        row["least"] = gpu_limits.least_us(flop, limits.float32, size, limits.memory)
        job = {"kind": "infer", "net": "A", "weights": str(path), "threads": 1, "device": "cuda"}
        # The first, on which the GPU is judged, is called as the default form is in other rows.
        ways = {"densa": "replays", "densa tensors": "tensors", "densa arrays": "arrays"}
        wanted = [Column(name, "densa", job={"way": way}) for name, way in ways.items()]
        wanted = wanted if "densa" in bench.options.peers else []
        return measure(bench, row, job, wanted, wrong)


def row_of(bench: Bench, name: str) -> dict[str, Any]:
    """Measures a row of `ROWS`."""
    if name in JOBS:
        return train_row(bench, name)
    if name.startswith("product"):
        return product_row(bench, name.endswith("bfloat16"))
    if name == "inference":
        return inference_row(bench)
    return memory_row(bench, name)
