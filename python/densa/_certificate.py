"""How right a predictor is, and how fast: measured when it is frozen, kept in its file."""

from __future__ import annotations

import math
import time
from dataclasses import asdict, dataclass, field, fields
from typing import Any

import numpy as np

from densa.utils import tree

_ROWS = 256  # of generated data
_MOST_IDS = 1 << 30
_LATENCY_ROWS = (1, 32)
_SECONDS = 0.02  # of timing, for each number of rows


@dataclass(frozen=True)
class Certificate:
    """What a predictor is worth.

    Three networks answer the same `rows` rows. The predictor, as it is called. The exact one: the
    model unfolded and in float64 throughout, without the roundings to 16 bits of a mixed policy.
    (A cast to 16 bits that the user asked for stays in both.)
    And the model as it is, in its own policy and on its own device: `model.predict`, in batches of
    at most 256 rows, or of as many as a model with a fixed batch takes.

    Errors are the predictor's against the exact network, `model_row_error` is the model's. They are
    NaN where both have an answer that is no finite number, and where only one has, NaN or infinite;
    of several outputs the largest counts, and NaN is larger than any.

    Args:
        data: "given", or "generated": standard normal numbers, ids and bytes drawn evenly.
        rows: how many.
        max_abs_error: largest absolute error of a number.
        max_ulp_error: the same in units in the last place of the predictor's type; of floating
            outputs alone.
        max_row_error: largest error of a row over the row's norm.
        argmax_agreement: share of rows, over all outputs with several columns, whose largest column
            is the exact network's. A row with NaN agrees if the NaN stand in the same columns, and
            the largest of the others does.
        model_row_error: `max_row_error` of `model.predict`; NaN also where that raises an error or
            has outputs of other shapes, as a `predict_step` of the model's own may.
        same_bits: whether the predictor's answers are those of `model.predict`, bit for bit and of
            the same dtype; any NaN counts as any other. Expect it where nothing was folded, merged
            or removed, the model's type is the predictor's and both are on the CPU: a predictor
            leaves out the roundings of mixed policies.
        folded: what became part of a layer.
        merged: layers that became one.
        removed: units that were constant, and roundings to 16 bits.
        kept: what could not be folded, why, and as what it is kept: a scale and a shift are one
            multiplication and one addition, whose roundings are not those of `model.predict`.
        formats: layer by layer, the format of its weights and why, where others than float32 were
            tried or asked for.
        bytes: of all constants; `model_bytes`: of the unfolded network in the predictor's type.
        flops: multiplications and additions for a row; `model_flops`: of the unfolded network.
        latency: for some numbers of rows, p50 and p99 of a call from Python in microseconds, on the
            machine that froze it.
        non_finite_rows: rows for which the predictor, or the exact network, has an answer that is
            NaN or infinite.
        non_finite_weights: variables of the model with numbers that are NaN or infinite, and how
            many. Such rows and errors may come from them.
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
    non_finite_rows: int = 0
    non_finite_weights: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain lists, numbers and texts, as a file holds them; "nan" and "inf" are texts."""
        return {key: _plain(v) for key, v in asdict(self).items()}

    @classmethod
    def from_dict(cls, data: Any) -> Certificate:
        """The certificate of a file, without parts that only a later densa knows.

        Raises:
            ValueError: for what is none.
        """
        known = {f.name for f in fields(cls)}
        later = {"non_finite_rows", "non_finite_weights"}  # files of before have none
        if not isinstance(data, dict) or not known - later <= set(data):
            raise ValueError("the predictor's certificate does not have the parts of one")
        made: dict[str, Any] = {
            k: tuple(v) if isinstance(v, list) else v for k, v in data.items() if k in known
        }
        for key, v in made.items():
            if v in ("nan", "inf"):
                made[key] = float(v)
        made["latency"] = {k: tuple(v) for k, v in made["latency"].items()}
        return cls(**made)

    def __str__(self) -> str:
        lines = [
            f"on {self.rows} rows, {self.data}, against the unfolded network in float64:",
            f"  largest error {self.max_abs_error:.2g} absolute, {self.max_ulp_error:.3g} ulp, "
            f"{self.max_row_error:.2g} of a row's norm (model.predict: {self.model_row_error:.2g})",
            # Rounded down: 100 % are all rows.
            f"  argmax agrees on {math.floor(self.argmax_agreement * 1e4) / 1e4:.2%}; "
            + ("the bits of model.predict" if self.same_bits else "not the bits of model.predict"),
        ]
        if self.non_finite_rows:
            lines.append(f"  {self.non_finite_rows} rows have answers that are NaN or infinite")
        lines.append(
            f"{self.bytes} bytes ({self.model_bytes} before), {self.flops:.0f} operations a row "
            f"({self.model_flops:.0f} before)"
        )
        lines += [
            f"{rows} rows: p50 {p50:.2f} us, p99 {p99:.2f} us"
            for rows, (p50, p99) in self.latency.items()
        ]
        lines += [f"not finite: {text}" for text in self.non_finite_weights]
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
    """Normal numbers, and whole ones drawn evenly from what `probe`, of the same inputs, takes.

    A floating input gets whole ones, too, where the network refuses others: ids may be floats.

    Raises:
        ValueError: if it refuses these as well.
    """
    rng = np.random.default_rng(0)
    arrays, floats = [], []
    for i, spec in enumerate(predictor.inputs):
        shape, dtype = (rows, *spec.shape[1:]), np.dtype(spec.dtype)
        if dtype.kind == "f":
            floats.append(i)
            arrays.append(rng.standard_normal(shape).astype(dtype))
        else:
            arrays.append(rng.integers(0, _ids(probe, i), shape).astype(dtype))
    if _refusal(probe, arrays) is None:
        return arrays
    for i in floats:
        others = [np.zeros_like(a) for a in arrays]
        if _refusal(probe, [*others[:i], arrays[i], *others[i + 1 :]]) is not None:
            made = rng.integers(0, _ids(probe, i), arrays[i].shape)
            arrays[i] = made.astype(arrays[i].dtype)
    error = _refusal(probe, arrays)
    if error is not None:
        raise ValueError(
            "freeze: the network refuses the rows that were made up to measure it "
            f"({str(error).rstrip('.')}). Pass some of your own: freeze(calibration=rows)."
        ) from error
    return arrays


