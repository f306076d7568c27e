"""`PReLU`: a leaky ReLU that learns its slope."""

from __future__ import annotations

from typing import Any

from densa import _core, constraints, initializers, regularizers
from densa._numbers import check_axis
from densa.layers._helpers import as_float, axes_of, sizes_of
from densa.layers.input_spec import InputSpec
from densa.layers.layer import Layer


class PReLU(Layer):
    """max(x, 0) + alpha · min(x, 0), with a trained alpha of the sample's shape.

    Args:
        alpha_initializer: first value of alpha.
        alpha_regularizer: penalty on alpha.
        alpha_constraint: what alpha is put back to after each update.
        shared_axes: axes, counted from 1 as the batch is 0, along which one alpha serves all.

    Raises:
        TypeError: for axes that are no integers.
        ValueError: for an axis that samples do not have, or an open size that is not shared.

    Example:
        >>> densa.layers.PReLU()(np.array([[-1.0, 2.0]], "float32")).numpy()
        array([[0., 2.]], dtype=float32)
    """

    _passes_masks = True

    def __init__(
        self,
        alpha_initializer: Any = "Zeros",
        alpha_regularizer: Any = None,
        alpha_constraint: Any = None,
        shared_axes: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.alpha_initializer = initializers.get(alpha_initializer)
        self.alpha_regularizer = regularizers.get(alpha_regularizer)
        self.alpha_constraint = constraints.get(alpha_constraint)
        shared = [] if shared_axes is None else check_axis(shared_axes, "shared_axes")
        self.shared_axes = (shared if isinstance(shared, list) else [shared]) or None
        self.alpha: Any = None

    def build(self, input_shape: Any) -> None:
        rank, name = len(input_shape), self.name
        shared = axes_of(self.shared_axes, rank, name, first=1) if self.shared_axes else []
        own = [a for a in range(1, rank) if a not in shared]
        found = sizes_of(input_shape, own, own, name)
        sizes: dict[int, int | None] = dict(zip(own, found, strict=True))
        shape = [sizes.get(a, 1) for a in range(1, rank)]
        self.alpha = self.add_weight(
            shape=shape,
            name="alpha",
            initializer=self.alpha_initializer,
            regularizer=self.alpha_regularizer,
            constraint=self.alpha_constraint,
        )
        self.input_spec = InputSpec(ndim=rank, axes=sizes)

    def call(self, inputs: Any) -> Any:
        x = as_float(inputs, self.compute_dtype)
        below = _core.apply("multiply", self.alpha, _core.apply("minimum", x, 0.0))
        return _core.apply("add", _core.apply("relu", x), below)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "alpha_initializer": initializers.serialize(self.alpha_initializer),
            "alpha_regularizer": regularizers.serialize(self.alpha_regularizer),
            "alpha_constraint": constraints.serialize(self.alpha_constraint),
            "shared_axes": self.shared_axes,
        }
