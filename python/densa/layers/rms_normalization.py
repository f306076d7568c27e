"""`RMSNormalization`: scale each sample by its own root mean square."""

from __future__ import annotations

from typing import Any

from densa import _core
from densa._numbers import check_axis, finite_number
from densa.layers._helpers import along, as_float, axes_of, sizes_of
from densa.layers.input_spec import InputSpec
from densa.layers.layer import Layer


class RMSNormalization(Layer):
    """y = scale · x / sqrt(mean(x²) + epsilon), the mean over `axis`, with a trained scale.

    Args:
        axis: the axis (or axes) of a sample that are scaled together.
        epsilon: added to the mean of squares.

    Raises:
        ValueError: for an axis that samples do not have, or whose size is unknown.

    Example:
        >>> layer = densa.layers.RMSNormalization(epsilon=0.0)
        >>> layer(np.array([[1.0, 7.0], [2.0, 2.0]], "float32")).numpy()
        array([[0.2, 1.4],
               [1. , 1. ]], dtype=float32)
    """

    _passes_masks = True

    def __init__(self, axis: Any = -1, epsilon: float = 1e-6, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.axis = check_axis(axis)
        self.epsilon = finite_number(f"{type(self).__name__}: `epsilon`", epsilon, least=0)
        self.scale: Any = None

    def build(self, input_shape: Any) -> None:
        axes = axes_of(self.axis, len(input_shape), self.name, first=1)
        shape = sizes_of(input_shape, axes, self.axis, self.name)
        self.scale = self.add_weight(
            shape=shape, name="scale", initializer="ones", autocast=False, rows=True
        )
        self.input_spec = InputSpec(ndim=len(input_shape), axes={a: input_shape[a] for a in axes})

    def call(self, inputs: Any) -> Any:
        # In the variables' type, also where 16 bits go in and out: sums need more.
        x = as_float(inputs, self.variable_dtype)
        axes = axes_of(self.axis, len(x.shape), self.name, first=1)
        power = _core.apply("mean", _core.apply("square", x), axis=axes, keepdims=True)
        inverse = _core.apply("rsqrt", _core.apply("add", power, self.epsilon))
        y = _core.apply("multiply", x, inverse)
        y = _core.apply("multiply", y, along(self.scale, axes, x))
        return as_float(y, self.compute_dtype)

    def compute_output_shape(self, input_shape: Any) -> Any:
        axes_of(self.axis, len(input_shape), self.name, first=1)
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "axis": self.axis, "epsilon": self.epsilon}