def _refusal(probe: Any, arrays: list[Any]) -> Exception | None:
    try:
        probe.run(arrays)
    except (IndexError, ValueError) as error:
        return error
    return None


def _ids(probe: Any, index: int) -> int:
    """How many ids an input takes: 0, 1, … At most 256 where every whole number is taken."""
    row = [np.zeros((1, *spec.shape[1:]), spec.dtype) for spec in probe.inputs]
    dtype = row[index].dtype
    if dtype.kind == "b":
        return 2

    def takes(number: int) -> bool:
        row[index].fill(number)
        return _refusal(probe, row) is None

    # The largest number up to which a floating type has all whole ones.
    last = 2 << np.finfo(dtype).nmant if dtype.kind == "f" else int(np.iinfo(dtype).max)
    low, high = 0, min(_MOST_IDS, last)
    if takes(high):
        return min(256, high + 1)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if takes(middle) else (low, middle)
    return high


def check_given(predictor: Any, arrays: list[Any]) -> list[Any]:
    """The rows that a user gave, in the dtypes of the inputs.

    Raises:
        ValueError: for other shapes, no rows, and numbers that are none of the input's dtype.
        TypeError: for what is no array of numbers.
    """
    if len(arrays) != len(predictor.inputs):
        raise ValueError(
            f"calibration: {len(predictor.inputs)} inputs expected; received {len(arrays)}."
        )
    made = [_given(a, spec) for a, spec in zip(arrays, predictor.inputs, strict=True)]
    rows = [len(a) for a in made]
    if len(set(rows)) > 1:
        raise ValueError(f"calibration: inputs have different numbers of rows: {rows}.")
    if rows and not rows[0]:
        raise ValueError("calibration: at least one row is needed; received 0. None makes rows up.")
    return made


def _given(given: Any, spec: Any) -> Any:
    array, where = np.asarray(given), f"calibration: input '{spec.name}'"
    if array.dtype.kind not in "biuf" and array.dtype.name != "bfloat16":
        raise TypeError(f"{where} must be numbers of {spec.dtype}; received {array.dtype}.")
    if array.shape[1:] != spec.shape[1:] or array.ndim != len(spec.shape):
        wanted = ", ".join("rows" if d is None else str(d) for d in spec.shape)
        raise ValueError(f"{where} must have shape ({wanted}) but has shape {array.shape}.")
    with np.errstate(invalid="ignore", over="ignore"):
        made = np.ascontiguousarray(array, spec.dtype)
    if made.dtype.kind != "f" and not np.array_equal(made, array):
        raise ValueError(f"{where} has numbers that are none of {spec.dtype}.")
    return made


# ---- errors --------------------------------------------------------------------------------------


def _rows_of(outputs: list[Any]) -> list[Any]:
    return [np.asarray(y, np.float64).reshape(len(y), math.prod(y.shape[1:])) for y in outputs]


def _largest(parts: list[Any]) -> float:
    """The largest number of all; NaN if one is."""
    return float(np.max([np.max(part, initial=0.0) for part in parts], initial=0.0))


def _row_errors(outputs: list[Any], exact: list[Any]) -> list[Any]:
    """The error of each row over its norm: NaN for a row that is not finite, ∞ for one that was."""
    found = []
    for y, t in zip(_rows_of(outputs), _rows_of(exact), strict=True):
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            norm = np.linalg.norm(t, axis=1)
            error = np.linalg.norm(y - t, axis=1)
            share = np.where(error == 0, 0.0, error / norm)
        found.append(np.where(np.isfinite(norm), np.where(np.isnan(share), np.inf, share), np.nan))
    return found


