"""`ReLU` as a layer."""

from __future__ import annotations

from typing import Any

from densa import activations
from densa._numbers import check_real_number, finite_number
from densa.layers.layer import Layer


class ReLU(Layer):
    """max(x, 0), with Keras' three changes to it.

    f(x) = max_value for x ≥ max_value; x for threshold ≤ x < max_value;
    negative_slope · (x - threshold) below.

    Args:
        max_value: upper limit, None for none.
        negative_slope: slope below the threshold.
        threshold: where it bends.

    Raises:
        ValueError: for a negative argument.

    Example:
        >>> densa.layers.ReLU()(np.array([[-1.0, 2.0]], "float32")).numpy()
        array([[0., 2.]], dtype=float32)
    """

    _passes_masks = True

    def __init__(
        self,
        max_value: float | None = None,
        negative_slope: float | None = 0.0,
        threshold: float | None = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if max_value is not None:
            check_real_number("ReLU: `max_value`", max_value, least=0)
        for name, value in (("negative_slope", negative_slope), ("threshold", threshold)):
            if value is None:
                raise ValueError(f"ReLU: `{name}` must be a number of at least 0; received None.")
            finite_number(f"ReLU: `{name}`", value, least=0)
        self.max_value = max_value
        self.negative_slope = negative_slope
        self.threshold = threshold
        self.built = True

    def call(self, inputs: Any) -> Any:
        return activations.relu(
            inputs,
            negative_slope=float(self.negative_slope or 0.0),
            max_value=self.max_value,
            threshold=float(self.threshold or 0.0),
        )

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "max_value": self.max_value,
            "negative_slope": self.negative_slope,
            "threshold": self.threshold,
        }
