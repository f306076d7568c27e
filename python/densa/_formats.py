"""The format of each layer's weights: `freeze(dtype=…, calibration=…, formats=…)`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from densa import _core
from densa._core import Predictor

# What may be asked for all layers, and what it may change outputs by, as a part of their norm.
BUDGETS = {"float32": 0.0, "bfloat16": 0.01, "int8": 0.04}
FORMATS = [*BUDGETS, "sparse"]
ROWS = (1, 32)  # of the calls that are timed
GAIN = 0.95  # what is less of a gain is noise
# Sparse weights are tried where so many blocks are zeros, and such a part of all: for fewer they
# were never the faster ones.
LEAST_EMPTY, LEAST_EMPTY_PART = 64, 0.25

Arrays = list[np.ndarray[Any, Any]]
Format = tuple[str, float, int]  # name; of x: scale and zero, 0 for each row by itself
PLAIN: Format = ("float32", 0.0, 0)


class LayerFormat(str):
    """A format's name, and the range of int8 that a layer multiplies, if it is fixed.

    Args:
        name: the format.
        scale: of what the layer multiplies; 0: each row has its own range.
        zero: which byte is 0.
    """

    scale: float
    zero: int

    def __new__(cls, name: str, scale: float = 0.0, zero: int = 0) -> LayerFormat:
        made = super().__new__(cls, name)
        made.scale, made.zero = scale, zero
        return made


class Layer(NamedTuple):
    """A product whose weights may have another format."""

    name: str
    inputs: int
    outputs: int
    rows: int  # that it multiplies, for each row of the batch
    format: Format


class Trial(NamedTuple):
    """A layer in another format, the others in float32."""

    form: Format
    ratio: float  # of its time to float32's
    error: float  # by which outputs change, as a part of their norm
    text: str


def layers_of(predictor: Predictor) -> list[Layer]:
    """The layers of a predictor, in order."""
    return [Layer(*layer) for layer in _core.predictor_layers(predictor)]


def choose(
    predictor: Predictor,
    dtype: str,
    data: Arrays,
    static: bool,
    formats: Mapping[str, str],
    budget: float | None,
) -> tuple[Predictor, dict[str, str]]:
    """Return the predictor in the formats that are wished for and pay, and why, layer by layer.

    Args:
        predictor: all of it in float32.
        dtype: what layers should have that `formats` does not name. Sparse weights are tried, too,
            where they may pay, and the fastest format is taken.
        data: rows for each input.
        static: whether int8 layers take the range of what they multiply from `data`.
        formats: formats by layer, which are taken as they are; the range of a LayerFormat where
            `data` gives none.
        budget: the largest change of the outputs; None: that of `dtype`.

    Returns:
        The predictor, and what became of each layer; nothing where nothing was tried.

    Raises:
        ValueError: for unknown formats or layers, and weights that int8 cannot hold.
    """
    layers = layers_of(predictor)
    _check(layers, formats, budget)
    if budget is None:
        budget = BUDGETS[dtype]
    wishes = [_wishes(predictor, i, layer, dtype, formats) for i, layer in enumerate(layers)]
    if dtype == "float32" and not formats and not any(wishes):
        return predictor, {}
    chosen, why = [PLAIN] * len(layers), [""] * len(layers)
    faster: list[list[Trial]] = [[] for _ in layers]  # the best first
    errors = [0.0] * len(layers)
    wanted = predictor.run(data)

    def form_of(i: int, name: str) -> Format:
        if static and name == "int8":
            return (name, *_range(predictor, i, data))
        if isinstance(name, LayerFormat):
            return (str(name), name.scale, name.zero)
        return (name, 0.0, 0)

    def attempt(i: int, name: str) -> None:
        trial = _trial(predictor, i, form_of(i, name), data, wanted)
        why[i] += f"{'; ' if why[i] else ', '}{trial.text}"
        if trial.ratio <= GAIN:
            faster[i] = sorted([*faster[i], trial], key=lambda trial: trial.ratio)

    def take(i: int) -> None:
        best = faster[i].pop(0) if faster[i] else None
        chosen[i], errors[i] = (best.form, best.error) if best else (PLAIN, 0.0)

    for i, layer in enumerate(layers):
        if layer.name in formats:
            for name in wishes[i]:
                chosen[i], why[i] = form_of(i, name), ", as asked for"
        else:
            for name in wishes[i]:
                attempt(i, name)
            take(i)
        if "sparse" in wishes[i]:
            kept, blocks = _core.predictor_layer_blocks(predictor, i)
            why[i] += f"; {kept} of its {blocks} blocks have weights"
    made = _core.predictor_with(predictor, chosen)
    while not _error(made.run(data), wanted) <= budget:
        free = [
            i
            for i, form in enumerate(chosen)
            if form[0] not in ("float32", "sparse") and layers[i].name not in formats
        ]
        if not free:
            break
        worst = max(free, key=lambda i: errors[i])
        why[worst] += f", all together by more than the budget of {budget:.2%}"
        if chosen[worst][0] == "int8":
            attempt(worst, "bfloat16")
            faster[worst] = [trial for trial in faster[worst] if trial.error <= budget]
        take(worst)
        made = _core.predictor_with(predictor, chosen)
    return made, {
        layer.name: f"{form[0]}{reason}"
        for layer, form, reason in zip(layers, chosen, why, strict=True)
    }


def _wishes(
    predictor: Predictor, index: int, layer: Layer, dtype: str, formats: Mapping[str, str]
) -> list[str]:
    """The formats that a layer may have, but for float32."""
    if layer.name in formats:
        return [form for form in [formats[layer.name]] if form != "float32"]
    wishes = [dtype] if dtype != "float32" else []
    kept, blocks = _core.predictor_layer_blocks(predictor, index)
    if blocks - kept >= max(LEAST_EMPTY, LEAST_EMPTY_PART * blocks):
        wishes.append("sparse")
    return wishes


def _trial(predictor: Predictor, layer: int, form: Format, data: Arrays, wanted: Arrays) -> Trial:
    layers = layers_of(predictor)
    forms = [form if k == layer else PLAIN for k in range(len(layers))]
    try:
        tried = _core.predictor_with(predictor, forms)
    except ValueError as refusal:
        return Trial(form, math.inf, 0.0, str(refusal))
    ratios = _ratios(predictor, tried, layer, layers[layer])
    error = _error(tried.run(data), wanted)
    times = [f"{r:.0%} of the time at {n} rows" for r, n in zip(ratios, ROWS, strict=True)]
    return Trial(
        form,
        math.prod(ratios) ** (1 / len(ratios)),
        error,
        f"{form[0]} takes {' and '.join(times)} and changes the outputs by {error:.2%}",
    )


def _check(layers: list[Layer], formats: Mapping[str, str], budget: float | None) -> None:
    names = [layer.name for layer in layers]
    for name, form in formats.items():
        if name not in names:
            raise ValueError(f"freeze: formats names '{name}'; the layers are {names}.")
        if not isinstance(form, str) or form not in FORMATS:
            raise ValueError(
                f"freeze: the format of '{name}' must be one of {FORMATS}; received {form!r}."
            )
    if budget is not None and not (math.isfinite(budget) and budget >= 0):
        raise ValueError(f"freeze: budget must be 0 or more; received {budget}.")


def _range(predictor: Predictor, layer: int, data: Arrays) -> tuple[float, int]:
    """Scale and zero of int8 that cover what the layer multiplies for the data."""
    x = _core.predictor_layer_input(predictor, layer).run(data)[0]
    low, high = min(float(x.min(initial=0)), 0.0), max(float(x.max(initial=0)), 0.0)
    scale = (high - low) / 255
    if not 1e-30 <= scale <= 1e36:
        return 0.0, 0
    return float(np.float32(scale)), min(255, round(-low / scale))


def _ratios(predictor: Predictor, tried: Predictor, index: int, layer: Layer) -> list[float]:
    """The time of a layer as a part of float32's, for each of ROWS."""
    pair = [_core.predictor_layer(p, index) for p in (predictor, tried)]
    ratios = []
    for rows in ROWS:
        size = (rows * layer.rows, layer.inputs)
        x = np.random.default_rng(0).normal(size=size).astype("float32")
        plain, other = _core.predictor_times(pair, x, 15, 1e-4)
        ratios.append(other / plain)
    return ratios


def _error(found: Arrays, wanted: Arrays) -> float:
    """The largest norm of a change of an output, as a part of the output's norm."""
    worst = 0.0
    for y, t in zip(found, wanted, strict=True):
        if y.dtype.kind != "f":
            continue
        with np.errstate(invalid="ignore"):
            change = float(np.linalg.norm(y.astype("float64") - t))
        size = float(np.linalg.norm(t.astype("float64")))
        worst = max(worst, change / size if size > 0 else (0.0 if change == 0 else math.inf))
        if change != change:
            return math.inf
    return worst
