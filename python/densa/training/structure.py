"""Bringing targets, weights, losses and metrics into the order of a model's outputs."""

from __future__ import annotations

from collections.abc import Container
from typing import Any

from densa._names import nearest


def outputs_of(y_pred: Any, names: list[str] | None) -> tuple[list[str], list[Any]]:
    """Names and Tensors of a model's outputs, in order.

    Args:
        y_pred: A Tensor, or a list, tuple or dict of Tensors.
        names: The model's output names where it has them.
    """
    entries = list(y_pred.values()) if isinstance(y_pred, dict) else y_pred
    if isinstance(entries, list | tuple) and any(
        isinstance(e, list | tuple | dict) for e in entries
    ):
        raise ValueError(
            "The model gives a structure within a structure of outputs; losses and metrics need a "
            "list or a dict of tensors. Give the model that, or override compute_loss()."
        )
    if isinstance(y_pred, dict):
        return [str(k) for k in y_pred], entries
    if isinstance(y_pred, list | tuple):
        count = len(y_pred)
        given = names if names and len(names) == count else [f"output_{i}" for i in range(count)]
        return list(given), list(y_pred)
    return [(names or ["output"])[0]], [y_pred]


def outputs_have_names(y_pred: Any, names: list[str] | None) -> bool:
    """Whether the outputs have names of their own, not those that `outputs_of` makes up."""
    return isinstance(y_pred, dict) or bool(
        names and len(names) == len(outputs_of(y_pred, None)[1])
    )


def unused(name: str, taken: Container[str]) -> str:
    """The name, or `name_1`, `name_2`… where it is taken."""
    found, i = name, 1
    while found in taken:
        found, i = f"{name}_{i}", i + 1
    return found


def per_output(what: str, given: Any, names: list[str], spread: bool = False) -> list[Any]:
    """One entry per output from a dict by name, a list in order, or a single entry.

    Args:
        what: What it is, for errors.
        given: The entries; None gives None for all.
        names: Names of the outputs.
        spread: Whether a single entry is meant for every output.

    Raises:
        ValueError: A name is not known or the numbers differ.
    """
    count = len(names)
    if given is None:
        return [None] * count
    if isinstance(given, dict):
        for key in given:
            if str(key) not in names:
                raise ValueError(
                    f"{what} has the key {key!r}, which is not the name of an output."
                    f"{nearest(str(key), names)} The outputs are {names}."
                )
        return [given.get(name) for name in names]
    if isinstance(given, list | tuple):
        if len(given) != count:
            raise ValueError(
                f"{what} has {len(given)} entries but the model has {count} "
                f"output{'s' if count > 1 else ''} {names}; pass one entry per output."
            )
        return list(given)
    if count == 1 or spread:
        return [given] * count
    raise ValueError(
        f"{what} is a single entry but the model has {count} outputs {names}; pass a list or a "
        "dict with one entry per output."
    )
