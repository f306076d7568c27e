"""Checks of the user's arrays against the model, before anything runs."""

from __future__ import annotations

from typing import Any

from densa.utils import tree


def check_input_shapes(model: Any, x: Any) -> None:
    """Compares arrays with the model's symbolic inputs, where it has them.

    Raises:
        ValueError: Their number or a shape does not fit; names the input.
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
        pairs = [(k, x[k], s) for k, s in wanted.items() if x[k] is not None]
    else:
        leaves = tree.flatten(x)
        if len(leaves) != len(symbols):
            shapes = [tuple(getattr(a, "shape", ())) for a in leaves]
            raise ValueError(
                f"Model {model.name!r} expects {len(symbols)} input(s) {names}, but received "
                f"{len(leaves)} array(s) of shapes {shapes}."
            )
        pairs = [(n, a, s) for n, a, s in zip(names, leaves, symbols, strict=True) if a is not None]
    for name, array, symbol in pairs:
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


def check_labels(model: Any, y: Any) -> None:
    """Compares labels with the number of classes where the loss is sparse.

    Raises:
        ValueError: A label is negative, too large or no number; says where.
    """
    from densa.losses import SparseCategoricalCrossentropy

    compiled = model.__dict__.get("_compiled")
    if y is None or compiled is None or compiled.loss is None:
        return
    loss = compiled.loss.loss
    if not isinstance(loss, SparseCategoricalCrossentropy) or loss.ignore_class is not None:
        return
    try:
        outputs = list(model.outputs)
    except (AttributeError, ValueError):
        return
    leaves = tree.flatten(y)
    if len(outputs) != 1 or len(leaves) != 1 or leaves[0].size == 0:
        return
    classes = outputs[0].shape[-1]
    labels = leaves[0]
    if classes is None or labels.dtype.kind not in "iuf":
        return
    low, high = labels.min(), labels.max()
    # Labels given as floats are cut to whole numbers; NaN lies nowhere.
    if not (low > -1 and high < classes):
        bad = ~((labels > -1) & (labels < classes))
        row = int(bad.reshape(labels.shape[0], -1).any(axis=1).argmax())
        raise ValueError(
            f"The labels must lie between 0 and {classes - 1}, because the output has {classes} "
            f"classes; y goes from {low} to {high} (first in row {row})."
        )
