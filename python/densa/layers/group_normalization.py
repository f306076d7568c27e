"""`GroupNormalization`: standardise groups of a sample's channels."""

from __future__ import annotations

from typing import Any

from densa import _core
from densa._numbers import check_axis, finite_number, whole_number
from densa.layers._helpers import as_float, axes_of, reshape_rows, sizes_of
from densa.layers._scaled import ScaledAndCentered
from densa.layers.input_spec import InputSpec


class GroupNormalization(ScaledAndCentered):
    """y = gamma · (x - mean) / sqrt(variance + epsilon) + beta, over groups of channels.

    Mean and (biased) variance are those of one sample's group: neighbouring channels, at all
    places of the other axes. Source: Wu and He, 2018, https://arxiv.org/abs/1803.08494.

    Args:
        groups: how many groups the channels make; -1: each channel is one.
        axis: the axis of the channels, whose size `groups` divides.
        epsilon: added to the variance.
        center: whether there is a beta, one number for each channel.
        scale: whether there is a gamma, one number for each channel.
        beta_initializer: first value of beta.
        gamma_initializer: first value of gamma.
        beta_regularizer: penalty on beta.
        gamma_regularizer: penalty on gamma.
        beta_constraint: what beta is put back to after each update.
        gamma_constraint: the same for gamma.

    Raises:
        TypeError: for groups or an axis that are no integers.
        ValueError: for groups that are neither positive nor -1 or do not divide the channels, an
            axis that samples do not have, or a size that is unknown.

    Example:
        >>> layer = densa.layers.GroupNormalization(2, epsilon=0.0)
        >>> layer(np.array([[1.0, 3.0, 10.0, 30.0]], "float32")).numpy().round(4).tolist()
        [[-1.0, 1.0, -1.0, 1.0]]
    """

    _passes_masks = True

    def __init__(
        self,
        groups: int = 32,
        axis: int = -1,
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
        self.groups = whole_number("GroupNormalization: groups", groups, least=-1)
        if self.groups == 0:
            raise ValueError(f"`groups` must be at least 1, or -1; received {groups!r}.")
        self.axis = check_axis(axis)
        if isinstance(self.axis, list):
            raise TypeError(f"GroupNormalization: `axis` must be an int; received axis={axis!r}.")
        self.epsilon = finite_number("GroupNormalization: `epsilon`", epsilon, least=0)

    def build(self, input_shape: Any) -> None:
        axes = axes_of(self.axis, len(input_shape), self.name, first=1)
        sizes_of(input_shape, list(range(1, len(input_shape))), self.axis, self.name)
        shape = sizes_of(input_shape, axes, self.axis, self.name)
        if self.groups > 0 and shape[0] % self.groups:
            raise ValueError(
                f"Layer '{self.name}': groups={self.groups} must divide the number of channels, "
                f"which is {shape[0]} (axis {self.axis} of input_shape={tuple(input_shape)})."
            )
        self._add_gamma_and_beta(shape)
        self.input_spec = InputSpec(ndim=len(input_shape), axes={axes[0]: shape[0]})

    def call(self, inputs: Any) -> Any:
        # In the variables' type, also where 16 bits go in and out: sums need more.
        x = as_float(inputs, self.variable_dtype)
        axes = axes_of(self.axis, len(x.shape), self.name, first=1)
        (axis,), sizes = axes, tuple(x.shape)
        groups = sizes[axis] if self.groups == -1 else self.groups
        parts = (*sizes[1:axis], groups, sizes[axis] // groups, *sizes[axis + 1 :])
        g = reshape_rows(x, parts)
        summed = [i for i in range(1, len(sizes) + 1) if i != axis]
        mean = _core.apply("mean", g, axis=summed, keepdims=True)
        variance = _core.apply("var", g, axis=summed, keepdims=True)
        inverse = _core.apply("rsqrt", _core.apply("add", variance, self.epsilon))
        y = _core.apply("multiply", _core.apply("subtract", g, mean), inverse)
        y = reshape_rows(y, sizes[1:])
        return as_float(self._scale_and_center(y, axes), self.compute_dtype)

    def compute_output_shape(self, input_shape: Any) -> Any:
        axes_of(self.axis, len(input_shape), self.name, first=1)
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "groups": self.groups,
            "axis": self.axis,
            "epsilon": self.epsilon,
        }
