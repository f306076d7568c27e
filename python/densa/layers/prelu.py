"""`PReLU`: a leaky ReLU that learns its slope."""

from __future__ import annotations

from typing import Any

from densa import _core, constraints, initializers, regularizers
from densa.layers._helpers import as_float
from densa.layers.input_spec import InputSpec
from densa.layers.layer import Layer


class PReLU(Layer):
    """max(x, 0) + alpha · min(x, 0), with a trained alpha of the sample's shape.

    Args:
        alpha_initializer: first value of alpha.
        alpha_regularizer: penalty on alpha.
        alpha_constraint: what alpha is put back to after each update.
        shared_axes: axes, counted from 1, along which one alpha serves all.

    Example:
        >>> densa.layers.PReLU()(np.array([[-1.0, 2.0]], "float32")).numpy()
        array([[0., 2.]], dtype=float32)
    """

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
        if shared_axes is None or isinstance(shared_axes, (list, tuple)):
            self.shared_axes = None if shared_axes is None else [int(a) for a in shared_axes]
        else:
            self.shared_axes = [int(shared_axes)]
        self.alpha: Any = None

    def build(self, input_shape: Any) -> None:
        shape = list(input_shape[1:])
        for axis in self.shared_axes or ():
            shape[axis - 1] = 1
        self.alpha = self.add_weight(
            shape=shape,
            name="alpha",
            initializer=self.alpha_initializer,
            regularizer=self.alpha_regularizer,
            constraint=self.alpha_constraint,
        )
        sizes = {a: n for a, n in enumerate(input_shape) if a and a not in (self.shared_axes or ())}
        self.input_spec = InputSpec(ndim=len(input_shape), axes=sizes)

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
