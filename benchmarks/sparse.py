"""Block-sparse weights of a frozen layer beside its float32 weights, at several densities.

Zeros come in blocks of 16 outputs of an input, whose share of all is the density, or weight by
weight, as pruning by size leaves them. The product alone is timed on one thread, both formats in
turns, as `freeze` does.

python benchmarks/sparse.py
python benchmarks/sparse.py --sizes 784x300 --rows 1 --samples 31
python benchmarks/sparse.py --write docs/latency.md      # the table between its marks
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np

import common
import densa
import machine
from densa import _core

SIZES = ["300x100", "784x300", "1024x1024"]
BLOCK = 16
CASES = [(0.5, True), (0.25, True), (0.1, True), (0.05, True), (0.1, False), (0.05, False)]


def kernel(inputs: int, outputs: int, density: float, blocks: bool) -> Any:
    """Normal numbers, of which the density is left."""
    rng = np.random.default_rng(0)
    w = rng.normal(size=(inputs, outputs))
    if not blocks:
        return w * (rng.random(w.shape) < density)
    kept = rng.random((inputs, -(-outputs // BLOCK))) < density
    return w * np.kron(kept, np.ones((1, BLOCK)))[:, :outputs]


def measure(
    inputs: int, outputs: int, rows: int, case: tuple[float, bool], samples: int
) -> tuple[str, float]:
    """A cell of the table, and the share of blocks that are kept."""
    layer = densa.layers.Dense(outputs, name="one")
    model = densa.Sequential([densa.Input((inputs,)), layer])
    layer.kernel.assign(kernel(inputs, outputs, *case))
    plain, sparse = (model.freeze(formats={"one": form}) for form in ("float32", "sparse"))
    kept, blocks = _core.predictor_layer_blocks(plain, 0)
    pair = [_core.predictor_layer(predictor, 0) for predictor in (plain, sparse)]
    x = np.random.default_rng(0).normal(size=(rows, inputs)).astype("float32")
    times = [1e6 * t for t in _core.predictor_times(pair, x, samples, 2e-4)]
    cell = f"{times[0]:.3g} → {times[1]:.3g} ({times[1] / times[0]:.2f}x)"
    return cell, kept / blocks


def report(sizes: list[str], row_counts: list[int], samples: int) -> str:
    """The table, and what was measured on."""
    lines, shares = [], dict.fromkeys(CASES, 0.0)
    for size in sizes:
        inputs, outputs = map(int, size.split("x"))
        for rows in row_counts:
            cells = []
            for case in CASES:
                cell, shares[case] = measure(inputs, outputs, rows, case, samples)
                cells.append(cell)
            lines.append([size, str(rows), *cells])
            print(" | ".join(lines[-1]), flush=True)
    head = [
        f"{density:.0%} of blocks" if blocks else f"{density:.0%} of weights, anywhere"
        for density, blocks in CASES
    ]
    scattered = ", ".join(
        f"with {case[0]:.0%} of the weights {shares[case]:.0%} of the blocks"
        for case in CASES
        if not case[1]
    )
    return (
        f"{common.table(['layer', 'rows', *head], lines)}\n\n"
        f"Weights that are zero anywhere leave few blocks empty: {scattered} are kept.\n\n"
        f"densa {densa.__version__}, {machine.cpu_name()}, level {_core.config()['cpu_level']}, "
        f"one thread; {time.strftime('%Y-%m-%d %H:%M UTC', time.gmtime())}."
    )


def main() -> None:
    """Prints the table, and writes it where it is wanted."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", nargs="+", default=SIZES, help="inputs x outputs of a layer")
    parser.add_argument("--rows", nargs="+", type=int, default=[1, 32])
    parser.add_argument("--samples", type=int, default=31)
    parser.add_argument("--write", type=Path, metavar="PAGE", help="page with the two marks")
    options = parser.parse_args()
    text = report(options.sizes, options.rows, options.samples)
    print(f"\n{text}")
    if options.write is not None:
        common.write_readme(options.write, text, "sparse")


if __name__ == "__main__":
    main()
