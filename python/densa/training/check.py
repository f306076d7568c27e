"""Checks of the user's arrays against the model, before anything runs."""

from __future__ import annotations

from functools import cache, partial
from typing import Any

from densa.utils import tree


def check_input_shapes(model: Any, x: Any) -> None:
    """Compares arrays with the model's symbolic inputs, where it has them.

    Raises:
        ValueError: Their number or a shape does not fit, or one is None; names the input.
    """
    try:
        symbols = list(model.inputs or [])
    except (AttributeError, ValueError):
        return
    if not symbols:
        return
    names = [s.name for s in symbols]
    if isinstance(x, dict):
        struct = getattr(model, "input", None)
        if isinstance(struct, dict):
            wanted = {k: s for k, s in struct.items() if hasattr(s, "shape")}
        else:
            wanted = dict(zip(names, symbols, strict=True))
        missing = [k for k in wanted if k not in x]
        if missing:
            raise ValueError(
                f"Missing data for input {missing[0]!r}. You passed a data dictionary with keys "
                f"{list(x)}. Expected the following keys: {list(wanted)}"
            )
        pairs = [(k, x[k], s) for k, s in wanted.items()]
    else:
        leaves = tree.flatten(x)
        if len(leaves) != len(symbols):
            shapes = [tuple(getattr(a, "shape", ())) for a in leaves]
            raise ValueError(
                f"Model {model.name!r} expects {len(symbols)} input(s) {names}, but received "
                f"{len(leaves)} array(s) of shapes {shapes}."
            )
        pairs = list(zip(names, leaves, symbols, strict=True))
    for name, array, symbol in pairs:
        if array is None:
            raise ValueError(
                f"Missing data for input {name!r} of model {model.name!r}: received None, expected "
                f"an array of shape {tuple(symbol.shape)}."
            )
        have, want = tuple(array.shape), tuple(symbol.shape)
        if len(have) == len(want) + 1 and have[-1] == 1:
            have = have[:-1]
        elif len(have) == len(want) - 1 and want[-1] == 1:
            have = (*have, 1)
        fits = len(have) == len(want) and all(
            w is None or h == w for h, w in zip(have[1:], want[1:], strict=True)
        )
        if not fits:
            raise ValueError(
                f"Input {name!r} of model {model.name!r} is incompatible with the data: expected "
                f"shape {want}, found shape {tuple(array.shape)}. Reshape the data, or build the "
                "model for it."
            )


def check_devices(model: Any) -> None:
    """Sees to it that the variables of a model and of its metrics lie on one device.

    Those of an optimizer follow the variables that it trains.

    Raises:
        ValueError: They lie on several; names two of them and says what to do.
    """
    weights = model.variables
    if not weights:
        return
    home = weights[0].device
    for weight in weights:
        if weight.device != home:
            raise ValueError(
                f"The model's variable {weight.path!r} lies on {weight.device}, but "
                f"{weights[0].path!r} on {home}. Build all layers of a model under one "
                "densa.set_device."
            ) from None
    for metric in model.metrics:
        for variable in metric.variables:
            if variable.device != home:
                raise ValueError(
                    f"The model's variables lie on {home} ({weights[0].path!r}), but those of its "
                    f"metric {metric.name!r} on {variable.device}: densa.set_device has been "
                    "called between building the model and compile or fit. To run it where it "
                    f"lies, call densa.set_device({home!r}) and compile it again, with new "
                    f"metrics; to run it on {variable.device}, build it anew there."
                ) from None


def symbolic_outputs(model: Any) -> Any:
    """The model's outputs as it was defined, in their structure; None where it has no graph."""
    try:
        return model.output
    except (AttributeError, ValueError):
        return None


def check_labels(model: Any, y: Any, outputs: Any = None, *, x: Any) -> None:
    """Compares labels with the number of classes of the outputs whose loss takes labels.

    Args:
        model: The model.
        y: Targets, as arrays.
        outputs: Whatever has the outputs' shapes; by default those that the model was defined with,
            if it was: the classes of others show in the first step.
        x: Inputs, as arrays: labels where the outputs' masks hide them may be anything.

    Raises:
        ValueError: A label is negative, too large or no number; says which one.
    """
    compiled = model.__dict__.get("_compiled")
    if y is None or compiled is None or compiled.loss is None:
        return
    if outputs is None:
        outputs = symbolic_outputs(model)
    if outputs is not None:
        compiled.loss.check_labels(y, outputs, cache(partial(_masks, model, x)))


def _masks(model: Any, x: Any) -> list[Any]:
    from .masks import masks_of_outputs  # which needs the runners, and these this module

    return masks_of_outputs(model, x)


def classes_of(model: Any) -> int | None:
    """The number of classes that a model with one output tells apart; None where it is not known.

    An output of one number may be anything.
    """
    outputs = tree.flatten(symbolic_outputs(model))
    shape = tuple(outputs[0].shape) if len(outputs) == 1 and outputs[0] is not None else ()
    return shape[-1] if shape and shape[-1] != 1 else None


class Shaped:
    """The shape of an output."""

    def __init__(self, output: Any) -> None:
        self.shape = tuple(output.shape)


def shapes_for_labels(model: Any, y_pred: Any) -> Any:
    """The outputs' shapes in a step, where labels could not be checked without; else None."""
    compiled = model.__dict__.get("_compiled")
    if compiled is None or compiled.loss is None or not compiled.loss.has_labels:
        return None
    known = symbolic_outputs(model)
    if known is not None and all(None not in tuple(o.shape)[1:] for o in tree.flatten(known)):
        return None
    return tree.map_structure(Shaped, y_pred)
