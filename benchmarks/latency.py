"""Latency of calls from Python: the predictor beside ONNX Runtime, OpenVINO and PyTorch.

Every engine runs in a process of its own and gets NumPy arrays; slots of calls are interleaved,
every call is timed, p50 and p99 are those of all calls of an engine's slots.

python benchmarks/latency.py            # A, C, D, E; batch 1, 32, 1024; 1 and 2 threads
python benchmarks/latency.py --nets C --rows 1 --threads 1 --quick
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import common
import machine
import networks
import overhead
import render
import slots
from peers.frozen_data import write

ENGINES = {
    "densa": {"engine": "densa"},
    "densa-bf16": {"engine": "densa", "format": "bfloat16"},
    "densa-int8": {"engine": "densa", "format": "int8"},
    "onnxruntime": {"engine": "onnxruntime"},
    "openvino": {"engine": "openvino"},
    "openvino-bf16": {"engine": "openvino", "format": "bfloat16"},
    "torch": {"engine": "torch"},
    "torchscript": {"engine": "torchscript"},
}
# Seconds until the threads of the engine before have stopped to spin.
_QUIET = 0.2


def measure(
    job: dict[str, Any], engines: list[str], options: argparse.Namespace, log: Path
) -> dict[str, Any]:
    """p50, p99 and error of each engine for one net, batch and number of threads."""
    workers = []
    found: dict[str, Any] = {}
    for engine in engines:
        worker = slots.Worker("frozen", job["threads"], options.pythons.get(engine, ""), log)
        worker.name = engine
        try:
            about = worker.prepare({**job, **ENGINES[engine]})
            found[engine] = {"version": about["version"], "error": worker.check(), "calls": []}
            workers.append(worker)
        except slots.Skipped as reason:
            print(f"  {engine}: skipped: {reason}")
            worker.close()
    counts = {w.name: calls_in(w, options.slot) for w in workers}
    for turn in range(options.repeats):
        shift = turn % max(1, len(workers))
        for worker in [*workers[shift:], *workers[:shift]]:
            time.sleep(_QUIET)
            answer = worker.ask({"do": "calls", "count": counts[worker.name]})
            found[worker.name]["calls"] += answer["micros"]
    for worker in workers:
        worker.close()
    for entry in found.values():
        calls = sorted(entry.pop("calls"))
        entry["us"] = statistics.median(calls)
        entry["p99"] = calls[min(len(calls) - 1, int(0.99 * len(calls)))]
        entry["calls"] = len(calls)
    return found


def calls_in(worker: slots.Worker, seconds: float) -> int:
    """How many calls fill a slot; warms up, too."""
    time.sleep(_QUIET)
    worker.ask({"do": "calls", "count": 20})
    micros = worker.ask({"do": "calls", "count": 20})["micros"]
    return max(20, min(20000, round(seconds * 1e6 / statistics.median(micros))))


def main() -> None:
    """Runs the chosen cases, prints them and keeps them in the JSON file."""
    here = Path(__file__).resolve().parent
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--nets", default="A,C,D,E")
    parser.add_argument("--rows", default="1,32,1024")
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--engines", default=",".join(ENGINES))
    parser.add_argument("--python", action="append", default=[], metavar="ENGINE=PATH")
    parser.add_argument("--json", type=Path, default=here / "results.json")
    parser.add_argument("--write", type=Path, metavar="PAGE", help="page with the two marks")
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--slot", type=float, default=0.2, help="seconds of an engine's slot")
    parser.add_argument("--quick", action="store_true", help="three short slots")
    options = parser.parse_args()
    if options.quick:
        options.repeats, options.slot = 3, 0.05
    given = slots.parse_pythons(options.python)
    options.pythons = {
        engine: given.get(engine, given.get("", sys.executable)) for engine in ENGINES
    }
    rows = []
    python_costs: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        for name in options.nets.split(","):
            net = networks.NETWORKS[name]
            data = Path(folder) / f"{name}.npz"
            write(net, max(map(int, options.rows.split(","))), data)
            for batch in map(int, options.rows.split(",")):
                for threads in map(int, options.threads.split(",")):
                    job = {
                        "kind": "frozen",
                        "net": name,
                        "data": str(data),
                        "rows": batch,
                        "threads": threads,
                    }
                    found = measure(job, options.engines.split(","), options, log)
                    rows.append(
                        {
                            "net": name,
                            "title": net.title().rsplit(",", 1)[0],
                            "rows": batch,
                            "threads": threads,
                            "engines": found,
                        }
                    )
                    for engine, entry in found.items():
                        print(
                            f"{name} {batch:5d} rows {threads} threads  {engine:14s} "
                            f"p50 {entry['us']:9.2f}  p99 {entry['p99']:9.2f} us  "
                            f"error {entry['error']:.1e}"
                        )
        try:
            python_costs = overhead.measure(Path(folder))
        except (OSError, subprocess.CalledProcessError) as reason:
            print(f"the cost of Python: skipped: {reason}")
    probe = machine.Probe()
    try:
        about = machine.report(probe, [1, 2])
    finally:
        probe.close()
    common.save_results(options.json, "latency", about, rows, overhead=python_costs)
    section = common.load_results(options.json)["latency"]
    print(render.latency_table(section))
    if options.write is not None:
        common.write_readme(options.write, render.latency_page(section))


if __name__ == "__main__":
    main()
