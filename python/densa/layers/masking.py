"""`Masking`: leaves padding out."""

from __future__ import annotations

from typing import Any

from densa import _core, ops
from densa._masks import set_mask
from densa._numbers import check_real_number
from densa._symbolic import is_keras_tensor
from densa.layers._helpers import reshape_rows
from densa.layers.layer import Layer


class Masking(Layer):
    """Mask the places whose features all equal `mask_value`.

    Of `(rows, steps, features)` a step is left out where every feature is `mask_value`. Its
    features become 0; layers that support masks hand the mask on, and losses and metrics average
    over the other steps alone. Of `(rows, features)` whole rows are left out.

    Args:
        mask_value: the number that padding is filled with.

    Raises:
        TypeError: if that is no number.
        ValueError: if it is NaN, which equals nothing.

    Example:
        >>> x = np.array([[[1.0, 2.0], [0.0, 0.0]]], "float32")
        >>> densa.layers.Masking().compute_mask(x).numpy()
        array([[ True, False]])
    """

    def __init__(self, mask_value: float = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        check_real_number("Masking: mask_value", mask_value)
        self.mask_value = mask_value
        self.built = True

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        """Return where the features of `inputs` are not all `mask_value`."""
        x = inputs if is_keras_tensor(inputs) else self._convert(inputs, first=True)
        return ops.any(ops.not_equal(x, self.mask_value), axis=-1)

    def call(self, inputs: Any) -> Any:
        kept = self.compute_mask(inputs)
        out = _core.apply("where", reshape_rows(kept, (*kept.shape[1:], 1)), inputs, 0)
        set_mask(out, kept)
        return out

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "mask_value": self.mask_value}
