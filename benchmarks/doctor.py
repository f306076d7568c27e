"""How well the doctor finds known defects, and whether its changes help.

    python benchmarks/doctor.py --part tune     # while thresholds are tuned: misses and alarms
    python benchmarks/doctor.py --write docs/doctor.md
    python benchmarks/doctor.py --speed 15 --write docs/doctor.md  # what looking costs

Thresholds are tuned on the parts "tune" and "check" of `doctor_runs`; the table is of "report".
"""

from __future__ import annotations

import argparse
import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np

import common
import densa
import doctor_runs
import machine
from doctor_runs import DEFECTS, Run, Trial

INTERVAL = 10  # the runs are short


def watch(run: Run) -> tuple[Trial, list[Any], float]:
    """Trains a run under a doctor; the findings, and the validation loss at the end."""
    ready = doctor_runs.prepare(run)
    doctor = densa.callbacks.Doctor(interval=INTERVAL, verbose=0)
    doctor_runs.fit_trial(ready, [doctor])
    return ready, doctor.findings, doctor_runs.validation_loss(ready, ready.model)


def treat(run: Run, finding: Any) -> float:
    """The validation loss of the same run with the finding's change made."""
    ready = doctor_runs.prepare(run)
    if ready.before is not None:
        ready.before(ready, [])
    ready.model = finding.apply(ready.model)
    further = dict(finding.fit)
    callbacks, own = further.pop("callbacks", []), ready.fit["callbacks"]
    ready.fit.update(further, callbacks=lambda: [*own(), *callbacks])
    doctor_runs.fit_last(ready, [])
    return doctor_runs.validation_loss(ready, ready.model)


def examine(run: Run, apply: bool) -> dict[str, Any]:
    """One run: what was found, and what the change of its own defect brought."""
    _, findings, loss = watch(run)
    row: dict[str, Any] = {**vars(run), "found": [f.id for f in findings], "loss": loss}
    own = next((f for f in findings if f.id == run.defect), None)
    if own is not None:
        row["evidence"] = own.evidence
        if apply and own.can_apply:
            row["loss_after"] = treat(run, own)
    return row


def summary(rows: list[dict[str, Any]]) -> list[list[str]]:
    """Per rule: runs with the defect, share found, false alarms, share that its change improves."""
    healthy = [row for row in rows if not row["defect"]]
    lines = []
    whole = np.zeros(5, int)
    for name in DEFECTS:
        own = [row for row in rows if row["defect"] == name]
        hits = [row for row in own if name in row["found"]]
        alarms = [row for row in healthy if name in row["found"]]
        treated = [row for row in hits if "loss_after" in row]
        better = [row for row in treated if row["loss_after"] < row["loss"]]
        counts = (len(own), len(hits), len(alarms), len(treated), len(better))
        whole += counts
        lines.append(_line(f"`{name}`", *counts, len(healthy)))
    wrong = [row for row in healthy if row["found"]]
    counts = (whole[0], whole[1], len(wrong), whole[3], whole[4])
    lines.append(_line("all", *counts, len(healthy)))
    return lines


def _line(
    name: str, runs: int, hits: int, alarms: int, treated: int, better: int, healthy: int
) -> list[str]:
    share = f"{better / treated:.2f} ({better}/{treated})" if treated else "-"
    return [
        name,
        str(runs),
        f"{hits / max(runs, 1):.2f}",
        f"{100 * alarms / max(healthy, 1):.1f} %",
        share,
    ]


# Units of the hidden layers, features, rows in a batch, steps of a training.
TIMED = (
    ((64, 64), 64, 32, 1_600),
    ((64, 64), 64, 32, 20_000),
    ((300, 100), 784, 32, 1_600),
    ((300, 100), 784, 128, 1_600),
)
CLASSES = 10
PASS = 400  # steps of an epoch


