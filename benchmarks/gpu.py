"""densa on a GPU beside PyTorch: builds it, checks it, then times it.

    python benchmarks/gpu.py                 # nets A, C, D (at 256 and 4096) and E; ops; A frozen
    python benchmarks/gpu.py --build         # first builds and installs for this machine's GPU
    python benchmarks/gpu.py --check         # first runs the tests on the GPU
    python benchmarks/gpu.py --sanitize      # first runs tests/cuda under compute-sanitizer
    python benchmarks/gpu.py --write docs/gpu-speed.md

Each peer is a process of its own and gets short slots in turn. Every peer holds the data set on the
GPU. `torch` is eager with fused optimizers, `torch-compile` replays CUDA graphs; in the jobs in
bfloat16 densa has the policy `mixed_bfloat16` and PyTorch its autocast; densa multiplies 16 bits on
tensor cores unless `--matmul16 exact` says no. The yardsticks stand beside: the float operations of
a step by what the GPU's float32 units can do, of a product of bfloat16 numbers by what its tensor
cores can, and the bytes of an optimizer step by what a copy reaches. A row of network A, frozen,
should take the GPU at most 8 us.
"""

from __future__ import annotations

import argparse
import importlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import common
import slots
from networks import make_data, of_job

ROOT = Path(__file__).parent.parent
JOBS: dict[str, dict[str, Any]] = {
    "A": {"net": "A"},
    "C": {"net": "C"},
    "D": {"net": "D"},
    "D at 4096": {"net": "D", "batch": 4096},
    "D, bfloat16": {"net": "D", "bfloat16": True},
    "D at 4096, bfloat16": {"net": "D", "batch": 4096, "bfloat16": True},
    "E": {"net": "E"},
}
PEERS = ["densa", "torch", "torch-compile"]
SANITIZERS = ("memcheck", "racecheck", "initcheck")


# ---- build and check ----------------------------------------------------------------------------


def build() -> None:
    """Installs densa with machine code for the GPU of this machine."""
    names = ["nvidia-smi", "--query-gpu=compute_cap", "--format=csv,noheader"]
    capability = subprocess.run(names, capture_output=True, text=True, check=True).stdout.split()[0]
    architecture = capability.replace(".", "")
    defines = f"DENSA_CUDA=ON;DENSA_CUDA_ARCHITECTURES={architecture}{'a' * (architecture == '90')}"
    run(
        [sys.executable, "-m", "pip", "install", "--no-build-isolation", "--no-deps", str(ROOT)],
        SKBUILD_CMAKE_DEFINE=defines,
    )


def check() -> None:
    """The whole suite with every new tensor and variable on the GPU."""
    run([sys.executable, "-m", "pytest", "-q"], DENSA_TEST_DEVICE="cuda")


def sanitize() -> None:
    """The tests of the kernels under each tool of compute-sanitizer."""
    for tool in SANITIZERS:
        print(f"compute-sanitizer {tool}", flush=True)
        command = ["compute-sanitizer", "--tool", tool, "--error-exitcode", "1", sys.executable]
        run([*command, "-m", "pytest", "-q", "tests/cuda"], DENSA_TEST_DEVICE="cuda")


def run(command: list[str], **environment: str) -> None:
    """Runs a command in the repository; its failure ends the program."""
    done = subprocess.run(command, cwd=ROOT, env={**os.environ, **environment}, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} ended with status {done.returncode}")


# ---- training steps -----------------------------------------------------------------------------


def measure(name: str, options: argparse.Namespace) -> dict[str, Any] | None:
    """Times one network with every peer."""
    net = of_job(JOBS[name])
    print(f"\n{name}: {net.title()}, batch {net.batch}", flush=True)
    with tempfile.TemporaryDirectory(prefix="densa-bench-") as folder:
        x, y = make_data(net, Path(folder))
        job = {"kind": "train", "x": str(x), "y": str(y), "threads": 1, "device": "cuda"}
        workers, notes = slots.start(
            options.peers, 1, options.pythons, {**job, **JOBS[name]}, options.log
        )
        if not workers:
            return None
        try:
            rounds = common.interleave(workers, repeats=options.repeats, slot_seconds=options.slot)
            losses = {worker.name: worker.check() for worker in workers}
        finally:
            for worker in workers:
                worker.close()
    row: dict[str, Any] = {"name": name, "title": net.title(), "batch": net.batch, "peers": {}}
    row["flop"] = net.flop()
    for peer, samples in rounds.samples.items():
        entry = samples.summary() | {"loss": losses[peer], **notes[peer]}
        if "densa" in rounds.samples:
            entry["by_densa"] = rounds.ratio(peer, "densa")
        row["peers"][peer] = entry
        print(
            f"  {peer:14} {entry['us']:9.1f} us ({entry['q1']:.1f}-{entry['q3']:.1f}), "
            f"{net.flop() / entry['us'] / 1e6:.2f} TFLOP/s, loss {entry['loss']:.3f}",
            flush=True,
        )
    return row


