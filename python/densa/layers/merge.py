"""The base of layers that make one tensor of several, element by element."""

from __future__ import annotations

from typing import Any

from densa import _core, ops
from densa._masks import masks_of
from densa._symbolic import Shape
from densa.layers._helpers import reshape_rows
from densa.layers._shapes import is_shape
from densa.layers.layer import Layer


class Merge(Layer):
    """Combine a list of tensors, broadcasting them against each other.

    Inputs of lower rank get axes of size one behind the batch.
    """

    _passes_masks = True
    _op = ""
    _exactly: int | None = None

    def _check(self, inputs: Any) -> None:
        if not isinstance(inputs, (list, tuple)) or (inputs and is_shape(inputs)):
            raise ValueError(
                f"A merge layer should be called on a list of inputs. Received: {inputs} "
                f"(one tensor, or its shape; layer '{self.name}')"
            )
        if self._exactly is not None and len(inputs) != self._exactly:
            raise ValueError(
                f"A `{type(self).__name__}` layer should be called on exactly {self._exactly} "
                f"inputs. Received: {len(inputs)}"
            )
        if not inputs:
            raise ValueError(
                f"A merge layer should be called on a list of at least 1 input. Received: 0 "
                f"inputs (layer '{self.name}')"
            )

    def build(self, input_shape: Any) -> None:
        self._check(input_shape)
        self.compute_output_shape(input_shape)

    def call(self, inputs: Any) -> Any:
        self._check(inputs)
        rank = max(len(x.shape) for x in inputs)
        values = [to_rank(x, rank) for x in inputs]
        masks = masks_of(list(inputs))
        if masks is None:
            return self._finish(self._fold(values), len(inputs))
        kept = [
            None if m is None else to_rank(reshape_rows(m, (*m.shape[1:], 1)), rank) for m in masks
        ]
        return self._finish(self._fold_masked(values, kept), len(inputs))

    def _fold(self, inputs: list[Any]) -> Any:
        out = inputs[0]
        for x in inputs[1:]:
            out = _core.apply(self._op, out, x)
        return out

    def _fold_masked(self, inputs: list[Any], kept: list[Any]) -> Any:
        """The same where some inputs have masks, `kept`, which broadcast to them."""
        return self._fold(inputs)

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        """Return where any input counts; None, everywhere, if one has no mask."""
        if previous_mask is None:
            return None
        check_masks(previous_mask, inputs, self.name)
        if any(mask is None for mask in previous_mask):
            return None
        rank = max(len(mask.shape) for mask in previous_mask)
        out = mask_of_rank(previous_mask[0], rank)
        for mask in previous_mask[1:]:
            out = ops.logical_or(out, mask_of_rank(mask, rank))
        return out

    def _finish(self, out: Any, count: int) -> Any:
        return out

    def compute_output_shape(self, input_shape: Any) -> Any:
        self._check(input_shape)
        rank = max(len(s) for s in input_shape)
        shapes = [(*s[:1], *(1,) * (rank - len(s)), *s[1:]) for s in input_shape]
        out: Shape = tuple(shapes[0])
        for shape in shapes[1:]:
            out = self._broadcast(out, tuple(shape), input_shape)
        return out

    def _broadcast(self, a: Shape, b: Shape, all_shapes: Any) -> Shape:
        out: list[int | None] = []
        for m, n in zip(a, b, strict=True):
            if m == n or n == 1:
                out.append(m)
            elif m == 1:
                out.append(n)
            elif m is None or n is None:
                out.append(m if n is None else n)
            else:
                raise ValueError(
                    f"Inputs have incompatible shapes. Received shapes {a[1:]} and {b[1:]} "
                    f"(layer '{self.name}', all inputs: {[tuple(s) for s in all_shapes]})"
                )
        # Only the batch can be open here; it stays open if one of them is.
        if a[:1] == (None,) or b[:1] == (None,):
            out[0] = None
        return tuple(out)


def to_rank(x: Any, rank: int) -> Any:
    """Return x with axes of size one behind the first, so many that it has this rank."""
    missing = rank - len(x.shape)
    if missing == 0:
        return x
    rows = x.shape[0]
    shape = [-1 if rows is None else rows, *[1] * missing, *x.shape[1:]]
    return _core.apply("reshape", x, shape=[int(d) for d in shape])


def mask_of_rank(mask: Any, rank: int) -> Any:
    """The same of a mask, which may be symbolic."""
    missing = list(range(1, 1 + rank - len(mask.shape)))
    return ops.expand_dims(mask, missing) if missing else mask


class Extreme(Merge):
    """Base of `Maximum` and `Minimum`: what is left out gives way to what counts."""

    def _fold_masked(self, inputs: list[Any], kept: list[Any]) -> Any:
        out, counts = inputs[0], kept[0]
        for x, mask in zip(inputs[1:], kept[1:], strict=True):
            if mask is not None:
                x = _core.apply("where", mask, x, out)
            if counts is not None:
                out = _core.apply("where", counts, out, x)
            both = mask is not None and counts is not None
            counts = _core.apply("logical_or", counts, mask) if both else None
            out = _core.apply(self._op, out, x)
        return out


def check_masks(masks: Any, inputs: Any, name: str) -> None:
    """Raise ValueError, naming the layer, unless there is one mask or None for each input."""
    if not isinstance(masks, (list, tuple)) or len(masks) != len(inputs):
        raise ValueError(
            f"Layer '{name}': the masks must be a list with one entry, a mask or None, for each of "
            f"the {len(inputs)} inputs. Received: {masks!r}"
        )
