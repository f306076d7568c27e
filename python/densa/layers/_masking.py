"""What layers do with masks: take them, hand them on, or say that they are lost."""

from __future__ import annotations

import inspect
import warnings
from typing import Any

from densa import _core
from densa._masks import any_known, get_mask, masks_of, set_mask
from densa._scope import in_symbolic_scope
from densa._symbolic import is_keras_tensor
from densa.utils import tree


class Masks:
    """The part of a layer that deals with masks.

    As in Keras, `call` is given the mask of its only tensor as `mask`, those of several as
    `NAME_mask`, where it has such parameters and the caller gives none. The output has the mask
    that `compute_mask` makes of the first input's, where the layer supports masks.
    """

    name: str
    supports_masking: bool
    _call_signature: inspect.Signature
    # Whether a layer that does not write `compute_mask` hands the mask on as it is.
    _passes_masks = False
    # Whether `call` is given only the masks that its caller names.
    _masks_by_hand = False

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        """Return the output's mask: here that of the first input.

        Args:
            inputs: the first argument of the call.
            previous_mask: its mask, in its structure; None where all of it counts.
        """
        return previous_mask

    @property
    def _makes_masks(self) -> bool:
        return type(self).compute_mask is not Masks.compute_mask

    def _with_masks(
        self, bound: dict[str, Any], first: Any, kwargs: dict[str, Any]
    ) -> tuple[Any, dict[str, Any]]:
        """Return the first input's masks, and the arguments with those that `call` takes."""
        given = bound.get("mask")
        if not any_known():
            return given, kwargs
        parameters = self._call_signature.parameters
        tensors = {
            name: value
            for name, value in bound.items()
            if not is_mask_name(name) and any(hasattr(x, "shape") for x in tree.flatten(value))
        }
        wanted = {name: "mask" if len(tensors) == 1 else f"{name}_mask" for name in tensors}
        for name, argument in wanted.items():
            if argument in parameters and bound.get(argument) is None and not self._masks_by_hand:
                found = masks_of(tensors[name])
                if found is not None:
                    kwargs = {**kwargs, argument: found}
        return masks_of(first) if given is None else given, kwargs

    def _hand_on_symbols(self, inputs: Any, outputs: Any, given: Any) -> None:
        """Give symbolic outputs their masks, which are symbolic too."""
        masks = given
        if masks is None:
            masks = tree.map_structure(lambda x: getattr(x, "_keras_mask", None), inputs)
            if all(mask is None for mask in tree.flatten(masks)):
                masks = None
        if not self.supports_masking or (masks is None and not self._makes_masks):
            return
        found = self.compute_mask(inputs, masks)
        if found is None:
            return
        for x, mask in zip(tree.flatten(outputs), tree.flatten(found), strict=False):
            if is_keras_tensor(x) and is_keras_tensor(mask) and x._keras_mask is None:
                x._keras_mask = mask

    def _hand_on_masks(self, inputs: Any, outputs: Any, masks: Any) -> None:
        """Give the outputs their masks, unless `call` has done so."""
        leaves = tree.flatten(outputs)
        if all(get_mask(x) is not None for x in leaves):
            return
        if not self.supports_masking:
            if masks is not None and not in_symbolic_scope():
                warnings.warn(
                    f"Layer '{self.name}' (of type {type(self).__name__}) was given an input with "
                    "a mask, but does not support masks: the layers, losses and metrics behind it "
                    "see none. Set `supports_masking = True` in a layer of your own whose output "
                    "has the same places, or write its `compute_mask`.",
                    UserWarning,
                    stacklevel=2,
                )
            return
        found = self.compute_mask(inputs, masks)
        if found is None:
            return
        for x, mask in zip(leaves, tree.flatten(found), strict=False):
            if mask is not None and isinstance(x, _core.Tensor) and get_mask(x) is None:
                set_mask(x, mask)


def is_mask_name(name: str) -> bool:
    """Tell whether an argument of `call` is a mask by its name."""
    return name == "mask" or name.endswith("_mask")
