"""`LayerNormalization`: standardise each sample by its own mean and variance."""

from __future__ import annotations

from typing import Any

from densa import _core
from densa._numbers import check_axis, finite_number
from densa.layers._helpers import as_float, axes_of, sizes_of
from densa.layers._scaled import ScaledAndCentered
from densa.layers.input_spec import InputSpec


class LayerNormalization(ScaledAndCentered):
    """y = gamma · (x - mean) / sqrt(variance + epsilon) + beta, mean and variance over `axis`.

    Args:
        axis: the axis (or axes) of a sample that are standardised together.
        epsilon: added to the (biased) variance.
        center: whether there is a beta.
        scale: whether there is a gamma.
        beta_initializer: first value of beta.
        gamma_initializer: first value of gamma.
        beta_regularizer: penalty on beta.
        gamma_regularizer: penalty on gamma.
        beta_constraint: what beta is put back to after each update.
        gamma_constraint: the same for gamma.

    Raises:
        ValueError: for an axis that the input does not have, or whose size is unknown.

    Example:
        >>> layer = densa.layers.LayerNormalization(epsilon=0.0)
        >>> layer(np.array([[1.0, 3.0], [0.0, 8.0]], "float32")).numpy()
        array([[-1.,  1.],
               [-1.,  1.]], dtype=float32)
    """

    _passes_masks = True

    def __init__(
        self,
        axis: Any = -1,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        beta_constraint: Any = None,
        gamma_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            center,
            scale,
            beta_initializer,
            gamma_initializer,
            beta_regularizer,
            gamma_regularizer,
            beta_constraint,
            gamma_constraint,
            **kwargs,
        )
        self.axis = check_axis(axis)
        self.epsilon = finite_number(f"{type(self).__name__}: `epsilon`", epsilon, least=0)

    def build(self, input_shape: Any) -> None:
        axes = axes_of(self.axis, len(input_shape), self.name, first=1)
        shape = sizes_of(input_shape, axes, self.axis, self.name)
        self._add_gamma_and_beta(shape)
        self.input_spec = InputSpec(ndim=len(input_shape), axes={a: input_shape[a] for a in axes})

    def call(self, inputs: Any) -> Any:
        # In the variables' type, also where 16 bits go in and out: sums need more.
        x = as_float(inputs, self.variable_dtype)
        axes = axes_of(self.axis, len(x.shape), self.name, first=1)
        mean = _core.apply("mean", x, axis=axes, keepdims=True)
        variance = _core.apply("var", x, axis=axes, keepdims=True)
        inverse = _core.apply("rsqrt", _core.apply("add", variance, self.epsilon))
        y = _core.apply("multiply", _core.apply("subtract", x, mean), inverse)
        return as_float(self._scale_and_center(y, axes), self.compute_dtype)

    def compute_output_shape(self, input_shape: Any) -> Any:
        axes_of(self.axis, len(input_shape), self.name, first=1)
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "axis": self.axis,
            "epsilon": self.epsilon,
        }
