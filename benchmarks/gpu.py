"""densa on a GPU beside PyTorch: builds it, tests it, times it, and judges what was promised.

    python benchmarks/gpu.py                    # everything, in this order: --build --check
                                                # --sanitize --time --write docs/gpu-speed.md
    python benchmarks/gpu.py --no-sanitize      # any step can be left out
    python benchmarks/gpu.py --no-build --no-check --no-sanitize --rows A "product bfloat16"

Packages: to build scikit-build-core, pybind11, cmake and ninja, CUDA's nvcc; to test pytest,
hypothesis and scipy, to sanitize CUDA's compute-sanitizer; for the peers torch. They are looked for
first.

Each peer is a process of its own and gets short slots in turn, and so is each form of densa's
products: float32 as `exact` (its default), `tf32x3` and `tf32`, 16 bits as `exact`, `mma` and
`wgmma`. Everything is checked in the form that is timed, before it is: whole networks by the losses
of their first steps, which densa's on the CPU must resemble, PyTorch's too; products, copies, AdamW
and one row of a network by results in float64. What is wrong or fails has no number, its column
says why, and the rest goes on. Every peer holds the data set on the GPU. `torch` is eager with
fused optimizers, `torch-compile` replays CUDA graphs; in rows of bfloat16 densa has the policy
`mixed_bfloat16` and PyTorch its autocast. Beside each row stand the times that its float
operations and its bytes take at least.

Results are saved after each row. The exit status is 1 if a step, a check or densa failed; a target
that is missed is a result.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from os import environ
from pathlib import Path
from typing import Any

import common
import gpu_limits
import gpu_report
import gpu_rows
import gpu_setup
import slots

STEPS = ("build", "check", "sanitize", "time")
HERE = Path(__file__).parent


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    # On the emulated GPU there is nothing to build or to sanitize.
    here = "DENSA_CUDA_EMULATED" not in environ
    for name in STEPS:
        parser.add_argument(
            f"--{name}", action=argparse.BooleanOptionalAction, default=here or name == "time"
        )
    write = HERE.parent / "docs" / "gpu-speed.md"
    parser.add_argument("--write", type=Path, default=write if here else None, help="a file")
    parser.add_argument("--no-write", dest="write", action="store_const", const=None)
    rows, peers, forms = gpu_rows.ROWS, gpu_rows.PEERS, gpu_rows.FORMS
    parser.add_argument("--rows", nargs="+", default=rows, choices=rows, metavar="ROW")
    parser.add_argument("--peers", nargs="+", default=peers, choices=peers)
    parser.add_argument("--forms", nargs="+", default=forms, choices=forms, help="of products")
    parser.add_argument("--product", type=int, default=4096, help="width of the square products")
    parser.add_argument("--weights", type=int, default=100_000_000, help="of the AdamW step")
    parser.add_argument("--repeats", type=int, default=11, help="slots per peer")
    parser.add_argument("--slot", type=float, default=0.2, help="seconds per slot")
    parser.add_argument(
        "--patience", type=float, default=600, help="seconds after which a peer that hangs is ended"
    )
    parser.add_argument("--python", nargs="+", default=[], help="interpreters: PATH, or PEER=PATH")
    parser.add_argument("--json", type=Path, default=HERE / "gpu_results.json")
    parser.add_argument(
        "--log", type=Path, default=HERE / "gpu_peers.log", help="the peers' stderr"
    )
    options = parser.parse_args(arguments)
    options.pythons = slots.parse_pythons(options.python)
    return options


def torch_pythons(options: argparse.Namespace) -> list[str]:
    """The interpreters that run PyTorch."""
    if not options.time:
        return []
    default = options.pythons.get("", sys.executable)
    chosen = [options.pythons.get(p, default) for p in options.peers if p.startswith("torch")]
    return sorted(set(chosen))


def describe() -> dict[str, Any]:
    """The GPU, as densa sees it.

    Raises:
        Failed: densa is missing, or finds no GPU.
    """
    try:
        densa: Any = importlib.import_module("densa")
        densa.set_device("cuda")
        facts: dict[str, Any] = densa._core.device_facts("cuda:0")
        densa.set_device("cpu")
    except (ImportError, RuntimeError) as error:
        raise gpu_setup.Failed(f"densa has no GPU here: {error}") from error
    return {"densa": densa.__version__, **facts}


def time_rows(options: argparse.Namespace, problems: list[str]) -> None:
    """Measures the rows; everything so far is saved after each."""
    facts = describe()
    limits = gpu_limits.limits_of(facts, gpu_limits.driver_attributes())
    print(", ".join(f"{key} {value}" for key, value in facts.items()))
    print(limits.text(), flush=True)
    bench = gpu_rows.Bench(options, facts, limits, problems)
    rows: list[dict[str, Any]] = []
    verdicts: list[gpu_limits.Verdict] = []
    for name in options.rows:
        rows.append(gpu_rows.row_of(bench, name))
        # An emulation says nothing about time.
        verdicts = gpu_limits.judge([] if facts["emulated"] else rows)
        saved = {
            "rows": rows,
            "targets": [vars(one) | {"verdict": one.text()} for one in verdicts],
            "problems": problems,
        }
        common.save_results(options.json, "gpu", {**facts, **vars(limits)}, saved)
        if options.write:
            text = gpu_report.markdown(facts, limits, rows, verdicts, problems)
            options.write.write_text(text)
    print("\n" + gpu_report.verdict_table(verdicts))


def main(arguments: list[str] | None = None) -> int:
    """Does the steps that are asked for; returns the exit status."""
    options = parse(arguments)
    chosen = [name for name in STEPS[:-1] if getattr(options, name)]
    problems: list[str] = []
    try:
        gpu_setup.check_needs(chosen, torch_pythons(options))
        if options.build:
            gpu_setup.build()
        for step in (gpu_setup.check, gpu_setup.sanitize):
            if step.__name__ in chosen:
                try:
                    step()
                except gpu_setup.Failed as why:  # the rows check what they time themselves
                    problems.append(f"{step.__name__}: {why}")
        if options.time:
            time_rows(options, problems)
    except gpu_setup.Failed as why:
        problems.append(str(why))
    if problems:
        print("\nfailed:", *problems, sep="\n  ", file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
