"""Speed of single ops: densa beside NumPy and PyTorch, against the machine's limits.

densa's matrix products are timed as a training plan runs them, on panels that stay packed; the rows
named eager are single calls, which pack their operands. NumPy and PyTorch get row-major arrays.

python benchmarks/ops.py                        # every group, 1 and 2 threads
python benchmarks/ops.py --groups matmul --threads 1 --quick
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import common
import machine
import render
import slots

SHAPES = [
    (1, 784, 300),
    (32, 784, 300),
    (32, 300, 100),
    (128, 784, 300),
    (512, 784, 300),
    (256, 1024, 1024),
    (64, 100, 100),
    (64, 17, 64),
    (1024, 1024, 1024),
]
EAGER_SHAPES = [(32, 784, 300), (512, 784, 300)]
PRODUCTS = (("forward", "x·W"), ("dx", "dy·Wᵀ"), ("dw", "xᵀ·dy"))
UNARY = [
    "relu",
    "sqrt",
    "exp",
    "expm1",
    "log",
    "log1p",
    "tanh",
    "sigmoid",
    "erf",
    "gelu",
    "gelu_tanh",
    "silu",
    "mish",
    "softplus",
]
UNARY_SIZE = 65536
PARAMETERS = 10_000_000
# Bytes read and written per float32 parameter: w and each slot twice, the gradient once.
OPTIMIZER_BYTES = {
    "sgd": 12,
    "sgd momentum": 20,
    "rmsprop": 20,
    "adagrad": 20,
    "adam": 28,
    "adamw": 28,
    "adamax": 28,
    "nadam": 28,
}


@dataclass
class Case:
    """One row of the table: a job and what it is measured against."""

    group: str
    title: str
    job: dict[str, Any]
    flop: float = 0.0
    bytes: float = 0.0
    elements: float = 0.0
    limit: str = field(default="")


def cases(groups: list[str]) -> list[Case]:
    """Every row of the chosen groups."""
    rows = []
    if "matmul" in groups:
        for eager, shapes in ((False, SHAPES), (True, EAGER_SHAPES)):
            for shape in shapes:
                flop = 2.0 * shape[0] * shape[1] * shape[2]
                for op, name in PRODUCTS:
                    title = f"{'eager ' if eager else ''}{name} {','.join(map(str, shape))}"
                    job: dict[str, Any] = {"op": op, "shape": shape, "eager": eager}
                    rows.append(Case("matmul", title, job, flop=flop, limit="of FMA peak"))
    if "unary" in groups:
        for fn in UNARY:
            job = {"op": "unary", "fn": fn, "size": UNARY_SIZE}
            rows.append(Case("unary", f"{fn} {UNARY_SIZE}", job, elements=UNARY_SIZE))
    if "optimizer" in groups:
        for name, width in OPTIMIZER_BYTES.items():
            job = {"op": "optimizer", "kind_of": name, "size": PARAMETERS}
            total = float(width * PARAMETERS)
            title = f"{name} step, 10 M parameters"
            rows.append(Case("optimizer", title, job, bytes=total, limit="of bandwidth"))
    if "gather" in groups:
        for batch in (32, 512):
            job = {"op": "gather", "rows": batch}
            title = f"gather {batch} of uint8 [60000, 784] to float32"
            rows.append(Case("gather", title, job, elements=batch * 784))
    return rows


def measure(
    case: Case, workers: list[slots.Worker], threads: int, options: argparse.Namespace
) -> dict[str, Any] | None:
    """Times one op with every peer that has it."""
    job = {"kind": "op", "threads": threads, **case.job}
    ready: list[slots.Worker] = []
    for worker in workers:
        try:
            worker.prepare(job)
            worker.run(1, 0)
            ready.append(worker)
        except slots.Skipped as reason:
            if worker.name == "densa":
                print(f"  {case.title}: densa skipped: {reason}")
    if not ready:
        return None
    rounds = common.interleave(
        ready,
        repeats=options.repeats,
        slot_seconds=options.slot,
        probe=options.probe if case.flop else None,
        threads=threads,
        retries=1,
    )
    row: dict[str, Any] = {
        "group": case.group,
        "title": case.title,
        "threads": threads,
        "limit": case.limit,
        "peers": {},
    }
    if rounds.barriers:
        row["barrier_ns"] = common.quartiles(rounds.barriers)
    limit = None  # per µs
    if case.flop and rounds.peaks:
        limit = common.quartiles(rounds.peaks)[1] * 1e3
    if case.bytes:
        # The parameter and its slots are read and written, the gradient is only read.
        working_set = int((case.bytes / PARAMETERS - 4) / 8 + 1) * 4 * PARAMETERS
        speeds = options.probe.bandwidths(threads, working_set)
        row["copy_gbs"], row["update_gbs"] = speeds
        limit = max(speeds) * 1e3 if all(speeds) else None
    line = f"  {case.title:44}"
    for name, samples in rounds.samples.items():
        entry = samples.summary()
        if limit:
            entry["share"] = (case.flop or case.bytes) / entry["us"] / limit
        if case.elements:
            entry["elements_per_ns"] = case.elements / entry["us"] / 1e3
        if "densa" in rounds.samples:
            entry["by_densa"] = rounds.ratio(name, "densa")
        row["peers"][name] = entry
        share = f" ({entry['share']:.0%})" if "share" in entry else ""
        speed = f" ({entry['elements_per_ns']:.2f}/ns)" if "elements_per_ns" in entry else ""
        line += f" {name} {entry['us']:.2f} us{share}{speed};"
    print(line, flush=True)
    return row


def backward_ratio(rows: list[dict[str, Any]]) -> None:
    """Prints the time of dX and dW together by that of two forward products."""
    by_title = {(row["title"], row["threads"]): row["peers"].get("densa") for row in rows}
    for shape in SHAPES:
        text = ",".join(map(str, shape))
        for threads in sorted({row["threads"] for row in rows}):
            found = [by_title.get((f"{name} {text}", threads)) for _, name in PRODUCTS]
            micros = [entry["us"] for entry in found if entry]
            if len(micros) == 3:
                ratio = (micros[1] + micros[2]) / (2 * micros[0])
                print(f"  backward by two forward, {text}, {threads} thread(s): {ratio:.2f}")


def parse() -> argparse.Namespace:
    """Reads the command line."""
    here = Path(__file__).parent
    groups = ["matmul", "unary", "optimizer", "gather"]
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--groups", nargs="+", default=groups, choices=groups)
    parser.add_argument("--peers", nargs="+", default=["densa", "numpy", "torch"])
    parser.add_argument("--threads", nargs="+", type=int, default=[1, min(2, machine.cpu_count())])
    parser.add_argument("--repeats", type=int, default=None, help="slots per peer, default 20")
    parser.add_argument("--slot", type=float, default=0.03, help="seconds per slot")
    parser.add_argument("--quick", action="store_true", help="5 slots of 0.02 s")
    parser.add_argument(
        "--python", nargs="+", default=[], help="interpreters: PATH for all, or PEER=PATH"
    )
    parser.add_argument("--json", type=Path, default=here / "results.json")
    parser.add_argument(
        "--readme",
        type=Path,
        nargs="?",
        const=here.parent / "README.md",
        help="write the tables into this file, by default README.md",
    )
    parser.add_argument("--log", type=Path, default=Path("/dev/null"), help="the peers' stderr")
    options = parser.parse_args()
    options.pythons = slots.parse_pythons(options.python)
    if options.quick:
        options.slot = 0.02
    if options.repeats is None:
        options.repeats = 5 if options.quick else 20
    options.threads = sorted(set(options.threads))
    return options


def main() -> None:
    """Measures, prints and writes the JSON and, where asked, the README's table."""
    options = parse()
    options.probe = machine.Probe()
    report = machine.report(options.probe, sorted({1, *options.threads}))
    machine.print_report(report)
    rows = []
    for threads in options.threads:
        print(f"\n{threads} thread(s)")
        job = {"kind": "op", "op": "unary", "fn": "exp", "size": 16, "threads": threads}
        workers, _ = slots.start(options.peers, threads, options.pythons, job, options.log)
        for case in cases(options.groups):
            row = measure(case, workers, threads, options)
            if row is not None:
                rows.append(row)
        for worker in workers:
            worker.close()
    backward_ratio(rows)
    options.probe.close()
    common.save_results(options.json, "ops", report, rows)
    if options.readme:
        common.write_readme(options.readme, render.markdown(common.load_results(options.json)))


if __name__ == "__main__":
    main()
