"""`WeightNormalization`: a layer whose kernel is a direction and a length."""

from __future__ import annotations

from typing import Any

import numpy as np

from densa import _core
from densa.layers._helpers import as_float
from densa.layers.wrapper import Wrapper


class WeightNormalization(Wrapper):
    """A dense layer with kernel = scale · v / ‖v‖, column by column; v and scale are trained.

    How long the weights of a unit are and where they point are learnt apart, which helps plain
    descent as batch norm does, and does not look at the batch. At first the kernel is what the
    layer inside drew. `freeze()` computes it once: the predictor has a plain dense layer.

    Args:
        layer: a layer with a `kernel` (in, out), as `Dense`; the kernel becomes v. Its penalty and
            constraint, if any, are those of v.

    Raises:
        TypeError: if that is no layer, or one without a kernel of two axes.

    Source: Salimans and Kingma, 2016. Handbook A3-14.

    Example:
        >>> layer = densa.layers.WeightNormalization(densa.layers.Dense(3))
        >>> layer(np.ones((2, 4), "float32")).shape
        (2, 3)
        >>> [v.name for v in layer.trainable_variables]
        ['scale', 'kernel', 'bias']
    """

    def build(self, input_shape: Any = None) -> None:
        super().build(input_shape)
        layer: Any = self.layer
        kernel = getattr(layer, "kernel", None)
        if kernel is None or len(kernel.shape) != 2:
            raise TypeError(
                f"WeightNormalization '{self.name}' goes around a layer with a kernel (in, out), "
                f"such as Dense; received {type(self.layer).__name__} '{self.layer.name}'."
            )
        lengths = np.linalg.norm(kernel.numpy().astype(np.float64), axis=0)
        self.scale = self.add_weight(
            name="scale", shape=lengths.shape, initializer=lambda shape, dtype=None: lengths
        )

    def call(self, inputs: Any) -> Any:
        inside = self.layer.__dict__
        variable = inside["kernel"]
        inside["kernel"] = as_float(self._kernel(variable), self.layer.compute_dtype)
        try:
            return self.layer(inputs)
        finally:
            inside["kernel"] = variable

    def _kernel(self, variable: Any) -> Any:
        variables_as = _core.set_autocast(None)  # 16 bits are for the kernel, not for its length
        try:
            v = variable.value
            squares = _core.apply("sum", _core.apply("square", v), axis=[0], keepdims=True)
            # A column of zeros stays one: not 0/0.
            lengths = _core.apply("sqrt", _core.apply("maximum", squares, 1e-30))
            return v * (self.scale / lengths)
        finally:
            _core.set_autocast(variables_as)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return self.layer.compute_output_shape(input_shape)
