"""Training speed: densa beside PyTorch, JAX, Keras and scikit-learn.

    python benchmarks/train.py                    # networks A-F, every peer found, 2 threads
    python benchmarks/train.py --nets A C --peers densa jax --threads 1 2 --quick
    python benchmarks/train.py --fit              # a whole fit of A on Fashion-MNIST
    python benchmarks/train.py --readme           # ... and writes the README's tables
    python benchmarks/train.py --render           # writes them from the JSON, measures nothing

Each peer is a process of its own; the parent gives them short slots in turn. Both sides draw
shuffled rows from the same array and cast them within the step.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

import common
import machine
import render
import slots
import whole_fit
from networks import NETWORKS, Network, make_data

TORCH = ("torch", "torch-compile")
DEFAULT_PEERS = ["densa", "torch", "torch-compile", "jax", "keras-jax", "sklearn"]


def measure(net: Network, threads: int, options: argparse.Namespace) -> dict[str, Any] | None:
    """Times one network with every peer; returns the row for the JSON file."""
    print(f"\n{net.name}: {net.title()}, batch {net.batch}, {threads} thread(s)", flush=True)
    with tempfile.TemporaryDirectory(prefix="densa-bench-") as folder:
        x, y = make_data(net, Path(folder))
        job = {"kind": "train", "net": net.name, "x": str(x), "y": str(y), "threads": threads}
        workers, notes = slots.start(options.peers, threads, options.pythons, job, options.log)
        workers = only_working(workers)
        if not workers:
            return None
        try:
            rounds = common.interleave(
                workers,
                repeats=options.repeats,
                slot_seconds=options.slot,
                probe=options.probe,
                threads=threads,
            )
            losses = {worker.name: worker.check() for worker in workers}
        finally:
            for worker in workers:
                worker.close()
    return make_row(net, threads, rounds, losses, notes)


def only_working(workers: list[slots.Worker]) -> list[slots.Worker]:
    """Runs two steps of each peer (which compiles) and leaves out those that fail."""
    working = []
    for worker in workers:
        try:
            worker.run(2, 0)
            working.append(worker)
        except slots.Skipped as reason:
            print(f"  {worker.name}: skipped: {reason}")
            worker.close()
    return working


def make_row(
    net: Network,
    threads: int,
    rounds: common.Rounds,
    losses: dict[str, float],
    notes: dict[str, dict[str, Any]],
) -> dict[str, Any]:
    """Gathers times, ratios and shares of the peak, and prints them."""
    peak = common.quartiles(rounds.peaks)[1] if rounds.peaks else None
    barrier = common.quartiles(rounds.barriers) if rounds.barriers else None
    row: dict[str, Any] = {
        "net": net.name,
        "title": net.title(),
        "batch": net.batch,
        "threads": threads,
        "flop": net.flop(),
        "peak_gflops": peak,
        "barrier_ns": barrier,
        "peers": {},
    }
    for name, samples in rounds.samples.items():
        entry = samples.summary() | {"loss": losses[name], **notes[name]}
        if peak:
            entry["share_of_peak"] = net.flop() / entry["us"] / 1e3 / peak
        if "densa" in rounds.samples:
            entry["by_densa"] = rounds.ratio(name, "densa")
        row["peers"][name] = entry
    torch = [name for name in TORCH if name in row["peers"]]
    if torch:
        row["best_torch"] = min(torch, key=lambda name: float(row["peers"][name]["us"]))
    print_row(row)
    return row


def print_row(row: dict[str, Any]) -> None:
    """Prints one network's result."""
    if row["barrier_ns"]:
        low, middle, high = row["barrier_ns"]
        print(f"  barrier {middle:.0f} ns (quartiles {low:.0f}-{high:.0f})", end="")
    if row["peak_gflops"]:
        print(f", FMA peak {row['peak_gflops']:.0f} GFLOP/s", end="")
    print()
    for name, entry in row["peers"].items():
        share = f"{entry['share_of_peak']:6.1%}" if "share_of_peak" in entry else ""
        ratio = f"{entry['by_densa']:6.2f}x densa" if "by_densa" in entry else ""
        print(
            f"  {name:14} {entry['us']:10.1f} us  ({entry['q1']:.1f}-{entry['q3']:.1f}) "
            f"{share} {ratio} loss {entry['loss']:.3f}, "
            f"{entry['quiet_slots']}/{entry['slots']} quiet {entry['note']}",
            flush=True,
        )


def parse() -> argparse.Namespace:
    """Reads the command line."""
    here = Path(__file__).parent
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--nets", nargs="+", default=list(NETWORKS), choices=list(NETWORKS))
    parser.add_argument("--peers", nargs="+", default=None, help="default: all")
    parser.add_argument("--threads", nargs="+", type=int, default=[min(2, machine.cpu_count())])
    parser.add_argument("--repeats", type=int, default=None, help="slots per peer, default 20")
    parser.add_argument("--slot", type=float, default=0.2, help="seconds per slot")
    parser.add_argument("--quick", action="store_true", help="5 slots of 0.1 s")
    parser.add_argument("--fit", action="store_true", help="whole fit on Fashion-MNIST")
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
    parser.add_argument("--render", action="store_true", help="only write --readme from --json")
    parser.add_argument("--log", type=Path, default=Path("/dev/null"), help="the peers' stderr")
    options = parser.parse_args()
    options.pythons = slots.parse_pythons(options.python)
    if options.quick:
        options.slot = 0.1
    if options.repeats is None:
        options.repeats = 5 if options.quick else (8 if options.fit else 20)
    if options.peers is None:
        options.peers = whole_fit.PEERS if options.fit else DEFAULT_PEERS
    return options


def main() -> None:
    """Measures, prints, writes the JSON and, where asked, the README's table."""
    options = parse()
    if not options.render:
        options.probe = machine.Probe()
        report = machine.report(options.probe, sorted({1, *options.threads}))
        machine.print_report(report)
        if options.fit:
            rows = [whole_fit.measure(threads, options) for threads in options.threads]
            section = "fit"
        else:
            rows = [
                measure(NETWORKS[name], threads, options)
                for threads in options.threads
                for name in options.nets
            ]
            section = "train"
        options.probe.close()
        common.save_results(options.json, section, report, [row for row in rows if row])
    if options.readme or options.render:
        readme = options.readme or Path(__file__).parent.parent / "README.md"
        common.write_readme(readme, render.markdown(common.load_results(options.json)))


if __name__ == "__main__":
    main()
