"""`ELU` as a layer."""

from __future__ import annotations

from typing import Any

from densa import activations
from densa._numbers import finite_number
from densa.layers.layer import Layer


class ELU(Layer):
    """x above zero, alpha · (exp(x) - 1) below.

    Args:
        alpha: minus the limit for large negative x.

    Raises:
        TypeError: if alpha is no number.
        ValueError: if it is not finite.

    Example:
        >>> densa.layers.ELU()(np.array([[0.0, 2.0]], "float32")).numpy()
        array([[0., 2.]], dtype=float32)
    """

    _passes_masks = True

    def __init__(self, alpha: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.alpha = finite_number("ELU: `alpha`", alpha)
        self.built = True

    def call(self, inputs: Any) -> Any:
        return activations.elu(inputs, alpha=self.alpha)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "alpha": self.alpha}
