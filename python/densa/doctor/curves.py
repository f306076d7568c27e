"""Rules over the learning curves."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from densa.callbacks import EarlyStopping, ReduceLROnPlateau
from densa.regularizers import L2

from .case import Case
from .finding import Finding
from .heads import output_layers
from .remedies import at_rate, rebuilt, with_arguments

# Tuned by benchmarks/doctor.py on its half of the data. Losses are in units of `Case.chance`.
OVERFIT_RISE = 0.2  # of the validation loss over its lowest, as a share of that
OVERFIT_RISE_ABOVE = 0.06  # ... and at least so much
OVERFIT_GAP = 0.3  # between validation and training
OVERFIT_EPOCHS = 5  # since the lowest, so that a training which stops in time is none; ...
OVERFIT_SHARE = 0.2  # ... and at least such a share of the epochs
FLAT, FLAT_EPOCHS = 1.01, 10  # a validation loss by its lowest; longer than early stopping waits
UNDERFIT_LOSS = 0.2
PLATEAU_CHANGE = 0.01  # of the loss over the second half
PLATEAU_LOSS = 0.02
NOTHING = 0.9  # of chance
FAR = 10.0  # above chance: the outputs have not come near the targets
DANCE = 0.01, 0.025  # mean rise from epoch to epoch, as a share: training, validation
DANCE_ALONE = 0.03  # ... training where there is no validation
DANCE_ABOVE = 0.1
DANCE_TURNS = 0.2, 0.35  # share of the epochs in which the loss rises
DANCE_EPOCHS = 7
DIVERGED_LOSS = 1.5
STUCK = 0.8  # of chance, behind a rise
FALLING = 0.7  # share of the epochs that are below the one before, in a loss that falls
ROSE = 3.0  # the first epoch's loss over that of its first batch, where the loss has blown up
DIVERGED_EPOCHS = 3  # a finite loss may begin high
FEWEST_EPOCHS = 5


def _tail(values: list[float]) -> float:
    return float(np.median(values[-3:])) if values else math.nan


def _finite(values: list[float]) -> bool:
    return bool(values) and bool(np.all(np.isfinite(values)))


def _rate(case: Case) -> float:
    return case.rates[-1] if case.rates else float(case.model.optimizer.learning_rate)


def divergence(case: Case) -> Finding | None:
    """The loss grows, or is no number any more (A5-02, A5-07)."""
    if not case.loss or case.non_finite is not None:
        return None
    last, chance = case.loss[-1], case.chance
    if len(case.loss) < DIVERGED_EPOCHS and math.isfinite(last):
        return None
    stuck = last >= STUCK * chance and _blew_up(case)  # it has come back, and learned nothing
    if math.isfinite(last) and not stuck and (last < DIVERGED_LOSS * chance or _falls(case)):
        return None
    rate = case.rates[0] if case.rates else _rate(case)
    return Finding(
        "divergence",
        {"first epoch": case.loss[0], "loss": last, "chance": chance, "rate": rate},
        "A5-07",
        f"Start with a learning rate of {0.01 * rate:.2g}.",
        remedy=at_rate(0.01 * rate),
    )


def _blew_up(case: Case) -> bool:
    # A rise within the first epoch; a first look is one batch, and its loss is noisy.
    first = case.loss[0]
    if not first > ROSE * case.chance:  # only then: a copy may have to be made
        return False
    return first > ROSE * max(case.began, case.chance)


def _falls(case: Case) -> bool:
    # Far above chance and on the way down: a bad start, not a divergence. A fall that follows a
    # rise within the first epoch is none.
    loss = case.loss
    if _blew_up(case):
        return _halfway([case.began, *loss])
    first = case.start[0]
    down = float(np.mean(np.diff(loss) < 0))
    return (down >= FALLING and loss[-1] == min(loss)) or _halfway([first, *loss])


def _halfway(values: list[float]) -> bool:
    return values[-1] < 0.9 * values[len(values) // 2] < 0.9 * values[0]


def oscillation(case: Case) -> Finding | None:
    """The loss dances from epoch to epoch: the rate is a little too high (A5-07)."""
    curves = [case.loss, case.val_loss] if case.val_loss else [case.loss]
    least = DANCE if case.val_loss else (DANCE_ALONE,)
    dances = []
    for curve in curves:
        values = curve[len(curve) // 4 :]
        if len(values) < DANCE_EPOCHS or not _finite(values):
            return None
        steps = np.diff(values)
        rise = float(np.maximum(steps, 0).mean())
        level = float(np.mean(values)) + DANCE_ABOVE * case.chance
        dances.append((rise / level, float(np.mean(steps > 0))))
    for (size, turns), small, few in zip(dances, least, DANCE_TURNS, strict=False):
        if size < small or turns < few:
            return None
    size, turns = dances[0]
    rate = _rate(case)
    return Finding(
        "oscillation",
        {"mean rise": size, "rising": turns, "rate": rate},
        "A5-07",
        f"Lower the learning rate to {0.1 * rate:.2g}.",
        remedy=at_rate(0.1 * rate),
    )


def plateau(case: Case) -> Finding | None:
    """The loss has stopped falling, and so has the rate (A5-10, A5-11)."""
    loss = case.loss
    if len(loss) < 2 * FEWEST_EPOCHS or not _finite(loss):
        return None
    half = loss[len(loss) // 2 :]
    change = (float(np.mean(half[:3])) - float(np.mean(half[-3:]))) / max(half[0], 1e-12)
    if abs(change) > PLATEAU_CHANGE or half[-1] < PLATEAU_LOSS * case.chance:
        return None
    evidence = {"loss": half[-1], "change": change}
    first, now = (case.rates[0], case.rates[-1]) if case.rates else (0.0, 0.0)
    evidence |= {"first rate": first, "rate": now}
    if case.rates and now < 0.1 * first:
        return Finding(
            "plateau",
            evidence,
            "A5-10",
            f"The rate has fallen to {now:.2g}: keep it at {first:.2g} for longer.",
            remedy=at_rate(first),
        )
    if half[-1] > FAR * case.chance and divergence(case) is None:
        return Finding(
            "plateau",
            {**evidence, "chance": case.chance},
            "A5-10",
            f"The loss is far above {case.chance:.3g}, that of the best constant: standardize the "
            f"targets, or start with a learning rate of {10 * _rate(case):.2g}.",
            remedy=at_rate(10 * _rate(case)),
        )
    if half[-1] > NOTHING * case.chance:
        return Finding(
            "plateau",
            {**evidence, "chance": case.chance},
            "A5-10",
            "Nothing has been learned, no more than a constant answer. Mend first what else is "
            "found; else look for a rate with LRFinder, and see whether the inputs tell anything "
            "of the targets.",
        )
    return Finding(
        "plateau",
        evidence,
        "A7-11",
        "Stop here, or lower the rate: ReduceLROnPlateau(factor=0.5, patience=5).",
        remedy=rebuilt,
        fit={"callbacks": [ReduceLROnPlateau("loss", factor=0.5, patience=5)]},
    )


def overfitting(case: Case) -> Finding | None:
    """The validation loss rises while the training loss falls, or stays far above it (A5-12)."""
    if len(case.val_loss) < FEWEST_EPOCHS or not _finite(case.loss) or not _finite(case.val_loss):
        return None
    chance = case.chance
    train, held, best = _tail(case.loss), _tail(case.val_loss), min(case.val_loss)
    rise = held - best
    rises = rise > OVERFIT_RISE * best and rise > OVERFIT_RISE_ABOVE * chance
    gap = held - train > OVERFIT_GAP * chance and train < 0.5 * held
    fell = train < 0.5 * case.loss[0]
    count = len(case.val_loss)
    epochs = 1 + int(np.argmin(case.val_loss))
    flat = 1 + int(np.argmax(np.array(case.val_loss) <= FLAT * best))
    if gap and count - flat >= max(FLAT_EPOCHS, OVERFIT_SHARE * count):
        epochs = flat  # one that creeps on far above the training loss has as good as stopped
    elif count - epochs < max(OVERFIT_EPOCHS, OVERFIT_SHARE * count):
        return None
    if not (fell and train < held and (rises or gap)):
        return None
    patience = max(3, epochs // 4)
    return Finding(
        "overfitting",
        {"loss": train, "validation loss": held, "lowest": best, "epoch": epochs},
        "A5-12",
        f"Stop at the lowest validation loss: EarlyStopping(patience={patience}, "
        "restore_best_weights=True); or add dropout.",
        remedy=rebuilt,
        fit={"callbacks": [EarlyStopping(patience=patience, restore_best_weights=True)]},
    )


def underfitting(case: Case) -> Finding | None:
    """The training loss stays high, and the network has no way to lower it (A5-13)."""
    if len(case.loss) < FEWEST_EPOCHS or not _finite(case.loss):
        return None
    from densa import layers

    loss, chance = _tail(case.loss), case.chance
    if loss < UNDERFIT_LOSS * chance or (case.val_loss and _tail(case.val_loss) > 1.5 * loss):
        return None
    evidence = {"loss": loss, "chance": chance}
    model = case.model
    dropped = [x for x in case.hidden(layers.Dropout) if x.rate > 0.6]
    if dropped:
        return Finding(
            "underfitting",
            {**evidence, "dropout": max(x.rate for x in dropped)},
            "A9-05",
            "Lower the dropout rate to 0.2.",
            remedy=with_arguments(dropped, model, rate=0.2),
        )
    dense = case.hidden(layers.Dense)
    strong = [x for x in dense if _penalty(x) >= 0.05]
    if strong:
        weak = L2(1e-4)
        return Finding(
            "underfitting",
            {**evidence, "penalty": max(map(_penalty, strong))},
            "A5-13",
            "Weaken the penalty on the kernels to 1e-4.",
            remedy=with_arguments(strong, model, kernel_regularizer=weak),
        )
    heads = output_layers(model, case.heads)
    hidden = [x for x in dense if x not in heads]
    widest = max((x.units for x in dense if x in heads), default=1)
    narrow = [x for x in hidden if x.units <= 2 < widest or x.units == 1]
    if narrow:
        return Finding(
            "underfitting",
            {**evidence, "units": min(x.units for x in narrow)},
            "A16-02",
            "Give the hidden layers 32 units.",
            remedy=with_arguments(narrow, model, units=32),
        )
    return None


def _penalty(layer: Any) -> float:
    regularizer = getattr(layer, "kernel_regularizer", None)
    return float(getattr(regularizer, "l2", 0.0) or 0.0)


RULES: tuple[Callable[[Case], Finding | None], ...] = (
    divergence,
    oscillation,
    plateau,
    overfitting,
    underfitting,
)
