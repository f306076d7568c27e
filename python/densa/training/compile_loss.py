"""The losses of `compile` as one function of all targets and outputs."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from densa import _core
from densa import losses as losses_module
from densa._masks import get_mask
from densa._numbers import finite_number
from densa.losses import SparseCategoricalCrossentropy
from densa.losses._labels import check_labels_of
from densa.losses.loss import Loss, LossFunctionWrapper
from densa.metrics import Mean
from densa.metrics.reduction import row_count
from densa.utils import tree

from .structure import outputs_have_names, outputs_of, per_output, unused


class CompileLoss:
    """Sum of the outputs' losses, each times its weight.

    Args:
        loss: A loss, or a list or dict with one per output; None entries are left out. As in
            Keras, a dict may leave out names where the outputs are a dict themselves.
        loss_weights: A number, or a list or dict with one per output.
        output_names: The model's output names where it has them.
    """

    def __init__(
        self, loss: Any, loss_weights: Any = None, output_names: list[str] | None = None
    ) -> None:
        if loss_weights is not None and not isinstance(
            loss_weights, int | float | list | tuple | dict
        ):
            raise ValueError(
                "`loss_weights` must be a number, a list or a dict; received "
                f"{type(loss_weights).__name__}."
            )
        _check_loss_weights(loss_weights, output_names)
        self.loss = _resolve(loss)
        self.loss_weights = loss_weights
        self.output_names = output_names
        self.metrics: list[Mean] = []
        self._parts: list[tuple[int, Loss, float | None, Mean | None]] | None = None

    def build(self, y_true: Any, y_pred: Any) -> None:
        """Settles which loss belongs to which output."""
        names, outputs = outputs_of(y_pred, self.output_names)
        chosen = per_output("`loss`", self.loss, names, spread=True)
        if isinstance(self.loss, dict) and not isinstance(y_pred, dict):
            _check_all_named(self.loss, names)
        if len(outputs) > 1 and not isinstance(y_true, list | tuple | dict) and y_true is not None:
            needed = sum(fn is not None for fn in chosen)
            if needed > 1:
                raise ValueError(
                    f"The model has {len(outputs)} outputs {names} but there is one target; pass "
                    "a list or dict of targets."
                )
        scalar = isinstance(self.loss_weights, int | float)
        weights = per_output("`loss_weights`", self.loss_weights, names, spread=scalar)
        many = sum(fn is not None for fn in chosen) > 1
        named = outputs_have_names(y_pred, self.output_names)
        parts: list[tuple[int, Loss, float | None, Mean | None]] = []
        for i, (name, fn, weight) in enumerate(zip(names, chosen, weights, strict=True)):
            if fn is None:
                continue
            tracker = None
            if many:
                # As in Keras, losses of outputs without names go by their own.
                label = f"{name if named else fn.name}_loss"
                tracker = Mean(
                    name=unused(label, [mean.name for *_, mean in parts if mean is not None])
                )
            parts.append((i, fn, None if weight is None else float(weight), tracker))
        self._parts = parts
        self.metrics = [tracker for *_, tracker in parts if tracker is not None]

    @property
    def has_labels(self) -> bool:
        """Whether a loss takes class numbers as targets."""
        return any(isinstance(fn, SparseCategoricalCrossentropy) for fn in tree.flatten(self.loss))

    def check_labels(
        self, y_true: Any, y_pred: Any, masks: Callable[[], list[Any]] | None = None
    ) -> None:
        """Compares labels with the number of classes of their output.

        Args:
            y_true: Targets: arrays or Tensors.
            y_pred: Outputs, or whatever has their shapes. What is unknown of them is not looked at,
                and what does not fit together is left for the loss to say.
            masks: Gives the outputs' masks, None where all counts; without it those of `y_pred`.

        Raises:
            ValueError: A label is negative, too large or no whole number; says which one.
        """
        if y_true is None or not self.has_labels:
            return
        try:
            names, outputs = outputs_of(y_pred, self.output_names)
            chosen = per_output("`loss`", self.loss, names, spread=True)
            wanted = [i for i, fn in enumerate(chosen) if fn is not None]
            targets = _targets("targets", y_true, names, wanted)
        except ValueError:
            return
        for i, (name, fn, labels) in enumerate(zip(names, chosen, targets, strict=True)):
            if isinstance(fn, SparseCategoricalCrossentropy):
                output = outputs[i]
                shape = tuple(output.shape)
                classes = shape[fn.axis] if -len(shape) <= fn.axis < len(shape) else None
                check_labels_of(
                    f"The labels of the output {name!r}",
                    labels,
                    classes,
                    fn.ignore_class,
                    partial(_mask_at, outputs, masks, i),
                )

    def targets_of(self, y_true: Any, y_pred: Any) -> list[Any] | None:
        """The target of each output, None where there is none; None if they cannot be told."""
        try:
            names, _ = outputs_of(y_pred, self.output_names)
            chosen = per_output("`loss`", self.loss, names, spread=True)
            wanted = [i for i, fn in enumerate(chosen) if fn is not None]
            return _targets("targets", y_true, names, wanted)
        except ValueError:
            return None

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """The total loss; None where no output has a loss."""
        if not _core.recording():
            self.check_labels(y_true, y_pred)
        if self._parts is None:
            self.build(y_true, y_pred)
        assert self._parts is not None
        names, outputs = outputs_of(y_pred, self.output_names)
        targets = _targets("targets", y_true, names, [i for i, *_ in self._parts])
        weights = per_output("sample_weight", sample_weight, names, spread=True)
        total = None
        for i, fn, factor, tracker in self._parts:
            if targets[i] is None:
                raise ValueError(
                    f"There is no target for the output {names[i]!r}, which has the loss "
                    f"{fn.name!r}. Pass one, or set its loss to None."
                )
            value = fn(targets[i], outputs[i], weights[i])
            if tuple(value.shape):
                raise ValueError(
                    f"The loss {fn.name!r} of output {names[i]!r} has shape {tuple(value.shape)}; "
                    "training needs one number. Give it a reduction, such as "
                    "'sum_over_batch_size', or take the mean."
                )
            if tracker is not None:
                # The unweighted value is what one wants to watch.
                tracker.add_total(value, row_count(outputs[i], tracker.dtype))
            if factor is not None:
                value = value * factor
            total = value if total is None else total + value
        return total


def _mask_at(outputs: list[Any], masks: Callable[[], list[Any]] | None, place: int) -> Any:
    return get_mask(outputs[place]) if masks is None else masks()[place]


def _check_loss_weights(given: Any, names: list[str] | None) -> None:
    if isinstance(given, list | tuple) and names:
        per_output("`loss_weights`", given, names)
    for weight in tree.flatten(given):
        if weight is not None and not hasattr(weight, "shape"):
            finite_number("`loss_weights`: a weight", weight)


def _check_all_named(losses: dict[str, Any], names: list[str]) -> None:
    missing = [name for name in names if name not in losses]
    if missing:
        raise ValueError(
            f"`loss` has the keys {list(losses)} but the model's outputs are {names}; "
            f"{missing[0]!r} is missing. Give it a loss, or None if it has no part in the training."
        )


def _targets(what: str, y_true: Any, names: list[str], wanted: list[int]) -> list[Any]:
    if (
        isinstance(y_true, list | tuple)
        and len(y_true) != len(names)
        and len(wanted) == len(y_true)
    ):
        # Targets for the outputs with a loss alone.
        out: list[Any] = [None] * len(names)
        for place, target in zip(wanted, y_true, strict=True):
            out[place] = target
        return out
    if y_true is not None and not isinstance(y_true, list | tuple | dict) and len(wanted) == 1:
        out = [None] * len(names)
        out[wanted[0]] = y_true
        return out
    return per_output(what, y_true, names)


def _resolve(loss: Any) -> Any:
    """Names and functions as `Loss` objects, in the structure given."""
    if isinstance(loss, dict) and "class_name" not in loss:
        return {str(k): _resolve(v) for k, v in loss.items()}
    if isinstance(loss, list | tuple):
        return [_resolve(v) for v in loss]
    found = losses_module.get(loss)
    if found is None or isinstance(found, Loss):
        return found
    name = loss if isinstance(loss, str) else getattr(found, "__name__", None)
    return as_loss(found, name)


def as_loss(fn: Any, name: str | None = None) -> Loss:
    """A function as a loss; a built-in one with what its class does beside the function."""
    classes = {losses_module.sparse_categorical_crossentropy: SparseCategoricalCrossentropy}
    made = classes.get(fn)
    return made() if made is not None else LossFunctionWrapper(fn, name=name)
