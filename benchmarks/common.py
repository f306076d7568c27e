"""What every benchmark shares: interleaved slots, statistics, JSON and the README's table."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import machine


class Variant(Protocol):
    """One contestant: a worker process, or a callable inside this process."""

    name: str

    def run(self, units: int, warmup: int) -> tuple[float, float]:
        """Runs warm-up and timed units; returns wall and CPU seconds of the timed ones."""
        ...


@dataclass
class Local:
    """A variant inside this process; `call(units)` returns when the work is done."""

    name: str
    call: Any

    def run(self, units: int, warmup: int) -> tuple[float, float]:
        """Runs the callable here."""
        if warmup:
            self.call(warmup)
        cpu, start = time.process_time(), time.perf_counter()
        self.call(units)
        return time.perf_counter() - start, time.process_time() - cpu


@dataclass
class Samples:
    """The slots of one variant: µs per unit, and whether the machine was ours meanwhile."""

    units: int
    micros: list[float] = field(default_factory=list)
    quiet: list[bool] = field(default_factory=list)

    def chosen(self) -> list[float]:
        """The undisturbed slots, or all of them where less than half were undisturbed."""
        calm = [m for m, q in zip(self.micros, self.quiet, strict=True) if q]
        return calm if 2 * len(calm) >= len(self.micros) else self.micros

    def summary(self) -> dict[str, Any]:
        """Median and quartiles in µs per unit."""
        times = self.chosen()
        low, middle, high = quartiles(times)
        return {
            "us": middle,
            "q1": low,
            "q3": high,
            "best": min(times),
            "slots": len(self.micros),
            "quiet_slots": sum(self.quiet),
            "units_per_slot": self.units,
        }


def quartiles(values: Sequence[float]) -> tuple[float, float, float]:
    """First quartile, median and third quartile."""
    if len(values) == 1:
        return values[0], values[0], values[0]
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return low, middle, high


def calibrate(variant: Variant, slot_seconds: float, most: int) -> int:
    """Finds how many units fill a slot; this is the warm-up too."""
    units = 1
    variant.run(1, 0)
    while units < most:
        wall, _ = variant.run(units, 0)
        if wall >= slot_seconds / 4:
            return max(1, min(most, round(units * slot_seconds / wall)))
        units *= 2
    return most


@dataclass
class Rounds:
    """The result of `interleave`: samples per variant and the barrier latency per round."""

    samples: dict[str, Samples]
    barriers: list[float]
    peaks: list[float]

    def ratio(self, other: str, base: str) -> float:
        """Median over the rounds of `other`'s time by `base`'s, slots of one round paired."""
        top, bottom = self.samples[other], self.samples[base]
        ratios = [a / b for a, b in zip(top.micros, bottom.micros, strict=True)]
        both_quiet = map(all, zip(top.quiet, bottom.quiet, strict=True))
        calm = [r for r, quiet in zip(ratios, both_quiet, strict=True) if quiet]
        return statistics.median(calm if 2 * len(calm) >= len(ratios) else ratios)


def interleave(
    variants: Sequence[Variant],
    *,
    repeats: int,
    slot_seconds: float,
    probe: machine.Probe | None = None,
    threads: int = 1,
    most: int = 1 << 20,
    retries: int = 2,
) -> Rounds:
    """Times the variants in turn, `repeats` slots each, the order turning from round to round.

    A slot during which other processes took more than 10 % of the CPUs is run again, at most
    `retries` times. Barrier latency and FMA peak are measured once a round between the slots.
    """
    load = machine.Load()
    units = {v.name: calibrate(v, slot_seconds, most) for v in variants}
    result = Rounds({v.name: Samples(units[v.name]) for v in variants}, [], [])
    for turn in range(repeats):
        if probe is not None:
            barrier, peak = probe.barrier(), probe.peak(threads)
            if barrier is not None:
                result.barriers.append(barrier)
            if peak is not None:
                result.peaks.append(peak)
        shift = turn % len(variants)
        for variant in [*variants[shift:], *variants[:shift]]:
            n = units[variant.name]
            for attempt in range(retries + 1):
                time.sleep(0.01)  # the previous variant's threads go to sleep meanwhile
                before, began = load.busy_seconds(), time.perf_counter()
                wall, cpu = variant.run(n, max(1, n // 8) if n > 1 else 0)
                after, slot = load.busy_seconds(), time.perf_counter() - began
                # The warm-up is ours too, so the slot's own share is scaled up to its length.
                own = cpu * slot / wall
                quiet = (
                    before is None
                    or after is None
                    or after - before - own <= 0.1 * slot * machine.cpu_count() + 0.02
                )
                if quiet or attempt == retries:
                    break
            result.samples[variant.name].micros.append(wall / n * 1e6)
            result.samples[variant.name].quiet.append(quiet)
    return result


def load_results(path: Path) -> dict[str, Any]:
    """Reads the JSON results, or starts anew."""
    if not path.exists():
        return {}
    results: dict[str, Any] = json.loads(path.read_text())
    return results


def save_results(
    path: Path, section: str, machine_report: dict[str, Any], rows: Any, **more: Any
) -> None:
    """Replaces one section of the JSON file, `more` beside its rows, and leaves the others."""
    results = load_results(path)
    results[section] = {
        "date": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        "machine": machine_report,
        "rows": rows,
        **more,
    }
    path.write_text(json.dumps(results, indent=1) + "\n")
    print(f"results: {path}")


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join(lines)


def write_readme(path: Path, text: str, mark: str = "benchmarks") -> None:
    """Replaces what stands between the two marks of that name in a Markdown file.

    Raises:
        ValueError: the file has no such pair.
    """
    first, last = f"<!-- {mark}:begin -->", f"<!-- {mark}:end -->"
    old = path.read_text()
    before, begin, rest = old.partition(first)
    _, end, after = rest.partition(last)
    if not begin or not end:
        raise ValueError(f"{path} has no lines {first} and {last} to write between")
    path.write_text(f"{before}{first}\n{text.strip()}\n{last}{after}")
    print(f"table written: {path}")
