"""What the founding texts claim, measured on real data over several seeds.

python benchmarks/claims.py                                # every claim, 10 seeds, printed
python benchmarks/claims.py --claims dropout,l1 --seeds 3
python benchmarks/claims.py --resume --seeds 20            # ten more
python benchmarks/claims.py --write docs/claims.md         # the page and its pictures
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path

import claims_report
import common
from claims_cases import CLAIMS, Trial


def measure(trial: Trial, seeds: int, before: Mapping[str, list[float]]) -> dict[str, list[float]]:
    """Every variant for every seed that `before` lacks, seed by seed."""
    whole = min(len(before.get(name, ())) for name in trial.variants)
    measured = {name: list(before.get(name, ()))[:whole] for name in trial.variants}
    for seed in range(whole, seeds):
        for name, run in trial.variants.items():
            measured[name].append(run(seed))
        done = ", ".join(f"{name} {values[-1]:.4g}" for name, values in measured.items())
        print(f"  {trial.data}, seed {seed}: {done}", flush=True)
    return measured


def main() -> None:
    """Measures, saves the results after each data set, and writes the page."""
    here = Path(__file__).resolve().parent
    names = [claim.name for claim in CLAIMS]
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--claims", default=",".join(names))
    parser.add_argument("--seeds", type=int, default=10, help="at least 2")
    parser.add_argument("--json", type=Path, default=here / "results.json")
    parser.add_argument("--resume", action="store_true", help="keep the seeds in the JSON file")
    parser.add_argument("--write", type=Path, metavar="PAGE", help="page with the two marks")
    parser.add_argument("--render", action="store_true", help="from the JSON file, measure nothing")
    options = parser.parse_args()
    chosen = options.claims.split(",")
    unknown = [name for name in chosen if name not in names]
    if unknown or options.seeds < 2:
        parser.error(
            f"unknown claim {unknown[0]!r}; there are {', '.join(names)}"
            if unknown
            else "--seeds must be at least 2, or there are no intervals"
        )
    rows = common.load_results(options.json).get("claims", {}).get("rows", {})
    if not options.render:
        import densa

        about = {"densa": densa.__version__, "python": sys.version.split()[0]}
        for claim in CLAIMS:
            if claim.name in chosen:
                row = rows.setdefault(claim.name, {})
                for trial in claim.trials:
                    before = row.get(trial.data, {}) if options.resume else {}
                    row[trial.data] = measure(trial, options.seeds, before)
                    common.save_results(options.json, "claims", about, rows)
                    print(claims_report.sentence(claim, trial, row[trial.data]), flush=True)
    if options.write is not None:
        section = common.load_results(options.json)["claims"]
        claims_report.write(options.write, section)


if __name__ == "__main__":
    main()
