"""`Dense`: every output sees every input."""

from __future__ import annotations

from typing import Any

import numpy as np

from densa import _core, activations, constraints, initializers, regularizers
from densa.layers._helpers import as_float, last_size
from densa.layers.input_spec import InputSpec
from densa.layers.layer import Layer


class Dense(Layer):
    """y = activation(x · kernel + bias), along the last axis.

    Args:
        units: size of the output's last axis.
        activation: name, function or layer; None leaves the sum as it is.
        use_bias: whether there is a bias.
        kernel_initializer: first value of the kernel (in, units); "auto" takes the one that fits
            `activation`: see `densa.initializers.for_activation`.
        bias_initializer: first value of the bias (units,).
        kernel_regularizer: penalty on the kernel.
        bias_regularizer: penalty on the bias.
        activity_regularizer: penalty on the output.
        kernel_constraint: what the kernel is put back to after each update.
        bias_constraint: the same for the bias.

    Raises:
        ValueError: if units is not a positive integer.

    Example:
        >>> densa.layers.Dense(3, activation="relu")(np.zeros((2, 4), "float32")).shape
        (2, 3)
    """

    _passes_masks = True

    def __init__(
        self,
        units: int,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        if isinstance(units, bool) or not isinstance(units, (int, np.integer)) or units <= 0:
            raise ValueError(
                "Received an invalid value for `units`, expected a positive integer. Received: "
                f"units={units!r}"
            )
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        self.units = int(units)
        self.activation = activations.get(activation)
        self.use_bias = use_bias
        if isinstance(kernel_initializer, str) and kernel_initializer == "auto":
            kernel_initializer = initializers.for_activation(self.activation)
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.bias_regularizer = regularizers.get(bias_regularizer)
        self.kernel_constraint = constraints.get(kernel_constraint)
        self.bias_constraint = constraints.get(bias_constraint)
        self.kernel: Any = None
        self.bias: Any = None
        self.input_spec = InputSpec(min_ndim=2)

    def build(self, input_shape: Any) -> None:
        size = last_size(input_shape, self.name)
        self.kernel = self.add_weight(
            name="kernel",
            shape=(size, self.units),
            initializer=self.kernel_initializer,
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
        )
        if self.use_bias:
            self.bias = self.add_weight(
                name="bias",
                shape=(self.units,),
                initializer=self.bias_initializer,
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
            )
        self.input_spec = InputSpec(min_ndim=2, axes={-1: size})

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        # With a unary activation this is one op, which plans run as one kernel.
        x = as_float(inputs, self.compute_dtype)
        operands = (x, self.kernel) if self.bias is None else (x, self.kernel, self.bias)
        fused = activations.fused_name(self.activation)
        if fused is None:
            return self.activation(_core.apply("dense", *operands))
        return _core.apply("dense", *operands, activation=fused)

    def compute_output_shape(self, input_shape: Any) -> Any:
        units = self.units // 2 if self.activation is activations.glu else self.units
        return (*input_shape[:-1], units)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "units": self.units,
            "activation": activations.serialize(self.activation),
            "use_bias": self.use_bias,
            "kernel_initializer": initializers.serialize(self.kernel_initializer),
            "bias_initializer": initializers.serialize(self.bias_initializer),
            "kernel_regularizer": regularizers.serialize(self.kernel_regularizer),
            "bias_regularizer": regularizers.serialize(self.bias_regularizer),
            "kernel_constraint": constraints.serialize(self.kernel_constraint),
            "bias_constraint": constraints.serialize(self.bias_constraint),
        }
