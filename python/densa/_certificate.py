"""How right a predictor is, and how fast: measured when it is frozen, kept in its file."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, field, fields
from typing import Any

import numpy as np

_ROWS = 256  # of generated data
_MOST_IDS = 1 << 30
_LATENCY_ROWS = (1, 32)
_SECONDS = 0.02  # of timing, for each number of rows


@dataclass(frozen=True)
class Certificate:
    """What a predictor is worth.

    Errors are against the network as it was, unfolded and in float64, on `rows` rows.

    Args:
        data: "given", or "generated": standard normal numbers, ids and bytes drawn evenly.
        rows: how many.
        max_abs_error: largest absolute error of a number.
        max_ulp_error: the same in units in the last place of the float32 answer.
        max_row_error: largest error of a row over the row's norm.
        argmax_agreement: share of rows, over all outputs with several columns, whose largest column
            is the same.
        model_row_error: `max_row_error` of the unfrozen network in its own precision.
        same_bits: whether the answers on the data are those of the unfrozen network, bit for bit.
        folded: what became part of a layer.
        merged: layers that became one.
        removed: units that were constant.
        kept: what could not be folded, and why.
        formats: layer by layer, the format of its weights and why, where others than float32 were
            tried or asked for.
        bytes: of all constants; `model_bytes` before.
        flops: multiplications and additions for a row; `model_flops` before.
        latency: for some numbers of rows, p50 and p99 of a call from Python in microseconds, on the
            machine that froze it.
    """

    data: str
    rows: int
    max_abs_error: float
    max_ulp_error: float
    max_row_error: float
    argmax_agreement: float
    model_row_error: float
    same_bits: bool
    folded: tuple[str, ...]
    merged: tuple[str, ...]
    removed: tuple[str, ...]
    kept: tuple[str, ...]
    bytes: int
    model_bytes: int
    flops: float
    model_flops: float
    formats: dict[str, str] = field(default_factory=dict)
    latency: dict[str, tuple[float, float]] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Plain lists, numbers and texts, as a file holds them; "nan" and "inf" are texts."""
        return {key: _plain(v) for key, v in asdict(self).items()}

    @classmethod
    def from_dict(cls, data: Any) -> Certificate:
        """The certificate of a file; ValueError for anything else."""
        known = {f.name for f in fields(cls)}
        if not isinstance(data, dict) or set(data) != known:
            raise ValueError("the predictor's certificate does not have the parts of one")
        made: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in data.items()}
        for key, v in made.items():
            if v in ("nan", "inf"):
                made[key] = float(v)
        made["latency"] = {k: tuple(v) for k, v in made["latency"].items()}
        return cls(**made)

    def __str__(self) -> str:
        lines = [
            f"on {self.rows} rows, {self.data}, against float64 and unfolded:",
            f"  largest error {self.max_abs_error:.2g} absolute, {self.max_ulp_error:.3g} ulp, "
            f"{self.max_row_error:.2g} of a row's norm (unfrozen: {self.model_row_error:.2g})",
            f"  argmax agrees on {self.argmax_agreement:.2%}; "
            + ("the bits of the unfrozen network" if self.same_bits else "not the same bits"),
            f"{self.bytes} bytes ({self.model_bytes} before), {self.flops:.0f} operations a row "
            f"({self.model_flops:.0f} before)",
        ]
        lines += [
            f"{rows} rows: p50 {p50:.2f} us, p99 {p99:.2f} us"
            for rows, (p50, p99) in self.latency.items()
        ]
        for name in ("folded", "merged", "removed", "kept"):
            lines += [f"{name}: {text}" for text in getattr(self, name)]
        lines += [f"format: {layer} {kind}" for layer, kind in self.formats.items()]
        return "\n".join(lines)


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return list(value)
    return str(value) if isinstance(value, float) and not np.isfinite(value) else value


# ---- data ----------------------------------------------------------------------------------------


def generate(predictor: Any, probe: Any, rows: int = _ROWS) -> list[Any]:
    """Normal numbers, and whole ones drawn evenly from what `probe`, of the same inputs, takes."""
    rng = np.random.default_rng(0)
    arrays = []
    for i, spec in enumerate(predictor.inputs):
        shape, dtype = (rows, *spec.shape[1:]), np.dtype(spec.dtype)
        if dtype.kind == "f":
            arrays.append(rng.standard_normal(shape).astype(dtype))
        else:
            arrays.append(rng.integers(0, _ids(probe, i), shape).astype(dtype))
    return arrays