def row_error(outputs: list[Any], exact: list[Any]) -> float:
    """The largest error of a row, over all outputs, by the row's norm.

    A row without finite answers says nothing, and one that loses them everything.
    """
    return _largest([np.where(np.isnan(e), 0.0, e) for e in _row_errors(outputs, exact)])


def _differences(outputs: list[Any], exact: list[Any]) -> list[Any]:
    with np.errstate(invalid="ignore"):
        return [np.abs(np.asarray(y, np.float64) - t) for y, t in zip(outputs, exact, strict=True)]


def _ulps(outputs: list[Any], exact: list[Any]) -> float:
    parts = []
    for y, t, error in zip(outputs, exact, _differences(outputs, exact), strict=True):
        if y.dtype.kind != "f":
            continue
        with np.errstate(over="ignore", invalid="ignore"):
            parts.append(error / np.spacing(np.abs(t).astype(y.dtype)).astype(np.float64))
    return _largest(parts)


def _agreement(outputs: list[Any], exact: list[Any]) -> float:
    shares = []
    for y, t in zip(_rows_of(outputs), _rows_of(exact), strict=True):
        if y.shape[1] < 2:
            continue
        nans = np.isnan(y), np.isnan(t)
        largest = [
            np.argmax(np.where(n, -np.inf, a), axis=1) for n, a in zip(nans, (y, t), strict=True)
        ]
        shares.append(np.mean((nans[0] == nans[1]).all(axis=1) & (largest[0] == largest[1])))
    return float(np.mean(shares)) if shares else 1.0


def _non_finite(outputs: list[Any], exact: list[Any]) -> int:
    rows = [~np.isfinite(a).all(axis=1) for a in (*_rows_of(outputs), *_rows_of(exact))]
    return int(np.any(rows, axis=0).sum()) if rows else 0


def _non_finite_weights(model: Any) -> tuple[str, ...]:
    found = []
    for variable in model.variables:
        numbers = variable.numpy()
        count = numbers.size - np.isfinite(numbers).sum() if numbers.dtype.kind == "f" else 0
        if count:
            found.append(f"{variable.path}: {count} of {numbers.size} numbers")
    return tuple(found)


def _same_bits(outputs: list[Any], others: list[Any]) -> bool:
    return all(
        y.dtype == t.dtype and _bits_alike(y, t) for y, t in zip(outputs, others, strict=True)
    )


def _bits_alike(y: Any, t: Any) -> bool:
    bits = f"u{y.dtype.itemsize}"
    alike = y.view(bits) == t.view(bits)
    return bool(np.all(alike | (np.isnan(y) & np.isnan(t)) if y.dtype.kind == "f" else alike))


def predicted(model: Any, x: Any, outputs: list[Any], batch: int | None = None) -> list[Any] | None:
    """What `model.predict` returns; None if that is nothing to compare with `outputs`.

    Args:
        model: the model.
        x: its inputs.
        outputs: the predictor's answers.
        batch: how many rows the model takes, if it takes one number of them alone. The last batch
            is then filled with rows that come again.
    """
    rows = len(outputs[0]) if outputs else 0
    whole = rows if batch is None else -(-rows // batch) * batch
    try:
        if whole != rows:
            x = tree.map_structure(lambda a: np.resize(a, (whole, *a.shape[1:])), x)
        found = model.predict(x, batch_size=batch or _ROWS, verbose=0)
        leaves = [np.asarray(y) for y in tree.flatten(found)]
    except Exception:  # a step of the model's own may do anything, and freezing does not need it
        return None
    if any(y.ndim == 0 or len(y) != whole for y in leaves):
        return None
    leaves = [y[:rows] for y in leaves]
    return leaves if [y.shape for y in leaves] == [y.shape for y in outputs] else None


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
    model: Any,
    predictor: Any,
    exact: Any,
    report: dict[str, list[str]],
    arrays: list[Any],
    data: str,
    *,
    structure: Any,
    sizes: tuple[tuple[int, float], tuple[int, float]],
    formats: dict[str, str],
) -> Certificate:
    """Measure a predictor against its model, and against that in float64 and unfolded (`exact`)."""
    answers, wanted = predictor.run(arrays), exact.run(arrays)
    fixed = {leaf.shape[0] for leaf in tree.flatten(structure)} - {None}
    batch = max(fixed, default=None)
    own = predicted(model, tree.pack_like(structure, arrays), answers, batch)
    return Certificate(
        data=data,
        rows=len(arrays[0]) if arrays else 0,
        max_abs_error=_largest(_differences(answers, wanted)),
        max_ulp_error=_ulps(answers, wanted),
        max_row_error=_largest(_row_errors(answers, wanted)),
        argmax_agreement=_agreement(answers, wanted),
        model_row_error=math.nan if own is None else _largest(_row_errors(own, wanted)),
        same_bits=own is not None and _same_bits(answers, own),
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
        non_finite_rows=_non_finite(answers, wanted),
        non_finite_weights=_non_finite_weights(model),
    )
