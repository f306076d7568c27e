"""Rules over how a training is set up."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

import numpy as np

from densa.regularizers import L1
from densa.training.probe import curve_of

from .case import Case
from .finding import Finding
from .heads import output_layers
from .raw import raw_inputs
from .remedies import (
    ADAPTIVE,
    at_rate_with_weights,
    in_hidden_layers,
    moved_before,
    rebuilt,
    scaled_inputs,
    takes_scaling,
    with_config,
    with_layers,
)

LARGEST_FEATURE = 5.0  # root mean square
SMALLEST_FEATURE = 0.02  # of the largest feature
ROWS = 1024  # of inputs that are summed up at a time
TINY_BATCH, GOOD_BATCH = 8, 32
DECAY = 30.0  # weight decay for an l2 factor of 1, where no gradients were seen; ...
USUAL_DECAY = 0.3  # ... and no more than this
STRENGTH = 0.7  # of a weight decay by that of the penalty: an adaptive one pulls unevenly
MOST_DECAY = 10.0


def _optimizer(case: Case) -> Any:
    optimizer = case.model.optimizer
    return getattr(optimizer, "inner_optimizer", optimizer)


def _penalized(layer: Any) -> dict[str, float]:
    # The l2 factors of its variables.
    found = {part: getattr(layer, f"{part}_regularizer", None) for part in ("kernel", "bias")}
    factors = {part: float(getattr(r, "l2", 0.0) or 0.0) for part, r in found.items()}
    return {part: factor for part, factor in factors.items() if factor}


def _l2(layer: Any) -> float:
    return max(_penalized(layer).values(), default=0.0)


def l2_with_adam(case: Case) -> Finding | None:
    """An l2 penalty in the loss of an adaptive optimizer is no weight decay (A8-06)."""
    kind = type(_optimizer(case)).__name__
    strengths = [_l2(layer) for layer in case.model._flatten_layers()]
    if kind not in ADAPTIVE or not any(strengths):
        return None
    penalized = [x for x in case.model._flatten_layers() if _l2(x)]
    decay = float(f"{_equal_decay(case, penalized):.2g}")
    own = getattr(_optimizer(case), "weight_decay", None) or 0.0

    def layer(old: Any) -> Any:
        parts = ("kernel_regularizer", "bias_regularizer")
        return with_config(old, **{part: _without_l2(getattr(old, part, None)) for part in parts})

    def remedy(model: Any) -> Any:
        pulled = "|".join(
            re.escape(f"{x.name}/{part}") for x in model._flatten_layers() for part in _penalized(x)
        )

        def optimizer(old: Any) -> Any:
            from densa.optimizers import AdamW

            # An optimizer has one decay: what it had for the others would become far too strong.
            before = getattr(old, "weight_decay", None) or 0.0
            more: dict[str, Any] = {"weight_decay": before + decay}
            more["weight_decay_excluded"] = [f"^(?!(.*/)?({pulled})$)"]
            if kind != "Adam":
                return with_config(old, **more)
            return AdamW.from_config({**old.get_config(), **more, "name": "adamw"})

        return with_layers(layer, penalized, case.model, optimizer)(model)

    wanted = "AdamW" if kind in ("Adam", "AdamW") else f"{kind} with weight_decay"
    rest = f", without the {own:g} that was on all weights" if own else ""
    return Finding(
        "l2_with_adam",
        {"l2": max(strengths), "layers": len(penalized)},
        "A8-06",
        f"Take the l2 penalty away and use {wanted} of {own + decay:g} for what it was on alone"
        f"{rest}.",
        remedy=remedy,
    )


def _equal_decay(case: Case, penalized: list[Any]) -> float:
    # An adaptive optimizer pulls a weight by rate * 2 * l2 * w / size of its gradients, decoupled
    # decay by rate * decay * w.
    numbers = {x.name: sum(math.prod(v.shape) for v in x.variables) for x in penalized}
    seen = [x for x in case.layers if x.gradient_norm and numbers.get(x.name)]
    sizes = [np.median(x.gradient_norm) / math.sqrt(numbers[x.name]) for x in seen]
    l2 = float(np.mean([_l2(x) for x in penalized]))
    size = float(np.mean(sizes)) if sizes else math.nan
    if not 0 < size < math.inf:
        return min(USUAL_DECAY, DECAY * l2)
    return min(MOST_DECAY, STRENGTH * 2 * l2 / size)


def _without_l2(regularizer: Any) -> Any:
    l1 = float(getattr(regularizer, "l1", 0.0) or 0.0)
    return L1(l1) if l1 else None


def selu_setup(case: Case) -> Finding | None:
    """SELU keeps mean 0 and deviation 1 under its conditions only (A2-12)."""
    from densa import initializers, layers

    outputs = output_layers(case.model, case.heads)  # they stay as they are
    hidden = [x for x in case.model._flatten_layers() if x not in outputs]
    selu = [x for x in hidden if curve_of(x) == "selu"]
    if not selu:
        return None
    norms = [x for x in hidden if isinstance(x, layers.BatchNormalization)]
    dropped = [x for x in hidden if isinstance(x, layers.Dropout) and x.rate > 0]
    penalties = [x for x in selu if _l2(x)]

    def wrong(layer: Any) -> bool:
        start = getattr(layer, "kernel_initializer", None)
        if start is None:
            return False
        good = (initializers.LecunNormal, initializers.LecunUniform)
        return not isinstance(start, good)

    starts = [x for x in selu if wrong(x)]
    if not (norms or dropped or starts or penalties):
        return None

    own = all(hasattr(x, "kernel_initializer") for x in selu)  # none behind a linear layer
    dense = ("selu",) if own else ("selu", "")
    more = {"use_bias": True} if norms else {}  # in place of what a batch norm adds

    def change(old: Any) -> Any:
        if hasattr(old, "kernel_initializer") and curve_of(old) in dense:
            return with_config(
                old, kernel_initializer="lecun_normal", kernel_regularizer=None, **more
            )
        if isinstance(old, layers.BatchNormalization):
            return layers.Identity(name=old.name)
        if isinstance(old, layers.Dropout):
            return layers.AlphaDropout(min(old.rate, 0.1), name=old.name)
        return None

    return Finding(
        "selu_setup",
        {
            "other initializers": len(starts),
            "batch norms": len(norms),
            "dropouts": len(dropped),
            "penalties": len(penalties),
        },
        "A2-12",
        "With SELU use lecun_normal, no batch norm, no penalty, and AlphaDropout of 0.1 at most.",
        remedy=in_hidden_layers(change, lambda old: None),
    )


def dropout_on_output(case: Case) -> Finding | None:
    """Output units are never dropped (A9-01)."""
    from densa import layers

    kinds = (layers.Dropout, layers.AlphaDropout, layers.GaussianDropout)
    outputs = output_layers(case.model, case.heads)
    found = [x for x in outputs if isinstance(x, kinds) and x.rate > 0]
    if not found or not any(x.variables for x in outputs):
        return None
    change = "Take the dropout behind the last layer away."
    remedy = with_layers(lambda old: layers.Identity(name=old.name), found, case.model)
    place = _place_for_dropout(case, found)
    if place is not None:
        change = f"Put the dropout before {place.name}: it is for hidden units."
        remedy = moved_before(found[0], place, case.model)
    return Finding(
        "dropout_on_output",
        {"rate": max(float(x.rate) for x in found)},
        "A9-01",
        change,
        layer=found[0].name,
        remedy=remedy,
    )


def _place_for_dropout(case: Case, found: list[Any]) -> Any:
    # The last layer with weights of a stack, where hidden units before it have no dropout yet.
    from densa import Sequential, layers

    model = case.model
    if not isinstance(model, Sequential) or not takes_scaling(model) or len(found) > 1:
        return None
    at = max((i for i, x in enumerate(model.layers) if x.variables), default=0)
    before = model.layers[:at]
    if found[0] not in model.layers or not any(x.variables for x in before):
        return None
    return None if any(isinstance(x, layers.Dropout) for x in before) else model.layers[at]


def unscaled_inputs(case: Case) -> Finding | None:
    """Inputs are to have mean 0 and similar, moderate spreads (A13-04, A20-06)."""
    rows = [x for x in raw_inputs(case) if np.ndim(x) > 1]
    if not rows:
        return None
    moments = [_moments(x) for x in rows]
    sizes = np.concatenate([np.hypot(mean, spread).reshape(-1) for mean, spread in moments])
    sizes = sizes[np.isfinite(sizes) & (sizes > 0)]
    if not sizes.size or (SMALLEST_FEATURE < sizes.max() <= LARGEST_FEATURE):
        return None
    remedy = None
    if len(rows) == 1 and takes_scaling(case.model):
        ((mean, spread),) = moments
        spread[~(spread > 0)] = 1
        remedy = scaled_inputs(1 / spread, -mean / spread)
    return Finding(
        "unscaled_inputs",
        {"largest feature": float(sizes.max()), "smallest": float(sizes.min())},
        "A13-01",
        "Standardize the inputs: (x - mean) / deviation of each feature.",
        remedy=remedy,
    )


def _moments(x: Any) -> tuple[Any, Any]:
    # Mean and deviation of each feature's finite values; 0 where there is none. Some rows at a
    # time, merged as Chan, Golub and LeVeque do: no second pass, and no copy of all rows.
    count, mean, square = (np.zeros(x.shape[1:]) for _ in range(3))
    for begin in range(0, len(x), ROWS):
        part = np.asarray(x[begin : begin + ROWS], np.float64)
        known = np.isfinite(part)
        here = known.sum(axis=0)
        with np.errstate(all="ignore"):
            middle = np.where(known, part, 0).sum(axis=0) / np.maximum(here, 1)
            total = np.maximum(count + here, 1)
            far = middle - mean
            square += (np.where(known, part - middle, 0) ** 2).sum(axis=0)
            square += far**2 * (count * here / total)
            mean += far * (here / total)
        count += here
    with np.errstate(all="ignore"):
        return mean, np.sqrt(square / np.maximum(count, 1))


def rate_after_unfreezing(case: Case) -> Finding | None:
    """Layers that were freed are to be trained at a lower rate (A7-19)."""
    if case.before is None:
        return None
    frozen, before = case.before
    freed = [v for v in case.model.trainable_variables if v.path in frozen]
    rate = case.rates[0] if case.rates else float(case.model.optimizer.learning_rate)
    if not freed or rate < 0.5 * before:
        return None
    lower = 0.02 * rate
    return Finding(
        "rate_after_unfreezing",
        {"rate before": before, "rate": rate, "variables freed": len(freed)},
        "A7-19",
        f"Train the layers that were freed at a rate of {lower:.2g}.",
        remedy=at_rate_with_weights(lower),
    )


def batch_norm_of_tiny_batches(case: Case) -> Finding | None:
    """The statistics of a few rows say little (A3-15)."""
    from densa import layers

    norms = case.hidden(layers.BatchNormalization)
    if not norms or not 0 < case.batch_size < TINY_BATCH:
        return None
    evidence: dict[str, float] = {"rows": case.batch_size, "layers": len(norms)}
    if case.streamed:
        return Finding(
            "batch_norm_of_tiny_batches",
            evidence,
            "A3-15",
            f"Let the data give batches of {GOOD_BATCH} rows; where they have to be small, use "
            "LayerNormalization.",
        )
    return Finding(
        "batch_norm_of_tiny_batches",
        evidence,
        "A3-15",
        f"Use a batch_size of {GOOD_BATCH}; where batches have to be small, LayerNormalization.",
        fit={"batch_size": GOOD_BATCH},
        remedy=rebuilt,
    )


RULES: tuple[Callable[[Case], Finding | None], ...] = (
    unscaled_inputs,
    l2_with_adam,
    selu_setup,
    dropout_on_output,
    rate_after_unfreezing,
    batch_norm_of_tiny_batches,
)