def _ids(probe: Any, index: int) -> int:
    """How many ids an input takes: 0, 1, … At most 256 where every whole number is taken."""
    row = [np.zeros((1, *spec.shape[1:]), spec.dtype) for spec in probe.inputs]
    dtype = row[index].dtype
    if dtype.kind == "b":
        return 2

    def takes(number: int) -> bool:
        row[index].fill(number)
        try:
            probe.run(row)
        except IndexError:
            return False
        return True

    low, high = 0, min(_MOST_IDS, int(np.iinfo(dtype).max))
    if takes(high):
        return min(256, high + 1)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if takes(middle) else (low, middle)
    return high


def check_given(predictor: Any, arrays: list[Any]) -> list[Any]:
    """The rows that a user gave, in the dtypes of the inputs; ValueError for what does not fit."""
    if len(arrays) != len(predictor.inputs):
        raise ValueError(
            f"calibration: {len(predictor.inputs)} inputs expected; received {len(arrays)}."
        )
    return [
        np.ascontiguousarray(a).astype(spec.dtype, copy=False)
        for a, spec in zip(arrays, predictor.inputs, strict=True)
    ]


# ---- errors --------------------------------------------------------------------------------------


def _rows_of(outputs: list[Any]) -> list[Any]:
    return [np.asarray(y, np.float64).reshape(len(y), -1) for y in outputs]


def row_error(outputs: list[Any], exact: list[Any]) -> float:
    """The largest error of a row, over all outputs, by the row's norm."""
    largest = 0.0
    for y, t in zip(_rows_of(outputs), _rows_of(exact), strict=True):
        with np.errstate(divide="ignore", invalid="ignore"):
            norm = np.linalg.norm(t, axis=1)
            error = np.linalg.norm(y - t, axis=1)
            share = np.where(error == 0, 0.0, error / norm)
        # A row without finite answers says nothing, and one that loses them everything.
        share = np.where(np.isfinite(norm), np.where(np.isnan(share), np.inf, share), 0.0)
        largest = max(largest, float(np.max(share, initial=0.0)))
    return largest


def _ulps(outputs: list[Any], exact: list[Any]) -> float:
    largest = 0.0
    for y, t in zip(outputs, exact, strict=True):
        if y.dtype.kind != "f":
            continue
        unit = np.spacing(np.abs(t).astype(y.dtype)).astype(np.float64)
        largest = max(largest, float(np.max(np.abs(y.astype(np.float64) - t) / unit, initial=0.0)))
    return largest


def _agreement(outputs: list[Any], exact: list[Any]) -> float:
    shares = [
        np.mean(np.argmax(y, axis=1) == np.argmax(t, axis=1))
        for y, t in zip(_rows_of(outputs), _rows_of(exact), strict=True)
        if y.shape[1] > 1 and len(y)
    ]
    return float(np.mean(shares)) if shares else 1.0


def _latency(predictor: Any, arrays: list[Any]) -> dict[str, tuple[float, float]]:
    found = {}
    for rows in _LATENCY_ROWS:
        x = [np.ascontiguousarray(np.resize(a, (rows, *a.shape[1:]))) for a in arrays]
        times: list[int] = []
        clock = time.perf_counter_ns
        end = clock() + int(_SECONDS * 1e9)
        while clock() < end or len(times) < 10:
            start = clock()
            predictor(*x)
            times.append(clock() - start)
        times = sorted(times[len(times) // 5 :])  # the first ones warm up
        found[str(rows)] = (times[len(times) // 2] / 1e3, times[len(times) * 99 // 100] / 1e3)
    return found


def certify(
    predictor: Any,
    plain: Any,
    exact: Any,
    report: dict[str, list[str]],
    arrays: list[Any],
    data: str,
    *,
    sizes: tuple[tuple[int, float], tuple[int, float]],
    formats: dict[str, str],
) -> Certificate:
    """Measure a predictor against the network unfolded (`plain`) and in float64 too (`exact`)."""
    answers, before, wanted = (p.run(arrays) for p in (predictor, plain, exact))
    differences = [
        float(np.max(np.abs(np.asarray(y, np.float64) - t), initial=0.0))
        for y, t in zip(answers, wanted, strict=True)
    ]
    return Certificate(
        data=data,
        rows=len(arrays[0]) if arrays else 0,
        max_abs_error=max(differences),
        max_ulp_error=_ulps(answers, wanted),
        max_row_error=row_error(answers, wanted),
        argmax_agreement=_agreement(answers, wanted),
        model_row_error=row_error(before, wanted),
        same_bits=all(
            np.array_equal(y, t, equal_nan=y.dtype.kind == "f")
            for y, t in zip(answers, before, strict=True)
        ),
        folded=tuple(report["folded"]),
        merged=tuple(report["merged"]),
        removed=tuple(report["removed"]),
        kept=tuple(report["kept"]),
        bytes=sizes[0][0],
        flops=sizes[0][1],
        model_bytes=sizes[1][0],
        model_flops=sizes[1][1],
        formats=formats,
        latency=_latency(predictor, arrays),
    )