# ---- a product of 16-bit numbers ----------------------------------------------------------------

# Float operations in a clock of one multiprocessor: dense products of bfloat16, sums of float32.
PER_CLOCK = {(8, 0): 2048, (9, 0): 4096, (10, 0): 8192}


def peak(facts: dict[str, Any], options: argparse.Namespace) -> float | None:
    """TFLOP/s of the tensor cores at the highest clock, where they are known."""
    if options.peak is not None:
        return float(options.peak)
    each = PER_CLOCK.get(tuple(facts["capability"]))
    if each is None:
        return None
    names = ["nvidia-smi", "--query-gpu=clocks.max.sm", "--format=csv,noheader,nounits"]
    try:
        done = subprocess.run(names, capture_output=True, text=True, check=True)
        megahertz = float(done.stdout.split()[0])
    except (OSError, subprocess.CalledProcessError, ValueError, IndexError):
        return None
    return float(facts["multiprocessors"]) * each * megahertz / 1e6


def measure_product(facts: dict[str, Any], options: argparse.Namespace) -> list[dict[str, Any]]:
    """A square product of bfloat16 numbers, by densa and by PyTorch."""
    n, most = options.product, peak(facts, options)
    job = {"kind": "product", "size": n, "threads": 1, "device": "cuda"}
    print(f"\nproduct {n}x{n}x{n} of bfloat16", flush=True)
    peers = [peer for peer in options.peers if peer != "torch-compile"]
    workers, notes = slots.start(peers, 1, options.pythons, job, options.log)
    if not workers:
        return []
    try:
        rounds = common.interleave(workers, repeats=options.repeats, slot_seconds=options.slot)
        first = {worker.name: worker.check() for worker in workers}
    finally:
        for worker in workers:
            worker.close()
    rows = []
    for peer, samples in rounds.samples.items():
        micros = samples.summary()["us"]
        rate = 2.0 * n**3 / micros / 1e6
        name = f"product {n}x{n}x{n} of bfloat16, {peer}"
        rows.append({"name": name, "us": micros, "rate": rate, "unit": "TFLOP/s", **notes[peer]})
        share = "peak unknown: give --peak" if most is None else f"{rate / most:.0%} of {most:.0f}"
        print(
            f"  {peer:14} {micros:9.1f} us, {rate:.1f} TFLOP/s ({share}), y[0, 0] {first[peer]:.4f}"
        )
        if most is not None:
            rows[-1]["peak"] = most
    return rows


# ---- single ops ---------------------------------------------------------------------------------


def measure_ops(options: argparse.Namespace) -> list[dict[str, Any]]:
    """A square product, and AdamW over many weights beside a copy of as many bytes."""
    densa: Any = importlib.import_module("densa")
    densa.set_device("cuda")
    core = densa._core
    n, weights = options.product, options.weights
    ones = core.from_numpy(np.ones((n, n), np.float32)).to("cuda")
    w = densa.Variable(np.zeros(weights, np.float32))
    g = core.from_numpy(np.full(weights, 1e-3, np.float32)).to("cuda")
    rule = densa.optimizers.AdamW(1e-3)
    calls: dict[str, tuple[Callable[[], Any], float, str]] = {
        f"product {n}x{n}x{n}": (lambda: core.apply("matmul", ones, ones), 2.0 * n**3, "TFLOP/s"),
        f"copy of {weights} weights": (lambda: core.apply("add", g, 0.0), 8.0 * weights, "TB/s"),
        f"AdamW of {weights} weights": (lambda: rule.apply([g], [w]), 28.0 * weights, "TB/s"),
    }
    rows = []
    print()
    for name, (call, amount, unit) in calls.items():
        with core.no_grad():
            micros = time_call(core, call, options)
        rows.append({"name": name, "us": micros, "rate": amount / micros / 1e6, "unit": unit})
        print(f"  {name:28} {micros:10.1f} us  {rows[-1]['rate']:.3f} {unit}", flush=True)
    return rows


def time_call(core: Any, call: Callable[[], Any], options: argparse.Namespace) -> float:
    """The median of slots, in µs a call, waiting for the GPU at the end of each."""

    def many(count: int) -> None:
        for _ in range(count):
            call()
        core.synchronize("cuda:0")

    variant = common.Local("densa", many)
    rounds = common.interleave([variant], repeats=options.repeats, slot_seconds=options.slot)
    return float(rounds.samples["densa"].summary()["us"])


# ---- one row of a frozen network ----------------------------------------------------------------


