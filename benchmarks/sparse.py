"""Block-sparse weights of a frozen layer beside its float32 weights, at several densities.

Zeros come in blocks of 16 outputs of an input, whose share of all is the density; in tiles of 16
such blocks, one below the other; or weight by weight, as pruning by size leaves them. The product
alone is timed on one thread, both formats in turns, as `freeze` does.

python benchmarks/sparse.py
python benchmarks/sparse.py --sizes 784x300 --rows 1 --samples 31
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np

import densa
import machine
from densa import _core

SIZES = ["300x100", "784x300", "1024x1024"]
DENSITIES = [0.5, 0.25, 0.1, 0.05, 0.01]
ZEROS = {"blocks": 1, "tiles": 16, "weights": 0}


def kernel(inputs: int, outputs: int, density: float, zeros: str) -> Any:
    """Normal numbers, of which the density is left."""
    rng = np.random.default_rng(0)
    w = rng.normal(size=(inputs, outputs))
    if zeros == "weights":
        return w * (rng.random(w.shape) < density)
    high = ZEROS[zeros]
    kept = rng.random((-(-inputs // high), -(-outputs // 16))) < density
    return w * np.kron(kept, np.ones((high, 16)))[:inputs, :outputs]


def measure(inputs: int, outputs: int, density: float, zeros: str, rows: int, samples: int) -> str:
    """A line of the table."""
    layer = densa.layers.Dense(outputs, name="one")
    model = densa.Sequential([densa.Input((inputs,)), layer])
    layer.kernel.assign(kernel(inputs, outputs, density, zeros))
    plain, sparse = (model.freeze(formats={"one": form}) for form in ("float32", "sparse"))
    kept, blocks = _core.predictor_layer_blocks(plain, 0)
    pair = [_core.predictor_layer(predictor, 0) for predictor in (plain, sparse)]
    x = np.random.default_rng(0).normal(size=(rows, inputs)).astype("float32")
    times = [1e6 * t for t in _core.predictor_times(pair, x, samples, 2e-4)]
    return (
        f"| {inputs}x{outputs} | {rows} | {zeros} | {density:.0%} | {kept / blocks:.0%} "
        f"| {times[0]:.3g} | {times[1]:.3g} | {times[1] / times[0]:.2f} |"
    )


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", nargs="+", default=SIZES, help="inputs x outputs of a layer")
    parser.add_argument("--rows", nargs="+", type=int, default=[1, 32])
    parser.add_argument("--densities", nargs="+", type=float, default=DENSITIES)
    parser.add_argument("--zeros", nargs="+", choices=ZEROS, default=list(ZEROS))
    parser.add_argument("--samples", type=int, default=31)
    options = parser.parse_args()
    print("| layer | rows | zeros in | density | blocks kept | float32, µs | sparse, µs | ratio |")
    print("|---|---|---|---|---|---|---|---|")
    for size in options.sizes:
        inputs, outputs = map(int, size.split("x"))
        for zeros in options.zeros:
            for density in options.densities:
                for rows in options.rows:
                    print(measure(inputs, outputs, density, zeros, rows, options.samples))
    print(f"\n{machine.cpu_name()}, level {_core.config()['cpu_level']}, one thread.")


if __name__ == "__main__":
    main()
