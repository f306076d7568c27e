"""Rules over what the outputs are to learn: do activation, loss and targets go together."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from densa.training.probe import curve_of

from .case import Case
from .finding import Finding
from .heads import output_layers, single_output
from .remedies import (
    ADAPTIVE,
    rebuilt,
    scaled_outputs,
    takes_scaling,
    with_activation,
    with_layers,
)

# What an activation can give; those that give all numbers, or are not known, are not judged.
RANGES = {
    "sigmoid": (0.0, 1.0),
    "hard_sigmoid": (0.0, 1.0),
    "softmax": (0.0, 1.0),
    "tanh": (-1.0, 1.0),
    "relu": (0.0, math.inf),
    "relu6": (0.0, 6.0),
    "softplus": (0.0, math.inf),
}
LINEAR = ("", "linear")
JUDGED = (*LINEAR, *RANGES, "leaky_relu", "elu", "selu", "gelu", "silu")
PROBABILITIES = ("sigmoid", "hard_sigmoid", "softmax")
OUTSIDE = 0.01  # share of the targets that an output may never reach
LARGEST_TARGET = 10.0  # root mean square, ...
SMALLEST_TARGET = 0.01
LEARNT = 0.02  # ... unless the loss has come down to this share of chance all the same
CLASSES = (
    "binary_crossentropy",
    "binary_focal_crossentropy",
    "categorical_crossentropy",
    "categorical_focal_crossentropy",
    "sparse_categorical_crossentropy",
)
SKEWED = 1.5  # the mean by the median
# Of an optimizer that takes gradients as they are, for targets of size one: at least and at most.
SCALED_RATE = 0.01, 0.03
NUMBERS = ("mean_squared_error", "mean_absolute_error", "huber", "huber_loss", "log_cosh")


def _from_logits(loss: Any) -> bool:
    config = loss.get_config() if hasattr(loss, "get_config") else {}
    return bool(config.get("from_logits", False))


def _head(case: Case) -> tuple[Any, str] | None:
    # The layer whose activation the outputs have, and that; None where it takes more to tell.
    if not single_output(case.model):
        return None
    from densa import layers

    outputs = output_layers(case.model, case.heads)
    found = [x for x in outputs if curve_of(x) not in LINEAR]
    plain = (layers.Dense, layers.EinsumDense, layers.Activation, layers.ReLU, layers.Softmax)
    silent = (layers.Dropout, layers.Identity, layers.InputLayer)
    if len(found) > 1 or any(not isinstance(x, (*plain, *silent)) for x in outputs):
        return None
    last = found[0] if found else next((x for x in outputs if hasattr(x, "activation")), None)
    if last is None or curve_of(last) not in JUDGED:
        return None
    return last, curve_of(last)


def head_and_loss(case: Case) -> Finding | None:
    """The activation of the output has to give what loss and targets are about (A2-05, A14-03)."""
    head = _head(case)
    if head is None or case.targets is None or not len(case.targets):
        return None
    layer, curve = head
    name, y = case.loss_name, np.asarray(case.targets)
    if name in CLASSES:
        return _of_classes(case, layer, curve, name, y)
    low, high = RANGES.get(curve, (-math.inf, math.inf))
    if name not in NUMBERS:
        return None
    outside = float(np.mean((y < low) | (y > high)))
    if outside <= OUTSIDE:
        return None
    return _finding(
        case,
        {"targets out of reach": outside, "lowest": float(y.min()), "highest": float(y.max())},
        f"{curve} gives numbers from {low:g} to {high:g} alone: let the output layer be linear "
        "(activation=None).",
        layer,
        "linear",
    )


def _of_classes(case: Case, layer: Any, curve: str, name: str, y: Any) -> Finding | None:
    logits = _from_logits(case.model.loss)
    units = int(case.model.output_shape[-1])
    binary = name.startswith("binary")
    evidence: dict[str, float] = {"units": units, "from_logits": float(logits)}
    suited = "sigmoid" if binary or units == 1 else "softmax"
    if logits:
        if curve in LINEAR:
            return None
        if curve in PROBABILITIES:
            what = f"{curve} gives probabilities: take from_logits=True out of the loss."
            return _finding(case, evidence, what, layer, None, _without_logits)
        what = f"With from_logits=True the output layer is linear (activation=None), not {curve}."
        return _finding(case, evidence, what, layer, "linear")
    if units == 1 and not binary:
        what = "One unit tells two classes apart by sigmoid and binary_crossentropy."
        return _finding(case, evidence, what, layer, "sigmoid", lambda loss: "binary_crossentropy")
    if binary and curve == "softmax" and units > 1:
        if y.ndim > 1 and np.all(y.sum(axis=-1) == 1):
            wanted = name.replace("binary", "categorical")
            what = f"One class of several is told by softmax and {wanted}."
            return _finding(case, evidence, what, layer, None, lambda loss: wanted)
        what = "Several answers at once are told by sigmoid, which takes each by itself."
        return _finding(case, evidence, what, layer, "sigmoid")
    if curve == suited or (suited == "sigmoid" and curve == "hard_sigmoid"):
        return None
    given = "a linear output" if curve in LINEAR else curve
    return _finding(
        case,
        evidence,
        f"{name} takes probabilities: use {suited} in the output layer in place of {given}.",
        layer,
        suited,
    )


def _without_logits(loss: Any) -> Any:
    return type(loss).from_config({**loss.get_config(), "from_logits": False})


def _finding(
    case: Case,
    evidence: dict[str, float],
    change: str,
    layer: Any,
    activation: str | None,
    loss: Callable[[Any], Any] | None = None,
) -> Finding:
    def remedy(model: Any) -> Any:
        if activation is None:
            return rebuilt(model, loss=loss)
        return with_layers(
            lambda old: with_activation(old, activation), [layer], case.model, loss=loss
        )(model)

    return Finding("head_and_loss", evidence, "A2-05", change, layer=layer.name, remedy=remedy)


def unscaled_targets(case: Case) -> Finding | None:
    """Targets far from size one are far from what a fresh network gives (A13-04)."""
    head, y = _head(case), case.targets
    if head is None or y is None or not len(y) or case.loss_name not in NUMBERS:
        return None
    if head[1] not in LINEAR:
        return None
    y = np.asarray(y, np.float64)
    y = y[np.isfinite(y)]
    if not y.size:
        return None
    mean, spread = float(y.mean()), float(y.std())
    size = math.hypot(mean, spread)
    if spread == 0 or SMALLEST_TARGET <= size <= LARGEST_TARGET:
        return None
    if case.loss and case.loss[-1] < LEARNT * case.chance:
        return None
    rate = None  # what adapts to gradients keeps its own
    if type(_inner(case.model)).__name__ not in ADAPTIVE:
        by = spread if case.loss_name == "mean_absolute_error" else spread**2
        before = case.rates[0] if case.rates else float(case.model.optimizer.learning_rate)
        rate = min(max(before * by, SCALED_RATE[0]), SCALED_RATE[1]) / by
    return Finding(
        "unscaled_targets",
        {"mean": mean, "deviation": spread},
        "A13-04",
        f"Train on (y - {mean:.3g}) / {spread:.3g} and turn predictions back; or put "
        f"Rescaling({spread:.3g}, {mean:.3g}) behind the output layer"
        + ("." if rate is None else f", with a learning rate of {rate:.2g}.")
        + (" They are skewed: log(y) may be easier still." if _is_skewed(y) else ""),
        remedy=scaled_outputs(spread, mean, rate) if takes_scaling(case.model) else None,
    )


def _is_skewed(y: Any) -> bool:
    # A few large ones among positive numbers set the loss.
    return bool(y.min() > 0 and y.mean() > SKEWED * np.median(y))


def _inner(model: Any) -> Any:
    return getattr(model.optimizer, "inner_optimizer", model.optimizer)


RULES: tuple[Callable[[Case], Finding | None], ...] = (head_and_loss, unscaled_targets)