def measure_inference(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Network A frozen for the GPU, row by row: arrays there and back, tensors, the GPU alone."""
    densa: Any = importlib.import_module("densa")
    densa.set_device("cuda")
    model = densa.Sequential(
        [
            densa.Input((784,)),
            densa.layers.Dense(300, "relu"),
            densa.layers.Dense(100, "relu"),
            densa.layers.Dense(10),
        ]
    )
    predictor = model.freeze(device="cuda")
    x = np.random.default_rng(0).normal(size=(1, 784)).astype("float32")
    y = np.empty((1, 10), "float32")
    here, there = densa.asarray(x).to("cuda"), densa.asarray(y).to("cuda")
    on_gpu = [predictor._net.seconds(1, 1000) for _ in range(options.repeats)]
    times = {
        "the GPU alone": 1e6 * sorted(on_gpu)[len(on_gpu) // 2],
        "tensors": time_call(densa._core, lambda: predictor(here, out=there), options),
        "arrays, one by one": time_call(densa._core, lambda: predictor(x, out=y), options),
    }
    rows = []
    print()
    for name, micros in times.items():
        row = {"name": f"A frozen, one row, {name}", "us": micros, "rate": 1e3 / micros}
        rows.append(row | {"unit": "calls/ms"})
        print(f"  {row['name']:40} {micros:8.2f} us", flush=True)
    return rows


# ---- report -------------------------------------------------------------------------------------


def report() -> dict[str, Any]:
    """The GPU, and the versions of everything."""
    densa: Any = importlib.import_module("densa")
    densa.set_device("cuda")
    return {"densa": densa.__version__, **densa._core.device_facts("cuda:0")}


def markdown(machine: dict[str, Any], rows: list[Any], ops: list[Any]) -> str:
    """The table for the documentation."""
    versions = sorted({f"{p} {e['version']}" for row in rows for p, e in row["peers"].items()})
    facts = ", ".join(f"{key} {value}" for key, value in machine.items())
    lines = [f"{time.strftime('%Y-%m-%d', time.gmtime())}; {facts}; {', '.join(versions)}.", ""]
    head = ["net", "layers", "batch", *PEERS, "by torch", "by torch-compile"]
    cells = []
    for row in rows:
        peers = row["peers"]
        took = [f"{peers[p]['us']:.1f} µs" if p in peers else "–" for p in PEERS]
        by = [f"{peers[p]['by_densa']:.1f}x" if p in peers else "–" for p in PEERS[1:]]
        cells.append([row["name"], row["title"], str(row["batch"]), *took, *by])
    lines += [common.table(head, cells), ""]
    cells = [[op["name"], f"{op['us']:.1f} µs", f"{op['rate']:.3f} {op['unit']}"] for op in ops]
    return "\n".join([*lines, common.table(["op", "time", "rate"], cells), ""])


def parse() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    for name in ("build", "check", "sanitize"):
        parser.add_argument(f"--{name}", action="store_true")
    parser.add_argument("--nets", nargs="*", default=list(JOBS), choices=list(JOBS))
    parser.add_argument("--peers", nargs="+", default=PEERS, choices=PEERS)
    parser.add_argument("--product", type=int, default=4096, help="width of the square product")
    parser.add_argument("--peak", type=float, help="TFLOP/s of bfloat16, where it is not known")
    parser.add_argument(
        "--matmul16",
        default="mma",
        choices=["exact", "mma", "wgmma"],
        help="densa's products of 16 bits",
    )
    parser.add_argument("--weights", type=int, default=100_000_000, help="of the AdamW step")
    parser.add_argument("--repeats", type=int, default=11, help="slots per peer")
    parser.add_argument("--slot", type=float, default=0.2, help="seconds per slot")
    parser.add_argument("--python", nargs="+", default=[], help="interpreters: PATH, or PEER=PATH")
    parser.add_argument("--json", type=Path, default=Path(__file__).with_name("gpu_results.json"))
    parser.add_argument("--write", type=Path, help="write the table into this Markdown file")
    parser.add_argument("--log", type=Path, default=Path("/dev/null"), help="the peers' stderr")
    options = parser.parse_args()
    options.pythons = slots.parse_pythons(options.python)
    return options


def main() -> None:
    """Builds, checks and times, as far as asked."""
    options = parse()
    if options.build:
        build()
    if options.check:
        check()
    if options.sanitize:
        sanitize()
    os.environ["DENSA_CUDA_MATMUL_16BIT"] = options.matmul16
    machine = report()
    print(", ".join(f"{key} {value}" for key, value in machine.items()))
    rows = [row for row in (measure(name, options) for name in options.nets) if row]
    ops = measure_product(machine, options) + measure_ops(options) + measure_inference(options)
    common.save_results(options.json, "gpu", machine, {"train": rows, "ops": ops})
    if options.write:
        options.write.write_text(markdown(machine, rows, ops))
        print(f"table written: {options.write}")


if __name__ == "__main__":
    main()
