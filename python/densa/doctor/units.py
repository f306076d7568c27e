"""Rules over the statistics of single steps."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from densa.initializers import Zeros
from densa.training.probe import curve_of

from .case import Case, LayerHealth
from .curves import divergence
from .finding import Finding
from .remedies import (
    ADAPTIVE,
    at,
    at_rate,
    best_initializer,
    in_hidden_layers,
    with_activation,
    with_config,
    with_optimizer,
)

DEAD = 0.4  # share of a layer's units
SATURATED = 0.3  # share of a layer's units, the median over the looks
VANISHED = 0.01  # gradient norm of the first kernel over that of the last
# Kernels. Up to so many, trainings with Swish come out better than with ReLU; but with He's
# initializer it passes on little more than half of a variance, ReLU all of it.
DEEP = 12
EXPLODED = 30.0  # norm of all gradients, ...
BAD_START = 3.0  # ... or the first loss over chance, ...
FLAT = 0.5  # ... or the share of output units that are flat from the start: no gradient comes
GROWTH = 8.0  # the largest spread of a layer over that of the first
SLOW, FAST = 2e-5, 0.3  # updates over weights, the median of the first looks
WANTED = 3e-3
SAME_RATE = 0.5  # no change that is worth a word
MOST_RATE = {"Adadelta": 1.0, "Adagrad": 0.1}  # their steps shrink by themselves
CLIPPED = 0.9  # share of the looks
CLIPPED_BY = 5.0  # median norm over the threshold
CLIPPED_WELL = 0.3  # the last loss by that of the first epoch, where clipping does no harm
FREE, WANTED_FREE = 0.3, 0.1  # updates over weights as they would be unclipped: at most; aimed at


def non_finite(case: Case) -> Finding | None:
    """A NaN or an infinity: in the data, in a layer, or in the gradients (A5-02)."""
    data = case.non_finite
    losses = [*case.looks, *case.loss]
    bad_losses = sum(not math.isfinite(value) for value in losses)
    bad = [layer for layer in case.layers if sum(layer.nonfinite)]
    if not (data or bad_losses or bad or case.lost):
        return _held_out(case)
    evidence = {"losses": float(bad_losses), "layers": float(len(bad))}
    if data is not None:
        counts = {"inputs": data.inputs, "targets": data.targets, "sample weights": data.weights}
        evidence = {k: float(n) for k, n in counts.items() if n} | evidence
        which = ""
        if data.row is not None:
            evidence["row"] = float(data.row)
            which = f"; the first is row {data.row} of {data.name}"
        return Finding(
            "non_finite",
            evidence,
            "A13-07",
            f"Mend or drop the rows of the data that hold NaN or infinity{which}.",
        )
    rate = case.rates[0] if case.rates else float(case.model.optimizer.learning_rate)
    if case.lost:
        return Finding(
            "non_finite",
            {**evidence, "weights": float(len(case.lost))},
            "A5-02",
            "The weights themselves hold NaN or infinity: load or re-make them, and train with a "
            f"learning rate of {0.01 * rate:.2g}.",
            layer=case.lost[0],
            remedy=at_rate(0.01 * rate),
        )
    if bad and bad[0].nonfinite and bad[0].nonfinite[0]:
        return Finding(
            "non_finite",
            evidence,
            "A1-12",
            "Values overflow from the first step on: use ReLU and He's initializer in the hidden "
            "layers.",
            layer=bad[0].name,
            remedy=in_hidden_layers(_safe, _restart_head),
        )
    return Finding(
        "non_finite",
        evidence,
        "A5-02",
        f"Start with a learning rate of {0.01 * rate:.2g}.",
        remedy=at_rate(0.01 * rate),
    )


def _held_out(case: Case) -> Finding | None:
    # Training is sound, so that it is the rows, not the model.
    bad = sum(not math.isfinite(value) for value in case.val_loss)
    if not bad:
        return None
    return Finding(
        "non_finite",
        {"validation losses": float(bad)},
        "A13-07",
        "Mend or drop the rows of the validation data that hold NaN or infinity, or are so large "
        "that the outputs overflow.",
    )


def _safe(old: Any) -> Any:
    curve = curve_of(old)
    if curve in ("exp", "exponential"):
        return with_activation(old, "relu", suited=True)
    if not hasattr(old, "kernel_initializer"):
        return None
    return with_config(old, kernel_initializer=best_initializer(curve))


def dead_units(case: Case) -> Finding | None:
    """ReLU units that give 0 for every row learn nothing any more (A5-04)."""
    found = [layer for layer in case.layers if layer.dead > DEAD]
    if not found:
        return None
    worst = max(found, key=lambda layer: layer.dead)
    evidence: dict[str, float] = {"dead": worst.dead, "layers": len(found)}
    outputs = case.outputs
    heads = [layer for layer in found if layer.name in outputs]
    if heads == found:
        rate = case.rates[0] if case.rates else float(case.model.optimizer.learning_rate)
        return Finding(
            "dead_units",
            evidence,
            "A5-04",
            f"Let the biases of the output layer start at zero, with a learning rate of "
            f"{0.1 * rate:.2g}.",
            layer=worst.name,
            remedy=in_hidden_layers(_same, _begin_at_zero, at(0.1 * rate)),
        )

    def change(old: Any) -> Any:
        curve = curve_of(old)
        if curve in ("relu", "relu6"):
            return with_activation(old, "leaky_relu", **_zero_bias(old))
        return None if curve else _begin_at_zero(old)

    lower, also = None, ", or a lower rate"
    alive = not case.trained and bool(worst.silent) and worst.silent[0] < 0.5 * worst.dead
    if alive:  # at first; the steps have killed them
        rate = case.rates[0] if case.rates else float(case.model.optimizer.learning_rate)
        lower, also = at(0.1 * rate), f", and a learning rate of {0.1 * rate:.2g}"
        evidence |= {"silent at first": worst.silent[0], "rate": rate}
    return Finding(
        "dead_units",
        evidence,
        "A5-04",
        f"Use leaky_relu in the hidden layers with biases that start at zero{also}.",
        layer=worst.name,
        remedy=in_hidden_layers(change, _begin_at_zero if heads else _same, lower),
    )


def _same(old: Any) -> Any:
    return None


def _zero_bias(old: Any) -> dict[str, Any]:
    return {"bias_initializer": "zeros"} if getattr(old, "use_bias", False) else {}


def _begin_at_zero(old: Any) -> Any:
    return with_config(old, **_zero_bias(old)) if _zero_bias(old) else None


def saturation(case: Case) -> Finding | None:
    """Sigmoid and tanh units far out on their flat parts pass no gradient (A5-05)."""
    outputs = case.outputs  # a sigmoid that is sure of its classes is meant to be flat
    found = [
        x
        for x in case.layers
        if x.saturated and x.name not in outputs and np.median(x.saturated) > SATURATED
    ]
    if not found:
        return None
    worst = max(found, key=lambda layer: float(np.median(layer.saturated)))
    return Finding(
        "saturation",
        {"saturated": float(np.median(worst.saturated)), "layers": len(found)},
        "A1-13",
        "Use the initializer that suits the activation: glorot_uniform.",
        layer=worst.name,
        remedy=in_hidden_layers(_restart, _restart_head),
    )


def _restart(old: Any) -> Any:
    if not hasattr(old, "kernel_initializer"):
        return None
    return with_config(old, kernel_initializer=best_initializer(curve_of(old)), **_zero_bias(old))


def _restart_head(old: Any) -> Any:
    # Its biases may stand for what is known of the targets, and so may zeros.
    start = getattr(old, "kernel_initializer", None)
    if start is None or isinstance(start, Zeros):
        return None
    return with_config(old, kernel_initializer=best_initializer(curve_of(old)))


def _kernels(case: Case) -> list[LayerHealth]:
    return [x for x in case.layers if x.gradient_norm and x.weight_norm]


def _is_wreck(case: Case) -> bool:
    # Looked at behind a training that has diverged: what is there was made by the rate.
    return case.trained and divergence(case) is not None


def vanishing_gradients(case: Case) -> Finding | None:
    """The first layers get a tiny part of the gradient that the last ones get (A5-01)."""
    layers = _kernels(case)
    if len(layers) < 3 or _is_wreck(case):
        return None
    looks = min(3, len(layers[0].gradient_norm))
    first = float(np.median(layers[0].gradient_norm[:looks]))
    last = float(np.median(layers[-1].gradient_norm[:looks]))
    if not math.isfinite(first + last) or last == 0 or first > VANISHED * last:
        return None
    silent = max((x.silent[0] for x in case.layers if x.silent), default=0.0)
    if silent > 0.99:  # dead units, which have a rule of their own
        return None

    name, activation = ("Swish", "swish") if len(layers) <= DEEP else ("ReLU", "relu")

    def change(old: Any) -> Any:
        curve = curve_of(old)
        if curve in ("sigmoid", "tanh", "relu", "elu", "selu"):
            return with_activation(old, activation, suited=True)
        if not curve and hasattr(old, "kernel_initializer"):
            return with_config(old, kernel_initializer="he_normal")  # the activation comes behind
        return None

    return Finding(
        "vanishing_gradients",
        {"first layer": first, "last layer": last, "ratio": first / last},
        "A5-01",
        f"Use {name} and He's initializer in the hidden layers.",
        layer=layers[0].name,
        remedy=in_hidden_layers(change, _same),
    )


def exploding_gradients(case: Case) -> Finding | None:
    """Activations grow from layer to layer, and so do the gradients, unless they are lost in flat
    outputs (A5-02)."""
    if _is_wreck(case):
        return None
    norms = case.gradient_norms[: max(1, len(case.gradient_norms) // 2)]
    spreads = [x.spread[0] for x in case.layers if x.spread]
    if not norms or len(spreads) < 2:
        return None
    largest, growth = max(norms), max(spreads) / max(spreads[0], 1e-12)
    chance = case.chance
    first = case.looks[0] / chance if case.looks and chance > 0 else 0.0
    outputs = case.outputs
    flat = max(
        (x.saturated[0] for x in case.layers if x.saturated and x.name in outputs), default=0
    )
    exploded = largest > EXPLODED or BAD_START < first < math.inf or flat > FLAT
    if not exploded or not GROWTH < growth < math.inf:  # NaN has a rule of its own
        return None
    return Finding(
        "exploding_gradients",
        {
            "gradient norm": largest,
            "growth": growth,
            "first loss over chance": first,
            "flat outputs": flat,
        },
        "A5-02",
        "Use the initializer that suits the activation (Table 11-1).",
        remedy=in_hidden_layers(_restart, _restart_head),
    )


def _inner(case: Case) -> Any:
    return getattr(case.model.optimizer, "inner_optimizer", case.model.optimizer)


def update_ratio(case: Case) -> Finding | None:
    """A step is to change the weights by about a hundredth to a thousandth (A5-06)."""
    rates = case.rates
    ratios = [x.update_ratio[: max(2, len(x.update_ratio) // 2)] for x in _kernels(case)]
    flat = [value for values in ratios for value in values if math.isfinite(value)]
    if not flat or not rates:
        return None
    middle = float(np.median(flat))
    if SLOW <= middle <= FAST or middle == 0:
        return None
    kind = type(_inner(case)).__name__
    most = MOST_RATE.get(kind, 0.003 if kind in ADAPTIVE else 0.1)
    rate = min(rates[0] * WANTED / middle, most)
    rate = float(f"{rate:.1g}")
    if SAME_RATE < rate / rates[0] < 1 / SAME_RATE:  # something else holds the steps back
        return None
    return Finding(
        "update_ratio",
        {"ratio": middle, "rate": rates[0]},
        "A5-06",
        f"Use a learning rate of {rate:g}.",
        remedy=at_rate(rate),
    )


def clipped_too_often(case: Case) -> Finding | None:
    """Clipping that acts in every step sets the rate instead of guarding it (A4-03)."""
    clipping = case.clipping
    if clipping is None:
        return None
    name, limit = clipping.name, clipping.limit
    most = 0.5 if name == "clipvalue" else 0.0
    share = float(np.mean(np.array(clipping.shares) > most))
    norms = [x for x in clipping.norms if math.isfinite(x)]
    if not norms or share < CLIPPED:
        return None
    by = float(np.median(norms)) / limit
    if name != "clipvalue" and by < CLIPPED_BY:
        return None
    loss = case.loss
    if len(loss) > 1 and loss[-1] < CLIPPED_WELL * loss[0]:
        return None
    wanted = float(f"{2 * np.quantile(norms, 0.9):.1g}")
    changes, also = {name: wanted}, ""
    ratios = [value for x in _kernels(case) for value in x.update_ratio if math.isfinite(value)]
    free = by * float(np.median(ratios)) if ratios else 0.0
    if free > FREE and type(_inner(case)).__name__ not in ADAPTIVE:
        rate = case.rates[0] if case.rates else float(case.model.optimizer.learning_rate)
        changes["learning_rate"] = float(f"{rate * WANTED_FREE / free:.1g}")
        also = f", with a learning rate of {changes['learning_rate']:g}"
    return Finding(
        "clipped_too_often",
        {"clipped": share, "norm over threshold": by},
        "A4-03",
        f"Raise {name} to {wanted:g}{also}.",
        remedy=with_optimizer(**changes),
    )


RULES: tuple[Callable[[Case], Finding | None], ...] = (
    non_finite,
    dead_units,
    saturation,
    vanishing_gradients,
    exploding_gradients,
    clipped_too_often,
    update_ratio,
)