def training(
    label: str, widths: tuple[int, ...], x: Any, y: Any, epochs: int, doctors: list[Any]
) -> common.Local:
    """Whole trainings as a variant to time."""
    layers = [densa.layers.Dense(n, "relu") for n in widths]
    head = densa.layers.Dense(CLASSES, "softmax")
    model = densa.Sequential([densa.Input(x.shape[1:]), *layers, head])
    model.compile("adam", "sparse_categorical_crossentropy")

    def call(units: int) -> None:
        for _ in range(units):
            model.fit(x, y, len(x) // PASS, epochs=epochs, verbose=0, callbacks=doctors)

    return common.Local(label, call)


def speed(repeats: int, threads: int) -> list[dict[str, Any]]:
    """Times trainings with a doctor at its default interval, and without one, in turns."""
    densa.set_num_threads(threads)
    rng = np.random.default_rng(0)
    rows = []
    for widths, features, batch, steps in TIMED:
        x = rng.normal(size=(PASS * batch, features)).astype("float32")
        y = rng.integers(0, CLASSES, len(x)).astype("int32")
        doctor = densa.callbacks.Doctor(verbose=0)
        rounds = common.interleave(
            [
                training("without", widths, x, y, steps // PASS, []),
                training("doctor", widths, x, y, steps // PASS, [doctor]),
            ],
            repeats=repeats,
            slot_seconds=0.4,
            threads=threads,
        )
        row: dict[str, Any] = {
            "network": "-".join(map(str, (features, *widths, CLASSES))),
            "batch": batch,
            "steps": steps,
            "looks": len(doctor.health["step"]),
            "ratio": rounds.ratio("doctor", "without"),
        }
        for name, samples in rounds.samples.items():
            row[name] = [time / steps for time in common.quartiles(samples.chosen())]
        rows.append(row)
        print(row, flush=True)
    return rows


def speed_table(rows: list[dict[str, Any]], threads: int) -> str:
    """The rows of `speed` as Markdown, and how they were measured."""
    lines = []
    for row in rows:
        without, watched = (
            "{1:.1f} ({0:.1f} to {2:.1f})".format(*row[name]) for name in ("without", "doctor")
        )
        look = (row["ratio"] - 1) * row["steps"] / row["looks"]
        run = [row["network"], str(row["batch"]), f"{row['steps']:,}"]
        lines.append([*run, without, watched, f"{row['ratio']:.3f}", f"{look:.1f}"])
    head = ["Network", "Rows", "Steps", "Without, µs a step", "With a doctor", "Ratio"]
    cpu = machine.cpu_name()
    about = (
        f"Medians and quartiles of whole trainings, in turns; {cpu}, {threads} "
        f"thread{'s' if threads > 1 else ''}. *A look*: what the doctor adds to a training, the "
        "judgement at its end too, by the number of looks, in steps."
    )
    return common.table([*head, "A look, in steps"], lines) + "\n\n" + about


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--part", choices=tuple(doctor_runs.PARTS), default="report")
    parser.add_argument("--only", help="defects, `,` between them; `healthy` is one")
    parser.add_argument("--resume", action="store_true", help="keep the runs that --json holds")
    parser.add_argument("--no-apply", action="store_true", help="do not train again")
    parser.add_argument("--speed", type=int, metavar="N", help="only time steps, N slots each")
    parser.add_argument("--threads", type=int, default=1, help="with --speed")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--write", type=Path, help="Markdown file with the markers of a table")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    if options.speed:
        timed = speed(options.speed, options.threads)
        if options.json:
            options.json.write_text(json.dumps(timed, indent=1) + "\n")
        if options.write:
            text = speed_table(timed, options.threads)
            common.write_readme(options.write, text, "doctor-speed")
        return
    rows = []
    known: list[dict[str, Any]] = []
    if options.resume and options.json and options.json.exists():
        known = json.loads(options.json.read_text())
    for run in doctor_runs.runs(options.part):
        row = next((row for row in known if vars(run).items() <= row.items()), None)
        if row is None:
            if options.only and (run.defect or "healthy") not in options.only.split(","):
                continue
            row = examine(run, not options.no_apply)
            known.append(row)
            if options.json:
                options.json.write_text(json.dumps(known, indent=1, default=float) + "\n")
        rows.append(row)
        if options.part != "report":
            missed = run.defect and run.defect not in row["found"]
            alarm = not run.defect and row["found"]
            worse = "loss_after" in row and row["loss_after"] >= row["loss"]
            if missed or alarm or worse:
                what = "missed" if missed else "alarm" if alarm else "no better"
                print(what, {k: v for k, v in row.items() if k != "part"}, flush=True)
    head = ["Rule", "Runs", "Recall", "False alarms", "Better after apply"]
    text = common.table(head, summary(rows))
    print(f"\n{options.part}: {len(rows)} runs\n{text}", flush=True)
    if options.part == "report" and options.write:
        common.write_readme(options.write, text)


if __name__ == "__main__":
    main()
