"""`Activation`: a function as a layer."""

from __future__ import annotations

from typing import Any

from densa import activations
from densa.layers.layer import Layer


class Activation(Layer):
    """Apply an activation to every element.

    Args:
        activation: name, function or layer.

    Example:
        >>> densa.layers.Activation("relu")(np.array([[-1.0, 2.0]], "float32")).numpy()
        array([[0., 2.]], dtype=float32)
    """

    _passes_masks = True

    def __init__(self, activation: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.activation = activations.get(activation)
        self.built = True

    def call(self, inputs: Any) -> Any:
        return self.activation(inputs)

    def compute_output_shape(self, input_shape: Any) -> Any:
        if activations.fused_name(self.activation) is None:  # glu halves an axis
            return super().compute_output_shape(input_shape)
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "activation": activations.serialize(self.activation)}
