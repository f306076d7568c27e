"""The page of the claims: one sentence, one picture each."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import common
from claims_cases import CLAIMS, Claim
from claims_cases.base import Comparison, compare, interval

Measured = Mapping[str, Sequence[float]]
_WORDS = {
    "holds": "It holds",
    "does not hold": "It does not hold",
    "undecided": "It is not decided",
}


def verdict(comparisons: Sequence[Comparison]) -> str:
    """Of all: it holds if each does, and fails where one is the other way round."""
    found = {comparison.verdict for comparison in comparisons}
    if found == {"holds"}:
        return "holds"
    return "does not hold" if "does not hold" in found else "undecided"


def _mean(claim: Claim, values: Sequence[float]) -> str:
    if claim.log:
        center, half = interval([math.log10(v) for v in values])
        return f"{10**center:.3g} ({10 ** (center - half):.3g} to {10 ** (center + half):.3g})"
    center, half = interval(values)
    return f"{center:.4g} ± {half:.2g}"


def sentence(claim: Claim, measured: Measured) -> str:
    """The verdict with its numbers; comparisons that differ from it are named."""
    comparisons = compare(claim, measured)
    whole = verdict(comparisons)
    best = _mean(claim, measured[claim.winner])
    against = ", ".join(
        f"{c.other} {_mean(claim, measured[c.other])}"
        + ("" if c.verdict == whole else f" ({c.verdict})")
        for c in comparisons
    )
    seeds = len(measured[claim.winner])
    return (
        f"{_WORDS[whole]}: {claim.measure}: {claim.winner} {best}, against {against}; "
        f"{seeds} seeds, 95 % intervals."
    )


# ---- pictures ------------------------------------------------------------------------------------

_LABEL, _PLOT, _ROW, _TOP, _FOOT = 170, 400, 26, 8, 40


def picture(claim: Claim, measured: Measured) -> str:
    """An SVG: a row for each variant with a dot for each seed, the mean and its interval."""
    scale = math.log10 if claim.log else float
    rows = {name: [scale(v) for v in values] for name, values in measured.items()}
    every = [v for values in rows.values() for v in values]
    low, high = min(every), max(every)
    room = (high - low or abs(high) or 1.0) * 0.06
    low, high = low - room, high + room
    height = _TOP + _ROW * len(rows) + _FOOT

    def x(value: float) -> float:
        return _LABEL + _PLOT * (min(max(value, low), high) - low) / (high - low)

    bottom = _TOP + _ROW * len(rows)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_LABEL + _PLOT + 20} {height}" '
        'font-family="sans-serif" font-size="12">',
        f'<rect width="{_LABEL + _PLOT + 20}" height="{height}" fill="white"/>',
    ]
    for tick in _ticks(low, high):
        text = f"{10**tick:.3g}" if claim.log else f"{tick:.6g}"
        parts.append(
            f'<path d="M{x(tick):.1f} {_TOP}V{bottom}" stroke="#ddd"/>'
            f'<text x="{x(tick):.1f}" y="{bottom + 15}" text-anchor="middle" fill="#444">'
            f"{text}</text>"
        )
    for i, (name, values) in enumerate(rows.items()):
        y = _TOP + _ROW * (i + 0.5)
        center, half = interval(values)
        weight = ' font-weight="bold"' if name == claim.winner else ""
        color = "#2a6fbb" if name == claim.winner else "#777"
        parts.append(
            f'<text x="{_LABEL - 10}" y="{y + 4:.0f}" text-anchor="end"{weight}>'
            f"{escape(name)}</text>"
        )
        parts += [
            f'<circle cx="{x(v):.1f}" cy="{y + 5:.1f}" r="2" fill="{color}" opacity="0.35"/>'
            for v in values
        ]
        parts.append(
            f'<path d="M{x(center - half):.1f} {y - 3:.1f}H{x(center + half):.1f}" '
            f'stroke="{color}" stroke-width="2.5"/>'
            f'<circle cx="{x(center):.1f}" cy="{y - 3:.1f}" r="4" fill="{color}"/>'
        )
    parts.append(
        f'<text x="{_LABEL + _PLOT / 2:.0f}" y="{height - 8}" text-anchor="middle" fill="#222">'
        f"{escape(claim.measure)} ({claim.better} is better)</text></svg>"
    )
    return "\n".join(parts) + "\n"


def _ticks(low: float, high: float) -> list[float]:
    """Round numbers, at most about six."""
    step = 10.0 ** math.floor(math.log10((high - low) / 2))
    while (high - low) / step > 6:
        step *= 2.5 if str(step)[0] == "2" else 2
    first = math.ceil(low / step)
    return [i * step for i in range(first, math.floor(high / step) + 1)]


# ---- the page ------------------------------------------------------------------------------------


def write(page: Path, section: dict[str, Any]) -> None:
    """Pictures into a folder of the page's name, the text between its marks."""
    folder = page.with_suffix("")
    folder.mkdir(exist_ok=True)
    table, body = [], []
    for claim in CLAIMS:
        row = section["rows"].get(claim.name)
        if row is None:
            continue
        measured = row["measured"]
        (folder / f"{claim.name}.svg").write_text(picture(claim, measured))
        table.append([claim.title, claim.source, verdict(compare(claim, measured))])
        body += [
            f"## {claim.title}",
            "",
            f"{claim.says} ({claim.source}) {sentence(claim, measured)}",
            "",
            f"![{claim.title}]({folder.name}/{claim.name}.svg)",
            "",
        ]
    versions = ", ".join(f"{name} {version}" for name, version in section["machine"].items())
    head = common.table(["claim", "handbook", "measured"], table)
    text = "\n".join([head, "", f"{versions}; {section['date']}.", "", *body])
    common.write_readme(page, text.rstrip())
