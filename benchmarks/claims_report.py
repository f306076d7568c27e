"""The page of the claims: a picture each, and a sentence for each data set."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import common
from claims_cases import CLAIMS, Claim, Trial
from claims_cases.base import Comparison, compare, interval, verdict

Measured = Mapping[str, Sequence[float]]


def _number(value: float, digits: int = 4) -> str:
    """With so many digits, more where it needs them before the point; no exponent."""
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.{digits}g}"


def _center(trial: Trial, values: Sequence[float]) -> str:
    """The mean, of logarithms where the trial compares ratios."""
    if trial.log:
        return _number(10 ** interval([math.log10(v) for v in values])[0], 3)
    return _number(interval(values)[0])


def _advantage(trial: Trial, found: Comparison) -> str:
    """In words: how much better, with the interval."""
    way = "better" if found.mean >= 0 else "worse"
    mean, half = abs(found.mean), found.half
    if trial.log:
        low, high = (_number(10**v, 3) for v in (mean - half, mean + half))
        text = f"{way} by a factor of {_number(10**mean, 3)} ({low} to {high})"
    elif half:
        places = max(0, 1 - math.floor(math.log10(half)))
        way = f"{way} by" if round(mean, places) else "no difference:"
        text = f"{way} {mean:.{places}f} ± {half:.{places}f}"
    else:
        text = f"{way} by {mean:.4g} for every seed" if mean else "no difference for any seed"
    return text + (", undecided" if found.verdict == "undecided" else "")


def sentence(claim: Claim, trial: Trial, measured: Measured) -> str:
    """Where, the verdict, and each pair with its numbers."""
    comparisons = compare(claim.pairs, trial, measured)
    pairs = "; ".join(
        f"{c.better} {_center(trial, measured[c.better])} against {c.other} "
        f"{_center(trial, measured[c.other])}, {_advantage(trial, c)}"
        for c in comparisons
    )
    seeds = min(map(len, measured.values()))
    return (
        f"**{trial.data}: {verdict(comparisons)}.** {trial.measure[0].upper()}{trial.measure[1:]} "
        f"({trial.setup}; {seeds} seeds): {pairs}."
    )


# ---- pictures ------------------------------------------------------------------------------------

_LABEL, _GAP, _ROW, _TOP, _FOOT = 175, 24, 24, 26, 42
_WIDTHS = {1: 420, 2: 300, 3: 230, 4: 190}
_OURS, _OTHERS = "#2a6fbb", "#777"


def picture(claim: Claim, measured: Mapping[str, Measured]) -> str:
    """An SVG: a row for each variant, a panel for each data set that was measured.

    In a panel a row has a dot for each seed, and above them the mean and its 95 % interval; what
    the claim calls better is blue.
    """
    trials = [trial for trial in claim.trials if trial.data in measured]
    names = list(trials[0].variants)
    width = _WIDTHS[len(trials)]
    ours = {better for better, _ in claim.pairs}
    bottom = _TOP + _ROW * len(names)
    whole, height = _LABEL + len(trials) * (width + _GAP), bottom + _FOOT
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {whole} {height}" '
        'font-family="sans-serif" font-size="12">',
        f"<title>{escape(claim.title)}</title>",
        f'<rect width="{whole}" height="{height}" fill="white"/>',
    ]
    for i, name in enumerate(names):
        weight = f' font-weight="bold" fill="{_OURS}"' if name in ours else ""
        parts.append(
            f'<text x="{_LABEL - 10}" y="{_TOP + _ROW * (i + 0.5) + 4:.0f}" text-anchor="end"'
            f"{weight}>{escape(name)}</text>"
        )
    for i, trial in enumerate(trials):
        left = _LABEL + i * (width + _GAP)
        parts += _panel(trial, measured[trial.data], names, ours, left, width)
    return "\n".join([*parts, "</svg>"]) + "\n"


def _panel(
    trial: Trial, measured: Measured, names: Sequence[str], ours: set[str], left: int, width: int
) -> list[str]:
    scale = math.log10 if trial.log else float
    rows = {name: [scale(v) for v in measured[name]] for name in names}
    means = {name: interval(values, trial.overlap) for name, values in rows.items()}
    ends = [end for c, half in means.values() for end in (c - half, c + half)]
    every = [v for values in (*rows.values(), ends) for v in values if math.isfinite(v)]
    low, high = min(every), max(every)
    room = (high - low or abs(high) or 1.0) * 0.06
    low, high = low - room, high + room
    bottom, middle = _TOP + _ROW * len(names), left + width / 2

    def x(value: float) -> float:
        return left + width * (min(max(value, low), high) - low) / (high - low)

    better = (
        f"{trial.measure}, better →" if trial.better == "higher" else f"← better, {trial.measure}"
    )
    parts = [
        f'<text x="{middle:.0f}" y="16" text-anchor="middle" fill="#222">{escape(trial.data)}'
        "</text>",
        f'<text x="{middle:.0f}" y="{bottom + 34}" text-anchor="middle" fill="#222" '
        f'font-size="11">{escape(better)}</text>',
        f'<path d="M{left} {bottom}h{width}" stroke="#bbb"/>',
    ]
    most = width // 48
    for tick in _decade_ticks(low, high, most) if trial.log else _ticks(low, high, most):
        text = f"{10**tick:.6g}" if trial.log else f"{tick:.6g}"
        parts.append(
            f'<path d="M{x(tick):.1f} {_TOP}V{bottom}" stroke="#e4e4e4"/>'
            f'<text x="{x(tick):.1f}" y="{bottom + 15}" text-anchor="middle" fill="#444" '
            f'font-size="11">{text}</text>'
        )
    for i, name in enumerate(names):
        y = _TOP + _ROW * (i + 0.5)
        center, half = means[name]
        color = _OURS if name in ours else _OTHERS
        dots = "".join(f"M{x(v):.1f} {y + 5:.0f}h0" for v in rows[name])
        parts.append(
            f'<path d="{dots}" stroke="{color}" stroke-width="4" stroke-linecap="round" '
            f'opacity="0.4"/><path d="M{x(center - half):.1f} {y - 3:.0f}H{x(center + half):.1f}" '
            f'stroke="{color}" stroke-width="2.5"/>'
            f'<circle cx="{x(center):.1f}" cy="{y - 3:.0f}" r="3.5" fill="{color}"/>'
        )
    return parts


def _ticks(low: float, high: float, most: int) -> list[float]:
    """Multiples of 1, 2 or 5 times a power of ten, at most `most`."""
    power = 10.0 ** math.floor(math.log10((high - low) / most))
    step = next(power * m for m in (1, 2, 5, 10, 20) if (high - low) / (power * m) < most)
    first = math.ceil(low / step)
    return [i * step for i in range(first, math.floor(high / step) + 1)]


def _decade_ticks(low: float, high: float, most: int) -> list[float]:
    """Logarithms of 1, 2 and 5 times the powers of ten, of fewer where those are too many."""
    decades = range(math.floor(low), math.ceil(high) + 1)
    for factors, every in (((1, 2, 5), 1), ((1, 3), 1), ((1,), 1), ((1,), 2), ((1,), 4)):
        ticks = [d + math.log10(m) for d in decades if d % every == 0 for m in factors]
        ticks = [tick for tick in ticks if low <= tick <= high]
        if len(ticks) <= most:
            break
    return ticks


# ---- the page ------------------------------------------------------------------------------------


def write(page: Path, section: Mapping[str, Any]) -> None:
    """Pictures into a folder of the page's name, the text between its marks."""
    folder = page.with_suffix("")
    folder.mkdir(exist_ok=True)
    table, body = [], []
    for claim in CLAIMS:
        measured = section["rows"].get(claim.name, {})
        trials = [trial for trial in claim.trials if trial.data in measured]
        if not trials:
            continue
        (folder / f"{claim.name}.svg").write_text(picture(claim, measured))
        found = [
            f"{trial.data}: {verdict(compare(claim.pairs, trial, measured[trial.data]))}"
            for trial in trials
        ]
        table.append([claim.title, claim.source, "; ".join(found)])
        body += [f"## {claim.title}", "", f"{claim.says} ({claim.source})", ""]
        body += [f"- {sentence(claim, trial, measured[trial.data])}" for trial in trials]
        body += ["", f"![{claim.title}]({folder.name}/{claim.name}.svg)", ""]
    versions = ", ".join(f"{name} {version}" for name, version in section["machine"].items())
    head = common.table(["claim", "handbook", "measured"], table)
    text = "\n".join([head, "", f"{versions}; {section['date']}.", "", *body])
    common.write_readme(page, text.rstrip())
