"""`ActivityRegularization`: a penalty on what passes through."""

from __future__ import annotations

from typing import Any

from densa import regularizers
from densa.layers.layer import Layer


class ActivityRegularization(Layer):
    """Pass the input on and add l1·sum|x| + l2·sum(x²) to the loss.

    Args:
        l1: factor of the absolute values.
        l2: factor of the squares.

    Example:
        >>> layer = densa.layers.ActivityRegularization(l2=0.5)
        >>> _ = layer(np.ones((1, 2), "float32"))
        >>> float(layer.losses[0])
        1.0
    """

    _passes_masks = True

    def __init__(self, l1: float = 0.0, l2: float = 0.0, **kwargs: Any) -> None:
        super().__init__(activity_regularizer=regularizers.L1L2(l1=l1, l2=l2), **kwargs)
        self.l1 = l1
        self.l2 = l2
        self.built = True

    def call(self, inputs: Any) -> Any:
        return inputs

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        config.pop("activity_regularizer", None)
        return {**config, "l1": self.l1, "l2": self.l2}
