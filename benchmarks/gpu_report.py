"""The tables of `gpu.py` in Markdown: rows with their limits, targets with verdicts, problems."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import common
from gpu_limits import Limits, Verdict, judged_form, known


def cell(peer: Mapping[str, Any] | None, row: Mapping[str, Any]) -> str:
    """A time and a rate, or why there is none."""
    if peer is None:
        return "–"
    if "us" not in peer:
        return f"no number: {peer.get('why', 'not timed')}".replace("|", "/").replace("\n", " ")
    rate = f", {peer['rate']:.4g} {row['unit']}" if "rate" in peer else ""
    return f"{peer['us']:.2f} µs{rate}"


def table_of(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows with a column for each peer in each form, PyTorch's time by densa's, and the limits."""
    names: list[str] = []
    for row in rows:
        names += [name for name in row["peers"] if name not in names]
    names.sort(key=lambda name: not name.startswith("densa"))
    # By the form of densa on which a target is judged.
    head = ["row", "what", *names, "torch by densa", "torch-compile by densa", "limits"]
    cells = []
    for row in rows:
        peers, least = row["peers"], row.get("least", {})
        form = judged_form(row)
        by = [peers.get(peer, {}).get("by", {}).get(form) for peer in ("torch", "torch-compile")]
        limits = f"{known(least.get('flop_us'))} µs of float operations, "
        limits += f"{known(least.get('bytes_us'))} µs of bytes"
        took = [cell(peers.get(name), row) for name in names]
        ratios = ["–" if ratio is None else f"{ratio:.2f}x" for ratio in by]
        what = row["title"] + (f": no number: {row['why']}" if "why" in row else "")
        cells.append([row["name"], what, *took, *ratios, limits])
    return common.table(head, cells)


def verdict_table(verdicts: Sequence[Verdict]) -> str:
    """The targets."""
    cells = [[one.target, one.asked, one.got, one.text()] for one in verdicts]
    return common.table(["target", "asked for", "measured", "verdict"], cells)


def markdown(
    machine: Mapping[str, Any],
    limits: Limits,
    rows: Sequence[Mapping[str, Any]],
    verdicts: Sequence[Verdict],
    problems: Sequence[str],
) -> str:
    """The text for the documentation."""
    peers = [(name, peer) for row in rows for name, peer in row["peers"].items()]
    versions = sorted({f"{name} {peer['version']}" for name, peer in peers if "version" in peer})
    facts = ", ".join(f"{key} {value}" for key, value in machine.items())
    date = time.strftime("%Y-%m-%d", time.gmtime())
    lines = [f"{date}; {facts}; {', '.join(versions)}; {limits.text()}.", ""]
    lines += [table_of(rows), "", verdict_table(verdicts), ""]
    if problems:
        lines += ["What failed:", "", *(f"- {problem}" for problem in problems), ""]
    return "\n".join(lines)
